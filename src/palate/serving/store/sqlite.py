"""The store in one file: SQLite with a write-ahead log, synchronised to the disk at each commit.

One connection writes, under a lock; others read, and never wait for it. Further processes may open the same file, on
this machine: the lock of SQLite then orders the writers.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palate.errors import FeedbackError, StoreBusyError, StoreError
from palate.serving.store.checking import attributes_as_json, check_events, check_key, check_text
from palate.serving.store.digests import Digests
from palate.serving.store.interface import Added, Event, Forgetting, Forgotten, Item, Key, Stored
from palate.serving.store.pool import Pool
from palate.serving.store.sqlite_file import MEANINGS, connected, in_words, prepare
from palate.serving.store.traces import holds

BUSY_SECONDS = 10.0  # how long to wait for a lock of another process
WRITER_MEMORY = 32_000  # KB of pages kept by the connection that writes: indexes are written at random places
LOG_PAGES = 4000  # 16 MB: how long the log grows before its pages are moved into the database
PAGE = 1000  # events read at once
LONG_LABEL = 8  # bytes: a label as long is looked for itself, a shorter one may stand anywhere by chance

STATE = "SELECT last, n_events FROM state"
SET_STATE = "UPDATE state SET last = ?, n_events = ?"
ADD = """
INSERT INTO events (number, id_key, user_key, mark, user_label, id, item_label, value, event, time, answer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id_key) DO NOTHING
"""
COLUMNS = "number, id, user_label, item_label, value, event, time, answer"
OF_USER = f"SELECT {COLUMNS} FROM events WHERE user_key = ? AND number > ? ORDER BY number"
SINCE = f"SELECT {COLUMNS} FROM events WHERE number > ? AND number <= ? ORDER BY number LIMIT {PAGE}"
FORGET = """
INSERT INTO forgotten (digest, number, time, is_clean) VALUES (?, ?, ?, 0)
ON CONFLICT (digest) DO UPDATE SET number = excluded.number, time = excluded.time, is_clean = 0
"""
PUT_ITEM = """
INSERT INTO items (label_key, label, attributes) VALUES (?, ?, ?)
ON CONFLICT (label_key) DO UPDATE SET attributes = excluded.attributes
"""


class SqliteStore:
    """A store in a file. See Store for what the methods do.

    forget() leaves the label and the events in no file of the database: deleted rows are overwritten (secure_delete),
    the log is cut to length 0, and where the database had moved rows about and left an old copy in an unused part of a
    page, it is written anew (VACUUM, 2 s for 300,000 events).
    """

    def __init__(self, path: str | Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = Path(path).absolute()
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()  # of the connection that writes
        self._watching = threading.Lock()  # of the one that looks whether anybody wrote
        self._seen: int | None = None
        self._last = 0
        self._readers = Pool(self._connect_to_read)
        opened: list[sqlite3.Connection] = []
        try:
            with in_words(self._path, busy_seconds):
                self._writer = connected(self._path, busy_seconds)
                opened.append(self._writer)
                self._writer.execute(f"PRAGMA cache_size = -{WRITER_MEMORY}")
                self._writer.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}").fetchall()
                prepare(self._writer, self._path, busy_seconds)
                self._digests = Digests(self._one(self._writer, "SELECT secret FROM state")[0])
                self._watcher = self._connect_to_read()
                opened.append(self._watcher)
            self._clean_up_after_a_kill()
        except BaseException:  # a connection that is left open would lock the file
            self._readers.close()
            for connection in opened:
                connection.close()
            raise

    def add(self, events: Sequence[Event]) -> Added:
        """Keep events in one transaction; those whose id is known already are left as they are."""
        rows = [self._row(event) for event in check_events(events)]
        if not rows:
            return Added((), self.last())
        is_new = []
        with self._writing() as writer:
            last, n_events = self._one(writer, STATE)
            first = last
            for row in rows:
                is_new.append(writer.execute(ADD, (last + 1, *row)).rowcount == 1)
                last += is_new[-1]
            if last > first:
                writer.execute(SET_STATE, (last, n_events + last - first))
        return Added(tuple(is_new), last)

    def of_user(self, user: str, after: int = 0) -> list[Stored]:
        """The events of a user with a number above `after`, in order."""
        key = self._digests.of_user(check_text(user, "the user"))
        return [_stored(row) for row in self._read(OF_USER, (key, after))]

    def since(self, after: int = 0, up_to: int | None = None) -> Iterator[Stored]:
        """All events with a number above `after` and at most `up_to`, in order, in bounded memory."""
        up_to = self.last() if up_to is None else up_to
        while rows := self._read(SINCE, (after, up_to)):
            for row in rows:
                if row[0] <= after:  # or reading would never end
                    raise StoreError(MEANINGS["SQLITE_CORRUPT"].format(path=self._path))
                after = row[0]
                yield _stored(row)

    def last(self) -> int:
        """The highest sequence number ever given; 0 in an empty store. 10 us, unless something was written since."""
        with self._watching, in_words(self._path, self._busy_seconds):
            version = self._one(self._watcher, "PRAGMA data_version")[0]
            if version != self._seen:
                self._last, _ = self._one(self._watcher, STATE)
                self._seen = version
            return self._last

    def count(self) -> int:
        """The number of events kept."""
        return int(self._read(STATE)[0][1])

    def forget(self, user: str) -> Forgotten:
        """Remove a user's events for good, and remember the user's digest, so that no later fit learns of them."""
        check_text(user, "the user")
        digest, key = self._digests.of_forgotten(user), self._digests.of_user(user)
        with self._writing() as writer:
            last, n_events = self._one(writer, STATE)
            removed = writer.execute("DELETE FROM events WHERE user_key = ?", (key,)).rowcount
            writer.execute(FORGET, (digest, last + 1, int(time.time())))
            writer.execute(SET_STATE, (last + 1, n_events - removed))
        label = user.encode()
        try:
            self._wipe([self._digests.mark(user), *([label] if len(label) >= LONG_LABEL else [])])
        except (StoreError, OSError) as error:
            raise StoreError(
                f"the user's events are removed, but copies may be left in unused parts of {self._path}. {error} "
                "Then forget the user once more."
            ) from error
        with self._writing() as writer:
            writer.execute("UPDATE forgotten SET is_clean = 1 WHERE digest = ?", (digest,))
        return Forgotten(removed, last + 1)

    def forgettings(self, users: Iterable[str]) -> list[Forgetting | None]:
        """When each user was forgotten last; None for those who never were."""
        digests = [self._digests.of_forgotten(check_text(user, "the user")) for user in users]
        with in_words(self._path, self._busy_seconds), self._readers.borrowed() as reader:
            query = "SELECT number, time FROM forgotten WHERE digest = ?"
            found = [reader.execute(query, (digest,)).fetchall() for digest in digests]
        return [Forgetting(*rows[0]) if rows else None for rows in found]

    def is_forgotten(self, users: Iterable[str]) -> list[bool]:
        """Whether each user has ever been forgotten; it stays True when the user comes back."""
        return [forgetting is not None for forgetting in self.forgettings(users)]

    def put_items(self, items: Sequence[Item]) -> None:
        """Keep the attributes of items, all or none; those put before are replaced."""
        attributes = [attributes_as_json(item) for item in items]
        rows = [
            (self._digests.of_item(item.label), item.label, text) for item, text in zip(items, attributes, strict=True)
        ]
        with self._writing() as writer:
            writer.executemany(PUT_ITEM, rows)

    def items(self) -> list[Item]:
        """Every item put, in the order of the first time."""
        rows = self._read("SELECT label, attributes FROM items ORDER BY position")
        return [Item(label, json.loads(attributes)) for label, attributes in rows]

    def add_key(self, key: Key) -> None:
        """Keep a key. Raises FeedbackError if the name is taken."""
        check_key(key)
        query = "INSERT INTO api_keys (name, digest, scopes) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
        with self._writing() as writer:
            if not writer.execute(query, (key.name, key.digest, json.dumps(sorted(key.scopes)))).rowcount:
                raise FeedbackError(f"there is a key {key.name!a} already: remove it first, or choose another name.")

    def remove_key(self, name: str) -> bool:
        """Remove a key; whether there was one."""
        check_text(name, "the name of a key")
        with self._writing() as writer:
            return writer.execute("DELETE FROM api_keys WHERE name = ?", (name,)).rowcount == 1

    def keys(self) -> list[Key]:
        """Every key, in the order in which they were added."""
        rows = self._read("SELECT name, digest, scopes FROM api_keys ORDER BY position")
        return [Key(name, digest, frozenset(json.loads(scopes))) for name, digest, scopes in rows]

    def close(self) -> None:
        """Close connections and files. What was returned by other methods is durable already."""
        with self._lock, self._watching, in_words(self._path, self._busy_seconds):
            self._readers.close()
            self._watcher.close()
            self._writer.close()

    def _row(self, event: Event) -> tuple[Any, ...]:
        """The columns of an event behind its number, as ADD has them."""
        digests = self._digests
        keys = (digests.of_id(event.id), digests.of_user(event.user), digests.mark(event.user))
        return (*keys, event.user, event.id, event.item, event.value, event.event, event.time, event.answer)

    @staticmethod
    def _one(connection: sqlite3.Connection, query: str) -> Any:
        """The one row of a query. All rows are asked for, so that no transaction stays open."""
        return connection.execute(query).fetchall()[0]

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with in_words(self._path, self._busy_seconds), self._readers.borrowed() as reader:
            return reader.execute(query, values).fetchall()

    def _connect_to_read(self) -> sqlite3.Connection:
        reader = connected(self._path, self._busy_seconds)
        reader.execute("PRAGMA query_only = ON")
        return reader

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed, and so on the disk, at the end of a with block; nothing of it after an error."""
        with self._lock, in_words(self._path, self._busy_seconds):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _wipe(self, traces: Sequence[bytes]) -> None:
        """Leave nothing of what was deleted in the log, and none of `traces` in the database."""
        with self._lock, in_words(self._path, self._busy_seconds):
            self._cut_log()
            if holds(self._path, traces):
                self._writer.execute("VACUUM")
                self._cut_log()

    def _cut_log(self) -> None:
        """Move all of the log into the database and cut it to length 0, once no reader needs it."""
        if self._one(self._writer, "PRAGMA wal_checkpoint(TRUNCATE)")[0]:
            raise StoreBusyError(
                f"another process has read {self._path} for {self._busy_seconds:g} s: let it end its reading."
            )

    def _clean_up_after_a_kill(self) -> None:
        """Finish what a forget() that was killed has left: which copies there may be is not known any more."""
        if not self._read("SELECT 1 FROM forgotten WHERE is_clean = 0 LIMIT 1"):
            return
        with self._lock, in_words(self._path, self._busy_seconds):
            self._writer.execute("VACUUM")
            self._cut_log()
            self._writer.execute("UPDATE forgotten SET is_clean = 1 WHERE is_clean = 0")


def _stored(row: tuple[Any, ...]) -> Stored:
    number, event, user, item, value, kind, moment, answer = row
    return Stored(number, Event(event, user, item, value, kind, moment, answer))
