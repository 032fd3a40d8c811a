"""Bayes: Bayesian probabilistic matrix factorization (Salakhutdinov & Mnih, ICML 2008) by Gibbs sampling.

    r_ui ~ Normal(mean + b_u + c_i + p_u . q_i, 1/alpha),  [p_u, b_u] ~ Normal(m, Lambda^-1),  likewise the items,
    (m, Lambda) ~ Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k)

Weight decay, learning rate and the number of epochs are integrated over instead of tuned. A few sweeps to the mode come
first, since they reach a good place much sooner than draws do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.factors import Factors, Floats, Prior, second_moment
from palate.kernels import gram, predict_pairs, solve_rows
from palate.posterior import Posterior, SideSamples
from palate.ratings import CompressedRows, Ratings
from palate.solvers.base import (
    MAX_SEED,
    Monitor,
    Recipe,
    Trained,
    center_and_scale,
    check_counts,
    compress_both,
    n_weighted,
)
from palate.solvers.distilling import Distiller
from palate.solvers.timing import Timing

Doubles = NDArray[np.float64]

WARM_UP_SWEEPS = 6
WARM_UP_PRECISION = 15.0
BURN_IN = 2  # draws left out before averaging
MAX_SWEEPS = 400
MANY_RATINGS = 300_000  # from here on 31 factors pay; below, 15 are as good
SERVED_RANK = 31  # rank the draws are distilled to, unless more factors are asked for


@dataclass(frozen=True)
class Bayes(Recipe):
    """Bayesian matrix factorization: nothing to tune, intervals included.

    n_factors: latent factors of each draw; None chooses 15, or 31 from 300,000 ratings on. The average over draws needs
    more than one draw has: rec.n_factors is 2 n_factors + 1 up to 31, or n_factors above that. n_sweeps: Gibbs sweeps;
    None stops when more would no longer change predictions. n_samples: at most this many draws are kept for intervals.
    time: also learn what ratings owe to their moments (sessions of users, days, drifting items), which needs times;
    None is False. seed: same seed, same machine, same bytes, at any n_threads (0: all cores). Raises OptionError for
    values that make no sense.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> rec = palate.Bayes(n_sweeps=20).fit(ratings)
    >>> rec.n_factors
    31
    """

    n_factors: int | None = None
    n_sweeps: int | None = None
    n_samples: int = 32
    time: bool | None = None
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_counts(1, n_factors=self.n_factors, n_sweeps=self.n_sweeps)
        check_counts(2, n_samples=self.n_samples)
        check_counts(n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        if self.time not in (None, True, False):
            raise OptionError(f"time must be True, False or None, got {self.time!r}.")

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        n_factors = self.n_factors or (31 if len(ratings) >= MANY_RATINGS else 15)
        if self.time and ratings.times is None:
            raise OptionError('time=True needs times, which these ratings have none of: palate.read(..., time="...").')
        chain = _Chain(ratings, n_factors, self.seed, self.n_threads, time=bool(self.time))
        average = _Average(chain, ratings, monitor, max(n_factors, min(SERVED_RANK, 2 * n_factors + 1)), self.n_samples)
        try:
            for _ in range(WARM_UP_SWEEPS):
                chain.mode_sweep()
            for number in range(1, (self.n_sweeps or MAX_SWEEPS) + 1):
                chain.draw_sweep(number)
                if number > BURN_IN:
                    average.add()
                if monitor.after_sweep(self.n_sweeps, chain.train_rmse, average.valid_rmse()):
                    break
                if self.n_sweeps is None and average.settled():
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return average.trained()


class _Chain:
    """The state of the Gibbs sampler: both sides' vectors, their priors, alpha. Ratings are standardised inside."""

    def __init__(self, ratings: Ratings, n_factors: int, seed: int, n_threads: int, *, time: bool = False) -> None:
        compress_both(ratings)
        self.rows = {"user": ratings.by_user(), "item": ratings.by_item()}
        self.n_ratings = n_weighted(ratings)
        self.center, self.scale = center_and_scale(ratings)
        self.seed, self.n_threads = seed, n_threads
        self.k = n_factors + 1
        self.rng = np.random.Generator(np.random.Philox(seed))
        start = self.rng.standard_normal((ratings.n_users + ratings.n_items, self.k), np.float32) * np.float32(0.1)
        self.vectors = {"user": start[: ratings.n_users], "item": start[ratings.n_users :]}
        self.alpha, self.errors = 1.0, float(self.n_ratings)
        weak = (np.zeros(self.k, np.float32), np.eye(self.k, dtype=np.float32) * np.float32(WARM_UP_PRECISION))
        self.prior = {"user": weak, "item": weak}
        self.timing = Timing(ratings, self.center, self.scale, seed) if time else None

    @property
    def train_rmse(self) -> float:
        """RMSE of the present draw on the training ratings, on the rating scale."""
        return self.scale * float(np.sqrt(self.errors / self.n_ratings))

    @property
    def alpha_now(self) -> float:
        """The precision of a rating at an unknown moment, in units of `scale`."""
        return self.alpha if self.timing is None else self.timing.alpha_now(self.alpha)

    def mode_sweep(self) -> None:
        """Both sides to their most probable vectors under a fixed prior: one sweep of ALS."""
        self._solve("user", "item", draw=False)
        self._solve("item", "user", draw=False)
        self.alpha = self.n_ratings / max(self.errors, 1e-6 * self.n_ratings)

    def draw_sweep(self, number: int) -> None:
        """One Gibbs sweep: each side's prior, then its rows; then the effects of time; then the noise."""
        for stream, (side, other) in enumerate((("user", "item"), ("item", "user"))):
            mean, precision = draw_normal_wishart(self.vectors[side], self.rng, self.n_threads)
            self.prior[side] = (mean.astype(np.float32), precision.astype(np.float32))
            self._solve(side, other, draw=True, sweep=number, stream=stream)
        if self.timing is not None:
            self.rows, self.errors = self.timing.sweep(self.vectors, self.alpha, self.n_threads)
        self.alpha = self.rng.gamma(self.n_ratings / 2 + 1) / (self.errors / 2 + 1)

    def _solve(self, side: str, other: str, *, draw: bool, sweep: int = 0, stream: int = 0) -> None:
        rows: CompressedRows = self.rows[side]
        mean, precision = self.prior[side]
        self.vectors[side], errors = solve_rows(
            rows.indptr,
            rows.indices,
            rows.values,
            self.vectors[other],
            precision=precision,
            mean=mean,
            weights=rows.weights,
            bias=True,
            center=self.center,
            scale=self.scale,
            alpha=self.alpha if draw else 1.0,
            draw=draw,
            seed=self.seed,
            sweep=sweep,
            stream=stream,
            errors=True,
            n_threads=self.n_threads,
        )
        assert errors is not None
        self.errors = float(errors.sum())


