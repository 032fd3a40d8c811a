"""The shape of ratings in a few numbers: how often each value comes, ratings a user, ratings an item, and when.

A check keeps it for its picture. Numbers of ratings are kept as "so many users have so many", which is short for data
of any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings

MAX_VALUES = 30  # different values that are counted one by one; of more, ranges of equal width
N_PERIODS = 40  # of the time from the first to the last rating

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """How ratings are distributed.

    Attributes:
        kind (str): "explicit" or "implicit".
        n (int): The number of ratings.
        mean (float): The mean rating, or the mean count; nan where there are none.
        values (pair of arrays or None): The ratings, or the counts of implicit feedback: different values and how often
            each comes, or n + 1 bounds and how many values lie between; None where there are no counts.
        users (pair of arrays): Different numbers of ratings a user, ascending and above 0, and how many users have
            each.
        items (pair of arrays): The same of items.
        times (pair of arrays or None): Bounds in seconds since 1970, (n + 1,), and the ratings between them, (n,); None
            without times.
    """

    kind: str
    n: int
    mean: float
    values: tuple[Doubles, Integers] | None
    users: tuple[Integers, Integers]
    items: tuple[Integers, Integers]
    times: tuple[Doubles, Integers] | None

    @classmethod
    def of(cls, ratings: Ratings) -> Shape:
        """Return the shape of ratings; of none, all is empty."""
        given = ratings.weights if ratings.is_implicit else ratings.values
        return cls(
            ratings.kind,
            len(ratings),
            float("nan") if given is None or len(given) == 0 else float(np.mean(given, dtype=np.float64)),
            None if given is None else _values(np.asarray(given)),
            _sizes(np.bincount(ratings.user_codes, minlength=1)),
            _sizes(np.bincount(ratings.item_codes, minlength=1)),
            None if ratings.times is None or len(ratings) == 0 else _periods(np.asarray(ratings.times)),
        )


def _values(values: NDArray[np.floating]) -> tuple[Doubles, Integers]:
    distinct, counts = np.unique(values[np.isfinite(values)].astype(np.float64), return_counts=True)
    if len(distinct) <= MAX_VALUES:
        return distinct, counts.astype(np.int64)
    is_long = distinct[0] > 0 and distinct[-1] > 50 * np.median(values)
    low, high = distinct[0], distinct[-1]
    bounds = np.geomspace(low, high, MAX_VALUES + 1) if is_long else np.linspace(low, high, MAX_VALUES + 1)
    bounds[0], bounds[-1] = low, high
    return bounds, np.histogram(distinct, bounds, weights=counts)[0].astype(np.int64)


def _sizes(counts: NDArray[np.integer]) -> tuple[Integers, Integers]:
    sizes, times = np.unique(counts[counts > 0], return_counts=True)
    return sizes.astype(np.int64), times.astype(np.int64)


def _periods(times: NDArray[np.generic]) -> tuple[Doubles, Integers]:
    seconds = times.astype(np.float64)
    low, high = float(seconds.min()), float(seconds.max())
    bounds = np.linspace(low, high if high > low else low + 1, N_PERIODS + 1)
    return bounds, np.histogram(seconds, bounds)[0].astype(np.int64)
