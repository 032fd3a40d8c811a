"""Evaluate predictions: their error, the coverage of their intervals, and the error of trivial baselines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.evaluation.agreement import Agreement
from palate.evaluation.breakdowns import OWN, Breakdown, breakdown, one_hot
from palate.evaluation.groups import by_activity
from palate.evaluation.hindsight import hindsight_note
from palate.evaluation.measured_rows import GROUP, GROUPS, HELD_OUT, LEARNED, LEVELS, MODEL, SNIPS, Key, MeasuredRows
from palate.evaluation.propensities import SELF_SELECTED, is_self_selected, notes_on
from palate.evaluation.resampling import Measure, Measured, PerUser, plain_measures
from palate.evaluation.user_sums import UserSums
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

MISSES = ("below_", "above_")  # how the names of these measures begin


@dataclass(frozen=True, repr=False)
class Report(Measured):
    """The result of evaluate() on explicit ratings. report["rmse"] is a number; print(report) prints a table.

    With r the test ratings and p their predictions, rmse = sqrt(mean (p - r)^2) and mae = mean |p - r|. coverage_90 is
    the share of test ratings inside their 90% intervals, below_90 and above_90 the shares below and above them, and
    width_90 the mean width of these intervals in rating units. In these means a rating of weight 2 counts as two. An
    unknown measure name raises OptionError, which lists the valid ones.

    With propensity=, "snips_rmse" and the other measures of that prefix are means with weights 1 / propensity: an
    estimate of the same measure on pairs of a user and an item drawn at random.

    Attributes:
        n (int): The number of test ratings.
        n_users (int): The number of users with test ratings.
        measures (dict of str to Measure): "rmse", "mae"; for models with intervals also "coverage_90", "width_90",
            "below_90", "above_90", and the same of 50% intervals. With propensity=, each once more with the prefix
            "snips_".
        baselines (dict of str to dict, default empty): The measures of each baseline, by its name.
        groups (dict of str to dict, default empty): The measures on the test rows of "cold users" and of "cold items",
            those without training ratings. Where test ratings were learned from, also the measures on these, "learned
            from", and on the others, "held out". A group without test rows is missing.
        group_sizes (dict of str to int, default empty): The number of test ratings in each group.
        verdict (str, default ""): A sentence if the model is not significantly better than its best baseline.
        n_learned (int, default 0): The number of test ratings of a (user, item) pair that the model was trained on.
        propensity (str, default ""): Where the propensities are from: "popularity", "given", or "" without any.
        n_effective (float or None, default None): The effective sample size of the weighted measures, (sum w)^2 /
            sum w^2.
        is_self_selected (bool, default False): Whether users seem to have chosen what they rated: test ratings vary
            more between items than under random exposure.
        n_older (int, default 0): The number of test ratings that are older than the newest training rating; 0 too if
            they have no times.
        per_user (PerUser or None, default None): The squared errors, split by user.
        breakdowns (tuple of Breakdown, default empty): The RMSE by the number of training ratings of the user, and of
            the item, of this model and of the baseline Bias.
        agreement (Agreement or None, default None): How predictions and ratings go together.

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.1, seed=0)
        >>> report = palate.evaluate(palate.Bias().fit(train), test)
        >>> report["mae"] < report["rmse"] < report.baselines["Mean"]["rmse"].value
        True
    """

    n: int
    n_users: int
    measures: dict[str, Measure]
    baselines: dict[str, dict[str, Measure]] = field(default_factory=dict)
    groups: dict[str, dict[str, Measure]] = field(default_factory=dict)
    group_sizes: dict[str, int] = field(default_factory=dict)
    verdict: str = ""
    n_learned: int = 0
    propensity: str = ""
    n_effective: float | None = None
    is_self_selected: bool = False
    n_older: int = 0
    per_user: PerUser | None = field(default=None, repr=False, compare=False)
    breakdowns: tuple[Breakdown, ...] = field(default=(), repr=False, compare=False)
    agreement: Agreement | None = field(default=None, repr=False, compare=False)

    def plot(self, what: str | None = None, *, ax: Any = None) -> Figure:
        """Draw what the errors are like: predictions beside ratings, and the error by activity and by popularity.

        "predictions" shows the spread of the predictions at each rating; "calibration" the mean rating at each
        prediction, which equals the prediction in a calibrated model; "activity" and "popularity" the RMSE by the
        number of training ratings of the user and of the item, beside the baseline Bias. Upright lines are 95%
        intervals, by the bootstrap over users for the RMSE.

        Parameters:
            what (str or None, default None): One of these four; None draws all.
            ax (matplotlib Axes or list of Axes, default None): Where to draw, one for each drawing; None makes a figure
                of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: matplotlib is not installed, there is no such drawing, or ax does not fit.

        Example:
            >>> import palate
            >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.1, seed=0)
            >>> report = palate.evaluate(palate.Bias().fit(train), test)
            >>> len(report.plot().axes), report.plot("activity").axes[0].get_ylabel()
            (4, 'RMSE')
        """
        check_matplotlib("Report.plot")
        from palate.evaluation.pictures import plot_report

        return plot_report(self, what, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Returns:
            dict: All attributes but per_user, breakdowns and agreement. Each measure is a dict of value, low and high;
                nan becomes None. Each group holds its size as n.
        """
        return {
            "n": self.n,
            "n_users": self.n_users,
            "measures": plain_measures(self.measures),
            "baselines": {name: plain_measures(measures) for name, measures in self.baselines.items()},
            "groups": {n: {"n": self.group_sizes[n], **plain_measures(rows)} for n, rows in self.groups.items()},
            "verdict": self.verdict,
            "n_learned": self.n_learned,
            "propensity": self.propensity,
            "n_effective": self.n_effective,
            "is_self_selected": self.is_self_selected,
            "n_older": self.n_older,
        }

    def _table(self) -> list[list[str]]:
        """The rows of the table, its head first: the model, the baselines, and groups of test ratings."""
        columns = [("model", self.measures), *self.baselines.items()]
        if self.n_effective is not None:
            columns += [(f"{name}, snips", _weighted_alone(measures)) for name, measures in columns]
        columns += [(f"{name} ({self.group_sizes[name]:,})", measures) for name, measures in self.groups.items()]
        shown = [name for name in self.measures if not name.startswith((SNIPS, *MISSES))]
        return [["", *shown], *([name, *(_cell(key, measures) for key in shown)] for name, measures in columns)]

    def _heading(self) -> str:
        return f"{self.n:,} test ratings of {self.n_users:,} users; in brackets, 95% bootstrap intervals over users"

    def _notes(self) -> list[str]:
        """Return what a reader should know beside the table, in lines."""
        notes = notes_on(self.propensity, self.n_effective, self.n)
        if self.n_learned:
            learned = f"{self.n_learned:,} of them are pairs of a user and an item that the model was trained on"
            notes.append(f"{learned}: errors there say nothing about new ratings.")
        notes += [SELF_SELECTED] * self.is_self_selected
        notes += hindsight_note(self.n_older, "the newest training rating")
        return [*self._misses(), *notes, self.verdict] if self.verdict else [*self._misses(), *notes]

    def _misses(self) -> list[str]:
        """Return how many test ratings lie below and above the intervals, as a line; none without intervals."""
        if f"coverage_{LEVELS[0] * 100:.0f}" not in self.measures:
            return []
        told = []
        for level in LEVELS:
            below, above = (self.measures[f"{miss}{level * 100:.0f}"].value for miss in MISSES)
            told.append(f"{level:.0%} intervals {below:.1%} and {above:.1%}")
        return [f"Ratings below and above their intervals: of {', of '.join(told)}."]


