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

from palate.data.plan import count_codes
from palate.data.rows import CompressedRows, pointers_of, take_rows, transpose_rows
from palate.kernels import compress_rows, nearest_rows, solve_supports, sparse_gram
from palate.models.chosen import Chosen, KernelRows
from palate.models.factors import Codes, Doubles, Floats
from palate.models.history_factors import without_self


def by_popularity(item_codes: Codes) -> Codes:
    """The codes of the items with choices, the most chosen first; of equally chosen ones, the lower code.

    item_codes: of all choices, (n,).
    """
    counts = count_codes(item_codes, int(item_codes.max()) + 1)
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
        return supports_of(self.X, self.diagonal, k, n_threads=n_threads)

    def weights(
        self, supports: CompressedRows, decays: Floats, n_threads: int = 0, targets: Codes | None = None
    ) -> list[CompressedRows]:
        """The weights b of each item on its support, for each row of decays: diagonals of L, (n_decays, n).

        targets: the item of each support; None: they are those of all items, in order.
        """
        indptr, indices, values = self.below
        assert values is not None
        targets = np.arange(supports.n_rows, dtype=np.int32) if targets is None else targets
        found = solve_supports(
            indptr, indices, values, diagonal=self.diagonal, ridges=decays, indptr=supports.indptr,
            indices=supports.indices, targets=targets, n_threads=n_threads,
        )  # fmt: skip
        return [replace(supports, values=weights) for weights in found]


def supports_of(X: Chosen, masses: Floats, k: int, rows: Codes | None = None, n_threads: int = 0) -> CompressedRows:
    """The k items that go with each item of X most, or with some of them; see SparseGram.supports().

    masses: the diagonal of G, (n,).
    """
    by_item, n = X.by_item, X.n_items
    roots = np.sqrt(X.user_weights)[by_item.indices] / np.repeat(np.sqrt(masses), by_item.counts)
    scaled = replace(by_item, values=(by_item.values * roots).astype(np.float32))
    columns = transpose_rows(scaled, X.n_users)
    others = columns.indptr, columns.indices, columns.values
    if rows is None:
        codes, cosines = nearest_rows(
            scaled.indptr, scaled.indices, scaled.values, *others, n, k=k, n_threads=n_threads
        )  # fmt: skip
    else:
        some = take_rows(scaled, rows)
        nearest = nearest_rows(
            some.indptr, some.indices, some.values, *others, n, k=min(k + 1, n), sizes=np.full(n, -1, np.int32),
            n_threads=n_threads,
        )  # fmt: skip
        codes, cosines = without_self(*nearest, rows, k)
    order = np.argsort(np.where(codes < 0, n, codes), axis=1, kind="stable")
    rising_codes, values = np.take_along_axis(codes, order, axis=1), np.take_along_axis(cosines, order, axis=1)
    is_item = rising_codes >= 0
    return CompressedRows(pointers_of(is_item.sum(axis=1)), rising_codes[is_item], values[is_item], None)


def in_codes(weights: CompressedRows, scales: Doubles, chosen: Codes, n_items: int) -> CompressedRows:
    """Weights on supports, by target, as item-item weights: rows of the items they come from, in the model's codes.

    scales: what the scores of each item are multiplied by, (n,). chosen: the codes of the items, (n,).
    """
    values = (weights.values * np.repeat(scales, weights.counts)).astype(np.float32)
    targets, sources = np.repeat(chosen, weights.counts), chosen[weights.indices]
    by_target = CompressedRows(*compress_rows(targets, sources, values, None, n_items))
    return transpose_rows(by_target, n_items)
