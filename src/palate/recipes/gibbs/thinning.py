"""Thinning: a few whole draws of a chain, evenly spaced, which become the posterior that a model keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.models.cold_start import ColdStart, fit_cold_start
from palate.models.factors import Floats
from palate.models.posterior import Posterior, SideSamples

FIRST_PLACES = 64  # that a table has for draws; more are made when they are needed

Known = tuple[CompressedRows, CompressedRows | None, int]  # ratings of rows, their attributes, how many columns
SideTables = tuple[Floats, Floats, Floats, Floats | None]  # vectors, mean, precision and link, of all draws


@dataclass(frozen=True)
class SideDraw:
    """One draw of a side: vectors (n, k), their Normal's mean (k,) and precision (k, k), the link (n_features, k)."""

    vectors: Floats
    mean: Floats
    precision: Floats
    link: Floats | None


@dataclass(frozen=True)
class Draw:
    """One draw of a chain."""

    alpha: float
    users: SideDraw
    items: SideDraw
    cuts: Floats | None = None  # (K - 1,) cut points of ordered ratings


class Thinned:
    """Evenly spaced draws, at most `limit`: when full, every second one goes and the spacing doubles.

    They are copied into the tables that the posterior will consist of, from the first place on. Stacked up only in the
    end, they would take their memory twice, and half as much again for the holes that so many pieces of it leave.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._spacing, self._seen = limit, 1, 0
        self._places: list[int] = []  # of the kept draws, rising; right at any moment, so that Ctrl-C may come
        self._alpha, self._cuts, self._users, self._items = _Table(limit), _Table(limit), _Side(limit), _Side(limit)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, draw: Draw) -> None:
        """Keep a copy of the draw, or not."""
        if self._seen % self._spacing == 0 and len(self) == self._limit:
            self._places = self._places[::2]
            self._spacing *= 2
        if self._seen % self._spacing == 0:
            self._close_up()
            self._set(len(self), draw)
            self._places.append(len(self))
        self._seen += 1

    def posterior(self, center: float, scale: float, users: Known, items: Known) -> Posterior:
        """The kept draws, whose tables are given away.

        users and items: the ratings of each side's rows, and their attributes.
        """
        self._close_up()
        n, self._places = len(self), []
        alpha, cuts = self._alpha.cut(n), self._cuts.cut(n)
        ours, theirs = self._users.cut(n), self._items.cut(n)
        assert alpha is not None
        cold_start = fit_cold_start(ours[0], theirs[0], *users), fit_cold_start(theirs[0], ours[0], *items)
        return Posterior(
            center, scale, alpha, _samples(ours, cold_start[0]), _samples(theirs, cold_start[1]), cuts=cuts
        )

    def _set(self, place: int, draw: Draw) -> None:
        self._alpha.set(place, np.asarray(draw.alpha, np.float32))
        self._cuts.set(place, draw.cuts)
        self._users.set(place, draw.users)
        self._items.set(place, draw.items)

    def _close_up(self) -> None:
        """Move kept draws to the first places."""
        for to, place in enumerate(self._places):
            if to != place:
                for tables in (self._alpha, self._cuts, self._users, self._items):
                    tables.move(place, to)
                self._places[to] = to


class _Table:
    """An array for each draw, one after the other: (places, ...)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._array: NDArray[Any] | None = None

    def set(self, place: int, value: NDArray[Any] | None) -> None:
        """Write a draw; memory that no draw has been written to costs nothing."""
        if value is None:
            return
        if self._array is None or place == len(self._array):
            larger = np.empty((min(self._limit, max(FIRST_PLACES, 2 * place)), *value.shape), value.dtype)
            if self._array is not None:
                larger[:place] = self._array
            self._array = larger
        self._array[place] = value

    def move(self, place: int, to: int) -> None:
        """Write what stands at one place to another one."""
        if self._array is not None:
            self._array[to] = self._array[place]

    def cut(self, n: int) -> NDArray[Any] | None:
        """The first n draws, given away."""
        array, self._array = self._array, None
        if array is not None:
            array.resize((n, *array.shape[1:]), refcheck=False)  # in place: the rest goes back to the system
        return array


class _Side:
    """The tables of one side."""

    def __init__(self, limit: int) -> None:
        self._tables = {name: _Table(limit) for name in ("vectors", "mean", "precision", "link")}

    def set(self, place: int, draw: SideDraw) -> None:
        """Write a draw."""
        for name, table in self._tables.items():
            table.set(place, getattr(draw, name))

    def move(self, place: int, to: int) -> None:
        """Write what stands at one place to another one."""
        for table in self._tables.values():
            table.move(place, to)

    def cut(self, n: int) -> SideTables:
        """The first n draws, given away."""
        vectors, mean, precision, link = (table.cut(n) for table in self._tables.values())
        assert vectors is not None and mean is not None and precision is not None
        return vectors, mean, precision, link


def _samples(tables: SideTables, cold_start: ColdStart) -> SideSamples:
    vectors, mean, precision, link = tables
    return SideSamples(vectors, precision, mean, cold_start, link)
