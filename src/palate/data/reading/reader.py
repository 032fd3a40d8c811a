"""Reading: files, frames, arrays and SQL -> Ratings. Every row that is not a rating is named or counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import KINDS, Kind, Ratings, ReadReport, Unrated
from palate.data.reading.cleaning import BadRows, bad_rows, join_duplicates, typed, whole_numbers
from palate.data.reading.columns import FIELDS, check_option, choose_columns, fields_asked
from palate.data.reading.frames import Table, table_of
from palate.data.reading.parsing import Rows, TextFile
from palate.data.reading.tables import UNRATED, joined_table
from palate.data.reading.textfiles import name_of, open_bytes, utf8_chunks
from palate.data.vocabulary import Vocabulary
from palate.errors import LabelTypeError

if TYPE_CHECKING:
    import polars as pl

OnBadRows = Literal["raise", "report"]
Duplicates = Literal["last", "mean", "sum", "error"]
DUPLICATES: dict[Kind, tuple[Duplicates, ...]] = {
    "explicit": ("last", "mean", "error"),
    "implicit": ("sum", "last", "error"),
}


def read(
    source: Any,
    *,
    kind: Kind = "explicit",
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | Literal[False] | None = None,
    time: str | int | Literal[False] | None = None,
    weight: str | int | Literal[False] | None = None,
    items: Any = None,
    users: Any = None,
    unrated: Unrated = "drop",
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    on_bad_rows: OnBadRows = "raise",
    duplicates: Duplicates | None = None,
    connection: Any = None,
) -> Ratings:
    """Ratings from a file, frame, mapping of columns, tuple of arrays, matrix or (with `connection`) an SQL query.

    kind: "explicit" where values say how high somebody rated; "implicit" where all that is known is who chose what
    (liked, bought, played). No value is needed then; a column of ratings, counts, plays, quantities or weights, or the
    one that rating= (or weight=) names, is how often, above 0. rating=False takes no notice of it. Such a column is not
    taken for ratings where there are none: that is a DataError which says so, for nobody means both.
    user, item, rating, time, weight: columns by name or position (from 0); without them, the usual names are looked
    for, and unnamed columns are user, item, rating and perhaps time. time=False or weight=False leaves that one out.
    items, users: a second file or frame with what is known of each item or user, matched by id; rows
    left out of it are told in `ratings.report.table_notes`. unrated: "drop" those that nobody has rated, or who have
    rated nothing, or "keep" them, so that they too can be predicted and recommended.
    separator, header, encoding: of a text file; found out when not given. Ids in text files are strings, always.
    on_bad_rows: "raise" at a row that is not a rating, or "report": leave it out, counted in `ratings.report`.
    duplicates: of one (user, item) keep the "last" (by time where there is one), their "mean", or raise an "error".
    Of implicit ratings the counts are added ("sum", with the last time), unless it is "last" or "error"; without
    counts each row is 1, so that a log of single events becomes counts where anything happened twice.

    Raises DataError with file, line and content, or with the columns there are; LabelTypeError for ids of mixed types.

    >>> read({"user": ["ann", "bob"], "item": ["tea", "tea"], "stars": [5, 3]})
    Ratings(2 ratings, 2 users, 1 items)
    >>> read({"user": ["ann", "bob", "ann"], "item": ["tea", "tea", "tea"]}, kind="implicit").weights
    array([1., 2.], dtype=float32)
    """
    check_option("kind", kind, KINDS)
    check_option("on_bad_rows", on_bad_rows, ("raise", "report"))
    policy = DUPLICATES[kind][0] if duplicates is None else duplicates
    check_option("duplicates", policy, DUPLICATES[kind])
    check_option("unrated", unrated, UNRATED)
    asked = {"user": user, "item": item, "rating": rating, "time": time, "weight": weight}
    fields_asked(asked, kind)
    table = table_of(source, connection)
    found = Collector(name_of(source) if table is None else table.source, BadRows(on_bad_rows == "raise"), kind)
    if table is None:
        with open_bytes(source) as stream:
            chunks = utf8_chunks(stream, encoding, found.source)
            least = 3 if kind == "explicit" else 2
            found.add_text(TextFile(chunks, found.source, separator, header, asked=asked, least=least), asked)
    else:
        found.add_table(table, asked)
    return found.ratings(policy, users=users, items=items, unrated=unrated)


class Columns(NamedTuple):
    """Good rows, one array per field, each (n,)."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.int64] | None
    weights: NDArray[np.float32] | None


@dataclass
class Labels:
    """The labels met so far, in order of appearance, and the codes they have for the time being."""

    what: str
    code_of: dict[Any, int] = field(default_factory=dict)

    def codes(self, series: pl.Series) -> NDArray[np.int32]:
        """Provisional codes of strings or integers without null, shape (n,)."""
        import polars as pl

        if series.dtype == pl.String:
            distinct = series.unique()
            local = series.cast(pl.Enum(distinct)).to_physical().to_numpy()
            labels = distinct.to_list()
        else:
            numbers, local = np.unique(series.to_numpy(), return_inverse=True)
            labels = numbers.tolist()
        code_of = self.code_of
        codes = np.fromiter((code_of.setdefault(label, len(code_of)) for label in labels), np.int32, len(labels))
        return codes[local] if len(codes) else np.zeros(0, np.int32)

    def vocabulary(self) -> tuple[Vocabulary, NDArray[np.int32]]:
        """The vocabulary, and the final code of each provisional one."""
        labels = list(self.code_of)
        vocabulary = Vocabulary(labels, what=self.what)
        return vocabulary, vocabulary.encode(labels)


