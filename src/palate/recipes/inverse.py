"""The inverse of a symmetric positive definite matrix, in place and on several threads, and products.

With S = L L' and R = L^-1, S^-1 = R' R. R is computed by halves:

    S = [A  C']      R = [R1         0 ]      R1 from A,  E = C R1',
        [C  D ]          [-R2 E R1   R2]      R2 from D - E E'

The products are cut into tiles of a fixed size, which the threads share: the same bytes at any number of threads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from palate.kernels.threads import thread_pool
from palate.models.factors import Floats

TRIAL = 1024  # rows and columns of the matrix whose inversion tells how fast this machine is
N_TRIALS = 3
TILE = 256  # rows and columns of a tile
LEAF = 128  # a matrix up to this size is inverted as a whole

Tile = tuple[slice, slice]


def invert(S: Floats, n_threads: int = 0) -> None:
    """Replace a symmetric matrix S, (n, n), by its inverse. Raises LinAlgError unless S is positive definite."""
    with thread_pool(n_threads or os.cpu_count() or 1) as pool:
        run = _Runner(pool)
        _inverse_factor(S, run)
        _square(S, run)


def multiply(S: Floats, T: Floats, n_threads: int = 0) -> Floats:
    """The product S T, (n, m), on several threads."""
    out = np.empty((len(S), T.shape[1]), np.float32)

    def of_rows(tile: Tile) -> None:
        np.matmul(S[tile[0]], T, out=out[tile[0]])

    with thread_pool(n_threads or os.cpu_count() or 1) as pool:
        _Runner(pool)(of_rows, [(rows, slice(0, T.shape[1])) for rows in _blocks(len(S))])
    return out


def seconds_to_invert(n: int, n_threads: int = 0) -> float:
    """The seconds that invert() of an (n, n) matrix will take: cubic in n, from the fastest of some small trials."""
    small, seconds = np.eye(TRIAL, dtype=np.float32), []
    for _ in range(N_TRIALS):
        start = time.perf_counter()
        invert(small, n_threads)
        seconds.append(time.perf_counter() - start)
    return min(seconds) * (n / TRIAL) ** 3


@dataclass(frozen=True)
class _Runner:
    """Runs work on tiles on the threads of a pool."""

    pool: Executor

    def __call__(self, work: Callable[[Tile], None], tiles: list[Tile]) -> None:
        for _ in self.pool.map(work, tiles):
            pass


def _inverse_factor(S: Floats, run: _Runner) -> None:
    """Replace S = L L', of which only the lower triangle is read, by R = L^-1, with zeros above the diagonal."""
    n = len(S)
    if n <= LEAF:
        S[...] = np.tril(np.linalg.inv(np.linalg.cholesky(S)))
        return
    half = n // 2
    A, C, D = S[:half, :half], S[half:, :half], S[half:, half:]
    _inverse_factor(A, run)
    E, F = np.empty_like(C), np.empty_like(C)

    def to_factor(tile: Tile) -> None:  # E = C R1', where R1 is zero right of its diagonal
        row, column = tile
        E[tile] = C[row, : column.stop] @ A[column, : column.stop].T

    def complement(tile: Tile) -> None:  # D - E E'
        row, column = tile
        D[tile] -= E[row] @ E[column].T

    def from_right(tile: Tile) -> None:  # F = E R1
        row, column = tile
        F[tile] = E[row, column.start :] @ A[column.start :, column]

    def from_left(tile: Tile) -> None:  # -R2 F
        row, column = tile
        C[tile] = -(D[row, : row.stop] @ F[: row.stop, column])

    run(to_factor, _tiles(*C.shape))
    run(complement, [tile for tile in _tiles(*D.shape) if tile[0].start >= tile[1].start])
    _inverse_factor(D, run)
    run(from_right, _tiles(*C.shape))
    run(from_left, _tiles(*C.shape))
    S[:half, half:] = 0


def _square(R: Floats, run: _Runner) -> None:
    """Replace a lower triangle R by R' R, one block of rows after the other: each needs only the rows from it on."""
    for start in range(0, len(R), TILE):
        row = slice(start, min(start + TILE, len(R)))
        block = np.empty((row.stop - start, row.stop), R.dtype)

        def multiply(tile: Tile, row: slice = row, block: Floats = block) -> None:
            block[:, tile[1]] = R[row.start :, row].T @ R[row.start :, tile[1]]

        run(multiply, [(row, slice(at, min(at + TILE, row.stop))) for at in range(0, row.stop, TILE)])
        block[:, start:] = (block[:, start:] + block[:, start:].T) / 2
        R[row, : row.stop] = block
        R[:start, row] = block[:, :start].T


def _tiles(n_rows: int, n_columns: int) -> list[Tile]:
    return [(row, column) for row in _blocks(n_rows) for column in _blocks(n_columns)]


def _blocks(n: int) -> list[slice]:
    return [slice(at, min(at + TILE, n)) for at in range(0, n, TILE)]
