"""Fields of many numbers: `Text` (the words of a text) and `Vector` (an embedding or another list of numbers).

Both become few numbers, the principal components of the TF-IDF weights of words or of the vectors. What a field has
learned is plain arrays, so that a saved model encodes new rows anywhere without other libraries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.base import Entries, Field, LeftOut, Limits
from palate.data.features.principal import dense_rows, principal_components, sparse_rows
from palate.data.features.values import column_of, texts_of
from palate.data.features.vectors import Vectors, blocks_of_vectors, lengths_of
from palate.data.features.words import codes_of, learned_words, sampled, weighted_words
from palate.data.rows import stack_rows
from palate.kernels import multiply_rows
from palate.kernels.blas import single_threaded_blas

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float32]

TEXT_DIMENSIONS = 128  # at most
VECTOR_DIMENSIONS = 64  # at most
ROWS_PER_DIMENSION = 10  # with fewer rows, a dimension is one row's own
MIN_ROWS = 20  # texts or vectors to learn from
MAX_LENGTH = 10.0  # times the median length: longer vectors are shortened
VECTORS_LEARNED = 20_000  # vectors that the directions are learned from, evenly spaced
NONE = np.zeros((0, 0), np.float32)


class _OfComponents:
    """What fields of principal components of one column have in common."""

    name: str
    components: Floats

    def __eq__(self, other: object) -> bool:
        if not isinstance(self, Text | Vector) or type(other) is not type(self):
            return False
        return all(np.array_equal(getattr(self, part.name), getattr(other, part.name)) for part in fields(self))

    @property
    def names(self) -> list[str]:
        """Feature names "field 1", "field 2" and so on."""
        return [f"{self.name} {at + 1}" for at in range(self.components.shape[1])]

    @property
    def heading(self) -> str:
        """Name of the field in explanations."""
        return self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The column of the table."""
        return (self.name,)

    def column_from(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The column of the field, from rows given as mappings."""
        return [row.get(self.name) for row in rows]


@dataclass(frozen=True, eq=False)
class Text(_OfComponents):
    """A field of texts: the principal components of the TF-IDF weights of their words."""

    name: str
    words: tuple[str, ...] = ()
    idf: Floats = field(default_factory=lambda: NONE.ravel())  # (n_words,)
    components: Floats = field(default_factory=lambda: NONE)  # (n_words, d)
    shift: Floats = field(default_factory=lambda: NONE.ravel())  # (d,), taken from each row

    def __str__(self) -> str:
        return f"text, {_dimensions(self)} of {len(self.words):,} words"

    def learned(self, table: pl.DataFrame, limits: Limits) -> Field:
        """The field with the words and directions of its texts."""
        texts = sampled(texts_of(column_of(table, self.name)).drop_nulls())
        words, idf = learned_words(texts, limits.min_rows)
        if not words:
            why = f"no word is on {max(limits.min_rows, 2)} rows or more, but on half of them at most"
            return LeftOut(self.name, why if len(texts) else "no value on any row")
        weights = stack_rows(list(weighted_words(texts, codes_of(words), idf)))
        filled = weights.counts > 0
        starts = np.append(weights.indptr[:-1][filled], weights.indptr[-1])
        rows = sparse_rows(replace(weights, indptr=starts), len(words))
        if rows.n < MIN_ROWS:
            return LeftOut(self.name, f"{rows.n:,} texts with words of others, where {MIN_ROWS} are needed")
        components = principal_components(rows, min(TEXT_DIMENSIONS, rows.n // ROWS_PER_DIMENSION))
        if components.shape[1] == 0:
            return LeftOut(self.name, "the same words on every row that has any")
        shift = (rows.mean @ components).astype(np.float32)
        return replace(self, words=tuple(words), idf=idf, components=components, shift=shift)

    def encode(self, table: pl.DataFrame) -> Entries:
        """The components of each text. A text without a known word has no cells, as a missing one."""
        texts = texts_of(column_of(table, self.name))
        rows = texts.is_not_null().arg_true().to_numpy().astype(np.int64)
        blocks, n_unknown = [], 0
        for weights in weighted_words(texts.drop_nulls(), self._codes, self.idf):
            known = weights.counts > 0
            scores = multiply_rows(weights.indptr, weights.indices, weights.values, self.components) - self.shift
            blocks.append(np.where(known[:, None], scores, 0))
            n_unknown += int((~known).sum())
        return _entries(rows, blocks, n_unknown)

    @cached_property
    def _codes(self) -> pl.DataFrame:
        return codes_of(self.words)


@dataclass(frozen=True, eq=False)
class Vector(_OfComponents):
    """A field of vectors of one length: their principal components. A zero vector is a missing one."""

    name: str
    unit: float = 1.0  # the median length
    mean: Floats = field(default_factory=lambda: NONE.ravel())  # (m,)
    components: Floats = field(default_factory=lambda: NONE)  # (m, d)

    def __str__(self) -> str:
        return f"vectors of {len(self.mean):,} numbers, {_dimensions(self)}"

    def learned(self, table: pl.DataFrame, _limits: Limits) -> Field:
        """The field with the directions of its vectors."""
        column = column_of(table, self.name)
        widths = lengths_of(column)
        if len(widths) != 1:
            unequal = f"lists of {widths[0]:,} to {widths[-1]:,} numbers: vectors have one length" if widths else ""
            return LeftOut(self.name, unequal or "no value on any row")
        present = column.is_not_null().arg_true().to_numpy().astype(np.int64)
        blocks = list(blocks_of_vectors(column, widths[0], present[:: 1 + len(present) // VECTORS_LEARNED]))
        lengths = np.concatenate([block.lengths for block in blocks])
        if not lengths.any():
            return LeftOut(self.name, "vectors of zeros, or with missing numbers, only")
        unit = float(np.median(lengths[lengths > 0]))
        rows = dense_rows(np.concatenate([_shortened(block, unit)[block.lengths > 0] for block in blocks]))
        if rows.n < MIN_ROWS:
            return LeftOut(self.name, f"{rows.n:,} vectors, where {MIN_ROWS} are needed")
        components = principal_components(rows, min(VECTOR_DIMENSIONS, rows.n // ROWS_PER_DIMENSION))
        if components.shape[1] == 0:
            return LeftOut(self.name, "the same value on every row that has one")
        return replace(self, unit=unit, mean=rows.mean.astype(np.float32), components=components)

    def encode(self, table: pl.DataFrame) -> Entries:
        """The components of each vector; no cells for a missing one."""
        column, blocks, n_unknown = column_of(table, self.name), [], 0
        with single_threaded_blas():
            for block in blocks_of_vectors(column, len(self.mean), np.arange(len(column))):
                scores = (_shortened(block, self.unit) - self.mean) @ self.components
                blocks.append(np.where(block.lengths[:, None] > 0, scores, 0))
                n_unknown += int(block.incomplete.sum())
        return _entries(np.arange(len(column)), blocks, n_unknown)


def _shortened(block: Vectors, unit: float) -> Floats:
    """The vectors in units of the median length, at most MAX_LENGTH long, (n, m)."""
    with np.errstate(over="ignore"):
        lengths = np.minimum(block.lengths / unit, MAX_LENGTH)
    return (block.directions * lengths[:, None]).astype(np.float32)


def _entries(rows: NDArray[np.int64], blocks: list[Floats], n_unknown: int) -> Entries:
    """The cells of dense blocks, one below the other; row `at` of them is row rows[at] of the table."""
    if not blocks:
        return Entries(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), n_unknown)
    dense = np.concatenate(blocks)
    np.clip(dense, -MAX_LENGTH, MAX_LENGTH, out=dense)
    at, features = np.nonzero(dense)
    return Entries(rows[at], features, dense[at, features].astype(np.float64), n_unknown)


def _dimensions(of: Text | Vector) -> str:
    n = of.components.shape[1]
    return f"{n} dimension{'s' * (n != 1)}"
