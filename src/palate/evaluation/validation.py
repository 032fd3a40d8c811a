"""Cross-validation: every rating is a test rating once, or every choice of whoever has several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.data.ratings import Ratings
from palate.data.splitting import split_folds, split_folds_within_users
from palate.evaluation.evaluating import evaluate
from palate.evaluation.matching import check_type
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport
from palate.recipes.base import Recipe


@dataclass(frozen=True)
class CrossValidation:
    """Reports of all folds, and their means. cv["rmse"] is the mean over folds; print(cv) is a table."""

    recipe: str
    reports: Sequence[Report | RankingReport]

    def __getitem__(self, name: str) -> float:
        return float(np.mean([report[name] for report in self.reports]))

    def spread(self, name: str) -> float:
        """Standard deviation of a measure over folds."""
        return float(np.std([report[name] for report in self.reports], ddof=1))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        means = {name: self[name] for name in self.reports[0].measures}
        return {"recipe": self.recipe, "means": means, "folds": [report.to_dict() for report in self.reports]}

    def __str__(self) -> str:
        lines = [f"{self.recipe}, {len(self.reports)} folds"]
        for name in self.reports[0].measures:
            folds = "  ".join(f"{report[name]:.4f}" for report in self.reports)
            lines.append(f"{name:<12} {self[name]:.4f} +- {self.spread(name):.4f}   {folds}")
        return "\n".join(lines)


def cross_validate(recipe: Recipe, ratings: Ratings, folds: int = 5, *, seed: int = 0) -> CrossValidation:
    """Fit on all folds but one and evaluate on that one, for each.

    Ratings are split at random by rows (palate.split_folds). Of implicit ratings each fold holds a share of each user's
    choices (palate.split_folds_within_users): so every list is made for somebody who is known, and is judged by a like
    part of what he chose; whoever chose one thing only is learned from in every fold. Raises OptionError for folds
    below 2 or more than there are ratings, and for ratings of a kind that the recipe does not learn from.

    >>> import palate
    >>> cv = palate.cross_validate(palate.Bias(), palate.datasets.synthetic(60, 40, 1200, seed=1), folds=3)
    >>> len(cv.reports)
    3
    """
    check_type("recipe", recipe, Recipe, "such as palate.Bayes()")
    check_type("ratings", ratings, Ratings, "what palate.read() returns")
    split = split_folds_within_users if ratings.is_implicit else split_folds
    reports = [
        evaluate(recipe.fit(train, progress=False), test, baselines=False)
        for train, test in split(ratings, folds=folds, seed=seed)
    ]
    return CrossValidation(recipe.label(), reports)
