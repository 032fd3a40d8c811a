"""The kernels that rank a whole catalogue: against the reference implementation, made cases, and each other."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.kernels import at_level
from palate import kernels
from palate.kernels import reference
from palate.kernels.reference.ranking import scores_of

NAN, INF = np.float32(np.nan), np.float32(np.inf)
each_level = pytest.mark.parametrize("level", kernels.levels())
some = settings(max_examples=60, deadline=None)


def lists_of(rng, n_users, n_items, longest):
    """Compressed rows of item codes, unsorted and with duplicates."""
    counts = rng.integers(0, longest + 1, n_users) if n_items else np.zeros(n_users, int)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return indptr, rng.integers(0, max(n_items, 1), indptr[-1]).astype(np.int32)


def whole_numbers(rng, *shape):
    """Factors whose products are exact in float32, so that equal scores are equal in any order of addition."""
    return rng.integers(-2, 3, shape).astype(np.float32)


def problem_of(seed, n_users, n_items, k, longest, share_allowed, special, numbers=whole_numbers):
    """Users, items, targets and masks of one call; special: some factors are NaN or infinite."""
    rng = np.random.default_rng(seed)
    users, items = numbers(rng, n_users, k), numbers(rng, n_items, k)
    for table in (users, items) if special else ():
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
    special=st.booleans(),
)


def equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


# ---- against the reference implementation


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]), bias=st.booleans())
def test_the_best_are_those_of_the_reference(level, problem, n, bias):
    users, items, _, masks = problem
    with at_level(level):
        found = kernels.top_n(users, items, n, bias=bias, **masks)
    equal(found, reference.top_n(users, items, n, bias=bias, **masks))


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]), bias=st.booleans(), n_threads=st.integers(1, 3))
def test_packed_items_give_the_same_bytes(level, problem, n, bias, n_threads):
    """Whichever users the items were packed for, and however many threads packed them."""
    users, items, _, masks = problem
    seen = {name: masks[name] for name in ("seen_indptr", "seen_indices")}
    with at_level(level):
        expected = kernels.top_n(users, items, n, bias=bias, **seen)
        for typical in (users[:1], users[::-2].copy()):
            packed = kernels.pack_items(items, typical, bias=bias, n_threads=n_threads)
            equal(kernels.top_n(users, items, n, bias=bias, packed=packed, **seen), expected)


def test_packed_items_are_checked():
    users, items, _, _ = problem_of(0, 3, 40, 4, 0, 1, False)
    codes, panels, reach = kernels.pack_items(items, users)
    for wrong in (
        (codes, panels),
        (codes[:-1], panels, reach),
        (codes, panels[:, 1:].copy(), reach),
        (codes, panels, reach.astype(np.float32)),
        (codes + np.int32(40), panels, reach),
    ):
        with pytest.raises((TypeError, ValueError, IndexError)):
            kernels.top_n(users, items, 3, packed=wrong)
    with pytest.raises(ValueError, match="without allowed"):
        kernels.top_n(users, items, 3, packed=(codes, panels, reach), allowed=np.ones(40, bool))


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]))
def test_the_best_of_a_block_are_those_of_the_reference(level, problem, n):
    users, items, _, masks = problem
    scores = scores_of(users, items, bias=True)
    with at_level(level):
        found = kernels.top_n_of(scores, n, **masks)
    equal(found, reference.top_n_of(scores, n, **masks))


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]), bias=st.booleans())
def test_ranks_are_those_of_the_reference(level, problem, n, bias):
    users, items, targets, masks = problem
    with at_level(level):
        found = kernels.rank_targets(users, items, *targets, n=n, bias=bias, **masks)
    equal(found, reference.rank_targets(users, items, *targets, n=n, bias=bias, **masks))


@each_level
@some
@given(problem=problems, n=st.sampled_from([0, 1, 3, 10, 4000]))
def test_ranks_in_a_block_are_those_of_the_reference(level, problem, n):
    users, items, targets, masks = problem
    scores = scores_of(users, items, bias=True)
    with at_level(level):
        found = kernels.rank_targets_of(scores, *targets, n=n, **masks)
    equal(found, reference.rank_targets_of(scores, *targets, n=n, **masks))


scores_with_ties = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12),
    elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]) | st.floats(width=32),
)


@settings(max_examples=200, deadline=None)
@given(scores_with_ties, st.integers(0, 15))
def test_select_top_equals_the_reference(scores, n):
    for actual, expected in zip(kernels.select_top(scores, n), reference.select_top(scores, n), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


# ---- real factors: no exact ties, every sum rounded


def real_numbers(rng, *shape):
    """Normal factors, some rows long and some short, like those of popular and of rare items."""
    return (rng.standard_normal(shape) * rng.lognormal(0, 1, (shape[0], 1))).astype(np.float32)


def real_problem(seed, n_users=60, n_items=3000, k=33, n_seen=60):
    return problem_of(seed, n_users, n_items, k, n_seen, 0.9, False, real_numbers)


@each_level
@pytest.mark.parametrize("bias", [True, False])
def test_real_scores_are_near_the_reference_and_no_better_item_is_missed(level, bias):
    users, items, _, masks = real_problem(1)
    with at_level(level):
        codes, found = kernels.top_n(users, items, 20, bias=bias, **masks)
    expected_codes, expected = reference.top_n(users, items, 20, bias=bias, **masks)
    sizes = np.abs(users[:, : 33 - bias]) @ np.abs(items[:, : 33 - bias]).T
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * sizes.max())
    assert (codes == expected_codes).mean() > 0.99


@each_level
@pytest.mark.parametrize("bias", [True, False])
def test_ranks_agree_with_the_best_to_the_bit(level, bias):
    """The targets are the best themselves: their ranks are 1, 2, 3, ... only if every score is the same number."""
    users, items, _, masks = real_problem(2)
    with at_level(level):
        codes, _ = kernels.top_n(users, items, 50, bias=bias, **masks)
        targets = np.arange(0, codes.size + 1, 50), codes.ravel()
        ranks, middles, _, best = kernels.rank_targets(users, items, *targets, n=30, bias=bias, **masks)
    np.testing.assert_array_equal(ranks.reshape(codes.shape), np.tile(np.arange(1, 51), (60, 1)))
    np.testing.assert_array_equal(middles, ranks)
    np.testing.assert_array_equal(best, codes[:, :30])


@each_level
def test_ranks_of_everything_are_a_permutation(level):
    users, items, _, _ = real_problem(3, n_items=700)
    targets = np.arange(0, 700 * 60 + 1, 700), np.tile(np.arange(700, dtype=np.int32), 60)
    with at_level(level):
        ranks, middles, n_candidates, _ = kernels.rank_targets(users, items, *targets)
    assert (n_candidates == 700).all()
    np.testing.assert_array_equal(middles.reshape(60, 700).sum(axis=1), 700 * 701 / 2)
    distinct = (middles == ranks).reshape(60, 700).all(axis=1)
    assert distinct.mean() > 0.5
    np.testing.assert_array_equal(np.sort(ranks.reshape(60, 700), axis=1), np.tile(np.arange(1, 701), (60, 1)))


@each_level
def test_a_user_alone_gets_the_same_as_among_others(level):
    users, items, _, masks = real_problem(4)
    indptr, indices = masks["seen_indptr"], masks["seen_indices"]
    with at_level(level):
        codes, found = kernels.top_n(users, items, 10, **masks)
        for u in (0, 7, 13, 59):
            own = indices[indptr[u] : indptr[u + 1]]
            alone = kernels.top_n(
                users[u : u + 1], items, 10,
                seen_indptr=np.array([0, len(own)]), seen_indices=own, allowed=masks["allowed"],
            )  # fmt: skip
            assert alone[0].tobytes() == codes[u].tobytes() and alone[1].tobytes() == found[u].tobytes()


@each_level
def test_rankings_have_the_same_bytes_on_any_number_of_threads(level):
    users, items, targets, masks = real_problem(5, n_users=301)
    scores = scores_of(users, items, bias=True)

    def answers(n):
        return [
            *kernels.top_n(users, items, 10, **masks, n_threads=n),
            *kernels.top_n_of(scores, 10, **masks, n_threads=n),
            *kernels.rank_targets(users, items, *targets, n=20, **masks, n_threads=n),
            *kernels.rank_targets_of(scores, *targets, n=20, **masks, n_threads=n),
        ]

    with at_level(level):
        first, *others = ([answer.tobytes() for answer in answers(n)] for n in (1, 2, 3))
    assert others == [first, first]


@each_level
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_on_scores_leaves_no_item_out(level, seed):
    """Items along the user reach the bound that their length allows, and rounding puts some of them above it."""
    rng = np.random.default_rng(seed)
    users = rng.standard_normal((1, 64)).astype(np.float32)
    items = (users * (1 + 2e-7 * rng.standard_normal((3000, 1)))).astype(np.float32)
    with at_level(level):
        codes, found = kernels.top_n(users, items, 3, bias=False)
        all_codes, all_found = kernels.top_n(users, items, 3000, bias=False)
    assert codes.tobytes() == all_codes[:, :3].tobytes() and found.tobytes() == all_found[:, :3].tobytes()


# ---- made cases


def test_ties_go_to_the_lower_code_and_a_user_bias_makes_none():
    users = np.array([[1, 1e6]], np.float32)
    items = np.array([[0.001, 0], [0.002, 0], [0.003, 0], [0.003, 0]], np.float32)
    codes, found = kernels.top_n(users, items, 4)
    assert codes.tolist() == [[2, 3, 1, 0]]
    assert found.tolist() == [[1e6] * 4]


def test_scores_that_overflow_are_ranked():
    users = np.array([[3e38, -3e38, 1]], np.float32)
    items = np.array([[1, 1, 0], [2, 0, 0], [0, 0, 5], [0, -2, 0]], np.float32)
    assert kernels.top_n(users, items, 4, bias=False)[0].tolist() == [[1, 3, 2, 0]]
    assert kernels.top_n(users, items, 1, bias=False)[0].tolist() == [[1]]


def test_among_infinite_scores_the_lower_code_comes_first():
    users, items = np.array([[3e38]], np.float32), np.linspace(1.5, 3, 200, dtype=np.float32)[:, None]
    codes, found = kernels.top_n(users, items, 1, bias=False)
    assert (codes.tolist(), found.tolist()) == ([[0]], [[INF]])


def test_items_that_are_no_candidates_are_not_found():
    users, items = np.ones((2, 2), np.float32), np.ones((5, 2), np.float32)
    seen = {"seen_indptr": np.array([0, 5, 7]), "seen_indices": np.array([0, 1, 2, 3, 4, 4, 4], np.int32)}
    codes, found = kernels.top_n(users, items, 3, **seen, allowed=np.array([1, 0, 0, 0, 1], np.uint8))
    assert codes.tolist() == [[-1, -1, -1], [0, -1, -1]]
    assert found.tolist() == [[-INF] * 3, [3, -INF, -INF]]
    targets = np.array([0, 1, 4]), np.array([0, 0, 1, 4], np.int32)
    ranks, middles, n_candidates, _ = kernels.rank_targets(users, items, *targets, **seen)
    assert (ranks.tolist(), middles.tolist(), n_candidates.tolist()) == ([0, 1, 2, 0], [0, 2.5, 2.5, 0], [0, 4])


def test_many_targets_of_one_user():
    rng = np.random.default_rng(7)
    scores = rng.integers(-50, 50, (1, 5000)).astype(np.float32)
    scores[0, rng.integers(0, 5000, 300)] = NAN
    targets = np.array([0, 5000]), rng.permutation(5000).astype(np.int32)
    equal(kernels.rank_targets_of(scores, *targets), reference.rank_targets_of(scores, *targets))


RESIDENT = """
import threading
import numpy as np
from palate import kernels

