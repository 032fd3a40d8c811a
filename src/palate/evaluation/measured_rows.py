"""Measure explicit test ratings in one pass: what is kept are sums over the rows of each user.

The pass goes block by block, in this process or on workers. A report and a model card are made of the same sums, so
that each test rating is predicted once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.predicting import columns_of
from palate.data.ratings import Ratings
from palate.data.rows import Codes
from palate.distributed import Exchange, Local
from palate.evaluation.agreement import AgreementBins
from palate.evaluation.groups import Groups, by_popularity
from palate.evaluation.hindsight import n_older_than_newest
from palate.evaluation.matching import code_maps, learned_from, training_ratings
from palate.evaluation.propensities import InversePropensities
from palate.evaluation.resampling import Doubles, Resample
from palate.evaluation.user_sums import BlockSums, Losses, UserSums
from palate.models.forecasts import Forecast
from palate.recipes import Bias, Mean
from palate.recommender import Recommender
from palate.showing.events import within

LEVELS = (0.9, 0.5)
CARD_LEVELS = (0.8, 0.95)  # of a card, besides
LEARNED, HELD_OUT = "learned from", "held out"
GROUPS = ("cold users", "cold items", LEARNED, HELD_OUT)
SNIPS = "snips_"  # before the names of measures that are weighted by inverse propensities
BLOCK_ROWS = 1 << 18  # test rows that are measured at once
MODEL, GROUP = "", "group"
CARD = "card"  # after a model: the sums that only a card needs
ITEMS = "items "  # and the number of a group of items: what the sums of a model are restricted to
Key = tuple[str, str]  # of sums: a model and how it is weighted or which items it is of, or GROUP and which


@dataclass(frozen=True)
class MeasuredRows:
    """What one pass over the test rows leaves: sums over the rows of each user, and what else was counted.

    n: test rows of each test user, (n_users,). predicted: each prediction, (n,), and float32; for a card alone.
    """

    recommender: Recommender
    asked: _Asked
    n: NDArray[np.int64]
    sums: dict[Key, UserSums]
    item_counts: NDArray[np.int64]
    n_older: int
    table: Doubles
    predicted: NDArray[np.float32]
    resample: Resample

    @property
    def test_users(self) -> NDArray[np.int64]:
        """The users with test rows as codes of the test, (n_users,)."""
        return np.flatnonzero(self.asked.positions >= 0)

    @property
    def users(self) -> Codes:
        """The same as codes of the model, -1 for an unknown one."""
        return self.asked.codes[0][self.test_users]

    @property
    def item_sizes(self) -> NDArray[np.int64]:
        """The test rows of each group of items, (n,)."""
        return np.array([self.sums[MODEL, f"{ITEMS}{at}"].n_rows for at in range(len(self.asked.popularity.names))])

    def by_item(self, measure: str, model: str = MODEL) -> tuple[Doubles, Doubles]:
        """The sum of a loss over each user's rows, and the weight of these, by group of items: (n_users, n) each."""
        names = range(len(self.asked.popularity.names))
        parts = [self.sums[model, f"{ITEMS}{at}"].per_user(measure) for at in names]
        return np.stack([part.sums for part in parts], axis=1), np.stack([part.counts for part in parts], axis=1)


@within("evaluate")
def measure_predictions(
    recommender: Recommender,
    test: Ratings,
    *,
    n_bootstrap: int,
    seed: int,
    baselines: bool = True,
    inverse: InversePropensities | None = None,
    on: Exchange | None = None,
    for_card: bool = False,
) -> MeasuredRows:
    """Measure explicit test ratings; see evaluate(). inverse: weights for measures of their own.

    for_card: keep the predictions, and sum up mean errors and more intervals too.
    """
    exchange: Exchange = Local() if on is None else on
    models = {MODEL: recommender}
    if baselines:
        train = training_ratings(recommender)
        models |= {type(recipe).__name__: recipe.fit(train, progress=False) for recipe in (Mean(), Bias())}
    rows = RowCounts.of(test, BLOCK_ROWS)
    n = rows.users[rows.users > 0]
    codes = code_maps(recommender, test)
    asked = _Asked(
        models, test, codes,
        positions=np.where(rows.users > 0, np.cumsum(rows.users > 0) - 1, -1),
        inverse=inverse,
        popularity=by_popularity(
            recommender.model, rows.items_in(codes[1], recommender.n_items), for_card=for_card
        ),
        bins=AgreementBins.of(recommender.model, rows.values),
        for_card=for_card,
    )  # fmt: skip
    resample, sums = Resample(len(n), n_bootstrap, seed), dict[Key, UserSums]()
    item_counts, n_older, table = np.zeros(recommender.n_items, np.int64), 0, np.zeros(())
    predicted = [np.zeros(0, np.float32)]
    tasks = ((start, min(start + BLOCK_ROWS, len(test))) for start in range(0, len(test), BLOCK_ROWS))
    for block in exchange.map(measure_rows, tasks, exchange.put(asked)):
        for key, found in block.sums.items():
            sums.setdefault(key, UserSums(resample)).add(found)
        item_counts[block.items] += block.item_counts
        n_older += block.n_older
        table = table + block.table
        predicted.append(block.predicted)
    return MeasuredRows(recommender, asked, n, sums, item_counts, n_older, table, np.concatenate(predicted), resample)


