"""Translate names typed at the command line, and files of names, into the labels of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.answers.names import Names
from palate.answers.ranking.dials import BOOST, CALIBRATED
from palate.cli import job
from palate.cli.printing import note
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.showing.lines import printable

if TYPE_CHECKING:
    import polars as pl

    from palate.data.ratings import Ratings
    from palate.data.vocabulary import Label, Vocabulary
    from palate.recommender import Recommender

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def label_of(text: str, vocabulary: Vocabulary) -> Label:
    """Return the text as a label of the vocabulary's type; UnknownLabelError if a number is needed and it is none."""
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise OptionError(f"{vocabulary.what} {text!r} is not readable text in this terminal's encoding.")
    if vocabulary.kind == "string":
        return text
    if not WHOLE_NUMBER.fullmatch(text.strip()):
        shown = ", ".join(str(label) for label in vocabulary.labels[:3].tolist())
        raise UnknownLabelError(
            f"{vocabulary.what} {text!r} is not a number; the {vocabulary.what}s here are: {shown}, ..."
        )
    return int(text)


def user_of(text: str, rec: Recommender) -> Label:
    """Return the label of a user; an unknown one is returned too, with a note."""
    return _passed_on(label_of(text, rec.model.user_vocabulary), rec.model.user_vocabulary)


def item_of(text: str, rec: Recommender) -> Label:
    """Return the label of an item, given its label or title; an unknown one is returned too, with a note."""
    return _passed_on(_item_label(text, rec), rec.model.item_vocabulary)


def _item_label(text: str, rec: Recommender) -> Label:
    """Return the label of an item, given its label or title; UnknownLabelError lists the items that a title fits."""
    names = Names.of_items(rec.model)
    label = int(text) if names.vocabulary.kind == "integer" and WHOLE_NUMBER.fullmatch(text.strip()) else text
    if label in names.vocabulary:
        return label
    (found,) = names.labels([text])
    return found if found in names.vocabulary else label_of(text, names.vocabulary)


def items_of(texts: Iterable[str], rec: Recommender) -> list[Label]:
    """Return the labels of items, each given by label or title; UnknownLabelError if one is unknown."""
    labels = [_item_label(text, rec) for text in texts]
    rec.model.item_vocabulary.encode(labels)
    return labels


def users_of(texts: Iterable[str], rec: Recommender) -> list[Label]:
    """Return the labels of users; UnknownLabelError if one is unknown."""
    labels = [label_of(text, rec.model.user_vocabulary) for text in texts]
    rec.model.user_vocabulary.encode(labels)
    return labels


def given_ratings(texts: Sequence[str], rec: Recommender) -> dict[Label, float | None]:
    """Parse texts ITEM=RATING into {label: rating}; for implicit models ITEM, {label: None}, and ITEM=COUNT."""
    given: dict[Label, float | None] = {}
    threshold = rec.model.like_threshold
    for text in texts:
        name, equals, rating = text.rpartition("=")
        is_choice = rec.model.kind == "implicit" and not (equals and _is_number(rating))
        if is_choice:
            name, equals = text, "="
        elif threshold is not None:
            raise OptionError(
                f"--like {text!r}: the model learned from likes, ratings of {threshold:g} or more. Name only items "
                f"that are rated {threshold:g} or more, without a number."
            )
        if not equals or not name:
            raise OptionError(f'--like {text!r}: write it as "ITEM=RATING", such as "Alien=5".')
        label = _item_label(name, rec)
        if label in given:
            earlier = "" if given[label] is None else f", {given[label]:g}"
            raise OptionError(f"--like {text!r}: item {label!r} has a rating already{earlier}; give it one.")
        given[label] = None if is_choice else _number_of(rating, text)
    return given


def session_of(texts: Sequence[str], rec: Recommender) -> list[Label]:
    """Parse texts such as "a,b,c" into labels, oldest first. What is a label or a title as it stands is one item."""
    import csv

    names = Names.of_items(rec.model)
    found: list[Label] = []
    for text in texts:
        (whole,) = names.labels([text], "mark")
        parts = [text] if whole in names.vocabulary else next(csv.reader([text], skipinitialspace=True), [])
        found += items_of([part.strip() for part in parts if part.strip()], rec)
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number_of(rating: str, text: str) -> float:
    try:
        return float(rating)
    except ValueError:
        raise OptionError(f"--like {text!r}: {rating!r} is not a number.") from None


