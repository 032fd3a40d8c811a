"""Pictures of comparisons and tunings: error against the seconds of the fit, and the trials of a tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from palate.errors import OptionError
from palate.evaluation import Comparison, Entry
from palate.plotting.drawing import (
    BLUE,
    GRAY,
    ORANGE,
    Doubles,
    Picture,
    add_grid,
    log_x_axis,
    shorten,
    style_axes,
    with_fonts,
)
from palate.plotting.labels import GAP, label_points
from palate.tuning import Trial, Tuning

MIN_SECONDS = 1e-4  # a logarithmic axis has no 0
LABEL_GAPS = (GAP, 16.0, 32.0, 64.0, 96.0, 128.0)  # pixels to try: intervals may push a label away from its point


# ---- comparisons


def compared(comparison: Comparison) -> Figure:
    """Draw each recipe's error, with its interval, against the seconds of its fit.

    The best recipes stand at the lower left. The orange line joins those that no other recipe beats in both error and
    time.

    Parameters:
        comparison (Comparison): The result of palate.compare.

    Returns:
        matplotlib.figure.Figure: RMSE of explicit ratings, or 1 - NDCG of implicit feedback, over a logarithmic time
            axis.

    Raises:
        OptionError: Every recipe failed or was left out.

    Example:
        >>> import palate, palate.plotting
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> comparison = palate.compare(train, test, ["Mean", "Bias"])
        >>> palate.plotting.compared(comparison).axes[0].get_ylabel()
        'RMSE on held-out ratings'
    """
    entries = [entry for entry in comparison.entries if entry.is_measured]
    if not entries:
        raise OptionError("every recipe failed or was left out, so there is nothing to draw.")
    points, bounds = _points(comparison, entries)
    picture = Picture()
    name = comparison.measure.upper()
    error = f"{name} on held-out ratings" if comparison.kind == "explicit" else f"1 - {name} on held-out choices"
    ax = style_axes(picture.subplots(), "Recipes compared: error against time", "seconds of the fit", error)
    _draw_points(ax, points, bounds)
    names = [shorten(entry.name, 40) for entry in entries]
    label_points(ax, points, names, avoid=_drawn_lines(points, bounds), gaps=LABEL_GAPS, fontsize="small")
    return with_fonts(picture)


def _points(comparison: Comparison, entries: list[Entry]) -> tuple[Doubles, Doubles]:
    """(seconds, error) of each entry, (n, 2), and how far its interval reaches below and above the error, (2, n)."""
    measures = [entry.measure(comparison.measure) for entry in entries]
    table = np.array([(measure.value, measure.low, measure.high) for measure in measures])
    if comparison.kind == "implicit":
        table = 1 - table[:, [0, 2, 1]]
    seconds = np.maximum([entry.seconds for entry in entries], MIN_SECONDS)
    reach = np.maximum([table[:, 0] - table[:, 1], table[:, 2] - table[:, 0]], 0)
    return np.column_stack([seconds, table[:, 0]]), np.nan_to_num(reach)


def _draw_points(ax: Axes, points: Doubles, bounds: Doubles) -> None:
    seconds, errors = points.T
    front = _front(points)
    style: dict[str, Any] = {"linestyle": "none", "elinewidth": 1.2, "capsize": 3, "markersize": 6}
    ax.plot(*points[front].T, color=ORANGE, linewidth=1.2, alpha=0.6, zorder=1)
    ax.errorbar(seconds, errors, yerr=bounds, color=BLUE, marker="o", **style)
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.15)
    log_x_axis(ax)
    add_grid(ax)


def _drawn_lines(points: Doubles, bounds: Doubles) -> Doubles:
    """Points along the intervals and along the line between the best recipes, for labels to avoid, (n, 2)."""
    seconds, errors = points.T
    heights = np.linspace(errors - bounds[0], errors + bounds[1], 50)
    intervals = np.column_stack([np.tile(seconds, 50), heights.ravel()])
    times, lowest = points[_front(points)].T
    along = np.geomspace(times[0], times[-1], 100)
    return np.vstack([intervals, np.column_stack([along, np.interp(np.log(along), np.log(times), lowest)])])


def _front(points: Doubles) -> list[int]:
    """The points that no other point beats in both error and time (the Pareto front), from left to right."""
    front: list[int] = []
    for at in np.lexsort((points[:, 1], points[:, 0])).tolist():
        if not front or points[at, 1] < points[front[-1], 1]:
            front.append(at)
    return front


# ---- tunings


def tuned(tuning: Tuning) -> Figure:
    """Draw the measure of each trial of a tuning: in order of the trials, then by each tuned option.

    The orange line in the first panel is the best value so far.

    Parameters:
        tuning (Tuning): The result of palate.tune.

    Returns:
        matplotlib.figure.Figure: One panel for the order and one for each option; the best trial is orange, trials that
            were stopped early are gray.

    Example:
        >>> import palate, palate.plotting
        >>> ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
        >>> tuning = palate.tune(palate.ALS(), ratings, trials=3, progress=False)
        >>> [ax.get_xlabel() for ax in palate.plotting.tuned(tuning).axes]
        ['trial', 'n_factors', 'weight_decay', 'count_exponent']
    """
    names = list(dict.fromkeys(name for trial in tuning.entries for name in trial.params))
    measured = [trial for trial in tuning.entries if trial.value is not None]
    picture = Picture(width=max(6.0, 4.0 + 3.0 * len(names)), height=4.0)
    axes = np.atleast_1d(picture.subplots(1, 1 + len(names), sharey=True))
    title, measure = f"{type(tuning.recipe).__name__}, tuned", f"{tuning.metric.upper()} on held-out data"
    first = style_axes(axes[0], title, "trial", measure)
    _draw_trials(first, tuning, measured, [trial.number for trial in measured])
    _draw_best(first, tuning)
    for ax, name in zip(axes[1:], names, strict=True):
        with_option = [trial for trial in measured if tuning.used(trial, name) is not None]
        _draw_option(style_axes(ax, "", name), tuning, with_option, name)
    _legend_above(axes[-1])
    return with_fonts(picture)


def _legend_above(ax: Axes) -> None:
    """Explain the colors of the trials above the panel, at the height of the title."""
    colors = {"best": ORANGE, "complete": BLUE, "stopped early": GRAY}
    dots = [Line2D([], [], color=color, label=name, marker="o", linestyle="none") for name, color in colors.items()]
    style: dict[str, Any] = {"handletextpad": 0.1, "columnspacing": 1.0, "borderaxespad": 0.2, "borderpad": 0}
    ax.legend(handles=dots, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize="small", **style)


def _draw_trials(ax: Axes, tuning: Tuning, trials: list[Trial], places: list[Any]) -> None:
    """Draw one dot for each trial at its place on the x axis."""
    best = tuning.ranked[0].number
    for trial, place in zip(trials, places, strict=True):
        color = ORANGE if trial.number == best else BLUE if trial.state == "finished" else GRAY
        size = 60 if trial.number == best else 25
        ax.scatter([place], [trial.score], color=color, s=size, zorder=3 if trial.number == best else 2, linewidths=0)
    add_grid(ax)


def _draw_best(ax: Axes, tuning: Tuning) -> None:
    """Draw the best value of the complete trials so far, as steps."""
    complete = sorted(tuning.ranked, key=lambda trial: trial.number)
    best = np.minimum if tuning.is_error else np.maximum
    values = best.accumulate([trial.score for trial in complete])
    last = tuning.entries[-1].number
    numbers = [*(trial.number for trial in complete), last]
    ax.step(numbers, [*values, values[-1]], where="post", color=ORANGE, linewidth=1.2, alpha=0.7, zorder=1)


def _draw_option(ax: Axes, tuning: Tuning, trials: list[Trial], name: str) -> None:
    """Draw the trials by the value of one option; numbers above 0 stand on a logarithmic axis."""
    values = [tuning.used(trial, name) for trial in trials]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    choices = sorted(set(values), key=str)
    _draw_trials(ax, tuning, trials, values if is_number else [choices.index(value) for value in values])
    if not is_number:
        ax.set_xticks(range(len(choices)), [str(choice) for choice in choices])
    elif values and min(values) > 0:
        log_x_axis(ax)
