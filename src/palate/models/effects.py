"""Time effects: how a rating depends on its timestamp, besides the user and the item.

    score = score of the factors + effects of the user's sessions at that time + effect of the day + drift of the item

A session is a run of one user's ratings without a longer gap than a limit. There are several limits, so that long
sessions contain shorter ones. Drift is the effect of (item, period), in periods of a year counted back from the last
rating. It is 0 in the latest period, which the factors describe. All effects have mean 0, which is also their value at
an unknown time. Timestamps are seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.models.factors import Codes, Doubles, Floats
from palate.showing.texts import Fielded

Timestamps = NDArray[np.int64]
Positions = NDArray[np.intp]

DAY = 86_400  # seconds
YEAR = 31_557_600  # seconds


@dataclass(frozen=True)
class Sessions:
    """The m sessions of one maximum gap, sorted by user and start.

    Attributes:
        gap (float): Longest gap within a session, in seconds.
        prior (float): Prior variance of the effects of these sessions alone, in squared rating units.
        users (int32 array of shape (m,)): User codes.
        starts (int64 array of shape (m,)): First timestamp of each session.
        ends (int64 array of shape (m,)): Last timestamp of each session.
        mean (float32 array of shape (m,)): Posterior mean of the session's effect plus those of all longer sessions
            around it, in rating units.
        variance (float32 array of shape (m,)): What these effects add to the variance of the score. It may be below 0,
            because effects and the user's bias are negatively correlated.
    """

    gap: float
    prior: float
    users: Codes
    starts: Timestamps
    ends: Timestamps
    mean: Floats
    variance: Floats

    def locate(self, users: Codes, when: Doubles) -> Positions:
        """The session that contains each timestamp, or the nearest one if within the gap, (n,); -1 for none."""
        if len(self.users) == 0:
            return np.full(len(when), -1)
        timestamps, keys = self._keys
        queries = _combined(users, np.searchsorted(timestamps, when, side="right"), len(timestamps))
        before = np.searchsorted(keys, queries, side="right") - 1
        near, far = self._distance(before, users, when), self._distance(before + 1, users, when)
        nearest = np.where(far < near, before + 1, before)
        return np.where(np.minimum(near, far) <= self.gap, nearest, -1)

    @cached_property
    def _keys(self) -> tuple[Timestamps, Timestamps]:
        """The distinct starts, rising, and a sort key for each session: by user, then by start."""
        timestamps, at = np.unique(self.starts, return_inverse=True)
        return timestamps, _combined(self.users, at + 1, len(timestamps))

    def _distance(self, at: Positions, users: Codes, when: Doubles) -> Doubles:
        """Seconds between timestamps and the sessions `at`, (n,): 0 inside, infinity for another user's session."""
        clipped = np.clip(at, 0, len(self.users) - 1)
        is_own = (at == clipped) & (self.users[clipped] == users)
        seconds = np.maximum(self.starts[clipped] - when, when - self.ends[clipped])
        distance: Doubles = np.where(is_own, np.maximum(seconds, 0), np.inf)
        return distance

    def subset(self, kept: NDArray[np.bool_]) -> Sessions:
        """Return some of the sessions, by a mask (m,)."""
        parts = {name: getattr(self, name)[kept] for name in ("users", "starts", "ends", "mean", "variance")}
        return replace(self, **parts)


@dataclass(frozen=True)
class KeyedEffects:
    """Effects by an integer key, such as one for each day.

    Attributes:
        prior (float): Prior variance of an effect, in squared rating units.
        keys (int64 array of shape (m,)): Rising.
        mean (float32 array of shape (m,)): Posterior mean of each effect, in rating units.
        variance (float32 array of shape (m,)): What each effect adds to the variance of the score.
    """

    prior: float
    keys: Timestamps
    mean: Floats
    variance: Floats

    def at(self, keys: Timestamps) -> tuple[Doubles, Doubles]:
        """Mean and variance of the effects of keys, (n,) each; 0 and the prior variance for an unknown key."""
        if len(self.keys) == 0:
            return np.zeros(len(keys)), np.full(len(keys), self.prior)
        position = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = self.keys[position] == keys
        return np.where(found, self.mean[position], 0.0), np.where(found, self.variance[position], self.prior)


@dataclass(frozen=True)
class Drift:
    """The drift of items: how their ratings differed in earlier periods from those in the latest.

    Attributes:
        latest (int): Timestamp of the last rating, where the latest period ends.
        n_periods (int): Number of periods; period 0 is the latest, period 1 the one before.
        effects (KeyedEffects): By key item * n_periods + period.
    """

    latest: int
    n_periods: int
    effects: KeyedEffects

    def at(self, items: Codes, when: Doubles) -> tuple[Doubles, Doubles]:
        """Mean and variance of the drift, (n,) each: both 0 from the latest period on, the prior for unknown items."""
        periods = periods_of(when, self.latest, self.n_periods)
        keys = np.where(items >= 0, items.astype(np.int64) * self.n_periods + periods, -1)
        mean, variance = self.effects.at(keys)
        return np.where(periods > 0, mean, 0.0), np.where(periods > 0, variance, 0.0)

    def subset(self, items: NDArray[np.bool_]) -> Drift:
        """Return the drift of some items, by a mask (n_items,); these get the codes 0, 1, ... in their order."""
        effects, new_codes = self.effects, np.cumsum(items) - 1
        codes, periods = np.divmod(effects.keys, self.n_periods)
        kept = items[codes]
        keys = (new_codes[codes] * self.n_periods + periods)[kept].astype(np.int64)
        subset = replace(effects, keys=keys, mean=effects.mean[kept], variance=effects.variance[kept])
        return replace(self, effects=subset)


