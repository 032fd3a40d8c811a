"""The effects of time in the Gibbs chain: what the factors leave over, shared out among sessions, days and drift.

Every group of ratings that share an effect g has its turn, given all else: with the residuals e = t - x.z - (the other
effects), the noise's precision alpha, the weights w and the precision tau of the effects of its kind,

    g ~ Normal(alpha sum w e / p, 1 / p),    p = tau + alpha sum w.

tau is drawn just before, from its law without the g, which mixes much faster than drawing it given them:

    p(tau | e) ~ prior(tau) prod_g (tau / p_g)^(1/2) exp((alpha sum w e)^2 / (2 p_g))

with a half-Cauchy prior of the effects' standard deviation (Gelman 2006), so that effects that are not there vanish.
Sessions are nested, so that all their levels are drawn from the sums of the finest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.models.effects import YEAR, Drift, KeyedEffects, Sessions, TimeEffects, days_of, periods_of
from palate.models.factors import Doubles, Floats

Places = NDArray[np.intp]

SHARES = (0.5, 0.8, 0.95, 0.99)  # of the gaps between a user's ratings that lie inside sessions, level by level
MOST_PERIODS = 1000  # what is older belongs to the oldest
MOST_ALONE = 0.9  # a level with more groups than this share of the ratings says nothing
FIRST_PRECISION = 10.0
PRIOR_DEVIATION = 0.25  # of effects, in standard deviations of the ratings: half of the prior lies below it
GRID_STEP = 1.15
GRID = GRID_STEP ** np.arange(-20.0, 100.0)  # precisions: standard deviations from 4 down to 0.001
LOG_PRIOR = -0.5 * np.log(GRID) - np.log1p(1 / (GRID * PRIOR_DEVIATION**2))  # of log tau, up to a constant


class Effects:
    """The effects of one kind, a number per group: the present draw, its precision, and the moments of kept draws."""

    def __init__(self, counts: NDArray[Any]) -> None:
        self.counts = counts  # (m,) sums of weights
        self.values = np.zeros(len(counts))
        self.precision = FIRST_PRECISION
        self._sizes, self._size = np.unique(counts, return_inverse=True)  # groups of one size share their likelihood
        self._n_of_size = np.bincount(self._size)
        self._n_kept, self._prior = 0, 0.0
        self._sums, self._both_sums, self._both_squares = (np.zeros(len(counts)) for _ in range(3))

    def draw(self, sums: NDArray[Any], alpha: float, rng: np.random.Generator) -> None:
        """The precision, then the effects, given sums (m,) of w e."""
        self.precision = self.draw_precision(sums, alpha, rng)
        self.values = self.draw_values(sums, alpha, rng)

    def draw_precision(self, sums: NDArray[Any], alpha: float, rng: np.random.Generator) -> float:
        """The precision tau given the residuals alone, on a fine grid of its logarithm."""
        squares = np.bincount(self._size, sums**2)
        informed = GRID[:, None] + alpha * self._sizes
        logs = self._n_of_size * np.log(GRID[:, None] / informed) + alpha**2 * squares / informed
        chances = LOG_PRIOR + logs.sum(axis=1) / 2
        cumulated = np.cumsum(np.exp(chances - chances.max()))
        at = int(np.searchsorted(cumulated, rng.random() * cumulated[-1]))
        return float(GRID[at] * GRID_STEP ** (rng.random() - 0.5))

    def draw_values(self, sums: NDArray[Any], alpha: float, rng: np.random.Generator) -> Doubles:
        """The effects g given tau, (m,)."""
        precision = self.precision + alpha * self.counts
        noise = rng.standard_normal(len(sums), np.float32)
        values: Doubles = (alpha * sums + noise * np.sqrt(precision)) / precision
        return values

    def keep(self, around: Doubles | float = 0.0, beside: Doubles | float = 0.0) -> None:
        """Take the present draw into the moments; around: (m,), what is added to each effect there.

        beside: (m,), what predictions of each group have besides and what trades with its effect.
        """
        whole = self.values + around
        self._sums += whole
        both = whole + beside
        self._both_sums += both
        self._both_squares += both**2
        self._prior += 1 / self.precision
        self._n_kept += 1

    @property
    def variance(self) -> float:
        """How widely effects of this kind vary: the mean of 1 / precision over the kept draws."""
        return self._prior / max(self._n_kept, 1)

    def moments(self) -> tuple[Doubles, Doubles]:
        """The mean of the effects over the kept draws, and the variance of them with what was beside, (m,) each."""
        count = max(self._n_kept, 1)
        both = self._both_sums / count
        return self._sums / count, np.maximum(self._both_squares / count - both**2, 0)


class SessionTree:
    """Sessions at several gaps, from the longest to the shortest; a longer one holds whole shorter ones."""

    def __init__(self, users: NDArray[np.int32], times: NDArray[np.int64], weights: Doubles | None) -> None:
        order = np.lexsort((times, users))
        self._users, self._times = users[order], times[order]
        self.gaps, firsts = session_levels(self._users, self._times)
        finest = firsts[-1] if firsts else np.zeros(1, np.intp)
        self._firsts = firsts  # of each level, the rating (in order of user and time) that each session starts with
        self._at = np.empty(len(users), np.intp)  # the finest session of each rating
        self._at[order] = np.repeat(np.arange(len(finest)), np.diff(finest, append=len(users)))
        self._weights = weights
        self.counts = np.bincount(self._at, weights, len(finest)).astype(np.float64)
        self._starts = [np.searchsorted(finest, first) for first in firsts]  # in the finest, where each session starts
        self._inside = [
            np.repeat(np.arange(len(start)), np.diff(start, append=len(finest))) for start in self._starts
        ]  # of each level, the session that holds each of the finest
        self.levels = [Effects(np.add.reduceat(self.counts, start)) for start in self._starts]
        self._total = np.zeros(len(finest))  # the sum over levels in the present draw
        self._change = np.zeros(len(finest))
        self._biases = Spread()

    @property
    def unknown_variance(self) -> float:
        """How widely the sum over levels varies in the present draw."""
        return sum(1 / level.precision for level in self.levels)

    def offsets(self, out: Doubles | None = None) -> Doubles:
        """What the present draw adds to each rating's target, (n,)."""
        return np.take(self._total, self._at, out=out, mode="clip")

    def draw(self, rest: Doubles, alpha: float, rng: np.random.Generator) -> None:
        """All levels in turn; rest: (n,), the targets less everything but these effects."""
        sums = np.bincount(self._at, rest if self._weights is None else self._weights * rest, len(self.counts))
        left = sums - self.counts * self._total
        for level, start, inside in zip(self.levels, self._starts, self._inside, strict=True):
            before = level.values
            level.draw(np.add.reduceat(left, start) + level.counts * before, alpha, rng)
            np.take(level.values - before, inside, out=self._change, mode="clip")
            self._total += self._change
            self._change *= self.counts
            left -= self._change

    def keep(self, biases: Floats) -> None:
        """Take the present draw into the means: of each session, the sum with the longer ones around it.

        biases: (n_users,). A user's bias and the effects of few sessions trade with each other.
        """
        exact = biases.astype(np.float64)
        self._biases.add(exact)
        for level, first, around in zip(self.levels, self._firsts, self._around(), strict=True):
            level.keep(around, exact[self._users[first]])

    def _around(self) -> list[Doubles]:
        """Of each level, the sum of the longer sessions' effects around each session."""
        total = np.zeros(len(self.counts))
        around = []
        for level, start, inside in zip(self.levels, self._starts, self._inside, strict=True):
            around.append(total[start])
            total = total + level.values[inside]
        return around

    def result(self, scale: float, *, present: bool) -> tuple[Sessions, ...]:
        """The sessions with the moments of the kept draws, or with the present draw alone."""
        sessions = []
        for gap, first, level, around in zip(self.gaps, self._firsts, self.levels, self._around(), strict=True):
            last = np.append(first[1:], len(self._times)) - 1
            bounds = self._users[first], self._times[first], self._times[last]
            drawn = level.values + around, np.zeros(len(first))
            mean, variance = _scaled(drawn if present else self._beside_biases(level, bounds[0]), scale)
            sessions.append(Sessions(gap, float(level.variance * scale**2), *bounds, mean, variance))
        return tuple(sessions)

    def _beside_biases(self, level: Effects, users: NDArray[np.int32]) -> tuple[Doubles, Doubles]:
        """Mean of effects, and what they add to the variance of (user's bias + effect): it may be below 0."""
        mean, both = level.moments()
        return mean, both - self._biases.variance[users]


