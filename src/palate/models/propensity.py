"""Propensity: the probability that a user chooses an item at all, whatever the rating would be.

    P(user chooses item) = 1 / (1 + exp(-(intercept + slope ln score)))

Ratings hold two signals: how much users like what they rate, and which items they rate. The rating model learns the
first and also predicts high ratings for items that a user would never choose. The propensity model learns the second:
ImplicitFactors on the same ratings taken as choices, then a logistic regression from their scores to probabilities.
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
HELD_OUT = 0.2  # share of each user's choices that is held out to fit the curve
N_CURVE_SCORES = 4_000_000  # about so many scores fit the curve: all items of some users, at least MIN_CURVE_USERS
MIN_CURVE_USERS = 20
MIN_SCORE = 1e-3  # lower scores count as this one


@dataclass(frozen=True)
class Propensity:
    """The propensity model: 1 / (1 + exp(-(intercept + slope ln score))), with scores of MIN_SCORE at least.

    It is the probability that the item is among the user's next choices, of which there are HELD_OUT times as many as
    in the history. So use the ratio between items, not the absolute value.

    Attributes:
        factors (ImplicitFactors): Implicit ALS on all choices.
        intercept (float): Of the logistic regression.
        slope (float): Of the logistic regression on ln score, 0 or more.
    """

    factors: ImplicitFactors
    intercept: float
    slope: float

    def probabilities(self, codes: Codes, history: CompressedRows) -> Floats:
        """Probabilities that users (codes (m,), -1: new) with these histories choose each item, (m, n_items)."""
        vectors = self.factors.users[codes]
        if len(new := np.flatnonzero((codes < 0) | (history.counts == 0)).astype(np.int32)):
            vectors[new] = self.factors.fold_in(as_choices(take_rows(history, new)))
        return self.probabilities_at(self.factors.scores(vectors))

    def probabilities_at(self, scores: Floats) -> Floats:
        """The probabilities at scores, of the same shape."""
        log_odds = self.intercept + self.slope * np.log(np.maximum(scores, np.float32(MIN_SCORE)))
        probabilities: Floats = (1 / (1 + np.exp(-log_odds))).astype(np.float32)
        return probabilities


def fit_propensity(history: CompressedRows, n_items: int) -> Propensity:
    """Fit the propensity model to the ratings of all users.

    The curve is fitted to held-out choices, by factors of the other choices. Then all choices fit the final factors.
    """
    choices = as_choices(history)
    is_held_out = _held_out(choices)
    intercept, slope = 0.0, 1.0
    if is_held_out.any():
        train = rows_of_entries(choices, ~is_held_out)
        fitted = _fit_factors(default_problem(train, n_items), train, n_items)
        scores, is_chosen = _curve_data(fitted, train, rows_of_entries(choices, is_held_out), n_items)
        intercept, slope = logistic(np.log(np.maximum(scores, MIN_SCORE)).astype(np.float64), is_chosen)
    problem = default_problem(choices, n_items)
    factors = _fit_factors(problem, choices, n_items).factors(problem, "equal")
    return Propensity(factors, intercept, max(slope, 0.0))


def as_choices(history: CompressedRows) -> CompressedRows:
    """Return ratings as choices: all values 1, no weights."""
    return replace(history, values=np.ones_like(history.values), weights=None)


def logistic(x: Doubles, y: NDArray[np.bool_], n_steps: int = 50) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of y on x, both (n,), by Newton's method.

    A step that does not raise the likelihood is halved. A penalty of 1e-6 keeps both finite if x separates the classes.
    """
    share = np.clip(y.mean(), 1e-9, 1 - 1e-9)
    beta = np.array([np.log(share / (1 - share)), 0.0])
    loss, gradient, hessian = _logistic_loss(beta, x, y)
    for _ in range(n_steps):
        step = np.linalg.solve(hessian, gradient)
        for _ in range(30):
            tried = _logistic_loss(beta - step, x, y)
            if tried[0] <= loss:
                break
            step /= 2
        else:
            break
        beta, (loss, gradient, hessian) = beta - step, tried
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[0]), float(beta[1])


def _logistic_loss(beta: Doubles, x: Doubles, y: NDArray[np.bool_]) -> tuple[float, Doubles, Doubles]:
    """-log likelihood + 1e-6 |beta|^2 / 2, its gradient (2,) and Hessian (2, 2)."""
    log_odds = beta[0] + beta[1] * x
    loss = float(np.logaddexp(0, log_odds).sum() - log_odds[y].sum() + 5e-7 * beta @ beta)
    probabilities = np.exp(-np.logaddexp(0, -log_odds))
    errors, curvature = probabilities - y, probabilities * (1 - probabilities)
    gradient = np.array([errors.sum(), errors @ x]) + 1e-6 * beta
    mixed = curvature @ x
    return loss, gradient, np.array([[curvature.sum(), mixed], [mixed, curvature @ (x * x)]]) + 1e-6 * np.eye(2)


def _held_out(choices: CompressedRows) -> NDArray[np.bool_]:
    """A mask of the held-out choices, (n_choices,): a random share HELD_OUT of each user's."""
    rng = np.random.Generator(np.random.Philox(0))
    users = row_codes(choices)
    order = np.lexsort((rng.random(len(users)), users))  # users in order, each user's choices shuffled
    rank = np.arange(len(users)) - choices.indptr[users]
    is_held_out = np.zeros(len(users), bool)
    is_held_out[order] = rank < (HELD_OUT * choices.counts).astype(np.int64)[users]
    return is_held_out


def _fit_factors(problem: ImplicitProblem, choices: CompressedRows, n_items: int) -> Sweep:
    """Implicit ALS after N_SWEEPS sweeps."""
    by_item = transpose_rows(choices, n_items)
    first = start(choices.n_rows, n_items, min(N_FACTORS, n_items), seed=0)
    return next(islice(sweeps(problem, choices, by_item, first), N_SWEEPS - 1, None))


def _curve_data(
    fitted: Sweep, train: CompressedRows, held_out: CompressedRows, n_items: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores of items that a sample of users did not choose in train, and whether they are held-out choices; (n,)."""
    rng = np.random.Generator(np.random.Philox(1))
    n_users = max(MIN_CURVE_USERS, N_CURVE_SCORES // n_items)
    codes = rng.permutation(np.flatnonzero(held_out.counts))[:n_users].astype(np.int32)
    seen, later = take_rows(train, codes), take_rows(held_out, codes)
    is_candidate, is_chosen = np.ones((len(codes), n_items), bool), np.zeros((len(codes), n_items), bool)
    is_candidate[row_codes(seen), seen.indices] = False
    is_chosen[row_codes(later), later.indices] = True
    scores: Floats = fitted.users[codes] @ fitted.items.T
    return scores[is_candidate], is_chosen[is_candidate]
