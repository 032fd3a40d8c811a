"""Descending: what SGD and BPR share. Ratings cut into cells, tables of factors as the kernels want them, and rates."""

from __future__ import annotations

import heapq
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palate.models.factors import Floats

Schedule = Literal["one-cycle", "constant", "1/t"]

PADDING = 16  # the kernels' rows are whole multiples of this many floats
LINE = 64  # bytes of a cache line: rows begin at one, so that no vector lies across two and no two rows share one
N_HEAVY = 1024  # rows that are dealt out one by one
FACTORS_START = 0.01  # standard deviation of the factors at the start, as in the notes


def shuffled_cells(
    cell: NDArray[np.uint64], n_cells: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of ratings by cell and in a cell by chance, (n,); and where each cell begins, (n_cells + 1,)."""
    chance = rng.integers(0, 2**20, len(cell), dtype=np.uint32).astype(np.uint64)
    # One sort does it all: the position lies in the last 32 bits.
    keys = np.sort(cell << np.uint64(52) | chance << np.uint64(32) | np.arange(len(cell), dtype=np.uint64))
    begins = np.searchsorted(keys, np.arange(n_cells, dtype=np.uint64) << np.uint64(52))
    return (keys & np.uint64(2**32 - 1)).astype(np.int64), np.append(begins, len(keys)).astype(np.int64)


def deal(counts: NDArray[np.int64], n_blocks: int) -> NDArray[np.uint64]:
    """The block of each row, (n,), so that blocks hold about as many ratings each.

    Each of the heaviest rows goes to the block that is lightest then; the others are dealt out back and forth.
    """
    block = np.empty(len(counts), np.uint64)
    order = np.argsort(-counts, kind="stable")
    blocks = [(0, number) for number in range(n_blocks)]  # a heap of (ratings, block)
    for row in order[:N_HEAVY].tolist():
        weight, block[row] = blocks[0]
        heapq.heapreplace(blocks, (weight + int(counts[row]), blocks[0][1]))
    lightest_first = [number for _, number in sorted(blocks)]
    block[order[N_HEAVY:]] = np.resize(lightest_first + lightest_first[::-1], max(len(order) - N_HEAVY, 0))
    return block


def learning_rates(schedule: Schedule, lr: float, timestamps: NDArray[np.float64], n_epochs: int) -> Floats:
    """The rate at moments of a training, counted in epochs from 0."""
    if schedule == "constant":
        rates = np.full(len(timestamps), lr)
    elif schedule == "1/t":
        rates = lr / (1 + timestamps)
    else:
        progress = timestamps / n_epochs
        up = 0.04 + 0.96 * (1 - np.cos(np.pi * progress / 0.25)) / 2
        down = (1 + np.cos(np.pi * (progress - 0.25) / 0.75)) / 2
        rates = lr * np.where(progress < 0.25, up, down)
    return rates.astype(np.float32)


def random_table(n: int, n_factors: int, rng: np.random.Generator, n_more: int = 2) -> Floats:
    """Rows of random factors and n_more places for biases, (n, n_factors + n_more rounded up), at a cache line each."""
    width = -(-(n_factors + n_more) // PADDING) * PADDING
    memory = np.zeros(n * width + PADDING, np.float32)
    skipped = -memory.ctypes.data % LINE // memory.itemsize
    table = memory[skipped : skipped + n * width].reshape(n, width)
    table[:, :n_factors] = rng.standard_normal((n, n_factors), np.float32) * np.float32(FACTORS_START)
    return table