def draw_normal_wishart(vectors: Floats, rng: np.random.Generator, n_threads: int = 0) -> tuple[Doubles, Doubles]:
    """(m, Lambda) given the rows x_1..x_n, from Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k): (k,) and (k, k).

    With xbar and S the rows' mean and scatter (Salakhutdinov & Mnih 2008, equation 14):
    W^-1 = I + S + (beta0 n / (beta0 + n)) xbar xbar^T,  Lambda ~ Wishart(W, k + n),
    m ~ Normal(n xbar / (beta0 + n), ((beta0 + n) Lambda)^-1).
    """
    n, k = vectors.shape
    products, sums = gram(vectors, n_threads=n_threads)
    xbar = sums / n
    beta = 2.0 + n
    inverse_W = np.eye(k) + products - n * np.outer(xbar, xbar) + (2.0 * n / beta) * np.outer(xbar, xbar)
    # Bartlett: Lambda = C C^T with C = L^-T T, inverse_W = L L^T, T lower triangular.
    T = np.tril(rng.standard_normal((k, k)), -1)
    T[np.diag_indices(k)] = np.sqrt(rng.chisquare(k + n - np.arange(k)))
    C = np.linalg.solve(np.linalg.cholesky(inverse_W).T, T)
    mean = sums / beta + np.linalg.solve(C.T, rng.standard_normal(k)) / np.sqrt(beta)
    return mean, C @ C.T


class _Average:
    """What is kept of the draws: their distilled mean, a few whole ones, and whether the mean has settled."""

    def __init__(self, chain: _Chain, ratings: Ratings, monitor: Monitor, rank: int, n_samples: int) -> None:
        self._chain = chain
        self._monitor = monitor
        self._limits = ratings.range
        self._distiller = Distiller(rank, chain.n_threads)
        self._samples = _Thinned(n_samples)
        self._valid_sum: Doubles | None = None if monitor.valid is None else np.zeros(len(monitor.valid))
        self._probe = _Probe(ratings, chain.seed)

    def add(self) -> None:
        """Take in the chain's present draw; the samples last: Ctrl-C may end this anywhere, and they make a model."""
        chain = self._chain
        self._probe.add(self._predict(self._probe.user_codes, self._probe.item_codes))
        if self._monitor.valid is not None and self._valid_sum is not None:
            valid = self._predict(self._monitor.valid.user_codes, self._monitor.valid.item_codes)
            self._valid_sum += np.clip(
                chain.center + chain.scale * valid + self._valid_effects(self._monitor.valid), *self._limits
            )
        if chain.timing is not None:
            chain.timing.keep(chain.vectors)
        self._distiller.add(chain.vectors["user"], chain.vectors["item"])
        self._samples.add(
            {side: (chain.vectors[side], *chain.prior[side]) for side in ("user", "item")} | {"alpha": chain.alpha_now}
        )

    def valid_rmse(self) -> float | None:
        """Validation error of the mean prediction so far."""
        if self._valid_sum is None or self._distiller.count == 0:
            return None
        return self._monitor.valid_rmse(self._valid_sum / self._distiller.count)

    def _valid_effects(self, valid: Ratings) -> Doubles | float:
        """What the present draw says of the moments of validation ratings, on the rating scale."""
        timing = self._chain.timing
        if timing is None:
            return 0.0
        return timing.effects(present=True).at(valid.user_codes, valid.item_codes, valid.times)[0]

    def settled(self) -> bool:
        """Whether more sweeps have stopped paying."""
        return self._probe.settled(noise_variance=1 / self._chain.alpha_now)

    def _predict(self, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]) -> Floats:
        users, items = self._chain.vectors["user"], self._chain.vectors["item"]
        return predict_pairs(users, items, user_codes, item_codes, bias=True, n_threads=self._chain.n_threads)

    def trained(self) -> Trained:
        """The distilled factors with their posterior; the last sweep alone when nothing was averaged yet."""
        if not self._samples:
            self.add()
        chain = self._chain
        users, items = self._distiller.result()
        posterior = self._samples.posterior(chain.center, chain.scale)
        factors = distilled_factors(users, items, posterior)
        # Who has no ratings is a stranger, exactly and not only on average over draws.
        factors.users[chain.rows["user"].counts == 0] = factors.user_prior.mean
        factors.items[chain.rows["item"].counts == 0] = factors.item_prior.mean
        effects = None if chain.timing is None else chain.timing.effects()
        return Trained(factors, posterior, posterior.noise, effects)


