"""Weights to items without choices, for EASE and SparseEASE: those of the items that look most like them.

With a_ci the cosine of the features of a cold item c and an item i with choices, over the N_ALIKE items with the
largest, the weights from the items j to c are

    B_jc = TRUST sum_i a_ci (B_ji + 1 if i = j, else 0) / sum_i a_ci

so its score is a part of the mean score of the items that it looks like, where a choice of one of these counts as a
score of 1: only a part, since what nobody has chosen is chosen less than what it looks like. What the closed form
itself gives to a cold item rests on features alone, and ranks worse (docs/decisions.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.data.rows import CompressedRows, row_codes, rows_where, take_rows, transpose_rows
from palate.kernels import multiply_sparse, multiply_wide, select_top
from palate.models.factors import Codes, Floats
from palate.models.history_factors import cosines
from palate.models.row_blocks import row_blocks
from palate.recipes.ease_features import EXPONENT, ItemFeatures

TRUST = 0.5  # in what an item looks like, beside what is chosen
N_ALIKE = 120  # items that a cold item takes its weights from
N_KEPT = 1000  # of the weights to a cold item, in a sparse matrix
BLOCK_NUMBERS = 20_000_000  # in memory at once


def alike(features: ItemFeatures, histories: CompressedRows) -> tuple[Codes, CompressedRows]:
    """The codes of the cold items that have features, and their shares a of the items they look like, a row each."""
    counts = np.bincount(histories.indices, minlength=features.n_items)
    roots = np.maximum(features.all_rows.counts, 1.0) ** (-EXPONENT / 2)
    by_item = transpose_rows(features.all_rows, features.n_items)
    weighted = replace(by_item, values=(by_item.values * roots[by_item.indices]).astype(np.float32))
    cold = np.flatnonzero((counts == 0) & (by_item.counts > 0)).astype(np.int32)
    of_warm = rows_where(weighted, counts > 0)
    n = min(N_ALIKE, features.n_items)
    found, cosine = cosines(take_rows(weighted, cold), np.full(len(cold), -1, np.int32), of_warm, len(roots), n)
    is_item = (found >= 0) & (cosine > 0)
    shares = np.where(is_item, cosine, 0)
    shares *= TRUST / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    owners = np.repeat(np.arange(len(cold), dtype=np.int32), is_item.sum(axis=1))
    rows = CompressedRows.of(owners, found[is_item], shares[is_item].astype(np.float32), None, len(cold))
    return cold, replace(rows, weights=None)


def fill_cold(weights: Floats, cold: Codes, shares: CompressedRows) -> None:
    """Set the columns of cold items in dense item-item weights, (n_items, n_items)."""
    for rows in row_blocks(len(weights), max(1, BLOCK_NUMBERS // max(len(weights), 1))):
        own = np.ascontiguousarray(weights[rows].T)
        weights[rows, cold] = multiply_wide(shares.indptr, shares.indices, shares.values, own).T
    weights[shares.indices, cold[row_codes(shares)]] += shares.values
    weights[cold, cold] = 0


def with_cold(weights: CompressedRows, cold: Codes, shares: CompressedRows) -> CompressedRows:
    """Return sparse item-item weights with columns of cold items, the N_KEPT largest of each."""
    n_items = weights.n_rows
    is_cold = np.zeros(n_items, bool)
    is_cold[cold] = True
    by_target = transpose_rows(weights, n_items)
    targets, sources, values = [], [], []
    for block in row_blocks(len(cold), max(1, BLOCK_NUMBERS // max(n_items, 1))):
        some = take_rows(shares, np.arange(len(cold))[block])
        columns = multiply_sparse(
            some.indptr, some.indices, some.values, by_target.indptr, by_target.indices, by_target.values, n_items
        )
        columns[row_codes(some), some.indices] += some.values
        columns[np.arange(len(columns)), cold[block]] = 0
        codes, _ = select_top(np.abs(columns), min(N_KEPT, n_items))
        kept = np.take_along_axis(columns, codes.astype(np.int64), axis=1)
        row, at = np.nonzero(kept)
        targets.append(cold[block][row])
        sources.append(codes[row, at])
        values.append(kept[row, at])
    warm = rows_where(by_target, ~is_cold)
    targets.append(row_codes(warm).astype(np.int32))
    sources.append(warm.indices)
    values.append(warm.values)
    whole = CompressedRows.of(np.concatenate(targets), np.concatenate(sources), np.concatenate(values), None, n_items)
    return replace(transpose_rows(replace(whole, weights=None), n_items), weights=None)
