"""Forecasts: the predictive distribution of ratings, and what timestamps change about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from palate.models.factors import Doubles
from palate.models.step_distribution import StepDistribution, z_of


@dataclass(frozen=True)
class Forecast:
    """The predictive distribution of n ratings.

    Attributes:
        mean (float64 array of shape (n,)): Predicted ratings, not clipped to the rating range.
        standard_deviation (float64 array of shape (n,)): Of a rating around its mean, noise included, in rating units.
        score_variance (float64 array of shape (n,)): Variance of the score, noise not included.
        steps (StepDistribution, default None): The distribution over the steps of the scale, where there are steps.
        latent (two float64 arrays of shape (n,), default None): Center and deviation of the latent variable, for
            ordered ratings; None: mean and standard_deviation.
    """

    mean: Doubles
    standard_deviation: Doubles
    score_variance: Doubles
    steps: StepDistribution | None = None
    latent: tuple[Doubles, Doubles] | None = None

    @property
    def probabilities(self) -> Doubles | None:
        """The probability of each step, (n, K); None without steps."""
        return None if self.steps is None else self.steps.probabilities(*self._latent)

    def interval(self, level: float) -> tuple[Doubles, Doubles]:
        """Lower and upper ends of the intervals of this level, (n,) each, not clipped; the mean lies inside.

        On a scale of steps they are central by probability; else the mean less and plus z standard deviations.
        """
        if self.steps is None or self.steps.tails is None:
            reach = z_of(level) * self.standard_deviation
            return self.mean - reach, self.mean + reach
        low, high = self.steps.interval(level, *self._latent)
        return np.minimum(low, self.mean), np.maximum(high, self.mean)

    @property
    def _latent(self) -> tuple[Doubles, Doubles]:
        return (self.mean, self.standard_deviation) if self.latent is None else self.latent


class TimeShift(NamedTuple):
    """What timestamps change about n ratings.

    Attributes:
        shift (float64 array of shape (n,)): Added to the score, in score units.
        noise_variance (float64 array of shape (n,)): Variance of a rating around its score, in squared rating units.
        score_variance (float64 array of shape (n,), or float): Added to the variance of the score.
    """

    shift: Doubles
    noise_variance: Doubles
    score_variance: Doubles | float
