"""Which ratings go into which part of a split, for ratings on disk: rules that need memory for some users only.

What is kept for each rating is one byte, or two: whether it is held out, or in which fold it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.mapped import Blocks
from palate.data.ratings import Ratings
from palate.data.rows import Codes

AT_ONCE = 1 << 20  # ratings that are drawn among each other, or counted at once
BINS = 1 << 16

Rule = Callable[[Codes, slice, slice], NDArray[Any]]  # of the users of some ratings, numbered from 0; see by_users


def by_users(ratings: Ratings, dtype: Any, rule: Rule) -> NDArray[Any]:
    """What a rule says of each rating, (n,), where it looks at the ratings of whole users only.

    rule(users, codes, at) gets the user of each of some ratings, counted from the first of the users `codes`, and where
    these ratings stand. Ratings in memory are asked about at once, Blocks some users at a time.
    """
    if not isinstance(ratings, Blocks):
        return rule(ratings.user_codes, slice(0, ratings.n_users), slice(0, len(ratings)))
    found = np.empty(len(ratings), dtype)
    for at, codes in ratings.user_ranges():
        found[at] = rule(ratings.users_of(at) - np.int32(codes.start), codes, at)
    return found


def of_users(ratings: Ratings, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask, (n,), of the ratings of the users that are chosen, (n_users,)."""
    return by_users(ratings, bool, lambda users, codes, _: chosen[codes][users])


def counts_of_users(ratings: Ratings) -> NDArray[np.int64]:
    """The number of ratings of each user, (n_users,)."""
    if isinstance(ratings, Blocks):
        return ratings.by_user().counts
    return np.bincount(ratings.user_codes, minlength=ratings.n_users)


def drawn(n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask, (n,), of int(n * share) ratings drawn at random: of each AT_ONCE ratings, the share of these."""
    mask = np.zeros(n, bool)
    n_before = 0
    for at in _slices(n):
        n_until = int(at.stop * share)
        order = rng.permutation(at.stop - at.start)
        mask[at][order[: n_until - n_before]] = True
        n_before = n_until
    return mask


def dealt(n: int, folds: int, rng: np.random.Generator) -> NDArray[Any]:
    """The fold of each rating, (n,): dealt in turn, in random order among each AT_ONCE ratings."""
    found = np.empty(n, np.min_scalar_type(folds))
    for at in _slices(n):
        found[at][rng.permutation(at.stop - at.start)] = np.arange(at.start, at.stop) % folds
    return found


def first_of_missing(blocks: Blocks, is_test: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions of the first rating of each user, and of each item, whose ratings are all in test."""
    left = {side: np.zeros(getattr(blocks, f"n_{side}s"), np.int64) for side in ("user", "item")}
    for at, of_side in _codes_of(blocks):
        for side, codes in of_side.items():
            left[side] += np.bincount(codes[~is_test[at]], minlength=len(left[side]))
    first = {side: np.full(len(counts), -1) for side, counts in left.items()}
    for at, of_side in _codes_of(blocks):
        for side, codes in of_side.items():
            missing, where = np.unique(codes, return_index=True)
            new = (left[side][missing] == 0) & (first[side][missing] < 0)
            first[side][missing[new]] = at.start + where[new]
    return np.unique(np.concatenate([places[places >= 0] for places in first.values()]))


def _codes_of(blocks: Blocks) -> Iterator[tuple[slice, dict[str, Codes]]]:
    for at in _slices(len(blocks)):
        yield at, {"user": blocks.users_of(at), "item": blocks.item_codes[at]}


def nth_largest(values: NDArray[np.int64], n: int) -> int:
    """The n-th largest of some values, n from 1: counted in ever narrower bins, not sorted."""
    low, high = int(values.min()), int(values.max())
    while low < high:
        width = -(-(high - low + 1) // BINS)
        counts = np.zeros(BINS, np.int64)
        for at in _slices(len(values)):
            part = values[at]
            part = part[(part >= low) & (part <= high)]
            above = part.astype(np.uint64) - np.uint64(low % 2**64)  # may not fit 63 bits
            counts += np.bincount((above // np.uint64(width)).astype(np.int64), minlength=BINS)
        from_top = np.cumsum(counts[::-1])
        at_bin = int(np.searchsorted(from_top, n))
        n -= int(from_top[at_bin] - counts[BINS - 1 - at_bin])
        low += (BINS - 1 - at_bin) * width
        high = min(low + width - 1, high)
    return low


def _slices(n: int) -> Iterator[slice]:
    for start in range(0, n, AT_ONCE):
        yield slice(start, min(start + AT_ONCE, n))
