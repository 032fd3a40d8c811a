"""EASE: weights between items by ridge regression of every item on all others, in closed form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.asking import check_choice
from palate.compressed import CompressedRows
from palate.errors import OptionError
from palate.factors import Codes, Floats
from palate.itemwise import CONFIDENCES, Confidence, ItemWeights, choice_signals, no_biases
from palate.kernels import multiply_sparse, multiply_wide
from palate.ratings import Kind, Ratings
from palate.rows import transpose_rows
from palate.solvers.base import Monitor, Recipe, Trained, check_counts, check_positive

TILE = 512  # of a product, the work of one thread
LEAF = 128  # a matrix that is inverted as a whole
PER_ROOT = 50.0  # weight decay at a mean of one choice per item: by inner splits of ml-100k, ml-1m, lastfm-hetrec2011
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

Tile = tuple[slice, slice]
Mapper = Callable[[Callable[[Tile], None], Iterable[Tile]], object]


@dataclass(frozen=True)
class EASE(Recipe):
    """Embarrassingly shallow autoencoder (Steck 2019): what was chosen speaks for every other item, with weights B.

        minimise |X - X B|^2 + weight_decay |B|^2  with B_ii = 0:    P = (X'X + weight_decay I)^-1,  B_ij = -P_ij / P_jj

    weight_decay: None takes 50 sqrt(mean choices per chosen item), times the mean of x^2 where there are counts.
    confidence: what a count makes of x: "relative" (1 + ln(1 + count / own mean count), over 1 + ln 2) or "equal" (1).
    memory: how much B and its making may need, as "2GB" or bytes; None is what the machine has free. predict() gives
    the score, without an interval. Raises OptionError for values that make no sense, and for more items than fit.

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

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        chosen = np.flatnonzero(np.bincount(ratings.item_codes, minlength=ratings.n_items)).astype(np.int32)
        need = memory_needed(ratings.n_items, len(chosen))
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
    return G


def by_users(X: Chosen, decay: float, n_threads: int = 0) -> Floats:
    """The same where users are fewer (Woodbury): P = (I - X' (XX' + l I)^-1 X) / l."""
    K = multiply_sparse(*X.rows(X.by_user), *X.rows(X.by_item), X.n_rows, n_threads=n_threads)
    K[np.diag_indices_from(K)] += np.float32(decay)
    invert(K, n_threads)
    half = np.ascontiguousarray(multiply_wide(*X.rows(X.by_item), K, n_threads=n_threads).T)
    P = multiply_wide(*X.rows(X.by_item), half, n_threads=n_threads)
    P *= np.float32(-1 / decay)
    P[np.diag_indices_from(P)] += np.float32(1 / decay)
    return P


def invert(S: Floats, n_threads: int = 0) -> None:
    """The inverse of a symmetric positive definite matrix (n, n), in its place, through the Schur complement of a half.

        [A  B]^-1   [A^-1 + W D' W'   -W D']
        [B' D]    = [-D' W'              D']      W = A^-1 B,  D' = (D - B' W)^-1

    The products are cut into tiles at fixed bounds, which threads share: the same bytes at any number of them.
    """
    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        _invert(S, lambda work, tiles: list(pool.map(work, tiles)))


def _invert(S: Floats, run: Mapper) -> None:
    n = len(S)
    if n <= LEAF:
        S[...] = np.linalg.inv(S)
        return
    half = n // 2
    A, B, D = S[:half, :half], S[:half, half:], S[half:, half:]
    _invert(A, run)
    W = np.empty(B.shape, S.dtype)

    def multiply(tile: Tile) -> None:
        W[tile] = A[tile[0]] @ B[:, tile[1]]

    def complement(tile: Tile) -> None:
        _mirror(D, tile, D[tile] - B[:, tile[0]].T @ W[:, tile[1]])

    def across(tile: Tile) -> None:
        B[tile] = -(W[tile[0]] @ D[:, tile[1]])

    def correct(tile: Tile) -> None:
        _mirror(A, tile, A[tile] - B[tile[0]] @ W[tile[1]].T)

    run(multiply, _tiles(*B.shape))
    run(complement, _upper(len(D)))
    _invert(D, run)
    run(across, _tiles(*B.shape))
    run(correct, _upper(len(A)))
    S[half:, :half] = B.T


def _mirror(matrix: Floats, tile: Tile, values: Floats) -> None:
    """A tile of a symmetric matrix, on both sides of the diagonal."""
    matrix[tile] = values
    if tile[0] != tile[1]:
        matrix[tile[1], tile[0]] = values.T


def _tiles(n_rows: int, n_columns: int) -> list[Tile]:
    rows, columns = ([slice(at, min(at + TILE, n)) for at in range(0, n, TILE)] for n in (n_rows, n_columns))
    return [(row, column) for row in rows for column in columns]


def _upper(n: int) -> list[Tile]:
    """The tiles of a symmetric matrix on and above the diagonal."""
    return [tile for tile in _tiles(n, n) if tile[0].start <= tile[1].start]


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


def memory_needed(n_items: int, n_chosen: int) -> int:
    """Bytes: X'X, which becomes B, half of it for products, and B among all items where some were never chosen."""
    return 4 * (n_chosen**2 * 3 // 2 + (0 if n_chosen == n_items else n_items**2 - n_chosen**2 // 2))


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


def bytes_of(memory: str | int) -> int:
    """Bytes of "256MB", "2GB" or a number. Raises OptionError for what is no amount."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", str(memory).upper())
    unit = None if found is None or isinstance(memory, bool) else UNITS.get(found[2] if found[2] != "B" else "")
    if found is None or unit is None or not float(found[1]) > 0:
        raise OptionError(f'memory must be an amount like "2GB" or "500MB", or a number of bytes, got {memory!r}.')
    return int(float(found[1]) * unit)


def as_bytes(amount: int) -> str:
    """Bytes as people read them: 55 MB, 1.2 GB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount} bytes"