@dataclass(frozen=True, repr=False)
class TimeEffects(Fielded):
    """The time effects of a trained model, in rating units (in score units, for ordered ratings).

    Attributes:
        sessions (tuple of Sessions, default ()): From the longest gap to the shortest.
        days (KeyedEffects, default None): Effects of days, by whole days since 1970.
        drift (Drift, default None): The drift of items.
        exchanged (bool, default False): True if users and items have been exchanged.
    """

    sessions: tuple[Sessions, ...] = ()
    days: KeyedEffects | None = None
    drift: Drift | None = None
    exchanged: bool = False

    @property
    def unknown_variance(self) -> float:
        """Variance that the effects add to a score at an unknown time, such as now."""
        return sum(level.prior for level in self.sessions) + (0.0 if self.days is None else self.days.prior)

    def at(self, user_codes: Codes, item_codes: Codes, when: Any = None) -> tuple[Doubles, Doubles]:
        """Mean of the effects at timestamps, and what they add to the variance of the score, (n,) each.

        when: (n,) seconds since 1970; None or nan is now, an unknown time after all ratings. The code -1 is unknown.
        """
        n = len(user_codes)
        timestamps = np.full(n, np.nan) if when is None else np.asarray(when, np.float64)
        users, items = (item_codes, user_codes) if self.exchanged else (user_codes, item_codes)
        mean, variance = self._sessions_at(users, timestamps)
        has_time = ~np.isnan(timestamps)
        if self.days is not None:
            mean, variance = _sum(
                (mean, variance), self.days.at(days_of(timestamps)), unknown=self.days.prior, where=has_time
            )
        if self.drift is not None:
            mean, variance = _sum((mean, variance), self.drift.at(items, timestamps), unknown=0.0, where=has_time)
        return mean, variance

    def _sessions_at(self, users: Codes, timestamps: Doubles) -> tuple[Doubles, Doubles]:
        """Mean and variance of the session effects, (n,) each."""
        mean, variance = np.zeros(len(users)), np.zeros(len(users))
        for level in self.sessions:  # a shorter session's mean and variance include those of longer ones around it
            position = level.locate(users, timestamps)
            inside = position >= 0
            mean[inside] = level.mean[position[inside]]
            variance = variance + level.prior
            variance[inside] = level.variance[position[inside]]
        return mean, variance

    def transposed(self) -> TimeEffects:
        """Return the effects for a model with users and items exchanged."""
        return replace(self, exchanged=not self.exchanged)

    def without_users(self, user_codes: Codes) -> TimeEffects:
        """Return the effects without the sessions of these users. All codes stay the same."""
        kept = [level.subset(~np.isin(level.users, user_codes)) for level in self.sessions]
        return replace(self, sessions=tuple(kept))

    def subset(self, users: NDArray[np.bool_], items: NDArray[np.bool_]) -> TimeEffects:
        """Return the effects of some users and items, by masks; these get the codes 0, 1, ... in their order."""
        raters, rated = (items, users) if self.exchanged else (users, items)
        new_codes = (np.cumsum(raters) - 1).astype(np.int32)
        sessions = [level.subset(raters[level.users]) for level in self.sessions]
        sessions = [replace(level, users=new_codes[level.users]) for level in sessions]
        drift = None if self.drift is None else self.drift.subset(rated)
        return replace(self, sessions=tuple(sessions), drift=drift)


def days_of(when: Doubles) -> Timestamps:
    """The day of each timestamp, (n,), in whole days since 1970; nan becomes a day that no rating has."""
    days: Timestamps = np.where(np.isnan(when), -(2.0**62), np.floor(when / DAY)).astype(np.int64)
    return days


def periods_of(when: Doubles, latest: int, n_periods: int) -> Timestamps:
    """The period of each timestamp, (n,): how many before the latest, 0 to n_periods - 1; 0 for nan."""
    periods: Timestamps = np.clip(np.nan_to_num(np.floor((latest - when) / YEAR)), 0, n_periods - 1).astype(np.int64)
    return periods


def _combined(users: Codes, ranks: NDArray[Any], n_timestamps: int) -> Timestamps:
    """A sort key, (n,): by user, then by rank, 0 to n_timestamps."""
    combined: Timestamps = users.astype(np.int64) * (n_timestamps + 1) + ranks
    return combined


