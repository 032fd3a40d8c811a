"""Duplicates: the rows of a pair become one, as a loop over the pairs says by each policy; blocks become columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.reading.duplicates import Columns, Growing, join_duplicates
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError

VOCABULARIES = Vocabulary(["ann", "bob", "cid"], what="user"), Vocabulary([7, 8, 9, 10], what="item")
WORTHS = np.array([0, 0.25, 1, 2.5], np.float32)


def columns_of(users, items, values=None, times=None, weights=None):
    """Rows of these codes, each with a value of its own."""
    values = np.arange(1, len(users) + 1) if values is None else values
    return Columns(
        np.array(users, np.int32),
        np.array(items, np.int32),
        np.array(values, np.float32),
        None if times is None else np.array(times, np.int64),
        None if weights is None else np.array(weights, np.float32),
    )


def drawn(seed, n, *, timed, weighted):
    rng = np.random.default_rng(seed)
    return columns_of(
        rng.integers(0, 3, n),
        rng.integers(0, 4, n),
        rng.integers(1, 4, n),
        rng.integers(0, 3, n) if timed else None,
        rng.choice(WORTHS, n) if weighted else None,
    )


def joined_by_loop(rows, policy):
    """(row, value, weight) of what is left of each pair, in row order, and how many pairs have several values."""
    groups = {}
    for row, pair in enumerate(zip(rows.users.tolist(), rows.items.tolist(), strict=True)):
        groups.setdefault(pair, []).append(row)
    kept, n_differing = [], 0
    for group in groups.values():
        last = max(group, key=lambda row: (0 if rows.times is None else rows.times[row], row))
        values = rows.values[group].astype(float)
        weights = np.ones(len(group)) if rows.weights is None else rows.weights[group].astype(float)
        n_differing += len(set(values.tolist())) > 1
        value, weight = rows.values[last], None if rows.weights is None else rows.weights[last]
        if policy == "sum":
            weight = weights.sum()
        elif policy == "mean":
            value = np.average(values, weights=weights) if weights.sum() else values.mean()
            weight = None if rows.weights is None else weights.sum()
        kept.append((last, np.float32(value), None if weight is None else np.float32(weight)))
    return sorted(kept), n_differing


@given(
    st.integers(0, 2**31),
    st.integers(0, 60),
    st.sampled_from(["last", "mean", "sum"]),
    st.booleans(),
    st.booleans(),
)
def test_each_policy_gives_what_a_loop_over_the_pairs_gives(seed, n, policy, timed, weighted):
    rows = drawn(seed, n, timed=timed, weighted=weighted)
    before = [None if column is None else column.copy() for column in rows]
    found, n_dropped, n_differing = join_duplicates(rows, policy, VOCABULARIES)
    expected, differing = joined_by_loop(rows, policy)
    kept = [row for row, _, _ in expected]
    assert (n_dropped, n_differing) == (n - len(kept), differing)
    if n_dropped == 0:
        assert found is rows
        return
    assert (found.users == rows.users[kept]).all() and (found.items == rows.items[kept]).all()
    np.testing.assert_allclose(found.values, [value for _, value, _ in expected], rtol=1e-6)
    assert (found.times is None) == (not timed)
    assert not timed or (found.times == rows.times[kept]).all()
    weights = [weight for _, _, weight in expected]
    assert (found.weights is None) == (None in weights)
    assert found.weights is None or found.weights.tolist() == weights
    for column, own in zip(rows, before, strict=True):
        assert column is own or (column == own).all()


@pytest.mark.parametrize(
    ("n_users", "n_items"), [(2**16, 2**16), (2**16 + 1, 2**16), (2**17, 2**16), (2**31 - 1, 4), (3, 2**31 - 1)]
)
def test_pairs_of_many_users_and_items_stay_apart(n_users, n_items):
    """Also those whose numbers are alike in their last 32 bits."""
    ends = [(user, item) for user in {0, 1, 2**16, n_users - 1} for item in {0, 1, n_items - 1}]
    pairs = [*{(user, item) for user, item in ends if user < n_users}]
    rows = columns_of(*zip(*pairs, strict=True))
    assert join_duplicates(rows, "last", (range(n_users), range(n_items))) == (rows, 0, 0)
    twice = columns_of(*zip(*pairs, *pairs, strict=True))
    found, n_dropped, n_differing = join_duplicates(twice, "last", (range(n_users), range(n_items)))
    assert (n_dropped, n_differing) == (len(pairs), len(pairs))
    assert (found.users == rows.users).all() and (found.items == rows.items).all()


def test_an_error_names_the_first_pair_that_is_repeated():
    rows = columns_of([0, 2, 1, 2, 1, 2], [0, 1, 3, 1, 3, 1])
    with pytest.raises(DataError, match=r"user 'bob' has rated item 10 more than once, and 3 rows in all"):
        join_duplicates(rows, "error", VOCABULARIES)
    assert join_duplicates(columns_of([0, 2], [0, 1]), "error", VOCABULARIES)[1:] == (0, 0)


def test_counts_beyond_float32_become_infinite():
    largest = np.finfo(np.float32).max
    found, n_dropped, _ = join_duplicates(columns_of([0, 0], [1, 1], weights=[largest] * 2), "sum", VOCABULARIES)
    assert (n_dropped, found.weights.tolist()) == (1, [np.inf])


@pytest.mark.parametrize("timed", [False, True])
def test_blocks_of_rows_are_put_together(timed):
    blocks = [drawn(seed, n, timed=timed, weighted=not timed) for seed, n in enumerate([3, 1, 0, 40, 2])]
    growing = Growing()
    for block in blocks:
        growing.add(block)
    for found, *parts in zip(growing.columns(), *blocks, strict=True):
        if parts[0] is None:
            assert found is None
        else:
            assert found.dtype == parts[0].dtype
            assert found.tolist() == np.concatenate(parts).tolist()


def test_without_rows_there_are_columns_all_the_same():
    none = Growing().columns()
    assert [None if column is None else (column.dtype.name, len(column)) for column in none] == [
        ("int32", 0),
        ("int32", 0),
        ("float32", 0),
        None,
        None,
    ]
