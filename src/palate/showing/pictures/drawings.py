"""Drawings of plain values: curves, groups with intervals, bars, histograms, long tails, waterfalls, heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from palate.showing.pictures.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    ORANGE_TO_BLUE,
    PLAIN_TEXT,
    Doubles,
    add_grid,
    figure_of,
    log_x_axis,
    log_y_axis,
)

ROW = 15.0  # typographic points from one name at the end of a curve to the next
AROUND: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "fontsize": "small", **PLAIN_TEXT}


# ---- curves


class Curve(NamedTuple):
    """Points joined by a line. intervals: (x, low, high) of some of them."""

    x: Sequence[float]
    y: Sequence[float]
    color: str = BLUE
    intervals: Sequence[tuple[float, float, float]] = ()


def draw_curves(ax: Axes, curves: Mapping[str, Curve], *, log_x: bool = False) -> None:
    """Draw curves from 0 on, each with its name at its right end; nan is left out."""
    ends = {}
    for name, curve in curves.items():
        finite = np.isfinite(curve.x) & np.isfinite(curve.y)
        x, y = np.array(curve.x, np.float64)[finite], np.array(curve.y, np.float64)[finite]
        if len(x) == 0:
            continue
        ax.plot(x, y, color=curve.color, linewidth=1.8, marker="o" if len(x) < 25 else "", markersize=3.5, label=name)
        draw_intervals(ax, *np.array([one for one in curve.intervals if np.isfinite(one).all()]).reshape(-1, 3).T,
                       color=curve.color)  # fmt: skip
        ends[name] = (float(x[-1]), float(y[-1]), curve.color)
    if log_x:
        log_x_axis(ax)
    ax.set_ylim(bottom=0)
    add_grid(ax)
    name_ends(ax, ends)


def draw_intervals(ax: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, *, color: str = BLUE) -> None:
    """Draw upright intervals."""
    ax.vlines(x, low, high, color=color, linewidth=1.2, alpha=0.75)


def name_ends(ax: Axes, ends: Mapping[str, tuple[float, float, str]]) -> None:
    """Write a name to the right of each point (x, y, color); names keep a row apart."""
    if not ends:
        return
    figure = figure_of(ax)
    figure.draw_without_rendering()
    unit = 72 / figure.dpi
    names = sorted(ends, key=lambda name: ends[name][1])
    heights = unit * ax.transData.transform([ends[name][:2] for name in names])[:, 1]
    for name, shift in zip(names, apart(heights, ROW) - heights, strict=True):
        x, y, color = ends[name]
        ax.annotate(name, (x, y), xytext=(8, shift), va="center", color=color, **AROUND)


def apart(heights: Doubles, distance: float) -> Doubles:
    """Rising heights moved, as little as by rows of equal distance can be, until neighbors are `distance` apart."""
    moved = heights.astype(np.float64)
    for _ in range(len(moved)):
        gaps = distance - np.diff(moved)
        if (gaps <= 1e-6).all():
            break
        for at in np.flatnonzero(gaps > 0):
            gap = max(distance - (moved[at + 1] - moved[at]), 0)
            moved[at] -= gap / 2
            moved[at + 1] += gap / 2
    if (np.diff(moved) < distance - 0.5).any():  # a crowd: rows around its middle
        moved = moved.mean() + distance * (np.arange(len(moved)) - (len(moved) - 1) / 2)
    return moved


# ---- groups


def draw_groups(
    ax: Axes, groups: Sequence[str], sizes: Sequence[int], values: Mapping[str, Sequence[tuple[float, float, float]]]
) -> None:
    """Draw (value, low, high) of each group by name: the first name in blue, the others gray; sizes stand below."""
    ends = {}
    places = np.arange(len(groups))
    for at, (name, triples) in enumerate(values.items()):
        color, shift = (BLUE, 0.0) if at == 0 else (GRAY, 0.12 * at)
        y, low, high = np.array(triples, np.float64).reshape(-1, 3).T
        style: dict[str, Any] = {"markersize": 5 if at == 0 else 3.5, "linewidth": 1.4, "alpha": 1 if at == 0 else 0.8}
        ax.plot(places + shift, y, color=color, marker="o", label=name, **style)
        draw_intervals(ax, places + shift, low, high, color=color)
        finite = np.flatnonzero(np.isfinite(y))
        if len(finite):
            ends[name] = (float(places[finite[-1]] + shift), float(y[finite[-1]]), color)
    ax.set_xticks(
        places,
        [f"{group.replace(' to ', '–')}\n{size:,}" for group, size in zip(groups, sizes, strict=True)],
        **PLAIN_TEXT,
    )
    ax.set_xlim(-0.5, len(groups) - 0.5)
    add_grid(ax, axis="y")
    name_ends(ax, ends)


def _group_labels(groups: Sequence[str], sizes: Sequence[int]) -> list[str]:
    """Ranges with the sizes below; long ranges on two lines."""
    dash = "–" if max(map(len, groups), default=0) < 12 else "–\n"
    return [f"{group.replace(' to ', dash)}\n{size:,}" for group, size in zip(groups, sizes, strict=True)]


# ---- predictions


def draw_spread(ax: Axes, values: Doubles, quantiles: Doubles) -> None:
    """Draw the spread of predictions at each rating: 90% of them as a line, half as a bar, the median as a dot.

    values: (n,); quantiles: (n, 5), at 5%, 25%, 50%, 75% and 95%.
    """
    _diagonal(ax, np.concatenate([values, quantiles.ravel()]))
    lowest, low, median, high, highest = quantiles.T
    ax.vlines(values, lowest, highest, color=BLUE, linewidth=1.4)
    ax.vlines(values, low, high, color=BLUE, linewidth=6, alpha=0.45)
    ax.plot(values, median, color=BLUE, marker="o", markersize=5, linestyle="none", label="median")
    add_grid(ax)


def draw_calibration(ax: Axes, predicted: Doubles, means: Doubles, reach: Doubles) -> None:
    """Draw the mean rating at each mean prediction, with its interval (mean -+ reach), beside the diagonal."""
    _diagonal(ax, np.concatenate([predicted, means]))
    draw_intervals(ax, predicted, means - reach, means + reach)
    ax.plot(predicted, means, color=BLUE, marker="o", markersize=4, linewidth=1.4, label="mean rating")
    add_grid(ax)


def _diagonal(ax: Axes, values: Doubles) -> None:
    """Draw the line on which both axes are equal, with its name."""
    finite = values[np.isfinite(values)]
    ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    ax.plot(ends, ends, color=GRAY, linewidth=1, linestyle="--", zorder=1, label="equal")
    ax.annotate("equal", (ends[1], ends[1]), xytext=(4, 0), va="center", color=GRAY, **AROUND)


# ---- histograms and long tails


def draw_histogram(ax: Axes, edges: Doubles, counts: NDArray[np.number], *, log_x: bool = False) -> None:
    """Draw bars between edges, (n + 1,), as high as counts, (n,)."""
    ax.bar(edges[:-1], counts, np.diff(edges), align="edge", color=BLUE, edgecolor="none", alpha=0.85)
    if log_x:
        log_x_axis(ax)
    _thousands(ax)


def draw_bars(ax: Axes, names: Sequence[str], heights: ArrayLike, *, labels: Sequence[str] = ()) -> None:
    """Draw an upright bar for each name; labels: what to write above the bars."""
    bars = ax.bar(range(len(names)), heights, 0.8, color=BLUE, alpha=0.85)
    ax.set_xticks(range(len(names)), names, **PLAIN_TEXT)
    ax.tick_params(axis="x", length=0)
    if labels:
        ax.bar_label(bars, labels, padding=2, fontsize="small")
        ax.margins(y=0.12)
    _thousands(ax)


def _thousands(ax: Axes) -> None:
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    add_grid(ax, axis="y")


def draw_long_tail(ax: Axes, counts: NDArray[np.integer], mark: str) -> None:
    """Draw counts, the largest first, against their rank, both axes logarithmic; 0 is left out.

    mark: what to write where half of the sum is reached; {n} and {share} stand for how many and which share they are.
    """
    falling = np.sort(counts[counts > 0])[::-1]
    ax.step(np.arange(1, len(falling) + 1), falling, where="post", color=BLUE, linewidth=1.8)
    half = int(np.searchsorted(np.cumsum(falling), falling.sum() / 2)) + 1
    ax.plot([half], [falling[half - 1]], color=ORANGE, marker="o", markersize=7, linestyle="none", zorder=3)
    text = mark.format(n=half, share=half / len(falling))
    is_right = np.log(half) > 0.5 * np.log(len(falling))
    style: dict[str, Any] = {"color": ORANGE, "ha": "right" if is_right else "left", "va": "top"}
    ax.annotate(text, (half, falling[half - 1]), xytext=(-8 if is_right else 2, -10), **style, **AROUND)
    log_x_axis(ax)
    log_y_axis(ax)
    add_grid(ax)


def say_empty(ax: Axes, message: str = "nothing to show") -> None:
    """Write a message in axes without data."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(0.5, 0.5, message, ha="center", va="center", color=GRAY, transform=ax.transAxes, **PLAIN_TEXT)


