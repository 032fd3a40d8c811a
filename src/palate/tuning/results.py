"""The result of a tuning: its trials, the best recipe, a table and a frame."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from palate.answers.results import aligned
from palate.data.output import in_kind
from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.evaluation.next_items import NEXT_AT_K, check_next_item
from palate.evaluation.rank_metrics import AT_K
from palate.evaluation.rankings import MAX_K
from palate.recipes.base import Recipe
from palate.recommender import Recommender
from palate.showing import html
from palate.showing.pictures import check_matplotlib
from palate.showing.texts import Fielded, Printed, with_short_numbers

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

ERRORS = ("rmse", "mae")
TAKEN_NOTE = "* not given: chosen from the training ratings"


@dataclass(frozen=True, repr=False)
class Trial(Fielded):
    """One set of options that tune() tried.

    Attributes:
        number (int): The position among all trials, from 0: the recipe as given.
        round (int): The round of successive halving it was part of, from 0.
        params (dict of str to value): The options tried; empty for trial 0.
        passes (int or None): The sweeps or epochs after which it was last measured; None for recipes without passes.
        value (float or None): The metric on the held-out ratings; None if it could not be fitted.
        seconds (float): The time spent fitting and measuring.
        state (str): "finished" after all passes; "stopped" if other trials were better or the time was over; "failed"
            without a value.
        taken (dict of str to value, default empty): The values that the fit chose from the ratings, for options that
            were not given.

    Example:
        >>> from palate.tuning import Trial
        >>> Trial(0, 0, {}, passes=16, value=0.31, seconds=0.5, state="finished").score
        0.31
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
        """The metric, nan where there is no value."""
        return math.nan if self.value is None else self.value

    def _repr_html_(self) -> str:
        named = [*self.params.items(), *((f"{name} (chosen)", value) for name, value in self.taken.items())]
        facts = {name: _shown(value) for name, value in named}
        facts |= {"passes": "" if self.passes is None else str(self.passes), "seconds": f"{self.seconds:.2f}"}
        value = "no value" if self.value is None else f"{self.value:.4f}"
        return html.page(f"Trial {self.number}: {value}, {self.state}", html.facts(facts))


