"""Tables: a second file or frame with the attributes of users or items, joined to the labels by id.

The result has one row per code, nulls for labels that the table lacks, and notes on the rows that were left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from palate.data.features.values import column_with_nulls
from palate.data.features.vectors import vectors_of
from palate.data.native import distinct_names, is_foreign, polars_errors_in_words
from palate.data.reading.cleaning import BadRows
from palate.data.reading.columns import position_of
from palate.data.reading.fitting import fits_table
from palate.data.reading.frames import Table, table_of
from palate.data.reading.ids import as_meant, labels, without_point_zero
from palate.data.reading.names import is_common, plain
from palate.data.reading.parsing import TextFile
from palate.data.reading.textfiles import name_of, open_bytes, utf8_chunks
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError
from palate.options import check_choice

if TYPE_CHECKING:
    import polars as pl


UNRATED = ("drop", "keep")
ID = "\0id"  # a column name that no file has
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
WAYS_OUT = "Name the column of ids, or give both one type."
SPELLINGS: dict[str, Callable[[str], str]] = {  # what may separate two spellings -> the text without it
    "blanks": lambda text: text.strip(),
    "upper and lower case": lambda text: text.casefold(),
    "leading zeros": lambda text: text.lstrip("0") or "0",
    "a closing .0": lambda text: text.removesuffix(".0"),
    "blanks, case, leading zeros or a closing .0": lambda text: (
        text.strip().casefold().removesuffix(".0").lstrip("0") or "0"
    ),
}
DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"


def is_in_order(table: Any, vocabulary: Vocabulary) -> bool:
    """True if a table is a polars frame without a column of labels: its rows then are in the order of the codes."""
    import polars as pl

    if not isinstance(table, pl.DataFrame):
        return False
    if any(is_common(name, vocabulary.what) or plain(name) == "id" for name in table.columns):
        return False
    return table.width == 0 or not _are_labels(table.to_series(0), vocabulary)


def plain_columns(table: pl.DataFrame) -> pl.DataFrame:
    """The same table with text in place of types that have no meaning to polars."""
    opened = table_of(table)
    assert opened is not None
    return table.with_columns(opened.column(at) for at, column in enumerate(table) if is_foreign(column))


def _are_labels(column: pl.Series, vocabulary: Vocabulary) -> bool:
    """True if a column without a common name has labels: some, or, with one row per code, mostly and none twice."""
    import polars as pl

    if not (column.dtype.is_integer() or column.dtype == pl.String):
        return False
    known = {str(label) for label in vocabulary}
    n_known = sum(str(label) in known for label in column)
    if len(column) != len(vocabulary):
        return n_known > 0
    return 2 * n_known > len(column) and column.n_unique() == len(column)


class Joined(NamedTuple):
    """A table with one row per label of the vocabulary, in its order, without ids; and notes on what was left out.

    `lacking` has the number of labels that have no row in the table, the number of all, and what may be why.
    """

    table: pl.DataFrame | None
    vocabulary: Vocabulary
    notes: tuple[str, ...] = ()
    lacking: tuple[int, int, str] = (0, 0, "")


def joined_table(
    source: Any,
    vocabulary: Vocabulary,
    *,
    strict: bool,
    label: str | int | None = None,
    unrated: str = "drop",
    may_all_be_new: bool = False,
) -> Joined:
    """Join a file or frame to the labels by its ids. Labels that it lacks get nulls.

    `label` names the column of ids. `unrated` says what to do with ids that are not labels: "drop" them, or "keep" them
    as labels of a larger vocabulary. Ids are compared as text if the labels are strings. Raises DataError if no id is a
    label (unless may_all_be_new) and, if strict, at the first row of a text file that cannot be read.
    """
    import polars as pl

    check_choice("unrated", unrated, UNRATED)
    if source is None:
        return Joined(None, vocabulary)
    bad = BadRows(strict)
    with polars_errors_in_words(f"the table of {vocabulary.what}s"):
        name, frame, at = _whole_table(source, vocabulary, bad, label)
    given = without_point_zero(labels(frame.to_series(at), vocabulary.what, name))
    ids = _keys(given, vocabulary)
    named = frame.drop(frame.columns[at]).with_columns(ids.alias(ID)).filter(pl.col(ID).is_not_null())
    rated = named.filter(pl.col(ID).is_in(_as_column(vocabulary).implode()))
    if len(vocabulary) and rated.height == 0 and not may_all_be_new:
        raise DataError(
            f"{name} has none of the {len(vocabulary):,} {vocabulary.what}s. They are like "
            f"{vocabulary.labels[:3].tolist()}; the ids in its column {frame.columns[at]!r} are like "
            f"{given.head(3).to_list()}. {_spelled_apart(vocabulary.labels.tolist(), given) or WAYS_OUT}"
        )
    lacking = _lacking(vocabulary, rated[ID], given)
    if unrated == "keep":
        rated, vocabulary = named, _with_labels(vocabulary, named[ID])
    kept = rated.unique(ID, keep="last", maintain_order=True)
    n_repeated = rated.height - kept.height
    notes = _notes(vocabulary.what, bad, frame.height - named.height, named.height - rated.height, n_repeated)
    table = _as_column(vocabulary).to_frame().join(kept, on=ID, how="left", maintain_order="left")
    return Joined(table.drop(ID), vocabulary, notes, lacking)


def _lacking(vocabulary: Vocabulary, known: pl.Series, given: pl.Series) -> tuple[int, int, str]:
    """How many labels have no row, of how many, and how they are spelled in the table if that is all."""
    found = set(known.to_list())
    lacking = [label for label in vocabulary.labels.tolist() if label not in found]
    return len(lacking), len(vocabulary), _spelled_apart(lacking, given) if lacking else ""


def _spelled_apart(lacking: list[Any], given: pl.Series) -> str:
    """A sentence on the labels that only their spelling separates from ids of a table, with an example; "" if none."""
    import polars as pl

    ids = [text for text in given.cast(pl.String).drop_nulls().unique(maintain_order=True).to_list() if text.strip()]
    texts = [str(label) for label in lacking]
    best: list[tuple[str, str]] = []
    by = ""
    for difference, plain_spelling in SPELLINGS.items():
        of_table = {plain_spelling(text): text for text in reversed(ids)}
        pairs = [(text, of_table[plain_spelling(text)]) for text in texts if plain_spelling(text) in of_table]
        if len(pairs) > len(best):
            best, by = pairs, difference
    if not best:
        return ""
    of_ratings, of_table_ = best[0]
    return (
        f"Only {by} separate {len(best):,} of them from a row, such as {of_ratings!r} in the ratings and {of_table_!r} "
        "in the table: spell them alike."
    )


def _as_column(vocabulary: Vocabulary) -> pl.Series:
    import polars as pl

    kind = pl.String if vocabulary.kind == "string" else pl.Int64
    return pl.Series(ID, vocabulary.labels.tolist(), dtype=kind)


def _with_labels(vocabulary: Vocabulary, ids: pl.Series) -> Vocabulary:
    """The vocabulary with these ids too, sorted; itself if none is new."""
    new = ids.unique().to_list()
    if all(label in vocabulary for label in new):
        return vocabulary
    return Vocabulary([*vocabulary, *new], what=vocabulary.what)


def _notes(what: str, bad: BadRows, n_without_id: int, n_unrated: int, n_repeated: int) -> tuple[str, ...]:
    """A note for each reason why rows of a table were left out."""
    notes = []
    if bad.counts:
        notes.append(f"{_rows(bad.counts.total())} left out, such as {bad.examples[0]}")
    if n_without_id:
        notes.append(f"{_rows(n_without_id)} without a usable id left out")
    if n_unrated:
        notes.append(f"{_rows(n_unrated)} for {what}s without ratings left out")
    if n_repeated:
        notes.append(f"{_rows(n_repeated)} with a repeated id, the last kept")
    return tuple(f"{what}s: {note}" for note in notes)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _keys(ids: pl.Series, vocabulary: Vocabulary) -> pl.Series:
    """Ids of the labels' type, null if missing."""
    import polars as pl

    if vocabulary.kind == "string":
        texts = ids.cast(pl.String)
        return texts.set(texts.str.strip_chars() == "", None)
    return ids if ids.dtype == pl.Int64 else ids.str.extract(INTEGER, 0).cast(pl.Int64, strict=False)


