"""max_per={"genre": 2}: at most two items of each genre in one list.

A list is filled in the order of the ranking: an item is taken unless one of its categories is full. Scores and order
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.classes import item_classes, pairs_of
from palate.errors import OptionError
from palate.models.factors import Codes, Floats
from palate.options import is_whole

if TYPE_CHECKING:
    import polars as pl

Fetch = Callable[[NDArray[np.int64], int], tuple[Codes, Floats]]  # rows, n -> codes and scores of their n best
Choose = Callable[[NDArray[np.int64], Codes, Floats], tuple[Codes, Floats]]  # rows and what was fetched -> their lists

MAX_COUNTERS = 1_000_000  # counters and fetched items in memory at once


@dataclass(frozen=True)
class Limit:
    """At most `maximum` items of each class of a column in one list. The classes of all items as compressed rows."""

    maximum: int
    indptr: NDArray[np.int64]  # (n_items + 2,); the last row, of no item, is empty
    classes: Codes  # of item i: classes[indptr[i] : indptr[i + 1]]
    n_classes: int


def limits_of(max_per: Any, table: pl.DataFrame | None, what: str) -> tuple[Limit, ...]:
    """The limits in max_per={column: k}. Raises DataError for a missing column, OptionError unless k is a count."""
    if not isinstance(max_per, Mapping):
        raise OptionError(f'max_per={max_per!r}: give how many of each value of a column, such as {{"genre": 2}}.')
    return tuple(_limit(table, name, k, what) for name, k in max_per.items())


def _limit(table: pl.DataFrame | None, name: str, k: Any, what: str) -> Limit:
    if not is_whole(k) or k < 0:
        raise OptionError(f"max_per={{{name!r}: {k!r}}}: give a whole number, 0 or more.")
    found = item_classes(table, name, "max_per", what)
    return Limit(int(k), found.indptr, found.classes, found.n_classes)


def limited(
    fetch: Fetch,
    n_users: int,
    n: int,
    n_items: int,
    limits: tuple[Limit, ...],
    *,
    choose: Choose | None = None,
    depth: int | None = None,
    at_once: int | None = None,
) -> tuple[Codes, Floats]:
    """The n best of each user within the limits, (n_users, n); code -1 where there are no more.

    For users whose list does not fill, four times as many items are fetched, until it fills or no items are left.
    choose: what makes lists of what was fetched; None takes items in their order. depth: how many items are fetched
    first, None for twice as many as are asked for. at_once: at most so many users are worked on together.
    """
    choose = choose or (lambda _, found, values: in_order(found, values, n, limits))
    codes, scores = np.empty((n_users, n), np.int32), np.empty((n_users, n), np.float32)
    left, depth = np.arange(n_users), min(depth or 2 * n, n_items)
    while len(left) and n:
        unfilled = []
        step = max(1, MAX_COUNTERS // (depth + sum(limit.n_classes for limit in limits)))
        step = step if at_once is None else min(step, at_once)
        for start in range(0, len(left), step):
            rows = left[start : start + step]
            found, values = fetch(rows, depth)
            codes[rows], scores[rows] = choose(rows, found, values)
            unfilled.append(rows[(codes[rows, -1] < 0) & (found[:, -1] >= 0)])
        left = np.concatenate(unfilled) if depth < n_items else left[:0]
        depth = min(4 * depth, n_items)
    return codes, scores


def in_order(found: Codes, values: Floats, n: int, limits: tuple[Limit, ...]) -> tuple[Codes, Floats]:
    """The first n items of each row of a ranking (m, depth), without those that have a full category."""
    m = len(found)
    codes, scores = np.full((m, n), -1, np.int32), np.full((m, n), -np.inf, np.float32)
    counts = [np.zeros((m, limit.n_classes), np.int32) for limit in limits]
    taken = np.zeros(m, np.int64)
    for place in range(found.shape[1]):
        rows = np.flatnonzero((taken < n) & (found[:, place] >= 0))
        if len(rows) == 0:
            break
        at = [pairs_of(limit.indptr, limit.classes, found[rows, place]) for limit in limits]
        free = np.ones(len(rows), bool)
        for limit, count, (row, category) in zip(limits, counts, at, strict=True):
            free[row[count[rows[row], category] >= limit.maximum]] = False
        for count, (row, category) in zip(counts, at, strict=True):
            kept = free[row]
            count[rows[row[kept]], category[kept]] += 1
        rows = rows[free]
        codes[rows, taken[rows]], scores[rows, taken[rows]] = found[rows, place], values[rows, place]
        taken[rows] += 1
    return codes, scores
