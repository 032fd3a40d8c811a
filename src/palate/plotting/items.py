"""Pictures of items: biases, the learned space, neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palate.answers.arguments import check_whole
from palate.data.ratings import titles
from palate.data.vocabulary import Label
from palate.errors import DataError, OptionError
from palate.plotting.drawing import (
    BLUE,
    GREY,
    LITERAL,
    Doubles,
    Picture,
    calm,
    finished,
    height_of,
    item_names,
    label_points,
    named_bars,
    rating_counts,
    short,
)
from palate.recommender import Recommender

if TYPE_CHECKING:
    import polars as pl

Mask = NDArray[np.bool_]

WELL_RATED = 20  # ratings from which on an item's factors say more about it than about chance
N_EXTREMES = 3  # items noted at each end of an axis
LEAST_SHARED = 5  # items that a word (a genre) must have, to be correlated with anything


# ---- biases


def item_biases(rec: Recommender, n: int = 10, *, min_ratings: int = 1) -> Figure:
    """The n items with the highest bias and the n with the lowest, the best on top, with their numbers of ratings.

    min_ratings: only items with that many, since the extremes among the rarely rated are mostly chance. Raises
    OptionError where no item has that many, and for a model without item biases.

    >>> import palate, palate.plotting
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> figure = palate.plotting.item_biases(rec, n=5, min_ratings=10)
    >>> len(figure.axes[0].get_yticklabels())
    10
    """
    check_whole("n", n, least=1)
    counts, biases = rating_counts(rec), rec.item_bias.astype(np.float64)
    if not biases.any():
        raise OptionError(f"{_name(rec)} has no item biases: there is nothing to show; fit one that has, like Bayes.")
    codes = _enough(counts, min_ratings) & np.isfinite(biases)
    order = _best_first(biases, np.flatnonzero(codes))
    shown = order if len(order) <= 2 * n else np.concatenate([order[:n], order[-n:]])
    picture = Picture(height=height_of(len(shown), 1.1))
    ax = calm(picture.subplots(), _biases_title(n, len(order), min_ratings), f"item bias: {_unit_of_bias(rec)}")
    named_bars(ax, item_names(rec, shown), biases[shown], counts[shown])
    if len(shown) < len(order):
        ax.axhline(n - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    return finished(picture)


def _unit_of_bias(rec: Recommender) -> str:
    if not rec.model.predicts_ratings:
        return "what items are ranked by"
    before = "" if rec.model.factors.y_range is None else ", before the sigmoid"
    return f"above or below the mean{before}"


def _name(rec: Recommender) -> str:
    return str(rec.model.recipe.get("name", "this model"))


def _enough(counts: NDArray[np.int64], min_ratings: int) -> Mask:
    """Items with at least min_ratings; OptionError where there are none."""
    check_whole("min_ratings", min_ratings)
    enough = counts >= min_ratings
    if not enough.any():
        most = int(counts.max(initial=0))
        raise OptionError(f"min_ratings={min_ratings}: no item has that many ratings; the most rated has {most}.")
    return enough


def _best_first(biases: Doubles, codes: NDArray[Any]) -> NDArray[Any]:
    if len(codes) == 0:
        raise DataError("no item has a finite bias: this model is broken.")
    return codes[np.argsort(-biases[codes], kind="stable")]


def _biases_title(n: int, n_items: int, min_ratings: int) -> str:
    which = f"{n_items:,} items" + (f" with {min_ratings:,} ratings or more" if min_ratings > 1 else "")
    return f"Best and worst of {which}" if n_items > 2 * n else f"All {which}"


# ---- the space of factors


@dataclass(frozen=True)
class PrincipalAxes:
    """The directions in which items differ most, widest first, and what they have to do with what is known of items.

    coordinates: (n_items, n_axes), around the mean of the fitted items. explained: (n_axes,), shares of the variance of
    the fitted items' factors. fitted: (n_items,), the items that the axes were fitted over. extremes: for each axis the
    codes of the fitted items at its low and at its high end, the outermost first. correlations: for each axis the
    Pearson correlation with each column of metadata over the fitted items, strongest first.
    """

    coordinates: Doubles
    explained: Doubles
    fitted: Mask
    extremes: tuple[tuple[list[int], list[int]], ...]
    correlations: tuple[dict[str, float], ...]


def principal_axes(rec: Recommender, n_axes: int = 2, *, min_ratings: int | None = None) -> PrincipalAxes:
    """Principal components of the item factors, at most n_axes; fitted over items with min_ratings, told for all.

    min_ratings: None takes 20, or the median number of ratings where that is less. An axis points to where its largest
    loading does. Metadata are the number of ratings, the year (a column, or in brackets at the end of titles) and the
    columns of the item table: numbers as they are, texts such as "Action|Comedy" as one column of 0 and 1 for each
    word. Raises OptionError for a model without factors and where no item has min_ratings.

    >>> import palate, palate.plotting
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> axes = palate.plotting.principal_axes(rec, n_axes=3)
    >>> axes.coordinates.shape, axes.explained.shape
    ((40, 3), (3,))
    """
    check_whole("n_axes", n_axes, least=1)
    if rec.n_factors == 0:
        raise OptionError(
            f"{_name(rec)} has no factors, so there is no space to look at; fit one that has, like Bayes."
        )
    factors, counts = rec.item_factors.astype(np.float64), rating_counts(rec)
    fitted = _enough(counts, _well_rated(counts) if min_ratings is None else min_ratings)
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
    """Coordinates of all items on the main eigenvectors of the fitted ones' covariance, and shares of variance."""
    centered = factors - factors[fitted].mean(axis=0)
    variances, directions = np.linalg.eigh(centered[fitted].T @ centered[fitted])
    widest = np.argsort(-variances, kind="stable")[:n_axes]
    directions = directions[:, widest]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.where(directions[largest, np.arange(len(widest))] < 0, -1.0, 1.0)
    total = variances.sum()
    explained = np.clip(variances[widest] / total, 0, 1) if total > 0 else np.zeros(len(widest))
    return centered @ directions * (explained > 1e-12), explained  # no axis made of rounding errors


