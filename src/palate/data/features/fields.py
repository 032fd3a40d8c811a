"""Fields of classes and of numbers: `Classes` (one feature per class) and `Scale` (a number, bent at knots)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.features.base import Entries, Field, LeftOut, Limits
from palate.data.features.values import (
    column_of,
    dates_of,
    flags_of,
    is_missing,
    numbers_of,
    parts_of,
    place,
    series_of,
    years_in_titles_of,
)
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

MAX_DEVIATION = 10.0  # standard deviations from the mean: values further out, such as typing errors, are clipped
ROWS_PER_KNOT = 10  # with fewer rows near a knot, the height of the curve there cannot be learned
SEPARATORS = ("|", ";", ",")


@dataclass(frozen=True)
class Classes:
    """A field of classes: one per row (separator ""), several in a text or list, or a column of 0 and 1 for each."""

    name: str
    separator: str = ""  # "[" for texts like "['Action', 'Comedy']"
    columns: tuple[str, ...] = ()  # columns of 0 and 1, one for each class
    labels: tuple[str, ...] = ()
    n_rare: int = 0  # classes on too few rows to have a feature

    def __str__(self) -> str:
        kind = f"multi-valued, at {self.separator!r}" if self.separator else "categorical"
        kind = f"multi-valued, {len(self.columns)} columns of 0 and 1" if self.columns else kind
        rare = f", and {self.n_rare:,} too rare for a feature" if self.n_rare else ""
        return f"{kind}: {len(self.labels):,} {'class' if len(self.labels) == 1 else 'classes'}{rare}"

    @property
    def names(self) -> list[str]:
        """Feature names "field=class"."""
        return [f"{self.name}={label}" for label in self.labels]

    @property
    def heading(self) -> str:
        """Name of the field in explanations."""
        return self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of the table that it reads."""
        return self.columns or (self.name,)

    def learned(self, table: pl.DataFrame, limits: Limits) -> Field:
        """The field with the classes that are on `min_rows` rows or more.

        A rarer class is dropped and not pooled with other rare ones. On one row, its effect cannot be separated from
        the row's own factors; rare classes need not be alike; and the model must not hold a value that belongs to one
        user alone. Its row is encoded like one with an unseen class.
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
        """1/sqrt(n) at each of a row's n classes, so that the field has norm 1 in every row.

        The part of a factor that attributes predict, beta^T f, then has the same prior variance for a film of one genre
        and of five. A class without a feature counts in n: its effect is its prior mean, zero.
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

    def column_from(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The column of the field, from rows given as mappings; a list of values per row if it is multi-valued."""
        if not (self.separator or self.columns):
            return [row.get(self.name) for row in rows]
        flags = [flags_of(series_of(name, [row.get(name) for row in rows])) for name in self.columns]
        flagged = [[label for label, flag in zip(self._label_of.values(), row_flags, strict=True) if flag]
                   for row_flags in zip(*flags, strict=True)] or [[] for _ in rows]  # fmt: skip
        return [self._labels_in(row.get(self.name)) + more for row, more in zip(rows, flagged, strict=True)]

    def _labels_in(self, value: Any) -> list[str]:
        several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
        series = series_of(self.name, list(value) if several else [value])
        return parts_of(series, "" if several else self.separator or "|")["label"].drop_nulls().to_list()

    def _pairs(self, table: pl.DataFrame) -> pl.DataFrame:
        """The distinct (row, label) pairs of the field, without missing labels."""
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
        """Column of 0 and 1 -> its class: the column name, without the field name if all begin with it."""
        prefixed = re.compile(rf"{re.escape(self.name)}[_.:=](.+)", re.DOTALL)
        found = [prefixed.fullmatch(name) for name in self.columns]
        short = [match[1] for match in found if match]
        return dict(zip(self.columns, short if all(found) else self.columns, strict=True))


@dataclass(frozen=True)
class Scale:
    """A continuous field: the standardized value, perhaps a hat function for each knot, perhaps a flag for missing.

    The standardized value is (value - mean) / deviation, and 0 if missing. A hat is 1 at its knot and falls to 0 at the
    neighboring knots, so that together they can follow any curve with corners at the knots. The flag is 1 if missing.
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
        return (
            f"{AMOUNTS[self.reads].description}, about {self._shown(self.mean)} ± {self.deviation:.3g}{bends}{missing}"
        )

    @property
    def names(self) -> list[str]:
        """Feature names: the field, "field near knot" for each knot, and "field missing" if that is a feature."""
        name = self.heading
        near_knots = [f"{name} near {self._shown(knot)}" for knot in self.knots]
        return [name, *near_knots, *([f"{name} missing"] if self.marks_missing else [])]

    @property
    def sources(self) -> tuple[str, ...]:
        """The column of the table."""
        return (self.name,)

    @property
    def heading(self) -> str:
        """Name of the field in explanations, such as "title year" for years in titles."""
        return self.name + AMOUNTS[self.reads].suffix

    def _shown(self, amount: float) -> str:
        return f"{amount:.5g}" if self.reads == "number" else f"{amount:.1f}"

    def learned(self, table: pl.DataFrame, limits: Limits) -> Field:
        """The field with the mean, deviation and knots of its values. Raise DataError for a text without an amount."""
        values, bad = self._amounts(table)
        if len(bad):
            kind = AMOUNTS[self.reads].noun
            raise DataError(
                f"{place(table[self.name], bad[0])} is not a {kind}: correct it, or name the column in categorical=."
            )
        present = values[~np.isnan(values)]
        if len(present) == 0:
            return LeftOut(self.name, "no value on any row")
        if present.min() == present.max():
            return LeftOut(self.name, "the same value on every row that has one")
        unit = float(np.abs(present).max())  # keeps squares of huge amounts finite, and of tiny ones above 0
        return replace(
            self,
            mean=float((present / unit).mean()) * unit,
            deviation=float((present / unit).std()) * unit,
            knots=self._knots(present, limits.n_knots),
            marks_missing=len(values) - len(present) >= limits.min_rows,
        )

    def _knots(self, values: NDArray[np.float64], n_max: int) -> tuple[float, ...]:
        """At most n_max knots with equally many rows around each; none for few rows or few different values."""
        n = min(n_max, len(values) // ROWS_PER_KNOT)
        if n < 3 or len(np.unique(values)) <= n:
            return ()
        amounts = np.quantile(values, (np.arange(n) + 0.5) / n)
        knots = sorted({float(self._shown(amount)) for amount in amounts})  # rounded as in their names
        return tuple(knots) if len(knots) >= 3 else ()

    def encode(self, table: pl.DataFrame) -> Entries:
        """The features, clipped at MAX_DEVIATION standard deviations; a text without an amount is missing."""
        values, bad = self._amounts(table)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            scaled = np.where(missing, 0, (values - self.mean) / self.deviation)
        scaled = np.clip(scaled, -MAX_DEVIATION, MAX_DEVIATION)
        hats = [np.where(missing, 0, hat) for hat in _hats(values, self.knots)]
        block = np.stack([scaled, *hats, missing], axis=1)[:, : len(self.names)]
        rows, features = np.nonzero(block)
        return Entries(rows, features, block[rows, features], len(bad))

    def column_from(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The column of the field, from rows given as mappings."""
        return [row.get(self.name) for row in rows]

    def _amounts(self, table: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The amounts, nan if missing, shape (n,); and the rows of texts that have none but should."""
        series, how = column_of(table, self.name), AMOUNTS[self.reads]
        amounts = how.read(series)
        bad = (amounts.is_null() & ~is_missing(series)).arg_true().to_numpy()
        return amounts.fill_null(float("nan")).to_numpy(), bad[: len(bad) * how.is_strict]


class Amounts(NamedTuple):
    """A way to read amounts from a column."""

    read: Callable[[pl.Series], pl.Series]
    noun: str
    description: str
    suffix: str = ""  # of the feature names
    is_strict: bool = True  # a text without an amount is an error


AMOUNTS = {
    "number": Amounts(numbers_of, "number", "continuous"),
    "date": Amounts(dates_of, "date", "date"),
    "year in title": Amounts(years_in_titles_of, "title", "year in the title", " year", is_strict=False),
}


def _hats(values: NDArray[np.float64], knots: tuple[float, ...]) -> list[NDArray[np.float64]]:
    """For each knot: 1 there, 0 at the neighboring knots, linear between; constant beyond the outermost."""
    return [np.interp(values, knots, at_knots) for at_knots in np.eye(len(knots))]
