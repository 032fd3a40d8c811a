"""Evaluate rankings: how high the held-out items stand in each user's list, beside a popularity baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import is_many
from palate.answers.ranking import By, Query, RecommendOptions, query_of
from palate.answers.ranking.classes import item_classes
from palate.answers.ranking.dials import is_expression
from palate.data.ratings import Ratings
from palate.distributed import Exchange, Local
from palate.errors import OptionError
from palate.evaluation import list_metrics
from palate.evaluation.breakdowns import OWN, Breakdown, breakdown, one_hot
from palate.evaluation.cold_items import cold_items, cold_values, is_cold
from palate.evaluation.groups import Groups, by_activity, by_popularity
from palate.evaluation.hindsight import hindsight_note, n_older_of
from palate.evaluation.matching import HeldOut, among, code_maps, held_out_of, learned_from, training_ratings
from palate.evaluation.propensities import InversePropensities, effective_size, notes_on
from palate.evaluation.rank_tables import table
from palate.evaluation.ranks import rank_held_out
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, plain_measures
from palate.evaluation.user_measures import KCurves, UserMeasures, as_ratio, curve_ks, main_measure, user_values
from palate.models.model import Model
from palate.options import check_whole
from palate.recipes import Popularity
from palate.recommender import Recommender
from palate.showing.events import within
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

KS = (5, 10, 20, 100)
BASELINE = "Popularity"
MAX_K = 2**20
BLOCK_USERS = 1 << 14  # users who are measured at once
MAX_CELLS = 50_000_000  # items times classes of a column that a dial goes by; larger ones are not measured
Mask = NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class RankingReport(Measured):
    """The result of evaluate() on implicit ratings. report["ndcg@10"] is a number; print(report) prints a table.

    An unknown measure name raises OptionError, which lists the valid ones.

    Attributes:
        n (int): The number of held-out items.
        n_users (int): The number of users with held-out items.
        n_items (int): The number of items that lists are made of: the catalogue, or what items= and where= leave.
        n_missed (int): The number of held-out items that cannot be recommended, because the model does not know them or
            the user has seen them in training. They count as misses.
        k (tuple of int): The list lengths at which measures are given, in ascending order.
        measures (dict of str to Measure): "ndcg@k", "recall@k", "precision@k", "hit_rate@k", "map@k", "mrr@k",
            "coverage@k", "novelty@k" and "popularity_bias@k" for each k; "diversity@k" for models with factors,
            and with dials for all; "diversity_genres@k" and "miscalibration_genres@k" where attribute="genres" was
            given, or a dial goes by genres; "auc". With propensity= also "snips_recall@k" and
            "snips_dcg@k", in which a held-out item weighs 1 / propensity among those of its user. Where some held-out
            items have no training choices, "cold_ndcg@k" and "cold_recall@k" rank such items among each other alone.
        baselines (dict of str to dict, default empty): The measures of each baseline, by its name.
        verdict (str, default ""): A sentence if the model is not significantly better than the baseline.
        by (str, default "mean"): What the lists are ranked by, as in recommend().
        keep_seen (bool, default False): Whether lists may hold items that the user has seen in training.
        n_learned (int, default 0): The number of held-out items that the user has seen in training.
        n_cold (int, default 0): The number of held-out items that have no training choices at all.
        propensity (str, default ""): Where the propensities are from: "popularity", "given", or "" without any.
        n_effective (float or None, default None): The effective sample size of the weights, (sum w)^2 / sum w^2.
        dials (dict, default empty): The dials of the lists, and max_per, as they were given.
        without (dict of str to Measure, default empty): The measures of the same model without dials, where there are
            any.
        difference (dict of str to Measure, default empty): What the dials change: `measures` less `without`, with
            bootstrap intervals of the difference.
        n_older (int, default 0): The number of held-out items that the user chose before a choice of the training
            ratings; 0 too if they have no times.
        per_user (PerUser or None, default None): The measure that models are compared by, split by user.
        breakdowns (tuple of Breakdown, default empty): The measure that models are compared by, by the number of
            training choices of the user; and the share of held-out items within the first k, by that of the item.
        curves (KCurves or None, default None): Recall and NDCG at more k.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
        >>> train, test = palate.split_within_users(likes, test=0.2, seed=0)
        >>> report = palate.evaluate(palate.Popularity().fit(train), test, k=(5, 10))
        >>> 0 < report["recall@5"] <= report["recall@10"] < 1
        True
    """

    n: int
    n_users: int
    n_items: int
    n_missed: int
    k: tuple[int, ...]
    measures: dict[str, Measure]
    baselines: dict[str, dict[str, Measure]] = field(default_factory=dict)
    verdict: str = ""
    by: By = "mean"
    keep_seen: bool = False
    n_learned: int = 0
    n_cold: int = 0
    propensity: str = ""
    n_effective: float | None = None
    dials: dict[str, Any] = field(default_factory=dict)
    without: dict[str, Measure] = field(default_factory=dict)
    difference: dict[str, Measure] = field(default_factory=dict)
    n_older: int = 0
    per_user: PerUser | None = field(default=None, repr=False, compare=False)
    breakdowns: tuple[Breakdown, ...] = field(default=(), repr=False, compare=False)
    curves: KCurves | None = field(default=None, repr=False, compare=False)

    def plot(self, what: str | None = None, *, ax: Any = None) -> Figure:
        """Draw recall and NDCG against the length of the list, and by activity of users and popularity of items.

        "recall" and "ndcg" are curves over k, with 95% intervals at the k that were asked for; "activity" is the NDCG
        by the number of training choices of the user, and "popularity" the share of held-out items within the first k
        by the number of training choices of the item. The gray baseline is Popularity.

        Parameters:
            what (str or None, default None): One of these four; None draws all.
            ax (matplotlib Axes or list of Axes, default None): Where to draw, one for each drawing; None makes a figure
                of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: matplotlib is not installed, there is no such drawing, or ax does not fit.

        Example:
            >>> import palate
            >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
            >>> train, test = palate.split_within_users(likes, test=0.2, seed=0)
            >>> report = palate.evaluate(palate.Popularity().fit(train), test)
            >>> report.plot("recall").axes[0].get_xlabel()
            'k: length of the list'
        """
        check_matplotlib("RankingReport.plot")
        from palate.evaluation.pictures import plot_lists

        return plot_lists(self, what, ax, ("recall", "ndcg"))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Returns:
            dict: All attributes but per_user, breakdowns and curves. Each measure is a dict of value, low and high; nan
                becomes None.
        """
        return {
            "n": self.n,
            "n_users": self.n_users,
            "n_items": self.n_items,
            "n_missed": self.n_missed,
            "k": list(self.k),
            "measures": plain_measures(self.measures),
            "baselines": {name: plain_measures(measures) for name, measures in self.baselines.items()},
            "verdict": self.verdict,
            "by": self.by,
            "keep_seen": self.keep_seen,
            "n_learned": self.n_learned,
            "n_cold": self.n_cold,
            "propensity": self.propensity,
            "n_effective": self.n_effective,
            "dials": {name: str(value) if is_expression(value) else value for name, value in self.dials.items()},
            "without": plain_measures(self.without),
            "difference": plain_measures(self.difference),
            "n_older": self.n_older,
        }

    def _heading(self) -> str:
        ranked_by = "" if self.by == "mean" else f' by="{self.by}"'
        ranked_by += (
            f" with {', '.join(f'{name}={value!r}' for name, value in self.dials.items())}" if self.dials else ""
        )
        seen = "seen ones included" if self.keep_seen else "but those the user had seen in training"
        return (
            f"{self.n:,} held-out items of {self.n_users:,} users, ranked{ranked_by} among all {self.n_items:,} items "
            f"{seen};\nin brackets, 95% bootstrap intervals over users"
        )

    def _table(self) -> list[list[str]]:
        others = {**self.baselines, "without": self.without, "difference": self.difference}
        return table(self.measures, self.k, others)

    def _notes(self) -> list[str]:
        """Return what a reader should know beside the table, in lines."""
        missed = f"{self.n_missed:,} of them are unknown to the model or were seen in training; they count as misses."
        learned = f"The model was trained on {self.n_learned:,} of them."
        cold = f"{self.n_cold:,} of them are of items without training choices, ranked by themselves in cold_ measures."
        notes = [missed] * bool(self.n_missed) + [learned] * bool(self.n_learned) + [cold] * bool(self.n_cold)
        notes += notes_on(self.propensity, self.n_effective, self.n, "held-out items")
        notes += hindsight_note(self.n_older)
        return [*notes, self.verdict] if self.verdict else notes


