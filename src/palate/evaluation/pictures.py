"""Pictures of what evaluation finds: reports, comparisons and cross-validations.

What is drawn is not named by its type here: the modules of the results import this one, and nothing imports in a
circle.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from palate.errors import OptionError
from palate.evaluation.breakdowns import OWN, Breakdown
from palate.evaluation.resampling import Doubles
from palate.evaluation.user_measures import KCurves
from palate.showing.pictures.canvas import BLUE, GRAY, Figure, draw, finished, one_axes, style_axes
from palate.showing.pictures.drawings import (
    Curve,
    draw_calibration,
    draw_curves,
    draw_groups,
    draw_intervals,
    draw_spread,
)
from palate.showing.pictures.tradeoff import draw_tradeoff

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of predictions, at each rating
MIN_SECONDS = 1e-4  # a logarithmic axis has no 0
NAMES = {"recall": "Recall", "hit_rate": "Hit rate", "ndcg": "NDCG", "rmse": "RMSE", "mae": "MAE", "mrr": "MRR"}
Drawings = dict[str, Callable[[Any], None]]


# ---- reports on predictions


def plot_report(report: Any, what: str | None, ax: Any) -> Figure:
    """The picture of Report.plot."""
    if report.agreement is None:
        raise _made_elsewhere("Report")
    drawings: Drawings = {
        "predictions": partial(_draw_predictions, report=report),
        "calibration": partial(_draw_calibration, report=report),
        **_by_groups(report, "ratings"),
    }
    return draw(drawings, what, ax)


def _made_elsewhere(name: str) -> OptionError:
    return OptionError(f"this {name} does not hold what a picture needs: take one that palate.evaluate() returned.")


def _draw_predictions(ax: Any, report: Any) -> None:
    note = f"{report.n:,} test ratings. Line: 90% of the predictions; bar: half; dot: median."
    style_axes(ax, "Predictions at each rating", "rating", "prediction", note)
    draw_spread(ax, report.agreement.values, report.agreement.quantiles(SHARES))


def _draw_calibration(ax: Any, report: Any) -> None:
    note = "Below the line the model promises too much. Upright: 95% intervals."
    style_axes(ax, "Mean rating at each prediction", "prediction", "mean rating", note)
    draw_calibration(ax, *report.agreement.calibration())


# ---- by groups


def _by_groups(report: Any, noun: str) -> Drawings:
    by_user, by_item = report.breakdowns
    return {
        "activity": partial(_draw_breakdown, found=by_user, noun=noun),
        "popularity": partial(_draw_breakdown, found=by_item, noun=noun),
    }


def _draw_breakdown(ax: Any, found: Breakdown, noun: str) -> None:
    of = {"user": "activity of the user", "item": "popularity of the item"}[found.by]
    name, _, rest = found.measure.partition("@")
    shown = NAMES.get(name, name) + (f"@{rest.removesuffix(' of items')}" if rest else "")
    style_axes(
        ax,
        f"{shown} by {of}",
        f"training {noun} of the {found.by}; below: test {noun}",
        "share of the items found" if rest.endswith("of items") else shown,
        "Upright: 95% intervals, by the bootstrap over users.",
    )
    values = {name: [(one.value, one.low, one.high) for one in measures] for name, measures in found.measures.items()}
    draw_groups(ax, found.groups, found.sizes, values)
    if found.measure != "rmse":
        ax.set_ylim(bottom=0)


# ---- reports on lists


def plot_lists(report: Any, what: str | None, ax: Any, measures: tuple[str, ...]) -> Figure:
    """The picture of RankingReport.plot and NextItemReport.plot."""
    if report.curves is None:
        raise _made_elsewhere(type(report).__name__)
    noun = "events" if "hit_rate" in measures else "choices"
    drawings: Drawings = {name: partial(_draw_curve, report=report, name=name) for name in measures}
    return draw(drawings | _by_groups(report, noun), what, ax)


def _draw_curve(ax: Any, report: Any, name: str) -> None:
    found: KCurves = report.curves
    n = f"{report.n:,} next items" if "hit_rate" in found.values[OWN] else f"{report.n:,} held-out items"
    title, note = (
        f"{NAMES[name]} against the length of the list",
        f"{n} of {report.n_users:,} users. Upright: 95% intervals.",
    )
    style_axes(ax, title, "k: length of the list", f"{NAMES[name]}@k", note)
    curves = {}
    for model, measures in found.values.items():
        own = report.measures if model == OWN else report.baselines.get(model, {})
        asked = [(k, own[f"{name}@{k}"]) for k in report.k if f"{name}@{k}" in own]
        intervals = [(float(k), measure.low, measure.high) for k, measure in asked]
        curves[model] = Curve(found.k, measures[name], BLUE if model == OWN else GRAY, intervals)
    draw_curves(ax, curves, log_x=len(found.k) > 1)


# ---- comparisons


def plot_comparison(comparison: Any, ax: Any) -> Figure:
    """The picture of Comparison.plot."""
    entries = [entry for entry in comparison.entries if entry.is_measured]
    if not entries:
        raise OptionError("every recipe failed or was left out, so there is nothing to draw.")
    points, bounds = _points(comparison, entries)
    name = comparison.measure.upper()
    error = f"{name} on held-out ratings" if comparison.kind == "explicit" else f"1 - {name} on held-out choices"
    ax = style_axes(one_axes(ax), "Recipes compared: error against time", "seconds of the fit", error)
    draw_tradeoff(ax, points, bounds, [entry.name for entry in entries])
    return finished(ax)


def _points(comparison: Any, entries: list[Any]) -> tuple[Doubles, Doubles]:
    """(seconds, error) of each entry, (n, 2), and how far its interval reaches below and above the error, (2, n)."""
    measures = [entry.measure(comparison.measure) for entry in entries]
    table = np.array([(measure.value, measure.low, measure.high) for measure in measures])
    if comparison.kind == "implicit":
        table = 1 - table[:, [0, 2, 1]]
    seconds = np.maximum([entry.seconds for entry in entries], MIN_SECONDS)
    reach = np.maximum([table[:, 0] - table[:, 1], table[:, 2] - table[:, 0]], 0)
    return np.column_stack([seconds, table[:, 0]]), np.nan_to_num(reach)


# ---- cross-validation


def plot_folds(found: Any, measure: str, ax: Any) -> Figure:
    """The picture of CrossValidation.plot."""
    values = [report[measure] for report in found.reports]
    measures = [report.measures[measure] for report in found.reports]
    mean, deviation = found[measure], found.std(measure)
    name, _, k = measure.partition("@")
    shown = NAMES.get(name, name) + (f"@{k}" if k else "")
    ax = style_axes(
        one_axes(ax, 6.4, 4.4),
        f"{len(values)} folds: {shown} {mean:.4f} ± {deviation:.4f}",
        "fold",
        f"{shown} on held-out data",
        "Upright: 95% intervals, by the bootstrap over users.\nBand: one standard deviation over folds.",
    )
    folds = np.arange(1, len(values) + 1)
    ax.axhspan(mean - deviation, mean + deviation, color=GRAY, alpha=0.15, linewidth=0)
    ax.axhline(mean, color=GRAY, linewidth=1, linestyle="--")
    draw_intervals(ax, folds, [one.low for one in measures], [one.high for one in measures])
    ax.plot(folds, values, color=BLUE, marker="o", linestyle="none", label=shown)
    ax.set_xticks(folds)
    ax.set_xlim(0.5, len(values) + 0.5)
    return finished(ax)
