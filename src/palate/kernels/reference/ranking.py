"""The slow NumPy twins of the kernels that rank a whole catalogue; see `palate.kernels.reference.rows`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.kernels.reference.rows import Codes, Doubles, Floats, select_top

Begins = NDArray[np.int64]
Mask = NDArray[np.bool_] | NDArray[np.uint8]


def top_n(
    users: Floats,
    items: Floats,
    n: int,
    *,
    bias: bool = True,
    seen_indptr: Begins | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Codes, Floats]:
    """The n best items of each user by p . q [+ c + b], and these scores, both (n_users, min(n, n_items)).

    c and b are the last columns of items and users. Ties go to the lower code; b, the same for all items of a user, is
    added last and makes none. Items seen or not allowed are left out, and so are those whose score is NaN or -inf:
    where too few are left, the code is -1 and the score -inf.
    """
    scores = scores_of(users, items, bias=bias)
    codes, best = top_n_of(scores, n, seen_indptr=seen_indptr, seen_indices=seen_indices, allowed=allowed)
    with np.errstate(invalid="ignore"):
        best = best + (users[:, -1:] if bias else np.float32(0))
    there = best > -np.inf
    return np.where(there, codes, np.int32(-1)), np.where(there, best, np.float32(-np.inf))


def scores_of(users: Floats, items: Floats, *, bias: bool) -> Floats:
    """The score p . q [+ c] of every user and item, (n_users, n_items), without the bias of the user."""
    factors = users.shape[1] - bias
    x, y = users.astype(np.float64), items.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        products: Doubles = np.einsum("uk,ik->ui", x[:, :factors], y[:, :factors])
        scores: Floats = (products + y[:, factors:].sum(axis=1)).astype(np.float32)
    return scores


def top_n_of(
    scores: Floats,
    n: int,
    *,
    seen_indptr: Begins | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Codes, Floats]:
    """The same of scores that are there already, (n_users, n_items)."""
    left = candidates_of(scores.shape, seen_indptr, seen_indices, allowed)
    return select_top(np.where(left, scores, np.float32(-np.inf)), n)


def candidates_of(
    shape: tuple[int, ...], seen_indptr: Begins | None, seen_indices: Codes | None, allowed: Mask | None
) -> NDArray[np.bool_]:
    """Which items each user may get, (n_users, n_items)."""
    left = np.ones(shape, bool)
    if seen_indptr is not None:
        left[np.repeat(np.arange(shape[0]), np.diff(seen_indptr)), seen_indices] = False
    if allowed is not None:
        left &= allowed.astype(bool)
    return left


def rank_targets(
    users: Floats,
    items: Floats,
    target_indptr: Begins,
    target_indices: Codes,
    *,
    n: int = 0,
    bias: bool = True,
    seen_indptr: Begins | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Begins, Doubles, Codes, Codes]:
    """Where each target of each user stands among all items he may get: (ranks, middles, n_candidates, codes).

    ranks (n_targets,): 1 + how many of them come before it, the score p . q [+ c] being greater, or equal and the code
    lower; NaN comes behind all numbers. 0: the target is seen or not allowed. middles (n_targets,): the mean rank of
    all of them that score the same, 0 likewise. n_candidates (n_users,): how many items he may get. codes (n_users,
    min(n, n_items)): the n best of them, as by top_n.
    """
    scores = scores_of(users, items, bias=bias)
    left: dict[str, Any] = {"seen_indptr": seen_indptr, "seen_indices": seen_indices, "allowed": allowed}
    found = rank_targets_of(scores, target_indptr, target_indices, **left)
    return *found[:3], top_n(users, items, n, bias=bias, **left)[0]


def rank_targets_of(
    scores: Floats,
    target_indptr: Begins,
    target_indices: Codes,
    *,
    n: int = 0,
    seen_indptr: Begins | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Begins, Doubles, Codes, Codes]:
    """The same of scores that are there already, (n_users, n_items)."""
    left = candidates_of(scores.shape, seen_indptr, seen_indices, allowed)
    ranks, middles = np.zeros(len(target_indices), np.int64), np.zeros(len(target_indices))
    for user in range(len(scores)):
        for at in range(target_indptr[user], target_indptr[user + 1]):
            ranks[at], middles[at] = _rank_of(scores[user], left[user], int(target_indices[at]))
    best = select_top(np.where(left, scores, np.float32(-np.inf)), n)[0]
    return ranks, middles, left.sum(axis=1).astype(np.int32), best


def _rank_of(scores: Floats, left: NDArray[np.bool_], target: int) -> tuple[int, float]:
    """The rank of one target, and the mean rank of all that have its score."""
    if not left[target]:
        return 0, 0.0
    number, score = ~np.isnan(scores), scores[target]
    above, level = (scores > score, scores == score) if number[target] else (number, ~number)
    lower = np.arange(len(scores)) < target
    first = 1 + int((left & above).sum())
    return first + int((left & level & lower).sum()), first + (int((left & level).sum()) - 1) / 2
