"""The waist of the house: what every trained model is, in codes.

A row of either side is one vector x = [p, b]: its factors and its bias. The score of user x and item y is

    score = mean + scale (b_x + b_y + p_x . p_y)

and the rating expected is the score itself, or low + (high - low) sigmoid(score) where the model has a `y_range`, or
the mean of the ordered steps around the score where it has `steps`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes
from palate.kernels import expect_truncated, predict_pairs, solve_rows
from palate.models.ordinal import OrderedSteps

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]
Doubles = NDArray[np.float64]

N_EXPECTED = 12  # steps to the mode, where ratings are ordered


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

    @classmethod
    def flat(cls, k: int, **more: float) -> Prior:
        """Around zero with a precision of zero: what is left is weight decay (ridge and count_exponent)."""
        return cls(np.zeros((k, k), np.float32), np.zeros(k, np.float32), **more)

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


def empirical_prior(vectors: Floats, alpha: float) -> Prior:
    """The Normal that the rows (n, k) of one side look drawn from: what to believe of a new one before its ratings.

    A column that is the same in all rows is held nearly there.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    moved = vectors - mean
    covariance = moved.T @ moved / max(len(vectors) - 1, 1)
    floor = 1e-4 * max(float(np.trace(covariance)) / max(len(covariance), 1), 1e-8)
    precision = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
    return Prior(precision.astype(np.float32), mean.astype(np.float32), alpha)


