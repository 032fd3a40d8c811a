"""Wide looks: whether a source without column names is a wide table, a column for each item, by its first rows.

Such a source is taken to be user, item, rating and time by position. In a wide table these columns are ratings, all on
one scale. `check_not_wide` refuses such a source; wide.py reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from palate.data.features.values import is_word_for_missing
from palate.data.reading.frames import Table
from palate.data.reading.looks import N_SAMPLED
from palate.data.reading.names import is_common
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Doubles = NDArray[np.float64]

MAX_STEPS = 21  # different values of a rating scale: 0 to 10 by halves
MAX_COLUMNS = 30  # of a source with a rating in each row; a larger number for a name is the label of an item
MIN_ROWS = 10  # fewer rows of three columns may be anything
MIN_BLANK = 0.1  # of the cells of a column of items; a file of ratings has hardly a row without an item


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
        or looks_wide([cell_numbers(head.column(at)) for at in range(len(head.names))], kind)
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
    if looks_wide([cell_numbers(column) for column in columns], kind):
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


def cell_numbers(series: pl.Series) -> Doubles | None:
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
