"""Hindsight: test ratings that are older than what the model has learned from, as a random split leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.models.factors import Codes
from palate.models.model import Model

AT_ONCE = 1 << 20  # ratings
NEVER = np.iinfo(np.int64).min  # as the time of the last event of a user who has none


def n_older_than_learned(model: Model, users: Codes, times: NDArray[np.int64] | None) -> int:
    """How many test events are older than a training event of their user; 0 if nobody knows.

    users: the model's code of the user of each event, (n,), -1 for unknown. times: (n,), or None.
    """
    newest = _newest(model)
    return 0 if times is None or newest is None else int((times < newest[users]).sum())


def n_older_of(model: Model, users: Codes, test: Ratings) -> int:
    """The same of test ratings. users: the model's code of each test user, (n_users,)."""
    newest = _newest(model)
    if test.times is None or newest is None:
        return 0
    return sum(int((part.times < newest[users[part.user_codes]]).sum()) for part in _parts(test))


def _newest(model: Model) -> NDArray[np.int64] | None:
    """The time of each user's newest training event, (n_users + 1,), the last one for code -1."""
    learned = model.history.times
    if learned is None:
        return None
    newest = np.full(model.history.n_rows + 1, NEVER)
    filled = np.flatnonzero(model.history.counts)
    if len(filled):
        newest[filled] = np.maximum.reduceat(learned, model.history.indptr[filled])
    return newest


def _parts(ratings: Ratings) -> Iterator[Any]:
    """The ratings, some at a time."""
    return (ratings[start : start + AT_ONCE] for start in range(0, len(ratings), AT_ONCE))


def n_older_than_train(train: Ratings, test: Ratings) -> int:
    """How many test ratings are older than a training rating of their user; 0 if one part has no times."""
    if train.times is None or test.times is None:
        return 0
    newest = np.full(train.n_users + 1, NEVER)
    for part in _parts(train):
        np.maximum.at(newest, part.user_codes, part.times)
    users = train.user_vocabulary.encode(test.user_vocabulary.labels, on_unknown="mark")
    return sum(int((part.times < newest[users[part.user_codes]]).sum()) for part in _parts(test))


def n_older_than_newest(model: Model, test: Ratings) -> int:
    """How many test ratings are older than the newest training rating; 0 if nobody knows.

    A model of ratings keeps no times but this one, training["until"].
    """
    until = model.training.get("until")
    return 0 if until is None or test.times is None else int((test.times < until).sum())


def hindsight_note(n_older: int, than: str = "training ratings of the same user") -> list[str]:
    """What a report says of it, as a list of at most one line."""
    if n_older == 0:
        return []
    return [
        f"These ratings are dated, and {n_older:,} of the test part are older than {than}: the model has seen what "
        'came later. See "What a split may claim" in the documentation.'
    ]