@dataclass(frozen=True)
class Factors:
    """Vectors of both sides, each (n, k) with the bias in the last column, around a mean and in units of `scale`.

    y_range: (low, high) of a sigmoid that turns scores into ratings; None: they are ratings already. steps: of ordered
    ratings, with their cut points on the scale of scores; doubt: the variance that scores typically have there.
    """

    mean: float
    users: Floats  # (n_users, k)
    items: Floats  # (n_items, k)
    user_prior: Prior
    item_prior: Prior
    scale: float = 1.0
    y_range: tuple[float, float] | None = None
    steps: OrderedSteps | None = field(default=None, kw_only=True)
    score_variance: float = field(default=0.0, kw_only=True)

    @classmethod
    def of(cls, factors: Factors, **more: Any) -> Self:
        """The same vectors in a kind of model that knows more; what that is, by the names of its fields."""
        return cls(**{part.name: getattr(factors, part.name) for part in fields(Factors)}, **more)

    @property
    def is_linear(self) -> bool:
        """Whether scores are ratings."""
        return self.y_range is None and self.steps is None

    @property
    def n_factors(self) -> int:
        """Latent factors, the bias not counted."""
        return int(self.users.shape[1]) - 1

    def predict(self, user_codes: Codes, item_codes: Codes) -> Floats:
        """Expected ratings of pairs, (n,); the code -1 stands for somebody or something unknown."""
        return self.ratings_at(self.pair_scores(self.users, user_codes, item_codes))

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,), of users whose vectors (m, k) user_codes index; -1 is unknown."""
        users, user_codes = with_unknown(vectors, self.user_prior.mean, user_codes)
        items, item_codes = with_unknown(self.items, self.item_prior.mean, item_codes)
        return predict_pairs(users, items, user_codes, item_codes, bias=True, center=self.mean, scale=self.scale)

    def ratings_at(self, scores: Floats) -> Floats:
        """The ratings that scores stand for, of the same shape."""
        if self.steps is not None:
            return self.steps.expected(scores, self.score_variance).astype(scores.dtype)
        return scores if self.y_range is None else sigmoid_range(scores, *self.y_range)

    @property
    def span(self) -> float:
        """The width of the y_range or the steps, 1 without them: the unit in which errors of ratings count."""
        if self.steps is not None:
            return float(self.steps.values[-1] - self.steps.values[0])
        return 1.0 if self.y_range is None else self.y_range[1] - self.y_range[0]

    def slopes_at(self, scores: Floats) -> Floats:
        """The derivative of ratings_at in units of `span`, of the same shape."""
        if self.steps is not None:
            return (self.steps.slope(scores, self.score_variance) / self.span).astype(scores.dtype)
        if self.y_range is None:
            return np.ones_like(scores)
        share = sigmoid_range(scores, 0.0, 1.0)
        slopes: Floats = share * (1 - share)
        return slopes

    @cached_property
    def second_moments(self) -> tuple[Floats, Floats]:
        """How far users and items lie around their prior means, a second moment (k, k) each."""
        return second_moment(self.users, self.user_prior.mean), second_moment(self.items, self.item_prior.mean)

    @cached_property
    def item_inverse(self) -> Doubles:
        """(k, n_items): makes of what somebody's score of every item lacks the vector that comes closest to it."""
        inverse: Doubles = np.linalg.pinv(as_partner(self.items).astype(np.float64))
        return inverse

    def unknown_variance(self, user_codes: Codes, item_codes: Codes, users: Floats | None = None) -> Doubles:
        """Variance that being unknown (code -1) adds to ratings, (n,): such rows lie around it as the known ones do.

        users: vectors that user_codes index, the model's own by default. With a y_range to first order in the score;
        with steps the variance is that of the score.
        """
        vectors = self.users if users is None else users
        rows, _ = with_unknown(vectors, self.user_prior.mean, user_codes)
        items, _ = with_unknown(self.items, self.item_prior.mean, item_codes)
        variance = self.scale**2 * unknown_variance(rows, user_codes, items, item_codes, *self.second_moments)
        if self.y_range is None or not variance.any():
            return variance
        slopes: Doubles = self.slopes_at(self.pair_scores(vectors, user_codes, item_codes)).astype(np.float64)
        return variance * (slopes * self.span) ** 2

    def scores(self, vectors: Floats) -> Floats:
        """Expected ratings of every item for each user vector: (n, n_items)."""
        return self.ratings_at(self.raw_scores(vectors))

    def with_users(self, vectors: Floats, history: CompressedRows) -> Factors:  # noqa: ARG002
        """The same model with other people for its users, who have these vectors (m, k) and ratings."""
        return replace(self, users=vectors)

    def user_scores(self) -> Floats:
        """Expected ratings, or scores to rank by, of every item for every user: (n_users, n_items)."""
        return self.scores(self.users)

    def raw_scores(self, vectors: Floats) -> Floats:
        """Scores of every item for each user vector: (n, n_items)."""
        scores: Floats = vectors[:, :-1] @ self.items[:, :-1].T
        scores += self.items[:, -1]
        scores += vectors[:, -1:]
        scores *= np.float32(self.scale)
        scores += np.float32(self.mean)
        return scores

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Vectors of users never seen, from their ratings: (n, k)."""
        if self.steps is not None:
            return expectation_maximization(self, histories)
        if not self.is_linear:
            return gauss_newton(self, histories)
        return self.user_prior.solve(histories, self.items, self.mean, self.scale)[0]

    def row_precision(self, n_ratings: int) -> Doubles:
        """Lambda + ridge I: what the vector of a user with so many ratings is held by, besides them; (k, k)."""
        prior = self.user_prior
        ridge = ridge_of_rows(np.array([n_ratings]), prior.ridge, prior.count_exponent)
        return prior.precision + (0.0 if ridge is None else float(ridge[0])) * np.eye(len(prior.mean))

    def partners(self, item_codes: Codes) -> Doubles:
        """What users' vectors are multiplied with, (n, k): [q, 1] of items."""
        return as_partner(self.items[item_codes]).astype(np.float64)

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:
        """The least-squares problem in scores that the ratings are around the users' present vectors.

        For a rating r with weight w and a score s whose rating f has the slope f': the target s + (r - f) / f' with
        weight w (f' scale / span)^2, since solve() counts in units of `scale`. Or the rating, where it is a score, or
        the latent expected behind an ordered one.
        """
        if self.is_linear:
            return histories
        if self.steps is not None:
            return replace(histories, values=self.latents(histories, vectors))
        codes = row_codes(histories)
        scores = self.pair_scores(vectors, codes, histories.indices)
        slopes: Floats = np.maximum(self.slopes_at(scores), np.float32(1e-6))
        missing = (histories.values - self.ratings_at(scores)) / np.float32(self.span)
        targets = (scores + missing / slopes).astype(np.float32)
        weights: Floats = np.square(slopes * np.float32(self.scale))
        if histories.weights is not None:
            weights *= histories.weights
        return CompressedRows(histories.indptr, histories.indices, targets, weights)

    def latents(self, histories: CompressedRows, vectors: Floats) -> Floats:
        """The mean of the latent behind each ordered rating, (n_ratings,), given the users' vectors."""
        assert self.steps is not None
        codes = row_codes(histories)
        root = np.float32(np.sqrt(self.user_prior.alpha) / self.scale)  # of the latents' precision around the scores
        scores = root * self.pair_scores(vectors, codes, histories.indices)
        cuts = root * self.steps.cuts.astype(np.float32)
        latents: Floats = expect_truncated(scores, self.steps.steps_of(histories.values), cuts) / root
        return latents

    def transposed(self) -> Factors:
        """The same model with users and items exchanged."""
        return self._exchanged()

    def _exchanged(self, **more: Any) -> Self:
        """Both sides exchanged; more: what else a kind of model has of each side, exchanged."""
        return replace(
            self,
            users=self.items,
            items=self.users,
            user_prior=self.item_prior,
            item_prior=self.user_prior,
            **more,
        )


