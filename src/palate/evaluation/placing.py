"""Placing: every candidate of every user ranked, held-out items looked up, the first of each list kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.compressed import CompressedRows
from palate.evaluation.matching import codes_in_model
from palate.evaluation.metrics import NEVER, Places
from palate.factors import Codes, Floats
from palate.kernels import select_top
from palate.model import Model
from palate.ratings import Ratings
from palate.recommender import Recommender
from palate.rows import row_codes

BLOCK_SCORES = 4_000_000  # scores held at once
BLOCK_COMPARED = 8_000_000  # comparisons of scores made at once
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


def place(model: Model, held_out: HeldOut, n: int) -> tuple[Places, Codes]:
    """Where the held-out items stand, and the n best candidates of each user, (n_users, n): code -1 for none."""
    step = max(1, BLOCK_SCORES // max(len(model.item_vocabulary), 1))
    blocks = [
        _place_block(model, held_out, slice(start, min(start + step, len(held_out.users))), n)
        for start in range(0, len(held_out.users), step)
    ]
    ranks, backwards, n_candidates, lists = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return _places(held_out, ranks, backwards, n_candidates), lists


def _places(held_out: HeldOut, ranks: Begins, backwards: Begins, n_candidates: NDArray[np.int32]) -> Places:
    """Ranks, and ranks when of equal scores the higher code comes first, as Places."""
    counts = np.diff(held_out.indptr)
    candidates = np.repeat(n_candidates, counts)
    behind = np.where(ranks > 0, candidates - (ranks + backwards) / 2, 0.0)
    reached = np.where(ranks > 0, ranks, NEVER)
    order = np.lexsort((reached, np.repeat(np.arange(len(counts)), counts)))
    return Places(held_out.indptr, reached[order], behind[order], n_candidates.astype(np.int64))


def _place_block(
    model: Model, held_out: HeldOut, users: slice, n: int
) -> tuple[Begins, Begins, NDArray[np.int32], Codes]:
    """Ranks of the held-out items of some users, forwards and backwards, candidates of each, and lists."""
    people = model.people(held_out.users[users])
    scores = np.ascontiguousarray(model.scores(people), np.float32)
    indptr = held_out.indptr[users.start : users.stop + 1]
    items = held_out.items[indptr[0] : indptr[-1]]
    forwards, backwards, n_candidates = _both_ways(scores, indptr - indptr[0], items, people.history)
    return forwards, backwards, n_candidates, _lists(scores, people.history, n)


def _lists(scores: Floats, seen: CompressedRows, n: int) -> Codes:
    """The n best of each row that are not seen; scores of what is seen are overwritten."""
    scores[row_codes(seen), seen.indices] = -np.inf
    return select_top(scores, n)[0]


def _both_ways(
    scores: Floats, indptr: Begins, items: Codes, seen: CompressedRows
) -> tuple[Begins, Begins, NDArray[np.int32]]:
    """Ranks of items when among equal scores the lower code comes first, and when the higher does; candidates."""
    known = items >= 0
    begins = np.append(0, np.cumsum(known))[indptr]
    there = items[known]
    ranks, ties, n_candidates = rank_targets_of(
        scores, begins, there, seen_indptr=seen.indptr, seen_indices=seen.indices
    )
    backwards = ranks.copy()
    if ties.any():
        last = np.int32(scores.shape[1] - 1)
        turned = np.ascontiguousarray(scores[:, ::-1])
        backwards = rank_targets_of(
            turned, begins, last - there, seen_indptr=seen.indptr, seen_indices=last - seen.indices
        )[0]
    both = np.zeros((2, len(items)), np.int64)
    both[:, known] = ranks, backwards
    return both[0], both[1], n_candidates


def rank_targets_of(
    scores: Floats, target_indptr: Begins, target_indices: Codes, *, seen_indptr: Begins, seen_indices: Codes
) -> tuple[Begins, Codes, Codes]:
    """Where each target of each user stands among all items not seen: (ranks, ties, n_candidates).

    ranks: (n_targets,) from 1, of equal scores the lower code first, 0 for what is seen; ties: (n_targets,) how many
    others have the same score; n_candidates: (n_users,).
    """
    rows = np.repeat(np.arange(len(scores)), np.diff(target_indptr))
    left = np.ones(scores.shape, bool)
    left[np.repeat(np.arange(len(scores)), np.diff(seen_indptr)), seen_indices] = False
    ranks, ties = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int32)
    lower = np.arange(scores.shape[1])
    step = max(1, BLOCK_COMPARED // max(scores.shape[1], 1))
    for start in range(0, len(rows), step):
        at, codes = rows[start : start + step], target_indices[start : start + step, None]
        own = scores[at, codes[:, 0]][:, None]
        level = (scores[at] == own) & left[at]
        ahead = ((scores[at] > own) & left[at]) | (level & (lower < codes))
        ranks[start : start + step] = 1 + ahead.sum(axis=1)
        ties[start : start + step] = level.sum(axis=1) - 1
    seen = ~left[rows, target_indices]
    ranks[seen] = ties[seen] = 0
    return ranks, ties, left.sum(axis=1).astype(np.int32)
