"""The settings of Sequence that are not given: those that best rank the last events of users, hidden from the rest.

The last events of a sample of users are hidden, three at most and no more than a third; weights on small supports are
learned from all other events; and the item of each hidden event is ranked among all, after all events before it. First
the recency is chosen, by steps of a factor of two as long as they help, then the share of similarity at that recency,
and then the weight decay. Whether users come back to items is decided by whether ranking the items of a history too
finds more of the hidden events.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import (
    CompressedRows,
    distinct,
    pointers_of,
    row_codes,
    rows_of_entries,
    take_rows,
    transpose_rows,
)
from palate.kernels import has_repeats, multiply_sparse, rank_targets_of
from palate.models.factors import Codes, Doubles, Floats
from palate.models.fading import Fading
from palate.models.item_supports import SparseGram, by_popularity, rising
from palate.models.transitions import Transitions, by_place
from palate.recipes.hidden import MIN_USERS, blocks

RECENCY, MIN_RECENCY, MAX_RECENCY = 2.0, 0.5, 256.0
DECAYS = (100.0, 300.0)
SIMILARITIES = (0.1, 0.0, 0.03, 0.3, 1.0, 3.0)
USUAL_DECAY, USUAL_SIMILARITY = 300.0, 0.1  # where nothing can be tried, and while the recency is chosen
N_USERS = 1500  # whose last events are hidden,
N_HIDDEN = 3  # so many at most,
MIN_EVENTS = 3  # and one of each so many
MAX_EVENTS = 200_000  # of the users from whom weights are learned here
SMALL, SHORT = 40, 32  # items of a support, and events that a past reaches back, here
K = 10  # of the NDCG
EASE_DECAY, EASE_DROPOUT, EASE_EXPONENT = 40.0, 0.33, 0.5  # the usual settings of SparseEASE


class Settings(NamedTuple):
    """What a fit learns with."""

    recency: float
    weight_decay: float
    similarity: float
    keep_seen: bool


@dataclass(frozen=True)
class Given:
    """What the caller gives; None: to be chosen."""

    recency: float | None
    weight_decay: float | None
    similarity: float | None
    keep_seen: bool | None
    dropout: float
    n_threads: int = 0


def choose(events: CompressedRows, n_items: int, given: Given) -> Settings:
    """The settings for these events, each row oldest first."""
    keep_seen = given.keep_seen if has_repeats(events.indptr, events.indices, n_items) else bool(given.keep_seen)
    usual = Settings(
        RECENCY if given.recency is None else given.recency,
        USUAL_DECAY if given.weight_decay is None else given.weight_decay,
        USUAL_SIMILARITY if given.similarity is None else given.similarity,
        bool(keep_seen),
    )
    if None not in (given.recency, given.weight_decay, given.similarity, keep_seen):
        return usual
    trial = Trial.of(events, n_items, given)
    if trial is None:
        return usual
    if keep_seen is None:
        usual = usual._replace(keep_seen=trial.finds_more_with_seen(usual))
    if given.recency is None:
        usual = usual._replace(recency=trial.best_recency(usual))
    if given.similarity is None:
        usual = usual._replace(similarity=SIMILARITIES[int(trial.ndcg(usual, SIMILARITIES).argmax())])
    if given.weight_decay is None:
        usual = max((usual._replace(weight_decay=decay) for decay in DECAYS), key=trial.mean_ndcg)
    return usual


@dataclass(frozen=True)
class Trial:
    """Learns from the events that are not hidden, and ranks those that are, each after all events before it."""

    rest: CompressedRows
    n_items: int
    pasts: CompressedRows  # a row for each hidden event
    targets: Codes  # the items of the hidden events, one each
    given: Given
    learned: dict[tuple[float, float], CompressedRows] = field(default_factory=dict)  # by recency and weight decay

    @classmethod
    def of(cls, events: CompressedRows, n_items: int, given: Given) -> Trial | None:
        """Hide the last events of a sample of users; None if too few users have enough events."""
        eligible = np.flatnonzero(events.counts >= MIN_EVENTS)
        if len(eligible) < MIN_USERS:
            return None
        rng = np.random.Generator(np.random.Philox(0))
        drawn = rng.permutation(eligible)
        n_learned = int(np.searchsorted(np.cumsum(events.counts[drawn]), MAX_EVENTS))
        events = take_rows(events, np.sort(drawn[: max(n_learned, MIN_USERS)]))
        n_hidden = np.minimum(events.counts // MIN_EVENTS, N_HIDDEN)
        n_hidden[rng.permutation(events.n_rows)[N_USERS:]] = 0
        owners = row_codes(events)
        at = np.flatnonzero(np.arange(len(owners)) >= (events.indptr[1:] - n_hidden)[owners])
        is_hidden = np.zeros(len(owners), bool)
        is_hidden[at] = True
        rest = rows_of_entries(events, ~is_hidden)
        chosen = by_popularity(rest.indices)
        place = np.full(n_items, -1, np.int32)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        at = at[place[events.indices[at]] >= 0]  # others cannot be found
        pasts = _known(_pasts(events, at, owners), place)
        return cls(by_place(rest, chosen), len(chosen), pasts, place[events.indices[at]], given)

    def best_recency(self, usual: Settings) -> float:
        """The recency to which steps of a factor of two lead, as long as they help."""
        best, found = usual.recency, self.mean_ndcg(usual)
        for factor in (2.0, 0.5):
            while MIN_RECENCY <= best * factor <= MAX_RECENCY:
                tried = self.mean_ndcg(usual._replace(recency=best * factor))
                if tried <= found:
                    break
                best, found = best * factor, tried
            if best != usual.recency:
                break
        return best

    def finds_more_with_seen(self, usual: Settings) -> bool:
        """Whether ranking the items of histories too finds more of the hidden events."""
        without, with_them = (self.mean_ndcg(usual._replace(keep_seen=keep_seen)) for keep_seen in (False, True))
        return with_them > without

    def mean_ndcg(self, settings: Settings) -> float:
        """The mean NDCG@10 of the hidden events."""
        return float(self.ndcg(settings, (settings.similarity,))[0])

    def ndcg(self, settings: Settings, similarities: tuple[float, ...]) -> Doubles:
        """The mean NDCG@10 of the hidden events for each share of similarity, (n_similarities,)."""
        weights, signals = self._weights(settings), Fading(settings.recency).weights(self.pasts)
        rows = self.pasts if signals is None else replace(self.pasts, values=signals)
        gains = np.zeros(len(similarities))
        for block in blocks(rows.n_rows, self.n_items):
            some = take_rows(rows, block)
            scores, similar = (self._times(some, B) for B in (weights, self._similarity))
            for at, share in enumerate(similarities):
                ranks = self._ranks(scores + np.float32(share) * similar if share else scores, some, block, settings)
                gains[at] += (np.where(ranks <= K, 1 / np.log2(1.0 + ranks), 0)).sum()
        return gains / max(rows.n_rows, 1)

    def _weights(self, settings: Settings) -> CompressedRows:
        """Transition weights on small supports, rows of the items they come from."""
        key = settings.recency, settings.weight_decay
        if key not in self.learned:
            given = self.given
            decays = sorted({settings.weight_decay, *(DECAYS if given.weight_decay is None else ())})
            transitions = Transitions.of(
                self.rest, settings.recency, self.n_items, SMALL, reach=SHORT, n_threads=given.n_threads
            )
            ridges = np.stack([transitions.ridges(decay, given.dropout) for decay in decays])
            for decay, weights in zip(decays, transitions.weights(ridges, given.n_threads), strict=True):
                self.learned[settings.recency, decay] = transpose_rows(weights, self.n_items)
        return self.learned[key]

    @cached_property
    def _similarity(self) -> CompressedRows:
        """Weights of SparseEASE on small supports, with its usual settings."""
        chosen = np.arange(self.n_items, dtype=np.int32)
        X = rising(distinct(self.rest, self.n_items), None, chosen, EASE_EXPONENT)
        G = SparseGram.of(X, self.given.n_threads)
        decays = (EASE_DECAY + EASE_DROPOUT / (1 - EASE_DROPOUT) * X.masses).astype(np.float32)[None]
        (weights,) = G.weights(G.supports(SMALL, self.given.n_threads), decays, self.given.n_threads)
        return transpose_rows(weights, self.n_items)

    def _times(self, rows: CompressedRows, weights: CompressedRows) -> Floats:
        return multiply_sparse(
            rows.indptr, rows.indices, rows.values, weights.indptr, weights.indices, weights.values, self.n_items,
            n_threads=self.given.n_threads,
        )  # fmt: skip

    def _ranks(
        self, scores: Floats, rows: CompressedRows, block: NDArray[np.int64], settings: Settings
    ) -> NDArray[np.int64]:
        """The rank of the hidden item of each user of a block; one among those left out ranks last."""
        seen = CompressedRows.empty(rows.n_rows) if settings.keep_seen else rows
        targets = self.targets[block]
        ranks = rank_targets_of(
            scores, np.arange(len(block) + 1, dtype=np.int64), targets, seen_indptr=seen.indptr,
            seen_indices=seen.indices, n_threads=self.given.n_threads,
        )[0]  # fmt: skip
        is_seen = np.bincount(row_codes(seen), seen.indices == np.repeat(targets, seen.counts), len(block)) > 0
        return np.where(is_seen, self.n_items, ranks)


def _pasts(events: CompressedRows, at: NDArray[np.int64], owners: Codes) -> CompressedRows:
    """The events before each of some, a row each. owners: the user of each event."""
    starts = events.indptr[owners[at]]
    indptr = pointers_of(at - starts)
    entries = np.repeat(starts - indptr[:-1], at - starts) + np.arange(indptr[-1])
    return CompressedRows(indptr, events.indices[entries], events.values[entries], None)


def _known(rows: CompressedRows, place: Codes) -> CompressedRows:
    """Rows with items by place, those without a place left out."""
    kept = rows_of_entries(rows, place[rows.indices] >= 0)
    return replace(kept, indices=place[kept.indices])
