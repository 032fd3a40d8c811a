"""Lists with at most k items of each category, against filling them one by one."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.answers.ranking import max_per
from palate.answers.ranking.classes import item_classes
from palate.answers.ranking.max_per import limited, limits_of
from palate.errors import DataError, OptionError

TABLE = pl.DataFrame({
    "genre": ["a|b", "a", None, "b|b", "c", "a|c", "a", "b", "a", "c|b|a"],
    "year": [1, 1, 2, 2, None, 3, 3, 3, 1, 1],
})  # fmt: skip


def fetched(ranking, calls):
    """A fetch of the n best of whole rankings (n_users, n_items), -1 where a user's list is over."""

    def fetch(rows, n):
        calls.append((len(rows), n))
        codes = ranking[rows, :n]
        return codes, np.where(codes >= 0, -np.arange(n), -np.inf).astype(np.float32)

    return fetch


@cache
def one_of_each():
    return limits_of({"genre": 1, "year": 1}, TABLE, "item")


def by_hand(ranking, n, limits):
    classes = {
        "genre": [set(filter(None, (cell or "").split("|"))) for cell in TABLE["genre"]],
        "year": [set() if cell is None else {cell} for cell in TABLE["year"]],
    }
    lists = []
    for row in ranking:
        counts, own = {}, []
        for place, item in enumerate(row):
            if item < 0 or len(own) == n:
                break
            keys = [(name, one) for name in limits for one in classes[name][item]]
            if all(counts.get(key, 0) < limits[key[0]] for key in keys):
                own.append((int(item), -float(place)))
                counts |= {key: counts.get(key, 0) + 1 for key in keys}
        lists.append(own)
    return lists


@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(0, 3), st.integers(0, 4), st.sampled_from([1, 30, 10**6]))
def test_lists_are_those_filled_one_by_one(seed, n, k, per_year, counters):
    rng = np.random.default_rng(seed)
    ranking = np.array([rng.permutation(10) for _ in range(4)], np.int32)
    for row, length in enumerate(rng.integers(0, 11, 4)):
        ranking[row, length:] = -1
    limits = {"genre": k, "year": per_year}
    before, max_per.MAX_COUNTERS = max_per.MAX_COUNTERS, counters
    try:
        own = tuple(replace(limit, maximum=limits[name]) for name, limit in zip(limits, one_of_each(), strict=True))
        codes, scores = limited(fetched(ranking, []), 4, n, 10, own)
    finally:
        max_per.MAX_COUNTERS = before
    for row, own in enumerate(by_hand(ranking, n, limits)):
        empty = n - len(own)
        assert codes[row].tolist() == [item for item, _ in own] + [-1] * empty
        assert scores[row].tolist() == [score for _, score in own] + [-np.inf] * empty


def test_more_is_fetched_only_for_lists_that_are_not_full():
    """Twice the length, then four times as many until no items are left."""
    table = pl.DataFrame({"kind": ["a"] * 50 + ["b"] * 50})
    ranking = np.stack([np.arange(100), np.r_[0, 50, np.arange(1, 50), np.arange(51, 100)], np.arange(100)])
    ranking[2, 3:] = -1  # has no more
    calls = []
    limits = limits_of({"kind": 1}, table, "item")
    codes, _ = limited(fetched(ranking.astype(np.int32), calls), 3, 2, 100, limits)
    assert codes.tolist() == [[0, 50], [0, 50], [0, -1]]
    assert calls == [(3, 4), (1, 16), (1, 64)]
    calls.clear()
    limited(fetched(np.tile(np.arange(100, dtype=np.int32), (1, 1)), calls), 1, 3, 100, limits)
    assert calls == [(1, 6), (1, 24), (1, 96), (1, 100)]
    calls.clear()
    limited(fetched(np.tile(np.arange(100, dtype=np.int32), (3, 1)), calls), 3, 50, 100, limits)
    assert calls == [(3, 100)]
    calls.clear()
    assert limited(fetched(ranking, calls), 3, 0, 100, limits)[0].shape == (3, 0) and calls == []


def test_limits_are_whole_numbers_of_known_columns():
    assert limits_of({}, None, "item") == ()
    (one,) = limits_of({"year": np.int64(0)}, TABLE, "item")
    assert (one.maximum, one.n_classes, one.indptr[-1], len(one.indptr)) == (0, 3, 9, 12)
    assert one.classes.tolist() == [0, 0, 1, 1, 2, 2, 2, 0, 0]
    nothing = limits_of({"x": 1}, pl.DataFrame({"x": pl.Series([None, None], dtype=pl.String)}), "item")[0]
    assert (nothing.n_classes, nothing.indptr.tolist()) == (0, [0, 0, 0, 0])
    for wrong in (-1, 1.5, "2", None, True):
        with pytest.raises(OptionError, match="give a whole number, 0 or more"):
            limits_of({"year": wrong}, TABLE, "item")
    with pytest.raises(OptionError, match="give how many of each value"):
        limits_of([("year", 1)], TABLE, "item")
    with pytest.raises(DataError, match="needs a table of items"):
        limits_of({"year": 1}, None, "item")
    with pytest.raises(DataError, match=r"no column 'kind'\. The columns are 'genre', 'year'"):
        limits_of({"kind": 1}, TABLE, "item")


def test_columns_of_noughts_and_ones_are_the_classes_of_one():
    table = pl.DataFrame({"genre_Action": [1, 0, 1, 0], "genre_Comedy": [0, 1, 1, 0], "genre_Drama": [0, 0, 1, 0]})
    (limit,) = limits_of({"genre": 1}, table, "item")
    assert limit.indptr.tolist() == [0, 1, 2, 5, 5, 5] and limit.classes.tolist() == [0, 1, 0, 1, 2]
    assert limit.n_classes == 3


@pytest.mark.parametrize("kind", [pl.List(pl.Float64), pl.Array(pl.Float64, 2), pl.Struct({"x": pl.Int64})])
def test_columns_of_vectors_hold_no_classes(kind):
    values = [{"x": 1}, {"x": 2}] if isinstance(kind, pl.Struct) else [[0.5, -1.0], [2.0, 0.25]]
    table = pl.DataFrame({"v": pl.Series(values, dtype=kind)})
    with pytest.raises(DataError, match=r"^max_per: the column 'v' holds vectors .* lists of texts"):
        limits_of({"v": 1}, table, "item")
    with pytest.raises(DataError, match=r"^diversity_by: the column 'v' holds"):
        item_classes(table, "v", "diversity_by", "item")
