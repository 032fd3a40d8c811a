"""Side information: what is known of a row besides its ratings, as one sparse matrix F of features.

Its columns are two blocks: the row's history, 1/sqrt(n) at each of the n rows of the other side that it has a rating
with, whatever that rating was (the implicit feedback of SVD++, Koren 2008); then its attributes, such as a user's age
or a film's genres. A Bayesian fit learns a link beta from both to the factors: x ~ Normal(m + F beta, Lambda^-1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features import Design, Features
from palate.data.rows import CompressedRows, distinct, row_codes, take_rows
from palate.kernels import compress_rows

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class SideInfo:
    """Which features the rows of one side have: n_history columns of history (0: none), then those of `attributes`.

    encoded: a table that was encoded before, and what it became; it saves time and says nothing new.
    """

    n_history: int
    attributes: Features | None = None
    encoded: tuple[pl.DataFrame, Design] | None = field(default=None, compare=False, repr=False)

    @property
    def n_features(self) -> int:
        """Columns of F."""
        return self.n_history + (0 if self.attributes is None else self.attributes.n_features)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """For each column a number, (n_features,): columns of one group share the precision of their prior."""
        history = np.zeros(self.n_history, np.int64)
        if self.attributes is None:
            return history
        return np.concatenate([history, self.attributes.groups + min(self.n_history, 1)])

    @property
    def group_names(self) -> list[str]:
        """The names of the groups: "history", then the fields of the attributes."""
        history = ["history"] if self.n_history else []
        return history if self.attributes is None else history + self.attributes.group_names

    def matrix(self, history: CompressedRows, design: Design | None = None) -> CompressedRows:
        """F of some rows, from their ratings and what attributes.encode() makes of their table.

        Rows without a design have no attributes: each of theirs counts as missing.
        """
        parts = []
        if self.n_history:
            history = distinct(_weighty(history), self.n_history)
            shares = (1 / np.sqrt(np.maximum(history.counts, 1))).astype(np.float32)
            values = np.repeat(shares, history.counts)
            parts.append(CompressedRows(history.indptr, history.indices, values, None))
        if design is not None:
            shifted = (design.indices + self.n_history).astype(np.int32)
            parts.append(CompressedRows(design.indptr, shifted, design.values, None))
        return _side_by_side(parts, history.n_rows)

    def encode(self, given: pl.DataFrame | Sequence[Mapping[str, Any]] | None) -> Design | None:
        """The attributes of some rows, from a table or a mapping for each; None where none are used or given."""
        if self.attributes is None or given is None:
            return None
        return self.attributes.encode_rows(given) if isinstance(given, Sequence) else self.attributes.encode(given)

    def learned_from(self, table: pl.DataFrame | None) -> SideInfo:
        """The same with the attributes of a table's rows at hand."""
        design = self.encode(table)
        return self if design is None or table is None else replace(self, encoded=(table, design))

    def encode_some(self, table: pl.DataFrame | None, codes: NDArray[np.integer[Any]]) -> Design | None:
        """The attributes of some rows of a table; None where none are used or given."""
        if self.encoded is None or self.encoded[0] is not table:
            return self.encode(None if table is None else table[codes])
        design = self.encoded[1]
        rows = take_rows(CompressedRows(design.indptr, design.indices, design.values, None), codes)
        return replace(design, indptr=rows.indptr, indices=rows.indices, values=rows.values, unknown={})


def _weighty(rows: CompressedRows) -> CompressedRows:
    """The ratings that count at all: those with a weight above 0."""
    if rows.weights is None or rows.weights.all():
        return rows
    keep = rows.weights > 0
    indptr = np.concatenate([[0], np.cumsum(keep)])[rows.indptr].astype(np.int64)
    return CompressedRows(indptr, rows.indices[keep], rows.values[keep], None)


def _side_by_side(parts: list[CompressedRows], n_rows: int) -> CompressedRows:
    """Sparse matrices with the same rows as one, row by row one after the other; their columns already shifted."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return CompressedRows.empty(n_rows)
    codes, indices, values = (
        np.concatenate(arrays) for arrays in zip(*((row_codes(p), p.indices, p.values) for p in parts), strict=True)
    )
    return CompressedRows(*compress_rows(codes, indices, values, None, n_rows))
