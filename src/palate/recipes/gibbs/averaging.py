"""Averaging over the draws of a chain: what a model keeps of them, and when there are enough.

`Average.add` adds the current draw to the distilled mean prediction, the posterior samples, the effects of time and the
user noise. `Average.trained` makes the result of the fit of them. `Probe` tells when more draws would hardly change it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.scratch import Scratch
from palate.data.ratings import Ratings
from palate.data.rows import take_rows, total_weights
from palate.kernels import release_memory
from palate.models.factors import Doubles, Floats
from palate.models.ordinal import OrderedSteps
from palate.models.posterior import Posterior, Projection
from palate.recipes.base import Trained
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.distilling import Distiller, distilled_factors
from palate.recipes.gibbs.own_levels import give_own_levels, own_levels
from palate.recipes.gibbs.sides import Side
from palate.recipes.gibbs.steps import with_steps
from palate.recipes.gibbs.thinning import Draw, Thinned
from palate.recipes.monitor import Monitor, rmse

N_MEASURED = 4096  # training ratings on which the mean prediction is measured after each sweep


class Average:
    """The mean over the draws of a chain so far, and the draws that a model keeps."""

    STATE: ClassVar = ("_distiller", "_samples", "_valid_sum", "_train_sum", "_probe")

    def __init__(
        self, chain: Chain, ratings: Ratings, monitor: Monitor, rank: int, n_samples: int, n_draws: int = 0
    ) -> None:
        self._chain = chain
        self._monitor = monitor
        self._ratings, self._limits = ratings, ratings.range
        self._distiller = Distiller(rank, chain.n_threads)
        self._samples = Thinned(n_samples, n_draws, Scratch.of(ratings))
        self._valid_sum: Doubles | None = None if monitor.valid is None else np.zeros(len(monitor.valid))
        self._some = some_of(ratings, chain.seed, with_times=chain.targets.time_effects is not None)
        self._train_sum = np.zeros(len(self._some))
        self._probe = Probe(ratings, chain.seed)

    def add(self) -> None:
        """Add the chain's current draw."""
        chain = self._chain
        self._probe.add(chain.predict(self._probe.user_codes, self._probe.item_codes), chain.train_rmse)
        if self._monitor.valid is not None and self._valid_sum is not None:
            self._valid_sum += np.clip(self._predicted(self._monitor.valid), *self._limits)
        self._train_sum = self._train_sum + np.clip(self._predicted(self._some), *self._limits)
        if chain.targets.time_effects is not None:
            chain.targets.time_effects.keep(chain.users.vectors)
        if chain.noise is not None:
            chain.noise.keep(chain.predictive_alpha)
        # Distiller and samples last: after Ctrl-C at any line, what was added so far still makes a model.
        self._distiller.add(chain.user_means, chain.items.vectors)
        cuts = None if chain.targets.steps is None else chain.targets.steps.cuts.astype(np.float32)
        self._samples.add(Draw(chain.predictive_alpha, chain.users.current_draw(), chain.items.current_draw(), cuts))

    def valid_rmse(self) -> float | None:
        """Validation RMSE of the mean prediction so far; None without validation ratings or draws."""
        if self._valid_sum is None or self._distiller.count == 0:
            return None
        return self._monitor.valid_rmse(self._valid_sum / self._distiller.count)

    def train_rmse(self) -> float | None:
        """RMSE of the mean prediction so far on some training ratings; None without draws."""
        if self._distiller.count == 0:
            return None
        return rmse(self._train_sum / self._distiller.count, self._some.values, self._some.weights)

    def _predicted(self, ratings: Ratings) -> Doubles:
        """The predictions of the current draw for ratings at their times, (n,)."""
        chain = self._chain
        scores = chain.center + chain.scale * chain.predict(ratings.user_codes, ratings.item_codes).astype(np.float64)
        if chain.targets.time_effects is not None:
            effects = chain.targets.time_effects.effects(current=True)
            scores += effects.at(ratings.user_codes, ratings.item_codes, ratings.times)[0]
        return scores if chain.targets.steps is None else chain.targets.steps.expected(scores).astype(np.float64)

    def is_settled(self) -> bool:
        """True once further sweeps would no longer change predictions."""
        return self._probe.is_settled(noise_variance=1 / self._chain.predictive_alpha)

    def trained(self) -> Trained:
        """The result of the fit; before the end of the burn-in it is made of the current draw alone."""
        if not self._samples:
            self.add()
        chain = self._chain
        users, items = self._distiller.result()
        release_memory()  # of the sweeps: what follows holds all kept draws
        rows = (
            chain.users.cold_start_rows(chain.targets.of("user")),
            chain.items.cold_start_rows(chain.targets.of("item")),
        )
        posterior = self._samples.posterior(chain.center, chain.scale, *rows, chain.threads)
        step = give_own_levels(users, items, own_levels(posterior, chain.users.rows, chain.items.attributes))
        factors, projections = distilled_factors(users, items, posterior, step)
        _set_unrated(factors.users, posterior, projections[0], chain.users)
        _set_unrated(factors.items, posterior.transposed(), projections[1], chain.items, step)
        time_effects = chain.targets.time_effects
        effects = None if time_effects is None else time_effects.effects()
        levels = None if chain.noise is None else chain.noise.levels(chain.scale)
        noise = posterior.noise if levels is None else typical_noise(levels, total_weights(chain.targets.of("user")[0]))
        if levels is not None:
            levels[~chain.users.rated] = noise
        trained = Trained(factors, posterior, noise, effects=effects, user_noise=levels)
        if chain.targets.steps is not None:
            trained = self._ordinal(trained, posterior, chain.targets.steps)
        return with_steps(trained, self._ratings)

    def _ordinal(self, trained: Trained, posterior: Posterior, steps: OrderedSteps) -> Trained:
        """The same result with the steps that turn latent scores into ordinal ratings."""
        assert posterior.cuts is not None
        steps = OrderedSteps(steps.values, posterior.cuts.mean(axis=0, dtype=np.float64))
        posterior = replace(posterior, steps=steps)
        users, items = self._probe.user_codes, self._probe.item_codes
        scores, variance = posterior.predict(posterior.users.vectors, users, items)
        unknown = 0.0 if trained.effects is None else trained.effects.unknown_variance
        score_variance = float(variance.mean()) + unknown
        factors = replace(trained.factors, steps=steps, score_variance=score_variance)
        noise = float(np.sqrt(steps.variance_of_rating(scores, score_variance).mean()))
        return replace(trained, factors=factors, posterior=posterior, noise=noise)


