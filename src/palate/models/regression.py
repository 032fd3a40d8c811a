"""How a fit learned item-item weights by regression: what an update needs to do the same for items new since then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Regression(NamedTuple):
    """How a fit learned item-item weights.

    Attributes:
        weight_decay (float): Of every weight, as it stands in the equations.
        dropout (float): The share of choices hidden while learning, on average over all ways to hide them.
        user_exponent (float): A user with n choices has a weight in proportion to n^-user_exponent.
        item_exponent (float): Scores of an item with n choices are divided by (n / mean n)^item_exponent.
        k (int): The number of items in a support.
    """

    weight_decay: float
    dropout: float
    user_exponent: float
    item_exponent: float
    k: int

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Regression:
        """Read it from a model file. Raise ValueError for what no fit has taken."""
        decay, dropout = float(header["weight_decay"]), float(header["dropout"])
        exponents = float(header["user_exponent"]), float(header["item_exponent"])
        found = cls(decay, dropout, *exponents, int(header["k"]))
        is_valid = (
            0 < found.weight_decay < float("inf")
            and 0 <= found.dropout <= 0.99
            and 0 <= found.user_exponent <= 1
            and -1 <= found.item_exponent <= 1
            and found.k >= 1
        )
        if not is_valid:
            raise ValueError(f"item weights: {found} is not valid")
        return found
