"""The order of events: each user's oldest first, by time where there are times, by row where there are none."""

from __future__ import annotations

import numpy as np

from palate.data.blocks.mapped import Blocks
from palate.data.ratings import Ratings, of_frame
from palate.data.reading.duplicates import Columns, Duplicates, join_pairs
from palate.data.rows import CompressedRows, Times, rises_in_rows, row_codes
from palate.kernels import has_repeats


def oldest_first(ratings: Ratings) -> Ratings:
    """The ratings in an order in which each user's oldest comes first; of equal times, the earlier row.

    Without times, or if they are in order already, the same ratings.
    """
    if ratings.time_range is None:
        return ratings
    rows = ratings.by_user()
    times = _times_by_user(ratings) if rows.times is None else rows.times
    if rises_in_rows(rows, times):
        return ratings
    return ratings[np.lexsort((_times_of(ratings), ratings.user_codes))]


def _times_of(ratings: Ratings) -> Times:
    assert ratings.times is not None
    return ratings.times


def _times_by_user(ratings: Ratings) -> Times:
    """The times in the order of the users' rows, where these have none: explicit ratings."""
    return _times_of(ratings)[np.argsort(ratings.user_codes, kind="stable")]


def joined(ratings: Ratings) -> Ratings:
    """Implicit ratings with one row for each pair: where its last event is, with its time and the sum of all counts.

    This is what reading with duplicates="sum" would have given; likes without weights stay likes without counts.
    The same ratings if no pair is repeated.
    """
    rows = ratings.by_user()
    if not has_repeats(rows.indptr, rows.indices, ratings.n_items):
        return ratings
    is_like = ratings.like_threshold is not None and ratings.weights is None
    policy: Duplicates = "last" if is_like else "sum"
    if isinstance(ratings, Blocks):
        return ratings.changed(lambda _, some: _joined_rows(some, policy, ratings.n_items))
    columns = Columns(ratings.user_codes, ratings.item_codes, ratings.values, ratings.times, ratings.weights)
    found, *_ = join_pairs(columns, policy, (ratings.n_users, ratings.n_items))
    together = Ratings(
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
    return of_frame(together, ratings.frame_kind)


def _joined_rows(rows: CompressedRows, policy: Duplicates, n_items: int) -> CompressedRows:
    """The same of some rows."""
    columns = Columns(row_codes(rows), rows.indices, rows.values, rows.times, rows.weights)
    found, *_ = join_pairs(columns, policy, (rows.n_rows, n_items))
    if policy == "sum" and found.weights is None:  # other rows have pairs that are repeated
        found = found._replace(weights=np.ones(len(found.values), np.float32))
    return CompressedRows.of(found.users, found.items, found.values, found.weights, rows.n_rows, found.times)
