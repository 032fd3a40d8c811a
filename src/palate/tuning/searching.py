"""Tuning: which options of a recipe are best on ratings held out of the training ratings; the test part stays unseen.

Rounds of successive halving (Jamieson & Talwalkar 2016): of each round's candidates, proposed by a tree-structured
Parzen estimator (Bergstra et al. 2011; Optuna) from all the trials before, everybody gets a few sweeps, the best third
twice as many, the best third of those all of them. Needs palate[tune].
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from palate.answers.arguments import check_seed, check_whole
from palate.data.ratings import Ratings
from palate.data.splitting import split_random, split_within_users
from palate.errors import DataError, OptionError
from palate.recipes.base import Recipe
from palate.recipes.monitor import Progress
from palate.tuning.attempts import Attempt
from palate.tuning.results import Trial, Tuning, check_metric, sign
from palate.tuning.spaces import optuna_module, proposals, space_of
from palate.tuning.storage import Storage

WIDTH, KEPT = 9, 3  # candidates of a round, and of how many one goes on
SHARES = (3, 1.5, 1)  # a round is thinned after a whole fit divided by these


def tune(
    recipe: Recipe,
    train: Ratings,
    metric: str | None = None,
    *,
    seconds: float = 60.0,
    trials: int | None = None,
    space: Mapping[str, Any] | None = None,
    storage: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress = "auto",
) -> Tuning:
    """The best options of a recipe for these ratings, as far as `seconds` (or so many `trials`) tell. Keep a test part.

    metric: "ndcg@10", "recall@20" and the like of implicit ratings (default "ndcg@10"), "rmse" (default) or "mae" of
    explicit ones, on a part of `train` that is held out: 20% within users, or 10% at random. space: {option: (lowest,
    highest)} on a logarithmic scale or {option: [choices]}; by default what `palate.tuning.SPACES` has for the recipe;
    all other options stay. The recipe as given is trial 0. storage: a file (JSON lines) of rounds that are done, from
    which the same call goes on after a kill; the same trials come out of it. Ctrl-C keeps what was found. With trials=
    the same seed gives the same trials; with seconds= the machine's speed has a say.

    Raises OptionError for a metric or an option that there is not, for a storage of something else, without
    palate[tune], and for ratings of another kind than the recipe learns from.

    >>> import palate
    >>> likes = palate.datasets.synthetic(60, 40, 1200, kind="implicit")
    >>> tuning = palate.tune(palate.ImplicitALS(n_factors=8), likes, trials=12)  # doctest: +SKIP
    >>> rec = tuning.fit(likes)  # doctest: +SKIP
    """
    _check(recipe, train, seconds, trials, seed)
    metric = metric or ("ndcg@10" if train.is_implicit else "rmse")
    check_metric(metric, train)
    sought = space_of(recipe, train, space)
    optuna_module()
    split = partial(split_within_users, test=0.2) if train.is_implicit else partial(split_random, keep_all=True)
    inner, valid = split(train, seed=seed)
    if len(valid) == 0:
        raise DataError("nothing can be held out to tune by: no user has five ratings or more.")
    show = sys.stderr.isatty() if progress == "auto" else bool(progress)
    deadline = time.monotonic() + seconds if trials is None else math.inf
    search = Search(recipe, sought, inner, valid, metric, seed, deadline, show)
    done = None if storage is None else Storage(Path(storage), search.header(train), sought)
    return search.run(math.inf if trials is None else trials, done)


def _check(recipe: Any, train: Any, seconds: Any, trials: Any, seed: Any) -> None:
    if not isinstance(recipe, Recipe):
        raise OptionError(f"recipe must be one such as palate.ImplicitALS(), got {recipe!r}.")
    if not isinstance(train, Ratings):
        raise OptionError(f"train must be Ratings, got {type(train).__name__}; palate.read() makes them.")
    if len(train) == 0:
        raise DataError("there are no ratings to tune on.")
    recipe._check_kind(train)
    check_seed(seed)
    if trials is not None:
        check_whole("trials", trials, least=1)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or not seconds > 0:
        raise OptionError(f"seconds must be a number above 0, got {seconds!r}.")


@dataclass
class Search:
    """One tuning under way: what is tried on which ratings, and what came of it."""

    recipe: Recipe
    space: dict[str, Any]
    inner: Ratings
    valid: Ratings
    metric: str
    seed: int
    deadline: float
    show: bool
    trials: list[Trial] = field(default_factory=list)

    def header(self, train: Ratings) -> dict[str, Any]:
        """What a storage is of: two tunings with the same one are the same."""
        about = {"name": type(self.recipe).__name__, **self.recipe.options()}
        columns = (train.user_codes, train.item_codes, train.values, train.weights)
        digest = hashlib.sha256(b"".join(b"" if column is None else column.tobytes() for column in columns))
        told = {"palate": "tuning 1", "recipe": about, "space": self.space, "metric": self.metric, "seed": self.seed}
        plain: dict[str, Any] = json.loads(json.dumps({**told, "train": digest.hexdigest()}))
        return plain

    def run(self, most: float, storage: Storage | None) -> Tuning:
        """Round by round, until there are `most` trials or time is over; the first round is the recipe as given."""
        self.trials = [] if storage is None else [self._known(trial) for trial in storage.rounds()]
        ended = "finished"
        attempts: list[Attempt] = []
        try:
            while len(self.trials) < most and (time.monotonic() < self.deadline or not self.trials):
                number = self.trials[-1].round + 1 if self.trials else 0
                attempts = self._attempts(number, int(min(WIDTH, most - len(self.trials))))
                self._halve(attempts, math.inf if number == 0 else self.deadline)
                self.trials += self._told(attempts, number)
                if storage is not None:
                    storage.append([trial for trial in self.trials if trial.round == number])
                attempts = []
                self._show()
        except KeyboardInterrupt:
            ended = "interrupted"
            number = self.trials[-1].round + 1 if self.trials else 0
            self.trials += self._told(attempts, number)
            if not any(trial.state == "finished" for trial in self.trials):
                raise
        if not any(trial.state == "finished" for trial in self.trials):
            raise OptionError(f"{self.recipe.label()} cannot be fitted on these ratings, so there is nothing to tune.")
        return Tuning(self.recipe, self.metric, tuple(self.trials), ended)

    def _known(self, trial: Trial) -> Trial:
        """A stored trial with what it took from the ratings."""
        recipe = replace(self.recipe, **trial.params)
        return trial if trial.value is None else replace(trial, taken=recipe.data_defaults(self.inner))

    def _attempts(self, number: int, n: int) -> list[Attempt]:
        proposed = [{}] if number == 0 else proposals(self.space, self.trials, n, self.metric, (self.seed, number))
        return [Attempt(params, replace(self.recipe, **params), self.inner) for params in proposed]

    def _halve(self, attempts: list[Attempt], deadline: float) -> None:
        """The successive halving of one round."""
        alive = attempts
        for share in SHARES:
            for attempt in alive:
                if time.monotonic() >= deadline:
                    return
                attempt.measure(share, self.valid, self.metric)
            good = [attempt for attempt in alive if attempt.value is not None]
            good.sort(key=lambda attempt: -sign(self.metric) * (attempt.value or 0.0))
            alive = good[: max(1, len(good) // KEPT)] if good and good[0].is_long else []

    def _told(self, attempts: Iterable[Attempt], number: int) -> list[Trial]:
        seen = [attempt for attempt in attempts if attempt.seconds > 0]
        return [attempt.trial(len(self.trials) + at, number) for at, attempt in enumerate(seen)]

    def _show(self) -> None:
        if self.show:
            best = Tuning(self.recipe, self.metric, tuple(self.trials)).ranked[:1]
            told = f"best {self.metric} {best[0].score:.4f}" if best else "none fitted"
            print(f"{len(self.trials)} trials, {told}", file=sys.stderr)  # noqa: T201
