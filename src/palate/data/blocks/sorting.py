"""Sorting ratings on disk by user or by item, in bounded memory.

Ratings come in parts, in any order. Each goes into the bucket that its row belongs to: a file of all ratings of some
consecutive rows. A bucket fits into memory, where it is sorted; one after the other they make up the flat files.
Ratings of a row keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.folder import FlatFile, write_all
from palate.data.reading.duplicates import Columns
from palate.data.rows import CompressedRows
from palate.kernels.threads import ahead

BUCKET_RATINGS = 1 << 21  # in a bucket, about: 50 MB at most while it is sorted
MAX_BUCKETS = 400  # files open at once, at most


def record_of(*, weights: bool, times: bool) -> np.dtype[Any]:
    """The type of a rating in a bucket."""
    fields: list[tuple[str, str]] = [("row", "<i4"), ("column", "<i4"), ("value", "<f4")]
    fields += [("weight", "<f4")] if weights else []
    fields += [("time", "<i8")] if times else []
    return np.dtype(fields)


def packed(rows: Columns, record: np.dtype[Any]) -> NDArray[Any]:
    """Rows as records, (n,): the user is the row, the item the column."""
    records = np.empty(len(rows.users), record)
    records["row"], records["column"], records["value"] = rows.users, rows.items, rows.values
    if rows.weights is not None:
        records["weight"] = rows.weights
    if rows.times is not None:
        records["time"] = rows.times
    return records


def fields_of(records: NDArray[Any]) -> Columns:
    """Rows from records."""
    names = records.dtype.names or ()
    parts: list[Any] = [
        np.ascontiguousarray(records[name]) if name in names else None
        for name in ("row", "column", "value", "time", "weight")
    ]
    return Columns(*parts)


class Buckets:
    """Ratings in files, one for each range of rows. counts: (n_rows,) how many ratings of each row will come."""

    def __init__(self, folder: Path, counts: NDArray[np.int64], *, weights: bool, times: bool) -> None:
        self._record = record_of(weights=weights, times=times)
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        n = int(np.clip(-(-total // BUCKET_RATINGS), 1, MAX_BUCKETS))
        last = np.searchsorted(ends, np.arange(1, n) * (total / n), side="left") + 1
        self.bounds = np.unique(np.concatenate([[0], last, [len(counts)]])).astype(np.int64)
        self._bucket_of = np.repeat(np.arange(len(self.bounds) - 1, dtype=np.uint16), np.diff(self.bounds))
        self._folder = folder
        self._files = [(folder / f"bucket.{at}").open("wb", buffering=0) for at in range(len(self.bounds) - 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self._files:
            file.close()

    def add(self, ratings: Columns) -> None:
        """Add ratings of any rows; `users` are the rows."""
        records = packed(ratings, self._record)
        bucket = self._bucket_of[ratings.users]
        order = np.argsort(bucket, kind="stable")  # of 16 bits: a radix sort
        records, sizes = records[order], np.bincount(bucket, minlength=len(self._files))
        for file, end, size in zip(self._files, np.cumsum(sizes), sizes, strict=True):
            if size:
                write_all(file, records[end - size : end].data.cast("B"))

    def sorted(self) -> Iterator[tuple[int, int, Columns]]:
        """Each range of rows, (first, last), with its ratings as they came.

        The file of a bucket is removed when the next one is asked for.
        """
        for file in self._files:
            file.close()
        for at, (first, last) in enumerate(zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True)):
            path = self._folder / f"bucket.{at}"
            yield first, last, fields_of(np.fromfile(path, self._record))
            path.unlink()


class RowFiles:
    """The flat files of one side, which grow by ranges of rows in order. side: "by_user" or "by_item"."""

    def __init__(self, folder: Path, side: str, *, weights: bool, times: bool) -> None:
        column = "items" if side == "by_user" else "users"
        names = [column, "values", *(["weights"] if weights else []), *(["times"] if times else [])]
        self._side, self._column = side, column
        self._starts = FlatFile(folder / f"{side}.starts")
        self._files = {name: FlatFile(folder / f"{side}.{name}") for name in names}
        self._n = 0
        self._starts.append(np.zeros(1, np.int64))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def append(self, rows: CompressedRows) -> None:
        """Add the next rows."""
        self._starts.append(rows.indptr[1:] + self._n)
        self._n += len(rows.indices)
        parts = {self._column: rows.indices, "values": rows.values, "weights": rows.weights, "times": rows.times}
        for name, file in self._files.items():
            array = parts[name]
            assert array is not None
            file.append(array)

    def close(self) -> dict[str, dict[str, Any]]:
        """Close the files; return their entries in the manifest."""
        files = {"starts": self._starts} | self._files
        for file in files.values():
            file.close()
        return {f"{self._side}.{name}": file.entry for name, file in files.items()}


def compressed(first: int, last: int, ratings: Columns) -> CompressedRows:
    """The ratings of the rows from first to last, grouped by row; those of a row keep their order."""
    rows, n = ratings.users - np.int32(first), last - first
    return CompressedRows.of(rows, ratings.items, ratings.values, ratings.weights, n, ratings.times)


def transpose_to(
    folder: Path,
    scratch: Path,
    blocks: Iterable[tuple[int, CompressedRows]],
    counts: NDArray[np.int64],
    *,
    weights: bool,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Write the files by item of blocks of rows by user: (first user, rows). counts: of each item's ratings.

    Returns the entries of the files in the manifest. Times are left out. told gets the number of ratings that were put
    into buckets.
    """
    has = {"weights": weights, "times": False}
    with Buckets(scratch, counts, **has) as buckets, RowFiles(folder, "by_item", **has) as files:
        for first, rows in blocks:
            users = np.repeat(np.arange(first, first + rows.n_rows, dtype=np.int32), rows.counts)
            buckets.add(Columns(rows.indices, users, rows.values, None, rows.weights))
            told(len(users))
        for rows in ahead(compressed(first, last, ratings) for first, last, ratings in buckets.sorted()):
            files.append(rows)
        return files.close()


def row_ranges(indptr: NDArray[np.int64], n_ratings: int) -> Iterator[tuple[int, int]]:
    """Ranges of consecutive rows, (first, last), with about n_ratings ratings each; a row is never divided."""
    n_rows, first = len(indptr) - 1, 0
    while first < n_rows:
        last = int(np.searchsorted(indptr, indptr[first] + n_ratings, side="right")) - 1
        last = min(max(last, first + 1), n_rows)
        yield first, last
        first = last
