"""What is kept of the draws of a chain: their distilled mean, a few whole ones, and whether the mean has settled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.models.factors import Factors, Floats, Prior, second_moment
from palate.models.ordinal import OrderedSteps
from palate.models.posterior import Posterior
from palate.recipes.base import Trained
from palate.recipes.gibbs.chain import Chain, Side
from palate.recipes.gibbs.distilling import Distiller
from palate.recipes.gibbs.thinning import Draw, Thinned
from palate.recipes.monitor import Monitor

Doubles = NDArray[np.float64]


class Average:
    """The mean over a chain's draws so far, and what a model keeps of them."""

    def __init__(self, chain: Chain, ratings: Ratings, monitor: Monitor, rank: int, n_samples: int) -> None:
        self._chain = chain
        self._monitor = monitor
        self._limits = ratings.range
        self._distiller = Distiller(rank, chain.n_threads)
        self._samples = Thinned(n_samples)
        self._valid_sum: Doubles | None = None if monitor.valid is None else np.zeros(len(monitor.valid))
        self._probe = Probe(ratings, chain.seed)

    def add(self) -> None:
        """Take in the chain's present draw; the samples last: Ctrl-C may end this anywhere, and they make a model."""
        chain = self._chain
        self._probe.add(chain.predict(self._probe.user_codes, self._probe.item_codes))
        if self._monitor.valid is not None and self._valid_sum is not None:
            self._valid_sum += np.clip(self._expected(self._monitor.valid), *self._limits)
        if chain.targets.timing is not None:
            chain.targets.timing.keep(chain.users.vectors)
        if chain.noise is not None:
            chain.noise.keep(chain.alpha_now)
        self._distiller.add(chain.users.vectors, chain.items.vectors)
        cuts = None if chain.targets.steps is None else chain.targets.steps.cuts.astype(np.float32)
        self._samples.add(Draw(chain.alpha_now, chain.users.drawn(), chain.items.drawn(), cuts))

    def valid_rmse(self) -> float | None:
        """Validation error of the mean prediction so far."""
        if self._valid_sum is None or self._distiller.count == 0:
            return None
        return self._monitor.valid_rmse(self._valid_sum / self._distiller.count)

    def _expected(self, ratings: Ratings) -> Doubles:
        """What the present draw expects of ratings at their moments, (n,)."""
        chain = self._chain
        scores = chain.center + chain.scale * chain.predict(ratings.user_codes, ratings.item_codes).astype(np.float64)
        if chain.targets.timing is not None:
            effects = chain.targets.timing.effects(present=True)
            scores += effects.at(ratings.user_codes, ratings.item_codes, ratings.times)[0]
        return scores if chain.targets.steps is None else chain.targets.steps.expected(scores).astype(np.float64)

    def settled(self) -> bool:
        """Whether more sweeps have stopped paying."""
        return self._probe.settled(noise_variance=1 / self._chain.alpha_now)

    def trained(self) -> Trained:
        """The distilled factors with their posterior; the last sweep alone when nothing was averaged yet."""
        if not self._samples:
            self.add()
        chain = self._chain
        users, items = self._distiller.result()
        posterior = self._samples.posterior(chain.center, chain.scale, chain.users.known, chain.items.known)
        factors = distilled_factors(users, items, posterior)
        _set_unrated(factors.users, posterior, factors, chain.users)
        flipped = posterior.transposed(), factors.transposed()
        _set_unrated(factors.items, *flipped, chain.items)
        timing = chain.targets.timing
        effects = None if timing is None else timing.effects()
        levels = None if chain.noise is None else chain.noise.levels(chain.scale)
        noise = posterior.noise if levels is None else typical(levels, chain.users.counts)
        if levels is not None:
            levels[~chain.users.rated] = noise
        trained = Trained(factors, posterior, noise, effects=effects, user_noise=levels)
        return trained if chain.targets.steps is None else self._ordered(trained, posterior, chain.targets.steps)

    def _ordered(self, trained: Trained, posterior: Posterior, steps: OrderedSteps) -> Trained:
        """What has been learned of scores, with the steps that turn them into ratings."""
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


def typical(levels: Floats, counts: NDArray[np.int64]) -> float:
    """The standard deviation of anybody's rating: that of users, as often as they rate."""
    return float(np.sqrt(np.average(levels.astype(np.float64) ** 2, weights=counts)))


def _set_unrated(vectors: Floats, posterior: Posterior, factors: Factors, side: Side) -> None:
    """Who has no ratings is a stranger, exactly and not only on average over draws."""
    strange = ~side.rated
    if not strange.any():
        return
    samples, attributes = posterior.users, side.attributes
    for s in range(len(posterior)):
        samples.vectors[s, strange] = samples.cold_start.draws(s, attributes, len(strange), seed=0)[strange]
    means = np.stack([samples.cold_start.means(s, attributes, len(strange))[strange] for s in range(len(posterior))])
    vectors[strange] = posterior.projection(factors)(means)


def distilled_factors(users: Floats, items: Floats, posterior: Posterior) -> Factors:
    """Distilled vectors with each side's prior: around whom nobody knows, as wide as the rows lie from there."""
    alpha = (posterior.scale / posterior.noise) ** 2
    flat = Prior(np.eye(users.shape[1], dtype=np.float32), np.zeros(users.shape[1], np.float32), alpha)
    factors = Factors(posterior.center, users, items, flat, flat, posterior.scale)
    user_mean = posterior.projection(factors)(posterior.users.cold_start.mean[:, None])[0]
    item_mean = posterior.transposed().projection(factors.transposed())(posterior.items.cold_start.mean[:, None])[0]
    return replace(
        factors, user_prior=_prior_around(user_mean, users, alpha), item_prior=_prior_around(item_mean, items, alpha)
    )


def _prior_around(mean: Floats, vectors: Floats, alpha: float) -> Prior:
    """A Normal around a mean with the spread of the rows, widened a little so that no direction is ruled out."""
    spread = second_moment(vectors, mean).astype(np.float64)
    floor = 1e-3 * max(float(np.trace(spread)) / len(mean), 1e-12)
    precision = np.linalg.inv(spread + floor * np.eye(len(mean)))
    return Prior(precision.astype(np.float32), mean, alpha)


class Probe:
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
        self._count, self._sum = 0, np.zeros(self.SIZE)
        self._sums: dict[int, Doubles] = {}  # after so many draws

    def add(self, predictions: Floats) -> None:
        """Take in what a draw predicts of the pairs."""
        self._count, self._sum = self._count + 1, self._sum + predictions
        if self._count % 5 in (0, 2):  # the tens, their halves and their quarters: all that settled() asks for
            self._sums[self._count] = self._sum

    def settled(self, noise_variance: float) -> bool:
        """Whether the next doubling of the draws would no longer pay."""
        count = self._count
        if count < self.LEAST_DRAWS or count % 10:
            return False
        saved = self._excess(count // 2) - self._excess(count)
        return saved / (2 * noise_variance) < self.PAYS  # d rmse / rmse = d mse / (2 mse)

    def _excess(self, count: int) -> float:
        half = count // 2
        first = self._sums[half] / half
        second = (self._sums[count] - self._sums[half]) / (count - half)
        return float(np.mean((first - second) ** 2)) / 4
