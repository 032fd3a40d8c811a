"""Trials as dots: in their order with the best so far, or by the value of an option."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from palate.showing.pictures.canvas import BLUE, GRAY, ORANGE, PLAIN_TEXT, add_grid, log_x_axis, shorten

COLORS = {"best": ORANGE, "complete": BLUE, "stopped early": GRAY}  # by the kind of a trial


def draw_trials(ax: Axes, places: Sequence[float], values: Sequence[float], kinds: Sequence[str]) -> None:
    """Draw one dot for each trial, the best one larger."""
    for place, value, kind in zip(places, values, kinds, strict=True):
        size, order = (60, 3) if kind == "best" else (25, 2)
        ax.scatter([place], [value], color=COLORS[kind], s=size, zorder=order, linewidths=0)
    add_grid(ax)


def draw_best_so_far(ax: Axes, numbers: Sequence[int], values: ArrayLike, last: int) -> None:
    """Draw the best value after each complete trial, as steps up to the last trial."""
    values = np.asarray(values, np.float64)
    style: dict[str, Any] = {"where": "post", "color": ORANGE, "linewidth": 1.2, "alpha": 0.7, "zorder": 1}
    ax.step([*numbers, last], [*values, values[-1]], **style)


def place_values(ax: Axes, values: Sequence[Any]) -> list[float]:
    """Where values of an option stand on the x axis: numbers, logarithmic if all are above 0; or one place a choice."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if values and min(values) > 0:
            ax.set_xlim(0.9 * min(values), 1.1 * max(values))
            log_x_axis(ax)
        return [float(value) for value in values]
    choices = sorted(set(values), key=str)
    ax.set_xticks(range(len(choices)), [shorten(choice, 20) for choice in choices], **PLAIN_TEXT)
    return [float(choices.index(value)) for value in values]


def explain_trials(ax: Axes) -> None:
    """Explain the colors of the trials above the panel, at the height of the title."""
    dots = [Line2D([], [], color=color, label=name, marker="o", linestyle="none") for name, color in COLORS.items()]
    style: dict[str, Any] = {"handletextpad": 0.1, "columnspacing": 1.0, "borderaxespad": 0.2, "borderpad": 0}
    ax.legend(handles=dots, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize="small", **style)
