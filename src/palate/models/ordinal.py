"""Ordered ratings: a rating is the step of a K-step scale in which a latent variable falls (ordered probit).

    latent = score + Normal(0, 1),    rating = values[k]  where  cuts[k-1] < latent <= cuts[k]

with cuts[-1] = -infinity and cuts[K-1] = infinity. If the score is uncertain with a variance v, the latent variable has
the variance 1 + v. The first half of this file is the normal distribution, accurate in both tails.

Source: Chu & Ghahramani (2005), Gaussian Processes for Ordinal Regression, for the likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palate.errors import DataError
from palate.kernels import step_curve

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

MAX_STEPS = 20
ROOT_TWO_PI = math.sqrt(2 * math.pi)

# ---- the normal distribution -----------------------------------------------------------------------------------------

# E(y) = 4 / (4 + y) sum_n c_n v^n with v = (4 - y) / (4 + y), fitted to a relative error of at most 6e-15.
_SERIES = (
    0.18882128260393749, 0.15197416049296875, 0.096784350185662227, 0.046630464490259746, 0.015099143718904483,
    0.0018850472340278452, -0.00086992303679787571, -0.00040770453768879962, 3.3335665683516019e-05,
    5.7773315334189422e-05, -4.7524397929182984e-07, -8.7848201285076517e-06, 1.7411050247127562e-07,
    1.4773889304815926e-06, -1.4831597850557879e-07, -2.5231038637108798e-07, 5.728201048615456e-08,
    3.6947090003037052e-08, -1.3472670444534673e-08, -3.2505863429573596e-09, 1.5529048764374776e-09,
)  # fmt: skip


def scaled_tail(y: Doubles) -> Doubles:
    """The scaled tail E(y) = e^(y^2 / 2) Phi(-y) for y >= 0, infinity included."""
    w = 4.0 / (4.0 + y)
    v = 2.0 * w - 1.0
    total = np.full_like(v, _SERIES[-1])
    for term in _SERIES[-2::-1]:
        total *= v
        total += term
    total *= w
    return total


def cdf(x: Doubles) -> Doubles:
    """The cumulative normal distribution, Phi(x)."""
    tail = np.exp(-0.5 * x * x) * scaled_tail(np.abs(x))
    return np.where(x < 0, tail, 1.0 - tail)


def density(x: Doubles) -> Doubles:
    """The normal density, phi(x)."""
    out: Doubles = np.exp(-0.5 * x * x) / ROOT_TWO_PI
    return out


def log_mass(a: Doubles, b: Doubles) -> Doubles:
    """The log of Phi(b) - Phi(a) for intervals a < b, whose ends may be infinite."""
    a, b, _ = to_the_left(a, b)
    scaled, base = scaled_mass(a, b)
    out: Doubles = np.log(scaled) - 0.5 * base * base
    return out


def to_the_left(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles, NDArray[np.bool_]]:
    """Return the intervals, mirrored where a + b > 0, so that all have a + b <= 0; and a mask of the mirrored ones."""
    flip = -a < b
    return np.where(flip, -b, a), np.where(flip, -a, b), flip


def scaled_mass(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """(Phi(b) - Phi(a)) e^(base^2 / 2) and base = min(b, 0), for intervals with a + b <= 0; no tail underflows."""
    base = np.minimum(b, 0.0)
    tail = scaled_tail(np.abs(b))
    upper = np.where(b > 0, 1.0 - np.exp(-0.5 * np.maximum(b, 0.0) ** 2) * tail, tail)
    return upper - relative_density(a, base) * scaled_tail(-a), base


def relative_density(a: Doubles, base: Doubles) -> Doubles:
    """The ratio phi(a) / phi(base) for a <= base <= 0."""
    out: Doubles = np.exp(0.5 * (base - a) * (base + a))
    return out


def masses_between(z: Doubles) -> Doubles:
    """Phi(z[k + 1]) - Phi(z[k]) of rising z along the last axis, (..., K + 1) -> (..., K), however small."""
    a, b, _ = to_the_left(z[..., :-1], z[..., 1:])
    mass, base = scaled_mass(a, b)
    out: Doubles = mass * np.exp(-0.5 * base * base)
    return out


# ---- the ordered probit ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OrderedSteps:
    """The K steps of a rating scale, and the cut points between them on the latent scale.

    All methods take scores (any shape) and the variance of each score, 0 if it is known exactly.

    Attributes:
        values (float64 array of shape (K,)): The ratings, rising; K is between 2 and 20.
        cuts (float64 array of shape (K - 1,)): The cut points, rising, in score units.

    Raises:
        DataError: Values or cuts are not as above.

    Example:
        >>> steps = OrderedSteps([1, 2, 3], [-1.0, 1.0])
        >>> steps.probabilities([0.0]).round(3)
        array([[0.159, 0.683, 0.159]])
        >>> steps.expected([0.0, 5.0]).round(3)
        array([2., 3.], dtype=float32)
    """

    values: Doubles
    cuts: Doubles

    def __post_init__(self) -> None:
        values, cuts = np.array(self.values, np.float64), np.array(self.cuts, np.float64)
        _check_scale(values, cuts)
        for name, array in (("values", values), ("cuts", cuts)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.values)

    def probabilities(self, scores: ArrayLike, variance: ArrayLike = 0.0) -> Doubles:
        """The probability of each step, (..., K) for scores (...), accurate to many digits however small."""
        scores = np.asarray(scores, np.float64)
        return masses_between((ends_of(self.cuts) - scores[..., None]) / latent_deviation(variance)[..., None])

    def expected(self, scores: ArrayLike, variance: ArrayLike = 0.0, *, n_threads: int = 0) -> Floats:
        """The mean rating at each score, of the same shape."""
        out = _curve(scores, variance, self.cuts, np.diff(self.values), float(self.values[0]), n_threads)
        return np.clip(out, np.float32(self.values[0]), np.float32(self.values[-1]), out=out)

    def slope(self, scores: ArrayLike, variance: ArrayLike = 0.0) -> Doubles:
        """The derivative of the mean rating by the score, of the same shape."""
        scores, deviation = np.asarray(scores, np.float64), latent_deviation(variance)
        total = np.zeros(np.broadcast_shapes(scores.shape, deviation.shape))
        for cut, gain in zip(self.cuts, np.diff(self.values), strict=True):
            total += gain * density((cut - scores) / deviation) / deviation
        return total

    def variance_of_rating(self, scores: ArrayLike, variance: ArrayLike = 0.0) -> Doubles:
        """The variance of the rating at each score, of the same shape, in squared rating units."""
        probabilities = self.probabilities(scores, variance)
        deviations = self.values - (probabilities @ self.values)[..., None]
        out: Doubles = np.einsum("...k,...k->...", probabilities, deviations**2)
        return out

    def moments(self, scores: ArrayLike, variance: ArrayLike = 0.0, *, n_threads: int = 0) -> tuple[Floats, Floats]:
        """Mean and variance of the rating at each score, of the same shape, in float32: fast for many scores."""
        lowest = self.values[0]  # squares of what lies above it: those of years, such as 2020, would lose all digits
        above = _curve(scores, variance, self.cuts, np.diff(self.values), 0.0, n_threads)
        square = _curve(scores, variance, self.cuts, np.diff((self.values - lowest) ** 2), 0.0, n_threads)
        mean = np.clip(np.float32(lowest) + above, np.float32(lowest), np.float32(self.values[-1]))
        return mean, np.maximum(square - above**2, np.float32(0))

    def steps_of(self, values: ArrayLike) -> NDArray[np.uint8]:
        """The number of each rating's step, 0 to K - 1. Raise DataError for a rating that is no step."""
        ratings, scale = np.asarray(values, np.float32), self.values.astype(np.float32)
        steps = np.minimum(np.searchsorted(scale, ratings), len(scale) - 1)
        wrong = np.flatnonzero(scale[steps] != ratings)
        if len(wrong):
            raise DataError(
                f"the rating {ratings.flat[wrong[0]]:g} at position {wrong[0]} ({len(wrong)} such) is none of the "
                f"steps learned from: {_listed(self.values)}. Round it to one of them, or fit with ratings as numbers."
            )
        return steps.astype(np.uint8)


