"""Exploding: lists of items become rows, with what belongs to them, and lists of anything else stay as they are."""

from dataclasses import replace

import polars as pl
import pytest

from palate.data.reading.exploding import exploded
from palate.data.reading.frames import table_of
from palate.errors import DataError

GIVEN = dict.fromkeys(("user", "item", "rating", "time", "weight"))
LISTS = {"user": ["ann", "bob", "cid", "dan"], "movies": [["tea", "jam"], [], None, ["egg"]]}


def contents(table):
    return {name: table.column(at).to_list() for at, name in enumerate(table.names)}


def rows_of(columns, **given):
    return exploded(table_of(columns), GIVEN | given)


def is_unchanged(columns, **given):
    table = table_of(columns)
    return exploded(table, GIVEN | given) is table


def test_each_item_of_a_list_becomes_a_row():
    table = rows_of(LISTS)
    assert contents(table) == {"user": ["ann", "ann", "dan"], "movie": ["tea", "jam", "egg"]}
    assert table.height == 3
    assert table.how == {"lists": "of movies, a row for each item"}
    assert [table.where(row) for row in range(3)] == ["row 0 (from 0)", "row 0 (from 0)", "row 3 (from 0)"]
    assert table.reasons == {}
    assert [table.label(at).to_list() for at in (0, 1)] == [["ann", "ann", "dan"], ["tea", "jam", "egg"]]


def test_what_is_said_of_a_row_is_said_of_each_of_its_items():
    table = replace(table_of(LISTS), reasons={0: "odd", 1: "none"}, where="line {}".format, how={"sheet": "x"})
    made = exploded(table, GIVEN)
    assert made.reasons == {0: "odd", 1: "odd"}
    assert [made.where(row) for row in (1, 2)] == ["line 0", "line 3"]
    assert made.how == {"sheet": "x", "lists": "of movies, a row for each item"}


@pytest.mark.parametrize("name", ["ratings", "scores", "counts", "timestamps", "weights", "rating"])
def test_lists_of_ratings_and_the_like_go_in_step(name):
    table = rows_of(LISTS | {name: [[5, 4], [], [], [3]]})
    assert contents(table)[table.names[2]] == [5, 4, 3]


def test_other_lists_stay_lists():
    tags = [["a"], [], None, ["b", "c"]]
    assert contents(rows_of(LISTS | {"tags": tags}))["tags"] == [["a"], ["a"], ["b", "c"]]
    assert contents(rows_of(LISTS | {"users": [["x"]] * 4}))["users"] == [["x"]] * 3


@pytest.mark.parametrize("rating", ["said", 2])
def test_lists_that_the_caller_names_go_in_step(rating):
    table = rows_of(LISTS | {"said": [[5, 4], [], None, [3]]}, rating=rating)
    assert contents(table)["said"] == [5, 4, 3]


def test_a_list_in_the_first_column_can_be_named_by_its_position():
    columns = {"said": [[5, 4], [3]], "user": ["ann", "bob"], "movies": [["tea", "jam"], ["egg"]]}
    assert contents(rows_of(columns, rating=0))["said"] == [5, 4, 3]
    assert contents(rows_of(columns, rating=1))["said"] == [[5, 4], [5, 4], [3]]
    assert contents(rows_of(columns, time=False))["said"] == [[5, 4], [5, 4], [3]]


def test_names_become_singular_where_only_that_is_common():
    columns = {"users": ["ann"], "movie_ids": [["tea"]], "score": [[5]]}
    assert rows_of(columns).names == ["users", "movie_id", "score"]
    assert rows_of(columns, item="movie_ids").names == ["users", "movie_ids", "score"]
    assert rows_of({"who": ["ann"], "things": [["tea"]]}, item=1).names == ["who", "things"]


def test_lists_of_one_row_need_one_length():
    with pytest.raises(DataError, match=r"row 3 \(from 0\): 1 items, and 2 values of 'ratings'"):
        rows_of(LISTS | {"ratings": [[5, 4], [], None, [3, 3]]})
    with pytest.raises(DataError, match=r"row 2 \(from 0\): 0 items, and 1 values of 'ratings'"):
        rows_of(LISTS | {"ratings": [[5, 4], [], [1], [3]]})


def test_records_become_columns():
    columns = {
        "user": ["ann", "bob", "cid"],
        "liked": [[{"item": "tea", "rating": 5, "user": 1}, {"item": "jam", "rating": 3, "user": 2}], [], None],
        "ratings": [[1], [], [2, 3]],
    }
    table = rows_of(columns)
    assert table.names == ["user", "liked", "ratings", "item", "rating", "liked.user"]
    assert {name: contents(table)[name] for name in ("user", "item", "rating", "liked.user", "ratings")} == {
        "user": ["ann", "ann"],
        "item": ["tea", "jam"],
        "rating": [5, 3],
        "liked.user": [1, 2],
        "ratings": [[1], [1]],
    }
    assert table.how == {"lists": "of liked, a row for each item"}


def test_records_beside_a_list_of_items_stay():
    columns = {"user": ["ann"], "movies": [["tea", "jam"]], "ratings": [[{"when": 1}]]}
    assert contents(rows_of(columns))["ratings"] == [[{"when": 1}]] * 2


def test_arrays_of_one_length_are_lists():
    frame = pl.DataFrame({"user": ["ann", "bob"], "movies": [["tea", "jam"], ["egg", "tea"]]})
    frame = frame.with_columns(pl.col("movies").cast(pl.Array(pl.String, 2)))
    assert contents(rows_of(frame)) == {"user": ["ann"] * 2 + ["bob"] * 2, "movie": ["tea", "jam", "egg", "tea"]}


def test_a_table_with_items_of_its_own_stays_as_it_is():
    assert is_unchanged({"user": ["ann"], "item": ["tea"]})
    assert is_unchanged(LISTS | {"item": ["tea"] * 4})
    assert is_unchanged(LISTS | {"thing": ["tea"] * 4}, item="thing")
    assert is_unchanged((["ann", "bob"], [["tea"], ["jam"]]))  # without names


def test_records_with_items_are_taken_where_the_caller_names_what_is_in_them():
    columns = {"user": ["ann"], "liked": [[{"item": "tea", "thing": 7}]], "thing": ["x"]}
    assert contents(rows_of(columns, item="thing"))["item"] == ["tea"]
    assert contents(rows_of(columns, item=2))["item"] == ["tea"]


def test_lists_that_may_be_the_items_are_asked_about():
    with pytest.raises(DataError, match=r"no column found for item, and lists in 'things' and 'tags'\..*item='things'"):
        rows_of({"user": ["ann"], "things": [["tea"]], "tags": [["x"]]})
    with pytest.raises(DataError, match=r"lists in 'movies' and 'books'\..*item='movies'"):
        rows_of({"user": ["ann"], "tags": [["x"]], "movies": [["tea"]], "books": [["x"]]})
    assert contents(rows_of({"user": ["ann"], "things": [["tea"]], "tags": [["x"]]}, item="tags"))["tags"] == ["x"]
    assert contents(rows_of({"things": [["tea"]], "tags": [["x"]]}, item=0))["things"] == ["tea"]