def _weighted_alone(measures: dict[str, Measure]) -> dict[str, Measure]:
    """Return the weighted measures under their names without the prefix."""
    return {name.removeprefix(SNIPS): measure for name, measure in measures.items() if name.startswith(SNIPS)}


def report_on_predictions(found: MeasuredRows) -> Report:
    """Return the report on what was measured."""
    sums, inverse = found.sums, found.asked.inverse
    weighted = sums.get((MODEL, SNIPS))

    def measures(name: str) -> dict[str, Measure]:
        own = sums[name, ""].measures()
        if inverse is None:
            return own
        return own | {SNIPS + key: measure for key, measure in sums[name, SNIPS].measures().items()}

    own, of_baselines = sums[MODEL, ""], {name: sums[name, ""] for name in found.asked.models if name != MODEL}
    groups = {name: sums[GROUP, name] for name in _shown_groups(sums)}
    return Report(
        n=len(found.asked.test),
        n_users=len(found.n),
        measures=measures(MODEL),
        baselines={name: measures(name) for name in of_baselines},
        groups={name: group.measures() for name, group in groups.items()},
        group_sizes={name: group.n_rows for name, group in groups.items()},
        verdict=_verdict(own, of_baselines),
        n_learned=groups[LEARNED].n_rows if LEARNED in groups else 0,
        propensity="" if inverse is None else inverse.source,
        n_effective=None if weighted is None else weighted.effective_size,
        is_self_selected=is_self_selected(found.item_counts),
        n_older=found.n_older,
        per_user=own.per_user("rmse"),
        breakdowns=_breakdowns(found),
        agreement=found.asked.bins.agreement(found.table),
    )


