"""Reference implementation of the event kernel: what comes before what."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers

Rows = tuple[Pointers, Codes, Doubles]


def event_grams(
    indptr: Pointers,
    items: Codes,
    memory: Floats,
    *,
    n_items: int,
    k: int = 0,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Rows, Doubles, Rows]:
    """G below its diagonal, the diagonal, and the best k of each row of T', with G = sum s s' and T = sum s e'."""
    G, T = np.zeros((n_items, n_items)), np.zeros((n_items, n_items))
    near, follows = np.zeros((n_items, n_items), bool), np.zeros((n_items, n_items), bool)
    for first, end in pairwise(indptr):
        for at in range(first, end):
            past = items[max(first, at - len(memory)) : at]
            s = np.zeros(n_items)
            np.add.at(s, past, memory[: len(past)][::-1].astype(np.float64))
            G += np.outer(s, s)
            T[:, items[at]] += s
            near[np.ix_(past, past)] = True
            follows[past, items[at]] = True
        last = items[max(first, end - len(memory)) : end]  # the last events have met, though nothing follows
        near[np.ix_(last, last)] = True
    diagonal = np.diagonal(G).copy()
    return _rows(G, np.tril(near, -1)), diagonal, _rows(T.T, _best(T.T, follows.T, diagonal, k or n_items))


def _best(before: Doubles, follows: NDArray[Any], diagonal: Doubles, k: int) -> NDArray[Any]:
    """Which k entries of each row have the largest T_ij^2 / G_ii, of equal ones the lower columns."""
    scores = np.where(follows, before**2 / np.where(diagonal > 0, diagonal, 1), -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    kept = np.zeros_like(follows)
    np.put_along_axis(kept, order, values=True, axis=1)
    best: NDArray[Any] = kept & follows
    return best


def _rows(matrix: Doubles, kept: NDArray[Any]) -> Rows:
    rows, columns = np.nonzero(kept)
    pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(matrix)))]).astype(np.int64)
    return pointers, columns.astype(np.int32), matrix[rows, columns]
