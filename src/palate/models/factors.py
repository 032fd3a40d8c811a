"""Factors: the latent factors and biases of users and items, the part that every trained model has.

A user or an item is one vector x = [p, b]: its factors p and its bias b. The score of user x and item y is

    score = mean + scale (b_x + b_y + p_x . p_y)

and the predicted rating is the score itself; or low + (high - low) sigmoid(score) for a model with a `y_range`; or the
mean of the ordered probit at the score for a model with `steps` (palate.models.ordinal).

Source: Koren, Bell & Volinsky (2009), Matrix Factorization Techniques for Recommender Systems.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes
from palate.distributed.exchange import Exchange
from palate.distributed.half_sweeps import solve_rows
from palate.errors import OptionError
from palate.kernels import expect_truncated, predict_pairs
from palate.models.fading import Fading
from palate.models.least_squares import LeastSquares
from palate.models.ordinal import OrderedSteps
from palate.models.row_blocks import row_blocks
from palate.showing.texts import Fielded

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]
Doubles = NDArray[np.float64]

N_EM_STEPS = 12  # steps of expectation and maximization to the mode, for ordered ratings


@dataclass(frozen=True, repr=False)
class Prior(Fielded):
    """The prior of one side's vectors: x ~ Normal(mean, precision^-1), and ratings have precision alpha.

    Attributes:
        precision (float32 array of shape (k, k)): Lambda, the inverse covariance of the vectors.
        mean (float32 array of shape (k,)): The prior mean.
        alpha (float, default 1.0): Precision of a rating around its predicted value, 1 / variance, in units of scale.
        ridge (float, default 0.0): Weight decay, for ALS: a row with n ratings has ridge * n ** count_exponent added to
            the diagonal of its precision. Zero for Bayes.
        count_exponent (float, default 0.0): Exponent of the number of ratings in the weight decay.
    """

    precision: Floats
    mean: Floats
    alpha: float = 1.0
    ridge: float = 0.0
    count_exponent: float = 0.0

    @classmethod
    def flat(cls, k: int, **more: float) -> Prior:
        """Return a prior of mean zero and precision zero: only weight decay (ridge and count_exponent) is left."""
        return cls(np.zeros((k, k), np.float32), np.zeros(k, np.float32), **more)

    def solve(
        self,
        rows: CompressedRows,
        other: Floats,
        center: float,
        scale: float = 1.0,
        n_threads: int = 0,
        on: Exchange | None = None,
    ) -> tuple[Floats, Doubles]:
        """The posterior modes of rows, (n_rows, k), given the other side; and each row's sum of w (t - x . z)^2."""
        vectors, errors = solve_rows(
            rows,
            other,
            on=on,
            precision=self.precision,
            mean=self.mean,
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
    """Weight decay of each row, ridge * max(n, 1) ** count_exponent, (n_rows,); None without weight decay."""
    if ridge == 0:
        return None
    return (ridge * np.maximum(counts, 1).astype(np.float64) ** count_exponent).astype(np.float32)


def empirical_prior(vectors: Floats, alpha: float) -> Prior:
    """The Normal fitted to the vectors (n, k) of one side by mean and covariance: the prior of a new user or item.

    A floor under the covariance keeps it invertible: a column that is the same in all rows gets a tiny variance.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centered = vectors - mean
    covariance = centered.T @ centered / max(len(vectors) - 1, 1)
    floor = 1e-4 * max(float(np.trace(covariance)) / max(len(covariance), 1), 1e-8)
    precision = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
    return Prior(precision.astype(np.float32), mean.astype(np.float32), alpha)


NOT_FADED = (
    "recent= weighs the events of a user, and this model cannot: models of EASE, SparseEASE, ImplicitALS, Neighbors "
    "fitted to implicit feedback, and blends of these can."
)


@dataclass(frozen=True, repr=False)
class Factors(Fielded):
    """User and item vectors, with the bias in the last column, in units of `scale` around `mean`.

    Attributes:
        mean (float): The global mean of ratings.
        users (float32 array of shape (n_users, n_factors + 1)): User factors, the user bias last.
        items (float32 array of shape (n_items, n_factors + 1)): Item factors, the item bias last.
        user_prior (Prior): The prior by which new users are folded in.
        item_prior (Prior): The prior by which new items are folded in.
        scale (float, default 1.0): Rating units in one unit of factors and biases.
        y_range (tuple of two floats, default None): (low, high) of the sigmoid that turns scores into ratings; None if
            scores are ratings.
        steps (OrderedSteps, default None): The rating steps of an ordered probit and its cut points, in score units.
        score_variance (float, default 0.0): With steps: the typical variance of a score, in squared score units.
    """

    reads_order: ClassVar[bool] = False  # True if a history may hold an item twice, as events of their own

    mean: float
    users: Floats
    items: Floats
    user_prior: Prior
    item_prior: Prior
    scale: float = 1.0
    y_range: tuple[float, float] | None = None
    steps: OrderedSteps | None = field(default=None, kw_only=True)
    score_variance: float = field(default=0.0, kw_only=True)

    @classmethod
    def of(cls, factors: Factors, **more: Any) -> Self:
        """Return these vectors as this kind of factors; more: the fields that it has besides those of Factors."""
        return cls(**{part.name: getattr(factors, part.name) for part in fields(Factors)}, **more)

    @property
    def keeps_seen(self) -> bool:
        """Whether the items of a user's history are ranked too, where a question leaves that open."""
        return False

    @property
    def is_linear(self) -> bool:
        """True if scores are ratings."""
        return self.y_range is None and self.steps is None

    @property
    def n_factors(self) -> int:
        """The number of latent factors, without the bias."""
        return int(self.users.shape[1]) - 1

    def predict(self, user_codes: Codes, item_codes: Codes) -> Floats:
        """Predicted ratings of pairs, (n,). The code -1 is an unknown user or item, who gets the prior mean."""
        return self.ratings_at(self.pair_scores(self.users, user_codes, item_codes))

    def pair_scores(self, vectors: Floats, user_codes: Codes, item_codes: Codes) -> Floats:
        """Scores of pairs, (n,). vectors: (m, k) of the users that user_codes index; the code -1 is unknown."""
        users, user_codes = with_unknown(vectors, self.user_prior.mean, user_codes)
        items, item_codes = with_unknown(self.items, self.item_prior.mean, item_codes)
        return predict_pairs(users, items, user_codes, item_codes, bias=True, center=self.mean, scale=self.scale)

    def ratings_at(self, scores: Floats) -> Floats:
        """The predicted ratings at scores, of the same shape."""
        if self.steps is not None:
            return self.steps.expected(scores, self.score_variance).astype(scores.dtype)
        return scores if self.y_range is None else sigmoid_range(scores, *self.y_range)

    @property
    def span(self) -> float:
        """The width of the y_range or of the steps, 1 without them: the unit of rating errors in the loss."""
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
        """Second moments of user and of item vectors around their prior means, (k, k) each."""
        return second_moment(self.users, self.user_prior.mean), second_moment(self.items, self.item_prior.mean)

    @cached_property
    def item_least_squares(self) -> LeastSquares:
        """Least squares on the items' partners: scores of all items -> the user vector that fits them best."""
        return LeastSquares.on(as_partner(self.items))

    def unknown_variance(self, user_codes: Codes, item_codes: Codes, users: Floats | None = None) -> Doubles:
        """The variance that unknown users and items (code -1) add to ratings, (n,), in squared rating units.

        An unknown vector is taken to vary around the prior mean as the trained vectors do. users: the vectors that
        user_codes index, by default those of the model. With a y_range the variance is first order in the score. With
        steps it is the variance of the score.
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
        """Predicted ratings of every item for each user vector, (n, n_items)."""
        return self.ratings_at(self.raw_scores(vectors))

    def with_users(self, vectors: Floats, history: CompressedRows) -> Factors:  # noqa: ARG002
        """Return the same factors with other users, who have these vectors (m, k) and ratings."""
        return replace(self, users=vectors)

    def user_scores(self) -> Floats:
        """Predicted ratings, or scores to rank by, of every item for every user, (n_users, n_items)."""
        return self.scores(self.users)

    def raw_scores(self, vectors: Floats) -> Floats:
        """Scores of every item for each user vector, (n, n_items)."""
        scores: Floats = vectors[:, :-1] @ self.items[:, :-1].T
        scores += self.items[:, -1]
        scores += vectors[:, -1:]
        scores *= np.float32(self.scale)
        scores += np.float32(self.mean)
        return scores

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Fold in new users: their vectors, (n, k), from their ratings, with all items fixed."""
        if self.steps is not None:
            return expectation_maximization(self, histories)
        if not self.is_linear:
            return gauss_newton(self, histories)
        return self.user_prior.solve(histories, self.items, self.mean, self.scale)[0]

    def row_precision(self, n_ratings: int) -> Doubles:
        """Lambda + ridge I, (k, k): the prior precision of a user with n_ratings ratings, weight decay included."""
        prior = self.user_prior
        ridge = ridge_of_rows(np.array([n_ratings]), prior.ridge, prior.count_exponent)
        return prior.precision + (0.0 if ridge is None else float(ridge[0])) * np.eye(len(prior.mean))

    def partners(self, item_codes: Codes) -> Doubles:
        """The vectors [q, 1] of items, (n, k): their product with a user's [p, b] is the score less the item bias."""
        return as_partner(self.items[item_codes]).astype(np.float64)

    def linearised(self, histories: CompressedRows, vectors: Floats) -> CompressedRows:
        """Return ratings as targets and weights of a least-squares problem, linear around the users' present vectors.

        A rating r of weight w, at a score s with predicted rating f(s) and slope f'(s), becomes the target
        s + (r - f) / f' of weight w (f' scale / span)^2, in the units of Prior.solve(). Where scores are ratings,
        ratings are the targets. For ordered ratings the target is the mean of the latent variable behind each.
        """
        if self.is_linear:
            return histories
        if self.steps is not None:
            return replace(histories, values=self.latents(histories, vectors))
        codes = row_codes(histories)
        scores = self.pair_scores(vectors, codes, histories.indices)
        slopes: Floats = np.maximum(self.slopes_at(scores), np.float32(1e-6))
        error = (histories.values - self.ratings_at(scores)) / np.float32(self.span)
        targets = (scores + error / slopes).astype(np.float32)
        weights: Floats = np.square(slopes * np.float32(self.scale))
        if histories.weights is not None:
            weights *= histories.weights
        return CompressedRows(histories.indptr, histories.indices, targets, weights)

    def latents(self, histories: CompressedRows, vectors: Floats) -> Floats:
        """The mean of the latent variable behind each ordered rating, (n_ratings,), given the users' vectors."""
        assert self.steps is not None
        codes = row_codes(histories)
        root = np.float32(np.sqrt(self.user_prior.alpha) / self.scale)  # 1 / standard deviation of the latents
        scores = root * self.pair_scores(vectors, codes, histories.indices)
        cuts = root * self.steps.cuts.astype(np.float32)
        latents: Floats = expect_truncated(scores, self.steps.steps_of(histories.values), cuts) / root
        return latents

    def faded(self, fading: Fading) -> Factors:  # noqa: ARG002
        """Return factors that answer with this fading of events, whatever they learned with. Raise OptionError."""
        raise OptionError(NOT_FADED)

    @property
    def fades_by_age(self) -> bool:
        """True if these factors, or parts of them, weigh events by their age."""
        return False

    def transposed(self) -> Factors:
        """Return the same factors with users and items exchanged."""
        return self._exchanged()

    def _exchanged(self, **more: Any) -> Self:
        """Return both sides exchanged; more: other fields that a subclass exchanges."""
        return replace(
            self,
            users=self.items,
            items=self.users,
            user_prior=self.item_prior,
            item_prior=self.user_prior,
            **more,
        )


def sigmoid_range(scores: Floats, low: float, high: float) -> Floats:
    """Squash scores into a range: low + (high - low) / (1 + exp(-score)), of the same shape."""
    with np.errstate(over="ignore"):
        ranged = np.float32(low) + np.float32(high - low) / (np.float32(1) + np.exp(-scores))
    return ranged.astype(scores.dtype)


def expectation_maximization(factors: Factors, histories: CompressedRows) -> Floats:
    """Fold in users from ordered ratings: posterior modes, (n, k).

    Each step takes the expected latent variable behind every rating, then solves for the vectors that maximize.
    """
    x = np.tile(factors.user_prior.mean, (histories.n_rows, 1))
    for _ in range(N_EM_STEPS):
        linear = factors.linearised(histories, x)
        x = factors.user_prior.solve(linear, factors.items, factors.mean, factors.scale)[0]
    return x


def gauss_newton(factors: Factors, histories: CompressedRows, n_steps: int = 20) -> Floats:
    """Fold in users where a sigmoid turns scores into ratings: vectors (n, k) of minimum loss, by Gauss-Newton.

    The loss of a user is alpha sum_j w_j ((f(x . z_j) - r_j) / span)^2 + (x - m)' (Lambda + ridge I) (x - m).
    A step that does not lower it is halved.
    """
    x = np.tile(factors.user_prior.mean, (histories.n_rows, 1))
    loss = _losses(factors, histories, x)
    step_size = np.ones((len(x), 1), np.float32)  # of each row: 1 goes all the way to the linear problem's solution
    for _ in range(n_steps):
        linear = factors.linearised(histories, x)
        step = step_size * (factors.user_prior.solve(linear, factors.items, factors.mean, factors.scale)[0] - x)
        if np.abs(step).max(initial=0) < 1e-6:
            break
        new_loss = _losses(factors, histories, x + step)
        better = new_loss < loss
        x[better] += step[better]
        loss[better] = new_loss[better]
        step_size = np.where(better[:, None], np.minimum(2 * step_size, 1), step_size / 2).astype(np.float32)
    return x


def _losses(factors: Factors, histories: CompressedRows, x: Floats) -> Doubles:
    """The loss that gauss_newton() minimizes, of each row, (n,)."""
    prior = factors.user_prior
    codes = row_codes(histories)
    errors = factors.ratings_at(factors.pair_scores(x, codes, histories.indices)) - histories.values
    squares = (errors.astype(np.float64) / factors.span) ** 2 * (1 if histories.weights is None else histories.weights)
    from_mean = (x - prior.mean).astype(np.float64)
    ridge = ridge_of_rows(histories.counts, prior.ridge, prior.count_exponent)
    penalty = np.einsum("ni,ij,nj->n", from_mean, prior.precision, from_mean)
    penalty += 0 if ridge is None else ridge * np.sum(from_mean**2, axis=1)
    loss: Doubles = prior.alpha * np.bincount(codes, squares, minlength=len(x)) + penalty
    return loss


def with_unknown(vectors: Floats, unknown: Floats, codes: Codes) -> tuple[Floats, Codes]:
    """Return vectors with `unknown` (k,) as one more row, and codes in which -1 has become that row's code."""
    if len(codes) == 0 or codes.min() >= 0:
        return vectors, codes
    return np.vstack([vectors, unknown[None]]), np.where(codes < 0, len(vectors), codes).astype(np.int32)


def second_moment(vectors: Floats, center: Floats) -> Floats:
    """The mean of (x - center) (x - center)' over rows x, (k, k)."""
    total = np.zeros((len(center), len(center)))
    for rows in row_blocks(len(vectors)):  # all rows at once would take as much memory as they do
        centered = (vectors[rows] - center).astype(np.float64)
        total += centered.T @ centered
    return (total / len(vectors)).astype(np.float32)


def unknown_variance(
    users: Floats,
    user_codes: Codes,
    items: Floats,
    item_codes: Codes,
    user_covariance: Floats,
    item_covariance: Floats,
) -> Doubles:
    """The variance that unknown users and items (code -1) add to the score of pairs, (n,).

    The last row of users and of items is the mean m of an unknown one; its covariance C is (k, k):
    Var(x . y) = m_y' C_x m_y + m_x' C_y m_x + tr(C_x C_y), with C = 0 for a trained user or item.
    """
    no_user, no_item = user_codes < 0, item_codes < 0
    variance = np.zeros(len(user_codes))
    if no_user.any():
        variance[no_user] += _quadratic(as_partner(items[item_codes[no_user]]), user_covariance)
    if no_item.any():
        variance[no_item] += _quadratic(as_partner(users[user_codes[no_item]]), item_covariance)
    if (both := no_user & no_item).any():
        variance[both] += np.sum(user_covariance[:-1, :-1] * item_covariance[:-1, :-1])
    return variance


def as_partner(vectors: Floats) -> Floats:
    """[q, c] -> [q, 1], whose product with the other side's vector [p, b] is p . q + b; (..., k)."""
    partner = vectors.copy()
    partner[..., -1] = 1
    return partner


def _quadratic(vectors: Floats, matrix: Floats) -> Doubles:
    """The quadratic form x' M x of each row x, (n,)."""
    form: NDArray[np.float64] = np.einsum("ni,ij,nj->n", vectors, matrix, vectors, optimize=True)
    return form
