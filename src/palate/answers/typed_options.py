"""The options of questions that get a frame, as type checkers read them: a pandas frame in, a pandas frame out.

They stand in the overloads of Recommender alone; what each option means is said there. Options that make another answer
than a frame, such as out=, are left out: with these the general overload holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from palate.answers.arguments import OnUnknown
    from palate.answers.ranking import By
    from palate.data.vocabulary import Label
    from palate.distributed.exchange import Cluster


class PredictOptions(TypedDict, total=False):
    """Options of Recommender.predict for several pairs."""

    when: Any
    level: float
    distribution: bool
    on_unknown: OnUnknown


class ListOptions(TypedDict, total=False):
    """Options of Recommender.recommend for an answer in memory."""

    items: Any
    exclude: Any
    where: Any
    max_per: Mapping[str, int] | None
    keep_seen: bool | None
    by: By
    level: float
    at_least: float | None
    seed: int
    memory: str | int | None
    on_unknown: OnUnknown
    diversity: float
    diversity_by: str | None
    popularity: float
    calibrated: Any
    boost: Any
    recent: Any


class AnyListOptions(ListOptions, total=False):
    """All options of Recommender.recommend."""

    out: str | PathLike[str] | None
    resume: bool
    index: Literal["ann"] | None
    session: Iterable[Label] | None
    overwrite: bool
    on: Cluster | None


class ItemOptions(TypedDict, total=False):
    """Options of Recommender.similar_items."""

    items: Any
    exclude: Iterable[Label]
    where: Any


class UserOptions(TypedDict, total=False):
    """Options of Recommender.similar_users."""

    users: Any
    exclude: Iterable[Label]
    where: Any
