"""What all recipes share: the public fit(), and the preparation of ratings.

fit() checks its arguments, scales weights to a mean of 1, runs the recipe's own `_fit` under a Monitor (progress line,
callback, Ctrl-C), and wraps the result, a `Trained`, in a Recommender. A recipe holds options only: there is no
unfitted model.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.mapped import Blocks
from palate.data.blocks.rows_on_disk import NOT_ON_DISK
from palate.data.order import joined, oldest_first
from palate.data.ratings import Kind, Ratings, with_positive_weights
from palate.data.rows import CompressedRows, mean_and_deviation, mean_over, row_codes
from palate.distributed.exchange import Cluster, connected
from palate.errors import DataError, OptionError, PalateError
from palate.kernels.blas import single_threaded_blas
from palate.models.effects import TimeEffects
from palate.models.factors import Factors
from palate.models.posterior import Posterior
from palate.models.side_information import SideInfo
from palate.models.step_distribution import StepDistribution
from palate.options import check_flags, check_whole
from palate.recipes.checkpoints import Checkpoint
from palate.recipes.monitor import Callback, Monitor
from palate.recommender import Recommender
from palate.showing.events import tell, within
from palate.showing.live import Progress

COPIES, RATING_BYTES = 3, 64  # of vectors, and of a rating by user and by item, while a fit goes on
DISTRIBUTED = ("Bayes", "ALS", "ImplicitALS", "Bias")  # the recipes that can be spread over a cluster
MAX_RATING = 1e30  # in absolute value; float32 ends at 3e38


@dataclass(frozen=True)
class Trained:
    """The result of `Recipe._fit`.

    noise: the standard deviation of a rating around its prediction, on the rating scale; nan if it was not measured.
    user_noise: the same for each user, (n_users,). step_distribution: the distribution over the steps of the scale. The
    posterior, the side information, the effects of time and the steps are None where the recipe does not learn them.
    """

    factors: Factors
    posterior: Posterior | None = None
    noise: float = float("nan")
    user_info: SideInfo | None = None
    item_info: SideInfo | None = None
    effects: TimeEffects | None = None
    user_noise: NDArray[np.float32] | None = None
    step_distribution: StepDistribution | None = None


@dataclass(frozen=True)
class Recipe(ABC):
    """A way to learn, with its options: palate.Bayes, palate.ALS and the others.

    A recipe never changes: fit() returns a trained Recommender and leaves the recipe as it is. Recipes are equal if
    their options are.

    Attributes:
        predicts_ratings (bool): True if its models predict ratings; False if they only rank items by a score.
        kinds (tuple of str): The kinds of ratings it learns from: "explicit" (ratings), "implicit" (choices), or both.
        unit (str): What one pass over the ratings is called: "sweep" or "epoch".
        reads_order (bool): True if it learns from repeated choices as events of their own. Others take each pair of
            implicit ratings once, with the sum of its counts, at the place and time of its last event.
        keeps_checkpoints (bool): True if its fits can go on after their process has ended: fit(checkpoint=...).
        leaves_on_disk (bool): True if its fits read Blocks from the disk again and again. Other recipes hold all
            ratings in memory, also those of Blocks.
        distributes (bool): True if fit(on=...) can spread it over a cluster.
    """

    predicts_ratings: ClassVar[bool] = True
    kinds: ClassVar[tuple[Kind, ...]] = ("explicit",)
    unit: ClassVar[str] = "sweep"
    reads_order: ClassVar[bool] = False
    keeps_checkpoints: ClassVar[bool] = False
    leaves_on_disk: ClassVar[bool] = False
    distributes: ClassVar[bool] = False

    def fit(
        self,
        ratings: Ratings,
        valid: Ratings | None = None,
        *,
        on: Cluster | None = None,
        progress: Progress = "auto",
        callback: Callback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 5,
        resume: bool = False,
    ) -> Recommender:
        """Learn from ratings and return a Recommender.

        Weights of ratings count in proportion: a rating of weight 2 counts as two of weight 1, one of weight 0 as none.
        Counts of implicit feedback stay as they are. Ctrl-C ends the fit early: the model is made of the sweeps so far,
        and a message is printed.

        Parameters:
            ratings (Ratings): What to learn from.
            valid (Ratings or None, default None): Held-out ratings with the same users and items. No factor is learned
                from them. Their RMSE is reported after each sweep; ALS, SGD and Neighbors take it for the width of
                prediction intervals, and SGD(patience=...) stops by it. Fits to implicit feedback do not use them.
            on (cluster or None, default None): What palate.distributed.ray returns: Bayes, ALS, ImplicitALS and Bias
                then solve users and items on the workers of that cluster, with the same result, from ratings on disk
                (palate.blocks). None: this process does everything.
            progress (bool or "auto", default "auto"): Show a progress line, on standard error or in the notebook;
                "auto" shows it on a terminal and in a notebook.
            callback (callable or None, default None): Called with a palate.recipes.Sweep after each sweep or epoch. If
                it returns True, the fit ends there.
            checkpoint (path or None, default None): A folder in which ALS, Bayes, Bias and ImplicitALS keep their state
                from time to time. It is removed when the fit has finished, and stays after Ctrl-C.
            checkpoint_every (int, default 5): Sweeps between two checkpoints, 1 or more.
            resume (bool, default False): Go on from the checkpoint, to the same bytes as without the interruption;
                begin anew if there is none. Ratings and options must be the same; n_threads may differ.

        Returns:
            Recommender: The trained model. It knows all users and items of the vocabularies of `ratings`.

        Raises:
            DataError: `ratings` or `valid` is empty, every rating has weight 0, or values exceed 1e30.
            OptionError: The recipe does not learn from ratings of this kind; `valid` has other users or items; the
                options and values cannot be computed with in float32; the recipe keeps no checkpoints; the checkpoint
                belongs to another fit; there is one and resume is False; or `on` is given, and the recipe cannot be
                spread over a cluster or the ratings are in memory.
            ModelFileError: A checkpoint cannot be written, or is damaged.
            ClusterError: No worker of the cluster starts, or they are of other versions.

        Example:
            >>> import palate
            >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
            >>> train, valid = palate.split_random(ratings, test=0.1, seed=0)
            >>> errors = []
            >>> rec = palate.ALS(n_sweeps=5).fit(train, valid, callback=lambda sweep: errors.append(sweep.valid_rmse))
            >>> len(errors)
            5
        """
        _check_fit(ratings, valid)
        self._check_kind(ratings)
        if on is not None:
            self._check_on(ratings)
        kept = self._checkpoint(checkpoint, checkpoint_every, ratings, valid, resume=resume)
        ratings, valid = _counted(ratings), None if valid is None else _counted(valid)
        ratings = self._as_events(ratings) if ratings.is_implicit else with_unit_weights(ratings)
        monitor = Monitor(self.label(), valid, ratings.range, progress, callback, self.unit, checkpoint=kept)
        _tell_start(self.label(), ratings)
        with monitor, connected(on) as monitor.on, single_threaded_blas():
            monitor.begin(resume=resume)
            with within("fit"):
                trained = self._fit_or_explain(ratings, monitor)
        monitor.end()
        monitor.tell_end(len(ratings))
        return Recommender.from_training(
            ratings,
            **vars(trained),
            predicts_ratings=self.predicts(ratings),
            recipe=self._named_options(),
            training=monitor.summary() | _about(ratings) | ({} if monitor.on is None else monitor.on.about),
        )

    @classmethod
    def defaults(cls) -> list[Recipe]:
        """Return the recipes that palate.compare() tries of this class.

        Returns:
            list of Recipe: The recipe with its default options; Neighbors gives one by items and one by users.

        Example:
            >>> import palate
            >>> [recipe.label() for recipe in palate.Neighbors.defaults()]
            ['Neighbors()', "Neighbors(by='users')"]
        """
        return [cls()]

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:  # noqa: ARG002
        """Return the values that a fit uses for options left at None, where these depend on the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            dict: Values by option name. Empty if no such option is None.

        Example:
            >>> import palate
            >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
            >>> palate.Bayes().data_defaults(ratings), palate.Bayes(n_factors=8).data_defaults(ratings)
            ({'n_factors': 15, 'n_samples': 32}, {'n_samples': 32})
        """
        return {}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes, of vectors and the copies that are made of them.

        Example:
            >>> import palate
            >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
            >>> palate.ALS(n_factors=31).bytes_needed(ratings) < palate.ALS(n_factors=63).bytes_needed(ratings)
            True
        """
        n_columns = 1 + int(getattr(self, "n_factors", 0))
        return COPIES * 4 * n_columns * (ratings.n_users + ratings.n_items) + self._rating_bytes(ratings)

    def _rating_bytes(self, ratings: Ratings) -> int:
        """The bytes of memory that a fit needs for the ratings, besides these."""
        return 0 if self.leaves_on_disk and isinstance(ratings, Blocks) else RATING_BYTES * len(ratings)

    def seconds_needed(self, ratings: Ratings) -> float | None:  # noqa: ARG002
        """Return about how many seconds a fit takes on this machine, where a recipe can tell without fitting.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            float or None: Seconds; None where only a fit to some of the ratings could tell.

        Example:
            >>> import palate
            >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
            >>> palate.SparseEASE().seconds_needed(likes) < 60, palate.BPR().seconds_needed(likes)
            (True, None)
        """
        return None

    def predicts(self, ratings: Ratings) -> bool:  # noqa: ARG002
        """Tell whether a model fitted to these ratings predicts ratings, or only ranks items.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            bool: True if predict() of the model gives ratings; False if it gives scores that only rank.

        Example:
            >>> import palate
            >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
            >>> palate.Neighbors().predicts(ratings), palate.Neighbors().predicts(ratings.likes(at_least=4))
            (True, False)
        """
        return self.predicts_ratings

    def options(self) -> dict[str, Any]:
        """Return all options as plain Python values, as a model file stores them.

        Returns:
            dict: Values by option name; tuples become lists and NumPy numbers Python numbers.

        Example:
            >>> import palate
            >>> palate.Bias().options()
            {'weight_decay': 5.0, 'n_sweeps': 10, 'n_threads': 0}
        """
        return {name: _plain(value) for name, value in asdict(self).items()}

    def option(self, name: str) -> Any:
        """Return the value of one option.

        Parameters:
            name (str): The name of an option; of a Blend also "EASE.dropout", the option of a part.

        Returns:
            value: As it was given, or its default.

        Example:
            >>> import palate
            >>> palate.Blend(["EASE", "BPR"]).option("EASE.dropout"), palate.EASE().option("dropout")
            (0.33, 0.33)
        """
        return getattr(self, name)

    def with_options(self, options: Mapping[str, Any]) -> Recipe:
        """Return the recipe with some other options.

        Parameters:
            options (mapping): Values by option name; of a Blend also "EASE.dropout", the option of a part.

        Returns:
            Recipe: A recipe of the same class.

        Raises:
            OptionError: There is no such option, or its value is out of range.

        Example:
            >>> import palate
            >>> palate.ImplicitALS().with_options({"n_factors": 64}).label()
            'ImplicitALS(n_factors=64)'
        """
        return replace(self, **self._checked(options))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options by name, under the name that scikit-learn gives this method.

        Parameters:
            deep (bool, default True): Of a Blend also the options of its parts, such as "EASE__dropout".

        Returns:
            dict: Values as they were given; type(recipe)(**recipe.get_params(deep=False)) equals the recipe.

        Example:
            >>> import palate
            >>> palate.Bias().get_params()
            {'weight_decay': 5.0, 'n_sweeps': 10, 'n_threads': 0}
            >>> palate.Blend(["EASE", "BPR"]).get_params()["EASE__dropout"]
            0.33
        """
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        parts = self._deep_params() if deep else {}
        return {**own, **{f"{part}__{name}": value for part, found in parts.items() for name, value in found.items()}}

    def set_params(self, **options: Any) -> Recipe:
        """Return the recipe with some other options, under the name that scikit-learn gives this method.

        Unlike scikit-learn's estimators, recipes never change: keep what it returns.

        Parameters:
            options (values by name): Options of the recipe; of a Blend also "EASE__dropout", the option of a part.

        Returns:
            Recipe: A recipe of the same class.

        Raises:
            OptionError: There is no such option, or its value is out of range.

        Example:
            >>> import palate
            >>> palate.ALS().set_params(n_factors=8).label()
            'ALS(n_factors=8)'
        """
        return self.with_options({name.replace("__", "."): value for name, value in options.items()})

    def _deep_params(self) -> dict[str, dict[str, Any]]:
        """The options of recipes that are parts of this one, by the name of the part."""
        return {}

    def __sklearn_clone__(self) -> Recipe:
        """A recipe never changes, so that it is its own clone."""
        return self

    def label(self) -> str:
        """Return the recipe as one would type it: its name, and the options that differ from their defaults.

        Returns:
            str: For example "Bayes(n_factors=3, seed=2)".

        Example:
            >>> import palate
            >>> palate.Bayes(n_factors=3, seed=2).label()
            'Bayes(n_factors=3, seed=2)'
        """
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _checked(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options, if the recipe has them all. Raises OptionError."""
        own = {field.name for field in fields(self)}
        for name in options:
            if name not in own:
                raise OptionError(f"{type(self).__name__} has no option {name!r}; there are {', '.join(sorted(own))}.")
        return options

    def _named_options(self) -> dict[str, Any]:
        return {"name": type(self).__name__, **self.options()}

    def _checkpoint(
        self,
        folder: str | os.PathLike[str] | None,
        every: int,
        ratings: Ratings,
        valid: Ratings | None,
        *,
        resume: bool,
    ) -> Checkpoint | None:
        """Where the fit keeps its state; None if it keeps none. Raises OptionError."""
        check_flags(resume=resume)
        check_whole(1, checkpoint_every=every)
        if folder is None:
            if resume:
                raise OptionError(
                    'resume=True needs the folder to go on from: fit(..., checkpoint="...", resume=True).'
                )
            return None
        if not self.keeps_checkpoints:
            *names, last = sorted(kind.__name__ for kind in Recipe.__subclasses__() if kind.keeps_checkpoints)
            raise OptionError(
                f"{type(self).__name__} keeps no checkpoints; {', '.join(names)} and {last} do. Fit it without "
                "checkpoint=."
            )
        return Checkpoint.of(folder, every, self._named_options(), ratings, valid)

    @abstractmethod
    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained: ...

    def _check_kind(self, ratings: Ratings) -> None:
        if ratings.kind in self.kinds:
            return
        name = type(self).__name__
        if ratings.is_implicit:
            raise OptionError(f"{name} learns from ratings, and this is implicit feedback: fit ImplicitALS.")
        raise OptionError(
            f"{name} learns from implicit feedback, and these are ratings: fit it on ratings.likes(at_least=4), or "
            'read them with kind="implicit" if the numbers are counts.'
        )

    def _check_on(self, ratings: Ratings) -> None:
        """Raise OptionError unless a fit to these ratings can be spread over a cluster."""
        if not self.distributes:
            raise OptionError(
                f"{type(self).__name__} cannot be spread over a cluster: fit it without on=, or fit one of "
                f"{', '.join(DISTRIBUTED)}."
            )
        if not isinstance(ratings, Blocks):
            raise OptionError(NOT_ON_DISK)

    def _as_events(self, ratings: Ratings) -> Ratings:
        """Implicit ratings with the events of each user oldest first; each pair once, unless the recipe reads order."""
        ordered = oldest_first(ratings)
        return ordered if self.reads_order else joined(ordered)

    def _fit_or_explain(self, ratings: Ratings, monitor: Monitor) -> Trained:
        try:
            return self._fit(ratings, monitor)
        except PalateError:
            raise
        except ValueError as error:  # the kernels raise it for numbers that they cannot compute with
            raise OptionError(
                f"{self.label()} cannot be computed on these ratings in float32 ({error}): typical reasons are a "
                "weight decay near zero, or a few weights or values a million times the others."
            ) from error


