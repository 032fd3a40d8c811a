"""One person's file: rows without a column of users, all of one person, as services and spreadsheets have them.

`person_of` says whose file it is, or refuses it where nobody said. `rows_of_person` adds a column of users that has
that one name, so that the file is read like any other. Rows without a rating or choice are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from palate.data.reading.cleaning import numbers
from palate.data.reading.columns import FIELDS, position_of
from palate.data.reading.doubts import check_one_person
from palate.data.reading.exports import OWN_TABLE, PLANNED, Export, are_scrobbles, export_of
from palate.data.reading.frames import Table, table_of
from palate.data.reading.moments import seconds_of_column
from palate.data.reading.names import COMMON_NAMES, MAKER_NAMES, is_common, plain, there_are
from palate.data.reading.parsing import TextFile
from palate.data.reading.textfiles import name_of, open_bytes, utf8_chunks
from palate.errors import DataError, PalateError

if TYPE_CHECKING:
    import polars as pl

TITLES = ("title", "name")  # what an item may be called in a person's own table
ENDS_IN_ID = re.compile(r"[_\s-]id$|[a-z]I[dD]$", re.ASCII)
NO_DATE = ("0000-00-00", "")
SPREADSHEET_TEXT = '^="(.*)"$'  # how a spreadsheet is made to keep a leading zero: ="0441172717"


@dataclass(frozen=True)
class Person:
    """Whose file it is, and which service made it; None: a table of the person's own."""

    name: str
    export: Export | None


@dataclass(frozen=True)
class PersonRows:
    """A person's rows as a table with a column of users, and what to read from it.

    Attributes:
        table (Table): The rows that count.
        given (dict): The option of each field, as `palate.read` takes them.
        left_out (dict): Why rows were left out -> how many.
        columns (dict): Which columns of an export became what.
        how (dict): What was found out about the file, in words.
        items (polars frame, or None): Titles and other attributes of the items.
    """

    table: Table
    given: dict[str, Any]
    left_out: dict[str, int]
    columns: dict[str, str]
    how: dict[str, str]
    items: pl.DataFrame | None


# ---- whose file it is ------------------------------------------------------------------------------------------------


def settle_header(text: TextFile) -> None:
    """Name the columns of a text file that is an export, whatever its first row looked like."""
    if are_scrobbles(text.sample):
        text.name_columns(["artist", "album", "track", "date"], header=False)
    elif export_of(text.sample[0]):
        text.name_columns([name.strip() for name in text.sample[0]], header=True)


def sample_table(text: TextFile) -> Table:
    """The first rows of a text file as a table."""
    return Table(text.source, text.dialect.names, text.column, text.column, text.dialect.header, is_text=True)


def has_users(source: Any, options: Mapping[str, Any]) -> bool:
    """True if a source has a column of users by its name. An open file is read. options: those of `palate.read`."""
    table = table_of(source, options.get("connection"))
    if table is None:
        name, header = name_of(source), options.get("header")
        with open_bytes(source) as stream:
            chunks = utf8_chunks(stream, options.get("encoding"), name)
            text = TextFile(chunks, name, options.get("separator"), header, given={}, min_columns=2)
            if header is None:
                settle_header(text)
        table = sample_table(text)
    return table.named and bool(_users(table.names)) and _export_without_users(table) is None


def person_of(table: Table, given: dict[str, Any], kind: str) -> Person | None:
    """The one person whose rows these are; None if the source has users.

    A name that is a column's is that column. Raises DataError for an export without user=, and for a name that may be
    a misspelt column.
    """
    user = given["user"]
    if isinstance(user, int) or user in table.names:
        return None
    export = _export_without_users(table)
    if user is None and export is None:
        return None
    if user is None or export is not None:
        assert export is not None
        return Person(_named(table, export, given, kind), export)
    if not isinstance(user, str) or not user.strip() or _users(table.names):
        return None
    return None if _may_be_column(user, table.names) else Person(user, None)