def _whole_table(
    source: Any, vocabulary: Vocabulary, bad: BadRows, label: str | int | None
) -> tuple[str, pl.DataFrame, int]:
    """(name, table, position of the id column) of a file or frame."""
    import polars as pl

    fits = partial(fits_table, what=vocabulary.what, label=label)
    table = table_of(source, None, fits)
    if table is None:
        return _text_table(source, vocabulary, bad, label)
    at = _id_position(table.names, vocabulary.what, label, table.source, named=table.named)
    names = distinct_names(table.names)
    columns = [_column(table, number, number == at).alias(name) for number, name in enumerate(names)]
    return table.source, pl.DataFrame(columns), at


def _column(table: Table, at: int, is_id: bool) -> pl.Series:
    return table.label(at) if is_id else table.column(at)


def _text_table(
    source: Any, vocabulary: Vocabulary, bad: BadRows, label: str | int | None
) -> tuple[str, pl.DataFrame, int]:
    import polars as pl

    name = name_of(source)
    parts = []
    is_header = partial(has_header, vocabulary=vocabulary, label=label)
    with open_bytes(source, partial(fits_table, what=vocabulary.what, label=label)) as stream:
        text = TextFile(utf8_chunks(stream, None, name), name, None, None, given={}, min_columns=2, is_header=is_header)
        for fast, exact in text.rows():
            rows = fast or exact()
            if rows.reasons:
                bad.add(rows.reasons, rows.where, name)
            good = pl.Series([row not in rows.reasons for row in range(rows.frame.height)], dtype=pl.Boolean)
            parts.append(rows.frame.filter(good))
    names = distinct_names(text.dialect.names)
    frame = pl.concat(parts)
    frame.columns = names
    at = _id_position(names, vocabulary.what, label, name, named=text.dialect.header)
    frame = frame.with_columns(as_meant(frame.to_series(at))[0].alias(names[at]))
    guessed = [column if number == at else typed_column(column) for number, column in enumerate(frame.get_columns())]
    frame = pl.DataFrame(guessed)
    second = names[1] if len(names) > 1 and at != 1 and not text.dialect.header else None
    if second and vocabulary.what == "item" and frame.schema[second] == pl.String:
        frame = frame.rename({second: "title"})
    return name, frame, at


