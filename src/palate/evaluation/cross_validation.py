"""Cross-validation: fit and evaluate a recipe once for each fold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.data.ratings import Ratings
from palate.data.splitting import split_folds, split_folds_within_users, split_last
from palate.errors import DataError, OptionError
from palate.evaluation.evaluating import evaluate
from palate.evaluation.hindsight import hindsight_note, n_older_than_train
from palate.evaluation.matching import check_type
from palate.evaluation.next_items import NextItemReport
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport
from palate.evaluation.user_measures import main_measure
from palate.options import check_flags, check_whole
from palate.recipes.base import Recipe
from palate.showing import html
from palate.showing.live import Bar, Progress
from palate.showing.pictures import check_matplotlib
from palate.showing.texts import Printed, with_short_numbers

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure


@dataclass(frozen=True, repr=False)
class CrossValidation(Printed):
    """The result of cross_validate(). cv["rmse"] is the mean over folds; print(cv) prints a table.

    Attributes:
        recipe (str): The recipe with its options, as text.
        reports (list of Report or of RankingReport): The report of each fold.
        n_older (int, default 0): The number of held-out ratings, of all folds, that are older than a rating of the same
            user in the folds learned from; 0 too if they have no times.

    Example:
        >>> import palate
        >>> cv = palate.cross_validate(palate.Mean(), palate.datasets.synthetic(60, 40, 1200, seed=1), folds=3)
        >>> 0 < cv.std("rmse") < cv["rmse"]
        True
    """

    recipe: str
    reports: Sequence[Report | RankingReport | NextItemReport]
    n_older: int = 0

    def __getitem__(self, name: str) -> float:
        return float(np.mean([report[name] for report in self.reports]))

    def std(self, name: str) -> float:
        """Return the standard deviation of a measure over folds, with n_folds - 1 degrees of freedom.

        Parameters:
            name (str): A measure, such as "rmse".

        Returns:
            float: The standard deviation, in the units of the measure.

        Raises:
            OptionError: There is no such measure.
        """
        return float(np.std([report[name] for report in self.reports], ddof=1))

    def plot(self, measure: str | None = None, *, ax: Any = None) -> Figure:
        """Draw a measure of each fold with its interval, and the mean over folds.

        Parameters:
            measure (str or None, default None): A measure, such as "rmse"; None takes the one that models are compared
                by: "rmse", or ndcg at the k nearest to 10.
            ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

        Returns:
            matplotlib.figure.Figure: A dot for each fold; the band is one standard deviation to each side of the mean.

        Raises:
            OptionError: There is no such measure, matplotlib is not installed, or ax is something else.

        Example:
            >>> import palate
            >>> cv = palate.cross_validate(palate.Mean(), palate.datasets.synthetic(60, 40, 1200, seed=1), folds=3)
            >>> cv.plot().axes[0].get_ylabel()
            'RMSE on held-out data'
        """
        check_matplotlib("CrossValidation.plot")
        from palate.evaluation.pictures import plot_folds

        if measure is None:
            measure = "rmse" if isinstance(self.reports[0], Report) else main_measure(self.reports[0].k)
        return plot_folds(self, measure, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the means and the reports as plain values, ready for JSON.

        Returns:
            dict: The recipe, the means over folds by measure, n_older, and the folds: each report's to_dict().
        """
        means = {name: self[name] for name in self.reports[0].measures}
        folds = [report.to_dict() for report in self.reports]
        return {"recipe": self.recipe, "means": means, "n_older": self.n_older, "folds": folds}

    def _heading(self) -> str:
        return f"{with_short_numbers(self.recipe)}, {len(self.reports)} folds"

    def __str__(self) -> str:
        lines = [self._heading()]
        for name in self.reports[0].measures:
            folds = "  ".join(f"{report[name]:.4f}" for report in self.reports)
            lines.append(f"{name:<12} {self[name]:.4f} +- {self.std(name):.4f}   {folds}")
        return "\n".join([*lines, *hindsight_note(self.n_older)])

    def _repr_html_(self) -> str:
        n = len(self.reports)
        rows = [
            [name, f"{self[name]:.4f}", f"{self.std(name):.4f}", *(f"{report[name]:.4f}" for report in self.reports)]
            for name in self.reports[0].measures
        ]
        head = ("", "mean", "standard deviation", *(f"fold {at + 1}" for at in range(n)))
        table = html.table(rows, head=head, numbers=range(1, n + 3))
        return html.page(self._heading(), table, html.notes(*hindsight_note(self.n_older)))


