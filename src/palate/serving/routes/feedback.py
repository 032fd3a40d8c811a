"""What users did: taken in, shown, forgotten."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import Meta

from palate.serving.endpoints import Call, Endpoint
from palate.serving.forgetting import ForgottenAnswer, forget_user
from palate.serving.people import code_of, label_in
from palate.serving.schema import MAX_BATCH, Feedback, FeedbackAnswer, History, Rated
from palate.serving.store import Event

Feedbacks = Annotated[list[Feedback], Meta(max_length=MAX_BATCH)]


async def feedback(call: Call) -> FeedbackAnswer:
    """Keep what users did. When this answers it is durable, and the users' next answers count it."""
    service = call.service
    service.guard.spend(call.key, len(call.body))
    now = time.time()
    events = [
        Event(
            one.id,
            str(one.user),
            str(one.item),
            one.value,
            one.event,
            int(now if one.time is None else one.time),
            one.answer,
        )
        for one in call.body
    ]
    added = await service.commit.add(events)
    accepted = sum(added.is_new)
    new = [event for event, is_new in zip(events, added.is_new, strict=True) if is_new]
    service.judged.see(service.models.of(None), new)
    service.outcomes.see(new)
    service.metrics.took_in(accepted, len(events) - accepted)
    return FeedbackAnswer(accepted, len(events) - accepted)


async def history(call: Call) -> History:
    """Show what is known of a user: what the model learned from, and what arrived since."""
    service, user = call.service, call.path["user"]
    service.live.refresh()
    served = service.models.of(user)
    model = served.model
    code = model.user_vocabulary.find(label_in(model.user_vocabulary, user))
    ratings = []
    if code >= 0:
        codes, values = model.history.row(code)
        ratings = [
            Rated(served.labels[item], served.title(item), value, None, None, learned=True)
            for item, value in zip(codes.tolist(), values.tolist(), strict=True)
        ]
    for _, event in service.live.events_of(user, served.learned_up_to):
        item = code_of(model.item_vocabulary, event.item)
        label, title = (event.item, None) if item < 0 else (served.labels[item], served.title(item))
        ratings.append(Rated(label, title, event.value, event.event, float(event.time), learned=False))
    return History(user, bool(ratings), ratings)


async def forgotten(call: Call) -> ForgottenAnswer:
    """Forget a user: events, ratings learned, and their influence on others, in the store and in every model's file."""
    return await forget_user(call.service, call.path["user"])


ENDPOINTS = (
    Endpoint("POST", "/v1/feedback", feedback, FeedbackAnswer, body=Feedbacks, scope="feedback"),
    Endpoint("GET", "/v1/users/{user}/history", history, History),
    Endpoint("DELETE", "/v1/users/{user}", forgotten, ForgottenAnswer, scope="admin", may_take_long=True),
)
