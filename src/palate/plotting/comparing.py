"""Pictures of a comparison of recipes and of a tuning: quality against seconds, and trial by trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palate.errors import OptionError
from palate.evaluation import Comparison, Entry
from palate.plotting.drawing import BLUE, GREY, ORANGE, Doubles, Picture, calm, finished, label_points, short
from palate.tuning import Trial, Tuning

LEAST_SECONDS = 1e-4


def compared(comparison: Comparison) -> Figure:
    """Each recipe's error (RMSE, or 1 - NDCG) with its interval against the seconds of its fit; best at the lower left.

    The line joins the recipes that none beats in both. Raises OptionError when every recipe failed.

    >>> import palate, palate.plotting
    >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    >>> comparison = palate.compare(train, test, ["Mean", "Bias"])
    >>> palate.plotting.compared(comparison).axes[0].get_ylabel()
    'RMSE on what was held out'
    """
    entries = [entry for entry in comparison.entries if not entry.failed]
    if not entries:
        raise OptionError("every recipe failed, so there is nothing to draw.")
    points, bounds = _points(comparison, entries)
    picture = Picture()
    is_error = comparison.kind == "explicit"
    what = comparison.measure.upper() if is_error else f"1 - {comparison.measure.upper()}"
    ax = calm(
        picture.subplots(), "Recipes compared: error against time", "seconds of the fit", f"{what} on what was held out"
    )
    _draw(ax, points, bounds)
    label_points(ax, points, [short(entry.name, 40) for entry in entries], fontsize="small")
    return finished(picture)


def _points(comparison: Comparison, entries: list[Entry]) -> tuple[Doubles, Doubles]:
    """(seconds, error) of each entry, (n, 2), and how far its interval reaches down and up, (2, n)."""
    measures = [entry.measure(comparison.measure) for entry in entries]
    table = np.array([(measure.value, measure.low, measure.high) for measure in measures])
    if comparison.kind == "implicit":
        table = 1 - table[:, [0, 2, 1]]
    seconds = np.maximum([entry.seconds for entry in entries], LEAST_SECONDS)
    reach = np.maximum([table[:, 0] - table[:, 1], table[:, 2] - table[:, 0]], 0)
    return np.column_stack([seconds, table[:, 0]]), np.nan_to_num(reach)


def _draw(ax: Axes, points: Doubles, bounds: Doubles) -> None:
    seconds, errors = points.T
    front = _front(points)
    style: dict[str, Any] = {"linestyle": "none", "elinewidth": 1.2, "capsize": 3, "markersize": 6}
    ax.plot(*points[front].T, color=ORANGE, linewidth=1.2, alpha=0.6, zorder=1)
    ax.errorbar(seconds, errors, yerr=bounds, color=BLUE, marker="o", **style)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
    ax.margins(x=0.15, y=0.15)
    ax.grid(color=GREY, alpha=0.2, linewidth=0.6)
    ax.set_axisbelow(True)


def _front(points: Doubles) -> list[int]:
    """The points that no other one beats in both, from left to right."""
    front: list[int] = []
    for at in np.lexsort((points[:, 1], points[:, 0])).tolist():
        if not front or points[at, 1] < points[front[-1], 1]:
            front.append(at)
    return front


def tuned(tuning: Tuning) -> Figure:
    """The trials in their order with the best so far, and beside it how good they were by each option; see palate.tune.

    Grey are the trials that were stopped early, orange the best one.
    """
    names = list(dict.fromkeys(name for trial in tuning.entries for name in trial.params))
    measured = [trial for trial in tuning.entries if trial.value is not None]
    picture = Picture(width=4.0 + 3.0 * len(names), height=4.0)
    axes = np.atleast_1d(picture.subplots(1, 1 + len(names), sharey=True))
    what = tuning.metric.upper()
    first = calm(axes[0], f"{type(tuning.recipe).__name__}, tuned", "trial", f"{what} on what was held out")
    _draw_trials(first, tuning, measured, [trial.number for trial in measured])
    _draw_best(first, tuning)
    for ax, name in zip(axes[1:], names, strict=True):
        told = [trial for trial in measured if tuning.used(trial, name) is not None]
        _by_option(calm(ax, "", name), tuning, told, name)
    return finished(picture)


def _draw_trials(ax: Axes, tuning: Tuning, trials: list[Trial], places: list[Any]) -> None:
    best = tuning.ranked[0].number
    for trial, place in zip(trials, places, strict=True):
        color = ORANGE if trial.number == best else BLUE if trial.state == "finished" else GREY
        size = 60 if trial.number == best else 25
        ax.scatter([place], [trial.score], color=color, s=size, zorder=3 if trial.number == best else 2, linewidths=0)
    ax.grid(color=GREY, alpha=0.2, linewidth=0.6)
    ax.set_axisbelow(True)


def _draw_best(ax: Axes, tuning: Tuning) -> None:
    """The best value of whole trials so far, as steps."""
    whole = sorted(tuning.ranked, key=lambda trial: trial.number)
    best = np.minimum if tuning.is_error else np.maximum
    values = best.accumulate([trial.score for trial in whole])
    last = tuning.entries[-1].number
    numbers = [*(trial.number for trial in whole), last]
    ax.step(numbers, [*values, values[-1]], where="post", color=ORANGE, linewidth=1.2, alpha=0.7, zorder=1)


def _by_option(ax: Axes, tuning: Tuning, trials: list[Trial], name: str) -> None:
    values = [tuning.used(trial, name) for trial in trials]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    choices = sorted(set(values), key=str)
    _draw_trials(ax, tuning, trials, values if is_number else [choices.index(value) for value in values])
    if not is_number:
        ax.set_xticks(range(len(choices)), [str(choice) for choice in choices])
    elif values and min(values) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(lambda *_: "")
