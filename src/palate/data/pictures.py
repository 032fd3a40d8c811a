"""The picture of a check: how often each value comes, the long tail of items, ratings a user, and ratings over time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from palate.data.shape import Shape
from palate.showing.pictures.canvas import Figure, draw, style_axes
from palate.showing.pictures.drawings import draw_bars, draw_histogram, draw_long_tail, say_empty

N_SIZES = 24  # ranges of the number of ratings a user
DAY = 86_400.0
UNITS = ((DAY, "days"), (3600.0, "hours"), (1.0, "seconds"))
LAST = 4e10  # larger times are no seconds since 1970

Drawings = dict[str, Callable[[Any], None]]


def plot_shape(shape: Shape, what: str | None, ax: Any) -> Figure:
    """The picture of Check.plot."""
    drawings: Drawings = {"items": partial(_draw_items, shape=shape), "users": partial(_draw_users, shape=shape)}
    if shape.values is not None:
        drawings = {"values": partial(_draw_values, shape=shape)} | drawings
    if shape.times is not None:
        drawings["times"] = partial(_draw_times, shape=shape)
    return draw(drawings, what, ax)


def _noun(shape: Shape) -> str:
    return "choices" if shape.kind == "implicit" else "ratings"


def _draw_values(ax: Any, shape: Shape) -> None:
    assert shape.values is not None
    values, counts = shape.values
    what, title = ("rating", "Ratings by value") if shape.kind == "explicit" else ("count", "Choices by their count")
    note = f"Mean {shape.mean:.3g}." if shape.n else ""
    style_axes(ax, f"{title}: {shape.n:,}", what, f"number of {_noun(shape)}", note)
    if shape.n == 0:
        say_empty(ax)
    elif len(values) == len(counts):
        shares = (
            [f"{share:.0%}" if share >= 0.005 else "<1%" for share in counts / shape.n] if len(values) <= 12 else []
        )
        draw_bars(ax, [f"{value:.6g}" for value in values], counts, labels=shares)
        ax.set_xticks(*_some_ticks(ax))
    else:
        is_log = bool(values[0] > 0 and np.ptp(np.diff(values)) > 1e-6 * np.ptp(values))
        draw_histogram(ax, values, counts, log_x=is_log)


def _some_ticks(ax: Any) -> tuple[list[float], list[str]]:
    """At most 12 ticks of those of bars, evenly."""
    names = [text.get_text() for text in ax.get_xticklabels()]
    step = -(-len(names) // 12)
    return [float(at) for at in range(0, len(names), step)], names[::step]


def _draw_items(ax: Any, shape: Shape) -> None:
    sizes, times = shape.items
    counts = np.repeat(sizes, times)
    title = f"Long tail: {len(counts):,} items"
    style_axes(
        ax, title, "rank of the item, most rated first", f"{_noun(shape)} of the item", "Both axes are logarithmic."
    )
    if shape.n == 0:
        say_empty(ax)
        return
    draw_long_tail(ax, counts, f"half of the {_noun(shape)}:\n{{n:,}} items ({{share:.1%}})")


def _draw_users(ax: Any, shape: Shape) -> None:
    sizes, times = shape.users
    n = int(times.sum())
    title, ylabel = f"{_noun(shape).capitalize()} a user: {n:,} users", "number of users"
    if n == 0:
        say_empty(style_axes(ax, title, f"{_noun(shape)} of the user", ylabel))
        return
    median = float(np.median(np.repeat(sizes, times)))
    note = f"Median {median:,.4g}, from {sizes[0]:,} to {sizes[-1]:,}."
    style_axes(ax, title, f"{_noun(shape)} of the user", ylabel, note)
    bounds = _bounds(int(sizes[0]), int(sizes[-1]))
    draw_histogram(ax, bounds, np.histogram(sizes, bounds, weights=times)[0], log_x=bool(sizes[-1] > 10 * sizes[0]))


def _bounds(low: int, high: int) -> Any:
    """Bounds between whole numbers of ratings, evenly apart on a logarithmic axis where they reach far."""
    between = np.geomspace if high > 10 * low else np.linspace
    n = min(N_SIZES, high - low + 1)
    inner = np.unique(np.floor(between(low, high + 1, n + 1)))
    return np.append(inner[:-1], high + 1) - 0.5


def _draw_times(ax: Any, shape: Shape) -> None:
    assert shape.times is not None
    bounds, counts = shape.times
    title = f"{_noun(shape).capitalize()} over time"
    if not 0 <= bounds[0] <= bounds[-1] <= LAST:  # no seconds since 1970
        draw_histogram(style_axes(ax, title, "time", f"number of {_noun(shape)}"), bounds, counts)
        return
    width = float(bounds[1] - bounds[0])
    unit = next(f"{width / size:.3g} {unit}" for size, unit in UNITS if width >= size or size == 1)
    form = "%Y-%m-%d" if bounds[-1] - bounds[0] > 3 * DAY else "%m-%d %H:%M"
    note = f"From {_date(bounds[0], form)} to {_date(bounds[-1], form)}; each bar is {unit}."
    style_axes(ax, title, "date (UTC)", f"number of {_noun(shape)}", note)
    draw_histogram(ax, bounds / DAY, counts)
    ticks = np.linspace(bounds[0], bounds[-1], 4)
    ax.set_xticks(ticks / DAY, [_date(tick, form) for tick in ticks])


def _date(seconds: float, form: str) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).strftime(form)
