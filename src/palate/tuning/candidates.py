"""A candidate: a recipe with options to try, fitted for a growing number of passes and measured after each fit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError
from palate.evaluation import evaluate
from palate.kernels.blas import single_threaded_blas
from palate.recipes import ImplicitALS
from palate.recipes.base import Recipe
from palate.recommender import Recommender
from palate.tuning.results import Trial

PASSES = ("n_sweeps", "n_epochs")  # the options that set the length of a fit


@dataclass
class Candidate:
    """A recipe with options to try, and what is known of it so far: passes, value, seconds.

    ratings: what it is fitted to. next_item: whether it is measured by what users choose next.
    """

    params: dict[str, Any]
    recipe: Recipe
    ratings: Ratings
    passes: int | None = None
    value: float | None = None
    seconds: float = 0.0
    next_item: bool = False

    def __post_init__(self) -> None:
        found = [name for name in PASSES if getattr(self.recipe, name, None) is not None]
        self.passes_option = found[0] if found else None
        recipe, ratings = self.recipe, self.ratings
        self._resume = None
        if isinstance(recipe, ImplicitALS) and not recipe.learns_from_tables(ratings):
            self._resume = _resumable(recipe, ratings)

    @property
    def has_passes(self) -> bool:
        """True if it can be measured after a part of its passes."""
        return self.passes_option is not None

    def measure(self, divisor: float, valid: Ratings, metric: str) -> None:
        """Fit for all passes divided by `divisor`, and measure; the value is None if the recipe cannot be fitted."""
        begin = time.perf_counter()
        n_passes = None if self.passes_option is None else getattr(self.recipe, self.passes_option)
        self.passes = None if n_passes is None else math.ceil(n_passes / divisor)
        try:
            self.value = _measure(self._fitted(), valid, metric, next_item=self.next_item)
        except (OptionError, DataError):
            self.value = None
        self.seconds += time.perf_counter() - begin

    def _fitted(self) -> Recommender:
        if self._resume is not None:
            with single_threaded_blas():
                return self._resume(self.passes)
        changed = {} if self.passes_option is None else {self.passes_option: self.passes}
        recommender = replace(self.recipe, **changed).fit(self.ratings, progress=False)
        if str(recommender.model.training.get("ended", "")).startswith("interrupted"):
            raise KeyboardInterrupt
        return recommender

    def trial(self, number: int, in_round: int) -> Trial:
        """Return what is known of it as a Trial."""
        is_whole = self.passes_option is None or self.passes == getattr(self.recipe, self.passes_option)
        state = "failed" if self.value is None else "finished" if is_whole else "stopped"
        taken = {} if self.value is None else self.recipe.data_defaults(self.ratings)
        return Trial(number, in_round, self.params, self.passes, self.value, round(self.seconds, 3), state, taken)


def _resumable(recipe: ImplicitALS, ratings: Ratings) -> Callable[[int | None], Recommender]:
    """Return a function of the number of sweeps that continues from the sweep where its last call stopped."""
    options = recipe.options()
    recipe = recipe.resolved(ratings)
    sweeps = enumerate(recipe.sweeps(ratings), 1)
    number, state = next(sweeps)

    def resume(n_sweeps: int | None) -> Recommender:
        nonlocal number, state
        while number < (n_sweeps or 1):
            number, state = next(sweeps)
        return Recommender.from_training(
            ratings,
            factors=recipe.factors(state, ratings),
            predicts_ratings=False,
            recipe={"name": type(recipe).__name__, **options},
        )

    return resume


def _measure(recommender: Recommender, valid: Ratings, metric: str, *, next_item: bool) -> float | None:
    k = int(metric.partition("@")[2] or 10)
    value = evaluate(recommender, valid, k=k, next_item=next_item, baselines=False, n_bootstrap=1)[metric]
    return value if math.isfinite(value) else None
