"""Columns of vectors: in whatever form they come, hostile values, and the same features as scikit-learn's."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

import palate
from palate.data.features import Features, dense
from palate.errors import DataError

few = settings(max_examples=25, deadline=None)


def vectors(n=120, m=24, seed=0):
    """Vectors whose directions have clearly different variances."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(m, m)))[0]
    return (rng.normal(size=(n, m)) * 0.8 ** np.arange(m) @ turn + 0.1).astype(np.float32)


X = vectors()
FORMS = {
    "an array": X,
    "lists": X.tolist(),
    "tuples": [tuple(row) for row in X.tolist()],
    "arrays": list(X),
    "a polars list": pl.Series(X.tolist(), dtype=pl.List(pl.Float32)),
    "a polars array": pl.Series(X),
    "a polars list of doubles": pl.Series(X.tolist(), dtype=pl.List(pl.Float64)),
    "pandas objects": pd.Series(list(X)),
    "texts": [str(row) for row in X.tolist()],
    "texts without commas": [" ".join(map(str, row)).join("[]") for row in X.tolist()],
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_gives_the_same_features(form):
    features = Features.learned({"emb": FORMS[form]})
    assert features.report == {"emb": "vectors of 24 numbers, 12 dimensions"}
    assert features.names == [f"emb {n}" for n in range(1, 13)]
    expected = Features.learned({"emb": X}).encode({"emb": X}).to_dense()
    np.testing.assert_allclose(features.encode({"emb": FORMS[form]}).to_dense(), expected, atol=1e-5)
    rows = [{"emb": row} for row in list(FORMS[form])[:3]]
    np.testing.assert_allclose(features.encode_rows(rows).to_dense(), expected[:3], atol=1e-5)


@pytest.mark.parametrize("frame", [pl.DataFrame, pd.DataFrame])
def test_tables_of_any_kind_keep_vectors(frame, tmp_path):
    choices = {"user": ["ann", "bob"] * 60, "item": [f"i{n:03d}" for n in range(120)], "rating": [1.0, 5.0] * 60}
    table = frame({"item": choices["item"], "emb": list(X)})
    expected = Features.learned({"emb": X}).encode({"emb": X}).to_dense()
    sources = [table]
    if frame is pl.DataFrame:
        table.write_parquet(tmp_path / "items.parquet")
        table.write_ndjson(tmp_path / "items.jsonl")
        texts = table.with_columns(emb=pl.Series(FORMS["texts"]))
        texts.write_csv(tmp_path / "items.csv")
        sources += [tmp_path / name for name in ("items.parquet", "items.jsonl", "items.csv")]
        sources += [table.with_columns(pl.Series("emb", X))]
    for source in sources:
        ratings = palate.read(choices, items=source)
        assert isinstance(ratings.item_table["emb"].dtype, pl.List)
        found = Features.learned(ratings.item_table)
        np.testing.assert_allclose(found.encode(ratings.item_table).to_dense(), expected, atol=1e-4)


def test_a_mapping_with_a_matrix_is_a_table():
    choices = {"user": ["ann", "bob"] * 60, "item": list(range(120)), "rating": [1.0, 5.0] * 60}
    for matrix in (X, X.astype(np.float16), X.astype(float)):
        ratings = palate.read(choices, items={"item": list(range(120)), "emb": matrix})
        assert Features.learned(ratings.item_table).report["emb"].startswith("vectors of 24")
    mixed = palate.read(choices, items={"item": list(range(120)), "emb": [[n, 0.5] for n in range(120)]})
    assert mixed.item_table["emb"].dtype == pl.List(pl.Float64)


def test_features_are_the_principal_components_of_scikit_learn():
    pca = PCA(12, svd_solver="full")
    expected = pca.fit_transform(X.astype(float))
    expected /= np.sqrt(np.square(expected).sum(axis=1).mean())
    ours = Features.learned({"emb": X}).encode({"emb": X}).to_dense()
    signs = np.sign((ours * expected).sum(axis=0))
    np.testing.assert_allclose(ours, expected * signs, atol=1e-3)


# ---- what is a vector


@pytest.mark.parametrize(
    ("values", "is_vector"),
    [
        ([[n % 7, n % 5 + 10] for n in range(60)], False),  # ids of tags
        ([[n % 7] for n in range(60)], False),
        ([[n % 7] * (1 + n % 2) for n in range(60)], False),
        ([[n % 3, n % 2, 0, 0] for n in range(60)], True),  # counts
        ([[n % 100, -(n % 7)] for n in range(60)], True),
        ([[n % 7 / 8] for n in range(60)], True),
        ([["a", "b"]] * 60, False),
        ([f"[{n % 7}, {n % 5 + 10}]" for n in range(60)], False),
        ([f"[{n % 7}.5, nan]" for n in range(60)], False),
    ],
)
def test_lists_of_whole_numbers_are_vectors_only_if_they_can_be_no_ids(values, is_vector):
    assert Features.learned({"x": values}).report["x"].startswith("vectors") is is_vector
    declared = [{"vectors": ["x"]}, {"multivalued": ["x"]}]
    for options in declared:
        try:
            Features.learned({"x": values}, **options)
        except DataError as error:
            assert "'x'" in str(error)


def test_a_column_of_vectors_is_never_left_out_without_a_word():
    reports = {
        "lists of 1 to 2 numbers": [[0.5] * (1 + n % 2) for n in range(60)],
        "no value on any row": pl.Series([None, []] * 30, dtype=pl.List(pl.Float64)),
        "vectors of zeros, or with missing numbers, only": [[0.0, 0.0], [0.5, None]] * 30,
        "the same value on every row": [[0.5, 2.5]] * 60,
        "12 vectors, where 20 are needed": vectors(12, 3),
    }
    for why, values in reports.items():
        assert why in Features.learned({"x": values}).report["x"]
        with pytest.raises(DataError, match="'x' cannot become features"):
            Features.learned({"x": values}, vectors=["x"])


# ---- hostile values


def test_missing_vectors_have_no_cells():
    rows = [None, [], [0.0] * 24, [float("nan"), *X[0, 1:].tolist()], [None, *X[0, 1:].tolist()], X[0].tolist()]
    features = Features.learned({"emb": [*X.tolist(), *rows[:4]]})
    design = features.encode({"emb": pl.Series(rows, dtype=pl.List(pl.Float64), strict=False)})
    assert (np.diff(design.indptr) > 0).tolist() == [False] * 5 + [True]
    assert design.unknown == {"emb": 2}
    assert len(features.encode_rows([{}, {"emb": None}]).values) == 0


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1.0, 2.0], r"column 'emb', row 1 \(from 0\): a vector of 2 numbers where 24 are expected"),
        ([float("inf")] * 24, r"column 'emb', row 1 \(from 0\): a vector with an infinite number"),
        ("a word", "'emb'"),
        (5, "'emb'"),
        ({"a": 1}, "'emb'"),
    ],
)
def test_what_is_no_such_vector_is_refused(value, says):
    features = Features.learned({"emb": X})
    with pytest.raises(DataError, match=says):
        features.encode_rows([{"emb": None if isinstance(value, str | int | dict) else X[0].tolist()}, {"emb": value}])
    if isinstance(value, list):
        table = {"emb": [*X.tolist(), value]}
        with pytest.raises(DataError, match=r"row 120 \(from 0\)|'emb' cannot become features: lists of 2 to 24"):
            Features.learned(table, vectors=["emb"])


