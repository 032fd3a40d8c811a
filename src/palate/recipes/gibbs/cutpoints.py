"""The cut points of ordinal ratings, drawn given the scores, with the latent scores integrated out.

    p(cuts | scores) ~ prior(cuts) prod_e [Phi(cuts[k_e] - score_e) - Phi(cuts[k_e - 1] - score_e)]

with k_e the step of rating e. Drawing the cuts given latent scores instead mixes very slowly, since each cut is then
confined between the two nearest latent scores (Cowles 1996, Statistics and Computing). The scores enter as one
histogram per step, so the cost of a draw does not depend on the number of ratings. The prior is weak: the first cut is
Normal(0, 10^2), the logarithm of each gap between neighbouring cuts Normal(0, 3^2).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.kernels import count_steps
from palate.models.factors import Doubles, Floats
from palate.models.ordinal import ROOT_TWO_PI, ends_of, log_mass

N_BINS = 128  # of the scores' range: rounding scores to them adds less than a thousandth of the noise variance
FIRST_SD, LOG_GAP_SD = 10.0, 3.0  # of the prior
MIN_GAP, MAX_GAP = 1e-4, 1e4  # gaps outside have probability 0: cuts must differ in float32
MIN_SHARE = 1e-6  # of a step at the start, since all its ratings may have weight 0
FREEDOM = 8  # degrees of freedom of the proposal, a Student t: its tails are heavier than the posterior's
MAX_NEWTON_STEPS = 50
MODE_TOLERANCE = 1e-8  # to the mode: twice the log density that another step would gain


class CutPoints:
    """The current cut points of K steps, (K - 1,), and how to draw new ones.

    counts: (K,) number of ratings of each step, or the sum of their weights. variance: an estimate of the variance of
    the scores. The cuts start at the quantiles of Normal(0, 1 + variance) that give each step its share.
    """

    STATE: ClassVar = ("cuts", "_mode", "accepted", "proposed")

    def __init__(self, counts: NDArray[Any], variance: float = 0.0) -> None:
        counts = np.maximum(counts, MIN_SHARE * np.sum(counts))
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
        """Draw new cuts given the scores, steps and weights of all ratings, (n,) each."""
        low, high = float(scores.min()), float(scores.max())
        width = max(high - low, 1e-3) / N_BINS
        n_steps = len(self.cuts) + 1
        if weights is not None:
            return self.draw(weight_steps(scores, steps, weights, n_steps, low, width), low, width, rng)
        histogram = count_steps(scores, steps, n_steps, low=low, width=width, n_bins=N_BINS, n_threads=n_threads)
        return self.draw(histogram, low, width, rng)

    def draw(self, histogram: NDArray[Any], low: float, width: float, rng: np.random.Generator) -> Doubles:
        """Draw new cuts given one histogram of scores per step, (K, n_bins), with bins of `width` from `low` on.

        One step of Metropolis-Hastings. The proposal is a Student t around the posterior's mode, with its curvature.
        """
        posterior = _Posterior.of_histogram(histogram, low, width)
        self._mode, precision = posterior.mode(self._mode)
        root = np.linalg.cholesky(precision)
        current = unbounded(self.cuts)
        t = rng.standard_normal(len(current)) / np.sqrt(rng.chisquare(FREEDOM) / FREEDOM)
        proposal = self._mode + np.linalg.solve(root.T, t)
        gain = posterior.log(proposal) - posterior.log(current)
        gain += _log_student(root.T @ (current - self._mode)) - _log_student(t)
        self.proposed += 1
        if np.log(rng.random()) < gain:
            self.accepted += 1
            self.cuts = bounded(proposal)
        return self.cuts


def fit_cuts(steps: NDArray[Any], scores: Doubles, deviations: Doubles, counts: Doubles, start: Doubles) -> Doubles:
    """The most likely cuts, (K - 1,), given the steps of ratings, (n,), and the latent variables behind these.

    scores, deviations: means and standard deviations of the latent variables, (n,). counts: what each rating counts.
    start: cuts to start from. The prior of this file holds in units of the mean deviation.
    """
    unit, center = float(np.average(deviations, weights=counts)), float(start.mean())
    posterior = _Posterior(steps, (scores - center) / unit, counts, len(start) + 1, unit / deviations)
    mode, _ = posterior.mode(unbounded(spaced((start - center) / unit)))
    return center + unit * bounded(mode)


def weight_steps(
    scores: Floats, steps: NDArray[Any], weights: Floats, n_steps: int, low: float, width: float
) -> Doubles:
    """The histogram of count_steps with weighted ratings, (n_steps, n_bins)."""
    bins = np.minimum(((scores - np.float32(low)) / np.float32(width)).astype(np.int64), N_BINS - 1)
    cells = steps.astype(np.int64) * N_BINS + bins
    return np.bincount(cells, weights, n_steps * N_BINS).astype(np.float64).reshape(n_steps, N_BINS)


def unbounded(cuts: Doubles) -> Doubles:
    """Cuts as unconstrained coordinates: the first cut and the logarithms of the gaps, (K - 1,)."""
    return np.concatenate([cuts[:1], np.log(np.diff(cuts))])


def bounded(coordinates: Doubles) -> Doubles:
    """The cuts of unconstrained coordinates, (K - 1,)."""
    return np.cumsum(np.concatenate([coordinates[:1], np.exp(coordinates[1:])]))


def spaced(cuts: Doubles) -> Doubles:
    """The cuts with gaps widened where they are too small."""
    gaps = np.maximum(np.diff(cuts), 10 * MIN_GAP)
    return np.cumsum(np.concatenate([cuts[:1], gaps]))


def _log_student(t: Doubles) -> float:
    """Log density of a standard multivariate Student t, up to a constant."""
    return float(-(FREEDOM + len(t)) / 2 * np.log1p(t @ t / FREEDOM))


class _Expansion(NamedTuple):
    """A log density at one point, its gradient, and the negative of its Hessian."""

    value: float
    gradient: Doubles
    curvature: Doubles


class _Posterior:
    """log p(cuts | cells) in unconstrained coordinates, and its mode.

    A cell is a step with a score, and how many ratings have both; per_deviation: 1 / standard deviation of the latent
    variable around its score, (n_cells,) or one for all.
    """

    def __init__(
        self, steps: NDArray[Any], scores: Doubles, counts: Doubles, n_steps: int, per_deviation: Doubles | float = 1.0
    ) -> None:
        self._steps, self._scores, self._counts = steps, scores, counts
        self._per_deviation = np.broadcast_to(np.float64(per_deviation), counts.shape)
        size = n_steps - 1
        self._prior = np.concatenate([[FIRST_SD**-2], np.full(size - 1, LOG_GAP_SD**-2)])
        self._above = self._steps < size  # True for cells with a cut above them
        self._below = self._steps > 0

    @classmethod
    def of_histogram(cls, histogram: NDArray[Any], low: float, width: float) -> _Posterior:
        """The posterior given one histogram of scores per step, (K, n_bins)."""
        steps, bins = np.nonzero(histogram)
        counts = histogram[steps, bins].astype(np.float64)
        scores = low + (bins.astype(np.float64) + 0.5) * width
        return cls(steps, scores, counts, len(histogram))

    def log(self, coordinates: Doubles) -> float:
        """The logarithm of the posterior density, up to a constant."""
        if not self._is_possible(coordinates):
            return -np.inf
        mass = log_mass(*self._ends(bounded(coordinates)))
        return float(self._counts @ mass - 0.5 * self._prior @ coordinates**2)

    def mode(self, start: Doubles) -> tuple[Doubles, Doubles]:
        """The mode and the curvature there, a positive definite matrix, by Newton's method with step halving."""
        point, at_point = start, self._expansion(start)
        for _ in range(MAX_NEWTON_STEPS):
            step = np.linalg.solve(at_point.curvature, at_point.gradient)
            if at_point.gradient @ step < MODE_TOLERANCE:
                break
            ahead = self._expansion(point + step)
            while not ahead.value > at_point.value and np.abs(step).max() > 1e-9:
                step = step / 2
                ahead = self._expansion(point + step)
            point, at_point = point + step, ahead
        return point, at_point.curvature

    def _is_possible(self, coordinates: Doubles) -> bool:
        logs = coordinates[1:]
        return bool(np.all((logs > np.log(MIN_GAP)) & (logs < np.log(MAX_GAP))))

    def _ends(self, cuts: Doubles) -> tuple[Doubles, Doubles]:
        """The ends of each cell's interval, relative to its score, in standard deviations."""
        ends = ends_of(cuts)
        low, high = ends[self._steps] - self._scores, ends[self._steps + 1] - self._scores
        return low * self._per_deviation, high * self._per_deviation

    def _expansion(self, coordinates: Doubles) -> _Expansion:
        """The log posterior in unconstrained coordinates."""
        if not self._is_possible(coordinates):
            return _Expansion(-np.inf, 0 * coordinates, np.diag(self._prior))
        cuts = bounded(coordinates)
        value, cut_gradient, cut_curvature = self._likelihood(cuts)
        # cuts_k = x_0 + sum of e^(x_j), 1 <= j <= k
        jacobian = np.tril(np.ones((len(cuts), len(cuts))))
        jacobian[:, 1:] *= np.exp(coordinates[1:])
        gradient = jacobian.T @ cut_gradient
        curvature = jacobian.T @ cut_curvature @ jacobian + np.diag(self._prior)  # positive definite everywhere
        exact = curvature.copy()
        exact[np.diag_indices(len(cuts))] -= np.concatenate([[0.0], gradient[1:]])
        if np.linalg.eigvalsh(exact)[0] > 1e-3 * np.linalg.eigvalsh(curvature)[0]:
            curvature = exact  # positive definite near the mode only; elsewhere the other one leads uphill too
        value -= 0.5 * float(self._prior @ coordinates**2)
        return _Expansion(value, gradient - self._prior * coordinates, curvature)

    def _likelihood(self, cuts: Doubles) -> _Expansion:
        """The log likelihood in the cuts themselves; it is concave in them (Pratt 1981)."""
        a, b = self._ends(cuts)
        mass = log_mass(a, b)
        above, below, n = self._above, self._below, len(cuts)
        upper, lower = np.zeros_like(mass), np.zeros_like(mass)
        per_deviation = self._per_deviation
        upper[above] = np.exp(-0.5 * b[above] ** 2 - mass[above]) / ROOT_TWO_PI  # d mass / d b, over mass
        lower[below] = np.exp(-0.5 * a[below] ** 2 - mass[below]) / ROOT_TWO_PI
        upper, lower = upper * per_deviation, lower * per_deviation  # d mass / d cut, over mass
        upper_cut, lower_cut = self._steps[above], self._steps[below] - 1
        rise, fall = self._counts[above] * upper[above], self._counts[below] * lower[below]
        gradient = np.bincount(upper_cut, rise, n).astype(np.float64) - np.bincount(lower_cut, fall, n)
        by_upper = self._counts[above] * upper[above] * (upper[above] + b[above] * per_deviation[above])
        by_lower = self._counts[below] * lower[below] * (lower[below] - a[below] * per_deviation[below])
        curvature = np.diag(np.bincount(upper_cut, by_upper, n) + np.bincount(lower_cut, by_lower, n))
        both = above & below
        mixed = np.bincount(self._steps[both], self._counts[both] * upper[both] * lower[both], n)[1:]
        curvature -= np.diag(mixed, 1) + np.diag(mixed, -1)
        return _Expansion(float(self._counts @ mass), gradient, curvature)
