"""Dates part by part: days, clocks, halves of a day, zones, months in other languages, which form is tried first."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from palate.data.reading.dates import (
    MONTHS,
    OTHER_MONTHS,
    UNMISTAKABLE,
    _on_24_hours,
    _seconds_of_clocks,
    _zone_seconds,
    days_in,
    in_lower_case,
    likely_first,
    parsed,
    seconds_of_clock,
    seconds_of_day,
    seconds_of_days,
)


def seconds(*parts):
    return int(datetime(*parts, tzinfo=UTC).timestamp())


def numbers(*rows):
    """Each part of some days or clocks as an array."""
    return (np.array(part, float) for part in zip(*rows, strict=True))


def listed(array):
    """Floats, None for nan."""
    return [None if np.isnan(number) else number for number in np.asarray(array, float)]


def test_days_are_those_of_the_calendar_from_1900_to_2199():
    days = [date.fromordinal(at) for at in range(date(1899, 12, 25).toordinal(), date(2200, 1, 9).toordinal(), 97)]
    days += [date(1899, 12, 31), date(1900, 1, 1), date(1900, 2, 28), date(1970, 1, 1), date(2199, 12, 31)]
    days += [date(2200, 1, 1), date(2000, 2, 29)]
    expected = [seconds(day.year, day.month, day.day) if 1900 <= day.year < 2200 else None for day in days]
    assert listed(seconds_of_day(*numbers(*((day.year, day.month, day.day) for day in days)))) == expected
    odd = [(1900, 2, 29), (2026, 0, 1), (2026, 13, 1), (2026, 1, 0), (2026, 1, 32), (2026, 4, 31), (np.nan, 1, 1)]
    assert listed(seconds_of_day(*numbers(*odd))) == [None] * len(odd)


def test_clocks_go_from_0_to_23_59_60():
    good = [(0, 0, 0), (23, 59, 60), (1, 2, 3), (12, 30, 0)]
    assert listed(seconds_of_clock(*numbers(*good))) == [0, 86400, 3723, 45000]
    odd = [(24, 0, 0), (0, 60, 0), (0, 0, 61), (-1, 0, 0), (0, -1, 0), (0, 0, -1), (np.nan, 0, 0)]
    assert listed(seconds_of_clock(*numbers(*odd))) == [None] * len(odd)


def test_halves_of_a_day_have_the_hours_1_to_12():
    hours = [0, 1, 11, 12, 13] * 3
    half = pl.Series(["am"] * 5 + ["pm"] * 5 + [None] * 5, dtype=pl.String)
    expected = [None, 1, 11, 0, None, None, 13, 23, 12, None, 0, 1, 11, 12, 13]
    assert listed(_on_24_hours(np.array(hours, float), half)) == expected


def test_zones_are_before_or_behind_utc():
    zones = pl.Series(["+05:30", "-0330", "+02", "-11", None, "+00:00"])
    assert listed(_zone_seconds(zones)) == [19800, -12600, 7200, -39600, 0, 0]


def test_a_clock_in_each_form():
    clocks = {
        "5:06": 18360, "05:06:07.9": 18367, "5 pm": 61200, "5 p.m.": 61200, "12:30 am": 1800, "0530": 19800,
        "053007": 19807, "5:06z": 18360, "5:06 gmt+01:00": 14760, "5:06 utc-0130": 23760, "5:06+02": 11160,
        "25:00": None, "0": 0,
    }  # fmt: skip
    assert listed(_seconds_of_clocks(pl.Series([*clocks]))) == [*clocks.values()]
    american = {"5:06 est": 18360 + 18000, "5:06 edt": 18360 + 14400, "5:06 pdt": 18360 + 25200, "7:00": 25200}
    assert listed(_seconds_of_clocks(pl.Series([*american]))) == [*american.values()]


def test_months_of_other_languages_are_read():
    months = [MONTHS.index(month) + 1 for month in OTHER_MONTHS.values()]
    texts = [f"3. {name} 2021" for name in OTHER_MONTHS] + [f"3 de {name} de 2021" for name in OTHER_MONTHS]
    assert parsed(pl.Series(texts), UNMISTAKABLE).to_list() == [seconds(2021, month, 3) for month in months * 2]
    texts = ["mardi 1er juin 2020 05:06", "le 3 août '21", "3 mars 99", "no date", None]
    assert parsed(pl.Series(texts), UNMISTAKABLE).to_list() == [
        seconds(2020, 6, 1, 5, 6), seconds(2021, 8, 3), seconds(1999, 3, 3), None, None
    ]  # fmt: skip


def test_years_of_two_digits_are_from_1969_to_2068():
    texts = [f"1 jan {year:02}" for year in range(100)]
    found = parsed(pl.Series(texts), UNMISTAKABLE).to_list()
    assert found == [seconds(2000 + year if year < 69 else 1900 + year, 1, 1) for year in range(100)]
    assert parsed(pl.Series(["1 jan 2068", "1 jan 0068", "1 jan 068"]), UNMISTAKABLE).to_list() == [
        seconds(2068, 1, 1), None, None
    ]  # fmt: skip


def test_the_form_that_reads_the_most_days_is_tried_first():
    examples = ["2026-11-29", "20261129", "29 nov 2026", "nov 29 2026", "2026 nov 29"]
    for at, text in enumerate(examples):
        days = pl.Series([text] * 2 + ["x", examples[at - 1]])
        found = likely_first(days)
        assert found[0] == UNMISTAKABLE[at] and found[1] == UNMISTAKABLE[at - 1]
        assert sorted(found) == sorted(UNMISTAKABLE)
        assert listed(seconds_of_days(pl.Series([text, "x"]), found)) == [seconds(2026, 11, 29), None]
    assert likely_first(pl.Series([], dtype=pl.String)) == UNMISTAKABLE


def test_what_is_left_without_the_clock_is_the_day():
    texts = ["Sun, 29 Nov 2026 05:36:31 GMT", "20261129T053631", "2026-11-29T05:36", "29.11.2026"]
    left = days_in(in_lower_case(pl.Series(texts))).to_list()
    assert left == ["29 nov 2026", "20261129", "2026-11-29", "29.11.2026"]
