"""The settings of SparseEASE that are not given: those that best rank choices hidden from users of the training data.

A fifth of the choices of sampled users is hidden, weights on small supports are learned from the rest, and the hidden
choices are ranked among all items. First the weight decay is chosen, then the exponent of users at that decay; the
exponent of items only scales scores, so all its values are tried each time. What is usual stays unless another setting
is better beyond doubt: the usual values are near the best on every data set looked at (docs/decisions.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from palate.data.rows import CompressedRows, rows_of_entries, take_rows, transpose_rows
from palate.kernels import multiply_sparse, rank_targets_of
from palate.models.chosen import Chosen
from palate.models.factors import Codes, Doubles, Floats
from palate.models.item_supports import SparseGram, rising
from palate.recipes.hidden import Hidden, blocks, is_better, ndcg_of

USER_EXPONENTS = (0.5, 0.0, 1.0)  # the usual one first
ITEM_EXPONENTS = (0.0, -0.1, 0.1)
DECAYS = (40.0, 10.0, 20.0, 80.0, 160.0)  # times the mean of x^2
SMALL = 30  # items of a support here


class Settings(NamedTuple):
    """What a fit learns with; the weight decay is a multiple of the mean of x^2."""

    user_exponent: float
    weight_decay: float
    item_exponent: float


@dataclass(frozen=True)
class Given:
    """What the caller gives (None: to be chosen), and what all settings have in common."""

    user_exponent: float | None
    weight_decay: float | None
    item_exponent: float | None
    dropout: float
    k: int
    n_threads: int = 0

    def candidates(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """The values to try: exponents of users, weight decays, exponents of items; the first is what is usual."""
        every = (
            (self.user_exponent, USER_EXPONENTS),
            (self.weight_decay, DECAYS),
            (self.item_exponent, ITEM_EXPONENTS),
        )
        users, decays, items = (values if given is None else (given,) for given, values in every)
        return users, decays, items


def choose(histories: CompressedRows, signals: Floats | None, chosen: Codes, given: Given) -> Settings:
    """The settings for these choices; signals: the entries of X, None if all are 1. chosen: items by popularity."""
    users, decays, items = given.candidates()
    usual = Settings(users[0], decays[0], items[0])
    hidden = None if len(users) == len(decays) == len(items) == 1 else Hidden.of(histories, signals)
    if hidden is None:
        return usual
    trial = Trial(hidden, chosen, given)
    found = trial.ndcg(usual.user_exponent, decays, items)
    best = _best(found, usual)
    for exponent in users[1:]:
        found |= trial.ndcg(exponent, (best.weight_decay,), items)
    return _best(found, usual)


def _best(found: dict[Settings, Doubles], usual: Settings) -> Settings:
    """The settings with the largest mean NDCG, if it is beyond doubt that it is larger than that of the usual ones."""
    best = max(found, key=lambda settings: float(found[settings].mean()))
    return best if is_better(found[best], found[usual]) else usual


class Trial:
    """Learns from the choices that are not hidden, and ranks those that are."""

    def __init__(self, hidden: Hidden, chosen: Codes, given: Given) -> None:
        self.hidden, self.given = hidden, given
        self.supports: CompressedRows | None = None  # found once: they hardly depend on the weights of users
        counts = np.bincount(hidden.rest.indices, minlength=int(chosen.max()) + 1)
        self.chosen = chosen[counts[chosen] > 0]

    def ndcg(
        self, user_exponent: float, decays: tuple[float, ...], item_exponents: tuple[float, ...]
    ) -> dict[Settings, Doubles]:
        """The NDCG@20 of each sampled user, (n_users,), with each decay and exponent of items."""
        given = self.given
        X = rising(self.hidden.rest, self.hidden.signals, self.chosen, user_exponent)
        G = SparseGram.of(X, given.n_threads)
        if self.supports is None:
            self.supports = G.supports(min(given.k, SMALL), given.n_threads)
        shares = given.dropout / (1 - given.dropout) * X.masses
        ridges = np.stack([decay * X.mean_square + shares for decay in decays]).astype(np.float32)
        scales = np.stack([X.popularities**-exponent for exponent in item_exponents])
        found: dict[Settings, Doubles] = {}
        for decay, weights in zip(decays, G.weights(self.supports, ridges, given.n_threads), strict=True):
            values = self._ndcg_of(X, transpose_rows(weights, X.n_items), scales)
            found |= {Settings(user_exponent, decay, e): v for e, v in zip(item_exponents, values, strict=True)}
        return found

    def _ndcg_of(self, X: Chosen, weights: CompressedRows, scales: Doubles) -> Doubles:
        """The NDCG@20 for each scaling of scores (n_scales, n_items), (n_scales, n_users)."""
        found = np.zeros((len(scales), len(self.hidden.users)))
        place = np.full(int(self.chosen.max()) + 1, -1, np.int32)
        place[self.chosen] = np.arange(len(self.chosen), dtype=np.int32)
        all_targets = self._targets(place)
        for block in blocks(len(self.hidden.users), X.n_items):
            rows, targets = take_rows(X.by_user, self.hidden.users[block]), take_rows(all_targets, block)
            scores = multiply_sparse(
                rows.indptr, rows.indices, None if X.is_binary else rows.values,
                weights.indptr, weights.indices, weights.values, X.n_items, n_threads=self.given.n_threads,
            )  # fmt: skip
            for at, scale in enumerate(scales):
                ranks = rank_targets_of(
                    scores * scale.astype(np.float32), targets.indptr, targets.indices,
                    seen_indptr=rows.indptr, seen_indices=rows.indices, n_threads=self.given.n_threads,
                )[0]  # fmt: skip
                found[at, block] = ndcg_of(targets, ranks)
        return found

    def _targets(self, place: Codes) -> CompressedRows:
        """The hidden choices of items that others have chosen too, as places."""
        targets = self.hidden.targets
        known = targets.indices < len(place)
        known[known] = place[targets.indices[known]] >= 0
        kept = rows_of_entries(targets, known)
        return replace(kept, indices=place[kept.indices])
