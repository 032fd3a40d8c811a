"""Pictures of training: error by epoch or sweep, the learning rate search, and what weight decay does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from palate.errors import OptionError
from palate.recommender import Recommender
from palate.showing.pictures.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    Doubles,
    Picture,
    add_grid,
    finished,
    given_axes,
    one_axes,
    style_axes,
)

HISTORIES = ("epochs", "records", "sweeps")  # the names under which a training may keep its records


# ---- training curves


def training_curves(rec_or_records: Any, *, ax: Any = None) -> Figure:
    """Draw the error on training and validation ratings after each epoch or sweep, and mark the best validation error.

    A Bayes model is the average of its draws. Its curves show the error of the average of the draws so far; the
    training errors of the single draws stay in the background, in gray.

    Parameters:
        rec_or_records (Recommender, Learner or sequence of records): What holds the errors. Each record has train_loss
            or train_rmse, and may have valid_loss or valid_rmse, average_rmse, and epoch or number, as attributes or
            keys; the callback of a fit receives such records. Of a Learner its recorder is read, of a Recommender what
            it kept.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: One curve for training and one for validation, with a ring at the lowest validation
            error.

    Raises:
        OptionError: There are no records, or none has a finite error.

    Example:
        >>> import palate, palate.plotting
        >>> train, valid = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> sweeps = []
        >>> rec = palate.Bayes(n_sweeps=20).fit(train, valid, callback=sweeps.append)
        >>> palate.plotting.training_curves(sweeps).axes[0].get_ylabel()
        'RMSE'
    """
    records = _records(rec_or_records)
    numbers = _column(records, "epoch", "number", default=list(range(1, len(records) + 1)))
    train, valid = _column(records, "train_loss", "train_rmse"), _column(records, "valid_loss", "valid_rmse")
    average = _column(records, "average_rmse")
    if not (np.isfinite(train) | np.isfinite(valid)).any():
        raise OptionError("no record has a finite train_loss, train_rmse, valid_loss or valid_rmse.")
    error = "RMSE" if np.isnan(_column(records, "train_loss", "valid_loss")).all() else "loss"
    unit = "sweep" if _has(records[0], "train_rmse") else "epoch"
    is_average = bool(np.isfinite(average).any())
    note = "Of the average of the draws so far, which is the model; gray: of each draw alone." if is_average else ""
    ax = style_axes(one_axes(ax), f"Training: {error} after each {unit}", unit, error, note)
    if is_average:
        _curve(ax, numbers, train, GRAY, "training, single draws", linewidth=1.0, marker="")
    _curve(ax, numbers, average if is_average else train, BLUE, "training")
    _curve(ax, numbers, valid, ORANGE, "validation")
    _mark_lowest(ax, numbers, valid, f"best validation: {{y:.4g}} at {unit} {{x:g}}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    _legend_and_grid(ax)
    return finished(ax)


def _records(given: Any) -> Sequence[Any]:
    """The records of a Recommender, Learner, recorder or iterable; raise OptionError if there are none."""
    if isinstance(given, Recommender):
        kept = next((given.model.training[name] for name in HISTORIES if given.model.training.get(name)), None)
        if kept is None:
            raise OptionError(
                "this model does not keep the errors of its sweeps. Collect them while fitting: "
                "sweeps = []; recipe.fit(train, valid, callback=sweeps.append); training_curves(sweeps)."
            )
        return list(kept)
    given = getattr(given, "recorder", given)
    given = next((getattr(given, name) for name in HISTORIES if hasattr(given, name)), given)
    records = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else []
    if not records:
        raise OptionError(
            "training_curves takes a Recommender, a Learner, or records with train_loss and valid_loss; there are none."
        )
    return records


def _has(record: Any, name: str) -> bool:
    return name in record if isinstance(record, Mapping) else hasattr(record, name)


def _column(records: Sequence[Any], *names: str, default: Sequence[float] | None = None) -> Doubles:
    """The first field of `names` that each record has, (n_records,); nan (or the default) where it has none."""
    column = np.full(len(records), np.nan) if default is None else np.array(default, np.float64)
    for at, record in enumerate(records):
        value = next((_get(record, name) for name in names if _has(record, name)), None)
        if value is not None:
            column[at] = _number(names[0], value)
    return column


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise OptionError(f"a record's {name} must be a number, got {value!r}.") from None


def _get(record: Any, name: str) -> Any:
    return record[name] if isinstance(record, Mapping) else getattr(record, name)


def _curve(ax: Axes, x: Doubles, y: Doubles, color: str, label: str, **style: Any) -> None:
    finite = np.isfinite(x) & np.isfinite(y)
    if finite.any():
        style = {"linewidth": 1.8, "marker": "o" if finite.sum() <= 30 else "", **style}
        ax.plot(x[finite], y[finite], color=color, label=label, markersize=4, **style)


def _mark_lowest(ax: Axes, x: Doubles, y: Doubles, label: str) -> None:
    """Draw a ring around the lowest point of a curve, with an entry in the legend."""
    if not np.isfinite(y).any():
        return
    at = int(np.nanargmin(np.where(np.isfinite(y), y, np.nan)))
    ring: dict[str, Any] = {"s": 90, "facecolors": "none", "edgecolors": ORANGE, "linewidths": 1.6, "zorder": 3}
    ax.scatter(x[at], y[at], label=label.format(x=x[at], y=y[at]), **ring)


def _legend_and_grid(ax: Axes) -> None:
    add_grid(ax)
    ax.legend(loc="best", frameon=False, fontsize="small")


# ---- learning rate


def lr_finder(
    lrs: Any,
    losses: Sequence[float] | None = None,
    suggestion: float | None = None,
    *,
    smoothed: Sequence[float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the loss at each learning rate of a search, the smoothed curve, and what is suggested because of it.

    The loss of each batch is faint. The curve is the mean that the suggestion is read from: the suggested rate is a
    tenth of the rate at which this mean is lowest, and both are marked. A loss that diverges leaves the picture at the
    top.

    Parameters:
        lrs (LrSearch or sequence of float): The result of Learner.lr_find, and then nothing else; or learning rates, of
            which those above 0 are drawn.
        losses (sequence of float, default None): The loss at each rate, as many as lrs.
        suggestion (float, default None): A learning rate above 0 to mark.
        smoothed (sequence of float, default None): The smoothed losses, as many as lrs; None takes the mean that
            palate.nn suggests by, over a tenth of the search to each side.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: The loss over a logarithmic learning rate axis.

    Raises:
        OptionError: The lists differ in length, no loss at a rate above 0 is finite, or the suggestion is not above 0.

    Example:
        >>> import palate.plotting
        >>> figure = palate.plotting.lr_finder([1e-4, 1e-3, 1e-2, 1e-1], [1.3, 1.2, 0.9, 40.0], suggestion=4e-3)
        >>> figure.axes[0].get_xscale()
        'log'
    """
    if losses is None:
        lrs, losses, suggestion = _of_search(lrs)
    rates, heights = np.array(lrs, np.float64), np.array(losses, np.float64)
    if rates.ndim != 1 or rates.shape != heights.shape:
        raise OptionError(f"lrs and losses must be two lists of one length, got shapes {rates.shape}, {heights.shape}.")
    shown = np.isfinite(rates) & np.isfinite(heights) & (rates > 0)
    if not shown.any():
        raise OptionError("there is no finite loss at a learning rate above 0 to show.")
    if suggestion is not None and not 0 < suggestion < np.inf:
        raise OptionError(f"suggestion must be a learning rate above 0, got {suggestion!r}.")
    means = running_means(heights[shown]) if smoothed is None else _smoothed(smoothed, rates)[shown]
    ax = style_axes(one_axes(ax), "Learning rate search: loss at each rate", "learning rate", "loss")
    ax.set_xscale("log")
    marker = "o" if shown.sum() == 1 else ""
    ax.plot(rates[shown], heights[shown], color=GRAY, linewidth=0.9, alpha=0.7, marker=marker, label="each batch")
    if shown.sum() > 1:
        ax.plot(rates[shown], means, color=BLUE, linewidth=1.8, label="smoothed")
    ax.set_ylim(*_limits_before_divergence(heights[shown]))
    add_grid(ax)
    if suggestion is not None:
        _mark_suggestion(ax, rates[shown], means, suggestion)
    ax.legend(loc="upper left", frameon=False, fontsize="small")
    return finished(ax)


