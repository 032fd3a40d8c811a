"""The row kernels: against the reference implementation, and against the equations they solve."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from palate import kernels
from palate.kernels import reference

WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 49, 64, 65, 80, 96, 113, 130]
each_level = pytest.mark.parametrize("level", kernels.levels())
some = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**64 - 1)


def floats(rng, *shape, spread=1.0):
    return (spread * rng.standard_normal(shape)).astype(np.float32)


def matrix(rng, k, least):
    """A symmetric matrix with eigenvalues of `least` and more."""
    root = rng.standard_normal((k, k)) / math.sqrt(k)
    return (root @ root.T + least * np.eye(k)).astype(np.float32)


def problem(
    seed=0, k=5, n_rows=5, n=400, n_other=40, weighted=False, weighted_by="", ridged=False, backed=False,
    mean_per_row=False, **options,
):  # fmt: skip
    """The arguments of one solve_rows call: most ratings fall on the first rows, some rows may have none."""
    rng = np.random.default_rng(seed)
    n = n if n_rows else 0
    rows = (rng.random(n) ** 3 * n_rows).astype(np.int32)
    others = rng.integers(0, n_other, n).astype(np.int32)
    weights = rng.random(n).astype(np.float32) * 2 if weighted else None
    indptr, indices, values, weights = reference.compress_rows(rows, others, floats(rng, n) + 3, weights, n_rows)
    options["weights"] = weights
    options["row_weights"] = rng.random(n_rows).astype(np.float32) * 2 if "rows" in weighted_by else None
    options["other_weights"] = rng.random(n_other).astype(np.float32) * 2 if "others" in weighted_by else None
    options["ridge"] = rng.random(n_rows).astype(np.float32) * 9 if ridged else None
    options["background"] = matrix(rng, k, 0.0) if backed else None
    options["mean"] = floats(rng, n_rows, k) if mean_per_row else floats(rng, k)
    options["precision"] = matrix(rng, k, 1.0)
    return (indptr, indices, values, floats(rng, n_other, k, spread=0.5)), options


problems = st.builds(
    problem,
    seed=st.integers(0, 2**32 - 1),
    k=st.sampled_from(WIDTHS),
    n_rows=st.integers(0, 6),
    n=st.integers(0, 700),
    n_other=st.integers(1, 60),
    weighted=st.booleans(),
    weighted_by=st.sampled_from(["", "rows", "others", "rows and others"]),
    ridged=st.booleans(),
    backed=st.booleans(),
    mean_per_row=st.booleans(),
    bias=st.booleans(),
    center=st.sampled_from([0.0, 3.5]),
    scale=st.sampled_from([1.0, 0.25, 2.0]),
    alpha=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
)


def assert_close(actual, expected, tolerance, size=None):
    """Within `tolerance` of the largest number in play."""
    assert actual.shape == expected.shape
    size = np.abs(expected).max(initial=0) if size is None else size
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * (1 + size))


def whole_weights(arrays, options):
    """The weight of each rating, in float32 and in the kernel's order of factors."""
    indptr, indices, values, _ = arrays
    rows, others = options["row_weights"], options["other_weights"]
    w = np.ones(len(values), np.float32) if rows is None else np.repeat(rows, np.diff(indptr))
    w = w if others is None else w * others[indices]
    return w if options["weights"] is None else w * options["weights"]


def largest(arrays, options):
    """Bounds on the eigenvalues of any row's matrix B, the least being 1, and of its sum of w z z^T."""
    fitted = {name: options[name] for name in ("bias", "center", "scale")}
    z, _ = reference.targets_of(*arrays[1:], **fitted)
    z = np.sqrt(whole_weights(arrays, options))[:, None] * z
    spread = np.linalg.norm(z, 2) ** 2 if len(z) else 0.0
    prior = sum(np.linalg.norm(part, 2) for part in (options["precision"], options["background"]) if part is not None)
    ridge = 0.0 if options["ridge"] is None else options["ridge"].max(initial=0)
    return prior + ridge + options["alpha"] * spread, spread


# ---- against the reference implementation


