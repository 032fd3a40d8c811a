"""Served: one model, ready to answer at once, without frames. What all requests share is prepared once.

Requests of a list with the same options are answered together: their users become rows (people.py), and one pass of the
kernel ranks the items of all of them.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.elicitation import ask
from palate.answers.explaining import explain_row
from palate.answers.names import Names
from palate.answers.predicting import check_distribution
from palate.answers.ranking import RecommendOptions, best_of, forecast_of
from palate.answers.ranking.filters import Lists
from palate.answers.ranking.queries import Query, query_of
from palate.answers.recent import asked as weighing
from palate.answers.recent import seen_by
from palate.answers.results import Explanation
from palate.data.rows import CompressedRows, pointers_of
from palate.data.vocabulary import Label
from palate.errors import OptionError, PalateError
from palate.models.forecasts import Forecast
from palate.models.model import Model, UserRows
from palate.recommender import Recommender
from palate.serving.maps import TasteMap
from palate.serving.people import Person, label_in_or_title, nth_row, parts_of, row_of
from palate.serving.schema import ListOptions, Prediction, Reason, Recommended
from palate.serving.tables import Column, columns_of

MAX_QUERIES = 256  # prepared ones that are kept
Stamp = tuple[int, int, int]  # of a file: time of change in ns, inode, bytes
MAX_CALLS = 1_000_000  # functions in a condition times items
CALL = re.compile(r"\w\s*\(|\^@")
N_DECIMALS = 6
N_REASONS = 3  # with each item of a list


@dataclass
class Served:
    """A model that answers requests.

    Attributes:
        recommender (Recommender): The model.
        name (str): What requests call it.
        id (str): The name and the beginning of the file's digest: which model made an answer.
        learned_up_to (int, default 0): The sequence number of the last event that it learned.
        fitted_at (float, default 0.0): When its file was written, in seconds since 1970.
        path (Path, default None): Its file.
        stamp (tuple, default None): Time, number and size of the file that was loaded.
    """

    recommender: Recommender
    name: str
    id: str
    learned_up_to: int = 0
    fitted_at: float = 0.0
    path: Path | None = None
    stamp: Stamp | None = None
    _queries: OrderedDict[tuple[Any, ...], Query] = field(default_factory=OrderedDict, init=False, repr=False)
    _first_questions: dict[int, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def model(self) -> Model:
        """The model in codes."""
        return self.recommender.model

    @cached_property
    def labels(self) -> list[Label]:
        """The label of every item, in the order of the codes."""
        labels: list[Label] = self.model.item_vocabulary.labels.tolist()
        return labels

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """Training ratings or choices of every item."""
        return np.bincount(self.model.history.indices, minlength=len(self.model.item_vocabulary))

    @cached_property
    def most_rated(self) -> NDArray[np.intp]:
        """The codes of all items, the most rated first."""
        return np.argsort(-self.item_counts, kind="stable")

    @cached_property
    def columns(self) -> list[Column]:
        """The columns of the item table."""
        return columns_of(self.model)

    @cached_property
    def map(self) -> TasteMap:
        """The map of tastes. Raises OptionError for a model without factors."""
        return TasteMap.of(self.model)

    @cached_property
    def titles(self) -> list[str | None]:
        """The title of every item, in the order of the codes; None for one without."""
        titles = self.model.item_titles
        return [None if titles is None else titles[code] for code in range(len(self.labels))]

    def title(self, code: int) -> str | None:
        """The title of an item; None for one without."""
        return self.titles[code]

    def warm(self) -> None:
        """Prepare what the first answers would wait for: a known user's list, and that of a new one."""
        value = (
            np.ones(1, np.float32) if self.model.kind == "implicit" else np.full(1, self.model.limits[1], np.float32)
        )
        one = CompressedRows(np.array([0, 1], np.int64), np.zeros(1, np.int32), value, None)
        self.lists([(ListOptions(), Person(None, 0)), (ListOptions(), Person(None, -1, one))])

    # ---- lists

    def lists(self, asked: Sequence[tuple[ListOptions, Person]]) -> list[list[Recommended] | PalateError]:
        """The list for each request, or the error that it gets."""
        groups = defaultdict(list)
        for at, (options, _) in enumerate(asked):
            groups[_shared(options)].append(at)
        found: dict[int, list[Recommended] | PalateError] = {}
        for key, members in groups.items():
            try:
                found |= zip(members, self._lists(key, [asked[at] for at in members]), strict=True)
            except PalateError as error:
                found |= dict.fromkeys(members, error)
        return [found[at] for at in range(len(asked))]

    def _lists(self, key: tuple[Any, ...], asked: Sequence[tuple[ListOptions, Person]]) -> list[list[Recommended]]:
        """The lists of requests that share their options."""
        query = self._query(key, asked[0][0])
        return self._answer(replace(query, n=min(max(one.n for one, _ in asked), len(query.allowed))), asked)

    def _answer(self, query: Query, asked: Sequence[tuple[ListOptions, Person]]) -> list[list[Recommended]]:
        """The lists of a prepared query, in the order of the requests. Their level and at_least are the same."""
        model, options = self.model, asked[0][0]
        parts, order = parts_of(model, [person for _, person in asked])
        if options.recent is not None:
            model = weighing(model, options.recent)
            parts = [seen_by(model, part) for part in parts]
        if any(one.exclude for one, _ in asked):
            query = replace(query, excluded_lists=self._excluded([asked[at][0].exclude for at in order]))
        level = options.level if model.predicts_ratings and not math.isnan(model.noise) else None
        best = best_of(model, parts, query, level, options.at_least)
        if query.by == "mean" and model.predicts_ratings:
            best = replace(best, mean=best.scores.astype(np.float64))  # what a prediction is, to the last digit
        lists: dict[int, list[Recommended]] = {}
        columns = [_numbers(one) for one in (best.scores, best.low, best.high, best.chance, best.mean)]
        lengths = (best.codes >= 0).sum(axis=1).tolist()
        for row, (at, codes) in enumerate(zip(order, best.codes.tolist(), strict=True)):
            options, person = asked[at]
            codes = codes[: min(options.n, lengths[row])]
            lists[at] = self._listed(codes, [None if column is None else column[row] for column in columns])
            if options.explain:
                _give_reasons(model, lists[at], codes, nth_row(parts, row), person)
        return [lists[at] for at in range(len(asked))]

    def _listed(self, codes: list[int], columns: Sequence[list[float] | None]) -> list[Recommended]:
        """The items of these codes with score, low, high, chance and prediction of each; None where there is none."""
        labels, titles = self.labels, self.titles
        score, low, high, chance, mean = (repeat(None) if column is None else column for column in columns)
        ranks = range(1, len(codes) + 1)
        names = [labels[code] for code in codes], [titles[code] for code in codes]
        return list(map(Recommended, *names, ranks, score, low, high, chance, mean))

    def _query(self, key: tuple[Any, ...], options: ListOptions) -> Query:
        """The options for this model, in codes; prepared once for all requests that share them."""
        if key in self._queries:
            self._queries.move_to_end(key)
            return self._queries[key]
        for text in (options.where, *options.boost):
            check_cost(text, len(self.model.item_vocabulary))
        query = query_of(
            self.model,
            RecommendOptions(
                where=options.where,
                max_per=options.max_per,
                keep_seen=options.keep_seen,
                diversity=options.diversity,
                diversity_by=options.diversity_by,
                popularity=options.popularity,
                calibrated=options.calibrated,
                boost=options.boost,
                **_ranking_of(options),
            ),
        )
        self._queries[key] = query
        if len(self._queries) > MAX_QUERIES:
            self._queries.popitem(last=False)
        return query

    def _excluded(self, given: Sequence[Sequence[Label]]) -> Lists:
        """The items that each user may not get."""
        names = Names.of_items(self.model)
        lists: list[Any] = [
            np.unique(names.known([label_in_or_title(self.model, one) for one in some])) if some else []
            for some in given
        ]
        indices = np.concatenate([np.asarray(some, np.int32) for some in lists])
        rows = CompressedRows(
            pointers_of(np.array([len(some) for some in lists])), indices, np.ones(len(indices), np.float32), None
        )
        return Lists(rows, np.arange(len(given)))

    def ranked(self, items: Sequence[Label], options: ListOptions, person: Person) -> list[Recommended]:
        """Given items in the order in which a user would like them; those that the model does not know are left out."""
        wanted = [label_in_or_title(self.model, item) for item in items]
        query = query_of(self.model, RecommendOptions(items=wanted, keep_seen=True, **_ranking_of(options)))
        return self._answer(query, [(options, person)])[0]

    # ---- one user and item

    def explanation(self, person: Person, item: Label) -> Explanation:
        """Why a prediction is what it is. Raises UnknownLabelError for an unknown item."""
        code = Names.of_items(self.model).encode_one(label_in_or_title(self.model, item))
        rows = row_of(self.model, person)
        forecast = forecast_of(self.model, rows, np.zeros(1, np.int32), np.array([code], np.int32))
        return explain_row(self.model, rows, person.label, code, forecast.score_variance)

    def ask(self, person: Person, n: int, exclude: Sequence[Label]) -> Any:
        """A frame of the n items whose ratings would teach most about a user.

        The first questions are the same for everybody of whom nothing is known, and are kept.
        """
        if person.is_known or exclude:
            return self._ask(person, n, exclude)
        if n not in self._first_questions:
            self._first_questions[n] = self._ask(person, n, exclude)
        return self._first_questions[n]

    def _ask(self, person: Person, n: int, exclude: Sequence[Label]) -> Any:
        return ask(self.model, n, row_of(self.model, person), exclude=exclude)

    # ---- predictions

    def predictions(
        self,
        people: Sequence[Person],
        items: Sequence[Label],
        level: float,
        *,
        when: float | None = None,
        distribution: bool = False,
    ) -> list[Prediction]:
        """The prediction for each person and item; an unknown item gets one from the user alone."""
        model = self.model
        check_distribution(model, distribution)
        codes = model.item_vocabulary.encode([label_in_or_title(model, item) for item in items], on_unknown="mark")
        parts, order = parts_of(model, people)
        made: dict[int, Prediction] = {}
        for part in parts:
            own = order[len(made) : len(made) + len(part)]
            times = None if when is None else np.full(len(part), when)
            forecast = forecast_of(model, part, np.arange(len(part), dtype=np.int32), codes[own], times)
            rows = _rows_of(model, forecast, level, distribution=distribution)
            for at, (mean, low, high, chances) in zip(own, rows, strict=True):
                person, is_known = people[at], people[at].is_known and bool(codes[at] >= 0)
                label = "new" if person.label is None else person.label
                made[at] = Prediction(label, items[at], mean, low, high, is_known, chances)
        return [made[at] for at in range(len(people))]


