"""From a table of any kind to the values of its columns: texts, parts of texts, flags, numbers, dates or years.

First tables and columns become polars frames and series; then each function reads one column in one way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.vectors import vectors_of
from palate.data.native import distinct_names, opened
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

IN_BRACKETS = r"""'[^']*'|"[^"]*"|[^,\[\]'"\s][^,\[\]]*"""  # one value in a text like "['Action', 'Comedy']"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NO_NUMBER = r"(?i)^(na|n/a|nan|null|none|unknown|\?|-|\\n)$"  # texts that mean a missing number
DATES = ("%d-%b-%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f")
YEAR = 365.25 * 86400e6  # in microseconds
YEAR_IN_TITLE = (
    r"(?s)^.*\(((?:1[5-9]|20|21)[0-9]{2})(?:[-\x{2013}][^()]*)?\)"  # "Alien (1979)", "Dallas (1978-1991) (TV)"
)


# ---- tables


def frame_of(table: Any) -> pl.DataFrame:
    """A frame of any kind, or a mapping of columns, as a polars frame."""
    import polars as pl

    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, Mapping):
        return _of_columns([series_of(str(name), values) for name, values in table.items()])
    frame = opened(table)
    if frame is None:
        raise DataError(f"cannot take features from this {type(table).__name__}: give a frame or a mapping.")
    names = distinct_names(frame.names)
    return _of_columns([series_of(name, frame.frame[:, at]) for at, name in enumerate(names)])


def _of_columns(columns: list[pl.Series]) -> pl.DataFrame:
    import polars as pl

    if len({len(column) for column in columns}) > 1:
        raise DataError(f"the columns have different lengths: {', '.join(f'{s.name} {len(s)}' for s in columns)}.")
    return pl.DataFrame(columns)


def series_of(name: str, values: Any) -> pl.Series:
    """A column as a polars series. Mixed types, and types that polars lacks, become text."""
    import narwhals as nw
    import polars as pl

    if isinstance(values, nw.Series):
        is_objects = values.implementation.is_pandas_like() and values.dtype in (nw.Object, nw.String, nw.Unknown)
        if not is_objects:
            return values.to_polars().alias(name)
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O" and values.ndim <= 2:
        return pl.Series(name, in_known_unit(values))
    return _of_objects(name, values)


def in_known_unit(array: NDArray[Any]) -> NDArray[Any]:
    """An array whose datetimes, if it has any, are in a unit that polars knows."""
    if array.dtype.kind != "M" or np.datetime_data(array.dtype)[0] in ("ms", "us", "ns"):
        return array
    return array.astype("datetime64[us]")


def _of_objects(name: str, values: Iterable[Any]) -> pl.Series:
    import polars as pl

    plain = (_plain(value) for value in values)
    cleaned = [None if _is_absent(value) else value for value in plain]
    try:
        return pl.Series(name, cleaned)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return pl.Series(name, [None if value is None else _as_text(value) for value in cleaned], dtype=pl.String)


