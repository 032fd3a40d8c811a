"""Pairwise factors (BPR): learned so that each item a user chose ranks above the items the user did not choose.

Here is the problem of one user by the pairwise loss; models/softmax.py has those of the losses of many negatives. Given
the items, the vector p of a user with n choices minimizes a convex loss,

    sum_chosen E_j softplus(s_j - s_i) + n weight_decay |p|^2,    s_i = p . q_i + b_i

where j is the item of the highest score among n_candidates items drawn uniformly from those not chosen. At the minimum

    p = 1 / (2 n weight_decay) sum_chosen E_j sigmoid(s_j - s_i) (q_i - q_j)

so p, and with it the score of every item, is a sum over the choices. Fold-in and explanations use this.

Source: Rendle, Freudenthaler, Gantner & Schmidt-Thieme (2009), BPR: Bayesian Personalized Ranking from Implicit
Feedback.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.errors import OptionError
from palate.models.factors import Codes, Doubles, Factors, Floats
from palate.models.softmax import CosineProblem, SoftmaxProblem

LOSSES = ("bpr", "softmax", "cosine")
N_NEGATIVES = 1024  # sample of the items that were not chosen
N_SOFTMAX_NEGATIVES = 4096  # likewise, for the losses of many negatives
MAX_STEPS = 15  # of Newton's method
TOLERANCE = 1e-7  # stop after a step that lowers the loss by a smaller fraction
MIN_DECAY = 1e-4  # without decay, the vector of a user whose choices can be separated perfectly would be infinite


@dataclass(frozen=True)
class PairwiseProblem:
    """The pairwise loss of one user as a function of the user's factors p, (k,).

    Attributes:
        chosen (float64 array of shape (n, k)): Factors q_i of the chosen items.
        chosen_biases (float64 array of shape (n,)): Their biases b_i.
        others (float64 array of shape (m, k)): Factors q_j of a sample of the other items.
        others_biases (float64 array of shape (m,)): Their biases b_j.
        n_candidates (int): Of so many random other items, the one of the highest score is compared.
        weight_decay (float): For each choice.
    """

    chosen: Doubles
    chosen_biases: Doubles
    others: Doubles
    others_biases: Doubles
    n_candidates: int
    weight_decay: float

    @property
    def decay(self) -> float:
        """The factor of |p|^2 in the loss."""
        return len(self.chosen) * self.weight_decay

    def probabilities(self, scores: Doubles) -> Doubles:
        """The probability of each other item (m,) to be the candidate of the highest score; ties go by order."""
        m = len(scores)
        probabilities = np.empty(m)
        at_most = np.arange(m, 0, -1) / m  # probability of a random item not to rank above the r-th
        order = np.argsort(-scores, kind="stable")
        probabilities[order] = at_most**self.n_candidates - (at_most - 1 / m) ** self.n_candidates
        return probabilities

    def margins(self, p: Doubles) -> tuple[Doubles, Doubles]:
        """The margins s_j - s_i of all pairs, (n, m), and the probability of each j, (m,)."""
        others = self.others @ p + self.others_biases
        return others - (self.chosen @ p + self.chosen_biases)[:, None], self.probabilities(others)

    def loss(self, p: Doubles) -> float:
        """The loss at p."""
        margins, probabilities = self.margins(p)
        return float(np.sum(_softplus(margins) @ probabilities) + self.decay * p @ p)

    def pulls(self, p: Doubles) -> Doubles:
        """The negative gradient of each choice's loss, (n, k): E_j sigmoid(s_j - s_i) (q_i - q_j)."""
        margins, probabilities = self.margins(p)
        weights = _sigmoid(margins) * probabilities
        pulls: Doubles = self.chosen * weights.sum(axis=1)[:, None] - weights @ self.others
        return pulls

    def contributions(self, p: Doubles, item: Doubles) -> Doubles:
        """The contribution of each choice to the score of an item with these factors (k,), (n,)."""
        contributions: Doubles = self.pulls(p) @ item / (2 * self.decay)
        return contributions

    def step(self, p: Doubles) -> Doubles:
        """The Newton step at p, (k,), with the probabilities held constant."""
        margins, probabilities = self.margins(p)
        slope = _sigmoid(margins)
        weight, curvature = slope * probabilities, slope * (1 - slope) * probabilities
        gradient = 2 * self.decay * p - weight.sum(axis=1) @ self.chosen + weight.sum(axis=0) @ self.others
        cross = self.chosen.T @ (curvature @ self.others)
        hessian = (self.chosen.T * curvature.sum(axis=1)) @ self.chosen
        hessian += (self.others.T * curvature.sum(axis=0)) @ self.others
        hessian += 2 * self.decay * np.eye(len(p)) - cross - cross.T
        step: Doubles = np.linalg.solve(hessian, gradient)
        return step

    def solved(self) -> Doubles:
        """The p of minimum loss, (k,), by Newton's method; a step is halved until the loss falls."""
        p = np.zeros(self.chosen.shape[1])
        loss = self.loss(p)
        for _ in range(MAX_STEPS):
            step = self.step(p)
            tries = (p - size * step for size in 0.5 ** np.arange(5))
            better = next(((tried, new_loss) for tried in tries if (new_loss := self.loss(tried)) < loss), None)
            if better is None:
                break
            (p, loss), old_loss = better, loss
            if old_loss - loss < TOLERANCE * old_loss:
                break
        return p


