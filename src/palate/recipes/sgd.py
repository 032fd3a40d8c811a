"""SGD: the notes' model by stochastic gradient descent, compiled.

The ratings are cut into a grid of users x items. Cells that share no user and no item can be worked on by several
threads at once and still give what one after the other would give: see Grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.kernels import descend
from palate.models.factors import Codes, Factors, Floats, Prior
from palate.recipes.base import (
    MAX_SEED,
    Recipe,
    Trained,
    center_and_scale,
    check_counts,
    check_not_negative,
    check_positive,
)
from palate.recipes.descending import Schedule, deal, learning_rates, random_table, shuffled_cells
from palate.recipes.monitor import Monitor

Optimizer = Literal["sgd", "adagrad"]

SIDES = (16, 32, 64)  # blocks of users and of items: the cells of a stratum are as many independent tasks
PER_CELL = 2_000  # ratings that a cell should have before there are more blocks
WIDEST = 1e4  # standard deviations that a y_range may span
START_SQUARES = 0.01  # AdaGrad's sums at the start: a first rating that happens to fit must not set a row's rate alone
DEFAULT_LR = {"sgd": 0.03, "adagrad": 0.2}


@dataclass(frozen=True)
class SGD(Recipe):
    """Matrix factorization with biases by stochastic gradient descent, one step per rating.

    Each rating takes a step of size lr against the gradient of

        (f(b_u + c_i + p_u . q_i) - t)^2 + weight_decay (|p_u|^2 + b_u^2 + |q_i|^2 + c_i^2)

    with t = (r - mean) / standard deviation, so that the options mean the same on any rating scale; f is the identity,
    or with y_range=(low, high) a sigmoid between these two ratings, of value 0 and slope 1 at 0. Factors start as
    N(0, 0.01^2). optimizer: "sgd"; or "adagrad", where each row has its own rate, lr / sqrt(sum of its mean squared
    gradients). schedule: "one-cycle" (up for a quarter of the epochs, then down to 0, by cosine), "constant" or "1/t"
    (lr / (1 + epoch)). patience: with valid= given to fit(), end after so many epochs without a new least error, and
    keep the best epoch. Same bytes at any number of threads. Raises OptionError for values that make no sense.
    Intervals are claimed only when fit() is given validation ratings to measure them on.

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
        for name in ("n_factors", "n_epochs", "seed", "n_threads"):
            if getattr(self, name) is None:
                raise OptionError(f"{name} must be a whole number, got None.")
        check_counts(1, n_epochs=self.n_epochs, patience=self.patience)
        check_counts(n_factors=self.n_factors, n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        _check_choice("optimizer", self.optimizer, ("sgd", "adagrad"))
        _check_choice("schedule", self.schedule, ("one-cycle", "constant", "1/t"))
        if self.lr is not None:
            check_positive(lr=self.lr)
        if not isinstance(self.bias, bool):
            raise OptionError(f"bias is True or False, got {self.bias!r}.")
        check_not_negative(weight_decay=self.weight_decay)
        if self.y_range is not None:
            object.__setattr__(self, "y_range", _checked_range(self.y_range))

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        if self.patience is not None and monitor.valid is None:
            raise OptionError("patience needs validation ratings: fit(train, valid=...).")
        rng = np.random.Generator(np.random.Philox(self.seed))
        with ThreadPoolExecutor(1) as pool:
            by_user = pool.submit(ratings.by_user)  # the recommender keeps them so
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
                    monitor.ended = f"ended early: no new least error in {self.patience} epochs"
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        monitor.kept = None if best is None else best_epoch
        return Trained(best or descent.factors(), noise=monitor.noise)


class Descent:
    """A training on its way: the tables the kernel changes in place, and the ratings in the order it visits them.

    A row of a table holds its factors, zeros, and in the last two places [bias, 1] for a user and [1, bias] for an item
    ([0, 0] without biases).
    """

    def __init__(self, recipe: SGD, ratings: Ratings, grid: Grid, users: Floats, items: Floats) -> None:
        self.recipe = recipe
        self.grid = grid
        self.users, self.items = users, items
        self.squares = _squares(users, items) if recipe.optimizer == "adagrad" else {}
        self.center, self.scale = center_and_scale(ratings)
        self.low, self.high = _standard_range(recipe.y_range, self.center, self.scale)
        self.offset, self.unit = _around_the_mean(self.low, self.high)
        self.user_codes, self.item_codes = ratings.user_codes[grid.order], ratings.item_codes[grid.order]
        self.weights = None if ratings.weights is None else ratings.weights[grid.order]
        self.values = _standardised(ratings.values[grid.order], self.weights, self.center, self.scale)
        self.total_weight = len(ratings) if ratings.weights is None else float(ratings.weights.sum(dtype=np.float64))

    @classmethod
    def start(cls, recipe: SGD, ratings: Ratings, rng: np.random.Generator) -> Descent:
        """Before the first step."""
        grid = Grid.of(ratings, rng)
        users = random_table(ratings.n_users, recipe.n_factors, rng)
        items = random_table(ratings.n_items, recipe.n_factors, rng)
        if recipe.bias:
            users[:, -1] = items[:, -2] = 1
        return cls(recipe, ratings, grid, users, items)

    def epoch(self, number: int, rng: np.random.Generator) -> float:
        """Visit every rating once; the RMSE met on the way, on the rating scale."""
        recipe = self.recipe
        lr = DEFAULT_LR[recipe.optimizer] if recipe.lr is None else recipe.lr
        timestamps = number + np.arange(self.grid.side) / self.grid.side
        loss = descend(
            self.users,
            self.items,
            self.user_codes,
            self.item_codes,
            self.values,
            self.grid.cells,
            self.grid.strata(rng),
            learning_rates(recipe.schedule, lr, timestamps, recipe.n_epochs),
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
        """Error for the validation ratings, where there are some."""
        if monitor.valid is None:
            return None
        return monitor.valid_rmse(self.factors().predict(monitor.valid.user_codes, monitor.valid.item_codes))

    def factors(self) -> Factors:
        """What has been learned so far: a row that n ratings have pulled on has the weight decay n times."""
        k, y_range = self.recipe.n_factors, self.recipe.y_range
        users = np.ascontiguousarray(self.users[:, [*range(k), -2]])
        items = np.ascontiguousarray(self.items[:, [*range(k), -1]])
        prior = Prior.flat(
            k + 1,
            alpha=1.0 if y_range is None else ((y_range[1] - y_range[0]) / self.scale) ** 2,
            ridge=max(self.recipe.weight_decay, 1e-6),
            count_exponent=1.0,
        )
        if y_range is None:
            return Factors(self.center, users, items, prior, prior, self.scale)
        return Factors(self.offset, users, items, prior, prior, self.unit, y_range)


@dataclass(frozen=True)
class Grid:
    """Ratings cut into cells of a block of users and a block of items, in the order in which SGD visits them.

    order: (n,) row numbers of the ratings; cells: (side^2 + 1,) where each cell begins in it. Cell (a, b) is number
    a * side + b. Depends on the ratings and the seed alone, never on the number of threads.
    """

    order: NDArray[np.int64]
    cells: NDArray[np.int64]
    side: int

    @classmethod
    def of(cls, ratings: Ratings, rng: np.random.Generator) -> Grid:
        """Blocks with about as many ratings each; inside a cell the ratings are shuffled."""
        wanted = max(side for side in SIDES if side == SIDES[0] or side**2 * PER_CELL <= len(ratings))
        side = max(1, min(wanted, ratings.n_users // 4, ratings.n_items // 4))
        users = deal(np.bincount(ratings.user_codes, minlength=ratings.n_users), side)
        items = deal(np.bincount(ratings.item_codes, minlength=ratings.n_items), side)
        cell = users[ratings.user_codes] * np.uint64(side) + items[ratings.item_codes]
        order, cells = shuffled_cells(cell, side**2, rng)
        return cls(order, cells, side)

    def strata(self, rng: np.random.Generator) -> Codes:
        """One epoch: (side, side) cells; those of a row share no user and no item. Rows come in random order."""
        blocks = np.arange(self.side)
        shifts = rng.permutation(self.side)[:, None]
        return (blocks * self.side + (blocks + shifts) % self.side).astype(np.int32)

    def visits(self, strata: Codes) -> Iterator[NDArray[np.int64]]:
        """The row numbers of the ratings of an epoch in the order of their steps, a cell at a time."""
        for cell in strata.ravel():
            yield self.order[self.cells[cell] : self.cells[cell + 1]]


def _standardised(values: Floats, weights: Floats | None, center: float, scale: float) -> Floats:
    """(r - center) / scale, (n,); 0 where ratings differ by no more than their rounding, which is nothing to learn."""
    standard: Floats = ((values.astype(np.float64) - center) / scale).astype(np.float32)
    return standard if np.average(standard.astype(np.float64) ** 2, weights=weights) < 1.5 else np.zeros_like(standard)


def _squares(users: Floats, items: Floats) -> dict[str, Floats]:
    tables = {"user_squares": users, "item_squares": items}
    return {name: np.full(len(table), START_SQUARES, np.float32) for name, table in tables.items()}


def _standard_range(y_range: tuple[float, float] | None, center: float, scale: float) -> tuple[float, float]:
    """The ends in standard deviations from the mean; both 0 where there are none."""
    if y_range is None:
        return 0.0, 0.0
    low, high = ((end - center) / scale for end in y_range)
    if not low < 0 < high:
        raise OptionError(f"y_range={y_range} does not hold the mean of the ratings, {center:g}, between its ends.")
    if high - low > WIDEST:
        raise OptionError(
            f"y_range={y_range} is {high - low:.0e} times as wide as the ratings are spread: float32 has no digits "
            "left for their differences. Give a range just wider than the ratings, or none."
        )
    return low, high


def _around_the_mean(low: float, high: float) -> tuple[float, float]:
    """The score at which the sigmoid gives the mean (0), and the unit of products that makes its slope 1 there.

    So a sigmoid between far ends is the linear model, and lr and weight decay mean the same for both.
    """
    if low == high:
        return 0.0, 1.0
    return float(np.log(-low / high)), (high - low) / (-low * high)


def _check_choice(name: str, given: object, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise OptionError(f"{name} must be one of {', '.join(map(repr, choices))}, got {given!r}.")


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
