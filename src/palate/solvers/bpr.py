"""BPR: learning to rank from what people chose, by stochastic gradient descent on pairs, compiled.

A step belongs to three rows: a user, an item chosen and an item not chosen. The grid of SGD alone would let the third
one be touched by two threads at once; so a cell's work is given two blocks of items, and the negative comes from one
of them: see PairGrid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError
from palate.factors import Codes, Factors, Floats, Prior
from palate.kernels import descend_pairs
from palate.ratings import Kind, Ratings
from palate.solvers.base import MAX_SEED, Monitor, Recipe, Trained, check_counts, check_positive
from palate.solvers.sgd import deal, learning_rates, random_table

SIDES = (1, 2, 4, 8, 16, 32)  # blocks of users: the tasks of a stratum; of items there are twice as many
PER_CELL = 100  # choices that a cell should have before there are more blocks
PER_BLOCK = 24  # items that a block should have
START = 0.1


@dataclass(frozen=True)
class BPR(Recipe):
    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)
    unit: ClassVar[str] = "epoch"

    n_factors: int = 64
    n_epochs: int = 20
    lr: float = 0.1
    weight_decay: float = 0.005
    popularity_exponent: float = 0.0
    n_candidates: int = 1
    seed: int = 0
    n_threads: int = 0
    schedule: str = "one-cycle"
    start: float = 0.1
    side: int = 0

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        rng = np.random.Generator(np.random.Philox(self.seed))
        training = Training.start(self, ratings, rng)
        try:
            for epoch in range(self.n_epochs):
                loss = training.epoch(epoch, rng)
                if monitor.after_sweep(self.n_epochs, loss):
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(training.factors())


class Training:
    """A training on its way: the tables the kernel changes in place, and the choices in the order it visits them."""

    def __init__(self, recipe: BPR, choices: Choices, grid: PairGrid, users: Floats, items: Floats) -> None:
        self.recipe, self.grid = recipe, grid
        self.users, self.items = users, items
        self.choices = choices

    @classmethod
    def start(cls, recipe: BPR, ratings: Ratings, rng: np.random.Generator) -> Training:
        """Before the first step."""
        choices = Choices.of(ratings)
        grid = PairGrid.of(choices, recipe.popularity_exponent, rng, recipe.side)
        users = random_table(ratings.n_users, recipe.n_factors, rng)
        items = random_table(ratings.n_items, recipe.n_factors, rng)
        users *= recipe.start / 0.01 / np.sqrt(recipe.n_factors)
        items *= recipe.start / 0.01 / np.sqrt(recipe.n_factors)
        users[:, -1] = 1
        return cls(recipe, choices, grid, users, items)

    def epoch(self, number: int, rng: np.random.Generator) -> float:
        """Visit every choice once; the mean of -ln sigmoid(margin) met on the way."""
        recipe, grid = self.recipe, self.grid
        strata = grid.strata(rng)
        moments = number + np.arange(len(strata)) / len(strata)
        loss, steps = descend_pairs(
            self.users,
            self.items,
            self.choices.user_codes[grid.order],
            self.choices.item_codes[grid.order],
            self.choices.indptr,
            self.choices.item_codes,
            grid.cells,
            strata,
            learning_rates(recipe.schedule, recipe.lr, moments, recipe.n_epochs),
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

    def factors(self) -> Factors:
        """What has been learned so far."""
        k = self.recipe.n_factors
        users = np.ascontiguousarray(self.users[:, : k + 1])
        users[:, -1] = 0
        items = np.ascontiguousarray(self.items[:, [*range(k), -1]])
        prior = Prior(np.zeros((k + 1, k + 1), np.float32), np.zeros(k + 1, np.float32), ridge=1.0)
        return Factors(0.0, users, items, prior, prior)


@dataclass(frozen=True)
class Choices:
    """Who chose what, each pair once, by user and then by item: (n,) codes; indptr: (n_users + 1,) of the users."""

    user_codes: Codes
    item_codes: Codes
    indptr: NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, ratings: Ratings) -> Choices:
        """Those of weight 0 are none."""
        keys = ratings.user_codes.astype(np.int64) * ratings.n_items + ratings.item_codes
        keys = np.sort(keys if ratings.weights is None else keys[ratings.weights > 0])
        keys = keys[np.diff(keys, prepend=-1) > 0]
        users, items = np.divmod(keys, ratings.n_items)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=ratings.n_users))])
        return cls(users.astype(np.int32), items.astype(np.int32), indptr.astype(np.int64), ratings.n_items)

    @property
    def n_users(self) -> int:
        """How many users there are, those without a choice included."""
        return len(self.indptr) - 1


@dataclass(frozen=True)
class PairGrid:
    order: NDArray[np.int64]
    cells: NDArray[np.int64]
    side: int
    blocks: NDArray[np.int64]
    block_items: Codes
    own: Floats
    accept: Floats | None
    alias: Codes | None

    @classmethod
    def of(cls, choices: Choices, exponent: float, rng: np.random.Generator, side: int = 0) -> PairGrid:
        n = len(choices.user_codes)
        most = min(np.sqrt(n / PER_CELL / 2), choices.n_users / 4, choices.n_items / (2 * PER_BLOCK))
        side = side or max(side for side in SIDES if side == 1 or side <= most)
        counts = np.bincount(choices.item_codes, minlength=choices.n_items)
        users = deal(np.diff(choices.indptr), side)
        items = back_and_forth(counts, 2 * side)
        cell = users[choices.user_codes] * np.uint64(2 * side) + items[choices.item_codes]
        chance = rng.integers(0, 2**20, n, dtype=np.uint32).astype(np.uint64)
        keys = np.sort(cell << np.uint64(52) | chance << np.uint64(32) | np.arange(n, dtype=np.uint64))
        cells = np.searchsorted(keys, np.arange(2 * side * side, dtype=np.uint64) << np.uint64(52))
        block_items = np.argsort(items, kind="stable").astype(np.int32)
        blocks = np.concatenate([[0], np.cumsum(np.bincount(items.astype(np.int64), minlength=2 * side))])
        mass = counts.astype(np.float64) ** exponent if exponent else np.ones(choices.n_items)
        mass_of_block = np.bincount(items.astype(np.int64), mass, minlength=2 * side)
        accept, alias = aliases(mass[block_items], block_items, blocks) if exponent else (None, None)
        return cls(
            (keys & np.uint64(2**32 - 1)).astype(np.int64),
            np.append(cells, n).astype(np.int64),
            side,
            blocks.astype(np.int64),
            block_items,
            (mass_of_block / mass_of_block.sum()).astype(np.float32),
            accept,
            alias,
        )

    def strata(self, rng: np.random.Generator) -> Codes:
        """One epoch: (side, side, 2) pairs of cells."""
        matching = rng.permutation(2 * self.side).reshape(self.side, 2)
        users = np.arange(self.side)
        shifts = rng.permutation(self.side)[:, None]
        pairs = matching[(users + shifts) % self.side]
        return (users[None, :, None] * (2 * self.side) + pairs).astype(np.int32)


def back_and_forth(counts: NDArray[np.int64], n_blocks: int) -> NDArray[np.uint64]:
    """The block of each row, (n,): as many rows in each, dealt out back and forth from the heaviest to the lightest."""
    block = np.empty(len(counts), np.uint64)
    there = np.arange(n_blocks)
    block[np.argsort(-counts, kind="stable")] = np.resize(np.concatenate([there, there[::-1]]), len(counts))
    return block


def aliases(mass: NDArray[np.float64], items: Codes, blocks: NDArray[np.int64]) -> tuple[Floats, Codes]:
    """Walker's tables (Walker 1977; Vose 1991)."""
    accept, alias = np.ones(len(items), np.float32), items.copy()
    for first, last in zip(blocks[:-1], blocks[1:], strict=True):
        total = mass[first:last].sum()
        if total <= 0:
            continue
        left = (mass[first:last] * ((last - first) / total)).tolist()
        small = [at for at, share in enumerate(left) if share < 1]
        large = [at for at, share in enumerate(left) if share >= 1]
        while small and large:
            at, giver = small.pop(), large[-1]
            accept[first + at], alias[first + at] = left[at], items[first + giver]
            left[giver] -= 1 - left[at]
            if left[giver] < 1:
                small.append(large.pop())
    return accept, alias
