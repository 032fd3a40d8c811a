"""What every request passes through: its time, its count, its line in the log, its limit, headers of every answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from palate.serving.metrics import Metrics
from palate.serving.problems import INTERNAL, MEDIA_TYPE
from palate.serving.schema import Problem

LOG = logging.getLogger("palate.serving")
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
NO_LIMIT = "palate.no_limit"  # a function that lifts the limit of time
PATH = "palate.path"  # where a route leaves the address as it is declared, without anybody's label


class Observed:
    """An application whose requests are counted, timed, logged and limited.

    A line of the log has no label, no address and no query: only which endpoint answered, how, and in which time.

    Parameters:
        app (ASGI application): What answers.
        metrics (Metrics): What counts.
        seconds (float, default 10.0): After so long a request is given up.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, seconds: float = 10.0) -> None:
        self._app = app
        self._metrics = metrics
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, request_id = time.perf_counter(), 0, secrets.token_hex(8)
        scope["palate.id"] = request_id

        async def observed(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as limit:
                scope[NO_LIMIT] = lambda: limit.reschedule(None)
                await self._app(scope, receive, observed)
        except TimeoutError:
            if status == 0:
                await _fail(observed, 503, f"This took longer than {self._seconds:g} seconds; ask for less at a time.")
        except Exception:
            LOG.exception("request failed", extra={"request": request_id})
            if status == 0:
                await _fail(observed, 500, INTERNAL)
        seconds = time.perf_counter() - began
        path = scope.get(PATH, "other")
        self._metrics.answered(path, scope["method"], status, seconds)
        if LOG.isEnabledFor(logging.INFO):
            fields = {"request": request_id, "method": scope["method"], "path": path, "status": status}
            LOG.info("answered", extra=fields | {"ms": round(seconds * 1000, 3)})


async def _fail(send: Send, status: int, detail: str) -> None:
    """Answer with a problem."""
    title = {500: "Internal Server Error", 503: "Service Unavailable"}[status]
    body = msgspec.json.encode(Problem(title, status, detail))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
