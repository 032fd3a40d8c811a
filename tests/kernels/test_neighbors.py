"""The kernels of neighborhoods against their reference implementations: sparse products and nearest rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import kernels
from palate.kernels import reference


def rows_of(dense):
    """Compressed rows (indptr, indices, values) of a dense matrix."""
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))]).astype(np.int64)
    return indptr, columns.astype(np.int32), dense[rows, columns].astype(np.float32)


def drawn(n_rows, n_columns, seed, share=0.4):
    """A sparse matrix of small whole numbers, whose products are exact in float32."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n_rows, n_columns)) < share, rng.integers(-3, 4, (n_rows, n_columns)), 0)


sizes = st.integers(1, 12)


@given(sizes, sizes, sizes, st.integers(0, 10**6), st.booleans())
def test_products_equal_the_reference(n_rows, n_middle, n_columns, seed, with_values):
    A, T = rows_of(drawn(n_rows, n_middle, seed)), rows_of(drawn(n_middle, n_columns, seed + 1))
    if not with_values:
        A, T = (*A[:2], None), (*T[:2], None)
    expected = reference.multiply_sparse(*A, *T, n_columns)
    np.testing.assert_array_equal(kernels.multiply_sparse(*A, *T, n_columns), expected)
    table = drawn(n_middle, n_columns, seed + 2).astype(np.float32)
    np.testing.assert_array_equal(kernels.multiply_wide(*A, table), reference.multiply_wide(*A, table))


def test_a_wide_product_goes_in_tiles():
    A, table = rows_of(drawn(5, 7, 1)), drawn(7, 9001, 2).astype(np.float32)
    np.testing.assert_array_equal(kernels.multiply_wide(*A, table), reference.multiply_wide(*A, table))


@given(sizes, sizes, st.integers(0, 10**6), st.integers(0, 15), st.sampled_from([0.0, 1.0, 3.0]))
def test_nearest_rows_equal_the_reference(n, n_columns, seed, k, shrinkage):
    X = drawn(n, n_columns, seed)
    A, T = rows_of(X), rows_of(X.T)
    for rows, sizes in ((A, None), (rows_of(drawn(4, n_columns, seed + 1)), np.diff(A[0]).astype(np.int32))):
        codes, similarities = kernels.nearest_rows(*rows, *T, n, k=k, shrinkage=shrinkage, sizes=sizes)
        known, expected = reference.nearest_rows(*rows, *T, n, k=k, shrinkage=shrinkage, sizes=sizes)
        np.testing.assert_allclose(similarities, expected, rtol=1e-6)
        if shrinkage in (0.0, 1.0):  # whole numbers, or such over 1 + n: ties are ties in both
            assert (similarities > 0).sum() == (codes >= 0).sum()
        if shrinkage == 0.0:
            np.testing.assert_array_equal(codes, known)


def test_same_bytes_at_any_number_of_threads():
    X = drawn(300, 200, 1)
    A, T = rows_of(X), rows_of(X.T)
    found = [kernels.nearest_rows(*A, *T, 300, k=20, shrinkage=3.0, n_threads=n) for n in (1, 2, 3)]
    products = [kernels.multiply_sparse(*A, *T, 300, n_threads=n).tobytes() for n in (1, 2, 3)]
    assert len({codes.tobytes() + similarities.tobytes() for codes, similarities in found}) == 1
    assert len(set(products)) == 1


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"indices": np.array([9], np.int32)}, IndexError, "indices holds 9"),
        ({"indices": np.array([-1], np.int32)}, IndexError, "indices holds -1"),
        ({"indptr": np.array([0, 2])}, ValueError, "indptr must rise"),
        ({"indptr": np.array([], np.int64)}, TypeError, "indptr must have shape"),
        ({"values": np.ones(3, np.float32)}, TypeError, "values must be"),
        ({"other_indices": np.array([3], np.int32)}, IndexError, "indices holds 3"),
        ({"n_others": -1}, ValueError, "n_columns must lie"),
        ({"n_others": 2, "sizes": None}, ValueError, "there must be as many rows as others"),
        ({"sizes": np.ones(4, np.int32)}, TypeError, "sizes must be"),
        ({"k": -1}, ValueError, "k must be >= 0"),
        ({"shrinkage": -0.5}, ValueError, "shrinkage is out of range"),
        ({"shrinkage": np.nan}, ValueError, "shrinkage is out of range"),
        ({"n_threads": -1}, ValueError, "n_threads must be"),
    ],
)
def test_the_border_checks_everything(change, error, match):
    good = {
        "indptr": np.array([0, 1]), "indices": np.array([0], np.int32), "values": None,
        "other_indptr": np.array([0, 1]), "other_indices": np.array([0], np.int32), "other_values": None,
        "n_others": 1, "k": 1, "sizes": np.ones(1, np.int32),
    }  # fmt: skip
    kernels.nearest_rows(**good)
    with pytest.raises(error, match=match):
        kernels.nearest_rows(**(good | change))
