"""Dates: texts in any usual form -> seconds since 1970. The clock is cut out first, then the day is read.

Days and clocks repeat, so that each is read once; what is left to do for each row is to find both in its text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.data.reading.numbers import tidy

if TYPE_CHECKING:
    import polars as pl

Doubles = NDArray[np.float64]

DAY = 86400
FIRST_YEAR, LAST_YEAR = 1900, 2200  # other years are of another calendar, or no years
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
OTHER_MONTHS = {  # German, French, Spanish, Italian, Portuguese, Dutch, Danish, Swedish, Finnish -> MONTHS
    name: MONTHS[at]
    for at, names in enumerate(
        (
            "jan januar jänner janv janvier ene enero gen gennaio janeiro januari tammikuuta",
            "febr februar févr fév février fevrier febrero febbraio fev fevereiro februari helmikuuta",
            "märz mär mrz mars marzo março marco maart mrt marts maaliskuuta",
            "avr avril abr abril aprile april huhtikuuta",
            "mai mayo mag maggio maio mei maj toukokuuta",
            "juin junio giu giugno junho juni kesäkuuta",
            "juil juillet julio lug luglio julho juli heinäkuuta",
            "août aout ago agosto augustus augusti elokuuta",
            "sept septembre septiembre set settembre setembro september syyskuuta",
            "okt oktober octobre octubre ott ottobre out outubro lokakuuta",
            "november novembre noviembre novembro marraskuuta",
            "dez dezember déc décembre decembre dic diciembre dicembre dezembro december joulukuuta",
        )
    )
    for name in names.split()
}
ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}  # of RFC 2822
CLOCK = r"(?P<hour>[0-9]{1,2})(?::?(?P<minute>[0-9]{2}))?(?::?(?P<second>[0-9]{2})(?:[.,][0-9]+)?)? ?(?P<half>[ap]m)?"
ZONE = r" ?(?:utc|gmt|ut|z)?(?P<zone>[+-][0-9]{2}(?::?[0-9]{2})?)?"
OF_A_CLOCK = (  # where the clock and the zone are in a text; the date is what is left
    r"(?:^|[ ,]+|t)(?:at )?((?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)? ?(?:[ap]\.?m\.?)?"
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
OTHER_DATE = (  # 3. März 2021, le 1er juin 2020, 3 de marzo de 2021
    r"^(?:\p{L}+\.?,? )??(?:le |el |il |de |den )?([0-9]{1,2})(?:er|º|°)?[-/. ]*(?:de[l']? |d')?"
    rf"({'|'.join(sorted(OTHER_MONTHS, key=len, reverse=True))})\.?[-/., ]*(?:del? )?('?[0-9]{{2}}|[0-9]{{4}})\b"
)
WEEKDAY = r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?[, ]+"


def likely_first(days: pl.Series) -> tuple[str, ...]:
    """The forms that can be read in one way, those first that read the most of a few days."""
    n_read = {}
    for form in UNMISTAKABLE:
        n_read[form] = int(np.isfinite(seconds_of_days(days, (form,))).sum())
        if n_read[form] == len(days):
            break
    return tuple(sorted(UNMISTAKABLE, key=lambda form: -n_read.get(form, 0)))


def parsed(series: pl.Series, forms: tuple[str, ...]) -> pl.Series:
    """Seconds of texts, read by the first form that fits each; null if none does or if there is no such day."""
    import polars as pl

    is_iso = series.str.contains("^[0-9]{4}-").all()  # polars reads 26 as the year 26
    for form in ISO if is_iso else ():
        fast = series.str.strptime(pl.Datetime("us"), form, strict=False)
        if fast.null_count() == series.null_count():
            return fast.dt.epoch("s")
    texts = in_lower_case(tidy(series))
    days = _each_once(days_in(texts), partial(seconds_of_days, forms=forms))
    clocks = _each_once(texts.str.extract(OF_A_CLOCK, 1).fill_null("0"), _seconds_of_clocks)
    return (days + clocks).cast(pl.Int64).alias(series.name)


def in_lower_case(texts: pl.Series) -> pl.Series:
    """Texts in lower case; 20261129T053631 with a clock as in 20261129 05:36:31."""
    lower = _with_english_months(texts.str.to_lowercase())
    if not lower.str.contains(COMPACT).any():
        return lower
    return lower.str.replace(COMPACT, "${1} ${2}:${3}").str.replace(
        r"^([0-9]{8} [0-9]{2}:[0-9]{2})([0-9]{2})", "${1}:${2}"
    )


def _with_english_months(texts: pl.Series) -> pl.Series:
    """Texts with 3 mar 2021 where they have 3. märz 2021."""
    found = texts.str.extract_groups(OTHER_DATE).struct.unnest()
    if found.width == 0 or found.to_series(1).null_count() == len(texts):
        return texts
    day, month, year = (found.to_series(at) for at in range(3))
    english = day + " " + month.replace(OTHER_MONTHS) + " " + year
    rest = texts.str.replace(OTHER_DATE, "")
    return (english + rest).zip_with(month.is_not_null(), texts)


def days_in(texts: pl.Series) -> pl.Series:
    """What is left of texts without the clock and the day of the week."""
    days = texts.str.replace(OF_A_CLOCK, " ").str.replace_all(" +", " ").str.strip_chars(" ,")
    return days.str.replace(WEEKDAY, "")


def _each_once(texts: pl.Series, read: Callable[[pl.Series], Doubles]) -> pl.Series:
    """What read() makes of each text, asked once for equal ones: days and clocks repeat; null for nan."""
    import polars as pl

    distinct = texts.unique()
    found = pl.DataFrame({"text": distinct, "seconds": pl.Series(read(distinct), nan_to_null=True)})
    return texts.alias("text").to_frame().join(found, on="text", how="left", maintain_order="left")["seconds"]


def seconds_of_days(texts: pl.Series, forms: tuple[str, ...]) -> Doubles:
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
    return seconds_of_day(np.where(is_short, year + np.where(year < 69, 2000, 1900), year), month, day)


def _seconds_of_clocks(texts: pl.Series) -> Doubles:
    """Seconds since midnight in UTC, nan where there is no such time."""
    plain = texts.str.replace_all(".m", "m", literal=True).str.replace("m.", "m", literal=True)
    for name, hours in ZONES.items() if plain.str.contains("[ecmp][sd]t$").any() else ():
        plain = plain.str.replace(f" ?{name}$", f"{'-' if hours < 0 else '+'}{abs(hours):02d}00")
    groups = plain.str.replace_all(" ", "").str.extract_groups(f"^{CLOCK}{ZONE}$").struct.unnest()
    hour = _on_24_hours(_numbers_of(groups["hour"]), groups["half"])
    minute, second = (_numbers_of(groups[name], 0) for name in ("minute", "second"))
    return seconds_of_clock(hour, minute, second) - _zone_seconds(groups["zone"])


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


def seconds_of_day(year: Doubles, month: Doubles, day: Doubles) -> Doubles:
    """Seconds from 1970 to the start of a day; nan where there is no such day."""
    is_good = (year >= FIRST_YEAR) & (year < LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    years, months, days = (np.where(is_good, part, 1).astype(np.int64) for part in (year, month, day))
    start = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    date = start.astype("datetime64[D]") + (days - 1)
    is_good &= date.astype("datetime64[M]") == start  # 30 February would be in March
    return np.where(is_good, date.astype(np.int64) * float(DAY), np.nan)


def seconds_of_clock(hour: Doubles, minute: Doubles, second: Doubles) -> Doubles:
    """Seconds since midnight; nan where there is no such time."""
    is_good = (hour >= 0) & (hour <= 23) & (minute >= 0) & (minute <= 59) & (second >= 0) & (second <= 60)
    return np.where(is_good, hour * 3600 + minute * 60 + second, np.nan)