class Spread:
    """Running variance of draws of some numbers."""

    def __init__(self) -> None:
        self._n, self._sums, self._squares = 0, np.zeros(1), np.zeros(1)

    def add(self, draw: Doubles) -> None:
        """Take in one draw, (m,)."""
        self._n += 1
        self._sums = self._sums + draw
        self._squares = self._squares + draw**2

    @property
    def variance(self) -> Doubles:
        """Of the draws so far, (m,)."""
        return np.maximum(self._squares / self._n - (self._sums / self._n) ** 2, 0)


class Keyed:
    """Effects of ratings that share a key; a key of -1 has none."""

    def __init__(self, keys: NDArray[np.int64], weights: Doubles | None) -> None:
        there = keys >= 0
        self.keys = np.unique(keys[there])
        self._at = np.where(there, np.searchsorted(self.keys, keys), len(self.keys))
        self._weights = weights
        self.effects = Effects(np.bincount(self._at, weights, len(self.keys) + 1)[:-1])

    def offsets(self, out: Doubles | None = None) -> Doubles:
        """What the present draw adds to each rating's target, (n,)."""
        return np.take(np.append(self.effects.values, 0.0), self._at, out=out, mode="clip")

    def draw(self, rest: Doubles, alpha: float, rng: np.random.Generator) -> None:
        """The effects; rest: (n,), the targets less everything but these effects."""
        sums = np.bincount(self._at, rest if self._weights is None else self._weights * rest, len(self.keys) + 1)
        self.effects.draw(sums[:-1], alpha, rng)

    def keep(self) -> None:
        """Take the present draw into the mean."""
        self.effects.keep()

    def result(self, scale: float, *, present: bool) -> KeyedEffects:
        """The effects with the moments of the kept draws, or with the present draw alone."""
        drawn = self.effects.values, np.zeros(len(self.keys))
        mean, variance = _scaled(drawn if present else self.effects.moments(), scale)
        return KeyedEffects(float(self.effects.variance * scale**2), self.keys, mean, variance)


