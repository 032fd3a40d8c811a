"""Limits of conditions, on both sides of each: characters, nesting, patterns, calculations, and what errors quote."""

import polars as pl
import pytest

from palate.data.conditions import condition, first_line, shown
from palate.data.conditions.evaluating import MAX_COLUMNS, MAX_TIMES
from palate.data.conditions.parsing import MAX_CHARACTERS, MAX_DEPTH, MAX_SHOWN, parsed
from palate.errors import DataError, OptionError

FRAME = pl.DataFrame({"n": [1, 2], "free": [True, False], "title": ["ab", "c"]})


def is_within(text, match):
    """Whether a condition is evaluated, or refused in these words."""
    try:
        condition(text, FRAME)
    except OptionError as error:
        assert match in str(error)
        return False
    return True


def test_limits_are_those_of_the_guide():
    assert (MAX_CHARACTERS, MAX_DEPTH, MAX_SHOWN, MAX_COLUMNS) == (10_000, 30, 200, 40)
    assert MAX_TIMES == {"patterns": 50, "calculations": 200}


def test_a_condition_has_at_most_10000_characters():
    text = "n = 1"
    assert is_within(text + " " * (MAX_CHARACTERS - len(text)), "")
    assert not is_within(text + " " * (MAX_CHARACTERS - len(text) + 1), "has 10,001 characters, and may have 10,000")


@pytest.mark.parametrize(
    ("before", "inner", "after"),
    [
        ("(", "free", ")"),
        ("NOT ", "free", ""),
        ("- ", "n = 1", ""),
        ("+ ", "n = 1", ""),
        ("CASE WHEN ", "free", " THEN free END"),
    ],
)
def test_thirty_levels_are_not_too_deep(before, inner, after):
    """They are counted before the text is parsed; a tree of some of them is refused by what it is made of."""
    deep = before * MAX_DEPTH + inner + after * MAX_DEPTH
    try:
        parsed(deep)
    except DataError as error:
        assert "deeper than" not in str(error)
    with pytest.raises(OptionError, match="deeper than 30 levels"):
        parsed(before + deep + after)


@pytest.mark.parametrize(("opening", "closing"), ["[]", "{}"])
def test_brackets_of_all_kinds_nest(opening, closing):
    with pytest.raises(OptionError, match="deeper than 30 levels"):
        parsed("n = " + opening * 31 + "1" + closing * 31)


def test_what_is_side_by_side_does_not_nest():
    for text in ("(NOT free)", "NOT free", "(free)", "CASE WHEN free THEN TRUE END"):
        assert is_within(" AND ".join([text] * 40), "")


def test_brackets_match():
    for text in ("(n = 1", "n = 1)", "n = 1) OR (n = 2", ")n = 1("):
        with pytest.raises(DataError, match="brackets do not match"):
            parsed(text)


@pytest.mark.parametrize("pattern", ["title LIKE 'a%'", "title ILIKE 'a%'", "title ~ 'a'", "title ~* 'a'"])
def test_fifty_patterns_are_not_too_many(pattern):
    assert is_within(" OR ".join([pattern] * 50), "")
    assert not is_within(" OR ".join([pattern] * 51), "more than 50 patterns: use fewer")


def test_patterns_of_all_kinds_count_together():
    kinds = ["title LIKE 'a%'", "title ~ 'a'"] * 25
    assert is_within(" OR ".join([*kinds, *["n + 1 > 2"] * 100]), "")
    assert not is_within(" OR ".join([*kinds, "title ILIKE 'a'"]), "more than 50 patterns")


@pytest.mark.parametrize(
    ("text", "first", "more"),
    [
        ("n{} > 1", "", " + n"), ("n{} > 1", " * n", " * n"), ("COALESCE(n{}) = 1", "", ", n"),
        ("GREATEST(n{}) = 1", "", ", n"),
    ],
)  # fmt: skip
def test_two_hundred_calculations_are_not_too_many(text, first, more):
    n = 200 - (first != "")
    assert is_within(text.format(first + more * n), "")
    assert not is_within(text.format(first + more * (n + 1)), "more than 200 calculations: use fewer")


def test_functions_and_sums_count_together():
    sums = "n" + " + 1" * 150 + " > 1"
    assert is_within(" AND ".join([sums, *["abs(n) > 0"] * 50]), "")
    assert not is_within(" AND ".join([sums, *["abs(n) > 0"] * 51]), "more than 200 calculations")


def test_errors_quote_200_characters_and_name_40_columns():
    assert shown("a" * 198) == repr("a" * 198)
    assert shown("a" * 199) == "'" + "a" * 196 + "..."
    assert shown(5) == "(5)"
    assert first_line(ValueError(" one\ntwo")) == "one"
    assert first_line(ValueError("x" * 201)) == "x" * 200
    assert first_line(ValueError()) == "ValueError"
    for n, told in ((40, "'c39'; a text"), (41, "'c39' and 1 more; a text")):
        with pytest.raises(DataError, match=told):
            condition("x = 1", pl.DataFrame({f"c{at}": [1] for at in range(n)}))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("n = = 1", "it cannot be read at '='"), ("n =", "something is missing at its end"),
        ("'abc", "it cannot be read"), ("", "write one, such as|is missing at its end"),
    ],
)  # fmt: skip
def test_where_a_condition_ends_to_be_one_is_said(text, told):
    with pytest.raises(DataError, match=told):
        parsed(text)
