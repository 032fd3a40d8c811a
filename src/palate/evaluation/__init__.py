"""Evaluation: how good a model is on what it has not seen, how sure of that one can be, and what is trivial."""

from palate.evaluation.comparing import compare
from palate.evaluation.comparison import Comparison, Entry
from palate.evaluation.evaluating import evaluate
from palate.evaluation.matching import training_ratings
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport
from palate.evaluation.resampling import Measure
from palate.evaluation.validation import CrossValidation, cross_validate

__all__ = [
    "Comparison",
    "CrossValidation",
    "Entry",
    "Measure",
    "RankingReport",
    "Report",
    "compare",
    "cross_validate",
    "evaluate",
    "training_ratings",
]
