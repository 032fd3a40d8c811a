"""Driving: what the caller asked of reading, checked once, and one source after another through the right parser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from palate.data.native import polars_errors_in_words
from palate.data.ratings import KINDS, Kind, Unrated
from palate.data.reading.cleaning import Asked, BadRows, asked_of
from palate.data.reading.collecting import Collector, of_one_person
from palate.data.reading.columns import fields_of_kind
from palate.data.reading.containers import Fits
from palate.data.reading.duplicates import DUPLICATES, Duplicates
from palate.data.reading.events import Event, check_event
from palate.data.reading.fitting import fits_ratings
from palate.data.reading.frames import Table, table_of
from palate.data.reading.parsing import TextFile
from palate.data.reading.personal import person_of, sample_table, settle_header
from palate.data.reading.selecting import Selection, check_where
from palate.data.reading.tables import UNRATED
from palate.data.reading.textfiles import name_of, open_bytes, utf8_chunks
from palate.data.reading.wide import check_wide
from palate.data.reading.wide_looks import check_not_wide, check_sample_not_wide
from palate.options import check_choice

FIELDS = ("user", "item", "rating", "time", "weight")

Parts = Callable[[Any, Any, Fits], Iterator[Table] | None]  # of (source, connection, fits): tables, None for others


@dataclass(frozen=True)
class Reading:
    """The options of `palate.read`, checked.

    Attributes:
        given (dict): user, item, rating, time, weight -> the option.
        policy (str): What to do with duplicates; `duplicates` is what was asked for.
        asked (Asked): What is said of values.
    """

    kind: Kind
    given: dict[str, Any]
    event: Event
    where: str | None
    wide: bool | None
    blank: Any
    rows: Any
    asked: Asked
    separator: str | None
    header: bool | None
    encoding: str | None
    on_bad_rows: str
    duplicates: Duplicates | None
    policy: Duplicates
    unrated: Unrated
    connection: Any

    @classmethod
    def of(cls, source: Any, options: dict[str, Any]) -> Reading:
        """Check the options. Raises OptionError."""
        kind, duplicates = options["kind"], options["duplicates"]
        check_choice("kind", kind, KINDS)
        check_choice("on_bad_rows", options["on_bad_rows"], ("raise", "report"))
        policy = DUPLICATES[kind][0] if duplicates is None else duplicates
        check_choice("duplicates", policy, DUPLICATES[kind])
        check_choice("unrated", options["unrated"], UNRATED)
        given = {name: options[name] for name in FIELDS}
        fields_of_kind(given, kind)  # raises if two options name the counts
        wide, blank = options["wide"], options["blank"]
        check_wide(wide, blank, options["rows"], source)
        check_event(options["event"], kind)
        check_where(options["where"], wide)
        asked = asked_of(options["missing"], options["decimal"], options["time_format"], options["time"])
        names = ("event", "where", "wide", "rows", "separator", "header", "encoding", "on_bad_rows", "unrated")
        return cls(
            **{name: options[name] for name in names},
            kind=kind,
            given=given,
            blank=False if wide and blank is None and asked.missing else blank,
            asked=asked,
            duplicates=duplicates,
            policy=policy,
            connection=options["connection"],
        )

    def collector(self) -> Collector:
        """What collects the rows of the first source and those after it."""
        collector = Collector("", BadRows(self.on_bad_rows == "raise"), self.kind, self.asked, self.event)
        collector.selection = None if self.where is None else Selection(self.where)
        return collector


def collect(collector: Collector, source: Any, reading: Reading) -> None:
    """Add all rows of a source that fits into memory, and of a text file of any length."""
    with polars_errors_in_words("the source"):
        fits = partial(fits_ratings, given=reading.given, kind=reading.kind)
        table = table_of(source, reading.connection, fits)
        collector.source = name_of(source) if table is None else table.source
        if table is not None:
            _add_table(collector, table, reading)
            return
        with open_bytes(source, fits) as stream:
            chunks = utf8_chunks(stream, reading.encoding, collector.source)
            min_columns = 3 if reading.kind == "explicit" and not reading.wide else 2
            text = TextFile(
                chunks,
                collector.source,
                reading.separator,
                reading.header,
                given=reading.given,
                min_columns=min_columns,
            )
            _add_text(collector, text, reading)


def collect_in_parts(collector: Collector, source: Any, reading: Reading, parts_of: Parts) -> None:
    """Add all rows of a source, of which only a part is in memory where it has parts.

    Raises DataError for the file of one person, which is small.
    """
    with polars_errors_in_words("the source"):
        fits = partial(fits_ratings, given=reading.given, kind=reading.kind)
        parts = parts_of(source, reading.connection, fits)
        first = None if parts is None else next(parts, None)
    if parts is None or first is None:
        collect(collector, source, reading)
        return
    collector.source = first.source
    with polars_errors_in_words("the source"):
        if person_of(first, reading.given, reading.kind):
            raise of_one_person(first.source)
        collector.add_tables(chain([first], parts), reading.given)


def _add_text(collector: Collector, text: TextFile, reading: Reading) -> None:
    given, kind = reading.given, reading.kind
    if reading.header is None and not reading.wide:
        settle_header(text)
    if reading.wide:
        collector.add_wide(collector.whole(text), given, reading.blank, reading.rows)
    elif person := person_of(sample_table(text), given, kind):
        collector.add_person(collector.whole(text), person, given, may_repeat=reading.duplicates is not None)
    else:
        if reading.wide is None and not text.dialect.header:
            check_sample_not_wide(text.sample, given, kind, collector.source)
        collector.add_text(text, given)


def _add_table(collector: Collector, table: Table, reading: Reading) -> None:
    given, kind = reading.given, reading.kind
    if reading.wide:
        collector.add_wide(table, given, reading.blank, reading.rows)
    elif person := person_of(table, given, kind):
        collector.add_person(table, person, given, may_repeat=reading.duplicates is not None)
    else:
        if reading.wide is None:
            check_not_wide(table, given, kind)
        collector.add_table(table, given)
