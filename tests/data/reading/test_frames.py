"""Frames: sources of every kind as tables, what a table says of itself, and the first rows of a large one."""

import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from palate.data.reading.frames import table_of
from palate.data.reading.looks import N_SAMPLED
from palate.errors import DataError, LabelTypeError, OptionError

NAMES = ["user", "item", "rating"]
ROWS = [("ann", "tea", 5.0), ("bob", "jam", 3.5)]
COLUMNS = {name: [row[at] for row in ROWS] for at, name in enumerate(NAMES)}


def contents(table):
    return [table.column(at).to_list() for at in range(len(table.names))]


def opened(text, name="x.json"):
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    stream.name = name
    return stream


def written(method, **options):
    stream = io.BytesIO()
    getattr(pl.DataFrame(COLUMNS), method)(stream, **options)
    stream.seek(0)
    return stream


SOURCES = {
    "mapping": (lambda: COLUMNS, "the mapping", True),
    "iterables": (lambda: {name: iter(column) for name, column in COLUMNS.items()}, "the mapping", True),
    "polars": (lambda: pl.DataFrame(COLUMNS), "the DataFrame", True),
    "pandas": (lambda: pd.DataFrame(COLUMNS), "the DataFrame", True),
    "pyarrow": (lambda: pl.DataFrame(COLUMNS).to_arrow(), "the Table", True),
    "tuple": (lambda: tuple(COLUMNS.values()), "the tuple", False),
    "rows": (lambda: ROWS, "the array", False),
    "array": (lambda: np.array(ROWS, dtype=object), "the array", False),
    "records": (
        lambda: np.array(ROWS, dtype=[("user", "U3"), ("item", "U3"), ("rating", float)]), "the array", True
    ),
    "JSON": (lambda: opened(json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS])), "x.json", True),
    "rows of JSON": (lambda: opened(json.dumps(ROWS)), "x.json", False),
    "Parquet": (lambda: written("write_parquet"), "the file", True),
    "IPC": (lambda: written("write_ipc"), "the file", True),
    "IPC stream": (lambda: written("write_ipc_stream"), "the file", True),
}  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_sources_become_tables(kind):
    make, source, named = SOURCES[kind]
    table = table_of(make())
    assert contents(table) == list(COLUMNS.values())
    assert [table.label(at).to_list() for at in (0, 1)] == [COLUMNS["user"], COLUMNS["item"]]
    assert table.names == (NAMES if named else ["column_1", "column_2", "column_3"])
    assert (table.source, table.named, table.height, table.index, table.reasons) == (source, named, 2, None, {})
    assert table.sample(1).to_list() == COLUMNS["item"]


@pytest.mark.parametrize("kind", ["mapping", "polars", "pandas", "tuple", "array", "JSON", "column of pandas"])
def test_a_sample_has_the_first_rows(kind):
    n = N_SAMPLED + 1
    columns = {"user": list(range(n)), "item": [7] * n}
    source = {
        "mapping": lambda: columns, "polars": lambda: pl.DataFrame(columns), "pandas": lambda: pd.DataFrame(columns),
        "tuple": lambda: tuple(columns.values()), "array": lambda: np.array([columns["user"], columns["item"]]).T,
        "JSON": lambda: opened(json.dumps(columns)),
        "column of pandas": lambda: {name: pd.Series(own, index=range(n, 0, -1)) for name, own in columns.items()},
    }[kind]()  # fmt: skip
    table = table_of(source)
    assert table.sample(0).to_list() == columns["user"][:N_SAMPLED]
    assert (len(table.column(0)), table.height) == (n, n)


def test_the_head_of_a_frame_is_a_table_too():
    for source in (pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS), np.array(ROWS, dtype=object)):
        head = table_of(source).head(1)
        assert contents(head) == [["ann"], ["tea"], [5.0]]
        assert (head.height, head.index) == (1, None)


# ---- names


def test_names_that_are_numbers_say_nothing():
    assert not table_of(pd.DataFrame(ROWS)).named
    assert table_of(pd.DataFrame(ROWS, columns=[0, 1, "x"])).named
    assert table_of(pd.DataFrame(ROWS, columns=[0, 1, 2])).own_names == [0, 1, 2]
    assert table_of(pd.DataFrame(ROWS, columns=[0, 1, "x"])).own_names == ["0", "1", "x"]
    assert table_of(pd.DataFrame(ROWS, columns=[0, True, 2])).own_names != [0, 1, 2]
    assert table_of(pl.DataFrame(COLUMNS)).own_names == NAMES
    assert table_of({7: ["a"], 8: ["b"]}).own_names == [7, 8]
    assert table_of({7: ["a"], "x": ["b"]}).own_names is None
    assert table_of({7: ["a"], 8: ["b"]}).names == ["7", "8"]
    assert table_of((["a"], ["b"])).own_names is None


def test_an_index_is_kept_unless_it_counts_the_rows():
    frame = pd.DataFrame(COLUMNS)
    assert table_of(frame.set_index(pd.Index(["x", "y"]))).index.to_list() == ["x", "y"]
    assert table_of(frame.set_index(pd.Index(["x", "y"]))).index.name == "index"
    assert table_of(frame.set_index(pd.Index([5, 9], name="who"))).index.name == "who"
    assert table_of(frame.set_index(pd.Index([0, 7]))).index.to_list() == [0, 7]
    assert table_of(frame.rename_axis("who")).index.to_list() == [0, 1]
    assert table_of(frame.set_index(pd.RangeIndex(1, 3))).index.to_list() == [1, 2]
    assert table_of(frame.set_index(pd.RangeIndex(0, 4, 2))).index.to_list() == [0, 2]
    assert table_of(frame.set_index(["user", "item"])).index is None


