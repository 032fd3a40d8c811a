"""docs/reading.md: every file that the page shows is written, and every line that reads one runs."""

import bz2
import gzip
import lzma
import re
import sqlite3
import tarfile
import zipfile

import polars as pl

from helpers.scripts import ROOT

PAGE = ROOT / "docs" / "reading.md"
BLOCK = re.compile(r"^```(text|python) ?([\w.-]*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def write_containers(folder):
    """The same three ratings in every container that the page names."""
    frame = pl.DataFrame({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 4]})
    text = frame.write_csv().encode()
    (folder / "tea.csv").write_bytes(text)
    for ending, packed in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        (folder / f"tea.csv.{ending}").write_bytes(packed(text))
    with zipfile.ZipFile(folder / "tea.zip", "w") as archive:
        archive.write(folder / "tea.csv", "tea.csv")
    with tarfile.open(folder / "tea.tar", "w") as archive:
        archive.add(folder / "tea.csv", "tea.csv")
    database = sqlite3.connect(folder / "tea.db")
    database.execute("CREATE TABLE ratings (user TEXT, item TEXT, rating REAL)")
    database.executemany("INSERT INTO ratings VALUES (?, ?, ?)", frame.rows())
    database.commit()
    database.close()
    frame.write_parquet(folder / "tea.parquet")
    frame.write_ipc(folder / "tea.arrow")
    frame.write_json(folder / "tea.json")
    frame.write_ndjson(folder / "tea.jsonl")


def test_every_kind_of_file_is_read_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_containers(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    names = {}
    for kind, name, text in blocks:
        if kind == "text":
            assert name, text
            (tmp_path / name).write_text(text, encoding="utf-8")
        else:
            exec(compile(text, f"reading.md: {text.splitlines()[0]}", "exec"), names)
    assert len(blocks) > 10
