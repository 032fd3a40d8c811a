"""The matrix X of choices, restricted to the items with choices, as the closed forms of item-item weights take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, transpose_rows
from palate.models.factors import Codes, Doubles, Floats

KernelRows = tuple[NDArray[np.int64], Codes, Floats | None]  # indptr, indices and values (None: 1 everywhere)


@dataclass(frozen=True)
class Chosen:
    """X and X' of the items with choices, renumbered, and the weights of users.

    user_weights: (n_users,) in proportion to n^-user_exponent, with a mean of 1 over all choices.
    is_binary: True if all entries of X are 1.
    """

    by_user: CompressedRows
    by_item: CompressedRows
    user_weights: Floats
    is_binary: bool

    @classmethod
    def of(cls, histories: CompressedRows, signals: Floats | None, chosen: Codes, user_exponent: float) -> Chosen:
        """X with these entries, (n,), or ones."""
        column = np.zeros(int(chosen.max()) + 1, np.int32)
        column[chosen] = np.arange(len(chosen), dtype=np.int32)
        values = np.ones(len(histories.indices), np.float32) if signals is None else signals
        X = CompressedRows(histories.indptr, column[histories.indices], values, None)
        weights = np.maximum(X.counts, 1.0) ** -user_exponent
        weights *= len(X.indices) / (weights @ X.counts)
        return cls(X, transpose_rows(X, len(chosen)), weights.astype(np.float32), signals is None)

    @property
    def n_users(self) -> int:
        """The number of rows of X."""
        return self.by_user.n_rows

    @property
    def n_items(self) -> int:
        """The number of columns of X."""
        return self.by_item.n_rows

    @property
    def masses(self) -> Doubles:
        """The diagonal of X'WX: the sum of w x^2 of each item, (n_items,)."""
        squares = self.user_weights[self.by_item.indices] * np.square(self.by_item.values, dtype=np.float64)
        return np.asarray(np.add.reduceat(squares, self.by_item.indptr[:-1]))

    @property
    def popularities(self) -> Doubles:
        """The number of choices of each item, divided by the mean, (n_items,)."""
        return np.asarray(self.by_item.counts / self.by_item.counts.mean())

    @property
    def mean_square(self) -> float:
        """The mean of x^2 over the choices."""
        return float(np.mean(np.square(self.by_user.values, dtype=np.float64)))

    def users(self) -> KernelRows:
        """X for the kernels."""
        return self.by_user.indptr, self.by_user.indices, None if self.is_binary else self.by_user.values

    def items_times(self, *, item_factors: Floats | None = None, user_factors: Floats | None = None) -> KernelRows:
        """X' for the kernels, with its rows multiplied by item_factors, or its columns by user_factors."""
        rows = self.by_item
        if item_factors is not None:
            return rows.indptr, rows.indices, rows.values * np.repeat(item_factors, rows.counts)
        assert user_factors is not None
        return rows.indptr, rows.indices, rows.values * user_factors[rows.indices]
