"""Neighbourhoods: who or what is most alike, and models in which the users most like somebody speak for items.

Rows x of one side (users, or items) are compared by the other side's columns, as a sum over what two rows share:

    cosine, pearson    s = x . y / (|x| |y|) * n / (n + shrinkage)                n: how many columns they share
    bm25               s = w(x) . w(y),  w(x)_c = idf_x x_c (K1 + 1) / (K1 ((1 - B) + B length_c / mean length) + x_c)

where x is 1 for choices (or what counts make of them), and for ratings what they are above the usual of user and item:
then the cosine is Pearson's correlation, with all that a row has in its length (Koren 2010 shrinks it by n alike).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, pointers_of, row_codes, transpose_rows
from palate.kernels import multiply_sparse, nearest_rows
from palate.models import item_weights
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.history_factors import HistoryFactors, unit_values, with_signals, without_self
from palate.models.item_weights import ItemWeights

Measure = Literal["cosine", "bm25", "pearson"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
K1, B = 1.2, 0.75  # of BM25 (Robertson & Walker 1994)


@dataclass(frozen=True)
class Similarity:
    """How rows are compared: by which measure, how many neighbours count, and what the sum is shrunk by."""

    measure: Measure
    k: int
    shrinkage: float = 0.0

    def __post_init__(self) -> None:
        if self.measure not in MEASURES or not self.k >= 1 or not 0 <= self.shrinkage < np.inf:
            raise ValueError(f"{self} cannot be")

    def weighted(self, rows: CompressedRows, lengths: Doubles) -> Floats:
        """The values w(x) whose products add up to similarities, (n,). lengths: (n_columns,) what is in each column."""
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
    """Everybody's rows, by which others are compared with them; values: signals."""

    rows: CompressedRows
    n_columns: int
    similarity: Similarity

    @cached_property
    def lengths(self) -> Doubles:
        """What is in each column, (n_columns,)."""
        return np.asarray(np.bincount(self.rows.indices, np.abs(self.rows.values), self.n_columns), np.float64)

    @cached_property
    def columns(self) -> CompressedRows:
        """The columns, with the weighted values of everybody in them."""
        values = self.similarity.weighted(self.rows, self.lengths)
        return transpose_rows(replace(self.rows, values=values, weights=None), self.n_columns)

    def nearest_neighbors(self, n_threads: int = 0) -> tuple[Codes, Floats]:
        """The k nearest of everybody but himself: codes (-1: no more) and similarities above 0, (n_rows, k) each."""
        return self._nearest(self.rows, None, self.similarity.k, n_threads)

    def neighbors_of(self, rows: CompressedRows) -> tuple[Codes, Floats]:
        """The k nearest of some rows, known or not; who has the same columns says nothing new, and is left out."""
        return self._nearest(rows, self.rows.counts.astype(np.int32), self.similarity.k)

    def most_similar(self, rows: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats]:
        """The n nearest of some rows, these themselves left out by their codes (-1: new ones)."""
        nobody = np.full(self.rows.n_rows, -1, np.int32)
        return without_self(*self._nearest(rows, nobody, min(n + 1, self.rows.n_rows)), codes, n)

    def _nearest(
        self, rows: CompressedRows, sizes: NDArray[np.int32] | None, k: int, n_threads: int = 0
    ) -> tuple[Codes, Floats]:
        return nearest_rows(
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


def neighbor_rows(codes: Codes, similarities: Floats) -> CompressedRows:
    """Neighbours (n_rows, k), -1 for none, as compressed rows."""
    there = codes >= 0
    indptr = pointers_of(there.sum(axis=1))
    return CompressedRows(indptr, codes[there], similarities[there], None)


@dataclass(frozen=True)
class UserNeighbors(HistoryFactors):
    """The users most like somebody speak for the items they have: found when he is served, by his history of then."""

    similarity: Similarity = field(default_factory=lambda: Similarity("cosine", 1))
    neighbor_index: NeighborIndex | None = None

    @property
    def _neighbor_index(self) -> NeighborIndex:
        assert self.neighbor_index is not None
        return self.neighbor_index

    def with_history(self, history: CompressedRows) -> UserNeighbors:
        """The same model of people who have this history now, each in the row of his code."""
        rows = with_signals(history, self.signals(history, self.users))
        neighbor_index = NeighborIndex(rows, len(self.items), self.similarity)
        return replace(super().with_history(history), neighbor_index=neighbor_index)

    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """What the neighbours add to the score of every item, (n_rows, n_items)."""
        near = neighbor_rows(*self._neighbor_index.neighbors_of(with_signals(histories, signals)))
        rows = self._neighbor_index.rows
        sides = near.indptr, near.indices, near.values, rows.indptr, rows.indices
        history_scores = multiply_sparse(*sides, rows.values, len(self.items))
        if self.damping is not None:
            history_scores /= multiply_sparse(*sides, None, len(self.items)) + np.float32(self.damping)
        return history_scores

    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """What each entry of one history adds to the score of an item, (n,): its part of the similarities."""
        neighbor_index, own = self._neighbor_index, with_signals(history, signals)
        near = neighbor_rows(*neighbor_index.neighbors_of(own))
        said, similarity = np.zeros(neighbor_index.rows.n_rows), np.zeros(neighbor_index.rows.n_rows)
        here = neighbor_index.rows.indices == item_code
        said[row_codes(neighbor_index.rows)[here]] = neighbor_index.rows.values[here]
        similarity[near.indices] = near.values
        parts = self._parts(own)
        parts[:, similarity == 0] = 0
        contributions: Doubles = parts @ said
        if self.damping is None:
            return contributions
        has = np.isin(np.arange(len(said)), row_codes(neighbor_index.rows)[here])
        damped: Doubles = contributions / (similarity[has].sum() + self.damping)
        return damped

    def _parts(self, own: CompressedRows) -> Doubles:
        """What each entry of one history gives to his similarity with everybody, (n, n_users)."""
        neighbor_index = self._neighbor_index
        parts, common = np.zeros((len(own.indices), neighbor_index.rows.n_rows)), np.zeros(neighbor_index.rows.n_rows)
        for at, (code, value) in enumerate(
            zip(own.indices, self.similarity.weighted(own, neighbor_index.lengths), strict=True)
        ):
            who, values = neighbor_index.columns.row(int(code))
            parts[at, who] = value * values.astype(np.float64)
            common[who] += 1
        return np.asarray(parts * (common / np.maximum(common + self.similarity.shrinkage, 1e-30)))

    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> UserNeighbors:  # noqa: ARG002
        """With other rows of biases; who is near whom follows from the history that is with_history next."""
        return replace(self, users=users, items=items)

    def most_similar(self, histories: CompressedRows, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n users most like people with these histories by the model's own measure, (m, n), and its name."""
        return *self._neighbor_index.most_similar(self.signalled(histories, codes), codes, n), self.similarity.measure


def pack(factors: HistoryFactors) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a model file holds beside biases and history: header and tensors."""
    if isinstance(factors, ItemWeights):
        return item_weights.pack(factors)
    assert isinstance(factors, UserNeighbors)
    return _pack_users(factors), {}


def unpack(factors: Factors, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> HistoryFactors:
    """A model of histories from a model file, still without them. ValueError for parts that do not fit."""
    return _unpack_users(factors, header) if "measure" in header else item_weights.unpack(factors, header, tensors)


def _pack_users(factors: UserNeighbors) -> dict[str, Any]:
    similarity = factors.similarity
    return {
        "confidence": factors.confidence,
        "damping": factors.damping,
        "measure": similarity.measure,
        "k": similarity.k,
        "shrinkage": similarity.shrinkage,
    }


def _unpack_users(factors: Factors, header: dict[str, Any]) -> UserNeighbors:
    damping = None if header["damping"] is None else float(header["damping"])
    similarity = Similarity(header["measure"], int(header["k"]), float(header["shrinkage"]))
    return UserNeighbors.of(factors, confidence=header["confidence"], damping=damping, similarity=similarity)
