"""Evaluate predictions: their error, the coverage of their intervals, and the error of trivial baselines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.predicting import columns_of
from palate.data.ratings import Ratings
from palate.data.rows import Codes
from palate.distributed import Exchange, Local
from palate.evaluation.agreement import Agreement, AgreementBins
from palate.evaluation.breakdowns import OWN, Breakdown, breakdown, one_hot
from palate.evaluation.groups import Groups, by_activity, by_popularity
from palate.evaluation.hindsight import hindsight_note, n_older_than_newest
from palate.evaluation.matching import code_maps, learned_from, training_ratings
from palate.evaluation.propensities import (
    SELF_SELECTED,
    InversePropensities,
    is_self_selected,
    notes_on,
)
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, plain_measures
from palate.evaluation.user_sums import BlockSums, Losses, UserSums
from palate.models.forecasts import Forecast
from palate.recipes import Bias, Mean
from palate.recommender import Recommender
from palate.showing.events import within
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

LEVELS = (0.9, 0.5)
CARD_LEVELS = (0.8, 0.95)  # of a card, besides
MISSES = ("below_", "above_")  # how the names of these measures begin
LEARNED, HELD_OUT = "learned from", "held out"
GROUPS = ("cold users", "cold items", LEARNED, HELD_OUT)
SNIPS = "snips_"  # before the names of measures that are weighted by inverse propensities
BLOCK_ROWS = 1 << 18  # test rows that are measured at once
MODEL, GROUP = "", "group"
CARD = "card"  # after a model: the sums that only a card needs
ITEMS = "items "  # and the number of a group of items: what the sums of a model are restricted to
Key = tuple[str, str]  # of sums: a model and how it is weighted or which items it is of, or GROUP and which


@dataclass(frozen=True, repr=False)
class Report(Measured):
    """The result of evaluate() on explicit ratings. report["rmse"] is a number; print(report) prints a table.

    With r the test ratings and p their predictions, rmse = sqrt(mean (p - r)^2) and mae = mean |p - r|. coverage_90 is
    the share of test ratings inside their 90% intervals, below_90 and above_90 the shares below and above them, and
    width_90 the mean width of these intervals in rating units. In these means a rating of weight 2 counts as two. An
    unknown measure name raises OptionError, which lists the valid ones.

    With propensity=, "snips_rmse" and the other measures of that prefix are means with weights 1 / propensity: an
    estimate of the same measure on pairs of a user and an item drawn at random.

    Attributes:
        n (int): The number of test ratings.
        n_users (int): The number of users with test ratings.
        measures (dict of str to Measure): "rmse", "mae"; for models with intervals also "coverage_90", "width_90",
            "below_90", "above_90", and the same of 50% intervals. With propensity=, each once more with the prefix
            "snips_".
        baselines (dict of str to dict, default empty): The measures of each baseline, by its name.
        groups (dict of str to dict, default empty): The measures on the test rows of "cold users" and of "cold items",
            those without training ratings. Where test ratings were learned from, also the measures on these, "learned
            from", and on the others, "held out". A group without test rows is missing.
        group_sizes (dict of str to int, default empty): The number of test ratings in each group.
        verdict (str, default ""): A sentence if the model is not significantly better than its best baseline.
        n_learned (int, default 0): The number of test ratings of a (user, item) pair that the model was trained on.
        propensity (str, default ""): Where the propensities are from: "popularity", "given", or "" without any.
        n_effective (float or None, default None): The effective sample size of the weighted measures, (sum w)^2 /
            sum w^2.
        is_self_selected (bool, default False): Whether users seem to have chosen what they rated: test ratings vary
            more between items than under random exposure.
        n_older (int, default 0): The number of test ratings that are older than the newest training rating; 0 too if
            they have no times.
        per_user (PerUser or None, default None): The squared errors, split by user.
        breakdowns (tuple of Breakdown, default empty): The RMSE by the number of training ratings of the user, and of
            the item, of this model and of the baseline Bias.
        agreement (Agreement or None, default None): How predictions and ratings go together.

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.1, seed=0)
        >>> report = palate.evaluate(palate.Bias().fit(train), test)
        >>> report["mae"] < report["rmse"] < report.baselines["Mean"]["rmse"].value
        True
    """

    n: int
    n_users: int
    measures: dict[str, Measure]
    baselines: dict[str, dict[str, Measure]] = field(default_factory=dict)
    groups: dict[str, dict[str, Measure]] = field(default_factory=dict)
    group_sizes: dict[str, int] = field(default_factory=dict)
    verdict: str = ""
    n_learned: int = 0
    propensity: str = ""
    n_effective: float | None = None
    is_self_selected: bool = False
    n_older: int = 0
    per_user: PerUser | None = field(default=None, repr=False, compare=False)
    breakdowns: tuple[Breakdown, ...] = field(default=(), repr=False, compare=False)
    agreement: Agreement | None = field(default=None, repr=False, compare=False)

    def plot(self, what: str | None = None, *, ax: Any = None) -> Figure:
        """Draw what the errors are like: predictions beside ratings, and the error by activity and by popularity.

        "predictions" shows the spread of the predictions at each rating; "calibration" the mean rating at each
        prediction, which equals the prediction in a calibrated model; "activity" and "popularity" the RMSE by the
        number of training ratings of the user and of the item, beside the baseline Bias. Upright lines are 95%
        intervals, by the bootstrap over users for the RMSE.

        Parameters:
            what (str or None, default None): One of these four; None draws all.
            ax (matplotlib Axes or list of Axes, default None): Where to draw, one for each drawing; None makes a figure
                of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: matplotlib is not installed, there is no such drawing, or ax does not fit.

        Example:
            >>> import palate
            >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.1, seed=0)
            >>> report = palate.evaluate(palate.Bias().fit(train), test)
            >>> len(report.plot().axes), report.plot("activity").axes[0].get_ylabel()
            (4, 'RMSE')
        """
        check_matplotlib("Report.plot")
        from palate.evaluation.pictures import plot_report

        return plot_report(self, what, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Returns:
            dict: All attributes but per_user, breakdowns and agreement. Each measure is a dict of value, low and high;
                nan becomes None. Each group holds its size as n.
        """
        return {
            "n": self.n,
            "n_users": self.n_users,
            "measures": plain_measures(self.measures),
            "baselines": {name: plain_measures(measures) for name, measures in self.baselines.items()},
            "groups": {n: {"n": self.group_sizes[n], **plain_measures(rows)} for n, rows in self.groups.items()},
            "verdict": self.verdict,
            "n_learned": self.n_learned,
            "propensity": self.propensity,
            "n_effective": self.n_effective,
            "is_self_selected": self.is_self_selected,
            "n_older": self.n_older,
        }

    def _table(self) -> list[list[str]]:
        """The rows of the table, its head first: the model, the baselines, and groups of test ratings."""
        columns = [("model", self.measures), *self.baselines.items()]
        if self.n_effective is not None:
            columns += [(f"{name}, snips", _weighted_alone(measures)) for name, measures in columns]
        columns += [(f"{name} ({self.group_sizes[name]:,})", measures) for name, measures in self.groups.items()]
        shown = [name for name in self.measures if not name.startswith((SNIPS, *MISSES))]
        return [["", *shown], *([name, *(_cell(key, measures) for key in shown)] for name, measures in columns)]

    def _heading(self) -> str:
        return f"{self.n:,} test ratings of {self.n_users:,} users; in brackets, 95% bootstrap intervals over users"

    def _notes(self) -> list[str]:
        """Return what a reader should know beside the table, in lines."""
        notes = notes_on(self.propensity, self.n_effective, self.n)
        if self.n_learned:
            learned = f"{self.n_learned:,} of them are pairs of a user and an item that the model was trained on"
            notes.append(f"{learned}: errors there say nothing about new ratings.")
        notes += [SELF_SELECTED] * self.is_self_selected
        notes += hindsight_note(self.n_older, "the newest training rating")
        return [*self._misses(), *notes, self.verdict] if self.verdict else [*self._misses(), *notes]

    def _misses(self) -> list[str]:
        """Return how many test ratings lie below and above the intervals, as a line; none without intervals."""
        if f"coverage_{LEVELS[0] * 100:.0f}" not in self.measures:
            return []
        told = []
        for level in LEVELS:
            below, above = (self.measures[f"{miss}{level * 100:.0f}"].value for miss in MISSES)
            told.append(f"{level:.0%} intervals {below:.1%} and {above:.1%}")
        return [f"Ratings below and above their intervals: of {', of '.join(told)}."]


