"""What the data doctor says about choices, and when it suggests the other kind."""

import numpy as np
import pytest

import palate
from palate import Ratings, Vocabulary


def choices(users, items, counts=None, n_items=None):
    vocabularies = [
        Vocabulary.in_order([f"{letter}{at}" for at in range(size)], what=what)
        for letter, what, size in (("u", "user", max(users) + 1), ("i", "item", n_items or max(items) + 1))
    ]
    return Ratings(
        np.array(users),
        np.array(items),
        np.ones(len(users)),
        user_vocabulary=vocabularies[0],
        item_vocabulary=vocabularies[1],
        weights=None if counts is None else np.array(counts),
        kind="implicit",
    )


def many(rng, n_users=40, n_items=100, each=10):
    users = np.repeat(np.arange(n_users), each)
    items = np.concatenate([rng.choice(n_items, each, replace=False) for _ in range(n_users)])
    return users, items


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_ordinary_choices_are_fine_and_no_word_is_of_ratings(rng):
    found = palate.check(choices(*many(rng), n_items=100))
    assert "choices" in found["size"].says
    assert "are chosen" in found["density"].says
    assert "only who chose what is known" in found["counts"].says
    assert {"scale", "constant raters", "kind", "items of all", "huge histories"}.isdisjoint(
        finding.name for finding in found.findings
    )
    assert "rating" not in str(found)


def test_counts_are_described(rng):
    users, items = many(rng)
    counts = rng.zipf(1.5, len(users)).clip(1, 10**6)
    found = palate.check(choices(users, items, counts))["counts"]
    assert f"{counts.sum():,} in all" in found.says
    assert "A long tail" in found.do


def test_a_user_with_most_of_all_plays(rng):
    users, items = many(rng)
    counts = np.where(users == 7, 9000, 1)
    found = palate.check(choices(users, items, counts))["counts"]
    assert found.severity == "warning"
    assert "'u7' has 100% of them" in found.says
    even = palate.check(choices(users, items, np.full(len(users), 3)))["counts"]
    assert even.severity == "info"


def test_items_that_all_users_have(rng):
    users, items = many(rng)
    users, items = np.append(users, np.arange(39)), np.append(items, np.full(39, 100))
    found = palate.check(choices(users, items))["items of all"]
    assert found.severity == "warning"
    assert "1 items" in found.says
    assert "'i100' by 98%" in found.says


def test_a_robot(rng):
    users, items = many(rng)
    users, items = np.append(users, np.full(80, 40)), np.append(items, np.arange(80))
    found = palate.check(choices(users, items, n_items=100))["huge histories"]
    assert "1 users" in found.says
    assert "'u40' 80" in found.says


def test_users_with_one_item():
    found = palate.check(choices([0, 1, 1, 2], [0, 0, 1, 1]))
    assert found["one-choice users"].severity == "warning"


def test_counts_that_look_like_ratings(rng):
    users, items = many(rng)
    ratings = rng.choice([1, 2, 3, 4, 5], len(users), p=[0.1, 0.1, 0.3, 0.3, 0.2])
    found = palate.check(choices(users, items, ratings))["kind"]
    assert 'kind="explicit"' in found.do
    assert "5 values from 1 to 5" in found.says
    plays = rng.geometric(0.6, len(users)).clip(1, 5)
    assert "kind" not in palate.check(choices(users, items, plays))


def test_ratings_that_look_like_choices():
    same = palate.check({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1, 1, 1]})
    assert 'kind="implicit"' in same["scale"].do
    counts = palate.check({"user": [1, 1, 2, 2], "item": [1, 2, 1, 3], "rating": [1, 2, 1, 900]})
    assert 'kind="implicit"' in counts["scale"].do


def test_repeats_are_counted():
    found = palate.check({"user": ["ann", "ann", "bob"], "item": ["tea", "tea", "jam"]}, kind="implicit")
    assert found["repeats"].says == "1 rows were added to the count of their (user, item)."


def test_no_choices_left():
    options = {"kind": "implicit", "on_bad_rows": "report"}
    found = palate.check({"user": ["ann"], "item": ["tea"], "plays": [0]}, **options)
    assert found.worst == "problem"
