"""The posterior: what a Bayesian fit does not know. Draws of both sides, from which intervals come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, columns_from, row_codes
from palate.kernels import draw_truncated, expect_truncated, multiply_rows, predict_pairs, solve_rows
from palate.models.cold_start import ColdStart
from palate.models.factors import (
    N_EXPECTED,
    Codes,
    Doubles,
    Factors,
    Floats,
    as_partner,
    unknown_variance,
    with_unknown,
)
from palate.models.ordinal import OrderedSteps

LATENT_STREAM = 7  # of the random numbers of the latents of people never seen


@dataclass(frozen=True)
class SideSamples:
    """One side of a posterior: S draws of its vectors and of the Normal they came from.

    vectors: (S, n, k); precision: (S, k, k); mean: (S, k); link: (S, n_features, k), by which what is known of a row
    moves its mean. strangers: what to expect of rows without ratings.
    """

    vectors: Floats
    precision: Floats
    mean: Floats
    cold_start: ColdStart
    link: Floats | None = None

    def select_draws(self, draws: NDArray[np.int64]) -> SideSamples:
        """Some of the draws only."""
        return SideSamples(
            self.vectors[draws],
            self.precision[draws],
            self.mean[draws],
            self.cold_start.select_draws(draws),
            None if self.link is None else self.link[draws],
        )

    def means_of(self, s: int, features: CompressedRows | None) -> Floats:
        """What draw s expects of rows before their ratings: (n, k) where features say more of each, else (k,)."""
        mean: Floats = self.mean[s]
        if self.link is None or features is None:
            return mean
        link = np.ascontiguousarray(self.link[s])
        return mean + multiply_rows(features.indptr, features.indices, features.values, link)

    def means(self, features: CompressedRows | None) -> Floats:
        """What each draw expects of rows before their ratings: (S, n, k), or (S, k) where nothing says more of each."""
        if self.link is None or features is None:
            return self.mean
        return np.stack([self.means_of(s, features) for s in range(len(self.mean))])

    def prior_mean_variance(self, means: Floats) -> Doubles:
        """By how much the draws differ about what they expect of rows, (n,); 1 is as much as rows lie around it.

        v = tr(Lambda C) / k with C the covariance of means (S, n, k) over the draws; 0 for one draw alone.
        """
        n_draws, _, k = means.shape
        around = means - means.mean(axis=0)
        squares = np.sum(np.matmul(around, self.precision) * around, axis=(0, 2), dtype=np.float64)
        score_variance: Doubles = squares / (max(n_draws - 1, 1) * k)
        return score_variance

    def attributes_in(self, features: CompressedRows | None) -> CompressedRows | None:
        """The attributes' columns of a matrix F, which strangers have; None where there are none."""
        if features is None or self.link is None or self.cold_start.link is None:
            return None
        return columns_from(features, self.link.shape[1] - self.cold_start.link.shape[1])


