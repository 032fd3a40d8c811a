"""How predictions and ratings go together: the weight of test rows by rating and prediction, in bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.resampling import Doubles
from palate.models.model import Model

N_BINS = 120  # of predictions
MAX_VALUES = 20  # ratings of their own in a table of predictions; of more, ranges of equal width


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
