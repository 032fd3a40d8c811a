"""Parsing: blocks become rows the fast way and the exact way, which agree; quotes are met once; what a sample is."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.reading import parsing
from palate.data.reading.dialects import Dialect
from palate.data.reading.parsing import (
    Rows,
    TextFile,
    _check_text,
    _without,
    _without_last_separators,
    _without_lines,
    parse_exact,
    parse_fast,
    sample_lines,
)
from palate.data.reading.textfiles import Block
from palate.errors import DataError

some = settings(max_examples=150, deadline=None)
ROWS = Dialect(",", True, ["user", "item", "rating"])
ENDED = Dialect(",", True, ["user", "item", "rating"], trailing=True)


def exact(text, dialect=ROWS, line=1):
    rows = parse_exact(Block(line, text.encode("utf-8", "surrogateescape")), dialect)
    return rows.frame.rows(), rows.reasons


def text_file(text, **options):
    options = {"separator": None, "header": None, "given": {}} | options
    return TextFile(iter([text.encode()]), "it", **options)


# ---- one block


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a,b,1,", ["a", "b", "1"]), ("a,b,1, ", ["a", "b", "1"]), ("a,b,1", ["a", "b", "1"]),
        ("a,b,,", ["a", "b", None]), ("a,,1,", ["a", None, "1"]), ("a,,", ["a", None, None]),
        ("a,b,1,x", None), ("a,,1,x", None), (",,1,x", None), ("a,b,1,,", None), ("a,b", None),
        ("a,b,", ["a", "b", None]),
    ],
)  # fmt: skip
def test_a_separator_at_the_end_of_a_line_ends_it(line, fields):
    """Only an empty last field is none, whatever the others hold."""
    found, reasons = exact(line + "\n", ENDED)
    assert found == [tuple(fields or [None] * 3)]
    assert reasons == ({} if fields else {0: "wrong number of fields"})
    plain = line.count(",") == 2
    assert (exact(line + "\n")[1] == {}) == plain


def test_what_is_wrong_with_a_line():
    text = 'a,b,1\n\na,b\na,b,1,2\na,b\0,1\na,b\udcff,1\n"a"b,c,1\n \n'
    _, reasons = exact(text)
    assert reasons == {
        1: "a blank line", 2: "wrong number of fields", 3: "wrong number of fields", 4: "a NUL byte",
        5: "not UTF-8 text", 6: reasons[6], 7: "a blank line",
    }  # fmt: skip
    assert reasons[6].startswith("broken quoting")
    rows = parse_exact(Block(8, b"a,b,1\na,b\n"), ROWS)
    assert (rows.where(0), rows.where(1)) == ("line 8: 'a,b,1'", "line 9: 'a,b'")
    long = parse_exact(Block(1, b"a" * 120 + b"\n" + b"b" * 121 + b"\n"), ROWS)
    assert (long.where(0), long.where(1)) == (f"line 1: '{'a' * 120}'", f"line 2: '{'b' * 117}...'")
    broken = parse_exact(Block(3, b"abc", "the line is too long"), ROWS)
    assert broken.reasons == {0: "the line is too long"} and broken.where(0) == "line 3: 'abc...'"


def test_comments_are_no_rows():
    dialect = Dialect(",", True, ["user", "item", "rating"], comment="#")
    found, reasons = exact("a,b,1\n# a,b,1\n#a,b\n#a,b,1\n#\n", dialect)
    assert (found, reasons) == ([("a", "b", "1"), ("#a", "b", "1")], {})


fields = st.sampled_from(["a", "b c", "", "1", '"a"', '"a,b"', '"a""b"', 'a"b', '"', "é", '"a\nb"'])
lines = st.lists(st.lists(fields, min_size=2, max_size=4).map(",".join), min_size=1, max_size=6)
dialects = st.sampled_from([ROWS, ENDED, *(Dialect(",", True, ROWS.names, quotes) for quotes in ("none", "backslash"))])


@some
@given(lines, dialects, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_fast_way_reads_what_the_exact_way_reads_or_nothing(lines, dialect, end, is_ended):
    data = (end.join(lines) + end * is_ended).encode()
    fast, slow = parse_fast(Block(1, data), dialect), parse_exact(Block(1, data), dialect)
    if fast is not None:
        assert slow.reasons == {}
        assert fast.frame.rows() == slow.frame.rows()
        assert [fast.where(at) for at in range(fast.frame.height)] == [
            slow.where(at).partition(":")[0] for at in range(slow.frame.height)
        ]


@some
@given(st.lists(st.lists(st.text('ab ,;"\n1', max_size=4), min_size=3, max_size=3), min_size=1, max_size=5))
def test_what_the_csv_module_writes_is_read_back(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    found, reasons = exact(text.getvalue())
    assert reasons == {}
    assert [[field or "" for field in row] for row in found] == rows


def test_the_fast_way_reads_plain_rows():
    for text in ("a,b,1\nc,d,2\n", "a,b,1\nc,d,2", "a,b,1\r\nc,d,2\r\n", '"a",b,1\nc,"d",2\n'):
        fast = parse_fast(Block(4, text.encode()), ROWS)
        assert fast.frame.rows() == [("a", "b", "1"), ("c", "d", "2")]
        assert (fast.where(0), fast.where(1)) == ("line 4", "line 5")
    for odd in ("a,b,1\nc,d\n", "a,b,1\nc,d,2,3\n", "a,b\0,1\n", "a,b,1\rc,d,2\n", '"a"b,c,1\n', "a,b\nc,d,1,2\n"):
        assert parse_fast(Block(1, odd.encode()), ROWS) is None


# ---- a file


@pytest.mark.parametrize("first", [300, 0])
def test_what_quotes_mean_is_decided_where_they_are_met_first_and_once(first, monkeypatch):
    """In the sample or in a later block; not again where a later block by itself would mean another thing."""
    plain = "".join(f"u{n},i{n},1\n" for n in range(first))
    backslashed = '"a \\"b\\" c",x,1\n' * 3
    text = "user,item,rating\n" + plain + backslashed
    chunks = iter([text.encode(), b'"d",x,1\n' * 3])
    monkeypatch.setattr(parsing, "SAMPLE", 1 << 10)
    file = TextFile(chunks, "it", None, None, given={})
    assert file.quotes_are_met
    rows = [fast or slow() for fast, slow in file.rows()]
    assert file.dialect.quotes == "backslash" and file.how["quotes"] == "escaped by backslashes"
    users = [user for part in rows for user in part.frame.to_series(0)]
    assert users[first:] == ['a "b" c'] * 3 + ["d"] * 3


def test_quotes_that_no_first_block_has_are_met_in_a_later_one():
    first = "user,item,rating\n" + "".join(f"u{n},i{n},1\n" for n in range(50))
    file = TextFile(iter([first.encode(), b'"a \\"b\\" c",x,1\n' * 3]), "it", None, None, given={})
    assert not file.quotes_are_met and "quotes" not in file.how
    users = [user for fast, slow in file.rows() for user in (fast or slow()).frame.to_series(0)]
    assert users == [*(f"u{n}" for n in range(50)), *['a "b" c'] * 3]
    assert file.quotes_are_met and file.dialect.quotes == "backslash"


def test_a_sample_has_whole_lines_and_many(monkeypatch):
    monkeypatch.setattr(parsing, "SAMPLE", 16)
    monkeypatch.setattr(parsing, "MANY_LINES", 3)
    assert sample_lines(b"a,b\nc,d") == ["a,b", "c,d"]
    assert sample_lines(b"a,b\r\nc,d\r\n") == ["a,b", "c,d", ""]
    lines = [f"line {n:02}" for n in range(20)]  # 8 bytes each: two in 16 bytes, four in 32
    assert sample_lines("\n".join(lines).encode()) == lines[:4]
    long = ["x" * 100, "y" * 200, "z", "w"]
    assert sample_lines("\n".join([*long, "v" * 600]).encode()) == long
    exactly = b"a\nb\n" + b"c" * 11 + b"\n"
    assert sample_lines(exactly) == ["a", "b", "c" * 11, ""]


def test_how_a_file_is_read_is_told():
    file = text_file("my film list\n\nuser;item;rating;\na;b;1;\nc;d;2;\n")
    assert file.how == {
        "separator": '";"', "header": "yes", "line ends": "after a separator", "skipped lines": "2 at the top",
    }  # fmt: skip
    assert file.column(0).to_list() == ["a", "c"]
    bare = text_file("1\tx\t5\n2\ty\t4\n", header=False)
    assert bare.how == {"separator": "tab", "header": "no"}
    assert bare.dialect.names == ["column_1", "column_2", "column_3"]
    noted = text_file("user,item,rating\n", separator=",")
    assert noted.sample == [["user", "item", "rating"]]


@pytest.mark.parametrize("text", ["", "\n\n", " \n", "sep=;\n"])
def test_an_empty_file_says_so(text):
    with pytest.raises(DataError, match="it is empty: there are no ratings in it"):
        text_file(text)


def test_odd_bytes_are_no_text():
    """At most four of them, or a twentieth of a line, are let through."""
    for n_odd, length, is_text in ((4, 0, True), (5, 0, False), (5, 95, True), (6, 100, False)):
        text = "\x01" * n_odd + "a" * length + ",b,1\nc,d,2\n"
        if is_text:
            text_file(text, header=False, separator=",")
        else:
            with pytest.raises(DataError, match="it is no text"):
                text_file(text, header=False, separator=",")


def test_without_the_header_rows_keep_their_lines_and_reasons():
    rows = _without(2, parse_exact(Block(5, b"a,b,1\na,b\nc,d,2\ne\nf,g,3\n"), ROWS))
    assert rows.reasons == {1: "wrong number of fields"}
    assert rows.frame.to_series(0).to_list() == ["c", None, "f"]
    assert [rows.where(at) for at in (0, 1, 2)] == ["line 7: 'c,d,2'", "line 8: 'e'", "line 9: 'f,g,3'"]
    whole = parse_exact(Block(5, b"a,b,1\n"), ROWS)
    assert _without(0, whole) is whole


@pytest.mark.parametrize("n", range(5))
def test_the_lines_above_are_cut_off(n):
    lines = [b"one\n", b"\n", b"three\n", b"four"]
    assert _without_lines(b"".join(lines), n) == b"".join(lines[n:])


def test_the_sample_of_lines_that_end_in_separators_has_its_rows_width():
    file = text_file("user,item,rating\na,b,1,\nc,d,2,\ne,f,3\n")
    assert file.dialect.trailing
    assert file.sample == [["user", "item", "rating"], ["a", "b", "1"], ["c", "d", "2"], ["e", "f", "3"]]
    odd = text_file("user,item,rating,\na,b,1,\nc,d,2,\ne,f,3,x,\n")
    assert odd.sample[1:3] == [["a", "b", "1"], ["c", "d", "2"]] and odd.sample[3][3] == "x"


def test_trailing_separators_are_cut_from_every_line_or_none():
    for data, cut in (
        (b"a,1,\nb,2,\n", b"a,1\nb,2\n"),
        (b"a,1,\r\nb,2,", b"a,1\nb,2\n"),
        (b"a,,\nb,2\n", b"a,\nb,2\n"),
    ):
        assert _without_last_separators(data, ",", 2) == cut
    fast = parse_fast(Block(1, b"a,b,1,\nc,d,2,\n"), ENDED)
    assert fast.frame.rows() == [("a", "b", "1"), ("c", "d", "2")]
    assert parse_fast(Block(1, b"a,b,1\nc,d,2\n"), ROWS) is not None
    assert parse_fast(Block(1, b"a,b,\nc,d,\n"), ROWS) is None  # an empty last field is a field here


def test_a_layout_is_looked_for_only_where_columns_are():
    lists = "a b c\nd e\nf g h i\nj k\n"
    given = dict.fromkeys(("user", "item", "count", "time"))
    assert text_file(lists, given=given | {"user": 0}, min_columns=2).layout is not None
    assert text_file(lists, given={}, min_columns=2).layout is None


@pytest.mark.parametrize("mark", ["::", "\u00a6"])
def test_a_separator_of_several_bytes_is_read_fast_while_a_byte_is_free(mark):
    dialect = Dialect(mark, True, ["user", "item", "rating"], "none")
    text = mark.join(["a", "b", "1"]) + "\n" + mark.join(["c", "d", "2"]) + "\n"
    fast = parse_fast(Block(1, text.encode()), dialect)
    assert (
        fast.frame.rows()
        == parse_exact(Block(1, text.encode()), dialect).frame.rows()
        == [("a", "b", "1"), ("c", "d", "2")]
    )
    taken = text.replace("a", "\x1f\x1e\x1d")
    assert parse_fast(Block(1, taken.encode()), dialect).frame.to_series(0).to_list() == ["\x1f\x1e\x1d", "c"]
    assert parse_fast(Block(1, text.replace("a", "\x1f\x1e\x1d\x1c").encode()), dialect) is None


def test_names_in_a_comment_are_a_header_of_their_own():
    file = text_file("# user,item,rating\n1,2,5\n3,4,4\n")
    assert file.dialect.names == ["user", "item", "rating"] and file.dialect.header
    assert file.n_header == 0
    rows = [row for fast, slow in file.rows() for row in (fast or slow()).frame.rows()]
    assert rows == [("1", "2", "5"), ("3", "4", "4")]


@pytest.mark.parametrize(
    ("separator", "quotes"), [(",", "csv"), ("\t", "csv"), (" ", "none"), ("::", "none"), ("|||", "none")]
)
def test_until_a_quote_is_met_separators_say_what_it_would_mean(separator, quotes):
    row = separator.join(["u1", "i1", "5"])
    assert text_file(f"{row}\n{row}\n", separator=separator, header=False).dialect.quotes == quotes


# ---- what is found out about a file


class Packed(Iterator):
    """Chunks that say how they were packed and what separates their fields."""

    separator = ";"

    def __init__(self, *chunks):
        self.how = {"packed": "by hand"}
        self.chunks = iter([chunk.encode() for chunk in chunks])

    def __next__(self):
        return next(self.chunks)


def test_a_workbook_says_what_separates_its_fields():
    file = TextFile(Packed("", "\n\n", "a,b,c;d;5\n", "e,f,g;h;4\n"), "it", None, False, given={})
    assert file.dialect.separator == ";"
    assert file.how == {"separator": '";"', "header": "no", "packed": "by hand"}
    assert [row for fast, slow in file.rows() for row in (fast or slow()).frame.rows()] == [
        ("a,b,c", "d", "5"), ("e,f,g", "h", "4")
    ]  # fmt: skip
    assert TextFile(Packed("a,b,c;d;5\n"), "it", ",", False, given={}).dialect.separator == ","
    lists = TextFile(Packed("1 a b c\n2 a\n3 b c\n4 a b c d\n"), "it", None, None, given=ASKED, min_columns=2)
    assert lists.how["layout"] == "lists of items, the first field is the user" and lists.how["packed"] == "by hand"
    assert not lists.quotes_are_met and lists.n_header == 0
    assert lists.sample[0] == ["1", "a"] and lists.dialect.names == lists.layout.names


ASKED = dict.fromkeys(("user", "item", "count", "time"))


def test_lines_that_all_begin_like_comments_may_be_rows():
    assert text_file("#a,b,5\n#c,d,4\n", header=False).dialect.separator == ","


def test_texts_of_other_formats_are_refused_unless_it_is_said_how_they_are_written():
    text = "outs:\na b 5\nc d 4\n"
    for options in ({"header": False}, {"separator": " "}, {"header": True, "separator": " "}):
        text_file(text, **options)
    with pytest.raises(DataError, match="a pointer of DVC"):
        text_file(text)


def test_which_bytes_are_odd_in_a_text():
    odd = {*range(9), *range(14, 28), 127}
    for byte in range(256):
        if byte in odd:
            with pytest.raises(DataError, match="it is no text"):
                _check_text(bytes([byte]) * 5, "it")
        else:
            _check_text(bytes([byte]) * 5, "it")


def test_columns_of_the_sample_are_without_blanks_and_short_rows():
    file = text_file("user,item,rating\na, b ,5\nc,,4\nd,e\n")
    assert [file.column(at).to_list() for at in range(3)] == [["a", "c", "d"], ["b", None, "e"], ["5", "4", None]]
    assert file.column(1).name == "item"
    file.name_columns(["x", "y", "z"], header=False)
    assert file.column(0).to_list() == ["user", "a", "c", "d"] and file.dialect.names == ["x", "y", "z"]
    rows = [row for fast, slow in file.rows() for row in (fast or slow()).frame.rows()]
    assert rows[0] == ("user", "item", "rating") and len(rows) == 4
    assert Rows(file.column(0).to_frame(), str).n_left_out == 0


def test_rows_of_all_blocks_are_counted_and_the_header_is_cut_off_once():
    market = "%%MatrixMarket matrix coordinate real general\n3 3 {}\n1 1 5\n"
    for n, fits in ((3, True), (2, False), (4, False)):
        chunks = iter([market.format(n).encode(), b"2 2 4\n", b"3 3 1\n"])
        file = TextFile(chunks, "it", None, None, given={})
        if fits:
            assert sum((fast or slow()).frame.height for fast, slow in file.rows()) == 3
        else:
            with pytest.raises(DataError, match=f"it announces {n} entries and has 3"):
                list(file.rows())
    chunks = [b"\nuser,item,rating\na,b,5\n", b"user,item,1\n", b"c,d\n"]
    file = TextFile(iter(chunks), "it", None, None, given={})
    parts = [fast or slow() for fast, slow in file.rows()]
    assert [row for part in parts for row in part.frame.rows()] == [
        ("a", "b", "5"), ("user", "item", "1"), (None, None, None)
    ]  # fmt: skip
    assert (
        parts[0].where(0) == "line 3"
        and parts[-1].where(0) == "line 5: 'c,d'"
        and parts[-1].reasons == {0: "wrong number of fields"}
    )


def test_how_quotes_are_read_is_told_where_some_are_met():
    for text, told in (
        ('a\t"b" x\t5\nc\t"d" x\t4\n', "part of the text"), ('a,"b",5\nc,d,4\n', None), ("a b 5\nc d 4\n", None),
        ('a::"b"::5\nc::d::4\n', None),
    ):  # fmt: skip
        assert text_file(text, header=False).how.get("quotes") == told


def test_what_the_fast_way_leaves_to_the_exact_one():
    def is_fast(text, *, quotes="csv", comment=None, separator=","):
        return (
            parse_fast(Block(1, text.encode()), Dialect(separator, False, [*"abc"], quotes, comment=comment))
            is not None
        )

    assert is_fast("a,b,1\nc,#d,2\n", comment="#") and is_fast("#a,b,1\n")
    assert not is_fast("#a,b,1\nc,d,2\n", comment="#") and not is_fast("a,b,1\n#c,d,2\n", comment="#")
    assert is_fast('a,"b\\c",1\n') and is_fast('"a",b,1\n', quotes="backslash")
    assert not is_fast('a,"b\\"c",1\n', quotes="backslash") and not is_fast('a,"b"c,1\n')
    assert is_fast('a,"b"c,1\n', quotes="none") and not is_fast("a,b,\n") and is_fast("a,,1\n")
    for text, fast in (
        ("a b 1\n", True),
        ("a  b 1\n", False),
        (" a b 1\n", False),
        ("a b 1 \n", False),
        ("a b 1 ", False),
    ):
        assert is_fast(text, separator=" ", quotes="none") is fast


def test_a_twentieth_of_a_longer_line_may_be_odd():
    _check_text(b"\x01" * 6 + b"a" * 114, "it")
    with pytest.raises(DataError, match="it is no text"):
        _check_text(b"\x01" * 6 + b"a" * 113, "it")


def test_the_first_row_behind_the_header_keeps_its_reason():
    rows = parse_exact(Block(1, b"a,b\nc,d\ne,f,1\n"), ROWS)
    assert _without(1, rows).reasons == {0: "wrong number of fields"}


def test_the_sample_is_read_with_the_quotes_of_the_file():
    file = text_file('user,item,rating\n"a \\"b\\"",x,1\n"c \\"d\\", e",y,2\n')
    assert file.sample[1:] == [['a "b"', "x", "1"], ['c "d", e', "y", "2"]]
    assert text_file("a b 5\nd e 4\n", separator=" ", header=False).sample[0] == ["a", "b", "5"]
