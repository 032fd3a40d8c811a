"""EASE: weights between items by ridge regression of every item on all others, in closed form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import check_choice
from palate.answers.ranking.blocks import bytes_of
from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, transpose_rows
from palate.errors import OptionError
from palate.kernels import multiply_sparse, multiply_wide
from palate.models.factors import Codes, Doubles, Floats
from palate.models.history_factors import no_biases
from palate.models.implicit import CONFIDENCES, Confidence, choice_signals
from palate.models.item_weights import ItemWeights
from palate.options import is_number
from palate.recipes.base import Recipe, Trained, check_counts, check_positive
from palate.recipes.monitor import Monitor

TILE = 256  # of a product, the work of one thread
LEAF = 128  # a matrix that is inverted as a whole
PER_ROOT = 50.0  # weight decay at a mean of one choice per item: by inner splits of ml-100k, ml-1m, lastfm-hetrec2011

Tile = tuple[slice, slice]
KernelRows = tuple[NDArray[np.int64], Codes, Floats | None]  # indptr, indices, values: None is 1 everywhere


@dataclass(frozen=True)
class EASE(Recipe):
    """Embarrassingly shallow autoencoder (Steck 2019, 2020): what was chosen speaks for all other items, by weights B.

        minimise sum_u w_u |x_u - x_u B|^2 + sum_i l_i |B_i|^2 with B_ii = 0:    B_ij = -P_ij / P_jj,  P = (X'WX + L)^-1

    weight_decay: None takes 50 sqrt(mean choices per chosen item), times the mean of x^2 where there are counts.
    dropout: learn as if each choice were hidden with this chance, on average over all ways to hide them (Steck 2020):
    l_i = weight_decay + dropout / (1 - dropout) (X'WX)_ii. user_exponent: who chose n items has w_u in proportion to
    n^-user_exponent. item_exponent: scores of an item chosen n times are divided by n^item_exponent (in units of the
    mean n). With all three 0 it is EASE as published.

    confidence: what a count makes of x: "relative" (1 + ln(1 + count / own mean count), over 1 + ln 2) or "equal" (1).
    memory: how much B and its making may need, as "2GB" or bytes; None is what the machine has free. predict() gives
    the score, without an interval. update() changes histories at once and no weights: a new item has none before the
    next fit. Raises OptionError for values that make no sense, and for more items than fit.

    >>> import palate
    >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
    >>> palate.EASE().fit(likes).recommend("u1", n=3).columns
    ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)

    weight_decay: float | None = None
    dropout: float = 0.33
    user_exponent: float = 0.5
    item_exponent: float = 0.1
    confidence: Confidence = "relative"
    memory: str | int | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        if self.weight_decay is not None:
            check_positive(weight_decay=self.weight_decay)
        for name, most in (("dropout", 0.99), ("user_exponent", 1.0), ("item_exponent", 1.0)):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= most:
                raise OptionError(f"{name} must be a number from 0 (none) to {most:g}, got {value!r}.")
        check_choice("confidence", self.confidence, CONFIDENCES)
        check_counts(n_threads=self.n_threads)
        if self.memory is not None:
            bytes_of(self.memory)

    def taken(self, ratings: Ratings) -> dict[str, Any]:
        """What a fit takes from these ratings for weight_decay, where it is not given."""
        return {"weight_decay": self._choices(ratings).default_decay} if self.weight_decay is None else {}

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        chosen = chosen_items(ratings)
        need = memory_needed(ratings.n_users, ratings.n_items, len(chosen))
        check_memory(need, ratings.n_items, self.memory)
        monitor.say(f"needs {as_bytes(need)}")
        X = self._choices(ratings)
        decay = X.default_decay if self.weight_decay is None else self.weight_decay
        decays = (decay + self.dropout / (1 - self.dropout) * X.masses).astype(np.float32)
        P = by_users(X, decays, self.n_threads) if X.n_users < len(chosen) else by_items(X, decays, self.n_threads)
        if not (np.diagonal(P) > 0).all():
            raise ValueError(f"a weight decay of {decay:g} is lost beside the counts")
        weights = _to_weights(P, X.popularities**-self.item_exponent, chosen, ratings.n_items)
        biases = no_biases(ratings.n_users, ratings.n_items)
        return Trained(ItemWeights.of(biases, history=ratings.by_user(), confidence=self.confidence, weights=weights))

    def _choices(self, ratings: Ratings) -> Chosen:
        histories = ratings.by_user()
        signals = choice_signals(histories, self.confidence)
        return Chosen.of(histories, signals, chosen_items(ratings), self.user_exponent)


def chosen_items(ratings: Ratings) -> Codes:
    """Codes of the items that anybody chose."""
    return np.flatnonzero(np.bincount(ratings.item_codes)).astype(np.int32)


@dataclass(frozen=True)
class Chosen:
    """X of the items that anybody chose, renumbered, X', and what each user weighs.

    user_weights: (n_users,) in proportion to n^-user_exponent, with a mean of 1 over all choices.
    is_plain: all of X is 1.
    """

    by_user: CompressedRows
    by_item: CompressedRows
    user_weights: Floats
    is_plain: bool

    @classmethod
    def of(cls, histories: CompressedRows, signals: Floats | None, chosen: Codes, user_exponent: float) -> Chosen:
        """X with these signals, (n,), or ones."""
        place = np.zeros(int(chosen[-1]) + 1, np.int32)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        values = np.ones(len(histories.indices), np.float32) if signals is None else signals
        X = CompressedRows(histories.indptr, place[histories.indices], values, None)
        weights = np.maximum(X.counts, 1.0) ** -user_exponent
        weights *= len(X.indices) / (weights @ X.counts)
        return cls(X, transpose_rows(X, len(chosen)), weights.astype(np.float32), signals is None)

    @property
    def n_users(self) -> int:
        """Rows of X."""
        return self.by_user.n_rows

    @property
    def n_items(self) -> int:
        """Columns of X."""
        return self.by_item.n_rows

    @property
    def masses(self) -> Doubles:
        """The diagonal of X'WX: sum of w x^2 of each item, (n_items,)."""
        squares = self.user_weights[self.by_item.indices] * np.square(self.by_item.values, dtype=np.float64)
        return np.asarray(np.add.reduceat(squares, self.by_item.indptr[:-1]))

    @property
    def popularities(self) -> Doubles:
        """How often each item was chosen, in units of the mean, (n_items,)."""
        return np.asarray(self.by_item.counts / self.by_item.counts.mean())

    @property
    def default_decay(self) -> float:
        """50 sqrt(mean choices per chosen item) times the mean of x^2."""
        squares = float(np.mean(np.square(self.by_user.values, dtype=np.float64)))
        return PER_ROOT * squares * float(np.sqrt(self.by_item.counts.mean()))

    def users(self) -> KernelRows:
        """X as kernels take it."""
        return self.by_user.indptr, self.by_user.indices, None if self.is_plain else self.by_user.values

    def items(self, of_items: Floats | None = None, of_users: Floats | None = None) -> KernelRows:
        """X' as kernels take it, times what is given of its rows, or of its columns."""
        rows = self.by_item
        if of_items is not None:
            return rows.indptr, rows.indices, rows.values * np.repeat(of_items, rows.counts)
        assert of_users is not None
        return rows.indptr, rows.indices, rows.values * of_users[rows.indices]


def by_items(X: Chosen, decays: Floats, n_threads: int = 0) -> Floats:
    """P = (X'WX + L)^-1, (n, n), L the diagonal of `decays`."""
    G = multiply_sparse(*X.items(of_users=X.user_weights), *X.users(), X.n_items, n_threads=n_threads)
    G[np.diag_indices_from(G)] += decays
    invert(G, n_threads)
    return G


def by_users(X: Chosen, decays: Floats, n_threads: int = 0) -> Floats:
    """The same where users are fewer (Woodbury): P = L^-1 - L^-1 X' (X L^-1 X' + W^-1)^-1 X L^-1."""
    scaled = X.items(of_items=np.reciprocal(decays))  # L^-1 X'
    K = multiply_sparse(*X.users(), *scaled, X.n_users, n_threads=n_threads)
    K[np.diag_indices_from(K)] += 1 / X.user_weights
    invert(K, n_threads)
    np.negative(K, out=K)
    half = np.ascontiguousarray(multiply_wide(*scaled, K, n_threads=n_threads).T)
    P = multiply_wide(*scaled, half, n_threads=n_threads)
    P[np.diag_indices_from(P)] += 1 / decays
    return P


def invert(S: Floats, n_threads: int = 0) -> None:
    """The inverse of a symmetric positive definite matrix (n, n), in its place: S = L L', R = L^-1, S^-1 = R' R.

    R is found by halves:   [A  .]      R = [R1         .]      R1 of A,  E = C R1',
                            [C  D]          [-R2 E R1  R2]      R2 of D - E E'

    The products are cut into tiles at fixed bounds, which threads share: the same bytes at any number of them.
    Raises LinAlgError (a ValueError) where S is not positive definite.
    """
    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        run = _Runner(pool)
        _inverse_factor(S, run)
        _square(S, run)


@dataclass(frozen=True)
class _Runner:
    """Work on tiles, shared by the threads of a pool."""

    pool: ThreadPoolExecutor

    def __call__(self, work: Callable[[Tile], None], tiles: list[Tile]) -> None:
        for _ in self.pool.map(work, tiles):
            pass


def _inverse_factor(S: Floats, run: _Runner) -> None:
    """R = L^-1 in the place of S = L L', of which only the lower triangle is read; zeros above the diagonal."""
    n = len(S)
    if n <= LEAF:
        S[...] = np.tril(np.linalg.inv(np.linalg.cholesky(S)))
        return
    half = n // 2
    A, C, D = S[:half, :half], S[half:, :half], S[half:, half:]
    _inverse_factor(A, run)
    E, F = np.empty_like(C), np.empty_like(C)

    def to_factor(tile: Tile) -> None:  # E = C R1', where R1 is zero behind its diagonal
        row, column = tile
        E[tile] = C[row, : column.stop] @ A[column, : column.stop].T

    def complement(tile: Tile) -> None:  # D - E E'
        row, column = tile
        D[tile] -= E[row] @ E[column].T

    def from_right(tile: Tile) -> None:  # F = E R1
        row, column = tile
        F[tile] = E[row, column.start :] @ A[column.start :, column]

    def from_left(tile: Tile) -> None:  # -R2 F
        row, column = tile
        C[tile] = -(D[row, : row.stop] @ F[: row.stop, column])

    run(to_factor, _tiles(*C.shape))
    run(complement, [tile for tile in _tiles(*D.shape) if tile[0].start >= tile[1].start])
    _inverse_factor(D, run)
    run(from_right, _tiles(*C.shape))
    run(from_left, _tiles(*C.shape))
    S[:half, half:] = 0


def _square(R: Floats, run: _Runner) -> None:
    """R' R in the place of a lower triangle R, a block of rows after the other: each needs only what is below it."""
    for start in range(0, len(R), TILE):
        row = slice(start, min(start + TILE, len(R)))
        block = np.empty((row.stop - start, row.stop), R.dtype)

        def multiply(tile: Tile, row: slice = row, block: Floats = block) -> None:
            block[:, tile[1]] = R[row.start :, row].T @ R[row.start :, tile[1]]

        run(multiply, [(row, slice(at, min(at + TILE, row.stop))) for at in range(0, row.stop, TILE)])
        block[:, start:] = (block[:, start:] + block[:, start:].T) / 2
        R[row, : row.stop] = block
        R[:start, row] = block[:, :start].T


def _tiles(n_rows: int, n_columns: int) -> list[Tile]:
    rows, columns = ([slice(at, min(at + TILE, n)) for at in range(0, n, TILE)] for n in (n_rows, n_columns))
    return [(row, column) for row in rows for column in columns]


def _to_weights(P: Floats, scales: Doubles, chosen: Codes, n_items: int) -> Floats:
    """B_ij = -P_ij / P_jj times the scale of j, with a zero diagonal; items that nobody chose have none."""
    P *= (-scales / np.diagonal(P)).astype(np.float32)
    np.fill_diagonal(P, 0)
    if len(chosen) == n_items:
        return P
    weights = np.zeros((n_items, n_items), np.float32)
    places = np.searchsorted(chosen, np.arange(n_items))
    for code, row in zip(chosen, P, strict=True):
        np.take(row, places, out=weights[code], mode="clip")
    weights[:, np.setdiff1d(np.arange(n_items), chosen)] = 0
    return weights


# ---- memory ----------------------------------------------------------------------------------------------------------


def memory_needed(n_users: int, n_items: int, n_chosen: int) -> int:
    """Bytes: P, which becomes B, the products on the way to it, and B among all items where some were never chosen."""
    work = n_users**2 + 2 * n_users * n_chosen if n_users < n_chosen else n_chosen**2 // 2
    spread = 0 if n_chosen == n_items else n_items**2
    return 4 * (n_chosen**2 + max(work, spread))


def check_memory(need: int, n_items: int, budget: str | int | None) -> None:
    """OptionError with the number where the fit needs more than its budget."""
    allowed = available_memory() if budget is None else bytes_of(budget)
    if allowed is None or need <= allowed:
        return
    there = "this machine has free" if budget is None else "memory= allows"
    raise OptionError(
        f"EASE of {n_items:,} items needs {as_bytes(need)}, more than the {as_bytes(allowed)} that {there}: "
        "keep the most popular items, or use ImplicitALS."
    )


def available_memory() -> int | None:
    """Bytes that are free or can be freed, None where the machine does not say."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    except OSError:
        return _physical_memory()


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def as_bytes(amount: int) -> str:
    """Bytes as people read them: 55 MB, 1.2 GB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount} bytes"
