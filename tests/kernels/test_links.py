"""The kernels of features: against the reference implementation, and the draws of a link against their Normal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from palate import kernels
from palate.kernels import reference

some = settings(max_examples=25, deadline=None)
each_level = pytest.mark.parametrize("level", kernels.levels())
WIDTHS = [1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 48, 63, 65, 80, 130]
seeds = st.integers(0, 2**64 - 1)
NAN, INF = float("nan"), float("inf")


def sparse(rng, n_rows, n_columns, n, *, distinct=False):
    """At most n entries anywhere, most in the first rows: (indptr, indices, values). distinct: no cell has two."""
    n = n if n_rows and n_columns else 0
    cells = (rng.random(n) ** 3 * n_rows).astype(np.int64) * n_columns + rng.integers(0, max(n_columns, 1), n)
    rows, indices = np.divmod(np.unique(cells) if distinct else np.sort(cells), max(n_columns, 1))
    indptr = np.searchsorted(rows, np.arange(n_rows + 1)).astype(np.int64)
    return indptr, indices.astype(np.int32), rng.standard_normal(len(rows)).astype(np.float32)


def product_of(seed, n_rows, n_columns, k, n, with_values=True):
    """The arguments of one multiply_rows call."""
    rng = np.random.default_rng(seed)
    indptr, indices, values = sparse(rng, n_rows, n_columns, n)
    table = rng.standard_normal((n_columns, k)).astype(np.float32)
    return indptr, indices, values if with_values else None, table


def link_of(seed, n_features, n_rows, k, n):
    """The arguments of one draw_link call: some features may have no row, some rows no feature."""
    rng = np.random.default_rng(seed)
    features = sparse(rng, n_features, n_rows, n, distinct=True)
    tables = (rng.standard_normal((rows, k)).astype(np.float32) for rows in (n_features, n_rows))
    options = {
        "ridge": rng.uniform(0.5, 20, n_features).astype(np.float32),
        "factor": (np.tril(rng.standard_normal((k, k))) / np.sqrt(k)).astype(np.float32),
        "seed": seed,
        "sweep": seed % 97,
        "stream": 2 + seed % 2,
    }
    return (*features, *tables), options


def drawn(function, problem, **more):
    """(link, residuals) after one pass, the problem's own left as they were."""
    (*features, link, residuals), options = problem
    link, residuals = link.copy(), residuals.copy()
    assert function(*features, link, residuals, **options | more) is None
    return link, residuals


products = st.builds(
    product_of,
    seed=seeds,
    n_rows=st.integers(0, 60),
    n_columns=st.integers(0, 40),
    k=st.sampled_from(WIDTHS),
    n=st.sampled_from([0, 1, 30, 500]),
    with_values=st.booleans(),
)
links = st.builds(
    link_of,
    seed=seeds,
    n_features=st.sampled_from([0, 1, 2, 30, 300]),  # more than the 256 whose noise one task draws
    n_rows=st.integers(0, 40),
    k=st.sampled_from(WIDTHS),
    n=st.sampled_from([0, 1, 30, 500]),
)

# ---- against the reference implementation, on any number of threads


@each_level
@some
@given(problem=products)
def test_products_equal_the_reference(level, problem):
    with at_level(level):
        found = kernels.multiply_rows(*problem)
    expected = reference.multiply_rows(*problem)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    indptr, indices, values, table = problem
    sizes = reference.multiply_rows(indptr, indices, None if values is None else np.abs(values), np.abs(table))
    longest = int(np.diff(indptr).max(initial=0))  # additions, each rounded
    assert (np.abs(found - expected) <= 1e-6 + longest * 2.0**-24 * sizes).all()


