"""Blocks of whole records: lines are counted on, quoted line ends are none, and shortcuts say what the search says."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.reading import textfiles
from palate.data.reading.textfiles import (
    Recoder,
    _last_record_end,
    _line_feeds,
    _marked_encoding,
    _no_newline_is_quoted,
    _quoted_newlines,
    _wide_encoding,
    blocks,
    count,
    has_carriage_returns_alone,
    quotes_pair_up,
)

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


# ---- bytes to UTF-8


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
    mixed = Recoder()
    assert mixed("caf\u00e9\n".encode() + b"bad \xe9\n") == "caf\u00e9\n".encode() + b"bad \xe9\n"
    assert mixed.is_windows is False  # one line of UTF-8 is enough


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_told_by_their_nuls(encoding):
    assert _wide_encoding("user,item,1\n".encode(encoding)) == encoding
    for text in (b"user,item,1\n", b"user\0,item,1\n", b"", b"\0" * 40):
        assert _wide_encoding(text) is None


def test_a_mark_names_its_encoding():
    for encoding, marked in (("utf-16", "utf-16"), ("utf-32", "utf-32"), ("utf-8-sig", None), ("utf-8", None)):
        assert _marked_encoding("a,b".encode(encoding)) == marked
