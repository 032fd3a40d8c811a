"""Late items: item-item weights of items that are new since the fit, without a new fit.

The weights B_Sj to a late item j, on the support S of the items that go with it most, are those of a regression, as in
item_supports.py. The weights B_ji from it to the items i of its support take one step of coordinate descent on what the
fit minimises: with all other weights as they are, the best is

    b_ji = sum_u w_u x_uj (x_ui - x_u B_i) / (G_jj + l_j)

An item stays late: an update that changes its choices solves its weights again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes, rows_of_entries, take_rows, transpose_rows
from palate.kernels import compress_rows
from palate.models.chosen import Chosen
from palate.models.factors import Codes, Doubles, Floats
from palate.models.history_factors import BLOCK_SCORES
from palate.models.item_supports import SparseGram, by_popularity, rising, supports_of
from palate.models.item_weights import ItemWeights
from palate.models.regression import Regression

AnyWeights = TypeVar("AnyWeights", bound=ItemWeights)


def with_late_items(factors: ItemWeights, history: CompressedRows, changed: NDArray[np.bool_]) -> ItemWeights:
    """Return the model with this history, the weights of late items solved again where their choices changed.

    changed: the items whose choices changed, (n_items,). Those that had no choices before are late from now on; or if
    they have weights by what a table says of them, as soon as their choices outweigh the weight decay.
    """
    is_late, is_described = _masks(factors, history, changed)
    codes = np.flatnonzero(is_late & changed).astype(np.int32)
    others = (without_items(factors, codes) if len(codes) else factors).with_history(history)
    codes = codes[np.isin(codes, history.indices)]
    solved = with_entries(others, *_entries(_Late.of(others, codes))) if len(codes) else others
    return replace(solved, is_late=is_late, is_described=is_described)


def _masks(
    factors: ItemWeights, history: CompressedRows, changed: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The late items, and those with choices that have the weights of a table still, (n_items,) each."""
    n_items = len(factors.items)
    is_late, is_described = (
        mask.copy() if len(mask) else np.zeros(n_items, bool) for mask in (factors.is_late, factors.is_described)
    )
    is_first = changed & (np.bincount(factors.history.indices, minlength=n_items) == 0) & ~is_late
    if is_first.any():
        has_weights = factors.are_weighted
        is_late |= is_first & ~has_weights
        is_described |= is_first & has_weights
    if is_described.any():
        assert factors.regression is not None
        X, chosen = _choices(replace(factors, history=history))
        outweighs = np.zeros(n_items, bool)
        outweighs[chosen] = X.masses >= factors.regression.weight_decay
        is_late |= is_described & outweighs
        is_described &= ~outweighs
    return is_late, is_described


def _choices(factors: ItemWeights) -> tuple[Chosen, Codes]:
    """X of the model's history, items by popularity, and the codes of these items."""
    assert factors.regression is not None
    history = factors.history
    chosen = by_popularity(history.indices)
    signals = factors.signals(history, factors.users)
    return rising(history, signals, chosen, factors.regression.user_exponent), chosen


