"""The event kernel against its reference: the Gram matrix of pasts, and transitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import kernels
from palate.kernels import reference
from palate.kernels.reference.neighbors import dense


def histories(n_users, n_items, seed, longest=12):
    """Random histories, some of them empty, in which items may be repeated."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, longest, n_users)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return indptr, rng.integers(0, n_items, indptr[-1]).astype(np.int32)


@given(
    *(st.integers(1, 8), st.integers(1, 12), st.integers(1, 15), st.integers(0, 10**6)), st.integers(1, 3),
    st.integers(0, 5),
)  # fmt: skip
def test_grams_of_events_are_those_of_the_reference(n_users, n_items, length, seed, n_threads, k):
    indptr, items = histories(n_users, n_items, seed)
    memory = np.random.default_rng(seed).integers(0, 4, length).astype(np.float32)  # whole numbers: exact sums
    found = kernels.event_grams(indptr, items, memory, n_items=n_items, k=k, n_threads=n_threads)
    expected = reference.event_grams(indptr, items, memory, n_items=n_items, k=k)
    np.testing.assert_array_equal(found[1], expected[1])
    for rows, others in ((found[0], expected[0]), (found[2], expected[2])):
        np.testing.assert_array_equal(dense(*rows, n_items), dense(*others, n_items))
    for array, other in zip(found[2], expected[2], strict=True):
        np.testing.assert_array_equal(array, other)
    for pointers, columns, _ in (found[0], found[2]):
        for row in range(n_items):
            assert (np.diff(columns[pointers[row] : pointers[row + 1]]) > 0).all()


def test_by_hand():
    """ann: tea, jam, tea. With memory 1, 1/2 the pasts are (), tea, jam + tea / 2."""
    below, diagonal, before = kernels.event_grams(
        np.array([0, 3]), np.array([0, 1, 0], np.int32), np.array([1, 0.5], np.float32), n_items=2
    )
    np.testing.assert_array_equal(dense(*below, 2), [[0, 0], [0.5, 0]])
    np.testing.assert_array_equal(diagonal, [1.25, 1])
    np.testing.assert_array_equal(dense(*before, 2), [[0.5, 1], [1, 0]])  # rows: what comes next


def test_bad_arguments_raise():
    indptr, items, memory = np.array([0, 2]), np.array([0, 1], np.int32), np.ones(3, np.float32)
    for error, arguments in (
        (IndexError, (indptr, items, memory, 1)),
        (ValueError, (indptr, items, memory[:0], 2)),
        (ValueError, (indptr, items, np.ones(1025, np.float32), 2)),
        (ValueError, (indptr, items, np.array([np.nan], np.float32), 2)),
        (ValueError, (np.array([0, 1]), items, memory, 2)),
        (TypeError, (indptr, items, memory.astype(np.float64), 2)),
        (ValueError, (indptr, items, memory, 0)),
    ):
        with pytest.raises(error):
            kernels.event_grams(*arguments[:3], n_items=arguments[3])


def test_no_events_give_empty_grams():
    below, diagonal, before = kernels.event_grams(
        np.zeros(3, np.int64), np.zeros(0, np.int32), np.ones(2, np.float32), n_items=4
    )
    assert below[0].tolist() == before[0].tolist() == [0] * 5
    np.testing.assert_array_equal(diagonal, np.zeros(4))
