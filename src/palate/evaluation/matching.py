"""Matching: test ratings in the codes of the model that is asked about them, and what the model was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import row_codes
from palate.errors import OptionError
from palate.recommender import Recommender


def check_type(name: str, given: Any, wanted: type, explained: str) -> None:
    """OptionError for what is of another type."""
    if not isinstance(given, wanted):
        raise OptionError(f"{name} must be a {wanted.__name__}, {explained}, not {type(given).__name__}.")


def training_ratings(recommender: Recommender) -> Ratings:
    """The ratings a recommender was trained on, grouped by user (times are not kept)."""
    model = recommender.model
    return Ratings(
        row_codes(model.history),
        model.history.indices,
        model.history.values,
        weights=model.history.weights,
        user_vocabulary=model.user_vocabulary,
        item_vocabulary=model.item_vocabulary,
        kind=model.kind,
    )


def code_maps(recommender: Recommender, test: Ratings) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each user, and each item, of the test ratings the code in the model, -1 where it does not know the label."""
    model = recommender.model
    sides = ((model.user_vocabulary, test.user_vocabulary), (model.item_vocabulary, test.item_vocabulary))
    users, items = (
        np.arange(len(own), dtype=np.int32)
        if own is other or own == other
        else own.encode(other.labels, on_unknown="mark")
        for own, other in sides
    )
    return users, items


def codes_in_model(recommender: Recommender, test: Ratings) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The test rows in the model's codes, -1 where it does not know the label."""
    users, items = code_maps(recommender, test)
    return users[test.user_codes], items[test.item_codes]
