"""Reference implementations of the support kernels: a sparse Gram matrix, and regressions on a few of its columns."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers
from palate.kernels.reference.neighbors import dense


def sparse_gram(
    indptr: Pointers,
    indices: Codes,
    values: Floats | None,
    other_indptr: Pointers,
    other_indices: Codes,
    other_values: Floats | None,
    *,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Pointers, Codes, Doubles]:
    """The product A X below its diagonal, as compressed rows: where two meet in a row of X, whatever the value."""
    n, n_middle = len(indptr) - 1, len(other_indptr) - 1
    product = dense(indptr, indices, values, n_middle) @ dense(other_indptr, other_indices, other_values, n)
    meet = dense(indptr, indices, None, n_middle) @ dense(other_indptr, other_indices, None, n)
    rows, columns = np.nonzero(np.tril(meet, -1))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return pointers, columns.astype(np.int32), product[rows, columns]


def solve_supports(
    gram_indptr: Pointers,
    gram_indices: Codes,
    gram_values: Floats,
    *,
    diagonal: Floats,
    ridges: Floats,
    indptr: Pointers,
    indices: Codes,
    targets: Codes,
    right: Floats | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> Doubles:
    """(G_SS + diag(ridge_S))^-1 G_Sj for each ridge and each row's support S and target j, (n_ridges, n_entries).

    right: in place of G_Sj.
    """
    below = dense(gram_indptr, gram_indices, gram_values, len(diagonal))
    G = below + below.T
    out = np.zeros((len(ridges), len(indices)))
    for row, target in enumerate(targets):
        here = slice(indptr[row], indptr[row + 1])
        S = indices[here]
        for ridge, weights in zip(ridges.astype(np.float64), out, strict=True):
            B = G[np.ix_(S, S)] + np.diag(diagonal[S] + ridge[S])
            weights[here] = np.linalg.solve(B, G[S, target] if right is None else right[here].astype(np.float64))
    return out
