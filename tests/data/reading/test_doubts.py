"""Doubts: what is asked about, and what is near it and is not, question by question."""

from typing import NamedTuple

import polars as pl
import pytest

from palate.data.reading.doubts import (
    check_distinct,
    check_named,
    check_one_person,
    check_ratings,
    check_rows,
    item_of_parts,
)
from palate.data.reading.looks import Column
from palate.errors import DataError

GIVEN = dict.fromkeys(("user", "item", "rating", "time"))


class Columns(NamedTuple):
    """The columns of a source by position."""

    names: list
    values: list

    def __getitem__(self, at):
        return Column(self.names[at], pl.Series(self.values[at]))


def columns(**values):
    return Columns(list(values), list(values.values()))


def is_asked(check, match="it"):
    """Whether a check raises, in these words."""
    try:
        check()
    except DataError as error:
        assert match in str(error), str(error)
        return True
    return False


def named(found, given=None, match="it", **chosen):
    return is_asked(lambda: check_named(found, GIVEN | (given or {}), {"user": 0, "item": 1} | chosen, "it"), match)


def rated(found, given=None, match="it", **chosen):
    chosen = {"user": 0, "item": 1, "rating": 2} | chosen
    return is_asked(lambda: check_ratings(found, GIVEN | (given or {}), chosen, "it"), match)


# ---- sources without names


@pytest.mark.parametrize(
    ("users", "items", "asked"),
    [
        (range(10), range(10), True), (range(9), range(9), False), ([0, *range(9)], range(10), False),
        (range(10), [0, *range(9)], False), ([0] * 10, [0] * 10, False), (range(11), range(11), True),
    ],
)  # fmt: skip
def test_rows_in_which_nothing_stands_twice_are_a_table(users, items, asked):
    found = Columns(["a", "b"], [list(items), list(users)])
    check = lambda: check_rows(found, {"user": 1, "item": 0}, "it")  # noqa: E731
    assert (
        is_asked(check, "in column 1 and in column 0. If these are users and items all the same, pass user=1, item=0")
        == asked
    )


# ---- two columns of ratings


def test_another_column_of_other_ratings_is_asked_about():
    found = columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], stars=[1, 3])
    assert rated(found, match="both 'rating' and 'stars' may be the ratings")
    assert not rated(found, {"rating": "rating"})
    assert not rated(columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], stars=[1, 2]))
    assert not rated(columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], notes=[1, 3]))
    assert not rated(columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], stars=["good", "bad"]))
    assert not rated(columns(u=["a", "b"], i=["x", "y"], rating=["good", "bad"], stars=[1, 3]))
    assert not rated(columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], liked=[1, 0]))  # of yes and no
    assert not rated(columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], value=[1, 3]))  # a price
    assert not rated(found, weight=3)
    assert not is_asked(lambda: check_ratings(found, GIVEN, {"user": 0, "item": 1}, "it"))
    later = columns(u=["a", "b"], i=["x", "y"], rating=[1, 2], score=[1, 2], stars=["?", "?"], grade=[7, 8])
    assert rated(later, match="both 'rating' and 'grade'")


# ---- ratings that are averages


def pairs_of(n_users, n_items):
    return [f"u{at}" for at in range(n_users) for _ in range(n_items)], [*range(n_items)] * n_users


def test_ratings_that_are_the_same_in_all_rows_of_an_item_are_asked_about():
    users, items = pairs_of(6, 4)
    ratings, prices = [item % 4 for item in items], [item + 7 for item in items]
    full = columns(u=users, i=items, rating=ratings, price=prices)
    assert rated(full, match="each item has one value of 'rating' in all its rows, as it has of 'price'")
    assert not rated(columns(u=users, i=items, rating=ratings))
    assert not rated(columns(u=users, i=items, rating=ratings, price=[7] * 24))  # what never changes says nothing
    assert not rated(columns(u=users, i=items, rating=ratings, price=[*prices[:-1], 99]))
    assert not rated(columns(u=users, i=items, rating=[*ratings[:-1], 9], price=prices))
    assert not rated(columns(u=users, i=items, rating=[item % 2 for item in items], price=prices))
    assert rated(columns(u=users, i=items, rating=[item % 3 for item in items], price=prices))
    assert rated(columns(u=users, i=items, rating=ratings, notes=[7] * 24, price=prices), match="'price'")
    assert not rated(full, time=3)
    assert not rated(columns(u=users[:-1], i=items[:-1], rating=ratings[:-1], price=prices[:-1]))  # 19 pairs more


@pytest.mark.parametrize(
    ("n_users", "n_items", "asked"), [(6, 4, True), (21, 1, False), (5, 5, True), (4, 6, False), (5, 4, False)]
)
def test_few_rows_may_agree_by_chance(n_users, n_items, asked):
    """Asked from 20 pairs more than items on; pairs that stand twice count once."""
    users, items = pairs_of(n_users, n_items)
    for times in (1, 2):
        columns_ = [[*users, *users[: 9 * (times - 1)]], [*items, *items[: 9 * (times - 1)]]]
        found = Columns(["u", "i", "rating", "price"], [*columns_, columns_[1], [item + 7 for item in columns_[1]]])
        assert rated(found) == asked


# ---- one person


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("votes", True), ("n_reviews", True), ("ratings count", True), ("users rated", True), ("users", True),
        ("Number of Ratings", True), ("work_text_reviews_count", True), ("rating", False), ("review", False),
        ("count", False),
        ("my votes", False),
    ],
)  # fmt: skip
def test_how_many_rated_an_item_is_a_sign_of_averages(name, asked):
    check = lambda given, rating: is_asked(  # noqa: E731
        lambda: check_one_person(["title", "score", name], given, rating, "it"), f"{name!r} is how many rated an item"
    )
    assert check(GIVEN, "score") == asked
    assert not check(GIVEN | {"rating": "score"}, "score")
    assert not check(GIVEN, None)
    assert not check(GIVEN, name)


