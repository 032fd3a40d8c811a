"""Measure held-out items: how high they stand in each user's list, and what the lists are like, user by user.

The users are measured in blocks, in this process or on workers, by the model and by a popularity baseline. A report and
a model card are made of the same measures, so that each list is ranked once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking import Query, RecommendOptions, query_of
from palate.answers.ranking.classes import item_classes
from palate.answers.ranking.dials import is_expression
from palate.data.ratings import Ratings
from palate.distributed import Exchange, Local
from palate.evaluation import list_metrics
from palate.evaluation.cold_items import cold_items, cold_values, is_cold
from palate.evaluation.groups import Groups, by_popularity
from palate.evaluation.matching import HeldOut, among, held_out_of, learned_from, training_ratings
from palate.evaluation.propensities import InversePropensities
from palate.evaluation.ranks import rank_held_out
from palate.evaluation.resampling import Resample
from palate.evaluation.user_measures import UserMeasures, user_values
from palate.models.model import Model
from palate.recipes import Popularity
from palate.recommender import Recommender
from palate.showing.events import within

BLOCK_USERS = 1 << 14  # users who are measured at once
MAX_CELLS = 50_000_000  # items times classes of a column that a dial goes by; larger ones are not measured
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MeasuredLists:
    """What is measured of held-out items, user by user: of a model, of the baseline, and of the model without dials."""

    recommender: Recommender
    test: Ratings
    asked: _Asked
    dials: dict[str, Any]
    inverse: InversePropensities | None
    resample: Resample
    model: UserMeasures
    baseline: UserMeasures | None
    without: UserMeasures | None

    @property
    def n_learned(self) -> int:
        """How many held-out items the model was trained on."""
        parts = (self.asked.held_out.part(*users) for users in _ranges(self.asked.held_out))
        return sum(int(learned_from(self.recommender, part.owners, part.items).sum()) for part in parts)


@within("evaluate")
def measure_lists(
    recommender: Recommender,
    test: Ratings,
    ks: tuple[int, ...],
    *,
    options: RecommendOptions,
    n_bootstrap: int,
    seed: int,
    attribute: str | None = None,
    baselines: bool = True,
    inverse: InversePropensities | None = None,
    on: Exchange | None = None,
    for_card: bool = False,
) -> MeasuredLists:
    """Measure held-out implicit ratings; see evaluate(). options: what to rank by. for_card: item groups of a card."""
    query = query_of(recommender.model, options)
    dials, plain = dials_in_use(options), replace(query, dials=None, limits=())
    held_out = held_out_of(recommender, test, None if inverse is None else inverse.weights)
    if not query.allowed.all():
        held_out = among(held_out, query.allowed)
    cold = cold_items(recommender.model, query)
    asked = _Asked(
        recommender.model, recommender.model, held_out, ks, query,
        sets=_sets(recommender.model, attribute, options),
        cold=cold if is_cold(held_out, cold).any() else None, has_dials=bool(dials),
        popularity=by_popularity(
            recommender.model, _rows_of_items(held_out, recommender.n_items), for_card=for_card
        ),
    )  # fmt: skip
    exchange: Exchange = Local() if on is None else on
    model, baseline = _measured(asked, exchange), None
    if baselines:
        popularity = Popularity().fit(training_ratings(recommender), progress=False)
        baseline = _measured(replace(asked, model=popularity.model, query=replace(plain, by="mean")), exchange)
    return MeasuredLists(
        recommender, test, asked, dials, inverse,
        resample=Resample(len(held_out.users), n_bootstrap, seed),
        model=model,
        baseline=baseline,
        without=_measured(replace(asked, query=plain), exchange) if dials else None,
    )  # fmt: skip


def _rows_of_items(held_out: HeldOut, n_items: int) -> NDArray[np.int64]:
    """The number of held-out items of each code, (n_items + 1,), the last for unknown ones."""
    return np.bincount(np.where(held_out.items < 0, n_items, held_out.items), minlength=n_items + 1)


@dataclass(frozen=True)
class _Asked:
    """What held-out items are measured by."""

    model: Model
    learned: Model  # whose histories and tables count: the same, but for a baseline
    held_out: HeldOut
    ks: tuple[int, ...]
    query: Query
    sets: dict[str, Mask]
    cold: Mask | None  # the cold items, if some are held out
    has_dials: bool
    popularity: Groups


def _ranges(held_out: HeldOut) -> Iterator[tuple[int, int]]:
    """Users who are measured at once: (first, last), the last one excluded."""
    for first in range(0, len(held_out.users), BLOCK_USERS):
        yield first, min(first + BLOCK_USERS, len(held_out.users))


def _measured(asked: _Asked, exchange: Exchange) -> UserMeasures:
    """Measure all users, block by block."""
    return UserMeasures.joined(list(exchange.map(measure_users, _ranges(asked.held_out), exchange.put(asked))))


def measure_users(first: int, last: int, asked: _Asked) -> UserMeasures:
    """Measure the users from first to last (exclusive): the task of a worker."""
    model, ks, held_out = asked.model, asked.ks, asked.held_out.part(first, last)
    ranks, lists = rank_held_out(model, held_out, min(ks[-1], len(model.item_vocabulary)), asked.query)
    found = UserMeasures.of(ks, ranks, lists, model, user_values(model, held_out, ranks, lists, ks), asked.popularity)
    if asked.cold is not None:
        found.values.update(cold_values(model, held_out, ks, asked.query, asked.cold))
    for name, classes in asked.sets.items():
        found.add(f"diversity_{name}", list_metrics.attribute_diversity(lists, ks, classes))
        found.add(
            f"miscalibration_{name}", list_metrics.miscalibration(asked.learned, held_out.users, lists, ks, classes)
        )
    if asked.has_dials and model.factors.n_factors == 0:
        found.add("diversity", list_metrics.diversity_by_users(lists, ks, model))
    return found


def dials_in_use(options: RecommendOptions) -> dict[str, Any]:
    """Return the dials that are not at 0, and max_per, as they were given."""
    given = {
        "diversity": options.diversity,
        "diversity_by": options.diversity and options.diversity_by,
        "popularity": options.popularity,
        "calibrated": options.calibrations() and options.calibrated,
        "boost": options.boosts() and options.boost,
        "max_per": options.max_per,
    }
    return {name: value for name, value in given.items() if is_expression(value) or value}


def _sets(model: Model, attribute: str | None, options: RecommendOptions) -> dict[str, Mask]:
    """Return the classes of the items by each column that lists are measured by: `attribute`, and those of dials."""
    found = {} if attribute is None else {attribute: list_metrics.attribute_sets(model.item_table, attribute)}
    by = [*options.calibrations(), *([options.diversity_by] if options.diversity and options.diversity_by else [])]
    for name in dict.fromkeys(by):
        classes = item_classes(model.item_table, name, "attribute", model.item_vocabulary.what)
        if name not in found and len(classes.counts) * classes.n_classes <= MAX_CELLS:
            found[name] = np.zeros((len(classes.counts) - 1, max(classes.n_classes, 1)), bool)
            found[name][np.repeat(np.arange(len(found[name])), classes.counts[:-1]), classes.classes] = True
    return found
