"""The Gibbs chain: one sweep step by step, and the noise of ratings.

A sweep draws the prior and the link of each side (`sides.py`); then all vectors, of items and then of users; then the
targets that the vectors are fitted to (`targets.py`); then the noise. A warm-up comes first: sweeps of ALS to the
posterior's mode, links included, which reach a good state much sooner than Gibbs sweeps do, and one draw.

Vectors and links lean on each other: given one, the other hardly moves, and a plain Gibbs chain takes many sweeps to
get away from where it was. So their draws are overrelaxed (Adler 1981): a draw lies on the other side of the mean of
its conditional, mean - a (before - mean) + sqrt(1 - a^2) noise. This leaves the distribution as it is, costs nothing,
and forgets in a third of the sweeps.

Predictions use the mean of each user's vector given the items, not its draw (Rao-Blackwell). Both have the same
expectation. The mean varies less, so that fewer sweeps give as good an average.

All ratings have the precision alpha, or with user noise alpha g_u, where g differs from user to user:

    r_ui ~ Normal(score, 1 / (alpha g_u)),    g_u ~ Gamma(A/2, rate = A/2),    alpha ~ Gamma(1, rate = 1)

So g is 1 on average, and with g integrated out the noise is Student's t with A degrees of freedom. Given the errors e
of a user's n ratings with weights w, g_u ~ Gamma((A + n) / 2, rate = (A + alpha sum w e^2) / 2).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, row_codes, rows_between
from palate.distributed.exchange import Exchange
from palate.distributed.half_sweeps import solve_rows
from palate.kernels import predict_pairs
from palate.kernels.threads import thread_pool
from palate.models.factors import Doubles, Floats
from palate.models.side_information import SideInfo
from palate.recipes.base import n_weighted
from palate.recipes.gibbs.by_feature import ByFeature
from palate.recipes.gibbs.sides import RELAXATION, Side
from palate.recipes.gibbs.targets import Targets

WARM_UP_SWEEPS = 6  # of ALS, before sampling
START = 0.1  # standard deviation of the vectors at the start
FREEDOM = 10.0  # A
MIN_USER_PRECISION = 1e-3
SIDES_AT_ONCE = 50_000, 100_000  # least ratings and most rows with which two threads draw both sides' priors at once


class Chain:
    """The state of the Gibbs sampler. Its targets are standardised ratings, or the latent scores of ordinal ones.

    side_infos: for "user" and "item", the features and F, as Side takes it, or None. time: draw effects of time.
    ordinal: ratings are ordered steps, not numbers. user_noise: each user's ratings have a precision of their own.
    on: the workers that draw the vectors.
    """

    STATE: ClassVar = ("targets", "users", "items", "noise", "user_means", "alpha", "errors", "rng")

    def __init__(
        self,
        ratings: Ratings,
        n_factors: int,
        seed: int,
        n_threads: int,
        side_infos: Mapping[str, tuple[SideInfo, CompressedRows | ByFeature] | None] | None = None,
        *,
        time: bool = False,
        ordinal: bool = False,
        user_noise: bool = False,
        on: Exchange | None = None,
    ) -> None:
        self.on = on
        self.targets = Targets(ratings, seed, n_threads, time=time, ordinal=ordinal)
        self.n_ratings = n_weighted(ratings)
        self.seed, self.n_threads = seed, n_threads
        self.threads = n_threads or os.cpu_count() or 1
        # One executor for the whole chain: making and ending one in each sweep is slow, and can lose a Ctrl-C.
        is_worth_it = self.n_ratings >= SIDES_AT_ONCE[0] and ratings.n_users + ratings.n_items <= SIDES_AT_ONCE[1]
        two_at_once = self.threads == 2 and is_worth_it
        self._second_thread = thread_pool(1) if two_at_once else None
        self.rng = np.random.Generator(np.random.Philox(seed))
        vectors = self.rng.standard_normal((ratings.n_users + ratings.n_items, n_factors + 1), np.float32)
        vectors *= np.float32(START)
        infos = side_infos or {}
        self.users = Side(ratings.by_user(), vectors[: ratings.n_users], infos.get("user"), seed, 0)
        self.items = Side(ratings.by_item(), vectors[ratings.n_users :], infos.get("item"), seed, 1)
        self.noise = UserNoise(_n_weighted_by_row(ratings.by_user())) if user_noise else None
        self.user_means = self.users.vectors  # of the users' vectors given the items
        self.alpha, self.errors = 1.0, float(self.n_ratings)  # errors: sum of w g e^2

    @property
    def center(self) -> float:
        """The rating, or for ordinal ratings the score, at which predict() is 0."""
        return self.targets.center

    @property
    def scale(self) -> float:
        """The unit of predict(), in ratings, or for ordinal ratings in scores."""
        return self.targets.scale

    @property
    def train_rmse(self) -> float:
        """RMSE of the current draw on the training ratings, on the rating scale."""
        return self.targets.train_rmse(self.errors / self.n_ratings)

    @property
    def predictive_alpha(self) -> float:
        """The precision of a rating at an unknown time around its score, in units of `scale`."""
        return self.targets.predictive_alpha(self.alpha)

    def warm_up(self) -> None:
        """Bring the vectors to where sampling starts: modes under a fixed prior, then one draw under the same prior.

        Modes lack the spread of the posterior. A precision drawn from them would be too large, and with a weak signal
        it takes a hundred sweeps to fall.
        """
        for _ in range(WARM_UP_SWEEPS):
            self.mode_sweep()
        for side in (self.items, self.users):
            side.draw_link(self.seed, 0, self.threads)
            self._solve(side, draw=True)
        self._draw_targets_and_noise(0)

    def mode_sweep(self) -> None:
        """One sweep of ALS: both sides to their most probable vectors and links under the fixed prior at the start."""
        for side in (self.items, self.users):
            self._solve(side, draw=False)
            side.set_link(self.threads)
        self.targets.expect(self.users.vectors, self.items.vectors, self.rng)
        if not self.targets.is_ordinal:
            self.alpha = self.n_ratings / max(self.errors, 1e-6 * self.n_ratings)

    def draw_sweep(self, number: int) -> None:
        """One Gibbs sweep: both sides' priors and links, then their vectors; then targets; then the noise."""
        self._draw_priors(number)
        self._solve(self.items, draw=True, sweep=number)
        errors = self._solve(self.users, draw=True, sweep=number)
        self._draw_targets_and_noise(number)
        if self.noise is not None:
            self.noise.draw(errors, self.alpha, self.rng)

    def _draw_targets_and_noise(self, number: int) -> None:
        """Draw the targets given both sides' vectors, then the precision alpha."""
        errors_of_targets = self.targets.draw(self.users.vectors, self.items.vectors, self.alpha, self.rng, number)
        self.errors = self.errors if errors_of_targets is None else errors_of_targets
        if not self.targets.is_ordinal:
            self.alpha = self.rng.gamma(self.n_ratings / 2 + 1) / (self.errors / 2 + 1)

    def _draw_priors(self, number: int) -> None:
        """Draw the prior and the link of both sides.

        A side's depend on its own vectors alone, so two threads take one side each; more take one after the other, as
        do those that have little to do, or rows so many that both sides' tables would be the peak of the memory.
        """
        if self._second_thread is None:
            for side in (self.items, self.users):
                side.draw_prior(self.seed, number, self.threads)
            return
        items = self._second_thread.submit(self.items.draw_prior, self.seed, number, 1)
        self.users.draw_prior(self.seed, number, 1)
        items.result()

    def predict(self, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]) -> Floats:
        """Mean scores of pairs given the current draw of the items, (n,), in units of `scale` from `center`."""
        users, items = self.user_means, self.items.vectors
        return predict_pairs(users, items, user_codes, item_codes, bias=True, n_threads=self.n_threads)

    def _solve(self, side: Side, *, draw: bool, sweep: int = 0) -> Doubles:
        """Draw the vectors of a side, or take their mode. Return the sum of w g e^2 of each row, (n_rows,)."""
        is_users = side is self.users
        other = self.items if is_users else self.users
        rows, center, scale = self.targets.of("user" if is_users else "item")
        means = np.empty_like(side.vectors) if is_users else None
        user_weights = None if self.noise is None else self.noise.weights
        side.vectors, errors = solve_rows(
            rows,
            other.vectors,
            on=self.on,
            precision=side.precision.astype(np.float32),
            mean=side.row_means,
            row_weights=user_weights if is_users else None,
            other_weights=None if is_users else user_weights,
            bias=True,
            center=center,
            scale=scale,
            alpha=self.alpha if draw else 1.0,
            draw=draw,
            previous=side.vectors if draw and sweep > 0 else None,
            relaxation=RELAXATION,
            seed=self.seed,
            sweep=sweep,
            stream=side.stream,
            errors=True,
            modes=means,
            n_threads=self.n_threads,
        )
        assert errors is not None
        self.user_means = self.user_means if means is None else means
        self.errors = float(errors.sum())
        return errors


