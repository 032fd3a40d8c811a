"""The picture of a tuning: its trials in order, and by each tuned option.

The tuning is not named by its type here: results.py imports this module, and nothing imports in a circle.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.showing.pictures.canvas import Figure, Picture, finished, given_axes, style_axes
from palate.showing.pictures.trials import draw_best_so_far, draw_trials, explain_trials, place_values


def plot_tuning(tuning: Any, ax: Any) -> Figure:
    """The picture of Tuning.plot."""
    names = list(dict.fromkeys(name for trial in tuning.entries for name in trial.params))
    measured = [trial for trial in tuning.entries if trial.value is not None]
    axes = _panels(1 + len(names)) if ax is None else given_axes(ax, 1 + len(names))
    title, measure = f"{type(tuning.recipe).__name__}, tuned", f"{tuning.metric.upper()} on held-out data"
    first = style_axes(axes[0], title, "trial", measure)
    _draw_trials(first, tuning, measured, [trial.number for trial in measured])
    complete = sorted(tuning.ranked, key=lambda trial: trial.number)
    best = np.minimum if tuning.is_error else np.maximum
    values = best.accumulate([trial.score for trial in complete])
    draw_best_so_far(first, [trial.number for trial in complete], values, tuning.entries[-1].number)
    for one, name in zip(axes[1:], names, strict=True):
        with_option = [trial for trial in measured if tuning.used(trial, name) is not None]
        places = place_values(style_axes(one, "", name), [tuning.used(trial, name) for trial in with_option])
        _draw_trials(one, tuning, with_option, places)
    explain_trials(axes[-1])
    return finished(*axes)


def _panels(n: int) -> list[Any]:
    picture = Picture(width=max(6.0, 1.0 + 3.0 * n), height=4.0)
    axes: list[Any] = np.atleast_1d(picture.subplots(1, n, sharey=True)).tolist()
    return axes


def _draw_trials(ax: Any, tuning: Any, trials: list[Any], places: list[float]) -> None:
    best = tuning.ranked[0].number
    kinds = ["best" if trial.number == best else "complete" if trial.state == "finished" else "stopped early"
             for trial in trials]  # fmt: skip
    draw_trials(ax, places, [trial.score for trial in trials], kinds)
