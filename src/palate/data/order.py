"""The order of events: each user's oldest first, by time where there are times, by row where there are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings


def oldest_first(ratings: Ratings) -> Ratings:
    """The ratings in an order in which each user's oldest comes first; of equal times, the earlier row.

    Without times, or if they are in order already, the same ratings.
    """
    times = ratings.times
    if times is None or _is_in_order(ratings.user_codes, times):
        return ratings
    return ratings[np.lexsort((times, ratings.user_codes))]


def _is_in_order(users: NDArray[np.int32], times: NDArray[np.int64]) -> bool:
    """Whether no user's time falls from one row to a later one."""
    order = np.argsort(users, kind="stable")
    falls = np.diff(times[order]) < 0
    falls &= users[order[1:]] == users[order[:-1]]
    return not falls.any()
