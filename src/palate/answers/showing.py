"""Showing: the ratings that a model was trained on, as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.names import Names
from palate.answers.shapes import CrossTab, Frame, make_frame
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.models.factors import Codes
from palate.models.model import Model


def history_frame(model: Model, user: Label) -> Frame:
    """What a user rated, best first: item, (title,) rating. Of a user's choices: item, (title,) and perhaps count."""
    codes, values = _measured(model).row(model.user_vocabulary.encode_one(user))
    order = np.lexsort((codes, -values))
    columns = item_columns(model, codes[order])
    if model.kind == "implicit":
        return make_frame(columns if model.history.weights is None else columns | {"count": values[order]})
    return make_frame(columns | {"rating": values[order]})


def item_columns(model: Model, codes: Codes) -> dict[str, Any]:
    """The columns that tell people which items these are: item, (title)."""
    columns: dict[str, Any] = {model.item_vocabulary.what: model.item_vocabulary.decode(codes)}
    titles = model.item_titles
    return columns if titles is None else columns | {"title": [titles[code] for code in codes]}


def _measured(model: Model) -> CompressedRows:
    """The history with how high, or how often, as its values."""
    history = model.history
    if model.kind == "explicit" or history.weights is None:
        return history
    return replace(history, values=history.weights)


def cross_tab(model: Model, users: Iterable[Label] | None, items: Iterable[Label] | None) -> CrossTab:
    """Known ratings beside predictions; of the ten most active users and most rated items where none are named."""
    rows, columns = model.user_vocabulary, model.item_vocabulary
    counts = np.bincount(model.history.indices, minlength=len(columns))
    user_codes = _most(model.history.counts) if users is None else rows.encode(users)
    item_codes = _most(counts) if items is None else Names.of_items(model).encode(items)
    history = _measured(model)
    known = np.full((len(user_codes), len(item_codes)), np.nan, np.float32)
    for at, user in enumerate(user_codes):
        rated, values = history.row(int(user))
        place = {int(code): value for code, value in zip(rated, values, strict=True)}
        known[at] = [place.get(int(code), np.nan) for code in item_codes]
    scores = model.scores(model.user_rows(user_codes))[:, item_codes]
    titles = model.item_titles
    return CrossTab(
        rows.decode(user_codes).tolist(),
        columns.decode(item_codes).tolist(),
        [None if titles is None else titles[code] for code in item_codes],
        known,
        np.clip(scores, *model.score_limits).astype(np.float32),
        model.kind,
    )


def _most(counts: NDArray[Any], n: int = 10) -> Codes:
    return np.argsort(-counts, kind="stable")[:n].astype(np.int32)
