"""What all recipes share: the fit() of the public API, and what happens around each sweep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Kind, Ratings
from palate.errors import DataError, OptionError, PalateError
from palate.kernels.blas import single_threaded_blas
from palate.models.effects import TimeEffects
from palate.models.factors import Factors
from palate.models.posterior import Posterior
from palate.models.side_information import SideInfo
from palate.options import is_number, is_whole
from palate.recipes.monitor import Callback, Monitor, Progress
from palate.recommender import Recommender

MAX_SEED = 2**64 - 1
LARGEST = 1e30  # a rating beyond it is refused: float32 ends at 3e38


@dataclass(frozen=True)
class Trained:
    """What a recipe's own _fit gives: the factors, what it knows about their uncertainty, and the effects of time."""

    factors: Factors
    posterior: Posterior | None = None
    noise: float = float("nan")
    user_info: SideInfo | None = None
    item_info: SideInfo | None = None
    effects: TimeEffects | None = None
    user_noise: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Recipe(ABC):
    """How to learn: options only. Recipes compare equal when their options do."""

    predicts_ratings: ClassVar[bool] = True
    kinds: ClassVar[tuple[Kind, ...]] = ("explicit",)  # of ratings that it learns from
    unit: ClassVar[str] = "sweep"  # what one pass over the ratings is called

    def fit(
        self,
        ratings: Ratings,
        valid: Ratings | None = None,
        *,
        progress: Progress = "auto",
        callback: Callback | None = None,
    ) -> Recommender:
        """Learn from ratings and return a Recommender.

        valid: ratings whose error is shown (never learned from). progress: a line on standard error ("auto": when it is
        a terminal). callback: called with a Sweep after each; True from it ends the fit there. Ctrl-C ends the fit with
        what the sweeps so far give, and says so. Only the proportions of weights count: a rating of weight 2 says as
        much as two of weight 1; counts of implicit ratings stay as they are. Raises DataError when there is nothing to
        learn from, OptionError for ratings of a kind (explicit, implicit) that the recipe does not learn from.
        """
        _check_fit(ratings, valid)
        self._check_kind(ratings)
        ratings = ratings if ratings.is_implicit else with_unit_weights(ratings)
        monitor = Monitor(self.label(), valid, ratings.range, progress, callback, self.unit)
        with monitor, single_threaded_blas():
            trained = self._fit_or_explain(ratings, monitor)
        return Recommender.from_training(
            ratings,
            **vars(trained),
            predicts_ratings=self.predicts(ratings),
            recipe={"name": type(self).__name__, **self.options()},
            training=monitor.summary(),
        )

    @classmethod
    def defaults(cls) -> list[Recipe]:
        """What palate.compare tries of this kind: the recipe with its defaults."""
        return [cls()]

    def taken(self, ratings: Ratings) -> dict[str, Any]:  # noqa: ARG002
        """What a fit takes from these ratings for options that are not given (None)."""
        return {}

    def predicts(self, ratings: Ratings) -> bool:  # noqa: ARG002
        """Whether a model fitted to these ratings predicts ratings, or only ranks."""
        return self.predicts_ratings

    def _check_kind(self, ratings: Ratings) -> None:
        if ratings.kind in self.kinds:
            return
        name = type(self).__name__
        if ratings.is_implicit:
            raise OptionError(
                f"{name} learns how high people rate, and these ratings only say who chose what: fit ImplicitALS."
            )
        raise OptionError(
            f"{name} learns from who chose what, and these are ratings: fit it on ratings.likes(at_least=4), or read "
            'them with kind="implicit" if the numbers are counts.'
        )

    def _fit_or_explain(self, ratings: Ratings, monitor: Monitor) -> Trained:
        try:
            return self._fit(ratings, monitor)
        except PalateError:
            raise
        except ValueError as error:  # what the kernels say of numbers they cannot compute with
            raise OptionError(
                f"{self.label()} cannot be computed on these ratings in float32 ({error}): the usual reasons are a "
                "weight decay near zero, or a few weights or values a million times the others."
            ) from error

    def options(self) -> dict[str, Any]:
        """The options as plain Python values."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @abstractmethod
    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained: ...

    def label(self) -> str:
        """The recipe as one would type it: its name and the options that are not the default."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(changed)})"