def sigmoid_range(scores: Floats, low: float, high: float) -> Floats:
    """Scores squashed into a range: low + (high - low) / (1 + exp(-score)), of the same shape."""
    with np.errstate(over="ignore"):
        squashed = np.float32(low) + np.float32(high - low) / (np.float32(1) + np.exp(-scores))
    return squashed.astype(scores.dtype)


def expectation_maximization(factors: Factors, histories: CompressedRows) -> Floats:
    """Vectors (n, k) of users never seen from ordered ratings: the mode, the latents behind the ratings expected."""
    x = np.tile(factors.user_prior.mean, (histories.n_rows, 1))
    for _ in range(N_EXPECTED):
        linear = factors.linearised(histories, x)
        x = factors.user_prior.solve(linear, factors.items, factors.mean, factors.scale)[0]
    return x


def gauss_newton(factors: Factors, histories: CompressedRows, n_steps: int = 20) -> Floats:
    """Vectors (n, k) of users never seen by a model whose scores are no ratings: the least loss of each (Gauss-Newton).

    The loss of a row is alpha sum_j w_j ((f(x . z_j) - r_j) / span)^2 + (x - m)' (Lambda + ridge I) (x - m).
    A step that does not lower it is halved.
    """
    x = np.tile(factors.user_prior.mean, (histories.n_rows, 1))
    loss = _losses(factors, histories, x)
    share = np.ones((len(x), 1), np.float32)  # of the step to the linear problem's solution, for each row
    for _ in range(n_steps):
        linear = factors.linearised(histories, x)
        step = share * (factors.user_prior.solve(linear, factors.items, factors.mean, factors.scale)[0] - x)
        if np.abs(step).max(initial=0) < 1e-6:
            break
        loss_there = _losses(factors, histories, x + step)
        better = loss_there < loss
        x[better] += step[better]
        loss[better] = loss_there[better]
        share = np.where(better[:, None], np.minimum(2 * share, 1), share / 2).astype(np.float32)
    return x


def _losses(factors: Factors, histories: CompressedRows, x: Floats) -> Doubles:
    """What gauss_newton lowers, (n,)."""
    prior = factors.user_prior
    codes = row_codes(histories)
    errors = factors.ratings_at(factors.pair_scores(x, codes, histories.indices)) - histories.values
    squares = (errors.astype(np.float64) / factors.span) ** 2 * (1 if histories.weights is None else histories.weights)
    moved = (x - prior.mean).astype(np.float64)
    ridge = ridge_of_rows(histories.counts, prior.ridge, prior.count_exponent)
    penalty = np.einsum("ni,ij,nj->n", moved, prior.precision, moved)
    penalty += 0 if ridge is None else ridge * np.sum(moved**2, axis=1)
    loss: Doubles = prior.alpha * np.bincount(codes, squares, minlength=len(x)) + penalty
    return loss


def with_unknown(vectors: Floats, unknown: Floats, codes: Codes) -> tuple[Floats, Codes]:
    """Vectors and codes where -1 has become one more row: the vector of somebody unknown."""
    if len(codes) == 0 or codes.min() >= 0:
        return vectors, codes
    return np.vstack([vectors, unknown[None]]), np.where(codes < 0, len(vectors), codes).astype(np.int32)


def second_moment(vectors: Floats, center: Floats) -> Floats:
    """Mean of (x - center)(x - center)' over rows x, (k, k)."""
    moved = (vectors - center).astype(np.float64)
    timestamp: Floats = (moved.T @ moved / len(moved)).astype(np.float32)
    return timestamp


def unknown_variance(
    users: Floats, user_codes: Codes, items: Floats, item_codes: Codes, user_spread: Floats, item_spread: Floats
) -> Doubles:
    """Variance that being unknown (code -1) adds to the score of pairs, (n,).

    The last row of users and items is then the unknown one's mean; the second_moments C are (k, k):
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
