"""Features: a table of what is known of users or items -> a sparse design matrix, with the classes of every field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.errors import DataError, OptionError
from palate.kernels import compress_rows
from palate.vocabulary import Vocabulary

if TYPE_CHECKING:
    import polars as pl

FEW = 32  # whole numbers with no more values than this may be codes of classes ...
ROWS_PER_CODE = 10  # ... if each is met about this often: an effect of its own can then be learned
FURTHEST = 10.0  # deviations from the mean: a slip of the keyboard further out counts as this far
YEARS = (1000, 2200)
SEPARATORS = ("|", ";", ",")
IN_BRACKETS = r"""'[^']*'|"[^"]*"|[^,\[\]'"\s][^,\[\]]*"""  # the values in texts like "['Action', 'Comedy']"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
CODE = r"^[+-]?0[0-9]"  # digits, but no number
NO_NUMBER = r"(?i)^(na|n/a|nan|null|none|unknown|\?|-|\\n)$"  # missing, where an amount should stand
DATES = ("%d-%b-%Y", "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f")
YEAR = 365.25 * 86400e6  # in microseconds
ID_NAME = r"(?i)((^|[^a-z])id|(user|item|movie|film|book|imdb|tmdb|product|artist)id|zip|code|isbn|asin|phone)$"


class Entries(NamedTuple):
    """The filled places of one field: row, feature (from 0 in the field), value; and how many values have no place."""

    rows: NDArray[np.int64]
    features: NDArray[np.int64]
    values: NDArray[np.float64]
    n_unknown: int = 0


