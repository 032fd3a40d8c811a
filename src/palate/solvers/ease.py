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

from palate.asking import check_choice
from palate.compressed import CompressedRows
from palate.confidence import CONFIDENCES, Confidence, choice_signals
from palate.errors import OptionError
from palate.factors import Codes, Floats
from palate.itemwise import ItemWeights, no_biases
from palate.kernels import multiply_sparse, multiply_wide
from palate.ranking.blocks import bytes_of
from palate.ratings import Kind, Ratings
from palate.rows import transpose_rows
from palate.solvers.base import Monitor, Recipe, Trained, check_counts, check_positive

TILE = 256  # of a product, the work of one thread
LEAF = 128  # a matrix that is inverted as a whole
PER_ROOT = 50.0  # weight decay at a mean of one choice per item: by inner splits of ml-100k, ml-1m, lastfm-hetrec2011

Tile = tuple[slice, slice]


@dataclass(frozen=True)
class EASE(Recipe):
    """Embarrassingly shallow autoencoder (Steck 2019): what was chosen speaks for every other item, with weights B.

        minimise |X - X B|^2 + weight_decay |B|^2  with B_ii = 0:    P = (X'X + weight_decay I)^-1,  B_ij = -P_ij / P_jj

    weight_decay: None takes 50 sqrt(mean choices per chosen item), times the mean of x^2 where there are counts.
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
    confidence: Confidence = "relative"
    memory: str | int | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        if self.weight_decay is not None:
            check_positive(weight_decay=self.weight_decay)
        check_choice("confidence", self.confidence, CONFIDENCES)
        check_counts(n_threads=self.n_threads)
        if self.memory is not None:
            bytes_of(self.memory)

    def taken(self, ratings: Ratings) -> dict[str, Any]:
        """What a fit takes from these ratings for weight_decay, where it is not given."""
        histories = ratings.by_user()
        n_chosen = int(np.count_nonzero(np.bincount(ratings.item_codes)))
        decay = usual_decay(histories, choice_signals(histories, self.confidence), n_chosen)
        return {"weight_decay": decay} if self.weight_decay is None else {}

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        chosen = np.flatnonzero(np.bincount(ratings.item_codes, minlength=ratings.n_items)).astype(np.int32)
        need = memory_needed(ratings.n_users, ratings.n_items, len(chosen))
        check_memory(need, ratings.n_items, self.memory)
        monitor.say(f"needs {as_bytes(need)}")
        histories = ratings.by_user()
        signals = choice_signals(histories, self.confidence)
        decay = usual_decay(histories, signals, len(chosen)) if self.weight_decay is None else self.weight_decay
        X = _among(histories, signals, chosen)
        P = by_users(X, decay, self.n_threads) if X.n_rows < len(chosen) else by_items(X, decay, self.n_threads)
        weights = _to_weights(P, chosen, ratings.n_items)
        biases = no_biases(ratings.n_users, ratings.n_items)
        return Trained(ItemWeights.of(biases, history=histories, confidence=self.confidence, weights=weights))


def usual_decay(histories: CompressedRows, signals: Floats | None, n_chosen: int) -> float:
    """50 sqrt(mean choices per chosen item) times the mean of x^2."""
    squares = 1.0 if signals is None else float(np.mean(np.square(signals, dtype=np.float64)))
    return PER_ROOT * squares * float(np.sqrt(len(histories.indices) / n_chosen))


def _among(histories: CompressedRows, signals: Floats | None, chosen: Codes) -> Chosen:
    """X of the chosen items alone, renumbered, and X'."""
    place = np.zeros(int(chosen[-1]) + 1, np.int32)
    place[chosen] = np.arange(len(chosen), dtype=np.int32)
    values = np.ones(len(histories.indices), np.float32) if signals is None else signals
    X = CompressedRows(histories.indptr, place[histories.indices], values, None)
    return Chosen(X, transpose_rows(X, len(chosen)), signals is None)


@dataclass(frozen=True)
class Chosen:
    """X and X' as compressed rows; is_plain: all of it is 1."""

    by_user: CompressedRows
    by_item: CompressedRows
    is_plain: bool

    @property
    def n_rows(self) -> int:
        """Users."""
        return self.by_user.n_rows

    def rows(self, of: CompressedRows) -> tuple[NDArray[np.int64], Codes, Floats | None]:
        """A side as kernels take it."""
        return of.indptr, of.indices, None if self.is_plain else of.values


def by_items(X: Chosen, decay: float, n_threads: int = 0) -> Floats:
    """P = (X'X + l I)^-1, (n, n)."""
    G = multiply_sparse(*X.rows(X.by_item), *X.rows(X.by_user), X.by_item.n_rows, n_threads=n_threads)
    G[np.diag_indices_from(G)] += np.float32(decay)
    invert(G, n_threads)
    return _sound(G, decay)


def by_users(X: Chosen, decay: float, n_threads: int = 0) -> Floats:
    """The same where users are fewer (Woodbury): P = (I - X' (XX' + l I)^-1 X) / l."""
    K = multiply_sparse(*X.rows(X.by_user), *X.rows(X.by_item), X.n_rows, n_threads=n_threads)
    K[np.diag_indices_from(K)] += np.float32(decay)
    invert(K, n_threads)
    half = np.ascontiguousarray(multiply_wide(*X.rows(X.by_item), K, n_threads=n_threads).T)
    P = multiply_wide(*X.rows(X.by_item), half, n_threads=n_threads)
    P *= np.float32(-1 / decay)
    P[np.diag_indices_from(P)] += np.float32(1 / decay)
    return _sound(P, decay)


def _sound(P: Floats, decay: float) -> Floats:
    """The matrix itself; ValueError where rounding has eaten the decay."""
    if not (np.diagonal(P) > 0).all():
        raise ValueError(f"a weight decay of {decay:g} is lost beside the counts")
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


def _to_weights(P: Floats, chosen: Codes, n_items: int) -> Floats:
    """B_ij = -P_ij / P_jj with a zero diagonal, of the chosen items among all: the others have no weights."""
    P /= -np.diag(P).copy()
    np.fill_diagonal(P, 0)
    if len(chosen) == n_items:
        return P
    weights = np.zeros((n_items, n_items), np.float32)
    for code, row in zip(chosen, P, strict=True):
        weights[code, chosen] = row
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
