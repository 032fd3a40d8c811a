"""Summaries: the last rows and the columns of a wide table that total or average the others, and are nobody's ratings.

They are left out where the name and the values say so, and refused where only one of them does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.reading.frames import Table
from palate.data.reading.names import TOTAL_NAMES, plain
from palate.data.reading.wide_looks import cell_numbers
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Doubles = NDArray[np.float64]

SHORT_NAMES = re.findall(  # of summaries, and of items and users
    r"\w+", "n nr num max min count counts media som soma ges var sd nombre numero aantal"
)
NO_ITEMS = re.findall(  # of columns about an answer or a person
    r"\w+",
    """lastpage seed progress duration durationinseconds finished responseid respondentid participantid submissionid
    interviewtime id age count status yearofbirth zip zipcode postcode""",
)
MIN_OTHERS = 3  # rows or columns; with fewer a largest one is one of them
MIN_ROWS = 8  # of a column without such a name: fewer agree by chance


@dataclass(frozen=True)
class Kept:
    """What is left of a wide table: the table without its last rows, the positions of columns, and what to tell."""

    table: Table
    positions: list[int]
    unused: dict[str, str]
    how: dict[str, str]


def without_summaries(table: Table, at: int | None, positions: list[int], names: list[Any] | None, blank: Any) -> Kept:
    """The table without summaries. at: the column of labels, blank: a number that means no rating, or None.

    Raises DataError for a row or column that may be a summary or no item, and may be one.
    """
    table, how = _without_rows(table, at, positions, blank)
    if names is None:
        return Kept(table, positions, {}, how)
    called = {position: plain(str(names[position])) for position in positions}
    cells = {position: _numbers(table.column(position), blank) for position in positions}
    named = [position for position in positions if called[position] in (*TOTAL_NAMES, *SHORT_NAMES, *NO_ITEMS)]
    rated = [position for position in positions if position not in named and cells[position] is not None]
    others = [cells[position] for position in rated]
    unused = {}
    for position in named:
        says = _says(_stacked(others), cells[position])
        name = str(names[position])
        if says and (called[position] in TOTAL_NAMES or len(others) >= MIN_OTHERS):
            unused[name] = says
        elif called[position] not in SHORT_NAMES or called[position] in NO_ITEMS:
            raise DataError(
                f"{table.source}: the column {name!r} may be no item by its name. Take it out of the file, or give it "
                "another name if it is an item."
            )
    agreeing = _agreeing([column for column in others if column is not None])
    if agreeing is not None:
        name = str(names[rated[agreeing]])
        raise DataError(
            f"{table.source}: the column {name!r} has the sum, the mean or the count of the others in each row. Take "
            "it out of the file if it is no item; if it is one, give the ratings as user, item, rating."
        )
    return Kept(table, [position for position in positions if str(names[position]) not in unused], unused, how)


def _without_rows(table: Table, at: int | None, positions: list[int], blank: Any) -> tuple[Table, dict[str, str]]:
    """The table without the last rows that are summaries by their labels and values, and what to tell of them."""
    column = table.index if at is None else table.column(at)
    labels = [] if column is None else [str(label) for label in column.to_list()]
    texts = [plain(label) for label in labels]
    columns = [_numbers(table.column(position), blank) for position in positions]
    left = {}
    is_summary = [text in (*TOTAL_NAMES, *SHORT_NAMES) for text in texts]
    others = [row for row, is_one in enumerate(is_summary) if not is_one]
    if not any(is_summary) or not others or any(column is None for column in columns):
        return table, {}
    matrix = _stacked(columns).T  # (rows, columns)
    end = len(texts)
    while end and is_summary[end - 1]:
        says = _says(matrix[others], matrix[end - 1])
        if not says or (texts[end - 1] not in TOTAL_NAMES and len(others) < MIN_OTHERS):
            break
        end -= 1
        left[labels[end]] = says
    if odd := [label for label, text in zip(labels[:end], texts, strict=False) if text in TOTAL_NAMES]:
        raise DataError(
            f"{table.source}: the row {odd[0]!r} may be nobody's ratings by its label. Take it out of the "
            "file, or give it another label if it is somebody."
        )
    if not left:
        return table, {}
    return _head(table, end), {"rows left out": ", ".join(f"{label!r} ({says})" for label, says in left.items())}


def _head(table: Table, n: int) -> Table:
    """The first rows of a table."""
    index = None if table.index is None else table.index.head(n)
    column, label = table.column, table.label
    return replace(
        table,
        column=lambda at: column(at).head(n),
        label=lambda at: label(at).head(n),
        height=n,
        index=index,
        head=None,
        first=None,
    )


def _numbers(column: pl.Series, blank: Any) -> Doubles | None:
    """The cells as floats, NaN where there is no rating; None for texts."""
    numbers = cell_numbers(column)
    return numbers if numbers is None or blank is None else np.where(numbers == blank, np.nan, numbers)


def _stacked(columns: list[Doubles | None]) -> Doubles:
    """The columns of numbers as rows, shape (n columns, n rows)."""
    numbers = [column for column in columns if column is not None]
    return np.array(numbers) if numbers else np.zeros((0, 0))


def _agreeing(columns: list[Doubles]) -> int | None:
    """The first column that has the sum, mean or count of the others in each row, whatever it is called."""
    if len(columns) <= MIN_OTHERS:
        return None
    total = np.zeros_like(columns[0])
    count = np.zeros_like(total)
    for column in columns:
        total += np.nan_to_num(column)
        count += ~np.isnan(column)
    for at, column in enumerate(columns):
        is_there = ~np.isnan(column) & (count > 1)
        own = column[is_there]
        if len(own) < MIN_ROWS or np.ptp(own) == 0:
            continue
        others, n = total[is_there] - own, count[is_there] - 1
        rounded = _rounding(own[:MIN_ROWS])
        means = others / n
        if any(
            np.abs(found - own).max() <= allowed
            for found, allowed in ((others, 1e-6), (n, 1e-6), (means, rounded if rounded < 0.1 else 1e-6))
        ):
            return at
    return None


def _rounding(values: Doubles) -> float:
    """By how much rounding to as many places as values have can change them."""
    return float(0.51 * 10.0 ** -max(len(f"{value:.10g}".partition(".")[2]) for value in values))


def _says(others: Doubles, values: Doubles | None) -> str:
    """What values are of the others, shape (n others, n values), in words; "" if nothing."""
    if values is None or len(others) == 0 or np.isnan(values).all():
        return ""
    rounded = _rounding(values[~np.isnan(values)])
    is_there = ~np.isnan(values) & ~np.isnan(others).all(axis=0)
    if not is_there.any():
        return ""
    given, target = others[:, is_there], values[is_there]
    summaries = {
        "sums of the others": np.nansum(given, axis=0),
        "means of the others": np.nanmean(given, axis=0),
        "counts of the others": (~np.isnan(given)).sum(axis=0).astype(float),
        "medians of the others": np.nanmedian(given, axis=0),
        "largest of the others": np.nanmax(given, axis=0),
        "smallest of the others": np.nanmin(given, axis=0),
    }
    return next((says for says, found in summaries.items() if np.abs(found - target).max() <= rounded), "")
