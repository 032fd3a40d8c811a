"""The waist of the house: what every trained model is, in codes.

A row of either side is one vector x = [p, b]: its factors and its bias. The score of user x and item y is

    score = mean + scale (b_x + b_y + p_x . p_y)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palate.kernels import predict_pairs, solve_rows
from palate.ratings import CompressedRows

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]
Doubles = NDArray[np.float64]


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
    ) -> tuple[Floats, Doubles]:
        """The most probable vectors of rows, (n_rows, k), given the other side's; each row's sum of w (t - x.z)^2."""
        vectors, errors = solve_rows(
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
            errors=True,
            n_threads=n_threads,
        )
        assert errors is not None
        return vectors, errors


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

    @cached_property
    def spreads(self) -> tuple[Floats, Floats]:
        """How far users and items lie around their prior means, a second moment (k, k) each."""
        return second_moment(self.users, self.user_prior.mean), second_moment(self.items, self.item_prior.mean)

    def unknown_variance(self, user_codes: Codes, item_codes: Codes, users: Floats | None = None) -> Doubles:
        """Variance that being unknown (code -1) adds to scores, (n,): such rows lie around it as the known ones do.

        users: vectors that user_codes index, the model's own by default.
        """
        rows, _ = with_unknown(self.users if users is None else users, self.user_prior.mean, user_codes)
        items, _ = with_unknown(self.items, self.item_prior.mean, item_codes)
        return self.scale**2 * unknown_variance(rows, user_codes, items, item_codes, *self.spreads)

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
        return self.user_prior.solve(histories, self.items, self.mean, self.scale)[0]

    def transposed(self) -> Factors:
        """The same model with users and items exchanged."""
        return Factors(self.mean, self.items, self.users, self.item_prior, self.user_prior, self.scale)


def with_unknown(vectors: Floats, unknown: Floats, codes: Codes) -> tuple[Floats, Codes]:
    """Vectors and codes where -1 has become one more row: the vector of somebody unknown."""
    if len(codes) == 0 or codes.min() >= 0:
        return vectors, codes
    return np.vstack([vectors, unknown[None]]), np.where(codes < 0, len(vectors), codes).astype(np.int32)


def second_moment(vectors: Floats, center: Floats) -> Floats:
    """Mean of (x - center)(x - center)' over rows x, (k, k)."""
    moved = (vectors - center).astype(np.float64)
    moment: Floats = (moved.T @ moved / len(moved)).astype(np.float32)
    return moment


def unknown_variance(
    users: Floats, user_codes: Codes, items: Floats, item_codes: Codes, user_spread: Floats, item_spread: Floats
) -> Doubles:
    """Variance that being unknown (code -1) adds to the score of pairs, (n,).

    The last row of users and items is then the unknown one's mean; the spreads C are (k, k):
    Var(x . y) = m_y' C_x m_y + m_x' C_y m_x + tr(C_x C_y), with C = 0 for whoever is known.
    """
    no_user, no_item = user_codes < 0, item_codes < 0
    variance = np.zeros(len(user_codes))
    if no_user.any():
        variance[no_user] += _quadratic(as_partner(items[item_codes[no_user]]), user_spread)
    if no_item.any():
        variance[no_item] += _quadratic(as_partner(users[user_codes[no_item]]), item_spread)
    if (both := no_user & no_item).any():
        variance[both] += np.sum(user_spread[:-1, :-1] * item_spread[:-1, :-1])
    return variance


def as_partner(vectors: Floats) -> Floats:
    """[q, c] -> [q, 1]: what the other side's vector [p, b] is multiplied with."""
    partner = vectors.copy()
    partner[:, -1] = 1
    return partner


def _quadratic(vectors: Floats, matrix: Floats) -> Doubles:
    form: NDArray[np.float64] = np.einsum("ni,ij,nj->n", vectors, matrix, vectors, optimize=True)
    return form
