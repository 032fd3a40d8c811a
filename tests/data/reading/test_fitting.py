"""Which of several tables, sheets or files is meant, by the names of its columns."""

import pytest

from palate.data.reading.fitting import fits_ratings, fits_table

NOTHING = dict.fromkeys(("user", "item", "rating", "time", "weight"))


@pytest.mark.parametrize(
    ("names", "given", "kind", "expected"),
    [
        ("user item rating", {}, "explicit", True),
        ("user item", {}, "explicit", False),
        ("user item", {}, "implicit", True),
        ("user rating", {}, "implicit", False),
        ("who what mark", {"user": "who", "item": "what", "rating": "mark"}, "explicit", True),
        ("who what mark", {"user": "who", "item": "what", "rating": "stars"}, "explicit", False),
        ("who what mark", {"user": 0, "item": 1, "rating": 2}, "explicit", True),
        ("who what mark", {"user": 0, "item": 1, "rating": 3}, "explicit", False),
    ],
)
def test_a_table_of_ratings_has_each_column(names, given, kind, expected):
    assert fits_ratings(names.split(), given=NOTHING | given, kind=kind) is expected


@pytest.mark.parametrize(
    ("names", "what", "label", "expected"),
    [
        ("movieId genres", "item", None, 1),
        ("movieId title genres", "item", None, 2),
        ("id firstname", "user", None, 2),
        ("movieId userId rating", "item", None, 0),
        ("genres title", "item", None, 0),
        ("userId age", "user", None, 1),
        ("userId age", "item", None, 0),
        ("code genres", "item", "code", 1),
        ("code title", "item", "genres", 0),
        ("code title", "item", 0, 0),
    ],
)
def test_a_table_of_one_side_has_its_ids_and_not_those_of_the_other(names, what, label, expected):
    assert fits_table(names.split(), what=what, label=label) == expected