def check_ks(k: Any) -> tuple[int, ...]:
    """Return the list lengths in ascending order; raise OptionError unless each lies between 1 and `MAX_K`."""
    given = list(k) if is_many(k) else [k]
    if not given:
        raise OptionError("k is empty; give one or several list lengths, such as 10.")
    for one in given:
        check_whole(1, k=one)
        if one > MAX_K:
            raise OptionError(f"k={one} is too large; give at most {MAX_K}.")
    return tuple(sorted({int(one) for one in given}))


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
    def test_users(self) -> NDArray[np.int64]:
        """The users with held-out items as codes of the test, (n_users,)."""
        return np.flatnonzero(np.bincount(self.test.user_codes))


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


def report_on_lists(found: MeasuredLists) -> RankingReport:
    """Return the report on what was measured."""
    asked, held_out, ks, query = found.asked, found.asked.held_out, found.asked.ks, found.asked.query
    model, baseline, without = found.model, found.baseline, found.without
    resample = found.resample
    return RankingReport(
        n=len(held_out.items),
        n_users=len(held_out.users),
        n_items=int(query.allowed.sum()),
        n_missed=model.n_missed,
        k=ks,
        measures=model.measures(resample, query.allowed),
        baselines={} if baseline is None else {BASELINE: baseline.measures(resample, query.allowed)},
        verdict="" if baseline is None else _verdict(resample, model, baseline, main_measure(ks)),
        by=query.by,
        keep_seen=query.keep_seen,
        n_learned=sum(_n_learned(found.recommender, held_out.part(*users)) for users in _ranges(held_out)),
        n_cold=0 if asked.cold is None else int(is_cold(held_out, asked.cold).sum()),
        propensity="" if found.inverse is None else found.inverse.source,
        n_effective=None if held_out.weights is None else effective_size(held_out.weights),
        dials=found.dials,
        without={} if without is None else without.measures(resample, query.allowed),
        difference={} if without is None else model.difference(without, resample, query.allowed),
        n_older=n_older_of(asked.model, code_maps(found.recommender, found.test)[0], found.test),
        per_user=PerUser(*as_ratio(model.values[main_measure(ks)])),
        breakdowns=_breakdowns(asked, model, baseline, resample),
        curves=KCurves(
            curve_ks(ks), {name: one.curves() for name, one in ((OWN, model), (BASELINE, baseline)) if one is not None}
        ),
    )


