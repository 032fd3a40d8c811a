"""Files of every packing and format: the same ratings in each give equal Ratings, and damage is an error in words."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import sqlite3
import tarfile
import tempfile
import threading
import zipfile

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.reading import compression as packing
from palate.data.reading import containers
from palate.data.reading import read as read_
from palate.errors import DataError, OptionError, PalateError

ROWS = [("ann", "tea", 5.0), ("ann", "jam", 3.0), ("bob", "tea", 4.0), ("cid", 'green "tea", hot', 1.5)]
RECORDS = [dict(zip(("user", "item", "rating"), row, strict=True)) for row in ROWS]
CSV = b'user,item,rating\nann,tea,5\nann,jam,3\nbob,tea,4\ncid,"green ""tea"", hot",1.5\n'
OTHER = b"item,title,price\ntea,Green tea,3\njam,Jam,2\n"


def read(source, **options):
    return read_(source, **options)


def triples(ratings):
    users = ratings.user_vocabulary.labels[ratings.user_codes].tolist()
    items = ratings.item_vocabulary.labels[ratings.item_codes].tolist()
    return sorted(zip(users, items, ratings.values.tolist(), strict=True))


def zip_of(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tar_of(files, mode="w"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def workbook_of(sheets):
    """A workbook as small as can be: texts in the cells themselves, numbers as they are."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    targets = "".join(
        f'<Relationship Id="r{n}" Type="{links}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n, _ in enumerate(sheets, 1)
    )
    files = {
        "[Content_Types].xml": f'{head}<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{links}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{head}<workbook xmlns="{main}" xmlns:r="{links}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{head}<Relationships xmlns="{package}/relationships">{targets}</Relationships>',
    }
    for n, rows in enumerate(sheets.values(), 1):
        lines = [f'<row r="{at}">{"".join(map(_cell, "ABC", row, [at] * 3))}</row>' for at, row in enumerate(rows, 1)]
        data = f"<sheetData>{''.join(lines)}</sheetData>"
        files[f"xl/worksheets/sheet{n}.xml"] = f'{head}<worksheet xmlns="{main}">{data}</worksheet>'
    return zip_of(files)


def _cell(column, value, row):
    if isinstance(value, str):
        text = value.replace("&", "&amp;").replace("<", "&lt;")
        return f'<c r="{column}{row}" t="inlineStr"><is><t>{text}</t></is></c>'
    return f'<c r="{column}{row}"><v>{value}</v></c>'


def database(path, **tables):
    """An SQLite file with these tables, each a frame."""
    connection = sqlite3.connect(path)
    for name, frame in tables.items():
        connection.execute(f"CREATE TABLE {name} ({', '.join(frame.columns)})")
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.rows())
    connection.commit()
    connection.close()
    return path


def bytes_of(write_to):
    data = io.BytesIO()
    write_to(data)
    return data.getvalue()


def zstandard(data):
    return pytest.importorskip("zstandard", reason="the extra zstd is not installed").compress(data)


FRAME = pl.DataFrame(RECORDS)
SHEET = [list(RECORDS[0]), *map(list, ROWS)]
COMPRESSED = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "Zstandard": zstandard}
ARCHIVES = {
    "zip": zip_of,
    "tar": tar_of,
    "tar.gz": lambda files: tar_of(files, "w:gz"),
    "tar.bz2": lambda files: tar_of(files, "w:bz2"),
    "tar.xz": lambda files: tar_of(files, "w:xz"),
}
FORMATS = {
    "csv": lambda: CSV,
    "array of objects": lambda: json.dumps(RECORDS).encode(),
    "indented array": lambda: json.dumps(RECORDS, indent=2).encode(),
    "lines": lambda: "\n".join(map(json.dumps, RECORDS)).encode(),
    "objects of several lines": lambda: "\n".join(json.dumps(record, indent=1) for record in RECORDS).encode(),
    "array of rows": lambda: json.dumps({"columns": list(RECORDS[0]), "index": [0], "data": ROWS}).encode(),
    "columns": lambda: json.dumps(FRAME.to_dict(as_series=False)).encode(),
    "wrapped": lambda: json.dumps({"version": 1, "data": {"ratings": RECORDS}}).encode(),
    "nested": lambda: json.dumps([{"user": {"id": u}, "item": {"id": i}, "rating": r} for u, i, r in ROWS]).encode(),
    "UTF-16": lambda: json.dumps(RECORDS).encode("utf-16"),
    "parquet": lambda: bytes_of(FRAME.write_parquet),
    "arrow": lambda: bytes_of(FRAME.write_ipc),
    "arrow stream": lambda: bytes_of(FRAME.write_ipc_stream),
}


