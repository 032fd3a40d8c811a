"""The feature matrix F of one side as a link reads it: grouped by feature, with the rated rows alone.

History is the ratings themselves: the users of a feature "rated this item" are the ratings of that item. So for ratings
on disk, F is never built: its rows by feature are those of the other side, as they are mapped, or copied to scratch
where only some of them are features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.scratch import Scratch
from palate.data.blocks.sorting import row_ranges
from palate.data.rows import (
    CompressedRows,
    columns_from,
    pointers_of,
    rises_in_rows,
    rows_where,
    take_rows,
    transpose_rows,
    with_rising_columns,
)
from palate.models.factors import Codes, Floats
from palate.models.side_information import SideInfo

AT_ONCE = 1 << 20  # entries in memory at once


@dataclass(frozen=True)
class ByFeature:
    """F by feature, and the attributes of all rows by row.

    rows: (n_features,) the rows that have each feature; without values where row_values has one for all entries of a
    row of F, (n_rows,): with history alone these are equal. attributes: without the history, or None.
    """

    rows: CompressedRows
    row_values: Floats | None
    attributes: CompressedRows | None

    @classmethod
    def of_matrix(cls, info: SideInfo, features: CompressedRows, rated: NDArray[np.bool_]) -> ByFeature:
        """Turn F of all rows, (n_rows, n_features); rows that are not rated have no part in a link."""
        attributes = None if info.n_features == info.n_history else columns_from(features, info.n_history)
        features = rows_where(features, rated)
        by_feature = transpose_rows(features, info.n_features)
        if info.attributes is not None:
            return cls(by_feature, None, attributes)
        row_values = _first_values(features)
        return cls(replace(by_feature, values=row_values[:0]), row_values, attributes)

    @classmethod
    def of_ratings(
        cls, info: SideInfo, others: CompressedRows, rated: NDArray[np.bool_], scratch: Scratch
    ) -> ByFeature:
        """The same of ratings on disk. others: the ratings by row of the other side, no pair twice."""
        n_rows = len(rated)
        kept = _codes_with_column(info, others.n_rows)
        counts = _history_counts(others, kept, n_rows)
        scales = (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32)
        if info.attributes is None:
            row_values = np.where(counts > 0, scales, np.float32(0))
            return cls(_selected(others, kept, n_rows, scratch), row_values, None)
        design = None if info.encoded is None else info.encoded[1]
        assert design is not None
        attributes = CompressedRows(design.indptr, design.indices, design.values, None)
        added = transpose_rows(rows_where(attributes, rated), design.n_features)
        rows = _selected(others, kept, n_rows, scratch, added)
        _fill_values(rows, scales, added)
        return cls(rows, None, attributes)


def _codes_with_column(info: SideInfo, n_others: int) -> NDArray[np.int64]:
    """The rows of the other side that are columns of history, in the order of the columns."""
    if not info.n_history:
        return np.zeros(0, np.int64)
    return np.arange(n_others) if info.columns is None else np.flatnonzero(info.columns >= 0)


def _parts(others: CompressedRows, kept: NDArray[np.int64], n_columns: int) -> Iterator[Codes]:
    """The entries of the kept rows, rising in each row, about AT_ONCE at a time.

    A link adds them up in this order, and F in memory has them so too.
    """
    for first, last in row_ranges(pointers_of(others.counts[kept]), AT_ONCE):
        yield with_rising_columns(take_rows(others, kept[first:last]), n_columns).indices


def _history_counts(others: CompressedRows, kept: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """How many columns of history each row has, (n_rows,)."""
    counts = np.zeros(n_rows, np.int64)
    for part in _parts(others, kept, n_rows):
        counts += np.bincount(part, minlength=n_rows)
    return counts


def _selected(
    others: CompressedRows,
    kept: NDArray[np.int64],
    n_columns: int,
    scratch: Scratch,
    added: CompressedRows | None = None,
) -> CompressedRows:
    """The kept rows, and below them `added`; on disk. Values are there, to be filled, only with `added`."""
    if added is None and len(kept) == others.n_rows and rises_in_rows(others, others.indices):
        return replace(others, values=others.values[:0], weights=None, times=None)
    counts = others.counts[kept] if added is None else np.concatenate([others.counts[kept], added.counts])
    indptr = pointers_of(counts)
    indices, at = scratch.empty((int(indptr[-1]),), np.int32), 0
    for part in chain(_parts(others, kept, n_columns), () if added is None else (added.indices,)):
        indices[at : at + len(part)] = part
        at += len(part)
    values = scratch.empty((0 if added is None else len(indices),), np.float32)
    return CompressedRows(indptr, indices, values, None)


def _fill_values(rows: CompressedRows, scales: Floats, added: CompressedRows) -> None:
    """Set the values: of history 1 / sqrt(n) of the row, as scales, (n_rows,), has it; at the end those of `added`."""
    n_history = len(rows.indices) - len(added.indices)
    for first in range(0, n_history, AT_ONCE):
        at = slice(first, min(first + AT_ONCE, n_history))
        rows.values[at] = scales[rows.indices[at]]
    rows.values[n_history:] = added.values


def _first_values(rows: CompressedRows) -> Floats:
    """The value of the first entry of each row, (n_rows,); 0 for empty rows."""
    first, filled = np.zeros(rows.n_rows, np.float32), rows.counts > 0
    first[filled] = rows.values[rows.indptr[:-1][filled]]
    return first
