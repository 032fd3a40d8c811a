"""Columns beside user and item: categories with their classes, numbers with their scale, learned from training rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.output import kind_of
from palate.data.ratings import Ratings, of_frame
from palate.data.reading import read
from palate.data.reading.cleaning import BadRows
from palate.data.reading.collecting import Collector
from palate.data.reading.frames import Table, table_of
from palate.data.reading.names import there_are
from palate.data.vocabulary import Codes, Vocabulary
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.options import check_choice

if TYPE_CHECKING:
    import polars as pl

UNKNOWN = "(unknown)"  # the class of code 0 in every categorical column beside user and item
MAX_ROWS = 2**24  # float32 tells no more row numbers apart


# ---- columns beside user and item


@dataclass(frozen=True)
class Column:
    """A column with a value for each rating: values[codes], or `values` itself where codes is None."""

    name: str
    values: pl.Series
    codes: Codes | None = None  # of the user or item of each rating, for a column of the user or item table

    def per_rating(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array with one entry for each of `values`, as one entry for each rating."""
        return array if self.codes is None else array[self.codes]


@dataclass(frozen=True)
class Category:
    """The classes of a categorical column: code 0 for labels that training did not see, then the sorted labels."""

    vocabulary: Vocabulary

    @classmethod
    def learned(cls, column: Column) -> Category:
        """The category of the labels in the training rows."""
        used = column.values if column.codes is None else column.values.gather(np.unique(column.codes))
        return cls(Vocabulary(_labels(used, column.name).drop_nulls().unique().to_list(), what=column.name))

    @property
    def labels(self) -> list[Any]:
        """The labels in the order of their codes."""
        return [UNKNOWN, *self.vocabulary]

    def encode(self, column: Column) -> tuple[NDArray[np.int64], int]:
        """The code for each rating, (n,), 0 where missing; and how many ratings have a label unseen in training."""
        labels = _labels(column.values, column.name)
        present = labels.is_not_null().to_numpy()
        codes = np.zeros(len(labels), np.int64)
        codes[present] = self.vocabulary.encode(labels.drop_nulls().to_list(), on_unknown="mark") + 1
        return column.per_rating(codes), int(column.per_rating(present & (codes == 0)).sum())


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a continuous column over the training rows."""

    mean: float
    deviation: float

    @classmethod
    def learned(cls, column: Column) -> Scale:
        """The scale of the values that are not missing; raise DataError if all are."""
        values = column.per_rating(_numbers(column.values, column.name))
        present = values[~np.isnan(values)]
        if len(present) == 0:
            raise DataError(f"the continuous column {column.name!r} has no value in any training row: leave it out.")
        return cls(float(present.mean()), float(present.std()) or 1.0)

    def encode(self, column: Column) -> NDArray[np.float32]:
        """(value - mean) / deviation for each rating, (n,); a missing value becomes 0, the mean."""
        values = _numbers(column.values, column.name)
        scaled = np.where(np.isnan(values), 0.0, (values - self.mean) / self.deviation)
        return column.per_rating(scaled).astype(np.float32)


def _labels(values: pl.Series, name: str) -> pl.Series:
    """The labels as strings or int64: booleans and categories become strings, whole floats become integers."""
    import polars as pl

    kind = values.dtype
    if kind.is_integer():
        return values.cast(pl.Int64)
    if kind.is_float():
        whole = values.fill_nan(None)
        if (whole.drop_nulls() != whole.drop_nulls().floor()).any():
            raise DataError(f"column {name!r} has fractions like {whole.drop_nulls()[0]}: name it in continuous=.")
        return whole.cast(pl.Int64)
    if kind in (pl.String, pl.Boolean, pl.Null) or isinstance(kind, (pl.Categorical, pl.Enum)):
        return values.cast(pl.String)
    raise DataError(f"column {name!r} holds {kind}: a categorical column has strings, integers or booleans.")


def _numbers(values: pl.Series, name: str) -> NDArray[np.float64]:
    """The values as float64, nan where missing; raise DataError unless they are finite numbers or missing."""
    import polars as pl

    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        raise DataError(
            f"column {name!r} holds {values.dtype}: a continuous column has numbers. Name it in categorical=."
        )
    numbers = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if np.isinf(numbers).any():
        raise DataError(f"the continuous column {name!r} has an infinite value: correct it, or make it missing.")
    return numbers


# ---- ratings with columns


@dataclass(frozen=True)
class Rows:
    """Ratings, and further columns with one value for each rating."""

    ratings: Ratings
    columns: Mapping[str, pl.Series] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ratings)

    def __getitem__(self, rows: NDArray[np.intp]) -> Rows:
        return Rows(self.ratings[rows], {name: values.gather(rows) for name, values in self.columns.items()})

    def column(self, name: str) -> Column:
        """The column of that name: of the ratings, of the user table or of the item table."""
        users, items = self.ratings.user_table, self.ratings.item_table
        found = [Column(name, self.columns[name])] if name in self.columns else []
        for table, codes in ((users, self.ratings.user_codes), (items, self.ratings.item_codes)):
            if table is not None and name in table.columns:
                found.append(Column(name, table[name], codes))
        if len(found) > 1:
            raise OptionError(
                f"there are {len(found)} columns {name!r} among ratings, users and items: rename all but one."
            )
        if not found:
            raise OptionError(f"there is no column {name!r}. {self._available()}")
        return found[0]

    def _available(self) -> str:
        tables = [table.columns for table in (self.ratings.user_table, self.ratings.item_table) if table is not None]
        if names := sum(tables, list(self.columns)):
            return there_are(names)
        return (
            "These ratings have no user table and no item table that could have it: give them as users= and items= of "
            "palate.read, or with ratings.with_users(table) and ratings.with_items(table)."
        )


def rows_of_frame(frame: Any, names: Collection[str], options: dict[str, Any]) -> Rows:
    """A frame read as ratings, with those of the named columns that the frame itself has."""
    table = table_of(frame)
    own = [] if table is None else [name for name in table.names if name in names]
    if table is None or not own:
        return Rows(read(frame, **options))
    ratings, kept = _read_numbered(table, **options)
    return Rows(
        of_frame(ratings, kind_of(frame)), {name: table.column(table.names.index(name)).gather(kept) for name in own}
    )


def _read_numbered(
    table: Table,
    *,
    items: Any = None,
    users: Any = None,
    on_bad_rows: str = "raise",
    duplicates: Any = "last",
    **options: Any,
) -> tuple[Ratings, NDArray[np.int64]]:
    """The table read as by palate.read, and the row number of each rating; the numbers travel as weights."""
    import polars as pl

    check_choice("on_bad_rows", on_bad_rows, ("raise", "report"))
    check_choice("duplicates", duplicates, ("last", "mean", "error"))
    height, last = len(table.column(0)), len(table.names)
    if height > MAX_ROWS or duplicates == "mean" or options.get("weight"):
        raise OptionError(
            f"categorical or continuous columns of the frame itself need at most {MAX_ROWS:,} rows, no weight= and "
            'no duplicates="mean": join such rows before.'
        )
    numbers = pl.Series(np.arange(height))
    names = [*table.names, "number of the row"]
    numbered = replace(
        table, names=names, head=None, first=None, column=lambda at: numbers if at == last else table.column(at)
    )
    found = Collector(table.source, BadRows(strict=on_bad_rows == "raise"))
    found.add_table(numbered, dict.fromkeys(("user", "item", "rating", "time")) | options | {"weight": last})
    ratings = found.ratings(duplicates, users=users, items=items)
    assert ratings.weights is not None
    return ratings._with(weights=None), ratings.weights.astype(np.int64)


def recoded(given: Ratings, training: Ratings) -> Ratings:
    """The same ratings with the codes and tables of the training set; raise UnknownLabelError if it lacks a label."""
    return Ratings(
        _codes_in(training.user_vocabulary, given.user_vocabulary, given.user_codes),
        _codes_in(training.item_vocabulary, given.item_vocabulary, given.item_codes),
        given.values,
        user_vocabulary=training.user_vocabulary,
        item_vocabulary=training.item_vocabulary,
        times=given.times,
        user_table=training.user_table,
        item_table=training.item_table,
        report=given.report,
    )


def _codes_in(training: Vocabulary, given: Vocabulary, codes: Codes) -> Codes:
    """The training codes of labels given in the codes of another vocabulary."""
    recoded = training.encode(given.labels, on_unknown="mark")[codes]
    unknown = given.decode(np.unique(codes[recoded < 0])).tolist()
    if unknown:
        examples = ", ".join(map(repr, unknown[:3]))
        raise UnknownLabelError(
            f"{int((recoded < 0).sum()):,} validation ratings are of {len(unknown):,} {training.what}s that the "
            f"training set does not have, such as {examples}. Leave these ratings out, or read both sets as one and "
            "split it (palate.split_random, palate.split_rows): its parts share their classes."
        )
    return recoded
