"""Columns: names and values decide together which column is what; what is not clear is asked; the report says all."""

import io
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data.reading.looks import Column
from palate.errors import DataError


def read(text, **options):
    return palate.read(io.BytesIO(text.encode()), **options)


def table(*rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


RNG = np.random.default_rng(0)
N = 60
USERS, ITEMS = RNG.integers(1000, 1040, N), RNG.integers(1, 30, N)
STARS, SECONDS = RNG.integers(1, 6, N), RNG.integers(1_400_000_000, 1_500_000_000, N)


# ---- what values look like


@pytest.mark.parametrize(
    ("values", "look"),
    [
        (["", None, "NA"], "no values"),
        (["0", "1", "2", "3"], "row numbers"),
        ([7, 8, 7, 9, 7], "numbers of a scale"),
        (SECONDS, "times"),
        (SECONDS * 1000, "times"),
        (["2020-01-01", "2021-12-31 10:00"], "times"),
        (["07.11.1997", "31.12.1997"], "times"),
        (["Sun Nov 29 05:36:31 2026", "12 Jan 2020"], "times"),
        (["true", "False"], "yes or no"),
        ([0, 1, 1, 0], "yes or no"),
        (["48.85661", "2.352219"], "coordinates"),
        ([0.5, 3.25, 7.75, 9.125], "numbers with fractions"),
        ([81234, 999123, 71253, 81234], "whole numbers or ids"),
        (["a text of one that goes on and on, " * 3, "another one of that kind, " * 3], "texts"),
        (["https://example.org/1", "https://example.org/2"], "links"),
        (["ann", "bob", "cid", "dan"], "names or ids"),
        (["Drama", "Comedy"] * 10, "categories"),
        (["de"] * 5, "always 'de'"),
        ([[1, 2], [3]], "lists"),
    ],
)
def test_looks(values, look):
    assert Column("x", pl.Series("x", values)).look == look


# ---- columns with names


def test_the_report_says_what_was_taken_and_what_was_not():
    rows = [(at, u, i, s, "2020-01-01", "x") for at, (u, i, s) in enumerate(zip(USERS, ITEMS, STARS, strict=True))]
    report = read(table(("", "userId", "asin", "overall", "when", "state"), *rows), duplicates="last").report
    assert report.columns == {"user": "userId", "item": "asin", "rating": "overall"}
    assert report.unused == {"": "row numbers", "when": "times", "state": "always 'x'"}
    assert report.how["separator"] == '","'
    assert report.how["header"] == "yes"
    assert "not used: '' (row numbers), when (times?)" in report.taken
    assert "user = userId, item = asin, rating = overall" in report.taken


def test_a_reader_comes_before_an_author():
    ratings = read(
        table(("author", "reader", "book", "stars"), ("Herbert", "ann", "Dune", 5), ("King", "bob", "It", 4))
    )
    assert list(ratings.user_vocabulary) == ["ann", "bob"]


def test_an_author_of_each_item_is_no_user():
    books = table(("author", "title", "book", "stars"), ("Herbert", "Dune", 1, 5), ("King", "It", 2, 4))
    with pytest.raises(DataError, match=r"'author' may be who made an item.*user='author'"):
        read(books)
    assert read(books, user="author").n_users == 2
    reviews = table(("author", "book", "stars"), ("ann", 1, 5), ("bob", 1, 4), ("ann", 2, 4))
    assert list(read(reviews).user_vocabulary) == ["ann", "bob"]


def test_what_items_weigh_is_no_weight_of_ratings():
    rows = [("ann", "tea", 5, 0.2), ("bob", "tea", 4, 0.2), ("ann", "jam", 3, 0.5), ("bob", "jam", 1, 0.5)]
    ratings = read(table(("user", "item", "rating", "weight"), *rows))
    assert ratings.weights is None
    assert ratings.report.unused == {"weight": "numbers with fractions"}
    assert read(table(("user", "item", "rating", "weight"), *rows), weight="weight").weights is not None
    own = [(*row[:3], weight) for row, weight in zip(rows, (1, 2, 3, 1), strict=True)]
    assert read(table(("user", "item", "rating", "weight"), *own)).weights.tolist() == [1, 2, 3, 1]


def test_a_column_that_cannot_be_what_its_name_says_is_passed_over():
    rows = [("ann", "tea", "a score of the kitchen", 5), ("bob", "tea", "another", 4)]
    ratings = read(table(("user", "item", "rating", "stars"), *rows))
    assert ratings.values.tolist() == [5, 4]
    assert ratings.report.columns["rating"] == "stars"
    rows = [("2020-01-02", "ann", "tea", 5), ("2020-01-03", "bob", "jam", 4)]
    moments = palate.read(
        pl.DataFrame(rows, schema=["user", "username", "item", "rating"], orient="row").with_columns(
            pl.col("user").str.to_date()
        )
    )
    assert list(moments.user_vocabulary) == ["ann", "bob"]


def test_a_column_of_its_name_alone_is_taken_and_its_values_are_bad_rows():
    with pytest.raises(DataError, match="the rating is not a number"):
        read(table(("user", "item", "rating"), ("ann", "tea", "quite good"), ("bob", "tea", "not so")))


# ---- columns without names


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 1, 2, 3), (0, 1, 3, 2)])
def test_a_rating_and_a_time_are_told_by_their_values(order):
    columns = (USERS, ITEMS, STARS, SECONDS)
    ratings = read(table(*zip(*(columns[at] for at in order), strict=True)))
    names = {at: f"column_{place + 1}" for place, at in enumerate(order)}
    expected = {"user": names[0], "item": names[1], "rating": names[2]} | ({"time": names[3]} if 3 in order else {})
    assert ratings.report.columns == expected
    assert set(ratings.values) <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("columns", "kind", "why"),
    [
        ((USERS, ITEMS, STARS, STARS[::-1]), "explicit", "columns 2 and 3 can both be the rating"),
        ((USERS, ITEMS, STARS, SECONDS, STARS), "explicit", "it has 5 columns"),
        ((STARS, USERS, SECONDS + ITEMS), "explicit", "column 0 looks like the rating"),
        ((USERS, ITEMS, ITEMS * 100_003), "implicit", "column 2 is neither a count nor a time"),
        ((USERS, ITEMS, ITEMS, STARS, SECONDS), "implicit", "it has 5 columns"),
    ],
)
def test_what_is_not_clear_is_asked(columns, kind, why):
    with pytest.raises(DataError) as caught:
        read(table(*zip(*columns, strict=True)), kind=kind)
    assert why in str(caught.value)
    first = ", ".join(f"{at}: '{column[0]}'" for at, column in enumerate(columns))
    assert first in str(caught.value)
    assert re.search(r"for instance user=0, item=1", str(caught.value))


