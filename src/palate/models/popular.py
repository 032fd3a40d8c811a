"""Popularity with fading: items that many chose lately, the same list for all users."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.data.rows import CompressedRows
from palate.models.factors import Factors
from palate.models.fading import NO_FADING, Fading


@dataclass(frozen=True)
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
        weights = replace(self.fading, half_life=None).weights(history)
        weights = np.ones(len(history.indices), np.float32) if weights is None else weights
        if self.fading.half_life is not None and history.times is not None:
            times = history.times.astype(np.float64)
            weights = weights * np.exp2((times - times.max(initial=-np.inf)) / self.fading.half_life)
        items = self.items.copy()
        items[:, 0] = np.bincount(history.indices, weights, len(items))
        return replace(self, items=items)
