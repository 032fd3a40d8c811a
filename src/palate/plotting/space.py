"""The space of item factors: its principal axes, and a map of the items on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from palate.answers.axes import PrincipalAxes, principal_axes_of
from palate.options import check_whole
from palate.plotting.models import item_names, rating_counts
from palate.recommender import Recommender
from palate.showing.pictures.canvas import BLUE, GRAY, PLAIN_TEXT, Doubles, finished, one_axes, shorten, style_axes
from palate.showing.pictures.labels import label_points

# ---- principal axes


def principal_axes(rec: Recommender, n_axes: int = 2, *, min_ratings: int | None = None) -> PrincipalAxes:
    """Compute the principal components of the item factors, fitted on well-rated items and applied to all items.

    Each axis is turned so that its largest loading is positive. Its correlations are with the number of ratings, with
    the year (a column, or in brackets at the end of titles) and with the columns of the item table: numbers as they
    are, texts such as "Action|Comedy" as one column of 0 and 1 for each word.

    Parameters:
        rec (Recommender): A model with factors.
        n_axes (int, default 2): Axes to compute, 1 or more; there are no more than factors.
        min_ratings (int, default None): Fit on items with at least that many training ratings, 0 or more. None takes
            20, or the median number of ratings where that is less.

    Returns:
        PrincipalAxes: Coordinates of all items, and what describes each axis.

    Raises:
        OptionError: The model has no factors, or no item has min_ratings.
        DataError: No item has finite factors.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> axes = palate.plotting.principal_axes(rec, n_axes=3)
        >>> axes.coordinates.shape, axes.explained.shape
        ((40, 3), (3,))
    """
    return principal_axes_of(rec.model, n_axes, min_ratings)


# ---- the map


def factor_map(rec: Recommender, n: int = 50, *, min_ratings: int | None = None, ax: Any = None) -> Figure:
    """Draw the n most rated items on the first two principal axes of the item factors.

    Each axis is labeled with the items at its ends and with the metadata that correlates most with it, where the
    correlation is more than chance would give. A title without room is left out; its point stays. With one factor, the
    item bias is the other axis.

    Parameters:
        rec (Recommender): A model with factors.
        n (int, default 50): Items to show with a title, 1 or more.
        min_ratings (int, default None): Fit the axes on items with at least that many training ratings; see
            principal_axes.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: A scatter plot, the n items in blue, the other fitted items in gray. The title says
            how many of how many items, the note below it what the axes are and how many names found room.

    Raises:
        OptionError: The model has no factors, or no item has min_ratings.
        DataError: No item has finite factors.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> palate.plotting.factor_map(rec, n=20).axes[0].get_title(loc="left")
        'The 20 most rated of 40 items, by their factors'
    """
    check_whole(1, n=n)
    axes = principal_axes(rec, 2, min_ratings=min_ratings)
    points = axes.coordinates
    has_two = points.shape[1] == 2
    if not has_two:
        points = np.column_stack([points, rec.item_bias])
    shown = _most_rated(rec, points, n)
    ax = style_axes(one_axes(ax, 8.0, 6.6), _title(rec, len(shown)), note="\n")
    _scatter(ax, points[axes.fitted], points[shown])
    _label_axis(ax, "x", _axis_label(axes, 0), _ends(rec, axes, 0))
    if has_two:
        _label_axis(ax, "y", _axis_label(axes, 1), _ends(rec, axes, 1))
    else:
        ax.set_ylabel("item bias")
    named = label_points(ax, points[shown], item_names(rec, shown, 26), fontsize="x-small")
    _note_of(ax).set_text(_note(axes, shown, len(named)))
    return finished(ax)


def _title(rec: Recommender, n: int) -> str:
    which = f"The {n:,} most rated of {rec.n_items:,} items" if n < rec.n_items else f"All {n:,} items"
    return f"{which}, by their factors"


def _note_of(ax: Axes) -> Text:
    return next(text for text in ax.texts if text.get_text() == "\n")


def _note(axes: PrincipalAxes, shown: NDArray[np.intp], n_named: int) -> str:
    """What the axes are, and which items are drawn how."""
    n_axes, n_fitted = axes.coordinates.shape[1], int(axes.fitted.sum())
    which = "the two main principal axes" if n_axes == 2 else "the principal axis"
    share = f"{axes.explained.sum():.0%} of the variance of the factors of {n_fitted:,} well-rated items"
    others = n_fitted - int(axes.fitted[shown].sum())
    named = "each with its name" if n_named == len(shown) else f"{n_named:,} of them with a name, as there is room"
    gray = f"; gray: {others:,} others" if others else ""
    return f"Axes: {which}, {share}.\nBlue: {len(shown):,} items, {named}{gray}."


def _most_rated(rec: Recommender, points: Doubles, n: int) -> NDArray[np.intp]:
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    return finite[np.argsort(-rating_counts(rec)[finite], kind="stable")][:n]


def _scatter(ax: Axes, fitted: Doubles, shown: Doubles) -> None:
    ax.scatter(fitted[:, 0], fitted[:, 1], s=6, color=GRAY, alpha=0.35, linewidths=0, zorder=1)
    ax.scatter(shown[:, 0], shown[:, 1], s=18, color=BLUE, linewidths=0, zorder=2)
    ax.axhline(0, color=GRAY, linewidth=0.5, zorder=0)
    ax.axvline(0, color=GRAY, linewidth=0.5, zorder=0)
    ax.margins(0.08)


def _axis_label(axes: PrincipalAxes, at: int) -> str:
    """The axis' number, its share of the variance, and up to two correlations beyond 3 standard errors."""
    chance = 3 / np.sqrt(axes.fitted.sum())
    beyond = [(name, r) for name, r in axes.correlations[at].items() if abs(r) > chance]
    texts = [f"{shorten(name, 24)} {r:+.2f}".replace("-", "−") for name, r in beyond[:2]]
    correlations = f", correlation with {', '.join(texts)}" if texts else ""
    return f"axis {at + 1}: {axes.explained[at]:.0%} of variance{correlations}"


def _ends(rec: Recommender, axes: PrincipalAxes, at: int) -> list[str]:
    low, high = axes.extremes[at]
    return item_names(rec, [low[0], high[0]], 30)


def _label_axis(ax: Axes, which: str, label: str, ends: list[str]) -> None:
    """Set the axis label, and write the items at the axis' ends between it and the numbers."""
    getattr(ax, f"set_{which}label")(label, fontsize="small", labelpad=18, **PLAIN_TEXT)
    style: dict[str, Any] = {"fontsize": "small", "color": GRAY, "textcoords": "offset points", **PLAIN_TEXT}
    for at, side, end in ((0.0, "left", f"← {ends[0]}"), (1.0, "right", f"{ends[1]} →")):
        if which == "x":
            beside: Any = ("axes fraction", ax.xaxis.label)
            ax.annotate(end, (at, 1), xytext=(0, 3), xycoords=beside, ha=side, va="bottom", **style)
            continue
        beside, up = (ax.yaxis.label, "axes fraction"), "bottom" if at == 0 else "top"
        ax.annotate(end, (1, at), xytext=(3, 0), xycoords=beside, ha="left", va=up, rotation=90, **style)