def _of_search(search: Any) -> tuple[Sequence[float], Sequence[float], float | None]:
    """Rates, losses and suggestion of the result of a search."""
    try:
        suggestion = float(search.suggestion)
        return search.lrs, search.losses, suggestion if np.isfinite(suggestion) else None
    except AttributeError:
        raise OptionError("lr_finder takes the result of Learner.lr_find, or learning rates and losses.") from None


def running_means(losses: Doubles) -> Doubles:
    """The mean of each loss and of those within a tenth of the search to each side, (n,)."""
    half_width = len(losses) // 10
    totals = np.append(0.0, np.cumsum(losses))
    first = np.maximum(np.arange(len(losses)) - half_width, 0)
    last = np.minimum(np.arange(len(losses)) + half_width + 1, len(losses))
    means: Doubles = (totals[last] - totals[first]) / (last - first)
    return means


def _smoothed(smoothed: Sequence[float], rates: Doubles) -> Doubles:
    means = np.array(smoothed, np.float64)
    if means.shape != rates.shape:
        raise OptionError(f"smoothed must be as many as lrs, {len(rates)}, got shape {means.shape}.")
    return means


def _mark_suggestion(ax: Axes, rates: Doubles, means: Doubles, suggestion: float) -> None:
    """Mark the suggested rate; and the lowest mean, where the suggestion is a tenth of its rate."""
    lowest = int(np.nanargmin(means))
    if np.isclose(rates[lowest] / 10, suggestion, rtol=0.05):
        ring: dict[str, Any] = {"s": 90, "facecolors": "none", "edgecolors": BLUE, "linewidths": 1.6, "zorder": 3}
        ax.scatter(rates[lowest], means[lowest], label=f"lowest: {rates[lowest]:.2g}", **ring)
        label = f"suggested, a tenth of it: {suggestion:.2g}"
    else:
        label = f"suggested: {suggestion:.2g}"
    ax.axvline(suggestion, color=ORANGE, linewidth=1.6, linestyle="--", label=label)


