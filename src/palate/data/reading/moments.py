"""Moments: how a column writes its times. Seconds to days since 1970, days of a spreadsheet, dates in any usual order.

It is decided once for a column, on its first values. A later value that is written in another way cannot be read, and
never becomes another time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from palate.data.features.values import NO_NUMBER
from palate.data.reading.dates import (
    DAY,
    IN_ORDER,
    UNMISTAKABLE,
    Doubles,
    days_in,
    in_lower_case,
    likely_first,
    parsed,
    seconds_of_clock,
    seconds_of_day,
    seconds_of_days,
)
from palate.data.reading.numbers import tidy
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

SECONDS_OF_1973, SECONDS_OF_2100 = 1e8, 4.2e9
SECONDS_OF_1000 = -30610224000
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # how many are a second
UNIT_NAMES = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
DAYS_OF_1990, DAYS_OF_2040 = 7305, 25567  # since 1970
YEARS = 1970, 2100  # numbers that are years in a column called a time
SPREADSHEET = 25569  # the number of 1970-01-01 in a spreadsheet
DATE_PARTS = re.compile(
    r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}([ T,].*)?|\d{1,2}:\d{2}(:\d{2})?.*"
    r"|.*\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.*\d.*",
    re.IGNORECASE,
)
N_TRIED = 100  # values that say which form is tried first


@dataclass(frozen=True)
class TimeForm:
    """How a column writes its times.

    Attributes:
        read (function): A column -> int64 seconds since 1970, null where a value is not written in this way.
        says (str, default ""): What to tell in the report.
        problem (str, default ""): Why the column cannot be read as a whole; "" if it can.
    """

    read: Callable[[pl.Series], pl.Series]
    says: str = ""
    problem: str = ""


def time_form_of(series: pl.Series, *, time_format: str | None = None, is_named: bool = True) -> TimeForm:
    """How a column of numbers, dates or texts writes its times; is_named: it is called a time, or said to be one.

    Raises OptionError for a time_format that is none.
    """
    import polars as pl

    if time_format is not None:
        return _given_form(time_format)
    if series.dtype in (pl.Date, pl.Datetime):
        return TimeForm(_of_dates)
    if not (series.dtype.is_numeric() or series.dtype in (pl.String, pl.Null)):
        return TimeForm(_of_none, problem=f"the column holds {series.dtype}, which is no time")
    numbers = _numbers(series)
    if numbers is not None:
        return _form_of_numbers(numbers.drop_nulls().cast(pl.Float64).to_numpy(), is_named=is_named)
    return _form_of_texts(series)


def looks_like_date(text: str) -> bool:
    """True for a text with the parts of a date or a clock, whether or not there is such a day."""
    return DATE_PARTS.fullmatch(text) is not None


def are_moments(texts: list[str]) -> bool:
    """True if all texts are dates, be it with the day or the month first."""
    import polars as pl

    if not texts or not all(any(character.isdigit() for character in text) for text in texts):
        return False
    series = pl.Series(texts)
    return _form_of_texts(series).read(series).null_count() == 0


def seconds(series: pl.Series) -> pl.Series:
    """Seconds since 1970, int64: numbers as they are, dates, and texts that can be read in one way; null for others."""
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return _of_dates(series)
    if series.dtype.is_nested():
        return pl.Series(series.name, [None] * len(series), dtype=pl.Int64)
    if series.dtype != pl.String:
        return _of_numbers(series, _same)
    return pl.select(pl.coalesce(_of_numbers(series, _same), parsed(series, UNMISTAKABLE))).to_series()


def seconds_of_column(series: pl.Series) -> pl.Series:
    """Seconds since 1970 of a column in the form that its values show, as in ratings; null where it is not read.

    Numbers that no unit is seen of stay as they are. Raises DataError if day and month cannot be told apart.
    """
    import polars as pl

    form = time_form_of(series, is_named=False)
    if form.problem:
        raise DataError(f"column {series.name!r} holds no times: {form.problem}.")
    return pl.select(pl.coalesce(form.read(series), seconds(series))).to_series()


def _numbers(series: pl.Series) -> pl.Series | None:
    """The column as numbers if it is one of them, or of texts of them (and of words for missing ones)."""
    import polars as pl

    if series.dtype != pl.String:
        return series.fill_nan(None) if series.dtype.is_float() else series
    numbers = series.cast(pl.Float64, strict=False)
    if numbers.null_count() > series.null_count():
        texts = tidy(series)
        numbers = texts.cast(pl.Float64, strict=False)
        is_other = numbers.is_null() & (texts != "") & ~texts.str.contains(NO_NUMBER)
        if is_other.any() and 2 * is_other.sum() > len(series) - series.null_count():
            return None
        if is_other.any() and parsed(texts.filter(is_other), UNMISTAKABLE).null_count() == 0:
            return None
    return numbers.fill_nan(None)


# ---- numbers


def _form_of_numbers(numbers: Doubles, *, is_named: bool) -> TimeForm:
    """Told by size: that of the middle value, for units; that of all values, for dates as numbers and for days."""
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        return TimeForm(partial(_of_numbers, convert=_same))
    low, high = numbers.min(), numbers.max()
    if is_named and low >= YEARS[0] and high <= YEARS[1] and bool((numbers == np.floor(numbers)).all()):
        return TimeForm(partial(_of_numbers, convert=_years), "years, made seconds")
    for digits in (8, 12, 14):
        if low >= 19 * 10.0 ** (digits - 2) and high < 10.0**digits and not np.isnan(_compact(numbers, digits)).any():
            return TimeForm(partial(_of_numbers, convert=partial(_compact, digits=digits)), "dates such as 20260131")
    middle = float(np.median(numbers))
    for unit, name in UNIT_NAMES.items():
        size = UNITS[unit]
        if SECONDS_OF_1973 * size <= middle <= SECONDS_OF_2100 * size:
            says = f"{name} since 1970, made seconds"
            return TimeForm(partial(_of_numbers, convert=partial(_in_unit, size=size)), says)
    is_whole = bool((numbers == np.floor(numbers)).all())
    if is_named and is_whole and low >= DAYS_OF_1990 and high <= DAYS_OF_2040:
        return TimeForm(partial(_of_numbers, convert=_days), "days since 1970, made seconds")
    if is_named and low >= DAYS_OF_1990 + SPREADSHEET and high <= DAYS_OF_2040 + SPREADSHEET:
        return TimeForm(partial(_of_numbers, convert=_spreadsheet_days), "days of a spreadsheet, made seconds")
    if SECONDS_OF_1973 <= middle <= SECONDS_OF_2100:
        return TimeForm(partial(_of_numbers, convert=_seconds))
    return TimeForm(partial(_of_numbers, convert=_same))


def _of_numbers(series: pl.Series, convert: Callable[[Doubles], Doubles]) -> pl.Series:
    """Seconds of numbers or texts of them; convert takes floats and returns seconds, nan where a number is no time."""
    import polars as pl

    if series.dtype == pl.String:
        series = _whole_or_float(series)
    if convert is _same:
        floored = series.floor() if series.dtype.is_float() else series
        return floored.cast(pl.Int64, strict=False)
    numbers = series.cast(pl.Int64 if series.dtype.is_integer() else pl.Float64, strict=False)  # integers stay exact
    if convert is _seconds and numbers.dtype == pl.Int64 and numbers.is_between(0, int(SECONDS_OF_2100)).all():
        return numbers
    with np.errstate(invalid="ignore"):
        seconds = np.floor(convert(numbers.fill_null(0).to_numpy()))
    read = pl.Series(series.name, seconds, nan_to_null=True).cast(pl.Int64, strict=False)
    return read.set(numbers.is_null(), None)


def _whole_or_float(texts: pl.Series) -> pl.Series:
    """Texts as int64 if all are whole, since a float cannot hold all of them; else as floats."""
    import polars as pl

    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == texts.null_count():
        return whole
    return tidy(texts).cast(pl.Float64, strict=False)


def _same(numbers: Doubles) -> Doubles:
    return numbers


def _seconds(numbers: Doubles) -> Doubles:
    """Seconds as they are; milliseconds among them are none."""
    return np.where(numbers > SECONDS_OF_2100, np.nan, numbers)


def _in_unit(numbers: Doubles, size: float) -> Doubles:
    """Seconds of milliseconds or smaller units; a number that would fit another unit is none of this one."""
    is_other = (numbers > 0) & (numbers <= SECONDS_OF_2100 * size / 1e3) | (numbers > SECONDS_OF_2100 * size)
    return np.where(is_other, np.nan, numbers // int(size))


def _days(numbers: Doubles) -> Doubles:
    return numbers * DAY


def _years(numbers: Doubles) -> Doubles:
    """Seconds of 1 January."""
    ones = np.ones(len(numbers))
    return seconds_of_day(np.where(numbers == np.floor(numbers), numbers, np.nan), ones, ones)


def _spreadsheet_days(numbers: Doubles) -> Doubles:
    return np.round((numbers - SPREADSHEET) * DAY)


def _compact(numbers: Doubles, digits: int) -> Doubles:
    """Seconds of dates such as 20260131, 202601311530 and 20260131153000."""
    is_whole = (numbers == np.floor(numbers)) & (numbers >= 19 * 10.0 ** (digits - 2)) & (numbers < 10.0**digits)
    whole = np.where(is_whole, numbers, 0).astype(np.int64) * 10 ** (14 - digits)
    parts = {}
    for part, size in (("second", 100), ("minute", 100), ("hour", 100), ("day", 100), ("month", 100), ("year", 10000)):
        whole, parts[part] = np.divmod(whole, size)
    days = seconds_of_day(*(parts[name].astype(np.float64) for name in ("year", "month", "day")))
    clocks = seconds_of_clock(*(parts[name].astype(np.float64) for name in ("hour", "minute", "second")))
    return np.where(is_whole & (parts["year"] < 2200), days + clocks, np.nan)


# ---- dates


def _of_dates(series: pl.Series) -> pl.Series:
    import polars as pl

    return series.cast(pl.Datetime("us")).dt.epoch("s")


def _of_none(series: pl.Series) -> pl.Series:
    import polars as pl

    return pl.Series(series.name, [None] * len(series), dtype=pl.Int64)


def _form_of_texts(series: pl.Series) -> TimeForm:
    """Forms that can be read in one way, and the one order of day, month and year that reads the most others."""
    import polars as pl

    days = days_in(in_lower_case(tidy(series.drop_nulls()))).unique(maintain_order=True)
    days = days.filter((days != "") & ~days.str.contains(NO_NUMBER))
    forms = likely_first(days.head(N_TRIED))
    rest = days.filter(pl.Series(np.isnan(seconds_of_days(days, forms))))
    read = partial(parsed, forms=forms)
    if len(rest) == 0:
        return TimeForm(read, "dates" if len(days) else "")
    n_read = {order: int(np.isfinite(seconds_of_days(rest, (form,))).sum()) for order, form in IN_ORDER.items()}
    most = max(n_read.values())
    best = [order for order, n in n_read.items() if n == most]
    if most == 0:  # none can be read
        return TimeForm(read, "dates")
    if len(best) > 1 and best[0] == "day/month/year" and rest.str.contains(r"^[0-9]+\.").all():
        best = best[:1]  # points are written where the day comes first
    best = best[:-1] if best[-1] == "year/month/day" and len(best) > 1 else best
    read = partial(parsed, forms=(IN_ORDER[best[0]], *forms))
    return TimeForm(read, best[0]) if len(best) == 1 else TimeForm(read, problem=_two_orders(rest[0]))


def _two_orders(day: str) -> str:
    """What to say of a day such as 1/2/2026, and what to type."""
    mark = next((character for character in day if not character.isdigit()), "")
    short = "%y" if re.match(r"\d+\D\d+\D\d\d(\D|$)", day) else "%Y"
    formats = " or ".join(f'time_format="{mark.join((*order, short))}"' for order in (("%d", "%m"), ("%m", "%d")))
    return f"{day!r} may have the day or the month first, and the values do not tell: pass {formats}"


# ---- as the caller says


def _given_form(time_format: str) -> TimeForm:
    """The form that time_format names. Raises OptionError if it is no unit and no strptime format."""
    import polars as pl

    if time_format in UNITS:
        return TimeForm(partial(_of_numbers, convert=partial(_divided, size=UNITS[time_format])), time_format)
    if time_format == "days":
        return TimeForm(partial(_of_numbers, convert=_days), time_format)
    read = partial(_by_format, form=time_format)
    try:
        if "%" not in time_format:
            raise ValueError(time_format)
        pl.Series([datetime(2000, 1, 31)]).dt.replace_time_zone("UTC").dt.to_string(time_format)  # raises if it is none
    except (ValueError, pl.exceptions.PolarsError):
        raise OptionError(
            f'time_format={time_format!r} is no format: give one such as "%d.%m.%Y" or "%Y-%m-%d %H:%M:%S", or a unit: '
            f"{', '.join(UNITS)} or days since 1970."
        ) from None
    return TimeForm(read, time_format)


def _divided(numbers: Doubles, size: float) -> Doubles:
    return numbers // int(size)


def _by_format(series: pl.Series, form: str) -> pl.Series:
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return _of_dates(series)
    if series.dtype.is_float():
        series = series.cast(pl.Int64, strict=False)
    texts = tidy(series.cast(pl.String))
    kind = pl.Datetime("us", "UTC") if re.search(r"%[:#]*z|%Z", form) else pl.Datetime("us")
    seconds = texts.str.strptime(kind, form.replace(".%f", "%.f"), strict=False).dt.epoch("s")
    return seconds.set((seconds < SECONDS_OF_1000).fill_null(False), None)  # %Y takes 26 for the year 26