def _sum(
    one: tuple[Doubles, Doubles], other: tuple[Doubles, Doubles], *, unknown: float, where: NDArray[np.bool_]
) -> tuple[Doubles, Doubles]:
    """Add means and variances of two effects; outside `where` the other has mean 0 and the variance `unknown`."""
    return one[0] + np.where(where, other[0], 0.0), one[1] + np.where(where, other[1], unknown)


# ---- as arrays for a model file -------------------------------------------------------------------------------------

SESSION_PARTS = {"users": np.int32, "starts": np.int64, "ends": np.int64, "mean": np.float32, "variance": np.float32}
GROUP_PARTS = {"keys": np.int64, "mean": np.float32, "variance": np.float32}


def pack(effects: TimeEffects) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the effects as a header of JSON values and named arrays."""
    tensors: dict[str, NDArray[Any]] = {}
    for at, level in enumerate(effects.sessions):
        tensors |= {f"effects.session.{at}.{part}": getattr(level, part) for part in SESSION_PARTS}
    header: dict[str, Any] = {"sessions": [{"gap": level.gap, "prior": level.prior} for level in effects.sessions]}
    if effects.days is not None:
        header["days"] = {"prior": effects.days.prior}
        tensors |= {f"effects.day.{part}": getattr(effects.days, part) for part in GROUP_PARTS}
    if (drift := effects.drift) is not None:
        header["drift"] = {"prior": drift.effects.prior, "latest": drift.latest, "n_periods": drift.n_periods}
        tensors |= {f"effects.drift.{part}": getattr(drift.effects, part) for part in GROUP_PARTS}
    if effects.exchanged:
        header["exchanged"] = True
    return header, tensors


def unpack(header: dict[str, Any], tensors: dict[str, NDArray[Any]], n_users: int, n_items: int) -> TimeEffects:
    """Return the effects that pack() wrote. Raise ValueError if they are no effects of n_users and n_items."""
    exchanged = bool(header.get("exchanged", False))
    raters, rated = (n_items, n_users) if exchanged else (n_users, n_items)
    levels = [
        Sessions(_number(level["gap"], "a gap"), _number(level["prior"], "a prior"), **parts)
        for level, parts in zip(
            header["sessions"],
            (_parts(tensors, f"effects.session.{at}", SESSION_PARTS) for at in range(len(header["sessions"]))),
            strict=True,
        )
    ]
    for level in levels:
        _check_sessions(level, raters)
    days = _unpack_groups(header["days"], tensors, "effects.day") if "days" in header else None
    drift = _unpack_drift(header["drift"], tensors, rated) if "drift" in header else None
    return TimeEffects(tuple(levels), days, drift, exchanged)


def _unpack_drift(header: dict[str, Any], tensors: dict[str, NDArray[Any]], n_items: int) -> Drift:
    effects = _unpack_groups(header, tensors, "effects.drift")
    n_periods, latest = int(header["n_periods"]), int(header["latest"])
    if not 2 <= n_periods < 2**31 or abs(latest) >= 2**63:
        raise ValueError(f"effects.drift: {n_periods} periods until {latest}")
    if len(effects.keys) and not (effects.keys[0] >= 0 and effects.keys[-1] < n_items * n_periods):
        raise ValueError("effects.drift: an item code out of range")
    return Drift(latest, n_periods, effects)


def _unpack_groups(header: dict[str, Any], tensors: dict[str, NDArray[Any]], name: str) -> KeyedEffects:
    groups = KeyedEffects(_number(header["prior"], "a prior"), **_parts(tensors, name, GROUP_PARTS))
    if (np.diff(groups.keys) <= 0).any():
        raise ValueError(f"{name}: the keys do not rise")
    return groups


def _parts(tensors: dict[str, NDArray[Any]], name: str, kinds: dict[str, Any]) -> dict[str, Any]:
    parts = {part: tensors[f"{name}.{part}"] for part in kinds}
    shape = (len(parts["mean"]),)
    for part, kind in kinds.items():
        if parts[part].dtype != kind or parts[part].shape != shape:
            raise ValueError(f"{name}.{part}: {parts[part].dtype} {parts[part].shape}, not {np.dtype(kind)} {shape}")
    if not (np.isfinite(parts["mean"]).all() and np.isfinite(parts["variance"]).all()):
        raise ValueError(f"{name}: an effect that is not finite")
    return parts


def _check_sessions(level: Sessions, n_users: int) -> None:
    users, starts = level.users, level.starts
    if len(users) and not (users.min() >= 0 and users.max() < n_users):
        raise ValueError("effects.session: a user code out of range")
    same = users[1:] == users[:-1]
    if (users[1:] < users[:-1]).any() or (same & (starts[1:] <= level.ends[:-1])).any() or (level.ends < starts).any():
        raise ValueError("effects.session: sessions that overlap, or end before they begin")


def _number(value: Any, what: str) -> float:
    number = float(value)
    if not 0 <= number < np.inf:
        raise ValueError(f"effects: {what} of {number}")
    return number
