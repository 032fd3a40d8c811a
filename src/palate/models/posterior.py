"""The posterior of a Bayesian fit: S draws of users, items and hyperparameters, from which intervals come.

Under draw s a rating is center + scale (b_u + c_i + p_u . q_i) + Normal(0, scale^2 / alpha_s). A new user is folded in
under every draw: x ~ Normal(A^-1 h, A^-1) with A = Lambda + alpha sum_j w_j z_j z_j' and h = Lambda m + alpha sum_j
w_j t_j z_j, where z_j = [q_j, 1] and t_j is the rating less center and item bias, in units of scale.

Source: Salakhutdinov & Mnih (2008), Bayesian Probabilistic Matrix Factorization, equations 11 to 14.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, columns_from, row_codes, take_rows
from palate.kernels import draw_truncated, expect_truncated, multiply_rows, predict_pairs, solve_draws, solve_rows
from palate.models.cold_start import ColdStart
from palate.models.factors import (
    N_EM_STEPS,
    Codes,
    Doubles,
    Factors,
    Floats,
    as_partner,
    unknown_variance,
    with_unknown,
)
from palate.models.ordinal import OrderedSteps
from palate.showing.texts import Fielded

FEW = 4  # items, or columns of features, are few if there are so many times more
FEW_ROWS = 64  # that a kernel multiplies sooner than BLAS wakes its threads
MAX_AT_ONCE = 100_000  # scores of pairs under all draws, computed at once
LATENT_STREAM = 7  # of random numbers, for the latent variables of fold-in users


@dataclass(frozen=True, repr=False)
class SideSamples(Fielded):
    """One side of a posterior: S draws of its n vectors and of their Normal prior.

    Attributes:
        vectors (float32 array of shape (S, n, k)): Factors, then the bias.
        precision (float32 array of shape (S, k, k)): Lambda, the prior precision.
        mean (float32 array of shape (S, k)): The prior mean m, without features.
        cold_start (ColdStart): The prior of rows without ratings.
        link (float32 array of shape (S, n_features, k), default None): beta: with features f, the prior mean is
            m + f beta.
    """

    vectors: Floats
    precision: Floats
    mean: Floats
    cold_start: ColdStart
    link: Floats | None = None

    def select_draws(self, draws: NDArray[np.int64]) -> SideSamples:
        """Return some of the draws, by number."""
        return SideSamples(
            self.vectors[draws],
            self.precision[draws],
            self.mean[draws],
            self.cold_start.select_draws(draws),
            None if self.link is None else self.link[draws],
        )

    def means_of(self, s: int, features: CompressedRows | None) -> Floats:
        """The prior mean under draw s: (n, k), one for each row of features; (k,) without features or link."""
        mean: Floats = self.mean[s]
        if self.link is None or features is None:
            return mean
        link = np.ascontiguousarray(self.link[s])
        return mean + multiply_rows(features.indptr, features.indices, features.values, link)

    def means(self, features: CompressedRows | None) -> Floats:
        """The prior means under all draws: (S, n, k), or (S, k) without features or link."""
        if self.link is None or features is None:
            return self.mean
        n_draws, n_columns, k = self.link.shape
        if FEW * len(features.indices) > n_columns:
            return np.stack([self.means_of(s, features) for s in range(n_draws)])
        columns, at = np.unique(features.indices, return_inverse=True)
        side_by_side = self.link.take(columns, axis=1).swapaxes(0, 1).reshape(len(columns), n_draws * k)
        moves = multiply_rows(features.indptr, at.astype(np.int32), features.values, side_by_side)
        return self.mean[:, None] + np.ascontiguousarray(moves.reshape(-1, n_draws, k).swapaxes(0, 1))

    def prior_mean_variance(self, means: Floats) -> Doubles:
        """The variance of each row's prior mean over draws, (n,), relative to the prior variance of the row itself.

        v = tr(Lambda C) / k, where C is the covariance of means (S, n, k) over the draws; 0 for a single draw.
        """
        n_draws, _, k = means.shape
        centered = means - means.mean(axis=0)
        squares = np.sum(np.matmul(centered, self.precision) * centered, axis=(0, 2), dtype=np.float64)
        variance: Doubles = squares / (max(n_draws - 1, 1) * k)
        return variance

    def attributes_in(self, features: CompressedRows | None) -> CompressedRows | None:
        """The attribute columns of a feature matrix F, which cold-start rows have too; None without attributes."""
        if features is None or self.link is None or self.cold_start.link is None:
            return None
        return columns_from(features, self.link.shape[1] - self.cold_start.link.shape[1])


@dataclass(frozen=True, repr=False)
class Posterior(Fielded):
    """S draws from the posterior, in units of `scale` around `center`.

    Attributes:
        center (float): The global mean of ratings (of the latent variable, for ordered ratings).
        scale (float): Rating units in one unit of factors and biases.
        alpha (float32 array of shape (S,)): Precision of the noise, in units of scale.
        users (SideSamples): Draws of the users.
        items (SideSamples): Draws of the items.
        steps (OrderedSteps, default None): The rating steps of an ordered probit; the draws are of the latent variable.
        cuts (float32 array of shape (S, K - 1), default None): The cut points between steps, under each draw.
    """

    center: float
    scale: float
    alpha: Floats
    users: SideSamples
    items: SideSamples
    steps: OrderedSteps | None = None
    cuts: Floats | None = None

    def __len__(self) -> int:
        return len(self.alpha)

    def select_draws(self, draws: NDArray[np.int64]) -> Posterior:
        """Return the posterior with some of its draws, by number."""
        users, items = self.users.select_draws(draws), self.items.select_draws(draws)
        cuts = None if self.cuts is None else self.cuts[draws]
        return replace(self, alpha=self.alpha[draws], users=users, items=items, cuts=cuts)

    def vectors_of_users(self, codes: NDArray[np.int32]) -> Floats:
        """Return the vectors of trained users under each draw, (S, m, k)."""
        return self.users.vectors[:, codes]

    @property
    def noise(self) -> float:
        """Standard deviation of a rating around its score, in rating units, averaged over draws."""
        return float(self.scale * np.sqrt(np.mean(1.0 / self.alpha)))

    def transposed(self) -> Posterior:
        """Return the posterior with users and items exchanged."""
        return replace(self, users=self.items, items=self.users)

    def solve(
        self,
        histories: CompressedRows,
        features: CompressedRows | None = None,
        *,
        draw: bool,
        start: Floats | None = None,
        seed: int = 0,
        n_threads: int = 0,
    ) -> Floats:
        """Vectors of users under each draw of items and link, (S, n, k): modes, or random draws.

        features: the matrix F of the users, if the model has a link. start: vectors (S, n, k) from before a few ratings
        changed; for ordered ratings it takes fewer steps from there.
        """
        posterior, near = self._with_rated_items(histories)
        vectors = posterior._solve_draws(near, self.users.means(features), draw, start, seed, n_threads)
        return self._with_cold_start(vectors, histories, features, draw=draw, seed=seed)

    def solve_new(self, histories: CompressedRows, features: CompressedRows | None = None) -> Floats:
        """Fold in new users: the modes of their vectors under each draw, (S, n, k)."""
        means = self.users.means(features)
        posterior, near = self._with_rated_items(self.weight_new(histories, means))
        vectors = posterior._solve_draws(near, means, draw=False)
        return self._with_cold_start(vectors, histories, features, draw=False)

    def _with_rated_items(self, histories: CompressedRows) -> tuple[Posterior, CompressedRows]:
        """The posterior with only the items in the histories, where these are few, and the histories in their codes.

        A kernel prepares all items that it is given: to fold in one user should not cost as much as there are items.
        """
        if FEW * len(histories.indices) > self.items.vectors.shape[1]:
            return self, histories
        codes, at = np.unique(histories.indices, return_inverse=True)
        items = replace(self.items, vectors=self.items.vectors.take(codes, axis=1))
        return replace(self, items=items), replace(histories, indices=at.astype(np.int32))

    def weight_new(self, histories: CompressedRows, means: Floats) -> CompressedRows:
        """Return ratings of new users weighted for the uncertainty of their prior means, (S, n, k) or (S, k).

        A new user's prior mean is uncertain, because the link was sampled from other users' ratings. With the link
        integrated out, a vector lies around its prior mean as Normal(0, (1 + v) Lambda^-1), where v is
        prior_mean_variance(). The mode is then the same as with Lambda and ratings of weight 1 + v. Random draws need
        no such weights: each draw uses its own link, and links differ between draws.
        """
        if means.ndim == 2:
            return histories
        weights = np.repeat(1 + self.users.prior_mean_variance(means), histories.counts)
        if histories.weights is not None:
            weights *= histories.weights
        return replace(histories, weights=weights.astype(np.float32))

    def _solve_draws(
        self,
        histories: CompressedRows,
        means: Floats,
        draw: bool,
        start: Floats | None = None,
        seed: int = 0,
        n_threads: int = 0,
    ) -> Floats:
        """User vectors under each draw, (S, n, k): modes, or random draws. means: (S, n, k) or (S, k)."""
        if self.steps is None:
            return solve_draws(
                histories.indptr,
                histories.indices,
                histories.values,
                self.items.vectors,
                precisions=self.users.precision,
                means=means,
                alphas=self.alpha,
                weights=histories.weights,
                center=self.center,
                scale=self.scale,
                draw=draw,
                seed=seed,
                stream=2,
                n_threads=n_threads,
            )
        steps = self.steps.steps_of(histories.values)
        starts = [None] * len(self) if start is None else start
        solvers = [
            _OrderedSolver(self, s, mean, seed, n_threads, begin)
            for s, (mean, begin) in enumerate(zip(means, starts, strict=True))
        ]
        return np.stack([solver.solve(histories, steps, draw=draw) for solver in solvers])

    def _with_cold_start(
        self, vectors: Floats, histories: CompressedRows, features: CompressedRows | None, *, draw: bool, seed: int = 0
    ) -> Floats:
        """Vectors (S, n, k) in which rows without ratings are cold-start prior means, or draws from that prior."""
        is_cold = histories.counts == 0
        if not is_cold.any():
            return vectors
        cold, cold_start = np.flatnonzero(is_cold), self.users.cold_start
        attributes = self.users.attributes_in(features)
        attributes = None if attributes is None else take_rows(attributes, cold)
        for s in range(len(self)):
            rows = (s, attributes, len(cold))
            vectors[s, cold] = cold_start.draws(*rows, seed) if draw else cold_start.means(*rows)
        return vectors

    def predict(self, vectors: Floats, row_codes: Codes, item_codes: Codes) -> tuple[NDArray[np.float64], ...]:
        """Posterior mean and variance of the scores of pairs, (n,) each, noise not included.

        vectors: (S, m, k), the vectors of m users under each draw; row_codes index m. The code -1 is an unknown user or
        item, with the mean and covariance of the cold-start prior.
        """
        total = np.zeros(len(row_codes))
        squares = np.zeros(len(row_codes))
        prior_variance = np.zeros(len(row_codes))
        users = _few_rows(vectors, row_codes)
        items = _few_rows(self.items.vectors, item_codes)
        is_known = len(row_codes) == 0 or min(row_codes.min(), item_codes.min()) >= 0
        if is_known and len(self) * len(row_codes) <= MAX_AT_ONCE:
            scores = _scores_under_draws(*users, *items).astype(np.float64)
            total, squares = np.add.reduce(scores), np.add.reduce(scores**2)
        else:
            for s in range(len(self)):
                scores, variance = self._unknown_too(s, (users[0][s], users[1]), (items[0][s], items[1]))
                total += scores
                squares += scores**2
                prior_variance += variance
        mean = total / len(self)
        variance = _sample_variance(squares, mean, len(self)) + prior_variance / len(self)
        return self.center + self.scale * mean, self.scale**2 * variance

    def _unknown_too(self, s: int, users: tuple[Floats, Codes], items: tuple[Floats, Codes]) -> tuple[Doubles, Doubles]:
        """Scores of pairs under draw s, and what unknown rows (code -1) add to their variance, (n,) each."""
        user_rows, user_at = with_unknown(users[0], self.users.cold_start.mean[s], users[1])
        item_rows, item_at = with_unknown(items[0], self.items.cold_start.mean[s], items[1])
        scores = predict_pairs(user_rows, item_rows, user_at, item_at, bias=True).astype(np.float64)
        covariances = self.users.cold_start.covariance[s], self.items.cold_start.covariance[s]
        return scores, unknown_variance(user_rows, users[1], item_rows, items[1], *covariances)

    def score_variance(self, vectors: Floats) -> Floats:
        """Posterior variance of the score of every item, (m, n_items), for m users with vectors (S, m, k)."""
        total = np.zeros((vectors.shape[1], self.items.vectors.shape[1]), np.float32)
        squares = np.zeros_like(total)
        for s in range(len(self)):
            scores = _scores(vectors[s], self.items.vectors[s])
            total += scores
            squares += scores**2
        variance: Floats = _sample_variance(squares, total / np.float32(len(self)), len(self))
        return variance * np.float32(self.scale**2)

    def draw_scores(self, vectors: Floats, s: int) -> Floats:
        """Scores of every item under draw s, (m, n_items), for user vectors (m, k)."""
        return _scores(vectors, self.items.vectors[s]) * np.float32(self.scale) + np.float32(self.center)

    def projection(self, factors: Factors) -> Projection:
        """The map from user vectors under each draw to one vector beside the distilled item factors."""
        to_users = factors.item_least_squares
        weight = self.scale / factors.scale / len(self)
        maps = np.stack([weight * to_users(as_partner(items)) for items in self.items.vectors])
        item_bias = self.items.vectors[:, :, -1].mean(axis=0, dtype=np.float64)
        offset = to_users((self.center + self.scale * item_bias - factors.mean) / factors.scale - factors.items[:, -1])
        return Projection(offset.astype(np.float32), maps.astype(np.float32))


N_GIBBS_STEPS = 6  # Gibbs steps from the mode, for ordered ratings
N_WARM_EM_STEPS = 4  # steps to the mode from a start that few ratings have changed
N_WARM_GIBBS_STEPS = 2  # Gibbs steps from there


@dataclass(frozen=True)
class _OrderedSolver:
    """Solves for user vectors under draw s from ordered ratings. means: prior means, (n, k) or (k,)."""

    posterior: Posterior
    s: int
    means: Floats
    seed: int = 0
    n_threads: int = 0
    start: Floats | None = None  # (n, k), from before few ratings changed

    def _solve_latents(self, histories: CompressedRows, *, draw: bool, turn: int) -> Floats:
        """User vectors, (n, k), from latents: modes, or random draws. turn: the number of the Gibbs step."""
        posterior, s = self.posterior, self.s
        return solve_rows(
            histories.indptr,
            histories.indices,
            histories.values,
            posterior.items.vectors[s],
            precision=posterior.users.precision[s],
            mean=self.means,
            weights=histories.weights,
            bias=True,
            center=posterior.center,
            scale=posterior.scale,
            alpha=float(posterior.alpha[s]),
            draw=draw,
            seed=self.seed,
            sweep=s + turn * len(posterior),
            stream=2,
            n_threads=self.n_threads,
        )[0]

    def solve(self, histories: CompressedRows, steps: NDArray[np.uint8], *, draw: bool) -> Floats:
        """User vectors from ordered ratings, (n, k); steps: the number of each rating's step.

        Expectation and maximization find the mode. A random draw then takes Gibbs steps from there, or at once from
        `start`.
        """
        assert self.posterior.cuts is not None
        rows = row_codes(histories)
        root = float(np.sqrt(self.posterior.alpha[self.s]))
        cuts = self.posterior.cuts[self.s] * np.float32(root)
        vectors = np.tile(self.means, (histories.n_rows, 1)) if self.means.ndim == 1 else self.means
        n_em_steps, n_gibbs_steps = N_EM_STEPS, N_GIBBS_STEPS if draw else 0
        if self.start is not None:
            vectors, n_em_steps, n_gibbs_steps = (
                self.start,
                0 if draw else N_WARM_EM_STEPS,
                N_WARM_GIBBS_STEPS if draw else 0,
            )
        for turn in range(n_em_steps + n_gibbs_steps):
            is_gibbs = turn >= n_em_steps
            items = self.posterior.items.vectors[self.s]
            scores = predict_pairs(vectors, items, rows, histories.indices, bias=True, scale=root)
            if is_gibbs:
                sweep = self.s + turn * len(self.posterior)
                latents = draw_truncated(scores, steps, cuts, seed=self.seed, sweep=sweep, stream=LATENT_STREAM)
            else:
                latents = expect_truncated(scores, steps, cuts)
            targets = replace(histories, values=latents / np.float32(root))
            vectors = self._solve_latents(targets, draw=is_gibbs, turn=turn)
        return vectors


@dataclass(frozen=True)
class Projection:
    """x = offset + sum_s maps_s x_s: one user vector whose scores are nearest to the mean scores over draws.

    The fit is least squares over all items. offset: (k,); maps: (S, k, k_s).
    """

    offset: Floats
    maps: Floats

    def __call__(self, vectors: Floats) -> Floats:
        """User vectors (m, k) from the vectors under each draw, (S, m, k_s)."""
        return self.shift(vectors) + self.offset

    def cold_start_step(self, posterior: Posterior, mean: Floats) -> Floats:
        """What a cold-start user has besides the projection, (k,), if the mean of such users is this (k,)."""
        step: Floats = mean - self(posterior.users.cold_start.mean[:, None])[0]
        return step

    def shift(self, vectors: Floats) -> Floats:
        """The change of user vectors, (m, k), from the change of the vectors under each draw, (S, m, k_s)."""
        flat = vectors.swapaxes(0, 1).reshape(vectors.shape[1], -1)
        if len(flat) > FEW_ROWS:
            projected: Floats = flat @ self._stacked
            return projected
        columns = np.tile(np.arange(flat.shape[1], dtype=np.int32), len(flat))
        indptr = flat.shape[1] * np.arange(len(flat) + 1, dtype=np.int64)
        return multiply_rows(indptr, columns, flat.ravel(), self._stacked)

    @cached_property
    def _stacked(self) -> Floats:
        """The maps one below the other, (S k_s, k)."""
        return np.ascontiguousarray(self.maps.swapaxes(1, 2)).reshape(-1, self.maps.shape[1])

    def part(self, s: int, vectors: Floats) -> Floats:
        """What the vectors under draw s, (m, k_s), add to user vectors, (m, k)."""
        added: Floats = vectors @ self.maps[s].T
        return added


def _few_rows(vectors: Floats, codes: Codes) -> tuple[Floats, Codes]:
    """Only the rows of vectors (S, n, k) with these codes, where they are few, and the codes among them; -1 stays."""
    if FEW * len(codes) > vectors.shape[1]:
        return vectors, codes
    rows = vectors.take(np.maximum(codes, 0), axis=1)
    return rows, np.where(codes < 0, -1, np.arange(len(codes))).astype(np.int32)


def _scores_under_draws(users: Floats, user_codes: Codes, items: Floats, item_codes: Codes) -> Floats:
    """The scores of pairs under each draw, (S, n), for users (S, m, k) and items (S, n_items, k), in one call."""
    draws = np.arange(len(users), dtype=np.int32)[:, None]
    (x, y), k = (np.ascontiguousarray(rows) for rows in (users, items)), users.shape[2]
    user_at = (draws * users.shape[1] + user_codes).ravel()
    item_at = (draws * items.shape[1] + item_codes).ravel()
    return predict_pairs(x.reshape(-1, k), y.reshape(-1, k), user_at, item_at, bias=True).reshape(len(users), -1)


def _scores(vectors: Floats, items: Floats) -> Floats:
    """The scores b + c + p . q of all pairs, (m, n_items)."""
    scores: Floats = vectors[:, :-1] @ items[:, :-1].T + (vectors[:, -1:] + items[:, -1])
    return scores


def _sample_variance(squares: Any, mean: Any, count: int) -> Any:
    """The unbiased variance of `count` draws, from the sum of their squares and their mean."""
    return np.maximum(squares / count - mean**2, 0) * (count / max(count - 1, 1))
