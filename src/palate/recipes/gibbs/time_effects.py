"""The effects of time in the Gibbs sampler: sessions, days and drift explain what the vectors leave of the ratings.

Ratings of one group share an effect g: the ratings of a session of one user, of one day, or of one item in a period of
the past. Each group is drawn given all the rest. With the residuals e = t - x.z - (all other effects), the noise
precision alpha, the weights w, and the precision tau of effects of this kind,

    g ~ Normal(alpha sum w e / p, 1 / p),    p = tau + alpha sum w.

tau is drawn just before, with the effects g integrated out, which mixes much faster than drawing it given g:

    p(tau | e) ~ prior(tau) prod_g (tau / p_g)^(1/2) exp((alpha sum w e)^2 / (2 p_g))

The prior of the standard deviation tau^(-1/2) is half-Cauchy (Gelman 2006), so that effects shrink to 0 where there are
none. Sessions are nested: several levels of longer and shorter ones, all drawn from the sums over the shortest.

`Effects` draws one kind of effect, `SessionTree` the levels of sessions, `KeyedEffectsSampler` days and drift, and
`TimeEffectsSampler` all of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.sessions import MAX_GROUPS, session_levels
from palate.models.effects import YEAR, Drift, KeyedEffects, Sessions, TimeEffects, days_of, periods_of
from palate.models.factors import Doubles, Floats

MAX_PERIODS = 1000  # older ratings belong to the oldest period
FIRST_PRECISION = 10.0
PRIOR_DEVIATION = 0.25  # median of the prior of an effect's standard deviation, in standard deviations of the ratings
GRID_STEP = 1.15
GRID = GRID_STEP ** np.arange(-20.0, 100.0)  # of precisions: standard deviations from 4 down to 0.001
LOG_PRIOR = -0.5 * np.log(GRID) - np.log1p(1 / (GRID * PRIOR_DEVIATION**2))  # of log tau, up to a constant


class Effects:
    """The effects of one kind, one per group: the current draw, its precision tau, and sums over the kept draws.

    counts: the sum of weights of each group, (n_groups,).
    """

    STATE: ClassVar = ("values", "precision", "_n_kept", "_prior", "_sums", "_joint_sums", "_joint_squares")

    def __init__(self, counts: NDArray[Any]) -> None:
        self.counts = counts
        self.values = np.zeros(len(counts))
        self.precision = FIRST_PRECISION
        self._sizes, self._size = np.unique(
            counts, return_inverse=True
        )  # groups of one size share a term of p(tau | e)
        self._n_of_size = np.bincount(self._size)
        self._n_kept, self._prior = 0, 0.0
        self._sums, self._joint_sums, self._joint_squares = (np.zeros(len(counts)) for _ in range(3))

    def draw(self, sums: NDArray[Any], alpha: float, rng: np.random.Generator) -> None:
        """Draw the precision, then the effects. sums: of w e in each group, (n_groups,)."""
        self.precision = self.draw_precision(sums, alpha, rng)
        self.values = self.draw_values(sums, alpha, rng)

    def draw_precision(self, sums: NDArray[Any], alpha: float, rng: np.random.Generator) -> float:
        """A draw of the precision tau with the effects integrated out, on a fine grid of log tau."""
        squares = np.bincount(self._size, sums**2)
        p = GRID[:, None] + alpha * self._sizes
        logs = self._n_of_size * np.log(GRID[:, None] / p) + alpha**2 * squares / p
        log_posterior = LOG_PRIOR + logs.sum(axis=1) / 2
        cumulated = np.cumsum(np.exp(log_posterior - log_posterior.max()))
        at = int(np.searchsorted(cumulated, rng.random() * cumulated[-1]))
        return float(GRID[at] * GRID_STEP ** (rng.random() - 0.5))

    def draw_values(self, sums: NDArray[Any], alpha: float, rng: np.random.Generator) -> Doubles:
        """A draw of the effects g given tau, (n_groups,)."""
        precision = self.precision + alpha * self.counts
        noise = rng.standard_normal(len(sums), np.float32)
        values: Doubles = (alpha * sums + noise * np.sqrt(precision)) / precision
        return values

    def keep(self, outer: Doubles | float = 0.0, bias: Doubles | float = 0.0) -> None:
        """Add the current draw to the sums over kept draws.

        outer: effects of the groups around each group, added to its own, (n_groups,). bias: what predictions of each
        group contain besides and what trades off with its effect, (n_groups,).
        """
        effects = self.values + outer
        self._sums += effects
        joint = effects + bias
        self._joint_sums += joint
        self._joint_squares += joint**2
        self._prior += 1 / self.precision
        self._n_kept += 1

    @property
    def variance(self) -> float:
        """The variance of effects of this kind among groups: the mean of 1 / tau over the kept draws."""
        return self._prior / max(self._n_kept, 1)

    def moments(self) -> tuple[Doubles, Doubles]:
        """The mean of the effects, and the variance of effect + bias, over the kept draws, (n_groups,) each."""
        count = max(self._n_kept, 1)
        joint = self._joint_sums / count
        return self._sums / count, np.maximum(self._joint_squares / count - joint**2, 0)


class SessionTree:
    """Sessions at several levels, from the longest to the shortest; each longer one consists of whole shorter ones.

    users, times, weights: of all ratings, (n,). A session ends where the gap to the user's next rating is larger than
    the gap of its level.
    """

    STATE: ClassVar = ("levels", "_total", "_biases")

    def __init__(self, users: NDArray[np.int32], times: NDArray[np.int64], weights: Doubles | None) -> None:
        order = np.lexsort((times, users))
        self._users, self._times = users[order], times[order]
        self.gaps, firsts = session_levels(self._users, self._times)
        finest = firsts[-1] if firsts else np.zeros(1, np.intp)
        self._firsts = firsts  # by level: the rating (in order of user and time) that each session starts with
        self._at = np.empty(len(users), np.intp)  # the shortest session of each rating
        self._at[order] = np.repeat(np.arange(len(finest)), np.diff(finest, append=len(users)))
        self._weights = weights
        self.counts = np.bincount(self._at, weights, len(finest)).astype(np.float64)
        self._starts = [
            np.searchsorted(finest, first) for first in firsts
        ]  # by level: the shortest session at the start
        self._inside = [
            np.repeat(np.arange(len(start)), np.diff(start, append=len(finest))) for start in self._starts
        ]  # by level: the session around each of the shortest
        self.levels = [Effects(np.add.reduceat(self.counts, start)) for start in self._starts]
        self._total = np.zeros(len(finest))  # the current effect of each of the shortest sessions: the sum over levels
        self._change = np.zeros(len(finest))
        self._biases = RunningVariance()

    @property
    def unknown_variance(self) -> float:
        """The variance of the sum over levels for an unknown session, under the current draw."""
        return sum(1 / level.precision for level in self.levels)

    def offsets(self, out: Doubles | None = None) -> Doubles:
        """The current effect on each rating, (n,)."""
        return np.take(self._total, self._at, out=out, mode="clip")

    def draw(self, residuals: Doubles, alpha: float, rng: np.random.Generator) -> None:
        """Draw all levels in turn. residuals: the targets minus all but these effects, (n,)."""
        weighted = residuals if self._weights is None else self._weights * residuals
        left = np.bincount(self._at, weighted, len(self.counts)) - self.counts * self._total
        for level, start, inside in zip(self.levels, self._starts, self._inside, strict=True):
            before = level.values
            level.draw(np.add.reduceat(left, start) + level.counts * before, alpha, rng)
            np.take(level.values - before, inside, out=self._change, mode="clip")
            self._total += self._change
            self._change *= self.counts
            left -= self._change

    def keep(self, biases: Floats) -> None:
        """Add the current draw to the sums over kept draws: for each session, with the longer sessions around it.

        biases: of users, (n_users,). The bias of a user with few sessions trades off with their effects.
        """
        exact = biases.astype(np.float64)
        self._biases.add(exact)
        for level, first, outer in zip(self.levels, self._firsts, self._outer(), strict=True):
            level.keep(outer, exact[self._users[first]])

    def _outer(self) -> list[Doubles]:
        """By level, the sum of the effects of the longer sessions around each session."""
        total = np.zeros(len(self.counts))
        outer = []
        for level, start, inside in zip(self.levels, self._starts, self._inside, strict=True):
            outer.append(total[start])
            total = total + level.values[inside]
        return outer

    def result(self, scale: float, *, current: bool) -> tuple[Sessions, ...]:
        """The sessions with the moments of the kept draws, or with the current draw alone."""
        sessions = []
        for gap, first, level, outer in zip(self.gaps, self._firsts, self.levels, self._outer(), strict=True):
            last = np.append(first[1:], len(self._times)) - 1
            bounds = self._users[first], self._times[first], self._times[last]
            drawn = level.values + outer, np.zeros(len(first))
            mean, variance = _scaled(drawn if current else self._moments_without_bias(level, bounds[0]), scale)
            sessions.append(Sessions(gap, float(level.variance * scale**2), *bounds, mean, variance))
        return tuple(sessions)

    def _moments_without_bias(self, level: Effects, users: NDArray[np.int32]) -> tuple[Doubles, Doubles]:
        """The mean of the effects, and what they add to the variance of bias + effect, which may be negative."""
        mean, joint = level.moments()
        return mean, joint - self._biases.variance[users]


class RunningVariance:
    """The running variance of draws of an array."""

    STATE: ClassVar = ("_n", "_sums", "_squares")

    def __init__(self) -> None:
        self._n, self._sums, self._squares = 0, np.zeros(1), np.zeros(1)

    def add(self, draw: Doubles) -> None:
        """Add a draw, (m,)."""
        self._n += 1
        self._sums = self._sums + draw
        self._squares = self._squares + draw**2

    @property
    def variance(self) -> Doubles:
        """The variance of the draws so far, (m,)."""
        return np.maximum(self._squares / self._n - (self._sums / self._n) ** 2, 0)


class KeyedEffectsSampler:
    """Effects of groups of ratings with the same key, (n,); ratings with key -1 have none."""

    STATE: ClassVar = ("effects",)

    def __init__(self, keys: NDArray[np.int64], weights: Doubles | None) -> None:
        has_key = keys >= 0
        self.keys = np.unique(keys[has_key])
        self._at = np.where(has_key, np.searchsorted(self.keys, keys), len(self.keys))
        self._weights = weights
        self.effects = Effects(np.bincount(self._at, weights, len(self.keys) + 1)[:-1])

    def offsets(self, out: Doubles | None = None) -> Doubles:
        """The current effect on each rating, (n,)."""
        return np.take(np.append(self.effects.values, 0.0), self._at, out=out, mode="clip")

    def draw(self, residuals: Doubles, alpha: float, rng: np.random.Generator) -> None:
        """Draw the effects. residuals: the targets minus all but these effects, (n,)."""
        weighted = residuals if self._weights is None else self._weights * residuals
        sums = np.bincount(self._at, weighted, len(self.keys) + 1)
        self.effects.draw(sums[:-1], alpha, rng)

    def keep(self) -> None:
        """Add the current draw to the sums over kept draws."""
        self.effects.keep()

    def result(self, scale: float, *, current: bool) -> KeyedEffects:
        """The effects with the moments of the kept draws, or with the current draw alone."""
        drawn = self.effects.values, np.zeros(len(self.keys))
        mean, variance = _scaled(drawn if current else self.effects.moments(), scale)
        return KeyedEffects(float(self.effects.variance * scale**2), self.keys, mean, variance)


class TimeEffectsSampler:
    """All effects of time of one chain: the current draw and the sums over kept draws.

    Ratings are in the order of ratings.by_user(), and effects in units of `scale`. A kind of effect with one
    group, or with nearly as many groups as ratings, is left out: `days` and `drift` are then None, and `sessions` has
    no levels.
    """

    STATE: ClassVar = ("sessions", "days", "drift", "offsets", "_current", "_rng")

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
        self.offsets, self._left = np.zeros(len(order)), np.zeros(len(order))
        self._current = [np.zeros(len(order)) for _ in self._parts]  # the current effect of each part on each rating

    def _days(self, times: NDArray[np.int64], weights: Doubles | None) -> KeyedEffectsSampler | None:
        days = days_of(times.astype(np.float64))
        first = int(days.min())
        keyed = KeyedEffectsSampler(days - first, weights)
        keyed.keys = keyed.keys + first
        return keyed if 1 < len(keyed.keys) <= MAX_GROUPS * len(times) else None

    def _drift(
        self, items: NDArray[np.int32], times: NDArray[np.int64], weights: Doubles | None
    ) -> KeyedEffectsSampler | None:
        if self._n_periods < 2:
            return None
        past = periods_of(times.astype(np.float64), self._latest, self._n_periods)
        keyed = KeyedEffectsSampler(np.where(past > 0, items * np.int64(self._n_periods) + past, -1), weights)
        return keyed if 1 < len(keyed.keys) <= MAX_GROUPS * len(items) else None

    @property
    def _parts(self) -> list[SessionTree | KeyedEffectsSampler]:
        parts = (self.sessions if self.sessions.levels else None, self.days, self.drift)
        return [part for part in parts if part is not None]

    def draw(self, residuals: Doubles, alpha: float) -> Doubles:
        """Draw all effects given the residuals t - x.z, (n,). Return the residuals minus the effects, (n,)."""
        left = np.subtract(residuals, self.offsets, out=self._left)
        for part, current in zip(self._parts, self._current, strict=True):
            left += current
            part.draw(left, alpha, self._rng)
            left -= part.offsets(out=current)
        np.subtract(residuals, left, out=self.offsets)
        return left

    def predictive_alpha(self, alpha: float) -> float:
        """The precision of a rating at an unknown time: 1 / (noise variance + variance of sessions and days)."""
        days = 0.0 if self.days is None else 1 / self.days.effects.precision
        return 1 / (1 / alpha + (self.sessions.unknown_variance + days))

    def sum_of_squares(self, errors: Doubles) -> float:
        """The sum of w e^2 over all ratings. errors: e, (n,)."""
        return float(errors @ errors if self._weights is None else self._weights @ errors**2)

    def keep(self, users: Floats) -> None:
        """Add the current draw to the sums over kept draws. users: their vectors in the same draw, (n_users, k)."""
        self.sessions.keep(users[:, -1])
        for part in (self.days, self.drift):
            if part is not None:
                part.keep()

    def effects(self, *, current: bool = False) -> TimeEffects:
        """The effects on the rating scale: mean and variance over the kept draws, or the current draw alone."""
        drift = None if self.drift is None else self.drift.result(self._scale, current=current)
        return TimeEffects(
            self.sessions.result(self._scale, current=current),
            None if self.days is None else self.days.result(self._scale, current=current),
            None if drift is None else Drift(self._latest, self._n_periods, drift),
        )


def _n_periods(times: NDArray[np.int64]) -> int:
    """The number of periods of a year that the ratings span, rounded."""
    return min(max(1, round((int(times.max()) - int(times.min())) / YEAR)), MAX_PERIODS)


def _scaled(moments: tuple[Doubles, Doubles], scale: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean, variance = moments
    return (scale * mean).astype(np.float32), (scale**2 * variance).astype(np.float32)
