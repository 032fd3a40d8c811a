"""One candidate on its way: fitted on the inner ratings in parts of its passes, measured on the held-out ones."""

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

PASSES = ("n_sweeps", "n_epochs")  # options that say how long a fit is


@dataclass
class Attempt:
    """One candidate on its way: fitted so far, measured so far."""

    params: dict[str, Any]
    recipe: Recipe
    ratings: Ratings
    passes: int | None = None
    value: float | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        found = [name for name in PASSES if getattr(self.recipe, name, None) is not None]
        self.unit = found[0] if found else None
        self._climb = _sweeping(self.recipe, self.ratings) if isinstance(self.recipe, ImplicitALS) else None

    @property
    def is_long(self) -> bool:
        """Whether it can be measured after a part of its passes."""
        return self.unit is not None

    def measure(self, share: float, valid: Ratings, metric: str) -> None:
        """Go on to 1 / share of all passes, and see how good it is there; without a value where it cannot be fitted."""
        begun = time.perf_counter()
        whole = None if self.unit is None else getattr(self.recipe, self.unit)
        self.passes = None if whole is None else math.ceil(whole / share)
        try:
            self.value = _measured(self._fitted(), valid, metric)
        except (OptionError, DataError):
            self.value = None
        self.seconds += time.perf_counter() - begun

    def _fitted(self) -> Recommender:
        if self._climb is not None:
            with single_threaded_blas():
                return self._climb(self.passes)
        changed = {} if self.unit is None else {self.unit: self.passes}
        recommender = replace(self.recipe, **changed).fit(self.ratings, progress=False)
        if str(recommender.model.training.get("ended", "")).startswith("interrupted"):
            raise KeyboardInterrupt
        return recommender

    def trial(self, number: int, in_round: int) -> Trial:
        """What to note of it."""
        is_whole = self.unit is None or self.passes == getattr(self.recipe, self.unit)
        state = "failed" if self.value is None else "finished" if is_whole else "stopped"
        taken = {} if self.value is None else self.recipe.data_defaults(self.ratings)
        return Trial(number, in_round, self.params, self.passes, self.value, round(self.seconds, 3), state, taken)


def _sweeping(recipe: ImplicitALS, ratings: Ratings) -> Callable[[int | None], Recommender]:
    """A function of the number of sweeps that goes on from where it stood when it was last asked."""
    steps = enumerate(recipe.sweeps(ratings), 1)
    here = next(steps)

    def climb(n_sweeps: int | None) -> Recommender:
        nonlocal here
        while here[0] < (n_sweeps or 1):
            here = next(steps)
        at = here[1]
        about = {"name": type(recipe).__name__, **recipe.options()}
        return Recommender.from_training(
            ratings,
            factors=recipe.factors(at, ratings),
            predicts_ratings=False,
            recipe=about,
        )

    return climb


def _measured(recommender: Recommender, valid: Ratings, metric: str) -> float | None:
    k = int(metric.partition("@")[2] or 10)
    value = evaluate(recommender, valid, k=k, baselines=False, n_bootstrap=1)[metric]
    return value if math.isfinite(value) else None
