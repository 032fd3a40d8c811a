"""Ranking metrics: formulas of the places that held-out items take in the ranked lists of their users.

All of them share a few rules. Gain is binary: a count of plays in the test is no grade. The candidates of a user are
all items of the catalogue that he has not seen in training; of equal scores the lower code comes first (but in auc,
where each counts half). Users without a held-out item have no place here and count in no mean. A held-out item that
cannot be recommended, since it is unknown to the model or was seen in training, is never found: it counts as a miss.

Each function gives one number per user, (n_users,); the mean over users is the metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.resampling import Doubles

NEVER = 2**40  # the rank of what cannot be recommended: behind everything


@dataclass(frozen=True)
class Places:
    """Where the held-out items of some users stand, those of each user together, the best placed first.

    indptr: (n_users + 1,) where each user's begin, at least one each; ranks: (n,) from 1, NEVER for what cannot be
    recommended; behind: (n,) how many candidates stand behind, equal scores counting half; n_candidates: (n_users,).
    """

    indptr: NDArray[np.int64]
    ranks: NDArray[np.int64]
    behind: Doubles
    n_candidates: NDArray[np.int64]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Held-out items of each user, (n_users,)."""
        return np.diff(self.indptr)

    @cached_property
    def nth(self) -> NDArray[np.int64]:
        """How manieth of its user's held-out items each one is, from 1: (n,)."""
        return np.arange(1, len(self.ranks) + 1) - np.repeat(self.indptr[:-1], self.counts)

    @cached_property
    def discounts(self) -> Doubles:
        """1 / log2(1 + rank) of each held-out item, (n,)."""
        discounts: Doubles = 1 / np.log2(1.0 + self.ranks)
        return discounts

    @cached_property
    def precisions(self) -> Doubles:
        """Precision at the rank of each held-out item, (n,)."""
        precisions: Doubles = self.nth / self.ranks
        return precisions

    def sums(self, values: NDArray[np.generic]) -> Doubles:
        """Sums over each user's held-out items, (n_users,)."""
        totals: Doubles = np.add.reduceat(values.astype(np.float64), self.indptr[:-1])
        return totals

    def hits(self, k: int) -> Doubles:
        """Held-out items among the first k of each user, (n_users,)."""
        return self.sums(self.ranks <= k)


def precision(places: Places, k: int) -> Doubles:
    """precision@k = hits among the first k / k, also where fewer than k items could be recommended."""
    return places.hits(k) / k


def recall(places: Places, k: int) -> Doubles:
    """recall@k = hits among the first k / held-out items of the user."""
    return places.hits(k) / places.counts


def hit_rate(places: Places, k: int) -> Doubles:
    """hit_rate@k = 1 with a hit among the first k, else 0."""
    return (places.ranks[places.indptr[:-1]] <= k).astype(np.float64)


def average_precision(places: Places, k: int) -> Doubles:
    """map@k = sum over hits at rank r <= k of precision@r / min(k, held-out items of the user)."""
    precisions = np.where(places.ranks <= k, places.precisions, 0.0)
    return places.sums(precisions) / np.minimum(places.counts, k)


def reciprocal_rank(places: Places, k: int) -> Doubles:
    """mrr@k = 1 / rank of the first hit, 0 without one among the first k."""
    first = places.ranks[places.indptr[:-1]]
    return np.where(first <= k, 1 / first, 0.0)


def ndcg(places: Places, k: int) -> Doubles:
    """ndcg@k = sum over hits at rank r <= k of 1 / log2(1 + r), divided by the same of the first min(k, held-out).

    Binary gain: the ideal list begins with held-out items (Jarvelin & Kekalainen 2002).
    """
    gained = places.sums(np.where(places.ranks <= k, places.discounts, 0.0))
    most = int(places.counts.max(initial=1))
    ideal = np.cumsum(1 / np.log2(1.0 + np.arange(1, most + 1)))
    found: Doubles = gained / ideal[np.minimum(places.counts, k) - 1]
    return found


def auc(places: Places) -> Doubles:
    """The share of (held-out, other candidate) pairs whose held-out item has the greater score, equal ones half.

    nan, and left out of the mean, for a user whose every candidate is held out. What cannot be recommended loses
    against all.
    """
    reachable = places.ranks < NEVER
    own = places.sums(reachable)
    others = places.n_candidates - own
    # Pairs of two held-out items are counted once each in `behind`, either way round.
    won = places.sums(np.where(reachable, places.behind, 0.0)) - own * (own - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(others > 0, won / (places.counts * others), np.nan)


AT_K = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
}
