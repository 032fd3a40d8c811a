"""Compressed rows: ratings grouped by user or by item, and how they are cut, joined and transposed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.kernels import compress_rows, has_repeats

Codes = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CompressedRows:
    """Ratings grouped by row (user or item), the compressed sparse row format.

    Row r owns positions indptr[r]..indptr[r + 1] of `indices` (the other side's codes), `values` and `weights`.
    """

    indptr: NDArray[np.int64]  # (n_rows + 1,)
    indices: Codes  # (n_ratings,)
    values: Floats  # (n_ratings,)
    weights: Floats | None  # (n_ratings,)

    @property
    def n_rows(self) -> int:
        """How many rows there are, empty ones included."""
        return len(self.indptr) - 1

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Ratings per row, shape (n_rows,)."""
        return np.diff(self.indptr)

    @cached_property
    def order(self) -> Codes:
        """Row numbers, the heaviest first: the order in which threads take them."""
        return np.argsort(-self.counts, kind="stable").astype(np.int32)

    def row(self, code: int) -> tuple[Codes, Floats]:
        """The other side's codes and the values of one row."""
        here = slice(int(self.indptr[code]), int(self.indptr[code + 1]))
        return self.indices[here], self.values[here]

    @classmethod
    def of(cls, rows: Codes, columns: Codes, values: Floats, weights: Floats | None, n_rows: int) -> CompressedRows:
        """Ratings grouped by the codes of their rows, (n,) each; the arrays cannot be written to."""
        grouped = cls(*compress_rows(rows, columns, values, weights, n_rows))
        for array in (grouped.indptr, grouped.indices, grouped.values, grouped.weights):
            if array is not None:
                read_only(array)
        return grouped

    @classmethod
    def empty(cls, n_rows: int) -> CompressedRows:
        """Rows without a rating."""
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), None)


def pointers_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Where rows with these counts (n,) of entries begin, and the last one ends: (n + 1,), from 0."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, which from now on nobody can write to."""
    array.setflags(write=False)
    return array


MARKS_PER_ENTRY = 32  # up to so many cells for each entry, a mark for every cell is quicker than a search


def take_rows(rows: CompressedRows, codes: NDArray[np.integer[Any]]) -> CompressedRows:
    """The given rows, in the given order."""
    counts = rows.counts[codes]
    indptr = pointers_of(counts)
    at = np.repeat(rows.indptr[:-1][codes] - indptr[:-1], counts) + np.arange(indptr[-1])
    return CompressedRows(indptr, rows.indices[at], rows.values[at], None if rows.weights is None else rows.weights[at])


def row_codes(rows: CompressedRows) -> Codes:
    """The row of every rating, (n_ratings,)."""
    return np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)


def transpose_rows(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """The same ratings grouped by the other side."""
    return CompressedRows(
        *compress_rows(
            np.ascontiguousarray(rows.indices),
            row_codes(rows),
            np.ascontiguousarray(rows.values),
            rows.weights,
            n_columns,
        )
    )


def columns_from(rows: CompressedRows, first: int) -> CompressedRows:
    """The columns of a sparse matrix from one on, renumbered from 0."""
    kept = rows_of_entries(rows, rows.indices >= first)
    return replace(kept, indices=kept.indices - np.int32(first))


def columns_where(rows: CompressedRows, keep: NDArray[np.bool_]) -> CompressedRows:
    """Only the columns of a mask, renumbered from 0."""
    kept = rows_of_entries(rows, keep[rows.indices])
    return replace(kept, indices=(np.cumsum(keep) - 1)[kept.indices].astype(np.int32))


def rows_of_entries(rows: CompressedRows, keep: NDArray[np.bool_]) -> CompressedRows:
    """The same rows with some of their entries, by a mask over all of them."""
    weights = None if rows.weights is None else rows.weights[keep]
    return CompressedRows(pointers_of(keep)[rows.indptr], rows.indices[keep], rows.values[keep], weights)


def entries_at(rows: CompressedRows, owners: Codes, columns: Codes) -> NDArray[np.bool_]:
    """Which entries stand in one of some cells, one or more, given by row and column: a mask over all entries."""
    n_columns = 1 + int(max(rows.indices.max(initial=0), columns.max(initial=0)))
    cells = row_codes(rows).astype(np.int64) * n_columns + rows.indices
    some = owners.astype(np.int64) * n_columns + columns
    mask: NDArray[np.bool_]
    if rows.n_rows * n_columns <= MARKS_PER_ENTRY * len(cells):
        marks = np.zeros(rows.n_rows * n_columns, bool)
        marks[some] = True
        mask = marks[cells]
    else:
        some = np.unique(some)
        mask = some[np.minimum(np.searchsorted(some, cells), len(some) - 1)] == cells
    return mask


def distinct(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """Each cell once, with the first of its values; where one stood twice, all weights are left out."""
    if not has_repeats(rows.indptr, rows.indices, n_columns):
        return rows
    turned = transpose_rows(rows, n_columns)
    owner = row_codes(turned)  # counting sort leaves the rows of a column in order: what is twice stands side by side
    again = (turned.indices[1:] == turned.indices[:-1]) & (owner[1:] == owner[:-1])
    keep = np.concatenate([[True], ~again])
    indptr = pointers_of(keep)[turned.indptr]
    return transpose_rows(CompressedRows(indptr, turned.indices[keep], turned.values[keep], None), rows.n_rows)


def rows_where(rows: CompressedRows, keep: NDArray[np.bool_]) -> CompressedRows:
    """The same rows, those that are not kept left empty."""
    return rows if keep.all() else rows_of_entries(rows, np.repeat(keep, rows.counts))