def _tell_start(label: str, ratings: Ratings) -> None:
    about: dict[str, Any] = {
        "kind": ratings.kind,
        "ratings": len(ratings),
        "users": ratings.n_users,
        "items": ratings.n_items,
    }
    tell("fit_started", "the fit begins", recipe=label, **about)


def _plain(value: Any) -> Any:
    """A value as JSON would give it back."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def _about(ratings: Ratings) -> dict[str, Any]:
    """What a fit reports of its ratings: how they were read; and of dated ratings, whose times it drops, the newest."""
    read = {"read": ratings.report.reading} if ratings.report.reading else {}
    times = None if ratings.is_implicit else ratings.time_range
    return read | ({} if times is None else {"until": times[1]})


def center_and_scale(ratings: Ratings) -> tuple[float, float]:
    """Weighted mean and standard deviation of the values; the latter is 1 if they are equal up to rounding.

    Sums are taken by blocks of users, so the order of the ratings of different users does not matter.

    Raises DataError if a value is so large that float32 cannot compute with it.
    """
    largest = max(-float(ratings.values.min()), float(ratings.values.max()))
    if largest > MAX_RATING:
        raise DataError(f"ratings as large as {largest:.3g} cannot be computed with; divide all by {largest:.0e}.")
    center, scale = mean_and_deviation(ratings.by_user())
    return center, scale if scale > max(1e-6 * largest, 1 / MAX_RATING) else 1.0


def with_unit_weights(ratings: Ratings) -> Ratings:
    """The same ratings, with weights that are 1 on average over those above 0."""
    if ratings.weights is None:
        return ratings
    rows = ratings.by_user()
    assert rows.weights is not None
    total = sum(float(rows.weights[some].sum(dtype=np.float64)) for some in rows.plan.entries)
    return ratings.with_weights_divided(total / n_weighted(ratings))


def _counted(ratings: Ratings) -> Ratings:
    """The ratings of a weight above 0. Raises DataError if there are none."""
    counted = with_positive_weights(ratings)
    if len(counted) == 0:
        noun = "choice" if ratings.is_implicit else "rating"
        raise DataError(f"every {noun} has weight 0: there is nothing to learn from.")
    return counted


def train_rmse(factors: Factors, ratings: Ratings) -> float:
    """Root mean squared error of predictions for the ratings learned from, by blocks of users."""

    def squares(block: slice, some: CompressedRows) -> NDArray[np.float64]:
        users = np.int32(block.start) + row_codes(some)
        return (factors.predict(users, some.indices).astype(np.float64) - some.values) ** 2

    return float(np.sqrt(mean_over(ratings.by_user(), squares)))


def n_weighted(ratings: Ratings) -> int:
    """The number of ratings with a weight above 0."""
    return len(ratings) if ratings.weights is None else int(np.count_nonzero(ratings.weights))


def _check_fit(ratings: Ratings, valid: Ratings | None) -> None:
    for name, given in (("ratings", ratings), ("valid", valid)):
        if given is not None and not isinstance(given, Ratings):
            raise OptionError(f"{name} must be Ratings, got {type(given).__name__}; palate.read() makes them.")
        if given is not None and len(given) == 0:
            raise DataError("there are no ratings to learn from." if name == "ratings" else "valid has no ratings.")
    if valid is not None and not ratings.same_vocabulary(valid):
        raise OptionError("valid has other users or items than the ratings; split both from the same Ratings.")