@dataclass
class Collector:
    """Takes rows block by block: checks, counts and encodes them."""

    source: str
    bad: BadRows
    kind: Kind = "explicit"
    users: Labels = field(default_factory=lambda: Labels("user"))
    items: Labels = field(default_factory=lambda: Labels("item"))
    batches: list[Columns] = field(default_factory=list)
    rows_read: int = 0

    def add_table(self, table: Table, asked: dict[str, Any]) -> None:
        """All rows of a source with columns of its own."""
        import polars as pl

        chosen = choose_columns(
            table.names,
            asked,
            named=table.named,
            source=table.source,
            is_time=lambda at, least: whole_numbers(table.column(at), least),
            kind=self.kind,
        )
        columns = {name: (table.label if name in ("user", "item") else table.column)(at) for name, at in chosen.items()}
        frame = pl.DataFrame([series.alias(name) for name, series in columns.items()])
        self.add(Rows(frame, table.where or (lambda row: f"row {row} (from 0): {frame.row(row)}"), table.reasons))

    def add_text(self, text: TextFile, asked: dict[str, Any]) -> None:
        """All rows of a text file, the exact way only where something is odd."""
        chosen = choose_columns(
            text.dialect.names,
            asked,
            named=text.dialect.header,
            source=self.source,
            is_time=text.is_time,
            kind=self.kind,
        )
        for fast, exact in text.rows():
            if fast is None or not self.add(_fields(fast, chosen), only_if_clean=True):
                self.add(_fields(exact(), chosen))

    def add(self, rows: Rows, *, only_if_clean: bool = False) -> bool:
        """Take the good rows, report or raise for the others; with only_if_clean, take all or (False) none."""
        import polars as pl

        frame = typed(rows.frame, self.source)
        bad = bad_rows(frame, rows.reasons)
        if bad and only_if_clean:
            return False
        if bad:
            self.bad.add(bad, rows.where, self.source)
            good = np.ones(frame.height, bool)
            good[list(bad)] = False
            frame = frame.filter(pl.Series(good))
        self.rows_read += rows.frame.height
        if frame.height:
            self.batches.append(self._encoded(frame))
        return True

    def _encoded(self, frame: pl.DataFrame) -> Columns:
        weight = "weight" if self.kind == "explicit" else "count"
        return Columns(
            self._codes(self.users, frame["user"]),
            self._codes(self.items, frame["item"]),
            frame["rating"].to_numpy().astype(np.float32) if "rating" in frame.columns else _ones(frame.height),
            frame["time"].to_numpy() if "time" in frame.columns else None,
            frame[weight].to_numpy().astype(np.float32) if weight in frame.columns else None,
        )

    def _codes(self, labels: Labels, series: pl.Series) -> NDArray[np.int32]:
        try:
            return labels.codes(series)
        except LabelTypeError as error:
            raise LabelTypeError(f"{self.source}: {error}") from error

    def ratings(self, duplicates: Duplicates, *, users: Any, items: Any, unrated: Unrated = "drop") -> Ratings:
        """What was collected, with duplicates joined and the tables beside it."""
        user_vocabulary, user_codes = self.users.vocabulary()
        item_vocabulary, item_codes = self.items.vocabulary()
        columns = self._columns(user_codes, item_codes)
        joined, n_joined, n_differing = join_duplicates(columns, duplicates, (user_vocabulary, item_vocabulary))
        counts, examples = dict(self.bad.counts), tuple(self.bad.examples)
        summed, n_joined = (n_joined, 0) if duplicates == "sum" else (0, n_joined)
        report = ReadReport(self.rows_read, counts, examples, n_joined, self.source, n_differing, summed=summed)
        ratings = Ratings(
            joined.users,
            joined.items,
            joined.values,
            user_vocabulary=user_vocabulary,
            item_vocabulary=item_vocabulary,
            times=joined.times,
            weights=joined.weights,
            report=report,
            kind=self.kind,
        )
        strict = self.bad.strict
        with_users = ratings._joined(joined_table(users, user_vocabulary, strict=strict, unrated=unrated))
        return with_users._joined(joined_table(items, item_vocabulary, strict=strict, unrated=unrated))

    def _columns(self, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]) -> Columns:
        batches, self.batches = self.batches, []
        if not batches:
            return Columns(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), None, None)
        parts: list[Any] = [None if part[0] is None else np.concatenate(part) for part in zip(*batches, strict=True)]
        return Columns(user_codes[parts[0]], item_codes[parts[1]], *parts[2:])


def _ones(n: int) -> NDArray[np.float32]:
    return np.ones(n, np.float32)


def _fields(rows: Rows, chosen: dict[str, int]) -> Rows:
    """The chosen columns under the names of their fields."""
    import polars as pl

    frame = pl.DataFrame([rows.frame.to_series(chosen[name]).alias(name) for name in FIELDS if name in chosen])
    return Rows(frame, rows.where, rows.reasons)
