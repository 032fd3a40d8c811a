"""ALS: matrix factorization with biases, by alternating least squares.

Given the items, each user's vector is the solution of a ridge regression, and the other way round. A sweep solves for
all items, then for all users. The equation stands in the docstring of `ALS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from palate.data.ratings import Ratings
from palate.kernels import predict_pairs
from palate.models.factors import Factors, Floats, Prior
from palate.options import MAX_SEED, check_between, check_positive, check_seed, check_whole
from palate.recipes.base import Recipe, Trained, center_and_scale, n_weighted
from palate.recipes.monitor import Monitor


@dataclass(frozen=True)
class ALS(Recipe):
    """Matrix factorization with biases, by alternating least squares.

    With factors p and q and biases b and c, x_u = [p_u, b_u], y_i = [q_i, c_i] and t = (r - mean) / standard deviation,
    it minimises

        sum (t - b_u - c_i - p_u . q_i)^2 + weight_decay (sum_u n_u^e |x_u|^2 + sum_i n_i^e |y_i|^2)

    where n is the number of ratings of a row, at least 1, and e = count_exponent. Since t is standardised, weight decay
    means the same on any rating scale. Predictions have intervals only if fit() gets validation ratings.

    Parameters:
        n_factors (int, default 31): Latent factors, 0 or more; 0: biases only.
        n_sweeps (int, default 10): Sweeps over items and users, 1 or more.
        weight_decay (float, default 1.0): Regularisation of factors and biases, above 0.
        count_exponent (float, default 0.5): How weight decay grows with the number n of ratings of a row: as n^e, with
            e from 0 (the same for all rows) to 1 (in proportion to n).
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range.

    Source:
        Zhou, Wilkinson, Schreiber & Pan (2008), Large-Scale Parallel Collaborative Filtering for the Netflix Prize,
        section 3 (count_exponent=1).

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> palate.ALS(n_factors=8).fit(ratings).n_factors
        8
    """

    keeps_checkpoints: ClassVar[bool] = True
    leaves_on_disk: ClassVar[bool] = True
    distributes: ClassVar[bool] = True

    n_factors: int = 31
    n_sweeps: int = 10
    weight_decay: float = 1.0
    count_exponent: float = 0.5
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_whole(1, n_sweeps=self.n_sweeps)
        check_whole(n_factors=self.n_factors, n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
        check_positive(weight_decay=self.weight_decay)
        check_between(0, 1, count_exponent=self.count_exponent)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        center, scale = center_and_scale(ratings)
        k = self.n_factors + 1
        rng = np.random.Generator(np.random.Philox(self.seed))
        users = np.zeros((ratings.n_users, k), np.float32)
        items = rng.standard_normal((ratings.n_items, k), np.float32) * np.float32(0.1)
        prior = Prior.flat(k, ridge=self.weight_decay, count_exponent=self.count_exponent)
        state = _State(items)
        if monitor.resume(state):
            items = state.items
            users, _errors = prior.solve(ratings.by_user(), items, center, scale, self.n_threads, monitor.on)
        try:
            for _ in range(len(monitor.sweeps), self.n_sweeps):
                # Users last, so that each user is the exact solution for the final items, as in a fold-in.
                if monitor.sweeps:
                    items, _errors = prior.solve(ratings.by_item(), users, center, scale, self.n_threads, monitor.on)
                users, errors = prior.solve(ratings.by_user(), items, center, scale, self.n_threads, monitor.on)
                train_rmse = scale * float(np.sqrt(errors.sum() / n_weighted(ratings)))
                if monitor.after_sweep(self.n_sweeps, train_rmse, _valid_rmse(monitor, users, items, center, scale)):
                    break
                monitor.keep(_State(items))
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(Factors(center, users, items, prior, prior, scale), noise=monitor.noise)


@dataclass
class _State:
    """What a fit goes on from: the items. The users follow from them."""

    STATE: ClassVar = ("items",)
    items: Floats


def _valid_rmse(monitor: Monitor, users: Floats, items: Floats, center: float, scale: float) -> float | None:
    if monitor.valid is None:
        return None
    codes = monitor.valid.user_codes, monitor.valid.item_codes
    return monitor.valid_rmse(predict_pairs(users, items, *codes, bias=True, center=center, scale=scale))
