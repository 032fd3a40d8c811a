"""Fitting: which of several tables, sheets or files is meant, by the names of its columns."""

from __future__ import annotations

from typing import Any

from palate.data.reading.names import is_common, plain


def fits_ratings(names: list[str], *, given: dict[str, Any], kind: str) -> bool:
    """True if columns are named so that ratings of a kind can be read from them; `given` as in choose_columns."""
    return all(_has(names, given, field) for field in ("user", "item", *(("rating",) if kind == "explicit" else ())))


def _has(names: list[str], given: dict[str, Any], field: str) -> bool:
    column = given[field]
    if column is None:
        return any(is_common(name, field) for name in names)
    return column in names if isinstance(column, str) else int(column) < len(names)


def fits_table(names: list[str], *, what: str, label: str | int | None) -> int:
    """1 if a column is the id of the items or users of a table, and none is that of the other side; 2 with a title."""
    other = "user" if what == "item" else "item"
    if isinstance(label, str):
        return int(label in names)
    is_id = any(is_common(name, what) or plain(name) == "id" for name in names)
    if not is_id or any(is_common(name, other) for name in names):
        return 0
    return 1 + any(plain(name).endswith(("title", "name")) for name in names)
