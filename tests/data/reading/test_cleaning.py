"""Cleaning, function by function: what is blank, what is no rating and why, and what a report shows."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.reading.cleaning import (
    Asked,
    BadRows,
    _looks_numeric,
    asked_of,
    bad_rows,
    forms_of,
    is_blank,
    numbers,
    set_aside,
    typed,
)
from palate.data.reading.numbers import PLAIN, Notation
from palate.errors import DataError, OptionError

FLOAT = (2 - 2**-23) * 2.0**127  # the largest number of single precision


def forms(asked=None, **columns):
    frame = pl.DataFrame({"user": ["a"] * len(next(iter(columns.values()))), "item": "b"} | columns, strict=False)
    return frame, forms_of(frame, "it", asked or Asked(), is_named=True)


# ---- the report of bad rows


def test_a_report_shows_the_first_five_bad_rows_and_counts_all():
    bad = BadRows(strict=False)
    bad.add({3: "no user", 5: "no item"}, "line {}".format, "it")
    bad.add(dict.fromkeys(range(7, 14), "no user"), "row {}".format, "it")
    bad.add({99: "no rating"}, "row {}".format, "it")
    assert bad.examples == ["line 3: no user", "line 5: no item", *(f"row {n}: no user" for n in (7, 8, 9))]
    assert bad.counts == {"no user": 8, "no item": 1, "no rating": 1}


@pytest.mark.parametrize(
    ("reason", "hint"),
    [("no time", "time=False reads without times"), ("the rating is not a number", 'missing="..."'), ("no item", None)],
)
def test_the_first_bad_row_is_an_error_if_rows_must_be_good(reason, hint):
    with pytest.raises(DataError, match=r"it, line 4 cannot be used: .*on_bad_rows=\"report\"") as told:
        BadRows(strict=True).add({4: reason, 9: "another"}, "line {}".format, "it")
    assert (hint is None and "(" not in str(told.value)) or hint in str(told.value)


# ---- yes and no


@pytest.mark.parametrize(
    ("counts", "zero_is_none"),
    [
        (["1", "0", "1"], True), (["1", "-1"], True), (["0"], True), (["-1", "0", None], True),
        (["1", "1"], False), (["-1"], False), (["1", "0", "2"], False), (["1", "0", "-2"], False), ([None, ""], False),
        ([1, 0], True), ([1, 2], False), ([True, False], True), ([True, True], True), ([1.0, 0.5], False),
        (["yes", "no"], True), (["yes", "yes"], True), (["1", "0", "-1"], True),
    ],
)  # fmt: skip
def test_counts_that_are_only_yes_and_no(counts, zero_is_none):
    frame, found = forms(count=counts)
    assert found.zero_is_none == zero_is_none
    if not isinstance(counts[0], bool) and counts[0] != "yes":  # of these another line of the report tells
        assert found.how == ({"ratings": "1 a choice, 0 none"} if zero_is_none else {})
    frame = typed(frame, "it", found)
    aside = set_aside(frame, frame, found, Asked())
    none = [value in (0, "0", -1, "-1", "no") and value is not None for value in counts]
    expected = {"0 or no: not chosen": none} if zero_is_none and any(none) else {}
    assert {reason: rows.to_list() for reason, rows in aside.items()} == expected


def test_zero_is_a_rating_like_others():
    frame, found = forms(rating=["1", "0", "0"])
    assert not found.zero_is_none and found.how == {}
    assert set_aside(frame, typed(frame, "it", found), found, Asked()) == {}


def test_a_notation_is_of_numbers_and_not_of_yes_and_no_unless_it_says_so():
    assert not PLAIN.is_flag and not Notation(lambda texts: texts).is_flag
    assert Notation(lambda texts: texts).how == {}


# ---- blanks and numbers


@given(st.lists(st.one_of(st.none(), st.text(" \t\u00a0a!~\u00e9", max_size=3))))
def test_what_is_blank(texts):
    found = is_blank(pl.Series(texts, dtype=pl.String)).to_list()
    assert found == [text is None or text.strip() == "" for text in texts]


@pytest.mark.parametrize(
    ("ids", "numeric"),
    [(["1", "2"], True), (["1", "NA"], True), (["1", None, "7.0", "-3"], True), (["1", "x"], False), (["NA"], False),
     (["1.5"], False), ([], False), ([1, 2], False), (["1", " nan "], True)],
)  # fmt: skip
def test_ids_that_are_numbers_but_for_words_that_mean_none(ids, numeric):
    assert _looks_numeric(pl.Series(ids, dtype=pl.Int64 if ids == [1, 2] else pl.String)) == numeric


@pytest.mark.parametrize(
    ("cells", "given"),
    [(["1", "x", "", " ", None, "2"], [True, True, False, False, False, True]), ([1, None], [True, False]),
     (["1", "2"], [True, True]), ([None, None], [False, False]), (["1", "-"], [True, True])],
)  # fmt: skip
@pytest.mark.parametrize("name", ["rating", "weight", "count"])
def test_a_value_is_given_where_a_cell_is_not_blank_whether_or_not_it_can_be_read(name, cells, given):
    frame, found = forms(**{name: pl.Series(cells, dtype=pl.String if "1" in cells else pl.Int64)})
    assert typed(frame, "it", found)[f"{name}_text"].to_list() == given
    if "1" in cells:
        category = frame.with_columns(pl.col(name).cast(pl.Categorical))
        assert typed(category, "it", found)[f"{name}_text"].to_list() == given


def test_what_the_caller_calls_missing_says_nothing_about_the_notation():
    """Neither a text, with blanks around it, nor a number."""
    told = Asked((" n/k ", 99, 9.5))
    frame, found = forms(told, rating=["1,5", "n/k", "99", "2,5", "9.5"])
    assert typed(frame, "it", found)["rating"].to_list()[::3] == [1.5, 2.5]


def test_numbers_of_every_type():
    for series in (pl.Series([1, 2]), pl.Series(["1", "2"]), pl.Series(["1", "2"], dtype=pl.Categorical)):
        assert numbers(series, "weight", "it").to_list() == [1.0, 2.0]
    for what in ("rating", "count"):
        assert numbers(pl.Series([True, False]), what, "it").to_list() == [1.0, 0.0]
    assert numbers(pl.Series([None]), "rating", "it").to_list() == [None]
    for series, what in ((pl.Series([True]), "weight"), (pl.Series([date(2020, 1, 1)]), "rating")):
        with pytest.raises(DataError, match=f"it: the {what} column must hold numbers, not "):
            numbers(series, what, "it")


# ---- rows that are missing, and bad ones


def test_a_missing_value_is_a_number_or_a_text_or_nan():
    raw = pl.Series(["-1", "-1.0", " none ", "3", None, "nan"])
    frame = pl.DataFrame({"rating": [-1.0, -1.0, None, 3.0, None, float("nan")]})
    told = {
        -1: [True, True, False, False, False, False],
        "-1": [True, True, False, False, False, False],
        "none": [False, False, True, False, False, False],
        float("nan"): [False] * 5 + [True],
        "3": [False, False, False, True, False, False],
    }
    _, found = forms(rating=["1"])
    for value, expected in told.items():
        aside = set_aside(raw.to_frame("rating"), frame, found, Asked((value,)))
        told_rows = {reason: rows.to_list() for reason, rows in aside.items()}
        assert told_rows == {f"missing: the rating is {value}": expected}
    assert set_aside(raw.to_frame("rating"), frame, found, Asked((7,))) == {}


@pytest.mark.parametrize(("missing", "values"), [(None, ()), (-1, (-1,)), ("x", ("x",)), ([99, "-"], (99, "-"))])
def test_what_the_caller_says_is_missing(missing, values):
    assert asked_of(missing, None, None, None).missing == values


@pytest.mark.parametrize(
    ("time", "time_format", "must"),
    [(None, None, False), (False, None, False), ("when", None, True), (0, None, True), (None, "%Y", True)],
)
def test_times_that_were_asked_for_must_be_there(time, time_format, must):
    assert asked_of(None, ",", time_format, time).must_read_times == must


def test_times_that_cannot_be_read_are_left_out_unless_they_were_asked_for():
    assert not Asked().must_read_times
    _, found = forms(time=["01/02/2020", "03/04/2020"])
    assert found.time is None and found.how["times"].startswith("left out (")
    with pytest.raises(DataError, match="it: the times cannot be read: "):
        forms(Asked(time=True), time=["01/02/2020", "03/04/2020"])
    with pytest.raises(DataError, match="time_format= is given, and no column of times is found"):
        forms(Asked(time_format="%Y"), rating=["1"])
    frame, found = forms(time=["1990-05-31", None, "1990-06-02"])
    assert "left out" not in found.how.get("times", "")
    read = typed(frame, "it", found)
    assert read["time"].to_list() == [644112000, None, 644284800]
    assert read["time_text"].to_list() == [True, False, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [((True, None, None), "missing must be"), ((None, ";", None), "decimal must be"), ((None, None, 5), "time_format")],
)
def test_options_of_another_type(options, words):
    with pytest.raises(OptionError, match=words):
        asked_of(*options, None)


def test_each_bad_row_has_its_first_reason():
    """By hand: both sides of every limit, and an earlier reason before a later one."""
    inf, nan = float("inf"), float("nan")
    rows = [  # user, item, rating, whether a text is there, weight -> why it is bad
        ("a", "x", 1.0, True, 1.0, None), ("", "", 1.0, True, 1.0, "no user"), ("a", " ", 1.0, True, 1.0, "no item"),
        (None, "x", 1.0, True, 1.0, "no user"), ("a", "x", None, False, 1.0, "no rating"),
        ("a", "x", None, True, 1.0, "the rating is not a number"), ("a", "x", nan, True, 1.0, "the rating is NaN"),
        ("a", "x", -inf, True, 1.0, "the rating is infinite"), ("a", "x", -FLOAT, True, 1.0, None),
        ("a", "x", 3.41e38, True, 1.0, "the rating is too large for float32"),
        ("a", "x", 0.0, True, 0.0, None), ("a", "x", 0.0, True, -1e-9, "the weight is not a number >= 0"),
        ("a", "x", 0.0, True, None, "the weight is not a number >= 0"), ("a", "x", 0.0, True, FLOAT, None),
        ("a", "x", 0.0, True, 3.41e38, "the weight is not a number >= 0"),
        ("a", "x", 0.0, True, inf, "the weight is not a number >= 0"),
    ]  # fmt: skip
    names = ["user", "item", "rating", "rating_text", "weight"]
    frame = pl.DataFrame([row[:5] for row in rows], schema=names, orient="row")
    expected = {at: row[5] for at, row in enumerate(rows) if row[5]}
    assert bad_rows(frame, {}) == expected
    assert bad_rows(frame, {0: "wrong shape", 1: "a blank line", 99: "beyond"}) == {
        **expected, 0: "wrong shape", 1: "a blank line",
    }  # fmt: skip
    assert bad_rows(frame[:1], {}) == {} and bad_rows(frame[:1], {0: "odd", 1: "beyond"}) == {0: "odd"}


def test_bad_counts_and_times():
    frame = pl.DataFrame(
        {
            "user": [1, None, 3, 4, 5, 6],
            "item": ["x"] * 6,
            "count": [1.0, 1.0, 0.0, -1.0, 1e-50, 2.0],  # 1e-50 is 0 in single precision
            "count_text": True,
            "time": [5, 5, 5, 5, 5, None],
            "time_text": [True] * 5 + [False],
        }
    )
    counts = dict.fromkeys((2, 3, 4), "the count is 0 or negative")
    assert bad_rows(frame, {}) == {1: "no user", **counts, 5: "no time"}
    assert bad_rows(frame, {}, must_read_times=False) == {1: "no user", **counts}
    unread = frame.with_columns(time_text=True)
    assert bad_rows(unread, {})[5] == "the time is no number and no date written as the others are"
