"""What a report keeps beside its measures: a measure by groups of users and items, predictions by rating, curves.

Groups are made of the number of training ratings: of the user (activity) or of the item (popularity). Their bounds are
quantiles of the test rows, so that each group holds about as many. Rows without training ratings are a group of their
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import Codes
from palate.evaluation.resampling import Doubles, Measure, Resample, measures_of
from palate.models.model import Model

N_GROUPS = 5  # of rows with training ratings
N_BINS = 120  # of predictions
MAX_VALUES = 20  # ratings of their own in a table of predictions; of more, ranges of equal width
KS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)  # of curves
OWN = "model"  # the name of the model beside its baseline
Side = Literal["user", "item"]


# ---- groups


@dataclass(frozen=True)
class Groups:
    """Groups by number of training ratings: their names, and the group of each code; the last entry is of unknown ones.

    names: such as "1 to 9"; of: (n_codes + 1,), so that code -1 finds its group.
    """

    names: tuple[str, ...]
    of: NDArray[np.int8]

    @classmethod
    def of_counts(cls, counts: NDArray[np.integer], rows: NDArray[np.integer]) -> Groups:
        """Group codes with these numbers of training ratings, so that groups hold about equally many test rows.

        counts, rows: (n_codes,) and (n_codes + 1,): the last number of rows is that of unknown codes.
        """
        counts = np.append(counts, 0)
        has_some = (counts > 0) & (rows > 0)
        bounds = _quantiles(counts[has_some], rows[has_some])
        of = np.minimum(np.searchsorted(bounds, counts), max(len(bounds) - 1, 0))
        lowest = counts[has_some].min(initial=1 << 62)
        names = [_range(low, high) for low, high in zip([lowest, *(bounds[:-1] + 1)], bounds, strict=False)]
        if rows[counts == 0].sum() > 0:
            names.insert(0, "none")
            of = np.where(counts == 0, 0, of + 1)
        return cls(tuple(names), of.astype(np.int8))


def _quantiles(counts: NDArray[np.integer], rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """The upper bounds of up to N_GROUPS groups of counts with about equally many rows."""
    if len(counts) == 0:
        return np.zeros(0, np.int64)
    order = np.argsort(counts, kind="stable")
    reached = np.cumsum(rows[order]) / rows.sum()
    at = np.searchsorted(reached, np.arange(1, N_GROUPS) / N_GROUPS)
    return np.unique(np.append(counts[order][at], counts.max())).astype(np.int64)


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


@dataclass(frozen=True)
class Breakdown:
    """A measure by groups of users, or of items.

    Attributes:
        by (str): "user" or "item": whose training ratings were counted.
        measure (str): The measure, such as "rmse".
        groups (tuple of str): The ranges of the number of training ratings, such as "20 to 47"; "none" without any.
        sizes (tuple of int): The number of test rows in each group.
        measures (dict of str to tuple of Measure): The measure in each group, of the "model" and of a baseline.
    """

    by: Side
    measure: str
    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    measures: dict[str, tuple[Measure, ...]]


def breakdown(
    by: Side,
    measure: str,
    groups: Sequence[str],
    sizes: Sequence[int],
    sums: Mapping[str, tuple[Doubles, Doubles]],
    resample: Resample,
) -> Breakdown:
    """Return a measure by groups. sums: of each model, sums and counts of each user's rows by group, (n_users, n)."""
    root = np.sqrt if measure == "rmse" else np.asarray
    measures = {}
    for name, (total, counts) in sums.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            means = total.sum(axis=0) / counts.sum(axis=0)
        measures[name] = tuple(measures_of(root(means), root(resample.ratios(total, counts))))
    return Breakdown(by, measure, tuple(groups), tuple(map(int, sizes)), measures)


def one_hot(values: Doubles, groups: NDArray[np.int8], n: int) -> Doubles:
    """Each user's value in the column of its group, 0 in the others: (n_users, n)."""
    out = np.zeros((len(values), n))
    out[np.arange(len(values)), groups] = values
    return out


def user_groups(model: Model, users: Codes, rows: NDArray[np.integer]) -> tuple[Groups, NDArray[np.int8]]:
    """Return groups by activity, and the group of each test user. users: codes (n,), -1 for unknown; rows: of each."""
    counts = model.history.counts
    per_code = np.bincount(np.where(users < 0, len(counts), users), rows, len(counts) + 1)
    groups = Groups.of_counts(counts, per_code.astype(np.int64))
    return groups, groups.of[users]


def item_groups(model: Model, rows: NDArray[np.integer]) -> Groups:
    """Return groups by popularity. rows: test rows of each item code, (n_items + 1,), the last of unknown items."""
    return Groups.of_counts(model.item_counts, rows)


# ---- predictions by rating


