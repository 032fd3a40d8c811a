"""Pictures of training and of honesty: losses, learning rates, weight decay, calibration, predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palate.answers.arguments import check_level
from palate.data.ratings import Ratings
from palate.data.vocabulary import Label
from palate.errors import DataError, OptionError
from palate.evaluation.matching import codes_in_model
from palate.plotting.drawing import (
    BLUE,
    GREY,
    LITERAL,
    MOST_INCHES,
    ORANGE,
    ORANGE_TO_BLUE,
    Doubles,
    Picture,
    calm,
    finished,
    height_of,
    short,
)
from palate.recommender import Recommender

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
HISTORIES = ("epochs", "records", "sweeps")  # the names under which a training may keep its records


# ---- training


def training_curves(rec_or_records: Any) -> Figure:
    """The error on training and on validation ratings after each epoch or sweep, the best validation marked.

    rec_or_records: records with train_loss or train_rmse, perhaps valid_loss or valid_rmse, and perhaps epoch or
    number, as attributes or keys (a fit's callback gets such ones); a torch Learner or its recorder; or a Recommender
    that kept its own. Raises OptionError where there are none.

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
    if not (np.isfinite(train) | np.isfinite(valid)).any():
        raise OptionError("no record has a finite train_loss, train_rmse, valid_loss or valid_rmse.")
    picture = Picture()
    what = "RMSE" if np.isnan(_column(records, "train_loss", "valid_loss")).all() else "loss"
    unit = "sweep" if _has(records[0], "train_rmse") else "epoch"
    ax = calm(picture.subplots(), f"Training: {what} after each {unit}", unit, what)
    _curve(ax, numbers, train, BLUE, "training")
    _curve(ax, numbers, valid, ORANGE, "validation")
    _mark_lowest(ax, numbers, valid, f"best validation: {{y:.4g}} at {unit} {{x:g}}")
    _whole_ticks(ax)
    _quiet_legend(ax)
    return finished(picture)


def _records(given: Any) -> Sequence[Any]:
    if isinstance(given, Recommender):
        kept = next((given.model.training[name] for name in HISTORIES if given.model.training.get(name)), None)
        if kept is None:
            raise OptionError(
                "this model keeps no errors of its single sweeps. Collect them while fitting: "
                "sweeps = []; recipe.fit(train, valid, callback=sweeps.append); training_curves(sweeps)."
            )
        return list(kept)
    given = getattr(given, "recorder", given)
    given = next((getattr(given, name) for name in HISTORIES if hasattr(given, name)), given)
    records = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else []
    if not records:
        raise OptionError(
            "training_curves takes a Recommender or some records with train_loss and valid_loss; got none."
        )
    return records


def _has(record: Any, name: str) -> bool:
    return name in record if isinstance(record, Mapping) else hasattr(record, name)


def _column(records: Sequence[Any], *names: str, default: Sequence[float] | None = None) -> Doubles:
    """The first of some fields that each record has, as numbers; nan (or the default) where it has none."""
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


def _curve(ax: Axes, x: Doubles, y: Doubles, color: str, label: str) -> None:
    there = np.isfinite(x) & np.isfinite(y)
    if there.any():
        marker = "o" if there.sum() <= 30 else ""
        ax.plot(x[there], y[there], color=color, label=label, linewidth=1.8, marker=marker, markersize=4)


def _mark_lowest(ax: Axes, x: Doubles, y: Doubles, words: str) -> None:
    """A ring around the lowest point of a curve, and what it is in the legend."""
    if not np.isfinite(y).any():
        return
    at = int(np.nanargmin(np.where(np.isfinite(y), y, np.nan)))
    ring: dict[str, Any] = {"s": 90, "facecolors": "none", "edgecolors": ORANGE, "linewidths": 1.6, "zorder": 3}
    ax.scatter(x[at], y[at], label=words.format(x=x[at], y=y[at]), **ring)


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _quiet_legend(ax: Axes) -> None:
    ax.grid(color=GREY, alpha=0.2, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize="small")


# ---- learning rate


def lr_finder(lrs: Sequence[float], losses: Sequence[float], suggestion: float | None = None) -> Figure:
    """The loss at each learning rate tried, and the suggested rate. What diverges leaves the picture at the top.

    Raises OptionError for lists of different lengths, and without a single finite loss at a rate above 0.

    >>> import palate.plotting
    >>> figure = palate.plotting.lr_finder([1e-4, 1e-3, 1e-2, 1e-1], [1.3, 1.2, 0.9, 40.0], suggestion=4e-3)
    >>> figure.axes[0].get_xscale()
    'log'
    """
    rates, heights = np.array(lrs, np.float64), np.array(losses, np.float64)
    if rates.ndim != 1 or rates.shape != heights.shape:
        raise OptionError(f"lrs and losses must be two lists of one length, got shapes {rates.shape}, {heights.shape}.")
    there = np.isfinite(rates) & np.isfinite(heights) & (rates > 0)
    if not there.any():
        raise OptionError("there is no finite loss at a learning rate above 0 to show.")
    if suggestion is not None and not 0 < suggestion < np.inf:
        raise OptionError(f"suggestion must be a learning rate above 0, got {suggestion!r}.")
    picture = Picture()
    ax = calm(picture.subplots(), "Which learning rate", "learning rate", "loss")
    ax.set_xscale("log")
    ax.plot(rates[there], heights[there], color=BLUE, linewidth=1.8, marker="o" if there.sum() == 1 else "")
    ax.set_ylim(*_until_it_diverges(heights[there]))
    if suggestion is not None:
        ax.axvline(suggestion, color=ORANGE, linewidth=1.6, linestyle="--", label=f"suggested: {suggestion:.2g}")
        _quiet_legend(ax)
    return finished(picture)


def _until_it_diverges(losses: Doubles) -> tuple[float, float]:
    """Bottom and top of a picture that shows the fall from the first loss, and as much again of the rise after it."""
    lowest, first = float(losses.min()), float(losses[0])
    fall = max(first - lowest, 0.1 * abs(lowest), 1e-12)
    top = min(float(losses.max()), lowest + 2 * fall)
    margin = 0.06 * max(top - lowest, fall)
    return lowest - margin, top + margin


# ---- weight decay


def weight_decay_sweep(results: Sequence[Sequence[float]]) -> Figure:
    """What weight decay does: errors on training and validation at the left, the size of the weights at the right.

    results: rows of (weight_decay, training error, validation error, norm of the weights), in any order; a weight decay
    of 0 gets a place of its own before the smallest other. Raises OptionError for rows of another shape.

    >>> import palate.plotting
    >>> results = [(0.0, 0.4, 1.1, 90.0), (0.01, 0.6, 0.9, 50.0), (0.1, 0.9, 1.0, 9.0)]
    >>> figure = palate.plotting.weight_decay_sweep(results)
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['weight decay', 'weight decay']
    """
    rows = _rows_of_four(results)
    picture = Picture()
    left, right = picture.subplots(1, 2)
    places = _places_of(rows[:, 0])
    calm(left, "Over-fitting", "weight decay", "error")
    _curve(left, places, rows[:, 1], BLUE, "training")
    _curve(left, places, rows[:, 2], ORANGE, "validation")
    _mark_lowest(left, places, rows[:, 2], f"best validation: {{y:.4g}} at {_best_decay(rows)}")
    calm(right, "Size of the weights", "weight decay", "norm of the weights")
    _curve(right, places, rows[:, 3], BLUE, "norm")
    right.set_ylim(bottom=0)
    for ax in (left, right):
        _decay_ticks(ax, places, rows[:, 0])
    _quiet_legend(left)
    right.grid(color=GREY, alpha=0.2, linewidth=0.6)
    return finished(picture)


def _rows_of_four(results: Sequence[Sequence[float]]) -> Doubles:
    try:
        rows = np.array([tuple(row) for row in results], np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[1] != 4 or not (rows[:, 0] >= 0).all():
        raise OptionError("results must be rows of (weight_decay >= 0, training error, validation error, norm).")
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _places_of(decays: Doubles) -> Doubles:
    """Where weight decays stand: at their logarithm, and 0 one step before the smallest other."""
    above = np.unique(decays[decays > 0])
    if len(above) == 0:
        return np.zeros(len(decays))
    step = float(np.median(np.diff(np.log10(above)))) if len(above) > 1 else 1.0
    return np.log10(np.where(decays > 0, decays, above[0] / 10**step))


def _best_decay(rows: Doubles) -> str:
    if not np.isfinite(rows[:, 2]).any():
        return ""
    return f"{rows[np.nanargmin(rows[:, 2]), 0]:.3g}"


def _decay_ticks(ax: Axes, places: Doubles, decays: Doubles) -> None:
    """The decays themselves as ticks, where they do not stand too close to the last one."""
    kept, apart = [0], 0.999 * (places[-1] - places[0]) / 6
    for at in range(1, len(places)):
        if places[at] - places[kept[-1]] >= apart:
            kept.append(at)
    ax.set_xticks(places[kept], [f"{decays[at]:.2g}" for at in kept])


# ---- calibration


def coverage(rec: Recommender, test: Ratings, levels: Sequence[float] = LEVELS) -> Doubles:
    """The share of test ratings that lie within the model's intervals, at each level: (n_levels,).

    The ratings may have other vocabularies than the model. Raises OptionError for a model without intervals, DataError
    without test ratings.

    >>> import palate, palate.plotting
    >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    >>> half, most = palate.plotting.coverage(palate.Bayes(n_sweeps=30).fit(train), test, levels=[0.5, 0.9])
    >>> bool(half < most)
    True
    """
    if not rec.has_intervals:
        raise OptionError(f"{rec!r} gives no intervals to look at; fit one that does, like Bayes.")
    if len(test) == 0:
        raise DataError("there are no test ratings to measure coverage on.")
    for level in levels:
        check_level(level)
    codes = codes_in_model(rec, test)
    return np.array([_share_inside(rec.predict_codes(*codes, level=level), test.values) for level in levels])


def _share_inside(predicted: tuple[Doubles, ...], values: NDArray[np.float32]) -> float:
    _, low, high = predicted
    return float(np.mean((low <= values) & (values <= high)))


def calibration(rec: Recommender, test: Ratings) -> Figure:
    """How often intervals hold the real rating, against how often they claim to; an honest model follows the diagonal.

    The band is where 95% of honest models lie by chance, with that many independent test ratings. Raises what
    coverage() raises.

    >>> import palate, palate.plotting
    >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    >>> figure = palate.plotting.calibration(palate.Bayes(n_sweeps=30).fit(train), test)
    >>> figure.axes[0].get_ylabel()
    'share of ratings inside it'
    """
    measured = coverage(rec, test)
    picture = Picture(width=6.4, height=5.6)
    ax = calm(picture.subplots(), f"Are the intervals honest? {len(test):,} test ratings")
    ax.set_xlabel("probability an interval claims")
    ax.set_ylabel("share of ratings inside it")
    claimed = np.linspace(0, 1, 101)
    chance = 1.96 * np.sqrt(claimed * (1 - claimed) / len(test))
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="an honest model")
    ax.fill_between(
        claimed, claimed - chance, claimed + chance, color=GREY, alpha=0.25, linewidth=0, label="chance around it"
    )
    ax.plot(LEVELS, measured, color=BLUE, linewidth=1.8, marker="o", markersize=5, label="this model")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    _quiet_legend(ax)
    return finished(picture)


# ---- ratings beside predictions


def rating_tab(rec: Recommender, users: Iterable[Label] | None = None, items: Iterable[Label] | None = None) -> Figure:
    """rec.cross_tab() as a picture: the known ratings of users x items at the left, all predictions at the right.

    >>> import palate, palate.plotting
    >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
    >>> [ax.get_title(loc="left") for ax in palate.plotting.rating_tab(rec).axes]
    ['known ratings', 'predictions']
    """
    tab = rec.cross_tab(users, items)
    columns = [short(title or "", 26) or short(item, 26) for item, title in zip(tab.items, tab.titles, strict=True)]
    picture = Picture(width=min(max(8.0, 2.0 + 0.6 * len(columns)), MOST_INCHES), height=height_of(len(tab.users), 2.6))
    left, right = picture.subplots(1, 2, sharey=True)
    limits = _limits(rec, np.concatenate([tab.known.ravel(), tab.predicted.ravel()]))
    for ax, title, table in ((left, "known ratings", tab.known), (right, "predictions", tab.predicted)):
        _heat_map(calm(ax, title), table, columns, limits)
        _write_numbers(ax, table, "{:g}" if table is tab.known else "{:.1f}")
    left.set_yticks(range(len(tab.users)), [short(user, 20) for user in tab.users], **LITERAL)
    left.set_ylabel(rec.model.user_vocabulary.what)
    return finished(picture)


def _limits(rec: Recommender, values: NDArray[np.float32]) -> tuple[float, float]:
    limits = rec.model.score_limits
    if np.isfinite(limits).all():
        return limits
    there = values[np.isfinite(values)]
    return (float(there.min()), float(there.max())) if len(there) else (0.0, 1.0)


def _heat_map(ax: Axes, table: NDArray[np.float32], columns: list[str], limits: tuple[float, float]) -> None:
    ax.imshow(table, cmap=ORANGE_TO_BLUE, vmin=limits[0], vmax=limits[1], aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize="x-small", **LITERAL)
    ax.tick_params(length=0)


def _write_numbers(ax: Axes, table: NDArray[np.float32], form: str) -> None:
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ax.text(column, row, form.format(value), ha="center", va="center", fontsize="x-small", color="black")
