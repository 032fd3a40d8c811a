"""What pictures read from a model: names of items, numbers of ratings, the name of its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.titles import titles
from palate.recommender import Recommender
from palate.showing.pictures.canvas import shorten


def item_names(rec: Recommender, codes: Sequence[int] | NDArray[Any], width: int = 34) -> list[str]:
    """The shortened title of each item, or its label where it has no title."""
    labels = rec.model.item_vocabulary.decode(codes).tolist()
    all_titles = titles(rec.model.item_table)
    own_titles = [None if all_titles is None else all_titles[code] for code in codes]
    pairs = zip(own_titles, labels, strict=True)
    return [shorten(title or "", width) or shorten(label, width) for title, label in pairs]


def recipe_name(rec: Recommender) -> str:
    """The name of the recipe that trained the model, for error messages."""
    return str(rec.model.recipe.get("name", "this model"))


def rating_counts(rec: Recommender) -> NDArray[np.int64]:
    """Training ratings of each item, (n_items,)."""
    return np.bincount(rec.model.history.indices, minlength=rec.n_items)
