"""The values of one column, of whatever type: as texts, as parts of texts, as flags, numbers, dates or years."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

IN_BRACKETS = r"""'[^']*'|"[^"]*"|[^,\[\]'"\s][^,\[\]]*"""  # the values in texts like "['Action', 'Comedy']"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NO_NUMBER = r"(?i)^(na|n/a|nan|null|none|unknown|\?|-|\\n)$"  # missing, where an amount should stand
DATES = ("%d-%b-%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f")
YEAR = 365.25 * 86400e6  # in microseconds
YEAR_IN_TITLE = (
    r"(?s)^.*\(((?:1[5-9]|20|21)[0-9]{2})(?:[-\x{2013}][^()]*)?\)"  # "Alien (1979)", "Dallas (1978-1991) (TV)"
)


def column_of(table: pl.DataFrame, name: str) -> pl.Series:
    """A column by name; DataError that lists the columns there are."""
    if name not in table.columns:
        raise DataError(
            f"there is no column {name!r}, of which features were learned; the columns are {table.columns}."
        )
    return table[name]


def place(series: pl.Series, row: int) -> str:
    """Column, row and content, for an error."""
    return f"column {series.name!r}, row {row} (from 0): {series[int(row)]!r}"


def is_no_text(kind: Any) -> bool:
    """Whether values of this type cannot be told as one text each."""
    import polars as pl

    return kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Duration)


def texts_of(series: pl.Series) -> pl.Series:
    """Each value as text without blanks around it, whole numbers without a point; null where there is nothing."""
    import polars as pl

    kind = series.dtype
    if is_no_text(kind):
        raise DataError(f"column {series.name!r} holds {kind}: not one text or number a row.")
    if kind.is_float() or kind.is_decimal():
        numbers = numbers_of(series)
        whole = (numbers == numbers.floor()) & (numbers.abs() < 2**53)
        return numbers.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, numbers.cast(pl.String))
    texts = series.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None)


def parts_of(series: pl.Series, separator: str) -> pl.DataFrame:
    """(row, label) of each value of each row; label null where there is none."""
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
    """Where a column of 0 and 1 has 1; DataError for anything else but missing values."""
    numbers = numbers_of(series)
    bad = ~((numbers == 0) | (numbers == 1)).fill_null(is_missing(series))
    if bad.any():
        raise DataError(f"{place(series, bad.arg_true()[0])} is neither 0 nor 1.")
    return (numbers == 1).fill_null(False).to_numpy()


def numbers_of(series: pl.Series) -> pl.Series:
    """Float64, null where missing or no number; DataError for an infinite one."""
    import polars as pl

    kind = series.dtype
    if kind.is_temporal() or is_no_text(kind):
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
    """Years, such as 1995.5, of dates and of their texts, Float64, null where missing or no date."""
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return 1970 + series.dt.epoch("us") / YEAR
    if series.dtype not in (pl.String, pl.Null):
        raise DataError(f"column {series.name!r} holds {series.dtype}, where dates are expected.")
    texts = texts_of(series).str.replace(r"^(\d{4}-\d\d-\d\d)T", "${1} ").str.replace(r"(Z|\+00:?00)$", "")
    read = [texts.str.strptime(pl.Datetime("us"), form, strict=False) for form in DATES]
    return 1970 + pl.select(pl.coalesce(*read)).to_series().dt.epoch("us") / YEAR


def years_in_titles_of(series: pl.Series) -> pl.Series:
    """The last year in brackets in each title, Float64, null where there is none."""
    import polars as pl

    return texts_of(series).str.extract(YEAR_IN_TITLE, 1).cast(pl.Float64)


def is_missing(series: pl.Series) -> pl.Series:
    """Whether there is no value, or a word for none where an amount should stand."""
    import polars as pl

    if series.dtype.is_float():
        return series.is_null() | series.is_nan().fill_null(False)
    if series.dtype != pl.String and not isinstance(series.dtype, pl.Categorical | pl.Enum):
        return series.is_null()
    texts = texts_of(series)
    return texts.is_null() | texts.str.contains(NO_NUMBER).fill_null(True)
