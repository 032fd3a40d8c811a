"""Distilling: the mean prediction of many draws as one set of factors, with the memory of a few draws.

The mean prediction over S draws is a product of stacked factors,

    (1/S) sum_s P_s Q_s^T = [P_1 ... P_S] [Q_1 ... Q_S]^T / S,

so its best approximation of rank r (Eckart & Young 1936) follows from the Gram matrices of the two stacks. With stacks
P and Q, P^T P = L L^T and the eigenvectors W of L^T (Q^T Q) L = W D^2 W^T, the singular vectors of P Q^T are
P L^-T W and Q L W D^-1, and its singular values D. Whenever a few more draws are stacked, the stacks are compressed to
a working rank of r + k for draws of k factors.

`distilled_factors` then makes a model's factors of the result, with priors for users and items that are folded in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from palate.kernels import gram
from palate.models.factors import Doubles, Factors, Floats, Prior, second_moment
from palate.models.posterior import Posterior, Projection
from palate.models.row_blocks import row_blocks

DRAWS_AT_ONCE = 2  # draws that are stacked before the next compression
COPIED_ROWS = 16_384  # rows of a stack that are copied at a time

Stacks = tuple[tuple[Floats, Floats], ...]  # factors of users (n_users, width) and items (n_items, width), without bias


@dataclass(frozen=True)
class _Sum:
    """The draws so far: stacks whose products add up to sum_s P_s Q_s^T, the sums of biases, the number of draws."""

    stacks: Stacks = ()
    biases: tuple[Doubles, Doubles] | None = None
    count: int = 0

    @property
    def width(self) -> int:
        return sum(users.shape[1] for users, _ in self.stacks)


class Distiller:
    """A running mean of P_s Q_s^T + b_s + c_s over draws, as factors of at most `rank` columns."""

    STATE: ClassVar = ("kept",)

    def __init__(self, rank: int, n_threads: int = 0) -> None:
        self.rank = rank
        self._n_threads = n_threads
        self._sum = _Sum()  # replaced as a whole, so that Ctrl-C leaves the old or the new one

    @property
    def kept(self) -> tuple[Any, ...]:
        """The draws so far as plain values: stacks, sums of biases, number of draws."""
        return self._sum.stacks, self._sum.biases, self._sum.count

    @kept.setter
    def kept(self, values: tuple[Any, ...]) -> None:
        self._sum = _Sum(*values)

    @property
    def count(self) -> int:
        """The number of draws added."""
        return self._sum.count

    def add(self, users: Floats, items: Floats) -> None:
        """Add a draw: vectors of users (n_users, k) and items (n_items, k), the bias in the last column."""
        old = self._sum
        totals = old.biases or (np.zeros(len(users)), np.zeros(len(items)))
        biases = (totals[0] + users[:, -1], totals[1] + items[:, -1])
        new = _Sum((*old.stacks, (users[:, :-1], items[:, :-1])), biases, old.count + 1)
        n_factors = users.shape[1] - 1
        working_rank = self.rank + n_factors
        if new.width > working_rank + DRAWS_AT_ONCE * n_factors:
            new = replace(new, stacks=(self._compressed(new.stacks, working_rank),))
        self._sum = new

    def result(self) -> tuple[Floats, Floats]:
        """Vectors of users and items, (n, rank + 1), the bias in the last column; columns by falling singular value.

        It lets go of the stacks: nothing can be added afterwards.
        """
        total, self._sum = self._sum, replace(self._sum, stacks=())
        assert total.biases is not None
        vectors = []
        for side, bias in zip(self._compressed(total.stacks, self.rank), total.biases, strict=True):
            vectors.append(np.zeros((len(side), self.rank + 1), np.float32))
            np.divide(side, np.sqrt(np.float32(total.count)), out=vectors[-1][:, : side.shape[1]])
            vectors[-1][:, -1] = bias / total.count
        return vectors[0], vectors[1]

    def _compressed(self, stacks: Stacks, rank: int) -> tuple[Floats, Floats]:
        if sum(users.shape[1] for users, _ in stacks) == 0:
            return stacks[0]
        gram_users, gram_items = self._gram(stacks, 0), self._gram(stacks, 1)
        # Any invertible L leaves the product unchanged. The ridge, well above the rounding of float32 sums, makes L
        # invertible if there are fewer users than columns; it only blurs which of the smallest columns are dropped.
        L = np.linalg.cholesky(gram_users + np.eye(len(gram_users)) * max(np.trace(gram_users) * 1e-6, 1e-30))
        squares, W = np.linalg.eigh(L.T @ gram_items @ L)
        largest = np.arange(len(squares))[::-1][:rank]
        largest = largest[squares[largest] > squares[-1] * 1e-12]
        W, root = W[:, largest], squares[largest] ** 0.25
        to_users = np.linalg.solve(L.T, W) * root
        to_items = (L @ W) / root
        return _times(stacks, 0, to_users.astype(np.float32)), _times(stacks, 1, to_items.astype(np.float32))

    def _gram(self, stacks: Stacks, side: int) -> Doubles:
        """The Gram matrix of the stacked factors of one side, (width, width)."""
        grams = [gram(block, n_threads=self._n_threads)[0] for _, block in _blocks(stacks, side)]
        total: Doubles = np.sum(grams, axis=0)
        return total


def _times(stacks: Stacks, side: int, matrix: Floats) -> Floats:
    """The stacked factors of one side times a matrix (width, r), (n, r)."""
    product = np.empty((len(stacks[0][side]), matrix.shape[1]), np.float32)
    for rows, block in _blocks(stacks, side):
        np.matmul(block, matrix, out=product[rows])
    return product


def _blocks(stacks: Stacks, side: int) -> Iterator[tuple[slice, Floats]]:
    """The stacked factors of users (side 0) or items (side 1), (n, width), by blocks of rows.

    All rows at once would set the peak memory of a fit.
    """
    for rows in row_blocks(len(stacks[0][side]), COPIED_ROWS):
        yield rows, np.concatenate([stack[side][rows] for stack in stacks], axis=1)


def distilled_factors(
    users: Floats, items: Floats, posterior: Posterior, step: Floats | float = 0.0
) -> tuple[Factors, tuple[Projection, ...]]:
    """Factors with each side's prior: the cold-start mean, and the second moment of the vectors around it.

    Also the projections by which users and items get their means, for rows without ratings. step: what is added to the
    vector of an item without ratings, (k,); see own_levels.py.
    """
    alpha = (posterior.scale / posterior.noise) ** 2
    flat = Prior(np.eye(users.shape[1], dtype=np.float32), np.zeros(users.shape[1], np.float32), alpha)
    factors = Factors(posterior.center, users, items, flat, flat, posterior.scale)
    projections = posterior.projection(factors), posterior.transposed().projection(factors.transposed())
    user_mean = projections[0](posterior.users.cold_start.mean[:, None])[0]
    item_mean = projections[1](posterior.items.cold_start.mean[:, None])[0] + step
    user_prior, item_prior = _prior_around(user_mean, users, alpha), _prior_around(item_mean, items, alpha)
    return replace(factors, user_prior=user_prior, item_prior=item_prior), projections


def _prior_around(mean: Floats, vectors: Floats, alpha: float) -> Prior:
    """A Normal with this mean and the second moment of the vectors around it, widened so that its inverse exists."""
    moment = second_moment(vectors, mean).astype(np.float64)
    floor = 1e-3 * max(float(np.trace(moment)) / len(mean), 1e-12)
    precision = np.linalg.inv(moment + floor * np.eye(len(mean)))
    return Prior(precision.astype(np.float32), mean, alpha)
