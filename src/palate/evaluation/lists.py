"""What recommended lists are like, whoever is right: how much of the catalogue, how well known, how varied.

Lists are (n_users, n) item codes, best first, -1 where there are no more: those of the users who have held-out items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.evaluation.resampling import Doubles
from palate.kernels import multiply_rows
from palate.models.factors import Codes, Floats
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

BLOCK_FLOATS = 2_000_000  # similarities of pairs made at once


def coverage(lists: Codes, ks: Sequence[int], n_items: int) -> list[float]:
    """coverage@k = share of the catalogue that is among the first k of anybody's list, for each k."""
    found = np.zeros(n_items + 1, bool)
    shares = []
    for part in _parts(lists, ks):
        found[part] = True
        shares.append(float(found[:-1].mean()))
    return shares


def _parts(lists: Codes, ks: Sequence[int]) -> Iterator[Codes]:
    """The lists cut at each k: their first places, and what each further k adds."""
    return (lists[:, begin:end] for begin, end in pairwise((0, *ks)))


def item_shares(model: Model) -> Doubles:
    """The share of users with training ratings who chose each item, (n_items,)."""
    counts = np.bincount(model.history.indices, minlength=len(model.item_vocabulary))
    return counts / max(int(np.count_nonzero(model.history.counts)), 1)


def novelty(lists: Codes, ks: Sequence[int], shares: Doubles) -> list[Doubles]:
    """novelty@k = mean over the list of -log2(share of users who chose the item in training), in bits.

    The self-information of Zhou et al. (2010). An item that nobody chose counts as the least chosen one does. nan, and
    left out of the mean, for a user with an empty list. One array (n_users,) for each k.
    """
    least = shares[shares > 0].min(initial=1.0)
    return _means(lists, ks, -np.log2(np.maximum(shares, least)))


def popularity(lists: Codes, ks: Sequence[int], shares: Doubles) -> list[Doubles]:
    """Mean share of users who chose an item, over each list; the popularity_bias@k is made of it.

    popularity_bias@k = (GAP of lists - GAP of histories) / GAP of histories, where GAP is the mean over users of the
    mean popularity in what they are recommended, or chose in training (the delta GAP of Abdollahpouri et al. 2019, all
    users one group). 0: lists are as popular as what people chose by themselves; 1: twice as popular.
    """
    return _means(lists, ks, shares)


def history_popularity(model: Model, users: Codes, shares: Doubles) -> Doubles:
    """Mean share of users who chose an item, over what each user chose in training, (n,); nan where that is nothing."""
    sums = np.append(0, np.cumsum(shares[model.history.indices]))[model.history.indptr]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.append(np.diff(sums) / model.history.counts, np.nan)
    found: Doubles = means[users]
    return found


def _means(lists: Codes, ks: Sequence[int], values: Doubles) -> list[Doubles]:
    """The mean of items' values over the first k of each list, for each k."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return [sums / sizes for sums, sizes in zip(_sums(lists, ks, values), _sizes(lists, ks), strict=True)]


def _sums(lists: Codes, ks: Sequence[int], values: Doubles) -> list[Doubles]:
    """The sum of items' values over the first k of each list, for each k."""
    values = np.append(values, 0.0)  # of -1, which stands last
    return list(accumulate(np.take(values, part, mode="wrap").sum(axis=1) for part in _parts(lists, ks)))


def _sizes(lists: Codes, ks: Sequence[int]) -> list[NDArray[np.int64]]:
    """How many items are among the first k of each list, for each k: those that are there stand first."""
    whole = np.full(len(lists), lists.shape[1])
    if (lists[:, -1:] < 0).any():
        whole = np.count_nonzero(lists >= 0, axis=1)
    return [np.minimum(whole, k) for k in ks]


