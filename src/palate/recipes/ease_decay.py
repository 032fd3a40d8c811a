"""The weight decay of EASE, if none is given: the one that best ranks choices hidden from users left out of the fit.

It is chosen on the most chosen items alone, since the best decay hardly depends on the size of the catalogue. Where
these items tell little of it, the lengths of histories decide: PULL draws the choice towards their decay. The choices
of sampled users are hidden in turns, a fifth at a time. With x a user's choices, h those left, y = P x and
z = P h, leaving the user out of the fit changes P = (X'WX + L)^-1 by a matrix of rank one,

    P' = P + c y y'    with c = w / (1 - w x'y)

so the scores by the weights -P'_ij / P'_jj need no second inversion: score_j = -(z_j + c (h'y) y_j) / (P_jj + c y_j^2).

Source: Sherman & Morrison (1950), Adjustment of an Inverse Matrix Corresponding to a Change in One Element of a Given
Matrix; Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes, rows_of_entries, take_rows
from palate.kernels import multiply_sparse, multiply_wide, rank_targets_of
from palate.models.chosen import Chosen
from palate.models.factors import Doubles, Floats
from palate.recipes.inverse import invert

N_ITEMS = 300  # the most chosen ones
N_ROWS = 2000  # about so many users with a fifth hidden
N_PARTS = 5  # each user's choices are hidden in so many parts, one after the other
MIN_CHOICES = 5  # of a user, among these items
MIN_USERS = 100  # with so many choices; with fewer, the lengths of histories alone decide
DECAYS: Doubles = 2.0 ** np.arange(3.0, 11.0)  # 8 to 1024, times the mean of x^2
DECAY_PER_ROOT = 30.0  # decay / sqrt(length of history)
PULL = 0.005  # share of the best NDCG that a decay e times too large or too small for the lengths of histories loses
N_NEIGHBOURS = 3  # of the best decay on either side, through which the parabola is laid
K = 20  # NDCG@K is what decides


def choose_decay(
    histories: CompressedRows,
    signals: Floats | None,
    *,
    user_exponent: float,
    item_exponent: float,
    dropout: float,
    n_threads: int = 0,
) -> float:
    """Return the weight decay for these choices; signals: the entries of X, None if all are 1."""
    X = _most_chosen(histories, signals, user_exponent)
    by_lengths = decay_of_lengths(histories.counts) * X.mean_square
    hidden = Hidden.of(X)
    if hidden is None:
        return by_lengths
    G = multiply_sparse(*X.items_times(user_factors=X.user_weights), *X.users(), X.n_items, n_threads=n_threads)
    shares = dropout / (1 - dropout) * X.masses
    scales = (X.popularities**-item_exponent).astype(np.float32)
    decays = DECAYS * X.mean_square
    found = np.array([hidden.ndcg_at(G, decay + shares, scales, n_threads) for decay in decays])
    if not found.any():
        return by_lengths
    return peak(decays, found / found.max() - PULL * np.log(decays / by_lengths) ** 2)


def decay_of_lengths(counts: NDArray[np.int64]) -> float:
    """30 sqrt(n), n being the mean number of choices in the history of a choice; counts: of each user."""
    lengths = counts.astype(np.float64)
    return DECAY_PER_ROOT * float(np.sqrt(lengths @ lengths / lengths.sum()))


def _most_chosen(histories: CompressedRows, signals: Floats | None, user_exponent: float) -> Chosen:
    """X of the N_ITEMS most chosen items alone; of equally chosen ones, those of lower codes."""
    counts = np.bincount(histories.indices)
    kept = np.sort(np.argsort(-counts, kind="stable")[:N_ITEMS]).astype(np.int32)
    kept = kept[counts[kept] > 0]
    is_kept = np.zeros(len(counts), bool)
    is_kept[kept] = True
    entries = is_kept[histories.indices]
    rows = rows_of_entries(histories, entries)
    return Chosen.of(rows, None if signals is None else signals[entries], kept, user_exponent)


@dataclass(frozen=True)
class Hidden:
    """Rows of sampled users, one for each part of their choices that is hidden.

    x: all choices, h: those left, targets: those hidden; user_weights: w, (n_rows, 1).
    """

    x: CompressedRows
    h: CompressedRows
    targets: CompressedRows
    user_weights: Floats

    @classmethod
    def of(cls, X: Chosen) -> Hidden | None:
        """Hide choices; None if too few users have enough of them."""
        rng = np.random.Generator(np.random.Philox(0))
        eligible = np.flatnonzero(X.by_user.counts >= MIN_CHOICES)
        if len(eligible) < MIN_USERS:
            return None
        n_parts = min(N_PARTS, max(1, N_ROWS // len(eligible)))
        users = np.sort(rng.permutation(eligible)[: N_ROWS // n_parts]).astype(np.int32)
        own = take_rows(X.by_user, users)
        parts = (shuffled_ranks(own, rng) % N_PARTS).astype(np.float32)
        rows = np.repeat(np.arange(len(users), dtype=np.int32), n_parts)
        x = take_rows(own, rows)
        part_of_row = np.arange(len(rows)) % n_parts
        is_hidden = take_rows(replace(own, values=parts), rows).values == part_of_row[row_codes(x)]
        w = X.user_weights[users[rows]][:, None]
        return cls(x, rows_of_entries(x, ~is_hidden), rows_of_entries(x, is_hidden), w)

    def ndcg(self, P: Floats, scales: Floats, n_threads: int = 0) -> float:
        """The mean NDCG@K of the hidden choices, of users who are left out of P; scales: of the items' scores."""
        y, z = (multiply_wide(r.indptr, r.indices, r.values, P, n_threads=n_threads) for r in (self.x, self.h))
        c = self.user_weights / np.maximum(1 - self.user_weights * _dots(self.x, y), np.float32(1e-6))
        cy = c * y
        z += _dots(self.h, y) * cy
        z /= -(np.diagonal(P) + cy * y)
        z *= scales
        ranks = rank_targets_of(
            z, self.targets.indptr, self.targets.indices,
            seen_indptr=self.h.indptr, seen_indices=self.h.indices, n_threads=n_threads,
        )[0]  # fmt: skip
        gains = np.bincount(row_codes(self.targets), np.where(ranks <= K, 1 / np.log2(1 + ranks), 0.0))
        ideal = np.cumsum(1 / np.log2(2.0 + np.arange(K)))
        return float(np.mean(gains / ideal[np.minimum(self.targets.counts, K) - 1]))

    def ndcg_at(self, G: Floats, ridge: Doubles, scales: Floats, n_threads: int = 0) -> float:
        """The same for P = (G + L)^-1, ridge being the diagonal of L; 0 if float32 cannot invert it."""
        P = G.copy()
        P[np.diag_indices_from(P)] += ridge.astype(np.float32)
        try:
            invert(P, 1)  # too small to share
        except np.linalg.LinAlgError:
            return 0.0
        return self.ndcg(P, scales, n_threads) if (np.diagonal(P) > 0).all() else 0.0