@dataclass(frozen=True)
class Agreement:
    """How predictions and ratings go together: the weight of test rows by rating and prediction.

    Attributes:
        values (numpy.ndarray): The ratings, or the middles of ranges of them where there are more than 20, (n,).
        edges (numpy.ndarray): The bounds of the bins of predictions, (n_bins + 1,).
        weights (numpy.ndarray): The weight of the test rows with a rating in a bin, (n, n_bins).
    """

    values: Doubles
    edges: Doubles
    weights: Doubles

    @property
    def middles(self) -> Doubles:
        """The middle of each bin, (n_bins,)."""
        middles: Doubles = (self.edges[1:] + self.edges[:-1]) / 2
        return middles

    def quantiles(self, shares: Sequence[float]) -> Doubles:
        """The quantiles of the predictions at each rating, (n, n_shares); nan for a rating without rows."""
        out = np.full((len(self.values), len(shares)), np.nan)
        for row, weights in enumerate(self.weights):
            if weights.sum() > 0:
                reached = np.append(0, np.cumsum(weights)) / weights.sum()
                out[row] = np.interp(shares, reached, self.edges)
        return out

    def calibration(self, n: int = 10) -> tuple[Doubles, Doubles, Doubles]:
        """Mean prediction, mean rating and 1.96 standard errors of it in up to n groups of predictions, (n,) each."""
        per_bin = self.weights.sum(axis=0)
        reached = np.cumsum(per_bin) - per_bin / 2
        group = np.minimum((n * reached / per_bin.sum()).astype(int), n - 1)
        found = [self._mean_of(group == at) for at in range(n) if per_bin[group == at].sum() > 0]
        predicted, mean, reach = np.array(found).T
        return predicted, mean, reach

    def _mean_of(self, bins: NDArray[np.bool_]) -> tuple[float, float, float]:
        weights = self.weights[:, bins]
        total, of_values = weights.sum(), weights.sum(axis=1)
        mean = of_values @ self.values / total
        variance = of_values @ (self.values - mean) ** 2 / total
        return (
            float(weights.sum(axis=0) @ self.middles[bins] / total),
            float(mean),
            float(1.96 * np.sqrt(variance / total)),
        )


@dataclass(frozen=True)
class AgreementBins:
    """Where a rating and a prediction are counted: bounds between ratings, and the range of predictions."""

    values: Doubles
    bounds: Doubles  # (n_values - 1,)
    limits: tuple[float, float]

    @classmethod
    def of(cls, model: Model, distinct: Doubles) -> AgreementBins:
        """Bins for the predictions of a model and these different test ratings."""
        values = distinct
        if len(distinct) > MAX_VALUES:
            edges = np.linspace(distinct[0], distinct[-1], MAX_VALUES + 1)
            values = (edges[1:] + edges[:-1]) / 2
        low, high = model.score_limits
        if not np.isfinite([low, high]).all() or low >= high:
            low, high = float(distinct[0]) - 0.5, float(distinct[-1]) + 0.5
        return cls(values, (values[1:] + values[:-1]) / 2, (low, high))

    def count(self, ratings: NDArray[np.floating], predicted: NDArray[np.floating], weights: Doubles | None) -> Doubles:
        """The weight of the rows by rating and prediction, (n_values, N_BINS)."""
        low, high = self.limits
        rows = np.searchsorted(self.bounds, ratings, side="right")
        place = np.nan_to_num((predicted.astype(np.float64) - low) / (high - low))
        columns = np.clip((place * N_BINS).astype(np.int64), 0, N_BINS - 1)
        n = len(self.values) * N_BINS
        return np.bincount(rows * N_BINS + columns, weights, n).astype(np.float64).reshape(-1, N_BINS)

    def agreement(self, weights: Doubles) -> Agreement:
        """The result of counts added up."""
        return Agreement(self.values, np.linspace(*self.limits, N_BINS + 1), weights)


@dataclass(frozen=True)
class RowCounts:
    """What one pass over test ratings tells: rows of each user and item, and the different ratings."""

    users: NDArray[np.int64]  # (n_users,) of the test
    items: NDArray[np.int64]  # (n_items,) of the test
    values: Doubles  # ascending; of more than some thousands only the extremes and some between

    @classmethod
    def of(cls, test: Ratings, block_rows: int) -> RowCounts:
        """Look at all test ratings, block by block."""
        users, items = np.zeros(test.n_users, np.int64), np.zeros(test.n_items, np.int64)
        values = np.zeros(0)
        for start in range(0, len(test), block_rows):
            block = test[start : start + block_rows]
            users += np.bincount(block.user_codes, minlength=test.n_users)
            items += np.bincount(block.item_codes, minlength=test.n_items)
            values = np.unique(np.append(values, np.unique(block.values)))
            if len(values) > 10_000:
                values = values[np.linspace(0, len(values) - 1, 1000).astype(int)]
        return cls(users, items, values)

    def items_in(self, codes: Codes, n_items: int) -> NDArray[np.int64]:
        """The rows of each item of a model, (n_items + 1,). codes: of the test's items in the model, -1 for unknown."""
        return np.bincount(np.where(codes < 0, n_items, codes), self.items, n_items + 1).astype(np.int64)


# ---- curves over k


@dataclass(frozen=True)
class KCurves:
    """Measures of lists at many lengths.

    Attributes:
        k (tuple of int): The list lengths, ascending.
        values (dict of str to dict): {name of the model: {measure: its values at each k}}, of the "model" and of a
            baseline.
    """

    k: tuple[int, ...]
    values: dict[str, dict[str, tuple[float, ...]]]


def curve_ks(ks: Sequence[int]) -> tuple[int, ...]:
    """The list lengths of a curve up to the last of ks: all of these, and some between."""
    return tuple(sorted({*ks, *(k for k in KS if k < ks[-1])}))