def test_a_person_rates_an_item_once():
    check_distinct(["a", "b"], "me", "it")
    check_distinct([], "me", "it")
    with pytest.raises(DataError, match="item 'b' has 3 ratings"):
        check_distinct(["a", "b", "b", "c", "b", "c"], "me", "it")
    assert is_asked(lambda: check_distinct([0, 1, 1], "me", "it"), "item 1 has 2")


def test_the_finest_part_of_a_record_is_the_item():
    names = ["user", "artist", "album", "trackid", "song"]
    assert item_of_parts(names, [1, 2, 3, 4]) == [3, 4]
    assert item_of_parts(names, [1, 2]) == [2]
    assert item_of_parts(names, [1]) == [1]
    assert item_of_parts(names, []) == []


# ---- who made an item, or how many users it has


def test_who_made_an_item_is_no_user():
    made = columns(author=["a", "b", "a"], book=["x", "y", "z"])
    assert named(made, match="'author' may be who made an item")
    assert named(columns(author=["a", "b", "a", "a"], book=["x", "y", "z", "z"]))  # a row stands twice
    assert not named(made, {"user": "author"})
    assert not named(columns(author=["a", "b", "b"], book=["x", "y", "x"]))
    assert not named(columns(author=["a", "a"], book=["x", "x"]))  # one item says nothing
    assert not named(columns(reader=["a", "b", "a"], book=["x", "y", "z"]))


def test_numbers_of_users_are_no_users():
    assert named(columns(users=[5, 7], book=["x", "y"]), match="'users' may be how many users it has")
    assert not named(columns(users=[5, 7], book=["x", "y"]), {"user": 0})
    assert not named(columns(users=[5, 7, 8], book=["x", "y", "x"]))
    assert not named(columns(users=[5], book=["x"]))
    assert not named(columns(users=["ann", "bob"], book=["x", "y"]))
    assert not named(columns(user=[5, 7], book=["x", "y"]))


# ---- lists in texts


@pytest.mark.parametrize(
    ("name", "texts", "asked"),
    [
        ("items", ["tea|jam", "egg"], True), ("items", ["tea;jam"], True), ("items", ["tea,jam"], True),
        ("items", ["tea jam"], False), ("book", ["tea|jam", "egg"], False), ("book", ['["tea", "jam"]', "['egg']"],
        True),
        ("book", ["['tea']", "x"], False), ("book", ["['tea']", "x", "['jam']"], True), ("book", ["[tea]"], False),
        ("book", ["[tea,jam]"], True), ("book", [5, 7], False), ("book", [["a"], ["b"]], False),
    ],
)  # fmt: skip
def test_lists_in_texts_are_asked_about(name, texts, asked):
    found = Columns(["user", name], [["a"] * len(texts), texts])
    assert named(found, match=f"the column {name!r} has lists in its texts") == asked
    assert not named(found, {"item": name})


# ---- titles of several items


def test_titles_that_another_column_tells_apart_are_asked_about():
    titles = ["Help", "Help", "Yes"]
    assert named(columns(user=[1, 2, 3], title=titles, artist=["a", "b", "c"]), match="'Help' has several of 'artist'")
    assert named(columns(user=[1, 2, 3], title=titles, author=["a", "b", "c"]), match="different ones by 'author'")
    assert not named(columns(user=[1, 2, 3], title=titles, author=["a", "a", "c"]))
    assert not named(columns(user=[1, 2, 3], title=titles, author=["a", None, ""]))
    assert not named(columns(user=[1, 2, 3], title=titles, author=["a", "", "c"]))
    assert not named(columns(user=[1, 2, 3], title=titles, author=[None, None, None]))
    assert not named(columns(user=[1, 2, 3], title=titles, shop=["a", "b", "c"]))
    assert not named(columns(user=[1, 2, 3], title=titles, author=["a", "b", "c"]), weight=2)
    assert not named(columns(user=[1, 2, 3], title=titles, author=["a", "b", "c"]), {"item": "title"})
    assert not named(columns(user=[1, 2, 3], titleid=titles, author=["a", "b", "c"]))
    assert not named(columns(user=[1, 2, 3], book=[7, 7, 8], author=["a", "b", "c"]))
    assert named(columns(user=[1, 2, 3], album=[7, 7, 8], author=["a", "b", "c"]))
    later = columns(user=[1, 2, 3], title=titles, author=["a", "a", "c"], brand=["a", "b", "c"])
    assert named(later, match="by 'brand'")


@pytest.mark.parametrize(
    ("years", "asked"),
    [([1, 2, 3, 3], True), ([1, 2, 3, 4], False), ([1, 1, 3, 3], False)],
)
def test_a_year_is_that_of_the_item_unless_most_items_have_several(years, asked):
    """Half of two titles is not most."""
    found = columns(user=[1, 2, 3, 4], title=["Help", "Help", "Yes", "Yes"], year=years)
    assert named(found, match="different ones by 'year'") == asked


def test_a_track_beside_its_artist_is_asked_about_even_where_no_title_stands_twice():
    tracks = columns(user=[1, 2], track=["Help", "Yes"], artist=["a", "b"])
    assert named(tracks, match="'track' may be different ones by 'artist'.")
    assert not named(columns(user=[1, 2], track=["Help", "Yes"], author=["a", "b"]))
    assert not named(columns(user=[1, 2], track=[7, 8], artist=["a", "b"]))
    assert not named(columns(user=[1, 2], movie=["Help", "Yes"], artist=["a", "b"]))
