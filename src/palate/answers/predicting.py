"""Predicting: forecasts as the answers people get, a short one for one pair and columns of a frame for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import (
    Doubles,
    OnUnknown,
    check_choice,
    check_level,
    encode,
    frame_columns,
    frame_times,
    interval,
    is_many,
    label_array,
    marking,
    same_length,
    timestamps_of,
)
from palate.answers.names import Names
from palate.answers.shapes import Distribution, Frame, Prediction, make_frame
from palate.errors import OptionError
from palate.models.model import Forecast, Model

if TYPE_CHECKING:
    from palate.models.ordinal import OrderedSteps

CHANCE = "chance_"  # begins the name of each column of chances
WANTED = "predict takes a user and an item, two lists, or a frame with both columns."


def predict(
    model: Model, users: Any, items: Any, when: Any, level: float, *, distribution: bool, on_unknown: OnUnknown
) -> Prediction | Distribution | Frame:
    """What Recommender.predict answers: one of a pair, a frame of two lists or of a frame."""
    check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
    check_level(level)
    check_distribution(model, distribution)
    whats = model.user_vocabulary.what, model.item_vocabulary.what
    like, is_one = None, False
    names, mark = Names.of_items(model), marking(on_unknown)
    if items is None:
        like = users
        when = frame_times(users) if when is None and model.effects is not None else when
        users, items = frame_columns(users, whats, WANTED)
    elif is_many(users) or is_many(items):
        users, items = same_length(users, names.labels(items, mark))
    else:
        users, items, is_one = [users], names.labels([items], mark), True
    user_codes = encode(model.user_vocabulary, users, on_unknown)
    item_codes = encode(model.item_vocabulary, items, on_unknown)
    forecast = model.forecast(user_codes, item_codes, timestamps_of(when, len(user_codes)))
    blank = (user_codes < 0) | (item_codes < 0) if on_unknown == "nan" else None
    columns = columns_of(model, forecast, level, blank=blank, distribution=distribution)
    if is_one:
        return one_of(columns)
    labels = label_array(users, model.user_vocabulary), label_array(items, model.item_vocabulary)
    return make_frame(dict(zip(whats, labels, strict=True)) | columns, like)


def check_distribution(model: Model, distribution: bool) -> None:
    """OptionError for a distribution of a model that takes ratings for numbers."""
    if distribution and model.factors.steps is None:
        raise OptionError(
            'distribution=True needs ordered ratings, which have a chance each: fit Bayes(likelihood="ordinal").'
        )


def columns_of(
    model: Model,
    forecast: Forecast,
    level: float,
    *,
    blank: NDArray[np.bool_] | None = None,
    distribution: bool = False,
) -> dict[str, Doubles]:
    """prediction, low, high and, where asked for, the chance of each step: (n,) each, nan where `blank`."""
    answer = interval(forecast.mean, forecast.standard_deviation, level, model.score_limits)
    columns = dict(zip(("prediction", "low", "high"), answer, strict=True))
    if distribution and forecast.probabilities is not None and model.factors.steps is not None:
        columns |= dict(zip(chance_names(model.factors.steps), forecast.probabilities.T.copy(), strict=True))
    if blank is not None:
        for column in columns.values():
            column[blank] = np.nan
    return columns


def chance_names(steps: OrderedSteps) -> list[str]:
    """The column of each step's chance: chance_1, chance_1.5, ... in as few digits as tell float32 steps apart."""
    return [CHANCE + np.format_float_positional(value, trim="-") for value in steps.values.astype(np.float32)]


def one_of(columns: dict[str, Doubles]) -> Prediction | Distribution:
    """The short answer for the only row."""
    row = {name: float(column[0]) for name, column in columns.items()}
    prediction = Prediction(row["prediction"], row["low"], row["high"])
    chances = {float(name.removeprefix(CHANCE)): row[name] for name in row if name.startswith(CHANCE)}
    return Distribution(*prediction, chances) if chances else prediction
