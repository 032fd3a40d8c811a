"""Columns: names and values decide together which column is what; what is not clear is asked; the report says all."""

import io
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.data.reading.columns import _Columns, _fits, choose_columns, fields_of_kind, position_of
from palate.data.reading.looks import Column
from palate.errors import DataError, OptionError


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


# ---- columns without names, one by one


def taken(*columns, **options):
    """Field -> position of its column, in a file without a header."""
    found = read(table(*zip(*columns, strict=True)), **{"on_bad_rows": "report", **options}).report.columns
    return {field: int(name.removeprefix("column_")) - 1 for field, name in found.items()}


SMALL = np.arange(N) % 7
FEW = ITEMS * 100_003  # neither counts nor times


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ((USERS, ITEMS, STARS, SMALL * 1000), {}, {"user": 0, "item": 1, "rating": 2, "time": 3}),
        ((USERS, ITEMS, STARS, SMALL + 0.5), {"rating": 2}, {"user": 0, "item": 1, "rating": 2}),
        ((USERS, ITEMS, STARS, SMALL * 1000), {"time": False}, {"user": 0, "item": 1, "rating": 2}),
        ((USERS, ITEMS, STARS, SECONDS), {"time": 2, "rating": 3}, {"user": 0, "item": 1, "rating": 3, "time": 2}),
        ((STARS, USERS, ITEMS), {"rating": 0}, {"rating": 0, "user": 1, "item": 2}),
        ((USERS, ITEMS, STARS), {"user": 1}, {"item": 0, "user": 1, "rating": 2}),
        ((USERS, ITEMS, STARS), {"item": -3, "user": -2}, {"item": 0, "user": 1, "rating": 2}),
        ((USERS, ITEMS), {"kind": "implicit"}, {"user": 0, "item": 1}),
        ((USERS, ITEMS, SMALL + 1), {"kind": "implicit"}, {"user": 0, "item": 1, "count": 2}),
        ((USERS, ITEMS, SMALL * 1000 + 1), {"kind": "implicit"}, {"user": 0, "item": 1, "count": 2}),
        ((USERS, ITEMS, SECONDS), {"kind": "implicit"}, {"user": 0, "item": 1, "time": 2}),
        ((USERS, ITEMS, SMALL + 1, SECONDS), {"kind": "implicit"}, {"user": 0, "item": 1, "count": 2, "time": 3}),
        ((USERS, ITEMS, SECONDS, SMALL + 1), {"kind": "implicit"}, {"user": 0, "item": 1, "count": 3, "time": 2}),
        ((USERS, ITEMS, FEW), {"kind": "implicit", "weight": 2}, {"user": 0, "item": 1, "count": 2}),
    ],
)
def test_columns_without_names(columns, options, expected):
    assert taken(*columns, **options) == expected


def test_a_third_column_of_times_is_no_rating():
    with pytest.raises(DataError, match="no column found for rating"):
        taken(USERS, ITEMS * 100, SECONDS)


@pytest.mark.parametrize("at", [3, -4])
def test_a_position_that_is_not_there_is_refused(at):
    with pytest.raises(DataError, match="there is no column"):
        taken(USERS, ITEMS, STARS, user=at)


@pytest.mark.parametrize("at", [True, 1.0, ["user"]])
def test_what_is_no_position_is_refused(at):
    with pytest.raises(OptionError, match="a column's name or position"):
        taken(USERS, ITEMS, STARS, user=at)


def test_one_column_cannot_be_two_things():
    for options in ({"user": 0, "item": 0}, {"item": 1, "rating": 1}):
        with pytest.raises(DataError, match=r"taken for both .*and"):
            taken(USERS, ITEMS, STARS, **options)


# ---- columns with names, one by one


def columns_of(names, rows, **options):
    return read(table(names.split(), *rows), **options).report.columns


def test_a_name_earlier_in_the_list_comes_before_a_later_one():
    rows = [("a", "x", "m", 5, 5), ("b", "y", "n", 4, 4)]
    found = columns_of("customer user movie score rating", rows)
    assert found == {"user": "user", "item": "movie", "rating": "rating"}
    with pytest.raises(DataError, match="both 'rating' and 'score' may be the ratings, and they differ"):
        columns_of("user movie score rating", [(*row[1:4], row[4] - 1) for row in rows])


