"""max_per={"genre": 2}: at most two items of each genre in one list.

A list is filled in the order of the ranking: an item is taken unless one of its categories is full. Scores and order
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.deciding import found_fields
from palate.data.features.fields import Classes
from palate.data.features.values import flags_of, parts_of
from palate.data.forking import check_threads
from palate.errors import DataError, OptionError
from palate.models.factors import Codes, Floats
from palate.options import is_whole

if TYPE_CHECKING:
    import polars as pl

Fetch = Callable[[NDArray[np.int64], int], tuple[Codes, Floats]]  # rows, n -> codes and scores of their n best

MAX_COUNTERS = 1_000_000  # counters and fetched items in memory at once


@dataclass(frozen=True)
class Limit:
    """At most `maximum` items of each class of a column in one list. The classes of all items as compressed rows."""

    maximum: int
    indptr: NDArray[np.int64]  # (n_items + 2,); the last row, of no item, is empty
    classes: Codes  # of item i: classes[indptr[i] : indptr[i + 1]]
    n_classes: int


def limits_of(max_per: Any, table: pl.DataFrame | None, what: str) -> tuple[Limit, ...]:
    """The limits in max_per={column: k}. Raises DataError for a missing column, OptionError unless k is a count."""
    if not isinstance(max_per, Mapping):
        raise OptionError(f'max_per={max_per!r}: give how many of each value of a column, such as {{"genre": 2}}.')
    if max_per:
        check_threads("max_per=")
    if max_per and table is None:
        raise DataError(f"max_per needs a table of {what}s, and the model has none: fit on ratings with one.")
    return tuple(_limit(table, name, k) for name, k in max_per.items() if table is not None)


def _limit(table: pl.DataFrame, name: str, k: Any) -> Limit:
    if not is_whole(k) or k < 0:
        raise OptionError(f"max_per={{{name!r}: {k!r}}}: give a whole number, 0 or more.")
    rows, classes = _classes_of(table, name)
    indptr = np.zeros(table.height + 2, np.int64)
    np.cumsum(np.bincount(rows, minlength=table.height + 1), out=indptr[1:])
    return Limit(int(k), indptr, classes, int(classes.max(initial=-1)) + 1)


def _classes_of(table: pl.DataFrame, name: str) -> tuple[NDArray[np.int64], Codes]:
    """Row and class of each value, row by row. Values are split where the features of a fit would split them."""
    import polars as pl

    if name not in table.columns:
        return _flagged(table, name)
    decided = found_fields(table.select(name), ())[0]
    separator = decided.separator if isinstance(decided, Classes) else ""
    pairs = parts_of(table[name], separator).drop_nulls().unique().sort("row", "label")
    codes = pairs["label"].rank("dense").cast(pl.Int32) - 1
    return pairs["row"].to_numpy(), codes.to_numpy()


def _flagged(table: pl.DataFrame, name: str) -> tuple[NDArray[np.int64], Codes]:
    """Row and class for a group of columns of 0 and 1, such as genre_Action and genre_Comedy."""
    groups = [field for field in found_fields(table, ()) if isinstance(field, Classes) and field.columns]
    found = [field for field in groups if field.name == name]
    if not found:
        names = [*table.columns, *(field.name for field in groups)]
        raise DataError(f"max_per: there is no column {name!r}. The columns are {', '.join(map(repr, names))}.")
    rows, classes = np.nonzero(np.stack([flags_of(table[column]) for column in found[0].columns], axis=1))
    return rows, classes.astype(np.int32)


def limited(fetch: Fetch, n_users: int, n: int, n_items: int, limits: tuple[Limit, ...]) -> tuple[Codes, Floats]:
    """The n best of each user within the limits, (n_users, n); code -1 where there are no more.

    For users whose list does not fill, four times as many items are fetched, until it fills or no items are left.
    """
    codes, scores = np.empty((n_users, n), np.int32), np.empty((n_users, n), np.float32)
    left, depth = np.arange(n_users), min(2 * n, n_items)
    while len(left) and n:
        unfilled = []
        step = max(1, MAX_COUNTERS // (depth + sum(limit.n_classes for limit in limits)))
        for start in range(0, len(left), step):
            rows = left[start : start + step]
            found, values = fetch(rows, depth)
            codes[rows], scores[rows] = _greedy(found, values, n, limits)
            unfilled.append(rows[(codes[rows, -1] < 0) & (found[:, -1] >= 0)])
        left = np.concatenate(unfilled) if depth < n_items else left[:0]
        depth = min(4 * depth, n_items)
    return codes, scores


def _greedy(found: Codes, values: Floats, n: int, limits: tuple[Limit, ...]) -> tuple[Codes, Floats]:
    """The first n items of each row of a ranking (m, depth), without those that have a full category."""
    m = len(found)
    codes, scores = np.full((m, n), -1, np.int32), np.full((m, n), -np.inf, np.float32)
    counts = [np.zeros((m, limit.n_classes), np.int32) for limit in limits]
    taken = np.zeros(m, np.int64)
    for place in range(found.shape[1]):
        rows = np.flatnonzero((taken < n) & (found[:, place] >= 0))
        if len(rows) == 0:
            break
        at = [_pairs(limit, found[rows, place]) for limit in limits]
        free = np.ones(len(rows), bool)
        for limit, count, (row, category) in zip(limits, counts, at, strict=True):
            free[row[count[rows[row], category] >= limit.maximum]] = False
        for count, (row, category) in zip(counts, at, strict=True):
            kept = free[row]
            count[rows[row[kept]], category[kept]] += 1
        rows = rows[free]
        codes[rows, taken[rows]], scores[rows, taken[rows]] = found[rows, place], values[rows, place]
        taken[rows] += 1
    return codes, scores


def _pairs(limit: Limit, items: Codes) -> tuple[NDArray[np.int64], Codes]:
    """Position among the items, and class, of every class of some items."""
    counts = np.diff(limit.indptr)[items]
    first = np.cumsum(counts) - counts
    rows = np.repeat(np.arange(len(items)), counts)
    return rows, limit.classes[np.repeat(limit.indptr[items] - first, counts) + np.arange(counts.sum())]
