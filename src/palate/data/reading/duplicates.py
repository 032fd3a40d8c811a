"""Duplicates: rows that repeat a (user, item) pair become one, by the policy that `read` was given.

The last of them is kept, or their values are averaged, or their counts are summed, or all stay, each an event of its
own, or they are an error. Rows are columns of codes here, with times and weights if there are any.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Kind
from palate.data.vocabulary import Vocabulary, plain_label
from palate.errors import DataError

Duplicates = Literal["last", "mean", "sum", "keep", "error"]
DUPLICATES: dict[Kind, tuple[Duplicates, ...]] = {  # the first is the default
    "explicit": ("last", "mean", "error"),
    "implicit": ("sum", "last", "keep", "error"),
}
Rows = NDArray[np.intp]  # row numbers


class Columns(NamedTuple):
    """Good rows, one array per field, each of shape (n,)."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.int64] | None
    weights: NDArray[np.float32] | None


class Growing:
    """Columns to which rows are added block by block. They grow in place: new memory takes more time than the rows."""

    def __init__(self) -> None:
        self._n = 0
        self._grown: list[NDArray[Any] | None] = []

    def add(self, rows: Columns) -> None:
        """Add rows of the same fields as those before."""
        if not self._grown:
            self._grown = [None if column is None else np.empty(0, column.dtype) for column in rows]
        start, self._n = self._n, self._n + len(rows.users)
        for grown, column in zip(self._grown, rows, strict=True):
            if grown is not None and column is not None:
                if len(grown) < self._n:
                    grown.resize(max(self._n, len(grown) * 5 // 4), refcheck=False)
                grown[start : self._n] = column

    def columns(self) -> Columns:
        """All rows so far: the arrays themselves, so no more may be added while they are in use."""
        if not self._grown:
            return Columns(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), None, None)
        for grown in self._grown:
            if grown is not None:
                grown.resize(self._n, refcheck=False)
        parts: list[Any] = self._grown
        return Columns(*parts)


def join_duplicates(
    columns: Columns, policy: Duplicates, vocabularies: tuple[Vocabulary, Vocabulary]
) -> tuple[Columns, int, int]:
    """(columns with one row per pair, number of rows dropped, number of pairs with differing values), in row order.

    With "keep" the columns stay as they are. Raises DataError with "error" if a pair is repeated.
    """
    sizes = len(vocabularies[0]), len(vocabularies[1])
    found = join_pairs(columns, policy, sizes)
    if policy == "error" and found[1]:
        user, item = first_repeated(columns, sizes)
        raise repeated(vocabularies[0].labels[user], vocabularies[1].labels[item], found[1])
    return found


def join_pairs(columns: Columns, policy: Duplicates, sizes: tuple[int, int]) -> tuple[Columns, int, int]:
    """As join_duplicates, for any codes below the sizes; "error" keeps the last row of each pair."""
    if policy == "keep":
        return columns, 0, 0
    keys = _keys(columns, *sizes)
    keys.sort()  # in place, and made again if needed: most sources repeat no pair, and new memory costs time
    if not (keys[1:] == keys[:-1]).any():
        return columns, 0, 0
    keys = _keys(columns, *sizes)
    order, starts = _grouped(keys, columns.times)
    last = order[np.append(starts[1:], len(order)) - 1]
    if policy == "sum":
        columns = _summed(columns, order, starts, last)
    values = columns.values[order]
    differing = np.maximum.reduceat(values, starts) != np.minimum.reduceat(values, starts)
    if policy == "mean":
        columns = _averaged(columns, order, starts, last)
    kept = np.sort(last)
    parts: list[Any] = [None if column is None else column[kept] for column in columns]
    return Columns(*parts), len(order) - len(starts), int(differing.sum())


def first_repeated(columns: Columns, sizes: tuple[int, int]) -> tuple[int, int]:
    """The codes of the first user and item, by their codes, of which there are several rows."""
    order, starts = _grouped(_keys(columns, *sizes), columns.times)
    first = order[starts[np.argmax(np.diff(starts, append=len(order)) > 1)]]
    return int(columns.users[first]), int(columns.items[first])


def repeated(user: Any, item: Any, n: int) -> DataError:
    """The error for n rows that repeat a pair, such as this one."""
    return DataError(
        f"user {plain_label(user)!r} has rated item {plain_label(item)!r} more than once, and {n:,} rows in all repeat "
        'a (user, item) pair. Pass duplicates="last" to keep the latest of each, or duplicates="mean" to average them.'
    )


def _keys(columns: Columns, n_users: int, n_items: int) -> NDArray[Any]:
    """A number for each row, equal where the pair is; of 4 bytes if they fit."""
    keys: NDArray[Any] = columns.users.astype(np.uint32 if n_users * n_items <= 2**32 else np.int64)
    keys *= n_items
    np.add(keys, columns.items, out=keys, casting="unsafe")
    return keys


def _grouped(keys: NDArray[Any], times: NDArray[np.int64] | None) -> tuple[Rows, Rows]:
    """(rows sorted by key, then time, then row; where each key starts). Only repeated keys take the slow sort."""
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(starts, append=len(order))
    repeated = np.repeat(sizes > 1, sizes)
    rows = np.sort(order[repeated])
    by = (keys[rows],) if times is None else (times[rows], keys[rows])
    order[repeated] = rows[np.lexsort(by)]
    return order, starts


def _summed(columns: Columns, order: Rows, starts: Rows, last: Rows) -> Columns:
    """The columns with the sum of counts at the last row of each pair; without counts, each row counts 1."""
    counts = columns.weights if columns.weights is not None else np.ones(len(order), np.float32)
    totals = counts.copy()
    with np.errstate(over="ignore"):
        totals[last] = np.add.reduceat(counts[order].astype(np.float64), starts)
    return columns._replace(weights=totals)


def _averaged(columns: Columns, order: Rows, starts: Rows, last: Rows) -> Columns:
    """The columns with the mean value at the last row of each pair; with weights, the weighted mean and their sum."""
    sizes = np.diff(starts, append=len(order))
    values = columns.values[order].astype(np.float64)
    mean = np.add.reduceat(values, starts) / sizes
    weights = columns.weights
    if weights is not None:
        by_pair = weights[order].astype(np.float64)
        total = np.add.reduceat(by_pair, starts)
        np.divide(np.add.reduceat(by_pair * values, starts), total, out=mean, where=total > 0)
        weights = weights.copy()
        weights[last] = total
    averaged = columns.values.copy()
    averaged[last] = mean
    return columns._replace(values=averaged, weights=weights)
