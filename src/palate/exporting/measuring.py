"""What a card says of a model's quality: measured on test ratings, or as noted in the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.answers.ranking import By, RecommendOptions
from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.evaluation import RankingReport, Report, evaluate
from palate.evaluation.calibration import Calibration, calibration_of
from palate.evaluation.groups import Grouping, errors_by_group, lists_by_group
from palate.models.fingerprint import fingerprint_of
from palate.recommender import Recommender

Plain = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """The quality of a model; None and empty where it was not measured.

    predictions, lists: reports as plain values. threshold: the rating from which a test rating was liked. fingerprint:
    of the test ratings. split: how palate fit set the test ratings apart.
    """

    predictions: Plain | None = None
    lists: Plain | None = None
    threshold: float | None = None
    calibration: Calibration | None = None
    error_groups: tuple[Grouping, ...] = ()
    list_groups: tuple[Grouping, ...] = ()
    fingerprint: str | None = None
    split: Plain | None = None
    is_stored: bool = False

    @property
    def reports(self) -> list[Plain]:
        """The reports that there are."""
        return [report for report in (self.predictions, self.lists) if report is not None]

    def to_dict(self) -> Plain:
        """Return the reports as plain values."""
        found = {"predictions": self.predictions, "lists": self.lists}
        return {name: report for name, report in found.items() if report is not None}


def measured_on(
    rec: Recommender, test: Ratings, *, by: By, at_least: float | None, k: int, n_bootstrap: int, seed: int
) -> Measured:
    """Measure a model on test ratings: its predictions, if it makes any, and its lists."""
    resampling: dict[str, Any] = {"n_bootstrap": n_bootstrap, "seed": seed}
    predictions: Report | None = None
    calibration, threshold = None, None
    error_groups: tuple[Grouping, ...] = ()
    if rec.model.predicts_ratings and not test.is_implicit:
        predictions = _report(evaluate(rec, test, **resampling), Report)
        calibration = calibration_of(rec, test, **resampling)
        error_groups = errors_by_group(rec, test, **resampling)
    likes = test
    if not test.is_implicit:
        threshold = liked_from(rec, at_least)
        likes = test.likes(at_least=threshold) if (test.values >= threshold).any() else test[:0]
    elif at_least is not None:
        raise OptionError("at_least= says from which rating on an item is liked, and these test ratings are choices.")
    reached = threshold if by in ("chance", "likely") else None
    lists: RankingReport | None = None
    if len(likes):
        lists = _report(evaluate(rec, likes, k=k, by=by, at_least=reached, **resampling), RankingReport)
    options = RecommendOptions(by=by, at_least=reached, seed=seed)
    return Measured(
        predictions=None if predictions is None else predictions.to_dict(),
        lists=None if lists is None else lists.to_dict(),
        threshold=threshold,
        calibration=calibration,
        error_groups=error_groups,
        list_groups=() if lists is None else lists_by_group(rec, likes, options, k=k, **resampling),
        fingerprint=fingerprint_of(test.by_user(), (test.user_vocabulary, test.item_vocabulary)),
    )


def _report(found: Any, kind: type[Any]) -> Any:
    assert isinstance(found, kind)
    return found


def liked_from(rec: Recommender, at_least: float | None) -> float:
    """The rating from which a test rating is liked: the one given, or the lowest above the mean of training."""
    model = rec.model
    if at_least is not None:
        if (
            isinstance(at_least, bool)
            or not isinstance(at_least, int | float | np.number)
            or not math.isfinite(at_least)
        ):
            raise OptionError(f"at_least must be a rating, got {at_least!r}.")
        return float(at_least)
    if model.like_threshold is not None:
        return model.like_threshold
    if model.kind == "implicit":
        raise OptionError(
            "the model learned from choices, and the test ratings are ratings: take test.likes(at_least=4)."
        )
    mean = float(np.average(model.history.values, weights=model.history.weights))
    values = np.unique(model.history.values)
    above = values[values > mean]
    return float(above[0]) if len(above) else float(values[-1])


def stored_in(metrics: Mapping[str, Any]) -> Measured:
    """What is noted in a model; nothing if its metrics are not those of a report."""
    measures = metrics.get("measures")
    if not isinstance(measures, Mapping) or not all(isinstance(one, Mapping) for one in measures.values()):
        return Measured()
    report = dict(metrics)
    split = report.pop("split", None)
    kind = "lists" if "k" in report else "predictions"
    known: dict[str, Any] = {kind: report, "split": split if isinstance(split, Mapping) else None}
    return Measured(**known, is_stored=True)
