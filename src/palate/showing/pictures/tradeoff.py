"""Points of two costs, such as error and seconds: each with its interval and its name, and a line along the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from palate.showing.pictures.canvas import BLUE, ORANGE, Doubles, add_grid, log_x_axis, shorten
from palate.showing.pictures.labels import GAP, label_points

LABEL_GAPS = (GAP, 16.0, 32.0, 64.0, 96.0, 128.0)  # pixels to try: intervals may push a label away from its point


def draw_tradeoff(ax: Axes, points: Doubles, bounds: Doubles, names: Sequence[str]) -> None:
    """Draw named points (n, 2) over a logarithmic x axis; an orange line joins those that no other beats.

    bounds: how far the interval of each reaches below and above its y, (2, n).
    """
    x, y = points.T
    style: dict[str, Any] = {"linestyle": "none", "elinewidth": 1.2, "capsize": 3, "markersize": 6}
    ax.plot(*points[front(points)].T, color=ORANGE, linewidth=1.2, alpha=0.6, zorder=1)
    ax.errorbar(x, y, yerr=bounds, color=BLUE, marker="o", **style)
    ax.set_xscale("log")
    ax.margins(x=0.15, y=0.15)
    log_x_axis(ax)
    add_grid(ax)
    texts = [shorten(name, 40) for name in names]
    label_points(ax, points, texts, avoid=drawn_lines(points, bounds), gaps=LABEL_GAPS, fontsize="small")


def drawn_lines(points: Doubles, bounds: Doubles) -> Doubles:
    """Points along the intervals and along the line between the best points, for labels to avoid, (n, 2)."""
    x, y = points.T
    heights = np.linspace(y - bounds[0], y + bounds[1], 50)
    intervals = np.column_stack([np.tile(x, 50), heights.ravel()])
    best, lowest = points[front(points)].T
    along = np.geomspace(best[0], best[-1], 100)
    return np.vstack([intervals, np.column_stack([along, np.interp(np.log(along), np.log(best), lowest)])])


def front(points: Doubles) -> list[int]:
    """The points that no other point beats in both coordinates (the Pareto front), from left to right."""
    found: list[int] = []
    for at in np.lexsort((points[:, 1], points[:, 0])).tolist():
        if not found or points[at, 1] < points[found[-1], 1]:
            found.append(at)
    return found
