"""The Gibbs chain of Bayes: both sides' vectors and priors, the link from what is known of rows, the noise.

One sweep draws, for each side, its Normal's mean and precision, the link where there is one, then all of its vectors;
then the noise. A few sweeps to the mode come first: they reach a good place much sooner than draws do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, columns_from, rows_where
from palate.kernels import gram, predict_pairs, solve_rows
from palate.models.factors import Floats
from palate.models.side_information import SideInfo
from palate.recipes.base import n_weighted
from palate.recipes.gibbs.linking import Link
from palate.recipes.gibbs.noise import UserNoise
from palate.recipes.gibbs.targets import Targets
from palate.recipes.gibbs.thinning import Known, SideDraw

Doubles = NDArray[np.float64]

WARM_UP_PRECISION, WARM_UP_BIAS_PRECISION = 15.0, 5.0  # biases vary more than factors, and their spread mixes slowly


class Side:
    """The state of one side: its vectors, the Normal they come from, and what shifts that for each row.

    rows: the ratings of each row; stream: of its random numbers; attributes: the rows', where there are any.
    """

    def __init__(
        self,
        rows: CompressedRows,
        start: Floats,
        link: Link | None,
        stream: int,
        attributes: CompressedRows | None = None,
    ) -> None:
        self.rows, self.vectors, self.link, self.stream = rows, start, link, stream
        self.attributes = attributes
        self.counts = rows.counts
        self.rated = self.counts > 0
        k = start.shape[1]
        self.mean = np.zeros(k)
        self.precision = np.eye(k) * WARM_UP_PRECISION
        self.precision[-1, -1] = WARM_UP_BIAS_PRECISION

    @property
    def row_means(self) -> Floats:
        """What is expected of rows before their ratings: one mean (k,) for all, or (n, k) with a link."""
        mean = self.mean.astype(np.float32)
        return mean if self.link is None else mean + self.link.shift

    def draw_prior(self, rng: np.random.Generator, seed: int, sweep: int, n_threads: int) -> None:
        """The Normal given the rows, then the link; rows without ratings have nothing to say."""
        link = self.link
        if link is None:
            rated = self.vectors if self.rated.all() else self.vectors[self.rated]
            self.mean, self.precision = draw_normal_wishart(rated, rng, n_threads)
            return
        around = self.vectors - link.shift
        around = around if self.rated.all() else around[self.rated]
        scattered = (link.scatter(), len(link.beta)) if link.is_drawn else (0.0, 0)
        self.mean, self.precision = draw_normal_wishart(around, rng, n_threads, *scattered)
        link.draw(self.vectors, self.mean, self.precision, rng, seed=seed, sweep=sweep, stream=2 + self.stream)

    @property
    def known(self) -> Known:
        """The ratings of the rows, their attributes, and how many of these there are."""
        info = None if self.link is None else self.link.info
        return self.rows, self.attributes, 0 if info is None else info.n_features - info.n_history

    def drawn(self) -> SideDraw:
        """The present draw; the next one will be written into its link."""
        link = None if self.link is None else self.link.beta
        return SideDraw(self.vectors, self.mean.astype(np.float32), self.precision.astype(np.float32), link)


class Chain:
    """The state of the Gibbs sampler. Ratings are standardised inside, or replaced by what lies behind ordered ones.

    infos: for each side, "user" and "item", what is known of its rows and their matrix F, or None. time: with effects
    of the ratings' moments. ordinal: ratings are ordered steps and not numbers. user_noise: each user's ratings have a
    noise of their own.
    """

    def __init__(
        self,
        ratings: Ratings,
        n_factors: int,
        seed: int,
        n_threads: int,
        infos: dict[str, tuple[SideInfo, CompressedRows] | None] | None = None,
        *,
        time: bool = False,
        ordinal: bool = False,
        user_noise: bool = False,
    ) -> None:
        self.targets = Targets(ratings, seed, n_threads, time=time, ordinal=ordinal)
        self.n_ratings = n_weighted(ratings)
        self.seed, self.n_threads = seed, n_threads
        self.rng = np.random.Generator(np.random.Philox(seed))
        k = n_factors + 1
        start = self.rng.standard_normal((ratings.n_users + ratings.n_items, k), np.float32) * np.float32(0.1)
        rows = {"user": ratings.by_user(), "item": ratings.by_item()}
        links, attributes = {}, {}
        for side, info in (infos or {}).items():
            if info is not None:
                links[side] = _link_of_rated(*info, rows[side], k, n_threads)
                attributes[side] = _attributes_of(*info)
        user_start, item_start = start[: ratings.n_users], start[ratings.n_users :]
        self.users = Side(rows["user"], user_start, links.get("user"), 0, attributes.get("user"))
        self.items = Side(rows["item"], item_start, links.get("item"), 1, attributes.get("item"))
        counts = np.diff(ratings.by_user().indptr) if ratings.weights is None else _n_weighty(ratings.by_user())
        self.noise = UserNoise(counts) if user_noise else None
        self.alpha, self.errors = 1.0, float(self.n_ratings)

    @property
    def center(self) -> float:
        """The rating, or the score, that predict() measures from."""
        return self.targets.center

    @property
    def scale(self) -> float:
        """The unit of what predict() says."""
        return self.targets.scale

    @property
    def train_rmse(self) -> float:
        """RMSE of the present draw on the training ratings, on the rating scale."""
        return self.targets.train_rmse(self.errors / self.n_ratings)

    @property
    def alpha_now(self) -> float:
        """The precision of a rating at an unknown moment, in units of `scale`."""
        return self.targets.alpha_now(self.alpha)

    def mode_sweep(self) -> None:
        """Both sides to their most probable vectors under a fixed prior: one sweep of ALS."""
        self._solve(self.users, self.items, draw=False)
        self._solve(self.items, self.users, draw=False)
        self.targets.expect(self.users.vectors, self.items.vectors, self.rng)
        if not self.targets.is_ordinal:
            self.alpha = self.n_ratings / max(self.errors, 1e-6 * self.n_ratings)

    def draw_sweep(self, number: int) -> None:
        """One Gibbs sweep: each side's prior and link, then its rows; then what they are fitted to; then the noise."""
        for side, other in ((self.users, self.items), (self.items, self.users)):
            side.draw_prior(self.rng, self.seed, number, self.n_threads)
            errors = self._solve(side, other, draw=True, sweep=number)
            if side is self.users and self.noise is not None:
                self.noise.draw(errors, self.alpha, self.rng)
        left = self.targets.draw(self.users.vectors, self.items.vectors, self.alpha, self.rng, number)
        self.errors = self.errors if left is None else left
        if not self.targets.is_ordinal:
            self.alpha = self.rng.gamma(self.n_ratings / 2 + 1) / (self.errors / 2 + 1)

    def predict(self, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]) -> Floats:
        """Scores of pairs under the present draw, (n,), in units of `scale` around `center`."""
        users, items = self.users.vectors, self.items.vectors
        return predict_pairs(users, items, user_codes, item_codes, bias=True, n_threads=self.n_threads)

    def _solve(self, side: Side, other: Side, *, draw: bool, sweep: int = 0) -> Doubles:
        rows, center, scale = self.targets.of("user" if side is self.users else "item")
        user_weights = None if self.noise is None else self.noise.drawn
        side.vectors, errors = solve_rows(
            rows.indptr,
            rows.indices,
            rows.values,
            other.vectors,
            precision=side.precision.astype(np.float32),
            mean=side.row_means,
            weights=rows.weights,
            row_weights=user_weights if side is self.users else None,
            other_weights=None if side is self.users else user_weights,
            bias=True,
            center=center,
            scale=scale,
            alpha=self.alpha if draw else 1.0,
            draw=draw,
            seed=self.seed,
            sweep=sweep,
            stream=side.stream,
            errors=True,
            n_threads=self.n_threads,
        )
        assert errors is not None
        self.errors = float(errors.sum())
        return errors