# ---- the same ratings


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("form", ["csv", "lines", "parquet"])
def test_compression_is_told_by_the_first_bytes(tmp_path, compression, form):
    path = tmp_path / "ratings.data"
    path.write_bytes(COMPRESSED[compression](FORMATS[form]()))
    ratings = read(path)
    assert triples(ratings) == sorted(ROWS)
    assert ratings.report.how["compression"] == compression


@pytest.mark.parametrize("form", FORMATS)
def test_formats_are_told_by_their_content(tmp_path, form):
    """Not by the name, and from an open file as from a path."""
    path = tmp_path / "ratings"
    path.write_bytes(FORMATS[form]())
    assert triples(read(path)) == sorted(ROWS)
    assert triples(read(io.BytesIO(FORMATS[form]()))) == sorted(ROWS)


@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("form", ["csv", "array of objects", "parquet"])
def test_the_only_file_of_an_archive_is_read(tmp_path, archive, form):
    path = tmp_path / "archive"
    path.write_bytes(ARCHIVES[archive]({"folder/ratings": FORMATS[form](), "README.md": b"# Read me", ".hidden": b"x"}))
    ratings = read(path)
    assert triples(ratings) == sorted(ROWS)
    assert ratings.report.how["member"] == "folder/ratings"


@pytest.mark.parametrize("archive", ARCHIVES)
def test_the_file_whose_columns_fit_is_read_or_the_one_that_is_named(tmp_path, archive):
    path = tmp_path / "archive.bin"
    path.write_bytes(
        ARCHIVES[archive]({"all/ratings.csv": CSV, "all/items.csv": OTHER, "all/links.csv": b"item,url\ntea,x\n"})
    )
    ratings = read(path, items=path)
    assert triples(ratings) == sorted(ROWS)
    assert ratings.item_table["title"].to_list() == [None, "Jam", "Green tea"]
    assert triples(read(path / "all/ratings.csv", items=str(path / "all/items.csv"))) == sorted(ROWS)
    with pytest.raises(DataError, match=r"has no file 'none.csv'. Its files are 'all/ratings.csv'"):
        read(path / "none.csv")


def test_files_that_fit_alike_are_named(tmp_path):
    path = tmp_path / "two.zip"
    path.write_bytes(zip_of({"a.csv": CSV, "b.csv": CSV}))
    with pytest.raises(DataError, match=r"'a.csv', 'b.csv'. Say which one .*two.zip/a.csv"):
        read(path)
    path.write_bytes(zip_of({"u.data": b"1\t2\t3\n", "u.item": b"2\tHeat\n"}))
    with pytest.raises(DataError, match=r"several files"):
        read(path)


def test_a_compressed_file_in_an_archive(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"ratings.csv.gz": gzip.compress(CSV)}))
    assert triples(read(path)) == sorted(ROWS)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_members_of_compressed_data_in_a_row_are_one_text(compression):
    pack = COMPRESSED[compression]
    assert triples(read(io.BytesIO(pack(CSV[:30]) + pack(CSV[30:])))) == sorted(ROWS)


@given(data=st.binary(max_size=3000), cut=st.integers(1, 400), step=st.integers(1, 50))
def test_what_was_packed_is_unpacked_whatever_the_cuts(data, cut, step):
    packed = lzma.compress(data[:cut]) + lzma.compress(data[cut:])
    stream = packing.Unpacking(io.BytesIO(packed), lzma.LZMADecompressor, step)
    assert b"".join(iter(lambda: stream.read(cut), b"")) == data


# ---- damage and mischief


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_compressed_data_that_end_early_are_an_error(tmp_path, compression, share):
    path = tmp_path / "ratings.bin"
    data = COMPRESSED[compression](CSV + b"".join(b"u%d,i%d,%d\n" % (n, n * n % 997, n % 5) for n in range(3000)))
    path.write_bytes(data[: max(8, int(share * len(data)))])
    with pytest.raises(DataError, match=r"ratings.bin cannot be read to its end"):
        read(path)


