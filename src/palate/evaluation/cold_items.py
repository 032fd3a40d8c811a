"""How well cold items, which have no training choices, are ranked among each other.

In whole lists they drown among the others, whatever a model knows of them. So their held-out choices are ranked a
second time, with cold items as the only candidates. A model that knows nothing of them ranks them in the order of their
codes, as Popularity does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking import Query
from palate.evaluation.matching import HeldOut, among
from palate.evaluation.rank_metrics import ndcg, recall
from palate.evaluation.ranks import rank_held_out
from palate.evaluation.resampling import Doubles
from palate.models.model import Model

COLD_AT_K = {"cold_ndcg": ndcg, "cold_recall": recall}

Mask = NDArray[np.bool_]


def cold_items(model: Model, query: Query) -> Mask:
    """Which of the items to rank have no training choices, (n_items,)."""
    mask: Mask = query.allowed & (model.item_counts == 0)
    return mask


def is_cold(held_out: HeldOut, cold: Mask) -> Mask:
    """Which held-out items are cold, (n,); those that the model does not know are not."""
    mask: Mask = (held_out.items >= 0) & cold[held_out.items]
    return mask


def cold_values(model: Model, held_out: HeldOut, ks: Sequence[int], query: Query, cold: Mask) -> dict[str, Doubles]:
    """Each measure among cold items of each user, (n_users,); nan for users without a cold held-out item."""
    found = is_cold(held_out, cold)
    values = {f"{name}@{k}": np.full(len(held_out.users), np.nan) for name in COLD_AT_K for k in ks}
    if not found.any():
        return values
    has_some = np.add.reduceat(found, held_out.indptr[:-1]) > 0
    ranks, _ = rank_held_out(model, among(held_out, cold), 1, replace(query, allowed=cold))
    for name, metric in COLD_AT_K.items():
        for k in ks:
            values[f"{name}@{k}"][has_some] = metric(ranks, k)
    return values