@each_level
@some
@given(problems, st.booleans(), seeds, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**30))
def test_solve_rows_equals_the_reference(level, case, draw, seed, sweep, stream, first_row):
    arrays, options = case
    options = options | {"draw": draw, "seed": seed, "sweep": sweep, "stream": stream, "errors": True}
    options["first_row"] = first_row
    with at_level(level):
        x, sse = kernels.solve_rows(*arrays, **options)
    expected, expected_sse = reference.solve_rows(*arrays, **options)
    assert x.dtype == np.float32 and sse.dtype == np.float64
    condition, spread = largest(arrays, options)
    assert_close(x, expected, 1e-5 + 5e-7 * condition)
    norms = np.sum(expected**2, axis=1).max(initial=0)
    assert_close(sse, expected_sse, 1e-5, expected_sse.max(initial=0) + spread * norms)


@each_level
@some
@given(problems, st.floats(0, 0.99), st.booleans())
def test_overrelaxed_rows_equal_the_reference(level, case, relaxation, draw):
    arrays, options = case
    previous = floats(np.random.default_rng(2), len(arrays[0]) - 1, arrays[3].shape[1])
    options |= {"previous": previous, "relaxation": relaxation, "draw": draw, "seed": 5, "errors": True}
    with at_level(level):
        x, sse = kernels.solve_rows(*arrays, **options)
    expected, expected_sse = reference.solve_rows(*arrays, **options)
    condition, spread = largest(arrays, {"weights": None} | options)
    assert_close(x, expected, 2e-5 + 1e-6 * condition)
    norms = np.sum(expected**2, axis=1).max(initial=0)
    assert_close(sse, expected_sse, 1e-5, expected_sse.max(initial=0) + spread * norms)


@each_level
def test_without_relaxation_the_draws_before_do_not_count(level):
    arrays, options = problem(seed=3, bias=True)
    previous = floats(np.random.default_rng(2), len(arrays[0]) - 1, arrays[3].shape[1])
    with at_level(level):
        alone, _ = kernels.solve_rows(*arrays, **options, draw=True, seed=4)
        given, _ = kernels.solve_rows(*arrays, **options, draw=True, seed=4, previous=previous)
    np.testing.assert_array_equal(given, alone)


@each_level
@some
@given(problems, st.booleans())
def test_the_modes_of_a_draw_are_the_rows_without_one_and_change_no_draw(level, case, draw):
    arrays, options = case
    modes = np.full((len(arrays[0]) - 1, arrays[3].shape[1]), np.nan, np.float32)
    with at_level(level):
        expected, _ = kernels.solve_rows(*arrays, **options)
        alone, _ = kernels.solve_rows(*arrays, **options, draw=draw, seed=4)
        x, _ = kernels.solve_rows(*arrays, **options, draw=draw, seed=4, modes=modes)
    np.testing.assert_array_equal(modes, expected)
    np.testing.assert_array_equal(x, alone)


@each_level
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("weighted_by", ["rows", "others", "rows and others"])
def test_weights_of_rows_and_other_rows_are_weights_of_their_ratings(level, weighted_by, weighted):
    arrays, options = problem(seed=3, weighted=weighted, weighted_by=weighted_by, bias=True)
    spread_out = options | {"weights": whole_weights(arrays, options), "row_weights": None, "other_weights": None}
    with at_level(level):
        one, two = (kernels.solve_rows(*arrays, **some, draw=True, errors=True) for some in (options, spread_out))
    assert_close(one[0], two[0], 1e-5)
    assert_close(one[1], two[1], 1e-5)


@each_level
@some
@given(seeds, st.sampled_from(WIDTHS), st.integers(1, 50), st.integers(0, 20_000), st.booleans())
def test_predict_pairs_equals_the_reference(level, seed, k, n_side, n, bias):
    rng = np.random.default_rng(seed)
    users, items = floats(rng, n_side, k), floats(rng, n_side + 3, k)
    u, i = rng.integers(0, n_side, n).astype(np.int32), rng.integers(0, n_side + 3, n).astype(np.int32)
    options = {"bias": bias, "center": 3.5, "scale": 1.25}
    with at_level(level):
        out = kernels.predict_pairs(users, items, u, i, **options)
    assert out.dtype == np.float32
    assert_close(out, reference.predict_pairs(users, items, u, i, **options), 1e-5)


