"""Reference implementations of the row kernels: solving rows, predicting pairs, Gram matrices, grouping by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers
from palate.kernels.reference.random import normals


def solve_rows(
    indptr: Pointers,
    indices: Codes,
    values: Floats,
    other: Floats,
    *,
    precision: Floats,
    mean: Floats,
    weights: Floats | None = None,
    row_weights: Floats | None = None,
    other_weights: Floats | None = None,
    ridge: Floats | None = None,
    background: Floats | None = None,
    bias: bool = False,
    center: float = 0.0,
    scale: float = 1.0,
    alpha: float = 1.0,
    draw: bool = False,
    previous: Floats | None = None,
    relaxation: float = 0.0,
    seed: int = 0,
    sweep: int = 0,
    stream: int = 0,
    first_row: int = 0,
    errors: bool = False,
    modes: Floats | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Doubles, Doubles | None]:
    """Every row x of one side given the other, (n_rows, k), and its sum of w (t - x.z)^2, (n_rows,).

    B = Lambda + ridge I + background + alpha sum_j w_j z_j z_j^T
    mode  x = B^-1 ((Lambda + ridge I) m + alpha sum_j w_j t_j z_j)        draw  x = mode + L^-T eps,  B = L L^T

    w_j is the product of the weights of the rating, (n_ratings,), of its row, (n_rows,), and of the other side's row,
    (n_other,). With the draws before, previous (n_rows, k), a draw is mode - a (previous - mode) + sqrt(1 - a^2) L^-T
    eps, a being the relaxation. modes: (n_rows, k), set to the modes. first_row: the number of row 0 in the counter of
    random numbers. Raises LinAlgError (a ValueError) if B is not positive definite.
    """
    n_rows, k = len(indptr) - 1, other.shape[1]
    Z, targets = targets_of(indices, values, other, bias=bias, center=center, scale=scale)
    w = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    w = w if row_weights is None else w * np.repeat(row_weights, np.diff(indptr))
    w = w if other_weights is None else w * other_weights[indices]
    means = np.broadcast_to(mean.astype(np.float64), (n_rows, k))
    out, sse = np.empty((n_rows, k)), np.empty(n_rows)
    for row in range(n_rows):
        here = slice(indptr[row], indptr[row + 1])
        z, t = Z[here], targets[here]
        prior = precision.astype(np.float64) + (0.0 if ridge is None else float(ridge[row])) * np.eye(k)
        B = prior + alpha * (w[here, None] * z).T @ z + (0.0 if background is None else background)
        h = prior @ means[row] + alpha * z.T @ (w[here] * t)
        L = np.linalg.cholesky(B)
        mode = np.linalg.solve(L.T, np.linalg.solve(L, h))
        out[row] = mode
        if modes is not None:
            modes[row] = mode
        if draw:
            a, before = (0.0, mode) if previous is None else (relaxation, previous[row])
            noise = np.linalg.solve(L.T, normals(seed, first_row + row, sweep, stream, k))
            out[row] = mode - a * (before - mode) + np.sqrt(1 - a**2) * noise
        sse[row] = np.sum(w[here] * (t - z @ out[row]) ** 2)
    return out, sse if errors else None


def solve_draws(
    indptr: Pointers,
    indices: Codes,
    values: Floats,
    others: Floats,
    *,
    precisions: Floats,
    means: Floats,
    alphas: Floats,
    weights: Floats | None = None,
    center: float = 0.0,
    scale: float = 1.0,
    draw: bool = False,
    seed: int = 0,
    stream: int = 0,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """Every row x under each draw of the other side, (S, n_rows, k): solve_rows once for each draw, with a bias."""
    shared: dict[str, Any] = {"weights": weights, "bias": True, "center": center, "scale": scale}
    random: dict[str, Any] = {"draw": draw, "seed": seed, "stream": stream}
    solved = [
        solve_rows(
            indptr, indices, values, other, precision=Lambda, mean=m, alpha=float(alpha), sweep=s, **shared, **random
        )[0]
        for s, (other, Lambda, m, alpha) in enumerate(zip(others, precisions, means, alphas, strict=True))
    ]
    return np.stack(solved)


def targets_of(
    indices: Codes, values: Floats, other: Floats, *, bias: bool, center: float, scale: float
) -> tuple[Doubles, Doubles]:
    """What rows are fitted to: z = other[j], (n, k), and t = (value - center) / scale, (n,).

    With a bias the last column c of `other` moves to the target: z = [q, 1], t = (value - center) / scale - c.
    """
    z = other[indices].astype(np.float64)
    t = (values.astype(np.float64) - center) / scale
    if not bias:
        return z, t
    t = t - z[:, -1]
    z[:, -1] = 1.0
    return z, t


def predict_pairs(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    *,
    bias: bool = False,
    center: float = 0.0,
    scale: float = 1.0,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """The prediction center + scale * (p . q [+ b + c]) of each pair, (n,); b and c are the last columns."""
    x, y = users[user_codes].astype(np.float64), items[item_codes].astype(np.float64)
    factors = x.shape[1] - bias
    product: Doubles = np.einsum("nk,nk->n", x[:, :factors], y[:, :factors])
    biases: Doubles = x[:, factors:].sum(axis=1) + y[:, factors:].sum(axis=1)
    return center + scale * (product + biases)


def gram(x: Floats, *, n_threads: int = 0) -> tuple[Doubles, Doubles]:  # noqa: ARG001
    """X^T X, (k, k), and the column sums, (k,)."""
    rows = x.astype(np.float64)
    return rows.T @ rows, rows.sum(axis=0)


def has_repeats(indptr: Pointers, indices: Codes, n_columns: int) -> bool:
    """True if a row of a sparse matrix has an entry twice in the same column."""
    pairs = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)) * n_columns + indices
    return len(np.unique(pairs)) < len(pairs)


def compress_rows(
    row_codes: Codes, other_codes: Codes, values: Floats, weights: Floats | None, n_rows: int
) -> tuple[Pointers, Codes, Floats, Floats | None]:
    """The ratings grouped by row, within a row in their order: (indptr, indices, values, weights)."""
    order = np.argsort(row_codes, kind="stable")
    indptr = np.searchsorted(row_codes[order], np.arange(n_rows + 1)).astype(np.int64)
    return indptr, other_codes[order], values[order], None if weights is None else weights[order]
