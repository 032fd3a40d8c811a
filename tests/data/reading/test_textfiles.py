"""Blocks of whole records: lines are counted on, quoted line ends are none, and shortcuts say what the search says."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.reading import textfiles
from palate.data.reading.textfiles import (
    Block,
    Recoder,
    _content_end,
    _last_record_end,
    _line_feeds,
    _marked_encoding,
    _no_newline_is_quoted,
    _quoted_newlines,
    _wide_encoding,
    blocks,
    check_no_escapes,
    count,
    has_carriage_returns_alone,
    quotes_pair_up,
    utf8_chunks,
)
from palate.errors import DataError

some = settings(max_examples=200, deadline=None)
texts = st.text('ab",;\n\r ¦', max_size=30).map(str.encode) | st.lists(
    st.sampled_from(['"a"', '"a,b"', '"a\nb"', "a", "", '"', '""', '"a""b"', "\n", ",", "\r\n", "¦"]), max_size=14
).map(lambda parts: "".join(parts).encode())
separators = st.sampled_from([",", ";", "¦"])


def searched(data, separator):
    """Every quoted field with a line end in it: it begins after a separator or a line end, and "" is a quote in it."""
    mark = re.escape(separator.encode())
    pattern = b"(?:^|(?<=[\n" + mark + b']))"[^"]*(?:""[^"]*)*("|\\Z)'
    return [found.span() for found in re.finditer(pattern, data) if b"\n" in found[0]]


@some
@given(texts, separators)
def test_quoted_line_ends_are_those_of_a_search(data, separator):
    assert _quoted_newlines(data, separator) == searched(data, separator)
    assert _quoted_newlines(data, None) == []


@some
@given(texts, separators)
def test_where_quotes_pair_up_every_other_one_opens_a_field(data, separator):
    """True is never wrong: each opening quote stands after a mark, each closing one before a mark or the end."""
    positions = [at for at, byte in enumerate(data) if byte == ord('"')]
    before, after = b"\n" + data, data + b"\n"
    marks = separator.encode()
    expected = (
        len(marks) == 1
        and len(positions) % 2 == 0
        and all(before[at : at + 1] in (marks, b"\n") for at in positions[::2])
        and all(after[at + 1 : at + 2] in (marks, b"\n", b"\r") for at in positions[1::2])
    )
    assert quotes_pair_up(data, separator) == expected
    even = all(data[:at].count(b'"') % 2 == 0 for at, byte in enumerate(data) if byte == ord("\n"))
    assert _no_newline_is_quoted(data, separator) == (expected and even)


@some
@given(texts, separators)
def test_the_last_record_ends_with_the_last_line_end_outside_quotes(data, separator):
    quoted = searched(data, separator)
    ends = [at + 1 for at, byte in enumerate(data) if byte == ord("\n") and not any(a < at < b for a, b in quoted)]
    content = [end for end in ends if data[:end].strip(b"\r\n")]
    found = _last_record_end(data, separator)
    if not content:
        assert found == 0
    else:  # blank lines at the end are left out, also those before what is open
        whole = data[: content[-1]].rstrip(b"\r\n")
        assert found == data.index(b"\n", len(whole)) + 1


@some
@given(st.lists(st.sampled_from(["a,b", "", "c", '"d,e"', "\r"]), max_size=12), st.integers(0, 3), st.integers(1, 9))
def test_blocks_are_all_lines_with_their_numbers(lines, n_blank, size):
    """Cut into chunks anywhere: blank lines at both ends are left out, and counted before the first block."""
    data = ("\n" * n_blank + "\n".join(lines)).encode()
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    found = list(blocks(chunks, lambda: ",", line=5))
    whole = data.strip(b"\r\n")
    assert b"".join(bytes(block.data) for block in found).strip(b"\r\n") == whole
    at = data.index(whole) if whole else 0
    for block in found:
        assert block.reason is None
        assert block.line == 5 + data[:at].count(b"\n")
        at += len(block.data)


@pytest.mark.parametrize("begin", [b"\n", b"\n\n\n", b"\r\n\r\n", b""])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_lines_above_the_first_that_is_not_blank_are_counted(begin, size):
    data = begin + b"a,b\nc,d\n"
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    first = next(blocks(chunks, lambda: None))
    assert first.line == 1 + begin.count(b"\n")
    assert bytes(first.data).startswith(b"a,b")


def test_carriage_returns_alone():
    assert has_carriage_returns_alone(b"a\rb\r") and has_carriage_returns_alone(b'"a\nb"\rc\r')
    assert not has_carriage_returns_alone(b"a\nb\n") and not has_carriage_returns_alone(b"a\r\nb")
    assert not has_carriage_returns_alone(b'"a\rb"') and not has_carriage_returns_alone(b"")


@given(st.binary(max_size=40), st.sampled_from(["\n", ",", "::", "¦"]))
def test_marks_are_counted(data, mark):
    assert count(data, mark) == data.count(mark.encode())


def test_a_record_as_long_as_a_block_is_too_long(monkeypatch):
    monkeypatch.setattr(textfiles, "BLOCK", 8)
    for n, is_whole in ((7, True), (8, False), (20, False)):
        data = b"x" * n + b"\na,b\n"
        found = list(blocks(iter([data[at : at + 8] for at in range(0, len(data), 8)]), lambda: ","))
        assert (found[0].reason is None) == is_whole
        assert [block.line for block in found][-1] == (2 if len(found) > 1 else 1)
        assert bytes(found[-1].data).startswith(b"a,b")


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        (["x\n", '"abcde\nf'], [(1, "x\n"), (2, '"abcde\n'), (3, "f")]),
        (['x\n"abcde\nf'], [(1, "x\n"), (2, '"abcde\n'), (3, "f")]),
        (['x\n"abcd\nf'], [(1, "x\n"), (2, '"abcd\nf')]),
        (['"abcd\nf\n', "g\n"], [(1, '"abcd\n'), (2, "f\ng\n")]),
        (['"abc\nf\n', '",d\n'], [(1, '"abc\nf\n",d\n')]),
    ],
)
def test_a_quote_that_is_open_for_a_block_encloses_no_line_end(chunks, found, monkeypatch):
    """After eight bytes its first line is passed on alone, so that no more than a block is held."""
    monkeypatch.setattr(textfiles, "BLOCK", 8)
    made = blocks(iter([chunk.encode() for chunk in chunks]), lambda: ",")
    assert [(block.line, block.data.decode()) for block in made] == found


def test_of_a_line_that_is_too_long_the_beginning_is_shown_and_the_rest_is_passed_over(monkeypatch):
    monkeypatch.setattr(textfiles, "BLOCK", 8)
    chunks = [b"a\n", b"x" * 100, b"x" * 8, b"x\nb", b"\nc\n"]
    found = list(blocks(iter(chunks), lambda: None))
    assert [(block.line, block.data) for block in found] == [(1, b"a\n"), (2, b"x" * 80), (3, b"b\nc\n")]
    assert [block.reason is None for block in found] == [True, False, True]
    assert list(blocks(iter([b"x" * 8, b"x" * 8]), lambda: None)) == [Block(1, b"x" * 8, textfiles.TOO_LONG)]


def test_where_content_ends_is_seen_in_steps(monkeypatch):
    monkeypatch.setattr(textfiles, "SAMPLE", 4)
    for content in (b"", b"a", b"ab\nc", b"abcdefgh"):
        for n in range(10):
            data = content + b"\n" * n
            assert [_content_end(data + b"zz", end) for end in (len(data), 0)] == [len(content), 0]


def test_lines_are_counted_in_parts(monkeypatch):
    monkeypatch.setattr(textfiles, "CACHED", 4)
    for n in range(10):
        assert count(b"a\n" * n + b"b", "\n") == n
        assert (Block(1, b"a\n" * n + b"b").n_lines, Block(1, b"a\n" * n + b"\n").n_lines) == (n + 1, n + 1)


# ---- bytes to UTF-8


def decoded(data, encoding=None):
    """(the whole text, how it was encoded)."""
    chunks = utf8_chunks(io.BytesIO(data), encoding, "it")
    return b"".join(chunks).decode(), chunks.how.get("encoding")


@pytest.mark.parametrize("size", [5, 1000])
def test_texts_are_decoded_across_chunks(size, monkeypatch):
    """Only the first mark of a text is none of its characters."""
    monkeypatch.setattr(textfiles, "BLOCK", size)
    text = "user,item,1\nann,caf\u00e9,5\n"
    for encoding in ("utf-16", "utf-32"):
        assert decoded(text.encode(encoding)) == (text, encoding)
    for encoding in ("utf-16-le", "utf-32-be"):
        assert decoded(f"\ufeff{text}\ufeff".encode(encoding), encoding) == (f"{text}\ufeff", encoding)
        with pytest.raises(DataError, match=f"it is not {encoding}"):
            decoded(text.encode(encoding)[:-1], encoding)
    assert decoded(b"\xef\xbb\xbf" + text.encode()) == (text, None)
    assert decoded(text.encode(), "utf-8") == (text, "utf-8")
    assert decoded(text.encode("cp1252")) == (text, "windows-1252")
    assert decoded(text.encode() + b"\0") == (text + "\0", None)


@pytest.mark.parametrize("size", range(1, 7))
def test_a_character_that_a_chunk_cuts_decides_nothing_before_it_is_whole(size, monkeypatch):
    """Neither for Windows-1252, as half a character is no UTF-8, nor for UTF-8, as an accent may begin one."""
    monkeypatch.setattr(textfiles, "BLOCK", size)
    for sign in ("\u00e9", "\u7dd1", "\U0001f600"):
        for text in (f"a,{sign},5\n", f"{sign}{sign}", f"ab\n{sign}"):
            assert decoded(text.encode()) == (text, None)
    for text in ("caf\u00e9,5\n", "\u00e9", "caf\u00e9", "ab,caf\u00e9s\n"):
        assert decoded(text.encode("cp1252")) == (text, "windows-1252")


@pytest.mark.parametrize("size", [3, 8, 1000])
@pytest.mark.parametrize("end", ["\n", ""])
def test_words_of_no_western_language_are_asked_about_wherever_chunks_end(size, end, monkeypatch):
    """A word is judged as a whole, be it at the end of a chunk, across two, or in a last line without an end."""
    monkeypatch.setattr(textfiles, "BLOCK", size)
    for at in range(8):
        begin = "a" * at + "\n"
        good = begin + "l\u2019\u00e9t\u00e9,5\ncaf\u00e9" + end
        assert decoded(good.encode("cp1252")) == (good, "windows-1252")
        with pytest.raises(DataError, match="not UTF-8, and read as Windows-1252"):
            decoded((begin + "\u0159\u00ed\u010dka" + end).encode("iso-8859-2"))


def test_escapes_of_iso_2022_are_no_text():
    check_no_escapes(b"\x1b[0m", "it")
    check_no_escapes(b"$B,(J", "it")
    with pytest.raises(DataError, match="iso2022_jp"):
        check_no_escapes("\u7dd1".encode("iso2022_jp"), "it")


def test_an_encoding_that_is_none_is_refused():
    for encoding in ("base64", "utf-99", "\0"):
        with pytest.raises(DataError, match="there is no encoding"):
            decoded(b"a", encoding)


def test_line_ends_are_decided_by_the_first_chunk():
    for chunks, made, how in (
        ([b"a\rb\r", b"c\rd"], [b"a\nb\n", b"c\nd"], {"line ends": "carriage return"}),
        ([b"a\nb\n", b"c\rd"], [b"a\nb\n", b"c\rd"], {}),
        ([b"a,b", b"c\rd"], [b"a,b", b"c\rd"], {}),
    ):
        told = {}
        assert list(_line_feeds(iter(chunks), told)) == made
        assert told == how
    assert list(_line_feeds(iter([]), {})) == [b""]


def test_the_first_bytes_beyond_ascii_decide_between_utf_8_and_windows():
    recode = Recoder()
    assert (recode(b"plain"), recode.is_windows) == (b"plain", None)
    assert recode("caf\u00e9".encode("cp1252")).decode() == "caf\u00e9" and recode.is_windows
    assert recode("\u00e9".encode()).decode() == "\u00c3\u00a9"  # decided for good
    recode = Recoder()
    assert recode("caf\u00e9".encode()).decode() == "caf\u00e9" and recode.is_windows is False
    assert recode(b"caf\xe9") == b"caf\xe9"
    latin = Recoder()
    latin(b"\xe9")
    assert latin(bytes(range(256))).decode()[160:] == "".join(map(chr, range(160, 256)))
    mixed = Recoder()
    assert mixed("caf\u00e9\n".encode() + b"bad \xe9\n") == "caf\u00e9\n".encode() + b"bad \xe9\n"
    assert mixed.is_windows is False  # one line of UTF-8 is enough


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_told_by_their_nuls(encoding):
    assert _wide_encoding("user,item,1\n".encode(encoding)) == encoding
    for text in (b"user,item,1\n", b"user\0,item,1\n", b"", b"\0" * 40):
        assert _wide_encoding(text) is None


def test_a_wide_encoding_has_nuls_in_a_tenth_of_its_bytes_and_more_than_a_tenth_of_ascii():
    for n_ascii, found in ((4, "utf-16-le"), (3, None)):
        assert _wide_encoding(("a" * n_ascii + "\u0416" * (20 - n_ascii)).encode("utf-16-le")) == found
    for n_ascii, found in ((2, "utf-16-le"), (1, None)):
        assert _wide_encoding(("a" * n_ascii + "\u0400" * (10 - n_ascii)).encode("utf-16-le")) == found
    for text in ("~ \t\r", "a", "abc"):
        assert _wide_encoding(text.encode("utf-16-le")) == "utf-16-le"
    for text in ("\x1f\x7f", "\x7f\x1f"):
        assert _wide_encoding(text.encode("utf-16-le")) is None
    pair = "ab\U0001f600".encode("utf-16-le")
    assert _wide_encoding(pair[:-2]) == _wide_encoding(pair) == "utf-16-le"


def test_a_mark_names_its_encoding():
    for encoding, marked in (("utf-16", "utf-16"), ("utf-32", "utf-32"), ("utf-8-sig", None), ("utf-8", None)):
        assert _marked_encoding("a,b".encode(encoding)) == marked
