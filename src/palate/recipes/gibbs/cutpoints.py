"""The cut points of ordered ratings inside a Gibbs chain: drawn given the scores, the latents integrated out.

    p(cuts | scores) ~ prior prod_e [Phi(cuts[k_e] - score_e) - Phi(cuts[k_e - 1] - score_e)]

Drawing cuts given latents instead mixes very slowly, as each cut is then held between its two nearest latents (Cowles,
Statistics and Computing 1996). The scores enter as a histogram for each step, so that a draw does not depend on the
number of ratings. The prior is weak: the first cut is Normal(0, 10^2), the logarithm of each gap Normal(0, 3^2).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.kernels import count_steps
from palate.models.factors import Doubles, Floats
from palate.models.ordinal import ROOT_TWO_PI, log_mass

N_BINS = 128  # of the scores' range: rounding to them widens the noise by less than one part in a thousand
FIRST_SD, LOG_GAP_SD = 10.0, 3.0
LEAST_GAP, GREATEST_GAP = 1e-4, 1e4  # gaps outside have no chance: cuts must stay apart in float32
LEAST_SHARE = 1e-6  # that a step starts with: the ratings of one may have no weight
FREEDOM = 8  # of the Student t that proposes: its tails are heavier than the posterior's
MAX_STEPS_TO_MODE = 50
CLOSE = 1e-8  # to the mode: twice the log density still to be gained


class CutPoints:
    """The cuts of K steps, (K - 1,), and how to draw them.

    counts: (K,) ratings of each step, or their weight; variance: of the scores, as far as one knows. The cuts start
    where these shares of a Normal with variance 1 + `variance` lie.
    """

    def __init__(self, counts: NDArray[Any], variance: float = 0.0) -> None:
        counts = np.maximum(counts, LEAST_SHARE * np.sum(counts))
        shares = np.cumsum(counts)[:-1] / np.sum(counts)
        normal = NormalDist(0.0, float(np.sqrt(1.0 + variance)))
        self.cuts = spaced(np.array([normal.inv_cdf(share) for share in shares]))
        self._mode = unbounded(self.cuts)
        self.accepted, self.proposed = 0, 0

    def draw_given(
        self,
        scores: Floats,
        steps: NDArray[Any],
        rng: np.random.Generator,
        *,
        weights: Floats | None = None,
        n_threads: int = 0,
    ) -> Doubles:
        """New cuts given the score and the step of each rating, and how much it counts."""
        low, high = float(scores.min()), float(scores.max())
        width = max(high - low, 1e-3) / N_BINS
        n_steps = len(self.cuts) + 1
        if weights is not None:
            return self.draw(weight_steps(scores, steps, weights, n_steps, low, width), low, width, rng)
        histogram = count_steps(scores, steps, n_steps, low=low, width=width, n_bins=N_BINS, n_threads=n_threads)
        return self.draw(histogram, low, width, rng)

    def draw(self, histogram: NDArray[Any], low: float, width: float, rng: np.random.Generator) -> Doubles:
        """New cuts given the histogram of the scores of each step, (K, n_bins), bins of `width` from `low` on.

        Metropolis-Hastings: an independent proposal from a Student t around the mode, as wide as the posterior there.
        """
        posterior = _Posterior(histogram, low, width)
        self._mode, precision = posterior.mode(self._mode)
        root = np.linalg.cholesky(precision)
        present = unbounded(self.cuts)
        t = rng.standard_normal(len(present)) / np.sqrt(rng.chisquare(FREEDOM) / FREEDOM)
        proposal = self._mode + np.linalg.solve(root.T, t)
        gain = posterior.log(proposal) - posterior.log(present)
        gain += _log_student(root.T @ (present - self._mode)) - _log_student(t)
        self.proposed += 1
        if np.log(rng.random()) < gain:
            self.accepted += 1
            self.cuts = bounded(proposal)
        return self.cuts


def weight_steps(
    scores: Floats, steps: NDArray[Any], weights: Floats, n_steps: int, low: float, width: float
) -> Doubles:
    """What count_steps counts, each rating by its weight, (n_steps, n_bins)."""
    bins = np.minimum(((scores - np.float32(low)) / np.float32(width)).astype(np.int64), N_BINS - 1)
    cells = steps.astype(np.int64) * N_BINS + bins
    return np.bincount(cells, weights, n_steps * N_BINS).astype(np.float64).reshape(n_steps, N_BINS)


def unbounded(cuts: Doubles) -> Doubles:
    """The coordinates that know no order: the first cut and the logarithms of the gaps, (K - 1,)."""
    return np.concatenate([cuts[:1], np.log(np.diff(cuts))])


def bounded(coordinates: Doubles) -> Doubles:
    """The cuts of such coordinates."""
    return np.cumsum(np.concatenate([coordinates[:1], np.exp(coordinates[1:])]))


def spaced(cuts: Doubles) -> Doubles:
    """The same cuts, gaps widened where they are too small."""
    gaps = np.maximum(np.diff(cuts), 10 * LEAST_GAP)
    return np.cumsum(np.concatenate([cuts[:1], gaps]))


def _log_student(away: Doubles) -> float:
    """Log density of a Student t at a distance from its centre, up to a constant."""
    return float(-(FREEDOM + len(away)) / 2 * np.log1p(away @ away / FREEDOM))


class _Expansion(NamedTuple):
    """A log density at one place, its gradient, and minus its second derivatives."""

    value: float
    gradient: Doubles
    curvature: Doubles


class _Posterior:
    """log p(cuts | histogram) in the unbounded coordinates, and its mode."""

    def __init__(self, histogram: NDArray[Any], low: float, width: float) -> None:
        self._steps, bins = np.nonzero(histogram)
        self._counts = histogram[self._steps, bins].astype(np.float64)
        self._scores = low + (bins + 0.5) * width
        size = len(histogram) - 1
        self._prior = np.concatenate([[FIRST_SD**-2], np.full(size - 1, LOG_GAP_SD**-2)])
        self._above = self._steps < size  # these cells have a cut above them
        self._below = self._steps > 0

    def log(self, coordinates: Doubles) -> float:
        """The logarithm of the posterior density, up to a constant."""
        if not self._possible(coordinates):
            return -np.inf
        mass = log_mass(*self._ends(bounded(coordinates)))
        return float(self._counts @ mass - 0.5 * self._prior @ coordinates**2)

    def mode(self, start: Doubles) -> tuple[Doubles, Doubles]:
        """The coordinates of the greatest density, and the curvature there: a positive definite matrix. By Newton."""
        at, here = start, self._expansion(start)
        for _ in range(MAX_STEPS_TO_MODE):
            step = np.linalg.solve(here.curvature, here.gradient)
            if here.gradient @ step < CLOSE:
                break
            there = self._expansion(at + step)
            while not there.value > here.value and np.abs(step).max() > 1e-9:
                step = step / 2
                there = self._expansion(at + step)
            at, here = at + step, there
        return at, here.curvature

    def _possible(self, coordinates: Doubles) -> bool:
        logs = coordinates[1:]
        return bool(np.all((logs > np.log(LEAST_GAP)) & (logs < np.log(GREATEST_GAP))))

    def _ends(self, cuts: Doubles) -> tuple[Doubles, Doubles]:
        """Each cell's interval, seen from its score."""
        ends = np.concatenate([[-np.inf], cuts, [np.inf]])
        return ends[self._steps] - self._scores, ends[self._steps + 1] - self._scores

    def _expansion(self, coordinates: Doubles) -> _Expansion:
        """The posterior in the unbounded coordinates."""
        if not self._possible(coordinates):
            return _Expansion(-np.inf, 0 * coordinates, np.diag(self._prior))
        cuts = bounded(coordinates)
        value, slope, bend = self._likelihood(cuts)
        # cuts_k = x_0 + sum of e^(x_j), 1 <= j <= k
        moves = np.tril(np.ones((len(cuts), len(cuts))))
        moves[:, 1:] *= np.exp(coordinates[1:])
        gradient = moves.T @ slope
        curvature = moves.T @ bend @ moves + np.diag(self._prior)
        curved = curvature.copy()
        curved[np.diag_indices(len(cuts))] -= np.concatenate([[0.0], gradient[1:]])
        if np.linalg.eigvalsh(curved)[0] > 1e-3 * np.linalg.eigvalsh(curvature)[0]:
            curvature = curved  # near the mode; elsewhere the part that is always positive definite leads uphill too
        value -= 0.5 * float(self._prior @ coordinates**2)
        return _Expansion(value, gradient - self._prior * coordinates, curvature)

    def _likelihood(self, cuts: Doubles) -> _Expansion:
        """The log likelihood in the cuts themselves, where it is concave (Pratt 1981)."""
        a, b = self._ends(cuts)
        mass = log_mass(a, b)
        above, below, n = self._above, self._below, len(cuts)
        upper, lower = np.zeros_like(mass), np.zeros_like(mass)
        upper[above] = np.exp(-0.5 * b[above] ** 2 - mass[above]) / ROOT_TWO_PI  # d mass / d b, over mass
        lower[below] = np.exp(-0.5 * a[below] ** 2 - mass[below]) / ROOT_TWO_PI
        own = self._counts[above] * upper[above] * (upper[above] + b[above])
        other = self._counts[below] * lower[below] * (lower[below] - a[below])
        to, since = self._steps[above], self._steps[below] - 1
        rise, fall = self._counts[above] * upper[above], self._counts[below] * lower[below]
        slope = np.bincount(to, rise, n).astype(np.float64) - np.bincount(since, fall, n)
        bend = np.diag(np.bincount(to, own, n) + np.bincount(since, other, n))
        both = above & below
        mixed = np.bincount(self._steps[both], self._counts[both] * upper[both] * lower[both], n)[1:]
        bend -= np.diag(mixed, 1) + np.diag(mixed, -1)
        return _Expansion(float(self._counts @ mass), slope, bend)
