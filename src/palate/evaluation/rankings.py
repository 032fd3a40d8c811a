"""Evaluate rankings: how high the held-out items stand in each user's list, beside a popularity baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
from palate.evaluation.cold_items import cold_items, cold_values, is_cold
from palate.evaluation.hindsight import hindsight_note, n_older_of
from palate.evaluation.matching import HeldOut, among, code_maps, held_out_of, learned_from, training_ratings
from palate.evaluation.propensities import InversePropensities, effective_size, notes_on
from palate.evaluation.rank_metrics import AT_K, UNREACHABLE, WEIGHTED_AT_K, HeldOutRanks, auc
from palate.evaluation.rank_tables import table
from palate.evaluation.ranks import rank_held_out
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, measures_of, plain_measures
from palate.models.factors import Codes
from palate.models.model import Model
from palate.options import check_whole
from palate.recipes import Popularity
from palate.recommender import Recommender

KS = (5, 10, 20, 100)
BASELINE = "Popularity"
MAX_K = 2**20
BLOCK_USERS = 1 << 14  # users who are measured at once
MAX_CELLS = 50_000_000  # items times classes of a column that a dial goes by; larger ones are not measured
Mask = NDArray[np.bool_]
UserValues = Doubles | tuple[Doubles, Doubles]  # one number per user, or a numerator and a denominator


@dataclass(frozen=True)
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

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Returns:
            dict: All attributes but per_user. Each measure is a dict of value, low and high; nan becomes None.
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

    def __str__(self) -> str:
        ranked_by = "" if self.by == "mean" else f' by="{self.by}"'
        ranked_by += (
            f" with {', '.join(f'{name}={value!r}' for name, value in self.dials.items())}" if self.dials else ""
        )
        seen = "seen ones included" if self.keep_seen else "but those the user had seen in training"
        head = (
            f"{self.n:,} held-out items of {self.n_users:,} users, ranked{ranked_by} among all {self.n_items:,} items "
            f"{seen};\nin brackets, 95% bootstrap intervals over users"
        )
        missed = f"{self.n_missed:,} of them are unknown to the model or were seen in training; they count as misses."
        learned = f"The model was trained on {self.n_learned:,} of them."
        cold = f"{self.n_cold:,} of them are of items without training choices, ranked by themselves in cold_ measures."
        notes = [missed] * bool(self.n_missed) + [learned] * bool(self.n_learned) + [cold] * bool(self.n_cold)
        notes += notes_on(self.propensity, self.n_effective, self.n, "held-out items")
        notes += hindsight_note(self.n_older)
        others = {**self.baselines, "without": self.without, "difference": self.difference}
        return "\n".join(
            [head, *table(self.measures, self.k, others), *notes, *([self.verdict] if self.verdict else [])]
        )


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


def main_measure(ks: Sequence[int]) -> str:
    """Return the measure that models are compared by: ndcg@10, or ndcg at the k nearest to 10."""
    return f"ndcg@{min(ks, key=lambda k: (abs(k - 10), k))}"


def evaluate_rankings(
    recommender: Recommender,
    test: Ratings,
    ks: tuple[int, ...],
    *,
    attribute: str | None,
    baselines: bool,
    n_bootstrap: int,
    seed: int,
    options: RecommendOptions,
    inverse: InversePropensities | None = None,
    on: Exchange | None = None,
) -> RankingReport:
    """Return the report on held-out implicit ratings; see evaluate(). options: what to rank by."""
    query = query_of(recommender.model, options)
    dials, plain = dials_in_use(options), replace(query, dials=None, limits=())
    held_out = held_out_of(recommender, test, None if inverse is None else inverse.weights)
    if not query.allowed.all():
        held_out = among(held_out, query.allowed)
    resample = Resample(len(held_out.users), n_bootstrap, seed)
    cold = cold_items(recommender.model, query)
    n_cold = int(is_cold(held_out, cold).sum())
    asked = _Asked(
        recommender.model, recommender.model, held_out, ks, query,
        sets=_sets(recommender.model, attribute, options), cold=cold if n_cold else None, has_dials=bool(dials),
    )  # fmt: skip
    exchange: Exchange = Local() if on is None else on

    model = _measured(asked, exchange)
    baseline = None
    if baselines:
        popularity = Popularity().fit(training_ratings(recommender), progress=False)
        baseline = _measured(replace(asked, model=popularity.model, query=replace(plain, by="mean")), exchange)
    without = _measured(replace(asked, query=plain), exchange) if dials else None
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
        n_learned=sum(_n_learned(recommender, held_out.part(*users)) for users in _ranges(held_out)),
        n_cold=n_cold,
        propensity="" if inverse is None else inverse.source,
        n_effective=None if held_out.weights is None else effective_size(held_out.weights),
        dials=dials,
        without={} if without is None else without.measures(resample, query.allowed),
        difference={} if without is None else model.difference(without, resample, query.allowed),
        n_older=n_older_of(recommender.model, code_maps(recommender, test)[0], test),
        per_user=PerUser(*_as_ratio(model.values[main_measure(ks)])),
    )


def values_by_user(
    recommender: Recommender, test: Ratings, k: int, options: RecommendOptions
) -> tuple[Codes, dict[str, UserValues]]:
    """Return the test users in the model's codes, (n,), and each measure of each of them; nan for users left out."""
    query, held_out = query_of(recommender.model, options), held_out_of(recommender, test)
    model = recommender.model
    asked = _Asked(model, model, held_out, (k,), query, sets={}, cold=None, has_dials=False)
    return held_out.users, _measured(asked, Local()).values


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
    found = UserMeasures.of(ks, ranks, lists, model, user_values(model, held_out, ranks, lists, ks))
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


