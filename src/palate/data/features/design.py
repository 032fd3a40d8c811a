"""Features learned from a table of attributes, and the sparse design matrix of any table with the same columns.

`Features.learned(table)` decides what each column becomes; `features.encode(table)` makes the matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.base import Field, LeftOut, Limits
from palate.data.features.deciding import declared_fields, found_fields
from palate.data.features.fields import Classes
from palate.data.features.stored import restored_fields, stored_field, whole, without_arrays
from palate.data.features.values import frame_of, series_of
from palate.data.forking import check_threads
from palate.errors import DataError, OptionError
from palate.kernels import compress_rows
from palate.options import check_whole

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class Design:
    """A sparse design matrix in compressed rows, shape (n_rows, n_features).

    Attributes:
        indptr (int64 array): Where each row begins and the last one ends, shape (n_rows + 1,).
        indices (int32 array): Feature of each nonzero cell, rising within a row, shape (n_cells,).
        values (float32 array): Value of each nonzero cell, shape (n_cells,).
        n_features (int): Number of features.
        unknown (dict): Field -> number of values without a feature; only fields that have any.

    Example:
        >>> from palate.data.features import Features
        >>> design = Features.learned({"job": ["cook", "smith"] * 2}).encode({"job": ["smith", "nurse"]})
        >>> design.shape, design.unknown
        ((2, 2), {'job': 1})
        >>> design.to_dense().tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    n_features: int
    unknown: dict[str, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and features, as (n_rows, n_features)."""
        return len(self.indptr) - 1, self.n_features

    def to_dense(self) -> NDArray[np.float32]:
        """Return the whole matrix, zeros included.

        Returns:
            float32 array: Shape (n_rows, n_features).
        """
        dense = np.zeros(self.shape, np.float32)
        dense[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.values
        return dense

    def __repr__(self) -> str:
        unknown = "".join(f", {count:,} unknown in {name}" for name, count in self.unknown.items())
        return f"Design({self.shape[0]:,} x {self.shape[1]:,}, {len(self.values):,} filled{unknown})"


@dataclass(frozen=True, repr=False)
class Features:
    """What the columns of a table became: classes, numbers, text, vectors, or left out. Prints as a report.

    Make one with `Features.learned`.

    Attributes:
        fields (tuple of fields): What each column or group of columns became.
        n_rows (int): Number of rows that were learned from.

    Example:
        >>> from palate.data.features import Features
        >>> features = Features.learned({"job": ["cook", "smith"] * 2, "likes": ["tea|jam", "tea", "jam", ""]})
        >>> print(features)
        4 features, learned from 4 rows
          job    categorical: 2 classes
          likes  multi-valued, at '|': 2 classes
        >>> features.names
        ['job=cook', 'job=smith', 'likes=jam', 'likes=tea']
        >>> features.encode({"job": ["cook", "nurse"], "likes": ["tea", "jam|tea"]})
        Design(2 x 4, 4 filled, 1 unknown in job)
    """

    fields: tuple[Field, ...]
    n_rows: int

    @classmethod
    def learned(
        cls,
        table: Any,
        *,
        categorical: Sequence[str] = (),
        multivalued: Sequence[str] | Mapping[str, Sequence[str]] = (),
        continuous: Sequence[str] = (),
        text: Sequence[str] = (),
        vectors: Sequence[str] = (),
        exclude: Sequence[str] = (),
        min_rows: int = 2,
        n_knots: int = 7,
    ) -> Features:
        """Decide what each column of a table becomes, and learn its classes, its scale or its dimensions.

        Categorical: texts, truth values and whole numbers with few values. Multi-valued: lists, texts with | ; or ,
        between values, and three or more neighboring columns of 0 and 1. Continuous: other numbers, years, dates and
        the years in titles such as "Alien (1979)". Text: columns of sentences, whose words become 128 dimensions at
        most. Vectors: lists of decimals of one length, likewise. Left out: constant columns, and those where most rows
        have a value of their own (names, ids, addresses).

        Parameters:
            table (frame or mapping): A frame of any kind or a mapping of columns.
            categorical (sequence of str, default ()): Columns to take as categorical.
            multivalued (sequence of str, or mapping, default ()): Columns to take as multi-valued. A mapping
                {field: columns} makes fields of columns of 0 and 1.
            continuous (sequence of str, default ()): Columns to take as continuous.
            text (sequence of str, default ()): Columns to take as text, such as titles.
            vectors (sequence of str, default ()): Columns to take as vectors: lists of numbers of one length.
            exclude (sequence of str, default ()): Columns to leave out.
            min_rows (int, default 2): Rows that a class needs for a feature, and missing values too; 1 or more. A word
                needs 2 at least.
            n_knots (int, default 7): Maximum number of knots of a continuous field; 0 for straight lines.

        Returns:
            Features: One field for each column or group of columns, in their order.

        Raises:
            OptionError: A named column does not exist or is named twice, or a number is out of its range.
            DataError: A number is infinite, or a named column cannot be what it was named.
        """
        check_threads("learning from attributes")
        check_whole(1, min_rows=min_rows)
        check_whole(n_knots=n_knots)
        frame = frame_of(table)
        kinds = {"continuous": continuous, "text": text, "vectors": vectors, "exclude": exclude}
        declared = declared_fields(frame, categorical, multivalued, kinds)
        free = frame.drop([name for field in declared for name in field.sources])
        position = {name: at for at, name in enumerate(frame.columns)}
        fields = sorted([*declared, *found_fields(free, position)], key=lambda field: position[field.sources[0]])
        limits, named = Limits(min_rows, n_knots), {id(field) for field in declared}
        learned = [_learned(field, frame, limits, is_declared=id(field) in named) for field in fields]
        return cls(tuple(learned), frame.height)

    @cached_property
    def names(self) -> list[str]:
        """Names of the features, such as "genre=Action", "age" and "age missing", in their order."""
        return [name for field in self.fields for name in field.names]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.names)

    @cached_property
    def groups(self) -> NDArray[np.int32]:
        """Field of each feature, as a position in `group_names`, int32, shape (n_features,), rising."""
        sizes = [len(field.names) for field in self.fields if field.names]
        return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    @cached_property
    def group_names(self) -> list[str]:
        """Names of the fields that have features, as in explanations: "genres", "age", "title year"."""
        return [field.heading for field in self.fields if field.names]

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """Field -> its classes in the order of their features; categorical and multi-valued fields only."""
        return {field.name: list(field.labels) for field in self.fields if isinstance(field, Classes)}

    @cached_property
    def report(self) -> dict[str, str]:
        """Field -> what it became, or why it was left out."""
        return {field.name: str(field) for field in self.fields}

    def encode(self, table: Any) -> Design:
        """Return the design matrix of a table with the same columns. Columns that were left out may be missing.

        Missing values and values without a feature give no cells; `unknown` counts the latter by field.

        Parameters:
            table (frame or mapping): A frame of any kind or a mapping of columns.

        Returns:
            Design: One row per row of the table.

        Raises:
            DataError: A column is not there, or holds something other than what was learned.
        """
        check_threads("encoding attributes")
        frame = frame_of(table)
        blocks = [field.encode(frame) for field in self.fields]
        starts = np.cumsum([0, *(len(field.names) for field in self.fields)])
        rows = _joined([block.rows for block in blocks], np.int32)
        indices = _joined([block.features + start for block, start in zip(blocks, starts, strict=False)], np.int32)
        values = _joined([block.values for block in blocks], np.float32)
        indptr, indices, values, _ = compress_rows(rows, indices, values, None, frame.height)
        counts = zip(self.fields, blocks, strict=True)
        unknown = {field.name: block.n_unknown for field, block in counts if block.n_unknown}
        return Design(indptr, indices, values, self.n_features, unknown)

    def encode_rows(self, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Design:
        """Return the design matrix of rows given as mappings.

        What a row lacks is missing. Several values of a field are a list, or a text as in the table.

        Parameters:
            rows (mapping or sequence of mappings): Columns or fields -> values, for each row; one mapping is one row.

        Returns:
            Design: One row per mapping.

        Raises:
            OptionError: A row is not a mapping, or names a field that does not exist.
            DataError: A value is not what was learned.

        Example:
            >>> from palate.data.features import Features
            >>> features = Features.learned({"job": ["cook", "smith"] * 2, "likes": ["tea|jam", "tea", "jam", ""]})
            >>> features.encode_rows({"job": "smith", "likes": ["jam"]}).to_dense().tolist()
            [[0.0, 1.0, 1.0, 0.0]]
        """
        several = [rows] if isinstance(rows, Mapping) else list(rows)
        self._check_rows(several)
        columns = [(field.name, field.column_from(several)) for field in self.fields if field.names]
        frame = frame_of({name: series_of(name, values) for name, values in columns})
        return self.encode(frame if columns else _no_columns(len(several)))

    def _check_rows(self, rows: Sequence[Any]) -> None:
        """Raise OptionError for a row that is not a mapping, or a field that does not exist."""
        valid = {name for field in self.fields for name in (field.name, *field.sources)}
        for at, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise OptionError(f"row {at} (from 0) is {row!r}; a row is a mapping of fields to values.")
            unknown = [name for name in row if name not in valid]
            if unknown:
                fields = ", ".join(repr(field.name) for field in self.fields if field.names) or "none"
                raise OptionError(f"row {at} (from 0): there is no field {unknown[0]!r}. The fields are {fields}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the features as plain data, fit for JSON.

        Returns:
            dict: Numbers, texts and lists.
        """
        return {"n_rows": self.n_rows, "fields": [without_arrays(stored_field(field)) for field in self.fields]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Features:
        """Return the features that `to_dict` stored.

        Parameters:
            stored (mapping): The result of `to_dict`.

        Returns:
            Features: Equal to those that were stored.

        Raises:
            DataError: `to_dict` cannot have stored this.
        """
        try:
            return cls(restored_fields(stored["fields"]), whole(stored["n_rows"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"this is not a description of features: {error!r}") from error

    def __str__(self) -> str:
        width = max((len(field.name) for field in self.fields), default=0)
        lines = [f"  {field.name:{width}}  {field}" for field in self.fields]
        return "\n".join([f"{self.n_features:,} features, learned from {self.n_rows:,} rows", *lines])

    __repr__ = __str__


def _learned(field: Field, frame: pl.DataFrame, limits: Limits, *, is_declared: bool) -> Field:
    learned = field.learned(frame, limits)
    if is_declared and isinstance(learned, LeftOut) and not isinstance(field, LeftOut):
        raise DataError(f"{field.name!r} cannot become features: {learned.why}. Leave it out, with exclude=.")
    return learned


def _no_columns(height: int) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame({"": pl.repeat(None, height, eager=True)})


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind)
