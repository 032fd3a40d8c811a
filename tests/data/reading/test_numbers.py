"""Numbers as people write them: whatever is written is read back as the same number, or refused."""

import io
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.checking import check
from palate.data.reading import read
from palate.data.reading.numbers import WITH_MARK, are_readable, is_number_like, notation_of
from palate.errors import DataError, OptionError


def values(written, **options):
    """The ratings of a file with one of each user."""
    lines = [f"u{row}\ttea\t{text}\n" for row, text in enumerate(written)]
    ratings = read(io.StringIO("user\titem\trating\n" + "".join(lines)), **options)
    return ratings.values.tolist(), ratings


# ---- each notation


@pytest.mark.parametrize(
    ("written", "read_as", "how"),
    [
        (["4,5", "3,0", "1"], [4.5, 3, 1], {"decimal mark": "comma"}),
        (["1.234,5", "12"], [1234.5, 12], {"decimal mark": "comma"}),
        (["1,234.5", "12"], [1234.5, 12], {"decimal mark": "point"}),
        (["1 234,5", "1\u00a0234,5"], [1234.5, 1234.5], {"decimal mark": "comma"}),
        (["1 234", "5"], [1234, 5], {"decimal mark": "point"}),
        (["0,125", "1,234"], [0.125, 1.234], {"decimal mark": "comma"}),
        (["1,234,567", "1,234"], [1234567, 1234], {"decimal mark": "point"}),
        (["1.234", "2"], [1.234, 2], {}),
        (["5/5", "3 / 5", "4.5/5"], [5, 3, 4.5], {"out of": "5"}),
        (["5.0 out of 5 stars", "4.0 out of 5 stars"], [5, 4], {"out of": "5"}),
        (["4.125 of 5", "4,5 of 5"], [4.125, 4.5], {"out of": "5"}),
        (["80%", "7.5 %"], [80, 7.5], {"ratings": "percent"}),
        (["★★★★☆", "★★★½", "☆☆☆☆☆", "½"], [4, 3.5, 0, 0.5], {"ratings": "stars"}),
        (["⭐⭐⭐", "⭐\ufe0f"], [3, 1], {"ratings": "stars"}),
        (["4 stars", "1 star", "4.5 Stars", "3★"], [4, 1, 4.5, 3], {"ratings": "stars"}),
        (["\u22123", "+4", "\u0663", " 2 "], [-3, 4, 3, 2], {}),
        (["+1", "-1"], [1, -1], {}),
        (["True", "False"], [1, 0], {"ratings": "true 1, false 0"}),
        (["yes", "NO"], [1, 0], {"ratings": "yes 1, no 0"}),
        (["Up", "down"], [1, 0], {"ratings": "up 1, down 0"}),
        (["Thumbs Up", "thumbs down"], [1, 0], {"ratings": "thumbs up 1, thumbs down 0"}),
        (["👍", "👎\U0001f3fd"], [1, 0], {"ratings": "👍 1, 👎 0"}),
        (["like", "dislike", "like"], [1, 0, 1], {"ratings": "like 1, dislike 0"}),
        (["positive", "negative"], [1, 0], {"ratings": "positive 1, negative 0"}),
    ],
)
@pytest.mark.parametrize("source", ["text", "frame"])
def test_a_notation_is_found_and_told(written, read_as, how, source):
    if source == "text":
        got, ratings = values(written)
    else:
        users = [f"u{row}" for row in range(len(written))]
        ratings = read(pl.DataFrame({"user": users, "item": ["tea"] * len(written), "rating": written}))
        got = ratings.values.tolist()
    assert got == pytest.approx(read_as)
    assert {name: ratings.report.how.get(name) for name in how} == how
    assert ("decimal mark" in ratings.report.how) == ("decimal mark" in how)


@pytest.mark.parametrize("written", [["1,234"], ["1,234", "12"], ["4,5", "4.5"]])
def test_what_can_be_read_in_two_ways_is_asked_about(written):
    with pytest.raises(DataError, match=r'can be read as .*decimal=","'):
        values(written)


def test_a_number_that_can_be_read_in_two_ways_is_shown_in_both():
    with pytest.raises(DataError, match=r"the rating '1,234' can be read as 1234 or 1\.234: a comma"):
        values(["1,234"])


def test_two_decimal_marks_in_one_column_are_told():
    with pytest.raises(DataError, match="other ratings have the other decimal mark"):
        values(["4,5", "4.5"])


def test_the_decimal_mark_as_the_caller_says():
    assert values(["1,234"], decimal=",")[0] == pytest.approx([1.234])
    assert values(["1,234"], decimal=".")[0] == [1234]
    with pytest.raises(DataError, match=r"line 2.*not a number"):
        values(["4,5"], decimal=".")
    with pytest.raises(OptionError, match="decimal must be"):
        values(["4"], decimal="comma")


