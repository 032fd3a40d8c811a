"""What values look like, and where the limits between two looks lie."""

import datetime
from math import inf, nan

import polars as pl
import pytest

from palate.data.reading.looks import AMAZON_REVIEWER, ASIN, Column


def column(values, dtype=None):
    return Column("x", pl.Series("x", values, dtype=dtype, strict=False))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2], True),
        ([1, 2], True),
        (["1", "2", "3.0"], True),
        ([2, 3, 4], False),
        ([-1, 0, 1], False),
        ([1, 2, 4], False),
        ([1, 1, 2], False),
        ([1, 3, 5], False),
        ([1, 1.5, 2], False),
        ([1], False),
        (["a", "b"], False),
    ],
)
def test_numbers_of_rows(values, expected):
    assert column(values).is_counted is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100_000_000, 4_200_000_000], True),  # 1973 to 2103
        ([99_999_999, 1_400_000_000], False),
        ([1_400_000_000, 4_200_000_001], False),
        ([1_400_000_000.5, 1_400_000_001], True),  # seconds may have fractions,
        ([1_400_000_000_000.5, 1_400_000_000_001], False),  # milliseconds not
        ([10**11, 4_200_000_000_000], True),
        ([10**14, 4_200_000_000_000_000], True),
        ([10**17, 4_200_000_000_000_000_000], True),
        ([99_999_999_999, 1_400_000_000_000], False),
        ([datetime.date(2020, 1, 1)], True),
        (["1400000000"], True),
        (["2020-01-01", ""], True),
        (["2020-01-01", "soon"], False),
        ([], False),
        ([3, 4], False),
    ],
)
def test_times(values, expected):
    assert column(values).are_times is expected


def test_mostly_times_are_half_or_more():
    assert column(["2020-01-01", "soon"]).are_mostly_times
    assert column(["12.5", "-3", "soon", "later"]).are_mostly_times
    assert not column(["2020-01-01", "soon", "later"]).are_mostly_times
    assert not column(["12.500.000", "soon", "7"]).are_mostly_times
    assert column([datetime.date(2020, 1, 1)]).are_mostly_times


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 5, 3], True),
        ([100, 1, 1], True),
        ([101, 1, 1], False),
        ([-100, 1, 1], True),
        ([-101, 1, 1], False),
        (range(9), True),  # few rows may have a rating of their own each
        (range(10), False),
        ([*range(9), 8], True),
        ([at + 0.5 for at in range(10)], True),
        ([1, inf], False),
        (["a"], False),
        ([], False),
    ],
)
def test_ratings(values, expected):
    assert column(list(values)).are_ratings is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 3], True), ([-1, 3, 3], False), ([1.5, 3], False), ([4999] * 3, True), ([5000] * 3, False),
     ([1, 1, 10**6], True), ([], False)],
)  # fmt: skip
def test_counts(values, expected):
    assert column(values).are_counts is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 0, -1], True), ([1, 2], False), ([True, False], True), (["yes", "no"], True), (["yes", "up"], False),
     ([], False), ([[1], [0]], False), ([0.5, 1], False)],
)  # fmt: skip
def test_flags(values, expected):
    assert column(values).are_flags is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], True),
        ([1.0, 2.0, None], True),
        ([1.5, 2.0], False),
        ([1_400_000_000], True),  # ids may be as large as times
        (["ann", "bob"], True),
        (["2020-01-01"], False),
        (["x" * 40] * 3, True),
        (["x" * 41] * 3, False),
        (["x" * 41, "x", "y"], True),
        ([[1]], False),
        ([None], False),
        ([datetime.date(2020, 1, 1)], False),
    ],
)
def test_ids(values, expected):
    assert column(values).can_be_ids is expected


@pytest.mark.parametrize(
    ("values", "look"),
    [
        ([1, 2], "numbers of a scale"),  # two are too few for the numbers of rows
        ([1, 2, 3], "row numbers"),
        ([7, 7], "always 7"),
        ([7], "numbers of a scale"),
        ([0, 0], "always 0"),
        ([1, 0], "yes or no"),
        ([-1, 1], "numbers of a scale"),
        ([12.1234, -180.0001], "numbers with fractions"),
        ([12.1234, -179.0001], "coordinates"),
        ([12.123, -179.001], "numbers with fractions"),
        ([12.5, 12.1234, 7.1234], "coordinates"),
        ([180, 12.1234, 7.1234], "coordinates"),
        ([181, 12.1234, 7.1234], "numbers with fractions"),
        ([0.1234, 0.1234], "always 0.1234"),
        ([*range(-50, 50), 0], "numbers of a scale"),
        ([*range(-50, 51), 0], "whole numbers or ids"),  # 101 different ones
        (["de"], "names or ids"),
        (["de", "de"], "always 'de'"),
        ([*"abcdefghijkl"] * 3, "categories"),
        ([*"abcdefghijklm"] * 3, "names or ids"),
        ([*"abcd"] * 3, "categories"),
        ([*"abcd"] * 2 + ["a", "b", "c"], "names or ids"),
        (["x" * 31] * 2, f"always {'x' * 30!r}"),
        (["www.a.org", "ftp://b.org/x"], "links"),
        (["www.a.org", "b"], "names or ids"),
        ([nan, 5.0, 4.0, 5.0], "numbers of a scale"),
        ([datetime.date(2020, 1, 1)], "times"),
    ],
)
def test_looks_at_their_limits(values, look):
    assert column(values).look == look


def test_words_for_missing_values_and_blanks_are_no_values():
    assert column([" ann ", "NA", "", None]).texts == ["ann"]
    assert column(["ann", "bob", "ann"], pl.Categorical).texts == ["ann", "bob", "ann"]
    assert column(["NA", ""]).is_blank
    assert column([nan, 2.0]).numbers.tolist() == [2.0]
    assert column(["2", "x"]).numbers is None
    assert column([True]).numbers is None
    assert column([inf]).is_whole is False


def test_patterns_are_of_every_value():
    assert column(["B00004TNWD", "043902348X"]).matches(ASIN)
    assert not column(["B00004TNWD", "tea"]).matches(ASIN)
    assert not column([""]).matches(ASIN)
    assert column(["A2ILVLPLA72IDZ"]).matches(AMAZON_REVIEWER)
    assert column(["5:30", "12:00:01 pm"]).are_clocks
    assert not column(["5:30", "2020-01-01"]).are_clocks
