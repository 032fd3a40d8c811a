"""What a tuning finds: trials, the best recipe, a table, a frame, a picture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from palate.answers.shapes import aligned
from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.evaluation.metrics import AT_K
from palate.evaluation.rankings import MOST_K
from palate.recipes.base import Recipe
from palate.recommender import Recommender

if TYPE_CHECKING:
    import polars as pl

ERRORS = ("rmse", "mae")
STARRED = "* not given: taken from the ratings that were learned from"


@dataclass(frozen=True)
class Trial:
    """One candidate: its options, after how many passes (None: a recipe without) it was measured, and how good it was.

    taken: what it took from the ratings for options that were not given.
    state: "finished" after all passes, "stopped" where others were better or time was over, "failed" without a value.
    """

    number: int
    round: int
    params: dict[str, Any]
    passes: int | None
    value: float | None
    seconds: float
    state: str
    taken: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The value, nan where there is none."""
        return math.nan if self.value is None else self.value


@dataclass(frozen=True)
class Tuning:
    """What tune() found. `best` is a recipe; print(tuning) is a table, `trials` a frame, plot() a picture."""

    recipe: Recipe
    metric: str
    entries: tuple[Trial, ...]
    ended: str = "finished"

    @property
    def is_error(self) -> bool:
        """Whether less of the metric is better."""
        return self.metric in ERRORS

    @property
    def ranked(self) -> list[Trial]:
        """The trials that had all their passes, best first; of equals the earlier one."""
        whole = [trial for trial in self.entries if trial.state == "finished" and trial.value is not None]
        return sorted(whole, key=lambda trial: (-sign(self.metric) * trial.score, trial.number))

    @property
    def best(self) -> Recipe:
        """The recipe with the best options found; the one given, where nothing was better."""
        return replace(self.recipe, **self.ranked[0].params)

    def options(self, trials: Sequence[Trial]) -> list[str]:
        """The names of the options that trials were given, then of those that they took from the ratings."""
        given = (name for trial in trials for name in trial.params)
        return list(dict.fromkeys([*given, *(name for trial in trials for name in trial.taken)]))

    def used(self, trial: Trial, name: str) -> Any:
        """What a trial used for an option: as tried, as taken from the ratings, or as the recipe has it."""
        return trial.params[name] if name in trial.params else trial.taken.get(name, getattr(self.recipe, name))

    @property
    def trials(self) -> pl.DataFrame:
        """One row per trial: trial, round, what was used for each option, passes, the metric, seconds, state."""
        import polars as pl

        names = self.options(self.entries)
        columns: dict[str, Any] = {
            name: [getattr(trial, name) for trial in self.entries] for name in ("number", "round")
        }
        columns |= {name: [self.used(trial, name) for trial in self.entries] for name in names}
        columns |= {"passes": [trial.passes for trial in self.entries]}
        columns |= {self.metric: [trial.value for trial in self.entries]}
        columns |= {name: [getattr(trial, name) for trial in self.entries] for name in ("seconds", "state")}
        return pl.DataFrame(columns, strict=False).rename({"number": "trial"})

    def fit(self, ratings: Ratings, **options: Any) -> Recommender:
        """The best recipe, fitted on all of these ratings."""
        return self.best.fit(ratings, **options)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        best = {"name": type(self.best).__name__, **self.best.options()}
        trials = [asdict(trial) for trial in self.entries]
        return {"metric": self.metric, "ended": self.ended, "best": best, "trials": trials}

    @property
    def heading(self) -> str:
        """What was tried, and how it ended."""
        stopped = sum(trial.state == "stopped" for trial in self.entries)
        head = f"{len(self.entries)} trials by {self.metric} on held-out training ratings, {stopped} stopped early"
        return head if self.ended == "finished" else f"{head}; {self.ended}"

    @property
    def notes(self) -> list[str]:
        """What is to be said below the table."""
        return [STARRED] if any(trial.taken for trial in self.ranked[:10]) else []

    @property
    def verdict(self) -> str:
        """Which options are best."""
        return f"best: {self.best.label()} (trial 0 is {self.recipe.label()})"

    def cells(self) -> list[list[str]]:
        """The table of the best ten by rows, the first one its head; * marks what was taken from the ratings."""
        shown = self.ranked[:10]
        names = self.options(shown)
        rows = [["trial", self.metric, *names, "seconds"]]
        for trial in shown:
            options = [f"{_shown(self.used(trial, name))}{'*' if name in trial.taken else ''}" for name in names]
            rows.append([str(trial.number), f"{trial.score:.4f}", *options, f"{trial.seconds:.2f}"])
        return rows

    def __str__(self) -> str:
        return "\n".join([self.heading, *aligned(self.cells(), str.rjust), *self.notes, self.verdict])


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sign(metric: str) -> int:
    """1 where more of the metric is better, -1 where less is."""
    return -1 if metric in ERRORS else 1


def check_metric(metric: str, train: Ratings) -> None:
    """OptionError, naming the valid ones, for a metric that ratings of this kind are not measured by."""
    name, _, k = str(metric).partition("@")
    if not train.is_implicit:
        if metric not in ERRORS:
            raise OptionError(f"metric={metric!r} is none of {', '.join(map(repr, ERRORS))}, which measure ratings.")
        return
    if metric != "auc" and not (name in AT_K and re.fullmatch("[1-9][0-9]{0,6}", k) and int(k) <= MOST_K):
        valid = ", ".join(f"{name}@k" for name in AT_K)
        raise OptionError(f"metric={metric!r} is none of {valid} (with a number as k, such as ndcg@10), auc.")
