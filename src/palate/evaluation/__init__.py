"""Evaluation: how good a model is on held-out ratings, with bootstrap intervals, beside trivial baselines."""

from palate.evaluation.comparing import compare
from palate.evaluation.comparison import Comparison, Entry
from palate.evaluation.cross_validation import CrossValidation, cross_validate
from palate.evaluation.differences import difference
from palate.evaluation.doctor import check
from palate.evaluation.drifting import Drift, Shift, drift
from palate.evaluation.evaluating import evaluate
from palate.evaluation.matching import training_ratings
from palate.evaluation.next_items import NextItemReport
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport
from palate.evaluation.resampling import Measure

__all__ = [
    "Comparison",
    "CrossValidation",
    "Drift",
    "Entry",
    "Measure",
    "NextItemReport",
    "RankingReport",
    "Report",
    "Shift",
    "check",
    "compare",
    "cross_validate",
    "difference",
    "drift",
    "evaluate",
    "training_ratings",
]


def __dir__() -> list[str]:
    return sorted(__all__)
