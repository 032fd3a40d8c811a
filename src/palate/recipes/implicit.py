"""ImplicitALS: matrix factorization of who chose what, by alternating least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from palate.answers.arguments import check_choice
from palate.data.ratings import Kind, Ratings
from palate.data.rows import transpose_rows
from palate.models.implicit import (
    CONFIDENCES,
    Confidence,
    ImplicitFactors,
    ImplicitProblem,
    Sweep,
    default_problem,
    start,
    sweeps,
    weighted_choices,
)
from palate.recipes.base import (
    MAX_SEED,
    Recipe,
    Trained,
    check_count_exponent,
    check_counts,
    check_positive,
    compress_both,
)
from palate.recipes.monitor import Monitor


@dataclass(frozen=True)
class ImplicitALS(Recipe):
    """Matrix factorization for implicit ratings (iALS; Hu, Koren & Volinsky 2008, as in Rendle et al. 2022).

    Everybody's score is 1 for what they chose and 0 for the rest, the latter with a weight of unobserved_weight:

        sum_chosen w (1 - x_u . y_i)^2 + unobserved_weight sum_all (x_u . y_i)^2
            + weight_decay (sum_u (n_u + unobserved_weight n_items)^count_exponent |x_u|^2 + the same of items)

    Where not given, unobserved_weight and weight_decay follow from the data (palate.models.implicit.usual_problem).
    confidence: what counts make of w: "relative" (1 + ln(1 + count / own mean count), over 1 + ln 2) or "equal" (1).
    More than 64 factors are improved 32 at a time in a sweep (iALS++, Rendle et al. 2021). predict() gives the score,
    without an interval. Raises OptionError for values that make no sense.

    >>> import palate
    >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
    >>> palate.ImplicitALS(n_factors=8).fit(likes).recommend("u1", n=3).columns
    ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)

    n_factors: int = 128
    n_sweeps: int = 8
    unobserved_weight: float | None = None
    weight_decay: float | None = None
    count_exponent: float = 1.0
    confidence: Confidence = "relative"
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_counts(1, n_factors=self.n_factors, n_sweeps=self.n_sweeps)
        check_counts(n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        given = {"unobserved_weight": self.unobserved_weight, "weight_decay": self.weight_decay}
        check_positive(**{name: value for name, value in given.items() if value is not None})
        check_choice("confidence", self.confidence, CONFIDENCES)
        check_count_exponent(self.count_exponent)

    def taken(self, ratings: Ratings) -> dict[str, Any]:
        """What a fit takes from these ratings for unobserved_weight and weight_decay, where they are not given."""
        problem = self.problem(ratings)
        names = ("unobserved_weight", "weight_decay")
        return {name: getattr(problem, name) for name in names if getattr(self, name) is None}

    def problem(self, ratings: Ratings) -> ImplicitProblem:
        """The least-squares problem that a fit on these ratings solves."""
        given = self.unobserved_weight, self.weight_decay, self.count_exponent
        return default_problem(ratings.by_user(), ratings.n_items, *given)

    def sweeps(self, ratings: Ratings) -> Iterator[Sweep]:
        """One sweep after the other, without end."""
        compress_both(ratings)
        by_user = weighted_choices(ratings.by_user(), self.confidence)
        by_item = ratings.by_item() if by_user.weights is None else transpose_rows(by_user, ratings.n_items)
        at = start(ratings.n_users, ratings.n_items, self.n_factors, self.seed)
        return sweeps(self.problem(ratings), by_user, by_item, at, self.n_threads, last=self.n_sweeps)

    def factors(self, at: Sweep, ratings: Ratings) -> ImplicitFactors:
        """What a sweep leaves to a model: every user exactly what the items and his own choices make of him."""
        problem = self.problem(ratings)
        by_user = weighted_choices(ratings.by_user(), self.confidence)
        return at.settled(problem, by_user, self.n_threads).factors(problem, self.confidence)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        at: Sweep | None = None
        try:
            for at in self.sweeps(ratings):
                error = at.error(ratings.by_user())
                if monitor.after_sweep(self.n_sweeps, error) or len(monitor.sweeps) == self.n_sweeps:
                    break
        except KeyboardInterrupt:
            if at is None:
                raise
            monitor.interrupted()
        assert at is not None
        return Trained(self.factors(at, ratings))
