"""The predictive distribution of a rating on a scale of steps: its probabilities, and central intervals.

A latent variable is Normal(center, deviation^2), and the rating is the step of the scale in which it falls:

    P(rating <= values[k]) = Phi((cuts[k] - center) / deviation)

Center and deviation are the mean and the standard deviation of the forecast where ratings are learned as numbers, and
those of the latent variable in an ordered probit. Both have the same intervals:

An interval ends at quantiles. A step is a point, so the mass of each is spread evenly, half of it to half-way to the
step below, half of it to half-way to the one above (mid-distribution quantiles). An interval then holds a step if its
end lies beyond the middle of the step's mass. What a rating lies outside of still is no nominal tail, since whole steps
are left out or kept; so `tails` says at which quantile an interval has to end for the nominal share of ratings to lie
below or above it, on average over pairs.

Source: Ma, Genton & Parzen (2011), Asymptotic properties of sample quantiles of discrete distributions, for the
mid-distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.kernels import step_curve
from palate.models.ordinal import OrderedSteps, ends_of, masses_between

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

TAILS = np.array([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5])
MAX_RATIO = 5.0  # of a quantile to its nominal tail: a step of up to twice this share of a tail may be left out
SMALLEST = 1e-30  # a mass that float32 holds
FARTHEST = 40.0  # standard deviations: Phi is 0 or 1 there in float32


@dataclass(frozen=True, eq=False)
class StepDistribution:
    """The distribution over the K steps of a scale, given center and deviation of the latent variable.

    Attributes:
        steps (OrderedSteps): The steps, and the cut points between them in units of the latent variable.
        tails (float64 array of shape (3, n), default None): Nominal tails, rising in (0, 0.5]; and for each the
            quantile, counted from the near end, at which an interval ends below and above. None: no intervals.

    Example:
        >>> stars = StepDistribution(OrderedSteps([1, 2, 3], [1.5, 2.5]))
        >>> stars.probabilities([2.0], [0.5]).round(3)
        array([[0.159, 0.683, 0.159]])
        >>> stars.at_least([2.0], [0.5], 3).round(3)
        array([0.159], dtype=float32)
    """

    steps: OrderedSteps
    tails: Doubles | None = None

    def probabilities(self, center: ArrayLike, deviation: ArrayLike) -> Doubles:
        """The probability of each step, (n, K), accurate to many digits however small."""
        center, deviation = np.asarray(center, np.float64), self._positive(deviation)
        return masses_between((ends_of(self.steps.cuts) - center[..., None]) / deviation[..., None])

    def at_least(self, center: ArrayLike, deviation: ArrayLike, value: float) -> Floats:
        """The probability of a rating of at least `value`, of the shape of center and deviation.

        Values are compared as float32, as ratings are stored.
        """
        step = int(np.searchsorted(self.steps.values.astype(np.float32), np.float32(value)))
        if step == 0 or step == len(self.steps):
            return np.full(np.broadcast_shapes(np.shape(center), np.shape(deviation)), step == 0, np.float32)
        return _cdf((np.asarray(center) - self.steps.cuts[step - 1]) / self._positive(deviation))

    def interval(self, level: float, center: ArrayLike, deviation: ArrayLike) -> tuple[Doubles, Doubles]:
        """The lower and the upper end of the central interval, (n,) each. They may lie half a step off the scale."""
        low, high = self._quantiles((1 - level) / 2)
        steps, center, deviation = self.steps, np.asarray(center, np.float64), self._positive(deviation)
        upper = _quantile(high, -center, deviation, -steps.cuts[::-1], -steps.values[::-1])
        return _quantile(low, center, deviation, steps.cuts, steps.values), -upper

    def lower_end(self, level: float, center: ArrayLike, deviation: ArrayLike) -> Doubles:
        """The lower end of the central interval, of the shape of center and deviation."""
        low, _ = self._quantiles((1 - level) / 2)
        return _quantile(low, np.asarray(center), self._positive(deviation), self.steps.cuts, self.steps.values)

    def _quantiles(self, tail: float) -> tuple[float, float]:
        """The quantiles at which an interval of this tail ends, each counted from its own end of the scale."""
        assert self.tails is not None
        nominal, *ends = np.column_stack([np.zeros(3), self.tails])
        low, high = (float(np.interp(tail, nominal, end)) for end in ends)
        return low, high

    def _positive(self, deviation: ArrayLike) -> NDArray[np.floating]:
        """Deviations that can be divided by."""
        least = 1e-6 * max(float(np.ptp(self.steps.cuts)), float(np.abs(self.steps.cuts).max()), SMALLEST)
        positive: NDArray[np.floating] = np.maximum(deviation, least)
        return positive


def _quantile(
    share: float, center: NDArray[np.floating], deviation: NDArray[np.floating], cuts: Doubles, values: Doubles
) -> Doubles:
    """The quantile of the mid-distribution below which a share of at most 1/2 lies, at each center and deviation."""
    share, kind = max(share, SMALLEST), center.dtype
    half_gaps = (np.diff(values) / 2).astype(kind)
    ends, values = ends_of(cuts).astype(kind), values.astype(kind)
    at = np.searchsorted(ends[1:-1], center + _normal_quantile(share) * deviation)  # the step of the quantile
    below, up_to = (_cdf((bound[at] - center) / deviation) for bound in (ends[:-1], ends[1:]))
    part = (np.float32(share) - below) / np.maximum(up_to - below, np.float32(SMALLEST))
    from_middle = 2 * np.clip(part, 0, 1) - 1
    to_left, to_right = np.append(half_gaps[:1], half_gaps), np.append(half_gaps, half_gaps[-1:])
    out: Doubles = values[at] + from_middle * np.where(from_middle < 0, to_left[at], to_right[at])
    return out


def z_of(level: float) -> float:
    """How many standard deviations to each side of its mean a Normal holds `level` of its probability."""
    return _normal_quantile((1 + level) / 2)


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


def _cdf(z: NDArray[np.floating]) -> Floats:
    """Phi(z) in float32 and any shape."""
    flat = np.clip(z, -FARTHEST, FARTHEST).astype(np.float32).ravel()
    return step_curve(flat, np.zeros(1, np.float32), np.ones(1, np.float32)).reshape(np.shape(z))


def central_tails(probabilities: Doubles, weights: NDArray[np.floating] | None = None) -> Doubles:
    """The `tails` with which the nominal share of ratings lies below and above intervals, (3, n).

    probabilities: of the steps for a sample of pairs, (n_pairs, K). weights: what each pair counts, (n_pairs,).
    """
    ends = [_tail_quantiles(one, weights) for one in (probabilities, probabilities[:, ::-1])]
    return np.stack([TAILS, *ends])


def _tail_quantiles(probabilities: Doubles, weights: NDArray[np.floating] | None) -> Doubles:
    """For each tail of TAILS, the quantile at which intervals leave out this share of the ratings on the lower side.

    A quantile q leaves out the steps whose middle of mass lies below q. An end step as likely as half of the ratings is
    left out by q = 1/4; where it takes more than MAX_RATIO times the tail to leave out enough, less is left out.
    """
    counts = np.ones(len(probabilities)) if weights is None else weights.astype(np.float64)
    middles = (np.cumsum(probabilities, axis=1) - probabilities / 2).ravel()
    masses = (probabilities * (counts / counts.sum())[:, None]).ravel()
    order = np.argsort(middles)
    quantiles = np.interp(TAILS, np.cumsum(masses[order]), middles[order])
    bounded = np.clip(quantiles, SMALLEST, np.minimum(MAX_RATIO * TAILS, 0.5))
    out: Doubles = np.maximum.accumulate(bounded)
    return out