@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_archives_that_end_early_are_an_error(tmp_path, archive, share):
    path = tmp_path / "archive"
    data = ARCHIVES[archive]({"ratings.csv": CSV + b"".join(b"u%d,i%d,3\n" % (n, n * n) for n in range(3000))})
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match="archive"):
        read(path)


@given(at=st.integers(0, 200), byte=st.integers(0, 255), archive=st.sampled_from(["zip", "tar", "tar.gz", "tar.xz"]))
def test_a_changed_byte_is_read_or_a_data_error(at, byte, archive):
    data = bytearray(ARCHIVES[archive]({"ratings.csv": CSV}))
    data[at % len(data)] = byte
    with contextlib.suppress(DataError):
        assert read(io.BytesIO(bytes(data))).report.rows_read <= len(ROWS) + 1


@given(
    form=st.sampled_from(sorted(FORMATS)),
    at=st.integers(0, 2000),
    put=st.sampled_from([b"", b"\0", b'"', b"\n", b"\r", b"[", b"}", b"\xff", b"\\", b"9" * 30]),
    drop=st.integers(0, 9),
    options=st.sampled_from([{}, {"kind": "implicit"}, {"on_bad_rows": "report"}, {"wide": True}]),
)
def test_any_damaged_file_is_read_or_an_error_in_words(form, at, put, drop, options):
    data = FORMATS[form]()
    at %= len(data)
    with contextlib.suppress(PalateError):
        assert len(read(io.BytesIO(data[:at] + put + data[at + drop :]), **options)) <= len(data)


def test_archives_in_archives_and_endless_compression_are_refused():
    for outer in (zip_of, tar_of):
        for inner in (zip_of, tar_of):
            with pytest.raises(DataError, match="archive in an archive"):
                read(io.BytesIO(outer({"inner": inner({"ratings.csv": CSV})})))
    data = CSV
    for _ in range(packing.MAX_LAYERS):
        data = gzip.compress(data)
    assert triples(read(io.BytesIO(data))) == sorted(ROWS)
    with pytest.raises(DataError, match="more than 3 times"):
        read(io.BytesIO(gzip.compress(data)))


def test_a_table_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(containers, "MAX_WHOLE", 1000)
    with pytest.raises(DataError, match="unpacks to more than"):
        read(io.BytesIO(gzip.compress(b"PAR1" + bytes(1 << 20))))


def test_an_encrypted_archive_says_so():
    data = bytearray(zip_of({"ratings.csv": CSV}))
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="encrypted"):
        read(io.BytesIO(bytes(data)))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z archive"),
        (b"Rar!\x1a\x07\0", "RAR archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x80\x04\x95\x10", "pickle"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "web page"),
        (b"%PDF-1.7\n", "PDF"),
        (b"SQLite format 3\0" + bytes(200), "SQLite"),
        (b"PAR1abcdPAR1", "parquet"),
        (bytes(range(256)) * 8, "is no text"),
        (b"", "is empty"),
        (b"\n \n\n", "is empty"),
        (b'""', "is empty"),
    ],
)
def test_other_files_are_named_not_misread(data, word):
    with pytest.raises(DataError, match=word):
        read(io.BytesIO(data))


class Pipe:
    """A stream that gives a few bytes at a time and cannot go back."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def read(self, n=-1):
        return self.data.read(min(n, 7) if n > 0 else n)


def test_pipes_give_text_and_say_what_they_cannot():
    for data in (CSV, gzip.compress(CSV), bz2.compress(CSV), lzma.compress(CSV)):
        assert triples(read(Pipe(data))) == sorted(ROWS)
    for form in ("array of objects", "parquet"):
        with pytest.raises(DataError, match="give the path"):
            read(Pipe(FORMATS[form]()))
    for archive in ("zip", "tar"):
        with pytest.raises(DataError, match="give the path"):
            read(Pipe(ARCHIVES[archive]({"ratings.csv": CSV})))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("data", [CSV, bz2.compress(CSV)])
def test_a_named_pipe_is_opened_once(tmp_path, data):
    """Its bytes come once: as much as was looked at would be lost to a second look."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[data], daemon=True)
    writer.start()
    assert triples(read(path)) == sorted(ROWS)
    writer.join(10)


def test_files_of_text_that_are_no_text_streams_of_io(tmp_path):
    with tempfile.NamedTemporaryFile("w+", dir=tmp_path) as file:
        file.write(CSV.decode())
        file.seek(0)
        assert triples(read(file)) == sorted(ROWS)