def _curve(scores: Any, variance: Any, cuts: Doubles, gains: Doubles, base: float, n_threads: int) -> Floats:
    """The sum of base + gains Phi((score - cuts) / sqrt(1 + variance)), in the shape of the scores."""
    scores = np.asarray(scores, np.float32)
    variances = None
    if np.ndim(variance):
        scores, variances = np.broadcast_arrays(scores, np.asarray(variance, np.float32))
        variances = np.ascontiguousarray(variances).ravel()
    elif variance:
        deviation = float(latent_deviation(variance))
        scores, cuts = scores * np.float32(1 / deviation), cuts / deviation
    flat = np.ascontiguousarray(scores).ravel()
    steps = cuts.astype(np.float32), gains.astype(np.float32)
    return step_curve(flat, *steps, variances=variances, base=base, n_threads=n_threads).reshape(scores.shape)


def ends_of(cuts: Doubles) -> Doubles:
    """The ends of K steps, (K + 1,): the cut points between infinite ends."""
    return np.concatenate([[-np.inf], cuts, [np.inf]])


def latent_deviation(variance: ArrayLike) -> Doubles:
    """Standard deviation of the latent variable around a score of this variance."""
    deviation: Doubles = np.sqrt(1.0 + np.asarray(variance, np.float64))
    return deviation


def _check_scale(values: Doubles, cuts: Doubles) -> None:
    if values.ndim != 1 or not 2 <= len(values) <= MAX_STEPS:
        raise DataError(
            f"ordered ratings need 2 to {MAX_STEPS} different values, got {values.size}: fit with ratings as numbers."
        )
    if cuts.shape != (len(values) - 1,):
        raise DataError(f"{len(values)} steps have {len(values) - 1} cuts between them, got shape {cuts.shape}.")
    for name, array in (("values", values), ("cuts", cuts)):
        if not (np.isfinite(array).all() and (np.diff(array) > 0).all()):
            raise DataError(f"the {name} of ordered ratings must be finite and rise, got {_listed(array)}.")


def _listed(numbers: Doubles) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
