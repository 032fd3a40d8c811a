"""Where feedback is kept: open_store gives a Store, in a file (SQLite) or on a server (PostgreSQL)."""

from __future__ import annotations

import re
from pathlib import Path

from palate.errors import StoreError
from palate.serving.store.committing import GroupCommit
from palate.serving.store.interface import Added, Event, Forgetting, Forgotten, Item, Key, Store, Stored

__all__ = ["Added", "Event", "Forgetting", "Forgotten", "GroupCommit", "Item", "Key", "Store", "Stored", "open_store"]

HOW = "give a path (feedback.db), sqlite:///feedback.db or postgresql://user:password@host:5432/database"


def open_store(url: str | Path) -> Store:
    """Open a store of feedback, and make its tables if it is new.

    url: the path of a file; or sqlite:/// and a path, where a fourth slash begins a path from the root, as in
    SQLAlchemy; or postgresql:// and what PostgreSQL takes behind it. Raises StoreError.
    """
    text = str(url)
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):(?=//|memory:)", text)
    if text.startswith((":memory:", "sqlite://:memory:", "sqlite:///:memory:")) or text in ("sqlite://", "sqlite:///"):
        raise StoreError("feedback in memory would be lost: name a file, such as sqlite:///feedback.db.")
    if isinstance(url, Path) or scheme is None:
        return _open_file(text)
    if scheme[1] == "sqlite":
        if not text.startswith("sqlite:///"):
            raise StoreError(
                "behind sqlite: come three slashes, and four for a path from the root: sqlite:///feedback.db."
            )
        return _open_file(text.removeprefix("sqlite:///"))
    if scheme[1] in ("postgresql", "postgres"):
        return _open_server(text)
    raise StoreError(f"there is no store of the kind {scheme[1]}: {HOW}.")


def _open_file(path: str) -> Store:
    from palate.serving.store.sqlite import SqliteStore

    if not path:
        raise StoreError(f"the store of feedback has no name: {HOW}.")
    return SqliteStore(path)


def _open_server(url: str) -> Store:
    try:
        from palate.serving.store.postgres import PostgresStore
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs psycopg: pip install 'palate[postgres]' ({error}).") from error
    return PostgresStore(url)
