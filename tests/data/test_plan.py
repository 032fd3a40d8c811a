"""The plan: blocks follow from the numbers of ratings alone, and are about equal; what is summed over them is right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data import plan
from palate.data.datasets import synthetic
from palate.data.plan import Plan, count_codes, distinct_values
from palate.data.rows import CompressedRows, mean_and_deviation, pointers_of, rows_between, total_weights

some = settings(max_examples=60, deadline=None)
counts_of_rows = st.lists(st.integers(0, 12) | st.integers(0, 400), max_size=60)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(plan, "MIN_RATINGS", 20)
    monkeypatch.setattr(plan, "CHUNK", 64)


@some
@given(counts_of_rows)
def test_blocks_are_all_rows_in_order_and_about_equal(counts):
    indptr = pointers_of(counts)
    found = Plan.of(indptr)
    assert [row for block in found.blocks for row in range(len(counts))[block]] == list(range(len(counts)))
    assert [(indptr[b.start], indptr[b.stop]) for b in found.blocks] == [(e.start, e.stop) for e in found.entries]
    assert 1 <= len(found) <= max(1, min(plan.MAX_BLOCKS, sum(counts) // 20))
    sizes = [entries.stop - entries.start for entries in found.entries]
    n_blocks = min(max(sum(counts) // 20, 1), plan.MAX_BLOCKS)
    assert max(sizes) <= -(-sum(counts) // n_blocks) + max(counts, default=0)


def test_there_are_no_more_blocks_than_the_limit():
    assert len(Plan.of(np.arange(100_001))) == plan.MAX_BLOCKS
    assert Plan.of(np.array([0, 0, 0, 19])).blocks == (slice(0, 3),)
    assert Plan.of(np.array([0])).blocks == (slice(0, 0),)
    assert Plan.of(np.array([0, 0, 60, 60])).entries == (slice(0, 60), slice(60, 60)), "a row is not cut"


@some
@given(counts_of_rows, st.booleans())
def test_sums_over_blocks_are_those_over_all(counts, weighted):
    rng = np.random.default_rng(len(counts))
    rows = rated(counts, rng, weighted=weighted)
    assert sum(len(rows_between(rows, block).indices) for block in rows.plan.blocks) == sum(counts)
    np.testing.assert_array_equal(total_weights(rows), [part.sum(dtype=np.float64) for part in split_weights(rows)])
    if sum(counts):
        mean, deviation = mean_and_deviation(rows)
        w, values = (None if rows.weights is None else rows.weights.astype(np.float64)), rows.values.astype(np.float64)
        assert mean == pytest.approx(np.average(values, weights=w), rel=1e-12)
        assert deviation == pytest.approx(np.sqrt(np.average((values - mean) ** 2, weights=w)), rel=1e-9, abs=1e-12)


def rated(counts, rng, *, weighted):
    n = sum(counts)
    weights = rng.integers(1, 5, n).astype(np.float32) if weighted else None
    indices, values = rng.integers(0, 9, n, dtype=np.int32), rng.integers(1, 6, n).astype(np.float32)
    return CompressedRows(pointers_of(counts), indices, values, weights)


def split_weights(rows):
    weights = np.ones(len(rows.indices)) if rows.weights is None else rows.weights
    return [weights[first:last] for first, last in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)]


@some
@given(st.lists(st.integers(0, 30), max_size=300))
def test_codes_are_counted_and_values_told_apart_chunk_by_chunk(codes):
    codes = np.array(codes, np.int32)
    np.testing.assert_array_equal(count_codes(codes, 31), np.bincount(codes, minlength=31))
    values = codes.astype(np.float32)
    np.testing.assert_array_equal(distinct_values(values), np.unique(values))
    few, n_distinct = distinct_values(values, 3), len(np.unique(values))
    assert np.isin(few, values).all() and (len(few) == n_distinct or 3 < len(few) < n_distinct)


def test_rows_of_items_do_not_depend_on_the_order_of_users_ratings():
    ratings = synthetic(30, 20, 300, seed=0)
    other = ratings[np.lexsort((np.arange(300), -ratings.user_codes))]
    for name, array in vars(ratings.by_item()).items():
        np.testing.assert_array_equal(array, getattr(other.by_item(), name))
    rows = ratings.by_item()
    assert all((np.diff(rows.row(item)[0]) >= 0).all() for item in range(20))
