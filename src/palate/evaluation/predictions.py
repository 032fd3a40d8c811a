"""Evaluate predictions: their error, the coverage of their intervals, and the error of trivial baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.results import aligned
from palate.data.ratings import Ratings
from palate.data.rows import weighted_mean
from palate.evaluation.hindsight import hindsight_note, n_older_than_newest
from palate.evaluation.matching import codes_in_model, learned_from, training_ratings
from palate.evaluation.propensities import (
    SELF_SELECTED,
    InversePropensities,
    effective_size,
    is_self_selected,
    notes_on,
)
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, measure_of, plain_measures
from palate.recipes import Bias, Mean
from palate.recommender import Recommender

LEVELS = (0.9, 0.5)
MISSES = ("below_", "above_")  # how the names of these measures begin
LEARNED = "learned from"
SNIPS = "snips_"  # before the names of measures that are weighted by inverse propensities


@dataclass(frozen=True)
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

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Returns:
            dict: All attributes but per_user. Each measure is a dict of value, low and high; nan becomes None. Each
                group holds its size as n.
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

    def __str__(self) -> str:
        columns = [("model", self.measures), *self.baselines.items()]
        if self.n_effective is not None:
            columns += [(f"{name}, snips", _weighted_alone(measures)) for name, measures in columns]
        columns += [(f"{name} ({self.group_sizes[name]:,})", measures) for name, measures in self.groups.items()]
        shown = [name for name in self.measures if not name.startswith((SNIPS, *MISSES))]
        rows = [["", *shown], *([name, *(_cell(key, measures) for key in shown)] for name, measures in columns)]
        head = f"{self.n:,} test ratings of {self.n_users:,} users; in brackets, 95% bootstrap intervals over users"
        return "\n".join([head, *aligned(rows), *self._notes()])

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


def evaluate_predictions(
    recommender: Recommender,
    test: Ratings,
    *,
    baselines: bool,
    n_bootstrap: int,
    seed: int,
    inverse: InversePropensities | None = None,
) -> Report:
    """Return the report on held-out explicit ratings; see evaluate(). inverse: weights for measures of their own."""
    user_codes, item_codes = codes_in_model(recommender, test)
    rows = _TestRows(test, n_bootstrap, seed)
    weighted = None if inverse is None else _TestRows(test, n_bootstrap, seed, inverse.weights)

    def measures(losses: dict[str, Doubles]) -> dict[str, Measure]:
        found = rows.measures(losses)
        snips = {} if weighted is None else weighted.measures(losses)
        return found | {SNIPS + name: measure for name, measure in snips.items()}

    losses = _losses(recommender, user_codes, item_codes, test)
    baseline_losses: dict[str, dict[str, Doubles]] = {}
    if baselines:
        train = training_ratings(recommender)
        for recipe in (Mean(), Bias()):
            baseline = recipe.fit(train, progress=False)
            baseline_losses[type(recipe).__name__] = _losses(baseline, user_codes, item_codes, test)
    groups = _groups(recommender, user_codes, item_codes)
    return Report(
        n=len(test),
        n_users=rows.n_users,
        measures=measures(losses),
        baselines={name: measures(baseline) for name, baseline in baseline_losses.items()},
        groups={name: rows.measures(losses, group) for name, group in groups.items()},
        group_sizes={name: int(group.sum()) for name, group in groups.items()},
        verdict=_verdict(rows, losses, baseline_losses),
        n_learned=int(groups[LEARNED].sum()) if LEARNED in groups else 0,
        propensity="" if inverse is None else inverse.source,
        n_effective=None if weighted is None else weighted.effective_size,
        is_self_selected=is_self_selected(item_codes, recommender.n_items),
        n_older=n_older_than_newest(recommender.model, test),
        per_user=rows.per_user(losses["rmse"]),
    )


def _losses(
    recommender: Recommender, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32], test: Ratings
) -> dict[str, Doubles]:
    """Return the losses of each test row: squared and absolute error; for each level, coverage and width."""
    losses: dict[str, Doubles] = {}
    values = test.values
    for level in LEVELS:
        predicted, low, high = recommender.predict_codes(user_codes, item_codes, when=test.times, level=level)
        losses |= {"rmse": (predicted - values) ** 2, "mae": np.abs(predicted - values)}
        if recommender.has_intervals:
            inside, below, above = (low <= values) & (values <= high), values < low, values > high
            parts = {"coverage": inside, "width": high - low, "below": below, "above": above}
            losses |= {f"{name}_{level * 100:.0f}": part.astype(np.float64) for name, part in parts.items()}
    return losses


def _groups(
    recommender: Recommender, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]
) -> dict[str, NDArray[np.bool_]]:
    """Return masks of test rows by group; the groups that have any."""
    groups = {
        "cold users": recommender.model.rated_users(user_codes) < 0,
        "cold items": recommender.model.rated_items(item_codes) < 0,
    }
    learned = learned_from(recommender, user_codes, item_codes)
    if learned.any():
        groups |= {LEARNED: learned, "held out": ~learned}
    return {name: rows for name, rows in groups.items() if rows.any()}


class _TestRows:
    """Test rows grouped by user: the weighted means of their losses, with bootstrap intervals over users.

    inverse: 1 / propensity of each row, which multiplies its weight.
    """

    def __init__(self, test: Ratings, n_bootstrap: int, seed: int, inverse: Doubles | None = None) -> None:
        self._users = np.unique(test.user_codes, return_inverse=True)[1]
        self._weights = None if test.weights is None else test.weights.astype(np.float64)
        if inverse is not None:
            self._weights = inverse if self._weights is None else self._weights * inverse
        self.n_users = int(self._users.max()) + 1
        self._n_bootstrap, self._seed = n_bootstrap, seed

    @property
    def effective_size(self) -> float:
        """As how many rows of equal weight all rows count."""
        return float(len(self._users)) if self._weights is None else effective_size(self._weights)

    def measures(self, losses: dict[str, Doubles], rows: NDArray[np.bool_] | None = None) -> dict[str, Measure]:
        """Return the mean of each loss over some rows (all by default) with its interval; for rmse, its root."""
        kept = np.ones(len(self._users), bool) if rows is None else rows
        means = self.means(list(losses.values()), kept)
        measured = {}
        for (name, loss), sample in zip(losses.items(), means, strict=True):
            root = np.sqrt if name == "rmse" else np.asarray
            measured[name] = measure_of(float(root(self.mean(loss, kept))), root(sample))
        return measured

    def mean(self, loss: Doubles, kept: NDArray[np.bool_] | None = None) -> float:
        """Return the mean of a loss over some rows (all by default)."""
        rows = slice(None) if kept is None else kept
        return weighted_mean(loss[rows], None if self._weights is None else self._weights[rows])

    def per_user(self, loss: Doubles) -> PerUser:
        """Return the sum and the number of each user's losses."""
        return PerUser(self._sums(loss), self._sums())

    def _sums(self, loss: Doubles | None = None, kept: NDArray[np.bool_] | slice = slice(None)) -> Doubles:
        """Return the weighted sum of a loss over each user's kept rows, (n_users,); None: the sum of the weights."""
        parts = [part[kept] for part in (loss, self._weights) if part is not None]
        sums = np.bincount(self._users[kept], np.prod(parts, axis=0) if parts else None, self.n_users)
        return sums.astype(np.float64)

    def means(self, losses: Sequence[Doubles], kept: NDArray[np.bool_]) -> Doubles:
        """Return the mean of each loss over the kept rows in each resampling of users: (n_losses, n_bootstrap)."""
        counts = self._sums(kept=kept)
        has_rows = counts > 0
        sums = np.stack([self._sums(loss, kept)[has_rows] for loss in losses], axis=1)
        resample = Resample(int(has_rows.sum()), self._n_bootstrap, self._seed)
        return resample.ratios(sums, np.repeat(counts[has_rows, None], len(losses), axis=1)).T


def _verdict(rows: _TestRows, losses: dict[str, Doubles], baseline_losses: dict[str, dict[str, Doubles]]) -> str:
    """Return a sentence if the model is not significantly better than its best baseline; empty otherwise."""
    if not baseline_losses:
        return ""
    name = min(baseline_losses, key=lambda baseline: rows.mean(baseline_losses[baseline]["rmse"]))
    gain = baseline_losses[name]["rmse"] - losses["rmse"]
    if rows.mean(gain) <= 1e-6 * rows.mean(losses["rmse"]):  # equal up to rounding
        return f"This model is NOT better than the baseline {name}: use {name}, or look at the data with palate check."
    (sample,) = rows.means([gain], np.ones(len(gain), bool))
    if np.nanquantile(sample, 0.025) <= 0:
        return f"This model is better than the baseline {name}, but not significantly (95% bootstrap)."
    return ""


def _cell(name: str, measures: dict[str, Measure]) -> str:
    """Return a measure as a table cell: errors with their intervals, other measures without."""
    if name not in measures:
        return "-"
    return str(measures[name]) if name in ("rmse", "mae") else f"{measures[name].value:.3f}"
