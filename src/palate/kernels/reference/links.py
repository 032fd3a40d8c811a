"""Reference implementations of the sparse product and of the draw of a link from features to factors."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers
from palate.kernels.reference.random import normals


def multiply_rows(
    indptr: Pointers,
    indices: Codes,
    values: Floats | None,
    table: Floats,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """A sparse matrix times a table, (n_rows, k): out_r = sum_j values_rj table_j. Without values all are 1."""
    entries = table[indices].astype(np.float64) * (1.0 if values is None else values[:, None].astype(np.float64))
    sums = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(entries, axis=0)])
    product: Doubles = sums[indptr[1:]] - sums[indptr[:-1]]
    return product


def draw_link(
    indptr: Pointers,
    indices: Codes,
    values: Floats | None,
    link: Floats,
    residuals: Floats,
    *,
    row_values: Floats | None = None,
    ridge: Floats,
    factor: Floats,
    relaxation: float = 0.0,
    seed: int = 0,
    sweep: int = 0,
    stream: int = 0,
    n_threads: int = 0,  # noqa: ARG001
) -> None:
    """One Gibbs pass over the rows beta_f of a link, changing it and the residuals R = X - m - F beta in place.

    beta_f ~ Normal((sum_r F_rf R_r + sum_r F_rf^2 beta_f) / v, C C^T / v),   v = sum_r F_rf^2 + ridge_f

    relaxation: a of Adler's overrelaxation, beta_f = mean - a (beta_f before - mean) + sqrt(1 - a^2) noise.
    C is the factor, C C^T = Lambda^-1. The features F are grouped by feature: the rows that have it, and their values;
    or row_values, (n_rows,), one value for all entries of a row.
    """
    if values is None:
        assert row_values is not None
        values = row_values[indices]
    for f in range(len(link)):
        rows = indices[indptr[f] : indptr[f + 1]]
        here = values[indptr[f] : indptr[f + 1]].astype(np.float64)
        before = link[f].astype(np.float64)
        squares = np.sum(here**2)
        noise = factor.astype(np.float64) @ normals(seed, f, sweep, stream, link.shape[1])
        mean = (here @ residuals[rows] + squares * before) / (squares + ridge[f])
        noise *= np.sqrt((1 - relaxation**2) / (squares + ridge[f]))
        link[f] = mean - relaxation * (before - mean) + noise
        residuals[rows] -= here[:, None] * (link[f] - before)
