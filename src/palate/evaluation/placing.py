"""Placing: every candidate of every user ranked, held-out items looked up, the first of each list kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking import Query, scores_of
from palate.data.ratings import Ratings
from palate.data.rows import distinct, pointers_of
from palate.evaluation.matching import code_maps
from palate.evaluation.metrics import NEVER, Places
from palate.evaluation.resampling import Doubles
from palate.kernels import rank_targets, rank_targets_of, top_n
from palate.models.factors import Codes, Factors, Floats
from palate.models.model import Model, UserRows
from palate.recommender import Recommender

BLOCK_SCORES = 4_000_000  # scores held at once
Begins = NDArray[np.int64]
Placed = tuple[Begins, Doubles, Codes, Codes]  # ranks, mean ranks, candidates, lists


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
    users, items = code_maps(recommender, test)
    rows = distinct(test.by_user(), test.n_items)
    owners = np.flatnonzero(rows.counts)
    assert len(owners) > 0
    return HeldOut(users[owners], pointers_of(rows.counts[owners]), items[rows.indices])


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
    ranks, middles, n_candidates, lists = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return _places(held_out, ranks, middles, n_candidates), lists


def _is_dot_product(factors: Factors) -> bool:
    """Whether a user's vector and an item's give their score, or what rises with it: then no score need be kept."""
    kind = type(factors)
    return (
        kind.with_users is Factors.with_users
        and kind.user_scores is Factors.user_scores
        and kind.scores is Factors.scores
    )


def _places(held_out: HeldOut, ranks: Begins, middles: Doubles, n_candidates: Codes) -> Places:
    """Ranks, and the mean ranks of all that score the same, as Places."""
    counts = np.diff(held_out.indptr)
    found = ranks > 0
    behind = np.where(found, np.repeat(n_candidates, counts) - middles, 0.0)
    reached = np.where(found, ranks, NEVER)
    last = int(ranks.max(initial=0)) + 1  # what cannot be recommended comes last
    order = np.argsort(_owners(held_out.indptr) * (last + 1) + np.where(found, ranks, last))  # what ties is the same
    return Places(held_out.indptr, reached[order], behind[order], n_candidates.astype(np.int64))


def _place_block(model: Model, held_out: HeldOut, users: slice, n: int, query: Query | None) -> Placed:
    """Ranks and mean ranks of the held-out items of some users, candidates of each, and lists."""
    user_rows = model.user_rows(held_out.users[users])
    scored = _scored(model, user_rows, query)
    seen: dict[str, Any] = {"seen_indptr": user_rows.history.indptr, "seen_indices": user_rows.history.indices}
    indptr = held_out.indptr[users.start : users.stop + 1]
    items = held_out.items[indptr[0] : indptr[-1]]
    known = items >= 0
    begins = np.append(0, np.cumsum(known))[indptr - indptr[0]]
    ranks, middles = np.zeros(len(items), np.int64), np.zeros(len(items))
    ranks[known], middles[known], n_candidates, lists = scored.placed(begins, items[known], n, **seen)
    return ranks, middles, n_candidates, lists


def _scored(model: Model, user_rows: UserRows, query: Query | None) -> Scores | Products | Biases:
    if query is not None:
        return Scores(np.ascontiguousarray(scores_of(model, user_rows, query), np.float32))
    if _is_dot_product(model.factors):
        if model.factors.n_factors == 0:
            return Biases(model.factors.items[:, -1], len(user_rows))
        return Products(np.ascontiguousarray(user_rows.vectors), np.ascontiguousarray(model.factors.items))
    return Scores(np.ascontiguousarray(model.scores(user_rows), np.float32))


@dataclass(frozen=True)
class Products:
    """Scores that are products of vectors: (m, k) of users and (n_items, k) of items, the bias last."""

    users: Floats
    items: Floats

    def placed(self, indptr: Begins, targets: Codes, n: int, **seen: Any) -> Placed:
        """What rank_targets() says of each user's targets, and the n best items of each."""
        return rank_targets(self.users, self.items, indptr, targets, n=n, **seen)


@dataclass(frozen=True)
class Scores:
    """Scores as they are, (m, n_items)."""

    scores: Floats

    def placed(self, indptr: Begins, targets: Codes, n: int, **seen: Any) -> Placed:
        """What rank_targets() says of each user's targets, and the n best items of each."""
        return rank_targets_of(self.scores, indptr, targets, n=n, **seen)


@dataclass(frozen=True)
class Biases:
    """Scores that are the same for all of some people, (n_items,): one order of the items, less what each has seen."""

    biases: Floats
    n_users: int

    def placed(self, indptr: Begins, targets: Codes, n: int, *, seen_indptr: Begins, seen_indices: Codes) -> Placed:
        """What rank_targets() says of each user's targets, and the n best items of each."""
        items, users = np.ascontiguousarray(self.biases[:, None]), np.zeros((self.n_users, 1), np.float32)
        lists = top_n(users, items, n, seen_indptr=seen_indptr, seen_indices=seen_indices)[0]
        return *self._ranks(_owners(indptr), targets, _owners(seen_indptr), seen_indices), lists

    def _ranks(
        self, owners: Begins, targets: Codes, seen_owners: Begins, seen_items: Codes
    ) -> tuple[Begins, Doubles, Codes]:
        """Ranks and mean ranks of users' targets, and candidates: places among all, less those of what was seen."""
        n_items = len(self.biases)
        order = np.argsort(-self.biases, kind="stable")
        place = np.empty(n_items, np.int64)
        place[order] = np.arange(n_items)
        first, last = (np.searchsorted(-self.biases[order], -self.biases, side) for side in ("left", "right"))
        seen = np.sort(seen_owners * n_items + place[seen_items])  # by user, then by place
        seen = seen[np.diff(seen, prepend=-1) > 0]
        begins = np.searchsorted(seen, n_items * np.arange(self.n_users + 1))

        def ahead(places: Begins) -> Begins:
            """How many of the candidates stand before these places."""
            return places - (np.searchsorted(seen, owners * n_items + places) - begins[owners])

        keys = owners * n_items + place[targets]
        is_seen = np.append(seen, -1)[np.searchsorted(seen, keys)] == keys
        ranks = np.where(is_seen, 0, 1 + ahead(place[targets]))
        middles = np.where(is_seen, 0, (1 + ahead(first[targets]) + ahead(last[targets])) / 2)
        return ranks, middles, (n_items - np.diff(begins)).astype(np.int32)


def _owners(indptr: Begins) -> Begins:
    """The row of each entry of compressed rows."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