class Timing:
    """All effects of time of one chain. Ratings are in the order of ratings.by_user(), in units of `scale`."""

    def __init__(self, ratings: Ratings, scale: float, seed: int) -> None:
        assert ratings.times is not None
        order = np.argsort(ratings.user_codes, kind="stable")
        users, items, times = ratings.user_codes[order], ratings.item_codes[order], ratings.times[order]
        weights = None if ratings.weights is None else ratings.weights[order].astype(np.float64)
        self._scale, self._weights = scale, weights
        self._rng = np.random.Generator(np.random.Philox([seed, 2]))
        self.sessions = SessionTree(users, times, weights)
        self._latest, self._n_periods = int(times.max()), _n_periods(times)
        self.days, self.drift = self._days(times, weights), self._drift(items, times, weights)
        self.offsets, self._rest = np.zeros(len(order)), np.zeros(len(order))
        self._present = [np.zeros(len(order)) for _ in self._parts]  # what each part adds in the present draw

    def _days(self, times: NDArray[np.int64], weights: Doubles | None) -> Keyed | None:
        days = days_of(times.astype(np.float64))
        first = int(days.min())
        keyed = Keyed(days - first, weights)
        keyed.keys = keyed.keys + first
        return keyed if 1 < len(keyed.keys) <= MOST_ALONE * len(times) else None

    def _drift(self, items: NDArray[np.int32], times: NDArray[np.int64], weights: Doubles | None) -> Keyed | None:
        if self._n_periods < 2:
            return None
        past = periods_of(times.astype(np.float64), self._latest, self._n_periods)
        keyed = Keyed(np.where(past > 0, items * np.int64(self._n_periods) + past, -1), weights)
        return keyed if 1 < len(keyed.keys) <= MOST_ALONE * len(items) else None

    @property
    def _parts(self) -> list[SessionTree | Keyed]:
        parts = (self.sessions if self.sessions.levels else None, self.days, self.drift)
        return [part for part in parts if part is not None]

    def draw(self, residuals: Doubles, alpha: float) -> Doubles:
        """One draw of all effects given residuals t - x.z, (n,); what they leave of them, (n,)."""
        rest = np.subtract(residuals, self.offsets, out=self._rest)
        for part, present in zip(self._parts, self._present, strict=True):
            rest += present
            part.draw(rest, alpha, self._rng)
            rest -= part.offsets(out=present)
        np.subtract(residuals, rest, out=self.offsets)
        return rest

    def alpha_now(self, alpha: float) -> float:
        """The precision of a rating at an unknown moment: the noise's variance and that of the effects, inverted."""
        score_variance = self.sessions.unknown_variance + (
            0.0 if self.days is None else 1 / self.days.effects.precision
        )
        return 1 / (1 / alpha + score_variance)

    def squares(self, left: Doubles) -> float:
        """The sum of w e^2."""
        return float(left @ left if self._weights is None else self._weights @ left**2)

    def keep(self, users: Floats) -> None:
        """Take the present draw into the means; users: their vectors in the same draw."""
        self.sessions.keep(users[:, -1])
        for part in (self.days, self.drift):
            if part is not None:
                part.keep()

    def effects(self, *, present: bool = False) -> TimeEffects:
        """The mean and variance of the kept draws on the rating scale; or the present draw alone."""
        drift = None if self.drift is None else self.drift.result(self._scale, present=present)
        return TimeEffects(
            self.sessions.result(self._scale, present=present),
            None if self.days is None else self.days.result(self._scale, present=present),
            None if drift is None else Drift(self._latest, self._n_periods, drift),
        )


