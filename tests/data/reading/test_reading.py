"""Reading: every kind of source, every kind of bad day. The oracle of the text reader is the csv module."""

import csv
import gzip
import io
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.features.values import is_word_for_missing
from palate.data.output import output_of
from palate.data.reading import read
from palate.data.reading import textfiles as _textfiles
from palate.data.reading.parsing import Dialect, parse_exact, parse_fast
from palate.data.reading.textfiles import Block
from palate.errors import DataError, LabelTypeError, OptionError

ROWS = [("ann", "tea", 5.0), ("ann", "jam", 3.5), ("bob", "tea", 1.0)]


def triples(ratings):
    with output_of("polars"):
        frame = ratings.to_frame()
    return list(zip(frame["user"].to_list(), frame["item"].to_list(), frame["rating"].to_list(), strict=True))


@pytest.fixture
def write(tmp_path):
    def write(content, name="ratings.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def data():
    folder = os.environ.get("PALATE_DATA")
    if not folder or not (Path(folder) / "ml-100k" / "u.data").exists():
        pytest.skip("PALATE_DATA does not name a folder with ml-100k")
    return Path(folder)


# ---- text: separators, headers, encodings


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::", " "])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_any_separator_with_or_without_header(write, separator, header, newline, end):
    rows = [["user", "item", "rating"]] * header + [[u, i, str(r)] for u, i, r in ROWS]
    text = newline.join(separator.join(row) for row in rows) + end.replace("\n", newline)
    ratings = read(write(text))
    assert triples(ratings) == ROWS
    assert ratings.user_vocabulary.what == "user"
    assert ratings.item_vocabulary.what == "item"
    assert ratings.report.rows_read == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
@pytest.mark.parametrize("zipped", [True, False])
def test_encodings_are_found_out(write, encoding, zipped):
    content = "user,item,rating\nandré,café,4\nbob,tea,2\n".encode(encoding)
    path = write(gzip.compress(content) if zipped else content, "ratings.csv.gz" if zipped else "ratings.csv")
    assert triples(read(path)) == [("andré", "café", 4.0), ("bob", "tea", 2.0)]


def test_an_encoding_named_by_the_caller(write):
    path = write("user,item,rating\nann,€,4\n".encode("cp1252"))
    assert triples(read(path, encoding="cp1252")) == [("ann", "€", 4.0)]
    with pytest.raises(DataError, match="not ascii"):
        read(path, encoding="ascii")
    with pytest.raises(DataError, match="no encoding 'klingon'"):
        read(path, encoding="klingon")


def test_damaged_bytes_in_a_utf8_file_are_a_bad_row_and_not_a_reason_to_guess_again(write):
    path = write("user,item,rating\nandré,tea,4\n".encode() + b"ann,caf\xe9,3\nbob,tea,2\n")
    with pytest.raises(DataError, match=r"line 3: .*not UTF-8"):
        read(path)
    ratings = read(path, on_bad_rows="report")
    assert triples(ratings) == [("andré", "tea", 4.0), ("bob", "tea", 2.0)]
    assert ratings.report.bad_rows == {"not UTF-8 text": 1}


@pytest.mark.parametrize(
    "header",
    [
        "userId,movieId,rating",
        "user_id:token,item_id:token,rating:float",
        "UID,isbn,Stars",
        "User-ID,ISBN,Book-Rating",
        "reviewerID,asin,overall",
        "userID,artistID,preference",
    ],
)
def test_usual_names(write, header):
    assert triples(read(write(header + "\nann,tea,5\n"))) == [("ann", "tea", 5.0)]


def test_usual_names_in_any_order_and_recbole(write):
    path = write("timestamp:float\trating:float\titem_id:token\tuser_id:token\n12.0\t4\ttea\t01\n", "x.inter")
    ratings = read(path)
    assert triples(ratings) == [("01", "tea", 4.0)]
    assert ratings.times.tolist() == [12]


def test_ids_of_text_files_stay_strings(write):
    ratings = read(write("1,10,5\n01,9,4\n1,9,3\n"))
    assert ratings.classes == {"user": ["01", "1"], "item": ["9", "10"]}


def test_columns_named_by_the_caller(write):
    path = write("a,b,c,d\n1,ann,tea,5\n")
    assert triples(read(path, user="b", item="c", rating="d")) == [("ann", "tea", 5.0)]
    assert triples(read(path, user=1, item=2, rating=-1)) == [("ann", "tea", 5.0)]
    with pytest.raises(DataError, match=r"no column found for user and item and rating.*'a', 'b', 'c', 'd'"):
        read(path)
    with pytest.raises(DataError, match=r"no column 'stars' for rating=.*'a', 'b', 'c', 'd'"):
        read(path, user="b", item="c", rating="stars", header=True)
    with pytest.raises(DataError, match="both user and item"):
        read(path, user="b", item="b", rating="d")
    with pytest.raises(DataError, match="no column 7 for user="):
        read(path, user=7, item=2, rating=3)


def test_two_columns_are_not_ratings(write):
    with pytest.raises(DataError, match=r"no column found for rating.*'user', 'item'"):
        read(write("user,item\nann,tea\nbob,jam\n"))


def test_a_first_row_with_a_bad_rating_is_not_taken_for_a_header(write):
    with pytest.raises(DataError, match=r"line 1: '196,242,oops'.*not a number"):
        read(write("196,242,oops\n1,2,3\n"))


# ---- times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("881250949", 881250949),
        ("881250949.0", 881250949),
        ("8.81250949e8", 881250949),
        ("-5", -5),
        ("1970-01-02", 86400),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01 01:00:00", 3600),
        ("1970-01-01 01:00:00.75", 3600),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_times_become_seconds(write, text, seconds):
    assert read(write(f"user,item,rating,time\nann,tea,5,{text}\n")).times.tolist() == [seconds]


def test_an_unnamed_fourth_column_is_a_time_only_when_whole_numbers(write):
    assert read(write("1,2,3,881250949\n")).times.tolist() == [881250949]
    assert read(write("1,2,3,nice\n")).times is None


def test_unreadable_times_are_refused(write):
    path = write("user,item,rating,time\nann,tea,5,1\nbob,tea,4,yesterday\n")
    with pytest.raises(DataError, match=r"line 3: 'bob,tea,4,yesterday'.*no number and no date.*time=False"):
        read(path, time="time")
    assert read(path).times is None
    assert read(path, time=False).times is None


# ---- bad rows

BAD = {
    "bob,,4": "no item",
    ",tea,4": "no user",
    "bob,tea,": "no rating",
    "bob,tea, ": "no rating",
    "bob,tea,good": "the rating is not a number",
    "bob,tea,nan": "the rating is NaN",
    "bob,tea,inf": "the rating is infinite",
    "bob,tea,-inf": "the rating is infinite",
    "bob,tea,1e39": "the rating is too large for float32",
    "bob,tea": "wrong number of fields",
    "bob,tea,4,5": "wrong number of fields",
    "": "a blank line",
    "  ": "a blank line",
    "bo\0b,tea,4": "a NUL byte",
    '"bob,tea,4': "broken quoting",
    '"bo"b,tea,4': "broken quoting",
}


@pytest.mark.parametrize("line", BAD)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_bad_row_is_named_with_file_line_and_content_or_counted(write, line, newline):
    path = write(newline.join(["user,item,rating", "ann,tea,5", line, "eve,jam,2"]))
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert f"{path}, line 3: {line!r}" in message
    assert BAD[line] in message
    assert "on_bad_rows" in message
    ratings = read(path, on_bad_rows="report")
    assert triples(ratings) == [("ann", "tea", 5.0), ("eve", "jam", 2.0)]
    assert ratings.report.rows_read == 3
    assert sum(ratings.report.bad_rows.values()) == 1
    assert next(iter(ratings.report.bad_rows)).startswith(BAD[line])
    assert ratings.report.bad_examples[0].startswith(f"line 3: {line!r}")


def test_a_row_too_short_beside_one_too_long_does_not_hide_either(write):
    path = write("1,2,3,4\n1,2\n1,2,3,4,5,6\n7,8,9,10\n")
    assert read(path, user=0, item=1, rating=2, on_bad_rows="report").report.bad_rows == {"wrong number of fields": 2}


def test_line_numbers_count_quoted_newlines_and_the_lines_before(write):
    path = write('\n\nuser,item,rating\nann,"green\ntea",5\nbob,tea,oops\n')
    with pytest.raises(DataError, match="line 6: 'bob,tea,oops'"):
        read(path)


def test_an_unclosed_quote_loses_its_own_line_only(write):
    lines = ["user,item,rating", 'ann,"tea,5', *(f"u{n},tea,4" for n in range(1000))]
    ratings = read(write("\n".join(lines)), on_bad_rows="report")
    assert len(ratings) == 1000
    assert ratings.report.bad_examples[0].startswith("line 2:")


def test_report_keeps_a_few_examples_of_many(write):
    report = read(write("user,item,rating\n" + "a,b,x\n" * 50 + "a,b,1\n"), on_bad_rows="report").report
    assert report.bad_rows == {"the rating is not a number": 50}
    assert 1 <= len(report.bad_examples) <= 5
    assert "50 left out" in str(report)


# ---- blocks: the same answer however the file is cut


@pytest.mark.parametrize("block", [16, 40, 64, 1000])
def test_small_blocks_give_the_same_ratings(write, monkeypatch, block):
    rows = [(f"u{n % 7}", f'i "{n}",\nx' if n % 5 == 0 else f"i{n}", float(n % 5)) for n in range(200)]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("user", "item", "rating"), *rows])
    path = write(buffer.getvalue() + "\n\n")
    whole = read(path)
    monkeypatch.setattr(_textfiles, "BLOCK", block)
    if block < 40:
        return  # a record must fit into a block
    cut = read(path)
    assert triples(cut) == triples(whole) == rows


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_an_absurd_line_is_named_and_can_be_left_out(write, monkeypatch, where):
    monkeypatch.setattr(_textfiles, "BLOCK", 1 << 10)
    lines = [f"u{n},i{n},3" for n in range(500)]
    at = {"first": 1, "middle": 250, "last": 500}[where]
    lines.insert(at, "x" * 10_000)
    path = write("\n".join(lines))
    with pytest.raises(DataError, match=f"line {at + 1}: .*a line longer"):
        read(path)
    ratings = read(path, on_bad_rows="report")
    assert len(ratings) == 500
    assert sum(ratings.report.bad_rows.values()) == 1


