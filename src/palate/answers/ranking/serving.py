"""Answers as plain arrays, for code that serves many people: no labels, no frames, one pass of the kernels for all.

A server prepares a Query once (queries.py: query_of) and makes rows of the users who wait: `Model.user_rows` of codes,
`Model.fold_in` of new ratings. best_of() answers for all of them at once, with the answers each would get alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.answers.ranking.queries import Query
from palate.answers.ranking.recommending import ranked
from palate.data.rows import stack_rows
from palate.models.factors import Codes, Doubles, Floats
from palate.models.forecasts import Forecast
from palate.models.model import Model, UserRows


@dataclass(frozen=True)
class BestItems:
    """The best items of m users, best first.

    Attributes:
        codes (int32 array of shape (m, n)): Item codes; -1 where there are no more.
        scores (float32 array of shape (m, n)): What the items are ranked by.
        low (float64 array of shape (m, n), default None): Lower ends of the intervals, where they are asked for; nan
            where there is no item.
        high (float64 array of shape (m, n), default None): Upper ends.
        mean (float64 array of shape (m, n), default None): Predicted ratings, where intervals are asked for.
        chance (float64 array of shape (m, n), default None): The probability of at_least or more, where it is asked for
            and the ratings are steps.
    """

    codes: Codes
    scores: Floats
    low: Doubles | None = None
    high: Doubles | None = None
    mean: Doubles | None = None
    chance: Doubles | None = None


def best_of(
    model: Model,
    parts: Sequence[UserRows],
    query: Query,
    level: float | None = None,
    at_least: float | None = None,
) -> BestItems:
    """The best items of all users in some parts, one part after the other. A part's users are all known, or all new.

    level: of the intervals, None for none. at_least: the rating whose chance is asked for besides.
    """
    codes, scores = ranked(model, joined(parts), query)
    if level is None:
        return BestItems(codes, scores)
    has_chance = at_least is not None and model.step_distribution is not None
    columns = np.full((4 if has_chance else 3, *codes.shape), np.nan)
    first = 0
    for part in parts:
        here = slice(first, first := first + len(part))
        is_item = codes[here] >= 0
        rows = np.nonzero(is_item)[0].astype(np.int32)
        forecast = forecast_of(model, part, rows, codes[here][is_item])
        columns[:3, here][:, is_item] = np.clip((*forecast.interval(level), forecast.mean), *model.score_limits)
        if at_least is not None and has_chance:
            columns[3, here][is_item] = chance_of(forecast, at_least)
    return BestItems(codes, scores, *columns)


def chance_of(forecast: Forecast, at_least: float) -> Doubles:
    """The probability of a rating of at_least or more, (n,), where ratings are steps."""
    assert forecast.steps is not None
    assert forecast.probabilities is not None
    is_enough = forecast.steps.steps.values.astype(np.float32) >= np.float32(at_least)
    chance: Doubles = forecast.probabilities[:, is_enough].sum(axis=1)
    return chance


def forecast_of(
    model: Model, user_rows: UserRows, rows: Codes, item_codes: Codes, when: Doubles | None = None
) -> Forecast:
    """The forecast of pairs; rows: whose each is, positions in user_rows, whose users are all known, or all new.

    when: (n,) seconds since 1970; new users are asked about now.
    """
    if (user_rows.codes >= 0).any():
        return model.forecast(user_rows.codes[rows], item_codes, when)
    has_data = user_rows.history.counts > 0
    if user_rows.features is not None:
        has_data = has_data | (user_rows.features.counts > 0)
    return model.forecast_new(user_rows, item_codes, has_data=has_data, rows=rows)


def joined(parts: Sequence[UserRows]) -> UserRows:
    """The users of all parts as one; at least one part."""
    if len(parts) == 1:
        return parts[0]
    codes, vectors = (np.concatenate(arrays) for arrays in zip(*((p.codes, p.vectors) for p in parts), strict=True))
    history = stack_rows([part.history for part in parts])
    has_draws = all(part.draw is not None for part in parts)
    return UserRows(codes, vectors, history, (lambda: _all_draws(parts)) if has_draws else None)


def _all_draws(parts: Sequence[UserRows]) -> Floats:
    return np.concatenate([part.draws for part in parts if part.draws is not None], axis=1)
