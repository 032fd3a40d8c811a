"""An approximate index of the items, for catalogues of a million items and more: most of the best, much sooner.

The largest product p . q + c is the nearest neighbour of [p, 1, 0] among the points [q, c, sqrt(r^2 - |q|^2 - c^2)],
where r is the largest length of an item's [q, c] (Bachrach et al. 2014). k-means divides these points into cells
(faiss, IndexIVFFlat), and only the cells nearest to the user are searched. How many cells is decided by measuring the
recall. The products of the items found are then computed exactly, so that their scores are exact.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.top_n import is_product, top_of_products
from palate.data.rows import CompressedRows, row_codes, take_rows
from palate.errors import OptionError
from palate.kernels import predict_pairs
from palate.models.factors import Codes, Factors, Floats

MIN_RECALL = 0.95  # cells are added until the recall of the best N_BEST items reaches it
N_SAMPLE, N_BEST = 500, 10  # recall is measured on the N_BEST items of N_SAMPLE users
N_EXTRA = 100  # more items to look up than asked for, because some turn out to be seen already
MAX_LOOKUP = 1024  # items looked up at once; longer lists are ranked exactly


@dataclass(frozen=True, repr=False)
class ItemIndex:
    """An approximate index of a model's items, for recommend(index="ann"). Made by Recommender.item_index.

    Attributes:
        recall (float): The share of the exact ten best items that the index finds, over a sample of the model's users.
        n_probes (int): The number of cells that are searched for each user.
        n_cells (int): The number of cells.
        seconds (float): The time that building and measuring took.
        cells (faiss index): The items in their cells.
        factors (Factors): The factors of the model.

    Source:
        Bachrach et al. (2014), Speeding Up the Xbox Recommender System Using a Euclidean Transformation for
        Inner-Product Spaces, section 4.
    """

    cells: Any  # the index of faiss
    factors: Factors
    recall: float
    n_probes: int
    n_cells: int
    seconds: float

    def __repr__(self) -> str:
        return (
            f"<ItemIndex: {len(self.factors.items):,} items, recall@{N_BEST} {self.recall:.3f} by "
            f"{self.n_probes:,} of {self.n_cells:,} cells, built in {self.seconds:.1f} s>"
        )

    def top(
        self, users: Floats, n: int, hidden: CompressedRows | None, allowed: NDArray[np.bool_]
    ) -> tuple[Codes, Floats]:
        """Find nearly the n best items of each user; exactly the n best for users whose list does not fill.

        Parameters:
            users (array): The users' vectors, (m, n_factors + 1) float32.
            n (int): The number of items for each user.
            hidden (CompressedRows or None): Items that each user may not get, m rows.
            allowed (array): Which items users may get at all, (n_items,) bool.

        Returns:
            tuple: Item codes, (m, n) int32, best first and -1 where there are no more; and their products
                p . q + c + b, (m, n) float32.
        """
        items = self.factors.items
        depth = n if hidden is None else n + N_EXTRA
        if n == 0 or depth > min(MAX_LOOKUP, len(items)):
            return top_of_products(users, items, n, hidden, allowed)
        near = _nearest(self.cells, users, depth, self.n_probes, None if allowed.all() else allowed)
        codes, products = _best_of(users, items, _without(near, hidden, len(items)), n)
        short = np.flatnonzero(codes[:, -1] < 0)
        if len(short):
            lists = None if hidden is None else take_rows(hidden, short)
            codes[short], products[short] = top_of_products(users[short], items, n, lists, allowed)
        return codes, products


def build_index(factors: Factors) -> ItemIndex:
    """Build the index of a model's items, and search as many cells as MIN_RECALL needs.

    Raises OptionError if faiss is missing, or if the model's scores are no products of factors.
    """
    if not is_product(factors):
        raise OptionError('index="ann" needs scores that are products of factors, which those of this model are not.')
    began = time.perf_counter()
    cells, n_cells = _cells_of(factors.items)
    users = factors.users[np.linspace(0, len(factors.users) - 1, N_SAMPLE).astype(np.int64)]
    everything = np.ones(len(factors.items), bool)
    n = min(N_BEST, len(factors.items))
    exact, _ = top_of_products(users, factors.items, n, None, everything)
    n_probes = min(8, n_cells)
    while (recall := _recall(_nearest(cells, users, n, n_probes, None), exact)) < MIN_RECALL and n_probes < n_cells:
        n_probes = min(n_probes + (n_probes + 1) // 2, n_cells)
    return ItemIndex(cells, factors, recall, n_probes, n_cells, time.perf_counter() - began)


def faiss_for(option: str) -> Any:
    """Return faiss. Raises OptionError where it is not installed. option: what needs it, as it is typed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the types that SWIG makes
            import faiss
    except ImportError:
        raise OptionError(f'{option} needs faiss: pip install "palate[ann]".') from None
    return faiss


