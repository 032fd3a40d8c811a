"""Reference implementation of BPR, stochastic gradient descent on a pairwise loss or on a sampled softmax."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from palate.kernels.reference.arrays import Codes, Floats, Pointers
from palate.kernels.reference.random import philox

TRIES = 15  # extra draws, to replace candidates that the user has
STREAM = 0x427072  # the last word of the counter, used by no other kernel
SHUFFLE_STREAM = 0x736F6674  # likewise, for the order of negatives
BATCH = 32  # positives of a step of descend_softmax


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


def descend_softmax(
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
    n_negatives: int,
    temperature: float = 1.0,
    cosine: bool = False,
    weight_decay: float = 0.0,
    seed: int = 0,
    epoch: int = 0,
    n_threads: int = 0,  # noqa: ARG001
) -> tuple[float, int]:
    """One epoch on a sampled softmax, changing users and items in place: the sum of losses / t, and of how many.

    A step takes 32 positives (x, z_i), which share their negatives, and goes against the gradient of

        -t ln( e^(x . z_i / t) / (e^(x . z_i / t) + n / m sum_j e^(x . z_j / t)) )
            + weight_decay (|p|^2 + |z_i|^2 + mean_j |z_j|^2)

    with t the temperature, j the m negatives that the user does not have, n the number of items that the user does not
    have. With cosine, each p or q that a step changes is given the length 1 again. Negatives are the items of both
    blocks of a pair, in a random order, one after the other and from the start again.
    """
    loss, steps = 0.0, 0
    pairs = ((lr, pair) for lr, stratum in zip(rates, strata, strict=True) for pair in stratum)
    for number, (lr, (one, two)) in enumerate(pairs):
        pool = shuffled_items(blocks, block_items, one, two, number, seed, epoch)
        visited = [position for position, _, _ in in_turn(cells, int(one), int(two))]
        size, begin = min(n_negatives, len(pool)), 0
        for first in range(0, len(visited), BATCH):
            e = visited[first : first + BATCH]
            negatives = np.take(pool, range(begin, begin + size), mode="wrap")
            begin = (begin + size) % max(len(pool), 1)
            u, i, all_items = user_codes[e], item_codes[e], items.astype(np.float64)
            x, z, y = users[u].astype(np.float64), all_items[i], all_items[negatives]
            has = np.array([np.isin(negatives, indices[indptr[user] : indptr[user + 1]]) for user in u])
            left = (~has).sum(axis=1, keepdims=True)
            others = len(items) - (indptr[u + 1] - indptr[u])
            scores = np.concatenate([np.sum(x * z, axis=1)[:, None], x @ y.T], axis=1) / temperature
            scores -= scores.max(axis=1, keepdims=True)
            mass = np.exp(scores)
            mass[:, 1:] *= ~has * others[:, None] / np.maximum(left, 1)
            share = mass / mass.sum(axis=1, keepdims=True)
            steps_taken = left[:, 0] > 0
            loss -= float(np.log(share[steps_taken, 0]).sum())
            steps += int(np.count_nonzero(steps_taken))
            pull, push = 1 - share[:, :1], share[:, 1:]
            decay = 2 * lr * weight_decay
            learned = np.arange(users.shape[1]) < users.shape[1] - 1
            new_users, new_items = users.astype(np.float64), all_items
            for r in range(len(e)):
                new_users[u[r]] += (lr * (pull[r] * z[r] - push[r] @ y) - decay * new_users[u[r]]) * learned
                new_items[i[r]] += lr * pull[r] * x[r] - decay * new_items[i[r]]
            new_items[negatives] *= 1 - decay * len(e) / max(size, 1)
            new_items[negatives] -= lr * push.T @ x
            users[u], items[i], items[negatives] = new_users[u], new_items[i], new_items[negatives]
            if cosine:
                for table, rows in ((users, u), (items, i), (items, negatives)):
                    lengths = np.linalg.norm(table[rows, :-1], axis=1, keepdims=True)
                    table[rows, :-1] /= np.maximum(lengths, 1e-30)
    return loss, steps


def shuffled_items(
    blocks: Pointers, block_items: Codes, one: int, two: int, number: int, seed: int, epoch: int
) -> Codes:
    """The items of the blocks of two cells in random order. number: which pair of cells of the epoch it is."""
    n_blocks = len(blocks) - 1
    own = dict.fromkeys((one % n_blocks, two % n_blocks))
    items = np.concatenate([block_items[blocks[block] : blocks[block + 1]] for block in own])
    for last in range(len(items) - 1, 0, -1):
        words = philox(last, epoch, number, SHUFFLE_STREAM, seed & 0xFFFFFFFF, seed >> 32)
        other = words[0] * (last + 1) >> 32
        items[[last, other]] = items[[other, last]]
    return items


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
