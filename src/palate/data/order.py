"""The order of events: each user's oldest first, by time where there are times, by row where there are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.reading.duplicates import Columns, join_duplicates
from palate.kernels import has_repeats


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


def joined(ratings: Ratings) -> Ratings:
    """Implicit ratings with one row for each pair: where its last event is, with its time and the sum of all counts.

    This is what reading with duplicates="sum" would have given; likes without weights stay likes without counts.
    The same ratings if no pair is repeated.
    """
    rows = ratings.by_user()
    if not has_repeats(rows.indptr, rows.indices, ratings.n_items):
        return ratings
    is_like = ratings.like_threshold is not None and ratings.weights is None
    columns = Columns(ratings.user_codes, ratings.item_codes, ratings.values, ratings.times, ratings.weights)
    vocabularies = ratings.user_vocabulary, ratings.item_vocabulary
    found, *_ = join_duplicates(columns, "last" if is_like else "sum", vocabularies)
    return Ratings(
        found.users,
        found.items,
        found.values,
        user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary,
        times=found.times,
        weights=found.weights,
        user_table=ratings.user_table,
        item_table=ratings.item_table,
        report=ratings.report,
        kind=ratings.kind,
        like_threshold=ratings.like_threshold,
    )