def _limits_before_divergence(losses: Doubles) -> tuple[float, float]:
    """Axis limits that show the fall from the first loss to the lowest, and as much again above the first."""
    lowest, first = float(losses.min()), float(losses[0])
    fall = max(first - lowest, 0.1 * abs(lowest), 1e-12)
    top = min(float(losses.max()), lowest + 2 * fall)
    margin = 0.06 * max(top - lowest, fall)
    return lowest - margin, top + margin


# ---- weight decay


def weight_decay_sweep(results: Sequence[Sequence[float]], *, ax: Any = None) -> Figure:
    """Draw errors by weight decay at the left, and the norm of the weights at the right.

    Parameters:
        results (sequence of rows): Rows of (weight_decay, training error, validation error, norm of the weights), in
            any order; weight_decay is 0 or more. A weight decay of 0 stands one step before the smallest other.
        ax (list of two matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: Two panels over a logarithmic weight decay axis; a ring marks the best validation
            error.

    Raises:
        OptionError: The rows have another shape, or a weight decay is below 0.

    Example:
        >>> import palate.plotting
        >>> results = [(0.0, 0.4, 1.1, 90.0), (0.01, 0.6, 0.9, 50.0), (0.1, 0.9, 1.0, 9.0)]
        >>> figure = palate.plotting.weight_decay_sweep(results)
        >>> [ax.get_xlabel() for ax in figure.axes]
        ['weight decay', 'weight decay']
    """
    rows = _rows_of_four(results)
    left, right = Picture().subplots(1, 2) if ax is None else given_axes(ax, 2)
    places = _places_of(rows[:, 0])
    style_axes(left, "Error by weight decay", "weight decay", "error")
    _curve(left, places, rows[:, 1], BLUE, "training")
    _curve(left, places, rows[:, 2], ORANGE, "validation")
    _mark_lowest(left, places, rows[:, 2], f"best validation: {{y:.4g}} at {_best_decay(rows)}")
    style_axes(right, "Size of the weights", "weight decay", "norm of the weights")
    _curve(right, places, rows[:, 3], BLUE, "norm")
    right.set_ylim(bottom=0)
    for one in (left, right):
        _decay_ticks(one, places, rows[:, 0])
    _legend_and_grid(left)
    add_grid(right)
    return finished(left, right)


def _rows_of_four(results: Sequence[Sequence[float]]) -> Doubles:
    try:
        rows = np.array([tuple(row) for row in results], np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[1] != 4 or not (rows[:, 0] >= 0).all():
        raise OptionError("results must be rows of (weight_decay >= 0, training error, validation error, norm).")
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _places_of(decays: Doubles) -> Doubles:
    """The x position of each weight decay: its logarithm, and for 0 one step before the smallest other."""
    positive = np.unique(decays[decays > 0])
    if len(positive) == 0:
        return np.zeros(len(decays))
    step = float(np.median(np.diff(np.log10(positive)))) if len(positive) > 1 else 1.0
    return np.log10(np.where(decays > 0, decays, positive[0] / 10**step))


def _best_decay(rows: Doubles) -> str:
    if not np.isfinite(rows[:, 2]).any():
        return ""
    return f"{rows[np.nanargmin(rows[:, 2]), 0]:.3g}"


def _decay_ticks(ax: Axes, places: Doubles, decays: Doubles) -> None:
    """Ticks at the weight decays, without those too close to the one before."""
    kept, distance = [0], 0.999 * (places[-1] - places[0]) / 6
    for at in range(1, len(places)):
        if places[at] - places[kept[-1]] >= distance:
            kept.append(at)
    ax.set_xticks(places[kept], [f"{decays[at]:.2g}" for at in kept])