@each_level
@pytest.mark.parametrize("with_values", [True, False])
def test_a_product_is_that_of_the_dense_matrix(level, with_values):
    indptr, indices, values, table = product_of(3, 3000, 70, 20, 40_000, with_values)  # several tasks
    dense = np.zeros((3000, 70))
    np.add.at(dense, (np.repeat(np.arange(3000), np.diff(indptr)), indices), 1 if values is None else values)
    with at_level(level):
        found = kernels.multiply_rows(indptr, indices, values, table)
    np.testing.assert_allclose(found, dense @ table, rtol=1e-4, atol=1e-3)


@each_level
@some
@given(problem=links, relaxation=st.sampled_from([0.0, 0.7, 0.99]))
def test_a_draw_of_the_link_equals_the_reference(level, problem, relaxation):
    with at_level(level):
        found = drawn(kernels.draw_link, problem, relaxation=relaxation)
    for one, two in zip(found, drawn(reference.draw_link, problem, relaxation=relaxation), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-4)


@each_level
def test_links_give_the_same_bytes_on_any_number_of_threads(level):
    product, link = product_of(1, 3000, 70, 37, 40_000), link_of(1, 700, 400, 37, 20_000)
    with at_level(level):
        first, *others = (kernels.multiply_rows(*product, n_threads=n).tobytes() for n in (1, 2, 3))
        assert set(others) == {first}
        first, *others = (drawn(kernels.draw_link, link, n_threads=n) for n in (1, 2, 3))
    for other in others:
        assert [part.tobytes() for part in other] == [part.tobytes() for part in first]


@each_level
def test_row_values_equal_the_same_values_per_entry_to_the_bit(level):
    (indptr, indices, _, *tables), options = link_of(4, 60, 40, 19, 700)
    row_values = np.random.default_rng(5).standard_normal(40).astype(np.float32)
    by_row = (indptr, indices, None, *tables), options | {"row_values": row_values}
    by_entry = (indptr, indices, row_values[indices], *tables), options
    with at_level(level):
        pairs = list(zip(drawn(kernels.draw_link, by_row), drawn(kernels.draw_link, by_entry), strict=True))
    for one, two in pairs:
        np.testing.assert_array_equal(one, two)
    for one, two in zip(drawn(kernels.draw_link, by_row), drawn(reference.draw_link, by_row), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-4)


@some
@given(problem=links)
def test_residuals_stay_what_the_link_leaves(problem):
    (indptr, indices, values, before, residuals), options = problem
    F = np.zeros((len(residuals), len(before)))
    np.add.at(F, (indices, np.repeat(np.arange(len(before)), np.diff(indptr))), values)
    link, left = drawn(kernels.draw_link, ((indptr, indices, values, before, residuals), options))
    np.testing.assert_allclose(left + F @ link, residuals + F @ before, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("k", [129, 200, 4100])
def test_a_wide_product_is_the_narrow_one_side_by_side(k):
    rng = np.random.default_rng(k)
    table = rng.standard_normal((30, k)).astype(np.float32)
    indptr, indices = np.arange(0, 3001, 10), rng.integers(0, 30, 3000).astype(np.int32)
    values = rng.standard_normal(3000).astype(np.float32)
    whole = kernels.multiply_rows(indptr, indices, values, table)
    parts = [np.ascontiguousarray(table[:, at : at + 64]) for at in range(0, k, 64)]
    narrow = np.hstack([kernels.multiply_rows(indptr, indices, values, part) for part in parts])
    np.testing.assert_array_equal(whole, narrow)
    assert kernels.multiply_rows(indptr, indices, values, table, n_threads=1).tobytes() == whole.tobytes()


# ---- against the Normal

# Feature 0 is of all rows and feature 1 of all but one, so they are correlated; 2 is of three rows, 3 of none.
F = np.zeros((9, 4), np.float32)
F[:, 0], F[1:, 1], F[2:5, 2] = 1, 0.5, [2, -1, 0.3]
BY_FEATURE = (
    np.array([0, 9, 17, 20, 20], np.int64),
    np.concatenate([np.flatnonzero(F[:, f]) for f in range(4)]).astype(np.int32),
    np.concatenate([F[F[:, f] != 0, f] for f in range(4)]),
)
RIDGE = np.array([0.7, 2.0, 1.0, 4.0], np.float32)
FACTOR = np.array([[1.0, 0, 0], [0.6, 0.5, 0], [-0.4, 0.2, 0.8]], np.float32)  # C C^T = Lambda^-1
AROUND = np.random.default_rng(5).standard_normal((9, 3)).astype(np.float32)  # X - m


def assert_moments(draws, mean, covariance, n_effective):
    """The sample's mean and covariance within five standard errors of the exact ones; draws: (n, size)."""
    deviations = np.sqrt(np.diag(covariance))
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * deviations / np.sqrt(n_effective)).all()
    spread = np.sqrt(covariance**2 + np.outer(deviations, deviations) ** 2)
    assert (np.abs(np.cov(draws.T) - covariance) < 5 * spread / np.sqrt(n_effective)).all()


