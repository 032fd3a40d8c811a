"""Served: one model, ready to answer at once, without frames. What all requests share is prepared once.

Requests of a list with the same options are answered together: their users become rows (people.py), and one pass of the
kernel ranks the items of all of them.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from palate.answers.elicitation import ask
from palate.answers.explaining import explain_row
from palate.answers.names import Names
from palate.answers.predicting import check_distribution
from palate.answers.ranking import RecommendOptions
from palate.answers.ranking.filters import Lists
from palate.answers.ranking.queries import Query, query_of
from palate.answers.ranking.recommending import best_items
from palate.answers.results import Explanation
from palate.data.rows import CompressedRows, pointers_of, take_rows
from palate.data.vocabulary import Label
from palate.errors import OptionError, PalateError
from palate.models.factors import Codes, Floats
from palate.models.model import Forecast, Model, UserRows
from palate.recommender import Recommender
from palate.serving.people import Person, label_in_or_title, rows_of
from palate.serving.schema import ListOptions, Prediction, Reason, Recommended

MAX_QUERIES = 256  # prepared ones that are kept
Stamp = tuple[int, int, int]  # of a file: time of change in ns, inode, bytes
MAX_CALLS = 1_000_000  # functions in a condition times items
CALL = re.compile(r"\w\s*\(|\^@")
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
    _queries: OrderedDict[tuple[Any, ...], Query] = field(default_factory=OrderedDict)

    @property
    def model(self) -> Model:
        """The model in codes."""
        return self.recommender.model

    @cached_property
    def labels(self) -> list[Label]:
        """The label of every item, in the order of the codes."""
        labels: list[Label] = self.model.item_vocabulary.labels.tolist()
        return labels

    def title(self, code: int) -> str | None:
        """The title of an item; None in a model without titles."""
        titles = self.model.item_titles
        return None if titles is None else titles[code]

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
        query = replace(
            query,
            n=min(max(options.n for options, _ in asked), len(query.allowed)),
            excluded_lists=self._excluded([options.exclude for options, _ in asked]),
        )
        return self._answer(query, asked)

    def _answer(self, query: Query, asked: Sequence[tuple[ListOptions, Person]]) -> list[list[Recommended]]:
        """The lists of a prepared query."""
        model, people = self.model, [person for _, person in asked]
        rows = rows_of(model, people)
        codes, scores = best_items(model, rows, query)
        limits = (0.0, 1.0) if query.by in ("chance", "likely") else model.score_limits
        scores = np.clip(scores, *limits)
        low, high, chance = self._intervals(people, rows, codes, asked[0][0])
        lists: list[list[Recommended]] = []
        for at, (options, person) in enumerate(asked):
            n = min(options.n, int((codes[at] >= 0).sum()))
            own, ends = codes[at, :n].tolist(), zip(low[at], high[at], chance[at], strict=True)
            entries = enumerate(zip(own, scores[at, :n].tolist(), ends, strict=False), 1)
            lists.append(
                [Recommended(self.labels[c], self.title(c), rank, score, *end) for rank, (c, score, end) in entries]
            )
            if options.explain:
                self._give_reasons(lists[-1], own, _row(rows, at), person)
        return lists

    def _query(self, key: tuple[Any, ...], options: ListOptions) -> Query:
        """The options for this model, in codes; prepared once for all requests that share them."""
        if key in self._queries:
            self._queries.move_to_end(key)
            return self._queries[key]
        check_cost(options.where, len(self.model.item_vocabulary))
        query = query_of(
            self.model,
            RecommendOptions(
                where=options.where,
                max_per=options.max_per,
                keep_seen=options.keep_seen,
                **_ranking_of(options),
            ),
        )
        self._queries[key] = query
        if len(self._queries) > MAX_QUERIES:
            self._queries.popitem(last=False)
        return query

    def _excluded(self, given: Sequence[Sequence[Label]]) -> Lists | None:
        """The items that each user may not get; None where nobody excludes any."""
        if not any(given):
            return None
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

    def _intervals(
        self, people: Sequence[Person], rows: UserRows, codes: Codes, options: ListOptions
    ) -> tuple[Any, Any, Any]:
        """low, high and the chance of at_least or more for each item of each list; None where there are none."""
        nothing: list[list[float | None]] = [[None] * codes.shape[1]] * len(codes)
        model = self.model
        if not model.predicts_ratings or math.isnan(model.noise) or codes.size == 0:
            return nothing, nothing, nothing
        at = np.repeat(np.arange(len(codes)), codes.shape[1])
        forecast = forecast_of(model, people, rows, at, np.maximum(codes, 0).ravel())
        ends = [np.clip(end, *model.score_limits) for end in forecast.interval(options.level)]
        low, high = (end.reshape(codes.shape).tolist() for end in ends)
        if options.at_least is None or forecast.steps is None:
            return low, high, nothing
        is_enough = forecast.steps.steps.values.astype(np.float32) >= np.float32(options.at_least)
        assert forecast.probabilities is not None
        return low, high, forecast.probabilities[:, is_enough].sum(axis=1).reshape(codes.shape).tolist()

    def _give_reasons(self, items: list[Recommended], codes: list[int], row: UserRows, person: Person) -> None:
        """Add to each item of a list the own ratings that raise it most."""
        for item, code in zip(items, codes, strict=True):
            because = explain_row(self.model, row, person.label, code).because
            item.reasons = [Reason(*reason) for reason in because if reason.contribution > 0][:N_REASONS]

    def ranked(self, items: Sequence[Label], options: ListOptions, person: Person) -> list[Recommended]:
        """Given items in the order in which a user would like them; those that the model does not know are left out."""
        wanted = [label_in_or_title(self.model, item) for item in items]
        query = query_of(self.model, RecommendOptions(items=wanted, keep_seen=True, **_ranking_of(options)))
        return self._answer(query, [(options, person)])[0]

    # ---- one user and item

    def explanation(self, person: Person, item: Label) -> Explanation:
        """Why a prediction is what it is. Raises UnknownLabelError for an unknown item."""
        code = Names.of_items(self.model).encode_one(label_in_or_title(self.model, item))
        rows = rows_of(self.model, [person])
        forecast = forecast_of(self.model, [person], rows, np.zeros(1, np.int32), np.array([code], np.int32))
        return explain_row(self.model, rows, person.label, code, forecast.score_variance)

    def ask(self, person: Person, n: int, exclude: Sequence[Label]) -> Any:
        """A frame of the n items whose ratings would teach most about a user."""
        return ask(self.model, n, rows_of(self.model, [person]), exclude=exclude)

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
        forecast = forecast_of(model, people, rows_of(model, people), np.arange(len(people)), codes, when)
        parts = (np.clip(part, *model.score_limits) for part in (forecast.mean, *forecast.interval(level)))
        mean, low, high = (part.tolist() for part in parts)
        chances = forecast.probabilities if distribution else None
        values = [] if forecast.steps is None else [f"{value:g}" for value in forecast.steps.steps.values]
        return [
            Prediction(
                person.label if person.label is not None else "new",
                item,
                mean[at],
                _number(low[at]),
                _number(high[at]),
                person.is_known and bool(codes[at] >= 0),
                None if chances is None else dict(zip(values, chances[at].tolist(), strict=True)),
            )
            for at, (person, item) in enumerate(zip(people, items, strict=True))
        ]


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


def _ranking_of(options: ListOptions) -> dict[str, Any]:
    """What items are ranked by, as RecommendOptions takes it."""
    at_least = options.at_least if options.by in ("chance", "likely") else None
    return {"by": options.by, "level": options.level, "at_least": at_least, "seed": options.seed}


def forecast_of(
    model: Model, people: Sequence[Person], rows: UserRows, at: Any, item_codes: Codes, when: float | None = None
) -> Forecast:
    """The forecast for each row number in `at` and item code, (n,) each: of trained rows, or of folded-in ones.

    when: seconds since 1970; what is folded in answers for now.
    """
    is_new = np.array([person.history is not None for person in people])[at]
    times = None if when is None else np.full(len(at), when)
    if not is_new.any():
        return model.forecast(rows.codes[at], item_codes, times)
    has_data = rows.history.counts > 0
    if is_new.all():
        return model.forecast_new(rows, item_codes, has_data=has_data, rows=at.astype(np.int32))
    both = (
        model.forecast(rows.codes[at], item_codes, times),
        model.forecast_new(rows, item_codes, has_data=has_data, rows=at.astype(np.int32)),
    )
    return _either(is_new, *both)


def _either(is_second: Any, first: Forecast, second: Forecast) -> Forecast:
    """Of each entry the first forecast or the second."""

    def chosen(one: Any, other: Any) -> Any:
        return np.where(is_second, other, one)

    latent = None
    if first.latent is not None and second.latent is not None:
        latent = chosen(first.latent[0], second.latent[0]), chosen(first.latent[1], second.latent[1])
    return Forecast(
        chosen(first.mean, second.mean),
        chosen(first.standard_deviation, second.standard_deviation),
        chosen(first.score_variance, second.score_variance),
        first.steps,
        latent,
    )


def _shared(options: ListOptions) -> tuple[Any, ...]:
    """What requests must have in common to be answered in one pass."""
    return (
        options.by,
        options.where,
        tuple(sorted(options.max_per.items())),
        options.keep_seen,
        options.at_least,
        options.level,
        options.seed,
    )


def _row(rows: UserRows, at: int) -> UserRows:
    """One row of several."""
    here = np.array([at])
    return UserRows(
        rows.codes[here],
        rows.vectors[here],
        take_rows(rows.history, here),
        None if rows.draw is None else lambda: _drawn(rows, at),
    )


def _drawn(rows: UserRows, at: int) -> Floats:
    assert rows.draws is not None
    return rows.draws[:, at : at + 1]


def _number(value: float) -> float | None:
    """A number as JSON has it: no NaN."""
    return None if math.isnan(value) else value