@dataclass(frozen=True)
class LeftOut:
    """A column that became no feature, and why."""

    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"left out: {self.why}"

    @property
    def names(self) -> list[str]:
        """No features."""
        return []

    def learned(self, _table: pl.DataFrame, _min_rows: int) -> Field:
        """Nothing to learn."""
        return self

    def encode(self, _table: pl.DataFrame) -> Entries:
        """Nothing at all; the column need not even be there."""
        return Entries(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class Classes:
    """A field of classes: one a row (separator ""), several in a text or list, or a column of 0 and 1 for each."""

    name: str
    separator: str = ""  # "[" for texts like "['Action', 'Comedy']"
    columns: tuple[str, ...] = ()  # of 0 and 1, one for each class
    labels: tuple[str, ...] = ()
    n_rare: int = 0  # classes on too few rows to have a feature

    def __str__(self) -> str:
        kind = f"multi-valued, at {self.separator!r}" if self.separator else "categorical"
        kind = f"multi-valued, {len(self.columns)} columns of 0 and 1" if self.columns else kind
        rare = f", and {self.n_rare:,} too rare for a feature" if self.n_rare else ""
        return f"{kind}: {len(self.labels):,} {'class' if len(self.labels) == 1 else 'classes'}{rare}"

    @property
    def names(self) -> list[str]:
        """field=class, in the order of the features."""
        return [f"{self.name}={label}" for label in self.labels]

    def learned(self, table: pl.DataFrame, min_rows: int) -> Field:
        """With the classes that are on `min_rows` rows or more.

        A rarer class is dropped, not pooled with other rare ones: on one row its effect cannot be told from the row's
        own factors, rare classes need not be alike, its row is then treated like one with a class never seen, and the
        model holds no value that belongs to one person alone.
        """
        counts = self._pairs(table)["label"].value_counts(name="n")
        common = counts.filter(counts["n"] >= min_rows)
        if counts.height == 0:
            return LeftOut(self.name, "no value on any row")
        if common.height == 0:
            return LeftOut(self.name, f"no value is on {min_rows} rows")
        if counts.height == 1 and counts["n"][0] == table.height:
            return LeftOut(self.name, "the same value on every row")
        labels = Vocabulary(common["label"].to_list(), what=self.name)
        return replace(self, labels=tuple(labels), n_rare=counts.height - common.height)

    def encode(self, table: pl.DataFrame) -> Entries:
        """1 at the class of a row; 1/sqrt(n) at each of n values, so that the field has norm 1 in every row.

        The attributes' part of a factor, beta^T f, then has the same prior variance for a film of one genre and of
        five. A value without a feature counts in n: its effect is at the prior mean, zero, but it keeps its share.
        """
        import polars as pl

        pairs = self._pairs(table)
        distinct = pairs["label"].unique()
        vocabulary = Vocabulary.in_order(self.labels, what=self.name)
        codes = pl.Series(vocabulary.encode(distinct.to_list(), on_unknown="mark").astype(np.int64))
        rows = pairs["row"].to_numpy()
        features = pairs["label"].replace_strict(distinct, codes, return_dtype=pl.Int64).to_numpy()
        known = np.flatnonzero(features >= 0)
        order = known[np.lexsort((features[known], rows[known]))]
        values = 1 / np.sqrt(np.bincount(rows)[rows[order]])
        return Entries(rows[order], features[order], values, len(rows) - len(known))

    def _pairs(self, table: pl.DataFrame) -> pl.DataFrame:
        """The distinct (row, label) of the field, without missing ones."""
        import polars as pl

        if not self.columns:
            return _parts(_column(table, self.name), self.separator).drop_nulls().unique()
        rows, at = np.nonzero(np.stack([_flags(_column(table, name)) for name in self.columns], axis=1))
        prefixed = re.compile(rf"{re.escape(self.name)}[_.:=](.+)", re.DOTALL)
        found = [prefixed.fullmatch(name) for name in self.columns]
        short = [match[1] for match in found if match]
        labels = pl.Series("label", short if all(found) else self.columns)
        return pl.DataFrame({"row": rows, "label": labels.gather(at)}).unique()


@dataclass(frozen=True)
class Scale:
    """A continuous field: (value - mean) / deviation, 0 where missing, and a feature for that if any was missing."""

    name: str
    is_date: bool = False  # counted in years
    mean: float = 0.0
    deviation: float = 1.0
    marks_missing: bool = False

    def __str__(self) -> str:
        kind = f"date, about {1970 + self.mean:.1f}" if self.is_date else f"continuous, about {self.mean:.5g}"
        return f"{kind} ± {self.deviation:.3g}" + (", and whether it is missing" if self.marks_missing else "")

    @property
    def names(self) -> list[str]:
        """The field itself, and perhaps "field missing"."""
        return [self.name, f"{self.name} missing"][: 1 + self.marks_missing]

    def learned(self, table: pl.DataFrame, _min_rows: int) -> Field:
        """With mean and standard deviation of the rows that have a value. DataError for a text that is no amount."""
        values, bad = self._amounts(table)
        if len(bad):
            kind = "date" if self.is_date else "number"
            raise DataError(f"{_place(table[self.name], bad[0])} is no {kind}: correct it, or name it in categorical=.")
        there = values[~np.isnan(values)]
        if len(there) == 0:
            return LeftOut(self.name, "no value on any row")
        if there.min() == there.max():
            return LeftOut(self.name, "the same value on every row that has one")
        unit = float(np.abs(there).max())  # keeps the squares of huge amounts finite, and of tiny ones above 0
        mean, deviation = float((there / unit).mean()) * unit, float((there / unit).std()) * unit
        return replace(self, mean=mean, deviation=deviation, marks_missing=len(there) < len(values))

    def encode(self, table: pl.DataFrame) -> Entries:
        """Standardised, at most FURTHEST deviations from the mean; a text that is no amount is missing."""
        values, bad = self._amounts(table)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            scaled = values / self.deviation - self.mean / self.deviation
        scaled = np.clip(np.where(missing, 0, scaled), -FURTHEST, FURTHEST)
        block = np.stack([scaled, missing], axis=1)[:, : len(self.names)]
        rows, features = np.nonzero(block)
        return Entries(rows, features, block[rows, features], len(bad))

    def _amounts(self, table: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Amounts, nan where missing, shape (n,); and the rows of texts that are none."""
        series = _column(table, self.name)
        amounts = _years(series) if self.is_date else _numbers(series)
        bad = (amounts.is_null() & ~_is_missing(series)).arg_true().to_numpy()
        return amounts.fill_null(float("nan")).to_numpy(), bad


Field = Classes | Scale | LeftOut
KINDS: dict[str, type[Field]] = {"classes": Classes, "scale": Scale, "left out": LeftOut}


@dataclass(frozen=True, eq=False)
class Design:
    """A sparse matrix, (n_rows, n_features), in compressed rows; and how many values of each field have no feature."""

    indptr: NDArray[np.int64]  # (n_rows + 1,)
    indices: NDArray[np.int32]  # (n_filled,), rising within a row
    values: NDArray[np.float32]  # (n_filled,)
    n_features: int
    unknown: dict[str, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return len(self.indptr) - 1, self.n_features

    def to_dense(self) -> NDArray[np.float32]:
        """The whole matrix, zeros included."""
        dense = np.zeros(self.shape, np.float32)
        dense[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.values
        return dense

    def __repr__(self) -> str:
        unknown = "".join(f", {count:,} unknown in {name}" for name, count in self.unknown.items())
        return f"Design({self.shape[0]:,} x {self.shape[1]:,}, {len(self.values):,} filled{unknown})"


@dataclass(frozen=True, repr=False)
class Features:
    """What the columns of a table became: classes, amounts, or left out. Prints as a report.

    >>> from palate.features import Features
    >>> features = Features.learned({"job": ["cook", "smith", "cook", "smith"], "likes": ["tea|jam", "tea", "jam", ""]})
    >>> print(features)
    4 features, learned from 4 rows
      job    categorical: 2 classes
      likes  multi-valued, at '|': 2 classes
    >>> features.names
    ['job=cook', 'job=smith', 'likes=jam', 'likes=tea']
    >>> features.encode({"job": ["cook", "nurse"], "likes": ["tea", "jam|tea"]})
    Design(2 x 4, 4 filled, 1 unknown in job)
    """

    fields: tuple[Field, ...]
    n_rows: int  # that were learned from

    @classmethod
    def learned(
        cls,
        table: Any,
        *,
        categorical: Sequence[str] = (),
        multivalued: Sequence[str] | Mapping[str, Sequence[str]] = (),
        continuous: Sequence[str] = (),
        exclude: Sequence[str] = (),
        min_rows: int = 2,
    ) -> Features:
        """Decide what each column of a frame (or mapping of columns) is, and learn its classes or its scale.

        Texts, truth values and small whole numbers are categorical; lists, texts with | ; or , between values, and
        three or more neighbouring columns of 0 and 1 multi-valued; other numbers, years and dates continuous. Left
        out: constant columns, and those where most rows have a value of their own (titles, ids, addresses).
        categorical, multivalued, continuous, exclude: columns for which nothing is decided; multivalued takes
        {field: columns of 0 and 1} too. min_rows: a class on fewer rows has no feature.

        Raises OptionError for a column that does not exist or is named twice; DataError, with column and row, for an
        infinite number, and for a named column that cannot be what it is said to be.
        """
        if isinstance(min_rows, bool) or not isinstance(min_rows, int) or min_rows < 1:
            raise OptionError(f"min_rows must be a whole number, 1 or more, got {min_rows!r}.")
        frame = _frame(table)
        asked = _asked(frame, categorical, multivalued, continuous, exclude)
        free = frame.drop([name for field in asked for name in _columns_of(field)])
        place = {name: at for at, name in enumerate(frame.columns)}
        every = sorted([*asked, *_found(free, place)], key=lambda field: place[_columns_of(field)[0]])
        learned = [_learned(field, frame, min_rows, is_asked=field in asked) for field in every]
        return cls(tuple(learned), frame.height)

    @cached_property
    def names(self) -> list[str]:
        """The features by name, such as "genre=Action", "age" and "age missing"."""
        return [name for field in self.fields for name in field.names]

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return len(self.names)

    @property
    def classes(self) -> dict[str, list[str]]:
        """Field -> its classes in the order of their features, for categorical and multi-valued fields."""
        return {field.name: list(field.labels) for field in self.fields if isinstance(field, Classes)}

    @property
    def report(self) -> dict[str, str]:
        """Field -> what it became, or why it was left out."""
        return {field.name: str(field) for field in self.fields}

    def encode(self, table: Any) -> Design:
        """The features of each row of a table that has the same columns (those left out may be missing), row by row.

        Missing values fill nothing, nor do values without a feature, which `unknown` counts by field. Raises DataError
        for a column that is not there, and for one that holds something else than what was learned.
        """
        frame = _frame(table)
        blocks = [field.encode(frame) for field in self.fields]
        starts = np.cumsum([0, *(len(field.names) for field in self.fields)])
        rows = _joined([block.rows for block in blocks], np.int32)
        indices = _joined([block.features + start for block, start in zip(blocks, starts, strict=False)], np.int32)
        values = _joined([block.values for block in blocks], np.float32)
        indptr, indices, values, _ = compress_rows(rows, indices, values, None, frame.height)
        counts = zip(self.fields, blocks, strict=True)
        unknown = {field.name: block.n_unknown for field, block in counts if block.n_unknown}
        return Design(indptr, indices, values, self.n_features, unknown)

    def to_dict(self) -> dict[str, Any]:
        """All of it as numbers, texts and lists, fit for JSON."""
        kind_of = {kind: name for name, kind in KINDS.items()}
        stored = [{"kind": kind_of[type(field)]} | asdict(field) for field in self.fields]
        return {"n_rows": self.n_rows, "fields": stored}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Features:
        """What to_dict() stored. DataError for anything that it cannot have stored."""
        try:
            restored = tuple(_restored(**field) for field in stored["fields"])
            return cls(restored, _of_type("int", stored["n_rows"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no description of features: {error!r}") from error

    def __str__(self) -> str:
        width = max((len(field.name) for field in self.fields), default=0)
        lines = [f"  {field.name:{width}}  {field}" for field in self.fields]
        return "\n".join([f"{self.n_features:,} features, learned from {self.n_rows:,} rows", *lines])

    __repr__ = __str__


# ---- what a column is


def _asked(frame: pl.DataFrame, categorical: Any, multivalued: Any, continuous: Any, exclude: Any) -> list[Field]:
    """The fields that the caller has told; OptionError for columns that are not there or told twice."""
    groups = multivalued if isinstance(multivalued, Mapping) else {}
    options = {"categorical": categorical, "multivalued": multivalued, "continuous": continuous, "exclude": exclude}
    for option, names in (options | dict(groups)).items():
        if isinstance(names, str):
            raise OptionError(f"{option}={names!r}: it takes several columns, so put the one into a list.")
    told: list[Field] = [Classes(name) for name in categorical]
    told += [Classes(name, columns=tuple(columns)) for name, columns in groups.items()]
    told += [Classes(name, separator="|") for name in multivalued if not groups]
    told += [Scale(name) for name in continuous] + [LeftOut(name, "as told") for name in exclude]
    columns = [name for field in told for name in _columns_of(field)]
    for name in columns:
        if name not in frame.columns:
            raise OptionError(f"there is no column {name!r}. The columns are {', '.join(map(repr, frame.columns))}.")
        if columns.count(name) > 1:
            raise OptionError(f"column {name!r} is told twice what it is.")
    for name in groups:
        if name in frame.columns and name not in columns:
            raise OptionError(f"a group of columns cannot be called {name!r}, since there is a column of that name.")
    return [_made_precise(field, frame) for field in told]


def _made_precise(field: Field, frame: pl.DataFrame) -> Field:
    """With the separator there is, and dates told from numbers."""
    if isinstance(field, Classes) and field.separator:
        return replace(field, separator=_separator(frame[field.name], always=True))
    if isinstance(field, Scale):
        return replace(field, is_date=_are_dates(frame[field.name]))
    return field


def _columns_of(field: Field) -> tuple[str, ...]:
    return (isinstance(field, Classes) and field.columns) or (field.name,)


def _learned(field: Field, frame: pl.DataFrame, min_rows: int, *, is_asked: bool) -> Field:
    learned = field.learned(frame, min_rows)
    if is_asked and isinstance(learned, LeftOut) and not isinstance(field, LeftOut):
        raise DataError(f"{field.name!r} cannot become features: {learned.why}. Leave it out, with exclude=.")
    return learned


def _found(frame: pl.DataFrame, taken: Any) -> list[Field]:
    """Fields for the columns of which nothing is told: groups of 0/1 columns first, then each of the others."""
    groups = _groups_of_flags(frame)
    found: list[Field] = []
    for columns in groups:
        name = _shared_prefix(columns).rstrip("_.:=") or "flags"
        while name in taken or name in {field.name for field in found}:
            name += "_"
        found.append(Classes(name, columns=tuple(columns)))
    return found + [_decided(series) for series in frame.drop([name for columns in groups for name in columns])]


def _groups_of_flags(frame: pl.DataFrame) -> list[list[str]]:
    """Three or more neighbouring columns of 0 and 1, cut where names begin alike; of truth values only such."""
    groups = []
    for kind, run in groupby(frame, key=_kind_of_flag):
        by_start: dict[str, list[str]] = {}
        for series in run:
            by_start.setdefault(re.split(r"(?<=[_.:=])", series.name)[0], []).append(series.name)
        alike = [names for names in by_start.values() if len(names) >= 3]
        others = [name for names in by_start.values() if len(names) < 3 for name in names]
        if kind:
            groups += alike
        if kind == "0/1" and len(others) >= 3:
            groups.append(others)
    return groups


def _kind_of_flag(series: pl.Series) -> str:
    import polars as pl

    if series.dtype == pl.Boolean:
        return "truth"
    if not series.dtype.is_numeric() or series.null_count() == len(series):
        return ""
    return "0/1" if ((series == 0) | (series == 1)).all() else ""


def _shared_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to its last punctuation: "genre_"; or nothing."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    return re.sub(r"[^_.:=]*$", "", "".join(letter for letter, _ in alike))


def _decided(series: pl.Series) -> Field:
    """What a column is, from its type and its values."""
    import polars as pl

    name, kind = series.name, series.dtype
    if series.null_count() == len(series):
        return LeftOut(name, "no value on any row")
    if isinstance(kind, pl.List | pl.Array):
        inner = kind.inner
        is_odd = inner.is_float() or _is_no_text(inner)
        return LeftOut(name, f"holds lists of {inner}") if is_odd else Classes(name, separator="|")
    if kind in (pl.Date, pl.Datetime):
        return Scale(name, is_date=True)
    if kind == pl.Boolean:
        return Classes(name)
    if kind.is_numeric():
        return _decided_of_numbers(series)
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        return _decided_of_text(series)
    return LeftOut(name, f"holds {kind}, neither text nor number")


def _decided_of_numbers(series: pl.Series) -> Field:
    numbers = _numbers(series).drop_nulls()
    n, n_distinct = len(numbers), numbers.n_unique()
    if n_distinct <= 2:
        return Classes(series.name)
    if (numbers != numbers.floor()).any():
        return Scale(series.name)
    is_label = re.search(ID_NAME, series.name)
    span = numbers.max() - numbers.min() + 1  # type: ignore[operator]
    if n_distinct > max(FEW, n / 2) and (is_label or (n_distinct == n and span < 1.5 * n)):
        return LeftOut(series.name, f"{n_distinct:,} different whole numbers on {n:,} rows: ids")
    is_code = n_distinct <= FEW and n >= ROWS_PER_CODE * n_distinct and not numbers.is_between(*YEARS).all()
    return Classes(series.name) if is_label or is_code else Scale(series.name)


def _decided_of_text(series: pl.Series) -> Field:
    name, texts = series.name, _text(series).drop_nulls()
    n, n_distinct = len(texts), texts.n_unique()
    if _are_dates(series):
        return Scale(name, is_date=True)
    if _are_amounts(texts):
        return _decided_of_numbers(series)
    if n and texts.str.contains("^https?://").all():
        return LeftOut(name, "web addresses")
    if separator := _separator(series):
        return Classes(name, separator=separator)
    if n_distinct > max(FEW, n / 2):
        return LeftOut(name, f"{n_distinct:,} different texts on {n:,} rows: names, ids or prose")
    return Classes(name)


def _are_amounts(texts: pl.Series) -> bool:
    """Whether texts are numbers, and no codes: not 007, and no whole numbers but years if there are few of them."""
    numbers = texts.filter(~texts.str.contains(NO_NUMBER))
    if len(numbers) == 0 or not numbers.str.contains(NUMBER).all() or numbers.str.contains(CODE).any():
        return False
    amounts = numbers.str.to_integer(strict=False)
    if amounts.null_count() or numbers.n_unique() > FEW:
        return True
    return bool(amounts.is_between(*YEARS).all())


def _are_dates(series: pl.Series) -> bool:
    """Whether all there is, is a date."""
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return True
    if series.dtype != pl.String:
        return False
    missing = _is_missing(series)
    return not missing.all() and bool((_years(series).is_not_null() | missing).all())


def _separator(series: pl.Series, *, always: bool = False) -> str:
    """What stands between the values of a multi-valued column, or nothing.

    A bar always does; a semicolon or comma if it cuts into fewer classes than there are texts, on two rows on average.
    """
    import polars as pl

    if isinstance(series.dtype, pl.List | pl.Array):
        return "|"
    texts = _text(series)
    there = texts.drop_nulls()
    if len(there) and (there.str.starts_with("[") & there.str.ends_with("]")).all():
        return "["
    for separator in SEPARATORS:
        if there.str.contains(separator, literal=True).any():
            parts = _parts(texts, separator).drop_nulls().unique()
            n_classes = parts["label"].n_unique()
            if always or separator == "|" or n_classes < min(there.n_unique(), parts.height / 2 + 1):
                return separator
    return "|" if always else ""


# ---- values of a column


def _frame(table: Any) -> pl.DataFrame:
    """A frame of any kind, or a mapping of columns, as polars has it."""
    import narwhals as nw
    import polars as pl

    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, Mapping):
        columns = [_series(str(name), values) for name, values in table.items()]
    else:
        try:
            frame = nw.from_native(table)
        except TypeError as error:
            raise DataError(f"cannot take features from a {type(table).__name__}: give a frame.") from error
        eager = frame.collect("polars") if isinstance(frame, nw.LazyFrame) else frame
        columns = [_series(str(name), eager[name]) for name in eager.columns]
    if len({len(column) for column in columns}) > 1:
        raise DataError(f"columns of different lengths: {', '.join(f'{s.name} {len(s)}' for s in columns)}.")
    return pl.DataFrame(columns)


def _series(name: str, values: Any) -> pl.Series:
    """A column; a mix of types, or what only Python knows, as text."""
    import narwhals as nw
    import polars as pl

    if isinstance(values, nw.Series):
        is_objects = values.implementation.is_pandas_like() and values.dtype in (nw.Object, nw.String, nw.Unknown)
        if not is_objects:
            return values.to_polars().alias(name)
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return pl.Series(name, values)
    plain = (value.tolist() if isinstance(value, np.ndarray | np.generic) else value for value in values)
    given = [None if _is_nothing(value) else value for value in plain]
    try:
        return pl.Series(name, given)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if value is None else str(value) for value in given], dtype=pl.String)


def _is_nothing(value: Any) -> bool:
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)


def _column(table: pl.DataFrame, name: str) -> pl.Series:
    if name not in table.columns:
        raise DataError(
            f"there is no column {name!r}, of which features were learned; the columns are {table.columns}."
        )
    return table[name]


def _parts(series: pl.Series, separator: str) -> pl.DataFrame:
    """(row, label) of each value of each row; label null where there is none."""
    import polars as pl

    values = series
    if separator and isinstance(series.dtype, pl.Array):
        values = series.arr.to_list()
    elif separator and not isinstance(series.dtype, pl.List):
        texts = _text(series)
        values = texts.str.extract_all(IN_BRACKETS) if separator == "[" else texts.str.split(separator)
    pairs = pl.DataFrame({"row": pl.Series(range(len(values)), dtype=pl.Int64), "label": values})
    if separator:
        pairs = pairs.explode("label")
    labels = _text(pairs["label"].alias(series.name))
    if separator == "[":
        labels = _text(labels.str.strip_chars("'\""))
    return pairs.with_columns(label=labels)


def _text(series: pl.Series) -> pl.Series:
    """Each value as text without blanks around it, whole numbers without a point; null where there is nothing."""
    import polars as pl

    kind = series.dtype
    if _is_no_text(kind):
        raise DataError(f"column {series.name!r} holds {kind}: not one text or number a row.")
    if kind.is_float() or kind.is_decimal():
        numbers = _numbers(series)
        whole = (numbers == numbers.floor()) & (numbers.abs() < 2**53)
        return numbers.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, numbers.cast(pl.String))
    texts = series.cast(pl.String).str.strip_chars()
    return texts.set(texts == "", None)


def _is_no_text(kind: Any) -> bool:
    import polars as pl

    return kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Duration)


def _flags(series: pl.Series) -> NDArray[np.bool_]:
    """Where a column of 0 and 1 has 1; DataError for anything else but missing values."""
    numbers = _numbers(series)
    bad = ~((numbers == 0) | (numbers == 1)).fill_null(_is_missing(series))
    if bad.any():
        raise DataError(f"{_place(series, bad.arg_true()[0])} is neither 0 nor 1.")
    return (numbers == 1).fill_null(False).to_numpy()


def _numbers(series: pl.Series) -> pl.Series:
    """Float64, null where missing or no number; DataError for an infinite one."""
    import polars as pl

    kind = series.dtype
    if kind.is_temporal() or _is_no_text(kind):
        raise DataError(f"column {series.name!r} holds {kind}, where numbers are expected.")
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        numbers = series.cast(pl.Float64).fill_nan(None)
    else:
        texts = _text(series)
        numbers = texts.set(~texts.str.contains(NUMBER), None).cast(pl.Float64)
    infinite = numbers.is_infinite().fill_null(False)
    if infinite.any():
        raise DataError(f"{_place(series, infinite.arg_true()[0])} is infinite: correct it, or make it missing.")
    return numbers


def _years(series: pl.Series) -> pl.Series:
    """Years since 1970 of dates and of their texts, Float64, null where missing or no date."""
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        return series.dt.epoch("us") / YEAR
    if series.dtype not in (pl.String, pl.Null):
        raise DataError(f"column {series.name!r} holds {series.dtype}, where dates are expected.")
    texts = _text(series).str.replace(r"^(\d{4}-\d\d-\d\d)T", "${1} ").str.replace(r"(Z|\+00:?00)$", "")
    read = [texts.str.strptime(pl.Datetime("us"), form, strict=False) for form in DATES]
    return pl.select(pl.coalesce(*read)).to_series().dt.epoch("us") / YEAR


def _is_missing(series: pl.Series) -> pl.Series:
    """Whether there is no value, or a word for none where an amount should stand."""
    import polars as pl

    if series.dtype.is_float():
        return series.is_null() | series.is_nan().fill_null(False)
    if series.dtype != pl.String and not isinstance(series.dtype, pl.Categorical | pl.Enum):
        return series.is_null()
    texts = _text(series)
    return texts.is_null() | texts.str.contains(NO_NUMBER).fill_null(True)


def _place(series: pl.Series, row: int) -> str:
    return f"column {series.name!r}, row {row} (from 0): {series[int(row)]!r}"


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind)


# ---- what was stored


def _restored(kind: str, **stored: Any) -> Field:
    types = {field.name: str(field.type) for field in fields(KINDS[kind])}
    field = KINDS[kind](**{name: _of_type(types[name], value) for name, value in stored.items()})
    if isinstance(field, Classes) and (
        len(set(field.labels)) < len(field.labels) or field.separator not in ("", "[", *SEPARATORS)
    ):
        raise ValueError(f"classes of {field.name!r}")
    if isinstance(field, Scale) and not (np.isfinite(field.mean) and 0 < field.deviation < np.inf):
        raise ValueError(f"the scale of {field.name!r}")
    return field


def _of_type(name: str, value: Any) -> Any:
    """The value, if it is of the type of that name; a list as a tuple of texts."""
    if name.startswith("tuple"):
        return tuple(_of_type("str", text) for text in value)
    if type(value).__name__ != name:
        raise TypeError(f"{value!r} is no {name}")
    return value