@pytest.mark.parametrize("f", [0, 2, 3])
def test_a_row_given_the_others_has_its_normal_distribution(f):
    start = np.random.default_rng(f).standard_normal((4, 3)).astype(np.float32)
    order = [*(at for at in range(4) if at != f), f]  # the last one's draw is given those of the others
    indptr, indices, values = BY_FEATURE
    parts = [slice(indptr[at], indptr[at + 1]) for at in order]
    turned = (
        np.concatenate([[0], np.cumsum([part.stop - part.start for part in parts])]),
        np.concatenate([indices[part] for part in parts]),
        np.concatenate([values[part] for part in parts]),
    )
    draws = []
    for seed in range(4000):
        link, residuals = start.copy(), AROUND - F[:, order] @ start
        kernels.draw_link(*turned, link, residuals, ridge=RIDGE[order], factor=FACTOR, seed=seed, sweep=1, stream=2)
        precision = F[:, f] @ F[:, f] + RIDGE[f]
        mean = F[:, f] @ (AROUND - F[:, order[:3]] @ link[:3]) / precision
        draws.append((link[3] - mean) * np.sqrt(precision))
    assert_moments(np.array(draws), np.zeros(3), FACTOR @ FACTOR.T, 4000)


@pytest.mark.parametrize("relaxation", [0.0, 0.7])
def test_the_posterior_of_the_link_is_left_as_it_is(relaxation):
    """Drawn over and over, beta has mean (F^T F + L)^-1 F^T (X - m) and covariance (F^T F + L)^-1 (x) Lambda^-1."""
    inverse = np.linalg.inv((F.T @ F + np.diag(RIDGE)).astype(np.float64))
    mean, covariance = inverse @ F.T @ AROUND, np.kron(inverse, FACTOR @ FACTOR.T)
    link, residuals = np.zeros((4, 3), np.float32), AROUND.copy()
    options = {"ridge": RIDGE, "factor": FACTOR, "relaxation": relaxation, "seed": 3, "stream": 2}
    draws = np.empty((40_000, 12))
    for sweep in range(len(draws)):
        kernels.draw_link(*BY_FEATURE, link, residuals, sweep=sweep, **options)
        draws[sweep] = link.ravel()
    kept = draws[100::10]  # by then nearly independent
    assert_moments(kept, mean.ravel(), covariance, len(kept) / 2)
    np.testing.assert_allclose(residuals, AROUND - F @ link, atol=1e-2)  # after 40,000 passes of float32


def test_noise_changes_with_each_key_and_row():
    problem = link_of(1, 30, 20, 5, 0)  # no row has a feature: the draws are noise alone
    one = drawn(kernels.draw_link, problem)[0]
    assert len(np.unique(one)) == one.size
    for other in ({"seed": 2}, {"sweep": 50}, {"stream": 7}):
        assert not (drawn(kernels.draw_link, problem, **other)[0] == one).any()


# ---- the border; test_border.py has wrong dtypes, shapes and layouts of all kernels


