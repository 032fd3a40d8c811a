"""The support kernels against their references and numpy.linalg: a sparse Gram matrix, and small regressions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import kernels
from palate.kernels import reference

LEVELS = kernels.levels()


@pytest.fixture(params=LEVELS)
def at_level(request):
    usual = kernels.level()
    kernels.use_level(request.param)
    yield request.param
    kernels.use_level(usual)


def rows_of(dense):
    """Compressed rows (indptr, indices, values) of a dense matrix."""
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))]).astype(np.int64)
    return indptr, columns.astype(np.int32), dense[rows, columns].astype(np.float32)


def choices(n_users, n_items, seed, share=0.3):
    """A matrix of small whole numbers, whose products are exact in float32."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n_users, n_items)) < share, rng.integers(1, 4, (n_users, n_items)), 0)


def supports_of(n_items, seed, longest, n_rows=None):
    """Random supports without the target, and targets."""
    rng, n_rows = np.random.default_rng(seed), n_items if n_rows is None else n_rows
    targets = rng.integers(0, n_items, n_rows).astype(np.int32)
    rows = [
        np.sort(rng.permutation(np.delete(np.arange(n_items), target))[: rng.integers(0, longest + 1)])
        for target in targets
    ]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return {"indptr": indptr, "indices": np.concatenate(rows).astype(np.int32), "targets": targets}


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 10**6), st.booleans())
def test_the_sparse_gram_matrix_is_the_product_below_its_diagonal(n_users, n_items, seed, with_values):
    X = choices(n_users, n_items, seed)
    weights = np.random.default_rng(seed).integers(1, 3, n_users)
    sides = rows_of((X * weights[:, None]).T), rows_of(X)
    if not with_values:
        sides = tuple((*side[:2], None) for side in sides)
        X, weights = (X > 0).astype(int), np.ones(n_users, int)
    found = kernels.sparse_gram(*sides[0], *sides[1])
    for array, expected in zip(found, reference.sparse_gram(*sides[0], *sides[1]), strict=True):
        np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(reference.neighbors.dense(*found, n_items), np.tril(X.T @ np.diag(weights) @ X, -1))


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_rows_that_are_sorted_and_rows_that_are_read_off_are_the_same(share):
    X = choices(60, 900, 1, share)
    sides = *rows_of(X.T), *rows_of(X)
    for array, expected in zip(kernels.sparse_gram(*sides), reference.sparse_gram(*sides), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.usefixtures("at_level")
@pytest.mark.parametrize(("n_items", "longest", "share"), [(1, 0, 0.5), (9, 3, 0.5), (60, 40, 0.3), (700, 6, 0.6)])
def test_regressions_equal_those_of_numpy(n_items, longest, share):
    # few columns of long rows are looked for, many are read from end to end
    X = choices(50, n_items, n_items, share)
    gram = kernels.sparse_gram(*rows_of(X.T), *rows_of(X))
    diagonal = np.square(X).sum(axis=0).astype(np.float32)
    ridges = np.random.default_rng(0).uniform(20, 60, (3, n_items)).astype(np.float32)
    problem = {"diagonal": diagonal, "ridges": ridges} | supports_of(n_items, 3, longest)
    found = kernels.solve_supports(*gram, **problem)
    np.testing.assert_allclose(found, reference.solve_supports(*gram, **problem), rtol=2e-4, atol=2e-6)
    G = (X.T @ X).astype(float)
    for row, target in enumerate(problem["targets"]):
        here = slice(*problem["indptr"][row : row + 2])
        S = problem["indices"][here]
        for ridge, weights in zip(ridges, found, strict=True):
            expected = np.linalg.solve(G[np.ix_(S, S)] + np.diag(ridge[S]), G[S, target])
            np.testing.assert_allclose(weights[here], expected, rtol=2e-4, atol=2e-6)


def test_on_all_other_items_they_are_the_weights_of_the_inverse():
    X = choices(200, 30, 5)
    gram = kernels.sparse_gram(*rows_of(X.T), *rows_of(X))
    everything = np.arange(30)
    indices = np.concatenate([np.delete(everything, j) for j in everything]).astype(np.int32)
    found = kernels.solve_supports(
        *gram,
        diagonal=np.square(X).sum(axis=0).astype(np.float32),
        ridges=np.full((1, 30), 9.0, np.float32),
        indptr=29 * np.arange(31, dtype=np.int64),
        indices=indices,
        targets=everything.astype(np.int32),
    )[0].reshape(30, 29)
    P = np.linalg.inv(X.T @ X + 9.0 * np.eye(30))
    expected = [np.delete(-P[:, j] / P[j, j], j) for j in everything]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_same_bytes_at_any_number_of_threads():
    X = choices(80, 300, 2)
    sides = *rows_of(X.T), *rows_of(X)
    grams = [kernels.sparse_gram(*sides, n_threads=n) for n in (1, 2, 3)]
    assert len({b"".join(part.tobytes() for part in gram) for gram in grams}) == 1
    problem = {"diagonal": np.square(X).sum(axis=0).astype(np.float32), "ridges": np.ones((2, 300), np.float32)}
    problem |= supports_of(300, 4, 50)
    found = [kernels.solve_supports(*grams[0], **problem, n_threads=n).tobytes() for n in (1, 2, 3)]
    assert len(set(found)) == 1


def test_a_matrix_that_is_not_positive_definite_is_refused():
    gram = np.array([0, 0, 1, 1]), np.array([0], np.int32), np.array([5.0], np.float32)
    problem = {"diagonal": np.ones(3, np.float32), "ridges": np.zeros((1, 3), np.float32)}
    problem |= {"indptr": np.array([0, 2]), "indices": np.array([0, 1], np.int32), "targets": np.array([2], np.int32)}
    with pytest.raises(ValueError, match="the matrix of row 0 is not positive definite: raise the ridges"):
        kernels.solve_supports(*gram, **problem)


GRAM = {
    "gram_indptr": np.array([0, 0, 1]),
    "gram_indices": np.array([0], np.int32),
    "gram_values": np.ones(1, np.float32),
}
GOOD = GRAM | {
    "diagonal": np.ones(2, np.float32), "ridges": np.ones((1, 2), np.float32), "indptr": np.array([0, 1]),
    "indices": np.array([1], np.int32), "targets": np.zeros(1, np.int32),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"gram_indices": np.array([2], np.int32)}, IndexError, "indices holds 2"),
        ({"gram_indptr": np.array([0, 2, 1])}, ValueError, "indptr must rise"),
        ({"diagonal": np.ones(3, np.float32)}, TypeError, "diagonal must be"),
        ({"diagonal": np.array([1, np.nan], np.float32)}, ValueError, "diagonal"),
        ({"ridges": np.ones(2, np.float32)}, TypeError, "ridges must have shape"),
        ({"ridges": np.full((1, 2), -1, np.float32)}, ValueError, "ridges"),
        ({"ridges": np.ones((1, 3), np.float32)}, TypeError, "ridges must be"),
        ({"indices": np.array([2], np.int32)}, IndexError, "indices holds 2"),
        ({"indptr": np.array([0, 2]), "indices": np.array([1, 1], np.int32)}, ValueError, "row of supports must rise"),
        ({"targets": np.array([2], np.int32)}, IndexError, "targets holds 2"),
        ({"targets": np.zeros(2, np.int32)}, TypeError, "targets must be"),
        ({"targets": np.ones(1, np.int32)}, ValueError, "a support holds its own target"),
        ({"n_threads": -1}, ValueError, "n_threads"),
    ],
)  # fmt: skip
def test_bad_arguments_raise(change, error, match):
    assert kernels.solve_supports(**GOOD).shape == (1, 1)
    with pytest.raises(error, match=match):
        kernels.solve_supports(**(GOOD | change))


