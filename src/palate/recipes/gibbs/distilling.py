"""Distilling: the mean prediction of many draws as one set of factors, with the memory of a few draws.

The mean prediction over S draws is a product of stacked factors,

    (1/S) sum_s P_s Q_s^T = [P_1 ... P_S] [Q_1 ... Q_S]^T / S,

so its best approximation of rank r (Eckart & Young 1936) follows from the Gram matrices of the two stacks. With stacks
P and Q, P^T P = L L^T and the eigenvectors W of L^T (Q^T Q) L = W D^2 W^T, the singular vectors of P Q^T are
P L^-T W and Q L W D^-1, and its singular values D. Whenever a few more draws are stacked, the stacks are compressed to
a working rank of 2 r.

`distilled_factors` then makes a model's factors of the result, with priors for users and items that are folded in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.kernels import gram
from palate.models.factors import Doubles, Factors, Floats, Prior, second_moment
from palate.models.posterior import Posterior, Projection

DRAWS_AT_ONCE = 4  # draws that are stacked before the next compression


@dataclass(frozen=True)
class _Sum:
    """The draws so far: stacks whose products add up to sum_s P_s Q_s^T, the sums of biases, the number of draws."""

    stacks: tuple[tuple[Floats, Floats], ...] = ()
    biases: tuple[Doubles, Doubles] | None = None
    count: int = 0

    @property
    def width(self) -> int:
        return sum(users.shape[1] for users, _ in self.stacks)


class Distiller:
    """A running mean of P_s Q_s^T + b_s + c_s over draws, as factors of at most `rank` columns."""

    def __init__(self, rank: int, n_threads: int = 0) -> None:
        self.rank = rank
        self._n_threads = n_threads
        self._sum = _Sum()  # replaced as a whole, so that Ctrl-C leaves the old or the new one

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
        working_rank = 2 * self.rank
        if new.width > working_rank + DRAWS_AT_ONCE * (users.shape[1] - 1):
            new = replace(new, stacks=(self._compressed(new.stacks, working_rank),))
        self._sum = new

    def result(self) -> tuple[Floats, Floats]:
        """Vectors of users and items, (n, rank + 1), the bias in the last column; columns by falling singular value."""
        total = self._sum
        assert total.biases is not None
        vectors = [
            np.column_stack(
                [
                    np.pad(side / np.sqrt(np.float32(total.count)), ((0, 0), (0, self.rank - side.shape[1]))),
                    bias / total.count,
                ]
            )
            for side, bias in zip(self._compressed(total.stacks, self.rank), total.biases, strict=True)
        ]
        return np.ascontiguousarray(vectors[0], np.float32), np.ascontiguousarray(vectors[1], np.float32)

    def _compressed(self, stacks: tuple[tuple[Floats, Floats], ...], rank: int) -> tuple[Floats, Floats]:
        if sum(users.shape[1] for users, _ in stacks) == 0:
            return stacks[0]
        # One side's stack at a time, although each is built twice: both at once would set the peak memory of a fit.
        gram_users = gram(_stacked(stacks, 0), n_threads=self._n_threads)[0]
        gram_items = gram(_stacked(stacks, 1), n_threads=self._n_threads)[0]
        # Any invertible L leaves the product unchanged. The ridge, well above the rounding of float32 sums, makes L
        # invertible if there are fewer users than columns; it only blurs which of the smallest columns are dropped.
        L = np.linalg.cholesky(gram_users + np.eye(len(gram_users)) * max(np.trace(gram_users) * 1e-7, 1e-30))
        squares, W = np.linalg.eigh(L.T @ gram_items @ L)
        largest = np.arange(len(squares))[::-1][:rank]
        largest = largest[squares[largest] > squares[-1] * 1e-12]
        W, root = W[:, largest], squares[largest] ** 0.25
        to_users = np.linalg.solve(L.T, W) * root
        to_items = (L @ W) / root
        return _stacked(stacks, 0) @ to_users.astype(np.float32), _stacked(stacks, 1) @ to_items.astype(np.float32)


def _stacked(stacks: tuple[tuple[Floats, Floats], ...], side: int) -> Floats:
    """The stacked factors of users (side 0) or items (side 1), (n, width)."""
    return np.concatenate([stack[side] for stack in stacks], axis=1)


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
