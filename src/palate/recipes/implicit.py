"""ImplicitALS: matrix factorization of implicit feedback, by alternating least squares.

The recipe holds the options. The least-squares problem, its default weights and the sweeps are in
`palate.models.implicit`, since fold-in users and updates solve the same problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from palate.data.blocks.mapped import Blocks
from palate.data.durations import Duration
from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, transpose_rows
from palate.distributed.exchange import Exchange
from palate.models.fading import Fading
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
from palate.recipes.base import Recipe, Trained
from palate.recipes.fading import checked_half_life, fading_of
from palate.recipes.hidden import some_users
from palate.recipes.implicit_choice import N_WIDE, Choice, choose
from palate.recipes.implicit_links import LinkedSweeps, Tables
from palate.recipes.monitor import Monitor

NAMES = {"n_factors": "the number of factors", "weight_decay": "the weight decay"}


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
        n_factors (int or None, default None): Latent factors, 1 or more. None: 128, or 256 where 128 are all in use and
            256 rank better what is hidden of 3,000 users in short trials. The fit's training["n_factors"] says which.
        n_sweeps (int, default 8): Sweeps over users and items, 1 or more.
        unobserved_weight (float or None, default None): Weight of the target 0, above 0. None: sqrt(p), where p is the
            share of observed cells among the users and items with choices.
        weight_decay (float or None, default None): Regularisation of both sides, above 0. None: such that a typical row
            is regularised by 0.45 (sqrt(choices per user) + sqrt(choices per item)), or by an eighth to eight times as
            much, whatever ranks best in the same trials, which take longer than the rest of the fit. With fewer than
            100 users of five choices there is no trial. The fit's training["weight_decay"] says which it was.
        count_exponent (float, default 1.0): How weight decay grows with the choices of a row, from 0 (the same for all
            rows) to 1 (in proportion).
        confidence ("relative" or "equal", default "relative"): The weight w of a choice made `count` times. "relative":
            (1 + ln(1 + count / the user's mean count)) / (1 + ln 2). "equal": 1. Choices without counts have weight 1.
        recency (float or None, default None): The number of later choices of the same user after which a choice counts
            half: its weight w is multiplied by 1 / (1 + k / recency), k being the number of later ones, in the fit and
            in answers. None: the order counts nothing.
        half_life (str, timedelta, float or None, default None): The age at which a choice counts half, "30d", "12h", a
            timedelta or seconds: its weight w is multiplied by 0.5^(age / half_life), the age being how much older it
            is than the user's last. With recency, by the product of both. None: ages count nothing.
        features (bool, default True): Use as side information the columns of ratings.user_table and ratings.item_table,
            where there are such tables.
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range.
        DataError: fit() raises it for half_life where the ratings have no times.

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
    keeps_checkpoints: ClassVar[bool] = True
    leaves_on_disk: ClassVar[bool] = True
    distributes: ClassVar[bool] = True

    n_factors: int | None = None
    n_sweeps: int = 8
    unobserved_weight: float | None = None
    weight_decay: float | None = None
    count_exponent: float = 1.0
    confidence: Confidence = "relative"
    recency: float | None = None
    half_life: Duration | None = None
    features: bool = True
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_whole(1, n_sweeps=self.n_sweeps)
        check_whole(1, or_none=True, n_factors=self.n_factors)
        check_whole(n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
        given = {"unobserved_weight": self.unobserved_weight, "weight_decay": self.weight_decay}
        check_positive(**{name: value for name, value in given.items() if value is not None})
        check_choice("confidence", self.confidence, CONFIDENCES)
        object.__setattr__(self, "half_life", checked_half_life(self.recency, self.half_life))
        check_flags(features=self.features)
        check_between(0, 1, count_exponent=self.count_exponent)

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:
        """Return the n_factors, unobserved_weight and weight_decay that a fit uses where they are None.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            dict: Values by option name; only options that are None have one.

        Example:
            >>> import palate
            >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
            >>> list(palate.ImplicitALS().data_defaults(likes))
            ['n_factors', 'unobserved_weight', 'weight_decay']
        """
        taken = self.resolved(self._as_events(ratings))
        names = ("n_factors", "unobserved_weight", "weight_decay")
        return {name: getattr(taken, name) for name in names if getattr(self, name) is None}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes; those of the widest model where the fit chooses.
        """
        widest = self if self.n_factors is not None else replace(self, n_factors=N_WIDE)
        return Recipe.bytes_needed(widest, ratings)

    def learns_from_tables(self, ratings: Ratings) -> bool:
        """Tell whether a fit learns from tables too, which sweeps() does not.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            bool: True with features=True and a table of users or of items.
        """
        return self.features and (ratings.user_table is not None or ratings.item_table is not None)

    def resolved(self, ratings: Ratings) -> ImplicitALS:
        """Return the recipe with the values that a fit uses in place of options left at None.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            ImplicitALS: None of its options is None. It fits the same model.

        Example:
            >>> import palate
            >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
            >>> palate.ImplicitALS(weight_decay=0.01).resolved(likes).n_factors
            128
        """
        problem = self._problem(ratings)
        taken = self._choice(ratings, problem)
        return replace(self, **taken._asdict(), unobserved_weight=problem.unobserved_weight)

    def _problem(self, ratings: Ratings) -> ImplicitProblem:
        """The least-squares problem with the usual values of what is not given."""
        return self._usual_problem(ratings.by_user(), ratings.n_items)

    def _usual_problem(self, by_user: CompressedRows, n_items: int) -> ImplicitProblem:
        given = self.unobserved_weight, self.weight_decay, self.count_exponent
        return default_problem(by_user, n_items, *given)

    def _choice(self, ratings: Ratings, problem: ImplicitProblem) -> Choice:
        """The width and the decay; of very many choices, by some users: as many times the usual decay as is best."""
        is_plain = self._fading(ratings).is_none
        rows = ratings.by_user() if is_plain else self._weighted(ratings)
        sample, _ = some_users(rows, None)
        if sample is rows:
            return self._choice_of(rows, ratings.n_items, problem, is_plain=is_plain)
        usual = self._usual_problem(sample, ratings.n_items)
        choice = self._choice_of(sample, ratings.n_items, usual, is_plain=is_plain)
        return choice._replace(weight_decay=choice.weight_decay / usual.weight_decay * problem.weight_decay)

    def _choice_of(self, rows: CompressedRows, n_items: int, usual: ImplicitProblem, *, is_plain: bool) -> Choice:
        return choose(
            rows,
            n_items,
            usual,
            n_factors=self.n_factors,
            chooses_decay=self.weight_decay is None,
            confidence=self.confidence if is_plain else "given",
            seed=self.seed,
            n_threads=self.n_threads,
        )

    def sweeps(self, ratings: Ratings) -> Iterator[Sweep]:
        """Yield the state after each sweep of a fit, without end; n_sweeps does not stop it.

        Parameters:
            ratings (Ratings): Implicit feedback to learn from.

        Returns:
            Iterator of palate.models.implicit.Sweep: Factors of users (n_users, k) and of items (n_items, k).
        """
        recipe = self.resolved(ratings)
        return _PlainSweeps(recipe, ratings, recipe._problem(ratings), recipe._rows(ratings)).passes()

    def _rows(self, ratings: Ratings) -> tuple[CompressedRows, CompressedRows]:
        """The choices with their weights, by user and by item."""
        if not self._weighs(ratings):
            return replace(ratings.by_user(), weights=None, times=None), replace(ratings.by_item(), weights=None)
        if isinstance(ratings, Blocks):  # weights are as long as the ratings: they go to the disk as well
            fading = self._fading(ratings)
            weighted = ratings.changed(lambda _, rows: weighted_choices(rows, self.confidence, fading=fading))
            return weighted.by_user(), weighted.by_item()
        by_user = self._weighted(ratings)
        return by_user, transpose_rows(by_user, ratings.n_items)

    def _weighs(self, ratings: Ratings) -> bool:
        """Whether some choices count more than others."""
        has_counts = ratings.weights is not None and self.confidence != "equal"
        return has_counts or not self._fading(ratings).is_none

    def _fading(self, ratings: Ratings) -> Fading:
        return fading_of(self.recency, self.half_life, ratings)

    def _weighted(self, ratings: Ratings) -> CompressedRows:
        """The choices with their weights, by user."""
        return weighted_choices(ratings.by_user(), self.confidence, fading=self._fading(ratings))

    def factors(self, state: Sweep, ratings: Ratings) -> ImplicitFactors:
        """Return the factors of a model after a sweep, every user solved exactly for the items there.

        Parameters:
            state (palate.models.implicit.Sweep): What sweeps() yielded.
            ratings (Ratings): The implicit feedback it learned from.

        Returns:
            ImplicitFactors: The factors, with what fold-in users need.
        """
        problem = self.resolved(ratings)._problem(ratings)
        by_user = self._weighted(ratings)
        settled = state.settled(problem, by_user, self.n_threads)
        return settled.factors(problem, self.confidence, self._fading(ratings))

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        recipe = self._chosen(ratings, monitor)
        problem, rows = recipe._problem(ratings), recipe._rows(ratings)
        tables = Tables.of(ratings) if self.features else None
        run: _PlainSweeps | LinkedSweeps
        if tables is None:
            run = _PlainSweeps(recipe, ratings, problem, rows, monitor.on)
        else:
            run = LinkedSweeps(problem, rows, tables, recipe._start(ratings), self.n_threads, monitor.on)
        is_resumed = monitor.resume(run)
        state = run.at
        try:
            if not is_resumed:
                monitor.keep(run)  # what the fit has chosen took longer than its sweeps will
            for state in run:
                error = state.error(ratings.by_user())
                if monitor.after_sweep(self.n_sweeps, error) or len(monitor.sweeps) == self.n_sweeps:
                    break
                monitor.keep(run)
        except KeyboardInterrupt:
            if not monitor.sweeps:
                raise
            monitor.interrupted()
        state = state.settled(problem, rows[0], self.n_threads, monitor.on)
        factors = state.factors(problem, self.confidence, self._fading(ratings))
        return run.trained(factors) if isinstance(run, LinkedSweeps) else Trained(factors)

    def _chosen(self, ratings: Ratings, monitor: Monitor) -> ImplicitALS:
        """The recipe with the settings that the fit takes: those of its checkpoint, or chosen by the data."""
        if not monitor.taken:
            chosen = [name for name in ("n_factors", "weight_decay") if getattr(self, name) is None]
            monitor.note("choosing " + " and ".join(NAMES[name] for name in chosen) if chosen else "")
            recipe = self.resolved(ratings)
            monitor.taken |= {name: getattr(recipe, name) for name in NAMES}
        monitor.note("{n_factors} factors, weight decay {weight_decay:.3g}".format(**monitor.taken))
        return replace(self, **{name: monitor.taken[name] for name in NAMES})

    def _start(self, ratings: Ratings) -> Sweep:
        assert self.n_factors is not None
        return start(ratings.n_users, ratings.n_items, self.n_factors, self.seed)


class _PlainSweeps:
    """The sweeps of a fit without links."""

    STATE: ClassVar = ("vectors",)

    def __init__(
        self,
        recipe: ImplicitALS,
        ratings: Ratings,
        problem: ImplicitProblem,
        rows: tuple[CompressedRows, CompressedRows],
        on: Exchange | None = None,
    ) -> None:
        self._on = on
        self._problem, self._rows, self._n_threads, self._last = problem, rows, recipe.n_threads, recipe.n_sweeps
        self.at, self._done = recipe._start(ratings), 0

    @property
    def vectors(self) -> tuple[Any, ...]:
        """The vectors as plain values: of users and items, and the number of sweeps that led to them."""
        return (*self.at, self._done)

    @vectors.setter
    def vectors(self, values: tuple[Any, ...]) -> None:
        *at, self._done = values
        self.at = Sweep(*at)

    def passes(self) -> Iterator[Sweep]:
        """Yield the state after each sweep, without end."""
        options: dict[str, Any] = {"last": self._last, "done": self._done, "on": self._on}
        return sweeps(self._problem, *self._rows, self.at, self._n_threads, **options)

    def __iter__(self) -> Iterator[Sweep]:
        for at in self.passes():
            self.at, self._done = at, self._done + 1
            yield at
