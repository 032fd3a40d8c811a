"""Popularity with fading: items that many chose lately, the same list for all users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palate.data.rows import CompressedRows, rows_between
from palate.models.factors import Factors
from palate.models.fading import NO_FADING, Fading


@dataclass(frozen=True, repr=False)
class PopularFactors(Factors):
    """Popularity with fading, the same for all users: the sum of the weights of an item's events, as its bias.

    The age of an event is how much older it is than the last event of all.

    Attributes:
        fading (Fading, default none): How the weight of an event falls.
    """

    fading: Fading = NO_FADING

    @property
    def fades_by_age(self) -> bool:
        """True if events count by their age."""
        return self.fading.half_life is not None

    def recounted(self, history: CompressedRows) -> PopularFactors:
        """Return the popularities of another history."""
        by_order, half_life = replace(self.fading, half_life=None), self.fading.half_life
        latest = None if history.times is None or len(history.times) == 0 else float(history.times.max())
        totals = np.zeros(len(self.items))
        for block in history.plan.blocks:
            some = rows_between(history, block)
            weights: Any = by_order.weights(some)
            if half_life is not None and latest is not None and some.times is not None:
                by_age = np.exp2((some.times.astype(np.float64) - latest) / half_life)
                weights = by_age if weights is None else weights * by_age
            totals += np.bincount(some.indices, weights, len(totals))
        items = self.items.copy()
        items[:, 0] = totals
        return replace(self, items=items)
