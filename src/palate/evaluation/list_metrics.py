"""Beyond-accuracy metrics of recommended lists: coverage, novelty, popularity bias, diversity, miscalibration.

Lists are (n_users, n) item codes, best first, -1 where a list is shorter. The users are those with held-out items. `ks`
are the list lengths at which a metric is computed, in ascending order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.dials import SetSimilarity, by_users, divergence
from palate.data.rows import pointers_of, row_codes, take_rows
from palate.errors import OptionError
from palate.evaluation.resampling import Doubles
from palate.kernels import multiply_rows, multiply_sparse
from palate.models.factors import Codes, Floats
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

BLOCK_FLOATS = 2_000_000  # pairwise similarities computed at once


def coverage(lists: Codes, ks: Sequence[int], n_items: int) -> list[float]:
    """coverage@k = share of the catalogue that stands among the first k of at least one list; one number for each k.

    Ge, Delgado-Battenfeld & Jannach (2010), Beyond Accuracy: Evaluating Recommender Systems by Coverage and
    Serendipity.
    """
    return [float(items.mean()) for items in listed_items(lists, ks, n_items)]


def listed_items(lists: Codes, ks: Sequence[int], n_items: int) -> NDArray[np.bool_]:
    """Which items stand among the first k of at least one list, (n_ks, n_items)."""
    found = np.zeros((len(ks), n_items + 1), bool)
    for at, part in enumerate(_parts(lists, ks)):
        found[at:, part] = True
    return found[:, :-1]


def _parts(lists: Codes, ks: Sequence[int]) -> Iterator[Codes]:
    """Yield the columns up to the first k, then the further columns of each larger k."""
    return (lists[:, begin:end] for begin, end in pairwise((0, *ks)))


def item_shares(model: Model) -> Doubles:
    """Return the share of the users with training ratings who chose each item, (n_items,)."""
    return model.item_counts / max(int(np.count_nonzero(model.history.counts)), 1)


def novelty(lists: Codes, ks: Sequence[int], shares: Doubles) -> list[Doubles]:
    """novelty@k = mean over the list of -log2(share of users who chose the item in training), in bits.

    Mean self-information: Zhou et al. (2010), Solving the apparent diversity-accuracy dilemma of recommender systems.
    An item without training ratings gets the smallest share of the others. nan for a user with an empty list; such
    users are left out of the mean. Returns one array (n_users,) for each k.
    """
    min_share = shares[shares > 0].min(initial=1.0)
    return _means(lists, ks, -np.log2(np.maximum(shares, min_share)))


def popularity(lists: Codes, ks: Sequence[int], shares: Doubles) -> list[Doubles]:
    """Return the mean popularity of each list, (n_users,) for each k; popularity: the share of users who chose an item.

    popularity_bias@k = (GAP of lists - GAP of histories) / GAP of histories. GAP, the group average popularity, is the
    mean over users of the mean popularity of the items recommended to them, or chosen by them in training. At 0 the
    lists are as popular as the users' own choices; at 1 they are twice as popular. It is the delta GAP of Abdollahpouri
    et al. (2019), The Unfairness of Popularity Bias in Recommendation, with all users in one group.
    """
    return _means(lists, ks, shares)


def history_popularity(model: Model, users: Codes, shares: Doubles) -> Doubles:
    """Return the mean popularity of each user's training items, (n,); nan for users without any."""
    histories = take_rows(model.history, np.maximum(users, 0))
    sums = np.bincount(row_codes(histories), shares[histories.indices], len(users))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Doubles = np.where(users < 0, np.nan, sums / histories.counts)
    return found


def _means(lists: Codes, ks: Sequence[int], values: Doubles) -> list[Doubles]:
    """Return the mean of the items' values over the first k of each list, for each k."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return [sums / sizes for sums, sizes in zip(_sums(lists, ks, values), _sizes(lists, ks), strict=True)]


def _sums(lists: Codes, ks: Sequence[int], values: Doubles) -> list[Doubles]:
    """Return the sum of the items' values over the first k of each list, for each k."""
    values = np.append(values, 0.0)  # the value of code -1
    return list(accumulate(np.take(values, part, mode="wrap").sum(axis=1) for part in _parts(lists, ks)))


