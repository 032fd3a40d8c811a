"""Splits: Ratings -> (train, test). Functions with one seed; both parts keep the vocabularies of the whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError
from palate.options import is_number, is_whole

Split = tuple[Ratings, Ratings]


def split_random(ratings: Ratings, test: float = 0.1, seed: int = 0, keep_all: bool = False) -> Split:
    """Hold out int(n * test) ratings drawn at random; both parts come in the drawn order.

    With `keep_all`, every user and item that has a rating keeps at least one in train: the first held-out rating of
    each that would be missing moves back, so test is smaller by those few.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> train, test = palate.split_random(ratings, test=0.1, seed=0)
    >>> len(train), len(test)
    (1080, 120)
    """
    _check_share(test)
    drawn = _permutation(len(ratings), seed)
    is_test = np.arange(len(drawn)) < int(len(drawn) * test)
    if keep_all:
        for codes in (ratings.user_codes[drawn], ratings.item_codes[drawn]):
            is_test[_first_of_missing(codes, is_test)] = False
    return ratings[drawn[~is_test]], ratings[drawn[is_test]]


def split_folds(ratings: Ratings, folds: int = 5, seed: int = 0) -> list[Split]:
    """Split at random into `folds` parts of equal size (to one rating); each is the test of one (train, test)."""
    _check_folds(folds, len(ratings), "the number of ratings")
    parts = np.array_split(_permutation(len(ratings), seed), folds)
    return [
        (ratings[np.concatenate([*parts[:fold], *parts[fold + 1 :]])], ratings[parts[fold]]) for fold in range(folds)
    ]


def split_folds_within_users(ratings: Ratings, folds: int = 5, seed: int = 0) -> list[Split]:
    """Split each user's ratings at random into `folds` parts of equal size (to one rating), and so the whole.

    Every row gets a random key; rows in the order of users, and of keys within each, are dealt to the folds in turn.
    Each part is the test of one (train, test); both keep their row order. Whoever has one rating stays in train always,
    so that nobody in test is unknown. The usual folds for rankings. Raises OptionError for more folds than there are
    ratings to deal, DataError where nobody has two.

    >>> import palate
    >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
    >>> [len(test) for _, test in split_folds_within_users(likes, folds=3)]
    [202, 202, 201]
    """
    keys = _generator(seed).random(len(ratings))
    counts = np.bincount(ratings.user_codes, minlength=ratings.n_users)
    order = np.lexsort((keys, ratings.user_codes))  # by user, then by key
    dealt = order[counts[ratings.user_codes[order]] > 1]
    if len(dealt) == 0:
        raise DataError("no user has two of these ratings, so none can be held out within users.")
    _check_folds(folds, len(dealt), "the number of ratings of users who have several")
    fold_of = np.full(len(ratings), -1)
    fold_of[dealt] = np.arange(len(dealt)) % folds
    return [_split_by_mask(ratings, fold_of == fold) for fold in range(folds)]


def split_rows(ratings: Ratings, test_rows: Any) -> Split:
    """Hold out the given rows: positions (distinct, kept in their order) or a mask of one bool per rating.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> train, test = palate.split_rows(ratings, ratings.values == 5)
    >>> float(train.values.max())
    4.0
    """
    rows = _as_rows(np.asarray(test_rows), len(ratings))
    return ratings[_mask_of(rows, len(ratings), inverted=True)], ratings[rows]


def split_last(ratings: Ratings, n: int = 1) -> Split:
    """Hold out the last n ratings of each user by time, the later row being later among equal times.

    A user with n ratings or fewer stays in train, so that nobody in test is unknown. Both parts keep their row order.
    Raises DataError for ratings without times.

    >>> import palate
    >>> columns = {"user": ["ann"] * 3 + ["bob"], "item": ["tea", "jam", "egg", "tea"], "rating": [5, 3, 4, 2]}
    >>> ratings = palate.read(columns | {"time": [10, 30, 20, 40]})
    >>> train, test = palate.split_last(ratings)
    >>> test.to_frame()["item"].to_list()
    ['jam']
    """
    if not is_whole(n) or n < 1:
        raise OptionError(f"n={n!r}: give how many ratings of each user to hold out, a whole number from 1.")
    order = np.lexsort((_times(ratings), ratings.user_codes))  # by user, then by time; stable
    counts = np.bincount(ratings.user_codes, minlength=ratings.n_users)
    ends = np.cumsum(counts)
    user = ratings.user_codes[order]
    is_last = (np.arange(len(order)) >= ends[user] - n) & (counts[user] > n)
    return _split_by_mask(ratings, _mask_of(order[is_last], len(ratings)))


def split_time(ratings: Ratings, *, at: float | None = None, test: float | None = None) -> Split:
    """Hold out what was rated at a moment or later: at `at` (the unit of ratings.times), or the latest share `test`.

    The share ends at a moment too: ratings of one time are never torn apart, so it may be a little more than asked.
    Raises DataError for ratings without times.

    >>> import palate
    >>> columns = {"user": ["ann"] * 3 + ["bob"], "item": ["tea", "jam", "egg", "tea"], "rating": [5, 3, 4, 2]}
    >>> ratings = palate.read(columns | {"time": [10, 30, 20, 40]})
    >>> train, test = palate.split_time(ratings, at=30)
    >>> test.to_frame()["item"].to_list()
    ['jam', 'tea']
    """
    if (at is None) == (test is None):
        raise OptionError("give either at=, a moment in the unit of ratings.times, or test=, a share between 0 and 1.")
    times = _times(ratings)
    if test is not None:
        _check_share(test)
        at = _moment_of_share(times, test)
    elif not is_number(at) or math.isnan(at):
        raise OptionError(f"at={at!r}: give a number in the unit of ratings.times (usually seconds since 1970).")
    return _split_by_mask(ratings, times >= at)


def split_users(ratings: Ratings, test: float = 0.1, seed: int = 0) -> Split:
    """Hold out all ratings of int(n_users * test) users drawn at random among those who have ratings.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> train, test = palate.split_users(ratings, test=0.1, seed=0)
    >>> len(set(test.user_codes.tolist())), set(train.user_codes.tolist()) & set(test.user_codes.tolist())
    (6, set())
    """
    _check_share(test)
    users = np.flatnonzero(np.bincount(ratings.user_codes, minlength=ratings.n_users))
    held_out = users[_permutation(len(users), seed)[: int(len(users) * test)]]
    return _split_by_mask(ratings, _mask_of(held_out, ratings.n_users)[ratings.user_codes])


def split_within_users(ratings: Ratings, test: float = 0.2, seed: int = 0) -> Split:
    """Hold out int(n_u * test) ratings of each user with n_u ratings, drawn at random; both parts keep their row order.

    Every row gets a random key; held out are those of each user with the smallest. The usual split for rankings: nobody
    in test is unknown, and users with few ratings (below 1 / test) stay in train.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> train, test = palate.split_within_users(ratings, test=0.2, seed=0)
    >>> bool((test.by_user().counts == ratings.by_user().counts // 5).all())
    True
    """
    _check_share(test)
    keys = _generator(seed).random(len(ratings))
    order = np.lexsort((keys, ratings.user_codes))  # by user, then by key
    counts = np.bincount(ratings.user_codes, minlength=ratings.n_users)
    user = ratings.user_codes[order]
    nth = np.arange(len(order)) - (np.cumsum(counts) - counts)[user]
    is_test = nth < np.floor(counts * test)[user]
    return _split_by_mask(ratings, _mask_of(order[is_test], len(ratings)))


def _split_by_mask(ratings: Ratings, is_test: NDArray[np.bool_]) -> Split:
    return ratings[~is_test], ratings[is_test]


def _first_of_missing(codes: NDArray[np.int32], is_test: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Position of the first rating of every code that has ratings, but none outside test."""
    has_train = np.zeros(codes.max(initial=-1) + 1, dtype=bool)
    has_train[codes[~is_test]] = True
    missing = np.flatnonzero(~has_train[codes])
    _, first = np.unique(codes[missing], return_index=True)
    return missing[first]


def _moment_of_share(times: NDArray[np.int64], test: float) -> float:
    n_test = int(len(times) * test)
    return math.inf if n_test == 0 else int(np.sort(times)[-n_test])


def _as_rows(given: NDArray[Any], n: int) -> NDArray[np.intp]:
    if given.dtype == np.bool_:
        if given.shape != (n,):
            raise OptionError(
                f"test_rows is a mask of shape {given.shape}; it takes one bool for each of {n:,} ratings."
            )
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
            "these ratings have no times, so there is no last one. Name the column when reading "
            '(palate.read(..., time="...")), or use split_random.'
        )
    return ratings.times


def _permutation(n: int, seed: int) -> NDArray[np.intp]:
    return _generator(seed).permutation(n)


def _generator(seed: int) -> np.random.Generator:
    if not is_whole(seed) or seed < 0:
        raise OptionError(f"seed={seed!r}: give a whole number from 0.")
    return np.random.default_rng(seed)


def _check_share(test: float) -> None:
    if not is_number(test) or not 0 < test < 1:
        raise OptionError(f"test={test!r}: give the share to hold out, a number between 0 and 1, such as 0.1.")


def _check_folds(folds: int, most: int, what: str) -> None:
    if not is_whole(folds) or not 2 <= folds <= most:
        raise OptionError(f"folds={folds!r}: give a whole number from 2 to {most:,}, {what}.")