def test_one_huge_vector_does_not_spoil_the_others():
    expected = Features.learned({"emb": X}).encode({"emb": X}).to_dense()
    for factor in (1e30, 1e300, np.finfo(float).max / 10):
        rows = [*X.tolist(), (np.sign(X[0].astype(float)) * factor).tolist()]
        found = Features.learned({"emb": rows}).encode({"emb": rows}).to_dense()
        assert np.isfinite(found).all()
        kept = np.linalg.qr(found[:-1] - found[:-1].mean(axis=0))[0]
        assert np.square(kept.T @ expected).sum() > 0.9 * np.square(expected).sum()


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_units_do_not_matter(scale):
    scaled = X.astype(float) * scale
    expected = Features.learned({"emb": X}).encode({"emb": X}).to_dense()
    np.testing.assert_allclose(
        Features.learned({"emb": scaled}).encode({"emb": scaled}).to_dense(), expected, atol=1e-4
    )


@few
@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 6)), elements=st.floats(width=64)))
def test_any_matrix_is_encoded_or_refused_in_words(matrix):
    try:
        features = Features.learned({"x": matrix})
        assert np.isfinite(features.encode({"x": matrix}).values).all()
        assert Features.from_dict(json.loads(json.dumps(features.to_dict(), allow_nan=False))) == features
    except DataError as error:
        assert "infinite" in str(error)


@few
@given(st.integers(0, 119), st.integers(1, 50))
def test_rows_do_not_depend_on_their_neighbors(first, n):
    features = Features.learned({"emb": X})
    whole, part = features.encode({"emb": X}).to_dense(), features.encode({"emb": X[first : first + n]}).to_dense()
    np.testing.assert_allclose(part, whole[first : first + n], atol=1e-6)


def test_wide_vectors_of_many_rows_need_no_copy_of_themselves(monkeypatch):
    """Blocks, and a sample to learn from: what is made besides the table does not grow with its width."""
    n, m = 30_000, 256
    monkeypatch.setattr(dense, "VECTORS_LEARNED", 1000)
    table = pl.DataFrame({"emb": np.random.default_rng(0).standard_normal((n, m), dtype=np.float32)})
    features = Features.learned(table)
    assert features.report["emb"] == "vectors of 256 numbers, 64 dimensions"
    design = features.encode(table)
    assert design.shape == (n, 64)
    assert design.values.nbytes + design.indices.nbytes <= n * 64 * 8


# ---- the stored form


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("mean", [1.0]), ("mean", [[1.0]] * 24), ("components", [[1.0]]), ("components", []), ("unit", 0.0),
        ("unit", float("nan")), ("mean", "a"), ("components", [[1e30]] * 24), ("name", None),
    ],
)  # fmt: skip
def test_a_stored_vector_with_a_wrong_part_is_refused(part, wrong):
    stored = Features.learned({"emb": X}).to_dict()
    stored["fields"][0][part] = wrong
    with pytest.raises(DataError, match="not a description of features"):
        Features.from_dict(stored)
