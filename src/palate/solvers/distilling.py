"""Distilling: many draws of the factors become one set of them, with the memory of a few.

The mean prediction over S draws is a low-rank product of stacked factors,

    (1/S) sum_s P_s Q_s^T = [P_1 ... P_S] [Q_1 ... Q_S]^T / S,

so its best approximation of rank r (Eckart-Young) follows from the Gram matrices of the two stacks alone. With stacks
P and Q, P^T P = L L^T and the eigenvectors W of L^T (Q^T Q) L = W D^2 W^T, the singular vectors of P Q^T are
P L^-T W and Q L W D^-1, its singular values D. Whenever the stacks have grown by a few draws, they are compressed to a
working rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.kernels import gram

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


DRAWS_AT_ONCE = 4  # draws stacked up before they are compressed


class Distiller:
    """A running mean of P_s Q_s^T + b_s + c_s over draws, as factors of rank at most `rank`."""

    def __init__(self, rank: int, n_threads: int = 0) -> None:
        self.rank = rank
        self.count = 0
        self._n_threads = n_threads
        self._stacks: list[tuple[Floats, Floats]] = []
        self._biases: list[Doubles] = []

    def add(self, users: Floats, items: Floats) -> None:
        """Take in one draw: vectors (n, k) of both sides, the bias in the last column."""
        sides = (users, items)
        totals = self._biases or [np.zeros(len(side)) for side in sides]
        self._biases = [total + side[:, -1] for total, side in zip(totals, sides, strict=True)]
        self._stacks.append((users[:, :-1], items[:, :-1]))
        self.count += 1
        if self._width() > self._working_rank + DRAWS_AT_ONCE * (users.shape[1] - 1):
            self._compress(self._working_rank)

    def result(self) -> tuple[Floats, Floats]:
        """Vectors (n, rank + 1) of both sides, the bias in the last column; axes in order of importance."""
        self._compress(self.rank)
        users, items = self._stacks[0]
        factors = [side / np.sqrt(np.float32(self.count)) for side in (users, items)]
        pad = self.rank - users.shape[1]
        whole = [
            np.column_stack([np.pad(side, ((0, 0), (0, pad))), bias / self.count])
            for side, bias in zip(factors, self._biases, strict=True)
        ]
        return np.ascontiguousarray(whole[0], np.float32), np.ascontiguousarray(whole[1], np.float32)

    @property
    def _working_rank(self) -> int:
        return 2 * self.rank

    def _width(self) -> int:
        return sum(users.shape[1] for users, _ in self._stacks)

    def _compress(self, rank: int) -> None:
        users = np.concatenate([users for users, _ in self._stacks], axis=1)
        items = np.concatenate([items for _, items in self._stacks], axis=1)
        if users.shape[1] == 0:
            return
        gram_users = gram(users, n_threads=self._n_threads)[0]
        gram_items = gram(items, n_threads=self._n_threads)[0]
        # Any invertible L leaves the product as it is; a ridge, well above the rounding of float32 sums, makes it one
        # where there are fewer users than columns, and only blurs which of the smallest axes are dropped.
        L = np.linalg.cholesky(gram_users + np.eye(len(gram_users)) * max(np.trace(gram_users) * 1e-7, 1e-30))
        squares, W = np.linalg.eigh(L.T @ gram_items @ L)
        largest = np.arange(len(squares))[::-1][:rank]
        largest = largest[squares[largest] > squares[-1] * 1e-12]
        W, root = W[:, largest], squares[largest] ** 0.25
        to_users = np.linalg.solve(L.T, W) * root
        to_items = (L @ W) / root
        self._stacks = [(users @ to_users.astype(np.float32), items @ to_items.astype(np.float32))]