def _may_be_column(user: str, names: list[str]) -> bool:
    """True if a name is one that columns of users have, or spelt like a column here but for its case or a letter."""
    if is_common(user, "user") or ENDS_IN_ID.search(user):
        return True
    typed, own = plain(user), [plain(name) for name in names]
    if len(typed) < 3:
        return typed in own
    return bool(get_close_matches(typed, own, n=1, cutoff=0.75)) or sorted(typed) in map(sorted, own)


def _export_without_users(table: Table) -> Export | None:
    """The export that a table is; None if it has a column of several users."""
    export = export_of(table.names)
    users = _users(table.names)
    if export is None or not users:
        return export
    is_own = [plain(name) for name in users] == [export.account]
    return export if is_own and table.column(table.names.index(users[0])).n_unique() <= 1 else None


def _users(names: list[str]) -> list[str]:
    """The columns called users, unless by a name that may be the maker of an item."""
    return [name for name in names if is_common(name, "user") and plain(name) not in MAKER_NAMES]


def _named(table: Table, export: Export, given: dict[str, Any], kind: str) -> str:
    """The person's name. Raises DataError if there is none, or if the file has no ratings and those are asked for."""
    what = f"{table.source} is {export.name}: one person's {export.holds}, without a column of users."
    user, has_ratings = given["user"], any(plain(name) in export.fields.get("rating", ()) for name in table.names)
    is_rated = has_ratings or given["rating"] not in (None, False)
    implicit = "" if is_rated or kind == "implicit" else ' and kind="implicit", since it has no ratings'
    if not isinstance(user, str) or not user.strip():
        raise DataError(
            f'{what} To read it, name that person: user="me"{implicit}. To recommend to that person by a model of '
            "many users: palate recommend MODEL --ratings-of FILE, or rec.match(...) in Python. "
            f"{there_are(table.names)}"
        )
    if implicit:
        raise DataError(f'{what} It has no ratings: pass kind="implicit" to learn from what was chosen.')
    return user


# ---- the rows --------------------------------------------------------------------------------------------------------


def rows_of_person(table: Table, person: Person, given: dict[str, Any], kind: str) -> PersonRows:
    """The rows of one person that count, with a column of users."""
    if person.export is None:
        return _rows_of_own_table(table, person, given, kind)
    return _rows_of_export(table, person, person.export, given, kind)


def _rows_of_own_table(table: Table, person: Person, given: dict[str, Any], kind: str) -> PersonRows:
    """All rows: the columns are found as in any source."""
    import polars as pl

    n = len(table.names)
    if table.named:
        rating = next((name for name in table.names if is_common(name, "rating")), None)
        check_one_person(table.names, given, rating, table.source)
    own = dict(given, user=n)
    if own["item"] is None:
        own["item"] = _own_item(table, kind)
    if own["rating"] is None and not table.named and kind == "explicit" and own["item"] == 0 and n > 1:
        own["rating"] = 1
    added = [pl.repeat(person.name, table.height, dtype=pl.String, eager=True)]
    items = None
    if table.named and own["item"] is not None:
        labels = table.label(position_of(table.names, "item", own["item"], table.source))
        year = _own_column(table, OWN_TABLE, "year", None)
        if given["item"] is None and plain(str(own["item"])) in TITLES and year is not None:
            labels = _labels({"item": None, "author": None, "title": labels, "year": year})
            added, own["item"] = [*added, labels], n + 1
        items = _attributes(table, OWN_TABLE, labels)
    wider = replace(
        table,
        names=[*table.names, *("user", "title and year")[: len(added)]],
        column=lambda at: added[at - n] if at >= n else table.column(at),
        first=None,
        label=lambda at: added[at - n] if at >= n else table.label(at),
        head=None,
    )
    return PersonRows(wider, own, {}, {}, {"person": person.name}, items)


