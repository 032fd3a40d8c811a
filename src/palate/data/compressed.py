"""Compressed rows: ratings grouped by user or by item."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.kernels import compress_rows

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
