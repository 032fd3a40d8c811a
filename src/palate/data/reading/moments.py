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
from numpy.typing import NDArray

from palate.data.features.values import NO_NUMBER
from palate.data.reading.numbers import tidy
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

Doubles = NDArray[np.float64]

DAY = 86400
SECONDS_OF_1973, SECONDS_OF_2100 = 1e8, 4.2e9
SECONDS_OF_1000 = -30610224000
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # how many are a second
UNIT_NAMES = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
DAYS_OF_1990, DAYS_OF_2040 = 7305, 25567  # since 1970
SPREADSHEET = 25569  # the number of 1970-01-01 in a spreadsheet
N_TRIED = 100  # values that say which form is tried first
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}  # of RFC 2822

CLOCK = r"(?P<hour>[0-9]{1,2})(?::?(?P<minute>[0-9]{2}))?(?::?(?P<second>[0-9]{2})(?:[.,][0-9]+)?)? ?(?P<half>[ap]m)?"
ZONE = r" ?(?:utc|gmt|ut|z)?(?P<zone>[+-][0-9]{2}(?::?[0-9]{2})?)?"
OF_A_CLOCK = (  # where the clock and the zone are in a text; the date is what is left
    r"(?:^|[ ,t]+)(?:at )?((?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)? ?(?:[ap]\.?m\.?)?"
    r"|[0-9]{1,2} ?[ap]\.?m\.?)"
    r"(?: ?(?:utc|gmt|ut|z|[ecmp][sd]t))?(?: ?[+-][0-9]{2}(?::?[0-9]{2})?)?)(?: utc)?(?: \(.*\))?(?: |$)"
)
COMPACT = r"^([0-9]{8})[t ]([0-9][0-9])([0-9][0-9])"  # 20261129T053631
MONTH = rf"(?P<name>{'|'.join(MONTHS)})[a-z]*\.?"
SHORT = r"(?P<year>[0-9]{4}|'?[0-9]{2})"
ORDINAL = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
UNMISTAKABLE = (  # forms of a date that can be read in one way only
    r"(?P<year>[0-9]{4})[-/. ](?P<month>[0-9]{1,2})[-/. ](?P<day>[0-9]{1,2})",
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
    rf"{ORDINAL}(?: of)?[-/. ]*{MONTH}[-/., ]*{SHORT}",
    rf"{MONTH}[-/. ]*{ORDINAL}[-/., ]+{SHORT}",
    rf"(?P<year>[0-9]{{4}})[-/. ]*{MONTH}[-/. ]*{ORDINAL}",
)
IN_ORDER = {  # forms of which one must be chosen for a column; the last only if no other can be
    "day/month/year": rf"(?P<day>[0-9]{{1,2}})[-/. ](?P<month>[0-9]{{1,2}})[-/., ]+{SHORT}",
    "month/day/year": rf"(?P<month>[0-9]{{1,2}})[-/. ](?P<day>[0-9]{{1,2}})[-/., ]+{SHORT}",
    "year/month/day": r"'?(?P<year>[0-9]{2})[-/. ](?P<month>[0-9]{1,2})[-/. ](?P<day>[0-9]{1,2})",
}
ISO = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")  # read fast
WEEKDAY = r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?[, ]+"


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
    if series.dtype != pl.String:
        return _of_numbers(series, _same)
    return pl.select(pl.coalesce(_of_numbers(series, _same), _parsed(series, UNMISTAKABLE))).to_series()


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
        if is_other.any() and _parsed(texts.filter(is_other), UNMISTAKABLE).null_count() == 0:
            return None
    return numbers.fill_nan(None)


# ---- numbers


def _form_of_numbers(numbers: Doubles, *, is_named: bool) -> TimeForm:
    """Told by size: that of the middle value, for units; that of all values, for dates as numbers and for days."""
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        return TimeForm(partial(_of_numbers, convert=_same))
    low, high = numbers.min(), numbers.max()
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
    return TimeForm(partial(_of_numbers, convert=_same))


def _of_numbers(series: pl.Series, convert: Callable[[Doubles], Doubles]) -> pl.Series:
    """Seconds of numbers or texts of them; convert takes floats and returns seconds, nan where a number is no time."""
    import polars as pl

    if series.dtype == pl.String:
        series = _whole_or_float(series)
    if convert is _same:
        floored = series.floor() if series.dtype.is_float() else series
        return floored.cast(pl.Int64, strict=False)
    with np.errstate(invalid="ignore"):
        seconds = np.floor(convert(series.cast(pl.Float64).to_numpy()))
    return pl.Series(series.name, seconds, nan_to_null=True).cast(pl.Int64, strict=False)


def _whole_or_float(texts: pl.Series) -> pl.Series:
    """Texts as int64 if all are whole, since a float cannot hold all of them; else as floats."""
    import polars as pl

    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == texts.null_count():
        return whole
    return tidy(texts).cast(pl.Float64, strict=False)


def _same(numbers: Doubles) -> Doubles:
    return numbers


