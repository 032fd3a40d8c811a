"""What a tuning finds: trials, the best recipe, a table, a frame, a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from palate.errors import OptionError
from palate.evaluation.metrics import AT_K
from palate.ratings import Ratings
from palate.recommender import Recommender
from palate.solvers.base import Recipe

if TYPE_CHECKING:
    import polars as pl

ERRORS = ("rmse", "mae")


@dataclass(frozen=True)
class Trial:
    """One candidate: its options, after how many passes (None: a recipe without) it was measured, and how good it was.

    state: "finished" after all passes, "stopped" where others were better or time was over, "failed" without a value.
    """

    number: int
    round: int
    params: dict[str, Any]
    passes: int | None
    value: float | None
    seconds: float
    state: str

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

    @property
    def trials(self) -> pl.DataFrame:
        """One row per trial: trial, round, a column per option, passes, the metric, seconds, state."""
        import polars as pl

        names = list(dict.fromkeys(name for trial in self.entries for name in trial.params))
        columns: dict[str, Any] = {
            name: [getattr(trial, name) for trial in self.entries] for name in ("number", "round")
        }
        columns |= {name: [trial.params.get(name) for trial in self.entries] for name in names}
        columns |= {"passes": [trial.passes for trial in self.entries]}
        columns |= {self.metric: [trial.value for trial in self.entries]}
        columns |= {name: [getattr(trial, name) for trial in self.entries] for name in ("seconds", "state")}
        return pl.DataFrame(columns, strict=False).rename({"number": "trial"})

    def fit(self, ratings: Ratings, **options: Any) -> Recommender:
        """The best recipe, fitted on all of these ratings."""
        return self.best.fit(ratings, **options)

    def plot(self, path: str | PathLike[str] | None = None) -> Any:
        """The picture of the trials as a matplotlib figure; written to `path` too. OptionError without matplotlib."""
        try:
            plotting = import_module("palate.plotting")  # by its name: matplotlib stays out of here until asked for
        except ImportError as error:
            raise OptionError(str(error)) from None
        figure = plotting.tuned(self)
        if path is not None:
            figure.savefig(path)
        return figure

    def __str__(self) -> str:
        shown = self.ranked[:10]
        names = list(dict.fromkeys(name for trial in shown for name in trial.params))
        rows = [["trial", self.metric, *names, "seconds"]]
        for trial in shown:
            options = [_shown(trial.params.get(name, getattr(self.recipe, name))) for name in names]
            rows.append([str(trial.number), f"{trial.score:.4f}", *options, f"{trial.seconds:.2f}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        stopped = sum(trial.state == "stopped" for trial in self.entries)
        head = f"{len(self.entries)} trials by {self.metric} on held-out training ratings, {stopped} stopped early"
        ended = "" if self.ended == "finished" else f"; {self.ended}"
        return "\n".join([f"{head}{ended}", *table, f"best: {self.best.label()} (trial 0 is {self.recipe.label()})"])


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
    if metric != "auc" and not (name in AT_K and k.isdecimal() and 0 < int(k) <= 10_000):
        valid = ", ".join(f"{name}@k" for name in AT_K)
        raise OptionError(f"metric={metric!r} is none of {valid} (with a number as k, such as ndcg@10), auc.")
