"""Items put by requests: kept in the store, and known to every model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from palate.answers.new_items import with_items
from palate.errors import PalateError
from palate.recommender import Recommender
from palate.serving.people import label_in
from palate.serving.served import Served
from palate.serving.store import Item


def with_catalogue(served: Served, items: Sequence[Item]) -> Served:
    """The model with these items. A label that cannot be one of the model's is left out."""
    known = {}
    for item in items:
        try:
            known[label_in(served.model.item_vocabulary, item.label)] = item.attributes
        except PalateError:
            continue
    if not known:
        return served
    return replace(served, recommender=Recommender(with_items(served.model, known)))
