"""What each column of a table becomes: as the caller declared, or decided from its type and values.

A column becomes classes or a scale (fields.py), text or vectors (dense.py), or is left out. Nothing is learned here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Any

from palate.data.features.base import Field, LeftOut
from palate.data.features.dense import Text, Vector
from palate.data.features.fields import SEPARATORS, Classes, Scale
from palate.data.features.values import (
    NO_NUMBER,
    NUMBER,
    dates_of,
    is_missing,
    is_not_text,
    numbers_of,
    parts_of,
    texts_of,
    years_in_titles_of,
)
from palate.data.features.vectors import are_vectors
from palate.data.features.words import are_prose
from palate.errors import OptionError

if TYPE_CHECKING:
    import polars as pl

MAX_CODE_VALUES = 32  # whole numbers with at most this many values may be codes of classes ...
ROWS_PER_CODE = 10  # ... if there are this many rows per value, enough to learn an effect of each
FIELDS: dict[str, Callable[[str], Field]] = {
    "continuous": Scale,
    "text": Text,
    "vectors": Vector,
    "exclude": lambda name: LeftOut(name, "as told"),
}
YEARS = (1000, 2200)  # whole numbers in this range may be years
CODE = r"^[+-]?0[0-9]"  # digits that are a code and not a number, such as 007
TITLE_NAME = r"(?i)((^|[^a-z])|item|movie|film|book|product)(title|name)$"
ID_NAME = r"(?i)((^|[^a-z])id|(user|item|movie|film|book|imdb|tmdb|product|artist)id|zip|code|isbn|asin|phone)$"


def declared_fields(frame: pl.DataFrame, categorical: Any, multivalued: Any, others: Mapping[str, Any]) -> list[Field]:
    """The fields that the caller declared. Raise OptionError for columns that are not there or declared twice."""
    groups = multivalued if isinstance(multivalued, Mapping) else {}
    options = {"categorical": categorical, "multivalued": multivalued, **others}
    for option, names in (options | dict(groups)).items():
        if isinstance(names, str):
            raise OptionError(f"{option}={names!r} is one text: give a list of columns, such as [{names!r}].")
    declared: list[Field] = [Classes(name) for name in categorical]
    declared += [Classes(name, columns=tuple(columns)) for name, columns in groups.items()]
    declared += [Classes(name, separator="|") for name in multivalued if not groups]
    declared += [FIELDS[option](name) for option, names in others.items() for name in names]
    columns = Counter(name for field in declared for name in field.sources)
    existing = set(frame.columns)
    for name, count in columns.items():
        if name not in existing:
            raise OptionError(f"there is no column {name!r}. The columns are {', '.join(map(repr, frame.columns))}.")
        if count > 1:
            raise OptionError(f"column {name!r} is named twice: name it in one option only.")
    for name in groups:
        if name in existing and name not in columns:
            raise OptionError(f"the group {name!r} has the name of a column that is not in it: choose another name.")
    return [_completed(field, frame) for field in declared]


def _completed(field: Field, frame: pl.DataFrame) -> Field:
    """The field with the separator of its texts, or with the way to read its amounts."""
    if isinstance(field, Classes) and field.separator:
        return replace(field, separator=_separator(frame[field.name], always=True))
    if isinstance(field, Scale):
        return replace(field, reads=_reading_of(frame[field.name]))
    return field


def found_fields(frame: pl.DataFrame, taken: Any) -> list[Field]:
    """Fields for the columns that nothing is declared of: groups of 0/1 columns first, then each of the others."""
    groups = _groups_of_flags(frame)
    found: list[Field] = []
    for columns in groups:
        name = _shared_prefix(columns).rstrip("_.:=") or "flags"
        while name in taken or name in {field.name for field in found}:
            name += "_"
        found.append(Classes(name, columns=tuple(columns)))
    return found + [_decided(series) for series in frame.drop([name for columns in groups for name in columns])]


def _groups_of_flags(frame: pl.DataFrame) -> list[list[str]]:
    """Groups of three or more neighboring columns of 0 and 1.

    Columns whose names share a prefix make a group of their own. Columns of truth values need such a prefix.
    """
    groups = []
    for kind, run in groupby(frame, key=_kind_of_flag):
        by_prefix: dict[str, list[str]] = {}
        for series in run:
            by_prefix.setdefault(re.split(r"(?<=[_.:=])", series.name)[0], []).append(series.name)
        large = [names for names in by_prefix.values() if len(names) >= 3]
        others = [name for names in by_prefix.values() if len(names) < 3 for name in names]
        if kind:
            groups += large
        if kind == "0/1" and len(others) >= 3:
            groups.append(others)
    return groups


def _kind_of_flag(series: pl.Series) -> str:
    """The text "truth" for booleans, "0/1" for numbers that are all 0 or 1, else ""."""
    import polars as pl

    if series.dtype == pl.Boolean:
        return "truth"
    if not series.dtype.is_numeric() or series.null_count() == len(series):
        return ""
    return "0/1" if ((series == 0) | (series == 1)).all() else ""


def _shared_prefix(names: Sequence[str]) -> str:
    """The common prefix of all names up to its last punctuation, such as "genre_", or ""."""
    common = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    return re.sub(r"[^_.:=]*$", "", "".join(letter for letter, _ in common))


def _decided(series: pl.Series) -> Field:
    """The field for a column, from its type and its values."""
    import polars as pl

    name, kind = series.name, series.dtype
    if series.null_count() == len(series):
        return LeftOut(name, "no value on any row")
    if isinstance(kind, pl.List | pl.Array):
        inner = kind.inner
        if are_vectors(series):
            return Vector(name)
        has_no_labels = inner.is_float() or is_not_text(inner)
        return LeftOut(name, f"holds lists of {inner}") if has_no_labels else Classes(name, separator="|")
    if kind in (pl.Date, pl.Datetime):
        return Scale(name, reads="date")
    if kind == pl.Boolean:
        return Classes(name)
    if kind.is_numeric():
        return _decided_of_numbers(series)
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        return _decided_of_text(series)
    return LeftOut(name, f"holds {kind}, neither text nor number")


def _decided_of_numbers(series: pl.Series) -> Field:
    numbers = numbers_of(series).drop_nulls()
    n, n_distinct = len(numbers), numbers.n_unique()
    if n_distinct <= 2:
        return Classes(series.name)
    if (numbers != numbers.floor()).any():
        return Scale(series.name)
    is_label = re.search(ID_NAME, series.name)
    span = numbers.max() - numbers.min() + 1  # type: ignore[operator]
    if n_distinct > max(MAX_CODE_VALUES, n / 2) and (is_label or (n_distinct == n and span < 1.5 * n)):
        return LeftOut(series.name, f"{n_distinct:,} different whole numbers on {n:,} rows: ids")
    is_code = n_distinct <= MAX_CODE_VALUES and n >= ROWS_PER_CODE * n_distinct and not numbers.is_between(*YEARS).all()
    return Classes(series.name) if is_label or is_code else Scale(series.name)


def _decided_of_text(series: pl.Series) -> Field:
    import polars as pl

    name = series.name
    if series.dtype == pl.String and are_vectors(series):
        return Vector(name)
    texts = texts_of(series).drop_nulls()
    n, n_distinct = len(texts), texts.n_unique()
    if _are_dates(series):
        return Scale(name, reads="date")
    if n and texts.str.contains("^https?://").all():
        return LeftOut(name, "web addresses")
    if 2 * n_distinct > n and _are_titles_with_years(series) and not are_prose(texts):
        return Scale(name, reads="year in title")
    if _are_amounts(texts):
        return _decided_of_numbers(series)
    separator = _separator(series)
    if n_distinct > min(MAX_CODE_VALUES, n / 2) and are_prose(texts, "," if separator == "[" else separator):
        return Text(name)
    if separator:
        return Classes(name, separator=separator)
    if n_distinct > (n / 2 if re.search(TITLE_NAME, name) else max(MAX_CODE_VALUES, n / 2)):
        return LeftOut(name, f"{n_distinct:,} different texts on {n:,} rows: names or ids")
    return Classes(name)


def _are_amounts(texts: pl.Series) -> bool:
    """True if texts are numbers and not codes: no 007, and not few different whole numbers unless they are years."""
    numbers = texts.filter(~texts.str.contains(NO_NUMBER))
    if len(numbers) == 0 or not numbers.str.contains(NUMBER).all() or numbers.str.contains(CODE).any():
        return False
    amounts = numbers.str.to_integer(strict=False)
    if amounts.null_count() or numbers.n_unique() > MAX_CODE_VALUES:
        return True
    return bool(amounts.is_between(*YEARS).all())


def _are_dates(series: pl.Series) -> bool:
    """True if all values are dates."""
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return True
    if series.dtype != pl.String:
        return False
    missing = is_missing(series)
    return not missing.all() and bool((dates_of(series).is_not_null() | missing).all())


def _are_titles_with_years(series: pl.Series) -> bool:
    """True if most texts have a year in brackets."""
    years, texts = years_in_titles_of(series), texts_of(series)
    return 2 * years.count() > texts.count()


def _reading_of(series: pl.Series) -> str:
    """How to read the amounts of a column that was declared continuous, a key of AMOUNTS."""
    import polars as pl

    if _are_dates(series):
        return "date"
    return "year in title" if series.dtype == pl.String and _are_titles_with_years(series) else "number"


def _separator(series: pl.Series, *, always: bool = False) -> str:
    """The separator between the values of a multi-valued column, or "" if it has single values.

    A bar is one if a tenth of the texts have it. A bar, semicolon or comma is one if it gives fewer classes than there
    are texts, on two rows each on average. With `always`, the first that occurs is taken, else a bar.
    """
    import polars as pl

    if isinstance(series.dtype, pl.List | pl.Array):
        return "|"
    texts = texts_of(series)
    present = texts.drop_nulls()
    if len(present) and (present.str.starts_with("[") & present.str.ends_with("]")).all():
        return "["
    for separator in SEPARATORS:
        n_with = present.str.contains(separator, literal=True).sum()
        if n_with:
            parts = parts_of(texts, separator).drop_nulls().unique()
            n_classes = parts["label"].n_unique()
            if (
                always
                or (separator == "|" and 10 * n_with >= len(present))
                or n_classes < min(present.n_unique(), parts.height / 2 + 1)
            ):
                return separator
    return "|" if always else ""
