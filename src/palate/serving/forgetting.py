"""Forgetting a user: in the store, in every model, in every model's file."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from palate.answers.updating import forget
from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.recommender import Recommender
from palate.serving.people import known_user
from palate.serving.served import Served
from palate.serving.service import Service


class ForgottenAnswer(Struct):
    """What was removed."""

    user: Label
    n_events: int
    models: list[str]


async def forget_user(service: Service, user: Label) -> ForgottenAnswer:
    """Remove a user's events, and the user from every model that knows them. Raises OptionError where one cannot."""
    forgotten = await asyncio.to_thread(service.store.forget, str(user))
    service.live.forget(str(user))
    changed = []
    for served in service.models:
        person = known_user(served.model, user)
        if person.code >= 0:
            service.models.put(await asyncio.to_thread(_without, service, served, person.label))
            changed.append(served.name)
    return ForgottenAnswer(user, forgotten.n_events, changed)


def _without(service: Service, served: Served, label: Label | None) -> Served:
    """The model without a user; its file too, where it has one."""
    remaining = Recommender(forget(served.model, [label], None))
    if served.path is None:
        raise OptionError("a model without a file cannot forget for good; serve it from a file.")
    remaining.save(served.path)
    return service.loaded(served.path)