def _own_item(table: Table, kind: str) -> str | int | None:
    """The column of items of a person's own table: one with a common name, or of titles; the first one without names.

    Raises DataError where the first column without a name may be the users as well.
    """
    if not table.named:
        if kind == "implicit" and len(table.names) > 1:
            raise DataError(
                f"{table.source} has no column names. To read it as one person's, say which column has the items: "
                "item=0, for instance. If it has users, say which column: user=0, for instance."
            )
        return 0
    wanted = (*COMMON_NAMES["item"], *TITLES)
    return next((name for common in wanted for name in table.names if plain(name) == common), None)


def _rows_of_export(table: Table, person: Person, export: Export, given: dict[str, Any], kind: str) -> PersonRows:
    """The rows that were rated, or of choices those that were chosen."""
    import polars as pl

    fields = ("item", "title", "year", "author", "rating", "time", "status", "played")
    columns = {name: _own_column(table, export, name, given.get(name)) for name in fields}
    labels = _labels(columns)
    frame = pl.DataFrame({"user": pl.repeat(person.name, table.height, dtype=pl.String, eager=True), "item": labels})
    numbers_of = _numbers_of(table, given, columns["rating"], kind)
    frame = frame.with_columns(series.alias(name) for name, series in numbers_of.items())
    reasons = _reasons_of_status(columns, export) if kind == "implicit" else []
    if "rating" in numbers_of:
        reasons.append((_is_unrated(numbers_of["rating"], export, table.source), "no rating"))
    kept, left_out = _without([*reasons, (_is_blank(labels), "no item")], table.height)
    frame = frame.filter(kept)
    how = {"file": export.name, "person": person.name}
    times = None if given["time"] is False else _complete_times(columns["time"], kept)
    if times is not None:
        frame = frame.with_columns(times.alias("time"))
    elif columns["time"] is not None and given["time"] is not False:
        how["times"] = "left out, since some are blank or unclear"
    own: dict[str, Any] = {name: name if name in frame.columns else False for name in ("rating", "time", "weight")}
    own |= {"user": "user", "item": "item"}
    long = Table(table.source, frame.columns, frame.to_series, frame.to_series, height=frame.height)
    taken = _taken(table, export, given, [name for name in ("item", *FIELDS[2:]) if name in frame.columns])
    return PersonRows(long, own, left_out, taken, how, _attributes(table, export, labels.filter(kept), kept))


def _taken(table: Table, export: Export, given: dict[str, Any], fields: list[str]) -> dict[str, str]:
    """Field -> the names of the columns that it is made of."""
    taken = {}
    for field in fields:
        if given.get(field) is not None:
            taken[field] = table.names[position_of(table.names, field, given[field], table.source)]
            continue
        own = _called(table, export, field)
        taken[field] = " or ".join(own) or " and ".join(
            name for part in ("author", "title", "year") for name in _called(table, export, part)
        )
    return taken


def _called(table: Table, export: Export, field: str) -> list[str]:
    """The names of the columns that an export has for a field."""
    return [name for wanted in export.fields.get(field, ()) for name in table.names if plain(name) == wanted]


def _numbers_of(table: Table, given: dict[str, Any], rated: pl.Series | None, kind: str) -> dict[str, pl.Series]:
    """The columns of ratings and weights; of implicit ratings the counts, if the caller named them."""
    named = {
        name: table.column(position_of(table.names, name, given[name], table.source))
        for name in ("rating", "weight")
        if given[name] is not None and given[name] is not False
    }
    if kind == "implicit":
        counts = named.get("rating", named.get("weight"))
        return {} if counts is None else {"rating": counts}
    return {"rating": rated, **named} if rated is not None else named


def _own_column(table: Table, export: Export, name: str, given: Any) -> pl.Series | None:
    """The column that the caller named, or the first value of those that the export has; None if there is none."""
    import polars as pl

    if given is not None and given is not False:
        return table.column(position_of(table.names, name, given, table.source))
    own = [plain(column) for column in table.names]
    found = [table.column(own.index(wanted)) for wanted in export.fields.get(name, ()) if wanted in own]
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    texts = [_text(series) for series in found]
    return pl.select(pl.coalesce(*texts)).to_series()


