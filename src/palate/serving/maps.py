"""The map of tastes: items on the two widest axes of their factors, axes with names, and where a user stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from palate.answers.axes import PrincipalAxes, principal_axes_of
from palate.data.vocabulary import Label
from palate.models.factors import Doubles
from palate.models.model import Model
from palate.models.network import Network

N_WORDS = 2  # that name an end of an axis
MANY_RATINGS = "number of ratings (log)"  # as principal_axes calls it


class End(Struct):
    """One end of an axis: its name, and the items that lie furthest out."""

    name: str
    items: list[str]


class Axis(Struct):
    """An axis of the map."""

    low: End
    high: End
    explained: Annotated[float, Meta(description="The share of the variance of the item factors.")]
    correlations: Annotated[dict[str, float], Meta(description="With columns and words of the item table.")]


class Place(Struct):
    """Where an item lies."""

    item: Label
    title: str | None
    x: float
    y: float


class Position(Struct):
    """Where a user stands. Items in this direction from the middle suit the user more than those behind."""

    model: str
    x: float
    y: float


class MapAnswer(Struct):
    """The most rated items on two axes."""

    model: str
    axes: list[Axis]
    items: list[Place]


def can_map(model: Model) -> bool:
    """True for models with factors whose products are scores."""
    return model.factors.n_factors >= 2 and not isinstance(model.factors, Network)


@dataclass(frozen=True)
class TasteMap:
    """The axes of a model, and what brings user vectors to the scale of the items.

    A score is a product of a user's and an item's vector, so on the axes it rises most in the user's direction. One
    scale for both axes keeps that direction: users are spread as widely as items.
    """

    model: Model
    principal: PrincipalAxes
    scale: float

    @classmethod
    def of(cls, model: Model) -> TasteMap:
        """The map of a model. Raises OptionError for one without factors, DataError for a broken one."""
        principal = principal_axes_of(model, 2)
        users = model.factors.users[model.history.counts > 0, :-1] @ principal.directions
        spread = float(np.sqrt(np.square(users).sum(axis=1).mean())) if len(users) else 0.0
        items = float(np.sqrt(np.square(principal.coordinates[principal.fitted]).sum(axis=1).mean()))
        return cls(model, principal, items / spread if spread > 0 else 0.0)

    def places(self, codes: Sequence[int], labels: Sequence[Label]) -> list[Place]:
        """Where these items lie; those without finite factors are left out."""
        texts = self.model.item_titles
        return [
            Place(labels[code], None if texts is None else texts[code], *self.principal.coordinates[code].tolist())
            for code in codes
            if np.isfinite(self.principal.coordinates[code]).all()
        ]

    def position(self, vector: Doubles) -> tuple[float, float]:
        """Where a user with this vector (factors, then the bias) stands."""
        x, y = (self.scale * (vector[:-1] @ self.principal.directions)).tolist()
        return x, y

    def axes(self) -> list[Axis]:
        """Both axes, with the names of their ends."""
        return [self._axis(at) for at in range(self.principal.coordinates.shape[1])]

    def _axis(self, at: int) -> Axis:
        chance = 3 / np.sqrt(self.principal.fitted.sum())
        beyond = {name: r for name, r in self.principal.correlations[at].items() if abs(r) > chance}
        low, high = ([self._name_of(code) for code in codes] for codes in self.principal.extremes[at])
        names = list(_names_of_ends(beyond, self._numbers()))
        ends = (
            End(", ".join([name for which, name in names if which == side][:N_WORDS]) or f"like {items[0]}", items)
            for side, items in ((-1, low), (1, high))
        )
        return Axis(next(ends), next(ends), float(self.principal.explained[at]), beyond)

    def _numbers(self) -> set[str]:
        """The columns that are numbers, where both ends mean something."""
        table = self.model.item_table
        return {"year"} if table is None else {"year"} | {s.name for s in table.iter_columns() if s.dtype.is_numeric()}

    def _name_of(self, code: int) -> str:
        texts = self.model.item_titles
        return (None if texts is None else texts[code]) or str(self.model.item_vocabulary.decode([code]).tolist()[0])


def _names_of_ends(correlations: dict[str, float], numbers: set[str]) -> Iterator[tuple[int, str]]:
    """The end (-1 or 1) and a name for it, the strongest first. A word names the end where items have it."""
    for name, r in correlations.items():
        end = 1 if r > 0 else -1
        if name == MANY_RATINGS:
            words = "often rated", "rarely rated"
        elif name.lower().endswith("year"):
            words = "newer", "older"
        elif name in numbers:
            words = f"high {name}", f"low {name}"
        else:
            yield end, name
            continue
        yield end, words[0]
        yield -end, words[1]
