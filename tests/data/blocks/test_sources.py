"""Sources of blocks: every file that palate.read takes, several of them, SQL and frames, part by part."""

import gzip
import sqlite3
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest

import palate
from helpers.blocks import check_same
from palate.data.blocks import spilling
from palate.data.reading import batches, textfiles
from palate.errors import DataError, LabelTypeError, OptionError


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "userId": rng.integers(1, 40, 500),
            "movieId": [f"m{n}" for n in rng.integers(1, 30, 500)],
            "rating": rng.integers(1, 11, 500) / 2,
            "timestamp": rng.integers(10**9, 10**9 + 10**6, 500),
        }
    )


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(batches, "AT_ONCE", 64)
    monkeypatch.setattr(batches, "OBJECTS_AT_ONCE", 64)
    monkeypatch.setattr(textfiles, "BLOCK", 1 << 10)
    monkeypatch.setattr("os.fsync", lambda _: None)


def write_sqlite(frame, path):
    with sqlite3.connect(path) as connection:
        frame.to_pandas().to_sql("ratings", connection, index=False)


def write_zip(frame, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.csv", frame.write_csv())


def write_gzip(frame, path):
    path.write_bytes(gzip.compress(frame.write_csv().encode()))


FILES = {
    "x.csv": lambda frame, path: frame.write_csv(path),
    "x.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "x.csv.gz": write_gzip,
    "x.zip": write_zip,
    "x[1].parquet": lambda frame, path: frame.write_parquet(path, row_group_size=100),
    "x[1].arrow": lambda frame, path: frame.write_ipc(path),
    "x.jsonl": lambda frame, path: frame.write_ndjson(path),
    "x.db": write_sqlite,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_kind(frame, tmp_path, name):
    FILES[name](frame, tmp_path / name)
    blocks = palate.blocks.write(tmp_path / "x.blocks", tmp_path / name, progress=False)
    check_same(blocks, palate.read(tmp_path / name))


def test_a_file_of_a_shape_that_is_read_whole(frame, tmp_path):
    wide = frame.unique(["userId", "movieId"]).pivot("movieId", index="userId", values="rating")
    wide.write_csv(tmp_path / "wide.csv")
    blocks = palate.blocks.write(tmp_path / "x.blocks", tmp_path / "wide.csv", wide=True, progress=False)
    check_same(blocks, palate.read(tmp_path / "wide.csv", wide=True))
    (tmp_path / "own.csv").write_text("title,rating\nTea,5\n")
    with pytest.raises(DataError, match=r"one person's.*palate\.read"):
        palate.blocks.write(tmp_path / "y.blocks", tmp_path / "own.csv", user="me", progress=False)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_several_files_are_one(frame, tmp_path, name):
    for number, start in enumerate((0, 170, 200)):
        part = frame[start : (170, 200, 500)[number]]
        part = part.select(reversed(part.columns)) if number == 1 else part  # the names say which is which
        getattr(part, f"write_{name[2:]}")(tmp_path / f"{number}.{name[2:]}")
    blocks = palate.blocks.write(tmp_path / "x.blocks", tmp_path / f"*.{name[2:]}", progress=False)
    source = f"3 files (0.{name[2:]} to 2.{name[2:]})"
    expected = palate.read(frame.cast({"userId": pl.String}) if name == "x.csv" else frame)
    check_same(blocks, expected, source=source, how=blocks.report.how)
    listed = [tmp_path / f"{number}.{name[2:]}" for number in range(3)]
    again = palate.blocks.write(tmp_path / "x.blocks", listed, progress=False, overwrite=True)
    check_same(again, expected, source=source, how=blocks.report.how)


def test_queries(frame, tmp_path):
    write_sqlite(frame, tmp_path / "x.db")
    query = "SELECT userId, movieId, rating FROM ratings WHERE rating > 2"
    with sqlite3.connect(tmp_path / "x.db") as connection:
        blocks = palate.blocks.write(tmp_path / "x.blocks", query, connection=connection, progress=False)
        check_same(blocks, palate.read(query, connection=connection))


def test_frames_of_any_kind(frame, tmp_path):
    for source in (frame, frame.to_pandas(), frame.to_dict(as_series=False), frame.to_arrow()):
        blocks = palate.blocks.write(tmp_path / "x.blocks", source, progress=False, overwrite=True)
        check_same(blocks, palate.read(source))
    parts = [frame[:100].to_pandas(), frame[100:]]
    blocks = palate.blocks.write(tmp_path / "x.blocks", parts, progress=False, overwrite=True)
    check_same(blocks, palate.read(frame), source="the DataFrame")


@pytest.mark.parametrize("unrated", ["drop", "keep"])
def test_tables_are_joined(frame, tmp_path, unrated):
    options = {
        "items": pd.DataFrame({"movieId": ["m1", "m2", "m99", "m2"], "title": ["One", "Two", "None", "Twice"]}),
        "users": {"userId": [1, 2, 400], "age": [30, None, 50]},
        "unrated": unrated,
    }
    blocks = palate.blocks.write(tmp_path / "x.blocks", frame, progress=False, **options)
    expected = palate.read(frame, **options)
    check_same(blocks, expected)
    assert blocks.item_table.equals(expected.item_table)
    assert blocks.user_table.equals(expected.user_table)


def test_conditions_and_values(tmp_path, frame):
    frame.write_csv(tmp_path / "x.csv")
    options = {"where": "timestamp > 1000500000", "missing": 0.5, "duplicates": "mean"}
    blocks = palate.blocks.write(tmp_path / "x.blocks", tmp_path / "x.csv", progress=False, **options)
    check_same(blocks, palate.read(tmp_path / "x.csv", **options))


@pytest.mark.parametrize(
    ("second", "error", "words"),
    [
        ({"user": [1], "item": [2], "stars": [3]}, DataError, "has no column 'rating'"),
        ({"user": ["a"], "item": [2], "rating": [3]}, LabelTypeError, "'user' holds texts here"),
        ({"user": [1], "item": [2], "rating": ["3"]}, DataError, "'rating' holds texts here"),
        ({"user": [1], "item": [2], "rating": [None]}, DataError, "row 1 .*no rating"),
        ("x.csv", DataError, "give frames"),
    ],
)
def test_later_parts_must_be_like_the_first(tmp_path, second, error, words):
    first = {"user": [1], "item": [2], "rating": [3]}
    with pytest.raises(error, match=words):
        palate.blocks.write(tmp_path / "x.blocks", iter([first, second]), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_files_that_do_not_go_together(tmp_path):
    (tmp_path / "1.csv").write_text("user,item,rating\n1,2,3\n2,2,4\n")
    (tmp_path / "2.csv").write_text("1,2,3\n2,2,4\n")
    with pytest.raises(DataError, match=r"2\.csv has 3 columns without names"):
        palate.blocks.write(tmp_path / "x.blocks", f"{tmp_path}/*.csv", progress=False)
    with pytest.raises(DataError, match="no file matches"):
        palate.blocks.write(tmp_path / "x.blocks", f"{tmp_path}/*.parquet", progress=False)
    with pytest.raises(OptionError, match="twice"):
        palate.blocks.write(tmp_path / "x.blocks", [tmp_path / "1.csv", tmp_path / "1.csv"], progress=False)
    with pytest.raises(OptionError, match="leave out kind="):
        ratings = palate.read(tmp_path / "1.csv")
        palate.blocks.write(tmp_path / "x.blocks", ratings, kind="implicit", progress=False)


def test_repeated_pairs_are_an_error_if_asked(tmp_path):
    rows = {"user": ["b", "a", "b", "a", "a"], "item": ["x", "y", "x", "y", "z"], "rating": [1, 2, 3, 4, 5]}
    with pytest.raises(DataError) as here:
        palate.read(rows, duplicates="error")
    with pytest.raises(DataError) as there:
        palate.blocks.write(tmp_path / "x.blocks", rows, duplicates="error", progress=False)
    assert str(here.value) == str(there.value)


def test_many_labels_give_the_same_bytes(frame, tmp_path, monkeypatch):
    folders = []
    for most in (1 << 20, 7):
        monkeypatch.setattr(spilling, "MOST_LABELS", most)
        made = palate.blocks.write(tmp_path / f"{most}.blocks", frame.iter_slices(50), progress=False)
        folders.append({file.name: file.read_bytes() for file in made.path.iterdir()})
    assert folders[0] == folders[1]


def test_no_row_is_a_rating(tmp_path):
    rows = {"user": [1, 2], "item": [1, 1], "event": ["view", "view"]}
    for worth in ("ignore", -1, 0):
        options = {"kind": "implicit", "event": {"view": worth, "buy": 1}}
        blocks = palate.blocks.write(tmp_path / "x.blocks", rows, progress=False, overwrite=True, **options)
        check_same(blocks, palate.read(rows, **options))


def test_a_progress_line_tells_the_phases(frame, tmp_path, capsys):
    palate.blocks.write(tmp_path / "x.blocks", frame, progress=True)
    assert "sorting by item" in capsys.readouterr().err