def _link_of_rated(info: SideInfo, features: CompressedRows, rows: CompressedRows, k: int, n_threads: int) -> Link:
    """The link of a side: rows without ratings have nothing to say, and wait for strangers to speak for them."""
    return Link(info, rows_where(features, rows.counts > 0), k, n_threads)


def _attributes_of(info: SideInfo, features: CompressedRows) -> CompressedRows | None:
    """The attributes among the features of rows, those without ratings included; None where there are none."""
    return None if info.n_features == info.n_history else columns_from(features, info.n_history)


def _n_weighty(rows: CompressedRows) -> NDArray[np.int64]:
    """How many ratings of each row count, (n_rows,): those with a weight above 0."""
    assert rows.weights is not None
    owners = np.repeat(np.arange(rows.n_rows), rows.counts)
    return np.bincount(owners[rows.weights > 0], minlength=rows.n_rows)


def draw_normal_wishart(
    vectors: Floats,
    rng: np.random.Generator,
    n_threads: int = 0,
    scatter: Doubles | float = 0.0,
    n_scattered: int = 0,
) -> tuple[Doubles, Doubles]:
    """(m, Lambda) given the rows x_1..x_n, from Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k): (k,) and (k, k).

    With xbar and S the rows' mean and scatter (Salakhutdinov & Mnih 2008, equation 14):
    W^-1 = I + S + (beta0 n / (beta0 + n)) xbar xbar^T,  Lambda ~ Wishart(W, k + n),
    m ~ Normal(n xbar / (beta0 + n), ((beta0 + n) Lambda)^-1).
    scatter: of n_scattered more vectors around 0 that say something of Lambda and nothing of m (those of a link).
    """
    n, k = vectors.shape
    products, sums = gram(vectors, n_threads=n_threads)
    xbar = sums / max(n, 1)
    beta = 2.0 + n
    inverse_W = np.eye(k) + products - n * np.outer(xbar, xbar) + (2.0 * n / beta) * np.outer(xbar, xbar) + scatter
    # Bartlett: Lambda = C C^T with C = L^-T T, inverse_W = L L^T, T lower triangular.
    T = np.tril(rng.standard_normal((k, k)), -1)
    T[np.diag_indices(k)] = np.sqrt(rng.chisquare(k + n + n_scattered - np.arange(k)))
    C = np.linalg.solve(np.linalg.cholesky(inverse_W).T, T)
    mean = sums / beta + np.linalg.solve(C.T, rng.standard_normal(k)) / np.sqrt(beta)
    return mean, C @ C.T