def test_names_are_text():
    with pytest.raises(DataError, match="name of a column"):
        table_of({"a": [1], "b\ud800": [2]})


# ---- shapes


def test_arrays_have_two_columns_or_more():
    for wrong in (np.zeros(3), np.zeros((3, 1)), np.zeros((3, 2, 2)), np.zeros((3, 0))):
        with pytest.raises(DataError, match="the array has shape"):
            table_of(wrong)
    assert contents(table_of(np.array([[1, 2]]))) == [[1], [2]]
    assert contents(table_of([(1, 2), [3, 4]])) == [[1, 3], [2, 4]]
    for wrong in ([(1, 2), (3,)], [(1,), (2,)], [1, 2], [], [(1, 2), "ab"]):
        with pytest.raises(DataError, match="cannot read ratings from this list"):
            table_of(wrong)


def test_columns_have_one_length():
    with pytest.raises(DataError, match="the mapping: columns of different lengths: a 1, b 2"):
        table_of({"a": [1], "b": [2, 3]})
    assert table_of({}).height == 0


def test_floats_in_an_array_are_whole_ids_or_none():
    nan = np.nan
    assert table_of(np.array([[7.0, 1], [nan, 2]])).label(0).to_list() == [7, None]
    assert table_of(np.array([[7.0, 1], [nan, 2]])).column(0)[0] == 7.0
    for kind, limit in ((np.float16, 2**11), (np.float32, 2**24), (float, 2**53)):
        found = table_of(np.array([[limit - 1, 1], [1 - limit, 1]], kind)).label(0)
        assert (found.to_list(), found.dtype) == ([limit - 1, 1 - limit], pl.Int64)
        for wrong in (limit, -limit, 1.5):
            with pytest.raises(LabelTypeError, match=f"whole numbers below {limit:,}"):
                table_of(np.array([[1, 1], [wrong, 1]], kind)).label(0)


def test_sparse_matrices_are_their_entries():
    table = table_of(scipy.sparse.csr_matrix(np.array([[0, 2], [3, 0]])))
    assert table.names == NAMES
    assert sorted(zip(*contents(table), strict=True)) == [(0, 1, 2), (1, 0, 3)]
    with pytest.raises(DataError, match=r"the sparse matrix has shape \(2,\)"):
        table_of(scipy.sparse.coo_array(np.array([0, 2])))


# ---- files


def test_files_are_known_by_their_first_bytes_or_their_names(tmp_path):
    for name in ("a.parquet", "a.pq", "a.txt"):
        pl.DataFrame(COLUMNS).write_parquet(tmp_path / name)
        assert contents(table_of(tmp_path / name)) == list(COLUMNS.values())
    for name in ("b.feather", "b.arrow", "b.IPC", "b"):
        pl.DataFrame(COLUMNS).write_ipc(tmp_path / name)
        assert contents(table_of(str(tmp_path / name))) == list(COLUMNS.values())
    for name, word in (("c.parquet", "parquet"), ("c.feather", "ipc"), ("c.PQ", "parquet")):
        (tmp_path / name).write_text("user,item\n")
        with pytest.raises(DataError, match=f"is not a readable {word} file"):
            table_of(tmp_path / name)
    (tmp_path / "d.csv").write_text("user,item\n")
    assert table_of(tmp_path / "d.csv") is None


def test_text_is_left_where_it_stands():
    stream = io.BytesIO(b"before user,item\na,b\n")
    stream.seek(7)
    assert table_of(stream) is None
    assert stream.tell() == 7


def test_lines_of_json_say_where_and_why():
    text = '{"user": "ann", "n": 1}\n\n{"user": "bob", "n": "NA"}\n'
    table = table_of(opened(text, "x.jsonl"))
    assert table.reasons == {1: "a blank line"}
    assert [table.where(row) for row in (0, 2)] == ["line 1", "line 3"]
    assert contents(table) == [["ann", None, "bob"], [1, None, None]]
    with pytest.raises(LabelTypeError, match="int, str"):
        table.label(1)
    assert table.height == 3


# ---- queries


@pytest.mark.parametrize(
    "query", ["select * from x", "SELECT\n*", "with a as (select 1) select * from a", "select " + "x" * 999]
)
def test_a_query_needs_a_connection(query):
    with pytest.raises(OptionError, match="needs connection="):
        table_of(query)


def test_a_file_may_be_called_like_a_query(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "select me.csv").write_text("user,item\n")
    assert table_of("select me.csv") is None
    with pytest.raises(DataError, match="there is no file selected"):
        table_of("selected.csv")


def test_a_query_is_text():
    with pytest.raises(OptionError, match="give an SQL query as text, not int"):
        table_of(5, connection=object())


# ---- labels and lists


def test_labels_are_of_one_type_in_every_source():
    mixed = {"user": [1, "a"], "item": ["x", "y"]}
    sources = mixed, pd.DataFrame(mixed), tuple(mixed.values()), [(1, "x"), ("a", "y")], opened(json.dumps(mixed))
    for source in sources:
        table = table_of(source)
        assert table.column(0).to_list() == ["1", "a"]
        with pytest.raises(LabelTypeError, match="int, str"):
            table.label(0)


def test_lists_stay_lists_in_every_source_but_arrays():
    lists = {"user": ["a", "b"], "items": [["x", "y"], ["z"]]}
    for source in (lists, pd.DataFrame(lists), tuple(lists.values()), opened(json.dumps(lists))):
        table = table_of(source)
        assert table.column(1).to_list() == table.sample(1).to_list() == lists["items"]
    assert table_of([("a", ["x", "y"]), ("b", ["z"])]).column(1).to_list() == ["['x', 'y']", "['z']"]
