"""The space of item factors: its principal axes, what they have to do with the item table, and a map of the items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palate.data.titles import titles
from palate.errors import DataError, OptionError
from palate.options import check_whole
from palate.plotting.drawing import (
    BLUE,
    GRAY,
    PLAIN_TEXT,
    Doubles,
    Mask,
    Picture,
    item_names,
    items_with,
    rating_counts,
    recipe_name,
    shorten,
    style_axes,
    with_fonts,
)
from palate.plotting.labels import label_points
from palate.recommender import Recommender

if TYPE_CHECKING:
    import polars as pl

WELL_RATED = 20  # with fewer ratings, an item's factors are mostly chance
N_EXTREMES = 3  # items noted at each end of an axis
MIN_SHARED = 5  # items that must share a word (a genre) before it is correlated with an axis


# ---- principal axes


@dataclass(frozen=True)
class PrincipalAxes:
    """The principal components of the item factors, widest first, and their correlations with the item table.

    Attributes:
        coordinates (numpy.ndarray): The items on the axes, around the mean of the fitted items, (n_items, n_axes).
        explained (numpy.ndarray): Each axis' share of the variance of the fitted items' factors, (n_axes,).
        fitted (numpy.ndarray): True for the items that the axes were fitted on, (n_items,).
        extremes (tuple): For each axis the codes of the fitted items at its low end and at its high end, as two lists,
            the outermost first.
        correlations (tuple): For each axis a dict from the name of a metadata column to its Pearson correlation with
            the axis over the fitted items, the strongest first.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> axes = palate.plotting.principal_axes(rec)
        >>> [len(low) + len(high) for low, high in axes.extremes]
        [6, 6]
    """

    coordinates: Doubles
    explained: Doubles
    fitted: Mask
    extremes: tuple[tuple[list[int], list[int]], ...]
    correlations: tuple[dict[str, float], ...]


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
    check_whole(1, n_axes=n_axes)
    if rec.n_factors == 0:
        raise OptionError(f"{recipe_name(rec)} has no factors to draw; fit a model that has, like Bayes.")
    factors, counts = rec.item_factors.astype(np.float64), rating_counts(rec)
    fitted = items_with(counts, _well_rated(counts) if min_ratings is None else min_ratings)
    fitted &= np.isfinite(factors).all(axis=1)
    if not fitted.any():
        raise DataError("no item has finite factors: this model is broken.")
    coordinates, explained = _components(factors, fitted, n_axes)
    metadata = dict(_metadata(rec, counts, fitted))
    return PrincipalAxes(
        coordinates,
        explained,
        fitted,
        tuple(_extremes(axis, fitted) for axis in coordinates.T),
        tuple(_correlations(axis[fitted], metadata) for axis in coordinates.T),
    )


def _well_rated(counts: NDArray[np.int64]) -> int:
    rated = counts[counts > 0]
    return min(WELL_RATED, int(np.median(rated))) if len(rated) else 0


def _components(factors: Doubles, fitted: Mask, n_axes: int) -> tuple[Doubles, Doubles]:
    """Coordinates of all items on the eigenvectors of the fitted items' covariance, and shares of variance."""
    centered = factors - factors[fitted].mean(axis=0)
    variances, directions = np.linalg.eigh(centered[fitted].T @ centered[fitted])
    widest = np.argsort(-variances, kind="stable")[:n_axes]
    directions = directions[:, widest]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.where(directions[largest, np.arange(len(widest))] < 0, -1.0, 1.0)
    total = variances.sum()
    explained = np.clip(variances[widest] / total, 0, 1) if total > 0 else np.zeros(len(widest))
    return centered @ directions * (explained > 1e-12), explained  # an axis of rounding errors becomes 0


def _extremes(axis: Doubles, fitted: Mask) -> tuple[list[int], list[int]]:
    codes = np.flatnonzero(fitted)
    order = codes[np.argsort(axis[codes], kind="stable")]
    return order[:N_EXTREMES].tolist(), order[::-1][:N_EXTREMES].tolist()


def _correlations(axis: Doubles, metadata: dict[str, Doubles]) -> dict[str, float]:
    found = {name: _correlation(axis, column) for name, column in metadata.items()}
    finite = {name: r for name, r in found.items() if np.isfinite(r)}
    return dict(sorted(finite.items(), key=lambda pair: -abs(pair[1])))


