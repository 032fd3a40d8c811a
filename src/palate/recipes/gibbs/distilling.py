"""Distilling: many draws of the factors become one set of them, with the memory of a few.

The mean prediction over S draws is a low-rank product of stacked factors,

    (1/S) sum_s P_s Q_s^T = [P_1 ... P_S] [Q_1 ... Q_S]^T / S,

so its best approximation of rank r (Eckart-Young) follows from the Gram matrices of the two stacks alone. With stacks
P and Q, P^T P = L L^T and the eigenvectors W of L^T (Q^T Q) L = W D^2 W^T, the singular vectors of P Q^T are
P L^-T W and Q L W D^-1, its singular values D. Whenever the stacks have grown by a few draws, they are compressed to a
working rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.kernels import gram
from palate.models.factors import Doubles, Floats

DRAWS_AT_ONCE = 4  # draws stacked up before they are compressed


@dataclass(frozen=True)
class _Sum:
    """The draws so far: stacks whose products add up to sum_s P_s Q_s^T, sums of the biases, how many draws."""

    stacks: tuple[tuple[Floats, Floats], ...] = ()
    biases: tuple[Doubles, Doubles] | None = None
    count: int = 0

    @property
    def width(self) -> int:
        return sum(users.shape[1] for users, _ in self.stacks)


class Distiller:
    """A running mean of P_s Q_s^T + b_s + c_s over draws, as factors of rank at most `rank`."""

    def __init__(self, rank: int, n_threads: int = 0) -> None:
        self.rank = rank
        self._n_threads = n_threads
        self._sum = _Sum()  # replaced as a whole, so that an interrupt leaves either the old or the new one

    @property
    def count(self) -> int:
        """Draws taken in."""
        return self._sum.count

    def add(self, users: Floats, items: Floats) -> None:
        """Take in one draw: vectors (n, k) of both sides, the bias in the last column."""
        old = self._sum
        totals = old.biases or (np.zeros(len(users)), np.zeros(len(items)))
        biases = (totals[0] + users[:, -1], totals[1] + items[:, -1])
        new = _Sum((*old.stacks, (users[:, :-1], items[:, :-1])), biases, old.count + 1)
        working_rank = 2 * self.rank
        if new.width > working_rank + DRAWS_AT_ONCE * (users.shape[1] - 1):
            new = replace(new, stacks=(self._compressed(new.stacks, working_rank),))
        self._sum = new

    def result(self) -> tuple[Floats, Floats]:
        """Vectors (n, rank + 1) of both sides, the bias in the last column; axes in order of importance."""
        total = self._sum
        assert total.biases is not None
        whole = [
            np.column_stack(
                [
                    np.pad(side / np.sqrt(np.float32(total.count)), ((0, 0), (0, self.rank - side.shape[1]))),
                    bias / total.count,
                ]
            )
            for side, bias in zip(self._compressed(total.stacks, self.rank), total.biases, strict=True)
        ]
        return np.ascontiguousarray(whole[0], np.float32), np.ascontiguousarray(whole[1], np.float32)

    def _compressed(self, stacks: tuple[tuple[Floats, Floats], ...], rank: int) -> tuple[Floats, Floats]:
        if sum(users.shape[1] for users, _ in stacks) == 0:
            return stacks[0]
        # One side's stack at a time, each made twice: both at once would be the most memory that a fit needs.
        gram_users = gram(_stacked(stacks, 0), n_threads=self._n_threads)[0]
        gram_items = gram(_stacked(stacks, 1), n_threads=self._n_threads)[0]
        # Any invertible L leaves the product as it is; a ridge, well above the rounding of float32 sums, makes it one
        # where there are fewer users than columns, and only blurs which of the smallest axes are dropped.
        L = np.linalg.cholesky(gram_users + np.eye(len(gram_users)) * max(np.trace(gram_users) * 1e-7, 1e-30))
        squares, W = np.linalg.eigh(L.T @ gram_items @ L)
        largest = np.arange(len(squares))[::-1][:rank]
        largest = largest[squares[largest] > squares[-1] * 1e-12]
        W, root = W[:, largest], squares[largest] ** 0.25
        to_users = np.linalg.solve(L.T, W) * root
        to_items = (L @ W) / root
        return _stacked(stacks, 0) @ to_users.astype(np.float32), _stacked(stacks, 1) @ to_items.astype(np.float32)


def _stacked(stacks: tuple[tuple[Floats, Floats], ...], side: int) -> Floats:
    """The vectors of one side, 0 or 1, under all draws side by side."""
    return np.concatenate([stack[side] for stack in stacks], axis=1)