def timestamp_of(text: str | None, rec: Recommender) -> str | None:
    """Return the time as typed; print a note if the model has no time effects."""
    if text is not None and rec.model.effects is None:
        note("the model has no time effects, so --when changes nothing; fit with --with-time for that.")
    return text


def title_of(label: Label, rec: Recommender) -> str:
    """Return the title of an item, or its label if it has none."""
    code, titles = rec.model.item_vocabulary.find(label), rec.model.item_titles
    return printable((titles[code] if titles and code >= 0 else None) or str(label))


def _passed_on(label: Label, vocabulary: Vocabulary) -> Label:
    if vocabulary.find(label) < 0:
        text = f"the model does not know {vocabulary.what} {label!r}; it is treated as a cold-start {vocabulary.what}."
        if job.current().form == "none":  # a log holds no labels; its event `cold` says how many
            note(text)
    return label


# ---- files


def recommend_filters(
    items: Sequence[str] | None, exclude: Sequence[str] | None, choosing: Mapping[str, Any], rec: Recommender
) -> dict[str, Any]:
    """Return the filters of recommend(), and what changes the order: items, exclude, where, index, and the dials."""
    options: dict[str, Any] = {name: choosing[name] for name in ("where", "index", "recent") if name in choosing}
    options |= dials_of(choosing)
    for name, typed in (("items", items), ("exclude", exclude)):
        file = _file_or_none(name, typed, choosing)
        if typed:
            options[name] = items_of(typed, rec)
        if file is not None:
            options[name] = read_lists(file, rec)
            vocabulary = rec.model.item_vocabulary
            is_list = isinstance(options[name], list)
            _note_unknown(options[name] if is_list else options[name][vocabulary.what], vocabulary, file)
    return options


