"""Calibration: whether intervals hold as many ratings as they say, and whether predictions are right on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.data.ratings import Ratings
from palate.evaluation.measured_rows import CARD, CARD_LEVELS, LEVELS, MODEL, MeasuredRows
from palate.evaluation.resampling import Doubles, Measure

N_BINS = 5  # of predictions


@dataclass(frozen=True)
class Coverage:
    """How many test ratings the intervals of one level hold.

    Attributes:
        level (float): The probability that an interval should hold the rating.
        inside (Measure): The share of test ratings that lie inside.
        below (float): The share below their intervals.
        above (float): The share above their intervals.
        width (float): The mean width, in rating units.
    """

    level: float
    inside: Measure
    below: float
    above: float
    width: float


@dataclass(frozen=True)
class PredictionBin:
    """Test ratings with similar predictions.

    Attributes:
        low (float): The lowest prediction.
        high (float): The highest prediction.
        n (int): The number of test ratings.
        prediction (float): Their mean prediction.
        rating (float): Their mean rating, which should be near the mean prediction.
    """

    low: float
    high: float
    n: int
    prediction: float
    rating: float


@dataclass(frozen=True)
class Calibration:
    """Whether intervals and predictions are right on average. No coverage without intervals.

    Attributes:
        coverage (tuple of Coverage): By level, in ascending order.
        bins (tuple of PredictionBin): Five bins with about equally many test ratings, in ascending order.
    """

    coverage: tuple[Coverage, ...]
    bins: tuple[PredictionBin, ...]


def calibration_of(found: MeasuredRows) -> Calibration:
    """Return the calibration of predictions of ratings that were measured for a card."""
    measures = found.sums[MODEL, ""].measures() | found.sums[MODEL, CARD].measures()
    levels = sorted((*LEVELS, *CARD_LEVELS)) if found.recommender.has_intervals else ()
    coverage = (
        Coverage(level, inside, below.value, above.value, width.value)
        for level in levels
        for inside, below, above, width in [
            [measures[f"{name}_{level * 100:.0f}"] for name in ("coverage", "below", "above", "width")]
        ]
    )
    return Calibration(tuple(coverage), _bins(found.predicted.astype(np.float64), found.asked.test))


def _bins(predicted: Doubles, test: Ratings) -> tuple[PredictionBin, ...]:
    edges = np.unique(np.quantile(predicted, np.arange(1, N_BINS) / N_BINS))
    codes = np.searchsorted(edges, predicted)
    weights = np.ones(len(test)) if test.weights is None else test.weights.astype(np.float64)
    found = []
    for at in range(len(edges) + 1):
        rows = np.flatnonzero(codes == at)
        if len(rows):
            own = weights[rows]
            means = (float(np.average(values[rows], weights=own)) for values in (predicted, test.values))
            found.append(PredictionBin(float(predicted[rows].min()), float(predicted[rows].max()), len(rows), *means))
    return tuple(found)