def _in_unit(numbers: Doubles, size: float) -> Doubles:
    """Seconds of milliseconds or smaller units; a number that would fit another unit is none of this one."""
    is_other = (numbers > 0) & (numbers <= SECONDS_OF_2100 * size / 1e3) | (numbers > SECONDS_OF_2100 * size)
    return np.where(is_other, np.nan, numbers / size)


def _days(numbers: Doubles) -> Doubles:
    return numbers * DAY


def _spreadsheet_days(numbers: Doubles) -> Doubles:
    return np.round((numbers - SPREADSHEET) * DAY)


def _compact(numbers: Doubles, digits: int) -> Doubles:
    """Seconds of dates such as 20260131, 202601311530 and 20260131153000."""
    is_whole = (numbers == np.floor(numbers)) & (numbers >= 19 * 10.0 ** (digits - 2)) & (numbers < 10.0**digits)
    whole = np.where(is_whole, numbers, 0).astype(np.int64) * 10 ** (14 - digits)
    parts = {}
    for part, size in (("second", 100), ("minute", 100), ("hour", 100), ("day", 100), ("month", 100), ("year", 10000)):
        whole, parts[part] = np.divmod(whole, size)
    days = _seconds_of_day(*(parts[name].astype(np.float64) for name in ("year", "month", "day")))
    clocks = _seconds_of_clock(*(parts[name].astype(np.float64) for name in ("hour", "minute", "second")))
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

    days = _days_in(_in_lower_case(tidy(series.drop_nulls()))).unique(maintain_order=True)
    days = days.filter((days != "") & ~days.str.contains(NO_NUMBER))
    forms = _likely_first(days.head(N_TRIED))
    rest = days.filter(pl.Series(np.isnan(_seconds_of_days(days, forms))))
    read = partial(_parsed, forms=forms)
    if len(rest) == 0:
        return TimeForm(read, "dates" if len(days) else "")
    n_read = {order: int(np.isfinite(_seconds_of_days(rest, (form,))).sum()) for order, form in IN_ORDER.items()}
    most = max(n_read.values())
    best = [order for order, n in n_read.items() if n == most]
    if most == 0:  # none can be read
        return TimeForm(read, "dates")
    if len(best) > 1 and best[0] == "day/month/year" and rest.str.contains(r"^[0-9]+\.").all():
        best = best[:1]  # points are written where the day comes first
    best = best[:-1] if best[-1] == "year/month/day" and len(best) > 1 else best
    read = partial(_parsed, forms=(IN_ORDER[best[0]], *forms))
    return TimeForm(read, best[0]) if len(best) == 1 else TimeForm(read, problem=_two_orders(rest[0]))


def _likely_first(days: pl.Series) -> tuple[str, ...]:
    """The forms that can be read in one way, those first that read the most of a few days."""
    n_read = {}
    for form in UNMISTAKABLE:
        n_read[form] = int(np.isfinite(_seconds_of_days(days, (form,))).sum())
        if n_read[form] == len(days):
            break
    return tuple(sorted(UNMISTAKABLE, key=lambda form: -n_read.get(form, 0)))


def _two_orders(day: str) -> str:
    """What to say of a day such as 1/2/2026, and what to type."""
    mark = next(character for character in day if not character.isdigit())
    short = "%y" if re.match(r"\d+\D\d+\D\d\d(\D|$)", day) else "%Y"
    formats = " or ".join(f'time_format="{mark.join((*order, short))}"' for order in (("%d", "%m"), ("%m", "%d")))
    return f"{day!r} may have the day or the month first, and the values do not tell: pass {formats}"


def _parsed(series: pl.Series, forms: tuple[str, ...]) -> pl.Series:
    """Seconds of texts, read by the first form that fits each; null if none does or if there is no such day."""
    import polars as pl

    is_iso = series.str.contains("^[0-9]{4}-").all()  # polars reads 26 as the year 26
    for form in ISO if is_iso else ():
        fast = series.str.strptime(pl.Datetime("us"), form, strict=False)
        if fast.null_count() == series.null_count():
            return fast.dt.epoch("s")
    texts = _in_lower_case(tidy(series))
    days = _each_once(_days_in(texts), partial(_seconds_of_days, forms=forms))
    clocks = _each_once(texts.str.extract(OF_A_CLOCK, 1).fill_null("0"), _seconds_of_clocks)
    return (days + clocks).cast(pl.Int64).alias(series.name)


def _in_lower_case(texts: pl.Series) -> pl.Series:
    """Texts in lower case; 20261129T053631 with a clock as in 20261129 05:36:31."""
    lower = texts.str.to_lowercase()
    if not lower.str.contains(COMPACT).any():
        return lower
    return lower.str.replace(COMPACT, "${1} ${2}:${3}").str.replace(
        r"^([0-9]{8} [0-9]{2}:[0-9]{2})([0-9]{2})", "${1}:${2}"
    )


