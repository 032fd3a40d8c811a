"""Features of a table's rows: what its columns became, and the sparse matrix of the rows of any table like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.deciding import found_fields, told_fields
from palate.data.features.fields import Classes, Field, LeftOut, Limits
from palate.data.features.frames import frame_of, series_of
from palate.data.features.stored import restored_fields, stored_field, whole
from palate.errors import DataError, OptionError
from palate.kernels import compress_rows

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class Design:
    """A sparse matrix, (n_rows, n_features), in compressed rows; and how many values of each field have no feature."""

    indptr: NDArray[np.int64]  # (n_rows + 1,)
    indices: NDArray[np.int32]  # (n_filled,), rising within a row
    values: NDArray[np.float32]  # (n_filled,)
    n_features: int
    unknown: dict[str, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return len(self.indptr) - 1, self.n_features

    def to_dense(self) -> NDArray[np.float32]:
        """The whole matrix, zeros included."""
        dense = np.zeros(self.shape, np.float32)
        dense[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.values
        return dense

    def __repr__(self) -> str:
        unknown = "".join(f", {count:,} unknown in {name}" for name, count in self.unknown.items())
        return f"Design({self.shape[0]:,} x {self.shape[1]:,}, {len(self.values):,} filled{unknown})"


@dataclass(frozen=True, repr=False)
class Features:
    """What the columns of a table became: classes, amounts, or left out. Prints as a report.

    >>> from palate.data.features import Features
    >>> features = Features.learned({"job": ["cook", "smith", "cook", "smith"], "likes": ["tea|jam", "tea", "jam", ""]})
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
    n_rows: int  # that were learned from

    @classmethod
    def learned(
        cls,
        table: Any,
        *,
        categorical: Sequence[str] = (),
        multivalued: Sequence[str] | Mapping[str, Sequence[str]] = (),
        continuous: Sequence[str] = (),
        exclude: Sequence[str] = (),
        min_rows: int = 2,
        n_knots: int = 7,
    ) -> Features:
        """Decide what each column of a frame (or mapping of columns) is, and learn its classes or its scale.

        Texts, truth values and small whole numbers are categorical; lists, texts with | ; or , between values, and
        three or more neighbouring columns of 0 and 1 multi-valued; other numbers, years, dates and the years in titles
        like "Alien (1979)" continuous. Left out: constant columns, and those where most rows have a value of their own
        (names, ids, addresses). categorical, multivalued, continuous, exclude: columns for which nothing is decided;
        multivalued takes {field: columns of 0 and 1} too. min_rows: a class on fewer rows has no feature, nor has
        being missing. n_knots: how many bends a continuous field may have, 0 for straight lines.

        Raises OptionError for a column that does not exist or is named twice; DataError, with column and row, for an
        infinite number, and for a named column that cannot be what it is said to be.
        """
        _check_count("min_rows", min_rows, 1)
        _check_count("n_knots", n_knots, 0)
        frame = frame_of(table)
        told = told_fields(frame, categorical, multivalued, continuous, exclude)
        free = frame.drop([name for field in told for name in field.sources])
        place = {name: at for at, name in enumerate(frame.columns)}
        every = sorted([*told, *found_fields(free, place)], key=lambda field: place[field.sources[0]])
        limits = Limits(min_rows, n_knots)
        learned = [_learned(field, frame, limits, is_told=field in told) for field in every]
        return cls(tuple(learned), frame.height)

    @cached_property
    def names(self) -> list[str]:
        """The features by name, such as "genre=Action", "age" and "age missing"."""
        return [name for field in self.fields for name in field.names]

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return len(self.names)

    @cached_property
    def groups(self) -> NDArray[np.int32]:
        """Which field each feature belongs to, as a position in `group_names`, shape (n_features,), rising."""
        sizes = [len(field.names) for field in self.fields if field.names]
        return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    @cached_property
    def group_names(self) -> list[str]:
        """The fields that have features, as an explanation tells them: "genres", "age", "title year"."""
        return [field.heading for field in self.fields if field.names]

    @property
    def classes(self) -> dict[str, list[str]]:
        """Field -> its classes in the order of their features, for categorical and multi-valued fields."""
        return {field.name: list(field.labels) for field in self.fields if isinstance(field, Classes)}

    @property
    def report(self) -> dict[str, str]:
        """Field -> what it became, or why it was left out."""
        return {field.name: str(field) for field in self.fields}

    def encode(self, table: Any) -> Design:
        """The features of each row of a table that has the same columns (those left out may be missing), row by row.

        Missing values fill nothing, nor do values without a feature, which `unknown` counts by field. Raises DataError
        for a column that is not there, and for one that holds something else than what was learned.
        """
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
        """The features of rows told one by one, each a mapping of columns or fields to values; of one row alone too.

        What a row does not tell is missing. Several values of a field are a list, or a text as in the table.

        Raises OptionError, naming the fields there are, for one that is none of them.

        >>> features = Features.learned({"job": ["cook", "smith"] * 2, "likes": [["tea", "jam"], ["tea"], ["jam"], []]})
        >>> features.encode_rows({"job": "smith", "likes": ["jam"]}).to_dense().tolist()
        [[0.0, 1.0, 1.0, 0.0]]
        """
        several = [rows] if isinstance(rows, Mapping) else list(rows)
        self._check_rows(several)
        columns = [(field.name, field.told(several)) for field in self.fields if field.names]
        frame = frame_of({name: series_of(name, values) for name, values in columns})
        return self.encode(frame if columns else _no_columns(len(several)))

    def _check_rows(self, rows: Sequence[Any]) -> None:
        """OptionError for a row that is no mapping, and for fields there are not."""
        known = {name for field in self.fields for name in (field.name, *field.sources)}
        for at, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise OptionError(f"row {at} (from 0) is {row!r}; a row is a mapping of fields to values.")
            odd = [name for name in row if name not in known]
            if odd:
                there = ", ".join(repr(field.name) for field in self.fields if field.names) or "none"
                raise OptionError(f"row {at} (from 0): there is no field {odd[0]!r}. The fields are {there}.")

    def to_dict(self) -> dict[str, Any]:
        """All of it as numbers, texts and lists, fit for JSON."""
        return {"n_rows": self.n_rows, "fields": [stored_field(field) for field in self.fields]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Features:
        """What to_dict() stored. DataError (a ValueError) for anything that it cannot have stored."""
        try:
            return cls(restored_fields(stored["fields"]), whole(stored["n_rows"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"this is no description of features: {error!r}") from error

    def __str__(self) -> str:
        width = max((len(field.name) for field in self.fields), default=0)
        lines = [f"  {field.name:{width}}  {field}" for field in self.fields]
        return "\n".join([f"{self.n_features:,} features, learned from {self.n_rows:,} rows", *lines])

    __repr__ = __str__


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"{name} must be a whole number, {least} or more, got {value!r}.")


def _learned(field: Field, frame: pl.DataFrame, limits: Limits, *, is_told: bool) -> Field:
    learned = field.learned(frame, limits)
    if is_told and isinstance(learned, LeftOut) and not isinstance(field, LeftOut):
        raise DataError(f"{field.name!r} cannot become features: {learned.why}. Leave it out, with exclude=.")
    return learned


def _no_columns(height: int) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame({"": pl.repeat(None, height, eager=True)})


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind)
