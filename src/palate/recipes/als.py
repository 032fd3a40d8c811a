"""ALS: alternating least squares, the same model fitted to its mode with weight decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.data.ratings import Ratings
from palate.kernels import predict_pairs
from palate.models.factors import Factors, Floats, Prior
from palate.recipes.base import (
    MAX_SEED,
    Recipe,
    Trained,
    center_and_scale,
    check_count_exponent,
    check_counts,
    check_positive,
    compress_both,
    n_weighted,
)
from palate.recipes.monitor import Monitor


@dataclass(frozen=True)
class ALS(Recipe):
    """Matrix factorization with biases by alternating least squares.

    Minimises, with t = (r - mean) / standard deviation,

        sum (t - b_u - c_i - p_u . q_i)^2 + sum_u wd n_u^e |x_u|^2 + sum_i wd n_i^e |y_i|^2

    so that weight decay means the same on any rating scale: wd = weight_decay, n is the row's number of ratings and
    e = count_exponent: 0 is plain weight decay and 1 scales it by counts (Zhou et al. 2008); between them lies what
    generalises best. Raises OptionError for values that make no sense. Intervals are claimed only when fit() is given
    validation ratings to measure them on.

    >>> import palate
    >>> palate.ALS(n_factors=8).fit(palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)).n_factors
    8
    """

    n_factors: int = 31
    n_sweeps: int = 10
    weight_decay: float = 1.0
    count_exponent: float = 0.5
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_counts(1, n_sweeps=self.n_sweeps)
        check_counts(n_factors=self.n_factors, n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        check_positive(weight_decay=self.weight_decay)
        check_count_exponent(self.count_exponent)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        compress_both(ratings)
        center, scale = center_and_scale(ratings)
        k = self.n_factors + 1
        rng = np.random.Generator(np.random.Philox(self.seed))
        users = np.zeros((ratings.n_users, k), np.float32)
        items = rng.standard_normal((ratings.n_items, k), np.float32) * np.float32(0.1)
        prior = Prior.flat(k, ridge=self.weight_decay, count_exponent=self.count_exponent)
        try:
            for _ in range(self.n_sweeps):
                # The users last: then every user is exactly what the items and his own ratings make of him.
                if monitor.sweeps:
                    items, _errors = prior.solve(ratings.by_item(), users, center, scale, self.n_threads)
                users, errors = prior.solve(ratings.by_user(), items, center, scale, self.n_threads)
                train_rmse = scale * float(np.sqrt(errors.sum() / n_weighted(ratings)))
                if monitor.after_sweep(self.n_sweeps, train_rmse, _valid_rmse(monitor, users, items, center, scale)):
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(Factors(center, users, items, prior, prior, scale), noise=monitor.noise)


def _valid_rmse(monitor: Monitor, users: Floats, items: Floats, center: float, scale: float) -> float | None:
    if monitor.valid is None:
        return None
    codes = monitor.valid.user_codes, monitor.valid.item_codes
    return monitor.valid_rmse(predict_pairs(users, items, *codes, bias=True, center=center, scale=scale))
