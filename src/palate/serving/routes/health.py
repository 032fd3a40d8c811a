"""Whether the server lives, and whether it is ready to answer."""

from __future__ import annotations

import time

from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from palate.serving.endpoints import Call, Endpoint


class Health(Struct):
    """The state of the server."""

    status: str
    models: list[str]


async def live(call: Call) -> Health:  # noqa: ARG001
    """Say that the process answers."""
    return Health("live", [])


async def ready(call: Call) -> Health:
    """Say which models are loaded; fails while the store cannot be read."""
    call.service.store.last()
    return Health("ready", [served.id for served in call.service.models])


async def metrics(call: Call) -> Response:
    """Give every count and time, as Prometheus reads them."""
    service, made = call.service, call.service.metrics
    number, now = service.store.last(), time.time()
    made.store_number.set(number)
    for served in service.models:
        made.learned.labels(served.name).set(served.learned_up_to)
        made.lag.labels(served.name).set(number - served.learned_up_to)
        made.age.labels(served.name).set(now - served.fitted_at)
    return Response(made.text(), media_type=CONTENT_TYPE_LATEST)


ENDPOINTS = (
    Endpoint("GET", "/health/live", live, Health),
    Endpoint("GET", "/health/ready", ready, Health),
    Endpoint("GET", "/metrics", metrics, str, media_type="text/plain"),
)