def cross_validate(
    recipe: Recipe,
    ratings: Ratings,
    folds: int = 5,
    *,
    next_item: bool = False,
    seed: int = 0,
    progress: Progress = "auto",
) -> CrossValidation:
    """Fit a recipe on all folds but one and evaluate it on that one, for each fold in turn.

    Explicit ratings are split at random (palate.split_folds). Implicit ratings are split within users
    (palate.split_folds_within_users): each fold holds an equal share of each user's choices. So every test user
    has training data. The choice of a user with only one is never held out.

    With next_item=True each fold holds out one event of each user: the first fold the last event, the second fold the
    one before it, learned from what came before that, and so on. The item of each is ranked by what came before it, as
    palate.evaluate(..., next_item=True) measures it. Events of other users may be newer.

    Parameters:
        recipe (Recipe): What to fit, such as palate.Bayes().
        ratings (Ratings): The ratings to split.
        folds (int, default 5): The number of folds, at least 2 and at most the number of ratings; of implicit ratings,
            only those of users with two or more are counted.
        next_item (bool, default False): Measure what users choose next; only for implicit ratings. Users need one event
            more than there are folds to be in all of them.
        seed (int, default 0): Seed of the split, which next_item=True does not need; 0 or more.
        progress (bool or "auto", default "auto"): Show a progress line, on standard error or in the notebook; "auto"
            shows it on a terminal and in a notebook.

    Returns:
        CrossValidation: A report for each fold, without baselines, and the means over folds.

    Raises:
        DataError: The ratings are implicit and no user has two.
        OptionError: The number of folds is out of range, or the recipe does not learn from ratings of this kind.

    Source:
        Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, section 7.10.

    Example:
        >>> import palate
        >>> cv = palate.cross_validate(palate.Bias(), palate.datasets.synthetic(60, 40, 1200, seed=1), folds=3)
        >>> len(cv.reports)
        3
    """
    check_type("recipe", recipe, Recipe, "such as palate.Bayes()")
    check_type("ratings", ratings, Ratings, "as palate.read() returns")
    check_flags(next_item=next_item)
    if next_item:
        parts = _last_events(ratings, folds)
    else:
        split = split_folds_within_users if ratings.is_implicit else split_folds
        parts = split(ratings, folds=folds, seed=seed)
    how: dict[str, Any] = {"baselines": False, "next_item": next_item}
    reports: list[Report | RankingReport | NextItemReport] = []
    start, bar = time.monotonic(), Bar(progress, ("label", "bar", "count", "folds, left", "left"))
    bar.update(label=type(recipe).__name__, total=folds)
    try:
        for train, test in parts:
            reports.append(evaluate(recipe.fit(train, progress=False), test, **how))
            bar.update(done=len(reports))
    finally:
        bar.close(f"{with_short_numbers(recipe.label())}: {len(reports)} folds in {time.monotonic() - start:.1f} s")
    return CrossValidation(recipe.label(), reports, sum(n_older_than_train(*part) for part in parts))


def _last_events(ratings: Ratings, folds: int) -> list[tuple[Ratings, Ratings]]:
    """The last event of each user and those before it, then the same of what is left. Raises DataError at its end."""
    check_whole(2, folds=folds)
    if not ratings.is_implicit:
        raise OptionError(
            "next_item=True goes by the order of choices, and these are ratings: take ratings.likes(at_least=4)."
        )
    parts, left = [], ratings
    for number in range(folds):
        left, held_out = split_last(left)
        if len(held_out) == 0:
            raise DataError(f"no user has {number + 2} events, which {number + 1} folds need: give fewer folds.")
        parts.append((left, held_out))
    return parts