def session_levels(users: NDArray[np.int32], times: NDArray[np.int64]) -> tuple[list[float], list[Places]]:
    """Gaps, from the longest to the shortest, and the ratings that sessions start with; all sorted by user and time.

    The gaps hold fixed shares of the distances between a user's neighbouring ratings, so that any unit of time will do.
    Left out: a level that is the one before, whole users, or nearly every rating alone.
    """
    apart = np.diff(times)
    same = users[1:] == users[:-1]
    if not same.any():
        return [], []
    gaps, firsts = list[float](), list[Places]()
    fewest = len(users) - int(np.count_nonzero(same))  # one session for each user
    for gap in np.quantile(apart[same], sorted(SHARES, reverse=True), method="lower"):
        first = np.flatnonzero(np.concatenate([[True], ~same | (apart > gap)]))
        if fewest < len(first) <= MOST_ALONE * len(users):
            gaps.append(float(gap))
            firsts.append(first)
            fewest = len(first)
    return gaps, firsts


def _n_periods(times: NDArray[np.int64]) -> int:
    """Periods of a year that the ratings span, an incomplete one of less than half a year joined to the one after."""
    return min(max(1, round((int(times.max()) - int(times.min())) / YEAR)), MOST_PERIODS)


def _scaled(timestamps: tuple[Doubles, Doubles], scale: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean, variance = timestamps
    return (scale * mean).astype(np.float32), (scale**2 * variance).astype(np.float32)