def _correlation(one: Doubles, other: Doubles) -> float:
    """Pearson's r over the rows where `other` is finite; nan if either does not vary there, or for under 3 rows."""
    finite = np.isfinite(other)
    one, other = one[finite], other[finite]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    a, b = (values - values.mean() for values in (one / np.abs(one).max(), other / np.abs(other).max()))
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


# ---- metadata of items, as columns of numbers


def _metadata(rec: Recommender, counts: NDArray[np.int64], fitted: Mask) -> Iterator[tuple[str, Doubles]]:
    """The name and values (n_fitted,) of each column that an axis may correlate with."""
    yield "number of ratings (log)", np.log(np.maximum(counts[fitted], 1)).astype(np.float64)
    table = rec.model.item_table
    if table is None:
        return
    import polars as pl

    rows = table.filter(fitted)
    names = titles(rows)
    if names is not None and not any(name.lower().endswith("year") for name in rows.columns):
        yield "year", _years(names)
    for series in rows.iter_columns():
        if series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean:
            yield from _number_column(series)
        elif names is None or series.to_list() != names:
            yield from _word_columns(series)


def _years(names: list[str | None]) -> Doubles:
    found = [re.search(r"\((\d{4})\)\s*$", name or "") for name in names]
    return np.array([float(match[1]) if match else np.nan for match in found])


def _number_column(series: pl.Series) -> Iterator[tuple[str, Doubles]]:
    if not re.search(r"(^|[^a-z])id$|[a-z]I[dD]$", series.name):  # the size of an identifier says nothing
        import polars as pl

        yield series.name, series.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()


def _word_columns(series: pl.Series) -> Iterator[tuple[str, Doubles]]:
    """For each word that at least MIN_SHARED items have, 1 for the items that have it and 0 for the others."""
    words = [_words(value) for value in series.to_list()]
    shared: dict[str, list[int]] = {}
    for row, own in enumerate(words):
        for word in own:
            shared.setdefault(word, []).append(row)
    for word, rows in shared.items():
        if len(rows) >= MIN_SHARED:
            column = np.zeros(len(words))
            column[rows] = 1
            yield word, column


def _words(value: Any) -> set[str]:
    """The words of a cell: "Action|Comedy" gives {"Action", "Comedy"}, a list its members."""
    if value is None:
        return set()
    parts = value if isinstance(value, list) else str(value).split("|")
    return {word for part in parts if part is not None and (word := str(part).strip())}


# ---- the map


def factor_map(rec: Recommender, n: int = 50, *, min_ratings: int | None = None) -> Figure:
    """Draw the n most rated items on the first two principal axes of the item factors.

    Each axis is labeled with the items at its ends and with the metadata that correlates most with it, where the
    correlation is more than chance would give. A title without room is left out; its point stays. With one factor, the
    item bias is the other axis.

    Parameters:
        rec (Recommender): A model with factors.
        n (int, default 50): Items to show with a title, 1 or more.
        min_ratings (int, default None): Fit the axes on items with at least that many training ratings; see
            principal_axes.

    Returns:
        matplotlib.figure.Figure: A scatter plot, the n items in blue, the other fitted items in gray.

    Raises:
        OptionError: The model has no factors, or no item has min_ratings.
        DataError: No item has finite factors.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> palate.plotting.factor_map(rec, n=20).axes[0].get_title(loc="left")
        'The 20 most rated items by their factors'
    """
    check_whole(1, n=n)
    axes = principal_axes(rec, 2, min_ratings=min_ratings)
    points = axes.coordinates
    has_two = points.shape[1] == 2
    if not has_two:
        points = np.column_stack([points, rec.item_bias])
    shown = _most_rated(rec, points, n)
    picture = Picture(height=6.4)
    ax = style_axes(picture.subplots(), f"The {len(shown):,} most rated items by their factors")
    _scatter(ax, points[axes.fitted], points[shown])
    _label_axis(ax, "x", _axis_label(axes, 0), _ends(rec, axes, 0))
    if has_two:
        _label_axis(ax, "y", _axis_label(axes, 1), _ends(rec, axes, 1))
    else:
        ax.set_ylabel("item bias")
    label_points(ax, points[shown], item_names(rec, shown, 26), fontsize="x-small")
    return with_fonts(picture)


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
