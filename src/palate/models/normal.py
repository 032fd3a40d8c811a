"""The standard Normal in NumPy, in float64: Phi and the mass of intervals, right to 1e-13 of themselves in any tail."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

ROOT_TWO_PI = math.sqrt(2 * math.pi)

# E(y) = 4 / (4 + y) sum_n c_n v^n with v = (4 - y) / (4 + y): fitted for the least relative error, 6e-15.
_SERIES = (
    0.18882128260393749, 0.15197416049296875, 0.096784350185662227, 0.046630464490259746, 0.015099143718904483,
    0.0018850472340278452, -0.00086992303679787571, -0.00040770453768879962, 3.3335665683516019e-05,
    5.7773315334189422e-05, -4.7524397929182984e-07, -8.7848201285076517e-06, 1.7411050247127562e-07,
    1.4773889304815926e-06, -1.4831597850557879e-07, -2.5231038637108798e-07, 5.728201048615456e-08,
    3.6947090003037052e-08, -1.3472670444534673e-08, -3.2505863429573596e-09, 1.5529048764374776e-09,
)  # fmt: skip


def scaled_tail(y: Doubles) -> Doubles:
    """E(y) = e^(y^2 / 2) Phi(-y) for y >= 0, infinity included."""
    w = 4.0 / (4.0 + y)
    v = 2.0 * w - 1.0
    total = np.full_like(v, _SERIES[-1])
    for term in _SERIES[-2::-1]:
        total *= v
        total += term
    total *= w
    return total


def cdf(x: Doubles) -> Doubles:
    """Phi(x)."""
    tail = np.exp(-0.5 * x * x) * scaled_tail(np.abs(x))
    return np.where(x < 0, tail, 1.0 - tail)


def density(x: Doubles) -> Doubles:
    """phi(x)."""
    out: Doubles = np.exp(-0.5 * x * x) / ROOT_TWO_PI
    return out


def log_mass(a: Doubles, b: Doubles) -> Doubles:
    """The logarithm of Phi(b) - Phi(a) of intervals a < b, either end of which may be infinite."""
    a, b, _ = to_the_left(a, b)
    scaled, base = scaled_mass(a, b)
    out: Doubles = np.log(scaled) - 0.5 * base * base
    return out


def to_the_left(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles, NDArray[np.bool_]]:
    """The intervals, mirrored where they lie to the right, so that a + b <= 0; and which ones were."""
    flip = -a < b
    return np.where(flip, -b, a), np.where(flip, -a, b), flip


def scaled_mass(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """(Phi(b) - Phi(a)) e^(base^2 / 2) and base = min(b, 0), for intervals with a + b <= 0: no tail is too far."""
    base = np.minimum(b, 0.0)
    tail = scaled_tail(np.abs(b))
    upper = np.where(b > 0, 1.0 - np.exp(-0.5 * np.maximum(b, 0.0) ** 2) * tail, tail)
    return upper - relative_density(a, base) * scaled_tail(-a), base


def relative_density(a: Doubles, base: Doubles) -> Doubles:
    """phi(a) / phi(base) for a <= base <= 0."""
    out: Doubles = np.exp(0.5 * (base - a) * (base + a))
    return out
