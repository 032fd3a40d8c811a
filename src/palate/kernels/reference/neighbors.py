"""Reference implementations of the neighbor kernels: products of sparse matrices, and nearest rows."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers


def dense(indptr: Pointers, indices: Codes, values: Floats | None, n_columns: int) -> Doubles:
    """Compressed rows as a dense matrix, (n_rows, n_columns)."""
    matrix = np.zeros((len(indptr) - 1, n_columns))
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    np.add.at(matrix, (rows, indices), 1.0 if values is None else values.astype(np.float64))
    return matrix


def multiply_sparse(
    indptr: Pointers,
    indices: Codes,
    values: Floats | None,
    other_indptr: Pointers,
    other_indices: Codes,
    other_values: Floats | None,
    n_columns: int,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The product A T of two sparse matrices, (n_rows, n_columns)."""
    n_middle = len(other_indptr) - 1
    return dense(indptr, indices, values, n_middle) @ dense(other_indptr, other_indices, other_values, n_columns)


def multiply_wide(
    indptr: Pointers,
    indices: Codes,
    values: Floats | None,
    table: Floats,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The product A T of a sparse matrix and a dense table, (n_rows, n_columns)."""
    return dense(indptr, indices, values, len(table)) @ table.astype(np.float64)


def nearest_rows(
    indptr: Pointers,
    indices: Codes,
    values: Floats | None,
    other_indptr: Pointers,
    other_indices: Codes,
    other_values: Floats | None,
    n_others: int,
    *,
    k: int,
    shrinkage: float = 0.0,
    sizes: Codes | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Codes, Doubles]:
    """The k others v with the largest s = n / (n + shrinkage) sum_j A_rj T_jv above 0, ties to the lower code.

    n counts the columns j that they share. Without sizes the row itself is left out; with sizes, others that have
    exactly the same columns. Codes and similarities, both (n_rows, min(k, n_others)).
    """
    n_middle, k = len(other_indptr) - 1, min(k, n_others)
    A, T = dense(indptr, indices, values, n_middle), dense(other_indptr, other_indices, other_values, n_others)
    has_row, has_other = (
        dense(indptr, indices, None, n_middle),
        dense(other_indptr, other_indices, None, n_others),
    )
    common = has_row @ has_other
    similarity = np.where(common > 0, A @ T * common / np.maximum(common + shrinkage, 1e-300), 0.0)
    if sizes is None:
        np.fill_diagonal(similarity, 0)
    else:
        similarity[(common == np.diff(indptr)[:, None]) & (common == sizes)] = 0
    codes, best = np.full((len(A), k), -1, np.int32), np.zeros((len(A), k))
    for row, line in enumerate(similarity):
        order = np.argsort(-line, kind="stable")[:k]
        order = order[line[order] > 0]
        codes[row, : len(order)], best[row, : len(order)] = order, line[order]
    return codes, best
