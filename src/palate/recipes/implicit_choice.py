"""The width and the weight decay of ImplicitALS, where they are not given.

How much decay is right depends on how far the structure of the choices stands above noise, which no count tells. So the
fit hides choices and ranks them, after a few sweeps with the usual decay and with half of it; then with a quarter, and
so on, as long as the lists get better beyond doubt. Where half is no better, twice is tried. All start from the same
vectors and take as many sweeps: a longer trial would win by that alone.

More factors help where those of the trial are all in use. The decay leaves some of them next to nothing on data of
little structure; then twice as many would give the same scores. Where the spectrum shows no such end, twice as many are
tried in the same way, and less decay with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from palate.data.rows import CompressedRows, take_rows, transpose_rows
from palate.kernels import rank_targets_of
from palate.models.factors import Doubles
from palate.models.implicit import Confidence, ImplicitProblem, Sweep, start, sweeps, weighted_choices
from palate.recipes.hidden import Hidden, blocks, is_better, ndcg_of

N_FACTORS = 128  # where nothing speaks for more; a trial of the decay has no more
N_WIDE = 256
IN_USE = 0.02  # of the second singular value: where the tail of the spectrum is above it, more factors are tried
N_SWEEPS = 4  # of a trial
N_USERS = 3000  # whose choices are hidden
LARGEST = 8  # times smaller or larger than usual


class Choice(NamedTuple):
    """The number of factors and the weight decay that a fit takes."""

    n_factors: int
    weight_decay: float


class Trial(NamedTuple):
    """What a short fit gave: the NDCG@20 of the hidden choices of each sampled user, (n_users,), and its state."""

    ndcg: Doubles
    state: Sweep

    def is_better(self, than: Trial) -> bool:
        """Whether its lists are better beyond doubt."""
        return is_better(self.ndcg, than.ndcg)


def choose(
    histories: CompressedRows,
    n_items: int,
    usual: ImplicitProblem,
    *,
    n_factors: int | None,
    chooses_decay: bool,
    confidence: Confidence,
    seed: int,
    n_threads: int = 0,
) -> Choice:
    """Return what to take for these choices; usual: the problem with the usual decay, or with the one given."""
    plain = Choice(n_factors or N_FACTORS, usual.weight_decay)
    hidden = Hidden.of(histories, None, N_USERS) if chooses_decay or n_factors is None else None
    if hidden is None:
        return plain
    trials = _Trials(hidden, n_items, usual, confidence, seed, n_threads)
    width, times = min(plain.n_factors, N_FACTORS), 1.0
    best = trials.of(width, times)
    if chooses_decay:
        times, best = trials.improved(width, times, best, 0.5)
        if times == 1:
            times, best = trials.improved(width, times, best, 2.0)
    if n_factors is not None or not is_in_use(best.state):
        return plain._replace(weight_decay=times * usual.weight_decay)
    wide = trials.of(N_WIDE, times)
    if not wide.is_better(best):
        return Choice(width, times * usual.weight_decay)
    if chooses_decay:
        times, _ = trials.improved(N_WIDE, times, wide, 0.5)
    return Choice(N_WIDE, times * usual.weight_decay)


def is_in_use(state: Sweep) -> bool:
    """Whether nearly all factors matter: an eighth from the end, a singular value of the scores is not next to nothing.

    It is compared with the second one, since the first is the popularity of items.
    """
    users, items = (vectors.astype(np.float64) for vectors in (state.users, state.items))
    values = np.sort(np.linalg.eigvals((users.T @ users) @ (items.T @ items)).real)[::-1]
    tail, second = values[len(values) * 7 // 8], values[min(1, len(values) - 1)]
    return bool(tail > IN_USE**2 * second)


class _Trials:
    """Short fits on the choices that are not hidden."""

    def __init__(
        self, hidden: Hidden, n_items: int, usual: ImplicitProblem, confidence: Confidence, seed: int, n_threads: int
    ) -> None:
        self.hidden, self.n_items, self.usual, self.seed, self.n_threads = hidden, n_items, usual, seed, n_threads
        self.by_user = weighted_choices(hidden.rest, confidence)
        self.by_item = transpose_rows(self.by_user, n_items)

    def improved(self, n_factors: int, times: float, best: Trial, factor: float) -> tuple[float, Trial]:
        """The usual decay is multiplied by the factor, again and again, as long as lists get better beyond doubt."""
        while 1 / LARGEST <= times * factor <= LARGEST:
            tried = self.of(n_factors, times * factor)
            if not tried.is_better(best):
                break
            times, best = times * factor, tried
        return times, best

    def of(self, n_factors: int, times: float) -> Trial:
        """The trial with so many factors and so many times the usual decay."""
        problem = replace(self.usual, weight_decay=times * self.usual.weight_decay)
        state = start(self.by_user.n_rows, self.n_items, n_factors, self.seed)
        passes = sweeps(problem, self.by_user, self.by_item, state, self.n_threads)
        for _ in range(N_SWEEPS):
            state = next(passes)
        return Trial(self._ndcg(problem, state), state)

    def _ndcg(self, problem: ImplicitProblem, state: Sweep) -> Doubles:
        """The NDCG@20 of each sampled user, (n_users,)."""
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
