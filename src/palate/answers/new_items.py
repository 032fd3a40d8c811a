"""Items that nobody has rated come into a model, with their attributes, and known items get other attributes.

A new item gets what a fit gives to an item without ratings: the mean of the cold-start prior, moved by what its
attributes say where the model has learned from attributes of items. No other row changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.answers.resizing import add_rows
from palate.data.features.vectors import width_of
from palate.data.ratings import Ratings, Unrated
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label, Vocabulary
from palate.models.history_factors import HistoryFactors
from palate.models.model import Model
from palate.models.network import Network
from palate.models.side_information import SideInfo

if TYPE_CHECKING:
    import polars as pl


def with_items(model: Model, attributes: Mapping[Label, Mapping[str, Any]]) -> Model:
    """The model with these items, {label: {column: value}}; columns that its table lacks are left out.

    A value that is not of its column's type is missing. Raises LabelTypeError for labels of another type.
    """
    vocabulary = model.item_vocabulary
    codes = vocabulary.encode(list(attributes), on_unknown="mark") if attributes else np.zeros(0, np.int32)
    records = list(attributes.values())
    known = [(int(code), record) for code, record in zip(codes, records, strict=True) if code >= 0]
    new = [(label, record) for (label, record), code in zip(attributes.items(), codes, strict=True) if code < 0]
    if known and model.item_table is not None:
        model = replace(model, item_table=with_values(model.item_table, known))
    return _with_new(model, [label for label, _ in new], [record for _, record in new]) if new else model


def unrated_of(info: SideInfo | None) -> Unrated:
    """What becomes of rows of a table without ratings: they are kept where the model has learned from attributes."""
    return "drop" if info is None or info.attributes is None else "keep"


def with_described(model: Model, given: Ratings) -> Model:
    """The model with the users and items that only the tables of some ratings name, described by these tables."""
    model = _with_others(model, given.item_vocabulary, given.item_table)
    if given.user_table is None or unrated_of(model.user_info) == "drop":
        return model
    turned = _with_others(model.transposed(), given.user_vocabulary, given.user_table).transposed()
    return replace(turned, history=_in_their_order(model, turned))


def _in_their_order(model: Model, larger: Model) -> CompressedRows:
    """The history of a model for a larger one, whose new users have none: two transpositions lose the order of rows."""
    n_new = len(larger.user_vocabulary) - len(model.user_vocabulary)
    ends = np.full(n_new, model.history.indptr[-1])
    return replace(model.history, indptr=np.concatenate([model.history.indptr, ends]))


def _with_others(model: Model, given: Vocabulary, table: pl.DataFrame | None) -> Model:
    """The model with those items of a vocabulary and its table that it lacks, if it learned from such attributes."""
    if table is None or unrated_of(model.item_info) == "drop":
        return model
    new = np.flatnonzero(model.item_vocabulary.encode(given.labels, on_unknown="mark") < 0)
    labels, records = given.labels[new].tolist(), table[new].to_dicts()
    return with_items(model, dict(zip(labels, records, strict=True))) if labels else model


def _with_new(model: Model, labels: list[Label], records: list[Mapping[str, Any]]) -> Model:
    """The model with new items at the end."""
    old = model.item_vocabulary
    whole = Vocabulary.in_order([*old.labels.tolist(), *labels], what=old.what)
    table = None if model.item_table is None else _frame(model.item_table, [dict(record) for record in records])
    larger = add_rows(model, model.user_vocabulary, whole, (None, table))
    if isinstance(model.factors, HistoryFactors | Network):
        return larger
    rows = model.transposed().fold_in(CompressedRows.empty(len(labels)), _known_columns(model, records))
    items = larger.factors.items.copy()
    items[len(old) :] = rows.vectors
    posterior = larger.posterior
    if posterior is not None and rows.draws is not None:
        vectors = posterior.items.vectors.copy()
        vectors[:, len(old) :] = rows.draws
        posterior = replace(posterior, items=replace(posterior.items, vectors=vectors))
    return replace(larger, factors=replace(larger.factors, items=items), posterior=posterior)


def _known_columns(model: Model, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The attributes that the model has learned from; None where it learned from none."""
    info, table = model.item_info, model.item_table
    if info is None or info.attributes is None or table is None:
        return None
    widths = _widths(table)
    known = [{name: value for name, value in record.items() if name in table.columns} for record in records]
    return [
        {
            name: _value(value, table.schema[name], widths[name]) if name in widths else value
            for name, value in one.items()
        }
        for one in known
    ]


def _widths(table: pl.DataFrame) -> dict[str, int]:
    """The columns of vectors, and the length of their vectors."""
    widths = {column.name: width_of(column) for column in table}
    return {name: width for name, width in widths.items() if width is not None}


def _frame(table: pl.DataFrame, records: list[dict[str, Any]]) -> pl.DataFrame:
    """Records in the columns and types of a table."""
    import polars as pl

    widths = _widths(table)
    columns = {
        name: pl.Series(name, [_value(record.get(name), kind, widths.get(name)) for record in records], dtype=kind)
        for name, kind in table.schema.items()
    }
    return pl.DataFrame(columns, schema=table.schema)


def _value(value: Any, kind: pl.DataType, width: int | None = None) -> Any:
    """A value as a column of this type holds it, a vector of this width; None if it cannot."""
    import polars as pl

    if width is not None:
        if not isinstance(value, list | tuple) or len(value) != width:
            return None
        value = [float(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in value]
    elif isinstance(value, float) and kind.is_integer() and value.is_integer():
        value = int(value)
    elif isinstance(value, int) and not isinstance(value, bool) and kind.is_float():
        value = float(value)
    try:
        return pl.Series([value], dtype=kind, strict=True)[0]
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return None


def with_values(table: pl.DataFrame, known: Sequence[tuple[int, Mapping[str, Any]]]) -> pl.DataFrame:
    """A table with other values in some rows, given as (row, {column: value}); one of another type is missing."""
    import polars as pl

    widths = _widths(table)
    for name, kind in table.schema.items():
        given = [(at, record[name]) for at, record in known if name in record]
        if given:
            values = pl.Series([_value(value, kind, widths.get(name)) for _, value in given], dtype=kind)
            table = table.with_columns(_scattered(table[name], [at for at, _ in given], values).alias(name))
    return table


def _scattered(column: pl.Series, rows: list[int], values: pl.Series) -> pl.Series:
    """The column with other values in some rows; the last one of a row counts."""
    places = np.arange(len(column))
    places[rows] = len(column) + np.arange(len(rows))  # scatter() of polars knows no lists
    return column.clone().append(values).gather(places)