def _plain(value: Any) -> Any:
    """A value as JSON would give it back."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def center_and_scale(ratings: Ratings) -> tuple[float, float]:
    """Weighted mean and standard deviation of the values; 1 for the latter where they are equal but for rounding.

    Raises DataError for values so large that float32 has no room to compute with them.
    """
    largest = float(np.abs(ratings.values).max())
    if largest > LARGEST:
        raise DataError(f"ratings as large as {largest:.3g} cannot be computed with; divide them all by {largest:.0e}.")
    values = ratings.values.astype(np.float64)
    center = float(np.average(values, weights=ratings.weights))
    scale = float(np.sqrt(np.average((values - center) ** 2, weights=ratings.weights)))
    return center, scale if scale > max(1e-6 * largest, 1 / LARGEST) else 1.0


def with_unit_weights(ratings: Ratings) -> Ratings:
    """The same ratings with weights that are 1 on average (over those above 0). Raises DataError when all are 0."""
    if ratings.weights is None:
        return ratings
    above = ratings.weights[ratings.weights > 0]
    if len(above) == 0:
        raise DataError("every rating has weight 0: there is nothing to learn from.")
    return ratings.with_weights((ratings.weights / above.mean(dtype=np.float64)).astype(np.float32))


def n_weighted(ratings: Ratings) -> int:
    """How many ratings count: those with a weight above 0."""
    return len(ratings) if ratings.weights is None else int(np.count_nonzero(ratings.weights))


def compress_both(ratings: Ratings) -> None:
    """Build both orientations of the ratings at once, on two threads."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ratings.by_user)
        ratings.by_item()
        other.result()


def check_counts(least: int = 0, most: float = np.inf, **options: Any) -> None:
    """OptionError for an option that is given and no whole number from `least` to `most`."""
    for name, value in options.items():
        if value is None:
            continue
        if not is_whole(value) or not least <= value <= most:
            bounds = f"{least} or more" if most == np.inf else f"from {least} to {most}"
            raise OptionError(f"{name} must be a whole number, {bounds}, got {value!r}.")


def check_positive(**options: Any) -> None:
    """OptionError for an option that is no finite number above zero."""
    for name, value in options.items():
        if not is_number(value) or not 0 < value < np.inf:
            raise OptionError(f"{name} must be a number above 0, got {value!r}.")


def check_not_negative(**options: Any) -> None:
    """OptionError for an option that is no finite number from zero up."""
    for name, value in options.items():
        if not is_number(value) or not 0 <= value < np.inf:
            raise OptionError(f"{name} must be 0 or a number above it, got {value!r}.")


def check_count_exponent(given: float) -> None:
    """OptionError for a power of the counts that is neither 0 nor 1 nor between them."""
    if not is_number(given) or not 0 <= given <= 1:
        raise OptionError(f"count_exponent lies between 0 (plain) and 1 (by counts), got {given!r}.")


def check_flags(**options: Any) -> None:
    """OptionError for an option that is neither True nor False."""
    for name, value in options.items():
        if not isinstance(value, bool | np.bool_):
            raise OptionError(f"{name} must be True or False, got {value!r}.")


def _check_fit(ratings: Ratings, valid: Ratings | None) -> None:
    for name, given in (("ratings", ratings), ("valid", valid)):
        if given is not None and not isinstance(given, Ratings):
            raise OptionError(f"{name} must be Ratings, got {type(given).__name__}; palate.read() makes them.")
        if given is not None and len(given) == 0:
            raise DataError("there are no ratings to learn from." if name == "ratings" else "valid has no ratings.")
    if valid is not None and not ratings.same_vocabulary(valid):
        raise OptionError("valid has other users or items than the ratings; split both from the same Ratings.")
