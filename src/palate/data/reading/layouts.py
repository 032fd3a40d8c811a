"""Layouts: text files whose lines are no rows. Netflix Prize files, and lists of items of different length.

A layout turns a block of lines into rows, each with the line that it came from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from palate.data.reading.dialects import COMMENT_MARKS, MATRIX_MARKET, SPELLED, plain_records, quoted_records, split
from palate.data.reading.looks import N_SAMPLED
from palate.data.reading.names import is_common
from palate.data.reading.textfiles import Block
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

NETFLIX_ITEM, NETFLIX_ROW = re.compile(r"\d+:\s*"), re.compile(r"\d+,\d+,\d{4}-\d\d-\d\d\s*")
SVMLIGHT = re.compile(r"[-+.\deE]+( +qid:\d+)?( +\d+:[-+.\deE]+)+\s*(#.*)?")
LIST_SEPARATORS = ("\t", ",", ";", "|", " ")
IRREGULAR, MORE_IRREGULAR = 0.9, 0.5  # share of lines of the most common length below which lines are lists

First = Literal["user", "count", "item"]


@dataclass(frozen=True)
class LinedRows:
    """Rows, the line of each, and what is wrong with some."""

    frame: pl.DataFrame
    lines: list[int]
    reasons: dict[int, str]


class Layout(Protocol):
    """How lines become rows of these columns."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    @property
    def how(self) -> dict[str, str]:
        """How lines are read, in words."""

    def rows(self, block: Block) -> LinedRows:
        """The rows of a block of lines."""

    def fresh(self) -> Layout:
        """The same layout at the start of the file."""


def find_layout(lines: list[str], given: dict[str, Any], min_columns: int, source: str) -> Layout | None:
    """The layout of a file, by its first lines; None if each line is a row."""
    lines = [line for line in lines[:N_SAMPLED] if line.strip()]
    if lines and lines[0].lower().startswith(MATRIX_MARKET):
        return None
    if len(lines) > 1 and NETFLIX_ITEM.fullmatch(lines[0]) and NETFLIX_ROW.fullmatch(lines[1]):
        return NetflixPrize()
    if len(lines) > 1 and all(map(SVMLIGHT.fullmatch, lines)):
        raise DataError(
            f"{source} is an svmlight file (label, then index:value for each feature), which does not say what is a "
            "user and what an item. Load it with sklearn.datasets.load_svmlight_file and pass the sparse matrix, users "
            "x items; of a libFM file, pass the indices of users and items and the labels as a tuple."
        )
    return _find_lists(lines, given, min_columns, source)


# ---- Netflix Prize


@dataclass
class NetflixPrize:
    """Lines `item:`, and after each the rows `user,rating,date` of that item."""

    names: list[str] = field(default_factory=lambda: ["item", "user", "rating", "time"])
    how: dict[str, str] = field(default_factory=lambda: {"layout": "Netflix Prize, item by item"})
    item: str | None = None

    def fresh(self) -> NetflixPrize:
        """The same layout at the start of the file."""
        return NetflixPrize()

    def rows(self, block: Block) -> LinedRows:
        """The rows of a block, with the item of the last line `item:`."""
        import polars as pl

        texts = block.data.decode("utf-8", "replace").removesuffix("\n").split("\n")
        line = pl.Series("line", texts).str.strip_chars_end("\r ")
        lined = pl.DataFrame([line]).with_row_index("at", block.line)
        is_item = pl.col("line").str.ends_with(":")
        item = pl.when(is_item).then(pl.col("line").str.strip_suffix(":")).forward_fill().fill_null(pl.lit(self.item))
        lined = lined.with_columns(item.alias("item"))
        self.item = lined["item"][-1]
        fields = pl.col("line").str.splitn(",", 4).struct.rename_fields(["user", "rating", "time", "more"])
        rows = lined.filter(~is_item).with_columns(fields.alias("fields")).unnest("fields")
        wrong = rows["time"].is_null() | rows["more"].is_not_null()
        reasons = dict.fromkeys(wrong.arg_true().to_list(), "not user,rating,date")
        return LinedRows(rows.select(self.names), rows["at"].to_list(), reasons)


# ---- lists of items


