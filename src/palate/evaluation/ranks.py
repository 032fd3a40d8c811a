"""Rank every candidate for every user: the ranks of the held-out items, and the first items of each list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking import Query, best_items, scores_of
from palate.data.rows import CompressedRows, pointers_of, row_codes, rows_of_entries
from palate.evaluation.matching import HeldOut
from palate.evaluation.rank_metrics import UNREACHABLE, HeldOutRanks
from palate.evaluation.resampling import Doubles
from palate.kernels import rank_targets, rank_targets_of, top_n
from palate.models.factors import Codes, Factors, Floats
from palate.models.model import Model, UserRows

BLOCK_SCORES = 4_000_000  # scores held at once
Integers = NDArray[np.int64]
Ranked = tuple[Integers, Doubles, Codes, Codes]  # ranks, mean ranks over ties, numbers of candidates, lists


def rank_held_out(model: Model, held_out: HeldOut, n: int, query: Query | None = None) -> tuple[HeldOutRanks, Codes]:
    """Return the ranks of the held-out items, and the n best candidates of each user, (n_users, n): code -1 for none.

    query: what to rank by, which items are candidates, and whether seen ones are; None ranks all unseen items by the
    expected rating.
    """
    step = len(held_out.users)
    is_plain = query is None or (query.by == "mean" and query.allowed.all() and query.dials is None)
    if not is_plain or not _is_dot_product(model.factors):
        step = max(1, BLOCK_SCORES // max(len(model.item_vocabulary), 1))
    blocks = [
        _rank_block(model, held_out, slice(start, min(start + step, len(held_out.users))), n, query)
        for start in range(0, len(held_out.users), step)
    ]
    ranks, mean_ranks, n_candidates, lists = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return _held_out_ranks(held_out, ranks, mean_ranks, n_candidates), lists


def ranks_of(model: Model, user_rows: UserRows, items: Codes, hidden: CompressedRows) -> Integers:
    """Return the rank of one item for each user row, (m,): from 1, UNREACHABLE for an item that is hidden from the row.

    items: (m,) codes; -1, unknown, is UNREACHABLE too. hidden: the items that are no candidates of each row.
    """
    indptr = np.arange(len(items) + 1)
    seen = {"seen_indptr": hidden.indptr, "seen_indices": hidden.indices}
    ranks = _ranked(_block_scores(model, user_rows, None), indptr, items, 0, seen)[0]
    return np.where(ranks > 0, ranks, UNREACHABLE)


def _is_dot_product(factors: Factors) -> bool:
    """True if the order of scores is that of the dot products of user and item vectors, so no scores need be stored."""
    kind = type(factors)
    return (
        kind.with_users is Factors.with_users
        and kind.user_scores is Factors.user_scores
        and kind.scores is Factors.scores
    )


def _held_out_ranks(held_out: HeldOut, ranks: Integers, mean_ranks: Doubles, n_candidates: Codes) -> HeldOutRanks:
    """Sort each user's ranks; rank 0 marks an item that cannot be recommended."""
    counts = np.diff(held_out.indptr)
    found = ranks > 0
    n_behind = np.where(found, np.repeat(n_candidates, counts) - mean_ranks, 0.0)
    ranks_or_unreachable = np.where(found, ranks, UNREACHABLE)
    last = int(ranks.max(initial=0)) + 1  # sorts items that cannot be recommended to the end
    order = np.argsort(_row_numbers(held_out.indptr) * (last + 1) + np.where(found, ranks, last))
    weights = None if held_out.weights is None else held_out.weights[order]
    return HeldOutRanks(
        held_out.indptr,
        ranks_or_unreachable[order],
        n_behind[order],
        n_candidates.astype(np.int64),
        weights,
        held_out.items[order],
    )


