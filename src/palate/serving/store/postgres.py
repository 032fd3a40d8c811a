"""The store on a server: PostgreSQL by psycopg.

Its tables are in a schema of their own, named palate. Each transaction that gives numbers holds the one row of
palate.state until its end, so writers of all processes come one after the other, and what has a lower number is visible
first. New events are then sent by COPY.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg

from palate.errors import FeedbackError
from palate.serving.store.checking import attributes_as_json, check_events, check_key, check_text
from palate.serving.store.digests import Digests
from palate.serving.store.interface import Added, Event, Forgetting, Forgotten, Item, Key, Stored
from palate.serving.store.pool import Pool
from palate.serving.store.postgres_server import Server, is_lost, prepare

PAGE = 1000  # events read at once
MANY = 10_000  # users asked about at once

Connection = psycopg.Connection[tuple[Any, ...]]
R = TypeVar("R")

STATE = "SELECT last, n_events FROM palate.state"
LOCK_STATE = "SELECT last, n_events FROM palate.state FOR NO KEY UPDATE"
SET_STATE = "UPDATE palate.state SET last = %s, n_events = %s"
KNOWN = "SELECT id_key FROM palate.events WHERE id_key = ANY(%s)"
COPY = """
COPY palate.events (number, id_key, user_key, user_label, id, item_label, value, event, time, answer) FROM STDIN
"""
OF_USER = """
SELECT number, id, user_label, item_label, value, event, time, answer FROM palate.events
WHERE user_key = %s AND number > %s ORDER BY number
"""
SINCE = """
SELECT number, id, user_label, item_label, value, event, time, answer FROM palate.events
WHERE number > %s AND number <= %s ORDER BY number LIMIT %s
"""
FORGET = """
INSERT INTO palate.forgotten (digest, number, time) VALUES (%s, %s, %s)
ON CONFLICT (digest) DO UPDATE SET number = excluded.number, time = excluded.time
"""
PUT_ITEM = """
INSERT INTO palate.items (label_key, label, attributes) VALUES (%s, %s, %s)
ON CONFLICT (label_key) DO UPDATE SET attributes = excluded.attributes
"""
ADD_KEY = """
INSERT INTO palate.api_keys (name, digest, scopes) VALUES (%s, %s, %s) ON CONFLICT (name) DO NOTHING
"""


class PostgresStore:
    """A store on a server. See Store for what the methods do.

    After the server was restarted, connections are made anew. If it was lost while it committed, the events are sent
    again: add() may then say of some that they were known. What forget() removes is invisible at once; PostgreSQL
    itself overwrites it later, in its files (VACUUM FULL palate.events does at once), log and copies.
    """

    def __init__(self, url: str) -> None:
        self._server = Server(url)
        self._pool = Pool(self._server.connected)
        secret: bytes = self._run(prepare)
        self._digests = Digests(secret)

    def add(self, events: Sequence[Event]) -> Added:
        """Keep events in one transaction; those whose id is known already are left as they are."""
        rows: dict[bytes, Event] = {}
        for event in check_events(events):
            rows.setdefault(self._digests.of_id(event.id), event)  # of events with one id, the first
        if not rows:
            return Added((), self.last())
        new, number = self._run(lambda connection: self._add(connection, rows))
        is_new = []
        for event in events:
            key = self._digests.of_id(event.id)
            is_new.append(key in new)
            new.discard(key)
        return Added(tuple(is_new), number)

    def _add(self, connection: Connection, rows: dict[bytes, Event]) -> tuple[set[bytes], int]:
        """Keep the rows whose keys are not known; which these were, and the highest number then."""
        with connection.transaction(), connection.cursor() as cursor:
            last, n_events = _one(cursor.execute(LOCK_STATE))
            known = {key for (key,) in cursor.execute(KNOWN, (list(rows),))}
            new = [key for key in rows if key not in known]
            if not new:
                return set(), last
            with cursor.copy(COPY) as copy:
                for number, key in enumerate(new, last + 1):
                    event = rows[key]
                    texts = (event.user, event.id, event.item)
                    rest = (event.value, event.event, event.time, event.answer)
                    copy.write_row((number, key, self._digests.of_user(event.user), *texts, *rest))
            cursor.execute(SET_STATE, (last + len(new), n_events + len(new)))
        return set(new), last + len(new)

    def of_user(self, user: str, after: int = 0) -> list[Stored]:
        """The events of a user with a number above `after`, in order."""
        key = self._digests.of_user(check_text(user, "the user"))
        return [_stored(row) for row in self._read(OF_USER, (key, after))]

    def since(self, after: int = 0, up_to: int | None = None) -> Iterator[Stored]:
        """All events with a number above `after` and at most `up_to`, in order, in bounded memory."""
        up_to = self.last() if up_to is None else up_to
        while rows := self._read(SINCE, (after, up_to, PAGE)):
            yield from map(_stored, rows)
            after = rows[-1][0]

    def last(self) -> int:
        """The highest sequence number ever given; 0 in an empty store. One question to the server, of one row."""
        return int(self._read(STATE)[0][0])

    def count(self) -> int:
        """The number of events kept."""
        return int(self._read(STATE)[0][1])

    def forget(self, user: str) -> Forgotten:
        """Remove a user's events for good, and remember the user's digest, so that no later fit learns of them."""
        check_text(user, "the user")

        def work(connection: Connection) -> Forgotten:
            with connection.transaction(), connection.cursor() as cursor:
                last, n_events = _one(cursor.execute(LOCK_STATE))
                key = self._digests.of_user(user)
                removed = cursor.execute("DELETE FROM palate.events WHERE user_key = %s", (key,)).rowcount
                cursor.execute(FORGET, (self._digests.of_forgotten(user), last + 1, int(time.time())))
                cursor.execute(SET_STATE, (last + 1, n_events - removed))
            return Forgotten(removed, last + 1)

        return self._run(work)

    def forgettings(self, users: Iterable[str]) -> list[Forgetting | None]:
        """When each user was forgotten last; None for those who never were."""
        digests = [self._digests.of_forgotten(check_text(user, "the user")) for user in users]
        query = "SELECT digest, number, time FROM palate.forgotten WHERE digest = ANY(%s)"
        found: dict[bytes, Forgetting] = {}
        for begin in range(0, len(digests), MANY):
            rows = self._read(query, (digests[begin : begin + MANY],))
            found |= {digest: Forgetting(number, moment) for digest, number, moment in rows}
        return [found.get(digest) for digest in digests]

    def is_forgotten(self, users: Iterable[str]) -> list[bool]:
        """Whether each user has ever been forgotten; it stays True when the user comes back."""
        return [forgetting is not None for forgetting in self.forgettings(users)]

    def put_items(self, items: Sequence[Item]) -> None:
        """Keep the attributes of items, all or none; those put before are replaced."""
        rows = {  # in the order of their keys, so that two processes never wait for each other
            self._digests.of_item(item.label): (item.label, text)
            for item, text in [(item, attributes_as_json(item)) for item in items]
        }

        def work(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute("LOCK TABLE palate.items IN SHARE ROW EXCLUSIVE MODE")
                cursor.executemany(PUT_ITEM, [(key, *row) for key, row in rows.items()])

        if rows:
            self._run(work)

    def items(self) -> list[Item]:
        """Every item put, in the order of the first time."""
        rows = self._read("SELECT label, attributes FROM palate.items ORDER BY position")
        return [Item(label, json.loads(attributes)) for label, attributes in rows]

    def add_key(self, key: Key) -> None:
        """Keep a key. Raises FeedbackError if the name is taken."""
        check_key(key)
        values = (key.name, key.digest, json.dumps(sorted(key.scopes)))
        if not self._run(lambda connection: connection.execute(ADD_KEY, values).rowcount):
            raise FeedbackError(f"there is a key {key.name!a} already: remove it first, or choose another name.")

    def remove_key(self, name: str) -> bool:
        """Remove a key; whether there was one."""
        values = (check_text(name, "the name of a key"),)
        query = "DELETE FROM palate.api_keys WHERE name = %s"
        return self._run(lambda connection: connection.execute(query, values).rowcount == 1)

    def keys(self) -> list[Key]:
        """Every key, in the order in which they were added."""
        rows = self._read("SELECT name, digest, scopes FROM palate.api_keys ORDER BY position")
        return [Key(name, digest, frozenset(json.loads(scopes))) for name, digest, scopes in rows]

    def close(self) -> None:
        """Close connections and files. What was returned by other methods is durable already."""
        self._pool.close()

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._run(lambda connection: connection.execute(query.encode(), values).fetchall())

    def _run(self, work: Callable[[Connection], R]) -> R:
        """Do something with a connection; once more with a new one if the server had gone away."""
        try:
            try:
                with self._pool.borrowed() as connection:
                    return work(connection)
            except psycopg.OperationalError as error:
                if not is_lost(error):
                    raise
            self._pool.drop()
            with self._pool.borrowed() as connection:
                return work(connection)
        except psycopg.Error as error:
            raise self._server.in_words(error) from error


def _one(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The one row of a query that always has one."""
    row = cursor.fetchone()
    if row is None:
        raise psycopg.errors.NoDataFound("palate.state is empty")
    return row


def _stored(row: tuple[Any, ...]) -> Stored:
    number, event, user, item, value, kind, moment, answer = row
    return Stored(number, Event(event, user, item, value, kind, moment, answer))