def diversity(lists: Codes, ks: Sequence[int], factors: Floats) -> list[Doubles]:
    """diversity@k = mean over pairs of the list of 1 - cosine of the two items' factors.

    By the square of a sum of unit vectors: sum_pairs cosine = (|sum v|^2 - sum |v|^2) / 2. The cosine with an item
    without factors is 0. nan, and left out of the mean, for a user with fewer than two items.
    """
    lengths = np.linalg.norm(factors, axis=1)
    unit = (factors / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)
    unit = np.pad(unit, ((0, 1), (0, 0)))  # of -1, which stands last
    sizes = _sizes(lists, ks)
    own = sizes if (lengths > 0).all() else _sums(lists, ks, (lengths > 0).astype(np.float64))  # |v|^2 is 1 or 0
    totals = accumulate(_added(part, unit) for part in _parts(lists, ks))
    similar = [np.einsum("uk,uk->u", total, total).astype(np.float64) for total in totals]
    return [1 - _per_pair(*of_k) for of_k in zip(np.subtract(similar, own), sizes, strict=True)]


def _added(lists: Codes, vectors: Floats) -> Floats:
    """Sums of the vectors of all items of each list, (n_users, k); -1 is the last vector."""
    codes = np.where(lists < 0, np.int32(len(vectors) - 1), lists)
    return multiply_rows(np.arange(len(lists) + 1) * lists.shape[1], codes.ravel(), None, vectors)


def _per_pair(sums: Doubles, sizes: NDArray[np.int64]) -> Doubles:
    """Sums over ordered pairs of different items as means over pairs, nan where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sizes > 1, sums / (sizes * (sizes - 1)), np.nan)


def attribute_diversity(lists: Codes, ks: Sequence[int], sets: NDArray[np.bool_]) -> list[Doubles]:
    """Diversity by attributes: mean over pairs of the list of 1 - |A and B| / |A or B|, the Jaccard distance.

    sets: (n_items, n_classes), which classes each item has; two items without any are alike. nan, and left out of the
    mean, for a user with fewer than two items.
    """
    width = lists.shape[1]
    step = max(1, BLOCK_FLOATS // max(width * max(width, sets.shape[1]), 1))
    numbers = sets.astype(np.float32)
    blocks = [_similar_pairs(lists[at : at + step], ks, numbers) for at in range(0, len(lists), step)]
    sums = np.concatenate(blocks)
    sizes = [(lists[:, :k] >= 0).sum(axis=1, dtype=np.int64) for k in ks]
    return [1 - _per_pair(sums[:, at] - size, size) for at, size in enumerate(sizes)]


def _similar_pairs(lists: Codes, ks: Sequence[int], sets: Floats) -> Doubles:
    """Sums of the Jaccard similarity over all ordered pairs among the first k, each item with itself: (m, len(ks))."""
    there = lists >= 0
    own = sets[lists]  # (m, n, n_classes)
    both = own @ own.transpose(0, 2, 1)
    sizes = own.sum(axis=2)
    either = sizes[:, :, None] + sizes[:, None, :] - both
    similar = np.where(either > 0, both / np.maximum(either, 1), np.float32(1))
    similar *= there[:, :, None] & there[:, None, :]
    return np.stack([similar[:, :k, :k].sum(axis=(1, 2), dtype=np.float64) for k in ks], axis=1)


def attribute_sets(table: pl.DataFrame | None, name: str) -> NDArray[np.bool_]:
    """Which classes of a column of the item table each item has, (n_items, n_classes); several in a text by | or ;.

    Raises OptionError for a column that is not there.
    """
    from palate.data.features.values import parts_of

    if table is None or name not in table.columns:
        there = "there is no item table" if table is None else f"the item table has {', '.join(table.columns)}"
        raise OptionError(f"attribute={name!r} is no column of the item table; {there}.")
    texts = table[name]
    joined = "|" if texts.dtype.is_nested() or not _has(texts, ";") or _has(texts, "|") else ";"
    pairs = parts_of(texts, joined).drop_nulls()
    classes, codes = np.unique(pairs["label"].to_numpy(), return_inverse=True)
    sets = np.zeros((table.height, max(len(classes), 1)), bool)
    sets[pairs["row"].to_numpy(), codes] = True
    return sets


def _has(texts: pl.Series, sign: str) -> bool:
    return bool(texts.cast(str).str.contains(sign, literal=True).any())
