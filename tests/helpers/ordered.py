"""A toy that reads the order of events: after each letter of an alphabet comes the next one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import palate
from palate.data.rows import CompressedRows
from palate.models.factors import Factors
from palate.recipes.base import Trained


@dataclass(frozen=True)
class LastFactors(Factors):
    """Scores an item 1 if it follows the last one of the history (in the alphabet), else 0."""

    reads_order: ClassVar[bool] = True
    history: CompressedRows | None = None

    def with_users(self, vectors, history):
        return LastFactors(self.mean, vectors, self.items, self.user_prior, self.item_prior, history=history)

    def user_scores(self):
        scores = np.zeros((self.history.n_rows, len(self.items)), np.float32)
        for row in range(self.history.n_rows):
            codes, _ = self.history.row(row)
            if len(codes):
                scores[row, (codes[-1] + 1) % len(self.items)] = 1
        return scores


@dataclass(frozen=True)
class Ordered(palate.Popularity):
    """The recipe of such a model."""

    reads_order: ClassVar[bool] = True

    def _fit(self, ratings, monitor):
        plain = super()._fit(ratings, monitor).factors
        return Trained(LastFactors(plain.mean, plain.users, plain.items, plain.user_prior, plain.item_prior))
