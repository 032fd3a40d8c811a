"""Wide tables: a row for each user and a column for each item, or the other way round. Read with wide=True.

A source without column names is taken to be user, item, rating and time by position. In a wide table these columns are
ratings, all on one scale. `check_not_wide` refuses such a source; `long_table` makes a row of each cell that is rated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from palate.data.features.values import is_word_for_missing
from palate.data.reading.columns import INDEX_NAMES, is_common, position_of
from palate.data.reading.frames import Table
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

Doubles = NDArray[np.float64]
Blank = float | bool | None

MAX_STEPS = 21  # different values of a rating scale: 0 to 10 by halves
MAX_COLUMNS = 30  # of a source with a rating in each row; a larger number for a name is the label of an item
MIN_ROWS = 10  # fewer rows of three columns may be anything
MIN_BLANK = 0.1  # of the cells of a column of items; a file of ratings has hardly a row without an item
N_SAMPLED = 1000  # rows that are looked at


# ---- recognising -----------------------------------------------------------------------------------------------------


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


def check_not_wide(table: Table, given: dict[str, Any], kind: str) -> None:
    """Raise DataError if a source without column names, or with numbers for names, looks wide.

    A source whose user, item or rating column the caller named is no wide table.
    """
    if table.named or table.head is None or any(given[name] is not None for name in ("user", "item", "rating")):
        return
    head = table.head(N_SAMPLED)
    has_users = table.index is not None and is_common(table.index.name, "user")
    if (
        has_users
        or _names_are_labels(head.names)
        or looks_wide([_numbers(head.column(at)) for at in range(len(head.names))], kind)
    ):
        refuse(table.source)


def check_sample_not_wide(rows: list[list[str]], given: dict[str, Any], kind: str, source: str) -> None:
    """Raise DataError if the first rows of a text file without a header look wide."""
    import polars as pl

    if any(given[name] is not None for name in ("user", "item", "rating")):
        return
    width = max(set(map(len, rows)), key=[len(row) for row in rows].count)
    fitting = [row for row in rows if len(row) == width]
    columns = [pl.Series([row[at] for row in fitting], dtype=pl.String) for at in range(width)]
    if looks_wide([_numbers(column) for column in columns], kind):
        refuse(source)


def refuse(source: str) -> NoReturn:
    """Raise the DataError that says how a wide table is read."""
    raise DataError(
        f"{source} looks like a wide table: a row for each user and a column for each item, not columns of users, "
        "items and ratings. Pass wide=True to read it so. If it has a rating in each row, pass wide=False."
    )


def looks_wide(columns: list[Doubles | None], kind: str) -> bool:
    """True if the first rows of unnamed columns are ratings in every column, and not users, items and ratings.

    columns: numbers, NaN where a cell is blank; None for a column of text, which only the first may be.
    """
    cells = [column for column in columns[1:] if column is not None]
    if len(columns) < 3 or len(cells) < len(columns) - 1:
        return False
    first = columns[0]
    if _has_blanks(first, cells) or _has_fractions(first, cells):
        return True
    if first is not None and len(columns) <= 4 and _pairs_repeat(first, cells, kind):
        return True
    if len(columns) == 3:
        return False
    has_labels = first is None or len(np.unique(first)) == len(first)
    return (has_labels and _on_one_scale(cells)) or (first is not None and _on_one_scale([first, *cells]))


def _on_one_scale(columns: list[Doubles]) -> bool:
    """True if columns have few values in all, and if the last of three or four cannot be times."""
    *_, second, largest = sorted(
        float(np.max(np.abs(column), where=~np.isnan(column), initial=0)) for column in columns
    )
    alike = _n_steps(columns) <= MAX_STEPS and largest <= 2 * second
    return alike and (len(columns) > 4 or _is_no_time(columns[-1], columns[:-1]))


def _names_are_labels(names: list[str]) -> bool:
    """True for three or more names that are numbers, and not merely the positions of the columns."""
    numbers = [int(name) for name in names if name.isdecimal()]
    positions = [list(range(start, start + len(names))) for start in (0, 1)]
    are_many = len(names) > 4 or max(numbers, default=0) > MAX_COLUMNS
    return len(numbers) == len(names) > 2 and numbers not in positions and are_many


def _has_blanks(first: Doubles | None, cells: list[Doubles]) -> bool:
    """True if a column where labels would be has blank cells, and so has another: users rate few items."""
    columns = cells if first is None else [first, *cells]
    if len(cells) == 2 and len(cells[0]) < MIN_ROWS:
        return False
    blank = [bool(np.mean(np.isnan(column)) >= MIN_BLANK) for column in columns]
    n_labels = len(columns) - len(cells) + 1
    return any(blank[:n_labels]) and sum(blank) > 1


def _has_fractions(first: Doubles | None, cells: list[Doubles]) -> bool:
    """True if the second column, where items would be, has fractions, and so have the others on the same scale."""
    if first is None and len(cells) < 3:
        return False
    present = [column[~np.isnan(column)] for column in cells]
    fractions = [bool((column % 1 != 0).any()) for column in present]
    largest = [float(np.abs(column).max(initial=0)) for column in present]
    return fractions[0] and any(fractions[1:]) and largest[0] <= 2 * max(largest[1:])


def _pairs_repeat(first: Doubles, cells: list[Doubles], kind: str) -> bool:
    """True if the columns share one scale and most pairs of the first two stand several times.

    A choice may repeat. So implicit ratings count only if they are all 0 or 1.
    """
    steps = MAX_STEPS if kind == "explicit" else 2
    if len(first) < MIN_ROWS or _n_steps([first, *cells]) > steps:
        return False
    pairs = np.unique(np.column_stack([first, cells[0]]), axis=0)
    return len(pairs) < len(first) / 2


def _is_no_time(column: Doubles, others: list[Doubles]) -> bool:
    """True if the fourth column has values of the others' scale, some of them repeated; times do neither."""
    scale, present = np.concatenate(others), column[~np.isnan(column)]
    scale = scale[~np.isnan(scale)]
    low, high = scale.min(initial=np.inf), scale.max(initial=-np.inf)
    inside = bool(((low <= present) & (present <= high)).all())
    return inside and len(np.unique(present)) < len(present)