@pytest.mark.parametrize("written", [["4/5", "4/10"], ["4 out of 5", "10 out of 10", "3 out of 5"]])
def test_ratings_out_of_different_numbers_are_refused(written):
    with pytest.raises(DataError, match="out of different numbers: out of 5 and 10"):
        values(written)


@pytest.mark.parametrize(
    ("written", "bad"),
    [
        (["4", "3", "4/5"], "4/5"),
        (["4,5", "3,5", "1,234.5"], "1,234.5"),
        (["4/5", "3/5", "7/5"], "7/5"),
        (["up", "down", "no"], "no"),
        (["★★", "★", "five"], "five"),
        (["4 €", "3", "2"], "4 €"),
    ],
)
def test_a_value_written_in_another_way_is_a_bad_row(written, bad):
    with pytest.raises(DataError, match="the rating is not a number"):
        values(written)
    got, ratings = values(written, on_bad_rows="report")
    assert len(got) == len(written) - 1
    assert bad in ratings.report.bad_examples[0]


def test_the_first_block_decides_and_later_ones_follow(monkeypatch):
    from palate.data.reading import textfiles

    monkeypatch.setattr(textfiles, "BLOCK", 200)
    written = ["4,5"] * 50 + ["4.5"]
    got, ratings = values(written, on_bad_rows="report")
    assert set(got) == {4.5}
    assert ratings.report.bad_rows == {"the rating is not a number": 1}


some_number = st.decimals(-99999, 99999, places=2, allow_nan=False)


def written_with(number, mark, group):
    whole = f"{abs(number):,.2f}".replace(",", "\0").replace(".", mark).replace("\0", group)
    return ("-" if number < 0 else "") + whole