def _rank_block(model: Model, held_out: HeldOut, users: slice, n: int, query: Query | None) -> Ranked:
    """Rank the candidates of a block of users."""
    user_rows = model.user_rows(held_out.users[users])
    scores = _block_scores(model, user_rows, query)
    hidden = user_rows.history if query is None else _hidden(user_rows.history, query)
    seen: dict[str, Any] = {"seen_indptr": hidden.indptr, "seen_indices": hidden.indices}
    indptr = held_out.indptr[users.start : users.stop + 1]
    items = held_out.items[indptr[0] : indptr[-1]]
    if query is not None and (query.dials is not None or query.limits):
        lists = best_items(model, user_rows, replace(query, n=n))[0]
        return _ranked_behind(scores, lists, (indptr - indptr[0], items), len(model.item_vocabulary), seen)
    return _ranked(scores, indptr, items, n, seen)


def _ranked(
    scores: Scores | DotProducts | SharedScores, indptr: Integers, items: Codes, n: int, seen: dict[str, Any]
) -> Ranked:
    """Rank items of users, some of which the model may not know (code -1, rank 0), by scores."""
    in_model = items >= 0
    begins = np.append(0, np.cumsum(in_model))[indptr - indptr[0]]
    ranks, mean_ranks = np.zeros(len(items), np.int64), np.zeros(len(items))
    ranks[in_model], mean_ranks[in_model], n_candidates, lists = scores.ranked(begins, items[in_model], n, **seen)
    return ranks, mean_ranks, n_candidates, lists


def _ranked_behind(
    scores: Scores | DotProducts | SharedScores,
    lists: Codes,
    held_out: tuple[Integers, Codes],
    n_items: int,
    seen: dict[str, Any],
) -> Ranked:
    """Rank items of users where given lists come first, and all other candidates follow in the order of the scores.

    An item behind the list has its rank by the scores, and one place more for each listed item with a lower score. It
    ranks behind the places that a short list (max_per) leaves empty; these are no candidates, so mean ranks skip them.
    """
    indptr, items = held_out
    owners = _row_numbers(indptr)
    listed_owners, places = np.nonzero(lists >= 0)
    listed = lists[listed_owners, places]
    both = np.argsort(np.concatenate([owners, listed_owners]), kind="stable")  # held-out items, then listed ones
    counts = np.diff(indptr) + np.bincount(listed_owners, minlength=len(lists))
    found = _ranked(scores, pointers_of(counts), np.concatenate([items, listed])[both], 0, seen)
    ranks = np.empty(len(both), np.int64)
    ranks[both] = found[0]
    ranks, listed_ranks = ranks[: len(items)], ranks[len(items) :]
    width = n_items + 1
    ordered = np.sort(listed_owners * width + listed_ranks)
    n_before = np.searchsorted(ordered, owners * width + ranks)
    n_lower = np.searchsorted(ordered, (owners + 1) * width) - n_before
    behind = np.where(ranks > 0, ranks + n_lower, 0)
    keys = listed_owners * width + listed
    by_key = np.argsort(keys)
    wanted = owners * width + np.maximum(items, 0)
    at = np.minimum(np.searchsorted(keys[by_key], wanted), max(len(keys) - 1, 0))
    if len(keys):
        is_listed = (keys[by_key][at] == wanted) & (items >= 0)
        behind = np.where(is_listed, places[by_key][at] + 1, behind)
    empty = lists.shape[1] - np.bincount(listed_owners, minlength=len(lists))
    ranks = np.where(behind > (lists.shape[1] - empty)[owners], behind + empty[owners], behind)
    return ranks, behind.astype(np.float64), found[2], lists


def _hidden(history: CompressedRows, query: Query) -> CompressedRows:
    """What is no candidate for each user: items seen, unless these are kept, and items that nobody may get."""
    seen = CompressedRows.empty(history.n_rows) if query.keep_seen else history
    if query.allowed.all():
        return seen
    seen = rows_of_entries(seen, query.allowed[seen.indices])
    others = np.flatnonzero(~query.allowed).astype(np.int32)
    users = np.concatenate([row_codes(seen), np.repeat(np.arange(seen.n_rows, dtype=np.int32), len(others))])
    items = np.concatenate([seen.indices, np.tile(others, seen.n_rows)])
    return CompressedRows.of(users, items, np.ones(len(items), np.float32), None, seen.n_rows)


