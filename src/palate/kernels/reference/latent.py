"""Reference implementations for ordered ratings: draws and means of truncated Normals, counts and curves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from palate.kernels.reference.arrays import Doubles, Floats, Steps
from palate.kernels.reference.random import WORD, philox_words


def draw_truncated(
    means: Floats,
    steps: Steps,
    cuts: Floats,
    *,
    seed: int,
    sweep: int,
    stream: int,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """Draws from Normal(mean, 1) between the cuts around each rating's step, (n,), by inverse CDF.

    Phi(x) = Phi(a) + u (Phi(b) - Phi(a)), computed on the side on which Phi is smaller; x by bisection. Rating e uses
    word (e % 64) / 16 of block 16 (e / 64) + e % 16, whose counter is (block, block >> 32, sweep, stream). u is made of
    the upper 31 bits of the word plus one half, in float32.
    """
    e = np.arange(len(means), dtype=np.uint64)
    block = e // np.uint64(64) * np.uint64(16) + e % np.uint64(16)
    counter = [block & WORD, block >> np.uint64(32), np.full_like(block, sweep), np.full_like(block, stream)]
    words = np.array(philox_words(counter, seed & 0xFFFFFFFF, seed >> 32))
    bits = words[e % np.uint64(64) // np.uint64(16), np.arange(len(e))] >> np.uint64(1)
    u = (bits.astype(np.float32) + np.float32(0.5)).astype(np.float64) / 2**31
    a, b, flip, low, high = _mirrored(means, steps, cuts)
    x = np.array([_truncated_quantile(*one) for one in zip(a.tolist(), b.tolist(), u.tolist(), strict=True)])
    return np.clip(means + np.where(flip, -x, x), low, high)


def expect_truncated(
    means: Floats,
    steps: Steps,
    cuts: Floats,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The mean of Normal(mean, 1) between the cuts around each rating's step, (n,).

    mean + (phi(a) - phi(b)) / (Phi(b) - Phi(a)), with (a, b) the step minus the mean.
    """
    a, b, flip, low, high = _mirrored(means, steps, cuts)
    x = np.array([_truncated_mean(*one) for one in zip(a.tolist(), b.tolist(), strict=True)])
    return np.clip(means + np.where(flip, -x, x), low, high)


def _mirrored(
    means: Floats, steps: Steps, cuts: Floats
) -> tuple[Doubles, Doubles, NDArray[np.bool_], Doubles, Doubles]:
    """Each rating's step minus its mean, mirrored where a + b > 0: (a, b, True where mirrored, low, high)."""
    ends = np.concatenate([[-np.inf], cuts.astype(np.float64), [np.inf]])
    low, high = ends[steps], ends[steps.astype(np.int64) + 1]
    a, b = low - means, high - means
    flip = -a < b
    return np.where(flip, -b, a), np.where(flip, -a, b), flip, low, high


def _truncated_mean(a: float, b: float) -> float:
    """(phi(a) - phi(b)) / (Phi(b) - Phi(a)) for a + b <= 0."""
    log_mass = log_cdf(b) + math.log(-math.expm1(log_cdf(a) - log_cdf(b)))
    ratios = [math.exp(-end * end / 2 - log_mass) / math.sqrt(2 * math.pi) for end in (a, b)]
    return ratios[0] - ratios[1]


def _truncated_quantile(a: float, b: float, u: float) -> float:
    """The x in (a, b), a + b <= 0, with (Phi(x) - Phi(a)) / (Phi(b) - Phi(a)) = u, by bisection."""
    below, above = max(a, min(b, 0.0) - 40.0), b
    from_a = math.exp(log_cdf(a) - log_cdf(b))  # Phi(a) / Phi(b)
    target = math.log(from_a + u * (1.0 - from_a))
    for _ in range(80):
        middle = (below + above) / 2
        if log_cdf(middle) - log_cdf(b) < target:
            below = middle
        else:
            above = middle
    return above


def log_cdf(x: float) -> float:
    """The logarithm of Phi(x); in the far tail by Phi(-y) = phi(y) / (y + 1 / (y + 2 / (y + 3 / ...)))."""
    if x > -20:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2)))
    if x == -math.inf:
        return x
    fraction = -x
    for n in range(30, 0, -1):
        fraction = -x + n / fraction
    return -x * x / 2 - math.log(fraction * math.sqrt(2 * math.pi))


def count_steps(
    means: Floats,
    steps: Steps,
    n_steps: int,
    *,
    low: float,
    width: float,
    n_bins: int,
    n_threads: int = 0,  # noqa: ARG001
) -> NDArray[np.int64]:
    """How many ratings of each step have their mean in each bin, (n_steps, n_bins).

    Bin b is [low + b width, low + (b + 1) width). Means outside all bins count in the first or the last.
    """
    with np.errstate(over="ignore"):
        places = (means - np.float32(low)) * (np.float32(1) / np.float32(width))
    bins = np.clip(np.nan_to_num(places, nan=0.0), 0, n_bins - 1).astype(np.int64)
    counts = np.zeros((n_steps, n_bins), np.int64)
    np.add.at(counts, (steps.astype(np.int64), bins), 1)
    return counts


def step_curve(
    scores: Floats,
    cuts: Floats,
    gains: Floats,
    *,
    variances: Floats | None = None,
    base: float = 0.0,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The expected rating of each score, (n,): base + sum_k gains_k Phi((score - cut_k) / sqrt(1 + variance))."""
    sigma = np.sqrt(1.0 + (np.zeros(len(scores)) if variances is None else variances.astype(np.float64)))
    out = np.full(len(scores), float(base))
    for cut, gain in zip(cuts.astype(np.float64), gains.astype(np.float64), strict=True):
        out += [gain * 0.5 * math.erfc(-x / math.sqrt(2)) for x in (scores - cut) / sigma]
    return out