@each_level
@some
@given(seeds, st.sampled_from(WIDTHS), st.integers(0, 2000))
def test_gram_equals_the_reference(level, seed, k, n):
    x = floats(np.random.default_rng(seed), n, k) + 1
    with at_level(level):
        products, sums = kernels.gram(x)
    expected, expected_sums = reference.gram(x)
    assert_close(products, expected, 1e-6)
    assert_close(sums, expected_sums, 1e-6, np.abs(x).sum())
    assert np.array_equal(products, products.T)


@some
@given(seeds, st.integers(0, 40), st.integers(1, 9), st.integers(1, 30))
def test_has_repeats_equals_the_reference(seed, n, n_rows, n_columns):
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.sort(rng.integers(0, n + 1, n_rows - 1)), [n]]).astype(np.int64)
    rows = indptr, rng.integers(0, n_columns, n).astype(np.int32), n_columns
    assert kernels.has_repeats(*rows) == reference.has_repeats(*rows)


@some
@given(seeds, st.integers(0, 500), st.integers(1, 30), st.booleans())
def test_compress_rows_equals_the_reference(seed, n, n_rows, weighted):
    rng = np.random.default_rng(seed)
    rows, others = rng.integers(0, n_rows, n).astype(np.int32), rng.integers(0, 9, n).astype(np.int32)
    arrays = (rows, others, floats(rng, n), floats(rng, n) if weighted else None, n_rows)
    for actual, expected in zip(kernels.compress_rows(*arrays), reference.compress_rows(*arrays), strict=True):
        if expected is None:
            assert actual is None
            continue
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


# ---- against the equations


@each_level
@pytest.mark.parametrize("k", [1, 6, 40])
def test_mode_is_what_linalg_solve_finds(level, k):
    rng = np.random.default_rng(k)
    z, t = floats(rng, 300, k), floats(rng, 300)
    with at_level(level):
        x, _ = kernels.solve_rows(
            np.array([0, 300]), np.arange(300, dtype=np.int32), t, z,
            precision=7 * np.eye(k, dtype=np.float32), mean=np.zeros(k, dtype=np.float32), alpha=2.0,
        )  # fmt: skip
    z, t = z.astype(np.float64), t.astype(np.float64)
    assert_close(x[0], np.linalg.solve(7 * np.eye(k) + 2 * z.T @ z, 2 * z.T @ t), 1e-5)


def objective(arrays, options, row, x):
    """Minus the log posterior of one row, rating by rating. A quadratic, so that central differences are exact."""
    indptr, indices, values, other = arrays
    m = options["mean"][row] if options["mean"].ndim == 2 else options["mean"]
    total = 0.5 * (x - m) @ options["precision"] @ (x - m)
    if options["ridge"] is not None:
        total += 0.5 * options["ridge"][row] * np.sum((x - m) ** 2)
    if options["background"] is not None:
        total += 0.5 * x @ options["background"] @ x
    weights = whole_weights(arrays, options).astype(np.float64)
    for e in range(indptr[row], indptr[row + 1]):
        q = other[indices[e]].astype(np.float64)
        score = x[:-1] @ q[:-1] + x[-1] + q[-1] if options["bias"] else x @ q
        residual = (float(values[e]) - options["center"]) / options["scale"] - score
        total += 0.5 * options["alpha"] * weights[e] * residual**2
    return total


@each_level
@settings(max_examples=10, deadline=None)
@given(problems.filter(lambda case: case[0][3].shape[1] <= 17))
def test_the_gradient_is_zero_at_the_mode(level, case):
    arrays, options = case
    with at_level(level):
        out, _ = kernels.solve_rows(*arrays, **options)
    for row, x in enumerate(out.astype(np.float64)[:3]):
        here, steps = objective(arrays, options, row, x), np.eye(len(x))
        ahead = np.array([objective(arrays, options, row, x + step) for step in steps])
        behind = np.array([objective(arrays, options, row, x - step) for step in steps])
        gradient, curvature = (ahead - behind) / 2, ahead + behind - 2 * here
        assert np.all(curvature > 0)
        assert np.abs(gradient).max() < 1e-5 * curvature.max() * (1 + np.abs(x).max())


