"""Updating: 10% new ratings taken in by rec.update(), against a fit on everything.

`python benchmarks/updating.py` prints the table. Protocol: the 90/10 split of every other figure; a tenth of the train
ratings, drawn at random, is new to a model fitted on the other nine; both then answer for the test set. Nearly every
user and every other item has something new, so that this is about the most that an update ever has to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import Row, split_90_10

import palate
from palate import Ratings, Recommender
from palate.recipes.monitor import rmse

MOST_EXCESS, MOST_TIME = 0.002, 0.1
DATA = ("ml-100k", "ml-1m")


def all_of_updating() -> list[Row]:
    """One row for each data set: errors before, after an update and after a new fit, and what the update costs."""
    return [_row_of(name) for name in DATA]


def _row_of(name: str) -> Row:
    train, test = split_90_10(name)
    late = np.zeros(len(train), bool)
    late[np.random.default_rng(1).permutation(len(train))[: len(train) // 10]] = True
    refit, seconds_of_fit = _timed(lambda: palate.Bayes().fit(train, progress=False))
    rec = palate.Bayes().fit(train[~late], progress=False)
    updates = [_timed(lambda: rec.update(train[late])) for _ in range(5)]
    updated, seconds = updates[0][0], float(np.median([seconds for _, seconds in updates]))
    (before, _), (after, covered), (best, _) = (_told(one, test) for one in (rec, updated, refit))
    few, seconds_of_few = _timed(lambda: rec.update(train[late][:100]))
    share = seconds / seconds_of_fit
    return Row(
        f"{name}, 10% new ratings",
        f"RMSE {before:.4f} before, {after:.4f} after rec.update() in {seconds:.2f} s, {best:.4f} after a new fit in "
        f"{seconds_of_fit:.2f} s (share {share:.3f}); 90% intervals hold {covered:.3f}; 100 ratings take "
        f"{seconds_of_few:.2f} s under {len(few.model.posterior or ())} draws",
        f"within {MOST_EXCESS} in {MOST_TIME:g} of the time",
        after <= best + MOST_EXCESS and share <= MOST_TIME,
    )


def _timed(work: Callable[[], Recommender]) -> tuple[Recommender, float]:
    start = time.perf_counter()
    done = work()
    return done, time.perf_counter() - start


def _told(rec: Recommender, test: Ratings) -> tuple[float, float]:
    """RMSE on the test set, and the share of it inside 90% intervals."""
    answer: Any = rec.predict_codes(test.user_codes, test.item_codes)
    inside = (answer[1] <= test.values) & (test.values <= answer[2])
    return rmse(answer[0], test.values), float(np.mean(inside))


if __name__ == "__main__":
    for row in all_of_updating():
        print(row.line(), flush=True)