def test_two_columns_of_one_name_are_asked_about():
    text = table(("user", "item", "rating", "rating"), ("a", "x", 5, 1), ("b", "y", 4, 2))
    with pytest.raises(DataError, match=r"2 columns are called 'rating'.*rating=2"):
        read(text)
    assert read(text, rating=3).values.tolist() == [1, 2]
    with pytest.raises(DataError, match=r"2 columns are called 'rating'"):
        read(text, rating="rating")


def test_times_and_weights_are_taken_only_if_they_fit():
    rows = [("a", "x", 5, "soon", "heavy"), ("b", "y", 4, "late", "light")]
    assert columns_of("user item rating time weight", rows) == {"user": "user", "item": "item", "rating": "rating"}
    rows = [("a", "x", 5, 7, 2), ("b", "y", 4, 8, 3)]
    assert columns_of("user item rating time weight", rows)["weight"] == "weight"
    assert columns_of("user item rating time weight", rows)["time"] == "time"
    assert "weight" not in columns_of("user item rating time weight", rows, weight=False)
    assert "time" not in columns_of("user item rating time weight", rows, time=False)


def test_flags_are_ratings_only_if_their_values_are():
    rows = [("a", "x", 1), ("b", "y", 0), ("a", "y", 1)]
    assert columns_of("user item liked", rows) == {"user": "user", "item": "item", "rating": "liked"}
    with pytest.raises(DataError, match="no column found for rating"):
        columns_of("user item liked", [(user, item, 100 + flag) for user, item, flag in rows])


def test_what_items_weigh_differs_between_items_that_stand_several_times():
    same = [("a", "x", 5, 2), ("b", "x", 4, 2), ("b", "y", 4, 2)]
    assert "weight" in columns_of("user item rating weight", same)  # all alike
    once = [("a", "x", 5, 2), ("b", "y", 4, 3)]
    assert "weight" in columns_of("user item rating weight", once)
    of_item = [("a", "x", 5, 2), ("b", "x", 4, 2), ("b", "y", 4, 3)]
    assert "weight" not in columns_of("user item rating weight", of_item)
    of_row = [("a", "x", 5, 2), ("b", "x", 4, 1), ("b", "y", 4, 3)]
    assert "weight" in columns_of("user item rating weight", of_row)


def test_advice_goes_with_what_is_missing():
    with pytest.raises(DataError, match="pass wide=True"):
        columns_of("user a b", [("ann", 1, 2), ("bob", 2, 3)])
    with pytest.raises(DataError) as told:
        columns_of("user a", [("ann", 1), ("bob", 2)])
    assert "wide" not in str(told.value)
    with pytest.raises(DataError, match=r"'plays' says how often.*rating='plays'"):
        columns_of("user item plays", [("ann", "x", 2), ("bob", "y", 30)])


def test_a_third_column_of_an_array_is_the_rating_and_for_choices_the_time_if_it_can_be():
    array = np.column_stack([USERS, ITEMS, SECONDS])
    assert set(palate.read(array).values.tolist()) <= set(SECONDS.astype(np.float32).tolist())
    choices = palate.read(array, kind="implicit")
    assert set(choices.times.tolist()) <= set(SECONDS.tolist())
    assert choices.report.columns == {"user": "column_1", "item": "column_2", "time": "column_3"}
    assert palate.read(np.column_stack([USERS, ITEMS, STARS]), kind="implicit").report.columns["count"] == "column_3"


# ---- one decision at a time


def chosen(kind="explicit", given=(), **columns):
    """{field: name of its column} of a table with these values."""
    names = list(columns)
    given = {**dict.fromkeys(("user", "item", "rating", "time", "weight")), **dict(given)}

    def sample(at):
        return pl.Series(names[at], columns[names[at]])

    found = choose_columns(names, given, named=True, source="it", sample=sample, kind=kind)
    return {field: names[at] for field, at in found.at.items()}


PAIRS = {"user": ["a", "b", "a", "c"], "item": ["x", "x", "y", "z"]}
TIMES = [1_400_000_000, 1_400_000_100, 1_450_000_000, 1_460_000_000]


