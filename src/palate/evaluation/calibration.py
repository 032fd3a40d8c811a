"""Calibration: whether intervals hold as many ratings as they say, and whether predictions are right on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.data.ratings import Ratings
from palate.evaluation.matching import code_maps
from palate.evaluation.predictions import BLOCK_ROWS
from palate.evaluation.resampling import N_BOOTSTRAP, Doubles, Measure
from palate.evaluation.user_sums import BlockSums, UserSums
from palate.recommender import Recommender

LEVELS = (0.5, 0.8, 0.9, 0.95)
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


def calibration_of(
    recommender: Recommender, test: Ratings, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> Calibration:
    """Return the calibration of a model that predicts ratings, on explicit test ratings."""
    users, items = code_maps(recommender, test)
    levels = LEVELS if recommender.has_intervals else ()
    has_some = np.bincount(test.user_codes, minlength=test.n_users) > 0
    positions = np.cumsum(has_some) - 1
    sums, predictions = UserSums(int(has_some.sum()), n_bootstrap, seed), []
    for start in range(0, len(test), BLOCK_ROWS):
        part = test[start : start + BLOCK_ROWS]
        codes = users[part.user_codes], items[part.item_codes]
        losses: dict[str, Doubles] = {}
        for level in levels:
            predicted, low, high = recommender.predict_codes(*codes, when=part.times, level=level)
            inside, below, above = (low <= part.values) & (part.values <= high), part.values < low, part.values > high
            parts = {"inside": inside, "below": below, "above": above, "width": high - low}
            losses |= {f"{name} {level}": loss.astype(np.float64) for name, loss in parts.items()}
        if not levels:
            predicted, _, _ = recommender.predict_codes(*codes, when=part.times)
        predictions.append(predicted.astype(np.float32))
        if losses:
            weights = None if part.weights is None else part.weights.astype(np.float64)
            sums.add(BlockSums.of(positions[part.user_codes], losses, weights))
    measures = sums.measures() if levels else {}
    coverage = (
        Coverage(
            level,
            measures[f"inside {level}"],
            *(measures[f"{name} {level}"].value for name in ("below", "above", "width")),
        )
        for level in levels
    )
    return Calibration(tuple(coverage), _bins(np.concatenate(predictions).astype(np.float64), test))


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
