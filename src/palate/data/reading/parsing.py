"""Parsing: blocks of text -> rows of strings, with any separator, with or without a header.

Polars parses each block. If anything is irregular (a row too short or too long, a NUL, a broken quote, a blank line),
the csv module of the standard library parses the block again, since it knows the line of every record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from palate.data.reading.dialects import (
    SPELLED,
    Dialect,
    Opening,
    Quotes,
    find_opening,
    find_quotes,
    find_separator,
    is_comment,
    most_common,
    odd_quotes,
    plain_records,
    quoted_records,
    sample_rows,
    without_quotes,
)
from palate.data.reading.foreign import refuse_foreign_text
from palate.data.reading.headers import ends_in_separators, has_header, names_of_rows
from palate.data.reading.layouts import Layout, LinedRows, find_layout
from palate.data.reading.looks import N_SAMPLED
from palate.data.reading.textfiles import Block, blocks, count, quotes_pair_up
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SAMPLE = 1 << 16  # bytes that are looked at, and more where lines are long
MANY_LINES = 32  # that a sample should have
ODD_BYTES, MANY_ODD = bytes({*range(9), *range(14, 28), 127}), 4  # control characters that texts do not have
HOW_QUOTES = {"none": "part of the text", "backslash": "escaped by backslashes"}


@dataclass(frozen=True)
class Rows:
    """Rows of a source: their fields, where each is (for messages), and what is wrong with the shape of some."""

    frame: pl.DataFrame
    where: Callable[[int], str]
    reasons: dict[int, str] = field(default_factory=dict)
    n_left_out: int = 0


class TextFile:
    """A text file whose separator, header and columns were found; `rows()` goes through it block by block."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        source: str,
        separator: str | None,
        header: bool | None,
        *,
        given: dict[str, Any],
        min_columns: int = 3,
        is_header: Callable[[list[list[str]]], bool] | None = None,
    ) -> None:
        first = next((chunk for chunk in chunks if chunk.strip(b"\r\n")), b"")
        _check_text(first.lstrip()[:SAMPLE].partition(b"\n")[0], source)
        lines = sample_lines(first)
        if not any(line.strip() for line in lines):
            raise DataError(f"{source} is empty: there are no ratings in it.")
        if header is None and separator is None:
            refuse_foreign_text(lines, source)
        self.source = source
        self.packing = chunks
        self.layout: Layout | None = None
        if given and (layout := find_layout(lines, given, min_columns, source)):
            self._lay_out(layout, lines, first, chunks)
            return
        self.opening = find_opening(lines, separator or getattr(chunks, "separator", None), given, min_columns, source)
        first = _without_lines(first, self.opening.n_lines)
        lines = [line for line in lines[self.opening.n_lines :] if line.strip()][:N_SAMPLED]
        if not lines:
            raise DataError(f"{source} is empty: there are no ratings in it.")
        separator = separator or self.opening.separator or find_separator(without_quotes(lines), min_columns)
        quotes = find_quotes(first, separator)
        self.quotes_are_met = quotes is not None
        self.sample = sample_rows(lines, separator, quotes or _default_quotes(separator))
        if not self.sample:
            raise DataError(f"{source} is empty: there are no ratings in it.")
        self.chunks = chain([first], chunks)
        self._describe(separator, quotes or _default_quotes(separator), header, given, min_columns, is_header)

    def _lay_out(self, layout: Layout, lines: list[str], first: bytes, chunks: Iterator[bytes]) -> None:
        """Set the layout of a file whose lines are no rows, and the sample of its rows."""
        self.opening, self.n_header, self.how_header, self.quotes_are_met = Opening(), 0, "", False
        self.layout, self.chunks = layout, chain([first], chunks)
        self.dialect = Dialect(",", True, layout.names, "none")
        text = "\n".join(lines[:N_SAMPLED]).strip("\n")
        rows = layout.fresh().rows(Block(1, text.encode("utf-8", "replace"))).frame.head(N_SAMPLED)
        self.sample = [[text or "" for text in row] for row in rows.rows()]

    def _describe(
        self,
        separator: str,
        quotes: Quotes,
        header: bool | None,
        given: dict[str, Any],
        min_columns: int,
        is_header: Callable[[list[list[str]]], bool] | None,
    ) -> None:
        """Set the dialect, by the sample of rows."""
        named = self.opening.names if header is None else None
        if named:
            header = False
        elif header is None:
            header = is_header(self.sample) if is_header else has_header(self.sample, given, min_columns)
        self.n_header = int(header)
        trailing = ends_in_separators(self.sample, header, min_columns)
        if trailing:
            width = most_common(map(len, self.sample[self.n_header :]))
            self.sample = [row[:-1] if len(row) == width else row for row in self.sample]
        names, self.how_header = self._names(header, named, separator)
        self.dialect = Dialect(
            separator, bool(header or named), names, quotes, trailing=trailing, comment=self.opening.comment
        )

    def _names(self, header: bool, named: list[str] | None, separator: str) -> tuple[list[str], str]:
        if header:
            return names_of_rows(self.sample[0], self.sample[1:], separator)
        if named:
            return named, ""
        width = most_common(map(len, self.sample))
        return [f"column_{at + 1}" for at in range(width)], ""

    def name_columns(self, names: list[str], *, header: bool) -> None:
        """Give the columns these names, whatever the first row looked like; header: whether it has them."""
        self.n_header, self.how_header = int(header), ""
        self.dialect = replace(self.dialect, header=header, names=names)

    def rows(self) -> Iterator[tuple[Rows | None, partial[Rows]]]:
        """For each block: its rows read the fast way, or None if it is irregular; and how to read it the exact way."""
        skip, n_rows = self.n_header, 0
        for block in blocks(self.chunks, self._quote_after, line=self.opening.n_lines + 1):
            if self.layout:
                yield None, partial(_laid_out, self.layout.rows(block))
                continue
            self._meet_quotes(block)
            fast = parse_fast(block, self.dialect)
            yield fast and _without(skip, fast), partial(_exact, block, self.dialect, skip)
            skip = 0
            n_rows += block.n_lines
        if self.opening.n_rows is not None and n_rows != self.opening.n_rows:
            raise DataError(
                f"{self.source} announces {self.opening.n_rows:,} entries and has {n_rows:,}: copy it again."
            )

    def _quote_after(self) -> str | None:
        return self.dialect.separator if self.dialect.quoting else None

    def _meet_quotes(self, block: Block) -> None:
        """Decide what quotes mean at the first block that has some; no row before it depends on that."""
        if not self.quotes_are_met and (quotes := find_quotes(block.data, self.dialect.separator)):
            self.dialect, self.quotes_are_met = replace(self.dialect, quotes=quotes), True

    def column(self, at: int) -> pl.Series:
        """The sample of a column, null where a field is empty or a row is too short."""
        import polars as pl

        fields = [row[at].strip() if len(row) > at else "" for row in self.sample[self.n_header :]]
        return pl.Series(self.dialect.names[at], [field or None for field in fields], dtype=pl.String)

    @property
    def how(self) -> dict[str, str]:
        """How the file is read, in words."""
        if self.layout:
            return self.layout.how | getattr(self.packing, "how", {})
        header = "yes" if self.dialect.header else "no"
        how = {
            "separator": SPELLED.get(self.dialect.separator, f'"{self.dialect.separator}"'),
            "header": f"{header}, {self.how_header}" if self.how_header else header,
        } | getattr(self.packing, "how", {})
        if self.quotes_are_met and self.dialect.quotes in HOW_QUOTES and len(self.dialect.separator) == 1:
            how["quotes"] = HOW_QUOTES[self.dialect.quotes]
        if self.dialect.trailing:
            how["line ends"] = "after a separator"
        if self.opening.n_lines:
            how["skipped lines"] = f"{self.opening.n_lines} at the top"
        if self.dialect.comment:
            how["comments"] = f"lines that begin with {self.dialect.comment}"
        return how


