"""Ids: integers that became floats, words for a missing one, and labels that only their spelling separates."""

import io
import re
import sqlite3

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.checking import check
from palate.data.reading import read
from palate.data.reading.ids import as_meant, labels, without_point_zero, without_words
from palate.errors import DataError, LabelTypeError


def users(written, **options):
    """The labels of users in a text file, and the ratings."""
    text = "user\titem\trating\n" + "".join(f"{user}\tx{row}\t5\n" for row, user in enumerate(written))
    ratings = read(io.StringIO(text), on_bad_rows="report", **options)
    return ratings.classes["user"], ratings


# ---- integers that became floats


def test_texts_that_are_all_point_zero_are_integers_again():
    labels, ratings = users(["17850.0", "", "13047.0"])
    assert labels == ["13047", "17850"]
    assert ratings.report.how["user ids"] == "17850.0 as 17850"
    assert ratings.report.bad_rows == {"no user": 1}


def test_the_doctor_sees_ids_with_and_without_point_zero():
    found = check({"user": ["17850", "17850.0", "3"], "item": [1, 2, 3], "rating": [1, 2, 3]})["user labels"]
    assert "17850.0" in found.says


@pytest.mark.parametrize("written", [["17850.0", "3.5"], ["17850.0", "17850"], ["1.00", "2.00"], ["v1.0", "2.0"]])
def test_other_texts_stay_as_they_are(written):
    assert sorted(users(written)[0]) == sorted(written)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=20, unique=True), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_two_ids_become_one(ids, as_text):
    if as_text:
        labels, ratings = users([f"{label}.0" for label in ids])
        assert sorted(labels) == sorted(map(str, ids))
    else:
        frame = pd.DataFrame({"user": [*map(float, ids), None], "item": range(len(ids) + 1), "rating": 1})
        ratings = read(frame, on_bad_rows="report")
        assert ratings.classes["user"] == sorted(ids)
    assert len(ratings) == len(ids)


def test_an_item_table_with_ids_of_floats_fits():
    table = io.StringIO("item,title\n7.0,Seven\n8.0,Eight\n")
    ratings = read(io.StringIO("user,item,rating\nann,7,5\nbob,8,4\n"), items=table)
    assert ratings.item_table["title"].to_list() == ["Seven", "Eight"]


@pytest.mark.parametrize("make", [lambda array: {"user": array, "item": [1, 2], "rating": [1, 2]}])
@pytest.mark.parametrize(("kind", "limit"), [("float64", 2**53), ("float32", 2**24)])
def test_floats_too_large_to_tell_integers_apart_are_refused(make, kind, limit):
    assert read(make(np.array([1, limit - 1], kind))).classes["user"] == [1, limit - 1]
    with pytest.raises(LabelTypeError, match="more than one integer"):
        read(make(np.array([1, limit], kind)))
    with pytest.raises(LabelTypeError, match=f"below {limit:,}"):
        read(np.array([[1, limit, 3]], kind))


def test_fractions_and_infinite_ids_are_refused():
    for wrong in (3.5, np.inf):
        with pytest.raises(LabelTypeError, match="floats"):
            read({"user": np.array([1.0, wrong]), "item": [1, 2], "rating": [1, 2]})


# ---- numbers and texts never merge


@pytest.mark.parametrize("column", [[1, "1"], [1, True], ["1", 1.0], [b"1", "1"]])
def test_numbers_and_texts_in_one_column_are_refused(column):
    with pytest.raises(LabelTypeError, match="must be all strings or all integers"):
        read(pd.DataFrame({"user": pd.Series(column, dtype=object), "item": [1, 2], "rating": [1, 2]}))


def test_1_and_1_0_are_one_number():
    frame = pd.DataFrame({"user": pd.Series([1, 1.0, None], dtype=object), "item": [1, 2, 3], "rating": [1, 2, 3]})
    assert read(frame, on_bad_rows="report").classes["user"] == [1]


class Database:
    """A connection as any driver of PEP 249 has one, here around SQLite."""

    def __init__(self, connection):
        self.cursor = connection.cursor