def _days_in(texts: pl.Series) -> pl.Series:
    """What is left of texts without the clock and the day of the week."""
    days = texts.str.replace(OF_A_CLOCK, " ").str.replace_all(" +", " ").str.strip_chars(" ,")
    return days.str.replace(WEEKDAY, "")


def _each_once(texts: pl.Series, read: Callable[[pl.Series], Doubles]) -> pl.Series:
    """What read() makes of each text, asked once for equal ones: days and clocks repeat; null for nan."""
    import polars as pl

    distinct = texts.unique()
    found = pl.DataFrame({"text": distinct, "seconds": pl.Series(read(distinct), nan_to_null=True)})
    return texts.alias("text").to_frame().join(found, on="text", how="left", maintain_order="left")["seconds"]


def _seconds_of_days(texts: pl.Series, forms: tuple[str, ...]) -> Doubles:
    """Seconds of dates, nan where no form fits."""
    import polars as pl

    seconds = np.full(len(texts), np.nan)
    for form in forms:
        open_to = np.isnan(seconds)
        if not open_to.any():
            break
        groups = texts.filter(pl.Series(open_to)).str.extract_groups(f"^{form}$").struct.unnest()
        seconds[open_to] = _seconds_of_groups(groups)
    return seconds


def _seconds_of_groups(groups: pl.DataFrame) -> Doubles:
    """Seconds of the year, month and day that a form found; nan where it does not fit."""
    import polars as pl

    year, day = _numbers_of(groups["year"].str.strip_prefix("'")), _numbers_of(groups["day"])
    if "name" in groups.columns:
        named = groups["name"].replace_strict(MONTHS, range(1, 13), default=None, return_dtype=pl.Float64)
        month = named.fill_null(np.nan).to_numpy()
    else:
        month = _numbers_of(groups["month"])
    is_short = groups["year"].str.len_chars().fill_null(0).to_numpy() < 4
    return _seconds_of_day(np.where(is_short, year + np.where(year < 69, 2000, 1900), year), month, day)


def _seconds_of_clocks(texts: pl.Series) -> Doubles:
    """Seconds since midnight in UTC, nan where there is no such time."""
    plain = texts.str.replace_all(".m", "m", literal=True).str.replace("m.", "m", literal=True)
    for name, hours in ZONES.items() if plain.str.contains("[ecmp][sd]t$").any() else ():
        plain = plain.str.replace(f" ?{name}$", f"{'-' if hours < 0 else '+'}{abs(hours):02d}00")
    groups = plain.str.replace_all(" ", "").str.extract_groups(f"^{CLOCK}{ZONE}$").struct.unnest()
    hour = _on_24_hours(_numbers_of(groups["hour"]), groups["half"])
    minute, second = (_numbers_of(groups[name], 0) for name in ("minute", "second"))
    return _seconds_of_clock(hour, minute, second) - _zone_seconds(groups["zone"])


def _numbers_of(texts: pl.Series, default: float = np.nan) -> Doubles:
    import polars as pl

    numbers: Doubles = texts.cast(pl.Float64, strict=False).fill_null(default).to_numpy()
    return numbers


def _on_24_hours(hours: Doubles, half: pl.Series) -> Doubles:
    """Hours from 0 to 23 where am or pm is said: 12 am is 0, and 13 pm is none."""
    is_said = half.is_not_null().to_numpy()
    is_good = (hours >= 1) & (hours <= 12)
    counted = hours % 12 + 12 * (half == "pm").fill_null(False).to_numpy()
    return np.where(is_said, np.where(is_good, counted, np.nan), hours)


def _zone_seconds(zones: pl.Series) -> Doubles:
    """Seconds that zones such as +05:30 are before UTC; 0 without one."""
    digits = zones.str.replace(":", "", literal=True)
    hours, minutes = (_numbers_of(part, 0) for part in (digits.str.slice(1, 2), digits.str.slice(3)))
    sign = np.where(digits.str.starts_with("-").fill_null(False).to_numpy(), -1, 1)
    return sign * (hours * 3600 + minutes * 60)


def _seconds_of_day(year: Doubles, month: Doubles, day: Doubles) -> Doubles:
    """Seconds from 1970 to the start of a day; nan where there is no such day."""
    is_good = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    years, months, days = (np.where(is_good, part, 1).astype(np.int64) for part in (year, month, day))
    start = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    date = start.astype("datetime64[D]") + (days - 1)
    is_good &= date.astype("datetime64[M]") == start  # 30 February would be in March
    return np.where(is_good, date.astype(np.int64) * float(DAY), np.nan)


def _seconds_of_clock(hour: Doubles, minute: Doubles, second: Doubles) -> Doubles:
    """Seconds since midnight; nan where there is no such time."""
    is_good = (hour >= 0) & (hour <= 23) & (minute >= 0) & (minute <= 59) & (second >= 0) & (second <= 60)
    return np.where(is_good, hour * 3600 + minute * 60 + second, np.nan)


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
    return numbers / size


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
