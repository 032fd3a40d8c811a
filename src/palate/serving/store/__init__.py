"""Where feedback is kept: a small interface and what implements it, SQLite (sqlite.py) and PostgreSQL (postgres.py)."""

from palate.serving.store.interface import Added, Event, Item, Key, Store, Stored

__all__ = ["Added", "Event", "Item", "Key", "Store", "Stored"]
