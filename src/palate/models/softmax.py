"""The vector of one user by a softmax over items: each choice against many items that the user did not choose.

Given the items, the vector p of a user with n choices minimizes

    sum_chosen -T ln(e^(s_i / T) / (e^(s_i / T) + Z)) + n weight_decay |p|^2,    Z = each sum_j e^(s_j / T)

with scores s_i = p . q_i + b_i, the temperature T, and j a sample of the other items, of which one stands for `each`.
The loss of choice i pulls p by (1 - w_i) q_i - sum_j w_ij q_j, where w_i and w_ij are the shares of the terms in the
denominator. At the minimum p is the sum of the pulls, divided by 2 n weight_decay. With cosines p has length 1 instead
of weight decay, and is a multiple of this sum: the loss has no slope along the sphere. So p, and with it the score of
every item, is a sum over the choices. Fold-in and explanations use this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palate.models.factors import Doubles

MAX_STEPS = 30  # of Newton's method
TOLERANCE = 1e-9  # stop after a step that lowers the loss by a smaller fraction


@dataclass(frozen=True)
class Shares:
    """Shares in the denominators of n choices: w_i (n,), of all others (n,), and of each among the others (m,).

    losses: (n,) of the choices, divided by the temperature.
    """

    losses: Doubles
    own: Doubles
    rest: Doubles
    other: Doubles


@dataclass(frozen=True)
class Terms:
    """The items of one user's problem: chosen (n, k) with biases (n,), others (m, k) with biases (m,)."""

    chosen: Doubles
    chosen_biases: Doubles
    others: Doubles
    others_biases: Doubles
    each: float
    temperature: float

    def shares(self, p: Doubles) -> Shares:
        """The shares at p."""
        chosen = (self.chosen @ p + self.chosen_biases) / self.temperature
        others = (self.others @ p + self.others_biases) / self.temperature
        highest = others.max()
        mass = np.exp(others - highest)
        rest = highest + np.log(self.each * mass.sum())
        both = np.logaddexp(chosen, rest)
        return Shares(both - chosen, np.exp(chosen - both), np.exp(rest - both), mass / mass.sum())

    def pulls(self, p: Doubles) -> Doubles:
        """The negative gradient of each choice's loss, (n, k)."""
        shares = self.shares(p)
        away = shares.other @ self.others
        pulls: Doubles = (1 - shares.own)[:, None] * self.chosen - shares.rest[:, None] * away
        return pulls

    def data_loss(self, p: Doubles) -> float:
        """The loss at p, without weight decay."""
        return float(self.temperature * self.shares(p).losses.sum())

    def curvature(self, p: Doubles) -> Doubles:
        """Its second derivatives, (k, k): covariances of the items under the shares, summed over the choices."""
        shares = self.shares(p)
        means = shares.own[:, None] * self.chosen + shares.rest[:, None] * (shares.other @ self.others)
        squares = (self.chosen.T * shares.own) @ self.chosen
        squares += (self.others.T * (shares.rest.sum() * shares.other)) @ self.others
        curvature: Doubles = (squares - means.T @ means) / self.temperature
        return curvature


@dataclass(frozen=True)
class SoftmaxProblem(Terms):
    """The loss of one user as a function of p, (k,), with weight decay."""

    weight_decay: float

    @property
    def decay(self) -> float:
        """The factor of |p|^2 in the loss."""
        return len(self.chosen) * self.weight_decay

    def loss(self, p: Doubles) -> float:
        """The loss at p."""
        return self.data_loss(p) + float(self.decay * p @ p)

    def step(self, p: Doubles) -> Doubles:
        """The Newton step at p, (k,)."""
        gradient = 2 * self.decay * p - self.pulls(p).sum(axis=0)
        step: Doubles = np.linalg.solve(self.curvature(p) + 2 * self.decay * np.eye(len(p)), gradient)
        return step

    def solved(self) -> Doubles:
        """The p of minimum loss, (k,)."""
        return halving_steps(np.zeros(self.chosen.shape[1]), self.loss, lambda p, size: p - size * self.step(p))

    def contributions(self, p: Doubles, item: Doubles) -> Doubles:
        """The contribution of each choice to the score of an item with these factors (k,), (n,)."""
        contributions: Doubles = self.pulls(p) @ item / (2 * self.decay)
        return contributions


@dataclass(frozen=True)
class CosineProblem(Terms):
    """The loss of one user as a function of p, (k,), of length 1."""

    def loss(self, p: Doubles) -> float:
        """The loss at p."""
        return self.data_loss(p)

    def step(self, p: Doubles) -> Doubles:
        """The Newton step at p along the sphere, (k,); the gradient where this would not lower the loss."""
        gradient = -self.pulls(p).sum(axis=0)
        tangent = np.eye(len(p)) - np.outer(p, p)
        slope = tangent @ gradient
        curvature = tangent @ (self.curvature(p) - (gradient @ p) * np.eye(len(p))) @ tangent + np.outer(p, p)
        step: Doubles = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        return step if step @ slope > 0 else slope

    def solved(self) -> Doubles:
        """The p of length 1 and of minimum loss, (k,)."""
        start = unit(self.chosen.sum(axis=0))
        return halving_steps(start, self.loss, lambda p, size: unit(p - size * self.step(p)))

    def contributions(self, p: Doubles, item: Doubles) -> Doubles:
        """The contribution of each choice to the score of an item with these factors (k,), (n,)."""
        pulls = self.pulls(p)
        total = pulls.sum(axis=0)
        contributions: Doubles = pulls @ item * (total @ p / max(float(total @ total), 1e-30))
        return contributions


def halving_steps(
    start: Doubles, loss_of: Callable[[Doubles], float], moved: Callable[[Doubles, float], Doubles]
) -> Doubles:
    """The end of steps that lower the loss, each halved until it does. moved: the vector after a step of a size."""
    p, loss = start, loss_of(start)
    for _ in range(MAX_STEPS):
        tries = (moved(p, size) for size in 0.5 ** np.arange(12))
        better = next(((tried, new_loss) for tried in tries if (new_loss := loss_of(tried)) < loss), None)
        if better is None:
            break
        (p, loss), old_loss = better, loss
        if old_loss - loss < TOLERANCE * abs(old_loss):
            break
    return p


def unit(vector: Doubles) -> Doubles:
    """The vector with length 1; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
