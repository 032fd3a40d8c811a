"""Batches: sources with columns that need not be in memory at once, as one Table after another.

Parquet and Arrow files, tables of SQLite files, and results of SQL queries come so. Text files have blocks of their own
(textfiles.py); JSON, workbooks and packed files with columns are read whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.data.addresses import is_url
from palate.data.arrow_files import scan_arrow
from palate.data.reading.containers import Fits, is_pipe, opened_content
from palate.data.reading.databases import rows_of_query, sqlite_parts
from palate.data.reading.frames import Table, check_query, kind_of, of_columns, of_polars
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

AT_ONCE = 1 << 20  # rows of a file with types
OBJECTS_AT_ONCE = 1 << 17  # rows of a database: Python objects, of about 50 bytes each


def parts_of(source: Any, connection: Any, fits: Fits) -> Iterator[Table] | None:
    """The parts of a source; None if it has none, or is read in another way."""
    if connection is not None:
        return _of_query(source, connection)
    if not isinstance(source, (str, Path)) or is_pipe(source) or is_url(source) or not Path(source).is_file():
        return None
    with opened_content(source, fits) as content:
        if content.how or content.member is not None:
            return None
        kind, name = kind_of(content), content.name
    if kind in ("parquet", "ipc"):
        return _of_columnar(source, kind, name)
    return _of_sqlite(source, fits) if kind == "sqlite" else None


def _of_columnar(path: str | Path, kind: str, name: str) -> Iterator[Table]:
    import polars as pl

    try:
        frame = pl.scan_parquet(path, glob=False) if kind == "parquet" else scan_arrow(path)
        n = 0
        for part in _batches(frame):
            n += part.height
            yield of_polars(part, name)
        if n == 0:
            yield of_polars(frame.head(0).collect(), name)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{name} is not a readable {kind} file: {error}") from error


def _batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    if hasattr(frame, "collect_batches"):
        yield from frame.collect_batches(chunk_size=AT_ONCE, maintain_order=True)
        return
    start, part = 0, frame.slice(0, AT_ONCE).collect()  # polars before 1.34
    while part.height:
        yield part
        start += part.height
        part = frame.slice(start, AT_ONCE).collect()


def _of_sqlite(path: str | Path, fits: Fits) -> Iterator[Table]:
    with opened_content(path, fits) as content:
        for member, columns in sqlite_parts(content, path, fits, OBJECTS_AT_ONCE):
            yield replace(of_columns(columns, content.name), how={"member": f"table {member}"})


def _of_query(query: Any, connection: Any) -> Iterator[Table]:
    import polars as pl

    check_query(query)
    if (parts := rows_of_query(query, connection, OBJECTS_AT_ONCE)) is not None:
        for names, rows in parts:
            columns = {at: [row[at] for row in rows] for at in range(len(names))}
            yield of_columns(columns, "the query", names=names)
        return
    options: dict[str, Any] = {"iter_batches": True, "batch_size": AT_ONCE, "infer_schema_length": None}
    try:
        for frame in pl.read_database(query, connection, **options):
            yield of_polars(frame, "the query")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"the result of the query cannot be read: {error}") from error