@given(
    numbers=st.lists(some_number, min_size=1, max_size=20),
    form=st.sampled_from([(".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (".", "\u202f"), (".", "'")]),
)
@settings(max_examples=60, deadline=None)
def test_numbers_with_two_places_are_read_back_in_any_form(numbers, form):
    texts = pl.Series([written_with(number, *form) for number in numbers])
    notation = notation_of(texts, "rating", "the file")
    assert notation.read(texts).to_list() == pytest.approx([float(number) for number in numbers])


@given(
    numbers=st.lists(st.tuples(st.decimals(0, 99999, places=3), st.integers(0, 3)), min_size=1, max_size=12),
    form=st.sampled_from([(".", ""), (",", ""), (",", "."), (".", ","), (",", " ")]),
)
@settings(max_examples=100, deadline=None)
def test_numbers_with_any_places_are_read_back_or_refused(numbers, form):
    """A number without a fraction, written with groups, may be a fraction elsewhere: then it is asked about."""
    mark, group = form
    kept, texts = [], []
    for number, places in numbers:
        kept.append(round(number, places))
        plain = f"{kept[-1]:,.{places}f}"
        texts.append(plain.replace(",", "\0").replace(".", mark).replace("\0", group))
    series = pl.Series(texts)
    try:
        got = notation_of(series, "rating", "the file").read(series).to_list()
    except DataError as error:
        assert "decimal=" in str(error)
        got = WITH_MARK[mark].read(series).to_list()
    if mark == "," and group == "." and not any("," in text for text in texts):
        return  # 1.234 alone is a decimal point everywhere
    assert got == pytest.approx([float(number) for number in kept])


@given(st.lists(st.text(max_size=8), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_texts_are_numbers_or_null_or_asked_about(texts):
    series = pl.Series(texts, dtype=pl.String)
    try:
        got = notation_of(series, "rating", "the file").read(series)
    except DataError as error:
        assert "decimal=" in str(error) or "out of different numbers" in str(error)
    else:
        assert got.dtype == pl.Float64
        assert len(got) == len(texts)


@given(st.floats(allow_nan=False))
def test_a_plain_number_stays_itself(number):
    series = pl.Series([repr(number)])
    assert notation_of(series, "rating", "the file").read(series).to_list() == [number]


@pytest.mark.parametrize("text", ["4,5", "4/5", "80%", "★★", "5 stars", "👍", "-3", "4.0 out of 5"])
def test_a_value_is_no_header(text):
    assert is_number_like(text)
    ratings = read(io.StringIO(f"ann\ttea\t{text}\nbob\ttea\t{text}\n"), header=None)
    assert len(ratings) == 2


@pytest.mark.parametrize("text", ["rating", "up", "1st", "user 3", "2020-01-01", ""])
def test_a_name_is_no_number(text):
    assert not is_number_like(text)


def test_words_in_a_first_row_like_those_below_are_no_header():
    assert len(read(io.StringIO("ann,tea,up\nbob,jam,down\n"))) == 2
    for name in ("like", "y"):
        text = f"who,what,{name}\nann,tea,{name}\n"
        assert len(read(io.StringIO(text), user="who", item="what", rating=name)) == 1
        with pytest.raises(DataError, match="no column found for user and item"):
            read(io.StringIO(text))


def test_a_column_with_one_way_only_is_readable():
    assert are_readable(["4/5", "3/5"])
    assert not are_readable(["4/5", "tea"])
    assert not are_readable([])


# ---- yes and no, if only choices are known


@pytest.mark.parametrize("name", ["label", "liked", "clicked", "rating"])
@pytest.mark.parametrize(
    "written", [["1", "0"], ["True", "False"], ["yes", "no"], ["1", "-1"], ["👍", "👎"], ["1.0", "0.0"]]
)
def test_who_did_not_choose_is_left_out_and_counted(name, written):
    text = f"user,item,{name}\nann,tea,{written[0]}\nann,jam,{written[1]}\nbob,jam,{written[0]}\n"
    ratings = read(io.StringIO(text), kind="implicit")
    assert ratings.to_frame().select("user", "item").rows() == [("ann", "tea"), ("bob", "jam")]
    assert ratings.report.left_out == {"0 or no: not chosen": 1}
    assert not ratings.report.bad_rows
    assert not ratings.report.is_clean
    assert "1 left out (0 or no: not chosen)" in str(ratings.report)
    assert len(read(io.StringIO(text))) == 3


def test_booleans_in_a_frame():
    frame = pd.DataFrame({"user": ["ann", "ann"], "item": ["tea", "jam"], "liked": [True, False]})
    assert len(read(frame, kind="implicit")) == 1
    assert read(frame).values.tolist() == [1, 0] or sorted(read(frame).values.tolist()) == [0, 1]


def test_a_count_of_0_among_counts_is_a_bad_row_still():
    with pytest.raises(DataError, match="the count is 0 or negative"):
        read({"user": [1, 2, 3], "item": [1, 2, 3], "plays": [0, 1, 7]}, kind="implicit")


def test_a_label_that_is_no_yes_or_no_is_no_count():
    ratings = read(io.StringIO("user,item,label\nann,tea,black\nbob,tea,green\n"), kind="implicit")
    assert "label" in ratings.report.unused
    assert len(ratings) == 2


# ---- values that mean "not rated"


@pytest.mark.parametrize(
    ("written", "missing", "left"),
    [
        (["-1", "4", "5"], -1, [4, 5]),
        (["-1.0", "4", "5"], "-1", [4, 5]),
        (["not rated", "4", "5"], "not rated", [4, 5]),
        (["99", "4", "-1"], [99, -1], [4]),
        (["99", "?", "5"], ["99", "?"], [5]),
        (["", "4", "5"], "", [4, 5]),
    ],
)
def test_missing_values_are_left_out_and_counted(written, missing, left):
    got, ratings = values(written, missing=missing)
    assert got == left
    assert sum(ratings.report.left_out.values()) == len(written) - len(left)
    assert not ratings.report.bad_rows
    assert ratings.report.rows_read == len(written)


def test_missing_values_of_a_wide_table():
    table = io.StringIO("user,tea,jam\nann,99,5\nbob,3,-1\n")
    ratings = read(table, wide=True, missing=[99, -1])
    assert sorted(ratings.to_frame().rows()) == [("ann", "jam", 5.0), ("bob", "tea", 3.0)]


@pytest.mark.parametrize("missing", [True, object(), [None], {"a": 1}])
def test_missing_values_of_another_type_are_refused(missing):
    with pytest.raises(OptionError, match="missing must be"):
        values(["1"], missing=missing)


def ratings_of(numbers):
    n = len(numbers)
    return check({"user": np.arange(n) % 7, "item": np.arange(n) // 7, "rating": numbers})


@pytest.mark.parametrize(
    ("scale", "apart", "says"),
    [
        (range(1, 11), [-1], "missing=-1"),
        (range(6), [-1], "missing=-1"),
        (np.arange(2, 11) / 2, [0], "missing=0"),
        (range(1, 6), [99], "missing=99"),
        (range(1, 6), [999], "missing=999"),
        (np.linspace(-10, 10, 50), [99], "missing=99"),
        (range(1, 6), [-1, 99], r"missing=\[-1, 99\]"),
        (range(1, 11), [0] * 9, "missing=0"),
    ],
)
def test_the_doctor_names_values_that_stand_apart(scale, apart, says):
    found = ratings_of([*scale, *scale, *apart])["missing"]
    assert found.severity == "warning"
    assert re.search(says, found.do)


@pytest.mark.parametrize("scale", [[1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [-1, 1], [-1, 0, 1], [-2, -1, 0, 1, 2], [0, 1]])
def test_the_doctor_takes_no_scale_for_missing_values(scale):
    assert "missing" not in ratings_of([*scale, *scale, *scale])