def test_whoever_says_which_is_which_is_believed():
    rows = table(*zip(USERS, ITEMS, STARS, SECONDS, STARS, strict=True))
    ratings = read(rows, user=1, item=0, rating=4)
    assert set(map(int, ratings.user_vocabulary)) == set(ITEMS.tolist())
    assert ratings.times is None
    assert read(rows, user=1, item=0, rating=4, time=3).times is not None


def test_arrays_stand_in_their_documented_order():
    array = np.column_stack([USERS, ITEMS, STARS, np.arange(N)])
    assert palate.read(array).times is not None


def test_amazon_has_items_first():
    rows = [("B00004TNWD", "A2ILVLPLA72IDZ", 5.0, 1_400_000_000), ("0439023480", "A3NBBBBBBBBBBB", 3.0, 1_400_000_001)]
    ratings = read(table(*rows))
    assert ratings.report.columns["user"] == "column_2"
    assert "A2ILVLPLA72IDZ" in ratings.user_vocabulary


@given(st.permutations(range(4)), st.integers(1, 2**31))
def test_named_columns_in_any_order_give_the_same(order, seed):
    rng = np.random.default_rng(seed)
    names = ["user", "item", "rating", "timestamp"]
    rows = [
        (f"u{u}", f"i{i}", int(r), int(t))
        for u, i, r, t in zip(USERS, ITEMS, rng.integers(1, 6, N), SECONDS, strict=True)
    ]
    straight = read(table(names, *rows), duplicates="last").to_frame()
    turned = read(
        table([names[at] for at in order], *([row[at] for at in order] for row in rows)), duplicates="last"
    ).to_frame()
    assert straight.equals(turned)


def test_names_that_nobody_gave_are_not_shown(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("ann,tea,1580000000\nann,jam,1580000001\nbob,tea,1580000002\n")
    with pytest.raises(DataError, match=r"3 columns without names: say which by position, from 0 to 2"):
        palate.read(path)
    with pytest.raises(DataError, match=r"no column 'stars'.*3 columns without names"):
        palate.read(path, rating="stars", header=False)
