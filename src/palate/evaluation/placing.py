"""Placing: every candidate of every user ranked, held-out items looked up, the first of each list kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.matching import codes_in_model
from palate.evaluation.metrics import NEVER, Places
from palate.factors import Codes, Factors, Floats
from palate.kernels import rank_targets, rank_targets_of, top_n, top_n_of
from palate.model import Model, People
from palate.ranking import Query, scores_of
from palate.ratings import Ratings
from palate.recommender import Recommender
from palate.rows import take_rows

BLOCK_SCORES = 4_000_000  # scores held at once
Begins = NDArray[np.int64]


@dataclass(frozen=True)
class HeldOut:
    """Held-out items in the codes of a model: each pair once, grouped by user.

    users: (n_users,) codes, -1 unknown; indptr: (n_users + 1,); items: (n,) codes, -1 for what the model does not know.
    """

    users: Codes
    indptr: Begins
    items: Codes


def held_out_of(recommender: Recommender, test: Ratings) -> HeldOut:
    """The test ratings as a model sees them; a pair that comes twice counts once."""
    users, items = codes_in_model(recommender, test)
    pairs = np.unique(test.user_codes.astype(np.int64) * test.n_items + test.item_codes, return_index=True)[1]
    owners, first, counts = np.unique(test.user_codes[pairs], return_index=True, return_counts=True)
    assert len(owners) > 0
    return HeldOut(users[pairs][first], np.append(0, np.cumsum(counts)), items[pairs])


def place(model: Model, held_out: HeldOut, n: int, query: Query | None = None) -> tuple[Places, Codes]:
    """Where the held-out items stand, and the n best candidates of each user, (n_users, n): code -1 for none.

    query: by what to rank, as recommend() does; the expected rating where None.
    """
    query = None if query is None or query.by == "mean" else query
    step = len(held_out.users)
    if query is not None or not _is_dot_product(model.factors):
        step = max(1, BLOCK_SCORES // max(len(model.item_vocabulary), 1))
    blocks = [
        _place_block(model, held_out, slice(start, min(start + step, len(held_out.users))), n, query)
        for start in range(0, len(held_out.users), step)
    ]
    ranks, backwards, n_candidates, lists = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return _places(held_out, ranks, backwards, n_candidates), lists


def _is_dot_product(factors: Factors) -> bool:
    """Whether a user's vector and an item's give their score, or what rises with it: then no score need be kept."""
    kind = type(factors)
    return kind.serving is Factors.serving and kind.user_scores is Factors.user_scores and kind.scores is Factors.scores


def _places(held_out: HeldOut, ranks: Begins, backwards: Begins, n_candidates: Codes) -> Places:
    """Ranks, and ranks when of equal scores the higher code comes first, as Places."""
    counts = np.diff(held_out.indptr)
    candidates = np.repeat(n_candidates, counts)
    behind = np.where(ranks > 0, candidates - (ranks + backwards) / 2, 0.0)
    reached = np.where(ranks > 0, ranks, NEVER)
    order = np.lexsort((reached, np.repeat(np.arange(len(counts)), counts)))
    return Places(held_out.indptr, reached[order], behind[order], n_candidates.astype(np.int64))


def _place_block(
    model: Model, held_out: HeldOut, users: slice, n: int, query: Query | None
) -> tuple[Begins, Begins, Codes, Codes]:
    """Ranks of the held-out items of some users, forwards and backwards, candidates of each, and lists."""
    people = model.people(held_out.users[users])
    scored = _scored(model, people, query)
    seen: dict[str, Any] = {"seen_indptr": people.history.indptr, "seen_indices": people.history.indices}
    indptr = held_out.indptr[users.start : users.stop + 1]
    items = held_out.items[indptr[0] : indptr[-1]]
    known = items >= 0
    begins = np.append(0, np.cumsum(known))[indptr - indptr[0]]
    forwards, ties, n_candidates = scored.ranks(begins, items[known], **seen)
    backwards = forwards.copy()
    is_tied = np.bincount(_owners(begins), ties, len(people)) > 0
    if is_tied.any():
        own = is_tied[_owners(begins)]
        few = take_rows(people.history, np.flatnonzero(is_tied).astype(np.int32))
        last = np.int32(len(model.item_vocabulary) - 1)
        turned = {"seen_indptr": few.indptr, "seen_indices": last - few.indices}
        few_begins = np.append(0, np.cumsum(np.diff(begins)[is_tied]))
        backwards[own] = scored.turned(is_tied).ranks(few_begins, last - items[known][own], **turned)[0]
    both = np.zeros((2, len(items)), np.int64)
    both[:, known] = forwards, backwards
    return both[0], both[1], n_candidates, scored.top(n, **seen)


def _scored(model: Model, people: People, query: Query | None) -> Scores | Products | Biases:
    if query is not None:
        return Scores(np.ascontiguousarray(scores_of(model, people, query), np.float32))
    if _is_dot_product(model.factors):
        if model.factors.n_factors == 0:
            return Biases(model.factors.items[:, -1], len(people))
        return Products(np.ascontiguousarray(people.vectors), np.ascontiguousarray(model.factors.items))
    return Scores(np.ascontiguousarray(model.scores(people), np.float32))


@dataclass(frozen=True)
class Products:
    """Scores that are products of vectors: (m, k) of users and (n_items, k) of items, the bias last."""

    users: Floats
    items: Floats

    def ranks(self, indptr: Begins, targets: Codes, **seen: Any) -> tuple[Begins, Codes, Codes]:
        """Ranks of each user's targets (0 for what is seen), how many others have their score, candidates."""
        return rank_targets(self.users, self.items, indptr, targets, **seen)

    def top(self, n: int, **seen: Any) -> Codes:
        """The n best items of each user."""
        return top_n(self.users, self.items, n, **seen)[0]

    def turned(self, users: NDArray[np.bool_]) -> Products:
        """Of some users, with the items in opposite order."""
        return Products(self.users[users], np.ascontiguousarray(self.items[::-1]))


