"""Test events in order: what each user did before each of them, and which begin a session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.answers.observed import attributes_of
from palate.data.order import oldest_first
from palate.data.ratings import Ratings
from palate.data.rows import (
    CompressedRows,
    entries_of,
    first_of_rows,
    pointers_of,
    row_codes,
    rows_of_entries,
    rows_where,
    stack_rows,
    take_rows,
)
from palate.data.sessions import session_levels
from palate.evaluation.matching import code_maps
from palate.kernels import has_repeats
from palate.models.factors import Codes
from palate.models.model import Model, UserRows
from palate.recommender import Recommender

BLOCK_SCORES = 4_000_000  # scores held at once
BLOCK_EVENTS = 4_000_000  # events of histories held at once

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Test events in the codes of a model, user by user and each user's oldest first.

    users: (n_users,) codes, -1 for unknown ones. owners: whose each event is, (n,) positions in `users`. items: (n,)
    codes, -1 for unknown ones. times: (n,), or None. past: what each user did, training history first and then the test
    events of items that the model knows, a row for each user. n_before: how many entries of that row come before each
    event, (n,). is_new: whether the model has not learned all of these, (n,).
    """

    users: Codes
    owners: Integers
    items: Codes
    times: Integers | None
    past: CompressedRows
    n_before: Integers
    is_new: Mask

    def __len__(self) -> int:
        return len(self.items)

    def sums(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """The sums over each user's events, (n_users,)."""
        return np.bincount(self.owners, values, len(self.users)).astype(np.float64)


def events_of(recommender: Recommender, test: Ratings) -> Events:
    """The test ratings as events; at least one."""
    model, test = recommender.model, oldest_first(test)
    order = np.argsort(test.user_codes, kind="stable")
    given, counts = np.unique(test.user_codes, return_counts=True)
    owners = np.repeat(np.arange(len(given)), counts)
    user_map, item_map = code_maps(recommender, test)
    users, items = user_map[given], item_map[test.item_codes[order]]
    learned = rows_where(take_rows(model.history, np.maximum(users, 0)), users >= 0)
    is_known = items >= 0
    indptr = pointers_of(is_known)
    n_new = indptr[:-1] - np.repeat(indptr[pointers_of(counts)[:-1]], counts)  # known ones of the user before each
    return Events(
        users=users,
        owners=owners,
        items=items,
        times=None if test.times is None else test.times[order],
        past=_followed_by(learned, owners[is_known], _rows_of(test[order[is_known]], items[is_known])),
        n_before=learned.counts[owners] + n_new,
        is_new=n_new > 0,
    )


def _rows_of(test: Ratings, items: Codes) -> CompressedRows:
    """Test events as one row of choices, with these codes of items."""
    return CompressedRows(np.array([0, len(items)]), items, np.ones(len(items), np.float32), test.weights, test.times)


def _followed_by(rows: CompressedRows, owners: Integers, more: CompressedRows) -> CompressedRows:
    """Rows with more entries at their ends: one row of them, (n,), and the row that each belongs to, rising."""
    order = np.argsort(np.concatenate([row_codes(rows), owners]), kind="stable")
    if rows.times is None or more.times is None:
        rows, more = replace(rows, times=None), replace(more, times=None)
    counts = rows.counts + np.bincount(owners, minlength=rows.n_rows)
    return replace(entries_of(stack_rows([rows, more]), order), indptr=pointers_of(counts))


# ---- who is asked about


def blocks_of(model: Model, events: Events) -> Iterator[tuple[Integers, UserRows]]:
    """Some events at a time, (m,) positions, and a user row for each: what the model knows of the user by then.

    The model's own rows answer before the first event that it has not learned; later the user is folded in, from
    everything before the event.
    """
    by_scores = max(1, BLOCK_SCORES // max(len(model.item_vocabulary), 1))
    for is_new in (False, True):
        chosen = np.flatnonzero(events.is_new == is_new)
        filled = np.cumsum(events.n_before[chosen]) // BLOCK_EVENTS
        cuts = np.flatnonzero(np.diff(filled)) + 1
        for part in np.split(chosen, cuts):
            for start in range(0, len(part), by_scores):
                block = part[start : start + by_scores]
                yield block, _user_rows(model, events, block, is_new=is_new)


def _user_rows(model: Model, events: Events, block: Integers, *, is_new: bool) -> UserRows:
    users = events.users[events.owners[block]]
    if not is_new:
        return model.user_rows(users)
    return model.fold_in(history_before(model, events, block), attributes_of(model, users))


def history_before(model: Model, events: Events, block: Integers) -> CompressedRows:
    """What came before each event of a block, a row for each."""
    before = first_of_rows(events.past, events.owners[block], events.n_before[block])
    return before if model.factors.reads_order else _joined(model, before)


def _joined(model: Model, rows: CompressedRows) -> CompressedRows:
    """Rows in which each item stands once, where its last event was, with the sum of its counts; likes have none."""
    n_items = len(model.item_vocabulary)
    if not has_repeats(rows.indptr, rows.indices, n_items):
        return rows
    cells = row_codes(rows).astype(np.int64) * n_items + rows.indices
    _, first, of_cell = np.unique(cells[::-1], return_index=True, return_inverse=True)
    keep = np.zeros(len(cells), bool)
    keep[len(cells) - 1 - first] = True
    kept = rows_of_entries(rows, keep)
    if rows.weights is None and model.like_threshold is not None:
        return kept
    sums = np.bincount(of_cell[::-1], rows.weights)
    return replace(kept, weights=sums[of_cell[::-1]][keep].astype(np.float32))


# ---- sessions


def session_starts(model: Model, events: Events) -> tuple[float, Mask] | None:
    """After how long a pause a session begins, and which events begin one, (n,); None where no session is found.

    The sessions are the longest that Bayes(time=True) finds, in training and test events together.
    """
    learned = model.history.times
    if events.times is None or learned is None:
        return None
    n_users = model.history.n_rows
    users = np.where(events.users >= 0, events.users, n_users + np.arange(len(events.users)))[events.owners]
    all_users = np.concatenate([row_codes(model.history), users]).astype(np.int32)
    all_times = np.concatenate([learned, events.times])
    order = np.lexsort((all_times, all_users))  # stable: of equal times, the training event is earlier
    gaps, firsts = session_levels(all_users[order], all_times[order])
    if not gaps or gaps[0] == 0:  # a pause of no time is none
        return None
    begins = np.zeros(len(order), bool)
    begins[order[firsts[0]]] = True
    return gaps[0], begins[len(learned) :]