def _block_scores(model: Model, user_rows: UserRows, query: Query | None) -> Scores | DotProducts | SharedScores:
    if query is not None and query.by != "mean":
        return Scores(np.ascontiguousarray(scores_of(model, user_rows, query), np.float32))
    if _is_dot_product(model.factors):
        if model.factors.n_factors == 0:
            return SharedScores(model.factors.items[:, -1], len(user_rows))
        return DotProducts(np.ascontiguousarray(user_rows.vectors), np.ascontiguousarray(model.factors.items))
    return Scores(np.ascontiguousarray(model.scores(user_rows), np.float32))


@dataclass(frozen=True)
class DotProducts:
    """Scores as dot products of user vectors, (m, k), and item vectors, (n_items, k), the bias last."""

    users: Floats
    items: Floats

    def ranked(self, indptr: Integers, targets: Codes, n: int, **seen: Any) -> Ranked:
        """Rank each user's targets as rank_targets() does, and list the n best items."""
        return rank_targets(self.users, self.items, indptr, targets, n=n, **seen)


@dataclass(frozen=True)
class Scores:
    """Stored scores, (m, n_items)."""

    scores: Floats

    def ranked(self, indptr: Integers, targets: Codes, n: int, **seen: Any) -> Ranked:
        """Rank each user's targets as rank_targets() does, and list the n best items."""
        return rank_targets_of(self.scores, indptr, targets, n=n, **seen)


@dataclass(frozen=True)
class SharedScores:
    """Scores that are the same for all users, (n_items,). The items are sorted once, not once for each user."""

    scores: Floats
    n_users: int

    def ranked(self, indptr: Integers, targets: Codes, n: int, *, seen_indptr: Integers, seen_indices: Codes) -> Ranked:
        """Rank each user's targets as rank_targets() does, and list the n best items."""
        items, users = np.ascontiguousarray(self.scores[:, None]), np.zeros((self.n_users, 1), np.float32)
        lists = top_n(users, items, n, seen_indptr=seen_indptr, seen_indices=seen_indices)[0]
        return *self._ranks(_row_numbers(indptr), targets, _row_numbers(seen_indptr), seen_indices), lists

    def _ranks(
        self, owners: Integers, targets: Codes, seen_owners: Integers, seen_items: Codes
    ) -> tuple[Integers, Doubles, Codes]:
        """Return ranks, mean ranks over ties and numbers of candidates.

        A rank is the position among all items less the number of seen items before it.
        """
        n_items = len(self.scores)
        order = np.argsort(-self.scores, kind="stable")
        position = np.empty(n_items, np.int64)
        position[order] = np.arange(n_items)
        first, last = (np.searchsorted(-self.scores[order], -self.scores, side) for side in ("left", "right"))
        seen = np.sort(seen_owners * n_items + position[seen_items])  # by user, then by position
        seen = seen[np.diff(seen, prepend=-1) > 0]
        begins = np.searchsorted(seen, n_items * np.arange(self.n_users + 1))

        def n_before(positions: Integers) -> Integers:
            """Count the candidates before these positions."""
            return positions - (np.searchsorted(seen, owners * n_items + positions) - begins[owners])

        keys = owners * n_items + position[targets]
        is_seen = np.append(seen, -1)[np.searchsorted(seen, keys)] == keys
        ranks = np.where(is_seen, 0, 1 + n_before(position[targets]))
        mean_ranks = np.where(is_seen, 0, (1 + n_before(first[targets]) + n_before(last[targets])) / 2)
        return ranks, mean_ranks, (n_items - np.diff(begins)).astype(np.int32)


def _row_numbers(indptr: Integers) -> Integers:
    """Return the row of each entry of compressed rows."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