def distilled_factors(users: Floats, items: Floats, posterior: Posterior) -> Factors:
    """Distilled vectors with each side's prior: around whom nobody knows, as wide as the rows lie from there."""
    alpha = (posterior.scale / posterior.noise) ** 2
    flat = Prior(np.eye(users.shape[1], dtype=np.float32), np.zeros(users.shape[1], np.float32), alpha)
    factors = Factors(posterior.center, users, items, flat, flat, posterior.scale)
    user_mean = posterior.projection(factors)(posterior.users.mean[:, None])[0]
    item_mean = posterior.transposed().projection(factors.transposed())(posterior.items.mean[:, None])[0]
    return replace(
        factors, user_prior=_prior_around(user_mean, users, alpha), item_prior=_prior_around(item_mean, items, alpha)
    )


def _prior_around(mean: Floats, vectors: Floats, alpha: float) -> Prior:
    """A Normal around a mean with the spread of the rows, widened a little so that no direction is ruled out."""
    spread = second_moment(vectors, mean).astype(np.float64)
    floor = 1e-3 * max(float(np.trace(spread)) / len(mean), 1e-12)
    precision = np.linalg.inv(spread + floor * np.eye(len(mean)))
    return Prior(precision.astype(np.float32), mean, alpha)


class _Thinned:
    """Evenly spaced draws, at most `limit`: when full, every second one goes and the spacing doubles."""

    def __init__(self, limit: int) -> None:
        self._limit, self._spacing, self._seen = limit, 1, 0
        self._kept: list[dict[str, tuple[Floats, Floats, Floats] | float]] = []

    def add(self, draw: dict[str, tuple[Floats, Floats, Floats] | float]) -> None:
        if self._seen % self._spacing == 0:
            if len(self._kept) == self._limit:
                self._kept = self._kept[::2]
                self._spacing *= 2
            if self._seen % self._spacing == 0:
                self._kept.append(draw)
        self._seen += 1

    def __len__(self) -> int:
        return len(self._kept)

    def posterior(self, center: float, scale: float) -> Posterior:
        alpha = np.array([draw["alpha"] for draw in self._kept], np.float32)
        return Posterior(center, scale, alpha, self._side("user"), self._side("item"))

    def _side(self, side: str) -> SideSamples:
        columns = zip(*(draw[side] for draw in self._kept), strict=True)
        vectors, means, precisions = (np.stack(column) for column in columns)
        return SideSamples(vectors, precisions, means)


class _Probe:
    """Watches predictions of some fixed pairs, to see when averaging more draws stops changing them.

    The means of the first and of the second half of n draws differ by D. Then the mean of all is off by about D/2,
    which adds D^2 / 4 to the squared error of a prediction: the excess(n). Once doubling the draws has lowered it by
    less than one part in a thousand of the RMSE, the next doubling will not pay.
    """

    SIZE = 2048
    LEAST_DRAWS = 80
    PAYS = 1e-3

    def __init__(self, ratings: Ratings, seed: int) -> None:
        rng = np.random.Generator(np.random.Philox([seed, 1]))
        self.user_codes = rng.choice(ratings.user_codes, self.SIZE)
        self.item_codes = rng.choice(ratings.item_codes, self.SIZE)
        self._sums = [np.zeros(self.SIZE)]

    def add(self, predictions: Floats) -> None:
        self._sums.append(self._sums[-1] + predictions)

    def settled(self, noise_variance: float) -> bool:
        count = len(self._sums) - 1
        if count < self.LEAST_DRAWS or count % 10:
            return False
        saved = self._excess(count // 2) - self._excess(count)
        return saved / (2 * noise_variance) < self.PAYS  # d rmse / rmse = d mse / (2 mse)

    def _excess(self, count: int) -> float:
        half = count // 2
        first = self._sums[half] / half
        second = (self._sums[count] - self._sums[half]) / (count - half)
        return float(np.mean((first - second) ** 2)) / 4
