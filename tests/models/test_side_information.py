"""Side information: the matrix F of history and attributes, its groups, and rows encoded before."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import dense_of, rows_of
from palate.data.features import Features
from palate.data.rows import columns_from, rows_where
from palate.models.side_information import SideInfo

few = settings(max_examples=60, deadline=None)
histories = st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=8)
JOBS = Features.learned({"job": ["cook", "smith", "king"] * 20, "age": [20 + n % 30 for n in range(60)]})


def test_rows_encoded_before_are_those_encoded_now():
    table = pl.DataFrame({"job": ["king", None, "cook", "stranger"] * 3, "age": [30, 20, None, 90] * 3})
    codes, fresh = np.array([7, 0, 3, 3, 10]), SideInfo(7, JOBS)
    at_hand = fresh.learned_from(table)
    assert at_hand == fresh and at_hand.encoded is not None and SideInfo(7).learned_from(table).encoded is None
    for one in (table, table.clone()):  # the very table, and one that only looks the same
        for part in ("indptr", "indices", "values"):
            found, right = (getattr(info.encode_some(one, codes), part) for info in (at_hand, fresh))
            assert found.dtype == right.dtype
            np.testing.assert_array_equal(found, right)
    other = table.with_columns(job=pl.lit("smith"))
    np.testing.assert_array_equal(at_hand.encode_some(other, codes).to_dense(), fresh.encode(other[codes]).to_dense())
    assert at_hand.encode_some(None, codes) is None


@few
@given(histories, st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=64, max_size=64), st.booleans(), st.data())
def test_the_matrix_is_history_beside_attributes(lists, weights, told, data):
    """Also where a pair was rated more than once, and where ratings of weight 0 do not count."""
    history = rows_of(lists, weights)
    info = SideInfo(7, JOBS)
    jobs = st.fixed_dictionaries({"job": st.sampled_from(["cook", "king", "stranger"]), "age": st.integers(1, 90)})
    rows = data.draw(st.lists(jobs | st.just({}), min_size=len(lists), max_size=len(lists)))
    design = info.encode(rows) if told else None
    there = np.zeros((len(lists), 7))
    for row in range(len(lists)):
        here = slice(*history.indptr[row : row + 2])
        there[row, history.indices[here][history.weights[here] > 0]] = 1
    shares = there / np.sqrt(np.maximum(there.sum(axis=1, keepdims=True), 1))
    right = np.zeros((len(lists), JOBS.n_features)) if design is None else design.to_dense()
    F = info.matrix(history, design)
    assert (F.indptr.dtype, F.indices.dtype, F.values.dtype) == (np.int64, np.int32, np.float32)
    np.testing.assert_allclose(dense_of(F, info.n_features), np.hstack([shares, right]), rtol=1e-6)
    cells = np.repeat(np.arange(F.n_rows), F.counts) * info.n_features + F.indices
    assert len(np.unique(cells)) == len(cells)
    np.testing.assert_array_equal(dense_of(columns_from(F, 7), JOBS.n_features), right.astype(np.float32))
    keep = np.array([len(codes) % 2 == 0 for codes in lists], bool)
    expected = dense_of(F, info.n_features) * keep[:, None]
    np.testing.assert_array_equal(dense_of(rows_where(F, keep), info.n_features), expected)


@few
@given(histories, st.lists(st.booleans(), min_size=7, max_size=7), st.lists(st.booleans(), min_size=7, max_size=7))
def test_rows_without_a_column_are_no_history(lists, has_column, stays):
    """The matrix is that of histories without them, also after some rows of the other side are gone."""
    has_column, stays = np.array(has_column), np.array(stays)
    info = SideInfo(7, JOBS).with_columns(has_column)
    left = [[code for code in codes if has_column[code]] for codes in lists]
    right = dense_of(SideInfo(7).matrix(rows_of(left)), 7)[:, has_column]
    assert info.n_history == has_column.sum() == info.n_features - JOBS.n_features
    np.testing.assert_array_equal(dense_of(info.matrix(rows_of(lists)), info.n_history), right)
    fewer = info.with_columns(info.columns[stays] >= 0)
    new_code = np.cumsum(stays) - 1
    kept = [[int(new_code[code]) for code in codes if stays[code]] for codes in lists]
    left = [[code for code in codes if has_column[code] and stays[code]] for codes in lists]
    right = dense_of(SideInfo(7).matrix(rows_of(left)), 7)[:, has_column & stays]
    np.testing.assert_array_equal(dense_of(fewer.matrix(rows_of(kept)), fewer.n_history), right)


def test_groups_are_history_then_fields():
    info = SideInfo(7, JOBS)
    assert info.n_features == 7 + JOBS.n_features == len(info.groups)
    assert info.group_names == ["history", "job", "age"]
    assert info.groups[:7].tolist() == [0] * 7
    assert info.groups[7:].tolist() == (JOBS.groups + 1).tolist()
    assert (SideInfo(0, JOBS).group_names, SideInfo(5).group_names, SideInfo(0).group_names) == (
        ["job", "age"], ["history"], [],
    )  # fmt: skip
    np.testing.assert_array_equal(SideInfo(0, JOBS).groups, JOBS.groups)
    assert SideInfo(0).matrix(rows_of([[1], []])).counts.tolist() == [0, 0]
    assert SideInfo(5).encode([{}]) is None