def test_a_weight_may_look_like_a_time_and_a_rating_may_not():
    for field, values, fits in (
        ("rating", TIMES, False), ("weight", TIMES, True), ("count", TIMES, False), ("rating", ["2020-01-01"], False),
        ("weight", ["2020-01-01"], False), ("rating", [1, 2, 3, 4], True), ("rating", ["4,5", "3", "2,5"], True),
        ("rating", ["good", "bad"], False), ("weight", ["good", "bad"], False), ("rating", [[1], [2]], False),
        ("time", TIMES, True), ("time", ["2020-01-01"], True), ("time", [3, 4], True), ("time", [None, ""], True),
        ("time", ["12:30", "9:15"], False), ("time", ["good", "bad"], False), ("user", ["ann", "bob"], True),
        ("user", ["a text that goes on and on " * 3], False), ("item", ["a text that goes on and on " * 3], True),
    ):  # fmt: skip
        assert _fits(Column("x", pl.Series("x", values)), field) == fits, (field, values)
    assert chosen(**PAIRS, rating=[1, 2, 3, 4], weight=TIMES)["weight"] == "weight"


def test_a_weight_that_each_item_has_one_of_is_what_the_item_weighs():
    stars = [1, 2, 3, 4]
    assert "weight" not in chosen(**PAIRS, rating=stars, weight=[5, 5, 7, 9])
    assert "weight" in chosen(**PAIRS, rating=stars, weight=[5, 6, 7, 9])  # item x has two
    assert "weight" in chosen(**PAIRS, rating=stars, weight=[5, 5, 5, 5])  # the same everywhere
    assert "weight" in chosen(**PAIRS | {"item": ["x", "y", "z", "w"]}, rating=stars, weight=[5, 5, 7, 9])
    assert "weight" in chosen(**PAIRS, rating=stars, weight=[5, 5, 7, 9], given={"weight": "weight"})


def test_the_first_row_is_shown_with_at_most_twenty_columns():
    for n in (1, 19, 20, 21):
        columns = _Columns([f"c{at}" for at in range(n)], lambda at: pl.Series([f"v{at}"]))
        shown = ", ".join(f"{at}: 'v{at}'" for at in range(min(n, 20)))
        assert columns.first_row == shown + (", ..." if n == 21 else "")
    values = [[None, "v"], [], ["x" * 30, None], ["y" * 31]]
    odd = _Columns(["a", "b", "c", "d"], lambda at: pl.Series(values[at], dtype=pl.String))
    assert odd.first_row == f"0: '', 1: '', 2: '{'x' * 30}', 3: '{'y' * 27}...'"


def test_a_position_counts_from_either_end():
    names = ["a", "b", "c"]
    assert [position_of(names, "user", at, "it") for at in (0, 2, -1, -3, "b")] == [0, 2, 2, 0, 1]
    for column in (3, -4, "d"):
        with pytest.raises(DataError, match=rf"no column {column!r} for user="):
            position_of(names, "user", column, "it")
    for column in (True, 1.0, ["a"]):
        with pytest.raises(OptionError, match="give a column's name or position"):
            position_of(names, "user", column, "it")


# ---- tables that may be of items


@pytest.mark.parametrize(
    ("users", "items", "is_refused"),
    [([5, 7], ["x", "y"], True), ([5, 7, 5], ["x", "y", "z"], True), ([5], ["x"], False),
     ([5, 7, 5], ["x", "y", "x"], False),
     (["5a", "7b"], ["x", "y"], False)],
)  # fmt: skip
def test_users_may_be_how_many_an_item_has(users, items, is_refused):
    columns = {"users": users, "item": items, "rating": [3] * len(users)}
    if is_refused:
        with pytest.raises(DataError, match="'users' may be how many users it has"):
            palate.read(columns)
    else:
        palate.read(columns)
    assert palate.read(columns, user="users").n_items == len(set(items))


@pytest.mark.parametrize(
    ("authors", "items", "is_refused"),
    [(["a", "b"], ["x", "y"], True), (["a"], ["x"], False), (["a", "b", "b"], ["x", "x", "y"], False),
     (["a", "a", "b"], ["x", "x", "y"], True)],
)  # fmt: skip
def test_an_author_may_be_who_made_the_item(authors, items, is_refused):
    columns = {"author": authors, "item": items, "rating": [3, 4, 5][: len(items)]}
    options = {"duplicates": "last"}
    if is_refused:
        with pytest.raises(DataError, match="'author' may be who made an item"):
            palate.read(columns, **options)
    else:
        palate.read(columns, **options)
    assert palate.read(columns, user="author", **options).n_users == len(set(authors))


