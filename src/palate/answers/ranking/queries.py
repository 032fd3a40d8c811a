"""What is asked of a ranking: the options as people give them, then checked and in codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import check_choice, check_count, check_level, check_seed, z_of
from palate.answers.ranking.categories import Limit, limits_of
from palate.answers.ranking.filters import Lists, allowed_rows, are_lists, lists_of
from palate.answers.ranking.index import ItemIndex
from palate.errors import OptionError
from palate.models.model import Model
from palate.options import is_number

By = Literal["mean", "lower", "thompson", "chance", "likely"]
BYS: tuple[By, ...] = get_args(By)
OF_DRAWS = ("lower", "thompson", "chance")

MAX_RATING = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Wishes:
    """The options of a recommend() call, as they were given."""

    n: Any = 10
    items: Any = None
    exclude: Any = ()
    where: Any = None
    max_per: Mapping[str, int] = field(default_factory=dict)
    keep_seen: bool = False
    by: By = "mean"
    level: Any = 0.9
    at_least: float | None = None
    seed: Any = 0
    index: ItemIndex | None = None


@dataclass(frozen=True)
class Query:
    """What is asked: how many, which items are allowed, and by which score."""

    n: int
    allowed: NDArray[np.bool_]  # (n_items,)
    keep_seen: bool
    by: By
    z: float
    seed: int
    at_least: float | None = None  # the rating whose chance, or that of more, "chance" and "likely" rank by
    limits: tuple[Limit, ...] = ()  # how many of a category one list may have
    only: Lists | None = None  # what each person may get, where that differs
    never: Lists | None = None  # what each may not
    index: ItemIndex | None = None  # to look items up in; None: exactly


def query_of(model: Model, wishes: Wishes, user_rows: tuple[Any, Any] | None = None) -> Query:
    """The options of a recommend() call, checked and in codes. people: labels and codes of all who are asked for.

    Raises OptionError, DataError (a filter on columns) and UnknownLabelError.
    """
    _check(model, wishes)
    items, exclude = wishes.items, wishes.exclude
    only = lists_of(model, items, user_rows, "items") if are_lists(items) else None
    never = lists_of(model, exclude, user_rows, "exclude") if are_lists(exclude) else None
    for_all = None if only else items, () if never else exclude
    allowed = allowed_rows(model.item_vocabulary, model.item_table, *for_all, wishes.where)
    return Query(
        n=min(int(wishes.n), len(allowed)),
        allowed=allowed,
        keep_seen=bool(wishes.keep_seen),
        by=wishes.by,
        z=z_of(wishes.level),
        seed=int(wishes.seed),
        at_least=_least(model, wishes),
        limits=limits_of(wishes.max_per, model.item_table, model.item_vocabulary.what),
        only=only,
        never=never,
        index=wishes.index,
    )


def check_indexed(wishes: Wishes) -> None:
    """OptionError for options that an index cannot answer."""
    if wishes.by != "mean" or are_lists(wishes.items):
        raise OptionError('index="ann" goes with by="mean", and not with lists of items for each user; leave it out.')


def _check(model: Model, wishes: Wishes) -> None:
    """OptionError for an option that makes no sense, or none for this model."""
    check_choice("by", wishes.by, BYS)
    _check_chance(model, wishes.by, wishes.at_least)
    check_level(wishes.level)
    check_count(wishes.n)
    check_seed(wishes.seed)
    if wishes.index is not None:
        check_indexed(wishes)
    if wishes.by in OF_DRAWS and model.posterior is None:
        raise OptionError(
            f'by="{wishes.by}" needs the draws of a Bayes fit, which this model does not have; use by="mean".'
        )


def _check_chance(model: Model, by: By, at_least: float | None) -> None:
    """OptionError for chances of ratings that have none, or without the rating whose chance is asked for."""
    if by == "likely" and (not model.predicts_ratings or (model.factors.steps is None and np.isnan(model.noise))):
        raise OptionError('by="likely" needs ratings with intervals, such as Bayes predicts; use by="mean".')
    if by != "likely" and (by == "chance") != (at_least is not None):
        raise OptionError(
            'by="chance" and at_least= go together (or by="likely"): 4 stands for the chance of a 4 or more.'
        )
    if at_least is None:
        return
    if by == "chance" and model.factors.steps is None:
        raise OptionError('by="chance" needs ordered ratings, which have a chance each: Bayes(likelihood="ordinal").')
    if not is_number(at_least) or not abs(at_least) <= MAX_RATING:
        raise OptionError(f"at_least must be a rating, got {at_least!r}.")
    if by == "likely" and at_least > model.limits[1]:
        raise OptionError(f"at_least={at_least:g}: nobody rated higher than {model.limits[1]:g}, so nothing is likely.")


def _least(model: Model, wishes: Wishes) -> float | None:
    """The rating to reach: as given, or for by="likely" the lowest one of the training above their mean."""
    if wishes.at_least is not None or wishes.by != "likely":
        return None if wishes.at_least is None else float(wishes.at_least)
    values = model.history.values
    higher = values[values > values.mean(dtype=np.float64)]
    return float(higher.min() if len(higher) else values.max())
