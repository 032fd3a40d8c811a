"""Patterns: LIKE as a walk over both texts says, in both engines, and regular expressions up to their limits."""

import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palate.data.conditions.patterns import MAX_PATTERN, check_regex, like, like_regex
from palate.errors import DataError


def is_like(text, pattern, escape):
    """Whether a text is like a pattern, by trying each length of what a % stands for."""
    if not pattern:
        return not text
    if escape and pattern[0] == escape:
        own = pattern[1:2] or escape
        return text[:1] == own and is_like(text[1:], pattern[2:], escape)
    if pattern[0] == "%":
        return any(is_like(text[at:], pattern[1:], escape) for at in range(len(text) + 1))
    return text[:1] != "" and pattern[0] in (text[0], "_") and is_like(text[1:], pattern[1:], escape)


SIGNS = "ab%_!.*\\\n"


@given(st.text(SIGNS, max_size=6), st.text(SIGNS, max_size=6), st.sampled_from(["", "!"]))
@example("a%b", "a!%b", "!")
@example("a!", "a!", "!")
@example("aXbXc", "a%b%c", "")
@example("ab", "a%b%b", "")
def test_a_text_is_like_a_pattern(text, pattern, escape):
    expected = is_like(text, pattern, escape)
    assert like(pattern, any_case=False, escape=escape)(text) == expected
    regex = like_regex(pattern, any_case=False, escape=escape)
    assert pl.Series([text]).str.contains(regex).to_list() == [expected]


@pytest.mark.parametrize("sign", [*r"\.+*?()|[]{}^$#&-~", '"', "/", " ", "é"])
def test_signs_stand_for_themselves(sign):
    for text, expected in ((f"a{sign}b", True), ("ab", False), ("axb", False), (f"a{sign}{sign}b", False)):
        assert like(f"a{sign}b", any_case=False)(text) == expected
        assert re.search(like_regex(f"a{sign}b", any_case=False), text) is None or expected
        assert pl.Series([text]).str.contains(like_regex(f"a{sign}b", any_case=False)).item() == expected


def test_case_matters_unless_it_is_not_to():
    for any_case in (False, True):
        assert like("A%é", any_case=any_case)("aÉ") == any_case
        assert pl.Series(["aÉ"]).str.contains(like_regex("A%é", any_case=any_case)).item() == any_case


def test_patterns_have_at_most_200_characters():
    longest = "a" * MAX_PATTERN
    assert MAX_PATTERN == 200
    assert like(longest, any_case=False)(longest)
    check_regex(longest)
    for check in (lambda pattern: like(pattern, any_case=False), check_regex, lambda p: like_regex(p, any_case=True)):
        with pytest.raises(DataError, match="has 201 characters, and may have 200"):
            check(longest + "a")


@pytest.mark.parametrize(
    ("pattern", "is_allowed"),
    [
        ("a{1000}", True), ("a{1001}", False), ("(a{25}){40}", True), ("(a{25}){41}", False), ("a{2,1001}", False),
        ("a{1001,}", False), ("a{,1001}", False), ("a{ 1 0 0 1 }", False), ("a{0}b{1000}", True),
        ("a{0}b{1001}", False),
        ("a{}", True), ("a{x}", True), ("[{]1001", True),
    ],
)  # fmt: skip
def test_counts_of_a_regular_expression_multiply_to_1000_at_most(pattern, is_allowed):
    if is_allowed:
        check_regex(pattern)
        return
    with pytest.raises(DataError, match="repeats too often: at most 1,000 times"):
        check_regex(pattern)