def shuffled_ranks(rows: CompressedRows, rng: np.random.Generator) -> NDArray[np.int64]:
    """The place of each entry in a random order of its row, from 0, whatever the order of the entries."""
    owners = row_codes(rows)
    keys, ranks = np.empty(len(owners)), np.empty(len(owners), np.int64)
    keys[np.lexsort((rows.indices, owners))] = rng.random(len(owners))
    ranks[np.lexsort((keys, owners))] = np.arange(len(owners)) - rows.indptr[owners]
    return ranks


def _dots(rows: CompressedRows, dense: Floats) -> Floats:
    """The dot product of each row with the same row of a matrix, (n_rows, 1)."""
    owners = row_codes(rows)
    sums = np.bincount(owners, rows.values * dense[owners, rows.indices], rows.n_rows)
    return sums.astype(np.float32)[:, None]


def peak(decays: Doubles, found: Doubles) -> float:
    """Where the parabola of least squares through the best value and its neighbours, over ln decay, is highest."""
    best = int(np.argmax(found))
    near = slice(max(0, best - N_NEIGHBOURS), best + N_NEIGHBOURS + 1)
    logs = np.log(decays[near])
    bend, slope, _ = np.polyfit(logs - logs.mean(), found[near], 2)
    if bend >= 0:
        return float(decays[best])
    return float(np.exp(np.clip(logs.mean() - slope / (2 * bend), np.log(decays[0]), np.log(decays[-1]))))
