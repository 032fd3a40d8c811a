"""Noise that differs: some people rate in whims, others by rule.

    r_ui ~ Normal(score, 1 / (alpha g_u)),    g_u ~ Gamma(A/2, rate = A/2)

so that g is 1 on average, and a rating's noise is Student's t with A degrees of freedom where nothing is known of its
user. Given the errors of a user's n ratings, g_u ~ Gamma((A + n) / 2, rate = (A + alpha sum w e^2) / 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.models.factors import Floats

Doubles = NDArray[np.float64]

FREEDOM = 10.0  # A


class UserNoise:
    """How precise each user's ratings are, in units of alpha, and the mean of the inverse over draws: (n_users,)."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self._counts = counts
        self.precisions: Floats = np.ones(len(counts), np.float32)
        self._variances, self._n_kept = np.zeros(len(counts)), 0
        self._is_drawn = False

    @property
    def drawn(self) -> Floats | None:
        """The precisions, (n_users,); None before they were ever drawn, when all are 1."""
        return self.precisions if self._is_drawn else None

    def draw(self, errors: Doubles, alpha: float, rng: np.random.Generator) -> None:
        """New precisions given the sums of w g e^2 of each user's ratings under the present ones, (n_users,)."""
        squares = errors / self.precisions
        drawn = rng.gamma((FREEDOM + self._counts) / 2) / ((FREEDOM + alpha * squares) / 2)
        self.precisions = np.maximum(drawn, 1e-3).astype(np.float32)
        self._is_drawn = True

    def keep(self, alpha: float) -> None:
        """Take the present draw into the mean."""
        self._variances += 1 / (alpha * self.precisions.astype(np.float64))
        self._n_kept += 1

    def levels(self, scale: float) -> Floats:
        """The standard deviation of each user's ratings around their expectation, (n_users,), on the rating scale."""
        return (scale * np.sqrt(self._variances / max(self._n_kept, 1))).astype(np.float32)
