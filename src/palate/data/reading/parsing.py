"""Parsing: blocks of text -> rows of strings, with any separator, with or without a header.

Polars parses each block. If anything is irregular (a row too short or too long, a NUL, a broken quote, a blank line),
the csv module of the standard library parses the block again, since it knows the line of every record.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from palate.data.reading.columns import FLAG_NAMES, is_common, is_wide_header, plain
from palate.data.reading.looks import N_SAMPLED
from palate.data.reading.numbers import are_flags, is_number_like
from palate.data.reading.textfiles import Block, blocks, count
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = ("::", "\t", ",", ";", "|", " ")
SPELLED = {"\t": "tab", " ": "blanks"}
QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Rows:
    """Rows of a source: their fields, where each is (for messages), and what is wrong with the shape of some."""

    frame: pl.DataFrame
    where: Callable[[int], str]
    reasons: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dialect:
    """How the fields of a file are separated; `names` has one name per field."""

    separator: str
    header: bool
    names: list[str]

    @property
    def quoting(self) -> bool:
        """True if "..." may enclose a field: not with blanks, `::` and other long separators."""
        return len(self.separator) == 1 and self.separator != " "


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
        lines = sample_lines(first.lstrip(b"\r\n"))
        if not lines:
            raise DataError(f"{source} is empty: there are no ratings in it.")
        separator = separator or find_separator(lines, min_columns)
        self.source = source
        self.sample = sample_rows(lines, separator)
        self.chunks = chain([first], chunks)
        if header is None:
            header = is_header(self.sample) if is_header else _has_header(self.sample, given, min_columns)
        self.dialect = Dialect(separator, header, self._names(header))

    def _names(self, header: bool) -> list[str]:
        if header:
            return [name.strip() for name in self.sample[0]]
        width = Counter(map(len, self.sample)).most_common(1)[0][0]
        return [f"column_{at + 1}" for at in range(width)]

    def rows(self) -> Iterator[tuple[Rows | None, partial[Rows]]]:
        """For each block: its rows read the fast way, or None if it is irregular; and how to read it the exact way."""
        skip = int(self.dialect.header)
        for block in blocks(self.chunks, self.dialect.separator if self.dialect.quoting else None):
            fast = parse_fast(block, self.dialect)
            yield fast and _without(skip, fast), partial(_exact, block, self.dialect, skip)
            skip = 0

    def column(self, at: int) -> pl.Series:
        """The sample of a column, null where a field is empty or a row is too short."""
        import polars as pl

        fields = [row[at].strip() if len(row) > at else "" for row in self.sample[int(self.dialect.header) :]]
        return pl.Series(self.dialect.names[at], [field or None for field in fields], dtype=pl.String)

    @property
    def how(self) -> dict[str, str]:
        """How the file is read, in words."""
        return {
            "separator": SPELLED.get(self.dialect.separator, self.dialect.separator),
            "header": "yes" if self.dialect.header else "no",
        }


def _exact(block: Any, dialect: Dialect, skip: int) -> Rows:
    return _without(skip, parse_exact(block, dialect))


def _without(n: int, rows: Rows) -> Rows:
    if n == 0:
        return rows
    reasons = {row - n: reason for row, reason in rows.reasons.items() if row >= n}
    return Rows(rows.frame.slice(n), lambda row: rows.where(row + n), reasons)


def _has_header(sample: list[list[str]], given: dict[str, Any], min_columns: int) -> bool:
    """True if the first row has column names: one that the caller named, common ones, or just no number.

    With two columns needed (`min_columns`), no row need have a number. Then the first row without one is a header only
    if it has a common name, or a column has numbers below it.
    """
    row = sample[0]
    if any(column in row for column in given.values() if isinstance(column, str)):
        return True
    n_common = sum(any(is_common(name, field) for name in row) for field in ("user", "item", "count"))
    if n_common >= 2:
        return True
    if is_wide_header(sample):
        return True
    if any(_is_number(text) or is_number_like(text) for text in row) or _begins_with_flag(sample):
        return False
    return min_columns > 2 or n_common > 0 or _numbers_begin(sample)


def _numbers_begin(sample: list[list[str]]) -> bool:
    """True if a column has only numbers except in the first row."""
    columns = zip(*(row for row in sample if len(row) == len(sample[0])), strict=True)
    return len(sample) > 1 and any(all(map(_is_number, column[1:])) for column in columns if not _is_number(column[0]))


def _begins_with_flag(sample: list[list[str]]) -> bool:
    """True if the first row has a word such as yes or up where the others have such words too: it is a value there.

    A column may be called like or y.
    """
    columns = zip(*(row for row in sample if len(row) == len(sample[0])), strict=True)
    words = [column for column in columns if len(column[0]) > 1 and plain(column[0]) not in FLAG_NAMES]
    return len(sample) > 1 and any(are_flags([column[0]]) and are_flags(list(column)) for column in words)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def sample_lines(data: bytes) -> list[str]:
    """Up to N_SAMPLED complete lines from the start of the first block."""
    text = data[: 1 << 16].decode("utf-8", "replace")
    lines = QUOTED.sub(lambda quoted: re.sub(r"\s", " ", quoted[0]), text).split("\n")
    whole = lines[:-1] if len(data) > 1 << 16 else lines
    return [line.rstrip("\r") for line in whole[:N_SAMPLED] if line.strip()]


def find_separator(lines: list[str], min_columns: int) -> str:
    """The separator that splits the most lines into the same number of fields, at least `min_columns`.

    Among equals, a blank comes last, since titles have blanks; then more fields are better, as in `1;2;3,5`.
    """
    bare = [QUOTED.sub("", line) for line in lines]
    for n_fields in range(min_columns, 1, -1):
        agreement = {separator: _agreement(bare, separator, n_fields) for separator in SEPARATORS}
        best = max(SEPARATORS, key=agreement.__getitem__)
        if agreement[best][0]:
            return best
    return ","


def _agreement(lines: list[str], separator: str, min_columns: int) -> tuple[float, bool, int]:
    """(share of lines with the most common number of fields, whether the separator is not a blank, that number)."""
    counts = Counter(len(split(line, separator)) for line in lines)
    width, n_lines = counts.most_common(1)[0]
    return (n_lines / len(lines) if width >= min_columns else 0.0, separator != " ", width)


def split(line: str, separator: str) -> list[str]:
    """The fields of one line without quotes; a run of blanks is one separator."""
    return line.split() if separator == " " else line.split(separator)


def sample_rows(lines: list[str], separator: str) -> list[list[str]]:
    """The fields of the sample lines."""
    if not Dialect(separator, False, []).quoting:
        return [split(line, separator) for line in lines]
    rows: list[list[str]] = []
    for line in lines:
        try:
            rows.extend(csv.reader([line], delimiter=separator))
        except csv.Error:
            rows.append(split(line, separator))
    return rows


def parse_fast(block: Block, dialect: Dialect) -> Rows | None:
    """The rows of a block if every record is one line of the right shape, else None."""
    import polars as pl

    width = len(dialect.names)
    n_rows = count(block.data, "\n") + (not block.data.endswith(b"\n"))
    if _is_irregular(block.data, dialect.separator) or count(block.data, dialect.separator) != n_rows * (width - 1):
        return None
    data, separator = _with_one_byte(block.data, dialect.separator)
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


def _is_irregular(data: bytes, separator: str) -> bool:
    """True if polars and the csv module might disagree where lines end or fields are split."""
    if b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return True
    return separator == " " and re.search(rb"(^|\n| ) | \r?(\n|$)", data) is not None


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
    reader = _quoted_records if dialect.quoting else _plain_records
    for start, end, fields, reason in reader(lines, dialect.separator):
        content = "".join(lines[start:end])
        yield block.line + start, content, fields, reason or _wrong_shape(content, fields, len(dialect.names))


def _wrong_shape(content: str, fields: list[str], width: int) -> str | None:
    if not content.strip():
        return "a blank line"
    if "\0" in content:
        return "a NUL byte"
    if re.search("[\udc80-\udcff]", content):
        return "not UTF-8 text"
    return None if len(fields) == width else "wrong number of fields"


def _plain_records(lines: list[str], separator: str) -> Iterator[tuple[int, int, list[str], str | None]]:
    for number, line in enumerate(lines):
        yield number, number + 1, split(line.rstrip("\r\n"), separator), None


def _quoted_records(lines: list[str], separator: str) -> Iterator[tuple[int, int, list[str], str | None]]:
    """Records as the csv module reads them. After a broken record, reading resumes at the next line."""
    start = 0
    while start < len(lines):
        base = start
        rest = (lines[at] for at in range(base, len(lines)))
        reader = csv.reader(rest, delimiter=separator, strict=True)
        try:
            for fields in reader:
                yield start, base + reader.line_num, fields, None
                start = base + reader.line_num
        except csv.Error as error:
            yield start, start + 1, [], f"broken quoting ({error})" if '"' in lines[start] else str(error)
            start += 1
