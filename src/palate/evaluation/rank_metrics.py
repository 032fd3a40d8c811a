"""Accuracy metrics of ranked lists, computed from the ranks of the held-out items.

All metrics share these rules. Relevance is binary: a held-out item is relevant, however large its count. The candidates
of a user are all items of the catalogue that the user has not seen in training. Items with equal scores are ordered by
code; only auc counts such ties half. Users without a held-out item are left out. A held-out item that cannot be
recommended, because the model does not know it or the user has seen it in training, counts as a miss.

Each function returns one number per user, (n_users,); the metric is their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.resampling import Doubles

UNREACHABLE = 2**40  # the rank of an item that cannot be recommended: below all others


@dataclass(frozen=True)
class HeldOutRanks:
    """The ranks of the held-out items of some users, grouped by user, the best rank first.

    indptr: (n_users + 1,), where each user's items begin, at least one item each; ranks: (n,), from 1, UNREACHABLE for
    items that cannot be recommended; n_behind: (n,), how many candidates score lower, ties counting half;
    n_candidates: (n_users,); weights: 1 / propensity of each item, (n,), where these are known; items: their codes,
    (n,).
    """

    indptr: NDArray[np.int64]
    ranks: NDArray[np.int64]
    n_behind: Doubles
    n_candidates: NDArray[np.int64]
    weights: Doubles | None = None
    items: NDArray[np.int32] | None = None

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The number of held-out items of each user, (n_users,)."""
        return np.diff(self.indptr)

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """The position of each held-out item among those of its user, from 1: (n,)."""
        return np.arange(1, len(self.ranks) + 1) - np.repeat(self.indptr[:-1], self.counts)

    @cached_property
    def discounts(self) -> Doubles:
        """1 / log2(1 + rank) of each held-out item, (n,)."""
        discounts: Doubles = 1 / np.log2(1.0 + self.ranks)
        return discounts

    @cached_property
    def precisions(self) -> Doubles:
        """The precision at the rank of each held-out item, (n,)."""
        precisions: Doubles = self.positions / self.ranks
        return precisions

    def sums(self, values: NDArray[np.generic]) -> Doubles:
        """Return the sums over each user's held-out items, (n_users,)."""
        totals: Doubles = np.add.reduceat(values.astype(np.float64), self.indptr[:-1])
        return totals

    def weighted_mean(self, values: NDArray[np.generic]) -> Doubles:
        """Return the means over each user's held-out items by their weights, (n_users,): SNIPS."""
        assert self.weights is not None
        means: Doubles = self.sums(self.weights * values.astype(np.float64)) / self.sums(self.weights)
        return means

    def hits(self, k: int) -> Doubles:
        """Return the number of held-out items among the first k of each user's list, (n_users,)."""
        return self.sums(self.ranks <= k)


def precision(held_out: HeldOutRanks, k: int) -> Doubles:
    """precision@k = hits among the first k / k, also where fewer than k items could be recommended."""
    return held_out.hits(k) / k


def recall(held_out: HeldOutRanks, k: int) -> Doubles:
    """recall@k = hits among the first k / held-out items of the user."""
    return held_out.hits(k) / held_out.counts


def hit_rate(held_out: HeldOutRanks, k: int) -> Doubles:
    """hit_rate@k = 1 with a hit among the first k, else 0."""
    return (held_out.ranks[held_out.indptr[:-1]] <= k).astype(np.float64)


def average_precision(held_out: HeldOutRanks, k: int) -> Doubles:
    """map@k = sum over hits at rank r <= k of precision@r / min(k, held-out items of the user).

    Manning, Raghavan & Schuetze (2008), Introduction to Information Retrieval, section 8.4, cut off at k.
    """
    precisions = np.where(held_out.ranks <= k, held_out.precisions, 0.0)
    return held_out.sums(precisions) / np.minimum(held_out.counts, k)


def reciprocal_rank(held_out: HeldOutRanks, k: int) -> Doubles:
    """mrr@k = 1 / rank of the first hit, 0 without a hit among the first k.

    Voorhees (1999), The TREC-8 Question Answering Track Report, cut off at k.
    """
    first = held_out.ranks[held_out.indptr[:-1]]
    return np.where(first <= k, 1 / first, 0.0)


def ndcg(held_out: HeldOutRanks, k: int) -> Doubles:
    """ndcg@k = DCG@k / ideal DCG@k, where DCG@k = sum over hits at rank r <= k of 1 / log2(1 + r).

    The ideal list begins with the held-out items: its DCG sums over ranks 1 to min(k, held-out items). Jarvelin &
    Kekalainen (2002), Cumulated Gain-Based Evaluation of IR Techniques, section 2, with binary gain.
    """
    gains = held_out.sums(np.where(held_out.ranks <= k, held_out.discounts, 0.0))
    max_count = int(held_out.counts.max(initial=1))
    ideal = np.cumsum(1 / np.log2(1.0 + np.arange(1, max_count + 1)))
    found: Doubles = gains / ideal[np.minimum(held_out.counts, k) - 1]
    return found


def auc(held_out: HeldOutRanks) -> Doubles:
    """AUC = share of (held-out item, other candidate) pairs in which the held-out item scores higher, ties half.

    The area under the ROC curve: Hanley & McNeil (1982). An item that cannot be recommended loses all its pairs. nan
    for a user whose candidates are all held out; such users are left out of the mean.
    """
    reachable = held_out.ranks < UNREACHABLE
    n_relevant = held_out.sums(reachable)
    n_others = held_out.n_candidates - n_relevant
    # A pair of two held-out items is counted once in `n_behind`, whichever of the two scores higher.
    won = held_out.sums(np.where(reachable, held_out.n_behind, 0.0)) - n_relevant * (n_relevant - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_others > 0, won / (held_out.counts * n_others), np.nan)


def weighted_recall(held_out: HeldOutRanks, k: int) -> Doubles:
    """snips_recall@k = mean of [rank <= k] over the user's held-out items, weighted by 1 / propensity.

    Yang et al. (2018), Unbiased Offline Recommender Evaluation for Missing-Not-At-Random Implicit Feedback.
    """
    return held_out.weighted_mean(held_out.ranks <= k)


def weighted_dcg(held_out: HeldOutRanks, k: int) -> Doubles:
    """snips_dcg@k = mean of [rank <= k] / log2(1 + rank) over the user's held-out items, weighted by 1 / propensity.

    Not divided by the DCG of an ideal list, which is no mean over held-out items: Yang et al. (2018).
    """
    return held_out.weighted_mean(np.where(held_out.ranks <= k, held_out.discounts, 0.0))


WEIGHTED_AT_K = {"snips_recall": weighted_recall, "snips_dcg": weighted_dcg}
AT_K = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
}