def _rows_of(model: Model, forecast: Forecast, level: float, *, distribution: bool) -> Iterator[tuple[Any, ...]]:
    """Prediction, low, high and, if asked for, the probability of each rating, of every pair."""
    parts = (np.clip(part, *model.score_limits) for part in (forecast.mean, *forecast.interval(level)))
    mean, low, high = (part.tolist() for part in parts)
    chances: Sequence[dict[str, float] | None] = [None] * len(mean)
    if distribution and forecast.steps is not None and forecast.probabilities is not None:
        values = [f"{value:g}" for value in forecast.steps.steps.values]
        chances = [dict(zip(values, row, strict=True)) for row in forecast.probabilities.tolist()]
    return zip(mean, map(_number, low), map(_number, high), chances, strict=True)


def check_cost(where: str | None, n_items: int) -> None:
    """Raise OptionError for a condition that would hold up all other answers: functions of texts take 1 us an item."""
    if where is None:
        return
    n = len(CALL.findall(where))
    if n * n_items > MAX_CALLS:
        raise OptionError(
            f"where= calls {n} functions, and on {n_items:,} items may call {MAX_CALLS // n_items}: "
            "LIKE and ~ cost less."
        )


def _give_reasons(model: Model, items: list[Recommended], codes: list[int], row: UserRows, person: Person) -> None:
    """Add to each item of a list the own ratings that raise it most."""
    for item, code in zip(items, codes, strict=True):
        because = explain_row(model, row, person.label, code).because
        item.reasons = [Reason(*reason) for reason in because if reason.contribution > 0][:N_REASONS]


def _ranking_of(options: ListOptions) -> dict[str, Any]:
    """What items are ranked by, as RecommendOptions takes it."""
    at_least = options.at_least if options.by in ("chance", "likely") else None
    return {"by": options.by, "level": options.level, "at_least": at_least, "seed": options.seed}


def _shared(options: ListOptions) -> tuple[Any, ...]:
    """What requests must have in common to be answered in one pass."""
    return (
        options.by,
        options.where,
        tuple(sorted(options.max_per.items())),
        options.diversity,
        options.diversity_by,
        options.popularity,
        tuple(options.calibrated.items()),
        tuple(options.boost.items()),
        options.keep_seen,
        options.recent,
        options.at_least,
        options.level,
        options.seed,
    )


def _numbers(column: NDArray[np.floating] | None) -> list[list[float]] | None:
    """A column as numbers with as many digits as mean anything: float32 has seven."""
    return None if column is None else np.round(column.astype(np.float64), N_DECIMALS).tolist()


def _number(value: float) -> float | None:
    """A number as JSON has it: no NaN."""
    return None if math.isnan(value) else value
