"""BPR: learning to rank from implicit feedback, by stochastic gradient descent on a pairwise loss, compiled.

A step changes three rows: a user, a chosen item, and a negative, which is an item the user did not choose. On the grid
of SGD the negative could belong to another thread. So a task gets two blocks of items and samples negatives from these
only: see `PairGrid`. `Training` holds the state of a training and makes an epoch of it.
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
from palate.options import MAX_SEED, check_not_negative, check_positive, check_seed, check_whole
from palate.recipes.base import Recipe, Trained
from palate.recipes.gradient_descent import FACTORS_START, deal, learning_rates, random_table, shuffled_cells
from palate.recipes.monitor import Monitor

SIDES = (1, 2, 4, 8, 16, 32)  # numbers of blocks of users, the tasks of a stratum; there are twice as many of items
MIN_PER_CELL = 100  # choices per cell on average, unless there is one block of users
MIN_PER_BLOCK = 24  # items per block, likewise
START = 0.3  # standard deviation of the products p . q at the start
MAX_CANDIDATES = 1024


@dataclass(frozen=True)
class BPR(Recipe):
    """Bayesian personalized ranking: matrix factorization with a pairwise loss, for implicit feedback.

    With x_ui = p_u . q_i + b_i, each choice i of a user u takes a step of size lr against the gradient of

        -ln sigmoid(x_ui - x_uj) + weight_decay (|p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2)

    where the negative j is an item that u did not choose: the one with the highest score among n_candidates sampled
    ones. The learning rate rises for a quarter of the epochs and then falls to 0. Counts of choices are ignored, except
    that a choice of weight 0 is left out.

    predict() gives the score, which only ranks. fold_in() finds the vector of a new user by Newton's method, with
    uniform negatives; items cannot be folded in. explain() shares out a score among the user's choices: exactly for
    fold-in users, and approximately, with a rest, for trained users.

    Parameters:
        n_factors (int, default 63): Latent factors, 1 or more.
        n_epochs (int, default 40): Passes over the choices, 1 or more.
        lr (float, default 0.2): The highest learning rate, above 0.
        weight_decay (float, default 0.018): Regularisation, 0 or more, applied in each step to its three rows.
        popularity_exponent (float, default 0.0): Candidates are sampled with a probability in proportion to
            (number of choices of the item)^popularity_exponent, 0 or more. 0: uniformly. 1: by popularity.
        n_candidates (int, default 4): Candidates per step, of which the one with the highest score is the negative; 1
            to 1024. 1 is BPR as published, which often does better with less weight decay.
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the training diverges (lr is too large).
        DataError: fit() raises it if every choice has weight 0.

    Source:
        Rendle, Freudenthaler, Gantner & Schmidt-Thieme (2009), BPR: Bayesian Personalized Ranking from Implicit
        Feedback, section 4; Zhang, Chen, Wang & Yu (2013), Optimizing Top-N Collaborative Filtering via Dynamic
        Negative Item Sampling (n_candidates).

    Example:
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
        check_whole(1, n_factors=self.n_factors, n_epochs=self.n_epochs)
        check_whole(1, MAX_CANDIDATES, n_candidates=self.n_candidates)
        check_whole(n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
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
    """The state of a training: the tables that the kernel changes in place, and the choices in the order of its visits.

    A row of the users' table holds [p, zeros, 1], a row of the items' table [q, zeros, b]; the zeros are padding.
    """

    def __init__(self, recipe: BPR, choices: Choices, rng: np.random.Generator) -> None:
        self.recipe, self.choices = recipe, choices
        self.grid = PairGrid.of(choices, recipe.popularity_exponent, rng)
        self.users = random_table(np.diff(choices.indptr), recipe.n_factors, rng, n_more=1)
        self.items = random_table(choices.negative_mass(recipe.popularity_exponent), recipe.n_factors, rng, n_more=1)
        for table in (self.users, self.items):
            table *= np.float32(START / FACTORS_START / np.sqrt(recipe.n_factors))
        self.users[:, -1] = 1
        self.user_codes = choices.user_codes[self.grid.order]
        self.item_codes = choices.item_codes[self.grid.order]

    def epoch(self, number: int, rng: np.random.Generator) -> float:
        """Visit every choice once. Return the mean of -ln sigmoid(x_ui - x_uj), each just before its step."""
        recipe, grid = self.recipe, self.grid
        epochs = number + np.arange(grid.side) / grid.side
        loss, steps = descend_pairs(
            self.users,
            self.items,
            self.user_codes,
            self.item_codes,
            self.choices.indptr,
            self.choices.item_codes,
            grid.cells,
            grid.strata(rng),
            learning_rates("one-cycle", recipe.lr, epochs, recipe.n_epochs),
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
        """The factors so far."""
        k = self.recipe.n_factors
        users, items = (np.ascontiguousarray(table[:, [*range(k), -1]]) for table in (self.users, self.items))
        users[:, -1] = 0
        prior = Prior.flat(k + 1, ridge=max(self.recipe.weight_decay, 1e-6), count_exponent=1.0)
        return PairwiseFactors(0.0, users, items, prior, prior, n_candidates=self.recipe.n_candidates)


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
        order, cells = shuffled_cells(cell, 2 * side**2, rng)
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