def _weighted_alone(measures: dict[str, Measure]) -> dict[str, Measure]:
    """Return the weighted measures under their names without the prefix."""
    return {name.removeprefix(SNIPS): measure for name, measure in measures.items() if name.startswith(SNIPS)}


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


def report_on_predictions(found: MeasuredRows) -> Report:
    """Return the report on what was measured."""
    sums, inverse = found.sums, found.asked.inverse
    weighted = sums.get((MODEL, SNIPS))

    def measures(name: str) -> dict[str, Measure]:
        own = sums[name, ""].measures()
        if inverse is None:
            return own
        return own | {SNIPS + key: measure for key, measure in sums[name, SNIPS].measures().items()}

    own, of_baselines = sums[MODEL, ""], {name: sums[name, ""] for name in found.asked.models if name != MODEL}
    groups = {name: sums[GROUP, name] for name in _shown_groups(sums)}
    return Report(
        n=len(found.asked.test),
        n_users=len(found.n),
        measures=measures(MODEL),
        baselines={name: measures(name) for name in of_baselines},
        groups={name: group.measures() for name, group in groups.items()},
        group_sizes={name: group.n_rows for name, group in groups.items()},
        verdict=_verdict(own, of_baselines),
        n_learned=groups[LEARNED].n_rows if LEARNED in groups else 0,
        propensity="" if inverse is None else inverse.source,
        n_effective=None if weighted is None else weighted.effective_size,
        is_self_selected=is_self_selected(found.item_counts),
        n_older=found.n_older,
        per_user=own.per_user("rmse"),
        breakdowns=_breakdowns(found),
        agreement=found.asked.bins.agreement(found.table),
    )