def _extremes(axis: Doubles, fitted: Mask) -> tuple[list[int], list[int]]:
    codes = np.flatnonzero(fitted)
    order = codes[np.argsort(axis[codes], kind="stable")]
    return order[:N_EXTREMES].tolist(), order[::-1][:N_EXTREMES].tolist()


def _correlations(axis: Doubles, metadata: dict[str, Doubles]) -> dict[str, float]:
    found = {name: _correlation(axis, column) for name, column in metadata.items()}
    known = {name: r for name, r in found.items() if np.isfinite(r)}
    return dict(sorted(known.items(), key=lambda pair: -abs(pair[1])))


def _correlation(one: Doubles, other: Doubles) -> float:
    """Pearson's, over the rows where the other is known; nan where one of the two does not vary, or in under 3 rows."""
    known = np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    a, b = (values - values.mean() for values in (one / np.abs(one).max(), other / np.abs(other).max()))
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


# ---- what is known of items, as columns of numbers


def _metadata(rec: Recommender, counts: NDArray[np.int64], fitted: Mask) -> Iterator[tuple[str, Doubles]]:
    """Name and values (n_fitted,) of everything that could name an axis."""
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
    if not re.search(r"(^|[^a-z])id$|[a-z]I[dD]$", series.name):  # an identifier has no more and no less
        import polars as pl

        yield series.name, series.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()


def _word_columns(series: pl.Series) -> Iterator[tuple[str, Doubles]]:
    """For each word that enough items have, 1 where an item has it and 0 where not."""
    words = [_words(value) for value in series.to_list()]
    shared: dict[str, list[int]] = {}
    for row, own in enumerate(words):
        for word in own:
            shared.setdefault(word, []).append(row)
    for word, rows in shared.items():
        if len(rows) >= LEAST_SHARED:
            column = np.zeros(len(words))
            column[rows] = 1
            yield word, column


def _words(value: Any) -> set[str]:
    """From "Action|Comedy" {"Action", "Comedy"}; from a list, its members."""
    if value is None:
        return set()
    parts = value if isinstance(value, list) else str(value).split("|")
    return {word for part in parts if part is not None and (word := str(part).strip())}


# ---- the map


def factor_map(rec: Recommender, n: int = 50, *, min_ratings: int | None = None) -> Figure:
    """The n most rated items on the two main axes of the item factors, which principal_axes() finds.

    Each axis is named by the items at its ends and by the metadata that correlates most with it, where that is more
    than chance gives. A title without room is left out; its point stays. With one factor, the bias is the other axis.

    >>> import palate, palate.plotting
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> palate.plotting.factor_map(rec, n=20).axes[0].get_title(loc="left")
    'The 20 most rated items by their factors'
    """
    check_whole("n", n, least=1)
    axes = principal_axes(rec, 2, min_ratings=min_ratings)
    points = axes.coordinates
    has_two = points.shape[1] == 2
    if not has_two:
        points = np.column_stack([points, rec.item_bias])
    shown = _most_rated(rec, points, n)
    picture = Picture(height=6.4)
    ax = calm(picture.subplots(), f"The {len(shown):,} most rated items by their factors")
    _scatter(ax, points[axes.fitted], points[shown])
    _name_axis(ax, "x", _axis_words(axes, 0), _ends(rec, axes, 0))
    if has_two:
        _name_axis(ax, "y", _axis_words(axes, 1), _ends(rec, axes, 1))
    else:
        ax.set_ylabel("item bias")
    label_points(ax, points[shown], item_names(rec, shown, 26), fontsize="x-small")
    return finished(picture)


