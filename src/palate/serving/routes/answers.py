"""Questions to the model: lists, predictions, similar items, explanations, what to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

from msgspec import Meta, Struct

from palate.answers.ranking.dials import POOL
from palate.data.output import output_of
from palate.errors import UnknownLabelError
from palate.serving.endpoints import Call, Endpoint
from palate.serving.people import label_in, label_in_or_title
from palate.serving.problems import ProblemError, problem_of
from palate.serving.schema import (
    MAX_BATCH,
    MAX_CONDITIONS,
    MAX_EXPLAINED,
    MAX_ITEMS,
    MAX_REORDERED,
    MAX_TOTAL,
    AskRequest,
    Count,
    ExplanationAnswer,
    ListAnswer,
    ListOptions,
    ListRequest,
    Predictions,
    PredictionsRequest,
    Problem,
    Question,
    Questions,
    RankRequest,
    Reason,
    Similar,
    SimilarAnswer,
    Where,
)
from palate.serving.served import Served, check_cost
from palate.serving.service import answer_id

ListRequests = Annotated[list[ListRequest], Meta(max_length=MAX_BATCH)]


class ModelQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which model answers."""

    model: str | None = None


class SimilarQuery(ModelQuery, forbid_unknown_fields=True, kw_only=True):
    """The options of similar items and users."""

    n: Count = 10
    where: Where | None = None


# ---- lists


async def recommendations(call: Call) -> ListAnswer:
    """Recommend items to a user, best first; an unknown user gets what a new user gets."""
    request = _request(call.query, user=call.path["user"])
    _check_work(call, [request])
    return await call.service.lists.ask(request)


async def many_recommendations(call: Call) -> list[ListAnswer | Problem]:
    """Recommend to many users, known or described, in one pass; an answer or a problem each, in order."""
    _check_work(call, call.body)
    asked = (call.service.lists.ask(request) for request in call.body)
    made = await asyncio.gather(*asked, return_exceptions=True)
    return [one if isinstance(one, ListAnswer) else problem_of(one) for one in made]


async def ranking(call: Call) -> ListAnswer:
    """Put given items in order for a user. Items that the model does not know are left out."""
    began, asked = time.perf_counter(), call.body
    served = call.service.models.of(asked.user, asked.model)
    person = call.service.person(served, asked.user, asked.likes, asked.session)
    options = ListOptions(
        n=min(len(asked.items), MAX_ITEMS), by=asked.by, at_least=asked.at_least, level=asked.level, seed=asked.seed
    )
    items = served.ranked(asked.items, options, person)
    return ListAnswer(answer_id(served), served.id, person.label, person.is_known, _since(began), items)


def _check_work(call: Call, requests: Sequence[ListRequest]) -> None:
    """Raise ProblemError for a call that would keep all others waiting."""
    asked = []
    for request in requests:
        with suppress(ProblemError):  # of its own, told in its place
            asked.append(call.service.in_scenario(request))
    conditions = {text for one in asked for text in (one.where, *one.boost) if text}
    for n, limit, what in (
        (sum(one.n for one in asked), MAX_TOTAL, "items"),
        (sum(one.n for one in asked if one.explain), MAX_EXPLAINED, "items with reasons"),
        (sum(min(one.n, POOL) for one in asked if _has_dials(one)), MAX_REORDERED, "items of lists with dials"),
        (len(conditions), MAX_CONDITIONS, "different conditions"),
    ):
        if n > limit:
            raise ProblemError(422, f"This asks for {n:,} {what}; at most {limit:,} may be in one call.")


def _has_dials(options: ListOptions) -> bool:
    return bool(options.diversity or options.popularity or options.calibrated or options.boost)


def _request(options: ListOptions, user: str) -> ListRequest:
    """The options of a query for this user."""
    return ListRequest(user=user, **{name: getattr(options, name) for name in options.__struct_fields__})


# ---- predictions


