"""Reference implementations of the kernels that rank a whole catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.kernels.reference.arrays import Codes, Doubles, Floats, Mask, Pointers


def top_n(
    users: Floats,
    items: Floats,
    n: int,
    *,
    bias: bool = True,
    seen_indptr: Pointers | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    packed: Any = None,  # noqa: ARG001
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Codes, Floats]:
    """The n best items of each user by p . q [+ c + b], and their scores, both (n_users, min(n, n_items)).

    c and b are the last columns of items and users. Ties go to the lower code. b is the same for all items of a user:
    it is added last and makes no ties. Items that are seen or not allowed are left out, and so are those whose score is
    NaN or -inf. Where too few are left, the code is -1 and the score -inf. Packed items are the same items.
    """
    scores = scores_of(users, items, bias=bias)
    codes, best = top_n_of(scores, n, seen_indptr=seen_indptr, seen_indices=seen_indices, allowed=allowed)
    with np.errstate(invalid="ignore"):
        best = best + (users[:, -1:] if bias else np.float32(0))
    valid = best > -np.inf
    return np.where(valid, codes, np.int32(-1)), np.where(valid, best, np.float32(-np.inf))


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
    seen_indptr: Pointers | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Codes, Floats]:
    """The n best items of each user by given scores, (n_users, n_items); see top_n."""
    candidates = candidates_of(scores.shape, seen_indptr, seen_indices, allowed)
    return select_top(np.where(candidates, scores, np.float32(-np.inf)), n)


def candidates_of(
    shape: tuple[int, ...], seen_indptr: Pointers | None, seen_indices: Codes | None, allowed: Mask | None
) -> NDArray[np.bool_]:
    """True where an item is a candidate of a user: allowed and not seen, (n_users, n_items)."""
    candidates = np.ones(shape, bool)
    if seen_indptr is not None:
        candidates[np.repeat(np.arange(shape[0]), np.diff(seen_indptr)), seen_indices] = False
    if allowed is not None:
        candidates &= allowed.astype(bool)
    return candidates


def rank_targets(
    users: Floats,
    items: Floats,
    target_indptr: Pointers,
    target_indices: Codes,
    *,
    n: int = 0,
    bias: bool = True,
    seen_indptr: Pointers | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Pointers, Doubles, Codes, Codes]:
    """The rank of each target among its user's candidates, by p . q [+ c]: (ranks, middles, n_candidates, codes).

    ranks (n_targets,): 1 + the number of candidates before it, whose score is greater, or equal and the code lower; NaN
    comes after all numbers. 0 if the target is no candidate. middles (n_targets,): the mean rank of all candidates with
    the same score; 0 likewise. n_candidates (n_users,): how many there are. codes (n_users, min(n, n_items)): the n
    best candidates, as from top_n.
    """
    scores = scores_of(users, items, bias=bias)
    masks: dict[str, Any] = {"seen_indptr": seen_indptr, "seen_indices": seen_indices, "allowed": allowed}
    found = rank_targets_of(scores, target_indptr, target_indices, **masks)
    return *found[:3], top_n(users, items, n, bias=bias, **masks)[0]


def rank_targets_of(
    scores: Floats,
    target_indptr: Pointers,
    target_indices: Codes,
    *,
    n: int = 0,
    seen_indptr: Pointers | None = None,
    seen_indices: Codes | None = None,
    allowed: Mask | None = None,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[Pointers, Doubles, Codes, Codes]:
    """The rank of each target among its user's candidates by given scores, (n_users, n_items); see rank_targets."""
    candidates = candidates_of(scores.shape, seen_indptr, seen_indices, allowed)
    ranks, middles = np.zeros(len(target_indices), np.int64), np.zeros(len(target_indices))
    for user in range(len(scores)):
        for at in range(target_indptr[user], target_indptr[user + 1]):
            ranks[at], middles[at] = _rank_of(scores[user], candidates[user], int(target_indices[at]))
    best = select_top(np.where(candidates, scores, np.float32(-np.inf)), n)[0]
    return ranks, middles, candidates.sum(axis=1).astype(np.int32), best


def select_top(scores: NDArray[Any], n: int, *, n_threads: int = 0) -> tuple[Codes, Floats]:  # noqa: ARG001
    """The n best columns of each row and their scores, both (rows, n); ties go to the lower column.

    NaN and -inf are never chosen: where too few are left, the code is -1 and the score -inf.
    """
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    codes = np.argsort(-ranked, axis=1, kind="stable")[:, :n].astype(np.int32)
    best = np.take_along_axis(ranked, codes, axis=1).astype(np.float32)
    return np.where(best == -np.inf, np.int32(-1), codes), best


def _rank_of(scores: Floats, candidates: NDArray[np.bool_], target: int) -> tuple[int, float]:
    """The rank of one target, and the mean rank of all that have its score."""
    if not candidates[target]:
        return 0, 0.0
    number, score = ~np.isnan(scores), scores[target]
    above, level = (scores > score, scores == score) if number[target] else (number, ~number)
    lower = np.arange(len(scores)) < target
    first = 1 + int((candidates & above).sum())
    return first + int((candidates & level & lower).sum()), first + (int((candidates & level).sum()) - 1) / 2
