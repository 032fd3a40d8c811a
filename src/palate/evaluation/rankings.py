"""Evaluate rankings: how high the held-out items stand in each user's list, beside a popularity baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.answers.arguments import is_many
from palate.answers.ranking import By
from palate.answers.ranking.dials import is_expression
from palate.errors import OptionError
from palate.evaluation.breakdowns import OWN, Breakdown, breakdown, one_hot
from palate.evaluation.cold_items import is_cold
from palate.evaluation.groups import by_activity
from palate.evaluation.hindsight import hindsight_note, n_older_of
from palate.evaluation.matching import code_maps
from palate.evaluation.measured_lists import MeasuredLists
from palate.evaluation.propensities import effective_size, notes_on
from palate.evaluation.rank_tables import table
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, plain_measures
from palate.evaluation.user_measures import KCurves, UserMeasures, as_ratio, curve_ks, main_measure
from palate.options import check_whole
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

KS = (5, 10, 20, 100)
BASELINE = "Popularity"
MAX_K = 2**20


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
        n_learned=found.n_learned,
        n_cold=0 if asked.cold is None else int(is_cold(held_out, asked.cold).sum()),
        propensity="" if found.inverse is None else found.inverse.source,
        n_effective=None if held_out.weights is None else effective_size(held_out.weights),
        dials=found.dials,
        without={} if without is None else without.measures(resample, query.allowed),
        difference={} if without is None else model.difference(without, resample, query.allowed),
        n_older=n_older_of(asked.model, code_maps(found.recommender, found.test)[0], found.test),
        per_user=PerUser(*as_ratio(model.values[main_measure(ks)])),
        breakdowns=_breakdowns(found),
        curves=KCurves(
            curve_ks(ks), {name: one.curves() for name, one in ((OWN, model), (BASELINE, baseline)) if one is not None}
        ),
    )


def _breakdowns(found: MeasuredLists) -> tuple[Breakdown, ...]:
    """The main measure by activity, and the share of held-out items in the first k by popularity."""
    held_out, main, resample = found.asked.held_out, main_measure(found.asked.ks), found.resample
    activity = by_activity(found.asked.model, held_out.users, np.ones(len(held_out.users), np.int64))
    measured = {OWN: found.model} | ({} if found.baseline is None else {BASELINE: found.baseline})
    by_user: dict[str, Any] = {
        name: tuple(one_hot(part, activity) for part in as_ratio(one.values[main])) for name, one in measured.items()
    }
    by_item = {name: (one.hits, one.held) for name, one in measured.items()}
    sizes = np.bincount(activity.of, np.diff(held_out.indptr), len(activity.names))
    share = f"recall@{main.partition('@')[2]} of items"
    return (
        breakdown("user", main, activity, sizes, by_user, resample),
        breakdown("item", share, found.asked.popularity, found.model.held.sum(axis=0), by_item, resample),
    )


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
