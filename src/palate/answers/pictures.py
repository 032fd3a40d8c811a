"""Pictures of answers: explanations as waterfalls, the chances of each rating, observed ratings beside predictions.

What is drawn is not named by its type here: answers/results.py imports this module, and nothing imports in a circle.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.options import check_whole
from palate.showing.pictures.canvas import (
    MAX_INCHES,
    PLAIN_TEXT,
    Figure,
    Picture,
    draw,
    finished,
    given_axes,
    height_of,
    one_axes,
    shorten,
    style_axes,
)
from palate.showing.pictures.drawings import draw_bars, draw_heat_map, draw_waterfall, write_numbers

Steps = list[tuple[str, float]]


# ---- explanations


def plot_explanation(found: Any, what: str | None, n: int, ax: Any) -> Figure:
    """The picture of Explanation.plot."""
    check_whole(1, n=n)
    parts, reasons = _steps_of_parts(found), _steps_of_reasons(found, n)
    drawings = {
        "parts": lambda ax: _draw_parts(ax, found, parts),
        "reasons": lambda ax: _draw_reasons(ax, found, reasons),
    }
    if found.kind == "implicit" and len(parts) < 2:
        del drawings["parts"]  # the factors are the whole score
    n_rows = max(len(parts), len(reasons)) if len(drawings) > 1 else len(reasons)
    return draw(drawings, what, ax, width=6.2, height=height_of(n_rows, 1.7))


def _name(found: Any, width: int = 34) -> str:
    return shorten(found.title or "", width) or shorten(found.item, width)


def _steps_of_parts(found: Any) -> Steps:
    """The parts after the mean; of a blend its parts; `limit` and what is 0 in scores left out."""
    if found.blend:
        return [(shorten(name, 26), share) for name, share in found.blend.items()]
    steps = [(name, share) for name, share in found.parts.items() if name != "limit" or abs(share) > 1e-9]
    if found.kind == "implicit":
        return [(name, share) for name, share in steps if share != 0]
    return steps[1:]


def _steps_of_reasons(found: Any, n: int) -> Steps:
    """The n largest reasons, the sum of the others, side information and the prior."""
    shown, others = found.because[:n], found.because[n:]
    steps = [(_reason(found, reason), reason.contribution) for reason in shown]
    if others:
        noun = "choice" if found.kind == "implicit" else "rating"
        name = f"{len(others):,} other {noun}s" if len(others) > 1 else f"1 other {noun}"
        steps.append((name, sum(reason.contribution for reason in others)))
    steps += [("which items were rated" if name == "history" else shorten(name, 26), share)
              for name, share in found.known.items()]  # fmt: skip
    return [*steps, ("prior, as for all users", found.rest)] if found.rest or not steps else steps


def _reason(found: Any, reason: Any) -> str:
    name = shorten(reason.title or "", 30) or shorten(reason.item, 30)
    if found.kind == "explicit":
        return f"{name}, rated {reason.rating:g}"
    return f"{name}, {reason.rating:g} times" if reason.rating != 1 else name


def _draw_parts(ax: Any, found: Any, steps: Steps) -> None:
    of = f"{_name(found)} for user {shorten(found.user, 20)}"
    if found.kind == "implicit":
        style_axes(ax, of, "score", note=f"The parts add up to the score, {_number(found.prediction)}.")
        draw_waterfall(ax, steps, start=None, end="score")
        return
    note = f"Mean and parts add up to the prediction, {_number(found.prediction)}."
    style_axes(ax, of, "predicted rating", note=note)
    draw_waterfall(ax, steps, start=("mean", found.parts["mean"]), end="prediction")


def _draw_reasons(ax: Any, found: Any, steps: Steps) -> None:
    score = "score" if found.kind == "implicit" else "predicted rating"
    total = sum(share for _, share in steps)
    behind = {part: share for part, share in found.parts.items() if part in (_row(found), "factors") and share}
    told = " and ".join(f"{part} {_number(share)}" for part, share in behind.items())
    title = "The reasons behind user and factors" if len(behind) > 1 else "The reasons"
    note = f"They add up to {_number(total)}" + (f": {told}." if len(behind) > 1 else ".")
    style_axes(ax, title.replace("user", _row(found)), f"share of the {score}", note=note)
    is_score = found.kind == "implicit" and abs(total - found.prediction) <= 1e-6 * max(1.0, abs(total))
    draw_waterfall(ax, steps, start=None, end="score" if is_score else " and ".join(behind) or "sum")


def _row(found: Any) -> str:
    """Whose vector is explained: "user", or "item" of a new item."""
    return next((part for part in found.parts if part in ("user", "item")), "user")


def _number(value: float) -> str:
    return f"{value + 0.0 if abs(value) >= 0.0005 else 0.0:.3f}".replace("-", "−")


# ---- distributions


def plot_distribution(found: Any, ax: Any) -> Figure:
    """The picture of Distribution.plot."""
    ax = one_axes(ax, 6.4, 4.2)
    note = f"Mean {found.prediction:.2f}; interval from {found.low:.2f} to {found.high:.2f}."
    style_axes(ax, "The chance of each rating", "rating", "probability", note.replace("-", "−"))
    chances = list(found.chances.values())
    labels = [f"{chance:.0%}" if chance >= 0.005 else "<1%" for chance in chances]
    draw_bars(ax, [f"{rating:g}" for rating in found.chances], chances, labels=labels)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return finished(ax)


# ---- tables of users and items


def plot_cross_tab(tab: Any, ax: Any) -> Figure:
    """The picture of CrossTab.plot."""
    columns = [shorten(title or "", 26) or shorten(item, 26) for item, title in zip(tab.items, tab.titles, strict=True)]
    if ax is None:
        width = min(max(8.0, 2.0 + 0.6 * len(columns)), MAX_INCHES)
        left, right = Picture(width, height_of(len(tab.users), 2.6)).subplots(1, 2, sharey=True)
    else:
        left, right = given_axes(ax, 2)
    limits = _color_limits(tab)
    rows = [shorten(user, 20) for user in tab.users]
    observed = "observed ratings" if tab.kind == "explicit" else "how often chosen"
    predicted = "predictions" if tab.kind == "explicit" else "scores"
    for one, title, table in ((left, observed, tab.known), (right, predicted, tab.predicted)):
        draw_heat_map(style_axes(one, title), table, columns, limits)
        one.set_yticks(range(len(rows)), rows, **PLAIN_TEXT)
        decimals = "{:g}" if table is tab.known else "{:.1f}" if tab.kind == "explicit" else "{:.2f}"
        write_numbers(one, table, decimals)
    if ax is None:
        right.tick_params(labelleft=False)
    left.set_ylabel("user")
    return finished(left, right)


def _color_limits(tab: Any) -> tuple[float, float]:
    """The rating range, or where there is none the range of the finite values."""
    low, high = tab.limits
    if np.isfinite([low, high]).all():
        return low, high
    values = np.concatenate([tab.known.ravel(), tab.predicted.ravel()])
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