# ---- bars that lie


def bar_chart(ax: Axes, names: Sequence[str], lengths: Doubles, counts: NDArray[np.int64]) -> None:
    """Draw horizontal bars, the first on top, blue for positive and orange for negative lengths.

    Names stand at the left, numbers of ratings at the right.
    """
    rows = np.arange(len(names))
    ax.barh(rows, lengths, height=0.7, color=[BLUE if length >= 0 else ORANGE for length in lengths])
    _names_of_rows(ax, names)
    ax.axvline(0, color=GRAY, linewidth=0.8)
    style: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "fontsize": "small", "color": GRAY}
    for row, count in enumerate(counts):
        ax.text(1.08, row, f"{count:,}", va="center", **style)
    ax.text(1.08, -0.9, "ratings", va="bottom", **style)


def draw_waterfall(ax: Axes, steps: Sequence[tuple[str, float]], *, start: tuple[str, float] | None, end: str) -> None:
    """Draw how steps add up, from top to bottom: each bar begins where the one above ends.

    start: the name and the value that the first step begins at; None: 0, without a bar of its own. end: the name of the
    bar that ends at the sum.
    """
    first = 0.0 if start is None else start[1]
    levels = np.concatenate([[first], first + np.cumsum([share for _, share in steps])])
    rows = [] if start is None else [start[0]]
    low, high = float(levels.min()), float(levels.max())
    margin = 0.18 * ((high - low) or abs(high) or 1.0)
    left = min(low - margin, 0.0) if start is None else low - margin
    base = 0.0 if start is None else left
    if start is not None:
        _bar(ax, 0, base, first, GRAY, _number(first))
    for (name, share), before, after in zip(steps, levels[:-1], levels[1:], strict=True):
        _bar(ax, len(rows), before, after, BLUE if share >= 0 else ORANGE, _number(share, "+"))
        rows.append(name)
    last = float(levels[-1])
    _bar(ax, len(rows), base, last, GRAY, _number(last, "+" if start is None else ""))
    rows.append(end)
    ended = levels[1:] if start is None else levels
    ax.vlines(ended, np.arange(len(ended)) + 0.35, np.arange(len(ended)) + 0.65, color=GRAY, linewidth=0.8)
    _names_of_rows(ax, rows)
    ax.set_xlim(left, high + margin)
    if start is None:
        ax.axvline(0, color=GRAY, linewidth=0.8)


