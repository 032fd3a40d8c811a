"""How alike two items are, for diversity=: from 0 to 1, and 0 where they point in opposite directions.

By factors it is their cosine. In a model without factors it is the cosine of the sets of users who rated or chose the
items, and with diversity_by= the share of common classes, |A and B| / |A or B| (Jaccard).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.classes import ItemClasses
from palate.data.rows import CompressedRows, take_rows, transpose_rows
from palate.kernels import multiply_sparse
from palate.models.factors import Codes, Floats
from palate.models.history_factors import HistoryFactors, TransposedHistory
from palate.models.model import Model

BLOCK_FLOATS = 4_000_000  # numbers held at once: of the pools of some users, or similarities to all items

Beside = Callable[[Codes], Floats]  # an item for each pool (m,) -> the similarity of the pool's items to it, (m, M)


@dataclass(frozen=True)
class VectorSimilarity:
    """The cosine of vectors.

    unit: (n_items, k), each row of length 1; is_known: which items have a vector that says something, (n_items,).
    """

    unit: Floats
    is_known: NDArray[np.bool_]

    @property
    def width(self) -> int:
        """Numbers held for each item of a pool."""
        return int(self.unit.shape[1])

    def beside(self, pools: Codes) -> Beside:
        """The similarities within some pools (m, M), whose codes are all of items."""
        vectors = self.unit[pools]

        def to(chosen: Codes) -> Floats:
            cosine = np.einsum("mpk,mk->mp", vectors, self.unit[chosen])
            return _in_range(cosine)

        return to


@dataclass(frozen=True)
class SetSimilarity:
    """The likeness of sets: of the users of an item, or of its classes.

    members: the set of each item, n_items rows; owners: the items of each member, turned round; is_jaccard: the share
    of common members, else the cosine, which is in the values of the rows already.
    """

    members: CompressedRows
    owners: CompressedRows
    is_jaccard: bool

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Which items have a set at all, (n_items,)."""
        return self.members.counts > 0

    @property
    def width(self) -> int:
        """Numbers held for each item of a pool."""
        return 2

    def beside(self, pools: Codes) -> Beside:
        """The similarities within some pools (m, M), whose codes are all of items."""
        n_items = self.members.n_rows
        step = max(1, BLOCK_FLOATS // max(n_items, 1))

        def to(chosen: Codes) -> Floats:
            found = np.empty(pools.shape, np.float32)
            items, which = np.unique(chosen, return_inverse=True)
            for start in range(0, len(items), step):
                rows = np.flatnonzero((which >= start) & (which < start + step))
                alike = self._to_all(items[start : start + step])
                found[rows] = alike[(which[rows] - start)[:, None], pools[rows]]
            return _in_range(found)

        return to

    def _to_all(self, items: Codes) -> Floats:
        """The similarity of some items to every item, (n, n_items)."""
        own = take_rows(self.members, items)
        rows = own.indptr, np.ascontiguousarray(own.indices), np.ascontiguousarray(own.values)
        owners, n_items = self.owners, self.members.n_rows
        both = multiply_sparse(*rows, owners.indptr, owners.indices, owners.values, n_items)
        if not self.is_jaccard:
            return both
        sizes = self.members.counts.astype(np.float32)
        either = sizes[items][:, None] + sizes - both
        jaccard: Floats = both / np.maximum(either, 1)
        return jaccard


def _in_range(similarities: Floats) -> Floats:
    found: Floats = np.minimum(np.maximum(similarities, 0), 1)
    return found


Similarity = VectorSimilarity | SetSimilarity


def similarity_of(model: Model) -> Similarity:
    """How alike the items of a model are, by what it learned of them; made once for each model."""
    has_factors = model.factors.n_factors > 0 and not isinstance(model.factors, HistoryFactors | TransposedHistory)
    return model.once(_by_vectors) if has_factors else model.once(by_users)


def by_classes(classes: ItemClasses) -> SetSimilarity:
    """How alike items are by the classes that they have in common."""
    indptr = classes.indptr[:-1]
    rows = CompressedRows(indptr, classes.classes, np.ones(len(classes.classes), np.float32), None)
    return SetSimilarity(rows, transpose_rows(rows, max(classes.n_classes, 1)), is_jaccard=True)


def _by_vectors(model: Model) -> VectorSimilarity:
    vectors = model.factors.items[:, model.compared_columns]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
    return VectorSimilarity(unit, model.comparable_items & (lengths[:, 0] > 0))


def by_users(model: Model) -> SetSimilarity:
    """How alike items are by the users who rated or chose them.

    Each value is 1 / root of the number of users, so that products of rows are cosines.
    """
    n_items = len(model.item_vocabulary)
    roots = (1 / np.sqrt(np.maximum(model.item_counts, 1))).astype(np.float32)
    users = CompressedRows(model.history.indptr, model.history.indices, roots[model.history.indices], None)
    return SetSimilarity(transpose_rows(users, n_items), users, is_jaccard=False)
