"""Rows a block of columns at a time: against the reference implementation, the exact solution, and the loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from palate import kernels
from palate.kernels import reference

LEVELS = kernels.levels()
each_level = pytest.mark.parametrize("level", LEVELS)
some = settings(max_examples=25, deadline=None)
COLUMNS = [1, 2, 3, 5, 8, 15, 16, 17, 24, 31, 32, 33, 48, 50, 64, 65, 96, 130]
BLOCKS = [1, 2, 3, 5, 8, 10, 16, 17, 32, 40, 64, 5000]


def floats(rng, *shape, spread=1.0):
    return (spread * rng.standard_normal(shape)).astype(np.float32)


def problem(seed=0, k=20, n_rows=5, n=400, n_other=40, *, weighted=False, backed=True, block=8):
    """The arguments of one solve_blocks call: most ratings fall on the first rows, some rows may have none."""
    rng = np.random.default_rng(seed)
    n = n if n_rows else 0
    rows = (rng.random(n) ** 3 * n_rows).astype(np.int32)
    others = rng.integers(0, n_other, n).astype(np.int32)
    weights = (2 * rng.random(n)).astype(np.float32) if weighted else None
    indptr, indices, values, weights = reference.compress_rows(rows, others, floats(rng, n) + 1, weights, n_rows)
    other = floats(rng, n_other, k, spread=1 / np.sqrt(k))
    options = {
        "block": block,
        "weights": weights,
        "ridge": (1 + rng.random(n_rows)).astype(np.float32),
        "background": (0.3 * reference.gram(other)[0]).astype(np.float32) if backed else None,
    }
    return (indptr, indices, values, other, floats(rng, n_rows, k)), options


problems = st.builds(
    problem,
    seed=st.integers(0, 2**32 - 1),
    k=st.sampled_from(COLUMNS),
    n_rows=st.integers(0, 6),
    n=st.integers(0, 500),
    n_other=st.integers(1, 60),
    weighted=st.booleans(),
    backed=st.booleans(),
    block=st.sampled_from(BLOCKS),
)


def solution(arrays, options):
    """What solve_rows finds for the same rows."""
    k = arrays[3].shape[1]
    zeros = np.zeros((k, k), np.float32)
    shared = {name: options[name] for name in ("weights", "ridge", "background")}
    return kernels.solve_rows(*arrays[:4], precision=zeros, mean=zeros[0], **shared)[0]


def losses(arrays, options, x):
    """Each row's ridge |x|^2 + x^T background x + sum w (x.z - t)^2, rating by rating."""
    indptr, indices, values, other, _ = arrays
    x, other = x.astype(np.float64), other.astype(np.float64)
    rows = np.repeat(np.arange(len(x)), np.diff(indptr))
    errors = np.sum(x[rows] * other[indices], axis=1) - values
    weights = np.ones(len(values)) if options["weights"] is None else options["weights"]
    total = np.bincount(rows, weights * errors**2, minlength=len(x)) + options["ridge"] * np.sum(x**2, axis=1)
    if options["background"] is None:
        return total
    return total + np.einsum("ri,ij,rj->r", x, options["background"], x)


def tolerance_of(arrays, options):
    """Grows with the largest eigenvalue of any row's matrix (the smallest is at least 1)."""
    z = arrays[3][arrays[1]]
    z = z if options["weights"] is None else np.sqrt(options["weights"])[:, None] * z
    spread = np.linalg.norm(z, 2) ** 2 if len(z) else 0.0
    background = 0.0 if options["background"] is None else np.linalg.norm(options["background"], 2)
    return 1e-5 + 1e-6 * (2 + background + spread)


def assert_close(actual, expected, tolerance):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * (1 + np.abs(expected).max(initial=0)))


# ---- against the reference implementation, the solution and the loss


@each_level
@some
@given(problems)
def test_solve_blocks_equals_the_reference(level, case):
    arrays, options = case
    with at_level(level):
        x = kernels.solve_blocks(*arrays, **options)
    assert x.dtype == np.float32
    assert_close(x, reference.solve_blocks(*arrays, **options), tolerance_of(arrays, options))


@each_level
@some
@given(problems)
def test_one_block_of_all_columns_is_the_exact_solution(level, case):
    arrays, options = case
    options["block"] = arrays[3].shape[1]
    with at_level(level):
        x = kernels.solve_blocks(*arrays, **options)
    assert_close(x, solution(arrays, options), tolerance_of(arrays, options))


