"""Rankings: how far up the items that people chose stand in what they are recommended, beside plain popularity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from palate.answers.arguments import check_whole, is_many
from palate.answers.ranking import By, Query, RecommendOptions, query_of
from palate.answers.shapes import aligned
from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.evaluation import lists as of_lists
from palate.evaluation.matching import training_ratings
from palate.evaluation.metrics import AT_K, NEVER, Places, auc
from palate.evaluation.placing import HeldOut, held_out_of, place
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, measures_of, plain_measures
from palate.models.factors import Codes
from palate.models.model import Model
from palate.recipes import Popularity
from palate.recommender import Recommender

KS = (5, 10, 20, 100)
BASELINE = "Popularity"
MOST_K = 2**20


@dataclass(frozen=True)
class RankingReport(Measured):
    """What evaluate() found on implicit ratings. report["ndcg@10"] is a number; print(report) is a table.

    measures: ndcg, recall, precision, hit_rate, map, mrr, coverage, novelty, popularity_bias and diversity (of models
    with factors) at each k, such as "ndcg@10"; diversity_genres@k and the like where an attribute was given; auc.
    baselines: name -> measures. n: held-out items, n_users: users who have any, n_items: the catalogue, n_missed:
    held-out items that cannot be recommended, being unknown to the model or seen in training, and count as misses.
    by: what the lists are ranked by, as in recommend().
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
    per_user: PerUser | None = field(default=None, repr=False, compare=False)  # of the measure compared by

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
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
        }

    def __str__(self) -> str:
        how = "" if self.by == "mean" else f' by="{self.by}"'
        head = (
            f"{self.n:,} held-out items of {self.n_users:,} users, each ranked{how} among all of {self.n_items:,} "
            "items that its user had not seen;\nin brackets, 95% bootstrap intervals over users"
        )
        missed = f"{self.n_missed:,} of them are unknown to the model or were seen in training: they count as misses."
        notes = [missed] if self.n_missed else []
        return "\n".join([head, *_table(self), *notes, *([self.verdict] if self.verdict else [])])


def check_ks(k: Any) -> tuple[int, ...]:
    """The lengths of lists to measure, in order; OptionError for what is no whole number from 1."""
    given = list(k) if is_many(k) else [k]
    if not given:
        raise OptionError("k names no length of a list; give one or several, such as 10.")
    for one in given:
        check_whole("k", one, least=1)
        if one > MOST_K:
            raise OptionError(f"k={one} is more than anybody reads; give at most {MOST_K}.")
    return tuple(sorted({int(one) for one in given}))


def main_measure(ks: Sequence[int]) -> str:
    """The measure that models are compared by: ndcg@10, or at the k that is nearest to it."""
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
) -> RankingReport:
    """The report on held-out implicit ratings; see evaluate(). options: by what to rank."""
    query = query_of(recommender.model, options)
    sets = None if attribute is None else of_lists.attribute_sets(recommender.model.item_table, attribute)
    held_out = held_out_of(recommender, test)
    resample = Resample(len(held_out.users), n_bootstrap, seed)

    def measured(asked: Recommender, query: Query | None = None) -> Ranked:
        places, lists = place(asked.model, held_out, min(ks[-1], asked.n_items), query)
        found = Ranked(ks, places, lists, per_user(asked.model, held_out, places, lists, ks))
        if sets is not None:
            found.add(f"diversity_{attribute}", of_lists.attribute_diversity(lists, ks, sets))
        return found

    model = measured(recommender, query)
    rival = measured(Popularity().fit(training_ratings(recommender), progress=False)) if baselines else None
    return RankingReport(
        n=len(held_out.items),
        n_users=len(held_out.users),
        n_items=recommender.n_items,
        n_missed=int((model.places.ranks == NEVER).sum()),
        k=ks,
        measures=model.measures(resample, recommender.n_items),
        baselines={} if rival is None else {BASELINE: rival.measures(resample, recommender.n_items)},
        verdict="" if rival is None else _verdict(resample, model, rival, main_measure(ks)),
        by=query.by,
        per_user=PerUser(*_as_ratio(model.values[main_measure(ks)])),
    )


