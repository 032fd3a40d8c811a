"""Dialects: how the fields of a text file are separated and quoted, and which lines stand above them.

Everything is found on a sample. Each finding is a hypothesis about the whole file, and a row that contradicts it is a
bad row.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from palate.data.reading.headers import is_number
from palate.data.reading.looks import N_SAMPLED
from palate.data.reading.names import is_common
from palate.errors import DataError

SEPARATORS = ("::", "\t", ",", ";", "|", " ")
SPELLED = {"\t": "tab", " ": "blanks"}
QUOTED = re.compile(r'"[^"]*"')
QUOTED_FIELD = re.compile(r'(?:^|(?<=[\n,;\t| :]))"[^"]*(?:""[^"]*)*"(?=[\r\n,;\t| :]|\Z)')
MAX_TITLES = 20  # lines above the header
COMMENT_MARKS = "#%"
SEPARATOR_LINE = re.compile(r'"?sep=(.|\\t)"?[,;\t]*\s*', re.IGNORECASE)
MATRIX_MARKET = "%%matrixmarket"

Quotes = Literal["csv", "backslash", "none"]


@dataclass(frozen=True)
class Dialect:
    """How the fields of a file are separated; `names` has one name per field, `header` is True if these are real.

    `quotes` says what a quote at the start of a field means: it encloses the field, as in CSV or with backslashes
    before quotes inside, or nothing. With `trailing`, each line ends in a separator. Lines that begin with `comment`
    are none.
    """

    separator: str
    header: bool
    names: list[str]
    quotes: Quotes = "csv"
    trailing: bool = False
    comment: str | None = None

    @property
    def quoting(self) -> bool:
        """True if "..." may enclose a field."""
        return self.quotes != "none"


@dataclass(frozen=True)
class Opening:
    """What stands above the rows: how many lines, and what they say of the rest."""

    n_lines: int = 0
    separator: str | None = None
    names: list[str] | None = None
    comment: str | None = None
    n_rows: int | None = None  # that a Matrix Market file announces


# ---- lines above the rows


def find_opening(
    lines: list[str], separator: str | None, given: dict[str, Any], min_columns: int, source: str
) -> Opening:
    """The lines above the header or the first row: a separator, comments, titles, blank lines."""
    at = _next_line(lines, 0)
    if at < len(lines) and lines[at].lower().startswith(MATRIX_MARKET):
        return _matrix_market(lines, at, source)
    if at < len(lines) and (found := SEPARATOR_LINE.fullmatch(lines[at])):
        at = _next_line(lines, at + 1)
        said = found[1].replace("\\t", "\t")
        separator = separator or (said if any(said in line for line in lines[at:]) else None)
    mark = lines[at][0] if at < len(lines) and lines[at][0] in COMMENT_MARKS else None
    body = [line for line in lines[at:] if line.strip() and not (mark and line.startswith(mark))]
    if not body:
        return Opening(at, separator)
    separator = separator or find_separator(without_quotes(body), min_columns)
    width = most_common_width(body, separator)
    after = at
    while (
        mark
        and after < len(lines)
        and is_comment(lines[after], mark, len(unquoted_fields(lines[after], separator)), width)
    ):
        after = _next_line(lines, after + 1)
    if mark and after < len(lines) and (names := _names_in_comment(lines[after], mark, separator, width, given)):
        return Opening(after + 1, separator, names, mark if after > at else None)
    comment = mark if after > at else None
    names = _names_in_comment(lines[after - 1], mark, separator, width, given) if mark and after > at else None
    if names and _n_known(split(lines[after], separator), given) < 2:
        return Opening(after, separator, names, comment)
    return Opening(_after_titles(lines, after, separator, width, given, min_columns), separator, None, comment)


def _next_line(lines: list[str], at: int) -> int:
    """The next line that is not blank."""
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


def unquoted_fields(line: str, separator: str) -> list[str]:
    """The fields of a line; separators in quotes are no separators."""
    return split(QUOTED.sub(lambda quoted: quoted[0].replace(separator, ""), line), separator)


def is_comment(line: str, mark: str, n_fields: int, width: int) -> bool:
    """True for a line that begins with the mark, unless it can be a row or a header: `#user,item,rating`."""
    return line.startswith(mark) and (line[1:2] in ("", " ", "\t", mark) or n_fields != width)


def _names_in_comment(
    line: str, mark: str | None, separator: str, width: int, given: dict[str, Any]
) -> list[str] | None:
    """The names of columns in a line such as `# user item rating`."""
    if mark is None or not line.startswith(mark):
        return None
    names = [name.strip().strip('"') for name in split(line.lstrip(mark).strip(), separator)]
    return names if len(names) == width and _n_known(names, given) >= 2 else None


def _n_known(fields: list[str], given: dict[str, Any]) -> int:
    """How many of the fields of a row are names of columns: common ones, or named by the caller."""
    names = [field.strip().strip('"') for field in fields]
    n_common = sum(any(is_common(name, field) for name in names) for field in ("user", "item", "count", "time"))
    return max(n_common, 2 * any(column in names for column in given.values() if column and isinstance(column, str)))


def _after_titles(
    lines: list[str], at: int, separator: str, width: int, given: dict[str, Any], min_columns: int
) -> int:
    """The line after titles: the header, if one is recognised, or else the first of rows of one width."""
    above: list[int] = []
    for number in range(at, min(len(lines), at + MAX_TITLES)):
        fields = unquoted_fields(lines[number], separator)
        if abs(len(fields) - width) <= 1 and _n_known(fields, given) >= 2:
            return number
        if len(fields) >= width and any(map(is_number, fields)):
            break  # a row
        above.append(number)
    after = at
    for number in above:
        rest = [line for line in lines[number + 1 :] if line.strip()]
        is_title = sum(bool(field.strip()) for field in split(lines[number], separator)) <= 1
        regular = len(rest) > 1 and all(len(split(QUOTED.sub("x", line), separator)) == width for line in rest)
        if not (is_title and width >= max(3, min_columns) and regular):
            break
        after = number + 1
    return _next_line(lines, after) if after > at else at


def _matrix_market(lines: list[str], at: int, source: str) -> Opening:
    """The opening of a Matrix Market file: its banner, comments and sizes."""
    banner = lines[at].lower().split()
    layout, numbers, shape = (*banner[2:], "", "", "")[:3]
    if banner[1:2] != ["matrix"] or layout != "coordinate" or numbers not in ("real", "integer", "pattern"):
        raise DataError(
            f"{source} is a Matrix Market file of another kind: {lines[at][:80]!r}. palate reads 'matrix coordinate "
            "real general', with integer or pattern in place of real. Load others with scipy.io.mmread and pass the "
            "sparse matrix."
        )
    if shape != "general":
        raise DataError(
            f"{source} is a {shape} Matrix Market file: it holds half of its entries, and ratings of users and items "
            "are not symmetric. If they are, load it with scipy.io.mmread and pass the sparse matrix."
        )
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith("%")):  # the banner begins so too
        at += 1
    sizes = lines[at].split() if at < len(lines) else []
    if len(sizes) != 3 or not all(size.isdecimal() for size in sizes):
        raise DataError(f"{source}, line {at + 1}: a Matrix Market file has its sizes here: rows, columns, entries.")
    names = ["user", "item"] if numbers == "pattern" else ["user", "item", "rating"]
    return Opening(at + 1, " ", names, n_rows=int(sizes[2]))


# ---- separators


def without_quotes(lines: list[str]) -> list[str]:
    """The lines with each quoted field as one letter, so that what separates fields can be counted."""
    return [QUOTED.sub("x", line) for line in QUOTED_FIELD.sub("x", "\n".join(lines)).split("\n")]


def find_separator(lines: list[str], min_columns: int) -> str:
    """The separator that splits the most lines into the same number of fields, at least `min_columns`.

    Among equals, a blank comes last, since titles have blanks; then more fields are better, as in `1;2;3,5`.
    """
    for n_fields in range(min_columns, 1, -1):
        agreement = {separator: _agreement(lines, separator, n_fields) for separator in SEPARATORS}
        best = max(SEPARATORS, key=agreement.__getitem__)
        if agreement[best][0]:
            return best
    return ","


def _agreement(lines: list[str], separator: str, min_columns: int) -> tuple[float, bool, int]:
    """(share of lines with the most common number of fields, whether the separator is not a blank, that number)."""
    widths = [len(split(line, separator)) for line in lines]
    width = most_common(widths)
    return (widths.count(width) / len(lines) if width >= min_columns else 0.0, separator != " ", width)


def split(line: str, separator: str) -> list[str]:
    """The fields of one line without quotes; a run of blanks is one separator."""
    return line.split() if separator == " " else line.split(separator)


def most_common_width(lines: list[str], separator: str) -> int:
    """The number of fields that most lines have."""
    return most_common(len(split(line, separator)) for line in without_quotes(lines))


def most_common(numbers: Iterable[int]) -> int:
    """The number that occurs most often; of several the first."""
    counts = Counter(numbers)
    return max(counts, key=counts.__getitem__)


# ---- quotes


def find_quotes(data: bytes, separator: str) -> Quotes | None:
    """What quotes mean, by the lines of a block that have some; None if no quote opens a field.

    Quotes have no meaning if fields are broken by the rules of CSV more often than they need quotes. One broken field
    is an error of its row, unless it is text with quotes in it, such as `"Weird Al" Yankovic`.
    """
    if len(separator) > 1:
        return "none"
    if not has_opening_quote(data, separator):
        return None
    matches = list(islice(re.finditer(rb'[^\n]*"[^\n]*\n?', data), N_SAMPLED))
    lines = [match[0].decode("utf-8", "replace") for match in matches]
    if separator == " " and not _are_regular(lines):
        return "none"
    n_broken = _n_broken(lines, separator, "csv")
    if n_broken == 0 and len(lines) == N_SAMPLED:
        n_broken = sum(1 for _ in islice(odd_quotes(separator).finditer(data), N_SAMPLED))  # anywhere in the block
    if any('\\"' in line for line in lines) and _n_broken(lines, separator, "backslash") < n_broken:
        return "backslash"
    n_lines = data.count(b"\n", 0, matches[-1].end()) or 1
    is_habit = n_broken > 1 or separator == "\t" or _has_quotes_in_text(lines, separator)
    return "none" if is_habit and n_broken > _n_needed(lines, separator, n_lines) else "csv"


def _has_quotes_in_text(lines: list[str], separator: str) -> bool:
    """True if words follow quoted ones in a field."""
    return re.search(f'(^|{re.escape(separator)})"[^"]*" ', "".join(lines), re.MULTILINE) is not None


def odd_quotes(separator: str) -> re.Pattern[bytes]:
    """What finds a field whose quote is closed before the field ends."""
    mark = re.escape(separator.encode())
    return re.compile(rb"(?:^|[\n" + mark + rb'])"[^"]*(?:""[^"]*)*"(?!"|\r?\n|\r?\Z|' + mark + rb")")


def has_opening_quote(data: bytes, separator: str) -> bool:
    """True if a quote stands at the start of a field."""
    if b'"' not in data:
        return False
    return data.startswith(b'"') or any(before + b'"' in data for before in (b"\n", separator.encode()))


def _are_regular(lines: list[str]) -> bool:
    """True if each line has the same number of fields between blanks, quoted ones being one."""
    rows = [fields for _, _, fields, reason in quoted_records(lines, " ", "csv") if not reason]
    return len({len(row) for row in rows[1:]}) <= 1


def _n_broken(lines: list[str], separator: str, quotes: Quotes) -> int:
    """How many records break the rules; the last one may be cut off."""
    reasons = [(end, reason) for _, end, _, reason in quoted_records(lines, separator, quotes)]
    return sum(reason is not None for end, reason in reasons if end < len(lines) or len(lines) < N_SAMPLED)


def _n_needed(lines: list[str], separator: str, n_lines: int) -> int:
    """How many quoted fields need their quotes, or are what most of the n lines have, these among others."""
    mark = re.escape(separator)
    fields = re.findall(f'(?:^|(?<=[\\n{mark}]))"((?:[^"]|"")*)"(?=\\r?\\n|{mark}|\\Z)', "".join(lines))
    if 2 * len(fields) > n_lines:
        return len(fields)
    return sum(separator in field or '""' in field or "\n" in field for field in fields)


def quoted_records(
    lines: list[str], separator: str, quotes: Quotes
) -> Iterator[tuple[int, int, list[str], str | None]]:
    """Records as the csv module reads them: (first line, line after it, fields, what is wrong or None).

    After a broken record, reading resumes at the next line.
    """
    options: dict[str, Any] = {"delimiter": separator, "strict": True, "skipinitialspace": separator == " "}
    if quotes == "backslash":
        options |= {"escapechar": "\\", "doublequote": False}
    start = 0
    while start < len(lines):
        base = start
        rest = (lines[at] for at in range(base, len(lines)))
        reader = csv.reader(rest, **options)
        try:
            for fields in reader:
                yield start, base + reader.line_num, fields, None
                start = base + reader.line_num
        except csv.Error as error:
            yield start, start + 1, [], f"broken quoting ({error})" if '"' in lines[start] else str(error)
            start += 1


def plain_records(lines: list[str], separator: str) -> Iterator[tuple[int, int, list[str], str | None]]:
    """Records of lines whose quotes have no meaning."""
    for number, line in enumerate(lines):
        yield number, number + 1, split(line.rstrip("\r\n"), separator), None


def sample_rows(lines: list[str], separator: str, quotes: Quotes) -> list[list[str]]:
    """The fields of the sample lines; a broken line is split at each separator."""
    ended = [line + "\n" for line in lines]
    reader = plain_records(ended, separator) if quotes == "none" else quoted_records(ended, separator, quotes)
    rows = [split(lines[start], separator) if reason else fields for start, _, fields, reason in reader]
    return [row for row in rows if any(field.strip() for field in row) or len(row) > 1]
