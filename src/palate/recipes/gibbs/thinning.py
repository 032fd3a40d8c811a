"""Thinning: a few whole draws of a chain, evenly spaced, become the posterior samples of a model.

`Thinned.add` gets every draw after the burn-in and copies some of them; `Thinned.posterior` hands them over at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.scratch import Scratch
from palate.data.rows import CompressedRows
from palate.models.cold_start import ColdStart, fit_cold_start
from palate.models.factors import Floats
from palate.models.posterior import Posterior, SideSamples

FIRST_SLOTS = 64  # slots of a new table; it grows when they are full
SIDE_PARTS = ("vectors", "mean", "precision", "link")  # of a draw of one side

ColdStartRows = tuple[
    tuple[CompressedRows, float, float], CompressedRows | None, int
]  # a side's targets with their center and scale, its attributes and their number
SideTables = tuple[Floats, Floats, Floats, Floats | None]  # vectors, means, precisions and links of all kept draws


@dataclass(frozen=True)
class SideDraw:
    """One draw of a side: vectors (n, k), mean (k,) and precision (k, k) of their prior, the link (n_features, k)."""

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
    cuts: Floats | None = None  # (K - 1,) cut points of ordinal ratings


class Thinned:
    """Evenly spaced draws, at most `limit`. When they are full, every second one is dropped and the spacing doubles.

    n_draws: how many draws will come, if that is known; the first spacing is then the last.

    Draws are copied at once into the tables that the posterior will be made of. Stacking them at the end instead would
    need their memory twice, and half as much again for fragmentation. scratch: where the tables lie, if not in memory.
    """

    STATE: ClassVar = ("_spacing", "_seen")  # the draws themselves: parts()

    def __init__(self, limit: int, n_draws: int = 0, scratch: Scratch | None = None) -> None:
        self._limit, self._spacing, self._seen = limit, max(1, -(-n_draws // limit)), 0
        self._slots: list[int] = []  # of the kept draws, ascending; valid at any time, so that Ctrl-C may come
        self._alpha, self._cuts = _Table(limit), _Table(limit)
        self._users, self._items = _Side(limit, scratch), _Side(limit, scratch)

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, draw: Draw) -> None:
        """Copy the draw if it is its turn."""
        if self._seen % self._spacing == 0 and len(self) == self._limit:
            self._slots = self._slots[::2]
            self._spacing *= 2
        if self._seen % self._spacing == 0:
            self._close_up()
            self._set(len(self), draw)
            self._slots.append(len(self))
        self._seen += 1

    def parts(self) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        """The name and the arrays of each kept draw, by which it is set again. A draw keeps its name."""
        for at, slot in enumerate(self._slots):
            arrays = {"alpha": self._alpha.get(slot), "cuts": self._cuts.get(slot)}
            for side, tables in (("users", self._users), ("items", self._items)):
                arrays |= {f"{side}.{name}": table.get(slot) for name, table in tables.tables.items()}
            yield f"draw-{at * self._spacing}", {name: part for name, part in arrays.items() if part is not None}

    def set_part(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Set the next kept draw from its arrays."""
        users, items = (_draw_of(side, arrays) for side in ("users", "items"))
        self._set(len(self), Draw(float(arrays["alpha"]), users, items, arrays.get("cuts")))
        self._slots.append(len(self))

    def posterior(
        self, center: float, scale: float, users: ColdStartRows, items: ColdStartRows, n_threads: int = 1
    ) -> Posterior:
        """The kept draws as a posterior. It takes the tables over: nothing can be added afterwards."""
        self._close_up()
        n, self._slots = len(self), []
        alpha, cuts = self._alpha.cut(n), self._cuts.cut(n)
        user_tables, item_tables = self._users.cut(n), self._items.cut(n)
        assert alpha is not None
        user_samples = _samples(user_tables, fit_cold_start(user_tables[0], item_tables[0], *users, n_threads))
        item_samples = _samples(item_tables, fit_cold_start(item_tables[0], user_tables[0], *items, n_threads))
        return Posterior(center, scale, alpha, user_samples, item_samples, cuts=cuts)

    def _set(self, slot: int, draw: Draw) -> None:
        self._alpha.set(slot, np.asarray(draw.alpha, np.float32))
        self._cuts.set(slot, draw.cuts)
        self._users.set(slot, draw.users)
        self._items.set(slot, draw.items)

    def _close_up(self) -> None:
        """Move the kept draws to the first slots."""
        for to, slot in enumerate(self._slots):
            if to != slot:
                for tables in (self._alpha, self._cuts, self._users, self._items):
                    tables.move(slot, to)
                self._slots[to] = to


class _Table:
    """One array per draw, in one array of all slots: (n_slots, ...). scratch: where it lies if it is large."""

    def __init__(self, limit: int, scratch: Scratch | None = None) -> None:
        self._limit, self._scratch = limit, scratch
        self._array: NDArray[Any] | None = None

    def set(self, slot: int, value: NDArray[Any] | None) -> None:
        """Write to a slot. Slots that were never written to use no memory of the system, nor room on the disk."""
        if value is None:
            return
        if self._array is None or slot == len(self._array):
            shape = min(self._limit, max(FIRST_SLOTS, 2 * slot)), *value.shape
            larger = np.empty(shape, value.dtype) if self._scratch is None else self._scratch.empty(shape, value.dtype)
            if self._array is not None:
                larger[:slot] = self._array
            self._array = larger
        self._array[slot] = value

    def get(self, slot: int) -> NDArray[Any] | None:
        """What is in a slot; None if there is no such array in a draw."""
        return None if self._array is None else np.asarray(self._array[slot])

    def move(self, slot: int, to: int) -> None:
        """Copy one slot to another."""
        if self._array is not None:
            self._array[to] = self._array[slot]

    def cut(self, n: int) -> NDArray[Any] | None:
        """The first n slots; the table is empty afterwards."""
        array, self._array = self._array, None
        if array is None or not array.flags.owndata:  # mapped: slots beyond take no room
            return None if array is None else array[:n]
        array.resize((n, *array.shape[1:]), refcheck=False)  # in place: frees the other slots
        return array


class _Side:
    """The tables of one side: vectors, means, precisions and links."""

    def __init__(self, limit: int, scratch: Scratch | None) -> None:
        self.tables = {name: _Table(limit, scratch) for name in SIDE_PARTS}

    def set(self, slot: int, draw: SideDraw) -> None:
        """Write a draw to a slot."""
        for name, table in self.tables.items():
            table.set(slot, getattr(draw, name))

    def move(self, slot: int, to: int) -> None:
        """Copy one slot to another."""
        for table in self.tables.values():
            table.move(slot, to)

    def cut(self, n: int) -> SideTables:
        """The first n slots of all tables, which are empty afterwards."""
        vectors, mean, precision, link = (table.cut(n) for table in self.tables.values())
        assert vectors is not None and mean is not None and precision is not None
        return vectors, mean, precision, link


def _draw_of(side: str, arrays: Mapping[str, NDArray[Any]]) -> SideDraw:
    vectors, mean, precision = (arrays[f"{side}.{name}"] for name in SIDE_PARTS[:3])
    return SideDraw(vectors, mean, precision, arrays.get(f"{side}.link"))


def _samples(tables: SideTables, cold_start: ColdStart) -> SideSamples:
    vectors, mean, precision, link = tables
    return SideSamples(vectors, precision, mean, cold_start, link)
