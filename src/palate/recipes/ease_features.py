"""Features of items for EASE and SparseEASE: they stand below the choices, as rows of a few more users.

With F the features of the items, (n_items, n_features), and D a diagonal of weights, the closed form takes

    X'WX + weight F D F'    in place of    X'WX

so that items are near each other that are chosen by the same users or look alike. A feature of n items has a weight
D_ff of 1 / sqrt(n), as a user has. How much features count is tried on hidden choices: of some weights that do not rank
them worse than no features, beyond doubt, the one that ranks them best. Items without choices: ease_cold.py.

Source: Jeunen, Van Balen & Goethals (2020), Closed-Form Models for Collaborative Filtering with Side-Information.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from palate.data.features import Features
from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, rows_where, take_rows, transpose_rows
from palate.kernels import multiply_sparse, rank_targets_of
from palate.models.chosen import Chosen
from palate.models.factors import Codes, Doubles, Floats
from palate.models.item_supports import SparseGram, in_codes, rising
from palate.recipes.hidden import Hidden, blocks, is_better, ndcg_of

WEIGHTS = (1.0, 5.0, 25.0, 125.0)
UNTRIED = 5.0  # where too few users have enough choices
MAX_PAIRS = 2e8  # of items that share a feature, each counted twice: the Gram matrix takes 4 bytes for each at most
EXPONENT = 0.5  # a feature of n items weighs n^-EXPONENT
SMALL = 30  # items of a support in a trial
FAR_BELOW = np.float32(-1e30)  # the score of items that nobody has chosen, in a trial


class Setting(NamedTuple):
    """What weights are learned with: weight decay, dropout, and the exponents of users and items."""

    weight_decay: float
    dropout: float
    user_exponent: float
    item_exponent: float


@dataclass(frozen=True)
class ItemFeatures:
    """The features of the items of some ratings.

    Attributes:
        rows (CompressedRows of n_features rows): The items that have each feature, and its values; empty for a feature
            of so many items that the Gram matrix would not fit into memory.
        all_rows (CompressedRows of n_features rows): The same with these features, such as those of texts and vectors.
        n_items (int): The number of all items.
    """

    rows: CompressedRows
    all_rows: CompressedRows
    n_items: int

    @classmethod
    def of(cls, ratings: Ratings) -> ItemFeatures | None:
        """The features of the table of items; None without a table, or if it has none."""
        table = ratings.item_table
        learned = None if table is None else Features.learned(table)
        if table is None or learned is None or learned.n_features == 0:
            return None
        design = learned.encode(table)
        by_item = CompressedRows(design.indptr, design.indices, design.values, None)
        rows = transpose_rows(by_item, learned.n_features)
        return cls(affordable(rows), rows, table.height)

    def known(self, histories: CompressedRows) -> Codes:
        """The codes of the items with choices or features, the most chosen first; then by code."""
        counts = np.bincount(histories.indices, minlength=self.n_items)
        is_known = counts > 0
        is_known[self.rows.indices] = True
        order = np.argsort(-counts, kind="stable").astype(np.int32)
        return order[is_known[order]]

    def choices_and_features(
        self, histories: CompressedRows, signals: Floats | None, known: Codes, user_exponent: float, weight: float
    ) -> Chosen:
        """X of the known items, with a row for each feature below those of the users; columns of a row rise."""
        X = Chosen.of(histories, signals, known, user_exponent)
        place = np.zeros(self.n_items, np.int32)
        place[known] = np.arange(len(known), dtype=np.int32)
        indptr = np.concatenate([X.by_user.indptr, X.by_user.indptr[-1] + self.rows.indptr[1:]])
        indices = np.concatenate([X.by_user.indices, place[self.rows.indices]])
        values = np.concatenate([X.by_user.values, self.rows.values])
        own = weight * np.maximum(self.rows.counts, 1.0) ** -EXPONENT
        by_item = transpose_rows(CompressedRows(indptr, indices, values, None), len(known))
        weights = np.concatenate([X.user_weights, own]).astype(np.float32)
        return Chosen(transpose_rows(by_item, len(indptr) - 1), by_item, weights, is_binary=False)


def affordable(rows: CompressedRows, max_pairs: float = MAX_PAIRS) -> CompressedRows:
    """Return features, a row each, without those of so many items that the pairs of items would fill the memory.

    What nearly all items have says least, so the most frequent features are left out first.
    """
    order = np.argsort(rows.counts, kind="stable")
    keep = np.zeros(rows.n_rows, bool)
    keep[order[np.cumsum(rows.counts[order].astype(np.float64) ** 2) <= max_pairs]] = True
    return rows_where(rows, keep)


def scales_of(histories: CompressedRows, known: Codes, item_exponent: float) -> Doubles:
    """What the scores of the known items are multiplied by, (n,); an item without choices counts as one with one."""
    counts = np.bincount(histories.indices, minlength=int(known.max()) + 1)[known]
    scales: Doubles = (np.maximum(counts, 1) / counts[counts > 0].mean()) ** -item_exponent
    return scales


def choose_weight(
    histories: CompressedRows, signals: Floats | None, features: ItemFeatures, setting: Setting, n_threads: int = 0
) -> float:
    """How much features count, for these choices; signals: the entries of X, None if all are 1."""
    hidden = Hidden.of(histories, signals)
    if hidden is None or len(features.rows.indices) == 0:
        return UNTRIED
    trial = _Trial(hidden, features, setting, n_threads)
    usual = trial.ndcg(0.0)
    found = {weight: trial.ndcg(weight) for weight in WEIGHTS}
    harmless = [weight for weight in WEIGHTS if not is_better(usual, found[weight])]
    return max(harmless, key=lambda weight: float(found[weight].mean())) if harmless else min(WEIGHTS)


class _Trial:
    """Learns from what is not hidden, and ranks what is."""

    def __init__(self, hidden: Hidden, features: ItemFeatures, setting: Setting, n_threads: int) -> None:
        self.hidden, self.features, self.setting, self.n_threads = hidden, features, setting, n_threads
        self.is_warm = np.bincount(hidden.rest.indices, minlength=features.n_items) > 0

    def ndcg(self, weight: float) -> Doubles:
        """The NDCG@20 of the hidden choices of each sampled user, (n_users,), among items that others have chosen."""
        setting, rest, known = self.setting, self.hidden.rest, self.features.known(self.hidden.rest)
        if weight > 0:
            X = self.features.choices_and_features(rest, self.hidden.signals, known, setting.user_exponent, weight)
        else:
            known = known[self.is_warm[known]]
            X = rising(rest, self.hidden.signals, known, setting.user_exponent)
        decays = setting.weight_decay + setting.dropout / (1 - setting.dropout) * X.masses
        G = SparseGram.of(X, self.n_threads)
        (found,) = G.weights(G.supports(SMALL, self.n_threads), decays.astype(np.float32)[None], self.n_threads)
        weights = in_codes(found, scales_of(rest, known, setting.item_exponent), known, self.features.n_items)
        return self._ndcg_of(weights)

    def _ndcg_of(self, weights: CompressedRows) -> Doubles:
        values = []
        for block in blocks(len(self.hidden.users), self.features.n_items):
            rows = take_rows(self.hidden.rest, self.hidden.users[block])
            targets = take_rows(self.hidden.targets, block)
            scores = multiply_sparse(
                rows.indptr, rows.indices, None, weights.indptr, weights.indices, weights.values,
                self.features.n_items, n_threads=self.n_threads,
            )  # fmt: skip
            scores[:, ~self.is_warm] = FAR_BELOW
            ranks = rank_targets_of(
                scores, targets.indptr, targets.indices, seen_indptr=rows.indptr, seen_indices=rows.indices,
                n_threads=self.n_threads,
            )[0]  # fmt: skip
            values.append(ndcg_of(targets, ranks))
        return np.concatenate(values)
