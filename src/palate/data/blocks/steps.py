"""The steps from a source to the files of a folder. What a step leaves is noted, and is not done again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks import vocabularies
from palate.data.blocks.collected import restore, state_of
from palate.data.blocks.folder import Folder
from palate.data.blocks.joining import Coded, Joined, Policy, write_by_user
from palate.data.blocks.labels import label_at, series_of, write_labels
from palate.data.blocks.places import Place
from palate.data.blocks.progress import Line
from palate.data.blocks.sorting import transpose_to
from palate.data.blocks.sources import Source
from palate.data.blocks.spilling import SIDES, Spill
from palate.data.blocks.views import ranges_of, rows_by_user
from palate.data.features.values import with_nulls
from palate.data.plan import count_codes, count_parts
from palate.data.ratings import ReadReport
from palate.data.reading.collecting import WORTH_NOTHING, Collector
from palate.data.reading.driving import Reading, collect_in_parts
from palate.data.reading.duplicates import Columns, repeated
from palate.data.reading.tables import joined_table
from palate.data.rows import rows_between
from palate.data.vocabulary import Vocabulary
from palate.errors import LabelTypeError

SECONDS_AT_RISK = 5.0  # of reading that a kill may undo, besides a source
TYPED_AT_ONCE = 1 << 20  # rows of a frame


@dataclass
class Steps:
    """What is made from sources at a place.

    Attributes:
        tables (dict): user, item -> the table that is joined, or None.
    """

    place: Place
    sources: list[Source]
    reading: Reading
    tables: dict[str, Any]
    line: Line
    spill: Spill = field(init=False)
    collector: Collector = field(init=False)

    def __post_init__(self) -> None:
        self.spill = Spill(self.place.scratch, self.line.advance)
        self.collector = self.reading.collector()
        self.collector.users, self.collector.items = (self.spill.labels[side] for side in SIDES)
        self.collector.rows, self.collector.at_once = self.spill, TYPED_AT_ONCE

    def read(self) -> None:
        """Read the sources that are not read yet, and spill their rows."""
        n_done = self.place.state["n_sources"]
        if n_done:
            self._go_on()
        try:
            self._read_from(n_done)
        finally:
            self.spill.close()

    def _read_from(self, n_done: int) -> None:
        n = len(self.sources)
        saved = monotonic()
        for number in range(n_done, n):
            source = self.sources[number]
            self.line.phase(f"reading {source.name}" + (f" ({number + 1} of {n})" if n > 1 else ""))
            collect_in_parts(self.collector, source.given, self.reading, source.parts)
            self.collector.check_no_total()
            if number == n - 1 or monotonic() - saved > SECONDS_AT_RISK:
                self.spill.end_part()
                counts = state_of(self.collector)
                self.place.save(n_sources=number + 1, spill=self.spill.state, collector=counts)
                saved = monotonic()

    def _go_on(self) -> None:
        """Take up what is read. How the first source is written is decided again, with the same result."""
        state = self.place.state
        if state["n_sources"] < len(self.sources):
            self.collector.only_decides = True
            collect_in_parts(self.collector, self.sources[0].given, self.reading, self.sources[0].parts)
            self.collector.only_decides = False
        restore(self.collector, state["collector"])
        self.spill.resume(state["spill"])

    def code(self) -> None:
        """Give all labels their final codes, join the tables, and write both."""
        if "coded" in self.place.state:
            return
        self.line.phase("sorting labels")
        coded: dict[str, Any] = {"how": {}, "files": {}, "notes": [], "lacking": {}}
        for side in SIDES:
            self._code_side(side, coded)
        self.place.save(coded=coded)

    def _code_side(self, side: str, coded: dict[str, Any]) -> None:
        files, scratch = self.spill.label_files(side), self.place.scratch
        try:
            labels, how = vocabularies.merge(side, files, scratch, is_text=self.collector.is_text)
        except LabelTypeError as error:
            raise LabelTypeError(f"{self.collector.source}: {error}") from error
        coded["how"] |= {f"{side} ids": how} if how else {}
        table = None
        if self.tables[side] is not None:
            vocabulary = Vocabulary.in_order(labels.to_numpy(), what=side)
            strict = self.collector.bad.strict
            join = joined_table(self.tables[side], vocabulary, strict=strict, unrated=self.reading.unrated)
            if join.vocabulary is not vocabulary:
                vocabularies.recode(side, files, scratch, join.vocabulary.encode(vocabulary.labels))
                labels = series_of(join.vocabulary)
            table = with_nulls(join.table)
            coded["notes"] += join.notes
            coded["lacking"] |= {side: join.lacking} if join.lacking[0] else {}
        name = f"{side}s.arrow"
        coded["files"][name] = write_labels(self.place.part / name, labels, table)
        coded[f"n_{side}s"] = len(labels)

    def join(self) -> Joined:
        """Write the ratings by user, each pair once."""
        if "joined" in self.place.state:
            return Joined(**self.place.state["joined"])
        self.line.phase("sorting by user", self.spill.n_rows)
        n_users, n_items = (self.place.state["coded"][f"n_{side}s"] for side in SIDES)
        has = self.spill.has or {"weights": False, "times": False}
        has = has | {"times": has["times"] and not self.collector.times_not_read}
        counts = count_parts((rows.users for rows in self._final_rows()), n_users)
        rows = Coded(self._final_rows(), counts, n_items, **has)
        policy = Policy(self.reading.kind, self.reading.policy, worth="event" in self.collector.columns)
        joined = write_by_user(self.place.part, self.place.scratch, rows, policy, self.line.advance)
        if self.reading.policy == "error" and joined.first is not None:
            raise self._repeated(joined)
        self.place.save(joined=joined.state)
        self.spill.remove()
        return joined

    def _final_rows(self) -> Iterator[Columns]:
        """The rows in the order of the source, with their final codes."""
        final: dict[str, tuple[int, NDArray[np.int32]]] = {}
        for part, rows in self.spill.rows():
            for side, table in part.tables.items():
                if side not in final or final[side][0] != table:
                    final[side] = table, vocabularies.final_codes(self.place.scratch, side, table)
            times = None if self.collector.times_not_read else rows.times
            users, items = final["user"][1][rows.users], final["item"][1][rows.items]
            yield rows._replace(users=users, items=items, times=times)

    def _repeated(self, joined: Joined) -> Exception:
        assert joined.first is not None
        user, item = (
            label_at(self.place.part / f"{side}s.arrow", code) for side, code in zip(SIDES, joined.first, strict=True)
        )
        return repeated(user, item, joined.n_dropped)

    def report(self, joined: Joined) -> ReadReport:
        """What reading told, as palate.read would tell it."""
        coded, collector = self.place.state["coded"], self.collector
        collector.how = collector.how | coded["how"]
        collector.note_times(self.spill.n_rows)
        collector.left_out.update({WORTH_NOTHING: joined.n_worthless} if joined.n_worthless else {})
        lacking = {side: tuple(found) for side, found in coded["lacking"].items()}
        told = collector.report(self.reading.policy, joined.n_dropped, joined.n_differing)
        return replace(told, source=self._names(), table_notes=tuple(coded["notes"]), lacking=lacking)

    def _names(self) -> str:
        if len(self.sources) == 1:
            return self.collector.source
        return f"{len(self.sources):,} files ({self.sources[0].name} to {self.sources[-1].name})"


def turn(place: Place, joined: Joined, n_items: int, line: Line) -> dict[str, Any]:
    """Write the ratings by item, from those by user; return the entries of their files."""
    line.phase("sorting by item", joined.n_ratings)
    rows = rows_by_user(Folder(place.part, {"files": joined.files}))
    counts = count_codes(rows.indices, n_items)
    parts = ((first, rows_between(rows, slice(first, last))) for _, first, last in ranges_of(rows))
    has_weights = rows.weights is not None
    return transpose_to(place.part, place.scratch, parts, counts, weights=has_weights, told=line.advance)