@dataclass(frozen=True)
class Scores:
    """Scores as they are, (m, n_items)."""

    scores: Floats

    def ranks(self, indptr: Begins, targets: Codes, **seen: Any) -> tuple[Begins, Codes, Codes]:
        """Ranks of each user's targets (0 for what is seen), how many others have their score, candidates."""
        return rank_targets_of(self.scores, indptr, targets, **seen)

    def top(self, n: int, **seen: Any) -> Codes:
        """The n best items of each user."""
        return top_n_of(self.scores, n, **seen)[0]

    def turned(self, users: NDArray[np.bool_]) -> Scores:
        """Of some users, with the items in opposite order."""
        return Scores(np.ascontiguousarray(self.scores[users, ::-1]))


@dataclass(frozen=True)
class Biases:
    """Scores that are the same for all of some people, (n_items,): one order of the items, less what each has seen."""

    biases: Floats
    n_users: int

    def ranks(
        self, indptr: Begins, targets: Codes, *, seen_indptr: Begins, seen_indices: Codes
    ) -> tuple[Begins, Codes, Codes]:
        """Ranks of each user's targets (0 for what is seen), how many others at all have their score, candidates."""
        n = len(self.biases)
        place = np.empty(n, np.int64)
        place[np.argsort(-self.biases, kind="stable")] = np.arange(n)
        seen = np.sort(_owners(seen_indptr) * n + place[seen_indices])  # by user, then by place
        seen = seen[np.diff(seen, prepend=-1) > 0]
        begins = np.searchsorted(seen, n * np.arange(len(indptr)))
        owners = _owners(indptr)
        keys = owners * n + place[targets]
        ahead = np.searchsorted(seen, keys)
        is_seen = np.append(seen, -1)[ahead] == keys
        ranks = np.where(is_seen, 0, 1 + place[targets] - (ahead - begins[owners]))
        _, value, counts = np.unique(self.biases, return_inverse=True, return_counts=True)
        ties = counts[value[targets]] - 1
        return ranks, ties.astype(np.int32), (n - np.diff(begins)).astype(np.int32)

    def top(self, n: int, **seen: Any) -> Codes:
        """The n best items of each user."""
        items = np.ascontiguousarray(self.biases[:, None])
        return top_n(np.zeros((self.n_users, 1), np.float32), items, n, **seen)[0]

    def turned(self, users: NDArray[np.bool_]) -> Biases:
        """Of some users, with the items in opposite order."""
        return Biases(self.biases[::-1], int(users.sum()))


def _owners(indptr: Begins) -> Begins:
    """The row of each entry of compressed rows."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
