"""The options of recommend(): RecommendOptions as the caller gives them, Query as one model sees them, in codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import OnUnknown
from palate.answers.names import Names
from palate.answers.ranking.dials import DialOptions, Dials, dials_of
from palate.answers.ranking.filters import Lists, allowed_rows, are_lists, lists_of
from palate.answers.ranking.index import ItemIndex
from palate.answers.ranking.max_per import Limit, limits_of
from palate.answers.recent import fading_of
from palate.data.rows import weighted_mean
from palate.errors import OptionError
from palate.models.model import Model
from palate.options import check_choice, check_count, check_flags, check_level, check_seed, is_number

By = Literal["mean", "lower", "thompson", "chance", "likely"]
BYS: tuple[By, ...] = get_args(By)
FROM_DRAWS = ("lower", "thompson", "chance")

MAX_RATING = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class RecommendOptions(DialOptions):
    """The options of Recommender.recommend(), described there. Raises OptionError for values that no model takes."""

    n: int = 10
    items: Any = None
    exclude: Any = ()
    where: Any = None
    max_per: Mapping[str, int] | None = None
    keep_seen: bool | None = None
    by: By = "mean"
    level: float = 0.9
    at_least: float | None = None
    seed: int = 0
    out: Any = None
    memory: str | int | None = None
    resume: bool = False
    index: Literal["ann"] | None = None
    on_unknown: OnUnknown = "fallback"
    recent: Any = None
    overwrite: bool = False
    on: Any = None

    def __post_init__(self) -> None:
        check_count(self.n)
        check_choice("by", self.by, BYS)
        check_level(self.level)
        check_seed(self.seed)
        check_choice("on_unknown", self.on_unknown, get_args(OnUnknown))
        _check_at_least(self.by, self.at_least)
        if self.keep_seen is not None:
            check_flags(keep_seen=self.keep_seen)
        if self.recent is not None:
            fading_of(self.recent)
        super().__post_init__()
        if self.resume and self.out is None:
            raise OptionError("resume=True continues a file: name it with out=.")
        check_flags(overwrite=self.overwrite)
        if self.index is None:
            return
        check_choice("index", self.index, ("ann",))
        if self.by != "mean" or are_lists(self.items):
            raise OptionError(
                'index="ann" goes with by="mean", and not with lists of items for each user; leave it out.'
            )


@dataclass(frozen=True)
class Query:
    """The options of a recommend() call for one model, in codes."""

    n: int
    allowed: NDArray[np.bool_]  # (n_items,) the items that users may get at all
    keep_seen: bool
    by: By
    level: float  # of the interval by whose lower end by="lower" ranks
    seed: int
    at_least: float | None = None  # the rating whose probability (or that of more) "chance" and "likely" rank by
    limits: tuple[Limit, ...] = ()  # max_per
    included_lists: Lists | None = None  # the only items that each user may get, if they differ from user to user
    excluded_lists: Lists | None = None  # items that each user may not get, if they differ from user to user
    index: ItemIndex | None = None  # look the best items up here instead of ranking all
    dials: Dials | None = None  # what changes the order of lists


def query_of(
    model: Model,
    options: RecommendOptions,
    users: tuple[Any, Any] | None = None,
    *,
    index: ItemIndex | None = None,
) -> Query:
    """The query for a model. users: labels and codes of all users to recommend to; None for one fold-in user.

    Raises OptionError for options that the model has no answer to, DataError for a bad condition on columns, and
    UnknownLabelError for unknown items with on_unknown="raise", and for a title that several items have.
    """
    _check_model(model, options)
    names, items, exclude = Names.of_items(model), options.items, options.exclude
    unknown: Literal["raise", "skip"] = "raise" if options.on_unknown == "raise" else "skip"
    included = lists_of(model, items, users, "items", unknown) if are_lists(items) else None
    excluded = lists_of(model, exclude, users, "exclude", unknown) if are_lists(exclude) else None
    for_all: tuple[Any, Iterable[Any]] = (None if included else items, () if excluded else exclude)
    if for_all == (None, ()) and options.where is None:
        allowed = model.every_item
    else:
        allowed = allowed_rows(names, model.item_table, *for_all, options.where, unknown)
    return Query(
        n=min(int(options.n), len(allowed)),
        allowed=allowed,
        keep_seen=model.factors.keeps_seen if options.keep_seen is None else bool(options.keep_seen),
        by=options.by,
        level=float(options.level),
        seed=int(options.seed),
        at_least=_rating_to_reach(model, options),
        limits=limits_of(options.max_per or {}, model.item_table, model.item_vocabulary.what),
        included_lists=included,
        excluded_lists=excluded,
        index=index,
        dials=dials_of(model, options),
    )


def _check_at_least(by: By, at_least: Any) -> None:
    """Raise OptionError unless by= and at_least= go together."""
    if by != "likely" and (by == "chance") != (at_least is not None):
        raise OptionError(
            'by="chance" and at_least= go together (or by="likely"): at_least=4 ranks by the probability of 4 or more.'
        )
    if at_least is not None and (not is_number(at_least) or not abs(at_least) <= MAX_RATING):
        raise OptionError(f"at_least must be a rating, got {at_least!r}.")


def _check_model(model: Model, options: RecommendOptions) -> None:
    """Raise OptionError if the model cannot rank in this way."""
    by, at_least, has_steps = options.by, options.at_least, model.step_distribution is not None
    if by == "likely" and (not model.predicts_ratings or (not has_steps and np.isnan(model.noise))):
        raise OptionError('by="likely" needs ratings with intervals, such as Bayes predicts; use by="mean".')
    if by == "chance" and not has_steps:
        raise OptionError(
            'by="chance" needs a Bayes model of ratings in 2 to 20 steps, which have a probability each; use by="mean".'
        )
    if by == "likely" and at_least is not None and at_least > model.limits[1]:
        raise OptionError(f"at_least={at_least:g}: no training rating is higher than {model.limits[1]:g}.")
    if by in FROM_DRAWS and model.posterior is None:
        raise OptionError(f'by="{by}" needs the draws of a Bayes fit, which this model does not have; use by="mean".')


def _rating_to_reach(model: Model, options: RecommendOptions) -> float | None:
    """The rating given; for by="likely" the lowest training rating above their mean is the default."""
    if options.at_least is not None or options.by != "likely":
        return None if options.at_least is None else float(options.at_least)
    values = model.history.values
    higher = values[values > weighted_mean(values, model.history.weights)]
    return float(higher.min() if len(higher) else values.max())