def _softplus(x: Doubles) -> Doubles:
    """The log of 1 + e^x, without overflow."""
    soft: Doubles = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return soft


def _sigmoid(x: Doubles) -> Doubles:
    """1 / (1 + e^-x), without overflow."""
    sigmoid: Doubles = 0.5 * (1 + np.tanh(0.5 * x))
    return sigmoid


@dataclass(frozen=True, repr=False)
class PairwiseFactors(Factors):
    """Factors whose scores only rank. Users have no bias; a fold-in user minimizes the pairwise loss.

    Attributes:
        n_candidates (int, default 1): Of so many random other items, the one of the highest score is compared.
        loss (str, default "bpr"): What the factors were learned by, one of LOSSES.
        temperature (float, default 1.0): What scores are divided by, in the losses of many negatives.
        by_user (bool, default True): False if users and items have been exchanged.
    """

    n_candidates: int = 1
    loss: str = "bpr"
    temperature: float = 1.0
    by_user: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_candidates < np.inf:
            raise ValueError(f"n_candidates {self.n_candidates!r} is not valid")
        if self.loss not in LOSSES:
            raise ValueError(f"loss {self.loss!r} is not valid")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature {self.temperature!r} is not valid")

    @cached_property
    def sample(self) -> NDArray[np.int64]:
        """All items in a fixed random order, (n_items,): the first that were not chosen are the sample of others."""
        return np.random.Generator(np.random.Philox(0)).permutation(len(self.items))

    def problem_of(self, chosen: Codes) -> PairwiseProblem | SoftmaxProblem | CosineProblem:
        """The problem of a user who chose these items: the loss as a function of the user's factors."""
        is_chosen = np.zeros(len(self.items), bool)
        is_chosen[chosen] = True
        most = N_NEGATIVES if self.loss == "bpr" else N_SOFTMAX_NEGATIVES
        others = np.sort(self.sample[~is_chosen[self.sample]][:most])
        one, other = (self.items[codes].astype(np.float64) for codes in (chosen, others))
        q, b, others_q, others_b = one[:, :-1], one[:, -1], other[:, :-1], other[:, -1]
        decay = max(self.user_prior.ridge, MIN_DECAY)
        if self.loss == "bpr":
            return PairwiseProblem(q, b, others_q, others_b, self.n_candidates, decay)
        each = (len(self.items) - len(chosen)) / max(len(others), 1)
        if self.loss == "softmax":
            return SoftmaxProblem(q, b, others_q, others_b, each, self.temperature, decay)
        return CosineProblem(q, b, others_q, others_b, each, self.temperature)

    def fold_in(self, histories: CompressedRows) -> Floats:
        """Fold in new users from their choices: vectors (n, k + 1), bias 0. Raise OptionError for new items."""
        vectors = np.tile(self.user_prior.mean, (histories.n_rows, 1)).astype(np.float32)
        for row in np.flatnonzero(histories.counts).tolist():
            if not self.by_user:
                raise OptionError("BPR cannot fold in an item: its choices do not show how it ranks for other users.")
            problem = self.problem_of(np.unique(histories.row(row)[0]))
            if len(problem.others):
                vectors[row, :-1] = problem.solved()
        return vectors

    def contributions(self, history: CompressedRows, vector: Floats, item_code: int) -> Doubles:
        """The contribution of each of a user's choices to the score of an item, (n,).

        They add up to the score if the user's vector minimizes the loss; a trained vector is near the minimum.
        """
        problem = self.problem_of(history.indices)
        if len(problem.others) == 0:
            return np.zeros(len(history.indices))
        p, item = vector[:-1].astype(np.float64), self.items[item_code, :-1].astype(np.float64)
        return problem.contributions(p, item)

    def transposed(self) -> PairwiseFactors:
        """Return the factors with users and items exchanged."""
        return self._exchanged(by_user=not self.by_user)
