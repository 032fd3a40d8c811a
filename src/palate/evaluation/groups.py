"""Groups that measures are told apart by: how active users are, how popular items are, columns of the table of users.

Numbers fall into groups with about equally many test rows, or users. Two ways of naming them differ at the ends. In a
picture they are closed, and 0 training ratings are a group of their own. On a model card they are open, so that they do
not tell the age of the oldest user.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import Codes
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

N_GROUPS = 5  # of numbers
MIN_USERS = 20  # in a group on a card
MAX_VALUES = 50  # of a column of texts; those with more tell users apart, not groups of them
FEW_NUMBERS = 8  # different numbers that are taken as they are
NONE, UNKNOWN = "none", "not known"
Weights = NDArray[np.integer]


@dataclass(frozen=True)
class Groups:
    """Groups of users, or of items.

    by: what they are told apart by. names: such as "20 to 47". of: the group of each user or item, (n,); of items the
    last is of those that the model does not know, so that code -1 finds its group. note: why there are none.
    """

    by: str
    names: tuple[str, ...]
    of: NDArray[np.int8]
    note: str = ""


# ---- numbers


def by_numbers(by: str, numbers: NDArray[Any], weights: Weights) -> Groups:
    """Return groups for a card by a number of each, (n,); nan is a group of its own, which may be empty.

    weights: (n,), what groups hold about equally much of: 1 for each user, or the test rows of each item.
    """
    values = numbers.astype(np.float64)
    n_groups = min(N_GROUPS, int(weights[np.isfinite(values)].sum()) // MIN_USERS)
    return _by_bounds(by, values, weights, n_groups, is_open=True)


def _by_bounds(by: str, values: NDArray[np.float64], weights: Weights, n_groups: int, *, is_open: bool) -> Groups:
    """The same in up to n_groups groups, with the group of nan last. is_open: the first and the last have no ends."""
    known = np.isfinite(values)
    counted = known & (weights > 0)
    bounds = _upper_bounds(values[counted], weights[counted], n_groups)
    last = max(len(bounds) - 1, 0)
    of = np.where(known, np.minimum(np.searchsorted(bounds, values), last), len(bounds))
    ends: list[tuple[float | None, float | None]]
    ends = [(values[counted & (of == at)].min(), bound) for at, bound in enumerate(bounds)]
    if is_open and ends:
        ends[0], ends[-1] = (None, ends[0][1]), (ends[-1][0], None)
        ends = [(None, None)] if last == 0 else ends
    return Groups(by, (*(_range(low, high) for low, high in ends), UNKNOWN if is_open else NONE), of.astype(np.int8))


def _upper_bounds(values: NDArray[np.float64], weights: Weights, n_groups: int) -> NDArray[np.float64]:
    """The highest value of each of up to n_groups groups with about equally much weight."""
    if len(values) == 0:
        return np.zeros(0)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    at = np.searchsorted(reached, np.arange(1, n_groups) / n_groups)
    return np.unique(np.append(values[order][at], values.max()))


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "all" if high is None else f"up to {_number(high)}"
    if high is None:
        return f"{_number(low)} or more"
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.6g}"


# ---- numbers of training ratings


def by_activity(model: Model, users: Codes, rows: Weights, *, for_card: bool = False) -> Groups:
    """Return groups of test users by their training ratings. users: codes (n,), -1 for unknown; rows: of each."""
    return _by_counts("user", model, np.append(model.history.counts, 0)[users], rows, for_card=for_card)


def by_popularity(model: Model, rows: Weights, *, for_card: bool = False) -> Groups:
    """Return groups of a model's items by their training ratings. rows: test rows of each code, (n_items + 1,)."""
    return _by_counts("item", model, np.append(model.item_counts, 0), rows, for_card=for_card)


def _by_counts(side: str, model: Model, counts: Weights, rows: Weights, *, for_card: bool) -> Groups:
    by = f"{'choices' if model.kind == 'implicit' else 'ratings'} of the {side} in training"
    if for_card:
        return by_numbers(by, counts, rows)
    found = _by_bounds(by, np.where(counts > 0, counts, np.nan), rows, N_GROUPS, is_open=False)
    *names, none = found.names
    if rows[counts == 0].sum() > 0:
        return Groups(by, (none, *names), np.where(counts > 0, found.of + 1, 0).astype(np.int8))
    return Groups(by, tuple(names), np.where(counts > 0, found.of, 0).astype(np.int8))


# ---- columns of a table


def by_columns(table: pl.DataFrame, rows: NDArray[np.integer]) -> Iterator[Groups]:
    """Return groups by each column; one that tells none apart has a note. rows: of each user, (n,), -1 without one."""
    for name in table.columns:
        yield _by_column(name, table[name], rows)


def _by_column(name: str, column: pl.Series, rows: NDArray[np.integer]) -> Groups:
    import polars as pl

    kind = column.dtype
    n_values = column.drop_nulls().n_unique() if not kind.is_nested() and kind != pl.Object else MAX_VALUES + 1
    if kind.is_numeric() and n_values > FEW_NUMBERS:
        numbers = np.append(column.cast(pl.Float64).fill_null(np.nan).to_numpy(), np.nan)
        return by_numbers(name, numbers[rows], np.ones(len(rows), np.int64))
    if kind.is_temporal() or n_values > MAX_VALUES:
        what = "times" if kind.is_temporal() else f"{n_values:,} different values" if not kind.is_nested() else "lists"
        return Groups(name, (), np.zeros(len(rows), np.int8), f"{name} has {what}, which tell no groups apart.")
    texts = [UNKNOWN if value is None else str(value) for value in column.to_list()]
    names = (*sorted({*texts} - {UNKNOWN}), UNKNOWN)
    places = {text: at for at, text in enumerate(names)}
    return Groups(name, names, np.array([*(places[text] for text in texts), places[UNKNOWN]], np.int8)[rows])