@pytest.mark.parametrize("wrap", [lambda connection: connection, Database])
def test_numbers_and_texts_in_one_column_of_a_database_are_refused(wrap):
    connection = sqlite3.connect(":memory:")
    connection.execute("create table ratings (user, item, rating)")
    connection.executemany("insert into ratings values (?, ?, ?)", [(1, "tea", 5), ("1", "jam", 4)])
    connection = wrap(connection)
    with pytest.raises(LabelTypeError, match="int, str"):
        read("select * from ratings", connection=connection)
    cast = "select cast(user as text) as user, item, rating from ratings"
    assert read(cast, connection=connection).classes["user"] == ["1"]
    with pytest.raises(DataError, match="cannot be read"):
        read("select nothing from ratings", connection=connection)


# ---- words for a missing id


@pytest.mark.parametrize("word", ["\\N", "NULL", "NaN"])
def test_what_databases_write_is_never_an_id(word):
    labels, ratings = users(["ann", word, "bob"])
    assert labels == ["ann", "bob"]
    assert ratings.report.bad_rows == {"no user": 1}


@pytest.mark.parametrize("word", ["NA", "N/A", "None", "null", "nan", "-"])
def test_a_word_is_missing_among_numbers_and_a_name_among_names(word):
    assert users(["7", word, "8"])[0] == ["7", "8"]
    assert users(["7.0", word, "8.0"])[0] == ["7", "8"]
    assert users(["ann", word, "8"])[0] == sorted(["ann", word, "8"])


# ---- tables of items


def found(labels, ids, **options):
    """What the doctor says of ratings of these items beside a table of those ids."""
    text = "user,item,rating\n" + "".join(f"u{row},{label},5\n" for row, label in enumerate(labels))
    table = io.StringIO("item,title\n" + "".join(f"{label},Title {label}\n" for label in ids))
    return check(io.StringIO(text), items=table, **options)


@pytest.mark.parametrize(
    ("labels", "ids", "why"),
    [
        (["007", "008", "x"], ["7", "8", "x"], r"leading zeros separate 2 .*'007' in the ratings and '7' in the table"),
        (["ab", "cd", "x"], ["AB", "CD", "x"], r"upper and lower case separate 2 .*'ab'.*'AB'"),
        (["7.0", "x"], ["7", "x"], r"a closing \.0"),
        (["00ab", "x"], ["AB", "x"], r"blanks, case, leading zeros"),
    ],
)
def test_items_without_a_row_are_counted_and_the_likely_reason_is_said(labels, ids, why):
    finding = found(labels, ids)["item table"]
    assert finding.severity == "warning"
    assert finding.says == f"{len(labels) - 1} of {len(labels)} items have no row in the table."
    assert re.search(why, finding.do)


def test_blanks_around_ids_in_text_files_mean_nothing():
    assert "item table" not in found(["ab ", "x"], ["ab", "x "])
    ratings = read(io.StringIO("user,item,rating\nann ,tea,5\nann, jam,3\n"))
    assert ratings.classes["user"] == ["ann"]
    assert ratings.report.how["user ids"] == "without the blanks around them"
    frame = read({"user": ["ann ", "ann"], "item": ["tea", "tea"], "rating": [5, 3]})
    assert len(frame.classes["user"]) == 2  # a frame is what its maker made of it


def test_a_table_with_all_items_needs_no_word():
    assert "item table" not in found(["a", "b"], ["a", "b", "c"])


def test_a_few_items_without_a_row_are_no_warning():
    labels = [f"i{number}" for number in range(30)]
    assert found(labels, labels[1:])["item table"].severity == "info"


def test_a_table_that_only_leading_zeros_separate_says_so():
    with pytest.raises(DataError, match=r"none of the 2 items.*Only leading zeros.*'007'.*'7'"):
        found(["007", "008"], ["7", "8"])


def test_the_count_follows_the_table_that_is_joined_last():
    ratings = read({"user": ["a", "b"], "item": ["x", "y"], "rating": [1, 2]}, items={"item": ["x"], "title": ["X"]})
    assert ratings.report.lacking == {"item": (1, 2, "")}
    assert ratings.with_items({"item": ["x", "y"], "title": ["X", "Y"]}).report.lacking == {}


# ---- function by function


