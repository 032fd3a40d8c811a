"""Predicting: forecasts become a short answer for one pair, and a frame for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import (
    Doubles,
    OnUnknown,
    encode,
    frame_columns,
    frame_times,
    is_many,
    label_array,
    marking,
    same_length,
    timestamps_of,
)
from palate.answers.cold import tell_cold
from palate.answers.frames import make_frame
from palate.answers.names import Names
from palate.answers.results import Distribution, Prediction
from palate.errors import OptionError
from palate.models.forecasts import Forecast
from palate.models.model import Model
from palate.options import check_choice, check_level

if TYPE_CHECKING:
    import polars as pl

    from palate.models.ordinal import OrderedSteps

CHANCE = "chance_"  # how the name of each column of probabilities begins
USAGE = "predict takes a user and an item, two lists, or a frame with both columns."


def predict(
    model: Model, users: Any, items: Any, when: Any, level: float, *, distribution: bool, on_unknown: OnUnknown
) -> Prediction | Distribution | pl.DataFrame:
    """The answer of Recommender.predict: short for one pair, a polars frame for two lists or a frame."""
    check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
    check_level(level)
    check_distribution(model, distribution)
    whats = model.user_vocabulary.what, model.item_vocabulary.what
    is_one = False
    names, mark = Names.of_items(model), marking(on_unknown)
    if items is None:
        when = frame_times(users) if when is None and model.effects is not None else when
        users, items = frame_columns(users, whats, USAGE)
    elif is_many(users) or is_many(items):
        users, items = same_length(users, names.labels(items, mark))
    else:
        users, items, is_one = [users], names.labels([items], mark), True
    user_codes = encode(model.user_vocabulary, users, on_unknown)
    item_codes = encode(model.item_vocabulary, items, on_unknown)
    tell_cold(model, "predict", user_codes, item_codes, (users, items))
    forecast = model.forecast(user_codes, item_codes, timestamps_of(when, len(user_codes)))
    blank = (user_codes < 0) | (item_codes < 0) if on_unknown == "nan" else None
    columns = columns_of(model, forecast, level, blank=blank, distribution=distribution)
    if is_one:
        return one_of(columns)
    labels = label_array(users, model.user_vocabulary), label_array(items, model.item_vocabulary)
    return make_frame(dict(zip(whats, labels, strict=True)) | columns)


def check_distribution(model: Model, distribution: bool) -> None:
    """Raise OptionError if a distribution is asked for and the model knows no steps of ratings."""
    if distribution and model.step_distribution is None:
        raise OptionError(
            "distribution=True gives each step of the rating scale its probability, which a Bayes model learns where "
            "the ratings have 2 to 20 different values; this model has none."
        )


def columns_of(
    model: Model,
    forecast: Forecast,
    level: float,
    *,
    blank: NDArray[np.bool_] | None = None,
    distribution: bool = False,
) -> dict[str, Doubles]:
    """prediction, low, high and, if asked for, the probability of each step, (n,) each; nan where `blank`."""
    answer = (np.clip(part, *model.score_limits) for part in (forecast.mean, *forecast.interval(level)))
    columns = dict(zip(("prediction", "low", "high"), answer, strict=True))
    if distribution and forecast.steps is not None and (chances := forecast.probabilities) is not None:
        columns |= dict(zip(chance_names(forecast.steps.steps), chances.T.copy(), strict=True))
    if blank is not None:
        for column in columns.values():
            column[blank] = np.nan
    return columns


def chance_names(steps: OrderedSteps) -> list[str]:
    """Column names of the steps' probabilities: chance_1, chance_1.5, ... with as few digits as float32 needs."""
    return [CHANCE + np.format_float_positional(value, trim="-") for value in steps.values.astype(np.float32)]


def one_of(columns: dict[str, Doubles]) -> Prediction | Distribution:
    """The only row of the columns as a short answer."""
    row = {name: float(column[0]) for name, column in columns.items()}
    prediction = Prediction(row["prediction"], row["low"], row["high"])
    chances = {float(name.removeprefix(CHANCE)): row[name] for name in row if name.startswith(CHANCE)}
    return Distribution(*prediction, chances) if chances else prediction
