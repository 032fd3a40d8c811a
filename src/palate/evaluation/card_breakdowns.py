"""The breakdowns of a model card: measures by groups of users and of items, none of them of few users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import Codes
from palate.evaluation.breakdowns import means_by_group, one_hot
from palate.evaluation.groups import MIN_USERS, Groups, by_activity, by_columns
from palate.evaluation.measured_lists import MeasuredLists
from palate.evaluation.measured_rows import CARD, MODEL, MeasuredRows
from palate.evaluation.resampling import Doubles, Measure, Resample
from palate.models.model import Model

ALL, OTHERS = "all", "all others"  # the names of groups together
LISTS = ("ndcg", "recall")


@dataclass(frozen=True)
class CardBreakdown:
    """Measures of a model by groups, as a card shows them: first of all together, and of no group of few users.

    Attributes:
        by (str): What the groups are told apart by, such as a column of the table of users.
        groups (tuple of str): "all", and the groups; empty where there is only a note.
        sizes (tuple of int): The number of test rows in each; of lists, of held-out items.
        n_users (tuple of int): The number of users in each; 20 or more.
        measures (dict of str to tuple of Measure): Each measure in each group: "rmse" and "mean_error" (prediction less
            rating), or "ndcg@k" and "recall@k".
        note (str, default ""): What was done to small groups, or why there are none.
    """

    by: str
    groups: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    n_users: tuple[int, ...] = ()
    measures: dict[str, tuple[Measure, ...]] = field(default_factory=dict)
    note: str = ""


def error_breakdowns(found: MeasuredRows) -> tuple[CardBreakdown, ...]:
    """Return the errors of predictions by groups of users, and of items."""
    squares, errors = found.sums[MODEL, ""].per_user("rmse"), found.sums[MODEL, CARD].per_user("mean_error")
    made = []
    for groups in _groups_of_users(found.recommender.model, found.asked.test, found.test_users, found.users):
        sums = {"rmse": one_hot(squares.sums, groups), "mean_error": one_hot(errors.sums, groups)}
        sizes = np.bincount(groups.of, found.n, len(groups.names))
        made.append(card_breakdown(groups, sums, one_hot(squares.counts, groups), sizes, found.resample))
    (squared, counts), (error, _) = found.by_item("rmse"), found.by_item("mean_error")
    of_items = {"rmse": squared, "mean_error": error}
    return *made, card_breakdown(found.asked.popularity, of_items, counts, found.item_sizes, found.resample)


def list_breakdowns(found: MeasuredLists) -> tuple[CardBreakdown, ...]:
    """Return the measures of lists by groups of users; and recall by groups of items.

    Of the items of one group, lists are measured by how many of these are among the first k of all items.
    """
    held_out, (k,), own = found.asked.held_out, found.asked.ks, found.model
    test_users, n = np.flatnonzero(np.bincount(found.test.user_codes)), np.diff(held_out.indptr)
    made = []
    for groups in _groups_of_users(found.recommender.model, found.test, test_users, held_out.users):
        sums = {f"{name}@{k}": one_hot(np.asarray(own.values[f"{name}@{k}"]), groups) for name in LISTS}
        sizes, counts = np.bincount(groups.of, n, len(groups.names)), one_hot(np.ones(len(n)), groups)
        made.append(card_breakdown(groups, sums, counts, sizes, found.resample))
    hits, held = {f"recall@{k}": own.hits}, own.held
    popularity, sizes = found.asked.popularity, own.held.sum(axis=0)
    return *made, card_breakdown(popularity, hits, held, sizes, found.resample, is_of_users=True)


def _groups_of_users(model: Model, test: Ratings, test_users: NDArray[np.int64], users: Codes) -> Iterator[Groups]:
    """Return groups of test users: by activity, and by the columns of the model's table or else of the test's.

    test_users, users: their codes in the test and in the model, (n,) each.
    """
    yield by_activity(model, users, np.ones(len(users), np.int64), for_card=True)
    if model.user_table is not None:
        yield from by_columns(model.user_table, users)
    elif test.user_table is not None:
        yield from by_columns(test.user_table, test_users)


def card_breakdown(
    groups: Groups,
    sums: Mapping[str, Doubles],
    counts: Doubles,
    sizes: NDArray[np.integer],
    resample: Resample,
    *,
    is_of_users: bool = False,
) -> CardBreakdown:
    """Return measures by groups, small ones joined.

    sums: of each measure, the sums over each user's rows by group, (n_users, n). counts: the weight of these rows.
    sizes: test rows by group, (n,). is_of_users: a measure is the mean over users of their own means.
    """
    if not groups.names:
        return CardBreakdown(groups.by, note=groups.note)
    names, parts, note = joined(groups, counts > 0)
    sums, counts = {name: one @ parts for name, one in sums.items()}, counts @ parts
    n_users = np.count_nonzero(counts, axis=0)
    if is_of_users:
        sums = {name: one / np.maximum(counts, 1) for name, one in sums.items()}
        counts = (counts > 0).astype(np.float64)
    measures = {name: means_by_group(name, one, counts, resample) for name, one in sums.items() if names}
    return CardBreakdown(groups.by, names, tuple(map(int, sizes @ parts)), tuple(map(int, n_users)), measures, note)


def joined(groups: Groups, has_rows: NDArray[np.bool_]) -> tuple[tuple[str, ...], Doubles, str]:
    """Return what a card may show of groups: names, which groups each is made of (n_groups, n), and a note.

    A group of few users says little and may say too much of somebody, so those below `MIN_USERS` are joined. If the
    joined ones are still few, the next smallest joins them, since what is left out could be told from the total. There
    is nothing to show of few users in all. has_rows: which users have test rows in which groups, (n_users, n_groups).
    """

    def n_users(some: list[int]) -> int:
        return int(has_rows[:, some].any(axis=1).sum())

    sizes = has_rows.sum(axis=0)
    order = [at for at in np.argsort(sizes, kind="stable").tolist() if sizes[at] > 0]
    if n_users(order) < MIN_USERS:
        note = f"{groups.by}: fewer than {MIN_USERS} users in all, so that groups are not shown."
        return (), np.zeros((len(sizes), 0)), note
    n_small = int(np.count_nonzero(sizes[order] < MIN_USERS))
    while 0 < n_small < len(order) and n_users(order[:n_small]) < MIN_USERS:
        n_small += 1
    small, kept = order[:n_small], sorted(order[n_small:])
    names = (ALL, *(groups.names[at] for at in kept), *[OTHERS] * bool(small))
    made = [order, *([at] for at in kept), *[small] * bool(small)]
    parts = np.stack([np.isin(np.arange(len(sizes)), some) for some in made], axis=1).astype(np.float64)
    note = f"{groups.by}: the {n_small} smallest groups, some below {MIN_USERS} users, are in '{OTHERS}'."
    return names, parts, note if small else ""
