"""tune(): search the options of a recipe by successive halving, on ratings held out of the training ratings.

In each round, new candidates are proposed by a tree-structured Parzen estimator from all trials before. All of them are
fitted for a part of their passes; the best third is fitted for twice as many, and the best third of these for all. The
test ratings are never seen. Needs palate[tune].
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from palate.data.ratings import Ratings
from palate.data.splitting import split_last, split_random, split_within_users
from palate.errors import DataError, OptionError
from palate.options import check_seed, check_whole
from palate.recipes.base import Recipe
from palate.showing.events import within
from palate.showing.live import Lines, Progress
from palate.tuning.candidates import Candidate
from palate.tuning.results import Trial, Tuning, check_metric, sign
from palate.tuning.spaces import optuna_module, proposals, space_of
from palate.tuning.storage import Storage

N_CANDIDATES, REDUCTION = 9, 3  # candidates in a round; one of so many continues after each measurement
DIVISORS = (3, 1.5, 1)  # candidates are measured after all passes divided by these


def tune(
    recipe: Recipe,
    train: Ratings,
    metric: str | None = None,
    *,
    seconds: float = 60.0,
    trials: int | None = None,
    next_item: bool = False,
    space: Mapping[str, Any] | None = None,
    storage: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress = "auto",
) -> Tuning:
    """Find the best options of a recipe for these ratings, measured on a held-out part of them.

    The held-out part is 20% of each user's choices for implicit ratings, and a random 10% for explicit ones. With
    next_item=True it is each user's last event, and trials are measured by how high its item stands. Keep a test set
    apart: tune on the training ratings, fit the best recipe on all of them, and evaluate on the test set.
    Trial 0 is the recipe as given. Ctrl-C keeps what was found. Needs Optuna: pip install 'palate[tune]'.

    Parameters:
        recipe (Recipe): What to tune; options outside the search space stay as they are.
        train (Ratings): The training ratings.
        metric (str or None, default None): "ndcg@10", "recall@20" and the like, or "auc", for implicit ratings (None:
            "ndcg@10"); with next_item=True "ndcg@10", "hit_rate@10" and the like, or "mrr"; "rmse" or "mae" for
            explicit ones (None: "rmse").
        seconds (float, default 60.0): When to stop, in seconds; above 0. Ignored if `trials` is given.
        trials (int or None, default None): The number of trials instead of a time; 1 or more.
        next_item (bool, default False): Tune for what users choose next, as palate.evaluate(..., next_item=True)
            measures it. Only for implicit ratings.
        space (mapping or None, default None): {option: (lowest, highest)}, both above 0 and searched on a logarithmic
            scale, or {option: [values]}. None takes palate.tuning.SPACES[recipe name].
        storage (str or path or None, default None): A file (JSON lines) that keeps finished rounds. The same call with
            the same file resumes after a kill, and finds the same trials.
        seed (int, default 0): Seed of the held-out part and of the search; 0 or more. With `trials`, the same seed
            gives the same trials; with `seconds`, they also depend on the machine's speed.
        progress (bool or "auto", default "auto"): Show a line after each round, on standard error or in the notebook;
            "auto" shows it on a terminal and in a notebook.

    Returns:
        Tuning: The best recipe and all trials.

    Raises:
        DataError: There are no ratings, or none can be held out.
        OptionError: An option is out of range or unknown, the recipe has no search space or does not learn from ratings
            of this kind, the storage is of another tuning, or Optuna is not installed.

    Source:
        Jamieson & Talwalkar (2016), Non-stochastic Best Arm Identification and Hyperparameter Optimization (successive
        halving). Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization, section 4 (tree-structured Parzen
        estimator, as in Optuna).

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(60, 40, 1200, kind="implicit")
        >>> tuning = palate.tune(palate.ImplicitALS(n_factors=8), likes, trials=12)  # doctest: +SKIP
        >>> rec = tuning.fit(likes)  # doctest: +SKIP
    """
    _check(recipe, train, seconds, trials, seed)
    metric = metric or ("ndcg@10" if train.is_implicit else "rmse")
    check_metric(metric, train, next_item=next_item)
    search_space = space_of(recipe, train, space)
    optuna_module()
    inner, valid = _parts(train, seed, next_item=next_item)
    deadline = time.monotonic() + seconds if trials is None else math.inf
    with Lines(progress) as lines:
        search = Search(recipe, search_space, inner, valid, metric, seed, deadline, lines.say, next_item)
        finished = None if storage is None else Storage(Path(storage), search.header(train), search_space)
        with within("tune"):
            return search.run(math.inf if trials is None else trials, finished)


def _parts(train: Ratings, seed: int, *, next_item: bool) -> tuple[Ratings, Ratings]:
    """What trials learn from and what they are measured on. Raises DataError if nothing can be held out."""
    if next_item:
        inner, valid = split_last(train)
    else:
        split = partial(split_within_users, test=0.2) if train.is_implicit else partial(split_random, keep_all=True)
        inner, valid = split(train, seed=seed)
    if len(valid) == 0:
        few = "two" if next_item else "five"
        raise DataError(f"no ratings can be held out to tune by: no user has {few} ratings or more.")
    return inner, valid


def _check(recipe: Any, train: Any, seconds: Any, trials: Any, seed: Any) -> None:
    if not isinstance(recipe, Recipe):
        raise OptionError(f"recipe must be a Recipe, such as palate.ImplicitALS(), got {recipe!r}.")
    if not isinstance(train, Ratings):
        raise OptionError(f"train must be Ratings, got {type(train).__name__}; palate.read() makes them.")
    if len(train) == 0:
        raise DataError("there are no ratings to tune on.")
    recipe._check_kind(train)
    check_seed(seed)
    check_whole(1, or_none=True, trials=trials)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or not seconds > 0:
        raise OptionError(f"seconds must be a number above 0, got {seconds!r}.")


@dataclass
class Search:
    """A running search: what is tuned on which ratings, and the trials so far."""

    recipe: Recipe
    space: dict[str, Any]
    inner: Ratings
    valid: Ratings
    metric: str
    seed: int
    deadline: float
    say: Callable[[str], None]
    next_item: bool = False
    trials: list[Trial] = field(default_factory=list)

    def header(self, train: Ratings) -> dict[str, Any]:
        """Return the header of the storage file; tunings with equal headers are the same."""
        about = {"name": type(self.recipe).__name__, **self.recipe.options()}
        columns = (train.user_codes, train.item_codes, train.values, train.weights)
        digest = hashlib.sha256(b"".join(b"" if column is None else column.tobytes() for column in columns))
        header = {"palate": "tuning 1", "recipe": about, "space": self.space, "metric": self.metric, "seed": self.seed}
        header |= {"next_item": True} if self.next_item else {}
        plain: dict[str, Any] = json.loads(json.dumps({**header, "train": digest.hexdigest()}))
        return plain

    def run(self, max_trials: float, storage: Storage | None) -> Tuning:
        """Run rounds until there are `max_trials` trials or the time is over. Round 0 is the recipe as given."""
        self.trials = [] if storage is None else [self._with_taken(trial) for trial in storage.rounds()]
        ended = "finished"
        candidates: list[Candidate] = []
        try:
            while len(self.trials) < max_trials and (time.monotonic() < self.deadline or not self.trials):
                number = self.trials[-1].round + 1 if self.trials else 0
                candidates = self._candidates(number, int(min(N_CANDIDATES, max_trials - len(self.trials))))
                self._halve(candidates, math.inf if number == 0 else self.deadline)
                self.trials += self._trials_of(candidates, number)
                if storage is not None:
                    storage.append([trial for trial in self.trials if trial.round == number])
                candidates = []
                self._print_progress()
        except KeyboardInterrupt:
            ended = "interrupted"
            number = self.trials[-1].round + 1 if self.trials else 0
            self.trials += self._trials_of(candidates, number)
            if not any(trial.state == "finished" for trial in self.trials):
                raise
        if not any(trial.state == "finished" for trial in self.trials):
            raise OptionError(f"{self.recipe.label()} cannot be fitted on these ratings, so there is nothing to tune.")
        return Tuning(self.recipe, self.metric, tuple(self.trials), ended, self.inner.frame_kind)

    def _with_taken(self, trial: Trial) -> Trial:
        """Return a stored trial with the values that its recipe chooses from the ratings."""
        recipe = self.recipe.with_options(trial.params)
        return trial if trial.value is None else replace(trial, taken=recipe.data_defaults(self.inner))

    def _candidates(self, number: int, n: int) -> list[Candidate]:
        """Return n new candidates for a round."""
        proposed = [{}] if number == 0 else proposals(self.space, self.trials, n, self.metric, (self.seed, number))
        return [
            Candidate(params, self.recipe.with_options(params), self.inner, next_item=self.next_item)
            for params in proposed
        ]

    def _halve(self, candidates: list[Candidate], deadline: float) -> None:
        """Measure the candidates of one round by successive halving."""
        remaining = candidates
        for divisor in DIVISORS:
            for candidate in remaining:
                if time.monotonic() >= deadline:
                    return
                candidate.measure(divisor, self.valid, self.metric)
            fitted = [candidate for candidate in remaining if candidate.value is not None]
            fitted.sort(key=lambda candidate: -sign(self.metric) * (candidate.value or 0.0))
            remaining = fitted[: max(1, len(fitted) // REDUCTION)] if fitted and fitted[0].has_passes else []

    def _trials_of(self, candidates: Iterable[Candidate], number: int) -> list[Trial]:
        """Return the trials of the candidates that were measured in a round."""
        measured = [candidate for candidate in candidates if candidate.seconds > 0]
        return [candidate.trial(len(self.trials) + at, number) for at, candidate in enumerate(measured)]

    def _print_progress(self) -> None:
        best = Tuning(self.recipe, self.metric, tuple(self.trials)).ranked[:1]
        result = f"best {self.metric} {best[0].score:.4f}" if best else "none fitted"
        self.say(f"{len(self.trials)} trials, {result}")
