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
from palate.data.rows import CompressedRows, pointers_of
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
    """

    codes: Codes
    scores: Floats
    low: Doubles | None = None
    high: Doubles | None = None


def best_of(model: Model, parts: Sequence[UserRows], query: Query, level: float | None = None) -> BestItems:
    """The best items of all users in some parts, one part after the other; level: of the intervals, None for none.

    The query has no lists of items for each user.
    """
    codes, scores = ranked(model, joined(parts), query)
    if level is None:
        return BestItems(codes, scores)
    low, high = np.full(codes.shape, np.nan), np.full(codes.shape, np.nan)
    first = 0
    for part in parts:
        here = slice(first, first := first + len(part))
        low[here], high[here] = intervals(model, part, codes[here], level)
    return BestItems(codes, scores, low, high)


def intervals(model: Model, user_rows: UserRows, codes: Codes, level: float) -> tuple[Doubles, Doubles]:
    """Lower and upper ends of the intervals of items, codes (m, n), for each of m users, (m, n) each; nan for code -1.

    The users are all of the model, or all new.
    """
    is_item = codes >= 0
    rows = np.nonzero(is_item)[0].astype(np.int32)
    forecast = _forecast(model, user_rows, rows, codes[is_item])
    ends = np.full((2, *codes.shape), np.nan)
    ends[:, is_item] = np.clip(forecast.interval(level), *model.score_limits)
    return ends[0], ends[1]


def _forecast(model: Model, user_rows: UserRows, rows: Codes, item_codes: Codes) -> Forecast:
    """The forecast of pairs; rows: whose each is, positions in user_rows."""
    if (user_rows.codes >= 0).any():
        return model.forecast(user_rows.codes[rows], item_codes)
    has_data = user_rows.history.counts > 0
    if user_rows.features is not None:
        has_data = has_data | (user_rows.features.counts > 0)
    return model.forecast_new(user_rows, item_codes, has_data=has_data, rows=rows)


def joined(parts: Sequence[UserRows]) -> UserRows:
    """The users of all parts as one; at least one part."""
    if len(parts) == 1:
        return parts[0]
    codes, vectors = (np.concatenate(arrays) for arrays in zip(*((p.codes, p.vectors) for p in parts), strict=True))
    history = _one_below_the_other([part.history for part in parts])
    has_draws = all(part.draw is not None for part in parts)
    return UserRows(codes, vectors, history, (lambda: _all_draws(parts)) if has_draws else None)


def _all_draws(parts: Sequence[UserRows]) -> Floats:
    return np.concatenate([part.draws for part in parts if part.draws is not None], axis=1)


def _one_below_the_other(parts: Sequence[CompressedRows]) -> CompressedRows:
    weights = None
    if any(part.weights is not None for part in parts):
        weights = np.concatenate([np.ones_like(p.values) if p.weights is None else p.weights for p in parts])
    indptr = pointers_of(np.concatenate([part.counts for part in parts]))
    indices, values = np.concatenate([part.indices for part in parts]), np.concatenate([part.values for part in parts])
    return CompressedRows(indptr, indices, values, weights)
