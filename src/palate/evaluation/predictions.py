"""Predictions: how far they lie from held-out ratings, how often intervals hold them, and how far trivial ones lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.shapes import aligned
from palate.data.ratings import Ratings
from palate.evaluation.matching import codes_in_model, training_ratings
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, measure_of, plain_measures
from palate.recipes import Bias, Mean
from palate.recommender import Recommender

LEVELS = (0.9, 0.5)


@dataclass(frozen=True)
class Report(Measured):
    """What evaluate() found. report["rmse"] is a number; print(report) is a table.

    measures: rmse, mae, and per level coverage_90, width_90, coverage_50, width_50 (where the model gives intervals).
    baselines and groups: name -> measures; groups are the test rows of cold users and of cold items (none in training).
    """

    n: int
    n_users: int
    measures: dict[str, Measure]
    baselines: dict[str, dict[str, Measure]] = field(default_factory=dict)
    groups: dict[str, dict[str, Measure]] = field(default_factory=dict)
    group_sizes: dict[str, int] = field(default_factory=dict)
    verdict: str = ""
    per_user: PerUser | None = field(default=None, repr=False, compare=False)  # squared errors

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return {
            "n": self.n,
            "n_users": self.n_users,
            "measures": plain_measures(self.measures),
            "baselines": {name: plain_measures(measures) for name, measures in self.baselines.items()},
            "groups": {n: {"n": self.group_sizes[n], **plain_measures(rows)} for n, rows in self.groups.items()},
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        columns = [("model", self.measures), *self.baselines.items()]
        columns += [(f"{name} ({self.group_sizes[name]:,})", measures) for name, measures in self.groups.items()]
        rows = [["", *self.measures]]
        rows += [[name, *(_cell(key, measures) for key in self.measures)] for name, measures in columns]
        head = f"{self.n:,} test ratings of {self.n_users:,} users; in brackets, 95% bootstrap intervals over users"
        return "\n".join([head, *aligned(rows)] + ([self.verdict] if self.verdict else []))


def evaluate_predictions(
    recommender: Recommender, test: Ratings, *, baselines: bool, n_bootstrap: int, seed: int
) -> Report:
    """The report on held-out ratings; see evaluate()."""
    user_codes, item_codes = codes_in_model(recommender, test)
    resample = _Losses(test.user_codes, n_bootstrap, seed)
    losses = _losses(recommender, user_codes, item_codes, test)
    rivals: dict[str, dict[str, Doubles]] = {}
    if baselines:
        train = training_ratings(recommender)
        for recipe in (Mean(), Bias()):
            rival = recipe.fit(train, progress=False)
            rivals[type(recipe).__name__] = _losses(rival, user_codes, item_codes, test)
    groups = _cold_groups(recommender, user_codes, item_codes)
    return Report(
        n=len(test),
        n_users=resample.n_users,
        measures=resample.measures(losses),
        baselines={name: resample.measures(rival) for name, rival in rivals.items()},
        groups={name: resample.measures(losses, rows) for name, rows in groups.items()},
        group_sizes={name: int(rows.sum()) for name, rows in groups.items()},
        verdict=_verdict(resample, losses, rivals),
        per_user=resample.per_user(losses["rmse"]),
    )


def _losses(
    recommender: Recommender, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32], test: Ratings
) -> dict[str, Doubles]:
    """Per test row: squared and absolute error; for each level, whether the interval holds it, and its width."""
    losses: dict[str, Doubles] = {}
    values = test.values
    for level in LEVELS:
        predicted, low, high = recommender.predict_codes(user_codes, item_codes, when=test.times, level=level)
        losses |= {"rmse": (predicted - values) ** 2, "mae": np.abs(predicted - values)}
        if recommender.has_intervals:
            losses[f"coverage_{level * 100:.0f}"] = ((low <= values) & (values <= high)).astype(np.float64)
            losses[f"width_{level * 100:.0f}"] = high - low
    return losses


def _cold_groups(
    recommender: Recommender, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]
) -> dict[str, NDArray[np.bool_]]:
    groups = {
        "cold users": recommender.model.rated_users(user_codes) < 0,
        "cold items": recommender.model.rated_items(item_codes) < 0,
    }
    return {name: rows for name, rows in groups.items() if rows.any()}


class _Losses:
    """Losses of test rows, averaged under each resampling of the users who gave them."""

    def __init__(self, user_codes: NDArray[np.int32], n_bootstrap: int, seed: int) -> None:
        self._at = np.unique(user_codes, return_inverse=True)[1]
        self.n_users = int(self._at.max()) + 1
        self._n_bootstrap, self._seed = n_bootstrap, seed

    def measures(self, losses: dict[str, Doubles], rows: NDArray[np.bool_] | None = None) -> dict[str, Measure]:
        """Each loss's mean over rows (all by default) with its interval; rmse is the root of its mean."""
        kept = np.ones(len(self._at), bool) if rows is None else rows
        means = self.means([loss[kept] for loss in losses.values()], kept)
        measured = {}
        for (name, loss), sample in zip(losses.items(), means, strict=True):
            root = np.sqrt if name == "rmse" else np.asarray
            measured[name] = measure_of(float(root(loss[kept].mean())), root(sample))
        return measured

    def per_user(self, loss: Doubles) -> PerUser:
        """The sum and number of each user's losses."""
        return PerUser(np.bincount(self._at, loss).astype(np.float64), np.bincount(self._at).astype(np.float64))

    def means(self, losses: Sequence[Doubles], kept: NDArray[np.bool_]) -> Doubles:
        """Means of losses under each resampling of users: (n_losses, n_bootstrap)."""
        at = self._at[kept]
        counts = np.bincount(at, minlength=self.n_users).astype(np.float64)
        there = counts > 0
        sums = np.stack([np.bincount(at, loss, self.n_users)[there] for loss in losses], axis=1).astype(np.float64)
        resample = Resample(int(there.sum()), self._n_bootstrap, self._seed)
        return resample.ratios(sums, np.repeat(counts[there, None], len(losses), axis=1)).T


def _verdict(resample: _Losses, losses: dict[str, Doubles], rivals: dict[str, dict[str, Doubles]]) -> str:
    """A sentence when the model is not better than its best baseline; empty when it clearly is."""
    if not rivals:
        return ""
    name = min(rivals, key=lambda rival: rivals[rival]["rmse"].mean())
    gain = rivals[name]["rmse"] - losses["rmse"]
    if gain.mean() <= 1e-6 * losses["rmse"].mean():  # equal but for rounding is no better
        return f"This model is NOT better than the baseline {name}: use {name}, or look at the data with palate check."
    sample = resample.means([gain], np.ones(len(gain), bool))[0]
    if np.nanquantile(sample, 0.025) <= 0:
        return f"This model is better than the baseline {name} by less than chance can explain."
    return ""


def _cell(name: str, measures: dict[str, Measure]) -> str:
    """A measure in a table: errors with their intervals, the rest without."""
    if name not in measures:
        return "-"
    return str(measures[name]) if name in ("rmse", "mae") else f"{measures[name].value:.3f}"
