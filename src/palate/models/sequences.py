"""Item-item weights that read the order of events: what the last events of a user say comes next.

    score_ui = sum_k B_{j(k), i} / (1 + k / recency)

over all events of the user, k being the number of later ones and j(k) the item. An item may stand in a history more
than once. The weights B are those of transitions.py plus a share of those of EASE; see palate.Sequence.

Items that are new since the fit get weights too, without a new fit. Those to a late item j are the regression on the
items that come before it most. Those from it take one step of coordinate descent on what the fit minimises: with all
other weights as they are, the best is

    b_ji = (T_ji - sum_s C_js B_si) / (C_jj + l_j)

for the items i that have come after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes
from palate.kernels import multiply_sparse, multiply_wide
from palate.models.factors import Codes, Doubles, Floats
from palate.models.item_supports import by_popularity
from palate.models.item_weights import ItemWeights
from palate.models.late_items import with_entries, without_items
from palate.models.transitions import Transitions, by_place


@dataclass(frozen=True)
class SequenceWeights(ItemWeights):
    """A model of what comes next.

    Attributes:
        keeps_seen (bool, default False): Whether users come back to items, so that those of a history are ranked too.
    """

    reads_order: ClassVar[bool] = True

    keeps_seen: bool = False


def with_late_events(factors: SequenceWeights, history: CompressedRows, changed: NDArray[np.bool_]) -> SequenceWeights:
    """Return the model with this history, and weights for the items that have had none.

    changed: the items whose events changed, (n_items,). Those that had no events before and no weights by a table are
    late from now on; an item stays late, and its weights are solved again when its events change.
    """
    n_items = len(factors.items)
    is_late = factors.is_late.copy() if len(factors.is_late) else np.zeros(n_items, bool)
    is_late |= changed & (np.bincount(factors.history.indices, minlength=n_items) == 0) & ~factors.are_weighted
    late = np.flatnonzero(is_late & changed & (np.bincount(history.indices, minlength=n_items) > 0)).astype(np.int32)
    others = without_items(factors, np.flatnonzero(is_late & changed).astype(np.int32)).with_history(history)
    solved = with_entries(others, *_entries(others, late)) if len(late) else others
    return replace(solved, is_late=is_late)


def _entries(factors: SequenceWeights, late: Codes) -> tuple[Codes, Codes, Floats]:
    """The weights to and from late items as entries of B: from which item, to which, and the weight, in codes.

    Between two late items the regression decides.
    """
    assert factors.regression is not None
    assert factors.fading.recency is not None
    chosen, regression = by_popularity(factors.history.indices), factors.regression
    events = by_place(factors.history, chosen)
    transitions = Transitions.of(events, factors.fading.recency, len(chosen), regression.k)
    ridge = transitions.ridges(regression.weight_decay, regression.dropout)
    places = np.flatnonzero(np.isin(chosen, late)).astype(np.int32)
    to_late = transitions.weights_to(places, ridge)
    sources, targets = [to_late.indices], [places[row_codes(to_late)]]
    values = [to_late.values.astype(np.float64)]
    for place in places.tolist():
        after, value = _steps_from(place, transitions, ridge, factors, chosen)
        kept = ~np.isin(after, places)
        sources.append(np.full(int(kept.sum()), place, np.int32))
        targets.append(after[kept])
        values.append(value[kept])
    from_codes, to_codes = chosen[np.concatenate(sources)], chosen[np.concatenate(targets)]
    return from_codes, to_codes, np.concatenate(values).astype(np.float32)


def _steps_from(
    place: int, transitions: Transitions, ridge: Floats, factors: SequenceWeights, chosen: Codes
) -> tuple[Codes, Doubles]:
    """The items that have come after one, by place, and the weights to them by a step of coordinate descent."""
    before = transitions.before
    at = np.flatnonzero(before.indices == place)
    after = row_codes(before)[at]
    together = transitions.gram_row(place)
    found = np.flatnonzero(together).astype(np.int32)
    row = np.array([0, len(found)], np.int64), chosen[found], together[found]
    weights = factors.weights
    if isinstance(weights, CompressedRows):
        predicted = multiply_sparse(*row, weights.indptr, weights.indices, weights.values, len(factors.items))
    else:
        predicted = multiply_wide(*row, weights)
    step = before.values[at] - predicted[0, chosen[after]]
    return after, np.asarray(step / (transitions.diagonal[place] + ridge[place]), np.float64)