def resident():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))

users, items = np.ones((1, 64), np.float32), np.ones((120_000, 64), np.float32)
kernels.top_n(users, items, 1, n_threads=1)
before = resident()
for _ in range(4):
    caller = threading.Thread(target=kernels.top_n, args=(users, items, 1), kwargs={"n_threads": 1})
    caller.start()
    caller.join()
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_memory_of_a_packed_catalogue_is_given_back():
    """It takes 30 MB here; the heaps of the calling threads must keep none of it."""
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 15


# ---- the border


def good_top():
    return {
        "users": np.ones((2, 3), np.float32), "items": np.ones((4, 3), np.float32), "n": 2,
        "seen_indptr": np.array([0, 1, 2]), "seen_indices": np.array([0, 3], np.int32), "allowed": np.ones(4, bool),
    }  # fmt: skip


def good_rank():
    targets = {"target_indptr": np.array([0, 1, 1]), "target_indices": np.array([2], np.int32)}
    return good_top() | targets


def of_scores(arguments):
    return {n: v for n, v in arguments.items() if n not in ("users", "items")} | {"scores": np.ones((2, 4), np.float32)}


GOOD = {
    "top_n": good_top,
    "rank_targets": good_rank,
    "top_n_of": lambda: of_scores(good_top()),
    "rank_targets_of": lambda: of_scores(good_rank()),
}
WRONG = [
    ({"users": np.ones((2, 4), np.float32)}, TypeError, "items must be"),
    ({"users": np.ones((2, 3))}, TypeError, "users must be"),
    ({"users": np.ones(3, np.float32)}, TypeError, "users and items"),
    ({"users": np.ones((2, 0), np.float32), "items": np.ones((4, 0), np.float32)}, ValueError, "between 1 and 4096"),
    ({"items": np.ones((3, 4), np.float32).T}, TypeError, "items must be a C-contiguous"),
    ({"scores": np.ones((2, 4))}, TypeError, "scores must be"),
    ({"scores": np.ones(4, np.float32)}, TypeError, "scores must have shape"),
    ({"n": -1}, ValueError, "n must be >= 0"),
    ({"n_threads": -1}, ValueError, "n_threads"),
    ({"seen_indptr": None}, TypeError, "both seen_indptr and seen_indices"),
    ({"seen_indptr": np.array([0, 2])}, TypeError, "seen_indptr must be"),
    ({"seen_indptr": np.array([0, 3, 2])}, ValueError, "seen_indptr must rise"),
    ({"seen_indptr": np.array([0, 1, 3])}, ValueError, "seen_indptr must rise"),
    ({"seen_indices": np.array([0, 4], np.int32)}, IndexError, "seen_indices holds 4"),
    ({"seen_indices": np.array([-1, 0], np.int32)}, IndexError, "seen_indices holds -1"),
    ({"seen_indices": np.array([0, 1])}, TypeError, "seen_indices must be"),
    ({"allowed": np.ones(5, bool)}, TypeError, "allowed must be"),
    ({"allowed": np.ones(4)}, TypeError, "allowed must be"),
    ({"target_indptr": np.array([0, 1])}, TypeError, "target_indptr must be"),
    ({"target_indptr": np.array([0, 1, 2])}, ValueError, "target_indptr must rise"),
    ({"target_indices": np.array([4], np.int32)}, IndexError, "target_indices holds 4"),
]


@pytest.mark.parametrize("kernel", GOOD)
@pytest.mark.parametrize(("changes", "error", "match"), WRONG)
def test_invalid_arguments_raise(kernel, changes, error, match):
    good = GOOD[kernel]()
    getattr(kernels, kernel)(**good)
    if not changes.keys() <= {*good, "n_threads"}:
        return
    with pytest.raises(error, match=match):
        getattr(kernels, kernel)(**good | changes)


@pytest.mark.parametrize("kernel", GOOD)
def test_read_only_arrays_are_taken(kernel):
    arguments = GOOD[kernel]()
    for value in arguments.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    equal(getattr(kernels, kernel)(**arguments), getattr(reference, kernel)(**arguments))
