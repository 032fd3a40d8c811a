"""Places in a pool: what stands for a model's score, for popularity and for a boost, whatever their units.

With h the number of items in the pool that have a higher value than an item i:

    r(i) = 1 - ln(1 + h) / ln POOL      of the model's score: 1 for the first, 0 for the last of a full pool
    v(i) = 1 - ln(1 + h) / ln(1 + H)    of another value, H the largest h: 1 for the highest value, 0 for the lowest

The logarithm is what scores look like: of n exponential variables, the one with h above it is expected at ln(n / h). A
step from the first place to the tenth counts as much as one from the tenth to the hundredth.
"""

from __future__ import annotations

import numpy as np

from palate.models.factors import Doubles, Floats


def relevance(scores: Floats, size: int) -> Doubles:
    """Return r of each item of some pools, (m, M); 0 where there is no item.

    The pools are best first, with -inf at the end where there is no item. size: of a full pool, 2 or more.
    """
    higher = _begin_of_ties(scores)
    found: Doubles = 1 - np.log1p(higher) / np.log(size)
    return np.where(np.isneginf(scores), 0.0, found)


def lift(values: Doubles) -> Doubles:
    """Return v of each item of some pools, (m, M); 0 for one without a value (nan), which is left out of h and H."""
    known = np.where(np.isnan(values), -np.inf, values)
    order = np.argsort(-known, axis=1, kind="stable")
    higher = np.empty(values.shape)
    np.put_along_axis(higher, order, _begin_of_ties(np.take_along_axis(known, order, axis=1)), axis=1)
    higher[np.isnan(values)] = 0
    most = higher.max(axis=1, keepdims=True, initial=0)
    found: Doubles = 1 - np.log1p(higher) / np.log1p(np.where(most > 0, most, 1))
    return np.where(np.isnan(values) | (most == 0), 0.0, found)


def _begin_of_ties(values: Floats | Doubles) -> Doubles:
    """How many values of a row are higher than each, (m, M); the rows fall."""
    begins = np.zeros(values.shape, np.int64)
    begins[:, 1:] = np.where(values[:, 1:] != values[:, :-1], np.arange(1, values.shape[1]), 0)
    return np.maximum.accumulate(begins, axis=1).astype(np.float64)
