"""Sessions: events of one user with no long pause between them, at several levels of longer and shorter ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]

SHARES = (0.5, 0.8, 0.95, 0.99)  # by level, the share of gaps between a user's events that lie within a session
MAX_GROUPS = 0.9  # sessions per event: a level with more says nothing


def session_levels(users: NDArray[np.int32], times: NDArray[np.int64]) -> tuple[list[float], list[Positions]]:
    """The gap of each level, from the longest to the shortest, and the events that its sessions start with.

    users and times: of all events, sorted by user and then by time. The gaps are quantiles of the times between
    neighbouring events of a user, so any unit of time will do. A level is left out if it equals the one before, if its
    sessions are whole users, or if nearly every session is a single event.
    """
    gaps_between = np.diff(times)
    same_user = users[1:] == users[:-1]
    if not same_user.any():
        return [], []
    gaps, firsts = list[float](), list[Positions]()
    n_before = len(users) - int(np.count_nonzero(same_user))  # one session per user
    for gap in np.quantile(gaps_between[same_user], sorted(SHARES, reverse=True), method="lower"):
        first = np.flatnonzero(np.concatenate([[True], ~same_user | (gaps_between > gap)]))
        if n_before < len(first) <= MAX_GROUPS * len(users):
            gaps.append(float(gap))
            firsts.append(first)
            n_before = len(first)
    return gaps, firsts