async def predictions(call: Call) -> Predictions:
    """Predict ratings of pairs, each with an interval."""
    began, asked = time.perf_counter(), call.body
    served = call.service.models.of(None, asked.model)
    people = [call.service.person(served, pair.user) for pair in asked.pairs]
    made = served.predictions(
        people, [pair.item for pair in asked.pairs], asked.level, when=asked.when, distribution=asked.distribution
    )
    return Predictions(answer_id(served), served.id, _since(began), made)


# ---- similar, explanations, questions


async def similar_items(call: Call) -> SimilarAnswer:
    """Find the items most similar to an item."""
    served = call.service.models.of(None, call.query.model)
    item = label_in_or_title(served.model, call.path["item"])
    return _similar(
        served, call.query.where, lambda: served.recommender.similar_items(item, call.query.n, where=call.query.where)
    )


async def similar_users(call: Call) -> SimilarAnswer:
    """Find the users most similar to a user."""
    served = call.service.models.of(call.path["user"], call.query.model)
    user = label_in(served.model.user_vocabulary, call.path["user"])
    return _similar(
        served, call.query.where, lambda: served.recommender.similar_users(user, call.query.n, where=call.query.where)
    )


def _similar(served: Served, where: str | None, find: Callable[[], Any]) -> SimilarAnswer:
    check_cost(where, len(served.model.item_vocabulary))
    began = time.perf_counter()
    with output_of("polars"):
        frame = find()
    label, *_, measure, _ = frame.columns
    texts = frame["title"].to_list() if "title" in frame.columns else [None] * len(frame)
    rows = zip(frame[label].to_list(), texts, frame["rank"].to_list(), frame[measure].to_list(), strict=True)
    return SimilarAnswer(answer_id(served), served.id, _since(began), measure, [Similar(*row) for row in rows])


async def explanation(call: Call) -> ExplanationAnswer:
    """Explain a prediction: the parts that add up to it, and which own ratings made it."""
    began = time.perf_counter()
    served = call.service.models.of(call.path["user"], call.query.model)
    person = call.service.person(served, call.path["user"])
    if not person.is_known:
        raise UnknownLabelError(f"unknown user {call.path['user']!r}: nothing is known that could explain anything.")
    why = served.explanation(person, call.path["item"])
    return ExplanationAnswer(
        answer_id(served),
        served.id,
        _since(began),
        why.user,
        why.item,
        why.title,
        why.prediction,
        why.parts,
        [Reason(*reason) for reason in why.because],
        why.known,
        why.rest,
    )


async def questions(call: Call) -> Questions:
    """Choose what to ask a new user next, after these ratings."""
    began, asked = time.perf_counter(), call.body
    served = call.service.models.of(None, asked.model)
    person = call.service.person(served, None, asked.likes)
    frame = served.ask(person, asked.n, [label_in_or_title(served.model, item) for item in asked.exclude])
    label = served.model.item_vocabulary.what
    texts = frame["title"].to_list() if "title" in frame.columns else [None] * len(frame)
    columns = (frame[name].to_list() for name in ("rank", "gain", "known"))
    rows = zip(frame[label].to_list(), texts, *columns, strict=True)
    return Questions(answer_id(served), served.id, _since(began), [Question(*row) for row in rows])


def _since(began: float) -> float:
    """Milliseconds since then."""
    return round((time.perf_counter() - began) * 1000, 3)


ENDPOINTS = (
    Endpoint("GET", "/v1/users/{user}/recommendations", recommendations, ListAnswer, query=ListOptions),
    Endpoint(
        "POST", "/v1/recommendations", many_recommendations, list[ListAnswer], body=ListRequests, may_fail_apart=True
    ),
    Endpoint("POST", "/v1/rank", ranking, ListAnswer, body=RankRequest),
    Endpoint("POST", "/v1/predictions", predictions, Predictions, body=PredictionsRequest),
    Endpoint("GET", "/v1/items/{item}/similar", similar_items, SimilarAnswer, query=SimilarQuery),
    Endpoint("GET", "/v1/users/{user}/similar", similar_users, SimilarAnswer, query=SimilarQuery),
    Endpoint("GET", "/v1/users/{user}/explanations/{item}", explanation, ExplanationAnswer, query=ModelQuery),
    Endpoint("POST", "/v1/ask", questions, Questions, body=AskRequest),
)
