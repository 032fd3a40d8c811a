"""The steps of a rating scale, fitted to draws that take ratings for numbers: cut points, and tails of intervals.

The chain draws Normal ratings. Real ones are steps of a scale, and on most scales they crowd at one end, so that an
interval of a Normal is too wide on one side and too narrow on the other. With the score and the noise of single draws

    P(rating <= values[k]) = Phi((cuts[k] - score) / noise)

the cuts are those under which the training ratings are most likely. Single draws agree with the posterior; the mean of
draws is closer to the ratings it learned from than to others. A part of the ratings is enough for K - 1 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.data.plan import distinct_values
from palate.data.ratings import Ratings
from palate.data.rows import row_codes, rows_between
from palate.kernels import predict_pairs
from palate.models.factors import Codes, Doubles
from palate.models.ordinal import MAX_STEPS, OrderedSteps
from palate.models.step_distribution import StepDistribution, central_tails
from palate.recipes.base import Trained
from palate.recipes.gibbs.cutpoints import fit_cuts

N_FOR_CUTS, N_FOR_TAILS = 32_768, 16_384  # ratings, at most
MIN_DEVIATION = 1e-3  # of the range of ratings


def with_steps(trained: Trained, ratings: Ratings) -> Trained:
    """The result of a fit with the distribution over the steps of the scale; as it is, if the scale has none."""
    values = distinct_values(ratings.values, MAX_STEPS)
    if not 2 <= len(values) <= MAX_STEPS:
        return trained
    steps, timed = trained.factors.steps, trained.effects is not None
    if steps is None:
        steps = _fitted_steps(trained, _Sample.of(ratings, values, N_FOR_CUTS, timed=timed), values.astype(np.float64))
    distribution = StepDistribution(steps)
    sample = _Sample.of(ratings, values, N_FOR_TAILS, timed=timed)
    tails = central_tails(distribution.probabilities(*_forecast(trained, sample)), sample.counts)
    return replace(trained, step_distribution=StepDistribution(steps, tails))


@dataclass(frozen=True)
class _Sample:
    """Some training ratings, (n,): their pairs, times and steps, how many ratings each stands for, and its number.

    They stand in the order of ratings.by_user(). times: None without effects of time.
    """

    user_codes: Codes
    item_codes: Codes
    times: NDArray[np.int64] | None
    steps: NDArray[np.intp]
    counts: Doubles
    numbers: NDArray[np.uint32]

    @classmethod
    def of(cls, ratings: Ratings, values: NDArray[np.float32], size: int, *, timed: bool = False) -> _Sample:
        """At most `size` ratings: of each step as many, so that rare steps are in it too.

        A rating is chosen by the number of its pair, so that the order of the ratings does not matter.
        """
        rows = ratings.by_user()
        picked = [_Smallest(size // len(values)) for _ in values]
        totals = np.zeros(len(values))
        for block, entries in zip(rows.plan.blocks, rows.plan.entries, strict=True):
            some = rows_between(rows, block)
            numbers = _numbers_of(np.int32(block.start) + row_codes(some), some.indices)
            steps = np.searchsorted(values, some.values)
            totals += np.bincount(steps, some.weights, len(values))
            for step, smallest in enumerate(picked):
                here = np.flatnonzero(steps == step)
                smallest.add(numbers[here], here + entries.start)
        at = np.concatenate([smallest.positions for smallest in picked])
        steps = np.repeat(np.arange(len(values)), [len(smallest.positions) for smallest in picked])
        weights = np.ones(len(at)) if rows.weights is None else rows.weights[at].astype(np.float64)
        counts = weights * (totals / np.bincount(steps, weights))[steps]
        users = (np.searchsorted(rows.indptr, at, side="right") - 1).astype(np.int32)
        times = None
        if timed and ratings.times is not None:
            times = ratings.times[np.argsort(ratings.user_codes, kind="stable")[at]]
        return cls(users, rows.indices[at], times, steps, counts, _numbers_of(users, rows.indices[at]))


class _Smallest:
    """The positions with the smallest numbers, at most `limit`, rising; of equal numbers, the first positions."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers, self.positions = np.empty(0, np.uint32), np.empty(0, np.intp)

    def add(self, numbers: NDArray[np.uint32], positions: NDArray[np.intp]) -> None:
        """Add candidates, (n,) each, whose positions rise and lie beyond those before."""
        numbers, positions = np.append(self._numbers, numbers), np.append(self.positions, positions)
        kept = np.sort(np.argsort(numbers, kind="stable")[: self._limit])
        self._numbers, self.positions = numbers[kept], positions[kept]


def _numbers_of(user_codes: Codes, item_codes: Codes) -> NDArray[np.uint32]:
    """A number of each pair, (n,), that looks drawn at random, and is the same wherever the pair stands.

    Mixed as by MurmurHash3 (Appleby 2011).
    """
    numbers = user_codes.astype(np.uint32) * np.uint32(0x9E3779B1)
    numbers ^= item_codes.astype(np.uint32) * np.uint32(0x27D4EB2F)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        numbers ^= numbers >> np.uint32(shift)
        numbers *= np.uint32(factor)
    return numbers


def _fitted_steps(trained: Trained, sample: _Sample, values: Doubles) -> OrderedSteps:
    """The steps with the cuts under which the sample is most likely, each rating under one draw of its score."""
    posterior = trained.posterior
    assert posterior is not None
    scores, draw_of = np.empty(len(sample.counts)), sample.numbers % np.uint32(len(posterior))
    for s in range(len(posterior)):
        some = np.flatnonzero(draw_of == s)
        pairs = sample.user_codes[some], sample.item_codes[some]
        scores[some] = predict_pairs(posterior.users.vectors[s], posterior.items.vectors[s], *pairs, bias=True)
    shift, variance = _around_scores(trained, sample)
    least = MIN_DEVIATION * (values[-1] - values[0])
    deviations = np.sqrt(np.maximum(variance, least**2))
    halfway = (values[1:] + values[:-1]) / 2
    scores = posterior.center + posterior.scale * scores + shift
    return OrderedSteps(values, fit_cuts(sample.steps, scores, deviations, sample.counts, halfway))


def _forecast(trained: Trained, sample: _Sample) -> tuple[Doubles, Doubles]:
    """Center and deviation of the latent variables of the sample's pairs, (n,) each, as in a forecast."""
    posterior = trained.posterior
    assert posterior is not None
    mean, variance = posterior.predict(posterior.users.vectors, sample.user_codes, sample.item_codes)
    shift, around = _around_scores(trained, sample)
    return mean + shift, np.sqrt(np.maximum(variance + around, 0))


def _around_scores(trained: Trained, sample: _Sample) -> tuple[Doubles, Doubles]:
    """What a latent variable is around the score of its pair, (n,) each: effects of time; variance, noise included."""
    is_ordinal = trained.factors.steps is not None
    noise = np.full(len(sample.counts), 1.0 if is_ordinal else trained.noise)
    if trained.user_noise is not None:
        noise = trained.user_noise[sample.user_codes].astype(np.float64)
    if trained.effects is None or sample.times is None:
        return np.zeros(len(noise)), noise**2
    shift, variance = trained.effects.at(sample.user_codes, sample.item_codes, sample.times.astype(np.float64))
    known = noise**2 if is_ordinal else np.maximum(noise**2 - trained.effects.unknown_variance, 0)
    return shift, known + variance
