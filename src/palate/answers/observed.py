"""What a model was trained on: a user's history and attributes, and a cross table of ratings beside predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import item_columns, make_frame
from palate.answers.names import Names
from palate.answers.results import CrossTab
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Label
from palate.models.factors import Codes
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

N_SHOWN = 10  # users and items of a cross table where none are named


def history_frame(model: Model, user: Label) -> pl.DataFrame:
    """A frame of what a user rated: item, (title,) rating, highest first. Of choices: item, (title,) and any count."""
    codes, values = _ratings_or_counts(model).row(model.user_vocabulary.encode_one(user))
    order = np.lexsort((codes, -values))
    columns = item_columns(model, codes[order])
    if model.kind == "explicit":
        return make_frame(columns | {"rating": values[order]})
    return make_frame(columns if model.history.weights is None else columns | {"count": values[order]})


def attributes_of(model: Model, codes: Codes) -> list[Mapping[str, Any]] | None:
    """What the user table says of users, {column: value} each, as a fold-in takes it; code -1 is unknown.

    None for a model that learned from no table of users.
    """
    if model.user_table is None or model.user_info is None or model.user_info.attributes is None:
        return None
    return [{} if code < 0 else model.user_table.row(code, named=True) for code in codes.tolist()]


def cross_tab(model: Model, users: Iterable[Label] | None, items: Iterable[Label] | None) -> CrossTab:
    """Observed ratings beside predictions. None stands for the users, or items, with the most ratings."""
    rows, columns = model.user_vocabulary, model.item_vocabulary
    item_counts = np.bincount(model.history.indices, minlength=len(columns))
    user_codes = _most_rated(model.history.counts) if users is None else rows.encode(users)
    item_codes = _most_rated(item_counts) if items is None else Names.of_items(model).encode(items)
    history = _ratings_or_counts(model)
    observed = np.full((len(user_codes), len(item_codes)), np.nan, np.float32)
    for at, user in enumerate(user_codes):
        own = dict(zip(*(part.tolist() for part in history.row(int(user))), strict=True))
        observed[at] = [own.get(code, np.nan) for code in item_codes.tolist()]
    scores = model.scores(model.user_rows(user_codes))[:, item_codes]
    titles = model.item_titles
    return CrossTab(
        rows.decode(user_codes).tolist(),
        columns.decode(item_codes).tolist(),
        [None if titles is None else titles[code] for code in item_codes],
        observed,
        np.clip(scores, *model.score_limits).astype(np.float32),
        model.kind,
        model.score_limits,
        model.frame_kind,
    )


def _ratings_or_counts(model: Model) -> CompressedRows:
    """The history with ratings as its values, or with the counts of choices where there are any."""
    history = model.history
    if model.kind == "explicit" or history.weights is None:
        return history
    return replace(history, values=history.weights)


def _most_rated(counts: NDArray[Any]) -> Codes:
    """The codes with the highest counts, ties to the lower code."""
    return np.argsort(-counts, kind="stable")[:N_SHOWN].astype(np.int32)