# ---- options, and columns without names, value by value


def test_choices_have_a_count_that_rating_or_weight_names():
    def count(rating, weight):
        return fields_of_kind({"user": 0, "item": 1, "rating": rating, "weight": weight, "time": None}, "implicit")[
            "count"
        ]

    found = {(rating, weight): count(rating, weight) for rating in (None, False, "r") for weight in (None, False)}
    assert found == {
        (None, None): None, (None, False): False, (False, None): False, (False, False): False, ("r", None): "r",
        ("r", False): "r",
    }  # fmt: skip
    assert [count(rating, 0) for rating in (None, False)] == [0, 0]
    with pytest.raises(OptionError, match="both name the column of counts"):
        count(0, 1)
    given = {"user": 0, "rating": 1, "weight": 2}
    assert fields_of_kind(given, "explicit") is given


def test_beside_how_many_were_bought_a_value_is_a_price():
    numbers = {"value": [5, 7, 5, 9], "quantity": [1, 2, 1, 3]}
    assert chosen(**PAIRS, value=[5, 4, 5, 3])["rating"] == "value"
    with pytest.raises(DataError, match="'quantity' says how often"):
        chosen(**PAIRS, **numbers)
    assert chosen(**PAIRS, **numbers, stars=[1, 2, 3, 4])["rating"] == "stars"
    assert chosen("implicit", **PAIRS, **numbers)["count"] == "quantity"
    assert chosen(**PAIRS | {"values": ["x", "x", "y", "z"]}, **numbers, stars=[1, 2, 3, 4])["item"] == "item"


def test_an_id_is_taken_before_a_name_unless_it_numbers_the_rows():
    users, stars = {"user": ["a", "b", "a", "c"]}, {"rating": [1, 2, 3, 4]}

    def item(track, track_id):
        return chosen(**users, **stars, track=track, track_id=track_id)["item"]

    same = ["x", "y", "x", "y"]
    assert item(same, [1, 2, 1, 3]) == "track_id"  # two are called alike
    assert item(same, [1, 2, 3, 4]) == "track"
    assert item(["w", "x", "y", "z"], [1, 2, 3, 4]) == "track_id"
    assert item(["w", "x", "y", "z"], [1, 2, 1, 2]) == "track_id"
    assert item(same, [1, 2, 3, None]) == "track"
    assert chosen(**users, **stars, id_produit=[1, 2, 1, 3], produit=same)["item"] == "id_produit"


def placed(*columns, kind="explicit", given=(), **options):
    """{field: position} of columns without names."""
    given = {**dict.fromkeys(("user", "item", "rating", "time", "weight")), **dict(given)}
    names = [f"column_{at + 1}" for at in range(len(columns))]

    def sample(at):
        return pl.Series(names[at], columns[at])

    return choose_columns(names, given, named=False, source="it", sample=sample, kind=kind, **options).at


WHO, WHAT = ["a", "b", "a", "c", "b"], ["x", "x", "y", "z", "z"]
LARGE = [200, 300, 200, 300, 400]


def test_whole_numbers_all_above_a_hundred_are_no_ratings():
    assert placed(WHO, WHAT, [100, 300, 200, 300, 400]) == {"user": 0, "item": 1, "rating": 2}
    with pytest.raises(DataError, match="column 2 has other numbers than ratings are"):
        placed(WHO, WHAT, [101, 300, 200, 300, 400])
    assert placed(WHO, WHAT, [101.5, 300, 200, 300, 400])["rating"] == 2
    assert placed(WHO, WHAT, LARGE, is_ordered=True)["rating"] == 2


