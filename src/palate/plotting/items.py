"""Pictures of items as bars: the highest and lowest biases, and the items most similar to one."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palate.answers.axes import items_with
from palate.data.output import output_of
from palate.data.vocabulary import Label
from palate.errors import DataError, OptionError
from palate.options import check_whole
from palate.plotting.models import item_names, rating_counts, recipe_name
from palate.recommender import Recommender
from palate.showing.pictures.canvas import GRAY, Doubles, finished, height_of, one_axes, style_axes
from palate.showing.pictures.drawings import bar_chart

# ---- biases


def item_biases(rec: Recommender, n: int = 10, *, min_ratings: int = 1, ax: Any = None) -> Figure:
    """Draw the n items with the highest bias and the n with the lowest, with their numbers of ratings.

    Parameters:
        rec (Recommender): A model with item biases.
        n (int, default 10): Items at each end, 1 or more. The best item is on top.
        min_ratings (int, default 1): Show only items with at least that many training ratings, 0 or more. Extremes
            among rarely rated items are mostly chance.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: Horizontal bars, blue above the mean and orange below it.

    Raises:
        OptionError: The model has no item biases, or no item has min_ratings.
        DataError: No item has a finite bias.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> figure = palate.plotting.item_biases(rec, n=5, min_ratings=10)
        >>> len(figure.axes[0].get_yticklabels())
        10
    """
    check_whole(1, n=n)
    counts, biases = rating_counts(rec), rec.item_bias.astype(np.float64)
    if not biases.any():
        raise OptionError(f"{recipe_name(rec)} has no item biases to show; fit a model that has, like Bayes.")
    codes = items_with(counts, min_ratings) & np.isfinite(biases)
    order = _best_first(biases, np.flatnonzero(codes))
    shown = order if len(order) <= 2 * n else np.concatenate([order[:n], order[-n:]])
    title = _biases_title(n, len(order), min_ratings)
    ax = one_axes(ax, height=height_of(len(shown), 1.1))
    style_axes(ax, title, f"item bias: {_unit_of_bias(rec)}")
    bar_chart(ax, item_names(rec, shown), biases[shown], counts[shown])
    if len(shown) < len(order):
        ax.axhline(n - 0.5, color=GRAY, linewidth=0.8, linestyle=":")
    return finished(ax)


def _unit_of_bias(rec: Recommender) -> str:
    if not rec.model.predicts_ratings:
        return "its part in the ranking score"
    scale = "" if rec.model.factors.y_range is None else ", before the sigmoid"
    return f"above or below the mean{scale}"


def _best_first(biases: Doubles, codes: NDArray[Any]) -> NDArray[Any]:
    if len(codes) == 0:
        raise DataError("no item has a finite bias: this model is broken.")
    return codes[np.argsort(-biases[codes], kind="stable")]


def _biases_title(n: int, n_items: int, min_ratings: int) -> str:
    items = f"{n_items:,} items" + (f" with {min_ratings:,} ratings or more" if min_ratings > 1 else "")
    return f"Best and worst of {items}" if n_items > 2 * n else f"All {items}"


# ---- neighbors


def neighbors(rec: Recommender, item: Label, n: int = 10, *, min_ratings: int = 1, ax: Any = None) -> Figure:
    """Draw the n items most similar to one, as `Recommender.similar_items` measures it.

    Parameters:
        rec (Recommender): A model with factors or item-item weights.
        item (str or int): The label of the item.
        n (int, default 10): Similar items to show, 1 or more. The nearest is on top.
        min_ratings (int, default 1): Show only items with at least that many training ratings, 0 or more.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: Horizontal bars of cosines or item-item weights.

    Raises:
        UnknownLabelError: The model has no such item.
        OptionError: The model cannot compare items, or no item has min_ratings.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> palate.plotting.neighbors(rec, "i2", n=4).axes[0].get_title(loc="left")
        'Nearest to i2'
    """
    check_whole(1, n=n)
    code = rec.model.item_vocabulary.encode_one(item)
    counts = rating_counts(rec)
    enough = items_with(counts, min_ratings)
    with output_of("polars"):
        found = rec.similar_items(item, rec.n_items)
    codes = rec.model.item_vocabulary.encode(found[rec.model.item_vocabulary.what].to_numpy())
    nearest = np.flatnonzero(enough[codes])[:n]
    title = f"Nearest to {item_names(rec, [code])[0]}"
    if len(nearest) == 0:
        return _empty(one_axes(ax, height=3.0), title, "There are no other items to compare with.")
    ax = one_axes(ax, height=height_of(len(nearest), 1.1))
    measure = found.columns[-2]  # the last column is the rank
    xlabel = "cosine of the factors: 1 points the same way" if rec.n_factors else f"{measure} of the histories"
    style_axes(ax, title, xlabel)
    shown, similarities = codes[nearest], found[measure].to_numpy()[nearest].astype(np.float64)
    bar_chart(ax, item_names(rec, shown), similarities, counts[shown])
    if measure == "cosine":
        ax.set_xlim(right=1)
    return finished(ax)


def _empty(ax: Axes, title: str, message: str) -> Figure:
    style_axes(ax, title)
    ax.set_axis_off()
    ax.text(0.5, 0.5, message, ha="center", transform=ax.transAxes)
    return finished(ax)
