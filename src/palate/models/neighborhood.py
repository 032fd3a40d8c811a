"""Neighborhoods: the k nearest users or items by similarity of their ratings, and the user-based model.

Rows x and y of one side (users, or items) are compared over the columns of the other side:

    cosine, pearson    s = x . y / (|x| |y|) * n / (n + shrinkage)                n: the number of shared columns
    bm25               s = w(x) . w(y),  w(x)_c = idf_x x_c (K1 + 1) / (K1 ((1 - B) + B length_c / mean length) + x_c)

The values x are the signals of palate.models.history_factors: 1 for a choice (or its confidence), and for a rating its
residual from mean and biases, which makes the cosine Pearson's correlation; it is multiplied by the root of its weight.
Lengths |x| are over all columns of a row.

Source: Koren (2010), Factor in the Neighbors, for the shrinkage by n; Robertson & Walker (1994) for BM25.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, pointers_of, row_codes, transpose_rows
from palate.kernels import multiply_sparse, nearest_rows
from palate.models import item_weights
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.fading import Fading
from palate.models.history_factors import HistoryFactors, unit_values, without_self
from palate.models.item_weights import ItemWeights
from palate.models.sequences import SequenceWeights

Measure = Literal["cosine", "bm25", "pearson"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
K1, B = 1.2, 0.75  # of BM25


@dataclass(frozen=True)
class Similarity:
    """How rows are compared.

    Attributes:
        measure ("cosine", "bm25" or "pearson"): The similarity.
        k (int): The number of neighbors used, 1 or more.
        shrinkage (float, default 0.0): Shrinks the similarity of rows that share few columns; 0 or more.
    """

    measure: Measure
    k: int
    shrinkage: float = 0.0

    def __post_init__(self) -> None:
        if self.measure not in MEASURES or not self.k >= 1 or not 0 <= self.shrinkage < np.inf:
            raise ValueError(f"{self} is not valid")

    def weighted(self, rows: CompressedRows, lengths: Doubles) -> Floats:
        """The values w(x) whose products sum to similarities, (n,). lengths: (n_columns,) the sums of the columns."""
        if self.measure != "bm25":
            return unit_values(rows)
        values = rows.values.astype(np.float64)
        idf = np.maximum(np.log(len(lengths)) - np.log1p(rows.counts), 0)
        norms = (1 - B) + B * lengths / max(float(lengths.mean()), 1e-30)
        return np.asarray(
            np.repeat(idf, rows.counts) * values * (K1 + 1) / (K1 * norms[rows.indices] + values), np.float32
        )


@dataclass(frozen=True)
class NeighborIndex:
    """All rows of one side, indexed by column for the search of nearest neighbors.

    Attributes:
        rows (CompressedRows): The rows, with signals as values.
        n_columns (int): Number of columns: rows of the other side.
        similarity (Similarity): How rows are compared.
    """

    rows: CompressedRows
    n_columns: int
    similarity: Similarity

    @cached_property
    def lengths(self) -> Doubles:
        """The sum of absolute values in each column, (n_columns,)."""
        return np.asarray(np.bincount(self.rows.indices, np.abs(self.rows.values), self.n_columns), np.float64)

    @cached_property
    def columns(self) -> CompressedRows:
        """The weighted values of all rows, by column."""
        values = self.similarity.weighted(self.rows, self.lengths)
        return transpose_rows(replace(self.rows, values=values, weights=None), self.n_columns)

    def nearest_neighbors(self, n_threads: int = 0) -> tuple[Codes, Floats]:
        """The k nearest neighbors of every row: codes (-1: no more) and similarities above 0, (n_rows, k) each."""
        return self._nearest(self.rows, None, self.similarity.k, n_threads)

    def neighbors_of(self, rows: CompressedRows) -> tuple[Codes, Floats]:
        """The k nearest neighbors of some rows, (m, k) each. A neighbor with the same set of columns is left out."""
        return self._nearest(rows, self.rows.counts.astype(np.int32), self.similarity.k)

    def most_similar(self, rows: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats]:
        """The n nearest neighbors of some rows, (m, n) each, without the rows themselves (codes (m,), -1: new)."""
        keep_all = np.full(self.rows.n_rows, -1, np.int32)
        return without_self(*self._nearest(rows, keep_all, min(n + 1, self.rows.n_rows)), codes, n)

    def _nearest(
        self, rows: CompressedRows, sizes: NDArray[np.int32] | None, k: int, n_threads: int = 0
    ) -> tuple[Codes, Floats]:
        """The k nearest neighbors. sizes: of the index's rows; one that shares all its columns is left out.

        A size of -1 keeps the row. None: `rows` are the rows of the index, and each leaves out itself.
        """
        found, similarities = nearest_rows(
            rows.indptr,
            rows.indices,
            self.similarity.weighted(rows, self.lengths),
            self.columns.indptr,
            self.columns.indices,
            self.columns.values,
            self.rows.n_rows,
            k=k,
            shrinkage=self.similarity.shrinkage,
            sizes=sizes,
            n_threads=n_threads,
        )
        return found, similarities if self.similarity.measure == "bm25" else np.minimum(similarities, 1)


def neighbor_rows(codes: Codes, similarities: Floats) -> CompressedRows:
    """Return neighbors (n_rows, k), -1 for none, as compressed rows."""
    found = codes >= 0
    indptr = pointers_of(found.sum(axis=1))
    return CompressedRows(indptr, codes[found], similarities[found], None)


@dataclass(frozen=True, repr=False)
class UserNeighbors(HistoryFactors):
    """User-based collaborative filtering: the k most similar users contribute their signals to the scores of items.

    Neighbors are searched when scores are computed, from the history at that time.

    Attributes:
        similarity (Similarity): How users are compared.
        neighbor_index (NeighborIndex, default None): All users; None until with_history().
    """

    similarity: Similarity = field(default_factory=lambda: Similarity("cosine", 1))
    neighbor_index: NeighborIndex | None = None

    @property
    def _neighbor_index(self) -> NeighborIndex:
        assert self.neighbor_index is not None
        return self.neighbor_index

    def with_history(self, history: CompressedRows) -> UserNeighbors:
        """Return the model with another history of all users, a row for each code."""
        rows = self.with_signals(history, self.signals(history, self.users))
        neighbor_index = NeighborIndex(rows, len(self.items), self.similarity)
        return replace(super().with_history(history), neighbor_index=neighbor_index)

    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """The part of the score of every item that neighbors contribute, (n_rows, n_items)."""
        near = neighbor_rows(*self._neighbor_index.neighbors_of(self.with_signals(histories, signals)))
        rows = self._neighbor_index.rows
        sides = near.indptr, near.indices, near.values, rows.indptr, rows.indices
        weighted = rows.values if rows.weights is None else rows.values * rows.weights
        history_scores = multiply_sparse(*sides, weighted, len(self.items))
        if self.damping is not None:
            history_scores /= multiply_sparse(*sides, rows.weights, len(self.items)) + np.float32(self.damping)
        return history_scores

    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """The contribution of each entry of one history to the score of an item, (n,): its part of similarities."""
        index, own = self._neighbor_index, self.with_signals(history, signals)
        near = neighbor_rows(*index.neighbors_of(own))
        item_signals, item_weights, similarity = (np.zeros(index.rows.n_rows) for _ in range(3))
        of_item = index.rows.indices == item_code
        raters = row_codes(index.rows)[of_item]
        item_weights[raters] = 1.0 if index.rows.weights is None else index.rows.weights[of_item]
        item_signals[raters] = index.rows.values[of_item]
        similarity[near.indices] = near.values
        parts = self._similarity_parts(own)
        parts[:, similarity == 0] = 0
        contributions: Doubles = parts @ (item_weights * item_signals)
        if self.damping is None:
            return contributions
        damped: Doubles = contributions / (similarity @ item_weights + self.damping)
        return damped

    def _similarity_parts(self, own: CompressedRows) -> Doubles:
        """The part of each entry of one history in the similarity to every user, (n, n_users)."""
        index = self._neighbor_index
        parts, n_shared = np.zeros((len(own.indices), index.rows.n_rows)), np.zeros(index.rows.n_rows)
        weighted = self.similarity.weighted(own, index.lengths)
        for at, (code, value) in enumerate(zip(own.indices, weighted, strict=True)):
            users, values = index.columns.row(int(code))
            parts[at, users] = value * values.astype(np.float64)
            n_shared[users] += 1
        return np.asarray(parts * (n_shared / np.maximum(n_shared + self.similarity.shrinkage, 1)))

    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> UserNeighbors:  # noqa: ARG002
        """Return the model with other biases. The neighbors follow from the next with_history()."""
        return replace(self, users=users, items=items)

    def most_similar(self, histories: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n users most similar to m users with these histories: codes, similarities (m, n), the measure's name."""
        return *self._neighbor_index.most_similar(self.to_signals(histories, codes), codes, n), self.similarity.measure


