"""Sums of losses over the test rows of each user, block by block: what means and their intervals are made of.

A test of any size is measured in blocks of rows. Of each block the sums over its users are kept, in float64, and added
in the order of the blocks: memory goes with the users, and the sums are the same wherever a block is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.evaluation.resampling import Doubles, Measure, PerUser, Resample, measure_of

Losses = dict[str, Doubles]  # by the name of the measure, (n_rows,) each


@dataclass(frozen=True)
class BlockSums:
    """The sums of one block: of each loss, (n_users, n_losses), of the weights and their squares."""

    users: NDArray[np.int64]  # (n_users,) those of the block, numbered among all test users
    names: tuple[str, ...]
    sums: Doubles
    counts: Doubles  # (n_users,)
    n_rows: int
    squares: float

    @classmethod
    def of(cls, users: NDArray[np.int64], losses: Losses, weights: Doubles | None) -> BlockSums:
        """Sum over rows: users: (n_rows,); weights: (n_rows,), or None if all are 1."""
        own, at = np.unique(users, return_inverse=True)
        columns = losses.values() if weights is None else (weights * loss for loss in losses.values())
        sums = np.stack([np.bincount(at, column, len(own)) for column in columns], axis=1).astype(np.float64)
        counts = np.bincount(at, weights, len(own)).astype(np.float64)
        squares = float(len(users)) if weights is None else float((weights**2).sum())
        return cls(own, tuple(losses), sums, counts, len(users), squares)


class UserSums:
    """The sums of all blocks so far, for each user. resample: all users, for the intervals."""

    def __init__(self, resample: Resample) -> None:
        self._resample, self._counts = resample, np.zeros(resample.n_users)
        self._sums: Doubles | None = None
        self._names: tuple[str, ...] = ()
        self._squares, self.n_rows = 0.0, 0

    def add(self, block: BlockSums) -> None:
        """Add the sums of the next block."""
        if self._sums is None:
            self._names, self._sums = block.names, np.zeros((len(self._counts), len(block.names)))
        self._sums[block.users] += block.sums
        self._counts[block.users] += block.counts
        self.n_rows += block.n_rows
        self._squares += block.squares

    @property
    def n_users(self) -> int:
        """The number of users with rows of a weight above 0."""
        return int(np.count_nonzero(self._counts))

    @property
    def effective_size(self) -> float:
        """As how many rows of equal weight all rows count: (sum w)^2 / sum w^2."""
        return float(self._counts.sum() ** 2 / self._squares)

    def of(self, name: str) -> Doubles:
        """The sum of a loss over each user's rows, (n_users,)."""
        assert self._sums is not None
        found: Doubles = self._sums[:, self._names.index(name)]
        return found

    def mean(self, name: str) -> float:
        """The weighted mean of a loss."""
        return self.mean_of(self.of(name))

    def mean_of(self, sums: Doubles) -> float:
        """The weighted mean of what has these sums over each user's rows, (n_users,)."""
        return float(sums.sum() / self._counts.sum())

    def per_user(self, name: str) -> PerUser:
        """The sum and the weight of each user's losses."""
        return PerUser(self.of(name).copy(), self._counts)

    def measures(self) -> dict[str, Measure]:
        """The mean of each loss with its interval; for rmse, its root."""
        assert self._sums is not None
        measured = {}
        for name, sample in zip(self._names, self.samples(self._sums).T, strict=True):
            root = np.sqrt if name == "rmse" else np.asarray
            measured[name] = measure_of(float(root(self.mean(name))), root(sample))
        return measured

    def samples(self, sums: Doubles) -> Doubles:
        """The means of what has these sums, (n_users, n), in each resampling of users: (n_bootstrap, n)."""
        has_rows = self._counts > 0
        counts = np.repeat(self._counts[has_rows, None], sums.shape[1], axis=1)
        return self._resample.of(int(has_rows.sum())).ratios(sums[has_rows], counts)
