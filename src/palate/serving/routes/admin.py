"""Administration: models and what became of their answers, a new fit, other shares, files read again."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from msgspec import Meta, Struct

from palate.data.checking import check
from palate.serving.endpoints import Call, Endpoint
from palate.serving.gathering import learned_ratings
from palate.serving.learning import Outcome
from palate.serving.problems import ProblemError

NO_FILE = "This server was started without a file to fit again."


class ModelState(Struct):
    """A model that is served."""

    id: str
    name: str
    share: float
    recipe: dict[str, Any]
    n_users: int
    n_items: int
    n_ratings: int
    low: Annotated[float, Meta(description="The lowest rating.")]
    high: float
    learned_up_to: int
    fitted_at: float
    seconds: Annotated[float | None, Meta(description="The fit took so long.")]
    metrics: Annotated[dict[str, Any], Meta(description="Measured on held-out ratings, where it was saved with any.")]
    n_answers_named: Annotated[int, Meta(description="Events that named one of its answers.")]
    mean_value: Annotated[float | None, Meta(description="The mean of the ratings among them.")]


class Calibration(Struct):
    """How many of the ratings that arrived lie in the intervals of a level; those of known users and items."""

    level: float
    held: float


class State(Struct):
    """The server."""

    models: list[ModelState]
    traffic: dict[str, Any]
    store_number: int
    is_fitting: bool
    fits: list[Outcome]
    policy: Annotated[str, Meta(description="When it fits again.")]
    n_judged: Annotated[int, Meta(description="Ratings that arrived and were compared with their intervals.")]
    calibration: list[Calibration]


class Doctor(Struct):
    """What a check of the training ratings found."""

    worst: str
    findings: list[dict[str, str]]


class Shares(Struct, forbid_unknown_fields=True):
    """The share of users whom each model answers; they add up to 1."""

    shares: dict[str, float]


class Reloaded(Struct):
    """The models after a reload."""

    models: list[str]


async def models(call: Call) -> State:
    """Show the models, what became of their answers, traffic, fits, and whether intervals hold what arrives."""
    service = call.service
    shares, outcomes = service.models.shares, service.outcomes
    states = []
    for served in service.models:
        model, (n_named, total, n_values) = served.model, outcomes.of(served.id)
        states.append(
            ModelState(
                served.id,
                served.name,
                shares.get(served.name, 0.0),
                {name: value for name, value in model.recipe.items() if value is not None},
                len(model.user_vocabulary),
                len(model.item_vocabulary),
                len(model.history.indices),
                *model.limits,
                served.learned_up_to,
                served.fitted_at,
                model.training.get("seconds"),
                model.metrics,
                n_named,
                total / n_values if n_values else None,
            )
        )
    refitter = service.refitter
    return State(
        states,
        service.metrics.summary(),
        service.store.last(),
        refitter is not None and refitter.is_running,
        [] if refitter is None else refitter.outcomes[-20:],
        "never" if refitter is None else refitter.when,
        service.judged.counts[1],
        [Calibration(*pair) for pair in service.judged.shares.items()],
    )


async def doctor(call: Call) -> Doctor:
    """Check the ratings that the first model learned from: what was found, what it means, what to do."""
    served = next(iter(call.service.models))
    found = await asyncio.to_thread(lambda: check(learned_ratings(served.model)))
    shown = [one for one in found.findings if one.name != "columns"]  # how the model's own ratings were read is no news
    return Doctor(found.worst, [{name: str(value) for name, value in asdict(one).items()} for one in shown])


async def reload(call: Call) -> Reloaded:
    """Read the files of the models again, and the keys."""
    await call.service.reload()
    return Reloaded([served.id for served in call.service.models])


async def fit(call: Call) -> Outcome:
    """Fit the first model again now, to all that has arrived; swap it, or say why not."""
    if call.service.refitter is None:
        raise ProblemError(409, NO_FILE)
    return await call.service.refitter.refit()


async def share(call: Call) -> Shares:
    """Divide the users among models."""
    call.service.models.share(call.body.shares)
    return Shares(call.service.models.shares)


ENDPOINTS = (
    Endpoint("GET", "/admin/models", models, State, scope="admin"),
    Endpoint("GET", "/admin/doctor", doctor, Doctor, scope="admin", may_take_long=True),
    Endpoint("POST", "/admin/reload", reload, Reloaded, scope="admin"),
    Endpoint("POST", "/admin/fit", fit, Outcome, scope="admin", may_take_long=True),
    Endpoint("POST", "/admin/share", share, Shares, body=Shares, scope="admin"),
)
