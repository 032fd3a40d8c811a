"""Vectors as tables of PostgreSQL with pgvector: written into a database, or as a script for psql.

Each table is made under another name, filled and, at the end of the same transaction, renamed: those who ask it see the
old rows or the new ones, and wait only for the renaming.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from palate.answers.vectors import Vectors
from palate.errors import DataError, ExportError, OptionError
from palate.exporting.files import about

MAX_DIMENSIONS = 16_000  # of pgvector's type
MAX_INDEXED = 2_000  # of its indexes
MAX_NAME_BYTES = 48  # of the 63 that a name may have: some are made of it
ROWS_AT_ONCE = 1000
COMMENT = "palate vectors "  # how the comment of a table begins that palate may replace
OPERATORS = {"ip": "vector_ip_ops", "cosine": "vector_cosine_ops", "l2": "vector_l2_ops"}
LOCK = "SELECT pg_advisory_xact_lock(x'70616c61746502'::bigint)"  # of all exports into this database
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
CONNECT_SECONDS = 10
SECRETS = ("password", "sslpassword")


def table_name(prefix: Any, side: str) -> str:
    """The name of a table. Raises OptionError for a prefix that makes none."""
    if not isinstance(prefix, str) or not prefix or "\0" in prefix or len(prefix.encode()) > MAX_NAME_BYTES:
        raise OptionError(f"prefix must be a name of 1 to {MAX_NAME_BYTES} bytes, got {prefix!r}.")
    return f"{prefix}_{side}"


def quoted(name: str) -> str:
    """A name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


# ---- the statements --------------------------------------------------------------------------------------------------


def make(table: str, vectors: Vectors) -> list[str]:
    """The statements that make an empty table under another name."""
    _check_width(vectors.n_dimensions, MAX_DIMENSIONS, "a vector of pgvector")
    new, kind = f"{table}_new", "bigint" if vectors.labels.dtype.kind == "i" else "text"
    columns = [f"label {kind} CONSTRAINT {quoted(f'{new}_key')} PRIMARY KEY"]
    columns += ["title text"] if vectors.titles is not None else []
    columns += [f"vector vector({vectors.n_dimensions}) NOT NULL"]
    columns += ["score_offset double precision NOT NULL"] if vectors.offsets is not None else []
    text = (COMMENT + json.dumps(about(vectors))).replace("'", "''")
    return [f"CREATE TABLE {quoted(new)} ({', '.join(columns)})", f"COMMENT ON TABLE {quoted(new)} IS '{text}'"]


def fill(table: str) -> str:
    """The statement that takes the rows."""
    return f"COPY {quoted(f'{table}_new')} FROM STDIN"


def build_index(table: str, vectors: Vectors) -> str:
    """The statement that builds an index over the new table."""
    _check_width(vectors.n_dimensions, MAX_INDEXED, "an index of pgvector")
    new, by = f"{table}_new", f"hnsw (vector {OPERATORS[vectors.metric]})"
    return f"CREATE INDEX {quoted(f'{new}_hnsw')} ON {quoted(new)} USING {by}"


def swap(table: str, *, index: bool, overwrite: bool) -> list[str]:
    """The statements that put the new table in its place. They lock out readers until the end of the transaction."""
    new = f"{table}_new"
    names = ["key", "hnsw"] if index else ["key"]
    return [
        *([f"DROP TABLE IF EXISTS {quoted(table)}"] if overwrite else []),
        f"ALTER TABLE {quoted(new)} RENAME TO {quoted(table)}",
        *(f"ALTER INDEX {quoted(f'{new}_{name}')} RENAME TO {quoted(f'{table}_{name}')}" for name in names),
    ]


def rows(vectors: Vectors) -> Iterator[str]:
    """The rows as COPY takes them, some at once. Raises DataError for a text that PostgreSQL does not keep."""
    form = "[" + ",".join(["%.9g"] * vectors.n_dimensions) + "]"
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        columns: list[Sequence[str]] = [[_text(label) for label in vectors.labels[some].tolist()]]
        if vectors.titles is not None:
            columns.append(["\\N" if title is None else _text(title) for title in vectors.titles[some]])
        columns.append([form % tuple(row) for row in vectors.vectors[some].tolist()])
        if vectors.offsets is not None:
            columns.append([repr(offset) for offset in vectors.offsets[some].tolist()])
        yield "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True))