def test_columns_without_names_are_taken_up_to_four():
    stars, late = [1, 2, 3, 4, 5], [10**9 + at for at in range(5)]
    assert placed(WHO, WHAT, stars, late) == {"user": 0, "item": 1, "rating": 2, "time": 3}
    assert placed(WHO, WHAT, late, stars) == {"user": 0, "item": 1, "rating": 3, "time": 2}
    assert placed(WHO, WHAT, stars, late, given={"time": False}) == {"user": 0, "item": 1, "rating": 2}
    assert placed(WHO, WHAT, stars, [7, 8, 9, 10, 1000]) == {"user": 0, "item": 1, "rating": 2, "time": 3}
    assert placed(WHO, WHAT, stars, [7.5, 8, 9, 10, 1000]) == {"user": 0, "item": 1, "rating": 2}
    for five in ({"user": 0}, {}, {"user": 0, "item": 1}):
        with pytest.raises(DataError, match="it has 5 columns"):
            placed(WHO, WHAT, stars, late, WHO, given=five)
    named = {"user": 0, "item": 1, "rating": 2}
    assert placed(WHO, WHAT, stars, late, WHO, given=named) == named
    assert placed(WHO, WHAT, LARGE, kind="implicit") == {"user": 0, "item": 1, "count": 2}
    assert placed(WHO, WHAT, late, kind="implicit") == {"user": 0, "item": 1, "time": 2}
    with pytest.raises(DataError, match="column 2 is neither a count nor a time"):
        placed(WHO, WHAT, [5001, 6000, 6000, 7000, 8000], kind="implicit")
    assert placed(WHO, WHAT, [5001, 6000, 6000, 7000, 8000], kind="implicit", given={"weight": 2})["count"] == 2
    with pytest.raises(DataError, match="columns 2 and 3 can both be the rating"):
        placed(WHO, WHAT, stars, stars)


def test_dates_are_no_users_or_items_nor_are_times_that_hardly_repeat():
    stars, days = [1, 2, 3, 4, 5], ["2020-01-01", "2020-01-01", "2020-01-02", "2020-01-03", "2020-01-03"]
    for columns, at in (((days, WHAT, stars), 0), ((WHO, days, stars), 1)):
        with pytest.raises(DataError, match=f"column {at} has times"):
            placed(*columns)
    late = [10**9, 10**9, 10**9 + 1, 10**9 + 1, 10**9 + 2]  # three of five
    with pytest.raises(DataError, match="column 0 has times"):
        placed(late, WHAT, stars)
    assert placed(late[:4], WHAT[:4], stars[:4])["user"] == 0  # few rows tell nothing
    assert placed([10**9, 10**9, 10**9, 10**9 + 1, 10**9 + 1], WHAT, stars)["user"] == 0
    assert placed([10**9, 10**9, 10**9 + 1] * 2, [*WHAT, "w"], [*stars, 1])["user"] == 0
    assert placed(days, WHAT, stars, given={"user": 0}) == placed(days, WHAT, stars, is_ordered=True)


def test_a_column_before_the_rating_that_is_not_used_may_be_ids():
    stars = [7.5, 2, 3, 2, 5]
    with pytest.raises(DataError, match="column 2 may be the users or the items too"):
        placed(WHO, WHAT, ["p", "q", "p", "q", "q"], stars)
    assert placed(WHO, WHAT, ["p"] * 5, stars) == {"user": 0, "item": 1, "rating": 3}
    assert placed(WHO, WHAT, stars, ["p", "q", "p", "q", "q"]) == {"user": 0, "item": 1, "rating": 2}


def test_the_ids_of_amazon_turn_users_and_items_only_together():
    items, reviewers = (
        ["B00004TNWD", "043902348X", "B00004TNWD"],
        ["A2ILVLPLA72IDZ", "A3NBBBBBBBBBBB", "A3NBBBBBBBBBBB"],
    )
    stars, other = [5, 4, 3], ["p", "q", "p"]
    assert placed(items, reviewers, stars) == {"item": 0, "user": 1, "rating": 2}
    for columns in ((reviewers, items, stars), (items, other, stars), (other, reviewers, stars)):
        assert placed(*columns) == {"user": 0, "item": 1, "rating": 2}
    assert placed(items, reviewers, stars, given={"item": 1})["user"] == 0


def test_lines_of_one_field_get_advice():
    for name, told in (
        ("a,b", "stands in quotes"), ("a|b", "stands in quotes"), ("a^b", r"separator='\^'"), ("a b-c", None)
    ):  # fmt: skip
        with pytest.raises(DataError) as error:
            choose_columns([name], dict.fromkeys(("user", "item", "rating", "time", "weight")), named=True, source="it",
                           sample=lambda _: pl.Series(["x"]))  # fmt: skip
        assert (re.search(told, str(error.value)) if told else "no column found" in str(error.value)) is not None