@pytest.mark.long
def test_a_line_of_200_mb_does_not_exhaust_memory(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"user,item,rating\nann,tea,5\n")
        file.seek(200_000_000, os.SEEK_CUR)  # a hole in the file: zeros, and no line end
        file.write(b"\nbob,tea,4\n")
    code = (
        "import resource, sys\n"
        "from palate.data.reading import read\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "r = read(sys.argv[1], on_bad_rows='report')\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(len(r), sum(r.report.bad_rows.values()), (after - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    n, bad, megabytes = map(int, done.stdout.split())
    assert (n, bad) == (2, 1)
    assert megabytes < 150


plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
some_label = plain_text.filter(
    lambda text: (
        not is_word_for_missing(text) and not text.endswith(".0") and text == text.strip() and text[0] not in "'\"=“"
    )
)


@given(
    rows=st.lists(st.tuples(some_label, some_label, st.floats(-1e9, 1e9, width=32)), min_size=1, max_size=20),
    separator=st.sampled_from([",", ";", "\t", "|"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_csv_writes_is_read_back(rows, separator):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows([("user", "item", "rating"), *rows])
    content = buffer.getvalue()
    ratings = read(io.BytesIO(content.encode()), separator=separator, duplicates="last")
    expected = {(user, item): np.float32(value) for user, item, value in rows}
    assert {(user, item): value for user, item, value in triples(ratings)} == expected
    assert ratings.report.duplicates == len(rows) - len(expected)


@given(st.text(alphabet='ab",\n\r0 \0é', max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_fast_parser_agrees_with_the_exact_one_or_gives_up(text):
    dialect = Dialect(",", False, ["column_1", "column_2", "column_3"])
    block = Block(1, text.encode())
    fast = parse_fast(block, dialect) if text else None
    if fast is not None:
        exact = parse_exact(block, dialect)
        assert not exact.reasons
        nulls = pl.all().replace("", None)
        assert fast.frame.select(nulls).rows() == exact.frame.select(nulls).rows()


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(content):
    try:
        ratings = read(io.BytesIO(content), on_bad_rows="report")
    except DataError:
        return
    assert np.isfinite(ratings.values).all()


# ---- bad days


def test_emoji_and_newlines_in_labels(write):
    path = write('user,item,rating\n"😀","green\ntea ☕",5\n"say ""hi""","a,b",4\n')
    assert triples(read(path)) == [("😀", "green\ntea ☕", 5.0), ('say "hi"', "a,b", 4.0)]


def test_one_row_and_no_rows(write):
    assert triples(read(write("ann,tea,5"))) == [("ann", "tea", 5.0)]
    empty = read(write("user,item,rating\n"))
    assert len(empty) == empty.n_users == empty.n_items == 0
    assert len(read(pl.DataFrame({"user": [], "item": [], "rating": []}))) == 0
    for nothing in ("", "\n\n\n", "\ufeff"):
        with pytest.raises(DataError, match="is empty"):
            read(write(nothing))


def test_large_and_negative_values(write):
    values = [1e9, -1e9, -0.5, 0.0, 3e38]
    text = "\n".join(f"u,i{n},{value!r}" for n, value in enumerate(values))
    assert read(write(text)).values.tolist() == np.float32(values).tolist()


def test_one_user_and_all_equal(write):
    ratings = read(write("\n".join(f"u,i{n},3" for n in range(10))))
    assert (ratings.n_users, ratings.n_items, ratings.range) == (1, 10, (3.0, 3.0))


def test_files_that_are_none(tmp_path, write):
    with pytest.raises(DataError, match="there is no file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match="zip archive"):
        read(write(b"PK\x03\x04rest", "ratings.zip"))
    with pytest.raises(DataError, match="cannot be read to its end"):
        read(write(gzip.compress(b"ann,tea,5\n" * 1000)[:-20], "ratings.csv.gz"))
    with pytest.raises(DataError, match="not a readable parquet"):
        read(write(b"no parquet", "ratings.parquet"))
    with pytest.raises(DataError, match="from this int"):
        read(5)


def test_options_are_checked(write):
    path = write("ann,tea,5\n")
    with pytest.raises(OptionError, match="'raise', 'report'"):
        read(path, on_bad_rows="ignore")
    with pytest.raises(OptionError, match="'last', 'mean', 'error'"):
        read(path, duplicates="first")
    with pytest.raises(OptionError, match="a column's name or position"):
        read(path, user=2.5)


# ---- duplicates


def test_duplicates_by_time_else_by_order(write):
    timed = read(write("user,item,rating,time\na,x,1,30\nb,x,5,1\na,x,2,40\na,x,3,10\n"))
    assert triples(timed) == [("b", "x", 5.0), ("a", "x", 2.0)]
    assert timed.times.tolist() == [1, 40]
    assert (timed.report.duplicates, timed.report.contradictions) == (2, 1)
    untimed = read(write("user,item,rating\na,x,1\nb,x,5\na,x,2\n"))
    assert triples(untimed) == [("b", "x", 5.0), ("a", "x", 2.0)]


def test_duplicates_mean_and_error(write):
    path = write("user,item,rating\na,x,1\nb,x,5\na,x,2\nb,x,5\n")
    mean = read(path, duplicates="mean")
    assert triples(mean) == [("a", "x", 1.5), ("b", "x", 5.0)]
    assert (mean.report.duplicates, mean.report.contradictions) == (2, 1)
    with pytest.raises(DataError, match="user 'a' has rated item 'x' more than once, and 2 rows"):
        read(path, duplicates="error")


def test_weighted_duplicates():
    ratings = read({"user": [1, 1], "item": [2, 2], "rating": [1.0, 5.0], "weight": [3, 1]}, duplicates="mean")
    assert ratings.values.tolist() == [2.0]
    assert ratings.weights.tolist() == [4.0]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=40
    ),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_duplicates_against_a_dictionary(rows, with_times):
    users, items, values, times = (list(column) for column in zip(*rows, strict=True))
    columns = {"user": users, "item": items, "rating": values} | ({"time": times} if with_times else {})
    order = sorted(range(len(rows)), key=(lambda row: times[row]) if with_times else (lambda row: row))
    last = {(users[row], items[row]): values[row] for row in order}
    assert {(user, item): value for user, item, value in triples(read(columns))} == last
    groups = {pair: [values[n] for n in range(len(rows)) if (users[n], items[n]) == pair] for pair in last}
    mean = {(user, item): value for user, item, value in triples(read(columns, duplicates="mean"))}
    assert mean == pytest.approx({pair: np.mean(group) for pair, group in groups.items()})
    report = read(columns).report
    assert report.duplicates == len(rows) - len(last)
    assert report.contradictions == sum(len(set(group)) > 1 for group in groups.values())


# ---- frames, arrays, SQL

COLUMNS = {"user_id": [3, 1, 3], "item_id": ["b", "a", "a"], "stars": [5, 3, 1], "ts": [7, 8, 9]}
EXPECTED = [(3, "b", 5.0), (1, "a", 3.0), (3, "a", 1.0)]


def sqlite_of(columns, path=":memory:"):
    connection = sqlite3.connect(path)
    connection.execute("create table r (user_id integer, item_id text, stars real, ts integer)")
    connection.executemany("insert into r values (?, ?, ?, ?)", list(zip(*columns.values(), strict=True)))
    connection.commit()
    return connection


FRAMES = {
    "mapping": dict,
    "mapping of arrays": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "pandas": pd.DataFrame,
    "pandas nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas category": lambda columns: pd.DataFrame(columns).astype({"user_id": "category", "item_id": "category"}),
    "pandas objects": lambda columns: pd.DataFrame(columns).astype(object),
    "pandas odd index": lambda columns: pd.DataFrame(columns, index=[9, 9, 2]),
    "polars": pl.DataFrame,
    "polars lazy": pl.LazyFrame,
    "polars category": lambda columns: pl.DataFrame(columns).with_columns(pl.col("item_id").cast(pl.Categorical)),
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames(kind):
    ratings = read(FRAMES[kind](COLUMNS))
    assert triples(ratings) == EXPECTED
    assert ratings.times.tolist() == [7, 8, 9]
    assert ratings.user_vocabulary.kind == "integer"
    assert ratings.item_vocabulary.kind == "string"


@pytest.mark.parametrize("ending", ["parquet", "feather", "jsonl", "jsonl.gz"])
def test_column_files_keep_integers(tmp_path, ending):
    path = tmp_path / f"ratings.{ending}"
    frame = pl.DataFrame(COLUMNS)
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending == "feather":
        frame.write_ipc(path)
    else:
        content = frame.write_ndjson().encode()
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert triples(read(path)) == EXPECTED


def test_sql_over_a_real_file(tmp_path):
    path = tmp_path / "ratings.sqlite"
    sqlite_of(COLUMNS, path).close()
    connection = sqlite3.connect(path)
    ratings = read("SELECT * FROM r ORDER BY ts", connection=connection)
    assert triples(ratings) == EXPECTED
    assert ratings.times.tolist() == [7, 8, 9]
    connection.close()
    with pytest.raises(OptionError, match="needs connection="):
        read("SELECT * FROM r")


def test_sql_null_is_a_bad_row():
    connection = sqlite_of({"u": [1, None], "i": ["a", "b"], "r": [1.0, 2.0], "t": [1, 2]})
    with pytest.raises(DataError, match=r"row 1 .*no user"):
        read("SELECT * FROM r", connection=connection)
    assert len(read("SELECT * FROM r", connection=connection, on_bad_rows="report")) == 1
    connection.close()


def test_json_lines_that_are_not(write):
    path = write('{"user":1,"item":2,"rating":3}\n{"user":1,\n[1]\n\n{"user":2,"rating":3}\n', "x.jsonl")
    report = read(path, on_bad_rows="report").report
    assert report.bad_rows == {"not JSON": 1, "not a JSON object": 1, "a blank line": 1, "no item": 1}
    with pytest.raises(DataError, match=r"x.jsonl, line 2.*not JSON"):
        read(path)
    with pytest.raises(LabelTypeError, match="int, str"):
        read(write('{"user":1,"item":2,"rating":3}\n{"user":"1","item":2,"rating":3}\n', "y.jsonl"))


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64, object])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_rows(dtype, order):
    array = np.array([[3, 20, 5], [1, 20, 4]], dtype=dtype, order=order)
    assert triples(read(array)) == [(3, 20, 5.0), (1, 20, 4.0)]


def test_arrays_with_times_strings_and_holes():
    assert read(np.array([[1, 2, 3, 99.0]])).times.tolist() == [99]
    assert triples(read(np.array([["01", "x", "4"]]))) == [("01", "x", 4.0)]
    holes = np.array([[1, 2, 3.0], [np.nan, 2, 4.0], [1, 3, np.nan]])
    with pytest.raises(DataError, match=r"row 1 .*no user"):
        read(holes)
    assert read(holes, on_bad_rows="report").report.bad_rows == {"no user": 1, "the rating is NaN": 1}
    with pytest.raises(LabelTypeError, match="whole numbers"):
        read(np.array([[1.5, 2, 3]]))
    with pytest.raises(DataError, match=r"shape \(n, 3\)"):
        read(np.zeros((4, 1)))
    structured = np.array([(3, "tea", 4.5)], dtype=[("user", "i8"), ("item", "U8"), ("rating", "f8")])
    assert triples(read(structured)) == [(3, "tea", 4.5)]


def test_a_tuple_of_arrays():
    ratings = read((np.array(["a", "b"])[::-1], [10, 20], np.array([1.0, 2.0])))
    assert triples(ratings) == [("b", 10, 1.0), ("a", 20, 2.0)]
    with pytest.raises(DataError, match="different lengths"):
        read(([1, 2], [1], [1.0]))


@pytest.mark.parametrize("kind", [sp.coo_matrix, sp.csr_matrix, sp.csc_array])
def test_sparse_matrices_are_users_by_items(kind):
    matrix = kind(np.array([[0, 5.0, 0], [2.0, 0, 3.0]]))
    assert sorted(triples(read(matrix))) == [(0, 1, 5.0), (1, 0, 2.0), (1, 2, 3.0)]


@pytest.mark.parametrize("make", [pd.DataFrame, dict])
def test_mixed_labels_are_refused(make):
    with pytest.raises(LabelTypeError, match="int, str"):
        read(make({"user": [1, "1"], "item": [1, 2], "rating": [1, 2]}))


def test_integers_that_became_floats_are_integers_again():
    frame = pd.DataFrame({"user": [1, None], "item": [1, 2], "rating": [1, 2]})
    assert read(frame, on_bad_rows="report").classes["user"] == [1]
    with pytest.raises(DataError, match="no user"):
        read(frame)


def test_missing_labels_in_frames_are_bad_rows():
    frame = pd.DataFrame({"user": ["a", None, "b"], "item": [1, 2, 3], "rating": [1, 2, np.nan]})
    report = read(frame, on_bad_rows="report").report
    assert report.bad_rows == {"no user": 1, "no rating": 1}
    assert report.rows_read == 3


def test_dates_in_frames():
    dates = pd.to_datetime(["1970-01-02 00:00:00", "1970-01-01 00:00:05"])
    assert read(pd.DataFrame({"user": [1, 2], "item": 1, "rating": 1, "date": dates})).times.tolist() == [86400, 5]
    frame = pl.DataFrame({"user": [1], "item": [1], "rating": [1], "date": ["1970-01-02"]})
    assert read(frame.with_columns(pl.col("date").str.to_date())).times.tolist() == [86400]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), None])
def test_bad_weights(weight):
    with pytest.raises(DataError, match=r"row 0 .*the weight is not a number >= 0"):
        read({"user": [1, 2], "item": [1, 2], "rating": [1, 2], "weight": [weight, 1.0]})


def test_huge_integers_are_refused():
    with pytest.raises(DataError, match="64 bits"):
        read({"user": [2**70], "item": [1], "rating": [1]})
    with pytest.raises(DataError, match="64 bits"):
        read(pl.DataFrame({"user": [2**63 + 1], "item": [1], "rating": [1]}, schema_overrides={"user": pl.UInt64}))


def test_a_frame_read_is_the_frame_written(write):
    ratings = read(write("user,item,rating,time\n01,a,4,5\n1,b,3,6\n"))
    again = read(ratings.to_frame())
    assert triples(again) == triples(ratings)
    assert again.times.tolist() == ratings.times.tolist()
    assert again.user_vocabulary == ratings.user_vocabulary


# ---- second files


def test_items_are_aligned_to_the_vocabulary(write):
    path = write("user,item,rating\na,2,5\na,1,4\na,9,3\n")
    items = write("id,name,year\n1,Tea,1990\n2,Jam,\n7,Bun,2000\n", "items.csv")
    table = read(path, items=items).item_table
    assert table.rows() == [("Tea", 1990), ("Jam", None), (None, None)]


def test_a_table_frame_is_matched_on_text_when_labels_are_strings(write):
    path = write("user,item,rating\na,2,5\na,1,4\n")
    table = read(path, items=pd.DataFrame({"item": [1, 2], "title": ["Tea", "Jam"]})).item_table
    assert table.rows() == [("Tea",), ("Jam",)]


def test_a_text_table_is_matched_as_numbers_when_labels_are_integers(write):
    users = write("3|44|nurse\n03|1|ghost\n1|30|smith\n", "users.txt")
    ratings = read(COLUMNS, users=users)
    assert ratings.user_table.rows() == [(30, "smith"), (44, "nurse")]
    assert ratings.user_table.columns == ["column_2", "column_3"]


def test_a_table_without_a_known_label_is_refused(write):
    with pytest.raises(DataError, match="has none of the 2 items"):
        read(COLUMNS, items=write("item,title\nx,Tea\n", "items.csv"))


def test_repeated_and_bad_rows_of_a_table_are_noted(write):
    path = write("user,item,rating\na,1,5\na,2,4\n")
    items = write("item,title\n1,Tea\n1,Coffee\n2,Jam,extra\n", "items.csv")
    with pytest.raises(DataError, match=r"items.csv, line 4: '2,Jam,extra'"):
        read(path, items=items)
    ratings = read(path, items=items, on_bad_rows="report")
    assert ratings.item_table.rows() == [("Coffee",), (None,)]
    assert ratings.report.bad_rows == {}
    assert ratings.report.bad_examples == ()
    assert ratings.report.table_notes == (
        "items: 1 row left out, such as line 4: '2,Jam,extra': wrong number of fields",
        "items: 1 row with a repeated id, the last kept",
    )


def test_unmatched_rows_of_tables_are_not_bad_ratings(write):
    path = write("user,item,rating\na,1,5\na,2,oops\na,3,2\n")
    items = write("item,title\n1,Tea\n2,Milk\n7,Jam\n3,Bun\n7,Jam\n", "items.csv")
    users = pl.DataFrame({"user": ["b", "a", None], "age": [1, 2, 3]})
    ratings = read(path, items=items, users=users, on_bad_rows="report")
    assert ratings.item_table.rows() == [("Tea",), ("Bun",)]
    assert ratings.user_table.rows() == [(2,)]
    assert sum(ratings.report.bad_rows.values()) == 1
    assert ratings.report.table_notes == (
        "users: 1 row without a usable id left out",
        "users: 1 row for users without ratings left out",
        "items: 3 rows for items without ratings left out",
    )
    report = str(ratings.report)
    assert report.startswith("3 rows read, 1 left out (the rating is not a number) from ")
    assert report.endswith(". items: 3 rows for items without ratings left out.")
    clean = read({"user": ["a"], "item": ["1"], "rating": [1]}, items=items)
    assert clean.report.table_notes == ("items: 4 rows for items without ratings left out",)
    every = pl.DataFrame({"item": ["1", "3"], "title": ["Tea", "Bun"]})
    assert read({"user": ["a", "a"], "item": ["3", "1"], "rating": [1, 2]}, items=every).report.is_clean


# ---- real files


@pytest.mark.data
def test_ml_100k(data):
    ratings = read(data / "ml-100k" / "u.data", items=data / "ml-100k" / "u.item", users=data / "ml-100k" / "u.user")
    assert (len(ratings), ratings.n_users, ratings.n_items) == (100_000, 943, 1682)
    assert triples(ratings)[0] == ("196", "242", 3.0)
    assert int(ratings.times[0]) == 881250949
    titles = dict(zip(ratings.item_vocabulary, ratings.item_table["title"], strict=True))
    assert titles["242"] == "Kolya (1996)"
    assert titles["543"] == "Misérables, Les (1995)"  # Latin-1 in the file
    assert ratings.user_table["column_4"][0] == "technician"
    with_header = read(data / "ml-100k" / "ratings.csv")
    assert triples(with_header) == triples(ratings)


@pytest.mark.data
def test_other_public_files(data):
    small = read(data / "ml-latest-small" / "ratings.csv", items=data / "ml-latest-small" / "movies.csv")
    assert (len(small), small.n_users, small.n_items, small.range) == (100_836, 610, 9724, (0.5, 5.0))
    assert small.item_table["title"].null_count() == 0
    million = read(data / "ml-1m" / "ratings.parquet", items=data / "ml-1m" / "movies.dat")
    assert (len(million), million.n_users, million.n_items) == (1_000_209, 6040, 3706)
    assert million.item_table["title"][0] == "Toy Story (1995)"
    counts = read(data / "lastfm-hetrec2011" / "ratings.csv", kind="implicit")
    assert (counts.weights.min(), counts.weights.max()) == (1.0, 352698.0)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("item,maker\ni0,Smith\ni1,Jones\n", {"maker": ["Smith", "Jones"]}),
        ("item,title\ni0,Smith\ni1,Jones\n", {"title": ["Smith", "Jones"]}),
        ("i0,Film 0,4\ni1,Film 1,5\n", {"title": ["Film 0", "Film 1"], "column_3": [4, 5]}),
        ("i0,3,Film 0\ni1,2,Film 1\n", {"column_2": [3, 2], "column_3": ["Film 0", "Film 1"]}),
        ("i0\ni1\n", {}),
    ],
)
def test_the_second_column_of_a_table_without_names_is_the_title(tmp_path, text, columns):
    (tmp_path / "items.csv").write_text(text)
    ratings = read({"user": ["a", "b"], "item": ["i0", "i1"], "rating": [1, 2]}, items=tmp_path / "items.csv")
    assert ratings.item_table.to_dict(as_series=False) == columns


def test_a_quote_that_is_never_closed_ends_with_its_line(monkeypatch):
    """Blocks of whole lines, none lost and none twice, each with the number of its first line."""
    monkeypatch.setattr(_textfiles, "BLOCK", 64)
    text = 'a,b,1\n"c,d,2\n' + "".join(f"e,f{n},3\n" for n in range(60))
    chunks = (text[at : at + 64].encode() for at in range(0, len(text), 64))
    made = [(block.line, bytes(block.data).decode()) for block in _textfiles.blocks(chunks, lambda: ",")]
    assert "".join(data for _, data in made) == text
    begins = np.cumsum([0] + [data.count("\n") for _, data in made])
    assert [line for line, _ in made] == (begins[:-1] + 1).tolist()
    assert all(data.endswith("\n") for _, data in made)
    assert (2, '"c,d,2\n') in made


def test_lines_are_counted_on_after_one_that_is_too_long(monkeypatch):
    monkeypatch.setattr(_textfiles, "BLOCK", 64)
    text = "a,b,1\n" + "x" * 300 + "\n" + "".join(f"c,d{n},2\n" for n in range(40))
    chunks = (text[at : at + 64].encode() for at in range(0, len(text), 64))
    made = [(block.line, bytes(block.data).decode()) for block in _textfiles.blocks(chunks, lambda: ",")]
    lines = text.splitlines()
    assert [line for line, data in made if data.startswith("x")] == [2]
    for line, data in made:
        if not data.startswith("x"):
            assert data.splitlines() == lines[line - 1 : line - 1 + data.count("\n")]
    assert len(made) > 3
