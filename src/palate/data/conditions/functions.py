"""The functions that a condition may call. None makes a text longer or reads anything but its arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from palate.data.conditions.values import WORDS, alike, calculated, compared, constant, kind_of, mapped, without_nan
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Function = Callable[..., "pl.Series"]


def _lower(text: pl.Series) -> pl.Series:
    return _checked_text(text, "LOWER").str.to_lowercase()


def _upper(text: pl.Series) -> pl.Series:
    return _checked_text(text, "UPPER").str.to_uppercase()


def _length(text: pl.Series) -> pl.Series:
    import polars as pl

    return _checked_text(text, "LENGTH").str.len_chars().cast(pl.Int64)


def _left(text: pl.Series, count: pl.Series) -> pl.Series:
    n = _whole(count, "LEFT")
    return _of_texts(text, lambda one: one[:n], "LEFT")


def _right(text: pl.Series, count: pl.Series) -> pl.Series:
    n = _whole(count, "RIGHT")
    return _of_texts(text, lambda one: one[-n:] if n else "", "RIGHT")


def _substring(text: pl.Series, start: pl.Series, length: pl.Series | None = None) -> pl.Series:
    """The characters from a place on, counted from 1, as many as given."""
    first = _whole(start, "SUBSTR") - 1
    stop = None if length is None else max(first + _whole(length, "SUBSTR"), 0)
    return _of_texts(text, lambda one: one[max(first, 0) : stop], "SUBSTR")


def _position(text: pl.Series, part: pl.Series) -> pl.Series:
    import polars as pl

    wanted = _text(part, "STRPOS")
    return _of_texts(text, lambda one: one.find(wanted) + 1, "STRPOS", pl.Int64)


def _starts_with(text: pl.Series, part: pl.Series) -> pl.Series:
    import polars as pl

    wanted = _text(part, "STARTS_WITH")
    return _of_texts(text, lambda one: one.startswith(wanted), "STARTS_WITH", pl.Boolean)


def _ends_with(text: pl.Series, part: pl.Series) -> pl.Series:
    import polars as pl

    wanted = _text(part, "ENDS_WITH")
    return _of_texts(text, lambda one: one.endswith(wanted), "ENDS_WITH", pl.Boolean)


def trimmed(text: pl.Series, characters: pl.Series | None, position: str) -> pl.Series:
    """A text without some characters (None: white space) at both ends, or LEADING or TRAILING ones only."""
    cut = {"LEADING": str.lstrip, "TRAILING": str.rstrip}.get(position, str.strip)
    unwanted = None if characters is None else _text(characters, "TRIM")
    return _of_texts(text, lambda one: cut(one, unwanted), "TRIM")


def _abs(number: pl.Series) -> pl.Series:
    negative = compared(number, constant(0), operator.lt)
    return number.zip_with(~negative, calculated(constant(0), number, "-"))


def _floor(number: pl.Series) -> pl.Series:
    return number if number.dtype.is_integer() else _number(number, "FLOOR").floor()


def _ceil(number: pl.Series) -> pl.Series:
    return number if number.dtype.is_integer() else _number(number, "CEIL").ceil()


def _round(number: pl.Series, decimals: pl.Series | None = None) -> pl.Series:
    n = 0 if decimals is None else _whole(decimals, "ROUND")
    if not 0 <= n <= 15:
        raise DataError(f"ROUND to {n} decimals: give 0 to 15")
    return number if number.dtype.is_integer() else _number(number, "ROUND").round(n)


def _coalesce(*values: pl.Series) -> pl.Series:
    """The first of some values that is not missing."""
    found = values[0]
    for value in values[1:]:
        found, value = alike(found, value)
        found = found.zip_with(found.is_not_null(), value)
    return found


def _nullif(value: pl.Series, unwanted: pl.Series) -> pl.Series:
    import polars as pl

    is_wanted = ~_filled(compared(value, unwanted, operator.eq))
    return value.zip_with(is_wanted, pl.Series("", [None], dtype=value.dtype))


def _least(*values: pl.Series) -> pl.Series:
    return _extreme(values, operator.le)


def _greatest(*values: pl.Series) -> pl.Series:
    return _extreme(values, operator.ge)


def _extreme(values: tuple[pl.Series, ...], wins: Callable[[Any, Any], Any]) -> pl.Series:
    """The smallest or largest of some values; missing ones do not count."""
    found = values[0]
    for value in values[1:]:
        found, value = alike(found, value)
        stays = _filled(wins(found, value)) | value.is_null()
        found = found.zip_with(stays, value)
    return found


def _contains(lists: pl.Series, value: pl.Series) -> pl.Series:
    import polars as pl

    if kind_of(lists) != "list":
        raise DataError(
            f"ARRAY_CONTAINS of {WORDS[kind_of(lists)]}: it looks into lists; LIKE '%...%' looks into texts"
        )
    wanted = _one(value, "ARRAY_CONTAINS")
    return pl.Series("", [None if one is None else wanted in one for one in lists.to_list()], dtype=pl.Boolean)


def part_of_date(moment: pl.Series, part: str) -> pl.Series:
    """A part of a date, such as its year."""
    if kind_of(moment) != "moment":
        raise DataError(f"{part.upper()} of {WORDS[kind_of(moment)]}: it takes a date, such as CAST(released AS DATE)")
    found: pl.Series = getattr(moment.dt, PARTS_OF_DATES[part.upper()])()
    return found


PARTS_OF_DATES = {
    "YEAR": "year",
    "QUARTER": "quarter",
    "MONTH": "month",
    "DAY": "day",
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
}

# The class of sqlglot's tree -> what it calls, in which order its arguments come, and how it is written.
FUNCTIONS: dict[str, tuple[Function, tuple[str, ...], str]] = {
    "Lower": (_lower, ("this",), "LOWER"),
    "Upper": (_upper, ("this",), "UPPER"),
    "Length": (_length, ("this",), "LENGTH"),
    "Left": (_left, ("this", "expression"), "LEFT"),
    "Right": (_right, ("this", "expression"), "RIGHT"),
    "Substring": (_substring, ("this", "start", "length"), "SUBSTR"),
    "StrPosition": (_position, ("this", "substr"), "STRPOS"),
    "StartsWith": (_starts_with, ("this", "expression"), "STARTS_WITH"),
    "EndsWith": (_ends_with, ("this", "expression"), "ENDS_WITH"),
    "Abs": (_abs, ("this",), "ABS"),
    "Floor": (_floor, ("this",), "FLOOR"),
    "Ceil": (_ceil, ("this",), "CEIL"),
    "Round": (_round, ("this", "decimals"), "ROUND"),
    "Coalesce": (_coalesce, ("this", "expressions"), "COALESCE"),
    "Nullif": (_nullif, ("this", "expression"), "NULLIF"),
    "Least": (_least, ("this", "expressions"), "LEAST"),
    "Greatest": (_greatest, ("this", "expressions"), "GREATEST"),
    "ArrayContains": (_contains, ("this", "expression"), "ARRAY_CONTAINS"),
}
NAMES = sorted([*(name for *_, name in FUNCTIONS.values()), "TRIM", "CAST", "IF", "REGEXP_LIKE", *PARTS_OF_DATES])


# ---- arguments -------------------------------------------------------------------------------------------------------


def _of_texts(series: pl.Series, function: Callable[[str], Any], name: str, dtype: Any = None) -> pl.Series:
    import polars as pl

    return mapped(_checked_text(series, name), function, dtype or pl.String)


def _checked_text(series: pl.Series, name: str) -> pl.Series:
    import polars as pl

    if kind_of(series) not in ("text", "nothing"):
        raise DataError(f"{name} of {WORDS[kind_of(series)]}: it takes a text")
    return series.cast(pl.String)


def _number(series: pl.Series, name: str) -> pl.Series:
    import polars as pl

    if kind_of(series) not in ("number", "nothing"):
        raise DataError(f"{name} of {WORDS[kind_of(series)]}: it takes a number")
    return without_nan(series.cast(pl.Float64))


def _one(series: pl.Series, name: str) -> Any:
    if len(series) != 1:
        raise DataError(f"{name}: its last argument is one value, not a column")
    return series.item()


def _text(series: pl.Series, name: str) -> str:
    value = _one(series, name)
    if not isinstance(value, str):
        raise DataError(f"{name}: its last argument is a text in single quotes")
    return value


def _whole(series: pl.Series, name: str) -> int:
    value = _one(series, name)
    if not isinstance(value, int):
        raise DataError(f"{name}: it takes a whole number")
    return value


def _filled(holds: pl.Series) -> pl.Series:
    """False where it is missing whether something holds."""
    return holds.zip_with(holds.is_not_null(), constant(False))
