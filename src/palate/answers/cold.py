"""What the log says of questions about cold users and items: how many; who, on level DEBUG only."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.models.factors import Codes
from palate.models.model import Model
from palate.showing.events import tell, wants


def tell_cold(model: Model, question: str, users: Codes, items: Codes | None = None, labels: Any = ()) -> None:
    """Log how many of the users and items asked about have no ratings in the model, if there are any.

    users, items: their codes, -1 for unknown ones; labels: those of the users, and of the items where they are given.
    """
    if model.is_rated_user[users].all() and (items is None or model.is_rated_item[items].all()):
        return  # as nearly always, within microseconds
    if not wants(logging.WARNING):
        return
    sides = {"users": ~model.is_rated_user[users]}
    sides |= {} if items is None else {"items": ~model.is_rated_item[items]}
    codes = {"users": users, "items": items}
    about = {f"cold_{side}": _n_distinct(codes[side], cold) for side, cold in sides.items() if cold.any()}
    asked = len(users)
    message = "asked about users or items without ratings"
    tell("cold", message, level=logging.WARNING, question=question, asked=asked, **about)
    if wants(logging.DEBUG):
        told = {side: [str(one) for one in np.asarray(given, object)[sides[side]][:100].tolist()]
                for side, given in zip(sides, labels, strict=False)}  # fmt: skip
        tell("cold_labels", "who they are, the first 100", level=logging.DEBUG, question=question, **told)


def _n_distinct(codes: NDArray[Any] | None, cold: NDArray[np.bool_]) -> int:
    """The number of cold ones: known ones counted once, unknown ones by row."""
    assert codes is not None
    found = codes[cold]
    return len(np.unique(found[found >= 0])) + int((found < 0).sum())
