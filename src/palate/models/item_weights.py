"""Item-item weights: every item of a user's history adds its weight to the scores of other items.

    score_ui = sum_j x_uj B_ji, with B an (n_items, n_items) matrix, dense or sparse

EASE learns B by ridge regression and Neighbors by similarity; here it is applied, explained and stored. The signals x
and the damping of ratings are those of palate.models.history_factors.

Source: Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data, for EASE.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, columns_where, row_codes, take_rows, transpose_rows
from palate.kernels import multiply_sparse, multiply_wide, select_top
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.fading import Fading
from palate.models.history_factors import HistoryFactors, to_dense
from palate.models.regression import Regression
from palate.models.row_blocks import row_blocks

SMALL_SHARE = 4  # histories of so few entries, times this, as there are items take only the rows of weights they need


@dataclass(frozen=True, repr=False)
class ItemWeights(HistoryFactors):
    """A history-based model with item-item weights.

    Attributes:
        weights (float32 array of shape (n_items, n_items), or CompressedRows): B; row j holds the weights from item j
            of a history to the items that are scored.
        are_similarities (bool, default False): Whether the weights of an item are its similarities with the items it
            is near to, as those of Neighbors, and not what a regression gave them.
        regression (Regression, default None): How the fit learned the weights; None: otherwise, or unknown.
        is_late (bool array of shape (n_items,), default empty): Items whose weights an update computed; empty: none.
        is_described (bool array of shape (n_items,), default empty): Items that had no choices in the fit and have some
            now, but whose weights are still those that a table gave them; empty: none.
    """

    weights: Floats | CompressedRows = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    are_similarities: bool = False
    regression: Regression | None = None
    is_late: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    is_described: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def history_scores(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """The part of the scores that histories contribute, (n_rows, n_items): X B, or the damped weighted mean."""
        weights = self.weights_of(histories)
        history_scores = self._times(histories, signals if weights is None or signals is None else signals * weights)
        if self.damping is not None:
            history_scores /= self._times(histories, weights) + np.float32(self.damping)
        return history_scores

    def _times(self, histories: CompressedRows, signals: Floats | None) -> Floats:
        """X B, (n_rows, n_items), where X holds the signals, or the weights; None for 1 everywhere."""
        indptr, indices, weights = histories.indptr, histories.indices, self.weights
        if not isinstance(weights, CompressedRows):
            return multiply_wide(indptr, indices, signals, weights)
        if SMALL_SHARE * len(indices) < len(self.items):  # the kernel reads all rows that it is given, to check them
            weights, indices = take_rows(weights, indices), np.arange(len(indices), dtype=np.int32)
        return multiply_sparse(
            indptr, indices, signals, weights.indptr, weights.indices, weights.values, len(self.items)
        )

    def contributions(self, history: CompressedRows, signals: Floats | None, item_code: int) -> Doubles:
        """The contribution of each entry of one history to the score of an item, (n,)."""
        weights = self._weights_to(history.indices, item_code)
        own = self.weights_of(history)
        weights = weights if own is None else weights * own
        divisor = 1.0 if self.damping is None else float(weights.sum()) + self.damping
        contributions: Doubles = np.asarray(weights if signals is None else weights * signals, np.float64) / divisor
        return contributions

    def _weights_to(self, item_codes: Codes, item_code: int) -> Doubles:
        """The weights from some items to one, (n,)."""
        if not isinstance(self.weights, CompressedRows):
            return np.asarray(self.weights[item_codes, item_code], np.float64)
        rows = take_rows(self.weights, item_codes)
        found = rows.indices == item_code
        return np.asarray(np.bincount(row_codes(rows)[found], rows.values[found], len(item_codes)), np.float64)

    def resized(self, users: Floats, items: Floats, kept: NDArray[np.bool_] | None = None) -> ItemWeights:
        """Return the model with other biases: more items at the end (of weight 0), or those of the mask `kept`."""
        weights = self.weights
        is_late, is_described = (
            np.pad(mask, (0, len(items) - len(mask))) if kept is None else mask[kept] if len(mask) else mask
            for mask in (self.is_late, self.is_described)
        )
        if not isinstance(weights, CompressedRows):
            n_new = 0 if kept is not None else len(items) - len(self.items)
            weights = np.pad(weights, (0, n_new)) if kept is None else weights[np.ix_(kept, kept)]
        elif kept is None:
            ends = np.full(len(items) - len(self.items), weights.indptr[-1])
            weights = replace(weights, indptr=np.concatenate([weights.indptr, ends]))
        else:
            weights = columns_where(take_rows(weights, np.flatnonzero(kept).astype(np.int32)), kept)
        return replace(self, users=users, items=items, weights=weights, is_late=is_late, is_described=is_described)

    @property
    def are_weighted(self) -> NDArray[np.bool_]:
        """Which items have a weight from another item, so that they can be recommended, (n_items,)."""
        mask = np.zeros(len(self.items), bool)
        weights = self.weights
        if isinstance(weights, CompressedRows):
            mask[weights.indices[weights.values != 0]] = True
            return mask
        for rows in row_blocks(len(weights)):
            mask |= weights[rows].any(axis=0)
        return mask

    def most_similar_items(self, codes: Codes, n: int) -> tuple[Codes, Floats, str]:
        """The n items with the largest weight above 0 for each of some items: codes, weights (m, n), and their name."""
        weights = self.weights
        if not isinstance(weights, CompressedRows):
            rows = weights[codes]
        elif self.are_similarities:  # an item's nearest neighbors are in its column
            rows = to_dense(take_rows(transpose_rows(weights, len(self.items)), codes), len(self.items))
        else:
            rows = to_dense(take_rows(weights, codes), len(self.items))
        name = "similarity" if self.are_similarities else "weight"
        return *select_top(np.where(rows > 0, rows, -np.inf).astype(np.float32), n), name


def pack(factors: ItemWeights) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a model file holds besides biases and history: header and tensors."""
    header: dict[str, Any] = {"confidence": factors.confidence, "damping": factors.damping}
    header |= {} if factors.fading.is_none else {"fading": factors.fading.header()}
    weights = factors.weights
    if isinstance(weights, CompressedRows) and not factors.are_similarities:
        header["regressed"] = True
    if factors.regression is not None:
        header["regression"] = factors.regression._asdict()
    late = {
        f"item.weights.{name}": np.flatnonzero(mask).astype(np.int32)
        for name, mask in (("late", factors.is_late), ("described", factors.is_described))
        if mask.any()
    }
    if not isinstance(weights, CompressedRows):
        return header, {"item.weights": weights, **late}
    return header, {
        "item.weights.indptr": weights.indptr,
        "item.weights.indices": weights.indices,
        "item.weights.values": weights.values,
        **late,
    }


