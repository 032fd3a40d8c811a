"""ImplicitALS: matrix factorization of who chose what, by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from palate.asking import check_choice
from palate.errors import OptionError
from palate.factors import Floats, Prior
from palate.implicit import CONFIDENCES, Confidence, Implicit, ImplicitFactors, without_bias
from palate.ratings import Kind, Ratings
from palate.solvers.base import MAX_SEED, Monitor, Recipe, Trained, check_counts, check_positive, compress_both

START = 0.1  # spread of the scores at the start (Rendle et al. 2022, section 3.3)


@dataclass(frozen=True)
class ImplicitALS(Recipe):
    """Matrix factorization for implicit ratings (iALS; Hu, Koren & Volinsky 2008, as in Rendle et al. 2022).

    Everybody's score is 1 for what they chose and 0 for the rest, the latter with a weight of unobserved_weight:

        sum_chosen w (1 - x_u . y_i)^2 + unobserved_weight sum_all (x_u . y_i)^2
            + weight_decay (sum_u (n_u + unobserved_weight n_items)^count_exponent |x_u|^2 + the same of items)

    confidence: what counts make of w: "equal" (1), "log" (1 + ln count) or "count". predict() gives the score, without
    an interval. Raises OptionError for values that make no sense.

    >>> import palate
    >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
    >>> palate.ImplicitALS(n_factors=8).fit(likes).recommend("u1", n=3).columns
    ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)

    n_factors: int = 64
    n_sweeps: int = 10
    unobserved_weight: float = 0.2
    weight_decay: float = 0.01
    count_exponent: float = 1.0
    confidence: Confidence = "log"
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_counts(1, n_factors=self.n_factors, n_sweeps=self.n_sweeps)
        check_counts(n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        check_positive(unobserved_weight=self.unobserved_weight, weight_decay=self.weight_decay)
        check_choice("confidence", self.confidence, CONFIDENCES)
        if not 0 <= self.count_exponent <= 1:
            raise OptionError(f"count_exponent lies between 0 (plain) and 1 (by counts), got {self.count_exponent}.")

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        compress_both(ratings)
        problem = Implicit(self.unobserved_weight, self.weight_decay, self.count_exponent, self.confidence)
        rng = np.random.Generator(np.random.Philox(self.seed))
        spread = np.float32(START / np.sqrt(self.n_factors))
        users = np.zeros((ratings.n_users, self.n_factors), np.float32)
        items = rng.standard_normal((ratings.n_items, self.n_factors), np.float32) * spread
        try:
            for _ in range(self.n_sweeps):
                # The users last: then every user is exactly what the items and his own choices make of him.
                if monitor.sweeps:
                    items, _errors = problem.solve(ratings.by_item(), users, problem.background(users), self.n_threads)
                users, errors = problem.solve(ratings.by_user(), items, problem.background(items), self.n_threads)
                if monitor.after_sweep(self.n_sweeps, float(np.sqrt(errors.sum() / len(ratings)))):
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(self._factors(users, items))

    def _factors(self, users: Floats, items: Floats) -> ImplicitFactors:
        k = self.n_factors + 1
        prior = Prior(
            np.zeros((k, k), np.float32),
            np.zeros(k, np.float32),
            ridge=self.weight_decay,
            count_exponent=self.count_exponent,
        )
        return ImplicitFactors(
            0.0,
            without_bias(users),
            without_bias(items),
            prior,
            prior,
            unobserved_weight=self.unobserved_weight,
            confidence=self.confidence,
        )
