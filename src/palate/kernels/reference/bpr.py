"""Reference implementation of BPR, stochastic gradient descent on a pairwise loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from palate.kernels.reference.arrays import Codes, Floats, Pointers
from palate.kernels.reference.random import philox

TRIES = 15  # extra draws, to replace candidates that the user has
STREAM = 0x427072  # the last word of the counter, used by no other kernel


@dataclass(frozen=True)
class Drawing:
    """How negatives are drawn: blocks of items with Walker's aliases, and the probability of the own block."""

    blocks: Pointers
    block_items: Codes
    own: Floats
    accept: Floats | None
    alias: Codes | None
    seed: int
    epoch: int

    def draw(self, position: int, own: int, other: int, attempt: int) -> int:
        """An item for the positive at a position, from its own block or the other; -1 if that block is empty."""
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
    indptr: Pointers,
    indices: Codes,
    cells: Pointers,
    strata: Codes,
    rates: Floats,
    *,
    blocks: Pointers,
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
    """One epoch of BPR, changing users and items in place: the sum of -ln sigmoid(margin) and the number of steps.

    -ln sigmoid(x . z_i - x . z_j) + weight_decay (|p|^2 + |z_i|^2 + |z_j|^2) is the loss of a step. A user's row x is
    [p, zeros, 1], an item's row z is [q, zeros, b]. j is the candidate with the highest score among the items drawn
    that the user does not have. Strata follow each other at their rates, and so do the pairs of cells of a stratum; the
    positives of the two cells of a pair take turns.
    """
    drawing = Drawing(blocks, block_items, own, accept, alias, seed, epoch)
    learned = np.arange(users.shape[1]) < users.shape[1] - 1
    loss, steps = 0.0, 0
    for lr, e, own_block, other in visits(cells, strata, rates, len(blocks) - 1):
        u, i = user_codes[e], item_codes[e]
        x, z_i = users[u].astype(np.float64), items[i].astype(np.float64)
        observed = set(indices[indptr[u] : indptr[u + 1]].tolist())
        drawn = (drawing.draw(e, own_block, other, attempt) for attempt in range(n_candidates + TRIES))
        candidates = [item for item in drawn if item >= 0 and item not in observed][:n_candidates]
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


def visits(cells: Pointers, strata: Codes, rates: Floats, n_blocks: int) -> Iterator[tuple[float, int, int, int]]:
    """The steps in their order: rate, position, the block of its item, the block of the other cell of its pair."""
    for lr, stratum in zip(rates, strata, strict=True):
        for pair in stratum:
            for position, cell, other in in_turn(cells, *(int(cell) for cell in pair)):
                yield float(lr), position, cell % n_blocks, other % n_blocks


def in_turn(cells: Pointers, one: int, two: int) -> list[tuple[int, int, int]]:
    """The positions of two cells, alternating so that both end together: (position, its cell, the other cell)."""
    n = [int(cells[cell + 1] - cells[cell]) for cell in (one, two)]
    places = [(step * n[1], 0, step) for step in range(n[0])] + [(step * n[0], 1, step) for step in range(n[1])]
    both = ((one, two), (two, one))
    return [(int(cells[both[which][0]]) + step, *both[which]) for _, which, step in sorted(places)]
