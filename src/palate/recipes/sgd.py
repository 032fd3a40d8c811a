"""SGD: matrix factorization with biases by stochastic gradient descent, compiled.

It is the model of the course in docs/learn, and takes the same steps as PyTorch's autograd does. `Descent` holds the
state of a training and makes an epoch of it. `Grid` cuts the ratings into cells of a block of users by a block of
items: several threads can visit cells without a common row at once, with the same result as one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.plan import chunks, count_codes
from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.kernels import descend
from palate.kernels.threads import thread_pool
from palate.models.factors import Codes, Factors, Floats, Prior
from palate.models.fitted_prior import with_fitted_priors
from palate.options import MAX_SEED, check_choice, check_not_negative, check_positive, check_seed, check_whole
from palate.recipes.base import Recipe, Trained, center_and_scale
from palate.recipes.gradient_descent import (
    Schedule,
    deal,
    in_rows,
    learning_rates,
    places_of,
    random_table,
    shuffled_cells,
)
from palate.recipes.monitor import Monitor

Optimizer = Literal["sgd", "adagrad"]

SIDES = (16, 32, 64)  # numbers of blocks of users, and of items; a stratum has as many cells, each an independent task
MIN_PER_CELL = 2_000  # ratings per cell on average, unless there are no more than 16 blocks
MAX_RANGE = 1e4  # standard deviations that a y_range may span
START_SQUARES = 0.01  # AdaGrad's sums at the start: the first rating alone must not set a row's learning rate
DEFAULT_LR = {"sgd": 0.03, "adagrad": 0.2}


@dataclass(frozen=True)
class SGD(Recipe):
    """Matrix factorization with biases, by stochastic gradient descent with one step per rating.

    With t = (r - mean) / standard deviation, each rating takes a step of size lr against the gradient of

        (f(b_u + c_i + p_u . q_i) - t)^2 + weight_decay (|p_u|^2 + b_u^2 + |q_i|^2 + c_i^2)

    where f is the identity or, with y_range, a sigmoid between its two ratings, with value 0 and slope 1 at 0. So lr
    and weight decay mean the same on any rating scale, with and without y_range. Factors start as N(0, 0.01^2), biases
    as 0. Predictions have intervals only if fit() gets validation ratings.

    Parameters:
        n_factors (int, default 50): Latent factors, 0 or more; 0: biases only.
        n_epochs (int, default 12): Passes over the ratings, 1 or more.
        lr (float or None, default None): The learning rate, above 0; the highest one of the schedule. None: 0.03 for
            "sgd", 0.2 for "adagrad".
        weight_decay (float, default 0.04): Regularisation, 0 or more, applied in each step to the rows of that rating.
        bias (bool, default True): Learn a bias of each user and item.
        y_range (tuple of two floats or None, default None): Squeeze predictions between these two ratings by a sigmoid.
            The mean of the ratings must lie between them. None: a linear model.
        optimizer ("sgd" or "adagrad", default "sgd"): "adagrad" gives each row a learning rate of its own: lr divided
            by the root of the sum of its mean squared gradients so far.
        schedule ("one-cycle", "constant" or "1/t", default "one-cycle"): The learning rate over a training. "one-cycle"
            rises for a quarter of the epochs, then falls to 0, both by a cosine. "1/t" is lr / (1 + epoch).
        patience (int or None, default None): End the fit after so many epochs without a lower validation error, 1 or
            more, and keep the best epoch. Needs validation ratings. None: make all epochs and keep the last.
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the training diverges (lr is too large), if
            patience is given without validation ratings, or if y_range does not suit the ratings.

    Source:
        Koren, Bell & Volinsky (2009), Matrix Factorization Techniques for Recommender Systems, equation 5; Duchi, Hazan
        & Singer (2011), Adaptive Subgradient Methods (AdaGrad); Smith (2018), A Disciplined Approach to Neural Network
        Hyper-Parameters (one-cycle).

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> palate.SGD(n_factors=8, y_range=(0.5, 5.5)).fit(ratings).n_factors
        8
    """

    unit: ClassVar[str] = "epoch"

    n_factors: int = 50
    n_epochs: int = 12
    lr: float | None = None
    weight_decay: float = 0.04
    bias: bool = True
    y_range: tuple[float, float] | None = None
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "one-cycle"
    patience: int | None = None
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_whole(1, n_epochs=self.n_epochs)
        check_whole(1, or_none=True, patience=self.patience)
        check_whole(n_factors=self.n_factors, n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
        check_choice("optimizer", self.optimizer, ("sgd", "adagrad"))
        check_choice("schedule", self.schedule, ("one-cycle", "constant", "1/t"))
        if self.lr is not None:
            check_positive(lr=self.lr)
        if not isinstance(self.bias, bool):
            raise OptionError(f"bias must be True or False, got {self.bias!r}.")
        check_not_negative(weight_decay=self.weight_decay)
        if self.y_range is not None:
            object.__setattr__(self, "y_range", _checked_range(self.y_range))

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        if self.patience is not None and monitor.valid is None:
            raise OptionError("patience needs validation ratings: fit(train, valid=...).")
        rng = np.random.Generator(np.random.Philox(self.seed))
        with thread_pool(1) as pool:
            by_user = pool.submit(ratings.by_user)  # the recommender will need it
            descent = Descent.start(self, ratings, rng)
            by_user.result()
        best, best_rmse, best_epoch = None, np.inf, 0
        try:
            for epoch in range(self.n_epochs):
                train_rmse = descent.epoch(epoch, rng)
                valid_rmse = descent.valid_rmse(monitor)
                if self.patience is not None and valid_rmse is not None and valid_rmse < best_rmse:
                    best, best_rmse, best_epoch = descent.factors(), valid_rmse, epoch
                if monitor.after_sweep(self.n_epochs, train_rmse, valid_rmse):
                    break
                if self.patience is not None and epoch - best_epoch >= self.patience:
                    monitor.ended = f"ended early: no lower validation error in {self.patience} epochs"
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        monitor.kept = None if best is None else best_epoch
        return Trained(with_fitted_priors(best or descent.factors(), ratings.by_user()), noise=monitor.noise)


class Descent:
    """The state of a training: the tables that the kernel changes in place, and the ratings in the order of its visits.

    A row of a table holds its factors, zeros as padding, and in the last two columns [bias, 1] for a user and [1, bias]
    for an item ([0, 0] without biases).
    """

    def __init__(self, recipe: SGD, ratings: Ratings, grid: Grid, users: Floats, items: Floats) -> None:
        self.recipe = recipe
        self.grid = grid
        self.users, self.items = users, items
        self.squares = _squares(users, items) if recipe.optimizer == "adagrad" else {}
        self.center, self.scale = center_and_scale(ratings)
        self.low, self.high = _standard_range(recipe.y_range, self.center, self.scale)
        self.offset, self.unit = _around_the_mean(self.low, self.high)
        weights = ratings.weights
        with thread_pool(2) as pool:
            user_codes = pool.submit(lambda: places_of(grid.users)[ratings.user_codes.take(grid.order)])
            item_codes = pool.submit(lambda: places_of(grid.items)[ratings.item_codes.take(grid.order)])
            values = pool.submit(
                lambda: _standardised(ratings.values, weights, self.center, self.scale).take(grid.order)
            )
            self.weights = None if weights is None else weights.take(grid.order)
        self.user_codes, self.item_codes, self.values = user_codes.result(), item_codes.result(), values.result()
        self.total_weight = len(ratings) if ratings.weights is None else float(ratings.weights.sum(dtype=np.float64))

    @classmethod
    def start(cls, recipe: SGD, ratings: Ratings, rng: np.random.Generator) -> Descent:
        """The state before the first step."""
        grid = Grid.of(ratings, rng)
        users = random_table(count_codes(ratings.user_codes, ratings.n_users), recipe.n_factors, rng)
        items = random_table(count_codes(ratings.item_codes, ratings.n_items), recipe.n_factors, rng)
        if recipe.bias:
            users[:, -1] = items[:, -2] = 1
        return cls(recipe, ratings, grid, in_rows(users, grid.users), in_rows(items, grid.items))

    def epoch(self, number: int, rng: np.random.Generator) -> float:
        """Visit every rating once. Return the RMSE, each rating predicted just before its step, on the rating scale."""
        recipe = self.recipe
        lr = DEFAULT_LR[recipe.optimizer] if recipe.lr is None else recipe.lr
        epochs = number + np.arange(self.grid.side) / self.grid.side
        loss = descend(
            self.users,
            self.items,
            self.user_codes,
            self.item_codes,
            self.values,
            self.grid.cells,
            self.grid.strata(rng),
            learning_rates(recipe.schedule, lr, epochs, recipe.n_epochs),
            weights=self.weights,
            n_factors=recipe.n_factors,
            bias=recipe.bias,
            mean=self.offset,
            scale=self.unit,
            low=self.low,
            high=self.high,
            weight_decay=recipe.weight_decay,
            n_threads=recipe.n_threads,
            **self.squares,
        )
        if not np.isfinite(loss):
            raise OptionError(f"{recipe.label()} diverged in epoch {number + 1}: give a smaller lr than {lr:g}.")
        return self.scale * float(np.sqrt(loss / self.total_weight))

    def valid_rmse(self, monitor: Monitor) -> float | None:
        """RMSE of the validation ratings; None without them."""
        if monitor.valid is None:
            return None
        return monitor.valid_rmse(self.factors().predict(monitor.valid.user_codes, monitor.valid.item_codes))

    def factors(self) -> Factors:
        """The factors so far, with no prior yet: with_fitted_priors() fits one to the last of them."""
        k, y_range = self.recipe.n_factors, self.recipe.y_range
        users = self.users[:, [*range(k), -2]][places_of(self.grid.users)]
        items = self.items[:, [*range(k), -1]][places_of(self.grid.items)]
        prior = Prior.flat(k + 1)
        if y_range is None:
            return Factors(self.center, users, items, prior, prior, self.scale)
        return Factors(self.offset, users, items, prior, prior, self.unit, y_range)


@dataclass(frozen=True)
class Grid:
    """Ratings cut into cells, a block of users by a block of items, in the order in which SGD visits them.

    order: (n,) positions of the ratings, cell by cell; cells: (side^2 + 1,) where each cell begins in it. Cell (a, b)
    has number a * side + b. users, items: the codes of each side block by block, so that the rows of a cell lie
    beside each other in memory. The grid depends on the ratings and the seed only, not on the number of threads.
    """

    order: NDArray[np.int64]
    cells: NDArray[np.int64]
    side: int
    users: NDArray[np.int64]
    items: NDArray[np.int64]

    @classmethod
    def of(cls, ratings: Ratings, rng: np.random.Generator) -> Grid:
        """Cut ratings into blocks with about the same number of ratings, shuffled within each cell."""
        largest = max(side for side in SIDES if side == SIDES[0] or side**2 * MIN_PER_CELL <= len(ratings))
        side = max(1, min(largest, ratings.n_users // 4, ratings.n_items // 4))
        users = deal(count_codes(ratings.user_codes, ratings.n_users), side)
        items = deal(count_codes(ratings.item_codes, ratings.n_items), side)
        codes = ratings.user_codes, ratings.item_codes

        def cell_of(some: slice) -> NDArray[np.uint64]:
            return users[codes[0][some]] * np.uint64(side) + items[codes[1][some]]

        order, cells = shuffled_cells(cell_of, len(ratings), side**2, rng)
        return cls(order, cells, side, *(np.argsort(block, kind="stable") for block in (users, items)))

    def strata(self, rng: np.random.Generator) -> Codes:
        """The cells of one epoch, (side, side). Cells in a row, a stratum, share no user and no item. Random order."""
        blocks = np.arange(self.side)
        shifts = rng.permutation(self.side)[:, None]
        return (blocks * self.side + (blocks + shifts) % self.side).astype(np.int32)

    def visits(self, strata: Codes) -> Iterator[NDArray[np.int64]]:
        """Yield the positions of the ratings of an epoch in the order of their steps, one cell at a time."""
        for cell in strata.ravel():
            yield self.order[self.cells[cell] : self.cells[cell + 1]]


def _standardised(values: Floats, weights: Floats | None, center: float, scale: float) -> Floats:
    """(r - center) / scale, (n,); zeros if the ratings differ by no more than rounding."""
    standard, squares, total = np.empty(len(values), np.float32), 0.0, 0.0
    for some in chunks(len(values)):
        standard[some] = (values[some].astype(np.float64) - center) / scale
        weight = np.ones(some.stop - some.start) if weights is None else weights[some].astype(np.float64)
        squares += float(weight @ standard[some].astype(np.float64) ** 2)
        total += float(weight.sum())
    return standard if squares < 1.5 * total else np.zeros_like(standard)


def _squares(users: Floats, items: Floats) -> dict[str, Floats]:
    tables = {"user_squares": users, "item_squares": items}
    return {name: np.full(len(table), START_SQUARES, np.float32) for name, table in tables.items()}


def _standard_range(y_range: tuple[float, float] | None, center: float, scale: float) -> tuple[float, float]:
    """The ends of y_range in standard deviations from the mean; both 0 without a y_range."""
    if y_range is None:
        return 0.0, 0.0
    low, high = ((end - center) / scale for end in y_range)
    if not low < 0 < high:
        raise OptionError(f"the mean of the ratings, {center:g}, does not lie between the ends of y_range={y_range}.")
    if high - low > MAX_RANGE:
        raise OptionError(
            f"y_range={y_range} is {high - low:.0e} standard deviations of the ratings wide: float32 cannot tell them "
            "apart there. Give a range just wider than the ratings, or none."
        )
    return low, high


def _around_the_mean(low: float, high: float) -> tuple[float, float]:
    """The score at which the sigmoid is 0, the mean rating, and the scale of scores that makes its slope 1 there.

    So lr and weight decay mean the same with and without y_range, and a very wide range gives the linear model.
    """
    if low == high:
        return 0.0, 1.0
    return float(np.log(-low / high)), (high - low) / (-low * high)


def _checked_range(y_range: object) -> tuple[float, float]:
    try:
        if isinstance(y_range, str):
            raise TypeError
        low, high = (float(end) for end in y_range)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise OptionError(f"y_range must be two numbers, the lowest and the highest rating, got {y_range!r}.") from None
    if not -np.inf < low < high < np.inf:
        raise OptionError(f"y_range must rise from its first number to its second, got {y_range!r}.")
    return low, high