def _sizes(lists: Codes, ks: Sequence[int]) -> list[NDArray[np.int64]]:
    """Return the number of items among the first k of each list, for each k."""
    lengths = np.full(len(lists), lists.shape[1])
    if (lists[:, -1:] < 0).any():
        lengths = np.count_nonzero(lists >= 0, axis=1)
    return [np.minimum(lengths, k) for k in ks]


def diversity(lists: Codes, ks: Sequence[int], factors: Floats) -> list[Doubles]:
    """diversity@k = mean over pairs of items of the list of 1 - cosine of their factors.

    Intra-list diversity: Ziegler et al. (2005), Improving Recommendation Lists Through Topic Diversification. The sum
    over pairs follows from the sum of unit vectors: sum_pairs cosine = (|sum v|^2 - sum |v|^2) / 2. The cosine with an
    item whose factors are all zero is 0. nan for a list with fewer than two items; such users are left out of the mean.
    """
    lengths = np.linalg.norm(factors, axis=1)
    unit = (factors / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)
    unit = np.pad(unit, ((0, 1), (0, 0)))  # the vector of code -1
    sizes = _sizes(lists, ks)
    own = sizes if (lengths > 0).all() else _sums(lists, ks, (lengths > 0).astype(np.float64))  # |v|^2 is 1 or 0
    totals = accumulate(_vector_sums(part, unit) for part in _parts(lists, ks))
    similar = [np.einsum("uk,uk->u", total, total).astype(np.float64) for total in totals]
    return [1 - np.clip(_per_pair(*of_k), -1, 1) for of_k in zip(np.subtract(similar, own), sizes, strict=True)]


