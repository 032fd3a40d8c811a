"""Synthetic ratings, drawn from known factors: for tests, and to measure how palate scales.

Few items are popular and few users are active, as in real data. `synthetic_factors` returns the factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import KINDS, Kind, Ratings
from palate.data.vocabulary import Vocabulary
from palate.errors import OptionError
from palate.options import check_seed, check_whole
from palate.showing import html
from palate.showing.texts import Fielded

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_BLOCK = 500_000  # ratings drawn at a time: bounds the memory, and fixes the order of the draws
_ROUNDS = 12  # rounds of drawing with replacement before the rest is drawn from the whole catalogue
_CELLS = 4_000_000  # (user, item) keys held at a time in that draw


@dataclass(frozen=True, repr=False)
class SyntheticFactors(Fielded):
    """The factors behind synthetic ratings: r_ui = mean + b_u + c_i + p_u . q_i + noise.

    Attributes:
        mean (float): The mean rating.
        user_bias (float32 array): b, shape (n_users,).
        item_bias (float32 array): c, shape (n_items,).
        user_factors (float32 array): p, shape (n_users, n_factors).
        item_factors (float32 array): q, shape (n_items, n_factors).

    Example:
        >>> import palate
        >>> truth = palate.datasets.synthetic_factors(n_users=60, n_items=40, n_factors=5, seed=1)
        >>> truth.scores([0, 0, 59], [0, 1, 39]).shape
        (3,)
    """

    mean: float
    user_bias: Floats
    item_bias: Floats
    user_factors: Floats
    item_factors: Floats

    def _repr_html_(self) -> str:
        (n_users, n_factors), n_items = self.user_factors.shape, len(self.item_bias)
        return html.page(f"Synthetic factors: {n_users:,} users, {n_items:,} items, {n_factors:,} factors")

    def scores(self, user_codes: NDArray[Any], item_codes: NDArray[Any]) -> Floats:
        """Return the rating of each pair without noise, before rounding and clipping.

        Parameters:
            user_codes (int array): User of each pair, shape (n,).
            item_codes (int array): Item of each pair, shape (n,).

        Returns:
            float32 array: mean + b_u + c_i + p_u . q_i, shape (n,).
        """
        both = np.einsum("nk,nk->n", self.user_factors[user_codes], self.item_factors[item_codes])
        scores: Floats = both + self.user_bias[user_codes] + self.item_bias[item_codes] + np.float32(self.mean)
        return scores


def synthetic_factors(n_users: int, n_items: int, n_factors: int = 20, seed: int = 0) -> SyntheticFactors:
    """Return the factors that `synthetic` with the same arguments draws its ratings from.

    The mean is 3.5. Biases have a standard deviation of 0.4, the products p_u . q_i one of 0.6.

    Parameters:
        n_users (int): Number of users, 1 or more.
        n_items (int): Number of items, 1 or more.
        n_factors (int, default 20): Number of factors, 1 or more.
        seed (int, default 0): Seed of the random draw, 0 or more.

    Returns:
        SyntheticFactors: Mean, biases and factors of all users and items.

    Raises:
        OptionError: An option is out of its range.

    Example:
        >>> import palate
        >>> truth = palate.datasets.synthetic_factors(n_users=60, n_items=40, n_factors=5, seed=1)
        >>> truth.mean, truth.user_factors.shape, truth.item_bias.shape
        (3.5, (60, 5), (40,))
    """
    check_whole(1, n_users=n_users, n_items=n_items, n_factors=n_factors)
    rng = _generator(seed, 0)
    scale = np.float32(np.sqrt(0.6 / np.sqrt(n_factors)))  # n_factors terms of variance scale^4
    return SyntheticFactors(
        mean=3.5,
        user_bias=_normal(rng, n_users) * np.float32(0.4),
        item_bias=_normal(rng, n_items) * np.float32(0.4),
        user_factors=_normal(rng, n_users, n_factors) * scale,
        item_factors=_normal(rng, n_items, n_factors) * scale,
    )


def synthetic(
    n_users: int = 1_000,
    n_items: int = 500,
    n_ratings: int = 50_000,
    n_factors: int = 20,
    noise: float = 0.8,
    seed: int = 0,
    *,
    skew: float = 0.8,
    scale: tuple[float, float] = (1.0, 5.0),
    step: float | None = 1.0,
    kind: Kind = "explicit",
) -> Ratings:
    """Draw ratings of distinct (user, item) pairs from known factors.

    Item i is drawn with a probability proportional to rank^-skew. Users rate a log-normal number of items, at least one
    if there are enough ratings. A value is its score in `synthetic_factors` plus Normal(0, noise^2), rounded and
    clipped. Rows come sorted by user; user 7 has the label "u7", item 7 the label "i7".

    With kind="implicit", a user's items are drawn one by one without replacement, each with a probability proportional
    to rank^-skew exp(score / noise). That looks at every pair once.

    Parameters:
        n_users (int, default 1000): Number of users, 1 or more.
        n_items (int, default 500): Number of items, 1 or more.
        n_ratings (int, default 50000): Number of ratings, between 1 and n_users * n_items.
        n_factors (int, default 20): Number of factors, 1 or more.
        noise (float, default 0.8): Standard deviation of the noise, 0 or more; above 0 if implicit.
        seed (int, default 0): Seed of the random draw, 0 or more.
        skew (float, default 0.8): How unequal the popularity of items is, between 0 (all equal) and 10.
        scale (tuple of two floats, default (1.0, 5.0)): Lowest and highest value; not used if implicit.
        step (float or None, default 1.0): Values are rounded to multiples of this, above 0; None does not round.
        kind ("explicit" or "implicit", default "explicit"): Ratings with values, or choices without.

    Returns:
        Ratings: Exactly n_ratings of them, without times, weights or tables.

    Raises:
        OptionError: An option is out of its range, or there are fewer pairs than n_ratings.

    Example:
        >>> import palate
        >>> palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, kind="implicit")
        Ratings(1,200 implicit ratings, 60 users, 40 items)
    """
    check_whole(1, n_users=n_users, n_items=n_items, n_factors=n_factors, n_ratings=n_ratings)
    if n_ratings > n_users * n_items:
        raise OptionError(
            f"n_ratings={n_ratings:,}: {n_users:,} users x {n_items:,} items have only {n_users * n_items:,} pairs."
        )
    _check_options(noise, skew, scale, step, kind)
    factors = synthetic_factors(n_users, n_items, n_factors, seed)
    rng = _generator(seed, 1)
    popularity = rng.permutation(np.arange(1, n_items + 1, dtype=np.float64) ** -skew)
    counts = _draw_counts(rng, n_users, n_items, n_ratings)
    user_codes = np.repeat(np.arange(n_users, dtype=np.int32), counts)
    item_codes = np.empty(n_ratings, dtype=np.int32)
    values = np.empty(n_ratings, dtype=np.float32)
    for users, rows in _blocks(counts):
        if kind == "implicit":
            item_codes[rows] = _choose_items(rng, counts, users, popularity, factors, noise)
            continue
        item_codes[rows] = _draw_items(rng, counts[users], popularity)
        raw = factors.scores(user_codes[rows], item_codes[rows])
        raw += np.float32(noise) * _normal(rng, len(raw))
        values[rows] = np.clip(_rounded(raw, step), *scale)
    return Ratings(
        user_codes,
        item_codes,
        values if kind == "explicit" else np.ones(n_ratings, np.float32),
        kind=kind,
        user_vocabulary=Vocabulary.in_order([f"u{code}" for code in range(n_users)], what="user"),
        item_vocabulary=Vocabulary.in_order([f"i{code}" for code in range(n_items)], what="item"),
    )


def _check_options(noise: float, skew: float, scale: tuple[float, float], step: float | None, kind: Kind) -> None:
    """Raise OptionError for options out of their range."""
    if not (0 <= noise < np.inf and 0 <= skew <= 10):
        raise OptionError(f"noise={noise!r}, skew={skew!r}: give noise as a number from 0, skew as one from 0 to 10.")
    if not -np.inf < scale[0] < scale[1] < np.inf or (step is not None and not 0 < step < np.inf):
        raise OptionError(f"scale={scale!r}, step={step!r}: give (lowest, highest) and a positive step or None.")
    if kind not in KINDS or (kind == "implicit" and noise == 0):
        raise OptionError(f'kind={kind!r}, noise={noise!r}: give "explicit", or "implicit" with noise above 0.')


def _draw_counts(rng: np.random.Generator, n_users: int, n_items: int, n_ratings: int) -> Integers:
    """Number of ratings of each user, shape (n_users,): log-normal, at most n_items, n_ratings in all."""
    activity = rng.lognormal(sigma=1.0, size=n_users)
    counts = np.full(n_users, int(n_ratings >= n_users), dtype=np.int64)
    while (n_left := n_ratings - int(counts.sum())) > 0:
        free = np.where(counts < n_items, activity, 0.0)
        counts = np.minimum(counts + rng.multinomial(n_left, free / free.sum()), n_items)
    return counts


def _blocks(counts: Integers) -> list[tuple[slice, slice]]:
    """Runs of users with about _BLOCK ratings together, as (users, rows)."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    cuts = np.searchsorted(ends, np.arange(_BLOCK, int(ends[-1]), _BLOCK))
    bounds = np.unique(np.concatenate([[0], cuts, [len(counts)]])).tolist()
    return [(slice(a, b), slice(int(ends[a]), int(ends[b]))) for a, b in pairwise(bounds)]


