"""The kernels that rank a whole catalogue: against their slow twins, hand-made cases, and themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import at_level
from palate import kernels, reference_ranking

NAN, INF = np.float32(np.nan), np.float32(np.inf)
each_level = pytest.mark.parametrize("level", kernels.levels())
some = settings(max_examples=60, deadline=None)


def lists_of(rng, n_users, n_items, longest):
    """Compressed rows of item codes, unsorted and with duplicates."""
    counts = rng.integers(0, longest + 1, n_users) if n_items else np.zeros(n_users, int)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return indptr, rng.integers(0, max(n_items, 1), indptr[-1]).astype(np.int32)


def whole_numbers(rng, *shape):
    """Factors whose products are exact in float32, so that equal scores are equal in every way of adding."""
    return rng.integers(-2, 3, shape).astype(np.float32)


def problem_of(seed, n_users, n_items, k, longest, share_allowed, odd, numbers=whole_numbers):
    """Users, items, targets and masks of one call; odd: some factors are NaN or infinite."""
    rng = np.random.default_rng(seed)
    users, items = numbers(rng, n_users, k), numbers(rng, n_items, k)
    for table in (users, items) if odd else ():
        where = rng.random(table.shape) < 0.05
        table[where] = rng.choice([NAN, INF, -INF], where.sum())
    seen = lists_of(rng, n_users, n_items, longest)
    masks = {
        "seen_indptr": seen[0] if longest else None,
        "seen_indices": seen[1] if longest else None,
        "allowed": None if share_allowed == 1 else rng.random(n_items) < share_allowed,
    }
    return users, items, lists_of(rng, n_users, n_items, 9), masks


problems = st.builds(
    problem_of,
    seed=st.integers(0, 2**32 - 1),
    n_users=st.sampled_from([0, 1, 5, 13, 30]),
    n_items=st.sampled_from([0, 1, 7, 16, 33, 100, 2100]),
    k=st.sampled_from([1, 2, 3, 8, 17]),
    longest=st.sampled_from([0, 1, 5, 300]),
    share_allowed=st.sampled_from([1, 1, 0.5, 0]),
    odd=st.booleans(),
)


def equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


# ---- against the slow twins


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]), bias=st.booleans())
def test_the_best_are_those_of_the_slow_twin(level, problem, n, bias):
    users, items, _, masks = problem
    with at_level(level):
        found = kernels.top_n(users, items, n, bias=bias, **masks)
    equal(found, reference_ranking.top_n(users, items, n, bias=bias, **masks))


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]))
def test_the_best_of_a_block_are_those_of_the_slow_twin(level, problem, n):
    users, items, _, masks = problem
    scores = reference_ranking.scores_of(users, items, bias=True)
    with at_level(level):
        found = kernels.top_n_of(scores, n, **masks)
    equal(found, reference_ranking.top_n_of(scores, n, **masks))


@each_level
@some
@given(problem=problems, bias=st.booleans())
def test_ranks_are_those_of_the_slow_twin(level, problem, bias):
    users, items, targets, masks = problem
    with at_level(level):
        found = kernels.rank_targets(users, items, *targets, bias=bias, **masks)
    equal(found, reference_ranking.rank_targets(users, items, *targets, bias=bias, **masks))


@each_level
@some
@given(problem=problems)
def test_ranks_in_a_block_are_those_of_the_slow_twin(level, problem):
    users, items, targets, masks = problem
    scores = reference_ranking.scores_of(users, items, bias=True)
    with at_level(level):
        found = kernels.rank_targets_of(scores, *targets, **masks)
    equal(found, reference_ranking.rank_targets_of(scores, *targets, **masks))
