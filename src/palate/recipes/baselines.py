"""Baselines: Mean, Bias and Popularity. A model is worth its cost if it beats them; palate.evaluate() compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from palate.data.durations import Duration
from palate.data.plan import count_codes
from palate.data.ratings import Kind, Ratings
from palate.data.rows import mean_and_deviation
from palate.models.history_factors import no_biases
from palate.models.popular import PopularFactors
from palate.options import check_positive, check_whole
from palate.recipes.als import ALS
from palate.recipes.base import Recipe, Trained, train_rmse
from palate.recipes.fading import checked_half_life, fading_of
from palate.recipes.monitor import Monitor


@dataclass(frozen=True)
class Mean(Recipe):
    """Predicts the mean of the training ratings for every user and item.

    Prediction intervals follow from the standard deviation of the training ratings. Mean has no options.

    Example:
        >>> import palate
        >>> ratings = palate.read({"user": ["ann", "bob"], "item": ["tea", "tea"], "rating": [5, 3]})
        >>> palate.Mean().fit(ratings).predict("ann", "tea").prediction
        4.0
    """

    leaves_on_disk: ClassVar[bool] = True

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        mean, deviation = mean_and_deviation(ratings.by_user())
        monitor.after_sweep(1, deviation, _constant_error(monitor, mean))
        return Trained(no_biases(ratings.n_users, ratings.n_items, mean), noise=deviation)


@dataclass(frozen=True)
class Bias(Recipe):
    """Mean + user bias + item bias, with weight decay.

    Minimises, by alternating least squares,

        sum (r - mean - b_u - c_i)^2 + weight_decay (sum_u b_u^2 + sum_i c_i^2)

    Prediction intervals follow from the training error.

    Parameters:
        weight_decay (float, default 5.0): Regularisation, above 0, in ratings: the bias of a user with that many
            ratings is half of what it would be without regularisation.
        n_sweeps (int, default 10): Sweeps over items and users, 1 or more.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range.

    Source:
        Koren, Bell & Volinsky (2009), Matrix Factorization Techniques for Recommender Systems, equation 3.

    Example:
        >>> import palate
        >>> rec = palate.Bias().fit(palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1))
        >>> rec.n_factors, rec.user_bias.shape, rec.item_bias.shape
        (0, (60,), (40,))
    """

    keeps_checkpoints: ClassVar[bool] = True
    leaves_on_disk: ClassVar[bool] = True
    distributes: ClassVar[bool] = True

    weight_decay: float = 5.0
    n_sweeps: int = 10
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_whole(1, n_sweeps=self.n_sweeps)
        check_whole(n_threads=self.n_threads)
        check_positive(weight_decay=self.weight_decay)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        als = ALS(
            n_factors=0,
            n_sweeps=self.n_sweeps,
            weight_decay=self.weight_decay,
            count_exponent=0.0,
            n_threads=self.n_threads,
        )
        factors = als._fit(ratings, monitor).factors
        return Trained(factors, noise=train_rmse(factors, ratings))


@dataclass(frozen=True)
class Popularity(Recipe):
    """Ranks items by their number of ratings (or of choices, whatever their counts), the same for all users.

    It predicts no ratings: predict() gives the number of ratings of the item, without an interval. With half_life it
    ranks by what is popular now; predict() then gives the sum of the weights.

    Parameters:
        recency (float or None, default None): For choices: a choice counts 1 / (1 + k / recency), k being the number of
            later ones of the same user. None: the order counts nothing.
        half_life (str, timedelta, float or None, default None): For choices: a choice counts 0.5^(age / half_life), the
            age being how much older it is than the last choice of all; "30d", "12h", a timedelta or seconds. With
            recency, by the product of both. None: ages count nothing.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the options are given for ratings.
        DataError: fit() raises it for half_life where the choices have no times.

    Example:
        >>> import palate
        >>> likes = palate.read({"user": ["ann", "bob", "bob"], "item": ["tea", "tea", "jam"]}, kind="implicit")
        >>> palate.Popularity().fit(likes).recommend("ann", keep_seen=True)["item"].to_list()
        ['tea', 'jam']
        >>> dated = {"user": ["ann", "bob", "bob"], "item": ["tea", "tea", "jam"], "time": [0, 0, 86400]}
        >>> now = palate.Popularity(half_life="6h").fit(palate.read(dated, kind="implicit", time_format="s"))
        >>> now.recommend("ann", keep_seen=True)["item"].to_list()
        ['jam', 'tea']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("explicit", "implicit")
    leaves_on_disk: ClassVar[bool] = True

    recency: float | None = None
    half_life: Duration | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "half_life", checked_half_life(self.recency, self.half_life))

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:  # noqa: ARG002
        fading = fading_of(self.recency, self.half_life, ratings)
        factors = no_biases(ratings.n_users, ratings.n_items)
        if not fading.is_none:
            return Trained(PopularFactors.of(factors, fading=fading).recounted(ratings.by_user()))
        factors.items[:, 0] = count_codes(ratings.item_codes, ratings.n_items)
        return Trained(factors)


def _constant_error(monitor: Monitor, mean: float) -> float | None:
    return None if monitor.valid is None else monitor.valid_rmse(np.full(len(monitor.valid), mean))
