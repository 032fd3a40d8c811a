"""Frames: sources that have columns (frames, arrays, sparse matrices, SQL, Parquet, JSON) as polars columns.

Everything becomes a `Table`, whose columns are converted one by one when they are needed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.native import NativeFrame, opened
from palate.data.reading.containers import Content, Fits, can_seek, is_pipe, opened_content
from palate.data.reading.databases import SQLITE, rows_of_query, sqlite_columns
from palate.data.reading.jsonfiles import JsonRecords, is_json, json_records
from palate.data.reading.looks import N_SAMPLED
from palate.data.reading.series import is_text, of_objects, series_of_values
from palate.data.reading.xmlfiles import begins_like_xml, xml_records
from palate.errors import DataError, LabelTypeError, OptionError

if TYPE_CHECKING:
    import polars as pl

COLUMN_FILES = {".parquet": "parquet", ".pq": "parquet", ".feather": "ipc", ".arrow": "ipc", ".ipc": "ipc"}
MAGIC = {b"PAR1": "parquet", b"ARROW1": "ipc", b"\xff\xff\xff\xff": "ipc stream", SQLITE: "sqlite"}
PACKED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Table:
    """Columns by position. `column(at)` is one of values, `label(at)` one of ids; `named` is True with real names.

    What follows is for wide tables: `head(n)` has the first n rows of a source whose names may say nothing, `own_names`
    are the names as the source has them, `index` is that of a pandas frame, unless it only counts the rows. `how` tells
    in words how the source was read. `first(at)` has the first values of a column where all of them take long to make.
    """

    source: str
    names: list[str]
    column: Callable[[int], pl.Series]
    label: Callable[[int], pl.Series]
    named: bool = True
    where: Callable[[int], str] | None = None
    reasons: dict[int, str] = field(default_factory=dict)
    height: int = 0
    head: Callable[[int], Table] | None = None
    own_names: list[Any] | None = None
    index: pl.Series | None = None
    is_text: bool = False
    how: dict[str, str] = field(default_factory=dict)
    first: Callable[[int], pl.Series] | None = None

    def sample(self, at: int) -> pl.Series:
        """The first values of a column."""
        if self.first is not None:
            return self.first(at)
        return self.column(at).head(N_SAMPLED) if self.head is None else self.head(N_SAMPLED).column(at)


def table_of(source: Any, connection: Any = None, fits: Fits | None = None) -> Table | None:
    """The source as a Table, or None if it is a text file.

    fits: how well the column names of a file in an archive, or of a table in a database, fit what is looked for.
    """
    table = _of_query(source, connection) if connection is not None else _of_any(source, fits)
    for name in table.names if table else ():
        if not is_text(name):
            raise DataError(f"the name of a column, {name!r}, is no text: it has half of a pair of surrogates.")
    return table


def _of_any(source: Any, fits: Fits | None) -> Table | None:
    if isinstance(source, (str, Path)):
        _check_no_query(source)
        return None if is_pipe(source) else _of_file(source, fits)
    if hasattr(source, "read"):
        return _of_open_file(source, fits)
    if isinstance(source, Mapping):
        return of_columns(dict(source), "the mapping")
    if isinstance(source, tuple):
        return of_columns(dict(enumerate(source)), "the tuple", named=False)
    if isinstance(source, np.ndarray):
        return _of_array(source)
    if isinstance(source, list) and _are_rows(source):
        return _of_array(np.array([list(row) for row in source], dtype=object))
    if hasattr(source, "tocoo"):
        return _of_sparse(source)
    return _of_frame(source)


def _of_query(query: Any, connection: Any) -> Table:
    import polars as pl

    check_query(query)
    if (parts := rows_of_query(query, connection)) is not None:
        ((names, values),) = parts
        columns = {at: [row[at] for row in values] for at in range(len(names))}
        return of_columns(columns, "the query", names=names)
    try:
        return of_polars(pl.read_database(query, connection, infer_schema_length=None), "the query")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"the result of the query cannot be read: {error}") from error


def check_query(query: Any) -> None:
    """Raise OptionError if this is no text."""
    if not isinstance(query, str):
        raise OptionError(f"with connection=, give an SQL query as text, not {type(query).__name__}.")


def _check_no_query(source: str | Path) -> None:
    if not str(source).lower().startswith(("select ", "select\n", "with ")):
        return
    with suppress(OSError):  # a query is too long for the name of a file
        if Path(source).exists():
            return
    raise OptionError("an SQL query needs connection=, an open database connection.")


def _of_open_file(source: Any, fits: Fits | None) -> Table | None:
    """The table in an open file; None if it is text, or a pipe that cannot be read twice."""
    if not can_seek(source):
        return None
    start = source.tell()
    table = _of_file(source, fits)
    if table is None:
        source.seek(start)
    return table


def _of_file(source: Any, fits: Fits | None) -> Table | None:
    """The table in a file, by its first bytes and its name; None if it is text."""
    with opened_content(source, fits) as content:
        suffix, kind = _suffix(content.name), kind_of(content)
        path = source if isinstance(source, (str, Path)) and not content.how and content.member is None else None
        if kind in ("parquet", "ipc", "ipc stream"):
            return replace(_of_columnar(content, kind, path), how=content.how)
        if kind == "sqlite":
            member, columns = sqlite_columns(content, path, fits)
            return replace(of_columns(columns, content.name), how=content.how | {"member": f"table {member}"})
        if begins_like_xml(content.head):
            return replace(_of_xml(content), how=content.how)
        return _of_json(json_records(content, suffix), content) if is_json(content.head, suffix) else None


def kind_of(content: Content) -> str | None:
    """The kind of a file with columns, by its first bytes and its name; None for another."""
    of_head = next((kind for magic, kind in MAGIC.items() if content.head.startswith(magic)), None)
    return of_head or COLUMN_FILES.get(_suffix(content.name))


def _of_xml(content: Content) -> Table:
    records = xml_records(content.whole(), content.name)
    names = dict.fromkeys(key for record in records for key in record)
    return of_columns({name: [record.get(name) for record in records] for name in names}, content.name)


def _suffix(name: str) -> str:
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in PACKED else path.suffix


def _of_columnar(content: Content, kind: str, path: Any) -> Table:
    import polars as pl

    readers: dict[str, Callable[..., pl.DataFrame]] = {
        "parquet": partial(pl.read_parquet, glob=False),
        "ipc": pl.read_ipc,
        "ipc stream": pl.read_ipc_stream,
    }
    try:
        frame = readers[kind](path if path and kind == "parquet" else io.BytesIO(content.whole()))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{content.name} is not a readable {kind} file: {error}") from error
    return of_polars(frame, content.name)


def of_polars(frame: pl.DataFrame, source: str) -> Table:
    """A polars frame as a Table."""
    return Table(source, frame.columns, frame.to_series, frame.to_series, height=frame.height)


def _of_frame(source: Any) -> Table:
    frame = opened(source) or opened(_of_stream(source))
    if frame is None:
        raise DataError(
            f"cannot read ratings from this {type(source).__name__}. Give a path, an open file, a pandas, polars or "
            "pyarrow frame, a mapping of columns, a tuple (users, items, values), an array (n, 3), a list of rows, a "
            "sparse matrix, or an SQL query with connection=."
        )
    return _of_native(frame, f"the {type(source).__name__}", source if hasattr(source, "iloc") else None)


def _of_stream(source: Any) -> Any:
    """A polars frame of anything that gives an Arrow stream, as DuckDB does."""
    import polars as pl

    return pl.DataFrame(source) if hasattr(source, "__arrow_c_stream__") else None


def _of_native(frame: NativeFrame, source: str, pandas: Any) -> Table:
    """A frame of any library. pandas: the frame itself if it has an index."""
    names = frame.names
    named = not all(name.isdigit() for name in names)

    def column(at: int, *, labels: bool = False) -> pl.Series:
        return series_of_values(frame.column(at), names[at], labels=labels, lists=True)

    return Table(
        source,
        names,
        column,
        lambda at: column(at, labels=True),
        named,
        height=frame.frame.shape[0],
        head=lambda n: _of_native(NativeFrame(names, frame.frame.head(n)), source, None),
        own_names=names if pandas is None else _own_names(pandas, names),
        index=None if pandas is None else _index_of(pandas),
    )


def _own_names(frame: Any, names: list[str]) -> list[Any]:
    """The names of a pandas frame's columns: integers if all are, else texts."""
    own = list(frame.columns)
    whole = all(isinstance(name, int | np.integer) and not isinstance(name, bool) for name in own)
    return [int(name) for name in own] if whole else names