@dataclass
class ItemLists:
    """Lines of items. The first field is the user, or how many items follow, or an item: then the line is the user."""

    separator: str
    first: First
    comment: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order of the fields."""
        return ["item", "user"] if self.first == "item" else ["user", "item"]

    @property
    def how(self) -> dict[str, str]:
        """How lines are read, in words."""
        users = {
            "user": "the first field is the user",
            "count": "the first field counts them, the line is the user (from 0)",
            "item": "the line is the user (from 0)",
        }
        return {
            "separator": SPELLED.get(self.separator, self.separator),
            "layout": f"lists of items, {users[self.first]}",
        }

    def fresh(self) -> ItemLists:
        """The same layout at the start of the file."""
        return self

    def rows(self, block: Block) -> LinedRows:
        """A row for each item of each line."""
        import polars as pl

        found = list(self._choices(block))
        reasons = {row: reason for row, (_, _, _, reason) in enumerate(found) if reason}
        users, items = ([None if reason else choice[at] for *choice, _, reason in found] for at in (0, 1))
        frame = pl.DataFrame({"user": users, "item": items}, schema=dict.fromkeys(("user", "item"), pl.String))
        return LinedRows(frame.select(self.names), [line for _, _, line, _ in found], reasons)

    def _choices(self, block: Block) -> Iterator[tuple[str, str, int, str | None]]:
        """Each choice as (user, item, line, what is wrong or None)."""
        lines = block.data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
        for start, fields, reason in _fields(lines, self.separator):
            line = block.line + start
            if self.comment and lines[start].startswith(self.comment):
                continue
            if not all(map(_is_text, fields)):
                reason = "not UTF-8 text"
            if self.first == "count" and not reason and fields[:1] != [str(len(fields) - 1)]:
                reason = "the first field is not the number of items"
            if reason:
                yield "", "", line, reason
                continue
            user = fields[0] if self.first == "user" and fields else str(line - 1)
            for item in fields[self.first != "item" :]:
                yield user, item, line, None


def _fields(lines: list[str], separator: str) -> Iterator[tuple[int, list[str], str | None]]:
    """Each line as (number from 0, its fields that are not blank, what is wrong or None)."""
    has_quotes = separator != " " and any('"' in line for line in lines)
    records = quoted_records(lines, separator, "csv") if has_quotes else plain_records(lines, separator)
    for start, _, fields, reason in records:
        yield start, [text.strip() for text in fields if text.strip()], reason


def _is_text(text: str) -> bool:
    return not re.search("[\udc80-\udcff]", text)


def _find_lists(lines: list[str], given: dict[str, Any], min_columns: int, source: str) -> ItemLists | None:
    """The layout of lists of items, if the lines have different lengths. Raises DataError if it may be one of several.

    The caller says which by user=0, the first field is the user, or item=0, the items begin there.
    """
    if not lines or any(isinstance(column, str) for column in given.values()):
        return None
    comment = lines[0][0] if lines[0][0] in COMMENT_MARKS else None
    lines = [line for line in lines if not (comment and line.startswith(comment))] or lines
    separator = max(LIST_SEPARATORS[:-1], key=lambda mark: sum(mark in line for line in lines))
    separator = separator if any(separator in line for line in lines) else " "
    rows = [[text.strip() for text in split(line, separator)] for line in lines]
    if any(_n_known(row) > 1 for row in rows[:5]):  # comments or titles may stand above names
        return None
    said = _said(given)
    if not _are_of_many_lengths(rows, min_columns + 1, certain=said is not None):
        return None
    if min_columns > 2:
        raise DataError(
            f"{source} has lines of different length, like lists of items, and no ratings. To learn from the choices, "
            'pass kind="implicit".'
        )
    first = said or _first_field(rows, separator)
    if first is None:
        raise DataError(
            f"{source} has lines of different length, like lists of items. If the first field of each is the user, "
            "pass user=0; if each line is a basket of items, and so a user of its own, pass item=0."
        )
    return ItemLists(separator, first, comment)


def _said(given: dict[str, Any]) -> First | None:
    """What the first field is, as the caller says."""
    positions = {name: at for name, at in given.items() if type(at) is int}
    if positions == {"user": 0} or positions == {"user": 0, "item": 1}:
        return "user"
    return "item" if positions == {"item": 0} else None


def _n_known(fields: list[str]) -> int:
    return sum(any(is_common(text, name) for text in fields) for name in ("user", "item", "count", "time"))


def _are_of_many_lengths(rows: list[list[str]], many: int, *, certain: bool) -> bool:
    """True if lines have many different lengths. certain: the caller says that they are lists."""
    lengths = Counter(map(len, rows))
    share = lengths.most_common(1)[0][1] / len(rows)
    if certain:
        return len(lengths) > 1 and share < IRREGULAR
    return len(lengths) >= many and share <= MORE_IRREGULAR


def _first_field(rows: list[list[str]], separator: str) -> First | None:
    """What the first field of each line is, where only one thing is likely; else None."""
    firsts = [row[0] for row in rows]
    if all(first == str(len(row) - 1) for first, row in zip(firsts, rows, strict=True)):
        return "count"
    if all(first.isdecimal() for first in firsts):
        numbers = [int(first) for first in firsts]
        return "user" if numbers == list(range(numbers[0], numbers[0] + len(numbers))) else None
    others = {text for row in rows for text in row[1:]}
    return "item" if separator != " " and not others.isdisjoint(firsts) else None
