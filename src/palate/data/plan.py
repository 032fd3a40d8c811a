"""The plan of the data: blocks of consecutive rows with about equally many ratings.

A plan follows from the numbers of ratings of the rows alone, never from the machine. What is computed block by block
takes the memory of one block. Sums over ratings are taken in each block in float64 and added in the order of the
blocks, so they are the same bytes on one thread, on many, and over arrays in files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_BLOCKS = 256
MIN_RATINGS = 100_000  # of a block on average; fewer are not worth cutting
CHUNK = 2**20  # ratings that are looked at together where sums do not matter


@dataclass(frozen=True)
class Plan:
    """Blocks of consecutive rows: at most 256, with about equally many ratings, at least 100,000 on average.

    A block may be larger by one row, since rows are whole. Without rows there is one empty block.

    Attributes:
        blocks (tuple of slice): The rows of each block, in order; together they are all rows.
        entries (tuple of slice): The ratings of each block, as positions in the arrays of CompressedRows.

    Example:
        >>> import numpy as np
        >>> Plan.of(np.array([0, 150_000, 150_000, 250_000, 400_000])).blocks
        (slice(0, 1, None), slice(1, 3, None), slice(3, 4, None))
    """

    blocks: tuple[slice, ...]
    entries: tuple[slice, ...]

    @classmethod
    def of(cls, indptr: NDArray[np.int64]) -> Plan:
        """Return the plan of rows.

        Parameters:
            indptr (int64 array): Where the ratings of each row begin and those of the last end, shape (n_rows + 1,).

        Returns:
            Plan: The same for the same numbers of ratings.
        """
        n_rows, n_ratings = len(indptr) - 1, int(indptr[-1])
        n_blocks = min(max(n_ratings // MIN_RATINGS, 1), MAX_BLOCKS)
        starts = np.unique(np.searchsorted(indptr[:-1], n_ratings * np.arange(n_blocks) // n_blocks))
        bounds = np.append(starts[starts < max(n_rows, 1)], n_rows)
        return cls(_slices(bounds), _slices(indptr[bounds]))

    def __len__(self) -> int:
        return len(self.blocks)


def _slices(bounds: NDArray[np.int64]) -> tuple[slice, ...]:
    return tuple(slice(first, last) for first, last in zip(bounds.tolist()[:-1], bounds.tolist()[1:], strict=True))


def chunks(n: int) -> Iterator[slice]:
    """Slices of n ratings, in order, each of at most CHUNK; none for n = 0."""
    return (slice(first, min(first + CHUNK, n)) for first in range(0, n, CHUNK))


def count_codes(codes: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """How often each code stands among those given, (n,). n: larger than every code."""
    return count_parts((codes[some] for some in chunks(len(codes))), n)


def count_parts(parts: Iterable[NDArray[np.int32]], n: int) -> NDArray[np.int64]:
    """How often each code stands among those of all parts, (n,). n: larger than every code."""
    counts = np.zeros(n, np.int64)
    for codes in parts:
        counts += np.bincount(codes, minlength=n)
    return counts


def distinct_values(values: NDArray[np.float32], most: int | None = None) -> NDArray[np.float32]:
    """The distinct values, rising. If there are more than `most`, some of them, but more than `most`."""
    found = values[:0]
    for some in chunks(len(values)):
        found = np.union1d(found, values[some])
        if most is not None and len(found) > most:
            break
    return found