@dataclass(frozen=True)
class Posterior:
    """Draws from the posterior, in units of `scale` around `center`: rating = center + scale * (b + c + p.q) + noise.

    alpha: (S,) the noise's precision in those units. steps: of ordered ratings, where the draws are of the latent
    liking behind each; cuts: (S, K - 1) the cut points between the steps under each draw.
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
        """The same with some of its draws only."""
        users, items = self.users.select_draws(draws), self.items.select_draws(draws)
        cuts = None if self.cuts is None else self.cuts[draws]
        return replace(self, alpha=self.alpha[draws], users=users, items=items, cuts=cuts)

    @property
    def noise(self) -> float:
        """Standard deviation of a rating around what was expected, on the rating scale."""
        return float(self.scale * np.sqrt(np.mean(1.0 / self.alpha)))

    def transposed(self) -> Posterior:
        """The same posterior with users and items exchanged."""
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
        """Vectors of users given each draw of the items and of the link: (S, n, k), the most probable ones or draws.

        features: the matrix F of what is known of them, where there is a link. start: where they were before a few of
        their ratings changed, (S, n, k): where ratings are ordered, the way from there is shorter.
        """
        given = [
            _Given(self, s, mean, seed, n_threads, None if start is None else start[s])
            for s, mean in enumerate(self.users.means(features))
        ]
        return self._with_cold_start(
            self._solved(given, histories, draw=draw), histories, features, draw=draw, seed=seed
        )

    def solve_new(self, histories: CompressedRows, features: CompressedRows | None = None) -> Floats:
        """The most probable vectors of users never seen, given each draw of the items: (S, n, k)."""
        means = self.users.means(features)
        given = [_Given(self, s, mean) for s, mean in enumerate(means)]
        vectors = self._solved(given, self.weight_new(histories, means), draw=False)
        return self._with_cold_start(vectors, histories, features, draw=False)

    def weight_new(self, histories: CompressedRows, means: Floats) -> CompressedRows:
        """Ratings of users never seen, weighed against means (S, n, k) or (S, k) that a link makes expect of them.

        The link was drawn from the ratings of others and is in doubt itself. With it integrated out a row lies around
        its mean as Normal(0, (1 + v) Lambda^-1), v being that doubt; for the mode this is the same as ratings that
        count 1 + v times. A draw needs none of it: it takes the link of its draw, and between draws that differs.
        """
        if means.ndim == 2:
            return histories
        weights = np.repeat(1 + self.users.prior_mean_variance(means), histories.counts)
        if histories.weights is not None:
            weights *= histories.weights
        return replace(histories, weights=weights.astype(np.float32))

    def _solved(self, given: list[_Given], histories: CompressedRows, *, draw: bool) -> Floats:
        if self.steps is None:
            return np.stack([person.solve(histories, draw=draw) for person in given])
        steps = self.steps.steps_of(histories.values)
        return np.stack([person.solve_ordered(histories, steps, draw=draw) for person in given])

    def _with_cold_start(
        self, vectors: Floats, histories: CompressedRows, features: CompressedRows | None, *, draw: bool, seed: int = 0
    ) -> Floats:
        """Vectors (S, n, k) where those without ratings are what is expected of strangers, or draws of them."""
        strange = histories.counts == 0
        if not strange.any():
            return vectors
        among, attributes = self.users.cold_start, self.users.attributes_in(features)
        for s in range(len(self)):
            expected = (s, attributes, histories.n_rows)
            vectors[s, strange] = (among.draws(*expected, seed) if draw else among.means(*expected))[strange]
        return vectors

    def predict(self, vectors: Floats, row_codes: Codes, item_codes: Codes) -> tuple[NDArray[np.float64], ...]:
        """Mean and variance of the expected rating of pairs, (n,) each, noise not included.

        vectors: (S, m, k), a draw of m users under each draw of the items; row_codes index m. The code -1 is somebody
        or something unknown, who adds the spread of the prior.
        """
        total = np.zeros(len(row_codes))
        squares = np.zeros(len(row_codes))
        score_variance = np.zeros(len(row_codes))
        for s in range(len(self)):
            users, user_at = with_unknown(vectors[s], self.users.cold_start.mean[s], row_codes)
            items, item_at = with_unknown(self.items.vectors[s], self.items.cold_start.mean[s], item_codes)
            expected = predict_pairs(users, items, user_at, item_at, bias=True).astype(np.float64)
            total += expected
            squares += expected**2
            spreads = self.users.cold_start.covariance[s], self.items.cold_start.covariance[s]
            score_variance += unknown_variance(users, row_codes, items, item_codes, *spreads)
        mean = total / len(self)
        variance = _sample_variance(squares, mean, len(self)) + score_variance / len(self)
        return self.center + self.scale * mean, self.scale**2 * variance

    def score_variance(self, vectors: Floats) -> Floats:
        """Variance of the expected rating of every item for users drawn as vectors (S, m, k): (m, n_items)."""
        total = np.zeros((vectors.shape[1], self.items.vectors.shape[1]), np.float32)
        squares = np.zeros_like(total)
        for s in range(len(self)):
            scores = _scores(vectors[s], self.items.vectors[s])
            total += scores
            squares += scores**2
        variance: Floats = _sample_variance(squares, total / np.float32(len(self)), len(self))
        return variance * np.float32(self.scale**2)

    def draw_scores(self, vectors: Floats, s: int) -> Floats:
        """Scores of every item under draw s, for user vectors (m, k): (m, n_items)."""
        return _scores(vectors, self.items.vectors[s]) * np.float32(self.scale) + np.float32(self.center)

    def projection(self, factors: Factors) -> Projection:
        """How user vectors of each draw become one vector under the distilled items."""
        inverse = factors.item_inverse
        maps = np.stack(
            [self.scale / factors.scale / len(self) * (inverse @ as_partner(items)) for items in self.items.vectors]
        )
        item_bias = self.items.vectors[:, :, -1].mean(axis=0, dtype=np.float64)
        offset = inverse @ (
            (self.center + self.scale * item_bias - factors.mean) / factors.scale - factors.items[:, -1]
        )
        return Projection(offset.astype(np.float32), maps.astype(np.float32))


N_DRAWN = 6  # draws on from the mode, where ratings are ordered
N_EXPECTED_ON, N_DRAWN_ON = 4, 2  # steps to the mode, or steps of Gibbs, from where few ratings ago it was


@dataclass(frozen=True)
class _Given:
    """Users never seen, given draw s of the items and what is expected of the users, (n, k) or (k,)."""

    posterior: Posterior
    s: int
    means: Floats
    seed: int = 0
    n_threads: int = 0
    start: Floats | None = None  # (n, k), where ratings are ordered and only a few of them have changed

    def solve(self, histories: CompressedRows, *, draw: bool, turn: int = 0) -> Floats:
        """Their vectors, (n, k): the most probable ones or draws."""
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

    def solve_ordered(self, histories: CompressedRows, steps: NDArray[np.uint8], *, draw: bool) -> Floats:
        """The same where ratings are ordered steps: by expectation and maximization, then by Gibbs from there.

        From a start by one or the other.
        """
        assert self.posterior.cuts is not None
        rows = row_codes(histories)
        root = float(np.sqrt(self.posterior.alpha[self.s]))
        cuts = self.posterior.cuts[self.s] * np.float32(root)
        vectors = np.tile(self.means, (histories.n_rows, 1)) if self.means.ndim == 1 else self.means
        n_expected, n_drawn = N_EXPECTED, N_DRAWN if draw else 0
        if self.start is not None:
            vectors, n_expected, n_drawn = self.start, 0 if draw else N_EXPECTED_ON, N_DRAWN_ON if draw else 0
        for turn in range(n_expected + n_drawn):
            drawing = turn >= n_expected
            items = self.posterior.items.vectors[self.s]
            scores = predict_pairs(vectors, items, rows, histories.indices, bias=True, scale=root)
            if drawing:
                sweep = self.s + turn * len(self.posterior)
                latents = draw_truncated(scores, steps, cuts, seed=self.seed, sweep=sweep, stream=LATENT_STREAM)
            else:
                latents = expect_truncated(scores, steps, cuts)
            targets = replace(histories, values=latents / np.float32(root))
            vectors = self.solve(targets, draw=drawing, turn=turn)
        return vectors


@dataclass(frozen=True)
class Projection:
    """x = offset + sum_s maps_s x_s: the least-squares fit, over all items, to the mean of the draws' scores.

    offset: (k,); maps: (S, k, k_s).
    """

    offset: Floats
    maps: Floats

    def __call__(self, vectors: Floats) -> Floats:
        """One vector (m, k) for each user from the vectors under each draw, (S, m, k_s)."""
        return self.shift(vectors) + self.offset

    def shift(self, vectors: Floats) -> Floats:
        """By how much that vector moves with the vectors under each draw: (m, k) from (S, m, k_s)."""
        projected: Floats = np.einsum("skj,smj->mk", self.maps, vectors, optimize=True)
        return projected


def _scores(vectors: Floats, items: Floats) -> Floats:
    scores: Floats = vectors[:, :-1] @ items[:, :-1].T + (vectors[:, -1:] + items[:, -1])
    return scores


def _sample_variance(squares: Any, mean: Any, count: int) -> Any:
    """Unbiased variance of `count` draws from the sum of their squares and their mean."""
    return np.maximum(squares / count - mean**2, 0) * (count / max(count - 1, 1))
