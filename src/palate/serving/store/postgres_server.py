"""The server of the PostgreSQL store: how it is reached, its tables and their version, and what its errors mean.

Passwords stand in no message.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import conninfo, errors

from palate.errors import FeedbackError, StoreBusyError, StoreError
from palate.serving.store.digests import new_secret

VERSION = 1  # of the tables
CONNECT_SECONDS = 10
LOCK_SECONDS = 10
SECRET_OPTIONS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
TABLES = """
CREATE TABLE palate.state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL,
    last bigint NOT NULL,
    n_events bigint NOT NULL,
    secret bytea NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE palate.events (
    number bigint PRIMARY KEY,
    id_key bytea NOT NULL UNIQUE,
    user_key bytea NOT NULL,
    user_label text NOT NULL,
    id text NOT NULL,
    item_label text NOT NULL,
    value double precision,
    event text,
    time bigint NOT NULL,
    answer text
);
CREATE INDEX events_of_user ON palate.events (user_key, number);
CREATE TABLE palate.items (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label_key bytea NOT NULL UNIQUE,
    label text NOT NULL,
    attributes text NOT NULL
);
CREATE TABLE palate.api_keys (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    digest bytea NOT NULL,
    scopes text NOT NULL
);
CREATE TABLE palate.forgotten (
    digest bytea PRIMARY KEY,
    number bigint NOT NULL,
    time bigint NOT NULL
)
"""
SETUP_LOCK = 0x70616C61746501  # of all palates that make tables in this database
LOCK_SETUP = "SELECT pg_advisory_xact_lock(%s)"
OUR_TABLES = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'palate'"

Connection = psycopg.Connection[tuple[Any, ...]]


class Server:
    """A server and a database on it."""

    def __init__(self, url: str) -> None:
        options = _options_of(url)
        if options is None:  # what libpq says of it may show the password
            raise StoreError(
                "the address of the PostgreSQL server cannot be read: write "
                "postgresql://user:password@host:5432/database, with %40 for @ and %2F for / in a password."
            )
        self._options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "palate",
            **options,
            "client_encoding": "utf8",
            "autocommit": True,
        }
        self._secrets = [str(self._options[name]) for name in SECRET_OPTIONS if self._options.get(name)]
        host = self._options.get("host") or self._options.get("hostaddr") or "this machine"
        database = self._options.get("dbname") or self._options.get("user") or "the default database"
        self.name = f"PostgreSQL ({database} on {host})"

    def connected(self) -> Connection:
        """A connection whose commits wait for the disk. Raises StoreError."""
        try:
            connection = psycopg.connect(**self._options)
        except psycopg.Error as error:
            raise StoreError(
                f"{self.name} cannot be reached: {self._said(error)}. Start the server, or correct its address, "
                "user or password."
            ) from error
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # who waited sees what the one before wrote
        try:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS}s",))
            commits = connection.execute("SHOW synchronous_commit").fetchone()
            if commits == ("off",):
                connection.execute("SET synchronous_commit = on")
        except BaseException:
            connection.close()
            raise
        return connection

    def in_words(self, error: psycopg.Error) -> StoreError:
        """An error of the server as one that says what to do."""
        said = self._said(error)
        if isinstance(error, errors.LockNotAvailable):
            return StoreBusyError(
                f"another process has locked {self.name} for {LOCK_SECONDS} s. Try again, or end that process."
            )
        if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure | errors.QueryCanceled):
            return StoreBusyError(f"{self.name} broke off: {said}. Try again.")
        if isinstance(error, errors.DiskFull):
            return StoreError(f"the disk of {self.name} is full. Make room there; what was acknowledged is kept.")
        if isinstance(error, errors.InsufficientPrivilege):
            return StoreError(
                f"{self.name} does not let palate in: {said}. Give its user the schema: "
                "CREATE SCHEMA palate AUTHORIZATION name_of_the_user"
            )
        if isinstance(error, errors.ReadOnlySqlTransaction):
            return StoreError(f"{self.name} takes nothing new, since it follows another server: name that one.")
        if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
            return StoreError(f"{self.name} is damaged: {said}. Stop palate and restore a copy from before.")
        if isinstance(error, psycopg.DataError | errors.ProgramLimitExceeded):
            return FeedbackError(f"{self.name} cannot keep this: {said}.")
        if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.NoDataFound):
            return StoreError(f"{self.name} is not as palate left it: {said}. Restore a copy from before.")
        if isinstance(error, psycopg.OperationalError) and is_lost(error):
            return StoreError(f"{self.name} went away: {said}. Events that were not acknowledged may be sent again.")
        return StoreError(f"{self.name} failed: {said}.")

    def _said(self, error: psycopg.Error) -> str:
        """What the server said, in one line and without a password."""
        text = (error.diag.message_primary or str(error)).strip()
        said = (text.splitlines() or [type(error).__name__])[0].rstrip(".: ")
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return said


def _options_of(url: str) -> dict[str, Any] | None:
    """What an address says, by the names of libpq; None if it cannot be read.

    A slash in a password ends the address of the host for libpq, and the rest of it would stand in messages.
    """
    try:
        options = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        return None
    is_odd = any("@" in str(options.get(name)) for name in ("host", "port", "dbname"))
    is_odd |= not str(options.get("port") or 5432).replace(",", "").isdecimal()
    return None if is_odd else dict(options)


def is_lost(error: psycopg.OperationalError) -> bool:
    """Whether the connection is gone, not only the statement."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def prepare(connection: Connection) -> bytes:
    """Make the tables where there are none, and return the store's secret. Refuses what is not ours, or is newer."""
    with connection.transaction(), connection.cursor() as cursor:
        if cursor.execute("SHOW server_encoding").fetchone() != ("UTF8",):
            raise StoreError("the database does not keep its texts in UTF-8: CREATE DATABASE ... ENCODING 'UTF8'")
        cursor.execute(LOCK_SETUP, (SETUP_LOCK,))
        tables = {name for (name,) in cursor.execute(OUR_TABLES)}
        if not tables:
            _make(cursor)
        elif not {"state", "events", "items", "api_keys", "forgotten"} <= tables:
            raise StoreError(
                "the schema palate of this database belongs to another program: name another database in the address."
            )
        found = cursor.execute("SELECT version, secret FROM palate.state").fetchone()
        if found is None:
            raise errors.NoDataFound("palate.state is empty")
        version, secret = found
        if version > VERSION:
            raise StoreError(
                f"the tables in the schema palate were written by a newer palate (version {version}, this palate knows "
                f"{VERSION}). Upgrade palate: pip install -U palate"
            )
        return bytes(secret)


def _make(cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
    """Make the schema, if nobody made it for us, and the tables."""
    if not cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'palate'").fetchall():
        cursor.execute("CREATE SCHEMA palate")
    cursor.execute(TABLES)
    cursor.execute(
        "INSERT INTO palate.state (version, last, n_events, secret) VALUES (%s, 0, 0, %s)", (VERSION, new_secret())
    )
