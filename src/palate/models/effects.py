"""Effects of time: what a rating owes to its moment and not to who rates what.

    rating = (what the factors say) + session effects of (user, moment) + day effect + drift of (item, period)

A session is what one user rated in one go: ratings no farther apart than a gap. There are several gaps, so that long
sessions hold shorter ones. Items drift in periods of a year counted back from the last rating; the latest period is
the one that the factors themselves describe. All effects lie around 0, which is what they are at an unknown moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.models.factors import Codes, Doubles, Floats

Timestamps = NDArray[np.int64]
Positions = NDArray[np.intp]

DAY = 86_400
YEAR = 31_557_600


@dataclass(frozen=True)
class Sessions:
    """The sessions at one gap, (m,) each, sorted by user and start.

    mean: of what the session and all longer ones around it do to a rating; variance: what they add to that of the
    expected rating, which may be below 0, since effects and the user's bias trade with each other; prior: how widely
    this gap's own effects vary.
    """

    gap: float
    prior: float
    users: Codes
    starts: Timestamps
    ends: Timestamps
    mean: Floats
    variance: Floats

    def locate(self, users: Codes, when: Doubles) -> Positions:
        """The session that each moment lies in, or within the gap of the nearest end of, (n,); -1 for none."""
        if len(self.users) == 0:
            return np.full(len(when), -1)
        timestamps, keys = self._keys
        wanted = _combined(users, np.searchsorted(timestamps, when, side="right"), len(timestamps))
        before = np.searchsorted(keys, wanted, side="right") - 1
        near, far = self._distance(before, users, when), self._distance(before + 1, users, when)
        nearest = np.where(far < near, before + 1, before)
        return np.where(np.minimum(near, far) <= self.gap, nearest, -1)

    @cached_property
    def _keys(self) -> tuple[Timestamps, Timestamps]:
        """All distinct starts, and a number for each session that rises with user and start."""
        timestamps, at = np.unique(self.starts, return_inverse=True)
        return timestamps, _combined(self.users, at + 1, len(timestamps))

    def _distance(self, at: Positions, users: Codes, when: Doubles) -> Doubles:
        """How far moments lie from sessions, (n,): 0 inside, infinity from those of somebody else."""
        near = np.clip(at, 0, len(self.users) - 1)
        own = (at == near) & (self.users[near] == users)
        away = np.maximum(self.starts[near] - when, when - self.ends[near])
        distance: Doubles = np.where(own, np.maximum(away, 0), np.inf)
        return distance

    def subset(self, kept: NDArray[np.bool_]) -> Sessions:
        """Some of the sessions, by a mask."""
        parts = {name: getattr(self, name)[kept] for name in ("users", "starts", "ends", "mean", "variance")}
        return replace(self, **parts)


@dataclass(frozen=True)
class KeyedEffects:
    """Effects by key: keys (m,), rising; mean and variance of each effect, (m,); prior: how widely they vary."""

    prior: float
    keys: Timestamps
    mean: Floats
    variance: Floats

    def at(self, keys: Timestamps) -> tuple[Doubles, Doubles]:
        """Mean and variance of the effects of keys, (n,) each: 0 and the prior's where a key is unknown."""
        if len(self.keys) == 0:
            return np.zeros(len(keys)), np.full(len(keys), self.prior)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[place] == keys
        return np.where(known, self.mean[place], 0.0), np.where(known, self.variance[place], self.prior)


@dataclass(frozen=True)
class Drift:
    """How items lay in earlier periods, from where they lie in the latest, which ends with the last rating.

    effects: by item * n_periods + period, where period 1 is the one before the latest.
    """

    latest: int
    n_periods: int
    effects: KeyedEffects

    def at(self, items: Codes, when: Doubles) -> tuple[Doubles, Doubles]:
        """Mean and variance, (n,) each; both 0 from the latest period on, and the prior's where nothing is known."""
        past = periods_of(when, self.latest, self.n_periods)
        keys = np.where(items >= 0, items.astype(np.int64) * self.n_periods + past, -1)
        mean, variance = self.effects.at(keys)
        return np.where(past > 0, mean, 0.0), np.where(past > 0, variance, 0.0)

    def subset(self, items: NDArray[np.bool_]) -> Drift:
        """Of some items only, by a mask, with the codes that these have among themselves."""
        effects, code_of = self.effects, np.cumsum(items) - 1
        whose, period = np.divmod(effects.keys, self.n_periods)
        there = items[whose]
        keys = (code_of[whose] * self.n_periods + period)[there].astype(np.int64)
        kept = replace(effects, keys=keys, mean=effects.mean[there], variance=effects.variance[there])
        return replace(self, effects=kept)