def test_a_gram_matrix_wants_rising_columns():
    one = np.array([0, 2]), np.array([0, 1], np.int32), None
    two = np.array([0, 1, 2]), np.array([0, 0], np.int32), None
    assert kernels.sparse_gram(*two, *one)[1].tolist() == [0]
    with pytest.raises(ValueError, match="row of X must rise"):
        kernels.sparse_gram(*two, one[0], np.array([1, 0], np.int32), None)


def test_a_support_has_4096_columns_at_most():
    n = 5000
    gram = np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
    problem = {"diagonal": np.ones(n, np.float32), "ridges": np.ones((1, n), np.float32)}
    problem |= {"indptr": np.array([0, 4097]), "indices": np.arange(4097, dtype=np.int32)}
    with pytest.raises(ValueError, match="4096"):
        kernels.solve_supports(*gram, **problem, targets=np.full(1, n - 1, np.int32))


@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 10**6))
def test_another_right_hand_side_is_solved_and_a_support_may_hold_its_target(n_items, longest, seed):
    rng = np.random.default_rng(seed)
    X = choices(20, n_items, seed)
    below = kernels.sparse_gram(*rows_of(X.T), *rows_of(X))
    rows = [np.sort(rng.permutation(n_items)[: rng.integers(0, longest + 1)]) for _ in range(n_items)]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    arguments = {
        "diagonal": (X**2).sum(axis=0).astype(np.float32),
        "ridges": np.full((1, n_items), 5, np.float32),
        "indptr": indptr,
        "indices": np.concatenate(rows).astype(np.int32),
        "targets": np.arange(n_items, dtype=np.int32),
        "right": rng.standard_normal(indptr[-1]).astype(np.float32),
    }
    np.testing.assert_allclose(
        kernels.solve_supports(*below, **arguments), reference.solve_supports(*below, **arguments), rtol=2e-4, atol=2e-5
    )
