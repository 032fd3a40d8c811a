"""The choices that BPR learns from, and the grid of blocks in which it visits them.

A step changes three rows or more: a user, a chosen item, and negatives, which are items the user did not choose. On the
grid of SGD a negative could belong to another thread. So a task gets two blocks of items and samples negatives from
these only: see `PairGrid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import pointers_of
from palate.errors import DataError
from palate.models.factors import Codes, Doubles, Floats
from palate.recipes.gradient_descent import deal, shuffled_cells

SIDES = (1, 2, 4, 8, 16, 32)  # numbers of blocks of users, the tasks of a stratum; there are twice as many of items
MIN_PER_CELL = 100  # choices per cell on average, unless there is one block of users
MIN_PER_BLOCK = 24  # items per block, likewise


@dataclass(frozen=True)
class Choices:
    """The observed pairs, each once, ordered by user and then by item.

    user_codes and item_codes: (n,); indptr: (n_users + 1,) where the choices of each user begin.
    """

    user_codes: Codes
    item_codes: Codes
    indptr: NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, ratings: Ratings) -> Choices:
        """The distinct pairs with a weight above 0. Raises DataError if there are none."""
        keys = ratings.user_codes.astype(np.int64) * ratings.n_items + ratings.item_codes
        keys = np.sort(keys if ratings.weights is None else keys[ratings.weights > 0])
        keys = keys[np.diff(keys, prepend=-1) > 0]
        if len(keys) == 0:
            raise DataError("every choice has weight 0: there is nothing to learn from.")
        users, items = np.divmod(keys, ratings.n_items)
        indptr = pointers_of(np.bincount(users, minlength=ratings.n_users))
        return cls(users.astype(np.int32), items.astype(np.int32), indptr, ratings.n_items)

    @property
    def n_users(self) -> int:
        """The number of users, those without choices included."""
        return len(self.indptr) - 1

    @property
    def item_counts(self) -> NDArray[np.int64]:
        """The number of choices of each item, (n_items,)."""
        return np.bincount(self.item_codes, minlength=self.n_items)

    def negative_mass(self, exponent: float) -> Doubles:
        """The mass that negatives are sampled by, (n_items,): popularity^exponent. 0 for items no step will change."""
        mass: Doubles = relative_counts(self.item_counts) ** exponent
        return mass


@dataclass(frozen=True)
class PairGrid:
    """Choices cut into cells, a block of users by a block of items, in the order in which BPR visits them.

    order: (n,) positions of the choices, cell by cell; cells: (2 side^2 + 1,) where each cell begins in it. Cell (a, b)
    has number a * 2 side + b. block_items: (n_items,) the items block by block; blocks: (2 side + 1,) where each block
    begins in it. own: (2 side,) the share of each block in the mass that negatives are sampled by. accept and alias:
    (n_items,) Walker's tables for sampling within each block; None for uniform sampling.

    In each epoch the blocks of items are paired at random. A task that visits a choice in block b, paired with b',
    samples the negative from b with probability own[b], otherwise from b'. Since b' is any other block with equal
    probability, and all blocks have nearly the same mass, an item is a negative with its due probability. Only within
    one epoch do the negatives of a block come together. The grid depends on the choices and the seed only, not on the
    number of threads.
    """

    order: NDArray[np.int64]
    cells: NDArray[np.int64]
    side: int
    blocks: NDArray[np.int64]
    block_items: Codes
    own: Floats
    accept: Floats | None
    alias: Codes | None

    @classmethod
    def of(cls, choices: Choices, exponent: float, rng: np.random.Generator) -> PairGrid:
        """Cut choices into cells, shuffled within each. exponent: negatives are sampled by popularity^exponent."""
        side = side_of(choices)
        block_of_item = deal_back_and_forth(choices.item_counts, 2 * side)
        block_of_user = deal(np.diff(choices.indptr), side)
        cell = block_of_user[choices.user_codes] * np.uint64(2 * side)
        cell += block_of_item[choices.item_codes].astype(np.uint64)
        order, cells = shuffled_cells(cell.__getitem__, len(cell), 2 * side**2, rng)
        block_items = np.argsort(block_of_item, kind="stable").astype(np.int32)
        blocks = np.searchsorted(block_of_item[block_items], np.arange(2 * side + 1)).astype(np.int64)
        mass = choices.negative_mass(exponent)
        own = np.bincount(block_of_item, mass, minlength=2 * side) / mass.sum()
        tables = alias_tables(mass[block_items], block_items, blocks) if exponent else (None, None)
        return cls(order, cells, side, blocks, block_items, np.minimum(own, 1).astype(np.float32), *tables)

    def strata(self, rng: np.random.Generator) -> Codes:
        """The pairs of cells of one epoch, (side, side, 2). Pairs in a row, a stratum, share no user and no item."""
        matches = rng.permutation(2 * self.side).reshape(self.side, 2)
        users = np.arange(self.side)
        shifts = rng.permutation(self.side)[:, None]
        strata: Codes = (users[:, None] * (2 * self.side) + matches[(users + shifts) % self.side]).astype(np.int32)
        return strata


def side_of(choices: Choices) -> int:
    """The number of blocks of users: the largest for which cells and blocks are large enough to be a task."""
    by_cells = np.sqrt(len(choices.user_codes) / (2 * MIN_PER_CELL))
    maximum = min(by_cells, choices.n_users / 4, choices.n_items / (2 * MIN_PER_BLOCK))
    return max(side for side in SIDES if side == SIDES[0] or side <= maximum)


def deal_back_and_forth(counts: NDArray[np.int64], n_blocks: int) -> NDArray[np.int64]:
    """The block of each row, (n,), with the same number of rows in each: dealt out by counts, back and forth."""
    block = np.empty(len(counts), np.int64)
    forth = np.arange(n_blocks)
    block[np.argsort(-counts, kind="stable")] = np.resize(np.concatenate([forth, forth[::-1]]), len(counts))
    return block


def relative_counts(counts: NDArray[np.int64]) -> Doubles:
    """Counts divided by the largest, so that no power of them overflows."""
    shares: Doubles = counts / max(int(counts.max()), 1)
    return shares


def alias_tables(mass: Doubles, items: Codes, blocks: NDArray[np.int64]) -> tuple[Floats, Codes]:
    """Walker's alias tables of each block (Walker 1977), (n_items,) each: accept and alias.

    To sample from a block, take one of its items uniformly; keep it with probability accept, otherwise take its alias.
    An item of small mass is topped up to an equal share of the block by one of large mass, its alias.
    """
    accept, alias = np.ones(len(items), np.float32), items.copy()
    for first, last in pairwise(blocks.tolist()):
        if (total := mass[first:last].sum()) <= 0:
            continue
        shares = (mass[first:last] * ((last - first) / total)).tolist()
        small = [at for at, share in enumerate(shares) if share < 1]
        large = [at for at, share in enumerate(shares) if share >= 1]
        while small and large:
            at, giver = small.pop(), large[-1]
            accept[first + at], alias[first + at] = shares[at], items[first + giver]
            shares[giver] -= 1 - shares[at]
            if shares[giver] < 1:
                small.append(large.pop())
    return accept, alias
