"""Models in which somebody is not a vector but a history: what he chose or rated speaks for other items, one by one.

With signals x of a history (1 for a choice, or more where it was made often; the rating less what user and item usually
give, where there are ratings) and weights B of the items it names for the items asked about:

    score_ui = sum_j x_uj B_ji                                  of choices
    score_ui = mean + b_u + c_i + sum_j x_uj B_ji / (sum_j B_ji + damping)     of ratings, over the rated items j
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, columns_where, row_codes, take_rows, transpose_rows
from palate.kernels import multiply_sparse, multiply_wide, select_top
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.history_factors import HistoryFactors, densely


@dataclass(frozen=True)
class ItemWeights(HistoryFactors):
    """Weights B between items, (n_items, n_items), row j being what item j says of the others: dense or sparse rows."""

    weights: Floats | CompressedRows = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """What histories add to the score of every item, (n_rows, n_items): x B, or the damped mean of ratings."""
        history_scores = self._times(histories, signals)
        if self.damping is not None:
            history_scores /= self._times(histories, None) + np.float32(self.damping)
        return history_scores

    def _times(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """X B with the signals in X, (n_rows, n_items)."""
        rows, weights = (histories.indptr, histories.indices, signals), self.weights
        if isinstance(weights, CompressedRows):
            return multiply_sparse(*rows, weights.indptr, weights.indices, weights.values, len(self.items))
        return multiply_wide(*rows, weights)

    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """What each entry of one history adds to the score of an item, (n,)."""
        towards = self._towards(history.indices, item_code)
        damped = 1.0 if self.damping is None else float(towards.sum()) + self.damping
        shares: Doubles = np.asarray(towards if signals is None else towards * signals, np.float64) / damped
        return shares

    def _towards(self, item_codes: Codes, item_code: int) -> Doubles:
        """The weights of some items for one, (n,)."""
        if not isinstance(self.weights, CompressedRows):
            return np.asarray(self.weights[item_codes, item_code], np.float64)
        rows = take_rows(self.weights, item_codes)
        found = rows.indices == item_code
        return np.asarray(np.bincount(row_codes(rows)[found], rows.values[found], len(item_codes)), np.float64)

    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> ItemWeights:
        """With other rows of biases: more items at the end, or (kept: a mask) only some; a new item says nothing."""
        weights = self.weights
        if not isinstance(weights, CompressedRows):
            n_new = 0 if kept is not None else len(items) - len(self.items)
            weights = np.pad(weights, (0, n_new)) if kept is None else weights[np.ix_(kept, kept)]
        elif kept is None:
            ends = np.full(len(items) - len(self.items), weights.indptr[-1])
            weights = replace(weights, indptr=np.concatenate([weights.indptr, ends]))
        else:
            weights = columns_where(take_rows(weights, np.flatnonzero(kept).astype(np.int32)), kept)
        return replace(self, users=users, items=items, weights=weights)

    def most_similar_items(self, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The items that each of some speaks for most, by its weights above 0."""
        if isinstance(self.weights, CompressedRows):  # each item's nearest are in its column
            near = take_rows(transpose_rows(self.weights, len(self.items)), codes)
            rows, name = densely(near, len(self.items)), "similarity"
        else:
            rows, name = self.weights[codes], "weight"
        return *select_top(np.where(rows > 0, rows, -np.inf).astype(np.float32), n), name


def pack(factors: ItemWeights) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a model file holds beside biases and history: header and tensors."""
    header = {"confidence": factors.confidence, "damping": factors.damping}
    weights = factors.weights
    if not isinstance(weights, CompressedRows):
        return header, {"item.weights": weights}
    return header, {
        "item.weights.indptr": weights.indptr,
        "item.weights.indices": weights.indices,
        "item.weights.values": weights.values,
    }


def unpack(factors: Factors, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> ItemWeights:
    """Item weights from a model file, still without histories. ValueError for parts that do not fit."""
    damping = None if header["damping"] is None else float(header["damping"])
    weights: Floats | CompressedRows
    if "item.weights" in tensors:
        weights = tensors["item.weights"]
    else:
        indptr, indices, values = (tensors[f"item.weights.{part}"] for part in ("indptr", "indices", "values"))
        weights = CompressedRows(indptr, indices, values, None)
    _check(weights, len(factors.items))
    return ItemWeights.of(factors, confidence=header["confidence"], damping=damping, weights=weights)


def _check(weights: Floats | CompressedRows, n_items: int) -> None:
    """ValueError for weights that are no matrix of items and items, or not finite."""
    if not isinstance(weights, CompressedRows):
        if weights.shape != (n_items, n_items) or weights.dtype != np.float32:
            raise ValueError(f"item weights: {weights.dtype} {weights.shape} for {n_items} items")
        values = weights
    else:
        check_rows("item weights", weights, n_items, n_items)
        values = weights.values
    if not np.isfinite(values).all():
        raise ValueError("item weights that are not finite")


def check_rows(what: str, rows: CompressedRows, n_rows: int, n_columns: int) -> None:
    """ValueError for compressed rows that are none: pointers must rise, and each row's columns too."""
    for name, array, shape, dtype in (
        ("indptr", rows.indptr, (n_rows + 1,), np.int64),
        ("indices", rows.indices, rows.values.shape, np.int32),
        ("values", rows.values, (len(rows.indices),), np.float32),
    ):
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{what}: {name} are {array.dtype} {array.shape}")
    if rows.indptr[0] != 0 or rows.indptr[-1] != len(rows.indices) or (np.diff(rows.indptr) < 0).any():
        raise ValueError(f"{what}: the row pointers do not rise from 0 to the length")
    if len(rows.indices) and not 0 <= rows.indices.min() <= rows.indices.max() < n_columns:
        raise ValueError(f"{what}: a column that is not there")
    starts = np.isin(np.arange(1, len(rows.indices)), rows.indptr)
    if (np.diff(rows.indices) <= 0)[~starts].any():
        raise ValueError(f"{what}: the columns of a row do not rise")
