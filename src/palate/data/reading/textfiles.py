"""Text files: from a path or open file, of any packing and encoding, to blocks of whole records in UTF-8.

No more than a block is in memory at a time.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from palate.data.reading.containers import Content, Fits, in_words, name_of, opened_content, refuse_tables
from palate.data.reading.western import check_western
from palate.data.reading.workbooks import as_text, is_workbook_file
from palate.errors import DataError

__all__ = ["Block", "Chunks", "blocks", "count", "name_of", "open_bytes", "utf8_chunks"]

BLOCK = 1 << 24  # bytes read at a time, and the maximum length of a record
TOO_LONG = f"a line longer than {BLOCK >> 20} MB"
CACHED = 1 << 17  # bytes that are counted at a time
SAMPLE = 1 << 12  # bytes that tell the encoding
QUOTED = re.compile(rb'"[^"]*"')
ESCAPES = re.compile(rb"\x1b\$\)?[@A-Z]")  # of ISO 2022
CUT_CHARACTER = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z")  # the beginning of one in UTF-8
WINDOWS_1252 = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))


@dataclass(frozen=True)
class Block:
    """Whole records as UTF-8 bytes, and the line of the first. `reason` is set if they cannot be parsed at all."""

    line: int
    data: bytes
    reason: str | None = None

    @cached_property
    def n_lines(self) -> int:
        """The number of lines; the last one may have no end."""
        return count(self.data, "\n") + (not self.data.endswith(b"\n"))


@contextmanager
def open_bytes(source: Any, fits: Fits | None = None) -> Iterator[Content]:
    """The bytes of a path or open file, unpacked. A workbook becomes text, a line for each row of one of its sheets.

    fits: how well the column names of a file in an archive, or of a sheet of a workbook, fit. Raises
    DataError if there is no such file, and if it is no text.
    """
    with opened_content(source, fits) as content:
        refuse_tables(content)
        yield as_text(content, fits) if is_workbook_file(content.head) else content


class Chunks(Iterator[bytes]):
    """A text as chunks of UTF-8 whose lines end in a line feed. `how` tells how it was packed and encoded."""

    def __init__(self, content: Any, encoding: str | None, name: str) -> None:
        self.how: dict[str, str] = dict(getattr(content, "how", {}))
        self.separator: str | None = getattr(content, "separator", None)
        self._parts = _line_feeds(self._decoded(content, encoding, name), self.how)

    def __next__(self) -> bytes:
        return next(self._parts)

    def _decoded(self, content: Any, encoding: str | None, name: str) -> Iterator[bytes]:
        first = _read(content, name)
        found = encoding or _marked_encoding(first) or _wide_encoding(first[:SAMPLE])
        if found:
            self.how["encoding"] = found
            yield from _transcoded(first, content, found, name)
            return
        recode, unchecked = Recoder(), ""
        chunk, is_last = first.removeprefix(codecs.BOM_UTF8), False
        while chunk:
            check_no_escapes(chunk, name)
            cut = CUT_CHARACTER.search(chunk, len(chunk) - 3) if recode.is_windows is None and not is_last else None
            whole = chunk[: cut.start()] if cut else chunk
            text = recode(whole)
            if recode.is_windows and b"\0" not in text[:SAMPLE]:  # which no text has
                self.how["encoding"] = "windows-1252"
                lines, newline, unchecked = (unchecked + text.decode()).rpartition("\n")
                check_western(lines + newline, name)
            yield text
            more = _read(content, name)
            chunk, is_last = chunk[len(whole) :] + more, not more
        check_western(unchecked, name)


def utf8_chunks(content: Any, encoding: str | None, name: str) -> Chunks:
    """The content as chunks of UTF-8 without byte-order mark. The encoding is found if it is not given."""
    return Chunks(content, encoding, name)


def _read(content: Any, name: str) -> bytes:
    data: bytes = in_words(name, lambda: content.read(BLOCK))
    return data


def _marked_encoding(first: bytes) -> str | None:
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: digits, separators and line ends have a NUL on the same side of each."""
    sample = sample[: len(sample) // 4 * 4] or sample
    if sample.count(0) < len(sample) / 10:
        return None
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError as error:
            text = sample[: error.start].decode(encoding) if error.start > len(sample) - 4 else ""
        n_ascii = sum(" " <= sign <= "~" or sign in "\t\r\n" for sign in text)
        if text and "\0" not in text and n_ascii > len(text) / 10:
            return encoding
    return None


def _transcoded(first: bytes, content: Any, encoding: str, name: str) -> Iterator[bytes]:
    decoder = _decoder(encoding)
    try:
        chunk, start = first, True
        while chunk:
            text = decoder.decode(chunk)
            yield (text.removeprefix("\ufeff") if start else text).encode()
            chunk, start = _read(content, name), False
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DataError(f"{name} is not {encoding}: {error}. Pass encoding= with the right one.") from error


def check_no_escapes(chunk: bytes, name: str) -> None:
    """Raise DataError for a Japanese, Chinese or Korean text of ISO 2022, in which all bytes are ASCII."""
    if b"\x1b" in chunk and ESCAPES.search(chunk):
        raise DataError(f'{name} has escapes of ISO 2022. Say how it is written: encoding="iso2022_jp", for instance.')


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    """What decodes an encoding of text. Raises DataError for the name of none: base64 is no encoding of text."""
    try:
        b"a".decode(encoding)
    except UnicodeError:  # of more bytes a character
        pass
    except (LookupError, ValueError):
        raise DataError(
            f"there is no encoding {encoding!r}: use utf-8, latin-1, cp1252 or utf-16, for instance."
        ) from None
    return codecs.getincrementaldecoder(encoding)()


def _line_feeds(chunks: Iterator[bytes], how: dict[str, str]) -> Iterator[bytes]:
    """The chunks with a line feed for each carriage return, if lines end in these alone."""
    first = next(chunks, b"")
    alone = has_carriage_returns_alone(first)
    if alone:
        how["line ends"] = "carriage return"
    yield first.replace(b"\r", b"\n") if alone else first
    for chunk in chunks:
        yield chunk.replace(b"\r", b"\n") if alone else chunk


def has_carriage_returns_alone(first: bytes) -> bool:
    """True if lines end in a carriage return: line feeds, if any, stand in quotes."""
    if b"\r" not in first:
        return False
    sample = QUOTED.sub(b"", first[: 1 << 20])
    return b"\r" in sample and b"\n" not in sample


def blocks(chunks: Iterator[bytes], quote_after: Callable[[], str | None], line: int = 1) -> Iterator[Block]:
    """Blocks of whole records, without the blank lines at both ends of the file.

    `quote_after` gives the separator after which a quote opens a field; None if quotes have no meaning. `line` is the
    number of the first line. A record longer than BLOCK becomes a block with a reason, and only BLOCK bytes of it are
    held in memory.
    """
    carry, started = b"", False
    for chunk in chunks:
        data = carry + chunk
        if not started:
            blank = len(data) - len(data.lstrip(b"\r\n"))
            line += data.count(b"\n", 0, blank)
            data, started = data[blank:], blank < len(data)
        while True:
            end = _last_record_end(data, quote_after())
            if end == 0 and len(data) >= BLOCK and b"\n" in data:
                end = data.index(b"\n") + 1  # a quote that is never closed: pass on its first line alone
            if end == 0:
                break
            block, data = Block(line, data[:end]), data[end:]
            yield block
            line += block.n_lines
            if len(data) < BLOCK:
                break
        if len(data) >= BLOCK and data.strip(b"\r\n"):
            yield Block(line, data[:80], TOO_LONG)
            data = _rest_of_line(chunks)
            line += 1
        carry = data
    if carry.strip(b"\r\n"):
        yield Block(line, carry.rstrip(b"\r\n"))


def _rest_of_line(chunks: Iterator[bytes]) -> bytes:
    for chunk in chunks:
        _, newline, rest = chunk.partition(b"\n")
        if newline:
            return rest
    return b""


def _last_record_end(data: bytes, quote_after: str | None) -> int:
    """Where the last whole record ends, leaving out blank lines at the end; 0 if there is none."""
    end = len(data)
    for start, stop in reversed(_quoted_newlines(data, quote_after)):
        if start < data.rfind(b"\n", 0, end) < stop:
            end = start
    content = _content_end(data, data.rfind(b"\n", 0, end) + 1)
    return data.index(b"\n", content) + 1 if content else 0


def _content_end(data: bytes, end: int) -> int:
    """The end of data[:end] without the line ends at its end, of which only the last bytes are copied to see that."""
    content = 0
    while end > 0 and content == 0:
        start = max(end - SAMPLE, 0)
        content = len(data[start:end].rstrip(b"\r\n"))
        end = start
    return end + content


def _quoted_newlines(data: bytes, quote_after: str | None) -> list[tuple[int, int]]:
    """(start, stop) of each quoted field that has a newline; the last may be open."""
    if not quote_after or b'"' not in data or _no_newline_is_quoted(data, quote_after):
        return []
    quoted = re.compile(b"(?:^|(?<=[\n" + re.escape(quote_after.encode()) + b']))"[^"]*(?:""[^"]*)*("|\\Z)')
    return [match.span() for match in quoted.finditer(data) if data.find(b"\n", *match.span()) >= 0]


def _no_newline_is_quoted(data: bytes, separator: str) -> bool:
    """True if quotes pair up, and before each line feed is an even number of them. False may be wrong."""
    if not quotes_pair_up(data, separator):
        return False
    signs = np.frombuffer(data, np.uint8)
    n_quotes = np.cumsum(signs == ord('"'), dtype=np.int32)
    return not (n_quotes[signs == ord("\n")] % 2).any()


def quotes_pair_up(data: bytes, separator: str) -> bool:
    """True if every other quote is at the start of a field, and those between at the end of one. False may be wrong."""
    mark = separator.encode()
    if len(mark) > 1:
        return False
    signs = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    quotes = np.flatnonzero(signs == ord('"'))
    starts, ends = np.frombuffer(mark + b"\n", np.uint8), np.frombuffer(mark + b"\r\n", np.uint8)
    opening = np.isin(signs[quotes[0::2] - 1], starts)
    closing = np.isin(signs[quotes[1::2] + 1], ends)
    return len(quotes) % 2 == 0 and bool(opening.all() and closing.all())


class Recoder:
    """Converts chunks to UTF-8 from UTF-8 or Windows-1252. The first chunk with bytes beyond ASCII decides which."""

    def __init__(self) -> None:
        self.is_windows: bool | None = None

    def __call__(self, data: bytes) -> bytes:
        """The chunk in UTF-8. Invalid bytes in a UTF-8 file stay as they are: their rows are bad."""
        if data.isascii():
            return data
        if self.is_windows is None:
            self.is_windows = not any(_is_utf8(line) for line in data.split(b"\n") if not line.isascii())
        return codecs.charmap_decode(data, "strict", WINDOWS_1252)[0].encode() if self.is_windows else data


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def count(data: bytes, text: str) -> int:
    """How often a text occurs; a single byte is counted in parts that stay in the cache, faster than by bytes.count."""
    if len(text.encode()) > 1:
        return data.count(text.encode())
    signs, sign = np.frombuffer(data, np.uint8), ord(text)
    return sum(int(np.count_nonzero(signs[at : at + CACHED] == sign)) for at in range(0, len(signs), CACHED))