def _draw_items(rng: np.random.Generator, counts: Integers, popularity: NDArray[np.float64]) -> Integers:
    """Distinct items for each user in turn, shape (sum(counts),), as if drawn one by one without replacement.

    Drawing with replacement and dropping repeats has the same distribution. Users who still lack items after a few
    rounds take those with the smallest exponential keys E / popularity, which has the same distribution too.
    """
    n_items = len(popularity)
    cumulative = np.cumsum(popularity)
    done: list[Integers] = []
    keys = np.zeros(0, dtype=np.int64)  # user * n_items + item, sorted, of users who lack items
    lacking = counts.copy()
    for _ in range(_ROUNDS):
        if not lacking.any():
            break
        user = np.repeat(np.arange(len(counts)), lacking)
        item = np.searchsorted(cumulative, rng.random(len(user)) * cumulative[-1], side="right")
        keys = _sorted_distinct(np.concatenate([keys, user * n_items + np.minimum(item, n_items - 1)]))
        owner = keys // n_items
        has = np.bincount(owner, minlength=len(counts))
        lacking = np.where(lacking > 0, counts - has, 0)
        is_done = lacking[owner] == 0
        done.append(keys[is_done])
        keys = keys[~is_done]
    done.append(keys)
    if lacking.any():
        done += _draw_rest(rng, lacking, keys, popularity)
    return np.sort(np.concatenate(done)) % n_items