def _index_of(frame: Any) -> pl.Series | None:
    """The index of a pandas frame as labels; None if it only counts the rows."""
    index = frame.index
    is_count = index.name is None and type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)
    if is_count or index.nlevels > 1:
        return None
    return series_of_values(index.tolist(), str(index.name or "index"), labels=True)


def _are_rows(rows: list[Any]) -> bool:
    """True for a list of lists or tuples of one length, two or more."""
    widths = {len(row) if isinstance(row, list | tuple) else 0 for row in rows}
    return len(widths) == 1 and widths.pop() >= 2


def of_columns(columns: dict[Any, Any], source: str, *, named: bool = True, names: list[str] | None = None) -> Table:
    """Columns of any kind, by name or position, as a Table."""
    values = [column if hasattr(column, "__len__") else list(column) for column in columns.values()]
    own_names = list(columns) if named and not names and all(type(name) is int for name in columns) else None
    names = names or [str(name) if named else f"column_{name + 1}" for name in columns]
    if len({len(column) for column in values}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in zip(names, values, strict=True))
        raise DataError(f"{source}: columns of different lengths: {lengths}.")

    def column(at: int, *, labels: bool = False) -> pl.Series:
        return series_of_values(values[at], names[at], labels=labels, lists=True)

    def first(at: int) -> pl.Series:
        column = getattr(values[at], "iloc", values[at])
        return series_of_values(column[:N_SAMPLED], names[at], lists=True)

    return Table(
        source,
        names,
        column,
        lambda at: column(at, labels=True),
        named,
        height=len(values[0]) if values else 0,
        own_names=own_names,
        first=first,
    )


