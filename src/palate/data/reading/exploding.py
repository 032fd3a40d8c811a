"""Exploding: a column with a list of items in each row becomes a row for each item.

Lists of ratings or times beside it, of the same lengths, go in step. Lists of anything else stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from palate.data.reading.columns import position_of
from palate.data.reading.frames import Table
from palate.data.reading.names import COMMON_NAMES, is_common, plain
from palate.errors import DataError, PalateError

if TYPE_CHECKING:
    import polars as pl

FIELDS_IN_STEP = ("rating", "count", "time", "weight")


def exploded(table: Table, given: dict[str, Any]) -> Table:
    """The table with a row for each item of its lists; as it is if its items stand in no lists.

    given: the caller's option for each field. Raises DataError if lists that belong together differ in length.
    """
    lists = {at: series for at in range(len(table.names)) if (series := _list_column(table, at)) is not None}
    if not lists:
        return table
    at = _item_position(table, lists, given)
    if at is None:
        return table
    if _is_of_records(lists[at]):
        return _of_records(table, lists[at], at)
    items = lists[at]
    lengths = items.list.len().fill_null(0)
    together = [other for other in lists if other != at and _goes_with(table, lists[other], other, given, lengths)]
    columns = {other: _values(lists[other]) for other in [at, *together]}
    names = [_name(table, other, given) if other in columns else name for other, name in enumerate(table.names)]
    return _repeated(replace(table, names=names), columns, lengths, table.names[at])


def _list_column(table: Table, at: int) -> pl.Series | None:
    """A column if it holds lists."""
    import polars as pl

    try:
        if not isinstance(table.sample(at).dtype, pl.List | pl.Array):
            return None
        series = table.column(at)
    except PalateError:  # a type that only this column has: it is an error where the column is needed
        return None
    return series.cast(pl.List(series.dtype.inner)) if isinstance(series.dtype, pl.Array) else series


def _item_position(table: Table, lists: dict[int, pl.Series], given: dict[str, Any]) -> int | None:
    """The column of lists of items: the one that the caller names, or one with a common name if no other column is."""
    if given.get("item") is not None:
        named = position_of(table.names, "item", given["item"], table.source)
        return named if named in lists else next((at for at in lists if _is_of_item_records(lists[at])), None)
    if any(is_common(name, "item") for at, name in enumerate(table.names) if at not in lists):
        return None
    found = [at for at in lists if _is_common(table.names[at], "item") or _is_of_item_records(lists[at])]
    if len(found) != 1 and table.named:
        names = " and ".join(repr(table.names[at]) for at in found or lists)
        raise DataError(
            f"{table.source}: no column found for item, and lists in {names}. If a list has the items of a user, pass "
            f"its name: item={table.names[(found or list(lists))[0]]!r}"
        )
    return found[0] if len(found) == 1 else None


def _is_of_records(lists: pl.Series) -> bool:
    import polars as pl

    return isinstance(lists.dtype, pl.List) and isinstance(lists.dtype.inner, pl.Struct)


def _is_of_item_records(lists: pl.Series) -> bool:
    """True for lists of records with an item in each: [{"item": "tea", "rating": 5}]."""
    return _is_of_records(lists) and any(is_common(field.name, "item") for field in lists.dtype.inner.fields)  # type: ignore[attr-defined]


def _is_common(name: str, field: str) -> bool:
    """True for a common name of a field, in the singular or plural."""
    return is_common(name, field) or is_common(plain(name).removesuffix("s"), field)


def _name(table: Table, at: int, given: dict[str, Any]) -> str:
    """The name of a column in the singular, if only that is a common one and the caller does not use the name."""
    name = table.names[at]
    if name in given.values() or any(is_common(name, field) for field in COMMON_NAMES):
        return name
    singular = name.removesuffix("s")
    return singular if any(is_common(singular, field) for field in COMMON_NAMES) else name


def _goes_with(table: Table, lists: pl.Series, at: int, given: dict[str, Any], lengths: pl.Series) -> bool:
    """True for lists of ratings, counts, times or weights, as many as there are items."""
    if _is_of_records(lists):
        return False
    asked = [given.get(field) for field in FIELDS_IN_STEP]
    is_named = any(one in (at, table.names[at]) for one in asked if one is not False)  # which is no position 0
    if not is_named and not any(_is_common(table.names[at], field) for field in FIELDS_IN_STEP):
        return False
    own = lists.list.len().fill_null(0)
    differing = (own != lengths).arg_true()
    if len(differing):
        row = differing[0]
        raise DataError(
            f"{table.source}, row {row} (from 0): {lengths[row]} items, and {own[row]} values of {table.names[at]!r}. "
            "Lists that belong together need the same length."
        )
    return True


def _values(lists: pl.Series) -> pl.Series:
    """The values of all lists, one after another."""
    return lists.filter(lists.list.len() > 0).explode()


def _of_records(table: Table, lists: pl.Series, at: int) -> Table:
    """The table with the fields of records in place of lists of them."""
    records = _values(lists).struct.unnest()
    n_own = len(table.names)
    names = [
        *table.names,
        *(name if name not in table.names else f"{table.names[at]}.{name}" for name in records.columns),
    ]
    columns = {n_own + number: column for number, column in enumerate(records.get_columns())}
    return _repeated(replace(table, names=names), columns, lists.list.len().fill_null(0), table.names[at])


def _repeated(table: Table, columns: dict[int, pl.Series], lengths: pl.Series, name: str) -> Table:
    """The table with each row as often as its list is long, and these columns in place of lists."""
    import numpy as np

    rows = np.repeat(np.arange(len(lengths)), lengths.to_numpy())
    where = table.where or (lambda row: f"row {row} (from 0)")

    def column(at: int) -> pl.Series:
        return columns[at] if at in columns else table.column(at).gather(rows)

    def label(at: int) -> pl.Series:
        return columns[at] if at in columns else table.label(at).gather(rows)

    return Table(
        table.source,
        table.names,
        column,
        label,
        table.named,
        where=lambda row: where(int(rows[row])),
        reasons={row: table.reasons[own] for row, own in enumerate(rows.tolist()) if own in table.reasons}
        if table.reasons
        else {},
        height=len(rows),
        how=table.how | {"lists": f"of {name}, a row for each item"},
    )
