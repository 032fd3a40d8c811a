"""Reference implementation of the event kernel: what comes before what."""

from __future__ import annotations

import numpy as np

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Pointers

Rows = tuple[Pointers, Codes, Doubles]


def event_grams(
    indptr: Pointers,
    items: Codes,
    memory: Floats,
    *,
    n_items: int,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Rows, Doubles, Rows]:
    """G below its diagonal, the diagonal, and T', with G = sum s s' and T = sum s e' over the pasts s of events e."""
    G, T = np.zeros((n_items, n_items)), np.zeros((n_items, n_items))
    near, follows = np.zeros((n_items, n_items), bool), np.zeros((n_items, n_items), bool)
    for first, end in zip(indptr[:-1], indptr[1:], strict=True):
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
    return _rows(G, np.tril(near, -1)), np.diagonal(G).copy(), _rows(T.T, follows.T)


def _rows(matrix: Doubles, kept: np.ndarray) -> Rows:
    rows, columns = np.nonzero(kept)
    pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(matrix)))]).astype(np.int64)
    return pointers, columns.astype(np.int32), matrix[rows, columns]
