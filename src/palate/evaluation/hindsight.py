"""Hindsight: test ratings that are older than what the model has learned from, as a random split leaves them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.models.factors import Codes
from palate.models.model import Model

NEVER = np.iinfo(np.int64).min  # as the time of the last event of a user who has none


def n_older_than_learned(model: Model, users: Codes, times: NDArray[np.int64] | None) -> int:
    """How many test events are older than a training event of their user; 0 if nobody knows.

    users: the model's code of the user of each event, (n,), -1 for unknown. times: (n,), or None.
    """
    learned = model.history.times
    if times is None or learned is None:
        return 0
    newest = np.full(model.history.n_rows + 1, NEVER)  # the last one for code -1
    filled = np.flatnonzero(model.history.counts)
    if len(filled):
        newest[filled] = np.maximum.reduceat(learned, model.history.indptr[filled])
    return int((times < newest[users]).sum())


def n_older_than_train(train: Ratings, test: Ratings) -> int:
    """How many test ratings are older than a training rating of their user; 0 if one part has no times."""
    if train.times is None or test.times is None:
        return 0
    newest = np.full(train.n_users + 1, NEVER)
    np.maximum.at(newest, train.user_codes, train.times)
    users = train.user_vocabulary.encode(test.user_vocabulary.labels, on_unknown="mark")
    return int((test.times < newest[users[test.user_codes]]).sum())


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
        "came later. What such figures may claim: docs/time.md."
    ]