@each_level
@some
@given(problems)
def test_the_loss_never_rises(level, case):
    arrays, options = case
    before = losses(arrays, options, arrays[-1])
    with at_level(level):
        for _ in range(3):
            x = kernels.solve_blocks(*arrays, **options)
            after = losses(arrays, options, x)
            assert np.all(after <= before + 1e-5 * (1 + before))
            arrays, before = (*arrays[:4], x), after


@each_level
@pytest.mark.parametrize(("k", "block"), [(20, 7), (33, 16), (64, 32), (40, 1)])
def test_repeated_steps_reach_the_exact_solution(level, k, block):
    arrays, options = problem(seed=k, k=k, n=300, block=block, weighted=True)
    x = arrays[-1]
    with at_level(level):
        for _ in range(300):
            x = kernels.solve_blocks(*arrays[:4], x, **options)
        assert_close(x, solution(arrays, options), 1e-5)


def test_the_solution_stays_where_it_is():
    arrays, options = problem(seed=3, k=48, n=2000, block=16)
    solved = solution(arrays, options)
    assert_close(kernels.solve_blocks(*arrays[:4], solved, **options), solved, 1e-5)


def test_a_row_of_many_ratings():
    """300,000 errors are kept between the blocks; the reference implementation sums them in double."""
    rng = np.random.default_rng(0)
    n, k = 300_000, 24
    other = floats(rng, 1000, k, spread=0.3)
    indices = rng.integers(0, 1000, n).astype(np.int32)
    arrays = np.array([0, 0, n, n + 1]), np.append(indices, [7]).astype(np.int32), np.ones(n + 1, np.float32), other
    options = {"block": 16, "ridge": np.ones(3, np.float32)}
    start = floats(rng, 3, k)
    x = kernels.solve_blocks(*arrays, start, **options)
    assert_close(x, reference.solve_blocks(*arrays, start, **options), 1e-4)
    np.testing.assert_array_equal(x[0], 0)  # nothing but the ridge


def test_the_given_vectors_are_not_changed():
    arrays, options = problem()
    before = [array.copy() for array in arrays]
    kernels.solve_blocks(*arrays, **options)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@each_level
@pytest.mark.parametrize("block", [16, 24])
def test_same_bytes_on_any_number_of_threads(level, block):
    arrays, options = problem(seed=1, k=40, n_rows=700, n=60_000, weighted=True, block=block)
    with at_level(level):
        alone = kernels.solve_blocks(*arrays, **options, n_threads=1).tobytes()
        for n_threads in (2, 3, 0, 1):
            assert kernels.solve_blocks(*arrays, **options, n_threads=n_threads).tobytes() == alone


# ---- the border


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"block": 0}, ValueError, "block must be 1 or more"),
        ({"block": -1}, ValueError, "block must be 1 or more"),
        ({"ridge": np.full(5, -1, np.float32)}, ValueError, "ridge must be finite and >= 0"),
        ({"ridge": np.full(4, 1, np.float32)}, TypeError, "ridge must be"),
        ({"background": np.full((20, 20), np.nan, np.float32)}, ValueError, "background holds NaN"),
        ({"background": np.zeros((19, 20), np.float32)}, TypeError, "background must be"),
        ({"weights": np.full(400, np.inf, np.float32)}, ValueError, "weights must be finite"),
        ({"vectors": np.zeros((5, 19), np.float32)}, TypeError, "vectors must be"),
        ({"vectors": np.zeros((5, 20))}, TypeError, "float32"),
        ({"vectors": np.full((5, 20), np.nan, np.float32)}, ValueError, "vectors holds NaN"),
        ({"indices": np.full(400, 40, np.int32)}, IndexError, r"indices holds 40, outside 0\.\.39"),
        ({"indptr": np.array([0, 5, 3, 9, 9, 400])}, ValueError, "indptr must rise"),
        ({"other": np.zeros(20, np.float32)}, TypeError, "other must have shape"),
        ({"other": np.zeros((40, 0), np.float32)}, ValueError, "between 1 and 4096"),
        ({"n_threads": -1}, ValueError, "n_threads"),
    ],
)
def test_invalid_arguments_raise(change, error, message):
    arrays, options = problem()
    names = ("indptr", "indices", "values", "other", "vectors")
    with pytest.raises(error, match=message):
        kernels.solve_blocks(**dict(zip(names, arrays, strict=True)) | options | change)


def test_a_row_without_ratings_and_prior_raises():
    arrays, _ = problem(n=0)
    with pytest.raises(ValueError, match=r"row \d is not positive definite: give a ridge"):
        kernels.solve_blocks(*arrays, block=8)


def test_no_rows_give_no_rows():
    arrays, options = problem(n_rows=0)
    assert kernels.solve_blocks(*arrays, **options).shape == (0, 20)