def _cells_of(items: Floats) -> tuple[Any, int]:
    """The items in the cells of k-means, and the number of cells."""
    faiss = faiss_for('index="ann"')
    lengths = np.einsum("ik,ik->i", items, items)
    rest = np.sqrt(np.maximum(lengths.max(initial=0) - lengths, 0))
    points = np.column_stack([items, rest]).astype(np.float32)
    n_cells = max(1, min(int(4 * np.sqrt(len(items))), len(items) // 8))
    cells = faiss.IndexIVFFlat(faiss.IndexFlatL2(points.shape[1]), points.shape[1], n_cells, faiss.METRIC_L2)
    cells.cp.niter, cells.cp.min_points_per_centroid, cells.cp.max_points_per_centroid = 8, 1, 64
    cells.train(points)
    cells.add(points)
    return cells, n_cells


def _nearest(cells: Any, users: Floats, n: int, n_probes: int, allowed: NDArray[np.bool_] | None) -> Codes:
    """The items nearest to each user, (m, n) in no particular order; -1 where the cells have no more."""
    faiss = faiss_for('index="ann"')
    points = np.column_stack([users, np.zeros(len(users))]).astype(np.float32)
    points[:, -2] = 1  # times the item's bias
    options = faiss.SearchParametersIVF(nprobe=n_probes)
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        options = faiss.SearchParametersIVF(
            nprobe=n_probes, sel=faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits))
        )
    _, found = cells.search(points, n, params=options)
    codes: Codes = found.astype(np.int32)
    return codes


def _without(found: Codes, hidden: CompressedRows | None, n_items: int) -> Codes:
    """The items found, -1 for those on the list of the row."""
    if hidden is None:
        return found
    rows = np.arange(len(found), dtype=np.int64)[:, None] * n_items
    listed = row_codes(hidden).astype(np.int64) * n_items + hidden.indices
    return np.where(np.isin(rows + found, listed), np.int32(-1), found)


def _best_of(users: Floats, items: Floats, found: Codes, n: int) -> tuple[Codes, Floats]:
    """The n best of the items found in each row, (m, n), by their exact products; the lower code first in a tie."""
    rows = np.repeat(np.arange(len(found), dtype=np.int32), found.shape[1])
    flat = np.ascontiguousarray(np.maximum(found, 0).ravel())
    products = predict_pairs(np.ascontiguousarray(users), items, rows, flat, bias=True, center=0.0, scale=1.0)
    scores = np.where(found >= 0, products.reshape(found.shape), np.float32(-np.inf))
    order = np.lexsort((found, -scores), axis=1)[:, :n]
    codes, best = np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return np.where(np.isneginf(best), np.int32(-1), codes), best


def _recall(found: Codes, exact: Codes) -> float:
    """The share of the exact best items that were found."""
    hits = (exact[:, :, None] == found[:, None, :]).any(axis=2) & (exact >= 0)
    return float(hits.sum() / max(int((exact >= 0).sum()), 1))