def _choose_items(
    rng: np.random.Generator,
    counts: Integers,
    users: slice,
    popularity: NDArray[np.float64],
    factors: SyntheticFactors,
    noise: float,
) -> Integers:
    """Distinct items for each of a run of users: those with the largest Gumbel keys of popularity and score."""
    chosen = []
    items = np.arange(len(popularity))
    for user in range(users.start, users.stop):
        score = factors.scores(np.full(len(items), user), items) / noise
        keys = np.log(popularity) + score + rng.gumbel(size=len(items))
        chosen.append(np.sort(np.argsort(-keys, kind="stable")[: counts[user]]))
    return np.concatenate(chosen)


def _sorted_distinct(keys: Integers) -> Integers:
    keys = np.sort(keys)  # np.unique hashes first, which is several times slower here
    distinct: Integers = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return distinct


def _draw_rest(
    rng: np.random.Generator, lacking: Integers, keys: Integers, popularity: NDArray[np.float64]
) -> list[Integers]:
    """The items that users lack beside those in `keys`: the smallest exponential keys of the whole catalogue."""
    n_items = len(popularity)
    users = np.flatnonzero(lacking)
    per_chunk = max(1, _CELLS // n_items)
    found = []
    for start in range(0, len(users), per_chunk):
        chunk = users[start : start + per_chunk]
        drawn_keys = rng.exponential(size=(len(chunk), n_items)) / popularity
        first, last = np.searchsorted(keys, [chunk[0] * n_items, (chunk[-1] + 1) * n_items])
        taken = keys[first:last]
        drawn_keys[np.searchsorted(chunk, taken // n_items), taken % n_items] = np.inf
        order = np.argsort(drawn_keys, axis=1)
        picked = np.arange(n_items) < lacking[chunk, None]
        found.append((chunk[:, None] * n_items + order)[picked])
    return found


def _rounded(raw: Floats, step: float | None) -> Floats:
    return raw if step is None else np.rint(raw / np.float32(step)) * np.float32(step)


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.standard_normal(shape, dtype=np.float32)


def _generator(seed: int, stream: int) -> np.random.Generator:
    check_seed(seed)
    return np.random.default_rng([int(seed), stream])