def pack(factors: HistoryFactors) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a model file holds besides biases and history: header and tensors."""
    if isinstance(factors, SequenceWeights):
        header, tensors = item_weights.pack(factors)
        return {"sequence": {"keeps_seen": factors.keeps_seen, "weights": header}}, tensors
    if isinstance(factors, ItemWeights):
        return item_weights.pack(factors)
    assert isinstance(factors, UserNeighbors)
    return _pack_users(factors), {}


def unpack(factors: Factors, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> HistoryFactors:
    """Return a history-based model from a file, without history. Raise ValueError if the parts do not fit together."""
    if "sequence" in header:
        return _unpack_sequence(factors, header["sequence"], tensors)
    return _unpack_users(factors, header) if "measure" in header else item_weights.unpack(factors, header, tensors)


def _unpack_sequence(factors: Factors, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> SequenceWeights:
    weights = item_weights.unpack(factors, header["weights"], tensors)
    if weights.regression is None or weights.fading.recency is None or weights.damping is not None:
        raise ValueError("transition weights without a regression or a recency, or of ratings")
    own = {part.name: getattr(weights, part.name) for part in fields(ItemWeights)}
    return SequenceWeights(**own, keeps_seen=header["keeps_seen"] is True)


def _pack_users(factors: UserNeighbors) -> dict[str, Any]:
    similarity = factors.similarity
    return {
        "confidence": factors.confidence,
        "damping": factors.damping,
        "measure": similarity.measure,
        "k": similarity.k,
        "shrinkage": similarity.shrinkage,
        **({} if factors.fading.is_none else {"fading": factors.fading.header()}),
    }


def _unpack_users(factors: Factors, header: dict[str, Any]) -> UserNeighbors:
    damping = None if header["damping"] is None else float(header["damping"])
    similarity = Similarity(header["measure"], int(header["k"]), float(header["shrinkage"]))
    fading = Fading.of(header.get("fading"))
    return UserNeighbors.of(
        factors, confidence=header["confidence"], damping=damping, fading=fading, similarity=similarity
    )