@each_level
def test_draws_have_the_mean_and_covariance_of_the_posterior(level):
    n, k, each = 20_000, 5, 8
    rng = np.random.default_rng(3)
    z, t, precision, m = floats(rng, each, k), floats(rng, each), matrix(rng, k, 0.5), floats(rng, k)
    indptr = np.arange(n + 1) * each
    indices, values = np.tile(np.arange(each, dtype=np.int32), n), np.tile(t, n)
    with at_level(level):
        x, _ = kernels.solve_rows(
            indptr, indices, values, z, precision=precision, mean=m, alpha=0.7, draw=True, seed=11, sweep=2
        )
    B = precision + 0.7 * z.T.astype(np.float64) @ z
    mode, S = np.linalg.solve(B, precision @ m + 0.7 * z.T @ t), np.linalg.inv(B)
    sampling = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / n)
    assert np.all(np.abs(x.mean(axis=0) - mode) < 4.5 * np.sqrt(np.diag(S) / n))
    assert np.all(np.abs(np.cov(x.T.astype(np.float64)) - S) < 4.5 * sampling)


@each_level
def test_overrelaxed_draws_leave_the_posterior_as_it_is(level):
    """From draws of the posterior come draws of the posterior, on the other side of the mode."""
    n, k, a = 20_000, 3, 0.7
    rng = np.random.default_rng(3)
    precision, m = matrix(rng, k, 0.5), floats(rng, k)
    nothing = np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.ones((1, k), np.float32)
    options = {"precision": precision, "mean": m, "draw": True}
    with at_level(level):
        before, _ = kernels.solve_rows(*nothing, **options, seed=11)
        after, _ = kernels.solve_rows(*nothing, **options, seed=12, previous=before, relaxation=a)
    S = np.linalg.inv(precision.astype(np.float64))
    sampling = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / n)
    assert np.all(np.abs(after.mean(axis=0) - m) < 4.5 * np.sqrt(np.diag(S) / n))
    assert np.all(np.abs(np.cov(after.T.astype(np.float64)) - S) < 4.5 * sampling)
    across = (before - m).T.astype(np.float64) @ (after - m) / n
    assert np.all(np.abs(across + a * S) < 4.5 * sampling)


def test_a_row_without_ratings_has_no_error():
    """Whatever its prior: the sum of squared errors must not come from a difference in which the prior cancels."""
    rng = np.random.default_rng(178)
    empty = np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.ones((1, 4), np.float32)
    spread = rng.standard_normal((4, 4))
    precision = (spread @ spread.T * 100 + np.eye(4)).astype(np.float32)
    mean = (rng.standard_normal(4) * 10).astype(np.float32)
    _, errors = kernels.solve_rows(*empty, precision=precision, mean=mean, alpha=0.5, errors=True)
    assert errors.tolist() == [0.0]


# ---- slices of rows


def slice_of_rows(arrays, options, rows):
    """The arguments of a call for some consecutive rows; `modes` are set in place."""
    indptr, indices, values, other = arrays
    entries = slice(indptr[rows.start], indptr[rows.stop])
    own = {name: options[name][rows] for name in ("row_weights", "ridge", "previous", "modes") if name in options
           and options[name] is not None}  # fmt: skip
    own["weights"] = None if options["weights"] is None else options["weights"][entries]
    own["mean"] = options["mean"][rows] if options["mean"].ndim == 2 else options["mean"]
    here = indptr[rows.start : rows.stop + 1] - indptr[rows.start]
    return (here, indices[entries], values[entries], other), options | own | {"first_row": rows.start}


@each_level
@some
@given(problems, st.booleans(), st.booleans(), st.lists(st.integers(0, 6), max_size=3), st.integers(1, 3))
def test_slices_of_rows_have_the_bytes_of_the_whole(level, case, draw, overrelaxed, cuts, n_threads):
    arrays, options = case
    n_rows, k = len(arrays[0]) - 1, arrays[3].shape[1]
    options |= {"draw": draw, "seed": 3, "sweep": 4, "stream": 1, "errors": True, "n_threads": n_threads}
    options |= {"previous": floats(np.random.default_rng(2), n_rows, k), "relaxation": 0.7} if overrelaxed else {}
    modes = np.zeros((n_rows, k), np.float32)
    bounds = [0, *sorted(min(cut, n_rows) for cut in cuts), n_rows]
    with at_level(level):
        whole, errors = kernels.solve_rows(*arrays, **options | {"modes": modes})
        of_slices = options | {"modes": np.zeros_like(modes)}
        parts = []
        for first, last in itertools.pairwise(bounds):
            some_arrays, some_options = slice_of_rows(arrays, of_slices, slice(first, last))
            parts.append(kernels.solve_rows(*some_arrays, **some_options))
    assert np.concatenate([x for x, _ in parts]).tobytes() == whole.tobytes()
    assert np.concatenate([e for _, e in parts]).tobytes() == errors.tobytes()
    assert of_slices["modes"].tobytes() == modes.tobytes()


