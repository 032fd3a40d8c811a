"""The scale of ratings: its step, and values that stand apart from it because they mean "not rated"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings

MAX_SHARE_OF_ZEROS = 0.3  # more of the ratings than a lowest value gets
NINES = (9, 99, 999, 9999, 99999)  # numbers that mean "none" in some files, also below 0


def values_apart(ratings: Ratings) -> list[float]:
    """Values of explicit ratings that may mean "not rated"."""
    return [] if ratings.is_implicit or len(ratings) == 0 else apart_in(ratings.values)


def apart_in(values: NDArray[np.float32]) -> list[float]:
    """Values that may mean "not rated": 99 and the like far above the others, -1 or 0 below them."""
    distinct, counts = np.unique(values, return_counts=True)
    found = []
    if len(distinct) > 2 and distinct[-1] in NINES and distinct[-1] - distinct[-2] > distinct[-2] - distinct[0]:
        found.append(float(distinct[-1]))
        distinct, counts = distinct[:-1], counts[:-1]
    if len(distinct) > 1 and _is_below(distinct.astype(np.float64), float(counts[0] / counts.sum())):
        found.insert(0, float(distinct[0]))
    return found


def _is_below(distinct: NDArray[np.float64], share: float) -> bool:
    """True if the lowest value is -1 below a scale from 0 or more, or 0 a step too low or too frequent."""
    lowest, others = distinct[0], distinct[1:]
    if lowest == -1 or -lowest in NINES:
        return bool(others[0] >= 0 and others[-1] > 2)
    if lowest != 0 or len(others) < 2:
        return False
    step = step_of(others)
    return step is not None and (share > MAX_SHARE_OF_ZEROS or (len(others) > 2 and others[0] > 1.5 * step))


def step_of(distinct: NDArray[np.float64]) -> float | None:
    """The largest step that divides all differences of the values, to float32's precision; None without one."""
    if len(distinct) > 1000:
        return 1.0 if (distinct == np.floor(distinct)).all() else None
    gaps = np.diff(distinct)
    offsets = distinct - distinct[0]
    for parts in range(1, 11):
        step = float(f"{gaps.min() / parts:.5g}")
        multiples = offsets / step
        if np.abs(multiples - np.round(multiples)).max() < 1e-4 and multiples.max() < 1e6:
            return step
    return None
