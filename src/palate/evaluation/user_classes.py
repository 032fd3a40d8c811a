"""Classes of users and of items that measures are told apart by: how active, how popular, and columns of a table.

A class of few users says little and may say too much of somebody: those below `MIN_USERS` are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

MIN_USERS = 20  # in a class that is shown
N_BINS = 4  # of numbers
MAX_VALUES = 50  # of a column of texts; those with more tell users apart, not groups of them
FEW_NUMBERS = 8  # different numbers that are taken as they are
UNKNOWN = "not known"


@dataclass(frozen=True)
class Classes:
    """Classes of users, or of items.

    by: what they are told apart by. names: of the classes. codes: the class of each of them, (n,), -1 for none. note:
    what was done to them.
    """

    by: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    note: str = ""


def by_numbers(by: str, numbers: NDArray[Any], counted: NDArray[np.bool_], noun: str = "") -> Classes:
    """Return classes of about equally many, by a number of each; nan is a class of its own.

    counted: who counts for the size of a class, (n,). noun: of the numbers, such as " ratings".
    """
    values = numbers.astype(np.float64)
    known = counted & np.isfinite(values)
    n_bins = max(1, min(N_BINS, int(known.sum()) // MIN_USERS))
    shares = np.arange(1, n_bins) / n_bins
    edges = np.unique(np.quantile(values[known], shares, method="higher")) if known.any() else np.empty(0)
    edges = edges[edges < values[known].max()] if len(edges) else edges
    codes = np.where(np.isfinite(values), np.searchsorted(edges, values), len(edges) + 1)
    lows = [None, *(_next_above(values, edge) for edge in edges.tolist())]
    ends: list[float | None] = [*edges.tolist(), None]
    names = [_range(low, high) + noun for low, high in zip(lows, ends, strict=True)]
    return joined(Classes(by, (*names, UNKNOWN), codes.astype(np.int64)), counted)


def _next_above(values: NDArray[np.float64], edge: float) -> float:
    return float(values[values > edge].min())


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "all" if high is None else f"up to {high:,.6g}"
    return f"{low:,.6g} or more" if high is None else f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"


def by_columns(table: pl.DataFrame | None, rows: NDArray[np.int64], counted: NDArray[np.bool_]) -> Iterator[Classes]:
    """Return classes by each column of a table.

    rows: the row of each user in the table, (n,), -1 without one. Columns that cannot be told apart have no classes but
    a note.
    """
    if table is None:
        return
    for name in table.columns:
        yield _by_column(name, table[name], rows, counted)


def _by_column(name: str, column: pl.Series, rows: NDArray[np.int64], counted: NDArray[np.bool_]) -> Classes:
    import polars as pl

    kind = column.dtype
    n_values = column.drop_nulls().n_unique() if not kind.is_nested() and kind != pl.Object else MAX_VALUES + 1
    if kind.is_numeric() and n_values > FEW_NUMBERS:
        numbers = np.append(column.cast(pl.Float64).fill_null(np.nan).to_numpy(), np.nan)
        return by_numbers(name, numbers[rows], counted)
    if kind.is_temporal() or n_values > MAX_VALUES:
        what = "times" if kind.is_temporal() else f"{n_values:,} different values" if not kind.is_nested() else "lists"
        return Classes(name, (), np.full(len(rows), -1), f"{name} has {what}, which tell no groups apart.")
    texts = [UNKNOWN if value is None else str(value) for value in column.to_list()]
    names = sorted(set(texts) | {UNKNOWN}, key=lambda text: (text == UNKNOWN, text))
    places = {text: at for at, text in enumerate(names)}
    codes = np.array([*(places[text] for text in texts), places[UNKNOWN]], np.int64)
    return joined(Classes(name, tuple(names), codes[rows]), counted)


def joined(classes: Classes, counted: NDArray[np.bool_]) -> Classes:
    """Return the classes with those of few users joined, and without those of none.

    If the joined ones are still few, the next smallest class joins them, since what is left out could be told from the
    total. No class is left if there are few users in all.
    """
    sizes = np.bincount(classes.codes[counted & (classes.codes >= 0)], minlength=len(classes.names))
    order = [at for at in np.argsort(sizes, kind="stable").tolist() if sizes[at] > 0]
    n_small = sum(1 for at in order if sizes[at] < MIN_USERS)
    while n_small and n_small < len(order) and sum(sizes[order[:n_small]]) < MIN_USERS:
        n_small += 1
    small, kept = set(order[:n_small]), sorted(order[n_small:])
    if not kept and sum(sizes) < MIN_USERS:
        note = f"{classes.by}: fewer than {MIN_USERS} users in all, so that groups are not shown."
        return Classes(classes.by, (), np.full(len(classes.codes), -1), note)
    new = np.full(len(classes.names) + 1, -1)
    new[kept] = np.arange(len(kept))
    new[sorted(small)] = len(kept)
    names = [classes.names[at] for at in kept] + ["all others"] * bool(small)
    note = f"{classes.by}: the {len(small)} smallest groups, some below {MIN_USERS} users, are in 'all others'."
    return Classes(classes.by, tuple(names), new[classes.codes], note if small else classes.note)
