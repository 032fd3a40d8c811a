"""Item-item weights with a support: each item is regressed on the items that go with it most, and on no others.

With S the support of item j, G = X'WX and L a diagonal ridge, its weights are

    b = (G_SS + L_SS)^-1 G_Sj

which is the closed form of EASE, restricted to a neighborhood: n small linear systems in place of one inverse of an
(n, n) matrix. The support is chosen by the cosine of choices, G_ij / sqrt(G_ii G_jj).

Items are numbered by popularity, the most chosen first: row i of the sparse G, which holds the items before i, is then
short for every item, and where two items meet is looked up in the row of the rarer one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, pointers_of, transpose_rows
from palate.kernels import compress_rows, nearest_rows, solve_supports, sparse_gram
from palate.models.factors import Codes, Doubles, Floats
from palate.recipes.closed_form import Chosen, KernelRows


def by_popularity(ratings: Ratings) -> Codes:
    """The codes of the items with choices, the most chosen first; of equally chosen ones, the lower code."""
    counts = np.bincount(ratings.item_codes)
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    return order[: np.count_nonzero(counts)]


def rising(histories: CompressedRows, signals: Floats | None, chosen: Codes, user_exponent: float) -> Chosen:
    """X of the items in this order, the columns of each row rising."""
    X = Chosen.of(histories, signals, chosen, user_exponent)
    return replace(X, by_user=transpose_rows(X.by_item, X.n_users))


@dataclass(frozen=True)
class SparseGram:
    """G = X'WX of items in the order of X: rows of the entries before the diagonal, (n, n), and the diagonal, (n,)."""

    X: Chosen
    below: KernelRows
    diagonal: Floats

    @classmethod
    def of(cls, X: Chosen, n_threads: int = 0) -> SparseGram:
        """Multiply out."""
        below = sparse_gram(*X.items_times(user_factors=X.user_weights), *X.users(), n_threads=n_threads)
        return cls(X, below, X.masses.astype(np.float32))

    def supports(self, k: int, n_threads: int = 0) -> CompressedRows:
        """The k items that go with each item most, rising; fewer where fewer go with it at all. Values are cosines."""
        by_item = self.X.by_item
        roots = np.sqrt(self.X.user_weights)[by_item.indices] / np.repeat(np.sqrt(self.diagonal), by_item.counts)
        rows = replace(by_item, values=(by_item.values * roots).astype(np.float32))
        columns = transpose_rows(rows, self.X.n_users)
        codes, cosines = nearest_rows(
            rows.indptr, rows.indices, rows.values, columns.indptr, columns.indices, columns.values, rows.n_rows,
            k=k, n_threads=n_threads,
        )  # fmt: skip
        order = np.argsort(np.where(codes < 0, rows.n_rows, codes), axis=1, kind="stable")
        rising_codes, values = np.take_along_axis(codes, order, axis=1), np.take_along_axis(cosines, order, axis=1)
        is_item = rising_codes >= 0
        return CompressedRows(pointers_of(is_item.sum(axis=1)), rising_codes[is_item], values[is_item], None)

    def weights(self, supports: CompressedRows, decays: Floats, n_threads: int = 0) -> list[CompressedRows]:
        """The weights b of each item on its support, for each row of decays: diagonals of L, (n_decays, n)."""
        indptr, indices, values = self.below
        assert values is not None
        found = solve_supports(
            indptr, indices, values, diagonal=self.diagonal, ridges=decays, indptr=supports.indptr,
            indices=supports.indices, targets=np.arange(supports.n_rows, dtype=np.int32), n_threads=n_threads,
        )  # fmt: skip
        return [replace(supports, values=weights) for weights in found]


def in_codes(weights: CompressedRows, scales: Doubles, chosen: Codes, n_items: int) -> CompressedRows:
    """Weights on supports, by target, as item-item weights: rows of the items they come from, in the model's codes.

    scales: what the scores of each item are multiplied by, (n,). chosen: the codes of the items, (n,).
    """
    values = (weights.values * np.repeat(scales, weights.counts)).astype(np.float32)
    targets, sources = np.repeat(chosen, weights.counts), chosen[weights.indices]
    by_target = CompressedRows(*compress_rows(targets, sources, values, None, n_items))
    return transpose_rows(by_target, n_items)