@pytest.mark.parametrize(
    ("series", "expected", "dtype"),
    [
        (pl.Series(["a", None]), ["a", None], pl.String), (pl.Series(["a"], dtype=pl.Categorical), ["a"], pl.String),
        (pl.Series([1, None], dtype=pl.Int8), [1, None], pl.Int64), (pl.Series([2.0, np.nan, None]),
        [2, None, None], pl.Int64),
        (pl.Series([None, None], dtype=pl.Boolean), [None, None], pl.String), (pl.Series([np.nan, np.nan]),
        [None] * 2, pl.String),
        (pl.Series([], dtype=pl.Int64), [], pl.String), (pl.Series([2**63 - 1], dtype=pl.UInt64), [2**63 - 1],
        pl.Int64),
        (pl.Series([-(2.0**53) + 1]), [1 - 2**53], pl.Int64),
    ],
)  # fmt: skip
def test_ids_are_texts_or_integers(series, expected, dtype):
    made = labels(series, "user", "it")
    assert (made.to_list(), made.dtype) == (expected, dtype)


@pytest.mark.parametrize(
    ("series", "told"),
    [
        (pl.Series([2**63, None], dtype=pl.UInt64), "a user id is beyond 64 bits"), (pl.Series([True]),
        "not Boolean"),
        (pl.Series([1.5, 2]), r"floats like \[1.5\]"), (pl.Series([2.0**53]), "as large as 9007199254740992"),
        (pl.Series([-(2.0**53)]), "as large as -9007199254740992"), (pl.Series([np.inf]), "floats as large as inf"),
        (pl.Series([2.0**24], dtype=pl.Float32), "from 16,777,216 on"),
    ],
)  # fmt: skip
def test_other_ids_are_refused(series, told):
    with pytest.raises(LabelTypeError if "beyond" not in told else DataError, match=told):
        labels(series, "user", "it")


def test_words_for_a_missing_id():
    ids = pl.Series(["a", "NULL", "NaN", "\\N", "NA", " - ", None])
    assert without_words(ids, everywhere=False).to_list() == ["a", None, None, None, "NA", " - ", None]
    assert without_words(ids, everywhere=True).to_list() == ["a", None, None, None, None, None, None]
    for same in (pl.Series(["7", None]), pl.Series(["a"]), pl.Series([7])):
        assert without_words(same, everywhere=True).equals(same, null_equal=True)
        assert without_words(same, everywhere=False).equals(same, null_equal=True)


@pytest.mark.parametrize(
    ("ids", "bare"),
    [
        (["7.0", "-8.0", None], ["7", "-8", None]), (["7.0", "8"], ["7.0", "8"]), (["x.0"], ["x.0"]), (["7.00"],
        ["7.00"]),
        ([None], [None]),
    ],
)  # fmt: skip
def test_a_closing_point_zero_is_taken_off_all_or_none(ids, bare):
    assert without_point_zero(pl.Series(ids, dtype=pl.String)).to_list() == bare


@pytest.mark.parametrize(
    ("ids", "bare", "how"),
    [
        (["a", "b"], ["a", "b"], ""), ([" a", "b"], ["a", "b"], "without the blanks around them"),
        (["'a'", " 'b' ", None], ["a", "b", None], "without the quotes around them"), (['"a"'], ["a"],
        "without the quotes around them"),
        (['="7"', '="8"'], ["7", "8"], "without the quotes around them"), (["“a”"], ["a"],
        "without the quotes around them"),
        (["'a'", "b"], ["'a'", "b"], ""), (["'a'", '"b"'], ["'a'", '"b"'], ""), (["''", "'a'"], ["''", "'a'"], ""),
        ([None], [None], ""), (["=a", "'b'"], ["=a", "'b'"], ""), ([7], [7], ""),
    ],
)  # fmt: skip
def test_what_stands_around_ids_of_text_is_taken_off(ids, bare, how):
    made, told = as_meant(pl.Series(ids, dtype=None if ids == [7] else pl.String))
    assert (made.to_list(), told) == (bare, how)


@pytest.mark.parametrize("text", ["7.65612E+16", "1.0E+10"])
def test_ids_that_a_spreadsheet_rounded_are_refused(text):
    with pytest.raises(LabelTypeError, match=re.escape(f"ids such as {text!r} were rounded")):
        as_meant(pl.Series(["a", None, text]))
    assert as_meant(pl.Series([f"x{text}", "7E+16", "0.5E+16"]))[1] == ""