def _id_position(names: list[str], what: str, label: str | int | None, source: str, *, named: bool) -> int:
    """The position of the column that the caller named, of one with a common name, or of the first."""
    if label is not None:
        return position_of(names, what, label, source)
    if not named:
        return 0
    common = [at for at, name in enumerate(names) if is_common(name, what)]
    exact = [at for at, name in enumerate(names) if plain(name) == "id"]
    return (common or exact or [0])[0]


def typed_column(text: pl.Series) -> pl.Series:
    """A column of text as integers, decimals or vectors if all its values are.

    "01" is neither an integer nor a decimal. Where all others are numbers, NA is missing.
    """
    import polars as pl

    values = column_with_nulls(text.set(text == "", None))
    if values.null_count() == len(values):
        return values
    if values.str.contains(INTEGER).all():
        return values.cast(pl.Int64)
    return values.cast(pl.Float64) if _are_decimals(values) else vectors_of(values)


def _are_decimals(text: pl.Series) -> bool:
    leading_zero = text.str.contains(r"^-?0[0-9]").any()
    return bool(text.str.contains(DECIMAL).all()) and not leading_zero and bool(text.str.contains(r"\.").any())


def has_header(sample: list[list[str]], vocabulary: Vocabulary, label: str | int | None = None) -> bool:
    """True if the first row of a table has column names: common ones, or no known id where other rows have one.

    A first row with digits in its id, as all others have, is a row of an id that is not known.
    """
    first, at = sample[0], label if isinstance(label, int) else 0
    if label in first or any(is_common(name, vocabulary.what) or plain(name) == "id" for name in first):
        return True
    known = {str(label) for label in vocabulary}
    ids = [row[at] for row in sample if -len(row) <= at < len(row)]
    if ids and all(re.search("[0-9]", text) for text in ids):
        return False
    return bool(ids) and ids[0] not in known and any(text in known for text in ids[1:])
