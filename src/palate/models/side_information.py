"""Side information: the sparse feature matrix F of users or items, a row each: history, then attributes.

A Bayesian fit learns a link beta from features to factors: x ~ Normal(m + F beta, Lambda^-1). The history of a user
with n ratings is 1 / sqrt(n) in the column of each rated item, whatever the rating; of an item, likewise by user. The
attributes are the encoded columns of a user or item table, such as ages or genres.

Source: Koren (2008), Factorization Meets the Neighborhood, for the history as implicit feedback (SVD++); Simm et al.
(2017), Macau: Scalable Bayesian Factorization with High-Dimensional Side Information, for the link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features import Design, Features
from palate.data.rows import Codes, CompressedRows, distinct, row_codes, rows_of_entries, take_rows
from palate.kernels import compress_rows
from palate.showing.texts import Fielded

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, repr=False)
class SideInfo(Fielded):
    """How rows of one side become rows of the feature matrix F.

    Attributes:
        n_history (int): Columns of history; 0 without history.
        attributes (Features, default None): The encoding of a table's columns.
        columns (int32 array of shape (n_others,), default None): The column of history of each row of the other side,
            rising from 0 to n_history - 1; -1 for rows without one. None: every row has a column, in order.
        encoded (tuple of (polars.DataFrame, Design), default None): A table and its encoding, cached.
    """

    n_history: int
    attributes: Features | None = None
    columns: Codes | None = field(default=None, compare=False, repr=False)
    encoded: tuple[pl.DataFrame, Design] | None = field(default=None, compare=False, repr=False)

    @property
    def n_features(self) -> int:
        """The number of columns of F."""
        return self.n_history + (0 if self.attributes is None else self.attributes.n_features)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The group of each column, (n_features,): columns of a group share the prior precision of their link."""
        history = np.zeros(self.n_history, np.int64)
        if self.attributes is None:
            return history
        return np.concatenate([history, self.attributes.groups + min(self.n_history, 1)])

    @property
    def group_names(self) -> list[str]:
        """The names of the groups: "history", then the columns of the table."""
        history = ["history"] if self.n_history else []
        return history if self.attributes is None else history + self.attributes.group_names

    def with_columns(self, has_column: NDArray[np.bool_]) -> SideInfo:
        """Return this with columns of history for some rows of the other side, of the mask (n_others,)."""
        columns = np.where(has_column, np.cumsum(has_column) - 1, -1).astype(np.int32)
        return replace(self, n_history=int(has_column.sum()), columns=columns)

    def matrix(self, history: CompressedRows, design: Design | None = None) -> CompressedRows:
        """The feature matrix F of some rows, from their ratings and the encoding of their attributes.

        Without a design, all attributes are missing.
        """
        parts = []
        if self.n_history:
            history = distinct(self._with_column(_with_weight(history)), self.n_history)
            scales = (1 / np.sqrt(np.maximum(history.counts, 1))).astype(np.float32)
            values = np.repeat(scales, history.counts)
            parts.append(CompressedRows(history.indptr, history.indices, values, None))
        if design is not None:
            shifted = (design.indices + self.n_history).astype(np.int32)
            parts.append(CompressedRows(design.indptr, shifted, design.values, None))
        return _side_by_side(parts, history.n_rows)

    def _with_column(self, history: CompressedRows) -> CompressedRows:
        """Return the ratings whose other side has a column of history, by column instead of by code."""
        if self.columns is None:
            return history
        kept = rows_of_entries(history, self.columns[history.indices] >= 0)
        return replace(kept, indices=self.columns[kept.indices])

    def encode(self, table: pl.DataFrame | Sequence[Mapping[str, Any]] | None) -> Design | None:
        """Encode attributes from a table, or from a mapping for each row; None without attributes or table."""
        if self.attributes is None or table is None:
            return None
        return self.attributes.encode_rows(table) if isinstance(table, Sequence) else self.attributes.encode(table)

    def learned_from(self, table: pl.DataFrame | None) -> SideInfo:
        """Return this with the encoding of a table in its cache."""
        if self.encoded is not None and self.encoded[0] is table:
            return self
        design = self.encode(table)
        return self if design is None or table is None else replace(self, encoded=(table, design))

    def encode_some(self, table: pl.DataFrame | None, codes: NDArray[np.integer[Any]]) -> Design | None:
        """Encode the attributes of some rows of a table, by code; None without attributes or table."""
        if self.encoded is None or self.encoded[0] is not table:
            return self.encode(None if table is None else table[codes])
        design = self.encoded[1]
        rows = take_rows(CompressedRows(design.indptr, design.indices, design.values, None), codes)
        return replace(design, indptr=rows.indptr, indices=rows.indices, values=rows.values, unknown={})


def _with_weight(rows: CompressedRows) -> CompressedRows:
    """Return the ratings of a weight above 0."""
    if rows.weights is None or rows.weights.all():
        return rows
    keep = rows.weights > 0
    indptr = np.concatenate([[0], np.cumsum(keep)])[rows.indptr].astype(np.int64)
    return CompressedRows(indptr, rows.indices[keep], rows.values[keep], None)


def _side_by_side(parts: list[CompressedRows], n_rows: int) -> CompressedRows:
    """Return sparse matrices side by side as one. Their columns must not overlap."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return CompressedRows.empty(n_rows)
    codes, indices, values = (
        np.concatenate(arrays) for arrays in zip(*((row_codes(p), p.indices, p.values) for p in parts), strict=True)
    )
    return CompressedRows(*compress_rows(codes, indices, values, None, n_rows))
