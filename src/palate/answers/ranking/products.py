"""The best n by products of factors, or by scores that are there: the kernels, with lists of what to leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.kernels import top_n, top_n_of
from palate.models.factors import Codes, Factors, Floats

Mask = NDArray[np.bool_]

AS_PRODUCTS = ("user_scores", "scores", "raw_scores", "ratings_at")


def is_product(factors: Factors) -> bool:
    """Whether the order of items is that of p . q + c: expected ratings rise with it, in whatever units they are."""
    return all(getattr(type(factors), name) is getattr(Factors, name) for name in AS_PRODUCTS)


def top_of_products(
    users: Floats, items: Floats, n: int, unseen: CompressedRows | None, allowed: Mask, *, bias: bool = True
) -> tuple[Codes, Floats]:
    """The n items of the largest p . q [+ c], and p . q [+ c + b], (m, n)."""
    users, items = np.ascontiguousarray(users, np.float32), np.ascontiguousarray(items, np.float32)
    return top_n(users, items, n, bias=bias, allowed=allowed, **_seen(unseen))


def top_of_scores(scores: Floats, n: int, unseen: CompressedRows | None, allowed: Mask) -> tuple[Codes, Floats]:
    """The n items of the largest scores (m, n_items), and these, (m, n)."""
    return top_n_of(np.ascontiguousarray(scores, np.float32), n, allowed=allowed, **_seen(unseen))


def _seen(unseen: CompressedRows | None) -> dict[str, Any]:
    """Lists of items to leave out, as the kernels take them."""
    if unseen is None:
        return {}
    return {"seen_indptr": unseen.indptr, "seen_indices": np.ascontiguousarray(unseen.indices)}
