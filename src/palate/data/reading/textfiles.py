"""Text files: from a path or open file, of any encoding and perhaps gzipped, to blocks of whole records in UTF-8.

No more than a block is in memory at a time.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from palate.errors import DataError

BLOCK = 1 << 24  # bytes read at a time, and the maximum length of a record
TOO_LONG = f"a line longer than {BLOCK >> 20} MB"


@dataclass(frozen=True)
class Block:
    """Whole records as UTF-8 bytes, and the line of the first. `reason` is set if they cannot be parsed at all."""

    line: int
    data: bytes
    reason: str | None = None


@contextmanager
def open_bytes(source: Any) -> Iterator[IO[bytes]]:
    """The bytes of a path or open file as a stream, unpacked if gzipped. Raise DataError if there is no such file."""
    with ExitStack() as stack:
        stream = source if hasattr(source, "read") else stack.enter_context(_existing(Path(source)).open("rb"))
        if isinstance(stream, io.TextIOBase):
            stream = io.BytesIO(stream.read().encode("utf-8", "surrogateescape"))
        first = stream.read(4)
        whole = cast(IO[bytes], _Rewound(first, stream))
        if first == b"PK\x03\x04":
            raise DataError(f"{name_of(source)} is a zip archive: unpack it and name the file inside.")
        unpacked = stack.enter_context(gzip.GzipFile(fileobj=whole)) if first[:2] == b"\x1f\x8b" else whole
        yield cast(IO[bytes], unpacked)


class _Rewound:
    """A stream with the bytes that were already read from it put back."""

    def __init__(self, first: bytes, stream: IO[bytes]) -> None:
        self.first = first
        self.stream = stream

    def read(self, n: int = -1) -> bytes:
        if n < 0:
            return self.first + self.stream.read()
        first, self.first = self.first[:n], self.first[n:]
        return first + self.stream.read(n - len(first))


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise DataError(f"{path} is a folder: name the file with the ratings.")
    if not path.exists():
        raise DataError(f"there is no file {path}.")
    return path


def name_of(source: Any) -> str:
    """The name of a file in messages."""
    return str(getattr(source, "name", "the file")) if hasattr(source, "read") else str(source)


def utf8_chunks(stream: IO[bytes], encoding: str | None, name: str) -> Iterator[bytes]:
    """The stream as chunks of UTF-8 without byte-order mark. The encoding is found if it is not given."""
    first = _read(stream, name)
    encoding = encoding or _marked_encoding(first)
    if encoding:
        yield from _transcoded(first, stream, encoding, name)
        return
    chunk = first.removeprefix(codecs.BOM_UTF8)
    while chunk:
        yield chunk
        chunk = _read(stream, name)


def _read(stream: IO[bytes], name: str) -> bytes:
    try:
        return stream.read(BLOCK)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{name} cannot be read to its end: {error}.") from error


def _marked_encoding(first: bytes) -> str | None:
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _transcoded(first: bytes, stream: IO[bytes], encoding: str, name: str) -> Iterator[bytes]:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise DataError(
            f"there is no encoding {encoding!r}: use utf-8, latin-1, cp1252 or utf-16, for instance."
        ) from None
    try:
        chunk, start = first, True
        while chunk:
            text = decoder.decode(chunk)
            yield (text.removeprefix("\ufeff") if start else text).encode()
            chunk, start = _read(stream, name), False
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DataError(f"{name} is not {encoding}: {error}. Pass encoding= with the right one.") from error


def blocks(chunks: Iterator[bytes], quote_after: str | None) -> Iterator[Block]:
    """Blocks of whole records, without the blank lines at both ends of the file.

    `quote_after` is the separator after which a quote opens a field; None if quotes have no meaning. A record longer
    than BLOCK becomes a block with a reason, and only BLOCK bytes of it are held in memory.
    """
    line, carry, recode, started = 1, b"", Recoder(), False
    for chunk in chunks:
        data = carry + chunk
        if not started:
            blank = len(data) - len(data.lstrip(b"\r\n"))
            line += data.count(b"\n", 0, blank)
            data, started = data[blank:], blank < len(data)
        while True:
            end = _last_record_end(data, quote_after)
            if end == 0 and len(data) >= BLOCK and b"\n" in data:
                end = data.index(b"\n") + 1  # a quote that is never closed: pass on its first line alone
            if end == 0:
                break
            yield Block(line, recode(data[:end]))
            line += count(data[:end], "\n")
            data = data[end:]
            if len(data) < BLOCK:
                break
        if len(data) >= BLOCK and data.strip(b"\r\n"):
            yield Block(line, data[:80], TOO_LONG)
            data = _rest_of_line(chunks)
            line += 1
        carry = data
    if carry.strip(b"\r\n"):
        yield Block(line, recode(carry.rstrip(b"\r\n")))


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
    newline = data.rfind(b"\n", 0, end)
    content = len(data[: newline + 1].rstrip(b"\r\n"))
    return data.index(b"\n", content) + 1 if content else 0


def _quoted_newlines(data: bytes, quote_after: str | None) -> list[tuple[int, int]]:
    """(start, stop) of each quoted field that has a newline; the last may be open."""
    if not quote_after or b'"' not in data:
        return []
    quoted = re.compile(b"(?:^|(?<=[\n" + re.escape(quote_after.encode()) + b']))"[^"]*(?:""[^"]*)*("|\\Z)')
    return [match.span() for match in quoted.finditer(data) if data.find(b"\n", *match.span()) >= 0]


class Recoder:
    """Converts blocks to UTF-8 from UTF-8 or Latin-1. The first block with bytes beyond ASCII decides which."""

    def __init__(self) -> None:
        self.latin: bool | None = None

    def __call__(self, data: bytes) -> bytes:
        """The block in UTF-8. Invalid bytes in a UTF-8 file stay as they are: their rows are bad."""
        if data.isascii():
            return data
        if self.latin is None:
            self.latin = not any(_is_utf8(line) for line in data.split(b"\n") if not line.isascii())
        return data.decode("latin-1").encode() if self.latin else data


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def count(data: bytes, text: str) -> int:
    """Number of times a text occurs; for a single byte much faster than bytes.count."""
    if len(text.encode()) > 1:
        return data.count(text.encode())
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord(text)))