def test_a_long_query_without_a_connection_says_so():
    with pytest.raises(OptionError, match="connection="):
        read("SELECT user, item, rating FROM ratings WHERE " + " AND ".join(f"x != {n}" for n in range(2000)))


def test_names_that_no_file_can_have(tmp_path):
    for name in ("x" * 5000, "nul\0nul", str(tmp_path / "none.zip" / "inner.csv")):
        with pytest.raises(DataError, match="no file"):
            read(name)


def test_addresses_are_opened_if_fsspec_is_there(monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="the extra urls is not installed")
    fsspec.filesystem("memory").pipe("/palate/ratings.csv.gz", gzip.compress(CSV))
    assert triples(read("memory://palate/ratings.csv.gz")) == sorted(ROWS)
    with pytest.raises(DataError, match="cannot be opened"):
        read("memory://palate/none.csv")
    with pytest.raises(DataError, match="cannot be opened"):
        read("nonsense://palate/none.csv")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(DataError, match=r"pip install 'palate\[urls\]'"):
        read("https://example.org/ratings.csv")


def test_a_missing_extra_is_named(monkeypatch):
    modules = __import__("sys").modules
    for module in ("zstandard", "compression", "compression.zstd", "python_calamine"):
        monkeypatch.setitem(modules, module, None)
    with pytest.raises(DataError, match=r"pip install 'palate\[zstd\]'"):
        read(io.BytesIO(b"\x28\xb5\x2f\xfd" + bytes(20)))
    with pytest.raises(DataError, match=r"pip install 'palate\[excel\]'"):
        read(io.BytesIO(workbook_of({"one": SHEET})))


# ---- workbooks and databases


@pytest.fixture
def excel():
    pytest.importorskip("python_calamine", reason="the extra excel is not installed")


@pytest.mark.usefixtures("excel")
def test_a_workbook_is_read_by_the_sheet_that_fits(tmp_path):
    path = tmp_path / "book.xlsx"
    items = [["item", "title"], ["tea", "Green tea"], ["jam", "Jam"]]
    path.write_bytes(workbook_of({"About": [["made by ann"]], "Items": items, "R": [["My ratings"], [], *SHEET]}))
    ratings = read(path, items=path)
    assert triples(ratings) == sorted(ROWS)
    assert ratings.item_table["title"].to_list() == [None, "Jam", "Green tea"]
    assert ratings.report.how["member"] == "sheet R"
    assert triples(read(path / "R")) == sorted(ROWS)
    with pytest.raises(DataError, match=r"no sheet 'S'. Its sheets are 'About', 'Items', 'R'"):
        read(path / "S")


@pytest.mark.usefixtures("excel")
def test_numbers_of_a_workbook_are_ids_without_a_point():
    rows = [["userId", "movieId", "rating"], [1, 10, 4.5], [2, 10, 3]]
    assert triples(read(io.BytesIO(workbook_of({"S": rows})))) == [("1", "10", 4.5), ("2", "10", 3.0)]


@pytest.mark.usefixtures("excel")
def test_workbooks_that_are_none():
    with pytest.raises(DataError, match="several sheets: 'a', 'b'"):
        read(io.BytesIO(workbook_of({"a": [["x"]], "b": [["y"]]})))
    with pytest.raises(DataError, match="without a row"):
        read(io.BytesIO(workbook_of({"a": []})))
    with pytest.raises(DataError, match="not a readable workbook"):
        read(io.BytesIO(zip_of({"xl/workbook.xml": b"<no"})))


def test_a_database_is_read_by_the_table_that_fits(tmp_path):
    items = pl.DataFrame({"item": ["tea", "jam"], "title": ["Green tea", "Jam"]})
    path = database(tmp_path / "shop.db", items=items, ratings=FRAME)
    ratings = read(path, items=path)
    assert triples(ratings) == sorted(ROWS)
    assert ratings.item_table["title"].to_list() == [None, "Jam", "Green tea"]
    assert ratings.report.how["member"] == "table ratings"
    assert triples(read(path / "ratings")) == sorted(ROWS)
    assert triples(read(io.BytesIO(gzip.compress(path.read_bytes())))) == sorted(ROWS)
    with pytest.raises(DataError, match=r"no table 'none'. Its tables are 'items', 'ratings'"):
        read(path / "none")