def _n_weighted_by_row(rows: CompressedRows) -> NDArray[np.int64]:
    """The number of ratings with a weight above 0 of each row, (n_rows,)."""
    if rows.weights is None:
        return rows.counts
    counts = np.zeros(rows.n_rows, np.int64)
    for block, entries in zip(rows.plan.blocks, rows.plan.entries, strict=True):
        owners = row_codes(rows_between(rows, block))
        counts[block] = np.bincount(owners[rows.weights[entries] > 0], minlength=len(counts[block]))
    return counts


class UserNoise:
    """The state of the user noise: g, (n_users,), and the mean over kept draws of each user's noise variance.

    counts: the number of ratings of each user, (n_users,).
    """

    STATE: ClassVar = ("precisions", "_variances", "_n_kept", "_is_drawn")

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self._counts = counts
        self.precisions: Floats = np.ones(len(counts), np.float32)
        self._variances, self._n_kept = np.zeros(len(counts)), 0
        self._is_drawn = False

    @property
    def weights(self) -> Floats | None:
        """g, (n_users,); None before its first draw, when all are 1."""
        return self.precisions if self._is_drawn else None

    def draw(self, errors: Doubles, alpha: float, rng: np.random.Generator) -> None:
        """Draw g. errors: the sum of w g e^2 over each user's ratings, with the g before, (n_users,)."""
        squares = errors / self.precisions
        drawn = rng.gamma((FREEDOM + self._counts) / 2) / ((FREEDOM + alpha * squares) / 2)
        self.precisions = np.maximum(drawn, MIN_USER_PRECISION).astype(np.float32)
        self._is_drawn = True

    def keep(self, alpha: float) -> None:
        """Add the current draw to the mean."""
        self._variances += 1 / (alpha * self.precisions.astype(np.float64))
        self._n_kept += 1

    def levels(self, scale: float) -> Floats:
        """The standard deviation of each user's ratings around their scores, (n_users,), on the rating scale."""
        return (scale * np.sqrt(self._variances / max(self._n_kept, 1))).astype(np.float32)
