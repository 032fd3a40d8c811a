"""BPR: learning to rank from what people chose, by stochastic gradient descent on pairs, compiled.

A step belongs to three rows: a user, an item chosen and an item not chosen. On the grid of SGD the third one could be
another thread's; so whoever works on a cell is given two blocks of items, and the negative comes from one of them: see
PairGrid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Kind, Ratings
from palate.data.rows import pointers_of
from palate.errors import DataError, OptionError
from palate.kernels import descend_pairs
from palate.models.factors import Codes, Doubles, Floats, Prior
from palate.models.pairwise import PairwiseFactors
from palate.recipes.base import MAX_SEED, Recipe, Trained, check_counts, check_not_negative, check_positive
from palate.recipes.descending import FACTORS_START, deal, learning_rates, random_table, shuffled_cells
from palate.recipes.monitor import Monitor

SIDES = (1, 2, 4, 8, 16, 32)  # blocks of users: the tasks of a stratum; of items there are twice as many
PER_CELL = 100  # choices that a cell should have before there are more blocks
PER_BLOCK = 24  # items that a block should have
START = 0.3  # spread of the products of factors at the start
MOST_CANDIDATES = 1024


@dataclass(frozen=True)
class BPR(Recipe):
    """Bayesian personalized ranking (Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009), compiled.

    Every choice i of a user u takes a step of size lr against the gradient of

        -ln sigmoid(x_ui - x_uj) + weight_decay (|p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2),  x_ui = p_u . q_i + b_i

    where j is an item that u did not choose: the one of the highest score among n_candidates drawn (Zhang et al. 2013;
    1 is BPR as published, and often wants less weight decay), each with a chance in proportion to
    (number of its choices) ** popularity_exponent: 0 is uniform, 1 by popularity. The rate rises for a quarter of the
    epochs and then falls to 0. Counts of choices do not matter, as usual in BPR, but those of weight 0 are none.
    predict() gives the score, which only ranks.

    Same bytes at any number of threads. fold_in() solves for the vector of a new user, with uniform negatives;
    items cannot be folded in. explain() shares a score among the user's choices, exactly for folded-in users and nearly
    for trained ones; what is left is its rest. Raises OptionError for values that make no sense.

    >>> import palate
    >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
    >>> palate.BPR(n_factors=8).fit(likes).recommend("u1", n=3).columns
    ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)
    unit: ClassVar[str] = "epoch"

    n_factors: int = 63
    n_epochs: int = 40
    lr: float = 0.2
    weight_decay: float = 0.018
    popularity_exponent: float = 0.0
    n_candidates: int = 4
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        for name in ("n_factors", "n_epochs", "n_candidates", "seed", "n_threads"):
            if getattr(self, name) is None:
                raise OptionError(f"{name} must be a whole number, got None.")
        check_counts(1, n_factors=self.n_factors, n_epochs=self.n_epochs)
        check_counts(1, MOST_CANDIDATES, n_candidates=self.n_candidates)
        check_counts(n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        check_positive(lr=self.lr)
        check_not_negative(weight_decay=self.weight_decay, popularity_exponent=self.popularity_exponent)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        rng = np.random.Generator(np.random.Philox(self.seed))
        training = Training(self, Choices.of(ratings), rng)
        try:
            for epoch in range(self.n_epochs):
                loss = training.epoch(epoch, rng)
                if monitor.after_sweep(self.n_epochs, loss):
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(training.factors())


class Training:
    """A training on its way: the tables the kernel changes in place, and the choices in the order it visits them.

    A row of the users holds [p, zeros, 1], one of the items [q, zeros, b].
    """

    def __init__(self, recipe: BPR, choices: Choices, rng: np.random.Generator) -> None:
        self.recipe, self.choices = recipe, choices
        self.grid = PairGrid.of(choices, recipe.popularity_exponent, rng)
        self.users = random_table(choices.n_users, recipe.n_factors, rng, n_more=1)
        self.items = random_table(choices.n_items, recipe.n_factors, rng, n_more=1)
        for table in (self.users, self.items):
            table *= np.float32(START / FACTORS_START / np.sqrt(recipe.n_factors))
        self.users[:, -1] = 1
        self.user_codes = choices.user_codes[self.grid.order]
        self.item_codes = choices.item_codes[self.grid.order]

    def epoch(self, number: int, rng: np.random.Generator) -> float:
        """Visit every choice once; the mean of -ln sigmoid(x_ui - x_uj) met on the way."""
        recipe, grid = self.recipe, self.grid
        timestamps = number + np.arange(grid.side) / grid.side
        loss, steps = descend_pairs(
            self.users,
            self.items,
            self.user_codes,
            self.item_codes,
            self.choices.indptr,
            self.choices.item_codes,
            grid.cells,
            grid.strata(rng),
            learning_rates("one-cycle", recipe.lr, timestamps, recipe.n_epochs),
            blocks=grid.blocks,
            block_items=grid.block_items,
            own=grid.own,
            accept=grid.accept,
            alias=grid.alias,
            n_candidates=recipe.n_candidates,
            weight_decay=recipe.weight_decay,
            seed=recipe.seed,
            epoch=number,
            n_threads=recipe.n_threads,
        )
        if not np.isfinite(loss):
            raise OptionError(f"{recipe.label()} diverged in epoch {number + 1}: give a smaller lr than {recipe.lr:g}.")
        return loss / max(steps, 1)

    def factors(self) -> PairwiseFactors:
        """What has been learned so far."""
        k = self.recipe.n_factors
        users, items = (np.ascontiguousarray(table[:, [*range(k), -1]]) for table in (self.users, self.items))
        users[:, -1] = 0
        prior = Prior.flat(k + 1, ridge=max(self.recipe.weight_decay, 1e-6), count_exponent=1.0)
        return PairwiseFactors(0.0, users, items, prior, prior, n_candidates=self.recipe.n_candidates)


@dataclass(frozen=True)
class Choices:
    """Who chose what, each pair once, by user and then by item: (n,) codes; indptr: (n_users + 1,) of the users."""

    user_codes: Codes
    item_codes: Codes
    indptr: NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, ratings: Ratings) -> Choices:
        """Those of weight 0 are none. Raises DataError when there is no other."""
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
        """How many users there are, those without a choice included."""
        return len(self.indptr) - 1