@dataclass(frozen=True)
class UserMeasures:
    """The measures of one model, user by user.

    values: by measure, one number for each user, nan for users left out of the mean. A pair (numerators, denominators)
    stands for a measure that is the ratio of two means, less 1.
    """

    ks: tuple[int, ...]
    n_missed: int  # held-out items that cannot be recommended
    listed: Mask  # which items stand in the first k of a list, (n_ks, n_items)
    values: dict[str, UserValues]

    @classmethod
    def of(
        cls, ks: tuple[int, ...], ranks: HeldOutRanks, lists: Codes, model: Model, values: dict[str, UserValues]
    ) -> UserMeasures:
        """Return the measures of some users with these ranks and lists."""
        listed = list_metrics.listed_items(lists, ks, len(model.item_vocabulary))
        return cls(ks, int((ranks.ranks == UNREACHABLE).sum()), listed, values)

    @classmethod
    def joined(cls, blocks: Sequence[UserMeasures]) -> UserMeasures:
        """Return the measures of the users of all blocks, in the order of the blocks."""
        values: dict[str, UserValues] = {}
        for name in blocks[0].values:
            parts: list[Any] = [block.values[name] for block in blocks]
            if isinstance(parts[0], tuple):
                above, below = (np.concatenate(part) for part in zip(*parts, strict=True))
                values[name] = above, below
            else:
                values[name] = np.concatenate(parts)
        listed = np.logical_or.reduce([block.listed for block in blocks])
        return cls(blocks[0].ks, sum(block.n_missed for block in blocks), listed, values)

    def add(self, name: str, at_ks: Sequence[Doubles]) -> None:
        """Add a measure at each k."""
        self.values.update({f"{name}@{k}": values for k, values in zip(self.ks, at_ks, strict=True)})

    def measures(self, resample: Resample, allowed: Mask) -> dict[str, Measure]:
        """Return the means over users with their intervals; coverage, of the allowed items, is no mean and has none."""
        found = dict(zip(self.values, measures_of(*self._estimates(resample)), strict=True))
        return found | {name: Measure(share) for name, share in self._coverage(allowed).items()}

    def difference(self, other: UserMeasures, resample: Resample, allowed: Mask) -> dict[str, Measure]:
        """Return the measures less those of other lists for the same users, with intervals of the difference."""
        (own, own_samples), (values, samples) = self._estimates(resample), other._estimates(resample)
        found = dict(zip(self.values, measures_of(own - values, own_samples - samples), strict=True))
        shares = other._coverage(allowed)
        return found | {name: Measure(share - shares[name]) for name, share in self._coverage(allowed).items()}

    def _estimates(self, resample: Resample) -> tuple[Doubles, Doubles]:
        """Return each mean over users, (n,), and the same in each resampling, (n_bootstrap, n)."""
        sums, counts = (np.array(part).T for part in zip(*map(_as_ratio, self.values.values()), strict=True))
        shifts = [-1.0 if isinstance(values, tuple) else 0.0 for values in self.values.values()]
        with np.errstate(invalid="ignore", divide="ignore"):
            values = sums.sum(axis=0) / counts.sum(axis=0) + shifts
        return values, resample.ratios(sums, counts) + shifts

    def _coverage(self, allowed: Mask) -> dict[str, float]:
        scale = float(len(allowed) / allowed.sum())
        return {f"coverage@{k}": float(items.mean()) * scale for k, items in zip(self.ks, self.listed, strict=True)}


def user_values(
    model: Model, held_out: HeldOut, ranks: HeldOutRanks, lists: Codes, ks: tuple[int, ...]
) -> dict[str, UserValues]:
    """Return each measure of each user."""
    found: dict[str, UserValues] = {}
    for name, metric in AT_K.items():
        found |= {f"{name}@{k}": metric(ranks, k) for k in ks}
    if ranks.weights is not None:
        for name, metric in WEIGHTED_AT_K.items():
            found |= {f"{name}@{k}": metric(ranks, k) for k in ks}
    found["auc"] = auc(ranks)
    shares = list_metrics.item_shares(model)
    own = list_metrics.history_popularity(model, held_out.users, shares)
    at_ks: dict[str, Sequence[Doubles]] = {"novelty": list_metrics.novelty(lists, ks, shares)}
    if model.factors.n_factors > 0:
        at_ks["diversity"] = list_metrics.diversity(
            lists, ks, np.ascontiguousarray(model.factors.items[:, model.compared_columns])
        )
    for name, values in at_ks.items():
        found |= {f"{name}@{k}": value for k, value in zip(ks, values, strict=True)}
    for k, value in zip(ks, list_metrics.popularity(lists, ks, shares), strict=True):
        both = np.isfinite(own) & np.isfinite(value)
        found[f"popularity_bias@{k}"] = np.where(both, value, np.nan), np.where(both, own, np.nan)
    return found


def _as_ratio(values: UserValues) -> tuple[Doubles, Doubles]:
    """Return the numerator and denominator of each user; both 0 for users left out."""
    if isinstance(values, tuple):
        return np.nan_to_num(values[0]), np.nan_to_num(values[1])
    counts = np.isfinite(values)
    return np.where(counts, values, 0.0), counts.astype(np.float64)


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
