"""Splits: ratings -> (train, test), at random, by time, by user or by fold.

Each is a function of the ratings and at most one seed. Both parts keep the vocabularies and tables of the whole, so a
code means the same user or item in both. The parts of Blocks are Blocks, made with memory for a byte or two a rating.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks import parting
from palate.data.blocks.mapped import Blocks
from palate.data.ratings import Ratings
from palate.data.rows import Codes
from palate.data.timestamps import Timestamp, seconds_of
from palate.errors import DataError, OptionError
from palate.options import check_seed, check_whole, is_number, is_whole

Split = tuple[Ratings, Ratings]


def split_random(ratings: Ratings, test: float = 0.1, seed: int = 0, keep_all: bool = False) -> Split:
    """Hold out a share of the ratings at random.

    int(n * test) ratings are held out. Both parts come in the order of the draw; those of Blocks keep their order, and
    are drawn 2**20 ratings at a time, the share of each. The draw depends on the ratings and the seed alone.

    Parameters:
        ratings (Ratings): The ratings to split.
        test (float, default 0.1): Share of the ratings to hold out, between 0 and 1 (exclusive).
        seed (int, default 0): Seed of the random draw, 0 or more.
        keep_all (bool, default False): Keep at least one rating of every rated user and item in train. A few held-out
            ratings then move back, so test is smaller by those.

    Returns:
        tuple of two Ratings: (train, test).

    Raises:
        OptionError: `test` or `seed` is out of its range.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> train, test = palate.split_random(ratings, test=0.1, seed=0)
        >>> len(train), len(test)
        (1080, 120)
    """
    _check_share(test)
    if isinstance(ratings, Blocks):
        mask = parting.drawn(len(ratings), test, _generator(seed))
        if keep_all:
            mask[parting.first_of_missing(ratings, mask)] = False
        return ratings.divided(mask)
    drawn = _permutation(len(ratings), seed)
    is_test = np.arange(len(drawn)) < int(len(drawn) * test)
    if keep_all:
        for codes in (ratings.user_codes[drawn], ratings.item_codes[drawn]):
            is_test[_first_of_missing(codes, is_test)] = False
    return ratings[drawn[~is_test]], ratings[drawn[is_test]]


def split_folds(ratings: Ratings, folds: int = 5, seed: int = 0) -> list[Split]:
    """Split ratings at random into folds of equal size, for cross-validation.

    Fold sizes differ by at most one rating. Each fold is the test of one (train, test); train is all other folds.

    Parameters:
        ratings (Ratings): The ratings to split.
        folds (int, default 5): Number of folds, between 2 and the number of ratings.
        seed (int, default 0): Seed of the random draw, 0 or more.

    Returns:
        list of (Ratings, Ratings): One (train, test) per fold.

    Raises:
        OptionError: `folds` or `seed` is out of its range.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> [len(test) for _, test in palate.split_folds(ratings, folds=3)]
        [400, 400, 400]
    """
    _check_folds(folds, len(ratings), "the number of ratings")
    if isinstance(ratings, Blocks):
        of = parting.dealt(len(ratings), folds, _generator(seed))
        return [_split_by_mask(ratings, of == fold) for fold in range(folds)]
    parts = np.array_split(_permutation(len(ratings), seed), folds)
    return [
        (ratings[np.concatenate([*parts[:fold], *parts[fold + 1 :]])], ratings[parts[fold]]) for fold in range(folds)
    ]


def split_folds_within_users(ratings: Ratings, folds: int = 5, seed: int = 0) -> list[Split]:
    """Split the ratings of each user at random into folds of equal size, for cross-validation of rankings.

    Ratings are dealt to the folds user by user, in random order within each user, so the folds of one user differ by at
    most one rating, and so do the folds as a whole. A user's only rating stays in train, so every user in test is
    known. Both parts keep the row order.

    Parameters:
        ratings (Ratings): The ratings to split.
        folds (int, default 5): Number of folds, between 2 and the number of ratings of users with two or more.
        seed (int, default 0): Seed of the random draw, 0 or more.

    Returns:
        list of (Ratings, Ratings): One (train, test) per fold.

    Raises:
        DataError: No user has two ratings.
        OptionError: `folds` or `seed` is out of its range.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
        >>> [len(test) for _, test in palate.split_folds_within_users(likes, folds=3)]
        [202, 202, 201]
    """
    counts = parting.counts_of_users(ratings)
    n_dealt = int(counts[counts > 1].sum())
    if n_dealt == 0:
        raise DataError("no user has two of these ratings, so none can be held out within users: use split_folds.")
    _check_folds(folds, n_dealt, "the number of ratings of users who have several")
    rng, n_before = _generator(seed), 0
    dtype = np.min_scalar_type(-folds)

    def fold_of(users: Codes, codes: slice, _: slice) -> NDArray[Any]:
        nonlocal n_before
        order = np.lexsort((rng.random(len(users)), users))  # by user, then by key
        dealt = order[counts[codes][users[order]] > 1]
        found = np.full(len(users), -1, dtype)
        found[dealt] = np.arange(n_before, n_before + len(dealt)) % folds
        n_before += len(dealt)
        return found

    of = parting.by_users(ratings, dtype, fold_of)
    return [_split_by_mask(ratings, of == fold) for fold in range(folds)]


def split_rows(ratings: Ratings, test_rows: Any) -> Split:
    """Hold out the given rows.

    Parameters:
        ratings (Ratings): The ratings to split.
        test_rows (array of int or bool): Rows to hold out, as distinct positions from 0, which keep their order (but
            not in Blocks, which stand by user), or as a mask of shape (n,).

    Returns:
        tuple of two Ratings: (train, test).

    Raises:
        OptionError: A position is out of range or given twice, or the mask has the wrong shape.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> train, test = palate.split_rows(ratings, ratings.values == 5)
        >>> float(train.values.max())
        4.0
    """
    given = np.asarray(test_rows)
    if isinstance(ratings, Blocks) and given.dtype == np.bool_:
        return ratings.divided(given)  # as it is: positions take eight bytes each
    rows = _as_rows(given, len(ratings))
    if isinstance(ratings, Blocks):
        return ratings.divided(_mask_of(rows, len(ratings)))
    return ratings[_mask_of(rows, len(ratings), inverted=True)], ratings[rows]


def split_last(ratings: Ratings, n: int = 1) -> Split:
    """Hold out the last ratings of each user: the split for next items (palate.evaluate(..., next_item=True)).

    The last ones are those with the latest times; among equal times, the later row is later. Ratings without times are
    taken in the order of their rows, the oldest first. A pair that stands in several rows is several events, and each
    counts. A user with n ratings or fewer stays in train, so every user in test is known. Both parts keep the row
    order. Train still holds what other users did later: "What a split may claim" in the documentation says what that
    allows.

    Parameters:
        ratings (Ratings): The ratings to split, with times or in the order of events.
        n (int, default 1): Ratings of each user to hold out, 1 or more.

    Returns:
        tuple of two Ratings: (train, test).

    Raises:
        OptionError: `n` is out of its range.

    Example:
        >>> import palate
        >>> columns = {"user": ["ann"] * 3 + ["bob"], "item": ["tea", "jam", "egg", "tea"], "rating": [5, 3, 4, 2]}
        >>> ratings = palate.read(columns | {"time": [10, 30, 20, 40]})
        >>> train, test = palate.split_last(ratings)
        >>> test.to_frame()["item"].to_list()
        ['jam']
        >>> train, test = palate.split_last(palate.read(columns))
        >>> test.to_frame()["item"].to_list()
        ['egg']
    """
    check_whole(1, n=n)
    times = ratings.times

    def are_last(users: Codes, codes: slice, at: slice) -> NDArray[np.bool_]:
        order = np.lexsort((users,) if times is None else (times[at], users))  # by user, then by time; stable
        counts = np.bincount(users, minlength=codes.stop - codes.start)
        user = users[order]
        is_last = (np.arange(len(order)) >= np.cumsum(counts)[user] - n) & (counts[user] > n)
        return _mask_of(order[is_last], len(users))

    return _split_by_mask(ratings, parting.by_users(ratings, bool, are_last))


def split_time(ratings: Ratings, *, at: Timestamp | None = None, test: float | None = None) -> Split:
    """Hold out the ratings given at a time or later.

    Give either the time or the share of the latest ratings. Ratings with equal times stay together, so the share held
    out may be a little larger than `test`. Both parts keep the row order.

    Parameters:
        ratings (Ratings): The ratings to split; they need times.
        at (timestamp, default None): First time of test: a number in the unit of ratings.times, or a date, a datetime
            or an ISO text, which become seconds since 1970.
        test (float, default None): Share of the ratings to hold out, between 0 and 1 (exclusive).

    Returns:
        tuple of two Ratings: (train, test).

    Raises:
        DataError: The ratings have no times, or `at` is no time.
        OptionError: Neither or both of `at` and `test` are given, or one is not valid.

    Example:
        >>> import palate
        >>> columns = {"user": ["ann"] * 3 + ["bob"], "item": ["tea", "jam", "egg", "tea"], "rating": [5, 3, 4, 2]}
        >>> ratings = palate.read(columns | {"time": [10, 30, 20, 40]})
        >>> train, test = palate.split_time(ratings, at=30)
        >>> test.to_frame()["item"].to_list()
        ['jam', 'tea']
    """
    if (at is None) == (test is None):
        raise OptionError("give either at=, a time in the unit of ratings.times, or test=, a share between 0 and 1.")
    times = _times(ratings)
    if test is not None:
        _check_share(test)
        at = _start_of_latest(times, test)
    start = at if is_number(at) else seconds_of([at], "at")[0]
    if math.isnan(start):
        raise OptionError(
            f"at={at!r}: give a number in the unit of ratings.times (usually seconds since 1970), or a date."
        )
    return _split_by_mask(ratings, times >= start)


def split_users(ratings: Ratings, test: float = 0.1, seed: int = 0) -> Split:
    """Hold out all ratings of some users, drawn at random, to test fold-in of new users.

    int(n_users * test) users are held out, of those who have ratings. Both parts keep the row order.

    Parameters:
        ratings (Ratings): The ratings to split.
        test (float, default 0.1): Share of the users to hold out, between 0 and 1 (exclusive).
        seed (int, default 0): Seed of the random draw, 0 or more.

    Returns:
        tuple of two Ratings: (train, test), without a common user.

    Raises:
        OptionError: `test` or `seed` is out of its range.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> train, test = palate.split_users(ratings, test=0.1, seed=0)
        >>> len(set(test.user_codes.tolist())), set(train.user_codes.tolist()) & set(test.user_codes.tolist())
        (6, set())
    """
    _check_share(test)
    users = np.flatnonzero(parting.counts_of_users(ratings))
    drawn = users[_permutation(len(users), seed)[: int(len(users) * test)]]
    held_out = _mask_of(drawn, ratings.n_users)
    return _split_by_mask(ratings, parting.of_users(ratings, held_out))


def split_within_users(ratings: Ratings, test: float = 0.2, seed: int = 0) -> Split:
    """Hold out a share of each user's ratings at random: the standard split for rankings.

    int(n_u * test) ratings of a user with n_u ratings are held out. A user with fewer than 1 / test ratings stays in
    train, so every user in test is known. Both parts keep the row order.

    Parameters:
        ratings (Ratings): The ratings to split.
        test (float, default 0.2): Share of each user's ratings to hold out, between 0 and 1 (exclusive).
        seed (int, default 0): Seed of the random draw, 0 or more.

    Returns:
        tuple of two Ratings: (train, test).

    Raises:
        OptionError: `test` or `seed` is out of its range.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> train, test = palate.split_within_users(ratings, test=0.2, seed=0)
        >>> bool((test.by_user().counts == ratings.by_user().counts // 5).all())
        True
    """
    _check_share(test)
    rng = _generator(seed)

    def are_drawn(users: Codes, codes: slice, _: slice) -> NDArray[np.bool_]:
        order = np.lexsort((rng.random(len(users)), users))  # by user, then by key
        counts = np.bincount(users, minlength=codes.stop - codes.start)
        user = users[order]
        position = np.arange(len(order)) - (np.cumsum(counts) - counts)[user]  # within the user, from 0
        return _mask_of(order[position < np.floor(counts * test)[user]], len(users))

    return _split_by_mask(ratings, parting.by_users(ratings, bool, are_drawn))


def _split_by_mask(ratings: Ratings, is_test: NDArray[np.bool_]) -> Split:
    if isinstance(ratings, Blocks):
        return ratings.divided(is_test)
    return ratings[~is_test], ratings[is_test]


def _first_of_missing(codes: NDArray[np.int32], is_test: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Position of the first rating of each code whose ratings are all in test."""
    missing = np.flatnonzero(~np.isin(codes, codes[~is_test]))
    _, first = np.unique(codes[missing], return_index=True)
    return missing[first]


def _start_of_latest(times: NDArray[np.int64], test: float) -> float:
    """The time at which the latest share of the ratings begins; infinity if the share is less than one rating."""
    n_test = int(len(times) * test)
    return math.inf if n_test == 0 else parting.nth_largest(times, n_test)


def _as_rows(given: NDArray[Any], n: int) -> NDArray[np.intp]:
    if given.dtype == np.bool_:
        if given.shape != (n,):
            raise OptionError(f"test_rows is a mask of shape {given.shape}: give one bool for each of {n:,} ratings.")
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise OptionError(
            f"test_rows has shape {given.shape} and type {given.dtype}: give row numbers 0..{n - 1} or a mask of bools."
        )
    if given.size and not (int(given.min()) >= 0 and int(given.max()) < n):
        raise OptionError(f"test_rows lie between {given.min()} and {given.max()}: valid row numbers are 0..{n - 1}.")
    rows = given.astype(np.intp)
    if len(np.unique(rows)) < len(rows):
        raise OptionError(f"test_rows names {len(rows) - len(np.unique(rows)):,} rows more than once; name each once.")
    return rows


def _mask_of(positions: NDArray[np.intp], n: int, *, inverted: bool = False) -> NDArray[np.bool_]:
    mask = np.full(n, inverted)
    mask[positions] = not inverted
    return mask


def _times(ratings: Ratings) -> NDArray[np.int64]:
    if ratings.times is None:
        raise DataError(
            "these ratings have no times. Name the column of times when reading them "
            '(palate.read(..., time="...")), or use split_last, which then goes by the order of rows, or split_random.'
        )
    return ratings.times


def _permutation(n: int, seed: int) -> NDArray[np.intp]:
    return _generator(seed).permutation(n)


def _generator(seed: int) -> np.random.Generator:
    check_seed(seed)
    return np.random.default_rng(seed)


def _check_share(test: float) -> None:
    if not is_number(test) or not 0 < test < 1:
        raise OptionError(f"test={test!r}: give the share to hold out, a number between 0 and 1, such as 0.1.")


def _check_folds(folds: int, maximum: int, what: str) -> None:
    if not is_whole(folds) or not 2 <= folds <= maximum:
        raise OptionError(f"folds={folds!r}: give a whole number from 2 to {maximum:,}, {what}.")
