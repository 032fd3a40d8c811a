"""Histories and cross tables against dictionaries."""

from collections import Counter

import numpy as np
import pytest

import palate


@pytest.fixture(scope="module")
def cells():
    """Ratings of 14 users of 13 items, {(user, item): rating}: 11 and more have as many ratings as others."""
    rng = np.random.default_rng(4)
    chosen = rng.choice(14 * 13, 100, replace=False)
    return {(f"u{c // 13}", f"i{c % 13}"): float(rng.integers(1, 6)) for c in chosen}


def columns(cells, name="rating"):
    users, items = zip(*cells, strict=True)
    return {"user": users, "item": items, name: list(cells.values())}


@pytest.fixture(scope="module")
def rec(cells):
    return palate.Bias().fit(palate.read(columns(cells)), progress=False)


def test_the_highest_ratings_come_first_and_of_equal_ones_the_lower_code(rec, cells):
    for user in rec.model.user_vocabulary:
        own = [(item, value) for (u, item), value in cells.items() if u == user]
        codes = dict(zip([item for item, _ in own], rec.model.item_vocabulary.encode([i for i, _ in own]), strict=True))
        own.sort(key=lambda pair: (-pair[1], codes[pair[0]]))
        assert rec.history(user).rows() == own


def test_a_cross_table_shows_the_ten_with_the_most_ratings(rec, cells):
    table, model = rec.cross_tab(), rec.model
    for shown, vocabulary, side in ((table.users, model.user_vocabulary, 0), (table.items, model.item_vocabulary, 1)):
        counts, labels = Counter(pair[side] for pair in cells), list(vocabulary)
        assert shown == sorted(labels, key=lambda label: (-counts[label], labels.index(label)))[:10]
    for row, user in enumerate(table.users):
        for column, item in enumerate(table.items):
            known = cells.get((user, item), np.nan)
            np.testing.assert_equal(table.known[row, column], known)
            predicted = min(max(rec.predict(user, item)[0], 1), 5)
            assert table.predicted[row, column] == pytest.approx(predicted, abs=1e-5)


def test_counts_stand_where_choices_have_them(cells):
    counted = palate.read(columns(cells, "count"), kind="implicit")
    rec = palate.ImplicitALS(n_factors=2, n_sweeps=2).fit(counted, progress=False)
    table = rec.cross_tab(["u1", "u2"], ["i3", "i0"])
    expected = [[cells.get((user, item), np.nan) for item in table.items] for user in ("u1", "u2")]
    np.testing.assert_array_equal(table.known, expected)
    assert (table.users, table.items, table.titles, table.kind) == (
        ["u1", "u2"],
        ["i3", "i0"],
        [None, None],
        "implicit",
    )
    user = rec.history("u1")
    assert user.columns == ["item", "count"]
    assert dict(user.rows()) == {item: value for (u, item), value in cells.items() if u == "u1"}
    plain = palate.Popularity().fit(
        palate.read({"user": ["a", "b"], "item": ["x", "y"]}, kind="implicit"), progress=False
    )
    assert plain.history("a").rows() == [("x",)]
    np.testing.assert_array_equal(plain.cross_tab(["a"], ["x", "y"]).known, [[1, np.nan]])