def dials_of(choosing: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes the order of lists: max_per, diversity, diversity_by, popularity, calibrated, boost."""
    options = {name: choosing[name] for name in ("diversity", "diversity_by", "popularity") if name in choosing}
    if "diversity_by" in options and "diversity" not in options:
        raise OptionError(f"--diversity-by {options['diversity_by']}: say how much, such as --diversity 0.3.")
    if "max_per" in choosing:
        options["max_per"] = dict(_limit(text) for text in choosing["max_per"])
    for name, lowest, default in (("calibrated", 0, CALIBRATED), ("boost", -1, BOOST)):
        if name in choosing:
            options[name] = dict(_with_strength(text, name, lowest, default) for text in choosing[name])
    return options


def _with_strength(text: str, option: str, lowest: int, default: float) -> tuple[str, float]:
    """Parse a text NAME=S, without blanks before the sign; any other text is the whole name, and counts `default`.

    So "year >= 2020" and "stock = 1" are conditions, and "stock=1" is a column that counts 1.
    """
    name, equals, strength = text.rpartition("=")
    is_comparison = not name or name[-1] in "<>!= "
    if not equals or is_comparison or not _is_number(strength):
        return text, default
    if not lowest <= float(strength) <= 1:
        raise OptionError(
            f"--{option} {text!r}: how much it counts is a number from {lowest} to 1. A condition has blanks: "
            f'"{name} = {strength}".'
        )
    return name, float(strength)


def _note_unknown(labels: Iterable[Label], side: Vocabulary, path: Path) -> None:
    """Print how many labels of a list the model does not know; these are left out."""
    n_unknown = len({label for label in labels if label not in side})
    if n_unknown:
        note(f"{path}: {n_unknown:,} {side.what}s that the model does not know are left out.")


def _file_or_none(name: str, typed: Sequence[str] | None, choosing: Mapping[str, Any]) -> Path | None:
    """Return the file given instead of names; OptionError if both are given."""
    file = choosing.get(f"{name}_file")
    if file is not None and typed:
        raise OptionError(f"--{name} and --{name}-file: give one of the two.")
    return None if file is None else Path(file)


def similar_filters(choosing: Mapping[str, Any], rec: Recommender, *, users: bool) -> dict[str, Any]:
    """Return the filters of similar_users() or similar_items(): users or items, exclude, where."""
    side = rec.model.user_vocabulary if users else rec.model.item_vocabulary
    options: dict[str, Any] = {name: choosing[name] for name in ("where",) if name in choosing}
    for name, taken in (("among", f"{side.what}s"), ("exclude", "exclude")):
        typed = choosing.get(name)
        file = _file_or_none(name, typed, choosing)
        if typed:
            options[taken] = users_of(typed, rec) if users else items_of(typed, rec)
        if file is not None:
            options[taken] = read_labels(file, side)
            _note_unknown(options[taken], side, file)
    return options


def _limit(text: str) -> tuple[str, int]:
    """Parse a text COLUMN=K."""
    name, equals, k = text.rpartition("=")
    if not equals or not name or not WHOLE_NUMBER.fullmatch(k.strip()):
        raise OptionError(f"--max-per {text!r}: write it as COLUMN=K, such as genres=2.")
    return name, int(k)


def read_lists(path: Path, rec: Recommender) -> Any:
    """Read a file of items as a list of labels for all users, or a file of users and items as a frame."""
    from palate.data.reading.names import is_common

    item = rec.model.item_vocabulary
    frame = _rows_of(path, rec.model.user_vocabulary, item)
    if frame.width > 1 and any(is_common(name, rec.model.user_vocabulary.what) for name in frame.columns):
        return read_pairs(path, rec)
    unnamed = all(re.fullmatch(r"column_[0-9]+", name) for name in frame.columns)
    if frame.width > 1 and unnamed:
        return read_pairs(path, rec)
    return _labels(frame, item, path)


def read_labels(path: Path, side: Vocabulary) -> list[Label]:
    """Read the labels of one side: from the column with its name, or the first column of a file without names."""
    return _labels(_rows_of(path, side), side, path)


def _labels(frame: pl.DataFrame, side: Vocabulary, path: Path) -> list[Label]:
    labels: list[Label] = _as_kind(frame[_position(frame.columns, side, 0, path)], side, str(path)).to_list()
    return labels


def read_pairs(path: Path, rec: Recommender) -> pl.DataFrame:
    """Read a file with a user and an item in each row as a frame of the model's labels, in the order of the file.

    The frame has a time column if the file has one and the model has time effects.
    """
    import polars as pl

    sides = (rec.model.user_vocabulary, rec.model.item_vocabulary)
    frame = _rows_of(path, sides[0])
    pairs = pl.DataFrame(
        [
            _as_kind(frame[_position(frame.columns, side, at, path)], side, str(path)).alias(side.what)
            for at, side in enumerate(sides)
        ]
    )
    return pairs if rec.model.effects is None else pairs.with_columns(_timestamps(frame, str(path)))


def _timestamps(frame: pl.DataFrame, source: str) -> list[pl.Series]:
    """Return the time column in seconds since 1970, if there is one; DataError if a value is not a time."""
    from palate.data.reading.moments import seconds_of_column
    from palate.data.reading.names import is_common

    found = [frame[name] for name in frame.columns if is_common(name, "time")][:1]
    read = [seconds_of_column(column).alias("time") for column in found]
    for column, timestamps in zip(found, read, strict=True):
        if timestamps.null_count():
            bad = column.filter(timestamps.is_null())[0]
            raise DataError(f"{source}: {column.name} {bad!r} is no time: give seconds since 1970 or an ISO text.")
    return read


def _rows_of(path: Path, *sides: Vocabulary) -> pl.DataFrame:
    """Return the columns of a file. sides: their labels tell a header from a first row of data."""
    import polars as pl

    from palate.data.native import polars_errors_in_words
    from palate.data.reading.frames import table_of

    with polars_errors_in_words(str(path)):
        table = table_of(path)
        if table is None:
            return _text_rows(path, {str(label) for side in sides for label in side})
        return pl.DataFrame([table.label(at).alias(name) for at, name in enumerate(table.names)])


def _text_rows(path: Path, known: Set[str]) -> pl.DataFrame:
    import polars as pl

    from palate.data.reading.names import is_common
    from palate.data.reading.parsing import TextFile
    from palate.data.reading.textfiles import open_bytes, utf8_chunks

    parts: list[pl.DataFrame] = []

    def is_header(sample: list[list[str]]) -> bool:
        first = sample[0]
        has_common_names = any(is_common(name, what) for name in first for what in ("user", "item"))
        return has_common_names or (first[0] not in known and any(row and row[0] in known for row in sample[1:]))

    with open_bytes(path) as stream:
        chunks = utf8_chunks(stream, None, str(path))
        text = TextFile(chunks, str(path), None, None, given={}, min_columns=2, is_header=is_header)
        for fast, exact in text.rows():
            rows = fast or exact()
            for row, reason in rows.reasons.items():
                raise DataError(f"{path}, {rows.where(row)}: {reason}")
            parts.append(rows.frame)
    names = text.dialect.names
    return pl.concat(parts).rename(dict(zip(parts[0].columns, names, strict=True)))


def _position(names: Sequence[str], side: Vocabulary, default: int, path: Path) -> str:
    from palate.data.reading.names import is_common, there_are

    found = [name for name in names if is_common(name, side.what)]
    unnamed = all(re.fullmatch(r"column_[0-9]+", name) for name in names)
    if not found and not unnamed:
        raise DataError(f"{path} has no {side.what} column. {there_are(list(names))}")
    if not found and len(names) <= default:
        raise DataError(f"{path} has one column; pairs need two, a user and an item.")
    return found[0] if found else names[default]


def _as_kind(series: pl.Series, vocabulary: Vocabulary, source: str) -> pl.Series:
    """Return labels of a file in the type of the vocabulary."""
    import polars as pl

    if series.null_count():
        raise DataError(f"{source}: {series.null_count()} of {len(series)} {vocabulary.what}s are missing.")
    if vocabulary.kind == "string":
        return series.cast(pl.String)
    if series.dtype != pl.String:
        return series.cast(pl.Int64)
    bad = series.filter(~series.str.strip_chars().str.contains(rf"^{WHOLE_NUMBER.pattern}$"))
    if len(bad):
        raise DataError(f"{source}: {vocabulary.what} {bad[0]!r} is not a number, and the {vocabulary.what}s here are.")
    return series.str.strip_chars().cast(pl.Int64)


def in_kind_of(ratings: Ratings, rec: Recommender) -> Ratings:
    """Return ratings with labels of the model's types, so that "196" in a file and 196 in a model are the same."""
    kinds = rec.model.user_vocabulary.kind, rec.model.item_vocabulary.kind
    if (ratings.user_vocabulary.kind, ratings.item_vocabulary.kind) == kinds or len(ratings) == 0:
        return ratings
    from palate.data.reading import read

    frame = ratings.to_frame()
    source = ratings.report.source or "the ratings"
    sides = {"user": rec.model.user_vocabulary, "item": rec.model.item_vocabulary}
    converted = frame.with_columns(_as_kind(frame[name], side, source) for name, side in sides.items())
    options: dict[str, Any] = (
        {"duplicates": "keep"} if ratings.is_implicit else {}
    )  # what is repeated here is meant to be
    return read(converted, kind=ratings.kind, **options)._with(like_threshold=ratings.like_threshold)


def new_users(path: Path, rec: Recommender) -> pl.DataFrame:
    """Return the ratings or choices of new users in a file, items in the type of the model's labels."""
    import polars as pl

    from palate.cli.loading import read_ratings

    model = rec.model
    ratings = read_ratings(str(path), {}, model.kind, reads_order=model.factors.reads_order)
    if model.like_threshold is not None and ratings.weights is not None:
        raise OptionError(
            f"{path} has numbers, and the model learned from likes, ratings of {model.like_threshold:g} or more: give "
            "a file of users and the items they like."
        )
    frame: pl.DataFrame = ratings.to_frame()
    columns = [name for name in ("user", "item", "rating", "weight", "time") if name in frame.columns]
    frame = frame.select(columns)
    if model.kind == "explicit":
        frame = frame.drop("time", strict=False)
    else:
        frame = frame.drop("rating", strict=False)
        if ratings.weights is not None:
            frame = frame.with_columns(pl.Series("weight", ratings.weights))
    items = model.item_vocabulary
    return frame.with_columns(_as_kind(frame["item"], items, str(path)).alias("item"))
