"""Vectors as Parquet, NumPy and faiss files: what is in them, where they lie, and what is refused."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import ExportError, OptionError
from palate.exporting import export


def best_of(rec, user, n=5):
    return rec.recommend(user, n=n, keep_seen=True)["item"].to_list()


@pytest.mark.parametrize("model", ["odd_model", "numbered_model"])
def test_parquet_holds_labels_titles_and_vectors(model, tmp_path, request):
    rec = request.getfixturevalue(model)
    written = export(rec, tmp_path / "vectors", "parquet")
    assert written == [str(tmp_path / "vectors" / f"{side}.parquet") for side in ("items", "users")]
    items, users = (pl.read_parquet(path) for path in written)
    assert items.equals(rec.vectors("items").polars_frame())
    assert users.equals(rec.vectors("users").polars_frame())
    assert isinstance(items.schema["vector"], pl.Array)
    scores = items["vector"].to_numpy() @ users["vector"].to_numpy()[0]
    found = items["item"].gather(np.argsort(-scores, kind="stable")[:5]).to_list()
    assert found == best_of(rec, users["user"][0])
    said = json.loads(pl.read_parquet_metadata(written[0])["palate"])
    assert said == {
        "palate": palate.__version__,
        "side": "items",
        "metric": "ip",
        "question": "recommend",
        "dimensions": rec.n_factors + 1,
    }
    assert sorted(path.name for path in (tmp_path / "vectors").iterdir()) == ["items.parquet", "users.parquet"]


@pytest.mark.parametrize("model", ["odd_model", "numbered_model"])
def test_arrays_have_their_labels_beside_them(model, tmp_path, request):
    rec = request.getfixturevalue(model)
    written = export(rec, tmp_path, "npy", metric="l2")
    assert [Path(path).name for path in written] == ["items.npy", "items.json", "users.npy", "users.json"]
    items, said = np.load(written[0], allow_pickle=False), json.loads((tmp_path / "items.json").read_bytes())
    expected = rec.vectors("items", metric="l2")
    np.testing.assert_array_equal(items, expected.vectors)
    assert said["labels"] == expected.labels.tolist() and said["metric"] == "l2"
    assert said.get("titles") == expected.titles
    assert "offsets" not in json.loads((tmp_path / "users.json").read_bytes())
    alone = export(rec, tmp_path / "own.npy", side="users")
    assert [Path(path).name for path in alone] == ["own.npy", "own.json"]
    assert len(json.loads((tmp_path / "own.json").read_bytes())["offsets"]) == rec.n_users


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
def test_an_index_of_faiss_finds_what_is_recommended(metric, odd_model, tmp_path):
    faiss = pytest.importorskip("faiss")
    written = export(odd_model, tmp_path / "ünder a näme.faiss", metric=metric)
    index = faiss.deserialize_index(np.frombuffer((tmp_path / "ünder a näme.faiss").read_bytes(), np.uint8))
    labels = json.loads((tmp_path / "ünder a näme.json").read_bytes())["labels"]
    users = odd_model.vectors("users", metric=metric)
    queries = (
        users.vectors / np.linalg.norm(users.vectors, axis=1, keepdims=True) if metric == "cosine" else users.vectors
    )
    values, found = index.search(queries, 5)
    for user, row in zip(users.labels, found, strict=True):
        assert [labels[at] for at in row] == best_of(odd_model, user)
    if metric == "cosine":
        assert np.abs(values).max() <= 1.0001
    assert len(written) == 2


def test_one_file_holds_the_items_unless_users_are_asked_for(odd_model, tmp_path):
    export(odd_model, tmp_path / "some.parquet")
    assert pl.read_parquet(tmp_path / "some.parquet").columns == ["item", "title", "vector"]
    export(odd_model, tmp_path / "people.PARQUET", side="users", question="similar")
    assert pl.read_parquet(tmp_path / "people.PARQUET").columns == ["user", "vector"]
    with pytest.raises(OptionError, match='side="both" makes two files: name a folder'):
        export(odd_model, tmp_path / "both.parquet", side="both")
    (tmp_path / "folder.npy").mkdir()
    export(odd_model, tmp_path / "folder.npy", side="items")
    assert (tmp_path / "folder.npy" / "items.npy").is_file()


@pytest.mark.parametrize("kind", ["parquet", "npy", "sql"])
def test_what_is_there_is_replaced_only_if_asked(kind, odd_model, numbered_model, tmp_path):
    path = tmp_path / f"x.{kind}"
    export(odd_model, path)
    before = path.read_bytes()
    with pytest.raises(OptionError, match="is there already; overwrite=True replaces it"):
        export(numbered_model, path)
    assert path.read_bytes() == before
    export(numbered_model, path, overwrite=True)
    assert path.read_bytes() != before
    if kind == "npy":
        path.unlink()
        with pytest.raises(OptionError, match=r"x\.json' is there already"):
            export(numbered_model, path)


def test_a_failure_leaves_the_old_files_as_they_were(odd_model, numbered_model, tmp_path, monkeypatch):
    export(odd_model, tmp_path, "npy")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("palate.exporting.files.write_labels", fail)
    with pytest.raises(ExportError, match="cannot be written: No space left on device"):
        export(numbered_model, tmp_path, "npy", overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_places_that_cannot_be_are_errors_in_words(odd_model, tmp_path):
    with pytest.raises(ExportError, match=r"items\.parquet' cannot be written: No such file"):
        export(odd_model, tmp_path / "no" / "items.parquet")
    (tmp_path / "file").write_text("here")
    with pytest.raises(ExportError, match="cannot be made"):
        export(odd_model, tmp_path / "file" / "vectors", "parquet")
    for out, to in (("nul\0.npy", "npy"), ("nul\0", "parquet"), ("nul\0.sql", "pgvector")):
        with pytest.raises(ExportError, match="null"):
            export(odd_model, out, to)


@pytest.mark.parametrize(
    ("out", "options", "said"),
    [
        ("vectors", {}, "does not say what to write: give to="),
        ("vectors", {"to": "csv"}, "to='csv' is not valid; use one of 'parquet', 'npy', 'faiss', 'pgvector'"),
        ("x.npy", {"to": "parquet"}, r"out='x.npy' is .npy, and to='parquet'"),
        ("postgresql://h/d", {"to": "parquet"}, "is a database, and to='parquet'"),
        ("vectors/", {"to": "pgvector"}, "writes into a database, postgresql://user@host/database, or a file"),
        ("x.parquet", {"index": True}, 'index=True builds an index in a database, and goes with to="pgvector"'),
        ("x.parquet", {"side": "films"}, "side='films' is not valid; use one of 'items', 'users', 'both'"),
        ("x.parquet", {"metric": "dot"}, "metric='dot' is not valid"),
        ("x.parquet", {"question": "all"}, "question='all' is not valid"),
        ("x.parquet", {"overwrite": 1}, "overwrite must be True or False"),
        ("x.sql", {"prefix": ""}, "prefix must be a name of 1 to 48 bytes"),
        ("", {"to": "npy"}, "out='' is no path: name a file or a folder"),
        ("", {"to": "pgvector"}, "out='' is no path"),
        (3, {"to": "npy"}, "out must be a path, a text or a pathlib.Path, not int"),
        (b"x.npy", {}, "out must be a path, .* not bytes"),
    ],
)
def test_options_of_exports_that_do_not_fit_are_refused(out, options, said, odd_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=said):
        export(odd_model, out, **options)
    assert list(tmp_path.iterdir()) == []


def test_models_without_vectors_leave_nothing_behind(tmp_path):
    likes = palate.datasets.synthetic(30, 20, 300, seed=2).likes(at_least=3)
    rec = palate.EASE().fit(likes, progress=False)
    for out in ("x.parquet", "x.npy", "x.sql"):
        with pytest.raises(OptionError, match="ranks by the histories of users"):
            export(rec, tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named(odd_model, tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **options):
        if name.partition(".")[0] in ("faiss", "psycopg"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"pip install \"palate\[ann\]\""):
        export(odd_model, tmp_path / "x.faiss")
    with pytest.raises(OptionError, match=r"pip install 'palate\[postgres\]'"):
        export(odd_model, "postgresql://localhost/shop")
    assert list(tmp_path.iterdir()) == []
