"""Collecting: the rows of a source are typed, checked and encoded block by block, and become Ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Kind, Ratings, ReadReport, Unrated
from palate.data.reading.cleaning import (
    Asked,
    BadRows,
    Forms,
    bad_rows,
    forms_of,
    set_aside,
    typed,
)
from palate.data.reading.coding import Labels, translate
from palate.data.reading.columns import FIELDS, Choice, choose_columns
from palate.data.reading.doubts import check_distinct
from palate.data.reading.duplicates import Columns, Duplicates, Growing, join_duplicates
from palate.data.reading.events import Event, EventWeights
from palate.data.reading.exploding import exploded
from palate.data.reading.frames import Table
from palate.data.reading.names import TOTAL_NAMES, plain
from palate.data.reading.parsing import Rows, TextFile
from palate.data.reading.personal import (
    Person,
    rows_of_person,
)
from palate.data.reading.selecting import Selection
from palate.data.reading.several import Layout
from palate.data.reading.tables import joined_table
from palate.data.reading.wide import Blank, long_table
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, LabelTypeError
from palate.kernels.threads import ahead

if TYPE_CHECKING:
    import polars as pl

WORTH_NOTHING = "events of a pair that are worth 0 or less"


class Sink(Protocol):
    """Where coded rows go: into memory, or onto the disk."""

    def add(self, rows: Columns) -> None:
        """Take rows of the same fields as those before."""


@dataclass
class Collector:
    """Collects the rows of a source block by block: checks, counts and encodes them.

    Several sources may follow each other. What their columns are, and how these are written, is decided on the first;
    only_decides: nothing else is done with it.
    """

    source: str
    bad: BadRows
    kind: Kind = "explicit"
    asked: Asked = field(default_factory=Asked)
    event: Event = None
    selection: Selection | None = None
    forms: Forms | None = None
    is_named: bool = True
    is_text: bool = False
    users: Labels = field(default_factory=lambda: Labels("user"))
    items: Labels = field(default_factory=lambda: Labels("item"))
    rows: Sink = field(default_factory=Growing)
    at_once: int | None = None  # rows of a table that are typed together; None for all
    only_decides: bool = False
    layout: Layout | None = None
    rows_read: int = 0
    blank_cells: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    times_not_read: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    item_table: pl.DataFrame | None = None
    last_user: str | int = ""

    def add_wide(self, table: Table, given: dict[str, Any], blank: Blank, rows: str | None) -> None:
        """Add all rated cells of a wide table."""
        long = long_table(table, given, blank, self.kind, rows)
        self.blank_cells = long.n_blank
        self.is_text = table.is_text
        self.add_table(long.table, dict.fromkeys(given))
        self.columns, self.how, self.unused = long.columns, {**table.how, **long.how}, long.unused

    def add_person(self, table: Table, person: Person, given: dict[str, Any], *, may_repeat: bool) -> None:
        """Add the rows of one person's file, and keep its titles."""
        if not isinstance(self.rows, Growing):
            raise of_one_person(table.source)
        own = rows_of_person(table, person, given, self.kind)
        self.left_out.update(own.left_out)
        self.rows_read += sum(own.left_out.values())
        self.add_table(own.table, own.given)
        if person.export is None and self.kind == "explicit" and not may_repeat:
            labels = list(self.items.code_of)
            check_distinct([labels[code] for code in self.rows.columns().items], person.name, self.source)
        del self.columns["user"]
        self.columns, self.how = {**self.columns, **own.columns}, {**table.how, **own.how}
        self.item_table = own.items

    def whole(self, text: TextFile) -> Table:
        """All rows of a text file as one table; rows of another shape are bad."""
        import polars as pl

        parts = []
        for fast, exact in text.rows():
            rows = exact() if fast is None else fast
            if rows.reasons:
                self.bad.add(rows.reasons, rows.where, self.source)
            good = np.ones(rows.frame.height, bool)
            good[list(rows.reasons)] = False
            parts.append(rows.frame.filter(pl.Series(good)))
        frame = pl.concat(parts) if parts else pl.DataFrame()
        names, column = text.dialect.names, frame.to_series
        header, how = text.dialect.header, text.how
        return Table(self.source, names, column, column, header, height=frame.height, is_text=True, how=how)

    def add_table(self, table: Table, given: dict[str, Any]) -> None:
        """Add all rows of a source with columns."""
        self.add_tables([table], given)

    def add_tables(self, parts: Iterable[Table], given: dict[str, Any]) -> None:
        """Add all rows of a source with columns, which comes in parts."""
        n = 0
        for part in parts:
            table = exploded(part, given)
            at = self.positions(
                table.names,
                given,
                is_named=table.named,
                sample=table.sample,
                how=table.how,
                is_ordered=not table.is_text,
            )
            rows = self._rows_of(table, at, n)
            n += part.height
            self.decide([rows.frame])
            if self.only_decides:
                return
            for some in _sliced(rows, self.at_once):
                self.add(some)

    def _rows_of(self, table: Table, at: dict[str, int], n_before: int) -> Rows:
        """The chosen columns of a table; n_before: rows of the source before it."""
        import polars as pl

        columns = {name: (table.label if name in ("user", "item") else table.column)(at[name]) for name in at}
        frame = pl.DataFrame([series.alias(name) for name, series in columns.items()])
        where = table.where or (lambda row: f"row {n_before + row} (from 0): {frame.row(row)}")
        rows = Rows(frame, where, table.reasons)
        if self.selection is None:
            return rows
        named = {table.names[at]: table.column(at) for at in self.selection.columns(table.names)}
        return self.selection.table_rows(rows, named)

    def positions(
        self,
        names: list[str],
        given: dict[str, Any],
        *,
        is_named: bool,
        sample: Callable[[int], pl.Series],
        how: dict[str, str],
        is_ordered: bool = False,
    ) -> dict[str, int]:
        """Field -> the position of its column: chosen in the first source, and the same in all others."""
        if self.layout is not None:
            return self.layout.positions(names, self.source, is_named=is_named)
        chosen = choose_columns(
            names,
            given,
            named=is_named,
            source=self.source,
            sample=sample,
            kind=self.kind,
            event=self.event,
            is_ordered=is_ordered,
        )
        self.note(chosen, names, how)
        self.is_named = is_named
        self.layout = Layout(self.source, names, chosen.at, is_named)
        return chosen.at

    def add_text(self, text: TextFile, given: dict[str, Any]) -> None:
        """Add all rows of a text file. A block is parsed the exact way only if the fast way fails or finds bad rows."""
        names, self.is_text = text.dialect.names, True
        at = self.positions(names, given, is_named=text.dialect.header, sample=text.column, how=text.how)
        if self.selection is not None and self.selection.types is None:
            self.selection.decide_types(names, [text.column(at) for at in range(len(names))])
        blocks = text.rows()
        first = list(islice(blocks, 2))  # a last line without an end is a block of its own
        self.decide([self._selected(exact() if fast is None else fast, names, at).frame for fast, exact in first])
        if self.only_decides:
            return
        rest = ahead(blocks) if len(first) == 2 else iter(())  # parsed while rows before them are added
        for fast, exact in chain((first.pop(0) for _ in range(len(first))), rest):
            if fast is None or not self.add(self._selected(fast, names, at), only_if_clean=True):
                self.add(self._selected(exact(), names, at))
        # some of it is known at the end only; of several files, what the first tells stands
        told = self.forms.how if self.forms else {}
        self.how = text.how | told if self.layout and self.layout.source == self.source else text.how | self.how

    def _selected(self, rows: Rows, names: list[str], at: dict[str, int]) -> Rows:
        """The chosen columns of the rows that meet the condition, if there is one."""
        return _fields(rows if self.selection is None else self.selection.rows(rows, names), at)

    def note(self, chosen: Choice, names: list[str], how: dict[str, str]) -> None:
        """Keep which column became what, for the report."""
        fields = [name for name in FIELDS if name in chosen.at]
        self.columns = {name: names[chosen.at[name]] for name in fields}
        self.unused, self.how = chosen.unused, how

    def decide(self, frames: list[pl.DataFrame]) -> None:
        """Decide, on the first rows, how ids, numbers and times are written."""
        import polars as pl

        if frames and self.forms is None:
            is_named = self.is_named or self.asked.time
            self.forms = forms_of(pl.concat(frames), self.source, self.asked, is_named=is_named)
            self.how = self.how | self.forms.how

    def add(self, rows: Rows, *, only_if_clean: bool = False) -> bool:
        """Add the good rows; raise at bad ones or report them. With only_if_clean, add all or (False) none."""
        import polars as pl

        assert self.forms is not None and self.layout is not None
        self.layout.check_kinds(rows.frame, self.source)
        frame = typed(rows.frame, self.source, self.forms)
        aside = set_aside(rows.frame, frame, self.forms, self.asked)
        good = np.ones(frame.height, bool)
        for rows_aside in aside.values():
            good &= ~rows_aside.to_numpy()
        bad = bad_rows(frame, rows.reasons, must_read_times=self.asked.must_read_times)
        bad = {row: reason for row, reason in bad.items() if good[row]} if aside else bad
        if bad and only_if_clean:
            return False
        if bad:
            self.bad.add(bad, rows.where, self.source)
            good[list(bad)] = False
        self.left_out.update({reason: int(rows_aside.sum()) for reason, rows_aside in aside.items()})
        self.left_out.update({"where= is not met": rows.n_left_out} if rows.n_left_out else {})
        self.rows_read += rows.frame.height + rows.n_left_out
        frame = frame if good.all() else frame.filter(pl.Series(good))
        if frame.height:
            self.last_user = frame["user"][-1]
            self.rows.add(self._encoded(frame))
        return True

    def _encoded(self, frame: pl.DataFrame) -> Columns:
        import polars as pl

        weight = "weight" if self.kind == "explicit" else "count"
        if "time" in frame.columns:
            self.times_not_read += frame["time"].null_count()
            frame = frame.with_columns(pl.col("time").fill_null(0))
        if "event" in frame.columns:
            frame = self._weighted(frame)
        return Columns(
            self._codes(self.users, frame["user"]),
            self._codes(self.items, frame["item"]),
            frame["rating"].to_numpy().astype(np.float32) if "rating" in frame.columns else _ones(frame.height),
            frame["time"].to_numpy() if "time" in frame.columns else None,
            frame[weight].to_numpy().astype(np.float32) if weight in frame.columns else None,
        )

    def _weighted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows whose event is not ignored, with counts of what the events are worth."""
        import polars as pl

        worth = EventWeights.of(self.event, self.source)(frame["event"])
        counts = worth * (frame["count"].to_numpy() if "count" in frame.columns else 1.0)
        kept = ~np.isnan(worth)
        self.left_out.update({"an ignored event": int((~kept).sum())} if not kept.all() else {})
        return frame.with_columns(pl.Series("count", counts)).filter(pl.Series(kept))

    def _codes(self, labels: Labels, series: pl.Series) -> NDArray[np.int32]:
        try:
            return labels.codes(series)
        except LabelTypeError as error:
            raise LabelTypeError(f"{self.source}: {error}") from error

    def _vocabulary(self, labels: Labels) -> tuple[Vocabulary, NDArray[np.int32]]:
        try:
            return labels.vocabulary(is_text=self.is_text)
        except LabelTypeError as error:
            raise LabelTypeError(f"{self.source}: {labels.what} {error}") from error

    def ratings(self, duplicates: Duplicates, *, users: Any, items: Any, unrated: Unrated = "drop") -> Ratings:
        """The collected ratings, with duplicates joined and the tables attached."""
        assert isinstance(self.rows, Growing)
        self.check_no_total()
        user_vocabulary, user_codes = self._vocabulary(self.users)
        item_vocabulary, item_codes = self._vocabulary(self.items)
        self.how |= {f"{side.what} ids": side.how for side in (self.users, self.items) if side.how}
        columns = self.rows.columns()
        translate(columns.users, user_codes)
        translate(columns.items, item_codes)
        columns = self._with_all_times(columns)
        joined, n_dropped, n_differing = join_duplicates(columns, duplicates, (user_vocabulary, item_vocabulary))
        if "event" in self.columns:
            joined = self._chosen(joined)
        ratings = Ratings(
            joined.users,
            joined.items,
            joined.values,
            user_vocabulary=user_vocabulary,
            item_vocabulary=item_vocabulary,
            times=joined.times,
            weights=joined.weights,
            report=self.report(duplicates, n_dropped, n_differing),
            kind=self.kind,
        )
        strict = self.bad.strict
        with_users = ratings._joined(joined_table(users, user_vocabulary, strict=strict, unrated=unrated))
        return with_users._joined(joined_table(items, item_vocabulary, strict=strict, unrated=unrated))

    def report(self, duplicates: Duplicates, n_dropped: int, n_differing: int) -> ReadReport:
        """What happened while the rows were collected and their duplicates joined."""
        summed, n_dropped = (n_dropped, 0) if duplicates == "sum" else (0, n_dropped)
        return ReadReport(
            self.rows_read,
            dict(self.bad.counts),
            tuple(self.bad.examples),
            n_dropped,
            self.source,
            n_differing,
            summed=summed,
            blank_cells=self.blank_cells,
            left_out=dict(self.left_out),
            columns=self.columns,
            unused=self.unused,
            how=self.how,
        )

    def check_no_total(self) -> None:
        """Raise DataError if the last row of a text file is that of a user called Total or the like."""
        if self.is_text and self.users.n_met > 1 and plain(str(self.last_user)) in TOTAL_NAMES:
            raise DataError(
                f"{self.source}: the user of the last row, {self.last_user!r}, may be a total of the other rows. "
                "Take that row out of the file, or give it another name if it is a user."
            )

    def _chosen(self, columns: Columns) -> Columns:
        """The pairs whose events are worth more than 0 in all."""
        chosen, n_left_out = chosen_pairs(columns)
        self.left_out.update({WORTH_NOTHING: n_left_out} if n_left_out else {})
        return chosen

    def _with_all_times(self, columns: Columns) -> Columns:
        """The same columns without times if one of them could not be read; how many is told in the report."""
        self.note_times(len(columns.values))
        return columns._replace(times=None) if self.times_not_read else columns

    def note_times(self, n_rows: int) -> None:
        """Note in the report if times were left out."""
        if self.times_not_read:
            n = f"{self.times_not_read:,} of {n_rows:,}"
            self.how["times"] = f"left out ({n} are missing or cannot be read)"
        if "times" in self.how and self.how["times"].startswith("left out"):
            self.columns.pop("time", None)


def of_one_person(source: str) -> DataError:
    """The error for a source without users where ratings go onto the disk."""
    return DataError(
        f"{source} has no column of users: it is one person's, and fits in memory. Read it with palate.read."
    )


def chosen_pairs(columns: Columns) -> tuple[Columns, int]:
    """The rows whose weight, which is what the events of a pair are worth, is above 0; and how many are not."""
    assert columns.weights is not None
    kept = columns.weights > 0
    if kept.all():
        return columns, 0
    parts: list[Any] = [None if column is None else column[kept] for column in columns]
    return Columns(*parts), int((~kept).sum())


def _sliced(rows: Rows, n: int | None) -> Iterator[Rows]:
    """The rows, n at a time; all at once for None."""
    if n is None or rows.frame.height <= n:
        yield rows
        return
    for start in range(0, rows.frame.height, n):
        reasons = {row - start: why for row, why in rows.reasons.items() if start <= row < start + n}
        left_out = rows.n_left_out if start == 0 else 0
        yield Rows(rows.frame.slice(start, n), _later(rows.where, start), reasons, left_out)


def _later(where: Callable[[int], str], start: int) -> Callable[[int], str]:
    return lambda row: where(start + row)


def _ones(n: int) -> NDArray[np.float32]:
    return np.ones(n, np.float32)


def _fields(rows: Rows, chosen: dict[str, int]) -> Rows:
    """The chosen columns, named by their fields."""
    import polars as pl

    frame = pl.DataFrame([rows.frame.to_series(chosen[name]).alias(name) for name in FIELDS if name in chosen])
    return Rows(frame, rows.where, rows.reasons, rows.n_left_out)