def _check_text(line: bytes, source: str) -> None:
    """Raise DataError if a file is no text, by the share of bytes in its first line that no text has."""
    n_odd = len(line) - len(line.translate(None, ODD_BYTES))
    if n_odd > max(MANY_ODD, len(line) / 20):
        raise DataError(
            f"{source} is no text, and no file of another kind that palate reads. Give the data as CSV or Parquet, for "
            "instance."
        )


def _default_quotes(separator: str) -> Quotes:
    """What quotes mean until one is met."""
    return "none" if len(separator) > 1 or separator == " " else "csv"


def sample_lines(data: bytes) -> list[str]:
    """Complete lines from the start of the first block, blank ones too: 64 KB, and more where lines are long."""
    end = SAMPLE
    while end < len(data) and data.count(b"\n", 0, end) < MANY_LINES:
        end *= 2
    lines = data[:end].decode("utf-8", "replace").split("\n")
    return [line.rstrip("\r") for line in (lines[:-1] if end < len(data) else lines)]


def _without_lines(data: bytes, n: int) -> bytes:
    """The data after the first n lines."""
    at = 0
    for _ in range(n):
        at = data.find(b"\n", at) + 1 or len(data)
    return data[at:]


def _laid_out(rows: LinedRows) -> Rows:
    return Rows(rows.frame, lambda row: f"line {rows.lines[row]}: {rows.frame.row(row)}", rows.reasons)


def _exact(block: Any, dialect: Dialect, skip: int) -> Rows:
    return _without(skip, parse_exact(block, dialect))


def _without(n: int, rows: Rows) -> Rows:
    if n == 0:
        return rows
    reasons = {row - n: reason for row, reason in rows.reasons.items() if row >= n}
    return Rows(rows.frame.slice(n), lambda row: rows.where(row + n), reasons)


