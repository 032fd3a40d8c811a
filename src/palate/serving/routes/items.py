"""What a model knows of items: their rows, a search by title, the map of tastes; and what the model itself can do."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct, field

from palate.answers.names import Names
from palate.answers.ranking import RecommendOptions
from palate.answers.ranking.filters import allowed_rows
from palate.answers.ranking.queries import query_of
from palate.data.output import output_of
from palate.data.vocabulary import Label
from palate.errors import PalateError
from palate.models.network import Network
from palate.serving.endpoints import Call, Endpoint
from palate.serving.maps import MapAnswer, Position, can_map
from palate.serving.people import code_of, row_of
from palate.serving.problems import ProblemError
from palate.serving.routes.answers import ModelQuery
from palate.serving.schema import By, Count, Labels, Ratings
from palate.serving.served import Served
from palate.serving.tables import Column, Item, item_of

BY: tuple[By, ...] = ("mean", "lower", "thompson", "chance", "likely")
MAX_VALUES = 20  # of a rating scale that is listed


class ItemsQuery(ModelQuery, forbid_unknown_fields=True, kw_only=True):
    """Which items. Without query and item: all, the most rated first."""

    query: Annotated[str, Meta(max_length=200, description="A part of a title.")] = ""
    item: Annotated[list[Label], Meta(max_length=200, description="These items.")] = field(default_factory=list)
    where: str | None = None
    n: Count = 20
    offset: Annotated[int, Meta(ge=0)] = 0


class ItemsAnswer(Struct):
    """Items. total: how many there are in all; null for a search."""

    model: str
    total: int | None
    items: list[Item]


class Scale(Struct):
    """The ratings of a scale. values: each of them, or none where there are many; step: 0 if there is none."""

    low: float
    high: float
    step: float
    values: list[float]


class ModelAnswer(Struct):
    """What a model is, and what it can answer."""

    id: str
    name: str
    recipe: str
    takes: Annotated[str, Meta(description='"ratings" or "choices": what it learned from.')]
    scale: Annotated[Scale | None, Meta(description="Of the ratings; null for choices.")]
    predicts_ratings: bool
    has_intervals: bool
    has_chances: bool
    has_titles: bool
    can_ask: bool
    can_explain: bool
    can_map: bool
    by: Annotated[list[By], Meta(description="What its lists can be ranked by.")]
    n_users: int
    n_items: int
    n_ratings: int
    item_labels: Annotated[str, Meta(description='"integer" or "string".')]
    columns: list[Column]


class MapQuery(ModelQuery, forbid_unknown_fields=True, kw_only=True):
    """Which items the map shows: the most rated, and some more."""

    n: Annotated[Count, Meta(description="The most rated items.")] = 60
    item: Annotated[list[Label], Meta(max_length=200, description="Items to show besides.")] = field(
        default_factory=list
    )


class PositionRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose place on the map: one of user, likes and session."""

    user: Label | None = None
    likes: Ratings | None = None
    session: Labels | None = None
    model: str | None = None


# ---- items


async def items(call: Call) -> ItemsAnswer:
    """List items, the most rated first, or search for them by title."""
    query, served = call.query, call.service.models.of(None, call.query.model)
    total = None
    if query.item:
        codes = _known(served, query.item)
    elif query.query.strip():
        codes = _found(served, query.query, query.n + query.offset)
    else:
        codes, total = served.most_rated.tolist(), served.recommender.n_items
    if query.where is not None:
        allowed = allowed_rows(Names.of_items(served.model), served.model.item_table, None, (), query.where, "skip")
        codes = [code for code in codes if allowed[code]]
        total = None if total is None else len(codes)
    shown = codes[query.offset : query.offset + query.n]
    return ItemsAnswer(served.id, total, [item_of(served.model, code, int(served.item_counts[code])) for code in shown])


def _known(served: Served, labels: list[Label]) -> list[int]:
    """The codes of the items that the model knows, in order."""
    codes = (code_of(served.model.item_vocabulary, str(label)) for label in labels)
    return [code for code in codes if code >= 0]


def _found(served: Served, text: str, n: int) -> list[int]:
    with output_of("polars"):
        frame = served.recommender.find(text, n)
    codes: list[int] = served.model.item_vocabulary.encode(frame[served.model.item_vocabulary.what].to_list()).tolist()
    return codes


# ---- the model


async def model(call: Call) -> ModelAnswer:
    """Describe the model that answers: its scale, what it can do, and the columns of its item table."""
    served = call.service.models.of(None, call.query.model)
    model = served.model
    is_network = isinstance(model.factors, Network)
    return ModelAnswer(
        id=served.id,
        name=served.name,
        recipe=str(model.recipe.get("name", "")),
        takes="choices" if model.kind == "implicit" else "ratings",
        scale=None if model.kind == "implicit" else _scale(served),
        predicts_ratings=model.predicts_ratings,
        has_intervals=served.recommender.has_intervals,
        has_chances=model.step_distribution is not None,
        has_titles=model.item_titles is not None,
        can_ask=model.predicts_ratings and not is_network,
        can_explain=not is_network,
        can_map=can_map(model),
        by=[by for by in BY if _can_rank(served, by)],
        n_users=served.recommender.n_users,
        n_items=served.recommender.n_items,
        n_ratings=len(model.history.indices),
        item_labels="string" if model.item_vocabulary.kind == "string" else "integer",
        columns=served.columns,
    )


def _scale(served: Served) -> Scale:
    """The rating scale: its values where the training ratings have few."""
    values = np.unique(served.model.history.values)
    listed = values.tolist() if len(values) <= MAX_VALUES else []
    return Scale(*served.model.limits, served.model.rating_step, listed)


def _can_rank(served: Served, by: By) -> bool:
    at_least = served.model.limits[1] if by == "chance" else None
    try:
        query_of(served.model, RecommendOptions(by=by, at_least=at_least))
    except PalateError:
        return False
    return True


# ---- the map


async def taste_map(call: Call) -> MapAnswer:
    """Place the most rated items on two axes of taste, which are named after the item table."""
    served = _with_map(call.service.models.of(None, call.query.model))
    codes = dict.fromkeys([*served.most_rated[: call.query.n].tolist(), *_known(served, call.query.item)])
    return MapAnswer(served.id, served.map.axes(), served.map.places(list(codes), served.labels))


async def position(call: Call) -> Position:
    """Place a user on the map, known or described."""
    asked = call.body
    served = _with_map(call.service.models.of(asked.user, asked.model))
    person = call.service.person(served, asked.user, asked.likes, asked.session)
    return Position(served.id, *served.map.position(row_of(served.model, person).vectors[0]))


def _with_map(served: Served) -> Served:
    if not can_map(served.model):
        name = served.model.recipe.get("name", "this model")
        raise ProblemError(422, f"{name} has no two factors to draw a map of; serve a model that has, such as Bayes.")
    return served


ENDPOINTS = (
    Endpoint("GET", "/v1/items", items, ItemsAnswer, query=ItemsQuery),
    Endpoint("GET", "/v1/model", model, ModelAnswer, query=ModelQuery),
    Endpoint("GET", "/v1/map", taste_map, MapAnswer, query=MapQuery),
    Endpoint("POST", "/v1/map/position", position, Position, body=PositionRequest),
)
