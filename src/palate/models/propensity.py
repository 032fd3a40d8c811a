"""Choosing: who will pick what at all, whatever they will think of it. The other half of a good recommendation.

Ratings say two things: how much people like what they rate, and which items they came to rate. A model of the first
knows what they would love, also among what they will never touch. This is a model of the second, learned from the same
ratings as implicit ones: ImplicitFactors, and a curve from their scores to chances.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, row_codes, rows_of_entries, take_rows, transpose_rows
from palate.models.factors import Codes, Doubles, Floats
from palate.models.implicit import ImplicitFactors, ImplicitProblem, Sweep, default_problem, start, sweeps

N_FACTORS, N_SWEEPS = 64, 8
HELD_OUT = 0.2  # of each user's choices, while the curve is learned
N_ASKED = 4_000_000  # scores that the curve is learned from: those of all items for as many users, 20 at least
LEAST = 1e-3  # scores below are all as unlikely


@dataclass(frozen=True)
class Propensity:
    """The chance that somebody chooses an item: 1 / (1 + exp(-(intercept + slope ln score))), of a score above LEAST.

    The chance is that of one of the next choices, as many as HELD_OUT of those known: only proportions between items
    are to be taken at their word.
    """

    factors: ImplicitFactors
    intercept: float
    slope: float

    def probabilities(self, codes: Codes, history: CompressedRows) -> Floats:
        """Of every item for each of some people, (m, n_items): known ones by code, new ones (-1) by their ratings."""
        vectors = self.factors.users[codes]
        if len(new := np.flatnonzero(codes < 0).astype(np.int32)):
            vectors[new] = self.factors.fold_in(as_choices(take_rows(history, new)))
        return self.probabilities_at(self.factors.scores(vectors))

    def probabilities_at(self, scores: Floats) -> Floats:
        """The chances that scores stand for, of the same shape."""
        odds = self.intercept + self.slope * np.log(np.maximum(scores, np.float32(LEAST)))
        chances: Floats = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return chances


def fit_propensity(history: CompressedRows, n_items: int) -> Propensity:
    """Learned from the ratings of all users; for the curve, some of them are held out."""
    choices = as_choices(history)
    held = _held_out(choices)
    intercept, slope = 0.0, 1.0
    if held.any():
        known = rows_of_entries(choices, ~held)
        fitted = _fitted(default_problem(known, n_items), known, n_items)
        scores, chosen = _asked(fitted, known, rows_of_entries(choices, held), n_items)
        intercept, slope = logistic(np.log(np.maximum(scores, LEAST)).astype(np.float64), chosen)
    problem = default_problem(choices, n_items)
    factors = _fitted(problem, choices, n_items).factors(problem, "equal")
    return Propensity(factors, intercept, max(slope, 0.0))


def as_choices(history: CompressedRows) -> CompressedRows:
    """Ratings as what they also are: choices, whatever their values."""
    return replace(history, values=np.ones_like(history.values), weights=None)


def logistic(x: Doubles, happened: NDArray[np.bool_], n_steps: int = 50) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of what happened on x, both (n,), by Newton's method.

    A step that does not raise the likelihood is halved; a penalty of 1e-6 keeps both finite where x tells all apart.
    """
    share = np.clip(happened.mean(), 1e-9, 1 - 1e-9)
    beta = np.array([np.log(share / (1 - share)), 0.0])
    loss, gradient, hessian = _logistic_loss(beta, x, happened)
    for _ in range(n_steps):
        step = np.linalg.solve(hessian, gradient)
        for _ in range(30):
            there = _logistic_loss(beta - step, x, happened)
            if there[0] <= loss:
                break
            step /= 2
        else:
            break
        beta, (loss, gradient, hessian) = beta - step, there
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[0]), float(beta[1])


def _logistic_loss(beta: Doubles, x: Doubles, happened: NDArray[np.bool_]) -> tuple[float, Doubles, Doubles]:
    """-log likelihood + 1e-6 |beta|^2 / 2, its gradient (2,) and Hessian (2, 2)."""
    odds = beta[0] + beta[1] * x
    loss = float(np.logaddexp(0, odds).sum() - odds[happened].sum() + 5e-7 * beta @ beta)
    chances = np.exp(-np.logaddexp(0, -odds))
    missing, curve = chances - happened, chances * (1 - chances)
    gradient = np.array([missing.sum(), missing @ x]) + 1e-6 * beta
    mixed = curve @ x
    return loss, gradient, np.array([[curve.sum(), mixed], [mixed, curve @ (x * x)]]) + 1e-6 * np.eye(2)


def _held_out(choices: CompressedRows) -> NDArray[np.bool_]:
    """Which entries are held out: a share of each user's, at random, (n_choices,)."""
    rng = np.random.Generator(np.random.Philox(0))
    users = row_codes(choices)
    order = np.lexsort((rng.random(len(users)), users))
    place = np.arange(len(users)) - choices.indptr[users]  # lexsort keeps users where they are
    held = np.zeros(len(users), bool)
    held[order] = place < (HELD_OUT * choices.counts).astype(np.int64)[users]
    return held


def _fitted(problem: ImplicitProblem, choices: CompressedRows, n_items: int) -> Sweep:
    """What N_SWEEPS make of the choices."""
    by_item = transpose_rows(choices, n_items)
    first = start(choices.n_rows, n_items, min(N_FACTORS, n_items), seed=0)
    return next(islice(sweeps(problem, choices, by_item, first), N_SWEEPS - 1, None))


def _asked(
    fitted: Sweep, known: CompressedRows, held: CompressedRows, n_items: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores of what some users did not choose before, and whether they did later; (n,) each."""
    rng = np.random.Generator(np.random.Philox(1))
    n_users = max(20, N_ASKED // n_items)
    codes = rng.permutation(np.flatnonzero(held.counts))[:n_users].astype(np.int32)
    there, later = take_rows(known, codes), take_rows(held, codes)
    candidates, chosen = np.ones((len(codes), n_items), bool), np.zeros((len(codes), n_items), bool)
    candidates[row_codes(there), there.indices] = False
    chosen[row_codes(later), later.indices] = True
    scores: Floats = fitted.users[codes] @ fitted.items.T
    return scores[candidates], chosen[candidates]