@dataclass(frozen=True)
class Ranked:
    """What one model's rankings are like: by measure, a number for each user (nan: he counts in no mean), or two.

    Two, where the measure is the ratio of two means, less 1.
    """

    ks: tuple[int, ...]
    places: Places
    lists: Codes
    values: dict[str, Doubles | tuple[Doubles, Doubles]]

    def add(self, name: str, at_ks: Sequence[Doubles]) -> None:
        """One more measure at each k."""
        self.values.update({f"{name}@{k}": values for k, values in zip(self.ks, at_ks, strict=True)})

    def measures(self, resample: Resample, n_items: int) -> dict[str, Measure]:
        """The means over users with their intervals; coverage is no mean, and has none."""
        sums, counts = (np.array(part).T for part in zip(*map(_as_ratio, self.values.values()), strict=True))
        shifts = [-1.0 if isinstance(values, tuple) else 0.0 for values in self.values.values()]
        with np.errstate(invalid="ignore", divide="ignore"):
            values = sums.sum(axis=0) / counts.sum(axis=0) + shifts
        samples = resample.ratios(sums, counts) + shifts
        found = dict(zip(self.values, measures_of(values, samples), strict=True))
        shares = of_lists.coverage(self.lists, self.ks, n_items)
        return found | {f"coverage@{k}": Measure(share) for k, share in zip(self.ks, shares, strict=True)}


def per_user(
    model: Model, held_out: HeldOut, places: Places, lists: Codes, ks: tuple[int, ...]
) -> dict[str, Doubles | tuple[Doubles, Doubles]]:
    """Every measure of every user."""
    found: dict[str, Doubles | tuple[Doubles, Doubles]] = {}
    for name, metric in AT_K.items():
        found |= {f"{name}@{k}": metric(places, k) for k in ks}
    found["auc"] = auc(places)
    shares = of_lists.item_shares(model)
    own = of_lists.history_popularity(model, held_out.users, shares)
    at_ks: dict[str, Sequence[Doubles]] = {"novelty": of_lists.novelty(lists, ks, shares)}
    if model.factors.n_factors > 0:
        at_ks["diversity"] = of_lists.diversity(lists, ks, model.factors.items[:, :-1])
    for name, values in at_ks.items():
        found |= {f"{name}@{k}": value for k, value in zip(ks, values, strict=True)}
    for k, value in zip(ks, of_lists.popularity(lists, ks, shares), strict=True):
        both = np.isfinite(own) & np.isfinite(value)
        found[f"popularity_bias@{k}"] = np.where(both, value, np.nan), np.where(both, own, np.nan)
    return found


def _as_ratio(values: Doubles | tuple[Doubles, Doubles]) -> tuple[Doubles, Doubles]:
    """Numerator and denominator of each user; 0 and 0 where he does not count."""
    if isinstance(values, tuple):
        return np.nan_to_num(values[0]), np.nan_to_num(values[1])
    counts = np.isfinite(values)
    return np.where(counts, values, 0.0), counts.astype(np.float64)


def _verdict(resample: Resample, model: Ranked, rival: Ranked, name: str) -> str:
    """A sentence when the model is not clearly better than the baseline; empty when it is."""
    own, other = model.values[name], rival.values[name]
    assert not isinstance(own, tuple) and not isinstance(other, tuple)
    gain = own - other
    if gain.mean() <= 1e-9:
        return (
            f"By {name} this model is NOT better than the baseline {BASELINE}: use {BASELINE}, or look at the data "
            "with palate check."
        )
    sample = resample.ratios(gain[:, None], np.ones((len(gain), 1)))
    if np.nanquantile(sample, 0.025) <= 0:
        return f"By {name} this model is better than the baseline {BASELINE} by less than chance can explain."
    return ""


# ---- the table


def _table(report: RankingReport) -> list[str]:
    """Lines of a table: a column for each k, below each measure the baselines' row."""
    names = list(dict.fromkeys(name.partition("@")[0] for name in report.measures))
    names = [*(name for name in names if name != "auc"), "auc"]
    rows = [["", *(f"@{k}" for k in report.k)]]
    for name in names:
        rows.append([name, *_cells(name, report.measures, report.k)])
        for baseline, measures in report.baselines.items():
            if any(own.partition("@")[0] == name for own in measures):
                rows.append([f"  {baseline}", *_cells(name, measures, report.k)])
    return aligned(rows)


def _cells(name: str, measures: dict[str, Measure], ks: Sequence[int]) -> list[str]:
    cell: Callable[[str], str] = lambda key: _cell(measures[key]) if key in measures else "-"  # noqa: E731
    return [cell(name)] if name in measures else [cell(f"{name}@{k}") for k in ks]


def _cell(measure: Measure) -> str:
    if math.isnan(measure.low):
        return f"{measure.value:.4f}"
    return f"{measure.value:.4f} ({measure.low:.3f} .. {measure.high:.3f})"