def diversity_by_users(lists: Codes, ks: Sequence[int], model: Model) -> list[Doubles]:
    """diversity@k of a model without factors: the cosine is that of the sets of users who rated or chose the items.

    An item nobody chose has the cosine 0 with all others. nan as in diversity().
    """
    sets = model.once(by_users)
    is_known = (model.item_counts > 0).astype(np.float64)
    step = max(1, BLOCK_FLOATS // max(sets.owners.n_rows, 1))
    blocks = [_squares(lists[at : at + step], ks, sets) for at in range(0, len(lists), step)]
    similar, own = np.concatenate(blocks, axis=1), _sums(lists, ks, is_known)
    return [
        1 - np.clip(_per_pair(*of_k), -1, 1) for of_k in zip(np.subtract(similar, own), _sizes(lists, ks), strict=True)
    ]


def _squares(lists: Codes, ks: Sequence[int], sets: SetSimilarity) -> Doubles:
    """The squared length of the sum of the items' vectors of users over the first k of each list, (len(ks), m)."""
    members, total, found = sets.members, np.zeros((len(lists), sets.owners.n_rows), np.float32), []
    for part in _parts(lists, ks):
        is_item = part >= 0
        rows = pointers_of(is_item.sum(axis=1)), np.ascontiguousarray(part[is_item]), None
        total += multiply_sparse(*rows, members.indptr, members.indices, members.values, total.shape[1])
        found.append(np.einsum("uk,uk->u", total, total).astype(np.float64))
    return np.array(found)


def miscalibration(
    model: Model, users: Codes, lists: Codes, ks: Sequence[int], sets: NDArray[np.bool_]
) -> list[Doubles]:
    """miscalibration_ATTRIBUTE@k = KL(p, q~) of the mix p of the user's history and the mix q of the list, in nats.

    Steck (2018), Calibrated Recommendations: an item counts in equal parts for its classes, and q~ = 0.99 q + 0.01 p.
    At 0 the list has the mix of the history. sets: (n_items, n_classes), as in attribute_diversity(). nan for users
    without a history that has classes; such users are left out of the mean. Source: equations 2 to 6.
    """
    parts = sets / np.maximum(sets.sum(axis=1, keepdims=True), 1)
    step = max(1, BLOCK_FLOATS // max(sets.shape[1] * lists.shape[1], 1))
    blocks = [
        _divergences(model, users[at : at + step], lists[at : at + step], ks, parts)
        for at in range(0, len(lists), step)
    ]
    return list(np.concatenate(blocks, axis=1))


def _divergences(model: Model, users: Codes, lists: Codes, ks: Sequence[int], parts: Doubles) -> Doubles:
    """KL of some users for each k, (len(ks), m)."""
    histories = take_rows(model.history, np.maximum(users, 0))
    own = np.zeros((len(users), parts.shape[1]))
    np.add.at(own, row_codes(histories), parts[histories.indices])
    own[users < 0] = 0
    listed = np.cumsum(np.where((lists >= 0)[:, :, None], parts[lists], 0.0), axis=1)
    found = [divergence(_shares(own), _shares(listed[:, min(k, lists.shape[1]) - 1])) for k in ks]
    return np.where(own.any(axis=1), np.array(found), np.nan)


def _shares(sums: Doubles) -> Doubles:
    shares: Doubles = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-300)
    return shares


def _vector_sums(lists: Codes, vectors: Floats) -> Floats:
    """Return the sum of the vectors of each list's items, (n_users, n_factors); code -1 is the last vector."""
    codes = np.where(lists < 0, np.int32(len(vectors) - 1), lists)
    return multiply_rows(np.arange(len(lists) + 1) * lists.shape[1], codes.ravel(), None, vectors)


def _per_pair(sums: Doubles, sizes: NDArray[np.int64]) -> Doubles:
    """Divide sums over ordered pairs of different items by the number of pairs; nan where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sizes > 1, sums / (sizes * (sizes - 1)), np.nan)


def attribute_diversity(lists: Codes, ks: Sequence[int], sets: NDArray[np.bool_]) -> list[Doubles]:
    """diversity_ATTRIBUTE@k = mean over pairs of items of the list of 1 - |A and B| / |A or B|, the Jaccard distance.

    sets: (n_items, n_classes), which classes each item has. Two items without classes have distance 0. nan for a list
    with fewer than two items; such users are left out of the mean.
    """
    width = lists.shape[1]
    step = max(1, BLOCK_FLOATS // max(width * max(width, sets.shape[1]), 1))
    indicators = sets.astype(np.float32)
    blocks = [_similarity_sums(lists[at : at + step], ks, indicators) for at in range(0, len(lists), step)]
    sums = np.concatenate(blocks)
    sizes = [(lists[:, :k] >= 0).sum(axis=1, dtype=np.int64) for k in ks]
    return [1 - _per_pair(sums[:, at] - size, size) for at, size in enumerate(sizes)]


def _similarity_sums(lists: Codes, ks: Sequence[int], sets: Floats) -> Doubles:
    """Sum the Jaccard similarity over all ordered pairs among the first k, self-pairs included: (m, len(ks))."""
    exists = lists >= 0
    members = sets[lists]  # (m, n, n_classes)
    both = members @ members.transpose(0, 2, 1)
    sizes = members.sum(axis=2)
    either = sizes[:, :, None] + sizes[:, None, :] - both
    similar = np.where(either > 0, both / np.maximum(either, 1), np.float32(1))
    similar *= exists[:, :, None] & exists[:, None, :]
    return np.stack([similar[:, :k, :k].sum(axis=(1, 2), dtype=np.float64) for k in ks], axis=1)


def attribute_sets(table: pl.DataFrame | None, name: str) -> NDArray[np.bool_]:
    """Return which classes of a column of the item table each item has, (n_items, n_classes).

    A text may hold several classes, separated by | or ;. Raises OptionError if there is no such column.
    """
    from palate.data.features.values import parts_of
    from palate.data.features.vectors import are_vectors

    if table is None or name not in table.columns:
        found = "there is no item table" if table is None else f"the item table has {', '.join(table.columns)}"
        raise OptionError(f"attribute={name!r} is not a column of the item table; {found}.")
    texts = table[name]
    if are_vectors(texts):
        raise OptionError(f"attribute={name!r} is a column of vectors; name one of texts, numbers, or lists of texts.")
    separator = "|" if texts.dtype.is_nested() or not _contain(texts, ";") or _contain(texts, "|") else ";"
    pairs = parts_of(texts, separator).drop_nulls()
    classes, codes = np.unique(pairs["label"].to_numpy(), return_inverse=True)
    sets = np.zeros((table.height, max(len(classes), 1)), bool)
    sets[pairs["row"].to_numpy(), codes] = True
    return sets


def _contain(texts: pl.Series, sign: str) -> bool:
    return bool(texts.cast(str).str.contains(sign, literal=True).any())