def _n_steps(columns: list[Doubles]) -> int:
    """The number of different values."""
    values = np.unique(np.concatenate(columns))
    return int(np.count_nonzero(~np.isnan(values)))


def _numbers(series: pl.Series) -> Doubles | None:
    """The column as floats, NaN where it is blank; None if it has other text."""
    import polars as pl

    if series.dtype == pl.String:
        texts = [None if text is None or is_word_for_missing(text) else text for text in series.to_list()]
        series = pl.Series(texts, dtype=pl.String)
        numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    elif series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null):
        numbers = series.cast(pl.Float64)
    else:
        return None
    if numbers.null_count() > series.null_count():
        return None
    array: Doubles = numbers.to_numpy().astype(np.float64)
    return array


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LongTable:
    """A wide table as one of user, item and rating: a row for each rated cell.

    Attributes:
        table (Table): The long table.
        n_blank (int): The number of cells without a rating.
        columns (dict): Field -> what it was taken from, in words.
        how (dict): How the table was read, in words.
    """

    table: Table
    n_blank: int
    columns: dict[str, str]
    how: dict[str, str]


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
    others = _positions(len(positions), table) if names is None else [names[position] for position in positions]
    _check_columns(others, table.source, other)
    columns = [_cells(table.column(position)) for position in positions]
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
    how |= {"first column": "the number of ratings of each row"} if is_count else {}
    return LongTable(long, len(labels) * len(others) - long.height, taken, how)


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
    is_index = table.names[0].strip().lower() in INDEX_NAMES
    if table.is_text or is_index or _numbers(table.column(0)) is None:
        return 0
    raise DataError(
        f"{table.source} is read as a wide table, and no column is called {what}. Say which one has the {what}s: "
        f"{what}=..."
    )


def _counts_rated(column: pl.Series, rated: list[pl.Series]) -> bool:
    """True if a column has the number of rated cells of each row."""
    numbers = _numbers(column)
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


def _cells(series: pl.Series) -> pl.Series:
    """The cells of an item: floats, null where blank; texts, if some are no numbers."""
    import polars as pl

    numbers = _numbers(series)
    if numbers is not None:
        return pl.Series(numbers, nan_to_null=True)
    texts = series.cast(pl.String, strict=False).to_list()
    return pl.Series([None if text is None or is_word_for_missing(text) else text for text in texts], dtype=pl.String)


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
