"""The best n items of each user, by products of factors or by scores. Ties go to the item with the lower code.

These functions hand arrays to the kernels, which keep to the tie rule. `hidden` lists items that a user may not get.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.kernels import level, pack_items, top_n, top_n_of
from palate.models.factors import Codes, Factors, Floats
from palate.models.model import Model

Mask = NDArray[np.bool_]
Packed = tuple[Codes, Floats, NDArray[np.float64]]

N_TYPICAL = 1000  # users whose lengths say in which order items are packed

PRODUCT_METHODS = ("user_scores", "scores", "raw_scores", "ratings_at")


def is_product(factors: Factors) -> bool:
    """True if p . q + c puts items in the order of their predicted ratings, in whatever units it is."""
    return all(getattr(type(factors), name) is getattr(Factors, name) for name in PRODUCT_METHODS)


def packed_items(model: Model) -> Packed:
    """The items of a model as the kernel reads them, packed once for each model (and each level of kernels)."""
    return model.once(_pack, level())


def _pack(model: Model) -> Packed:
    factors = model.factors
    users = factors.users[: min(len(factors.users), N_TYPICAL)]
    return pack_items(np.ascontiguousarray(factors.items, np.float32), np.ascontiguousarray(users, np.float32))


def top_of_products(
    users: Floats,
    items: Floats,
    n: int,
    hidden: CompressedRows | None,
    allowed: Mask | None,
    *,
    bias: bool = True,
    packed: Packed | None = None,
) -> tuple[Codes, Floats]:
    """The n items with the largest p . q [+ c], and p . q [+ c + b], (m, n) each; code -1 where there are no more.

    packed: what pack_items() made of the items, if all of them are allowed; then they need not be packed again.
    """
    users, items = np.ascontiguousarray(users, np.float32), np.ascontiguousarray(items, np.float32)
    return top_n(users, items, n, bias=bias, allowed=allowed, packed=packed, **_seen(hidden))


def top_of_scores(scores: Floats, n: int, hidden: CompressedRows | None, allowed: Mask) -> tuple[Codes, Floats]:
    """The n items with the largest scores (m, n_items), and these scores, (m, n) each; code -1 if no more are left."""
    return top_n_of(np.ascontiguousarray(scores, np.float32), n, allowed=allowed, **_seen(hidden))


def _seen(hidden: CompressedRows | None) -> dict[str, Any]:
    """Lists of items to leave out, as the kernels take them."""
    if hidden is None:
        return {}
    return {"seen_indptr": hidden.indptr, "seen_indices": np.ascontiguousarray(hidden.indices)}
