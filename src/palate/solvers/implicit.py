"""ImplicitALS: matrix factorization of who chose what, by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palate.asking import check_choice
from palate.errors import OptionError
from palate.implicit import CONFIDENCES, Confidence, Implicit, start, sweeps
from palate.ratings import Kind, Ratings
from palate.solvers.base import MAX_SEED, Monitor, Recipe, Trained, check_counts, check_positive, compress_both


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

    def problem(self, ratings: Ratings) -> Implicit:  # noqa: ARG002
        """The least-squares problem that a fit on these ratings solves."""
        return Implicit(self.unobserved_weight, self.weight_decay, self.count_exponent, self.confidence)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        compress_both(ratings)
        problem = self.problem(ratings)
        at = start(ratings.n_users, ratings.n_items, self.n_factors, self.seed)
        by_user, by_item = ratings.by_user(), ratings.by_item()
        try:
            for at in sweeps(problem, by_user, by_item, at, self.n_threads):  # noqa: B020
                if monitor.after_sweep(self.n_sweeps, at.error(by_user)) or len(monitor.sweeps) == self.n_sweeps:
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(at.settled(problem, by_user, self.n_threads).factors(problem))
