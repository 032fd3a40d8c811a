"""Reference implementation of BPR, written from its formula in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.kernels.reference.rows import Codes, Floats, philox

TRIES = 15  # more draws than candidates
STREAM = 0x427072  # the last word of the counter


@dataclass(frozen=True)
class Drawing:
    """Where negatives come from: blocks of items with Walker's aliases in each, and the chance of the own block."""

    blocks: NDArray[np.int64]
    block_items: Codes
    own: Floats
    accept: Floats | None
    alias: Codes | None
    seed: int
    epoch: int

    def draw(self, position: int, own: int, other: int, attempt: int) -> int:
        """An item for the positive at a position, of its own block or the other; -1 where that is empty."""
        words = philox(position, self.epoch, attempt, STREAM, self.seed & 0xFFFFFFFF, self.seed >> 32)
        block = own if words[0] / 2**32 < self.own[own] else other
        n = int(self.blocks[block + 1] - self.blocks[block])
        if n == 0:
            return -1
        at = int(self.blocks[block]) + (words[1] * n >> 32)
        if self.accept is not None and self.alias is not None and words[2] / 2**32 >= self.accept[at]:
            return int(self.alias[at])
        return int(self.block_items[at])


def descend_pairs(
    users: Floats,
    items: Floats,
    user_codes: Codes,
    item_codes: Codes,
    indptr: NDArray[np.int64],
    indices: Codes,
    cells: NDArray[np.int64],
    strata: Codes,
    rates: Floats,
    *,
    blocks: NDArray[np.int64],
    block_items: Codes,
    own: Floats,
    accept: Floats | None = None,
    alias: Codes | None = None,
    n_candidates: int = 1,
    weight_decay: float = 0.0,
    seed: int = 0,
    epoch: int = 0,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[float, int]:
    """One epoch of BPR, changing users and items in place; the sum of -ln sigmoid(margin) and the number of steps.

    A user's row x is [p, zeros, 1], an item's z is [q, zeros, b]. A step goes against the gradient of

        -ln sigmoid(x . z_i - x . z_j) + weight_decay (|p|^2 + |z_i|^2 + |z_j|^2)

    with j the candidate of the highest score among those drawn that the user does not have. Strata follow each other
    at their rates; within one, pairs of cells; within a pair, the positives of both in turn.
    """
    drawing = Drawing(blocks, block_items, own, accept, alias, seed, epoch)
    learned = np.arange(users.shape[1]) < users.shape[1] - 1
    loss, steps = 0.0, 0
    for lr, e, own_block, other in visits(cells, strata, rates, len(blocks) - 1):
        u, i = user_codes[e], item_codes[e]
        x, z_i = users[u].astype(np.float64), items[i].astype(np.float64)
        known = set(indices[indptr[u] : indptr[u + 1]].tolist())
        drawn = (drawing.draw(e, own_block, other, attempt) for attempt in range(n_candidates + TRIES))
        candidates = [item for item in drawn if item >= 0 and item not in known][:n_candidates]
        if not candidates:
            continue
        j = candidates[int(np.argmax(items[candidates].astype(np.float64) @ x))]
        z_j = items[j].astype(np.float64)
        margin = x @ (z_i - z_j)
        pull = 1 / (1 + np.exp(margin))
        users[u] -= lr * (2 * weight_decay * x - pull * (z_i - z_j)) * learned
        items[i] -= lr * (2 * weight_decay * z_i - pull * x)
        items[j] -= lr * (2 * weight_decay * z_j + pull * x)
        loss += np.logaddexp(0, -margin)
        steps += 1
    return float(loss), steps


def visits(
    cells: NDArray[np.int64], strata: Codes, rates: Floats, n_blocks: int
) -> Iterator[tuple[float, int, int, int]]:
    """The order of the steps: rate, position, the block of its item and the block of the cell beside it."""
    for lr, stratum in zip(rates, strata, strict=True):
        for pair in stratum:
            for position, cell, other in in_turn(cells, *(int(cell) for cell in pair)):
                yield float(lr), position, cell % n_blocks, other % n_blocks


def in_turn(cells: NDArray[np.int64], one: int, two: int) -> list[tuple[int, int, int]]:
    """The positions of two cells, each at its share of the way: (position, its cell, the other one)."""
    n = [int(cells[cell + 1] - cells[cell]) for cell in (one, two)]
    places = [(step * n[1], 0, step) for step in range(n[0])] + [(step * n[0], 1, step) for step in range(n[1])]
    both = ((one, two), (two, one))
    return [(int(cells[both[which][0]]) + step, *both[which]) for _, which, step in sorted(places)]
