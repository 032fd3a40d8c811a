"""Compressed rows: ratings grouped by user or by item, and functions that select, filter and transpose them.

Kernels and models read ratings in this form (compressed sparse rows). Everything here works on codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.plan import Plan
from palate.kernels import compress_rows, has_repeats
from palate.showing.texts import Fielded

Codes = NDArray[np.int32]
Floats = NDArray[np.float32]
Times = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class CompressedRows(Fielded):
    """Ratings grouped by row, one row a user (or an item), in the compressed sparse row format.

    Row r owns the positions indptr[r] to indptr[r + 1] (exclusive) of the other arrays.

    Attributes:
        indptr (int64 array): Where each row begins and the last one ends, shape (n_rows + 1,).
        indices (int32 array): Item code of each rating (user code if rows are items), shape (n_ratings,).
        values (float32 array): Value of each rating, shape (n_ratings,).
        weights (float32 array or None): Weight or count of each rating, shape (n_ratings,); None if all are 1.
        times (int64 array or None, default None): When each rating was given, shape (n_ratings,); None if unknown.

    Example:
        >>> import palate
        >>> ratings = palate.read({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 4]})
        >>> rows = ratings.by_user()
        >>> rows.counts.tolist()
        [2, 1]
        >>> rows.row(0)
        (array([1, 0], dtype=int32), array([5., 3.], dtype=float32))
    """

    indptr: NDArray[np.int64]
    indices: Codes
    values: Floats
    weights: Floats | None
    times: Times | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows, empty ones included."""
        return len(self.indptr) - 1

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of ratings in each row, shape (n_rows,)."""
        return np.diff(self.indptr)

    @cached_property
    def plan(self) -> Plan:
        """Blocks of these rows, for what is computed block by block."""
        return Plan.of(self.indptr)

    @cached_property
    def order(self) -> Codes:
        """Row numbers by falling number of ratings, shape (n_rows,): the order in which threads take them."""
        return np.argsort(-self.counts, kind="stable").astype(np.int32)

    def row(self, code: int) -> tuple[Codes, Floats]:
        """Return the indices and the values of one row.

        Parameters:
            code (int): The row, between 0 and n_rows - 1.

        Returns:
            tuple of two arrays: Views of `indices` and `values`, shape (n,) each.
        """
        here = slice(int(self.indptr[code]), int(self.indptr[code + 1]))
        return self.indices[here], self.values[here]

    @classmethod
    def of(
        cls,
        rows: Codes,
        columns: Codes,
        values: Floats,
        weights: Floats | None,
        n_rows: int,
        times: Times | None = None,
    ) -> CompressedRows:
        """Group ratings by their row codes. Ratings of one row keep their order; the arrays are read-only.

        Parameters:
            rows (int32 array): Row code of each rating, shape (n,).
            columns (int32 array): Column code of each rating, shape (n,).
            values (float32 array): Value of each rating, shape (n,).
            weights (float32 array or None): Weight of each rating, shape (n,).
            n_rows (int): Number of rows; larger than every row code.
            times (int64 array or None, default None): When each rating was given, shape (n,).

        Returns:
            CompressedRows: With n_rows rows.
        """
        grouped = cls(*compress_rows(rows, columns, values, weights, n_rows), _grouped(times, rows))
        for array in (grouped.indptr, grouped.indices, grouped.values, grouped.weights, grouped.times):
            if array is not None:
                read_only(array)
        return grouped

    @classmethod
    def empty(cls, n_rows: int) -> CompressedRows:
        """Return rows without any rating.

        Parameters:
            n_rows (int): Number of rows, 0 or more.

        Returns:
            CompressedRows: With n_rows empty rows.
        """
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), None)


def weighted_mean(values: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """The mean of values (n,), in which a value of weight 2 counts as two; weights: (n,), or None if all are 1."""
    if weights is None:
        return float(values.mean(dtype=np.float64))
    return float(np.average(values.astype(np.float64), weights=weights.astype(np.float64)))


def mean_over(rows: CompressedRows, of: Callable[[slice, CompressedRows], NDArray[Any]]) -> float:
    """The weighted mean over all ratings of what `of` gives for the ratings of a block, (n,), block by block.

    `of` is called with the numbers of a block's rows, and with these rows.
    """
    total = weight = 0.0
    for block in rows.plan.blocks:
        some = rows_between(rows, block)
        values = of(block, some).astype(np.float64, copy=False)
        total += float((values if some.weights is None else values * some.weights).sum())
        weight += len(values) if some.weights is None else float(some.weights.sum(dtype=np.float64))
    return total / weight


def mean_and_deviation(rows: CompressedRows) -> tuple[float, float]:
    """The weighted mean of all ratings, and their standard deviation around it."""
    mean = mean_over(rows, lambda _, some: some.values)
    return mean, float(np.sqrt(mean_over(rows, lambda _, some: (some.values.astype(np.float64) - mean) ** 2)))


def pointers_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """The indptr, shape (n + 1,), of rows with these numbers of entries, shape (n,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, marked read-only."""
    array.setflags(write=False)
    return array


def _grouped(times: Times | None, rows: Codes) -> Times | None:
    """The times (n,) in the order of compress_rows: by row, those of one row in their order."""
    return None if times is None else times[np.argsort(rows, kind="stable")]


MARKS_PER_ENTRY = 32  # up to this many cells per entry, marking every cell is faster than searching


def take_rows(rows: CompressedRows, codes: NDArray[np.integer[Any]]) -> CompressedRows:
    """The given rows, in the given order. One row is a view."""
    if len(codes) == 1:
        here = slice(int(rows.indptr[codes[0]]), int(rows.indptr[int(codes[0]) + 1]))
        indptr = np.array([0, here.stop - here.start], np.int64)
        return CompressedRows(indptr, rows.indices[here], rows.values[here], *_extras(rows, here))
    return first_of_rows(rows, codes, rows.counts[codes])


def rows_between(rows: CompressedRows, block: slice) -> CompressedRows:
    """Consecutive rows, as views: those of a block of the plan."""
    indptr = rows.indptr[block.start : block.stop + 1]
    here = slice(int(indptr[0]), int(indptr[-1]))
    return CompressedRows(indptr - indptr[0], rows.indices[here], rows.values[here], *_extras(rows, here))


def rises_in_rows(rows: CompressedRows, numbers: NDArray[Any]) -> bool:
    """Whether in no row a number falls from one rating to the next, (n_ratings,); looked at block by block."""
    for block, entries in zip(rows.plan.blocks, rows.plan.entries, strict=True):
        falls = np.append(np.diff(numbers[entries]) < 0, False)  # from each rating to the next
        falls[rows.indptr[block.start + 1 : block.stop + 1] - entries.start - 1] = False  # from the last of a row
        if falls.any():
            return False
    return True


def first_of_rows(
    rows: CompressedRows, codes: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]
) -> CompressedRows:
    """The first entries of the given rows, (n,), in the given order: as many of each as `counts`, (n,), says."""
    indptr = pointers_of(counts)
    at = np.repeat(rows.indptr[:-1][codes] - indptr[:-1], counts) + np.arange(indptr[-1])
    return replace(entries_of(rows, at), indptr=indptr)


def entries_of(rows: CompressedRows, at: Any) -> CompressedRows:
    """Some entries, (n,) positions or a mask, all in one row."""
    indices = rows.indices[at]
    return CompressedRows(np.array([0, len(indices)], np.int64), indices, rows.values[at], *_extras(rows, at))


def _extras(rows: CompressedRows, at: Any) -> tuple[Floats | None, Times | None]:
    """The weights and the times of some entries."""
    return None if rows.weights is None else rows.weights[at], None if rows.times is None else rows.times[at]


def stack_rows(parts: Sequence[CompressedRows]) -> CompressedRows:
    """The rows of all parts, one part below the other; at least one part.

    If only some have weights, those of the others are 1; if only some have times, those of the others are all 0.
    """
    if len(parts) == 1:
        return parts[0]
    weights, times = None, None
    if any(part.weights is not None for part in parts):
        weights = np.concatenate([np.ones_like(p.values) if p.weights is None else p.weights for p in parts])
    if any(part.times is not None for part in parts):
        times = np.concatenate([np.zeros(len(p.indices), np.int64) if p.times is None else p.times for p in parts])
    indptr = pointers_of(np.concatenate([part.counts for part in parts]))
    indices, values = np.concatenate([part.indices for part in parts]), np.concatenate([part.values for part in parts])
    return CompressedRows(indptr, indices, values, weights, times)


def row_codes(rows: CompressedRows) -> Codes:
    """The row code of each rating, shape (n_ratings,)."""
    return np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)


def total_weights(rows: CompressedRows) -> NDArray[Any]:
    """The sum of the weights of each row, shape (n_rows,): its number of ratings if they have none."""
    if rows.weights is None:
        return rows.counts
    blocks = (rows_between(rows, block) for block in rows.plan.blocks)
    return np.concatenate([np.bincount(row_codes(some), some.weights, some.n_rows) for some in blocks])


def transpose_rows(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """The same ratings grouped by column: items become the rows, or users again."""
    return CompressedRows(
        *compress_rows(
            np.ascontiguousarray(rows.indices),
            row_codes(rows),
            np.ascontiguousarray(rows.values),
            rows.weights,
            n_columns,
        ),
        _grouped(rows.times, rows.indices),
    )


def with_rising_columns(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """The same ratings with the columns of each row rising; repeated ones stay in their order."""
    return transpose_rows(transpose_rows(rows, n_columns), rows.n_rows)  # a counting sort, twice


def columns_from(rows: CompressedRows, first: int) -> CompressedRows:
    """Only the columns from `first` on, renumbered from 0."""
    kept = rows_of_entries(rows, rows.indices >= first)
    return replace(kept, indices=kept.indices - np.int32(first))


def columns_where(rows: CompressedRows, keep: NDArray[np.bool_]) -> CompressedRows:
    """Only the columns where the mask, shape (n_columns,), is True, renumbered from 0."""
    kept = rows_of_entries(rows, keep[rows.indices])
    return replace(kept, indices=(np.cumsum(keep) - 1)[kept.indices].astype(np.int32))


def rows_of_entries(rows: CompressedRows, keep: NDArray[np.bool_]) -> CompressedRows:
    """The same rows with only the entries where the mask, shape (n_ratings,), is True."""
    indptr = pointers_of(keep)[rows.indptr]
    return CompressedRows(indptr, rows.indices[keep], rows.values[keep], *_extras(rows, keep))


def entries_at(rows: CompressedRows, owners: Codes, columns: Codes) -> NDArray[np.bool_]:
    """A mask, shape (n_ratings,): True where an entry is one of the (at least one) cells (owners[i], columns[i])."""
    n_columns = 1 + int(max(rows.indices.max(initial=0), columns.max(initial=0)))
    cells = row_codes(rows).astype(np.int64) * n_columns + rows.indices
    given = owners.astype(np.int64) * n_columns + columns
    mask: NDArray[np.bool_]
    if rows.n_rows * n_columns <= MARKS_PER_ENTRY * len(cells):
        marks = np.zeros(rows.n_rows * n_columns, bool)
        marks[given] = True
        mask = marks[cells]
    else:
        given = np.unique(given)
        mask = given[np.minimum(np.searchsorted(given, cells), len(given) - 1)] == cells
    return mask


def distinct(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """Each cell once, with its first value. If any cell was repeated, the result has no weights and no times."""
    if not has_repeats(rows.indptr, rows.indices, n_columns):
        return rows
    turned = transpose_rows(rows, n_columns)
    owner = row_codes(turned)  # the counting sort keeps the rows of a column in order: repeats are neighbors
    is_repeat = (turned.indices[1:] == turned.indices[:-1]) & (owner[1:] == owner[:-1])
    keep = np.concatenate([[True], ~is_repeat])
    indptr = pointers_of(keep)[turned.indptr]
    return transpose_rows(CompressedRows(indptr, turned.indices[keep], turned.values[keep], None), rows.n_rows)


def in_order(rows: CompressedRows) -> CompressedRows:
    """The same rows, each oldest first; of equal times, in their order. Without times, as they are."""
    if rows.times is None:
        return rows
    at = np.lexsort((rows.times, row_codes(rows)))
    return CompressedRows(rows.indptr, rows.indices[at], rows.values[at], *_extras(rows, at))


def last_of_each(rows: CompressedRows, *, counted: bool) -> CompressedRows:
    """Each cell once, at its last place, with the sum of its weights; not counted: with its last weight."""
    cells = np.stack([row_codes(rows), rows.indices])
    _, first_from_end, cell = np.unique(cells[:, ::-1], axis=1, return_index=True, return_inverse=True)
    if len(first_from_end) == len(rows.indices):
        return rows
    last = len(rows.indices) - 1 - first_from_end
    if counted:
        weights = np.ones_like(rows.values) if rows.weights is None else rows.weights.copy()
        weights[last] = np.bincount(cell.ravel(), weights[::-1], len(last))
        rows = replace(rows, weights=weights)
    is_last = np.zeros(len(rows.indices), bool)
    is_last[last] = True
    return rows_of_entries(rows, is_last)


def added_rows(rows: CompressedRows, others: CompressedRows, share: np.float32, n_columns: int) -> CompressedRows:
    """The sum of two matrices of one shape, the others times share; the columns of each row rise."""
    owners = np.concatenate([row_codes(rows), row_codes(others)]).astype(np.int64)
    cells = owners * n_columns + np.concatenate([rows.indices, others.indices])
    values = np.concatenate([rows.values, share * others.values])
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])[: len(cells)])
    indptr = np.searchsorted(cells[first], np.arange(rows.n_rows + 1, dtype=np.int64) * n_columns).astype(np.int64)
    sums = np.add.reduceat(values[order], first) if len(first) else values
    return CompressedRows(indptr, (cells[first] % n_columns).astype(np.int32), sums.astype(np.float32), None)


def rows_where(rows: CompressedRows, keep: NDArray[np.bool_]) -> CompressedRows:
    """The same rows, emptied where the mask, shape (n_rows,), is False."""
    return rows if keep.all() else rows_of_entries(rows, np.repeat(keep, rows.counts))
