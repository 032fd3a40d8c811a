"""The item table as the page needs it: what its columns are, which values to filter by, and the rows of items."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from palate.data.titles import titles
from palate.data.vocabulary import Label
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

MAX_VALUES = 60  # of a column, to choose from; a column of more is no filter
IDENTIFIER = re.compile(r"(^|[^a-z])id$|[a-z]I[dD]$")


class Value(Struct):
    """A value of a column, and how many items have it."""

    value: str
    n_items: int


class Column(Struct):
    """A column of the item table.

    type: "words" are texts such as "Action|Comedy", "list" are lists of texts, "title" is what items are called.
    """

    name: str
    type: Literal["number", "boolean", "text", "words", "list", "title", "other"]
    low: Annotated[float | None, Meta(description="The lowest number.")] = None
    high: Annotated[float | None, Meta(description="The highest number.")] = None
    values: Annotated[list[Value], Meta(description="Texts or words to choose from; none if there are many.")] = []


class Item(Struct):
    """An item: its label, its title, how many training ratings it has, and its row of the item table."""

    item: Label
    title: str | None
    n_ratings: int
    attributes: dict[str, Any]


def columns_of(model: Model) -> list[Column]:
    """The columns of a model's item table; none without one."""
    table = model.item_table
    if table is None:
        return []
    names = titles(table)
    return [_column(series, names) for series in table.iter_columns()]


def _column(series: pl.Series, names: Sequence[str | None] | None) -> Column:
    import polars as pl

    if series.dtype == pl.Boolean:
        return Column(series.name, "boolean")
    if series.dtype.is_numeric():
        finite = series.cast(pl.Float64).fill_nan(None).drop_nulls()
        finite = finite.filter(finite.is_finite())
        if len(finite) == 0 or IDENTIFIER.search(series.name):
            return Column(series.name, "other")
        return Column(series.name, "number", finite.min(), finite.max())  # type: ignore[arg-type]
    if series.dtype == pl.List(pl.String):
        return Column(series.name, "list", values=_values(series.explode().drop_nulls()))
    if series.dtype != pl.String:
        return Column(series.name, "other")
    if names is not None and series.to_list() == names:
        return Column(series.name, "title")
    words = series.drop_nulls().str.split("|").explode()
    kind: Literal["words", "text"] = "words" if len(words) > series.count() else "text"
    return Column(series.name, kind, values=_values(words))


def _values(words: pl.Series) -> list[Value]:
    """The words in the order of the alphabet, with how often each stands there; none if there are many."""
    words = words.str.strip_chars()
    words = words.filter(words != "")
    if words.n_unique() > MAX_VALUES:
        return []
    counts = words.value_counts()
    return [Value(word, count) for word, count in sorted(zip(*counts.get_columns(), strict=True))]


def item_of(model: Model, code: int, n_ratings: int) -> Item:
    """An item with its row of the item table, as JSON has it. Vectors, which may be long, are left out."""
    table = model.item_table
    row: Mapping[str, Any] = {} if table is None else _without_vectors(table).row(code, named=True)
    texts = model.item_titles
    label = model.item_vocabulary.decode([code]).tolist()[0]
    return Item(
        label,
        None if texts is None else texts[code],
        n_ratings,
        {name: _plain(value) for name, value in row.items()},
    )


def _without_vectors(table: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    kinds = table.schema.items()
    return table.drop([name for name, kind in kinds if isinstance(kind, pl.List) and kind.inner.is_float()])


def _plain(value: Any) -> Any:
    """A value as JSON has it: no NaN, and as a text what JSON has no word for."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value)
