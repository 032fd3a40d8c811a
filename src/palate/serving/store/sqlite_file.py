"""The file of the SQLite store: its tables and version, how it is opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palate.errors import FeedbackError, StoreBusyError, StoreError
from palate.serving.store.digests import new_secret

APPLICATION = 0x70616C74  # "palt", in the header of the file
VERSION = 1  # of the tables; in the header too
TABLES = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL,
    n_events INTEGER NOT NULL,
    secret BLOB NOT NULL
);
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    id_key BLOB NOT NULL UNIQUE,
    user_key BLOB NOT NULL,
    mark BLOB NOT NULL,
    user_label TEXT NOT NULL,
    id TEXT NOT NULL,
    item_label TEXT NOT NULL,
    value REAL,
    event TEXT,
    time INTEGER NOT NULL,
    answer TEXT
);
CREATE INDEX events_of_user ON events (user_key, number);
CREATE TABLE items (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    label_key BLOB NOT NULL UNIQUE,
    label TEXT NOT NULL,
    attributes TEXT NOT NULL
);
CREATE TABLE api_keys (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    scopes TEXT NOT NULL
);
CREATE TABLE forgotten (
    digest BLOB PRIMARY KEY,
    number INTEGER NOT NULL,
    time INTEGER NOT NULL,
    is_clean INTEGER NOT NULL
);
"""
# By the beginning of the names that SQLite has for its errors.
MEANINGS = {
    "SQLITE_FULL": "{path} cannot grow: the disk is full. Make room; what was acknowledged is kept.",
    "SQLITE_READONLY": "{path} may not be written. Give the user of this process the right to write it and its folder.",
    "SQLITE_PERM": "{path} may not be opened. Give the user of this process the right to read and write it.",
    "SQLITE_CANTOPEN": "{path} cannot be opened. Its folder must exist, and the user of this process must be able to "
    "write there.",
    "SQLITE_NOTADB": "{path} is not an SQLite database. Give the path of a store, or one where there is no file yet.",
    "SQLITE_CORRUPT": "{path} is damaged. Stop palate and put a copy from before in its place, or save what can be "
    "read by the command .recover of sqlite3.",
    "SQLITE_IOERR": "{path} cannot be read or written ({error}). Look whether its disk is full or damaged, and whether "
    "it is a disk of this machine.",
}


def connected(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """A connection that waits for locks, syncs each commit to the disk and overwrites what it deletes."""
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    return connection


def prepare(connection: sqlite3.Connection, path: Path, busy_seconds: float) -> None:
    """Make the tables in an empty file; refuse a file that is not ours or is newer, and leave it as it is."""
    if _is_empty(connection, path):
        with contextlib.suppress(OSError):
            path.chmod(0o600)  # feedback and keys are nobody else's; the log gets the same rights
        _use_log(connection, path, busy_seconds)
        connection.execute("BEGIN IMMEDIATE")
        if _is_empty(connection, path):  # no other process was faster
            for statement in TABLES.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO state VALUES (1, 0, 0, ?)", (new_secret(),))
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    _use_log(connection, path, busy_seconds)
    if len(connection.execute("SELECT last FROM state").fetchall()) != 1:
        raise sqlite3.DatabaseError("no state")


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file has no tables yet. Raises StoreError unless it is empty or a store of this version."""
    application, version, n_tables = (
        connection.execute(query).fetchall()[0][0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if application == 0 and version == 0 and n_tables == 0:
        return True
    if application != APPLICATION:
        raise StoreError(
            f"{path} is a database of another program. Give the path of a store, or one where there is no file yet."
        )
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer palate (its tables have version {version}, this palate knows {VERSION}). "
            "Upgrade palate: pip install -U palate"
        )
    return False


def _use_log(connection: sqlite3.Connection, path: Path, busy_seconds: float) -> None:
    """Switch to the write-ahead log. SQLite does not wait for a lock here, so this does."""
    give_up = time.monotonic() + busy_seconds
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchall()[0]
        except sqlite3.OperationalError as error:
            if _name(error) != "SQLITE_BUSY" or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StoreError(
                f"{path} cannot have a write-ahead log ({mode} instead): put it on a disk of this machine."
            )
        return


def _name(error: sqlite3.Error) -> str:
    """SQLite's name for an error, without what comes after the first two words: SQLITE_IOERR."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


@contextmanager
def in_words(path: Path, busy_seconds: float) -> Iterator[None]:
    """Raise errors of SQLite as a StoreError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = _name(error)
        if name == "SQLITE_BUSY":  # SQLITE_LOCKED is no other process: two tables of a damaged file share a page
            raise StoreBusyError(
                f"another process has locked {path} for {busy_seconds:g} s. Try again, or end that process."
            ) from error
        if name in ("SQLITE_TOOBIG", "SQLITE_MISMATCH"):
            raise FeedbackError(f"a text is too long for SQLite ({error}): shorten it.") from error
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            raise StoreError("the store of feedback is closed.") from error
        if name in MEANINGS:
            raise StoreError(MEANINGS[name].format(path=path, error=error)) from error
        raise StoreError(f"{path} is not as palate left it ({error}). Put a copy from before in its place.") from error
