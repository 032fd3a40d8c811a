"""Principal components of the rows of a matrix, sparse or dense: few numbers a row that keep most of what differs.

With rows a_r, their mean m and the d directions V in which the rows differ most, row r becomes (a_r - m) V s, where s
gives these vectors the mean squared length 1. V is found by subspace iteration from random directions: a step
multiplies by the centered matrix and its transpose, and makes the directions orthogonal again.

Source: Halko, Martinsson & Tropp (2011), Finding Structure with Randomness, algorithm 4.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, transpose_rows
from palate.kernels import multiply_rows
from palate.kernels.blas import single_threaded_blas

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

STEPS = 8  # of the iteration
SPARE = 10  # directions beside the wanted ones, which make the steps converge sooner
NEGLIGIBLE = 1e-6  # directions with so small a share of the first one's variance are rounding errors ...
SMALLEST = 1e-12  # ... and so are all of them below this variance, of rows whose length is about 1


@dataclass(frozen=True)
class Rows:
    """A matrix of n rows and m columns by its products: with a table (m, k), and its transpose with one of (n, k)."""

    n: int
    mean: Doubles
    multiply: Callable[[Floats], Floats]
    multiply_transposed: Callable[[Floats], Floats]


def dense_rows(x: Floats) -> Rows:
    """A dense matrix (n, m)."""
    return Rows(len(x), x.mean(axis=0, dtype=np.float64), lambda table: x @ table, lambda table: x.T @ table)


def sparse_rows(x: CompressedRows, n_columns: int) -> Rows:
    """A sparse matrix (n, n_columns)."""
    turned = transpose_rows(x, n_columns)

    def product(rows: CompressedRows, table: Floats) -> Floats:
        return multiply_rows(rows.indptr, rows.indices, rows.values, np.ascontiguousarray(table))

    sums = np.bincount(x.indices, x.values, n_columns)
    return Rows(x.n_rows, sums / x.n_rows, lambda table: product(x, table), lambda table: product(turned, table))


def principal_components(rows: Rows, n_components: int) -> Floats:
    """The scaled directions V s, (m, d) with d <= n_components.

    The first direction is that of most variance, and the largest part of each is positive. d is 0 if all rows are
    alike. The same rows give the same bytes at any number of threads.
    """
    m = len(rows.mean)
    rng = np.random.Generator(np.random.Philox(0))
    directions = rng.standard_normal((m, min(n_components + SPARE, m, rows.n)))
    with single_threaded_blas():
        for _ in range(STEPS):
            scores, _ = np.linalg.qr(_centered(rows, directions))
            directions, _ = np.linalg.qr(_centered_transposed(rows, scores))
        scores = _centered(rows, directions)
        variances, turn = np.linalg.eigh(scores.T @ scores / rows.n)
        order = np.argsort(-variances)[:n_components]
        kept = order[variances[order] > max(NEGLIGIBLE * variances.max(initial=0.0), SMALLEST)]
        components = directions @ turn[:, kept]
    components *= np.sign(components[np.abs(components).argmax(axis=0), np.arange(len(kept))])
    scaled: Floats = (components / np.sqrt(variances[kept].sum() or 1.0)).astype(np.float32)
    return scaled


def _centered(rows: Rows, table: Doubles) -> Doubles:
    product: Doubles = rows.multiply(table.astype(np.float32)) - rows.mean @ table
    return product


def _centered_transposed(rows: Rows, table: Doubles) -> Doubles:
    product = rows.multiply_transposed(table.astype(np.float32)).astype(np.float64)
    product -= np.outer(rows.mean, table.sum(axis=0))
    return product
