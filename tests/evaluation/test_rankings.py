"""Reports on rankings: as printed text and plain values, the verdict at its boundaries, means over users by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from palate.evaluation import Measure, RankingReport
from palate.evaluation.list_metrics import listed_items
from palate.evaluation.propensities import ONLY_POPULARITY
from palate.evaluation.rankings import _verdict
from palate.evaluation.resampling import Resample
from palate.evaluation.user_measures import UserMeasures

PLAIN = RankingReport(n=2, n_users=1, n_items=3, n_missed=0, k=(5,), measures={"auc": Measure(0.5)})
KNOWN = RankingReport(
    n=12_000,
    n_users=1000,
    n_items=3000,
    n_missed=1001,
    k=(5, 10),
    measures={
        "ndcg@5": Measure(0.25, 0.2, 0.3), "ndcg@10": Measure(0.5), "auc": Measure(0.75, 0.7, 0.8),
        "coverage@5": Measure(0.125), "coverage@10": Measure(0.25),
    },
    baselines={"Popularity": {"ndcg@5": Measure(0.2), "auc": Measure(0.6)}},
    verdict="So it is.",
    by="likely",
    keep_seen=True,
    n_learned=1002,
    propensity="popularity",
    n_effective=90.0,
)  # fmt: skip
PRINTED = f"""
12,000 held-out items of 1,000 users, ranked by="likely" among all 3,000 items seen ones included;
in brackets, 95% bootstrap intervals over users
              @5                       @10
ndcg          0.2500 (0.200 .. 0.300)  0.5000
Popularity    0.2000                   -
coverage      0.1250                   0.2500
auc           0.7500 (0.700 .. 0.800)
Popularity    0.6000
1,001 of them are unknown to the model or were seen in training; they count as misses.
The model was trained on 1,002 of them.
snips: weighted by inverse propensities; 12,000 held-out items count as 90 of equal weight.
That is few: some of them decide these figures, so trust the intervals and not the digits.
{ONLY_POPULARITY}
So it is."""


def words(text):
    return [line.split() for line in text.strip().splitlines()]


def test_a_report_prints_what_it_knows_and_no_more():
    assert words(str(KNOWN)) == words(PRINTED)
    assert words(str(PLAIN)) == words(
        """2 held-out items of 1 users, ranked among all 3 items but those the user had seen in training;
        in brackets, 95% bootstrap intervals over users
        @5
        auc 0.5000"""
    )
    assert words(str(replace(PLAIN, verdict="So.")))[4:] == [["So."]]


def test_a_report_as_plain_values():
    auc = {"value": 0.5, "low": None, "high": None}
    assert PLAIN.to_dict() == {
        "n": 2, "n_users": 1, "n_items": 3, "n_missed": 0, "k": [5], "measures": {"auc": auc}, "baselines": {},
        "verdict": "", "by": "mean", "keep_seen": False, "n_learned": 0, "n_cold": 0, "propensity": "",
        "n_effective": None, "dials": {}, "without": {}, "difference": {}, "n_older": 0,
    }  # fmt: skip
    plain = KNOWN.to_dict()
    assert [plain[name] for name in ("n_missed", "k", "by", "keep_seen", "n_learned", "n_effective")] == [
        *(1001, [5, 10], "likely", True, 1002, 90.0)
    ]
    assert plain["baselines"]["Popularity"]["auc"] == {"value": 0.6, "low": None, "high": None}
    assert PLAIN.per_user is None


def test_a_verdict_is_given_on_what_is_not_better():
    zeros, tenth = np.zeros(80), np.full(80, 0.1)
    same = "By ndcg@10 this model is NOT better than the baseline Popularity: use Popularity, or look"
    maybe = "By ndcg@10 this model is better than the baseline Popularity, but not significantly"
    for own, other, begins in (
        (tenth, zeros, ""),
        (tenth + 2e-9, tenth, ""),
        (1.0 + tenth, zeros, ""),
        (zeros, zeros, same),
        (zeros, tenth, same),
        (zeros + 2.0**-30, zeros, same),  # a rounding error is no gain
        (np.r_[1.0, zeros[1:]], zeros, maybe),  # in more than a third of the resamplings no user has a gain
    ):
        models = (SimpleNamespace(values={"ndcg@10": values}) for values in (own, other))
        told = _verdict(Resample(80, 200, 0), *models, "ndcg@10")
        assert told.startswith(begins) and bool(told) == bool(begins), (own[:2], told)


def test_means_leave_users_out_and_ratios_of_means_are_less_one():
    values = {
        "a": np.array([1.0, np.nan, 4.0]),
        "b": (np.array([1.0, np.nan, 5.0]), np.array([2.0, np.nan, 1.0])),
    }
    lists = np.array([[0, 3], [1, -1], [0, 3]], np.int32)
    measured = UserMeasures((1, 2), 0, listed_items(lists, (1, 2), 6), values)
    measured.add("c", [np.zeros(3), np.ones(3)])
    found = measured.measures(Resample(3, 50, 0), np.array([True, True, False, True, False, False]))
    exact = {"a": 2.5, "b": 1.0, "c@1": 0.0, "c@2": 1.0, "coverage@1": 2 / 3, "coverage@2": 1.0}
    assert {name: measure.value for name, measure in found.items()} == pytest.approx(exact)
    assert -0.5 <= found["b"].low < 1 <= found["b"].high <= 4 and found["c@1"].low == 0
    assert np.isnan(found["coverage@2"].low)
