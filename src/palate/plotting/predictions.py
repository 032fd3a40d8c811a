"""Pictures of predictions: are the intervals calibrated, and observed ratings beside predicted ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palate.data.ratings import Ratings, with_positive_weights
from palate.data.rows import weighted_mean
from palate.data.vocabulary import Label
from palate.errors import DataError, OptionError
from palate.evaluation.matching import codes_in_model
from palate.options import check_level
from palate.plotting.drawing import (
    BLUE,
    GRAY,
    MAX_INCHES,
    ORANGE_TO_BLUE,
    PLAIN_TEXT,
    Doubles,
    Picture,
    add_grid,
    height_of,
    shorten,
    style_axes,
    with_fonts,
)
from palate.recommender import Recommender

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


# ---- calibration


def coverage(rec: Recommender, test: Ratings, levels: Sequence[float] = LEVELS) -> Doubles:
    """The share of test ratings that lie within the model's intervals, at each level.

    Parameters:
        rec (Recommender): A model with intervals.
        test (Ratings): Ratings that the model did not learn from. Their vocabularies may differ from the model's.
        levels (sequence of float, default (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)):
            Interval levels, each between 0 and 1.

    Returns:
        numpy.ndarray: Shares between 0 and 1, float64, of shape (n_levels,).

    Raises:
        OptionError: The model has no intervals, or a level lies outside 0 and 1.
        DataError: There are no test ratings.

    Example:
        >>> import palate, palate.plotting
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> half, most = palate.plotting.coverage(palate.Bayes(n_sweeps=30).fit(train), test, levels=[0.5, 0.9])
        >>> bool(half < most)
        True
    """
    if not rec.has_intervals:
        raise OptionError(f"{rec!r} gives no intervals to look at; fit a model that does, like Bayes.")
    test = with_positive_weights(test)
    if len(test) == 0:
        raise DataError("there are no test ratings to measure coverage on.")
    for level in levels:
        check_level(level)
    codes = codes_in_model(rec, test)
    return np.array([_share_inside(rec.predict_codes(*codes, level=level), test) for level in levels])


def _share_inside(predicted: tuple[Doubles, ...], test: Ratings) -> float:
    _, low, high = predicted
    return weighted_mean((low <= test.values) & (test.values <= high), test.weights)


def calibration(rec: Recommender, test: Ratings) -> Figure:
    """Draw how many test ratings lie within the intervals, against the level of the intervals.

    A calibrated model follows the diagonal. The band around it holds 95% of calibrated models, if the test ratings are
    independent.

    Parameters:
        rec (Recommender): A model with intervals.
        test (Ratings): Ratings that the model did not learn from.

    Returns:
        matplotlib.figure.Figure: The curve over levels from 0.1 to 0.95, beside the diagonal and its band.

    Raises:
        OptionError: The model has no intervals.
        DataError: There are no test ratings.

    Example:
        >>> import palate, palate.plotting
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> figure = palate.plotting.calibration(palate.Bayes(n_sweeps=30).fit(train), test)
        >>> figure.axes[0].get_ylabel()
        'share of test ratings inside'
    """
    measured = coverage(rec, test)
    picture = Picture(width=6.4, height=5.6)
    title = f"Calibration of intervals, {len(test):,} test ratings"
    ax = style_axes(picture.subplots(), title, "level of the interval", "share of test ratings inside")
    levels = np.linspace(0, 1, 101)
    reach = 1.96 * np.sqrt(levels * (1 - levels) / len(test))
    band: dict[str, Any] = {"color": GRAY, "alpha": 0.25, "linewidth": 0, "label": "95% of calibrated models"}
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=1, label="calibrated")
    ax.fill_between(levels, levels - reach, levels + reach, **band)
    ax.plot(LEVELS, measured, color=BLUE, linewidth=1.8, marker="o", markersize=5, label="this model")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    add_grid(ax)
    ax.legend(frameon=False, fontsize="small")
    return with_fonts(picture)


# ---- observed ratings beside predicted ones


def rating_tab(rec: Recommender, users: Iterable[Label] | None = None, items: Iterable[Label] | None = None) -> Figure:
    """Draw `Recommender.cross_tab`: observed ratings of users x items at the left, all predictions at the right.

    Parameters:
        rec (Recommender): The model.
        users (iterable of labels, default None): The rows; None takes the ten most active users.
        items (iterable of labels, default None): The columns; None takes the ten most rated items.

    Returns:
        matplotlib.figure.Figure: Two heat maps of one color scale; what was not observed stays white.

    Raises:
        UnknownLabelError: The model has no such user or item.

    Example:
        >>> import palate, palate.plotting
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> [ax.get_title(loc="left") for ax in palate.plotting.rating_tab(rec).axes]
        ['observed ratings', 'predictions']
    """
    tab = rec.cross_tab(users, items)
    columns = [shorten(title or "", 26) or shorten(item, 26) for item, title in zip(tab.items, tab.titles, strict=True)]
    width = min(max(8.0, 2.0 + 0.6 * len(columns)), MAX_INCHES)
    picture = Picture(width=width, height=height_of(len(tab.users), 2.6))
    left, right = picture.subplots(1, 2, sharey=True)
    limits = _color_limits(rec, np.concatenate([tab.known.ravel(), tab.predicted.ravel()]))
    for ax, title, table in ((left, "observed ratings", tab.known), (right, "predictions", tab.predicted)):
        _heat_map(style_axes(ax, title), table, columns, limits)
        _write_numbers(ax, table, "{:g}" if table is tab.known else "{:.1f}")
    left.set_yticks(range(len(tab.users)), [shorten(user, 20) for user in tab.users], **PLAIN_TEXT)
    left.set_ylabel(rec.model.user_vocabulary.what)
    return with_fonts(picture)


def _color_limits(rec: Recommender, values: NDArray[np.float32]) -> tuple[float, float]:
    """The model's rating range, or where it has none the range of the finite values."""
    limits = rec.model.score_limits
    if np.isfinite(limits).all():
        return limits
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _heat_map(ax: Axes, table: NDArray[np.float32], columns: list[str], limits: tuple[float, float]) -> None:
    ax.imshow(table, cmap=ORANGE_TO_BLUE, vmin=limits[0], vmax=limits[1], aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize="x-small", **PLAIN_TEXT)
    ax.tick_params(length=0)


def _write_numbers(ax: Axes, table: NDArray[np.float32], form: str) -> None:
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ax.text(column, row, form.format(value), ha="center", va="center", fontsize="x-small", color="black")