def _breakdowns(found: MeasuredRows) -> tuple[Breakdown, ...]:
    """The RMSE by activity and by popularity, of the model and of Bias where it is measured."""
    names = {OWN: MODEL, **{name: name for name in found.asked.models if name == "Bias"}}
    activity = by_activity(found.recommender.model, found.users, found.n)
    by_user: dict[str, Any] = {}
    for shown, name in names.items():
        whole = found.sums[name, ""].per_user("rmse")
        by_user[shown] = one_hot(whole.sums, activity), one_hot(whole.counts, activity)
    by_item = {shown: found.by_item("rmse", name) for shown, name in names.items()}
    sizes = np.bincount(activity.of, found.n, len(activity.names))
    return (
        breakdown("user", "rmse", activity, sizes, by_user, found.resample),
        breakdown("item", "rmse", found.asked.popularity, found.item_sizes, by_item, found.resample),
    )


def _shown_groups(sums: dict[Key, UserSums]) -> list[str]:
    """The groups that have rows; that rows are held out goes without saying if none was learned from."""
    found = [name for name in GROUPS if (GROUP, name) in sums]
    return found if LEARNED in found else [name for name in found if name != HELD_OUT]


def _verdict(model: UserSums, baselines: dict[str, UserSums]) -> str:
    """Return a sentence if the model is not significantly better than its best baseline; empty otherwise."""
    if not baselines:
        return ""
    name = min(baselines, key=lambda baseline: baselines[baseline].mean("rmse"))
    gain = baselines[name].of("rmse") - model.of("rmse")
    if model.mean_of(gain) <= 1e-6 * model.mean("rmse"):  # equal up to rounding
        return f"This model is NOT better than the baseline {name}: use {name}, or look at the data with palate check."
    sample = model.samples(gain[:, None])
    if np.nanquantile(sample, 0.025) <= 0:
        return f"This model is better than the baseline {name}, but not significantly (95% bootstrap)."
    return ""


def _cell(name: str, measures: dict[str, Measure]) -> str:
    """Return a measure as a table cell: errors with their intervals, other measures without."""
    if name not in measures:
        return "-"
    return str(measures[name]) if name in ("rmse", "mae") else f"{measures[name].value:.3f}"
