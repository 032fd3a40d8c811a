"""Factors learned from pairs: what somebody chose stands above what they did not (BPR, Rendle et al. 2009).

Given the items, the vector p of a user who chose n of them is the least of a convex loss,

    sum_chosen E_j softplus(s_j - s_i) + n weight_decay |p|^2,    s_i = p . q_i + b_i

where j is the one of the highest score among n_candidates items, drawn alike from those not chosen. At its least

    p = 1 / (2 n weight_decay) sum_chosen E_j sigmoid(s_j - s_i) (q_i - q_j)

so that p, and with it the score of every item, is a sum over the choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.errors import OptionError
from palate.models.factors import Codes, Doubles, Factors, Floats

N_NEGATIVES = 1024  # items not chosen that stand for all of them
N_STEPS = 15  # of Newton's method, at most
ENOUGH = 1e-7  # a step that lowers the loss by less, in proportion, is the last
LEAST_DECAY = 1e-4  # without any, whoever can be told apart perfectly would have an endless vector


@dataclass(frozen=True)
class PairwiseProblem:
    """The problem of one user: factors Q and biases b of what was chosen, and of the others that stand below it."""

    chosen: Doubles  # (n, k)
    chosen_biases: Doubles  # (n,)
    others: Doubles  # (m, k)
    others_biases: Doubles  # (m,)
    n_candidates: int
    weight_decay: float

    @property
    def decay(self) -> float:
        """What |p|^2 costs."""
        return len(self.chosen) * self.weight_decay

    def chances(self, scores: Doubles) -> Doubles:
        """The chance that each other item (m,) is the highest of the candidates; equal scores share theirs by order."""
        m = len(scores)
        share = np.empty(m)
        at_most = np.arange(m, 0, -1) / m  # of a draw: not above the r-th
        share[np.argsort(-scores, kind="stable")] = at_most**self.n_candidates - (at_most - 1 / m) ** self.n_candidates
        return share

    def margins(self, p: Doubles) -> tuple[Doubles, Doubles]:
        """s_j - s_i of all pairs, (n, m), and the chance of each j, (m,)."""
        others = self.others @ p + self.others_biases
        return others - (self.chosen @ p + self.chosen_biases)[:, None], self.chances(others)

    def loss(self, p: Doubles) -> float:
        """What p is the least of."""
        margins, chances = self.margins(p)
        return float(np.sum(_softplus(margins) @ chances) + self.decay * p @ p)

    def pulls(self, p: Doubles) -> Doubles:
        """By how much each choice pulls p, (n, k): E_j sigmoid(s_j - s_i) (q_i - q_j)."""
        margins, chances = self.margins(p)
        pull = _sigmoid(margins) * chances
        towards: Doubles = self.chosen * pull.sum(axis=1)[:, None] - pull @ self.others
        return towards

    def step(self, p: Doubles) -> Doubles:
        """Newton's, (k,), with the chances as they are at p."""
        margins, chances = self.margins(p)
        share = _sigmoid(margins)
        pull, bend = share * chances, share * (1 - share) * chances
        gradient = 2 * self.decay * p - pull.sum(axis=1) @ self.chosen + pull.sum(axis=0) @ self.others
        cross = self.chosen.T @ (bend @ self.others)
        hessian = (self.chosen.T * bend.sum(axis=1)) @ self.chosen + (self.others.T * bend.sum(axis=0)) @ self.others
        hessian += 2 * self.decay * np.eye(len(p)) - cross - cross.T
        step: Doubles = np.linalg.solve(hessian, gradient)
        return step

    def solved(self) -> Doubles:
        """The best p, (k,): Newton's steps, halved until they help."""
        p = np.zeros(self.chosen.shape[1])
        loss = self.loss(p)
        for _ in range(N_STEPS):
            step = self.step(p)
            tries = (p - share * step for share in 0.5 ** np.arange(5))
            best = next(((tried, there) for tried in tries if (there := self.loss(tried)) < loss), None)
            if best is None:
                break
            (p, loss), before = best, loss
            if before - loss < ENOUGH * before:
                break
        return p


def _softplus(x: Doubles) -> Doubles:
    """ln(1 + e^x), which no x makes overflow."""
    soft: Doubles = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return soft


def _sigmoid(x: Doubles) -> Doubles:
    share: Doubles = 0.5 * (1 + np.tanh(0.5 * x))
    return share


@dataclass(frozen=True)
class PairwiseFactors(Factors):
    """Factors whose scores only rank: no user has a bias, and a new user is the least of the loss above."""

    n_candidates: int = 1
    by_user: bool = True  # False where users and items are exchanged

    def __post_init__(self) -> None:
        if not 1 <= self.n_candidates < np.inf:
            raise ValueError(f"{self.n_candidates!r} candidates")

    @cached_property
    def sample(self) -> NDArray[np.int64]:
        """The items in an order that no seed changes: the first not chosen stand for all that were not."""
        return np.random.Generator(np.random.Philox(0)).permutation(len(self.items))

    def problem_of(self, chosen: Codes) -> PairwiseProblem:
        """The problem of a user who chose these items."""
        mask = np.zeros(len(self.items), bool)
        mask[chosen] = True
        others = np.sort(self.sample[~mask[self.sample]][:N_NEGATIVES])
        items = self.items.astype(np.float64)
        return PairwiseProblem(
            items[chosen, :-1],
            items[chosen, -1],
            items[others, :-1],
            items[others, -1],
            self.n_candidates,
            max(self.user_prior.ridge, LEAST_DECAY),
        )

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Vectors of users never seen, from what they chose: (n, k + 1), no bias. OptionError for new items."""
        vectors = np.zeros((histories.n_rows, self.items.shape[1]), np.float32)
        for row in np.flatnonzero(histories.counts).tolist():
            if not self.by_user:
                raise OptionError("BPR cannot fold in an item: how it ranks for everybody else is not in its choices.")
            problem = self.problem_of(np.unique(histories.row(row)[0]))
            if len(problem.others):
                vectors[row, :-1] = problem.solved()
        return vectors

    def contributions(self, history: CompressedRows, vector: Floats, item_code: int) -> Doubles:
        """By how much each of a user's choices (n,) moves the score of an item.

        They add up to it where the user's vector is the least of its loss; a trained one lies near it.
        """
        problem = self.problem_of(history.indices)
        if len(problem.others) == 0:
            return np.zeros(len(history.indices))
        pulls = problem.pulls(vector[:-1].astype(np.float64))
        shares: Doubles = pulls @ self.items[item_code, :-1].astype(np.float64) / (2 * problem.decay)
        return shares

    def transposed(self) -> PairwiseFactors:
        """The same model with users and items exchanged."""
        return self._exchanged(by_user=not self.by_user)
