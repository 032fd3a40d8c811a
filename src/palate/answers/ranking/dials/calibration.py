"""calibrated="genres": the mix of a list follows the mix of the user's own history.

p is the mix of what the user rated or chose: each item counts one, in equal parts for its classes. q is the mix of the
list so far and one item more, counted likewise. What is asked of the item is a small divergence

    KL = sum over classes g of p_g ln(p_g / q~_g),        q~ = (1 - ALPHA) q + ALPHA p

times the length t of that list: the mean relevance of a list is then held against its KL, so that a strength means
the same for short and long lists. Items without a class are no part of p and q.

Source: Steck (2018), Calibrated Recommendations, equations 2 to 6; there, KL is held against the sum of scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.classes import ItemClasses
from palate.data.rows import CompressedRows, row_codes
from palate.models.factors import Codes, Doubles

ALPHA = 0.01  # the share of p in q~, which keeps the divergence finite


@dataclass(frozen=True)
class Calibration:
    """How much the mix of some classes counts, from 0 to 1."""

    strength: float
    classes: ItemClasses

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Which items have a class, (n_items,)."""
        return self.classes.counts[:-1] > 0


def mixes(classes: ItemClasses, histories: CompressedRows) -> Doubles:
    """P of some users (m, n_classes), from their histories; all 0 for a user none of whose items has a class."""
    entries, found = classes.pairs(histories.indices)
    owners = row_codes(histories)[entries]
    parts = 1 / classes.counts[histories.indices][entries]
    cells = owners.astype(np.int64) * classes.n_classes + found
    sums = np.bincount(cells, parts, histories.n_rows * classes.n_classes).reshape(histories.n_rows, classes.n_classes)
    mix: Doubles = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-300)
    return mix


class ListMixes:
    """The mixes of the lists of m users while they are made, of a pool (m, M) each whose codes are all of items."""

    def __init__(self, classes: ItemClasses, own: Doubles, pools: Codes) -> None:
        self._classes = classes
        self._own = own
        self._shape = pools.shape
        self._cells, self._found = classes.pairs(pools.ravel())
        self._rows = self._cells // max(pools.shape[1], 1)
        self._parts = 1 / classes.counts[pools.ravel()][self._cells]
        self._sums = np.zeros_like(own)
        self._sizes = np.zeros(len(own))

    def divergences(self) -> Doubles:
        """KL of each list with one item of its pool more, (m, M); that of an item without a class means nothing."""
        own, sizes = self._own, self._sizes[:, None] + 1
        before = (1 - ALPHA) * self._sums / sizes + ALPHA * own
        logs = np.log(np.where(own > 0, before, 1))
        unchanged = np.sum(own * (np.log(np.where(own > 0, own, 1)) - logs), axis=1)
        at = self._rows, self._found
        share = own[at]
        after = before[at] + (1 - ALPHA) * self._parts / sizes[self._rows, 0]
        change = share * (logs[at] - np.log(np.where(share > 0, after, 1)))
        changes = np.bincount(self._cells, change, self._shape[0] * self._shape[1]).reshape(self._shape)
        found: Doubles = np.maximum(unchanged[:, None] + changes, 0)
        return found

    def add(self, rows: NDArray[np.int64], chosen: Codes) -> None:
        """Put an item on the lists of some users."""
        at, found = self._classes.pairs(chosen)
        self._sums[rows[at], found] += 1 / self._classes.counts[chosen][at]
        self._sizes[rows] += self._classes.counts[chosen] > 0


def divergence(own: Doubles, listed: Doubles) -> Doubles:
    """KL of mixes p and q, (m, n_classes) each: (m,)."""
    mixed = (1 - ALPHA) * listed + ALPHA * own
    terms = own * np.log(np.where(own > 0, own, 1) / np.where(own > 0, mixed, 1))
    found: Doubles = np.maximum(terms.sum(axis=1), 0)
    return found
