"""The waist of the house: what every trained model is, in codes.

A row of either side is one vector x = [p, b]: its factors and its bias. The score of user x and item y is

    score = mean + scale (b_x + b_y + p_x . p_y)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palate.kernels import predict_pairs, solve_rows
from palate.ratings import CompressedRows

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Prior:
    """What is believed of a row before its ratings: x ~ Normal(mean, precision^-1), ratings with precision alpha.

    precision: (k, k); mean: (k,). A row with n ratings gets ridge * n ** count_exponent added to its diagonal (the
    weight decay of ALS); zero for Bayes.
    """

    precision: Floats
    mean: Floats
    alpha: float = 1.0
    ridge: float = 0.0
    count_exponent: float = 0.0

    def solve(
        self, rows: CompressedRows, other: Floats, center: float, scale: float = 1.0, n_threads: int = 0
    ) -> Floats:
        """The most probable vectors of rows, (n_rows, k), given the other side's vectors."""
        return solve_rows(
            rows.indptr,
            rows.indices,
            rows.values,
            other,
            precision=self.precision,
            mean=self.mean,
            weights=rows.weights,
            ridge=ridge_of_rows(rows.counts, self.ridge, self.count_exponent),
            bias=True,
            center=center,
            scale=scale,
            alpha=self.alpha,
            n_threads=n_threads,
        )[0]


def ridge_of_rows(counts: NDArray[np.int64], ridge: float, count_exponent: float) -> Floats | None:
    """Weight decay of each row, ridge * max(n, 1) ** count_exponent; None when there is none."""
    if ridge == 0:
        return None
    return (ridge * np.maximum(counts, 1).astype(np.float64) ** count_exponent).astype(np.float32)


class Scorer(Protocol):
    """What everything after training works with: vectors for histories, scores for vectors."""

    def represent(self, histories: CompressedRows) -> Floats:
        """Vectors of rows that the model has never seen, from their ratings: (n, k)."""
        ...

    def scores(self, vectors: Floats) -> Floats:
        """Scores of every item for each vector: (n, n_items)."""
        ...


@dataclass(frozen=True)
class Factors:
    """Vectors of both sides, each (n, k) with the bias in the last column, around a mean and in units of `scale`."""

    mean: float
    users: Floats  # (n_users, k)
    items: Floats  # (n_items, k)
    user_prior: Prior
    item_prior: Prior
    scale: float = 1.0

    @property
    def n_factors(self) -> int:
        """Latent factors, the bias not counted."""
        return int(self.users.shape[1]) - 1

    def predict(self, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,); the code -1 stands for somebody or something unknown."""
        users, user_codes = with_unknown(self.users, self.user_prior.mean, user_codes)
        items, item_codes = with_unknown(self.items, self.item_prior.mean, item_codes)
        return predict_pairs(users, items, user_codes, item_codes, bias=True, center=self.mean, scale=self.scale)

    def scores(self, vectors: Floats) -> Floats:
        """Scores of every item for each user vector: (n, n_items)."""
        scores: Floats = vectors[:, :-1] @ self.items[:, :-1].T
        scores += self.items[:, -1]
        scores += vectors[:, -1:]
        scores *= np.float32(self.scale)
        scores += np.float32(self.mean)
        return scores

    def represent(self, histories: CompressedRows) -> Floats:
        """Vectors of users never seen, from their ratings: (n, k)."""
        return self.user_prior.solve(histories, self.items, self.mean, self.scale)

    def transposed(self) -> Factors:
        """The same model with users and items exchanged."""
        return Factors(self.mean, self.items, self.users, self.item_prior, self.user_prior, self.scale)


def with_unknown(vectors: Floats, unknown: Floats, codes: Codes) -> tuple[Floats, Codes]:
    """Vectors and codes where -1 has become one more row: the vector of somebody unknown."""
    if len(codes) == 0 or codes.min() >= 0:
        return vectors, codes
    return np.vstack([vectors, unknown[None]]), np.where(codes < 0, len(vectors), codes).astype(np.int32)