def _number(value: float, sign: str = "") -> str:
    return f"{value if abs(value) >= 0.0005 else 0.0:{sign}.3f}".replace("-", "−")


def _bar(ax: Axes, row: int, begin: float, end: float, color: str, text: str) -> None:
    """One bar of a waterfall, with its number at the end that it moves to."""
    ax.barh(row, end - begin, left=begin, height=0.7, color=color)
    is_left = end < begin
    style: dict[str, Any] = {"ha": "right" if is_left else "left", "va": "center"}
    ax.annotate(text, (end, row), xytext=(-4 if is_left else 4, 0), **style, **AROUND)


def _names_of_rows(ax: Axes, names: Sequence[str]) -> None:
    """Names at the left of rows, the first on top, and no frame around them."""
    ax.set_yticks(range(len(names)), names, **PLAIN_TEXT)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    add_grid(ax, axis="x")


# ---- tables


def draw_heat_map(ax: Axes, table: NDArray[np.floating], columns: Sequence[str], limits: tuple[float, float]) -> None:
    """Draw a table in colors, from orange at the lower limit to blue at the upper; nan stays empty."""
    ax.imshow(table, cmap=ORANGE_TO_BLUE, vmin=limits[0], vmax=limits[1], aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize="x-small", **PLAIN_TEXT)
    ax.tick_params(length=0)


def write_numbers(ax: Axes, table: NDArray[np.floating], form: str) -> None:
    """Write the finite numbers of a table in its cells."""
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ax.text(column, row, form.format(value), ha="center", va="center", fontsize="x-small", color="black")
