"""The fields that columns become: classes, amounts, or nothing. Each learns from a table and encodes another."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.features.frames import series_of
from palate.data.features.values import (
    column_of,
    dates_of,
    flags_of,
    is_missing,
    numbers_of,
    parts_of,
    place,
    years_in_titles_of,
)
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

FURTHEST = 10.0  # deviations from the mean: a slip of the keyboard further out counts as this far
ROWS_PER_KNOT = 10  # fewer rows near a knot than this do not tell how high the curve is there
SEPARATORS = ("|", ";", ",")


class Limits(NamedTuple):
    """What a feature needs in order to exist."""

    min_rows: int = 2  # rows of a class
    n_knots: int = 7  # of a continuous field, at most


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

    @property
    def heading(self) -> str:
        """What the field is called."""
        return self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    def learned(self, _table: pl.DataFrame, _limits: Limits) -> Field:
        """Nothing to learn."""
        return self

    def encode(self, _table: pl.DataFrame) -> Entries:
        """Nothing at all; the column need not even be there."""
        return Entries(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def told(self, _rows: Sequence[Mapping[str, Any]]) -> list[Any] | None:
        """No column."""
        return None


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

    @property
    def heading(self) -> str:
        """What the field is called where its features are."""
        return self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it is made of."""
        return self.columns or (self.name,)

    def learned(self, table: pl.DataFrame, limits: Limits) -> Field:
        """With the classes that are on `min_rows` rows or more.

        A rarer class is dropped, not pooled with other rare ones: on one row its effect cannot be told from the row's
        own factors, rare classes need not be alike, its row is then treated like one with a class never seen, and the
        model holds no value that belongs to one person alone.
        """
        counts = self._pairs(table)["label"].value_counts(name="n")
        common = counts.filter(counts["n"] >= limits.min_rows)
        if counts.height == 0:
            return LeftOut(self.name, "no value on any row")
        if common.height == 0:
            return LeftOut(self.name, f"no value is on {limits.min_rows} rows")
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

    def told(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The column of the field, from rows told one by one: a list of values a row where several may be."""
        if not (self.separator or self.columns):
            return [row.get(self.name) for row in rows]
        flags = [flags_of(series_of(name, [row.get(name) for row in rows])) for name in self.columns]
        flagged = [[label for label, flag in zip(self._label_of.values(), here, strict=True) if flag]
                   for here in zip(*flags, strict=True)] or [[] for _ in rows]  # fmt: skip
        return [self._listed(row.get(self.name)) + more for row, more in zip(rows, flagged, strict=True)]

    def _listed(self, value: Any) -> list[str]:
        several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
        series = series_of(self.name, list(value) if several else [value])
        return parts_of(series, "" if several else self.separator or "|")["label"].drop_nulls().to_list()

    def _pairs(self, table: pl.DataFrame) -> pl.DataFrame:
        """The distinct (row, label) of the field, without missing ones."""
        import polars as pl

        if not self.columns or (self.name in table.columns and self.columns[0] not in table.columns):
            return (
                parts_of(column_of(table, self.name), self.separator or "|" * bool(self.columns)).drop_nulls().unique()
            )
        rows, at = np.nonzero(np.stack([flags_of(column_of(table, name)) for name in self.columns], axis=1))
        labels = pl.Series("label", list(self._label_of.values()))
        return pl.DataFrame({"row": rows, "label": labels.gather(at)}).unique()

    @property
    def _label_of(self) -> dict[str, str]:
        """Column of 0 and 1 -> its class: the name of the column, without that of the field if all begin with it."""
        prefixed = re.compile(rf"{re.escape(self.name)}[_.:=](.+)", re.DOTALL)
        found = [prefixed.fullmatch(name) for name in self.columns]
        short = [match[1] for match in found if match]
        return dict(zip(self.columns, short if all(found) else self.columns, strict=True))


@dataclass(frozen=True)
class Scale:
    """A continuous field: (value - mean) / deviation, bent at a few knots, and perhaps whether it is missing.

    Its features are the standardised value, 0 where missing; a hat for each knot, 1 there and falling to 0 at the
    knots beside it, so that together they can follow any curve with corners at the knots; and 1 where missing.
    """

    name: str
    reads: str = "number"
    mean: float = 0.0
    deviation: float = 1.0
    knots: tuple[float, ...] = ()
    marks_missing: bool = False

    def __str__(self) -> str:
        bends = f", bent at {len(self.knots)} knots" if self.knots else ""
        missing = ", and whether it is missing" if self.marks_missing else ""
        return f"{AMOUNTS[self.reads].told}, about {self._shown(self.mean)} ± {self.deviation:.3g}{bends}{missing}"

    @property
    def names(self) -> list[str]:
        """The field itself, perhaps "field near knot" for each knot, perhaps "field missing"."""
        here = self.heading
        return [here, *(f"{here} near {self._shown(knot)}" for knot in self.knots), f"{here} missing"][
            : 1 + len(self.knots) + self.marks_missing
        ]

    @property
    def sources(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    @property
    def heading(self) -> str:
        """What the field is called where its features are: "title year" of titles."""
        return self.name + AMOUNTS[self.reads].suffix

    def _shown(self, amount: float) -> str:
        return f"{amount:.5g}" if self.reads == "number" else f"{amount:.1f}"

    def learned(self, table: pl.DataFrame, limits: Limits) -> Field:
        """With mean and standard deviation of the rows that have a value. DataError for a text that is no amount."""
        values, bad = self._amounts(table)
        if len(bad):
            kind = AMOUNTS[self.reads].noun
            raise DataError(f"{place(table[self.name], bad[0])} is no {kind}: correct it, or name it in categorical=.")
        there = values[~np.isnan(values)]
        if len(there) == 0:
            return LeftOut(self.name, "no value on any row")
        if there.min() == there.max():
            return LeftOut(self.name, "the same value on every row that has one")
        unit = float(np.abs(there).max())  # keeps the squares of huge amounts finite, and of tiny ones above 0
        return replace(
            self,
            mean=float((there / unit).mean()) * unit,
            deviation=float((there / unit).std()) * unit,
            knots=self._knots(there, limits.n_knots),
            marks_missing=len(values) - len(there) >= limits.min_rows,
        )

    def _knots(self, there: NDArray[np.float64], most: int) -> tuple[float, ...]:
        """Amounts with equally many rows around each; none for few rows or few different amounts."""
        n = min(most, len(there) // ROWS_PER_KNOT)
        if n < 3 or len(np.unique(there)) <= n:
            return ()
        amounts = np.quantile(there, (np.arange(n) + 0.5) / n)
        knots = sorted({float(self._shown(amount)) for amount in amounts})  # as they are named, no two alike
        return tuple(knots) if len(knots) >= 3 else ()

    def encode(self, table: pl.DataFrame) -> Entries:
        """Standardised, at most FURTHEST deviations from the mean; a text that is no amount is missing."""
        values, bad = self._amounts(table)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            scaled = np.where(missing, 0, (values - self.mean) / self.deviation)
        scaled = np.clip(scaled, -FURTHEST, FURTHEST)
        hats = [np.where(missing, 0, hat) for hat in _hats(values, self.knots)]
        block = np.stack([scaled, *hats, missing], axis=1)[:, : len(self.names)]
        rows, features = np.nonzero(block)
        return Entries(rows, features, block[rows, features], len(bad))

    def told(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The column of the field, from rows told one by one."""
        return [row.get(self.name) for row in rows]

    def _amounts(self, table: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Amounts, nan where missing, shape (n,); and the rows of texts that are none."""
        series, how = column_of(table, self.name), AMOUNTS[self.reads]
        amounts = how.read(series)
        bad = (amounts.is_null() & ~is_missing(series)).arg_true().to_numpy()
        return amounts.fill_null(float("nan")).to_numpy(), bad[: len(bad) * how.is_strict]


Field = Classes | Scale | LeftOut


class Amounts(NamedTuple):
    """A way to read amounts from a column."""

    read: Callable[[pl.Series], pl.Series]
    noun: str
    told: str
    suffix: str = ""  # of the features' names
    is_strict: bool = True  # whether a text without an amount is wrong


AMOUNTS = {
    "number": Amounts(numbers_of, "number", "continuous"),
    "date": Amounts(dates_of, "date", "date"),
    "year in title": Amounts(years_in_titles_of, "title", "year in the title", " year", is_strict=False),
}


def _hats(values: NDArray[np.float64], knots: tuple[float, ...]) -> list[NDArray[np.float64]]:
    """For each knot, 1 there, 0 at the knots beside it, straight between; constant beyond the outermost."""
    return [np.interp(values, knots, at_knots) for at_knots in np.eye(len(knots))]