def test_databases_that_do_not_say_which(tmp_path):
    path = database(tmp_path / "two.db", ratings=FRAME, earlier=FRAME)
    with pytest.raises(DataError, match=r"'ratings', 'earlier'. Say which one"):
        read(path)
    with pytest.raises(DataError, match=r"several tables. Its tables are 'a', 'b'"):
        read(database(tmp_path / "none.db", a=FRAME.select("user"), b=FRAME.select("item")))
    path = database(tmp_path / "cut.db", ratings=FRAME)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="ends too early"):
        read(path)


# ---- JSON


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ('[{"user":"ann","item":"tea","rating":5}, oops]', "Expecting value"),
        ('[{"user":"ann","item":"tea","rating":5}', "not closed"),
        ('[{"user":"ann","item":"tea","rating":5}] more', "after the array"),
        ('[{"user":' + "9" * 5000 + "}]", "more digits"),
        (
            '[{"user":"ann","item":"tea","rating":5},{"user":"\\ud800","item":"tea","rating":5}]',
            r"record 1 .*surrogates",
        ),
        ("[[1, 2], [3]]", "different lengths"),
        ('[{"user": 1}, 5]', "another form"),
    ],
)
def test_json_that_is_none_is_an_error_in_words(text, word):
    with pytest.raises(DataError, match=word):
        read(io.BytesIO(text.encode()))


def test_bad_lines_of_json_are_counted(tmp_path):
    path = tmp_path / "ratings.jsonl"
    good = json.dumps(RECORDS[0])
    path.write_text(
        "\n".join([good, '{"user":' + "[" * 100_000, '{"user": "\\udc00", "item": "a", "rating": 1}', good])
    )
    report = read(path, on_bad_rows="report").report
    assert report.bad_rows == {"nested too deeply": 1, "text with half of a pair of surrogates": 1}


@given(st.lists(st.tuples(st.integers(0, 9), st.text(min_size=1), st.integers(1, 5)), min_size=1, max_size=20))
def test_arrays_give_what_lines_give(rows):
    records = [{"user": f"u{user}", "item": f"i{item}", "rating": rating} for user, item, rating in rows]
    lines, array = "\n".join(map(json.dumps, records)), json.dumps(records)
    expected = read({name: [record[name] for record in records] for name in records[0]})
    for text in (lines, array):
        assert triples(read(io.BytesIO(text.encode()))) == triples(expected)


def test_users_with_their_items(tmp_path):
    nested = {"ann": {"tea": 5, "jam": 3}, "bob": {"tea": 4}}
    expected = sorted(ROWS[:3])
    assert triples(read(io.BytesIO(json.dumps(nested).encode()))) == expected
    users = [
        {"user": user, "ratings": [{"item": item, "rating": rating} for item, rating in own.items()]}
        for user, own in nested.items()
    ]
    assert triples(read(io.BytesIO(json.dumps(users).encode()))) == expected
    lists = [{"user": user, "items": list(own), "ratings": list(own.values())} for user, own in nested.items()]
    assert triples(read(io.BytesIO(json.dumps(lists).encode()))) == expected


# ---- lists, Arrow streams and types


def test_lists_of_items_become_rows():
    frame = pl.DataFrame(
        {"user": ["ann", "bob", "cid", "dan"], "item_ids": [["tea", "jam"], ["tea"], [], None], "age": [1, 2, 3, 4]}
    )
    ratings = read(frame, kind="implicit")
    assert [row[:2] for row in triples(ratings)] == [("ann", "jam"), ("ann", "tea"), ("bob", "tea")]
    assert ratings.report.how["lists"] == "of item_ids, a row for each item"
    arrays = frame.head(1).with_columns(pl.col("item_ids").list.to_array(2))
    assert [row[:2] for row in triples(read(arrays, kind="implicit"))] == [("ann", "jam"), ("ann", "tea")]


def test_lists_beside_go_in_step_and_others_stay():
    frame = pl.DataFrame(
        {
            "user": ["ann", "bob"],
            "movies": [["tea", "jam"], ["tea"]],
            "ratings": [[5, 3], [4]],
            "timestamps": [[10, 20], [30]],
            "tags": [["a"], ["b"]],
        }
    )
    ratings = read(frame)
    assert triples(ratings) == sorted(ROWS[:3])
    assert sorted(ratings.times.tolist()) == [10, 20, 30]
    assert ratings.report.unused == {"tags": "lists"}
    with pytest.raises(DataError, match=r"row 0 \(from 0\): 2 items, and 1 values of 'ratings'"):
        read(frame.with_columns(ratings=pl.col("ratings").list.head(1)))
    with pytest.raises(DataError, match="item='movies'"):
        read(frame.with_columns(items=pl.col("movies")))
    plain = pl.DataFrame({"user": ["ann"], "item": ["tea"], "rating": [5], "genres": [["a", "b"]]})
    assert triples(read(plain)) == [("ann", "tea", 5.0)]


