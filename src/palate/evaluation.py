"""Evaluation: how far predictions lie from held-out ratings, how sure of that one can be, and what is trivial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.asking import check_seed, check_whole
from palate.errors import DataError, OptionError
from palate.ratings import Ratings
from palate.recommender import Recommender
from palate.rows import row_codes
from palate.solvers import Bias, Mean
from palate.solvers.base import Recipe
from palate.splitting import split_folds

Doubles = NDArray[np.float64]

LEVELS = (0.9, 0.5)
N_BOOTSTRAP = 1000


@dataclass(frozen=True)
class Measure:
    """A measured value with its 95% bootstrap interval over users."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} .. {self.high:.4f})"


@dataclass(frozen=True)
class Report:
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

    def __getitem__(self, name: str) -> float:
        if name not in self.measures:
            raise OptionError(f"no measure {name!r}; there are {', '.join(self.measures)}.")
        return self.measures[name].value

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return {
            "n": self.n,
            "n_users": self.n_users,
            "measures": _plain(self.measures),
            "baselines": {name: _plain(measures) for name, measures in self.baselines.items()},
            "groups": {name: {"n": self.group_sizes[name], **_plain(rows)} for name, rows in self.groups.items()},
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        columns = [("model", self.measures), *self.baselines.items()]
        columns += [(f"{name} ({self.group_sizes[name]:,})", measures) for name, measures in self.groups.items()]
        rows = [["", *self.measures]]
        rows += [[name, *(_cell(key, measures) for key in self.measures)] for name, measures in columns]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        head = f"{self.n:,} test ratings of {self.n_users:,} users; in brackets, 95% bootstrap intervals over users"
        return "\n".join([head, *lines] + ([self.verdict] if self.verdict else []))


def evaluate(
    recommender: Recommender, test: Ratings, *, baselines: bool = True, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> Report:
    """RMSE, MAE, coverage and width of intervals on held-out ratings, beside Mean and Bias fitted on the same data.

    The ratings may have other vocabularies than the model; their unknown users and items count as cold. A model that
    knows of moments is asked for those of the test ratings; beside ratings of the same session in training, that is
    more than could have been foreseen (palate.split_time asks for that). Raises DataError without test ratings,
    OptionError for a model that ranks but predicts no ratings, for a `test` that is no Ratings, for n_bootstrap below 1
    and for a negative seed.

    >>> import palate
    >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.1, seed=0)
    >>> report = palate.evaluate(palate.Bayes(n_sweeps=30).fit(train), test)
    >>> report["rmse"] < report.baselines["Mean"]["rmse"].value
    True
    """
    _check_type("recommender", recommender, Recommender, "what a recipe's fit() or palate.load() returns")
    _check_type("test", test, Ratings, "what palate.read() or a split returns")
    check_whole("n_bootstrap", n_bootstrap, least=1)
    check_seed(seed)
    if len(test) == 0:
        raise DataError("there are no test ratings to evaluate on.")
    if not recommender.model.predicts_ratings:
        raise OptionError(f"{recommender!r} ranks items and predicts no ratings; there is no error to measure.")
    user_codes, item_codes = _codes(recommender, test)
    resample = _Resample(test.user_codes, n_bootstrap, seed)
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
    )


def _check_type(name: str, given: Any, wanted: type, explained: str) -> None:
    if not isinstance(given, wanted):
        raise OptionError(f"{name} must be a {wanted.__name__}, {explained}, not {type(given).__name__}.")


def training_ratings(recommender: Recommender) -> Ratings:
    """The ratings a recommender was trained on, grouped by user (times are not kept)."""
    model = recommender.model
    return Ratings(
        row_codes(model.history),
        model.history.indices,
        model.history.values,
        weights=model.history.weights,
        user_vocabulary=model.user_vocabulary,
        item_vocabulary=model.item_vocabulary,
        kind=model.kind,
    )


def _codes(recommender: Recommender, test: Ratings) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The test rows in the model's codes, -1 where it does not know the label."""
    model = recommender.model
    sides = (
        (model.user_vocabulary, test.user_vocabulary, test.user_codes),
        (model.item_vocabulary, test.item_vocabulary, test.item_codes),
    )
    users, items = (
        codes if own is other or own == other else own.encode(other.labels, on_unknown="mark")[codes]
        for own, other, codes in sides
    )
    return users, items


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


class _Resample:
    """Bootstrap over users: users, not ratings, are what a new sample would bring."""

    def __init__(self, user_codes: NDArray[np.int32], n_bootstrap: int, seed: int) -> None:
        self._at = np.unique(user_codes, return_inverse=True)[1]
        self.n_users = int(self._at.max()) + 1
        self._n_bootstrap = n_bootstrap
        self._seed = seed

    def measures(self, losses: dict[str, Doubles], rows: NDArray[np.bool_] | None = None) -> dict[str, Measure]:
        """Each loss's mean over rows (all by default) with its interval; rmse is the root of its mean."""
        kept = np.ones(len(self._at), bool) if rows is None else rows
        means = self.means([loss[kept] for loss in losses.values()], kept)
        measured = {}
        for (name, loss), sample in zip(losses.items(), means, strict=True):
            root = np.sqrt if name == "rmse" else np.asarray
            low, high = np.nanquantile(root(sample), (0.025, 0.975))
            measured[name] = Measure(float(root(loss[kept].mean())), float(low), float(high))
        return measured

    def means(self, losses: Sequence[Doubles], kept: NDArray[np.bool_]) -> Doubles:
        """Means of losses under each resampling of users: (n_losses, n_bootstrap)."""
        at = self._at[kept]
        columns = [np.bincount(at, minlength=self.n_users), *(np.bincount(at, loss, self.n_users) for loss in losses)]
        per_user = np.stack(columns, axis=1).astype(np.float64)
        per_user = per_user[per_user[:, 0] > 0]
        rng = np.random.Generator(np.random.Philox(self._seed))
        totals = np.empty((self._n_bootstrap, per_user.shape[1]))
        block = max(1, 4_000_000 // len(per_user))
        for start in range(0, self._n_bootstrap, block):
            rows = slice(start, min(start + block, self._n_bootstrap))
            size = (rows.stop - rows.start, len(per_user))
            # Poisson(1) weights: the bootstrap of many users without drawing their indices.
            totals[rows] = rng.poisson(1.0, size) @ per_user
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Doubles = (totals[:, 1:] / totals[:, :1]).T
        return means


def _verdict(resample: _Resample, losses: dict[str, Doubles], rivals: dict[str, dict[str, Doubles]]) -> str:
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


@dataclass(frozen=True)
class CrossValidation:
    """Reports of all folds, and their means. cv["rmse"] is the mean over folds; print(cv) is a table."""

    recipe: str
    reports: list[Report]

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
    """Fit on all folds but one and evaluate on that one, for each; the split is random by rows.

    >>> import palate
    >>> cv = palate.cross_validate(palate.Bias(), palate.datasets.synthetic(60, 40, 1200, seed=1), folds=3)
    >>> len(cv.reports)
    3
    """
    _check_type("recipe", recipe, Recipe, "such as palate.Bayes()")
    _check_type("ratings", ratings, Ratings, "what palate.read() returns")
    reports = [
        evaluate(recipe.fit(train, progress=False), test, baselines=False)
        for train, test in split_folds(ratings, folds=folds, seed=seed)
    ]
    return CrossValidation(recipe.label(), reports)


def _cell(name: str, measures: dict[str, Measure]) -> str:
    """A measure in a table: errors with their intervals, the rest without."""
    if name not in measures:
        return "-"
    return str(measures[name]) if name in ("rmse", "mae") else f"{measures[name].value:.3f}"


def _plain(measures: dict[str, Measure]) -> dict[str, Any]:
    return {name: {"value": m.value, "low": m.low, "high": m.high} for name, m in measures.items()}
