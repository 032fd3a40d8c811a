"""Own levels: how far the items that a user rates lie above what is expected of items, for items without ratings.

Under a draw, a user's rating of an item without ratings is y . mu, with the cold-start mean mu of the item. But users
choose what they rate, and choose differently: some find what suits them, others rate what everybody has seen. An item
that a user will rate is one of that user's choices, and is expected to lie above y . mu by as much as the others do:

    o_u = slope (sum of e over the user's ratings) / (n_u + N0),     e = y . (x_i - mu_i) less the mean of e

with N0 = SHRINKAGE. The slope, from 0 to 1, is that of e on the o of the user's other ratings. So the data decide how
much there is of it: nothing where pairs are drawn at random. No mu can say it, since o_u is not linear in y.

So it is one more column of the distilled factors, instead of the last one, which has the smallest singular value. In
it users have o_u / STEP and items 0, but items without ratings STEP.
"""

from __future__ import annotations

import numpy as np

from palate.data.rows import CompressedRows
from palate.kernels import multiply_rows, predict_pairs
from palate.models.cold_start import RatedPairs
from palate.models.factors import Codes, Doubles, Floats
from palate.models.posterior import Posterior

SHRINKAGE = 5.0  # ratings with e = 0 that each user is given
N_DRAWS = 4  # that o is computed from, evenly spaced
STEP = 2.0


def own_levels(posterior: Posterior, by_user: CompressedRows, attributes: CompressedRows | None) -> Doubles:
    """The o of each user, (n_users,), in units of vectors. by_user: the ratings; attributes: of the items, or None."""
    users, items = posterior.users.vectors, posterior.items.vectors
    pairs, counts = RatedPairs.of(by_user), by_user.counts.astype(np.float64)
    totals, excesses = np.zeros(len(counts)), np.zeros(len(pairs.rows))
    draws = np.unique(np.linspace(0, len(posterior) - 1, N_DRAWS).astype(np.int64))
    for s in draws.tolist():
        above = items[s] - posterior.items.cold_start.means(s, attributes, items.shape[1])
        partners = users[s].copy()
        partners[:, -1] = 1
        sums = multiply_rows(by_user.indptr, by_user.indices, None, above, n_threads=1)
        totals += np.einsum("uk,uk->u", partners, sums, dtype=np.float64) / len(draws)
        excesses += predict_pairs(partners, above, pairs.rows, pairs.raters, n_threads=1) / len(draws)
    mean = totals.sum() / counts.sum()
    totals -= mean * counts
    return _slope(excesses - mean, totals, counts, pairs.rows) * totals / (counts + SHRINKAGE)


def _slope(excesses: Doubles, totals: Doubles, counts: Doubles, users: Codes) -> float:
    """The slope of pairs' e on the o of their user's other ratings, from 0 to 1."""
    others = (totals[users] - excesses) / (counts[users] - 1 + SHRINKAGE)
    others -= others.mean()
    return float(np.clip(others @ excesses / max(float(others @ others), 1e-30), 0, 1))


def give_own_levels(users: Floats, items: Floats, levels: Doubles) -> Floats:
    """Put own levels (n_users,) in the last factor column of distilled users and items, (n, k) each, in place.

    Return what is to be added to the vector of an item without ratings, (k,).
    """
    step = np.zeros(items.shape[1], np.float32)
    if levels.any():
        step[-2] = STEP
        users[:, -2], items[:, -2] = levels / STEP, 0
    return step
