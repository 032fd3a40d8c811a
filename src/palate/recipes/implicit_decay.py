"""The weight decay of ImplicitALS, if none is given: that of models/implicit.py, or a part or a multiple of it.

How much decay is right depends on how far the structure of the choices stands above noise, which no count tells. So the
fit hides choices and ranks them, after a few sweeps with the usual decay and with half of it; then with a quarter, and
so on, as long as the lists get better beyond doubt. Where half is no better, twice is tried. All start from the same
vectors and take as many sweeps: a longer trial would win by that alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.data.rows import CompressedRows, take_rows, transpose_rows
from palate.kernels import rank_targets_of
from palate.models.factors import Doubles
from palate.models.implicit import Confidence, ImplicitProblem, Sweep, start, sweeps, weighted_choices
from palate.recipes.hidden import Hidden, blocks, is_better, ndcg_of

N_FACTORS = 128  # of a trial, or fewer, where the fit has fewer
N_SWEEPS = 4
N_USERS = 3000  # whose choices are hidden
LARGEST = 8  # times smaller or larger than usual


def choose_decay(
    histories: CompressedRows,
    n_items: int,
    usual: ImplicitProblem,
    *,
    n_factors: int,
    confidence: Confidence,
    seed: int,
    n_threads: int = 0,
) -> float:
    """Return the weight decay for these choices; usual: the problem with the usual one."""
    hidden = Hidden.of(histories, None, N_USERS)
    if hidden is None:
        return usual.weight_decay
    trial = _Trial(hidden, n_items, confidence, n_threads)
    begun = start(histories.n_rows, n_items, min(n_factors, N_FACTORS), seed)

    def ndcg_with(times: float) -> Doubles:
        return trial.ndcg(begun, replace(usual, weight_decay=times * usual.weight_decay))

    first = ndcg_with(1.0)
    for factor in (0.5, 2.0):
        best, found, times = first, 1.0, factor
        while 1 / LARGEST <= times <= LARGEST and is_better(ndcg := ndcg_with(times), best):
            best, found, times = ndcg, times, factor * times
        if found != 1:
            return found * usual.weight_decay
    return usual.weight_decay


class _Trial:
    """Learns from the choices that are not hidden, and ranks those that are."""

    def __init__(self, hidden: Hidden, n_items: int, confidence: Confidence, n_threads: int) -> None:
        self.hidden, self.n_threads = hidden, n_threads
        self.by_user = weighted_choices(hidden.rest, confidence)
        self.by_item = transpose_rows(self.by_user, n_items)

    def ndcg(self, begun: Sweep, problem: ImplicitProblem) -> Doubles:
        """The NDCG@20 of the hidden choices of each sampled user, (n_users,), after N_SWEEPS."""
        state, passes = begun, sweeps(problem, self.by_user, self.by_item, begun, self.n_threads)
        for _ in range(N_SWEEPS):
            state = next(passes)
        users, items = take_rows(self.by_user, self.hidden.users), state.items
        vectors = problem.solve(users, items, problem.background(items), self.n_threads)
        found = []
        for block in blocks(len(vectors), len(items)):
            targets, seen = take_rows(self.hidden.targets, block), take_rows(users, block)
            ranks = rank_targets_of(
                np.ascontiguousarray(vectors[block] @ items.T), targets.indptr, targets.indices,
                seen_indptr=seen.indptr, seen_indices=seen.indices, n_threads=self.n_threads,
            )[0]  # fmt: skip
            found.append(ndcg_of(targets, ranks))
        return np.concatenate(found)