def _most_rated(rec: Recommender, points: Doubles, n: int) -> NDArray[np.intp]:
    there = np.flatnonzero(np.isfinite(points).all(axis=1))
    return there[np.argsort(-rating_counts(rec)[there], kind="stable")][:n]


def _scatter(ax: Axes, fitted: Doubles, shown: Doubles) -> None:
    ax.scatter(fitted[:, 0], fitted[:, 1], s=6, color=GREY, alpha=0.35, linewidths=0, zorder=1)
    ax.scatter(shown[:, 0], shown[:, 1], s=18, color=BLUE, linewidths=0, zorder=2)
    ax.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.5, zorder=0)
    ax.margins(0.08)


def _axis_words(axes: PrincipalAxes, at: int) -> str:
    """What to call an axis: its number, its share of the variance, and what correlates with it by more than chance."""
    chance = 3 / np.sqrt(axes.fitted.sum())
    known = [
        f"{short(name, 24)} {r:+.2f}".replace("-", "−") for name, r in axes.correlations[at].items() if abs(r) > chance
    ]
    told = f", correlation with {', '.join(known[:2])}" if known else ""
    return f"axis {at + 1}: {axes.explained[at]:.0%} of variance{told}"


def _ends(rec: Recommender, axes: PrincipalAxes, at: int) -> list[str]:
    low, high = axes.extremes[at]
    return item_names(rec, [low[0], high[0]], 30)


def _name_axis(ax: Axes, which: str, words: str, ends: list[str]) -> None:
    """The words as the axis label; between it and the numbers, the items at the axis' ends."""
    getattr(ax, f"set_{which}label")(words, fontsize="small", labelpad=18, **LITERAL)
    style: dict[str, Any] = {"fontsize": "small", "color": GREY, "textcoords": "offset points", **LITERAL}
    for at, side, end in ((0.0, "left", f"← {ends[0]}"), (1.0, "right", f"{ends[1]} →")):
        if which == "x":
            beside: Any = ("axes fraction", ax.xaxis.label)
            ax.annotate(end, (at, 1), xytext=(0, 3), xycoords=beside, ha=side, va="bottom", **style)
            continue
        beside, up = (ax.yaxis.label, "axes fraction"), "bottom" if at == 0 else "top"
        ax.annotate(end, (1, at), xytext=(3, 0), xycoords=beside, ha="left", va=up, rotation=90, **style)


# ---- neighbours


def neighbours(rec: Recommender, item: Label, n: int = 10, *, min_ratings: int = 1) -> Figure:
    """The n items most similar to one, as similar_items() measures it: bars of cosines or weights, the nearest on top.

    min_ratings: only items with that many. Raises UnknownLabelError for an unknown item and OptionError for a model
    without factors.

    >>> import palate, palate.plotting
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> palate.plotting.neighbours(rec, "i2", n=4).axes[0].get_title(loc="left")
    'Nearest to i2'
    """
    check_whole("n", n, least=1)
    code = rec.model.item_vocabulary.encode_one(item)
    counts = rating_counts(rec)
    enough = _enough(counts, min_ratings)
    found = rec.similar_items(item, rec.n_items)
    codes = rec.model.item_vocabulary.encode(found[rec.model.item_vocabulary.what].to_numpy())
    nearest = np.flatnonzero(enough[codes])[:n]
    title = f"Nearest to {item_names(rec, [code])[0]}"
    if len(nearest) == 0:
        return _empty(title, "There are no other items to compare with.")
    picture = Picture(height=height_of(len(nearest), 1.1))
    measure = found.columns[-2]  # before the rank
    told = "cosine of the factors: 1 points the same way" if rec.n_factors else f"{measure} of the histories"
    ax = calm(picture.subplots(), title, told)
    shown, alike = codes[nearest], found[measure].to_numpy()[nearest].astype(np.float64)
    named_bars(ax, item_names(rec, shown), alike, counts[shown])
    if measure == "cosine":
        ax.set_xlim(right=1)
    return finished(picture)


def _empty(title: str, words: str) -> Figure:
    picture = Picture(height=3.0)
    ax = calm(picture.subplots(), title)
    ax.set_axis_off()
    ax.text(0.5, 0.5, words, ha="center", transform=ax.transAxes)
    return finished(picture)
