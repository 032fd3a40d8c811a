"""At most k of a category in one list: the items' categories, and the greedy choice that keeps to the limit.

A list is made in the order of the ranking: an item is taken unless one of its categories is full. Nothing else of the
ranking changes, so that the first item left out is one for which there was no room.
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
from palate.errors import DataError, OptionError
from palate.models.factors import Codes, Floats
from palate.options import is_whole

if TYPE_CHECKING:
    import polars as pl

Fetch = Callable[[NDArray[np.int64], int], tuple[Codes, Floats]]  # rows, how many -> their best, (len(rows), how many)

COUNTS_AT_ONCE = 1_000_000  # counters and fetched items held at once


@dataclass(frozen=True)
class Limit:
    """At most `most` items of each class of a field in one list."""

    most: int
    indptr: NDArray[np.int64]  # (n_items + 2,): the last row, of no item, is empty
    classes: Codes  # of each item
    n_classes: int


def limits_of(max_per: Any, table: pl.DataFrame | None, what: str) -> tuple[Limit, ...]:
    """max_per={column: k}, checked. DataError for a column that is not there, OptionError for a k that is no count."""
    if not isinstance(max_per, Mapping):
        raise OptionError(f'max_per={max_per!r}: give how many of each value of a column, such as {{"genre": 2}}.')
    if max_per and table is None:
        raise DataError(f"max_per needs a table of {what}s, and the model has none: fit on ratings with one.")
    return tuple(_limit(table, name, most) for name, most in max_per.items() if table is not None)


def _limit(table: pl.DataFrame, name: str, most: Any) -> Limit:
    if not is_whole(most) or most < 0:
        raise OptionError(f"max_per: of {name!r} {most!r} are allowed; give a whole number, 0 or more.")
    rows, classes = _classes_of(table, name)
    indptr = np.zeros(table.height + 2, np.int64)
    np.cumsum(np.bincount(rows, minlength=table.height + 1), out=indptr[1:])
    return Limit(int(most), indptr, classes, int(classes.max(initial=-1)) + 1)


def _classes_of(table: pl.DataFrame, name: str) -> tuple[NDArray[np.int64], Codes]:
    """(row, class) of each value of each row, row by row: several values where the features would see several."""
    import polars as pl

    if name not in table.columns:
        return _flagged(table, name)
    decided = found_fields(table.select(name), ())[0]
    separator = decided.separator if isinstance(decided, Classes) else ""
    pairs = parts_of(table[name], separator).drop_nulls().unique().sort("row", "label")
    codes = pairs["label"].rank("dense").cast(pl.Int32) - 1
    return pairs["row"].to_numpy(), codes.to_numpy()


def _flagged(table: pl.DataFrame, name: str) -> tuple[NDArray[np.int64], Codes]:
    """The same of a group of columns of 0 and 1, such as genre_Action, genre_Comedy."""
    groups = [field for field in found_fields(table, ()) if isinstance(field, Classes) and field.columns]
    found = [field for field in groups if field.name == name]
    if not found:
        names = [*table.columns, *(field.name for field in groups)]
        raise DataError(f"max_per: there is no column {name!r}. The columns are {', '.join(map(repr, names))}.")
    rows, classes = np.nonzero(np.stack([flags_of(table[column]) for column in found[0].columns], axis=1))
    return rows, classes.astype(np.int32)


def limited(fetch: Fetch, n_people: int, n: int, n_items: int, limits: tuple[Limit, ...]) -> tuple[Codes, Floats]:
    """The n best of each person, (n_people, n), with no category over its limit; code -1 where there are no more.

    Those whose list does not fill are asked for again, four times deeper, until it does or there are no more items.
    """
    codes = np.full((n_people, n), -1, np.int32)
    scores = np.full((n_people, n), -np.inf, np.float32)
    left, depth = np.arange(n_people), min(2 * n, n_items)
    while len(left) and n:
        unfilled = []
        step = max(1, COUNTS_AT_ONCE // (depth + sum(limit.n_classes for limit in limits)))
        for start in range(0, len(left), step):
            rows = left[start : start + step]
            found, values = fetch(rows, depth)
            codes[rows], scores[rows] = _greedy(found, values, n, limits)
            unfilled.append(rows[(codes[rows, -1] < 0) & (found[:, -1] >= 0)])
        left = np.concatenate(unfilled) if depth < n_items else left[:0]
        depth = min(4 * depth, n_items)
    return codes, scores


def _greedy(found: Codes, values: Floats, n: int, limits: tuple[Limit, ...]) -> tuple[Codes, Floats]:
    """The first n of each row of a ranking (m, depth) that no full category keeps out."""
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
            free[row[count[rows[row], category] >= limit.most]] = False
        for count, (row, category) in zip(counts, at, strict=True):
            kept = free[row]
            count[rows[row[kept]], category[kept]] += 1
        rows = rows[free]
        codes[rows, taken[rows]], scores[rows, taken[rows]] = found[rows, place], values[rows, place]
        taken[rows] += 1
    return codes, scores


def _pairs(limit: Limit, items: Codes) -> tuple[NDArray[np.int64], Codes]:
    """(position among the items, class) of every class of some items."""
    counts = np.diff(limit.indptr)[items]
    first = np.cumsum(counts) - counts
    rows = np.repeat(np.arange(len(items)), counts)
    return rows, limit.classes[np.repeat(limit.indptr[items] - first, counts) + np.arange(counts.sum())]