@dataclass(frozen=True)
class PairGrid:
    """Choices cut into cells of a block of users and a block of items, in the order in which BPR visits them.

    order: (n,) positions of the choices; cells: (2 side^2 + 1,) where each cell begins in it. Cell (a, b) is number
    a * 2 side + b. block_items: (n_items,) the items by block, which begin at blocks (2 side + 1,); accept, alias:
    Walker's tables to draw from each. own: (2 side,) the share of each block in all that is drawn from.

    In an epoch the blocks of items are matched at random, two and two. Whoever visits a choice in block b with the
    match b' draws the negative from b with the chance own[b], else from b'. Since b' is any other block with the same
    chance, and all blocks weigh nearly the same, a negative is any item with its due chance; only within an epoch do
    those of the same block come together. Depends on the choices and the seed alone, never on the number of threads.
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
        """Inside a cell the choices are shuffled. exponent: of the popularity that negatives are drawn by."""
        side = side_of(choices)
        counts = np.bincount(choices.item_codes, minlength=choices.n_items)
        block_of_item = back_and_forth(counts, 2 * side)
        block_of_user = deal(np.diff(choices.indptr), side)
        cell = block_of_user[choices.user_codes] * np.uint64(2 * side)
        cell += block_of_item[choices.item_codes].astype(np.uint64)
        order, cells = shuffled_cells(cell, 2 * side**2, rng)
        block_items = np.argsort(block_of_item, kind="stable").astype(np.int32)
        blocks = np.searchsorted(block_of_item[block_items], np.arange(2 * side + 1)).astype(np.int64)
        mass = relative(counts) ** exponent
        own = np.bincount(block_of_item, mass, minlength=2 * side) / mass.sum()
        tables = aliases(mass[block_items], block_items, blocks) if exponent else (None, None)
        return cls(order, cells, side, blocks, block_items, np.minimum(own, 1).astype(np.float32), *tables)

    def strata(self, rng: np.random.Generator) -> Codes:
        """One epoch: (side, side, 2) pairs of cells; those of a stratum share no user and no item with another pair."""
        matches = rng.permutation(2 * self.side).reshape(self.side, 2)
        users = np.arange(self.side)
        shifts = rng.permutation(self.side)[:, None]
        strata: Codes = (users[:, None] * (2 * self.side) + matches[(users + shifts) % self.side]).astype(np.int32)
        return strata


def side_of(choices: Choices) -> int:
    """How many blocks of users there are: as many as leave cells and blocks of a size worth a task."""
    wanted = np.sqrt(len(choices.user_codes) / (2 * PER_CELL))
    most = min(wanted, choices.n_users / 4, choices.n_items / (2 * PER_BLOCK))
    return max(side for side in SIDES if side == SIDES[0] or side <= most)


def back_and_forth(counts: NDArray[np.int64], n_blocks: int) -> NDArray[np.int64]:
    """The block of each row, (n,): as many rows in each, dealt out back and forth from the heaviest to the lightest."""
    block = np.empty(len(counts), np.int64)
    there = np.arange(n_blocks)
    block[np.argsort(-counts, kind="stable")] = np.resize(np.concatenate([there, there[::-1]]), len(counts))
    return block


def relative(counts: NDArray[np.int64]) -> Doubles:
    """Counts by the largest, so that no exponent makes them overflow."""
    shares: Doubles = counts / max(int(counts.max()), 1)
    return shares


def aliases(mass: Doubles, items: Codes, blocks: NDArray[np.int64]) -> tuple[Floats, Codes]:
    """Walker's tables of each block (Walker 1977), (n_items,): the chance of an item itself, and who it is otherwise.

    Every item gets an equal share of the block; what it does not fill, one that weighs more does.
    """
    accept, alias = np.ones(len(items), np.float32), items.copy()
    for first, last in pairwise(blocks.tolist()):
        if (total := mass[first:last].sum()) <= 0:
            continue
        left = (mass[first:last] * ((last - first) / total)).tolist()
        short = [at for at, share in enumerate(left) if share < 1]
        plenty = [at for at, share in enumerate(left) if share >= 1]
        while short and plenty:
            at, giver = short.pop(), plenty[-1]
            accept[first + at], alias[first + at] = left[at], items[first + giver]
            left[giver] -= 1 - left[at]
            if left[giver] < 1:
                short.append(plenty.pop())
    return accept, alias