@dataclass(frozen=True, repr=False)
class Tuning(Printed):
    """The result of tune(): the best options of a recipe, and all trials. print(tuning) prints a table.

    tuning.plot() draws the trials; palate.plotting.write_page writes them as an HTML page.

    Attributes:
        recipe (Recipe): The recipe as given.
        metric (str): The metric that trials are compared by.
        entries (tuple of Trial): All trials in their order.
        ended (str, default "finished"): "finished", or "interrupted" after Ctrl-C.
        frame_kind (str or None, default None): The kind of frame that the training ratings came in.

    Example:
        >>> import palate
        >>> from palate.tuning import Trial, Tuning
        >>> trials = (
        ...     Trial(0, 0, {}, passes=None, value=0.95, seconds=0.1, state="finished"),
        ...     Trial(1, 1, {"weight_decay": 9.0}, passes=None, value=0.93, seconds=0.1, state="finished"),
        ... )
        >>> Tuning(palate.Bias(), "rmse", trials).best.weight_decay
        9.0
    """

    recipe: Recipe
    metric: str
    entries: tuple[Trial, ...]
    ended: str = "finished"
    frame_kind: str | None = field(default=None, compare=False, repr=False)

    @property
    def is_error(self) -> bool:
        """True if lower values of the metric are better."""
        return self.metric in ERRORS

    @property
    def ranked(self) -> list[Trial]:
        """The finished trials, best first; of equal ones the earlier first."""
        finished = [trial for trial in self.entries if trial.state == "finished" and trial.value is not None]
        return sorted(finished, key=lambda trial: (-sign(self.metric) * trial.score, trial.number))

    @property
    def best(self) -> Recipe:
        """The recipe with the best options found; the recipe as given if nothing was better."""
        return self.recipe.with_options(self.ranked[0].params)

    def options(self, trials: Sequence[Trial]) -> list[str]:
        """Return the names of the options that differ between trials.

        Parameters:
            trials (sequence of Trial): The trials to look at.

        Returns:
            list of str: The options that were tried, then those whose values were chosen from the ratings.
        """
        given = (name for trial in trials for name in trial.params)
        return list(dict.fromkeys([*given, *(name for trial in trials for name in trial.taken)]))

    def used(self, trial: Trial, name: str) -> Any:
        """Return the value of an option in a trial: as tried, as chosen from the ratings, or as in the recipe.

        Parameters:
            trial (Trial): A trial of this tuning.
            name (str): The name of an option.

        Returns:
            value: The value used by the fit.
        """
        if name in trial.params:
            return trial.params[name]
        return trial.taken[name] if name in trial.taken else self.recipe.option(name)

    @property
    def trials(self) -> Any:
        """A frame with a row for each trial: trial, round, option values, passes, the metric, seconds, state."""
        import polars as pl

        names = self.options(self.entries)
        columns: dict[str, Any] = {
            name: [getattr(trial, name) for trial in self.entries] for name in ("number", "round")
        }
        columns |= {name: [self.used(trial, name) for trial in self.entries] for name in names}
        columns |= {"passes": [trial.passes for trial in self.entries]}
        columns |= {self.metric: [trial.value for trial in self.entries]}
        columns |= {name: [getattr(trial, name) for trial in self.entries] for name in ("seconds", "state")}
        frame = pl.DataFrame(columns, strict=False).rename({"number": "trial"})
        return in_kind(frame, None, self.frame_kind)

    def fit(self, ratings: Ratings, **options: Any) -> Recommender:
        """Fit the best recipe.

        Parameters:
            ratings (Ratings): What to learn from; usually all training ratings.
            options (keyword arguments): Options of Recipe.fit, such as progress.

        Returns:
            Recommender: The trained model.
        """
        return self.best.fit(ratings, **options)

    def plot(self, *, ax: Any = None) -> Figure:
        """Draw the measure of each trial: in order of the trials, then by each tuned option.

        Parameters:
            ax (list of matplotlib Axes, default None): Where to draw, one for each panel; None makes a figure of its
                own.

        Returns:
            matplotlib.figure.Figure: The best trial is orange, trials that were stopped early are gray.

        Raises:
            OptionError: matplotlib is not installed, or ax does not fit.
        """
        check_matplotlib("Tuning.plot")
        from palate.tuning.pictures import plot_tuning

        return plot_tuning(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the tuning as plain values, ready for JSON.

        Returns:
            dict: The metric, how the tuning ended, the best recipe's name and options, and all trials.
        """
        best = {"name": type(self.best).__name__, **self.best.options()}
        trials = [asdict(trial) for trial in self.entries]
        return {"metric": self.metric, "ended": self.ended, "best": best, "trials": trials}

    @property
    def heading(self) -> str:
        """The line above the table: the number of trials, and how the tuning ended."""
        n_stopped = sum(trial.state == "stopped" for trial in self.entries)
        head = f"{len(self.entries)} trials by {self.metric} on held-out training ratings, {n_stopped} stopped early"
        return head if self.ended == "finished" else f"{head}; {self.ended}"

    @property
    def notes(self) -> list[str]:
        """The lines below the table."""
        return [TAKEN_NOTE] if any(trial.taken for trial in self.ranked[:10]) else []

    @property
    def verdict(self) -> str:
        """The last line: the best recipe."""
        return with_short_numbers(f"best: {self.best.label()} (trial 0 is {self.recipe.label()})")

    def cells(self) -> list[list[str]]:
        """Return the table of the best ten trials by rows, as text; * marks values chosen from the ratings.

        Returns:
            list of list of str: The head row, then one row for each trial.
        """
        shown = self.ranked[:10]
        names = self.options(shown)
        rows = [["trial", self.metric, *names, "seconds"]]
        for trial in shown:
            options = [f"{_shown(self.used(trial, name))}{'*' if name in trial.taken else ''}" for name in names]
            rows.append([str(trial.number), f"{trial.score:.4f}", *options, f"{trial.seconds:.2f}"])
        return rows

    def __str__(self) -> str:
        return "\n".join([self.heading, *aligned(self.cells(), str.rjust), *self.notes, self.verdict])

    def _repr_html_(self) -> str:
        head, *rows = self.cells()
        table = html.table(rows, head=head, numbers=range(len(head)), n_rows=len(self.ranked))
        return html.page(self.heading, table, html.notes(*self.notes, self.verdict))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sign(metric: str) -> int:
    """Return 1 if higher values of the metric are better, -1 if lower ones are."""
    return -1 if metric in ERRORS else 1


def check_metric(metric: str, train: Ratings, *, next_item: bool = False) -> None:
    """Raise OptionError, which names the valid metrics, unless ratings of this kind are measured by this one."""
    name, _, k = str(metric).partition("@")
    if next_item:
        check_next_item(train)
    if not train.is_implicit:
        if metric not in ERRORS:
            raise OptionError(
                f"metric={metric!r} is none of {', '.join(map(repr, ERRORS))}, the metrics of explicit ratings."
            )
        return
    at_k, alone = (NEXT_AT_K, "mrr") if next_item else (tuple(AT_K), "auc")
    if metric != alone and not (name in at_k and re.fullmatch("[1-9][0-9]{0,6}", k) and int(k) <= MAX_K):
        valid = ", ".join(f"{name}@k" for name in at_k)
        raise OptionError(f"metric={metric!r} is none of {valid} (with a number as k, such as ndcg@10), {alone}.")