def _rows_of_items(held_out: HeldOut, n_items: int) -> NDArray[np.int64]:
    """The number of held-out items of each code, (n_items + 1,), the last for unknown ones."""
    return np.bincount(np.where(held_out.items < 0, n_items, held_out.items), minlength=n_items + 1)


def _breakdowns(
    asked: _Asked, model: UserMeasures, baseline: UserMeasures | None, resample: Resample
) -> tuple[Breakdown, ...]:
    """The main measure by activity, and the share of held-out items in the first k by popularity."""
    held_out, main = asked.held_out, main_measure(asked.ks)
    activity = by_activity(asked.learned, held_out.users, np.ones(len(held_out.users), np.int64))
    measured = {OWN: model} | ({} if baseline is None else {BASELINE: baseline})
    by_user: dict[str, Any] = {
        name: tuple(one_hot(part, activity) for part in as_ratio(one.values[main])) for name, one in measured.items()
    }
    by_item = {name: (one.hits, one.held) for name, one in measured.items()}
    sizes = np.bincount(activity.of, np.diff(held_out.indptr), len(activity.names))
    found = f"recall@{main.partition('@')[2]} of items"
    return (
        breakdown("user", main, activity, sizes, by_user, resample),
        breakdown("item", found, asked.popularity, model.held.sum(axis=0), by_item, resample),
    )


def _n_learned(recommender: Recommender, held_out: HeldOut) -> int:
    """How many held-out items the model was trained on."""
    return int(learned_from(recommender, held_out.owners, held_out.items).sum())


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


def _verdict(resample: Resample, model: UserMeasures, baseline: UserMeasures, name: str) -> str:
    """Return a sentence if the model is not significantly better than the baseline; empty otherwise."""
    own, other = model.values[name], baseline.values[name]
    assert not isinstance(own, tuple) and not isinstance(other, tuple)
    gain = own - other
    return verdict_on(name, float(gain.mean()), resample.ratios(gain[:, None], np.ones((len(gain), 1))))


def verdict_on(name: str, gain: float, sample: Doubles) -> str:
    """Return a sentence if a model is not significantly better than the baseline by a measure; empty otherwise.

    gain: by how much the model is better; sample: the same in each resampling, (n_bootstrap, 1).
    """
    if gain <= 1e-9:
        return (
            f"By {name} this model is NOT better than the baseline {BASELINE}: use {BASELINE}, or look at the data "
            "with palate check."
        )
    if np.nanquantile(sample, 0.025) <= 0:
        return f"By {name} this model is better than the baseline {BASELINE}, but not significantly (95% bootstrap)."
    return ""