@dataclass(frozen=True)
class RowCounts:
    """What one pass over test ratings tells: rows of each user and item, and the different ratings."""

    users: NDArray[np.int64]  # (n_users,) of the test
    items: NDArray[np.int64]  # (n_items,) of the test
    values: Doubles  # ascending; of more than some thousands only the extremes and some between

    @classmethod
    def of(cls, test: Ratings, block_rows: int) -> RowCounts:
        """Look at all test ratings, block by block."""
        users, items = np.zeros(test.n_users, np.int64), np.zeros(test.n_items, np.int64)
        values = np.zeros(0)
        for start in range(0, len(test), block_rows):
            block = test[start : start + block_rows]
            users += np.bincount(block.user_codes, minlength=test.n_users)
            items += np.bincount(block.item_codes, minlength=test.n_items)
            values = np.unique(np.append(values, np.unique(block.values)))
            if len(values) > 10_000:
                values = values[np.linspace(0, len(values) - 1, 1000).astype(int)]
        return cls(users, items, values)

    def items_in(self, codes: Codes, n_items: int) -> NDArray[np.int64]:
        """The rows of each item of a model, (n_items + 1,). codes: of the test's items in the model, -1 for unknown."""
        return np.bincount(np.where(codes < 0, n_items, codes), self.items, n_items + 1).astype(np.int64)


@dataclass(frozen=True)
class _Asked:
    """What test rows are measured by: models, codes of the labels in them, and who is among the test users."""

    models: dict[str, Recommender]
    test: Ratings
    codes: tuple[Codes, Codes]
    positions: NDArray[np.int64]
    inverse: InversePropensities | None
    popularity: Groups
    bins: AgreementBins
    for_card: bool


@dataclass(frozen=True)
class _RowBlock:
    """What is kept of a block of test rows."""

    sums: dict[Key, BlockSums]
    items: NDArray[np.int64]  # those that the model knows
    item_counts: NDArray[np.int64]
    n_older: int
    table: Doubles  # the weight of the rows by rating and prediction
    predicted: NDArray[np.float32]  # for a card alone


def measure_rows(start: int, stop: int, asked: _Asked) -> _RowBlock:
    """Measure the test rows from start to stop (exclusive): the task of a worker."""
    test = asked.test[start:stop]
    users, items = asked.codes[0][test.user_codes], asked.codes[1][test.item_codes]
    positions, groups = asked.positions[test.user_codes], asked.popularity.of[items]
    weights = None if test.weights is None else test.weights.astype(np.float64)
    when: NDArray[Any] | None = test.times
    sums: dict[Key, BlockSums] = {}
    table, kept = np.zeros(()), np.zeros(0, np.float32)

    def add(key: Key, losses: Losses, rows: Any = slice(None)) -> None:
        some = {name: loss[rows] for name, loss in losses.items()}
        sums[key] = BlockSums.of(positions[rows], some, None if weights is None else weights[rows])

    for name, recommender in asked.models.items():
        forecast = recommender.model.forecast(users, items, when)
        losses, predicted = _losses(recommender, forecast, test.values)
        of_items = {"rmse": losses["rmse"]}
        add((name, ""), losses)
        if asked.inverse is not None:
            inverse = asked.inverse.weights[start:stop]
            sums[name, SNIPS] = BlockSums.of(positions, losses, inverse if weights is None else weights * inverse)
        if name == MODEL:
            table = asked.bins.count(test.values, predicted, weights)
            for group, rows in _groups(recommender, users, items).items():
                add((GROUP, group), losses, rows)
        if name == MODEL and asked.for_card:
            of_items["mean_error"], kept = predicted - test.values, predicted.astype(np.float32)
            more = _interval_losses(recommender, forecast, test.values, CARD_LEVELS)
            add((MODEL, CARD), {"mean_error": of_items["mean_error"], **more})
        for at in range(len(asked.popularity.names)):
            add((name, f"{ITEMS}{at}"), of_items, groups == at)
    known, counts = np.unique(items[items >= 0], return_counts=True)
    n_older = n_older_than_newest(asked.models[MODEL].model, test)
    return _RowBlock(sums, known.astype(np.int64), counts, n_older, table, kept)


def _losses(
    recommender: Recommender, forecast: Forecast, values: NDArray[np.floating]
) -> tuple[dict[str, Doubles], Doubles]:
    """Return the losses of each test row, and its prediction.

    The losses are the squared and the absolute error; for each level, coverage and width.
    """
    predicted = columns_of(recommender.model, forecast, LEVELS[0])["prediction"]
    errors = {"rmse": (predicted - values) ** 2, "mae": np.abs(predicted - values)}
    return errors | _interval_losses(recommender, forecast, values, LEVELS), predicted


def _interval_losses(
    recommender: Recommender, forecast: Forecast, values: NDArray[np.floating], levels: Iterable[float]
) -> dict[str, Doubles]:
    """Return for each level whether each rating lies inside its interval, below or above, and how wide that is."""
    losses: dict[str, Doubles] = {}
    for level in levels if recommender.has_intervals else ():
        _, low, high = columns_of(recommender.model, forecast, level).values()
        inside, below, above = (low <= values) & (values <= high), values < low, values > high
        parts = {"coverage": inside, "width": high - low, "below": below, "above": above}
        losses |= {f"{name}_{level * 100:.0f}": part.astype(np.float64) for name, part in parts.items()}
    return losses


def _groups(
    recommender: Recommender, user_codes: NDArray[np.int32], item_codes: NDArray[np.int32]
) -> dict[str, NDArray[np.bool_]]:
    """Return masks of test rows by group; the groups that have any."""
    learned = learned_from(recommender, user_codes, item_codes)
    groups = dict(
        zip(
            GROUPS,
            (
                recommender.model.rated_users(user_codes) < 0,
                recommender.model.rated_items(item_codes) < 0,
                learned,
                ~learned,
            ),
            strict=True,
        )
    )
    return {name: rows for name, rows in groups.items() if rows.any()}
