"""The weights of a blend: those that best rank choices hidden from users of the training data.

A fifth of the choices of sampled users is hidden, every part learns from the rest, and its scores are divided by their
scale: their standard deviation over the items, on average over users. Then the hidden choices are ranked by weighted
sums of these scores. All weights of a lattice are tried, each part alone among them, so that no part alone ranks the
hidden choices better than the blend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import comb

import numpy as np

from palate.data.rows import CompressedRows, take_rows
from palate.kernels import rank_targets_of
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.recipes.hidden import Hidden, blocks, ndcg_of

N_USERS = 2000  # whose choices are hidden
N_SCALED = 300  # users whose scores tell their scale
FINEST = 10  # weights are multiples of 1 / FINEST, or coarser ...
MAX_POINTS = 40  # ... so that there are no more of them than this


def choose_weights(models: Sequence[Factors], hidden: Hidden, n_threads: int = 0) -> Doubles:
    """The weights of models that learned from hidden.rest, (n_models,), which add up to 1."""
    points = lattice(len(models))
    scales = np.array([scale_of(model, hidden.rest) for model in models])
    found: list[Doubles] = []
    for block in blocks(len(hidden.users), len(models) * len(models[0].items)):
        users, targets = hidden.users[block], take_rows(hidden.targets, block)
        seen = take_rows(hidden.rest, users)
        scores = [model_scores(model, users, seen) for model in models]
        found.append(
            np.stack([_ndcg(blended(scores, weights / scales), seen, targets, n_threads) for weights in points])
        )
    best: Doubles = points[int(np.argmax(np.concatenate(found, axis=1).mean(axis=1)))]
    return best


def scale_of(model: Factors, history: CompressedRows) -> float:
    """The standard deviation of a model's scores over the items, the mean over some users; 1 if it is 0."""
    known = np.flatnonzero(history.counts)
    some = known[np.linspace(0, len(known) - 1, min(N_SCALED, len(known))).astype(np.int64)].astype(np.int32)
    spread = [
        model_scores(model, some[block], take_rows(history, some[block])).std(axis=1, dtype=np.float64)
        for block in blocks(len(some), len(model.items))
    ]
    scale = float(np.concatenate(spread).mean())
    return scale if scale > 0 else 1.0


def model_scores(model: Factors, users: Codes, histories: CompressedRows) -> Floats:
    """The scores of every item for some users of a model, (m, n_items)."""
    return model.with_users(model.users[users], histories).user_scores()


def blended(scores: Sequence[Floats], weights: Doubles) -> Floats:
    """The weighted sum of scores, (m, n_items); weights: (n_models,)."""
    total = np.zeros_like(scores[0])
    for own, weight in zip(scores, weights.tolist(), strict=True):
        total += np.float32(weight) * own
    return total


def lattice(n: int) -> Doubles:
    """Evenly spaced weights of n parts that add up to 1, (n_points, n): the most even first."""
    step = max(m for m in range(1, FINEST + 1) if m == 1 or comb(m + n - 1, n - 1) <= MAX_POINTS)
    points = np.array(list(_compositions(step, n))) / step
    return np.asarray(points[np.argsort(np.square(points).sum(axis=1), kind="stable")], np.float64)


def _compositions(total: int, n: int) -> Iterator[tuple[int, ...]]:
    """All ways to write a total as a sum of n whole numbers, 0 or more: by the places of n - 1 bars among dots."""
    for bars in combinations(range(total + n - 1), n - 1):
        ends = (-1, *bars, total + n - 1)
        yield tuple(right - left - 1 for left, right in pairwise(ends))


def _ndcg(scores: Floats, seen: CompressedRows, targets: CompressedRows, n_threads: int) -> Doubles:
    """The NDCG@20 of the hidden choices of each user, (m,)."""
    ranks = rank_targets_of(
        scores, targets.indptr, targets.indices, seen_indptr=seen.indptr, seen_indices=seen.indices, n_threads=n_threads
    )[0]
    return ndcg_of(targets, ranks)