@dataclass(frozen=True)
class _Late:
    """Late items, their supports and the model without their weights, with X of all items by popularity."""

    factors: ItemWeights
    regression: Regression
    X: Chosen
    chosen: Codes  # codes of the items of X
    places: Codes  # of the late items in X
    supports: CompressedRows  # of the late items, in places

    @classmethod
    def of(cls, factors: ItemWeights, codes: Codes) -> _Late:
        """Find the supports."""
        assert factors.regression is not None
        X, chosen = _choices(factors)
        places = np.flatnonzero(np.isin(chosen, codes)).astype(np.int32)
        k = min(factors.regression.k, max(X.n_items - 1, 1))
        supports = supports_of(X, X.masses.astype(np.float32), k, places)
        return cls(factors, factors.regression, X, chosen, places, supports)

    @property
    def ridges(self) -> Doubles:
        """The diagonal of L, (n,)."""
        dropout = self.regression.dropout
        return np.asarray(self.regression.weight_decay + dropout / (1 - dropout) * self.X.masses)

    @property
    def scales(self) -> Doubles:
        """What the scores of each item are multiplied by, (n,)."""
        return np.asarray(self.X.popularities**-self.regression.item_exponent)

    def incoming(self) -> CompressedRows:
        """The weights to each late item, by late item and place: a regression on its support."""
        used = np.unique(np.concatenate([self.supports.indices, self.places])).astype(np.int32)
        by_item = take_rows(self.X.by_item, used)
        X = replace(self.X, by_item=by_item, by_user=transpose_rows(by_item, self.X.n_users))
        supports = replace(self.supports, indices=np.searchsorted(used, self.supports.indices).astype(np.int32))
        targets = np.searchsorted(used, self.places).astype(np.int32)
        ridges = self.ridges[used].astype(np.float32)[None]
        (weights,) = SparseGram.of(X).weights(supports, ridges, targets=targets)
        return replace(self.supports, values=weights.values)

    def outgoing(self) -> CompressedRows:
        """The weights from each late item to the items of its support, scaled: a step of coordinate descent."""
        X, supports = self.X, self.supports
        users = take_rows(X.by_item, self.places)
        owners = row_codes(supports)
        sums = np.zeros(len(supports.indices))
        asked = np.unique(users.indices).astype(np.int32)
        step = max(1, BLOCK_SCORES // len(self.factors.items))
        for first in range(0, len(asked), step):
            block = asked[first : first + step]
            residuals = self._residuals(block)
            here = np.flatnonzero(np.isin(users.indices, block))
            rows = np.searchsorted(block, users.indices[here])
            factors = users.values[here] * X.user_weights[users.indices[here]]
            for late, row, factor in zip(row_codes(users)[here].tolist(), rows.tolist(), factors.tolist(), strict=True):
                own = slice(supports.indptr[late], supports.indptr[late + 1])
                sums[own] += factor * residuals[row, supports.indices[own]]
        divisors = (X.masses + self.ridges)[self.places]
        return replace(supports, values=(sums / divisors[owners]).astype(np.float32))

    def _residuals(self, users: Codes) -> Doubles:
        """The scaled choices of some users less their scores, (m, n), by place."""
        history = take_rows(self.factors.history, users)
        signals = self.factors.signals(history, self.factors.users)
        residuals = -self.factors.history_scores(history, signals)[:, self.chosen].astype(np.float64)
        own = take_rows(self.X.by_user, users)
        residuals[row_codes(own), own.indices] += own.values * self.scales[own.indices]
        return residuals


def _entries(late: _Late) -> tuple[Codes, Codes, Floats]:
    """The weights of late items as entries of B: from which item, to which, and the weight, (n,) each, in codes.

    Between two late items the regression decides.
    """
    incoming, outgoing = late.incoming(), late.outgoing()
    to = late.places[row_codes(incoming)]
    values = incoming.values * late.scales[to]
    kept = ~np.isin(outgoing.indices, late.places)
    sources = np.concatenate([incoming.indices, late.places[row_codes(outgoing)][kept]])
    targets = np.concatenate([to, outgoing.indices[kept]])
    weights = np.concatenate([values, outgoing.values[kept]]).astype(np.float32)
    return late.chosen[sources], late.chosen[targets], weights


def without_items(factors: AnyWeights, codes: Codes) -> AnyWeights:
    """The model without the weights from and to some items."""
    weights = factors.weights
    if isinstance(weights, CompressedRows):
        is_gone = np.isin(row_codes(weights), codes) | np.isin(weights.indices, codes)
        return replace(factors, weights=rows_of_entries(weights, ~is_gone))
    weights = weights.copy()
    weights[codes] = 0
    weights[:, codes] = 0
    return replace(factors, weights=weights)


def with_entries(factors: AnyWeights, sources: Codes, targets: Codes, values: Floats) -> AnyWeights:
    """The model with more entries of B; a dense B is changed in place, so it must be of without_items()."""
    weights = factors.weights
    if not isinstance(weights, CompressedRows):
        weights[sources, targets] = values
        return factors
    rows = np.concatenate([row_codes(weights), sources]).astype(np.int32)
    columns = np.concatenate([weights.indices, targets]).astype(np.int32)
    by_target = compress_rows(columns, rows, np.concatenate([weights.values, values]), None, weights.n_rows)
    return replace(factors, weights=transpose_rows(CompressedRows(*by_target), weights.n_rows))