def _plain(value: Any) -> Any:
    """A value of NumPy as one of Python; NaT as None."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]")
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _as_text(value: Any) -> str:
    """The value as text, with a question mark for each lone surrogate."""
    return str(value).encode("utf-8", "replace").decode()


def _is_absent(value: Any) -> bool:
    """True for NaN and for the missing values of pandas."""
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)


# ---- what is missing


def is_word_for_missing(value: Any) -> bool:
    """True for a blank text, and for a word such as NA, which means a missing value among numbers and dates."""
    return isinstance(value, str) and (not value.strip() or re.match(NO_NUMBER, value.strip()) is not None)


def with_nulls(table: pl.DataFrame | None) -> pl.DataFrame | None:
    """The table with nulls for what is missing: NaN, and words such as NA among texts that are numbers or dates.

    Arrays and vectors become lists. Among other texts such a word stays: NA may be Namibia.
    """
    return table if table is None else table.with_columns(column_with_nulls(column) for column in table)


def check_temporal(column: pl.Series) -> None:
    """Raise DataError for a date beyond the years 1 to 9999 or a span that microseconds cannot hold.

    Types of 64 bits can hold such, but neither Python nor most functions of polars can: these would panic.
    """
    import polars as pl

    if column.dtype not in (pl.Date, pl.Datetime, pl.Duration):
        return
    ticks = PER_DAY[str(getattr(column.dtype, "time_unit", "day"))]
    first, last = FIRST_DAY * ticks, (LAST_DAY + 1) * ticks - 1
    if column.dtype == pl.Duration:
        last = min((2**63 - 1) * ticks // PER_DAY["us"], 2**63 - 1)
        first = -last
    physical = column.to_physical()
    for value in (physical.min(), physical.max()):
        if value is not None and not first <= value <= last:  # type: ignore[operator]
            row = physical.to_list().index(value) + 1
            raise DataError(
                f"column {column.name!r} has a date or time in row {row} that is beyond the years 1 to 9999."
            )


FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # of the years 1 and 9999, counted from 1970
PER_DAY = {"day": 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def column_with_nulls(column: pl.Series) -> pl.Series:
    """One column with nulls for what is missing, as in with_nulls(). Arrays and vectors become lists."""
    import polars as pl

    if column.dtype.is_float():
        return column.fill_nan(None)
    if isinstance(column.dtype, pl.List | pl.Array):
        return vectors_of(column.arr.to_list() if isinstance(column.dtype, pl.Array) else column)
    if column.dtype.is_temporal():
        check_temporal(column)
    if column.dtype != pl.String:
        return column
    texts = column.str.strip_chars()
    known = column.set((texts == "") | texts.str.contains(NO_NUMBER), None)
    if known.null_count() in (column.null_count(), len(column)):
        return column
    present = known.drop_nulls().alias(column.name)
    are_numbers = present.str.strip_chars().str.contains(NUMBER).all()
    return known if are_numbers or dates_of(present).null_count() == 0 else column


# ---- columns


def column_of(table: pl.DataFrame, name: str) -> pl.Series:
    """A column by name. Raise DataError, listing the columns, if it is not there."""
    if name not in table.columns:
        raise DataError(
            f"there is no column {name!r}, of which features were learned. The columns are {table.columns}."
        )
    return table[name]


def place(series: pl.Series, row: int) -> str:
    """Column, row and content, for an error message."""
    return f"column {series.name!r}, row {row} (from 0): {series[int(row)]!r}"


def is_not_text(kind: Any) -> bool:
    """True for types whose values cannot be written as one text each."""
    import polars as pl

    return kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Duration)


def texts_of(series: pl.Series) -> pl.Series:
    """Each value as stripped text, whole numbers without a decimal point; null if empty."""
    import polars as pl

    kind = series.dtype
    if is_not_text(kind):
        raise DataError(f"column {series.name!r} holds {kind}: give one text or number per row.")
    if kind.is_float() or kind.is_decimal():
        numbers = numbers_of(series)
        whole = (numbers == numbers.floor()) & (numbers.abs() < 2**53)
        return numbers.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, numbers.cast(pl.String))
    texts = series.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None)


def parts_of(series: pl.Series, separator: str) -> pl.DataFrame:
    """A frame with (row, label) for each value of each row; the label is null if there is none."""
    import polars as pl

    values = series
    if separator and isinstance(series.dtype, pl.Array):
        values = series.arr.to_list()
    elif separator and not isinstance(series.dtype, pl.List):
        texts = texts_of(series)
        values = texts.str.extract_all(IN_BRACKETS) if separator == "[" else texts.str.split(separator)
    pairs = pl.DataFrame({"row": pl.Series(range(len(values)), dtype=pl.Int64), "label": values})
    if separator:
        pairs = pairs.explode("label")
    labels = texts_of(pairs["label"].alias(series.name))
    if separator == "[":
        labels = texts_of(labels.str.strip_chars("'\""))
    return pairs.with_columns(label=labels)


def flags_of(series: pl.Series) -> NDArray[np.bool_]:
    """True where a column of 0 and 1 has 1. Raise DataError for other values; missing ones count as 0."""
    numbers = numbers_of(series)
    bad = ~((numbers == 0) | (numbers == 1)).fill_null(is_missing(series))
    if bad.any():
        raise DataError(f"{place(series, bad.arg_true()[0])} is neither 0 nor 1: correct it, or make it missing.")
    return (numbers == 1).fill_null(False).to_numpy()


def numbers_of(series: pl.Series) -> pl.Series:
    """The numbers as Float64, null if missing or not a number. Raise DataError for an infinite one."""
    import polars as pl

    kind = series.dtype
    if kind.is_temporal() or is_not_text(kind):
        raise DataError(f"column {series.name!r} holds {kind}, where numbers are expected.")
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        numbers = series.cast(pl.Float64).fill_nan(None)
    else:
        texts = texts_of(series)
        numbers = texts.set(~texts.str.contains(NUMBER), None).cast(pl.Float64)
    infinite = numbers.is_infinite().fill_null(False)
    if infinite.any():
        raise DataError(f"{place(series, infinite.arg_true()[0])} is infinite: correct it, or make it missing.")
    return numbers


def dates_of(series: pl.Series) -> pl.Series:
    """Dates, or texts of dates, as years such as 1995.5, Float64; null if missing or not a date."""
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return 1970 + series.dt.epoch("us") / YEAR
    if series.dtype not in (pl.String, pl.Null):
        raise DataError(f"column {series.name!r} holds {series.dtype}, where dates are expected.")
    texts = texts_of(series).str.replace(r"^(\d{4}-\d\d-\d\d)T", "${1} ").str.replace(r"(Z|\+00:?00)$", "")
    read = [texts.str.strptime(pl.Datetime("us"), form, strict=False) for form in DATES]
    return 1970 + pl.select(pl.coalesce(*read)).to_series().dt.epoch("us") / YEAR


def years_in_titles_of(series: pl.Series) -> pl.Series:
    """The last year in brackets in each title, Float64; null if there is none."""
    import polars as pl

    return texts_of(series).str.extract(YEAR_IN_TITLE, 1).cast(pl.Float64)


def is_missing(series: pl.Series) -> pl.Series:
    """True where there is no value, or only a word for a missing one."""
    import polars as pl

    if series.dtype.is_float():
        return series.is_null() | series.is_nan().fill_null(False)
    if series.dtype != pl.String and not isinstance(series.dtype, pl.Categorical | pl.Enum):
        return series.is_null()
    texts = texts_of(series)
    return texts.is_null() | texts.str.contains(NO_NUMBER).fill_null(True)
