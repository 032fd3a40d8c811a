"""Transition weights: what comes next, by ridge regression from the past of an event to its item.

The past s_t of event t is the sum of its user's earlier events, each an indicator of its item times 1 / (1 + k /
recency), k being the number of events in between; e_t is the indicator of its own item. The weights B minimise

    sum_t |e_t - s_t B|^2 + sum_i l_i |B_i|^2        so that    B = (C + L)^-1 T    with C = sum s s', T = sum s e'

Nothing is excluded: an item may follow itself. Where C has too many numbers, the weights to item j are those from a
support S of items alone, the ones that come before it most: b = (C_SS + L_SS)^-1 T_Sj.

Items are numbered by popularity, the most chosen first: see item_supports.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.data.rows import CompressedRows, row_codes, take_rows
from palate.kernels import event_grams, solve_supports
from palate.models.chosen import KernelRows
from palate.models.factors import Codes, Floats

REACH = 64  # events that a past reaches back in a fit; answers take whole histories


@dataclass(frozen=True)
class Transitions:
    """C below its diagonal, its diagonal (n,), and T': row j holds what came before item j, or the support of j."""

    below: KernelRows
    diagonal: Floats
    before: CompressedRows

    @classmethod
    def of(
        cls, events: CompressedRows, recency: float, n_items: int, k: int, *, reach: int = REACH, n_threads: int = 0
    ) -> Transitions:
        """Sum up the pasts of events, whose rows are oldest first.

        k: the number of items that are kept of those before each item, 0 for all: the ones that come before it most,
        for how often they come before any. reach: the events that a past reaches back.
        """
        memory = (1 / (1 + np.arange(reach) / recency)).astype(np.float32)
        below, diagonal, before = event_grams(
            events.indptr, events.indices, memory, n_items=n_items, k=k, n_threads=n_threads
        )
        return cls(below, diagonal, CompressedRows(*before, None))

    @property
    def n_items(self) -> int:
        """The number of items."""
        return len(self.diagonal)

    def ridges(self, weight_decay: float, dropout: float) -> Floats:
        """The diagonal of L, (n,)."""
        return np.asarray(weight_decay + dropout / (1 - dropout) * self.diagonal, np.float32)

    def weights(self, ridges: Floats, n_threads: int = 0) -> list[CompressedRows]:
        """The weights b to each item, by that item, from those kept, for each row of ridges: diagonals of L."""
        targets = np.arange(self.n_items, dtype=np.int32)
        return [replace(self.before, values=found) for found in self._solved(self.before, targets, ridges, n_threads)]

    def weights_to(self, targets: Codes, ridge: Floats) -> CompressedRows:
        """The weights b to some items, a row each."""
        supports = take_rows(self.before, targets)
        return replace(supports, values=self._solved(supports, targets, ridge[None], 0)[0])

    def _solved(self, supports: CompressedRows, targets: Codes, ridges: Floats, n_threads: int) -> Floats:
        indptr, indices, values = self.below
        assert values is not None
        return solve_supports(
            indptr, indices, values, diagonal=self.diagonal, ridges=ridges, indptr=supports.indptr,
            indices=supports.indices, targets=targets, right=supports.values, n_threads=n_threads,
        )  # fmt: skip

    def gram_row(self, place: int) -> Floats:
        """One row of C, (n,)."""
        indptr, columns, values = self.below
        assert values is not None
        row = np.zeros(self.n_items, np.float32)
        own, below = slice(int(indptr[place]), int(indptr[place + 1])), np.flatnonzero(columns == place)
        row[columns[own]] = values[own]
        row[np.searchsorted(indptr, below, side="right") - 1] = values[below]
        row[place] = self.diagonal[place]
        return row

    def dense_transitions(self) -> Floats:
        """T, (n, n)."""
        T = np.zeros((self.n_items, self.n_items), np.float32)
        T[self.before.indices, row_codes(self.before)] = self.before.values
        return T

    def dense_gram(self, ridge: Floats) -> Floats:
        """C + L, (n, n)."""
        indptr, columns, values = self.below
        rows = np.repeat(np.arange(self.n_items), np.diff(indptr))
        assert values is not None
        C = np.zeros((self.n_items, self.n_items), np.float32)
        C[rows, columns] = values
        C[columns, rows] = values
        C[np.diag_indices_from(C)] = self.diagonal + ridge
        return C


def by_place(histories: CompressedRows, chosen: Codes) -> CompressedRows:
    """Events with items by their places among the chosen ones, which are all that occur."""
    place = np.zeros(int(chosen.max()) + 1, np.int32)
    place[chosen] = np.arange(len(chosen), dtype=np.int32)
    return replace(histories, indices=place[histories.indices])