def script(tables: Sequence[tuple[str, Vectors]], *, index: bool, overwrite: bool) -> Iterator[str]:
    """The whole as a script for psql, line by line."""
    yield "-- Vectors of a palate model. Run: psql postgresql://user@host/database -f THIS_FILE\n"
    yield "\\set ON_ERROR_STOP on\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n"
    yield f"BEGIN;\n{LOCK};\nCREATE EXTENSION IF NOT EXISTS vector;\n"
    for table, vectors in tables:
        yield from (f"{statement};\n" for statement in make(table, vectors))
        yield f"{fill(table)};\n"
        yield from rows(vectors)
        yield "\\.\n"
        if index:
            yield f"{build_index(table, vectors)};\n"
    for table, _ in tables:
        yield from (f"{statement};\n" for statement in swap(table, index=index, overwrite=overwrite))
    yield "COMMIT;\n"


def _text(value: Any) -> str:
    text = str(value)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"PostgreSQL keeps no text such as {text!r}; name the item or user otherwise.")
    return text.translate(ESCAPES)


def _check_width(n: int, most: int, what: str) -> None:
    if n > most:
        raise OptionError(f"{what} has at most {most:,} dimensions, and these vectors have {n:,}.")


# ---- the database ----------------------------------------------------------------------------------------------------


class Database:
    """A database that vectors are written into. Passwords stand in no message."""

    def __init__(self, url: str) -> None:
        self._library = _psycopg()
        try:
            self._options: dict[str, Any] = self._library.conninfo.conninfo_to_dict(url)
        except self._library.Error:  # what it says may show the password
            raise OptionError(
                "the address of the database cannot be read: write postgresql://user:password@host:5432/database, with "
                "%40 for @ and %2F for / in a password."
            ) from None
        host = self._options.get("host") or self._options.get("hostaddr") or "this machine"
        name = self._options.get("dbname") or self._options.get("user") or "the default database"
        self.name = f"PostgreSQL ({name} on {host})"

    def check(self, tables: Sequence[str], *, overwrite: bool) -> None:
        """Raise OptionError for a table that is there and is not to be replaced, or is not palate's."""
        with self._connected() as connection:
            for table in tables:
                self._check_table(connection, table, overwrite=overwrite)

    def _check_table(self, connection: Any, table: str, *, overwrite: bool) -> None:
        asked = "SELECT obj_description(to_regclass(%s), 'pg_class'), to_regclass(%s) IS NOT NULL"
        comment, is_there = connection.execute(asked, (quoted(table), quoted(table))).fetchone()
        if is_there and not overwrite:
            raise OptionError(f"{self.name} has a table {table} already; overwrite=True replaces it.")
        if is_there and not str(comment).startswith(COMMENT):
            raise OptionError(f"the table {table} of {self.name} is not palate's; give another prefix= than this one.")

    def write(self, tables: Sequence[tuple[str, Vectors]], *, index: bool, overwrite: bool) -> None:
        """Write all tables in one transaction. Raises ExportError, and OptionError as check() does."""
        with self._connected() as connection:
            connection.execute(LOCK)
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            for table, vectors in tables:
                self._check_table(connection, table, overwrite=overwrite)
                for statement in make(table, vectors):
                    connection.execute(statement)
                with connection.cursor() as cursor, cursor.copy(fill(table)) as copy:
                    for some in rows(vectors):
                        copy.write(some)
                if index:
                    connection.execute(build_index(table, vectors))
            for table, _ in tables:
                for statement in swap(table, index=index, overwrite=overwrite):
                    connection.execute(statement)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """A connection whose transaction is committed at the end of the block, and rolled back if it fails."""
        try:
            with self._connect() as connection:
                yield connection
        except self._library.Error as error:
            raise self._in_words(error) from None

    def _connect(self) -> Any:
        options = {"connect_timeout": CONNECT_SECONDS, "application_name": "palate", **self._options}
        return self._library.connect(**options | {"client_encoding": "utf8"})

    def _in_words(self, error: BaseException) -> ExportError:
        """An error of the database as one that says what to do."""
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        for name in SECRETS:
            if self._options.get(name):
                said = said.replace(str(self._options[name]), "***")
        if isinstance(error, self._library.errors.FeatureNotSupported | self._library.errors.UndefinedFile):
            return ExportError(f"{self.name} has no pgvector ({said}). Install pgvector on the server.")
        if isinstance(error, self._library.errors.DependentObjectsStillExist):
            return ExportError(f"{self.name}: {said}. Drop the views of the old table first, or give another prefix=.")
        return ExportError(f"{self.name} refuses: {said}.")


def _psycopg() -> Any:
    try:
        import psycopg
        from psycopg import conninfo, errors
    except ImportError:
        raise OptionError("a database needs psycopg: pip install 'palate[postgres]'.") from None
    assert conninfo and errors
    return psycopg
