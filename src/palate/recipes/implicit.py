"""ImplicitALS: matrix factorization of implicit feedback, by alternating least squares.

The recipe holds the options. The least-squares problem, its default weights and the sweeps are in
`palate.models.implicit`, since fold-in users and updates solve the same problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, transpose_rows
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
from palate.options import MAX_SEED, check_between, check_choice, check_flags, check_positive, check_seed, check_whole
from palate.recipes.base import Recipe, Trained, compress_both
from palate.recipes.implicit_decay import choose_decay
from palate.recipes.implicit_links import LinkedSweeps, Tables
from palate.recipes.monitor import Monitor


@dataclass(frozen=True)
class ImplicitALS(Recipe):
    """Matrix factorization of implicit feedback, by alternating least squares (iALS).

    The score x_u . y_i is fitted to 1 for the items that a user chose, with a weight w, and to 0 for all items, with
    the unobserved weight. With e = count_exponent it minimises

        sum_chosen w (1 - x_u . y_i)^2 + unobserved_weight sum_all (x_u . y_i)^2
            + weight_decay (sum_u (n_u + unobserved_weight n_items)^e |x_u|^2
                          + sum_i (n_i + unobserved_weight n_users)^e |y_i|^2)

    where n_u and n_i are numbers of choices. Above 64 factors a sweep solves for 32 of them at a time (iALS++).
    predict() gives the score, without an interval.

    With a table of users or of items, x_u and y_i are regularised towards m + F beta in place of 0, where F are the
    features of the table, and the link (m, beta) of its side is a ridge regression that is learned between the sweeps;
    its strength follows from the data, for each column of the table. So users and items without choices get lists and
    places in lists by what the table says of them. A sweep then solves for all factors at once.

    Parameters:
        n_factors (int, default 128): Latent factors, 1 or more.
        n_sweeps (int, default 8): Sweeps over users and items, 1 or more.
        unobserved_weight (float or None, default None): Weight of the target 0, above 0. None: sqrt(p), where p is the
            share of observed cells among the users and items with choices.
        weight_decay (float or None, default None): Regularisation of both sides, above 0. None: such that a typical row
            is regularised by 0.45 (sqrt(choices per user) + sqrt(choices per item)), or by an eighth to eight times as
            much, whatever ranks best what is hidden of 3,000 users in short trials, which take longer than the rest of
            the fit. With fewer than 100 users of five choices there is no trial. The fit's training["weight_decay"]
            says which it was.
        count_exponent (float, default 1.0): How weight decay grows with the choices of a row, from 0 (the same for all
            rows) to 1 (in proportion).
        confidence ("relative" or "equal", default "relative"): The weight w of a choice made `count` times. "relative":
            (1 + ln(1 + count / the user's mean count)) / (1 + ln 2). "equal": 1. Choices without counts have weight 1.
        features (bool, default True): Use as side information the columns of ratings.user_table and ratings.item_table,
            where there are such tables.
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range.

    Source:
        Hu, Koren & Volinsky (2008), Collaborative Filtering for Implicit Feedback Datasets; Rendle, Krichene, Zhang &
        Koren (2022), Revisiting the Performance of iALS on Item Recommendation Benchmarks, equation 4; Rendle,
        Krichene, Zhang & Koren (2021), iALS++: Speeding up Matrix Factorization with Subspace Optimization. Fang & Si
        (2011), Matrix Co-factorization for Recommendation with Rich Side Information and Implicit Feedback (links).

    Example:
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
    features: bool = True
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_whole(1, n_factors=self.n_factors, n_sweeps=self.n_sweeps)
        check_whole(n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
        given = {"unobserved_weight": self.unobserved_weight, "weight_decay": self.weight_decay}
        check_positive(**{name: value for name, value in given.items() if value is not None})
        check_choice("confidence", self.confidence, CONFIDENCES)
        check_flags(features=self.features)
        check_between(0, 1, count_exponent=self.count_exponent)

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:
        """Return the unobserved_weight and weight_decay that a fit uses where they are None.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            dict: Values by option name; only options that are None have one.

        Example:
            >>> import palate
            >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
            >>> sorted(palate.ImplicitALS().data_defaults(likes))
            ['unobserved_weight', 'weight_decay']
        """
        problem = self.problem(ratings)
        names = ("unobserved_weight", "weight_decay")
        return {name: getattr(problem, name) for name in names if getattr(self, name) is None}

    def problem(self, ratings: Ratings) -> ImplicitProblem:
        """Return the least-squares problem that a fit on these ratings solves.

        Parameters:
            ratings (Ratings): Implicit feedback.

        Returns:
            ImplicitProblem: The unobserved weight, the weight decay and the count exponent.
        """
        given = self.unobserved_weight, self.weight_decay, self.count_exponent
        problem = default_problem(ratings.by_user(), ratings.n_items, *given)
        if self.weight_decay is not None:
            return problem
        decay = choose_decay(
            ratings.by_user(),
            ratings.n_items,
            problem,
            n_factors=self.n_factors,
            confidence=self.confidence,
            seed=self.seed,
            n_threads=self.n_threads,
        )
        return replace(problem, weight_decay=decay)

    def sweeps(self, ratings: Ratings) -> Iterator[Sweep]:
        """Yield the state after each sweep of a fit, without end; n_sweeps does not stop it.

        Parameters:
            ratings (Ratings): Implicit feedback to learn from.

        Returns:
            Iterator of palate.models.implicit.Sweep: Factors of users (n_users, k) and of items (n_items, k).
        """
        by_user, by_item = self._rows(ratings)
        state = start(ratings.n_users, ratings.n_items, self.n_factors, self.seed)
        return sweeps(self.problem(ratings), by_user, by_item, state, self.n_threads, last=self.n_sweeps)

    def _rows(self, ratings: Ratings) -> tuple[CompressedRows, CompressedRows]:
        """The choices with their weights, by user and by item."""
        compress_both(ratings)
        by_user = weighted_choices(ratings.by_user(), self.confidence)
        if by_user.weights is None:
            return by_user, replace(ratings.by_item(), weights=None)
        return by_user, transpose_rows(by_user, ratings.n_items)

    def factors(self, state: Sweep, ratings: Ratings) -> ImplicitFactors:
        """Return the factors of a model after a sweep, every user solved exactly for the items there.

        Parameters:
            state (palate.models.implicit.Sweep): What sweeps() yielded.
            ratings (Ratings): The implicit feedback it learned from.

        Returns:
            ImplicitFactors: The factors, with what fold-in users need.
        """
        problem = self.problem(ratings)
        by_user = weighted_choices(ratings.by_user(), self.confidence)
        return state.settled(problem, by_user, self.n_threads).factors(problem, self.confidence)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        monitor.note("choosing the weight decay" if self.weight_decay is None else "")
        problem = self.problem(ratings)
        recipe = replace(self, unobserved_weight=problem.unobserved_weight, weight_decay=problem.weight_decay)
        monitor.taken["weight_decay"] = problem.weight_decay
        monitor.note(f"weight decay {problem.weight_decay:.3g}")
        tables = Tables.of(ratings) if self.features else None
        begun = start(ratings.n_users, ratings.n_items, self.n_factors, self.seed)
        linked: LinkedSweeps | None = None
        if tables is not None:
            linked = LinkedSweeps(problem, recipe._rows(ratings), tables, begun, self.n_threads)
        state: Sweep | None = None
        try:
            for state in linked or recipe.sweeps(ratings):
                error = state.error(ratings.by_user())
                if monitor.after_sweep(self.n_sweeps, error) or len(monitor.sweeps) == self.n_sweeps:
                    break
        except KeyboardInterrupt:
            if state is None:
                raise
            monitor.interrupted()
        assert state is not None
        if linked is not None:
            return linked.trained(state.factors(problem, self.confidence))
        return Trained(recipe.factors(state, ratings))