def typical_noise(levels: Floats, totals: NDArray[Any]) -> float:
    """The noise of a typical rating: the root mean square of users' levels (n_users,), weighted by their ratings."""
    return float(np.sqrt(np.average(levels.astype(np.float64) ** 2, weights=totals)))


def _set_unrated(
    vectors: Floats, posterior: Posterior, projection: Projection, side: Side, step: Floats | float = 0.0
) -> None:
    """Give rows without ratings the cold-start prior in every draw; in the distilled vectors its mean, and `step`."""
    unrated = ~side.rated
    if not unrated.any():
        return
    samples, codes = posterior.users, np.flatnonzero(unrated)
    attributes = None if side.attributes is None else take_rows(side.attributes, codes)
    total: Any = 0.0
    for s in range(len(posterior)):
        samples.vectors[s, codes] = samples.cold_start.draws(s, attributes, len(codes), seed=0)
        total = total + projection.part(s, samples.cold_start.means(s, attributes, len(codes)))
    vectors[codes] = total + projection.offset + step


def some_of(ratings: Ratings, seed: int, *, with_times: bool) -> Ratings:
    """Return up to N_MEASURED of the ratings, drawn at random: the same ones in whatever order users come."""
    n = len(ratings)
    rng = np.random.Generator(np.random.Philox([seed, 2]))
    at = np.arange(n) if n <= N_MEASURED else np.sort(rng.integers(0, n, N_MEASURED))
    if with_times:
        return ratings[np.lexsort((ratings.item_codes, ratings.user_codes))[at]]
    rows = ratings.by_user()
    return Ratings(
        (np.searchsorted(rows.indptr, at, side="right") - 1).astype(np.int32),
        rows.indices[at],
        rows.values[at],
        weights=None if rows.weights is None else rows.weights[at],
        user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary,
    )


class Probe:
    """Watches a chain, to see when averaging more of its draws would no longer change predictions.

    Two things must hold. The chain has arrived: the training errors of the last quarter of the draws and of the quarter
    before differ by less than a share of DRIFT. While they differ the chain is still learning, however little its
    predictions change. And the average is good: the means of the first and of the second half of n draws differ by D
    on some fixed pairs. The mean of all is then off by about D / 2, which adds excess(n) = D^2 / 4 to the squared error
    of a prediction. Once doubling the draws has changed the RMSE by less than a share of TOLERANCE, the next doubling
    would not be worth it.
    """

    STATE: ClassVar = ("_sum", "_sums", "_train_errors")
    SIZE = 2048  # pairs
    MIN_DRAWS = 80
    TOLERANCE = 1.5e-3
    DRIFT = 5e-3

    def __init__(self, ratings: Ratings, seed: int) -> None:
        rng = np.random.Generator(np.random.Philox([seed, 1]))
        rows = ratings.by_user()  # not as they came: the order of different users' ratings must not matter
        owners, chosen = rng.integers(0, len(rows.indices), self.SIZE), rng.integers(0, len(rows.indices), self.SIZE)
        self.user_codes = (np.searchsorted(rows.indptr, owners, side="right") - 1).astype(np.int32)
        self.item_codes = rows.indices[chosen]
        self._sum = np.zeros(self.SIZE)
        self._sums: dict[int, Doubles] = {}  # by number of draws
        self._train_errors: list[float] = []

    def add(self, predictions: Floats, train_rmse: float) -> None:
        """Add a draw's predictions for the pairs and its training error."""
        self._sum = self._sum + predictions
        self._train_errors.append(train_rmse)
        count = len(self._train_errors)
        if count % 5 in (0, 2):  # the tens, their halves and their quarters: is_settled() needs no others
            self._sums[count] = self._sum

    def is_settled(self, noise_variance: float) -> bool:
        """True once the chain has arrived and doubling the draws would lower the RMSE by less than TOLERANCE."""
        count = len(self._train_errors)
        if count < self.MIN_DRAWS or count % 10 or self._drift() > self.DRIFT:
            return False
        saved = self._excess(count // 2) - self._excess(count)
        return abs(saved) / (2 * noise_variance) < self.TOLERANCE  # d rmse / rmse = d mse / (2 mse)

    def _drift(self) -> float:
        """By which share the mean training error of the last quarter differs from that of the quarter before."""
        quarter = len(self._train_errors) // 4
        last = float(np.mean(self._train_errors[-quarter:]))
        before = float(np.mean(self._train_errors[-2 * quarter : -quarter]))
        return abs(last - before) / max(before, 1e-30)

    def _excess(self, count: int) -> float:
        half = count // 2
        first = self._sums[half] / half
        second = (self._sums[count] - self._sums[half]) / (count - half)
        return float(np.mean((first - second) ** 2)) / 4
