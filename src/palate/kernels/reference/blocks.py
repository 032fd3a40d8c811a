"""Reference implementation of solving rows a block of columns at a time."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers


def solve_blocks(
    indptr: Pointers,
    indices: Codes,
    values: Floats,
    other: Floats,
    vectors: Floats,
    *,
    block: int,
    weights: Floats | None = None,
    ridge: Floats | None = None,
    background: Floats | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """Every row x of one side, (n_rows, k), moved from `vectors` towards its solution given the other side.

    B = ridge I + background + sum_j w_j z_j z_j^T        h = sum_j w_j t_j z_j
    x_b <- x_b - B_bb^-1 (B x - h)_b        for each block b of columns in turn (the last may have fewer)

    One pass of block Gauss-Seidel over B x = h, the equations of solve_rows with precision and mean 0: the subspaces
    of iALS++ (Rendle et al. 2021, arXiv 2110.14044). Raises LinAlgError (a ValueError) if B_bb is singular.
    """
    k = other.shape[1]
    out = vectors.astype(np.float64)
    w = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    for row, x in enumerate(out):
        here = slice(indptr[row], indptr[row + 1])
        z, t = other[indices[here]].astype(np.float64), values[here].astype(np.float64)
        prior = (0.0 if ridge is None else float(ridge[row])) * np.eye(k)
        B = prior + (0.0 if background is None else background) + (w[here, None] * z).T @ z
        h = z.T @ (w[here] * t)
        for first in range(0, k, block):
            b = slice(first, first + block)
            x[b] -= np.linalg.solve(B[b, b], B[b] @ x - h[b])
    return out
