"""Pictures of predictions: are the intervals calibrated, and observed ratings beside predicted ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from palate.answers.pictures import plot_cross_tab
from palate.data.ratings import Ratings, with_positive_weights
from palate.data.rows import weighted_mean
from palate.data.vocabulary import Label
from palate.errors import DataError, OptionError
from palate.evaluation.matching import codes_in_model
from palate.options import check_level
from palate.recommender import Recommender
from palate.showing.pictures.canvas import BLUE, GRAY, Doubles, add_grid, finished, one_axes, style_axes

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


def calibration(rec: Recommender, test: Ratings, *, ax: Any = None) -> Figure:
    """Draw how many test ratings lie within the intervals, against the level of the intervals.

    A calibrated model follows the diagonal. The band around it holds 95% of calibrated models, if the test ratings are
    independent.

    Parameters:
        rec (Recommender): A model with intervals.
        test (Ratings): Ratings that the model did not learn from.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

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
    ax = one_axes(ax, 6.4, 5.6)
    title = f"Calibration of intervals, {len(test):,} test ratings"
    style_axes(ax, title, "level of the interval", "share of test ratings inside")
    levels = np.linspace(0, 1, 101)
    reach = 1.96 * np.sqrt(levels * (1 - levels) / len(test))
    band: dict[str, Any] = {"color": GRAY, "alpha": 0.25, "linewidth": 0, "label": "95% of calibrated models"}
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=1, label="calibrated")
    ax.fill_between(levels, levels - reach, levels + reach, **band)
    ax.plot(LEVELS, measured, color=BLUE, linewidth=1.8, marker="o", markersize=5, label="this model")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    add_grid(ax)
    ax.legend(loc="upper left", frameon=False, fontsize="small")
    return finished(ax)


# ---- observed ratings beside predicted ones


def rating_tab(
    rec: Recommender,
    users: Iterable[Label] | None = None,
    items: Iterable[Label] | None = None,
    *,
    ax: Any = None,
) -> Figure:
    """Draw `Recommender.cross_tab`: observed ratings of users x items at the left, all predictions at the right.

    Parameters:
        rec (Recommender): The model.
        users (iterable of labels, default None): The rows; None takes the ten most active users.
        items (iterable of labels, default None): The columns; None takes the ten most rated items.
        ax (list of two matplotlib Axes, default None): Where to draw; None makes a figure of its own.

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
    return plot_cross_tab(rec.cross_tab(users, items), ax=ax)
