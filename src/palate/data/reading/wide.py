"""Wide tables: a row for each user and a column for each item, or the other way round. Read with wide=True.

`long_table` makes a row of each cell that is rated. Columns of texts are no items; wide_looks.py finds such tables.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.values import is_word_for_missing
from palate.data.reading.columns import position_of
from palate.data.reading.frames import Table
from palate.data.reading.looks import N_SAMPLED, Column
from palate.data.reading.names import INDEX_NAMES, is_common, there_are
from palate.data.reading.numbers import are_flags, is_number_like
from palate.data.reading.summaries import without_summaries
from palate.data.reading.wide_looks import cell_numbers
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

Doubles = NDArray[np.float64]
Blank = float | bool | None

TOO_LARGE = 5  # times the largest rating of half the items: no rating on their scale


def check_wide(wide: bool | None, blank: Blank, rows: str | None, source: Any) -> None:
    """Raise OptionError for values of these options that make no sense, alone or with this source."""
    if wide not in (None, True, False) or not isinstance(wide, bool | None):
        raise OptionError(f"wide must be True, False or None, got {wide!r}.")
    if blank is True or isinstance(blank, str) or not isinstance(blank, int | float | None):
        raise OptionError(f"blank must be a number that means no rating, or False for none, got {blank!r}.")
    if blank is not None and not wide:
        raise OptionError("blank= is for wide tables: pass wide=True too.")
    if rows not in (None, "users", "items"):
        raise OptionError(f'rows must be "users" or "items", got {rows!r}.')
    if rows is not None and not wide:
        raise OptionError("rows= is for wide tables: pass wide=True too.")
    if wide and (isinstance(source, tuple) or hasattr(source, "tocoo")):
        what = "a tuple is (users, items, values)" if isinstance(source, tuple) else "a sparse matrix is users x items"
        raise OptionError(f"{what}; leave out wide=True.")


@dataclass(frozen=True)
class LongTable:
    """A wide table as one of user, item and rating: a row for each rated cell.

    Attributes:
        table (Table): The long table.
        n_blank (int): The number of cells without a rating.
        columns (dict): Field -> what it was taken from, in words.
        how (dict): How the table was read, in words.
        unused (dict): Columns of texts, which are no ratings -> what they look like.
    """

    table: Table
    n_blank: int
    columns: dict[str, str]
    how: dict[str, str]
    unused: dict[str, str]


def long_table(table: Table, given: dict[str, Any], blank: Blank, kind: str, rows: str | None = None) -> LongTable:
    """Make a long table of a wide one. rows: whether its rows are "users" or "items"; None finds out.

    Raises OptionError for options that a wide table has no use for, and DataError if it is not clear who the rows are
    or whether a number means no rating.
    """
    import polars as pl

    what = _what_rows_are(table, given, rows)
    other = "item" if what == "user" else "user"
    _check_options(given, other)
    at = _label_position(table, what, given[what])
    positions = [position for position in range(len(table.names)) if position != at]
    names = table.own_names or (table.names if table.named else None)
    texts = [position for position in positions if names is not None and _is_text(table.column(position))]
    positions = [position for position in positions if position not in texts or len(texts) == len(positions)]
    none = blank if isinstance(blank, int | float) and blank is not False else 0 if kind == "implicit" else None
    kept = without_summaries(table, at, positions, names, none)
    table, positions = kept.table, kept.positions
    others = _positions(len(positions), table) if names is None else [names[position] for position in positions]
    _check_columns(others, table.source, other)
    columns = [_cells(table.column(position)) for position in positions]
    if kind == "explicit" and names is not None:
        _check_scale(columns, others, table.source)
    blank = _blank_of(columns, blank, kind, table.source)
    rated = [~_is_blank(column, blank) for column in columns]
    is_count = at is not None and given[what] is None and _counts_rated(table.column(at), rated)
    if is_count or (at is None and table.index is None):
        labels = pl.Series(range(table.height))
        labels = labels.cast(pl.String) if table.is_text else labels
    else:
        labels = table.index if at is None and table.index is not None else table.label(at or 0)
    _check_rows(labels, table, what)
    parts = []
    for name, column, is_rated in zip(others, columns, rated, strict=True):
        own = labels.filter(is_rated)
        label = pl.Series([name]).new_from_index(0, len(own))  # of its type even where nobody rated it
        parts.append(pl.DataFrame({what: own, other: label, "rating": column.filter(is_rated)}))
    long = _joined(parts, [np.flatnonzero(is_rated.to_numpy()) for is_rated in rated], others, table)
    taken = {
        what: "the position of the row" if is_count else _named(table, at),
        other: "the position of the column" if names is None else "the names of the columns",
        "rating": "the cells",
    }
    how = {"wide": f"a row for each {what}"} | ({} if blank is False else {"blank": f"{blank:g}"})
    how |= kept.how
    how |= {"first column": "the number of ratings of each row"} if is_count else {}
    unused = {table.names[position]: Column(table.names[position], table.sample(position)).look for position in texts}
    unused |= kept.unused
    return LongTable(long, len(labels) * len(others) - long.height, taken, how, unused)


def _named(table: Table, at: int | None) -> str:
    """What the labels of rows are taken from, in words."""
    if at is not None:
        return table.names[at]
    return "the position of the row" if table.index is None else "the index"


def _what_rows_are(table: Table, given: dict[str, Any], rows: str | None) -> str:
    """What a row is: "user", or "item" if rows= says so, or if the labels of rows are called like items."""
    if rows is not None:
        return "user" if rows == "users" else "item"
    if given["item"] is not None and given["user"] is None:
        return "item"
    first = table.index.name if table.index is not None else table.names[0]
    is_item = (table.named or table.index is not None) and is_common(str(first), "item")
    return "item" if is_item and not any(is_common(name, "user") for name in table.names) else "user"


def _check_options(given: dict[str, Any], other: str) -> None:
    for name in (other, "rating", "time", "weight"):
        if given[name] is not None and given[name] is not False:
            raise OptionError(
                f"a wide table has a column for each {other}, and so no {name}={given[name]!r}; leave it out."
            )


def _label_position(table: Table, what: str, given: Any) -> int | None:
    """The position of the column of labels of rows; None if the index or the position of a row is its label."""
    if given is not None:
        return position_of(table.names, what, given, table.source)
    if not table.named:
        return 0 if table.is_text else None
    found = [at for at, name in enumerate(table.names) if is_common(name, what)]
    if found or table.index is not None:
        return found[0] if found else None
    if cell_numbers(table.column(0)) is None and Column(table.names[0], table.sample(0)).are_times:
        raise DataError(
            f"{table.source}: the first column, {table.names[0]!r}, has times. Say which has the {what}s: {what}=... "
            f"{there_are(table.names)}"
        )
    is_index = table.names[0].strip().lower() in INDEX_NAMES
    if table.is_text or is_index or cell_numbers(table.column(0)) is None:
        return 0
    raise DataError(
        f"{table.source} is read as a wide table, and no column is called {what}. Say which one has the {what}s: "
        f"{what}=..."
    )


def _counts_rated(column: pl.Series, rated: list[pl.Series]) -> bool:
    """True if a column has the number of rated cells of each row."""
    numbers = cell_numbers(column)
    if numbers is None or len(rated) < 2:
        return False
    counts = np.sum([is_rated.to_numpy() for is_rated in rated], axis=0)
    return bool(np.array_equal(numbers, counts))


def _check_rows(labels: pl.Series, table: Table, what: str) -> None:
    repeated = labels.filter(labels.is_duplicated() & labels.is_not_null())
    if len(repeated):
        raise DataError(
            f"{table.source}: in a wide table each {what} has one row, and {repeated[0]!r} has several. If another "
            f"column has the {what}s, say which: {what}=..."
        )


def _positions(n: int, table: Table) -> list[Any]:
    """The positions of items as labels: texts in a text file, as all its labels are."""
    return [str(at) if table.is_text else at for at in range(n)]


def _check_columns(labels: list[Any], source: str, what: str) -> None:
    if not labels:
        raise DataError(
            f"{source} has no column of {'an item' if what == 'item' else 'a user'}: a wide table has one for each."
        )
    repeated = [label for label, n in Counter(labels).items() if n > 1]
    if repeated:
        raise DataError(
            f"{source}: several columns are called {repeated[0]!r}; in a wide table each is another {what}."
        )


def _check_scale(columns: list[pl.Series], labels: list[Any], source: str) -> None:
    """Raise DataError for a column whose numbers are far beyond those of the others: an age, a number of a place."""
    largest = [float(np.nanmax(np.abs(column.to_numpy()))) for column in columns if _has_numbers(column)]
    if len(largest) < 3:
        return
    limit = TOO_LARGE * float(np.quantile(largest, 0.5, method="lower"))
    named = [label for column, label in zip(columns, labels, strict=True) if _has_numbers(column)]
    beyond = [label for label, most in zip(named, largest, strict=True) if most > limit > 0]
    if beyond:
        raise DataError(
            f"{source}: the column {beyond[0]!r} goes up to {largest[named.index(beyond[0])]:g}, and half the others "
            f"stay at {limit / TOO_LARGE:g} or below. If it is no item, take it out of the file; if it is, bring the "
            "ratings to one scale."
        )


def _has_numbers(column: pl.Series) -> bool:
    return column.dtype.is_numeric() and column.null_count() < len(column)


def _cells(series: pl.Series) -> pl.Series:
    """The cells of an item: floats, null where blank; texts, if some are no numbers."""
    import polars as pl

    numbers = cell_numbers(series)
    if numbers is not None:
        return pl.Series(numbers, nan_to_null=True)
    texts = series.cast(pl.String, strict=False).to_list()
    return pl.Series([None if text is None or is_word_for_missing(text) else text for text in texts], dtype=pl.String)


def _is_text(column: pl.Series) -> bool:
    """True for a column of which no value is a number in any notation: names, dates, remarks."""
    import polars as pl

    if column.dtype != pl.String:
        return column.dtype in (pl.Date, pl.Datetime)
    texts = [text for text in column.drop_nulls().to_list() if text.strip() and not is_word_for_missing(text)]
    return bool(texts) and not any(is_number_like(text) for text in texts[:N_SAMPLED]) and not are_flags(texts)


def _is_blank(column: pl.Series, blank: Blank) -> pl.Series:
    import polars as pl

    missing = column.is_null()
    if blank is False or blank is None or column.dtype == pl.String:
        return missing
    return missing | (column == blank).fill_null(False)


def _blank_of(columns: list[pl.Series], blank: Blank, kind: str, source: str) -> Blank:
    """The number that means no rating. Raise DataError where none is said, no cell is blank, and one stands apart."""
    if blank is not None:
        return blank
    if kind == "implicit":
        return 0.0  # a count of 0 is no choice
    floats = [column.to_numpy() for column in columns if column.dtype.is_float()]
    if len(floats) < len(columns) or any(column.null_count() for column in columns):
        return False
    apart = _stands_apart(np.unique(np.concatenate(floats)))
    if apart is None:
        return False
    raise DataError(
        f"{source} is a wide table without a blank cell, and {apart:g} stands apart from its other numbers. If it "
        f"means no rating, pass blank={apart:g}; if it is a rating, pass blank=False."
    )


def _stands_apart(values: Doubles) -> float | None:
    """Of sorted different numbers: 0 below all others, or one that lies further off than the others from each other."""
    if len(values) < 2:
        return None
    if values[0] == 0:
        return 0.0
    if len(values) > 3:
        gaps = np.diff(values)
        if gaps[-1] > values[-2] - values[0]:
            return float(values[-1])
        if gaps[0] > values[-1] - values[1]:
            return float(values[0])
    return None


def _joined(parts: list[pl.DataFrame], rows: list[NDArray[np.int64]], labels: list[Any], table: Table) -> Table:
    """The rated cells of all columns as one table; rows has the rows of each column's cells, labels its label."""
    import polars as pl

    has_text = any(part["rating"].dtype == pl.String for part in parts)
    kind = pl.String if has_text else pl.Float64
    frame = pl.concat([part.with_columns(pl.col("rating").cast(kind)) for part in parts])
    starts = np.cumsum([0, *map(len, rows)])

    def where(row: int) -> str:
        column = int(np.searchsorted(starts, row, side="right")) - 1
        return f"row {rows[column][row - starts[column]]} (from 0), column {labels[column]!r}: {frame['rating'][row]!r}"

    columns = [frame["user"], frame["item"], frame["rating"]]
    names = ["user", "item", "rating"]
    return Table(table.source, names, columns.__getitem__, columns.__getitem__, where=where, height=frame.height)
