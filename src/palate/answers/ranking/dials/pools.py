"""A pool for each user, and a list made of it one place after the other: what to put next is in __init__.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.classes import item_classes, pairs_of
from palate.answers.ranking.dials.calibration import Calibration, ListMixes, mixes
from palate.answers.ranking.dials.options import DialOptions
from palate.answers.ranking.dials.places import lift, relevance
from palate.answers.ranking.dials.similarity import BLOCK_FLOATS, Similarity, by_classes, similarity_of
from palate.answers.ranking.filters import boosts_of
from palate.answers.ranking.max_per import Choose, Limit, in_order
from palate.data.rows import CompressedRows, take_rows
from palate.models.factors import Codes, Doubles, Floats
from palate.models.model import Model

POOL = 500  # items that a list is made of
CELL_FLOATS = 24  # of these, for each item of a pool: places, gains, penalties and their copies


@dataclass(frozen=True)
class Dials:
    """The dials of a query for one model, in codes. Their order and strengths are those of the formula.

    lifts: values of all items (n_items,), nan where missing, and how much they count, from -1 to 1.
    """

    diversity: float
    similarity: Similarity | None
    lifts: tuple[tuple[float, Doubles], ...]
    calibrations: tuple[Calibration, ...]

    @property
    def weight_of_scores(self) -> float:
        """What is left for the place in the model's ranking, among the lifts."""
        return float(np.prod([1 - abs(strength) for strength, _ in self.lifts]))

    @property
    def weight_of_items(self) -> float:
        """What is left for an item by itself, beside the list that it is put on."""
        return float((1 - self.diversity) * np.prod([1 - one.strength for one in self.calibrations]))

    @property
    def width(self) -> int:
        """Numbers held of each item of a pool."""
        return CELL_FLOATS + (0 if self.similarity is None else self.similarity.width)

    @property
    def users_at_once(self) -> int:
        """How many users are worked on together."""
        classes = sum(one.classes.n_classes for one in self.calibrations)
        return max(1, BLOCK_FLOATS // (POOL * self.width + 8 * classes))


def dials_of(model: Model, options: DialOptions) -> Dials | None:
    """The dials for a model; None if all are at 0. Raises DataError for columns that are not there."""
    what = model.item_vocabulary.what
    lifts = [(float(options.popularity), model.item_counts.astype(np.float64))] if options.popularity else []
    lifts += boosts_of(options.boosts(), model.item_table, model.item_vocabulary)
    calibrations = tuple(
        Calibration(strength, item_classes(model.item_table, name, "calibrated", what))
        for name, strength in options.calibrations().items()
    )
    similarity: Similarity | None = None
    if options.diversity and options.diversity_by is not None:
        similarity = by_classes(item_classes(model.item_table, options.diversity_by, "diversity_by", what))
    elif options.diversity:
        similarity = similarity_of(model)
    if similarity is None and not lifts and not calibrations:
        return None
    return Dials(float(options.diversity), similarity, tuple(lifts), calibrations)


def with_dials(dials: Dials, histories: CompressedRows, n: int, limits: tuple[Limit, ...]) -> Choose:
    """What makes lists of n items of what was fetched for some of the users, whose histories these are."""

    def choose(rows: NDArray[np.int64], found: Codes, scores: Floats) -> tuple[Codes, Floats]:
        pools = found[:, :POOL]
        own = histories if len(rows) == histories.n_rows else take_rows(histories, rows)
        places = _Lists(dials, pools, scores[:, :POOL], own, limits).filled(min(n, pools.shape[1]))
        order = np.where(places < 0, np.int32(-1), np.take_along_axis(pools, np.maximum(places, 0), axis=1))
        values = np.where(places < 0, -np.inf, np.take_along_axis(scores, np.maximum(places, 0), axis=1))
        order = np.hstack([order, found[:, POOL:]])
        return in_order(order, np.hstack([values, scores[:, POOL:]]), n, limits)

    return choose


class _Lists:
    """The lists of some users while they are made. Pools (m, M) are best first, and -1 where there are no more."""

    def __init__(
        self, dials: Dials, pools: Codes, scores: Floats, histories: CompressedRows, limits: tuple[Limit, ...]
    ) -> None:
        self._dials = dials
        self._pools = np.maximum(pools, 0)
        self._all = np.arange(len(pools))
        self._free = pools >= 0  # may still be put on the list
        self._gains = dials.weight_of_items * _gains(dials, self._pools, scores)
        self._length = 0
        self._nearest = np.zeros(pools.shape)  # the similarity to the most similar item of the list
        self._beside = None if dials.similarity is None else dials.similarity.beside(self._pools)
        self._mixes = [
            (one, ListMixes(one.classes, mixes(one.classes, histories), self._pools)) for one in dials.calibrations
        ]
        self._limits = [(limit, *self._cells_of(limit)) for limit in limits]
        self._block_full()

    def filled(self, n: int) -> NDArray[np.int64]:
        """The places in the pool of the n items to list, (m, n), as many as the longest list has; -1 for no item."""
        lists = np.full((len(self._pools), n), -1, np.int64)
        while self._length < n:
            worth = np.where(self._free, self._gains - self._penalties(), -np.inf)
            best = worth.argmax(axis=1)  # the first of equals, which the model ranks higher
            rows = np.flatnonzero(self._free.any(axis=1))
            if len(rows) == 0:
                break
            lists[rows, self._length] = best[rows]
            self._put(rows, best[rows])
        return lists[:, : self._length]

    def _penalties(self) -> Doubles:
        """What the list so far takes from each item of the pool, (m, M)."""
        found: Doubles = np.zeros(self._pools.shape)
        if self._dials.similarity is not None and self._length:
            is_known = self._dials.similarity.is_known[self._pools]
            found = self._dials.diversity * self._filled_in(self._nearest, is_known)
        for one, mixes_of_lists in self._mixes:
            divergences = self._filled_in(mixes_of_lists.divergences(), one.is_known[self._pools])
            found = found + one.strength * (self._length + 1) * divergences
        return found

    def _filled_in(self, values: Doubles, is_known: NDArray[np.bool_]) -> Doubles:
        """Values (m, M) with the mean of the free items in place of those that are not known."""
        counted = is_known & self._free
        sums = np.where(counted, values, 0.0).sum(axis=1, keepdims=True)
        means = sums / np.maximum(counted.sum(axis=1, keepdims=True), 1)
        filled: Doubles = np.where(is_known, values, means)
        return filled

    def _put(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Put the items at these places of their pools on the lists of some users."""
        items = self._pools[rows, places]
        self._free[rows, places] = False
        self._length += 1
        if self._beside is not None and self._dials.similarity is not None:
            chosen = self._pools[:, 0].copy()
            chosen[rows] = items
            counts = np.zeros(len(chosen), bool)
            counts[rows] = self._dials.similarity.is_known[items]
            nearer = np.maximum(self._nearest, self._beside(chosen))
            self._nearest = np.where(counts[:, None], nearer, self._nearest)
        for _, mixes_of_lists in self._mixes:
            mixes_of_lists.add(rows, items)
        for limit, counts_of_classes, *_ in self._limits:
            at, classes = pairs_of(limit.indptr, limit.classes, items)
            counts_of_classes[rows[at], classes] += 1
        self._block_full()

    def _cells_of(self, limit: Limit) -> tuple[NDArray[np.int32], NDArray[np.int64], Codes]:
        """Counters of the classes on each list, (m, n_classes), and cell of the pool and class of each pair."""
        counts = np.zeros((len(self._pools), limit.n_classes), np.int32)
        return counts, *pairs_of(limit.indptr, limit.classes, self._pools.ravel())

    def _block_full(self) -> None:
        """Items with a class of which a list has enough cannot be put on it any more."""
        for limit, counts, cells, classes in self._limits:
            is_full = counts[cells // self._pools.shape[1], classes] >= limit.maximum
            self._free.reshape(-1)[cells[is_full]] = False


def _gains(dials: Dials, pools: Codes, scores: Floats) -> Doubles:
    """What each item of some pools is worth by itself, (m, M); 0 where there is no item."""
    is_item = ~np.isneginf(scores)
    gains = dials.weight_of_scores * relevance(scores, POOL)
    for strength, values in dials.lifts:
        gains = gains + strength * lift(np.where(is_item, values[pools], np.nan))
    return gains


def depth_of(n: int, limits: tuple[Limit, ...]) -> int:
    """How many items to fetch first for lists of n."""
    return max(2 * n if limits else n, POOL)