def test_a_list_that_no_name_tells_is_asked_for():
    frame = {"user": ["ann"], "history": [["tea", "jam"]]}
    with pytest.raises(DataError, match="item='history'"):
        read(frame, kind="implicit")
    assert len(read(frame, kind="implicit", item="history")) == 2


class Stream:
    """Anything that gives an Arrow stream, as relations of databases do."""

    def __init__(self, frame):
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


def test_anything_with_an_arrow_stream_is_read():
    assert triples(read(Stream(FRAME))) == sorted(ROWS)


@pytest.mark.parametrize("name", ["category", "string", "Int64", "sparse"])
def test_pandas_types(name):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(RECORDS)
    changed = {
        "category": lambda: frame.astype({"user": "category", "item": "category"}),
        "string": lambda: frame.astype({"user": "string", "item": "string"}),
        "Int64": lambda: frame.assign(rating=pd.array([10, 6, 8, 3], dtype="Int64") / 2),
        "sparse": lambda: frame.assign(rating=pd.arrays.SparseArray(frame["rating"])),
    }[name]()
    assert triples(read(changed)) == sorted(ROWS)


@pytest.mark.parametrize(
    "source",
    [
        {"user": ["ann", "\ud800"], "item": ["a", "b"], "rating": [1, 2]},
        [("ann", "tea", 5), ("bob", "j\udfffm", 3)],
        io.StringIO("user,item,rating\n\ud8ff,tea,3\n"),
        {"us\ud800er": [1], "item": [2], "rating": [3]},
    ],
)
def test_half_characters_are_an_error_with_their_place(source):
    with pytest.raises(DataError, match=r"row 1|line 2|name of a column"):
        read(source)


def test_times_beyond_64_bits_are_refused():
    for time in (2**70, 1e300, -(2**64)):
        columns = {"user": ["a"], "item": ["b"], "rating": [1], "time": [time]}
        with pytest.raises(DataError, match="time"):
            read(columns, time="time")
        with contextlib.suppress(DataError):
            assert read(columns).times is None


@pytest.mark.parametrize(
    ("members", "is_one"),
    [
        (["mimetype", "content.xml"], True), (["mimetype", "content.xml", "meta.xml"], True), (["mimetype"], False),
        (["content.xml"], False), (["xl/workbook.xml"], True), (["a.csv", "xl/workbook.bin"], True),
        (["workbook.xml"], False), (["a.csv", "b.csv"], False), ([], False),
    ],
)  # fmt: skip
def test_a_workbook_is_told_by_its_members(members, is_one):
    assert containers.is_workbook(members) == is_one
    assert containers.is_workbook(dict.fromkeys(members)) == is_one


# ---- function by function


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b"a,b,c\n1;2;3;4\n", ["a", "b", "c"]), (b'"a"; "b" ;c,d', ["a", "b", "c,d"]), (b"a\tb,c", ["a", "b,c"]),
        (b"\xef\xbb\xbf\r\n\na|b", ["a", "b"]), (b"", [""]), (b"one", ["one"]), (b" a , b ", ["a", "b"]),
    ],
)  # fmt: skip
def test_the_names_in_the_first_line_of_a_text(head, names):
    assert containers.names_in(head) == names


@pytest.mark.parametrize(
    ("scores", "best"),
    [({}, []), ({"a": 0}, []), ({"a": 1}, ["a"]), ({"a": 1, "b": 2, "c": 2}, ["b", "c"]), ({"a": -1}, [])],
)
def test_the_best_have_the_highest_score_above_0(scores, best):
    assert containers.best_of(scores) == best


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b'{"a": 1}', True), (b"\xef\xbb\xbf [ {", True), (b"[[1]]", True), (b"[1]", False), (b"{}", True),
        (b"{a}", False),
        ('[{"a": 1}]'.encode("utf-16"), True), ('{"a": 1}'.encode("utf-32"), True), (b"{'a': 'b'}", True),
        (b"user,item", False),
        (b" " * 398 + b"[[", True), (b" " * 399 + b"[[", False), (b" " * 999 + b"{'a': 'b'}", True),
    ],
)  # fmt: skip
def test_json_is_told_by_its_first_signs(head, is_one):
    assert containers.begins_like_json(head) is is_one


