"""difference(): how far two reports on the same test ratings lie apart, and whether that is more than chance."""

from __future__ import annotations

import numpy as np

from palate.errors import OptionError
from palate.evaluation.next_items import NextItemReport
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport
from palate.evaluation.resampling import N_BOOTSTRAP, Measure, PerUser, Resample, measure_of
from palate.evaluation.user_measures import main_measure
from palate.options import check_seed, check_whole

AnyReport = Report | RankingReport | NextItemReport


def difference(report: AnyReport, other: AnyReport, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0) -> Measure:
    """Return how far a model's measure lies above that of another, with a 95% interval, on the same test ratings.

    The measure is the one that models are compared by: RMSE of ratings, where below 0 is better; NDCG at the list
    length nearest to 10 of choices, and of the next item, where above 0 is better. Each resampling of the test users
    counts for both models, so the interval is that of their difference. If it holds 0, neither is better beyond doubt.
    It is narrower than the intervals of the two measures, which may overlap all the same.

    Parameters:
        report (Report, RankingReport or NextItemReport): What evaluate() returned for a model.
        other (Report, RankingReport or NextItemReport): What it returned for another model and the same test ratings.
        n_bootstrap (int, default 1000): The number of bootstrap resamplings of users; 1 or more.
        seed (int, default 0): Seed of the bootstrap; 0 or more.

    Returns:
        Measure: The difference, `report` less `other`.

    Raises:
        OptionError: The reports are of different kinds, measures or test ratings, or an option is out of range.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13 (percentile intervals).

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> reports = [palate.evaluate(recipe.fit(train), test) for recipe in (palate.Mean(), palate.Bias())]
        >>> apart = palate.evaluation.difference(*reports)
        >>> apart.low > 0
        True
    """
    check_whole(1, n_bootstrap=n_bootstrap)
    check_seed(seed)
    own, others = _of_same_rows(report, other)
    resample = Resample(len(own.sums), n_bootstrap, seed)
    return difference_by_user(own, others, resample, are_squares=isinstance(report, Report))


def difference_by_user(own: PerUser, other: PerUser, resample: Resample, *, are_squares: bool) -> Measure:
    """The same of what both have by user, with the same counts. are_squares: the measure is the root of the mean."""
    root = np.sqrt if are_squares else np.asarray
    sums, counts = (np.stack(both, axis=1) for both in ((own.sums, other.sums), (own.counts, own.counts)))
    (here, there), samples = root(sums.sum(axis=0) / own.counts.sum()), root(resample.ratios(sums, counts))
    return measure_of(here - there, samples[:, 0] - samples[:, 1])


def _of_same_rows(report: AnyReport, other: AnyReport) -> tuple[PerUser, PerUser]:
    """The measures of both by user. Raises OptionError if they cannot be compared."""
    for one in (report, other):
        if not isinstance(one, AnyReport) or one.per_user is None:
            raise OptionError(
                f"difference() takes two reports, as palate.evaluate() returns, not {type(one).__name__}."
            )
    names = [_name(one) for one in (report, other)]
    if names[0] != names[1]:
        raise OptionError(f"one report has {names[0]} and the other {names[1]}: evaluate both models in the same way.")
    own, others = report.per_user, other.per_user
    assert own is not None and others is not None
    if not np.array_equal(own.counts, others.counts):
        raise OptionError("the reports are on different test ratings: evaluate both models on the same ones.")
    return own, others


def _name(report: AnyReport) -> str:
    if isinstance(report, Report):
        return "errors of ratings"
    return f"{main_measure(report.k)} of {'the next item' if isinstance(report, NextItemReport) else 'lists'}"