def test_many_ratings_are_solved_group_by_group_with_the_same_bytes():
    """From 10 million ratings on rows are taken in another order; no half of them has so many."""
    rng = np.random.default_rng(1)
    counts = np.sort(rng.geometric(1 / 2600, 4000))[::-1].copy()
    counts[::7] = 0
    counts[3999] = 10_000_000 - counts.sum() + 400_000  # one of the longest comes last
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = rng.integers(0, 300, indptr[-1], dtype=np.int32)
    arrays = indptr, indices, np.ones(len(indices), np.float32), floats(rng, 300, 2)
    assert indptr[-1] >= 10_000_000
    options = {"precision": np.eye(2, dtype=np.float32), "mean": floats(rng, 2), "draw": True, "weights": None}
    whole, _ = kernels.solve_rows(*arrays, **options)
    middle = int(np.searchsorted(indptr, 5_000_000))
    halves = [slice_of_rows(arrays, options, rows) for rows in (slice(0, middle), slice(middle, 4000))]
    assert all(len(part[1]) < 10_000_000 for part, _ in halves)
    found = [kernels.solve_rows(*part, **own)[0] for part, own in halves]
    assert np.concatenate(found).tobytes() == whole.tobytes()


# ---- many draws at once


@each_level
@pytest.mark.parametrize("draw", [False, True])
@pytest.mark.parametrize("mean_per_row", [False, True])
def test_rows_under_many_draws_have_the_bytes_of_each_draw_alone(level, draw, mean_per_row):
    rng = np.random.default_rng(3)
    (indptr, indices, values, _), _ = problem(3, k=17)
    others, weights = floats(rng, 3, 40, 17, spread=0.5), rng.random(len(values)).astype(np.float32)
    precisions = np.stack([matrix(rng, 17, 1.0) for _ in range(3)])
    means = floats(rng, 3, 5, 17) if mean_per_row else floats(rng, 3, 17)
    alphas = np.array([0.5, 1.0, 3.0], np.float32)
    arrays = indptr, indices, values
    shared = {"weights": weights, "center": 3.5, "scale": 2.0, "draw": draw, "seed": 7, "stream": 2}
    draws = {"precisions": precisions, "means": means, "alphas": alphas}
    with at_level(level):
        found = [kernels.solve_draws(*arrays, others, **draws, **shared, n_threads=t) for t in (1, 2, 3)]
        for s in range(3):
            own = {"precision": precisions[s], "mean": means[s], "alpha": float(alphas[s]), "sweep": s, "bias": True}
            alone, _ = kernels.solve_rows(*arrays, others[s], **own, **shared)
            np.testing.assert_array_equal(found[0][s], alone)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
    assert_close(found[0], reference.solve_draws(*arrays, others, **draws, **shared), 1e-4)


def test_what_solve_draws_refuses():
    (indptr, indices, values, other), options = problem(0, k=3)
    draws = {"precisions": options["precision"][None], "means": options["mean"][None], "alphas": np.ones(1, np.float32)}
    others = other[None]
    for name, wrong in (
        ("precisions", draws["precisions"][:, :2]),
        ("means", draws["means"][:, :2]),
        ("alphas", np.ones(2, np.float32)),
        ("alphas", -np.ones(1, np.float32)),
        ("precisions", np.full((1, 3, 3), np.nan, np.float32)),
        ("precisions", -1e6 * draws["precisions"]),
    ):
        with pytest.raises((TypeError, ValueError)):
            kernels.solve_draws(indptr, indices, values, others, **draws | {name: wrong})
    with pytest.raises(TypeError, match="others"):
        kernels.solve_draws(indptr, indices, values, other, **draws)
    with pytest.raises(IndexError):
        kernels.solve_draws(indptr, indices + np.int32(40), values, others, **draws)