@pytest.mark.parametrize(
    ("source", "is_one"),
    [("https://x.org/a", True), ("s3://a", True), ("a.csv", False), ("C:/a", False), ("/a://b", False), (5, False),
    ("a+b.c-d://", True)],
)  # fmt: skip
def test_addresses_are_told_by_their_scheme(source, is_one):
    assert containers.is_url(source) is is_one


def test_whole_files_have_a_largest_size(monkeypatch):
    monkeypatch.setattr(containers, "MAX_WHOLE", 4)
    assert containers.Content(io.BytesIO(b"1234"), "it", b"").whole() == b"1234"
    with pytest.raises(DataError, match="it unpacks to more than"):
        containers.Content(io.BytesIO(b"12345"), "it", b"").whole()
    rest = containers.Content(io.BytesIO(b"12345"), "it", b"")
    assert (rest.read(2), rest.read()) == (b"12", b"345")


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_files_that_are_no_data_are_passed_over(tmp_path, pack):
    path = tmp_path / "all"
    others = ["README", "docs/licence.txt", "a.PDF", ".hidden", "__MACOSX/x.csv", "x/.y", "b.html", "notice"]
    path.write_bytes(pack({**dict.fromkeys(others, b"nothing"), "own.csv": CSV}))
    assert read(path).report.how["member"] == "own.csv"
    path.write_bytes(pack({"README.csv": CSV}))
    assert len(read(path)) == len(ROWS)  # the only one there is
    path.write_bytes(pack({}))
    with pytest.raises(DataError, match=r"is an archive without a file in it|is no text, and no file of another kind"):
        read(path)


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("n", [20, 21])
def test_a_file_that_is_not_there_is_told_beside_those_that_are(tmp_path, pack, n):
    path = tmp_path / "all.x"
    path.write_bytes(pack({f"f{at:02}.csv": CSV for at in range(n)}))
    with pytest.raises(DataError, match=r"has no file 'none\.csv'\. Its files are 'f00.csv', ") as told:
        read(path / "none.csv")
    assert str(told.value).endswith("'f19.csv', ...." if n > 20 else "'f19.csv'.")
    assert read(path / "f03.csv").report.how["member"] == "f03.csv"


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("most", [2, 3])
def test_columns_are_looked_at_in_archives_of_few_files(tmp_path, monkeypatch, pack, most):
    monkeypatch.setattr(containers, "MAX_MEMBERS", most)
    path = tmp_path / "all"
    path.write_bytes(pack({"a.csv": OTHER, "b.csv": OTHER, "own.csv": CSV}))
    if most == 3:
        assert read(path).report.how["member"] == "own.csv"
    else:
        with pytest.raises(DataError, match="holds several files"):
            read(path)


def test_packings_are_told_from_outside_in(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(tar_of({"own.csv": bz2.compress(CSV)})))
    assert read(path).report.how["compression"] == "bzip2 in gzip"
    path.write_bytes(gzip.compress(zip_of({"own.csv": CSV})))
    with pytest.raises(DataError, match="is a zip archive in gzip: unpack it"):
        read(path)
    path.write_bytes(zip_of({"own.csv": tar_of({"own.csv": CSV})}))
    with pytest.raises(DataError, match="is an archive in an archive"):
        read(path)


def test_an_archive_may_begin_anywhere_in_an_open_file():
    for pack in (zip_of, tar_of):
        stream = io.BytesIO(b"before" + pack({"own.csv": CSV}) if pack is tar_of else pack({"own.csv": CSV}))
        stream.seek(6 if pack is tar_of else 0)
        assert len(read(stream)) == len(ROWS)


def test_numbers_that_add_up_as_a_tar_archive_does_are_none():
    """The signed bytes of a block add up to the checksum 0, which tarfile reads where a zero byte comes first."""
    head = bytearray(b"PAR1" + bytes(508))
    head[200:205] = 128, 128, 128, 128, 236
    assert tarfile.TarInfo.frombuf(bytes(head), "utf-8", "surrogateescape").name == "PAR1"
    assert not containers._is_tar(bytes(head))
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert containers._is_tar(tarfile.TarInfo("ratings.csv").tobuf(kind)[:512])