def parse_fast(block: Block, dialect: Dialect) -> Rows | None:
    """The rows of a block if every record is one line of the right shape, else None."""
    import polars as pl

    width = len(dialect.names)
    n_rows = block.n_lines
    data = _without_last_separators(block.data, dialect.separator, n_rows) if dialect.trailing else block.data
    if _is_irregular(data, dialect) or count(data, dialect.separator) != n_rows * (width - 1):
        return None
    data, separator = _with_one_byte(data, dialect.separator)
    if separator is None:
        return None
    try:
        frame = pl.read_csv(
            data,
            has_header=False,
            separator=separator,
            quote_char='"' if dialect.quoting else None,
            schema={f"column_{number + 1}": pl.String for number in range(width)},
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != n_rows or frame.to_series(width - 1).null_count():
        return None
    return Rows(frame, lambda row: f"line {block.line + row}")


def _without_last_separators(data: bytes, separator: str, n_rows: int) -> bytes:
    """The data without the separator at the end of each line; as they are if a line has none."""
    mark = separator.encode()
    ended = data if data.endswith(b"\n") else data + b"\n"
    return ended.replace(b"\r\n", b"\n").replace(mark + b"\n", b"\n") if ended.count(b"\n") == n_rows else data


def _is_irregular(data: bytes, dialect: Dialect) -> bool:
    """True if polars and the csv module might disagree where lines end or fields are split."""
    if b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return True
    if dialect.comment and _has_line_of(data, dialect.comment.encode()):
        return True
    if b'"' in data and dialect.quoting and _has_odd_quotes(data, dialect):
        return True
    return dialect.separator == " " and re.search(rb"(^|\n| ) | \r?(\n|$)", data) is not None


def _has_line_of(data: bytes, mark: bytes) -> bool:
    """True if a line begins with the mark."""
    return data.startswith(mark) or b"\n" + mark in data


def _has_odd_quotes(data: bytes, dialect: Dialect) -> bool:
    """True if a quoted field does not end where its quote does, or a quote stands behind a backslash."""
    if dialect.quotes == "backslash" and b"\\" in data:
        return True
    if quotes_pair_up(data, dialect.separator):
        return False
    return odd_quotes(dialect.separator).search(data) is not None


def _with_one_byte(data: bytes, separator: str) -> tuple[bytes, str | None]:
    """The data with a one-byte separator, as polars needs it, and that separator; None if no byte is free for it."""
    if len(separator.encode()) == 1:
        return data, separator
    free = next((byte for byte in b"\x1f\x1e\x1d\x1c" if byte not in data), None)
    return (data, None) if free is None else (data.replace(separator.encode(), bytes([free])), chr(free))


def parse_exact(block: Block, dialect: Dialect) -> Rows:
    """The rows of any block, each with its line and content, and a reason if its shape is wrong."""
    import polars as pl

    records = list(_records(block, dialect))
    width = len(dialect.names)
    reasons = {row: reason for row, (_, _, _, reason) in enumerate(records) if reason}
    columns = {
        f"column_{at + 1}": [None if reason else fields[at] or None for _, _, fields, reason in records]
        for at in range(width)
    }
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return Rows(frame, lambda row: f"line {records[row][0]}: {_shown(records[row][1])}", reasons)


def _shown(text: str) -> str:
    text = text.rstrip("\r\n")
    return repr(text if len(text) <= 120 else text[:117] + "...")


Record = tuple[int, str, list[str], str | None]


def _records(block: Block, dialect: Dialect) -> Iterator[Record]:
    """Each record as (line, content, fields, what is wrong with its shape or None)."""
    if block.reason:
        yield block.line, block.data.decode("utf-8", "replace") + "...", [], block.reason
        return
    text = block.data.decode("utf-8", "surrogateescape")
    lines = re.findall(r"[^\n]*\n|[^\n]+$", text)
    reader = (
        quoted_records(lines, dialect.separator, dialect.quotes)
        if dialect.quoting
        else plain_records(lines, dialect.separator)
    )
    width = len(dialect.names)
    for start, end, fields, reason in reader:
        content = "".join(lines[start:end])
        if dialect.comment and is_comment(content.rstrip("\r\n"), dialect.comment, len(fields), width):
            continue
        if dialect.trailing and len(fields) == width + 1 and not fields[-1].strip():
            fields = fields[:-1]
        yield block.line + start, content, fields, reason or _wrong_shape(content, fields, width)


def _wrong_shape(content: str, fields: list[str], width: int) -> str | None:
    if not content.strip():
        return "a blank line"
    if "\0" in content:
        return "a NUL byte"
    if re.search("[\udc80-\udcff]", content):
        return "not UTF-8 text"
    return None if len(fields) == width else "wrong number of fields"