@dataclass(frozen=True)
class TimeEffects:
    """What a trained model knows of moments, in units of the rating scale.

    sessions: from the longest gap to the shortest. exchanged: whether users and items have changed places.
    """

    sessions: tuple[Sessions, ...] = ()
    days: KeyedEffects | None = None
    drift: Drift | None = None
    exchanged: bool = False

    @property
    def unknown_variance(self) -> float:
        """How widely the effects vary at a moment of which nothing is known, such as now."""
        return sum(level.prior for level in self.sessions) + (0.0 if self.days is None else self.days.prior)

    def at(self, user_codes: Codes, item_codes: Codes, when: Any = None) -> tuple[Doubles, Doubles]:
        """Mean of what moments do to ratings, and what they add to the variance of the expected rating, (n,) each.

        when: (n,) seconds since 1970; None or nan is now, later than all that is known. The code -1 is unknown.
        """
        n = len(user_codes)
        timestamps = np.full(n, np.nan) if when is None else np.asarray(when, np.float64)
        users, items = (item_codes, user_codes) if self.exchanged else (user_codes, item_codes)
        mean, variance = self._sessions_at(users, timestamps)
        there = ~np.isnan(timestamps)
        if self.days is not None:
            mean, variance = _sum(
                (mean, variance), self.days.at(days_of(timestamps)), unknown=self.days.prior, where=there
            )
        if self.drift is not None:
            mean, variance = _sum((mean, variance), self.drift.at(items, timestamps), unknown=0.0, where=there)
        return mean, variance

    def _sessions_at(self, users: Codes, timestamps: Doubles) -> tuple[Doubles, Doubles]:
        mean, variance = np.zeros(len(users)), np.zeros(len(users))
        for level in self.sessions:  # a shorter session's mean and variance hold those of the longer ones around it
            place = level.locate(users, timestamps)
            inside = place >= 0
            mean[inside] = level.mean[place[inside]]
            variance = variance + level.prior
            variance[inside] = level.variance[place[inside]]
        return mean, variance

    def transposed(self) -> TimeEffects:
        """The same effects for a model with users and items exchanged."""
        return replace(self, exchanged=not self.exchanged)

    def without_users(self, user_codes: Codes) -> TimeEffects:
        """The same effects without any session of these users; all codes stay what they are."""
        kept = [level.subset(~np.isin(level.users, user_codes)) for level in self.sessions]
        return replace(self, sessions=tuple(kept))

    def subset(self, users: NDArray[np.bool_], items: NDArray[np.bool_]) -> TimeEffects:
        """The same effects of some users and items, by masks, with the codes that these have among themselves."""
        raters, rated = (items, users) if self.exchanged else (users, items)
        code_of = (np.cumsum(raters) - 1).astype(np.int32)
        sessions = [level.subset(raters[level.users]) for level in self.sessions]
        sessions = [replace(level, users=code_of[level.users]) for level in sessions]
        drift = None if self.drift is None else self.drift.subset(rated)
        return replace(self, sessions=tuple(sessions), drift=drift)


def days_of(when: Doubles) -> Timestamps:
    """The day of each moment, (n,), in whole days since 1970; nan becomes a day that nobody knows."""
    days: Timestamps = np.where(np.isnan(when), -(2.0**62), np.floor(when / DAY)).astype(np.int64)
    return days


def periods_of(when: Doubles, latest: int, n_periods: int) -> Timestamps:
    """How many periods before the latest each moment lies, (n,): 0..n_periods - 1; 0 for nan."""
    past: Timestamps = np.clip(np.nan_to_num(np.floor((latest - when) / YEAR)), 0, n_periods - 1).astype(np.int64)
    return past


def _combined(users: Codes, ranks: NDArray[Any], n_timestamps: int) -> Timestamps:
    """One number that rises with user, then with rank (0..n_moments)."""
    combined: Timestamps = users.astype(np.int64) * (n_timestamps + 1) + ranks
    return combined


def _sum(
    one: tuple[Doubles, Doubles], other: tuple[Doubles, Doubles], *, unknown: float, where: NDArray[np.bool_]
) -> tuple[Doubles, Doubles]:
    """Means and variances added up; elsewhere than `where`, other is 0 with the variance `unknown`."""
    return one[0] + np.where(where, other[0], 0.0), one[1] + np.where(where, other[1], unknown)


# ---- as plain arrays -----------------------------------------------------------------------------------------------

SESSION_PARTS = {"users": np.int32, "starts": np.int64, "ends": np.int64, "mean": np.float32, "variance": np.float32}
GROUP_PARTS = {"keys": np.int64, "mean": np.float32, "variance": np.float32}


def pack(effects: TimeEffects) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The effects as a header of plain values and named arrays."""
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
    """The effects that pack packed, of so many users and items. Raises ValueError for what cannot be effects."""
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
        raise ValueError("effects.drift: an item that is not there")
    return Drift(latest, n_periods, effects)


def _unpack_groups(header: dict[str, Any], tensors: dict[str, NDArray[Any]], name: str) -> KeyedEffects:
    groups = KeyedEffects(_number(header["prior"], "a prior"), **_parts(tensors, name, GROUP_PARTS))
    if (np.diff(groups.keys) <= 0).any():
        raise ValueError(f"{name}: its keys do not rise")
    return groups


def _parts(tensors: dict[str, NDArray[Any]], name: str, kinds: dict[str, Any]) -> dict[str, Any]:
    parts = {part: tensors[f"{name}.{part}"] for part in kinds}
    shape = (len(parts["mean"]),)
    for part, kind in kinds.items():
        if parts[part].dtype != kind or parts[part].shape != shape:
            raise ValueError(f"{name}.{part}: {parts[part].dtype} {parts[part].shape}, not {np.dtype(kind)} {shape}")
    if not (np.isfinite(parts["mean"]).all() and np.isfinite(parts["variance"]).all()):
        raise ValueError(f"{name}: an effect that is no number")
    return parts


def _check_sessions(level: Sessions, n_users: int) -> None:
    users, starts = level.users, level.starts
    if len(users) and not (users.min() >= 0 and users.max() < n_users):
        raise ValueError("effects.session: a user who is not there")
    same = users[1:] == users[:-1]
    if (users[1:] < users[:-1]).any() or (same & (starts[1:] <= level.ends[:-1])).any() or (level.ends < starts).any():
        raise ValueError("effects.session: sessions that overlap, or end before they begin")


def _number(value: Any, what: str) -> float:
    number = float(value)
    if not 0 <= number < np.inf:
        raise ValueError(f"effects: {what} of {number}")
    return number
