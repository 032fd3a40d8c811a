"""The picture of a tuning: how good each trial was, one after the other and by each of its options."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palate.plotting.drawing import BLUE, GREY, ORANGE, Picture, calm, finished
from palate.tuning import Trial, Tuning


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
    _draw(first, tuning, measured, [trial.number for trial in measured])
    _draw_best(first, tuning)
    for ax, name in zip(axes[1:], names, strict=True):
        told = [trial for trial in measured if tuning.used(trial, name) is not None]
        _by_option(calm(ax, "", name), tuning, told, name)
    return finished(picture)


def _draw(ax: Axes, tuning: Tuning, trials: list[Trial], places: list[Any]) -> None:
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
    _draw(ax, tuning, trials, values if is_number else [choices.index(value) for value in values])
    if not is_number:
        ax.set_xticks(range(len(choices)), [str(choice) for choice in choices])
    elif values and min(values) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(lambda *_: "")