def _breakdowns(found: MeasuredRows) -> tuple[Breakdown, ...]:
    """The RMSE by activity and by popularity, of the model and of Bias where it is measured."""
    names = {OWN: MODEL, **{name: name for name in found.asked.models if name == "Bias"}}
    activity = by_activity(found.recommender.model, found.users, found.n)
    by_user: dict[str, Any] = {}
    for shown, name in names.items():
        whole = found.sums[name, ""].per_user("rmse")
        by_user[shown] = one_hot(whole.sums, activity), one_hot(whole.counts, activity)
    by_item = {shown: found.by_item("rmse", name) for shown, name in names.items()}
    sizes = np.bincount(activity.of, found.n, len(activity.names))
    return (
        breakdown("user", "rmse", activity, sizes, by_user, found.resample),
        breakdown("item", "rmse", found.asked.popularity, found.item_sizes, by_item, found.resample),
    )


def _shown_groups(sums: dict[Key, UserSums]) -> list[str]:
    """The groups that have rows; that rows are held out goes without saying if none was learned from."""
    found = [name for name in GROUPS if (GROUP, name) in sums]
    return found if LEARNED in found else [name for name in found if name != HELD_OUT]


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


def _verdict(model: UserSums, baselines: dict[str, UserSums]) -> str:
    """Return a sentence if the model is not significantly better than its best baseline; empty otherwise."""
    if not baselines:
        return ""
    name = min(baselines, key=lambda baseline: baselines[baseline].mean("rmse"))
    gain = baselines[name].of("rmse") - model.of("rmse")
    if model.mean_of(gain) <= 1e-6 * model.mean("rmse"):  # equal up to rounding
        return f"This model is NOT better than the baseline {name}: use {name}, or look at the data with palate check."
    sample = model.samples(gain[:, None])
    if np.nanquantile(sample, 0.025) <= 0:
        return f"This model is better than the baseline {name}, but not significantly (95% bootstrap)."
    return ""


def _cell(name: str, measures: dict[str, Measure]) -> str:
    """Return a measure as a table cell: errors with their intervals, other measures without."""
    if name not in measures:
        return "-"
    return str(measures[name]) if name in ("rmse", "mae") else f"{measures[name].value:.3f}"