def _of_array(array: NDArray[Any]) -> Table:
    if array.dtype.names:
        return of_columns({name: array[name] for name in array.dtype.names}, "the array")
    if array.ndim != 2 or array.shape[1] < 2:
        raise DataError(
            f"the array has shape {array.shape}: ratings have shape (n, 3): user, item, rating; implicit also (n, 2)."
        )
    names = [f"column_{at + 1}" for at in range(array.shape[1])]

    def label(at: int) -> pl.Series:
        column = array[:, at]
        return (
            _whole(column, names[at]) if column.dtype.kind == "f" else series_of_values(column, names[at], labels=True)
        )

    return Table(
        "the array",
        names,
        lambda at: series_of_values(array[:, at], names[at]),
        label,
        named=False,
        height=len(array),
        head=lambda n: _of_array(array[:n]),
    )


def _whole(column: NDArray[Any], name: str) -> pl.Series:
    """Ids in an array of floats as integers, NaN as null."""
    import polars as pl

    present = np.isfinite(column)
    ids = column[present]
    limit = 2 ** (np.finfo(column.dtype).nmant + 1)  # from here on a float may stand for several integers
    wrong = ids[(ids != np.floor(ids)) | (np.abs(ids) >= limit)]
    if len(wrong):
        raise LabelTypeError(
            f"the array: ids in {name} must be whole numbers below {limit:,}, up to which such floats are exact, got "
            f"{wrong.tolist()[0]!r}. Give users and items as arrays of integers or strings: palate.read((users, items, "
            "values))."
        )
    series = pl.Series(name, np.where(present, column, 0).astype(np.int64))
    return series.set(pl.Series(~present), None)


def _of_sparse(matrix: Any) -> Table:
    entries = matrix.tocoo()
    if len(entries.shape) != 2:
        raise DataError(f"the sparse matrix has shape {entries.shape}: give one of users x items.")
    columns = {"user": entries.coords[0], "item": entries.coords[1], "rating": entries.data}
    return of_columns(columns, "the sparse matrix")


def _of_json(found: JsonRecords, content: Content) -> Table:
    records, keys = found.records, found.names

    def column(at: int, *, labels: bool = False, n: int | None = None) -> pl.Series:
        values = [record.get(keys[at]) for record, _, _ in records[:n]]
        return of_objects(values, keys[at], labels=labels, words=not labels, lists=True)

    return Table(
        content.name,
        keys,
        column,
        lambda at: column(at, labels=True),
        found.named,
        where=lambda row: found.place.format(records[row][1]),
        reasons={row: reason for row, (_, _, reason) in enumerate(records) if reason},
        height=len(records),
        how=content.how,
        first=lambda at: column(at, n=N_SAMPLED),
    )
