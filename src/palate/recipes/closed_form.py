"""The closed form of item-item weights: P = (X'WX + L)^-1, by items or by users."""

from __future__ import annotations

import numpy as np

from palate.data.ratings import Ratings
from palate.kernels import multiply_sparse, multiply_wide
from palate.models.chosen import Chosen
from palate.models.factors import Codes, Floats
from palate.recipes.inverse import invert


def chosen_items(ratings: Ratings) -> Codes:
    """The codes of the items with choices, ascending."""
    return np.flatnonzero(np.bincount(ratings.item_codes)).astype(np.int32)


def by_items(X: Chosen, decays: Floats, n_threads: int = 0) -> Floats:
    """P = (X'WX + L)^-1, (n_items, n_items); decays: the diagonal of L."""
    G = multiply_sparse(*X.items_times(user_factors=X.user_weights), *X.users(), X.n_items, n_threads=n_threads)
    G[np.diag_indices_from(G)] += decays
    invert(G, n_threads)
    return G


def by_users(X: Chosen, decays: Floats, n_threads: int = 0) -> Floats:
    """The same, faster for fewer users than items (Woodbury): P = L^-1 - L^-1 X' (X L^-1 X' + W^-1)^-1 X L^-1."""
    scaled = X.items_times(item_factors=np.reciprocal(decays))  # L^-1 X'
    K = multiply_sparse(*X.users(), *scaled, X.n_users, n_threads=n_threads)
    K[np.diag_indices_from(K)] += 1 / X.user_weights
    invert(K, n_threads)
    np.negative(K, out=K)
    half = np.ascontiguousarray(multiply_wide(*scaled, K, n_threads=n_threads).T)
    P = multiply_wide(*scaled, half, n_threads=n_threads)
    P[np.diag_indices_from(P)] += 1 / decays
    return P