def unpack(factors: Factors, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> ItemWeights:
    """Return item weights from a model file, without history. Raise ValueError if the parts do not fit together."""
    damping = None if header["damping"] is None else float(header["damping"])
    weights: Floats | CompressedRows
    if "item.weights" in tensors:
        weights = tensors["item.weights"]
    else:
        indptr, indices, values = (tensors[f"item.weights.{part}"] for part in ("indptr", "indices", "values"))
        weights = CompressedRows(indptr, indices, values, None)
    _check(weights, len(factors.items))
    are_similarities = isinstance(weights, CompressedRows) and not header.get("regressed", False)
    return ItemWeights.of(
        factors,
        confidence=header["confidence"],
        damping=damping,
        fading=Fading.of(header.get("fading")),
        weights=weights,
        are_similarities=are_similarities,
        regression=Regression.of(header["regression"]) if "regression" in header else None,
        is_late=_mask_of(tensors.get("item.weights.late"), len(factors.items)),
        is_described=_mask_of(tensors.get("item.weights.described"), len(factors.items)),
    )


def _mask_of(codes: NDArray[Any] | None, n_items: int) -> NDArray[np.bool_]:
    """The mask of some items, (n_items,), or an empty one. Raise ValueError for codes that no item has."""
    if codes is None:
        return np.zeros(0, bool)
    if codes.dtype != np.int32 or codes.ndim != 1 or (len(codes) and not 0 <= codes.min() <= codes.max() < n_items):
        raise ValueError("item weights: late items that are no items")
    mask = np.zeros(n_items, bool)
    mask[codes] = True
    return mask


def _check(weights: Floats | CompressedRows, n_items: int) -> None:
    """Raise ValueError unless weights are a finite (n_items, n_items) matrix."""
    if not isinstance(weights, CompressedRows):
        if weights.shape != (n_items, n_items) or weights.dtype != np.float32:
            raise ValueError(f"item weights: {weights.dtype} {weights.shape} for {n_items} items")
        values = weights
    else:
        check_rows("item weights", weights, n_items, n_items)
        values = weights.values
    if not np.isfinite(values).all():
        raise ValueError("item weights: a weight that is not finite")


def check_rows(what: str, rows: CompressedRows, n_rows: int, n_columns: int) -> None:
    """Raise ValueError unless rows are a valid sparse matrix; the columns of each row must rise."""
    for name, array, shape, dtype in (
        ("indptr", rows.indptr, (n_rows + 1,), np.int64),
        ("indices", rows.indices, rows.values.shape, np.int32),
        ("values", rows.values, (len(rows.indices),), np.float32),
    ):
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{what}: {name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
    if rows.indptr[0] != 0 or rows.indptr[-1] != len(rows.indices) or (np.diff(rows.indptr) < 0).any():
        raise ValueError(f"{what}: the row pointers do not rise from 0 to the number of values")
    if len(rows.indices) and not 0 <= rows.indices.min() <= rows.indices.max() < n_columns:
        raise ValueError(f"{what}: a column out of range")
    starts_row = np.isin(np.arange(1, len(rows.indices)), rows.indptr)
    if (np.diff(rows.indices) <= 0)[~starts_row].any():
        raise ValueError(f"{what}: the columns of a row do not rise")