def _text(series: pl.Series) -> pl.Series:
    """Texts without blanks at their ends; null where there is none or no date."""
    import polars as pl

    texts = series.cast(pl.String).str.strip_chars()
    return texts.set(texts.is_in(NO_DATE).fill_null(False), None)


def _is_blank(series: pl.Series) -> pl.Series:
    return _text(series).is_null()


def _labels(columns: dict[str, pl.Series | None]) -> pl.Series:
    """Ids where there are any, whole numbers as they are; else "title (year)" or "author - title"."""
    import polars as pl

    item = columns["item"]
    if item is not None and item.dtype.is_integer() and not item.null_count():
        return item
    ids, title, author = (
        None if (column := columns[name]) is None else _text(column) for name in ("item", "title", "author")
    )
    if title is None:
        assert ids is not None
        return ids
    made = title
    if columns["year"] is not None:
        year = _whole_years(columns["year"]).cast(pl.String)
        made = pl.select(pl.coalesce(title + " (" + year + ")", title)).to_series()
    elif author is not None:
        made = pl.select(pl.coalesce(author + " - " + title, title)).to_series()
    return made if ids is None else pl.select(pl.coalesce(ids, made)).to_series()


def _whole_years(column: pl.Series) -> pl.Series:
    """Years as whole numbers, null where there is none."""
    import polars as pl

    return _text(column).cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)


def _is_unrated(rated: pl.Series, export: Export, source: str) -> pl.Series:
    """True where a rating is blank, or the number that means none."""
    blank = _is_blank(rated)
    if export.unrated is None:
        return blank
    return blank | (numbers(rated, "rating", source) == export.unrated).fill_null(False)


def _reasons_of_status(columns: dict[str, pl.Series | None], export: Export) -> list[tuple[pl.Series, str]]:
    """Which rows are no choices: what is planned only, and plays that were broken off."""
    import polars as pl

    reasons = []
    if (status := columns["status"]) is not None:
        reasons.append((_text(status).str.to_lowercase().is_in(PLANNED).fill_null(False), "planned, not chosen yet"))
    if (played := columns["played"]) is not None:
        short = (played.cast(pl.Float64, strict=False) < export.min_played).fill_null(True)
        reasons.append((short, f"played for less than {export.min_played / 1000:g} seconds"))
    return reasons


def _without(reasons: list[tuple[pl.Series, str]], height: int) -> tuple[pl.Series, dict[str, int]]:
    """Which rows are kept, and how many are left out for each reason: the first that holds."""
    import polars as pl

    kept = pl.repeat(True, height, dtype=pl.Boolean, eager=True)
    left_out = {}
    for is_out, reason in reasons:
        if n := int((kept & is_out).sum()):
            left_out[reason] = n
        kept = kept & ~is_out
    return kept, left_out


def _complete_times(times: pl.Series | None, kept: pl.Series) -> pl.Series | None:
    """The times of the rows that are kept in seconds since 1970; None if one is missing or cannot be read."""
    if times is None:
        return None
    try:
        read = seconds_of_column(_text(times).filter(kept))
    except PalateError:
        return None
    return None if read.null_count() else read


def _attributes(table: Table, export: Export, labels: pl.Series, kept: pl.Series | None = None) -> pl.DataFrame | None:
    """A table of the items in the rows that are kept: titles, years, authors, types and ISBNs, where there are any."""
    import polars as pl

    own = [plain(name) for name in table.names]
    columns = {"item": labels}
    for name in ("title", "year", "author", "type"):
        if (column := _own_column(table, export, name, None)) is not None:
            columns[name] = _text(column if kept is None else column.filter(kept))
    for wanted in export.fields.get("isbn", ()):
        if wanted in own:
            column = _text(table.column(own.index(wanted))).str.replace(SPREADSHEET_TEXT, "$1")
            columns[wanted] = column if kept is None else column.filter(kept)
    if "year" in columns:
        columns["year"] = _whole_years(columns["year"])
    frame = pl.DataFrame([series.alias(name) for name, series in columns.items()])
    return None if frame.width < 2 else frame.filter(pl.col("item").is_not_null()).unique("item", maintain_order=True)
