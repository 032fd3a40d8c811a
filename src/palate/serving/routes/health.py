"""Whether the server lives, and whether it is ready to answer."""

from __future__ import annotations

from msgspec import Struct

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


ENDPOINTS = (
    Endpoint("GET", "/health/live", live, Health),
    Endpoint("GET", "/health/ready", ready, Health),
)
