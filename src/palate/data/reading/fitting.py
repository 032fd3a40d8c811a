"""Fitting: which of several tables, sheets or files is meant, by the names of its columns."""

from __future__ import annotations

from typing import Any

from palate.data.reading.columns import is_common, plain


def fits_ratings(names: list[str], *, given: dict[str, Any], kind: str) -> bool:
    """True if columns are named so that ratings of a kind can be read from them; `given` as in choose_columns."""
    return all(_has(names, given, field) for field in ("user", "item", *(("rating",) if kind == "explicit" else ())))


def _has(names: list[str], given: dict[str, Any], field: str) -> bool:
    column = given[field]
    if column is None:
        return any(is_common(name, field) for name in names)
    return column in names if isinstance(column, str) else int(column) < len(names)


def fits_table(names: list[str], *, what: str, label: str | int | None) -> bool:
    """True if one of the columns is the id of the items or users of a table, and no other is that of the other side."""
    other = "user" if what == "item" else "item"
    if isinstance(label, str):
        return label in names
    is_id = any(is_common(name, what) or plain(name) == "id" for name in names)
    return is_id and not any(is_common(name, other) for name in names)
