"""Values of a condition: polars series with a row for each row of the frame, or with one row for a constant.

Series are worked on one at a time and without the threads of polars, so that a forked process can do it too.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from palate.data.conditions.parsing import shown
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "text", "boolean", "moment", "span", "list", "nothing", "other"]

INT64 = range(-(2**63), 2**63)
SLICE = 1_000_000  # rows that become Python objects at once
WORDS: dict[Kind, str] = {
    "number": "a number",
    "text": "a text",
    "boolean": "true or false",
    "moment": "a date",
    "span": "a time span",
    "list": "a list",
    "nothing": "NULL",
    "other": "a value of a type without conditions",
}


def kind_of(series: pl.Series) -> Kind:
    """What the values of a series are."""
    import polars as pl

    dtype = series.dtype
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.Date, pl.Datetime):
        return "moment"
    if dtype in (pl.Time, pl.Duration):
        return "span"
    if isinstance(dtype, pl.List):
        return "list"
    return {pl.String: "text", pl.Boolean: "boolean", pl.Null: "nothing"}.get(dtype.base_type(), "other")  # type: ignore[return-value]


def plain(series: pl.Series) -> pl.Series:
    """A column as conditions see it: categories are texts, decimals are floats, NaN is missing, times have no zone."""
    import polars as pl

    if series.dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if series.dtype == pl.Decimal:
        return series.cast(pl.Float64)
    if series.dtype.is_float():
        return without_nan(series.cast(pl.Float64))
    return series.cast(pl.Datetime("us")) if kind_of(series) == "moment" else series


def without_nan(series: pl.Series) -> pl.Series:
    """A series of floats with NaN and infinities from a division by 0 missing."""
    import polars as pl

    return pl.Series(series.name, np.array(series.to_numpy(), np.float64), nan_to_null=True)


def constant(value: Any) -> pl.Series:
    """One value as a series."""
    import polars as pl

    return pl.Series("", [value])


def mapped(series: pl.Series, function: Callable[[Any], Any], dtype: Any) -> pl.Series:
    """A function of each value; it is called once for each different value, and a missing one stays missing."""
    import polars as pl

    known = cache(function)
    return pl.Series("", [None if value is None else known(value) for value in _values(series)], dtype=dtype)


def _values(series: pl.Series) -> Iterator[Any]:
    for start in range(0, len(series), SLICE):
        yield from series.slice(start, SLICE).to_list()


# ---- comparing and calculating ---------------------------------------------------------------------------------------


def alike(left: pl.Series, right: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Two series made comparable: a constant text beside dates is read as a date, true and false are 1 and 0.

    Raises DataError where the values cannot be compared.
    """
    import polars as pl

    kinds = kind_of(left), kind_of(right)
    if "nothing" in kinds:
        known = right if kinds[0] == "nothing" else left
        return left.cast(known.dtype), right.cast(known.dtype)
    if set(kinds) == {"number", "boolean"}:
        return _as_number(left), _as_number(right)
    if kinds == ("moment", "text"):
        return left, moments(right)
    if kinds == ("text", "moment"):
        return moments(left), right
    if kinds[0] == kinds[1] == "number" and left.dtype != right.dtype:
        common = (
            (pl.Int128 if {pl.UInt64, pl.Int128} & {left.dtype, right.dtype} else pl.Int64)
            if _are_whole(left, right)
            else pl.Float64
        )
        return left.cast(common), right.cast(common)
    if kinds[0] != kinds[1] or kinds[0] in ("list", "other") or (kinds[0] == "span" and left.dtype != right.dtype):
        raise DataError(
            f"{WORDS[kinds[0]]} cannot be compared with {WORDS[kinds[1]]}. Numbers stand without quotes, texts and "
            "dates in single quotes; ARRAY_CONTAINS(column, 'value') looks into lists"
        )
    return left, right


def compared(left: pl.Series, right: pl.Series, compare: Callable[[Any, Any], Any]) -> pl.Series:
    """Whether a comparison holds, row by row; missing where one side is."""
    result: pl.Series = compare(*alike(left, right))
    return result


def _as_number(series: pl.Series) -> pl.Series:
    import polars as pl

    return series.cast(pl.Int64) if kind_of(series) == "boolean" else series


def calculated(left: pl.Series, right: pl.Series, symbol: str) -> pl.Series:
    """A sum, difference, product, quotient or remainder of numbers. What has no value, such as x / 0, is missing.

    Integers stay integers where none of the results is beyond 64 bits; otherwise all become floats.
    """
    import polars as pl

    for side in (left, right):
        if kind_of(side) not in ("number", "nothing"):
            raise DataError(f"{WORDS[kind_of(side)]} stands beside {symbol}, where a number is expected")
    if "nothing" in (kind_of(left), kind_of(right)):
        return pl.Series("", [None] * max(len(left), len(right)), dtype=pl.Float64)
    if symbol == "/" or not (_are_whole(left, right) and _stay_whole(left, right, symbol)):
        left, right = left.cast(pl.Float64), right.cast(pl.Float64)
    else:
        left, right = left.cast(pl.Int64), right.cast(pl.Int64)
    if symbol in ("/", "//", "%"):
        right = right.zip_with(right != 0, pl.Series("", [None], dtype=right.dtype))
    result: pl.Series = SYMBOLS[symbol](left, right)
    return without_nan(result) if result.dtype.is_float() else result


SYMBOLS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def _are_whole(left: pl.Series, right: pl.Series) -> bool:
    return left.dtype.is_integer() and right.dtype.is_integer()


def _stay_whole(left: pl.Series, right: pl.Series, symbol: str) -> bool:
    """Whether all results lie within 64 bits, by the smallest and largest values."""
    ends = [(series.min(), series.max()) for series in (left, right)]
    if any(end is None or end not in INT64 for pair in ends for end in pair):
        return False
    if symbol in ("//", "%"):
        return ends[0][0] != INT64[0]
    return all(SYMBOLS[symbol](a, b) in INT64 for a in ends[0] for b in ends[1])


# ---- changing kinds --------------------------------------------------------------------------------------------------


def moments(series: pl.Series) -> pl.Series:
    """Texts such as '1990-05-31' or '1990-05-31 12:00' as moments. Raises DataError for a constant that is none."""
    import polars as pl

    if kind_of(series) != "text":
        raise DataError(f"{WORDS[kind_of(series)]} is no date: write one as '1990-05-31'")
    result = mapped(series, _moment, pl.Datetime("us"))
    if len(series) == 1 and result.null_count() > series.null_count():
        raise DataError(f"{shown(series.item())} is no date: write it as '1990-05-31'")
    return result


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def whole(value: Any) -> int | None:
    """A text or number as an integer of 64 bits, cut towards 0; None where it is none."""
    try:
        number = int(value) if isinstance(value, int) else int(float(value)) if _is_float(value) else int(value)
    except (ValueError, OverflowError):
        return None
    return number if number in INT64 else None


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or not value.strip().lstrip("+-").isdigit()


def decimal(text: str) -> float | None:
    """A text as a float; None where it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
