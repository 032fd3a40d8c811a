"""What a card says of a model's quality: measured on test ratings, or as noted in the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.answers.ranking import By, RecommendOptions
from palate.data.ratings import Ratings, with_positive_weights
from palate.errors import DataError, OptionError
from palate.evaluation.calibration import Calibration, calibration_of
from palate.evaluation.card_breakdowns import CardBreakdown, error_breakdowns, list_breakdowns
from palate.evaluation.evaluating import told
from palate.evaluation.measured_lists import measure_lists
from palate.evaluation.measured_rows import measure_predictions
from palate.evaluation.predictions import report_on_predictions
from palate.evaluation.rankings import check_ks, report_on_lists
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
    error_groups: tuple[CardBreakdown, ...] = ()
    list_groups: tuple[CardBreakdown, ...] = ()
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
    measuring: dict[str, Any] = {"n_bootstrap": n_bootstrap, "seed": seed, "for_card": True}
    rated = with_positive_weights(test)
    if len(rated) == 0:
        raise DataError("there are no test ratings (of a weight above 0) to measure the model on.")
    found: dict[str, Any] = {}
    if rec.model.predicts_ratings and not test.is_implicit:
        rows = measure_predictions(rec, rated, **measuring)
        found["predictions"] = told(report_on_predictions(rows)).to_dict()
        found |= {"calibration": calibration_of(rows), "error_groups": error_breakdowns(rows)}
    likes, threshold = rated, None
    if not test.is_implicit:
        threshold = liked_from(rec, at_least)
        likes = rated.likes(at_least=threshold) if (rated.values >= threshold).any() else rated[:0]
    elif at_least is not None:
        raise OptionError("at_least= says from which rating on an item is liked, and these test ratings are choices.")
    if len(likes):
        options = RecommendOptions(by=by, at_least=threshold if by in ("chance", "likely") else None, seed=seed)
        lists = measure_lists(rec, likes, check_ks(k), options=options, **measuring)
        found |= {"lists": told(report_on_lists(lists)).to_dict(), "list_groups": list_breakdowns(lists)}
    fingerprint = fingerprint_of(test.by_user(), (test.user_vocabulary, test.item_vocabulary))
    return Measured(threshold=threshold, fingerprint=fingerprint, **found)


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
