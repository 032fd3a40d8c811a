"""What the gradient descents of SGD and BPR share: cells of ratings, learning rates, tables of factors for the kernels.

Both cut the ratings into cells, a block of users by a block of items. Cells without a common row can be visited by
several threads at once, with the same result as one after the other.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.plan import chunks
from palate.models.factors import Codes, Floats

Schedule = Literal["one-cycle", "constant", "1/t"]

PADDING = 16  # a row of the kernels is a multiple of this many floats
CACHE_LINE = 64  # bytes; each row begins at a multiple, so that no two rows share a cache line
N_LARGEST_ROWS = 1024  # the rows with most ratings, which are dealt out one by one
FACTORS_START = 0.01  # standard deviation of the factors at the start


def shuffled_cells(
    cell_of: Callable[[slice], NDArray[np.uint64]], n: int, n_cells: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of n ratings ordered by cell, shuffled within each, (n,), and where each cell begins.

    cell_of: the cell of each of some ratings. The second array has shape (n_cells + 1,).
    """
    keys = np.empty(n, np.uint64)
    # One sort does both: the cell is in the first 12 bits of a key, a random number in 20, the position in the last 32.
    for some in chunks(n):
        shuffle = rng.integers(0, 2**20, some.stop - some.start, dtype=np.uint32).astype(np.uint64)
        positions = np.arange(some.start, some.stop, dtype=np.uint64)
        keys[some] = cell_of(some) << np.uint64(52) | shuffle << np.uint64(32) | positions
    keys.sort()
    begins = np.searchsorted(keys, np.arange(n_cells, dtype=np.uint64) << np.uint64(52))
    keys &= np.uint64(2**32 - 1)
    return keys.view(np.int64), np.append(begins, n).astype(np.int64)


def deal(counts: NDArray[np.int64], n_blocks: int) -> NDArray[np.uint64]:
    """The block of each row, (n,), such that all blocks hold about the same number of ratings.

    The rows with most ratings go one by one to the block with the fewest ratings so far. The others are dealt out back
    and forth: to blocks 0, 1, 2, then 2, 1, 0. counts: ratings of each row, (n,).
    """
    block = np.empty(len(counts), np.uint64)
    order = np.argsort(-counts, kind="stable")
    blocks = [(0, number) for number in range(n_blocks)]  # a heap of (ratings, block)
    for row in order[:N_LARGEST_ROWS].tolist():
        n_ratings, block[row] = blocks[0]
        heapq.heapreplace(blocks, (n_ratings + int(counts[row]), blocks[0][1]))
    smallest_first = [number for _, number in sorted(blocks)]
    block[order[N_LARGEST_ROWS:]] = np.resize(
        smallest_first + smallest_first[::-1], max(len(order) - N_LARGEST_ROWS, 0)
    )
    return block


def learning_rates(schedule: Schedule, lr: float, epochs: NDArray[np.float64], n_epochs: int) -> Floats:
    """The learning rate at some points of a training, (m,). epochs: how many epochs were done there, fractions too."""
    if schedule == "constant":
        rates = np.full(len(epochs), lr)
    elif schedule == "1/t":
        rates = lr / (1 + epochs)
    else:
        progress = epochs / n_epochs
        up = 0.04 + 0.96 * (1 - np.cos(np.pi * progress / 0.25)) / 2
        down = (1 + np.cos(np.pi * (progress - 0.25) / 0.75)) / 2
        rates = lr * np.where(progress < 0.25, up, down)
    return rates.astype(np.float32)


def random_table(counts: NDArray[Any], n_factors: int, rng: np.random.Generator, n_more: int = 2) -> Floats:
    """Rows of random factors with n_more places for biases, (n, n_factors + n_more rounded up to PADDING).

    counts: (n,), 0 for rows that no step will change. They get zeros, the prior mean of an unknown row.
    """
    n = len(counts)
    table = _aligned(n, -(-(n_factors + n_more) // PADDING) * PADDING)
    table[:, :n_factors] = rng.standard_normal((n, n_factors), np.float32) * np.float32(FACTORS_START)
    table[counts == 0] = 0
    return table


def in_rows(table: Floats, order: NDArray[np.int64]) -> Floats:
    """The same table with its rows in another order, (n, width). order: the row that comes to each place, (n,)."""
    moved = _aligned(*table.shape)
    np.take(table, order, axis=0, out=moved)
    return moved


def places_of(order: NDArray[np.int64]) -> Codes:
    """Where each row lies after in_rows, (n,)."""
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places


def _aligned(n: int, width: int) -> Floats:
    """Zeros, (n, width), whose rows begin at cache lines."""
    memory = np.zeros(n * width + PADDING, np.float32)
    skipped = -memory.ctypes.data % CACHE_LINE // memory.itemsize
    return memory[skipped : skipped + n * width].reshape(n, width)
