"""The ASGI application: endpoints as routes, what every request passes through, start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from palate.errors import PalateError
from palate.serving.endpoints import ENCODER, JSON
from palate.serving.observing import Observed
from palate.serving.openapi import document
from palate.serving.problems import ProblemError, handle, respond
from palate.serving.routes import ENDPOINTS, reference
from palate.serving.routes.page import page_routes
from palate.serving.schema import Problem
from palate.serving.service import Service

MAX_SHOWN = 200  # characters of an address that a problem repeats


def application(service: Service) -> Observed:
    """The application that answers with a service."""
    description = document(ENDPOINTS)
    described, shown = ENCODER.encode(description), reference.page(description)

    async def openapi(request: Request) -> Response:  # noqa: ARG001
        return Response(described, media_type=JSON)

    async def docs(request: Request) -> Response:  # noqa: ARG001
        return HTMLResponse(shown, headers=reference.HEADERS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = Starlette(
        routes=[
            *(endpoint.route(service) for endpoint in ENDPOINTS),
            Route("/openapi.json", openapi),
            *page_routes(),
            Route("/docs", docs),
        ],
        exception_handlers={
            HTTPException: _http,
            Exception: handle,
            **dict.fromkeys((PalateError, ProblemError, msgspec.DecodeError), handle),
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would repeat a Host header that anybody can choose
    return Observed(app, service.metrics, service.settings.seconds, service.settings.hosts)


async def _http(request: Request, error: Any) -> Response:
    """What Starlette itself refuses: a path or a method that is not there."""
    path = request.scope["path"][:MAX_SHOWN]
    detail = {
        404: f"There is nothing at {path}; /docs lists what there is.",
        405: f"{request.method} is not for {path}; /docs lists what is.",
    }.get(error.status_code, str(error.detail))
    return respond(Problem(str(error.detail), error.status_code, detail), error.headers)
