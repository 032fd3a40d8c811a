"""Hidden choices: how settings that are not given are chosen from the training data alone.

A fifth of the choices of sampled users is hidden; what learns from the rest is judged by how it ranks them. Where there
are very many choices, all of this is done with some of the users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes, rows_of_entries, take_rows
from palate.models.factors import Codes, Doubles, Floats
from palate.recipes.ease_decay import K, shuffled_ranks

N_USERS = 1000  # whose choices are hidden, if nothing else is said
MIN_CHOICES = 5  # of such a user
MIN_USERS = 100  # with fewer, nothing is chosen
BLOCK_SCORES = 20_000_000  # in memory at once
MANY = 10_000_000  # choices; of more, settings are chosen on users who have about so many
DOUBT = 2.0  # standard errors by which another setting must be better


@dataclass(frozen=True)
class Hidden:
    """Choices of which some are hidden: `rest`, all users; and of the sampled `users` those left and those hidden."""

    rest: CompressedRows
    signals: Floats | None  # of the rest
    users: Codes
    targets: CompressedRows  # by user of the sample

    @classmethod
    def of(cls, histories: CompressedRows, signals: Floats | None, n_users: int = N_USERS) -> Hidden | None:
        """Hide a fifth of the choices of a sample of n_users; None if too few users have enough of them."""
        rng = np.random.Generator(np.random.Philox(0))
        eligible = np.flatnonzero(histories.counts >= MIN_CHOICES)
        if len(eligible) < MIN_USERS:
            return None
        users = np.sort(rng.permutation(eligible)[:n_users]).astype(np.int32)
        is_sampled = np.zeros(histories.n_rows, bool)
        is_sampled[users] = True
        owners = row_codes(histories)
        n_hidden = np.where(is_sampled, histories.counts // MIN_CHOICES, 0)
        is_hidden = shuffled_ranks(histories, rng) < n_hidden[owners]
        rest = rows_of_entries(histories, ~is_hidden)
        return cls(
            rest, None if signals is None else signals[~is_hidden], users,
            take_rows(rows_of_entries(histories, is_hidden), users),
        )  # fmt: skip


def some_users(histories: CompressedRows, signals: Floats | None) -> tuple[CompressedRows, Floats | None]:
    """Users at random, always the same, with all their choices: about MANY. As they are, if there are no more.

    signals: of the choices, (n,), or None.
    """
    if len(histories.indices) <= MANY:
        return histories, signals
    shuffled = np.random.Generator(np.random.Philox(1)).permutation(histories.n_rows)
    n_users = int(np.searchsorted(np.cumsum(histories.counts[shuffled]), MANY)) + 1
    users = np.sort(shuffled[:n_users])
    rows = take_rows(histories, users)
    if signals is None:
        return rows, None
    return rows, take_rows(replace(histories, weights=signals, times=None), users).weights


def blocks(n_users: int, n_items: int) -> Iterator[NDArray[np.int64]]:
    """Users by number, so many at once that the scores of all items fit into memory."""
    step = max(1, BLOCK_SCORES // n_items)
    for first in range(0, n_users, step):
        yield np.arange(first, min(first + step, n_users))


def ndcg_of(targets: CompressedRows, ranks: NDArray[np.int64]) -> Doubles:
    """The NDCG@K of each row; 0 for a row without targets."""
    gains = np.bincount(row_codes(targets), np.where(ranks <= K, 1 / np.log2(1 + ranks), 0.0), targets.n_rows)
    ideal = np.concatenate([[1.0], np.cumsum(1 / np.log2(2.0 + np.arange(K)))])
    return np.asarray(gains / ideal[np.minimum(targets.counts, K)])


def is_better(ndcg: Doubles, than: Doubles) -> bool:
    """Whether lists are better beyond doubt: by more than DOUBT standard errors of the users' differences."""
    gains = ndcg - than
    return bool(gains.mean() > DOUBT * gains.std(ddof=1) / np.sqrt(len(gains)))
