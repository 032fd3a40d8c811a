"""The order of events: each user's oldest first, by time where there are times, by row where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.data.blocks.mapped import Blocks
from palate.data.ratings import Ratings
from palate.data.reading.duplicates import Columns, Duplicates, join_pairs
from palate.data.rows import CompressedRows, Times, row_codes
from palate.kernels import has_repeats

COMPARED = 1 << 22  # times that are compared at once


def oldest_first(ratings: Ratings) -> Ratings:
    """The ratings in an order in which each user's oldest comes first; of equal times, the earlier row.

    Without times, or if they are in order already, the same ratings.
    """
    times = ratings.times
    if times is None or _is_in_order(ratings, times):
        return ratings
    return ratings[np.lexsort((times, ratings.user_codes))]


def _is_in_order(ratings: Ratings, times: Times) -> bool:
    """Whether no user's time falls from one row to a later one. Compares the mapped times of Blocks part by part."""
    rows = ratings.by_user()
    if rows.times is None:  # explicit ratings are grouped without times
        rows = replace(rows, times=times[np.argsort(ratings.user_codes, kind="stable")])
    assert rows.times is not None
    for start in range(0, len(times), COMPARED):
        some = rows.times[start : start + COMPARED + 1]
        falls = start + 1 + np.flatnonzero(some[1:] < some[:-1])
        if (rows.indptr[np.searchsorted(rows.indptr, falls)] != falls).any():  # within a row
            return False
    return True


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


def _joined_rows(rows: CompressedRows, policy: Duplicates, n_items: int) -> CompressedRows:
    """The same of some rows."""
    columns = Columns(row_codes(rows), rows.indices, rows.values, rows.times, rows.weights)
    found, *_ = join_pairs(columns, policy, (rows.n_rows, n_items))
    if policy == "sum" and found.weights is None:  # other rows have pairs that are repeated
        found = found._replace(weights=np.ones(len(found.values), np.float32))
    return CompressedRows.of(found.users, found.items, found.values, found.weights, rows.n_rows, found.times)
