"""Sequence: what comes next, from the order of events, in closed form.

The transition weights are in models/transitions.py, the choice of settings that are not given in sequence_choice.py.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from palate.answers.ranking.memory import bytes_of
from palate.data.order import joined, oldest_first
from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, added_rows
from palate.kernels.threads import thread_pool
from palate.models.factors import Codes, Floats
from palate.models.fading import Fading
from palate.models.history_factors import no_biases
from palate.models.item_supports import by_popularity, in_codes
from palate.models.item_weights import ItemWeights
from palate.models.regression import Regression
from palate.models.sequences import SequenceWeights
from palate.models.transitions import REACH, Transitions, by_place
from palate.options import check_between, check_flags, check_not_negative, check_positive, check_whole
from palate.recipes.base import Recipe, Trained
from palate.recipes.costs import Needs, check_memory
from palate.recipes.ease import EASE
from palate.recipes.inverse import invert, multiply, seconds_to_invert
from palate.recipes.monitor import Monitor
from palate.recipes.sequence_choice import Given, Settings, choose
from palate.recipes.sparse_ease import K_ITEMS, SECONDS_PER_PAIR, SUPPORT_BYTES, SparseEASE

MAX_DENSE = 5000  # items up to which each is regressed on all others
MATRICES = 6  # of all pairs of items, at once, where it is
EVENT_BYTES = 64  # of an event: as it is grouped, and once more without the last events
ENTRY_BYTES = 16  # of a pair of items that meet: a column and a value, twice
SECONDS_PER_MEETING = 4e-9  # of two events of a user, on one thread
INVERSIONS = 4  # that take as long as the products


@dataclass(frozen=True)
class Sequence(Recipe):
    """What comes next: transition weights plus similarity, both in closed form, for implicit feedback with an order.

    The past of an event is the sum of its user's earlier events, one with k events in between counting
    1 / (1 + k / recency). A ridge regression from the past to the event's item gives the transition weights; those of
    EASE, order-blind, are added with a share:

        B = (S'S + L)^-1 S'T + similarity B_EASE        score of item i: the last event counts 1, one with k later ones
                                                        1 / (1 + k / recency), times its weight B to i, summed up

    with a row of S for the past of each event and one of T for its item, and l_i = weight_decay + dropout / (1 -
    dropout) (S'S)_ii. The order is that of the times, or of the rows where there are no times. No user has a vector: a
    session of somebody unknown is answered as well, by recommend(session=[...]) or fold_in([...]). predict() gives the
    score, without an interval. Read with duplicates="keep", ratings keep events that repeat an item.

    In catalogues of more than 5,000 items each item is regressed on the 120 items that come before it most.
    update() changes the histories of users, and gives items that are new since the fit weights; other weights stay.

    What is not given is chosen on the last events of 1,500 users of the training data, hidden from the rest; where
    fewer than 100 users have three events, it is a recency of 2, a weight_decay of 300 and a similarity of 0.1. The
    fit's training says what was taken.

    Parameters:
        recency (float or None, default None): The number of later events after which an event counts half, above 0.
            None: chosen from 0.5, 1, 2, ... 256.
        weight_decay (float or None, default None): Regularisation of transition weights, above 0, in events. None:
            chosen from 100 and 300.
        similarity (float or None, default None): The share of the weights of EASE, 0 or more. None: chosen from 0,
            0.03, 0.1, 0.3, 1 and 3.
        keep_seen (bool or None, default None): Whether users come back to items, so that recommend() leaves none of a
            history out, unless keep_seen=False. None: if that finds more of the hidden events.
        dropout (float, default 0.33): Learn as if each event of a past were hidden with this probability; 0 to 0.99.
        k (int or None, default None): The number of items that each is regressed on, 1 to 4096; with as many as there
            are items, all of them. None: all, up to 5,000 items, or 120.
        features (bool, default True): Use as side information the columns of ratings.item_table, as EASE does, where
            there is such a table and similarity is above 0.
        memory (str, int or None, default None): The maximum memory that a fit may need, such as "2GB" or a number of
            bytes. None: as much as the machine has free.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores. Any number gives the same bytes.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the fit does not fit into the memory.

    Source:
        The regression of the next item on a decayed past is a linear, closed-form relative of Rendle, Freudenthaler &
        Schmidt-Thieme (2010), Factorizing Personalized Markov Chains for Next-Basket Recommendation, and of Steck
        (2019), Embarrassingly Shallow Autoencoders for Sparse Data, whose weights are added.

    Example:
        >>> import palate
        >>> columns = {"user": ["ann"] * 3 + ["bob"] * 3, "item": ["tea", "jam", "bun", "egg", "tea", "jam"]}
        >>> events = palate.read(columns, kind="implicit")
        >>> palate.Sequence().fit(events).recommend(session=["egg", "tea"], n=1)["item"].to_list()
        ['jam']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)
    reads_order: ClassVar[bool] = True

    recency: float | None = None
    weight_decay: float | None = None
    similarity: float | None = None
    keep_seen: bool | None = None
    dropout: float = 0.33
    k: int | None = None
    features: bool = True
    memory: str | int | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        if self.recency is not None:
            check_positive(recency=self.recency)
        if self.weight_decay is not None:
            check_positive(weight_decay=self.weight_decay)
        if self.similarity is not None:
            check_not_negative(similarity=self.similarity)
        if self.keep_seen is not None:
            check_flags(keep_seen=self.keep_seen)
        check_between(0, 0.99, dropout=self.dropout)
        check_whole(1, 4096, or_none=True, k=self.k)
        check_flags(features=self.features)
        check_whole(n_threads=self.n_threads)
        if self.memory is not None:
            bytes_of(self.memory)

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:
        """Return the recency, weight_decay, similarity, keep_seen and k that a fit uses where they are None.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            dict: Values by option name; only options that are None have one.

        Example:
            >>> import palate
            >>> events = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
            >>> palate.Sequence(recency=3).data_defaults(events)
            {'weight_decay': 300.0, 'similarity': 0.1, 'keep_seen': False, 'k': 40}
        """
        events, chosen = _events(oldest_first(ratings))
        taken = {**self._settings(events, len(chosen))._asdict(), "k": self._k(len(chosen))}
        return {name: value for name, value in taken.items() if getattr(self, name) is None}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes, at most.
        """
        return self._needs(*_events(ratings), ratings.n_items).n_bytes

    def seconds_needed(self, ratings: Ratings) -> float | None:
        """Return about how many seconds a fit takes on this machine.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            float: Seconds.
        """
        own = self._needs(*_events(ratings), ratings.n_items).seconds
        return own + (self._similar_by(ratings).seconds_needed(joined(ratings)) or 0.0)

    def _k(self, n_items: int) -> int:
        """The number of items that each is regressed on."""
        return min(n_items, self.k or (n_items if n_items <= MAX_DENSE else K_ITEMS))

    def _settings(self, events: CompressedRows, n_items: int) -> Settings:
        given = Given(self.recency, self.weight_decay, self.similarity, self.keep_seen, self.dropout, self.n_threads)
        return choose(events, n_items, given)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        events, chosen = _events(ratings)
        cost = self._needs(events, chosen, ratings.n_items)
        check_memory("Sequence", cost.n_bytes, ratings.n_items, self.memory, "a smaller k")
        monitor.note(cost.text)
        if cost.is_large:
            monitor.announce(f"Sequence of {ratings.n_items:,} items {cost.text}. Ctrl-C stops it.")
        with thread_pool(1) as pool:  # the similarity is learned meanwhile, where there is a second thread
            similar = pool.submit(self._similar, ratings) if self.similarity != 0 and self.n_threads != 1 else None
            settings = self._settings(events, len(chosen))
            monitor.taken |= {**settings._asdict(), "k": self._k(len(chosen))}
            monitor.note(f"recency {settings.recency:g}, weight decay {settings.weight_decay:g}")
            weights = self._transition_weights(events, chosen, ratings.n_items, settings)
        if settings.similarity:
            added = self._similar(ratings) if similar is None else similar.result()
            weights = _plus(weights, added, np.float32(settings.similarity))
        learned = SequenceWeights.of(
            no_biases(ratings.n_users, ratings.n_items),
            history=ratings.by_user(),
            weights=weights,
            fading=Fading(settings.recency),
            keeps_seen=settings.keep_seen,
            regression=Regression(settings.weight_decay, self.dropout, 0.0, 0.0, self.k or K_ITEMS),
        )
        return Trained(learned)

    def _transition_weights(
        self, events: CompressedRows, chosen: Codes, n_items: int, settings: Settings
    ) -> Floats | CompressedRows:
        """The weights from past items to the next, in codes: dense if each item is regressed on all."""
        k = self._k(len(chosen))
        is_dense = k == len(chosen)
        transitions = Transitions.of(
            events, settings.recency, len(chosen), 0 if is_dense else k, n_threads=self.n_threads
        )
        ridge = transitions.ridges(settings.weight_decay, self.dropout)
        if not is_dense:
            (found,) = transitions.weights(ridge[None], self.n_threads)
            return in_codes(found, np.ones(len(chosen)), chosen, n_items)
        inverse = transitions.dense_gram(ridge)
        invert(inverse, self.n_threads)
        weights = np.zeros((n_items, n_items), np.float32)
        weights[np.ix_(chosen, chosen)] = multiply(inverse, transitions.dense_transitions(), self.n_threads)
        return weights

    def _similar_by(self, ratings: Ratings) -> EASE | SparseEASE:
        """What the similarity is learned by: as many items as the transitions."""
        shared: dict[str, Any] = {"features": self.features, "n_threads": self.n_threads}
        n_chosen = int(np.count_nonzero(np.bincount(ratings.item_codes)))
        k = self._k(n_chosen)
        return EASE(memory=NO_LIMIT, **shared) if k == n_chosen else SparseEASE(k=k, **shared)

    def _similar(self, ratings: Ratings) -> Floats | CompressedRows:
        """Order-blind weights, in codes."""
        factors = self._similar_by(ratings).fit(joined(ratings), progress=False).model.factors
        assert isinstance(factors, ItemWeights)
        return factors.weights

    def _needs(self, events: CompressedRows, chosen: Codes, n_items: int) -> Needs:
        """The bytes of a fit, at most, and about its seconds without those of the similarity."""
        n, n_threads = len(chosen), self.n_threads or os.cpu_count() or 1
        meetings = float((events.counts * np.minimum(events.counts, REACH)).sum())
        n_bytes = len(events.indices) * EVENT_BYTES + int(min(meetings, n * n)) * ENTRY_BYTES
        seconds = meetings * SECONDS_PER_MEETING / n_threads
        k = self._k(n)
        if k == n:
            return Needs(n_bytes + 4 * MATRICES * n_items**2, seconds + INVERSIONS * seconds_to_invert(n, n_threads))
        return Needs(n_bytes + 2 * n * k * SUPPORT_BYTES, seconds + n * k**2 * SECONDS_PER_PAIR / n_threads)


NO_LIMIT = 10**18  # bytes: so that EASE stays dense


def _events(ratings: Ratings) -> tuple[CompressedRows, Codes]:
    """The histories with items by popularity, and the codes of these items."""
    chosen = by_popularity(ratings.item_codes)
    return by_place(ratings.by_user(), chosen), chosen


def _plus(weights: Any, similar: Any, share: np.float32) -> Floats | CompressedRows:
    """The sum of both, dense or sparse."""
    if isinstance(weights, CompressedRows):
        return added_rows(weights, similar, share, weights.n_rows)
    weights += share * similar
    return np.asarray(weights)
