"""The call of recommend(): labels of users become codes, and the answer a frame, a file or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import OnUnknown, encode, label_array, labels_of
from palate.answers.cold import tell_cold
from palate.answers.ranking.folders import Users, is_folder, recommend_into
from palate.answers.ranking.index import ItemIndex
from palate.answers.ranking.queries import RecommendOptions, query_of
from palate.answers.ranking.recommending import rank
from palate.models.factors import Codes
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl


def recommend(
    model: Model, users: Any, options: RecommendOptions, index: ItemIndex | None
) -> pl.DataFrame | Path | str:
    """The best items of users (None: of all): a polars frame, or the path of a file or folder."""
    labels, codes = _labels_and_codes(model, users, options.on_unknown)
    tell_cold(model, "recommend", codes, labels=(labels,))
    if is_folder(options.out):
        return recommend_into(model, Users(labels, codes), options, index)
    query = query_of(model, options, (labels, codes), index=index)
    return rank(model, lambda rows: model.user_rows(codes[rows]), labels, codes, query, options)


def _labels_and_codes(model: Model, users: Any, on_unknown: OnUnknown) -> tuple[NDArray[Any], Codes]:
    """Labels and codes of the users, (m,) each; -1 for unknown users."""
    vocabulary = model.user_vocabulary
    if users is None:
        return vocabulary.labels, np.arange(len(vocabulary), dtype=np.int32)
    given = labels_of(users, vocabulary.what)
    codes, labels = encode(vocabulary, given, on_unknown), label_array(given, vocabulary)
    known = codes >= 0
    return (labels[known], codes[known]) if on_unknown == "nan" else (labels, codes)
