"""Side information: what is known of a row besides its ratings, as one sparse matrix F of features.

Its columns are two blocks: the row's history, 1/sqrt(n) at each of the n rows of the other side that it has a rating
with, whatever that rating was (the implicit feedback of SVD++, Koren 2008); then its attributes, such as a user's age
or a film's genres. A Bayesian fit learns a link beta from both to the factors: x ~ Normal(m + F beta, Lambda^-1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.compressed import CompressedRows
from palate.features import Design, Features
from palate.rows import row_codes, transpose_rows

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class SideInfo:
    """Which features the rows of one side have: n_history columns of history (0: none), then those of `attributes`."""

    n_history: int
    attributes: Features | None = None

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
            history = _distinct(_weighty(history), self.n_history)
            shares = 1 / np.sqrt(np.maximum(history.counts, 1))
            values = np.repeat(shares, history.counts).astype(np.float32)
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


def _weighty(rows: CompressedRows) -> CompressedRows:
    """The ratings that count at all: those with a weight above 0."""
    if rows.weights is None or rows.weights.all():
        return rows
    keep = rows.weights > 0
    indptr = np.concatenate([[0], np.cumsum(keep)])[rows.indptr].astype(np.int64)
    return CompressedRows(indptr, rows.indices[keep], rows.values[keep], None)


def _distinct(rows: CompressedRows, n_columns: int) -> CompressedRows:
    """Each entry once: whom somebody rated twice he has rated."""
    turned = transpose_rows(rows, n_columns)
    owner = row_codes(turned)  # counting sort leaves the rows of a column in order: what is twice stands side by side
    again = (turned.indices[1:] == turned.indices[:-1]) & (owner[1:] == owner[:-1])
    if not again.any():
        return rows
    keep = np.concatenate([[True], ~again])
    indptr = np.concatenate([[0], np.cumsum(keep)])[turned.indptr].astype(np.int64)
    return transpose_rows(CompressedRows(indptr, turned.indices[keep], turned.values[keep], None), rows.n_rows)


def _side_by_side(parts: list[CompressedRows], n_rows: int) -> CompressedRows:
    """Sparse matrices with the same rows as one, row by row one after the other; their columns already shifted."""
    counts = np.sum([part.counts for part in parts], axis=0, dtype=np.int64, initial=0) + np.zeros(n_rows, np.int64)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    begin = indptr[:-1].copy()
    for part in parts:
        at = np.repeat(begin - part.indptr[:-1], part.counts) + np.arange(len(part.indices))
        indices[at], values[at] = part.indices, part.values
        begin += part.counts
    return CompressedRows(indptr, indices, values, None)
