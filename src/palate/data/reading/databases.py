"""Databases: a table of an SQLite file as columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from palate.data.reading.containers import Content, Fits, best_of
from palate.errors import DataError

SQLITE = b"SQLite format 3\0"
RowParts = Iterator[tuple[list[str], list[Any]]]  # names of columns, and some rows


def sqlite_columns(content: Content, path: Any, fits: Fits | None) -> tuple[str, dict[str, list[Any]]]:
    """(name of a table, its columns): the table named behind the path of the file, the only one, or the one that fits.

    path: the path of the file if it is not packed.
    """
    ((table, columns),) = sqlite_parts(content, path, fits)
    return table, columns


def sqlite_parts(
    content: Content, path: Any, fits: Fits | None, n_rows: int | None = None
) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """The same, n_rows rows at a time; None for all at once."""
    try:
        with _connected(content, path) as connection:
            table = _chosen(content, connection, fits)
            rows = connection.execute(f"SELECT * FROM {_quoted(table)}")
            names = [column[0] for column in rows.description]
            for part in _fetched(rows, n_rows):
                columns = [list(column) for column in zip(*part, strict=True)] or [[] for _ in names]
                yield table, dict(zip(names, columns, strict=True))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the second where its message is damaged, too
        raise DataError(f"{content.name} is not a readable SQLite database: {error}.") from error


@contextmanager
def _connected(content: Content, path: Any) -> Iterator[sqlite3.Connection]:
    data = content.whole() if path is None else None
    _check_size(content, len(data) if data is not None else Path(path).stat().st_size)
    if data is not None:
        connection = sqlite3.connect(":memory:")
        connection.deserialize(data)
    else:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    with closing(connection):
        yield connection


def _check_size(content: Content, size: int) -> None:
    """Raise DataError if the file is smaller than its header says: its size in pages, and that of a page."""
    page, n_pages = int.from_bytes(content.head[16:18], "big"), int.from_bytes(content.head[28:32], "big")
    if size < (65536 if page == 1 else page) * n_pages:
        raise DataError(f"{content.name} is an SQLite database that ends too early: copy it again.")


def _chosen(content: Content, connection: sqlite3.Connection, fits: Fits | None) -> str:
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')").fetchall())
    tables: list[str] = [name for name, kind in kinds.items() if kind == "table" and not name.startswith("sqlite_")]
    if content.member is not None:
        if content.member not in kinds:
            raise DataError(f"{content.name} has no table {content.member!r}. {_there_are(tables)}")
        return content.member
    fitting = best_of({table: fits(_names(connection, table)) for table in tables}) if fits else []
    if len(tables) == 1 or len(fitting) == 1:
        return (fitting or tables)[0]
    if not tables:
        raise DataError(f"{content.name} is an SQLite database without a table.")
    raise DataError(
        f"{content.name} is an SQLite database of several tables. {_there_are(fitting or tables)} Say which one behind "
        f"its path: {content.name}/{(fitting or tables)[0]}. Or pass an SQL query, with connection=."
    )


def _names(connection: sqlite3.Connection, table: str) -> list[str]:
    return [column[1] for column in connection.execute(f"PRAGMA table_info({_quoted(table)})")]


def rows_of_query(query: str, connection: Any, n_rows: int | None = None) -> RowParts | None:
    """(names, rows) as the database has them, n_rows rows at a time; None for n_rows fetches all at once.

    None of a connection that gives typed columns, as ADBC and DuckDB do. In one column of SQLite and others 1 and "1"
    may stand side by side: a frame would make them one text.
    """
    if hasattr(connection, "exec_driver_sql"):  # of SQLAlchemy
        return _rows(lambda: connection.exec_driver_sql(query).cursor, n_rows)
    if hasattr(connection, "dialect") and hasattr(connection, "connect"):  # an engine of SQLAlchemy
        return _rows_of_engine(query, connection, n_rows)
    if not hasattr(connection, "cursor") or _is_typed(connection):
        return None

    def executed() -> Any:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor

    return _rows(executed, n_rows)


def _rows_of_engine(query: str, engine: Any, n_rows: int | None) -> RowParts:
    with engine.connect() as opened:
        parts = rows_of_query(query, opened, n_rows)
        assert parts is not None, "a connection of an engine is SQLAlchemy's"
        yield from parts


def _is_typed(connection: Any) -> bool:
    """True if results come as Arrow."""
    return any(hasattr(connection, name) for name in ("fetch_arrow_table", "fetch_record_batch", "adbc_get_info"))


def _rows(executed: Callable[[], Any], n_rows: int | None) -> RowParts:
    try:
        cursor = executed()
        names = [str(column[0]) for column in cursor.description or ()]
        for rows in _fetched(cursor, n_rows):
            yield names, rows
    except Exception as error:  # each driver has error types of its own
        raise DataError(f"the result of the query cannot be read: {error}") from error


def _fetched(cursor: Any, n_rows: int | None) -> Iterator[list[Any]]:
    """The rows of a query, n_rows at a time; once none, if there are none."""
    if n_rows is None:
        yield cursor.fetchall()
        return
    rows = cursor.fetchmany(n_rows)
    while True:
        yield rows
        if not (rows := cursor.fetchmany(n_rows)):
            return


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _there_are(tables: list[str]) -> str:
    shown = ", ".join(map(repr, tables[:20]))
    return f"Its tables are {shown}{', ...' if len(tables) > 20 else ''}."