def good():
    (_, _, _, link, residuals), options = link_of(0, 6, 5, 3, 0)
    features = np.array([0, 4, 8, 12, 16, 20, 20]), np.arange(20, dtype=np.int32) % 5, np.ones(20, np.float32)
    names = ("indptr", "indices", "values", "link", "residuals")
    return dict(zip(names, (*features, link, residuals), strict=True)) | options


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"ridge": np.zeros(6, np.float32)}, ValueError, "ridge must be finite and above 0"),
        ({"ridge": np.full(6, -1, np.float32)}, ValueError, "ridge"),
        ({"ridge": np.full(6, NAN, np.float32)}, ValueError, "ridge"),
        ({"ridge": np.full(6, INF, np.float32)}, ValueError, "ridge"),
        ({"ridge": np.ones(5, np.float32)}, TypeError, "ridge"),
        ({"factor": np.full((3, 3), NAN, np.float32)}, ValueError, "factor"),
        ({"factor": np.ones((3, 4), np.float32)}, TypeError, "factor"),
        ({"relaxation": 1.0}, ValueError, "relaxation must be below 1"),
        ({"relaxation": -0.5}, ValueError, "relaxation"),
        ({"values": np.full(20, INF, np.float32)}, ValueError, "values"),
        ({"values": np.ones(19, np.float32)}, TypeError, "indices"),
        ({"indices": np.full(20, 5, np.int32)}, IndexError, r"indices holds 5, outside 0\.\.4"),
        ({"indices": np.full(20, -1, np.int32)}, IndexError, "indices holds -1"),
        ({"indptr": np.array([0, 9, 3, 6, 12, 20, 20])}, ValueError, "indptr must rise"),
        ({"indptr": np.array([0, 20])}, TypeError, "indptr"),
        ({"link": np.ones((6, 2), np.float32)}, TypeError, "residuals"),
        ({"link": np.ones(6, np.float32)}, TypeError, "shape"),
        ({"link": np.ones((6, 0), np.float32)}, ValueError, "between 1 and 4096 columns"),
        ({"residuals": np.ones((5, 3))}, TypeError, "residuals"),
        ({"n_threads": -1}, ValueError, "n_threads"),
        ({"seed": -1}, TypeError, "seed"),
    ],
    ids=str,
)
def test_invalid_arguments_of_draw_link_raise(changes, error, says):
    kernels.draw_link(**good())
    with pytest.raises(error, match=says):
        kernels.draw_link(**good() | changes)


def test_read_only_arrays_and_lists_are_refused_where_they_would_be_changed():
    for name in ("link", "residuals"):
        frozen, listed = good(), good()
        frozen[name].flags.writeable = False
        listed[name] = listed[name].tolist()
        for arguments in (frozen, listed):
            with pytest.raises(TypeError):
                kernels.draw_link(**arguments)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"table": np.ones((4, 0), np.float32)}, ValueError, "between 1 and 2"),
        ({"table": np.ones((3, 2), np.float32)}, IndexError, r"indices holds 3, outside 0\.\.2"),
        ({"table": np.ones(4, np.float32)}, TypeError, "table must have shape"),
        ({"indices": np.array([0, -1], np.int32)}, IndexError, "indices holds -1"),
        ({"indptr": np.array([0, 2, 1])}, ValueError, "indptr must rise"),
        ({"indptr": np.zeros(0, np.int64)}, TypeError, "indptr"),
        ({"values": np.ones(3, np.float32)}, TypeError, "values"),
        ({"n_threads": -1}, ValueError, "n_threads"),
    ],
    ids=str,
)
def test_invalid_arguments_of_multiply_rows_raise(changes, error, says):
    good = {
        "indptr": np.array([0, 1, 2]),
        "indices": np.array([0, 3], np.int32),
        "values": np.ones(2, np.float32),
        "table": np.ones((4, 2), np.float32),
    }
    assert (kernels.multiply_rows(**good) == 1).all()
    with pytest.raises(error, match=says):
        kernels.multiply_rows(**good | changes)
