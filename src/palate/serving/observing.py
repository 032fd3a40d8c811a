"""What every request passes through: its time, its count, its line in the log, its limit, headers of every answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import MutableMapping
from http import HTTPStatus
from itertools import count
from pathlib import PurePath
from traceback import extract_tb
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from palate.serving.hosts import Hosts, is_allowed
from palate.serving.metrics import Metrics
from palate.serving.problems import INTERNAL, MEDIA_TYPE
from palate.serving.schema import Problem

_PROCESS = secrets.token_hex(6)  # so that no two processes give the same id
_NUMBERS = count(1)
LOG = logging.getLogger("palate.serving")
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
NO_LIMIT = "palate.no_limit"  # a function that lifts the limit of time
PATH = "palate.path"  # where a route leaves the address as it is declared, without anybody's label
READING = "palate.reading"  # whether a body is being read
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))  # any other counts as "other"
OTHER_HOST = (
    "This server answers as localhost and 127.0.0.1 only. If it is behind a proxy, start it with --allow-host and the "
    "name in this request's Host header."
)


class Observed:
    """An application whose requests are counted, timed, logged and limited.

    A line of the log has no label, no address and no query: only which endpoint answered, how, and in which time.

    Parameters:
        app (ASGI application): What answers.
        metrics (Metrics): What counts.
        seconds (float, default 10.0): After so long a request is given up.
        hosts (set of bytes, default None): The hosts that requests may name; None is any.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, seconds: float = 10.0, hosts: Hosts | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._seconds = seconds
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, request_id = time.perf_counter(), 0, f"{_PROCESS}{next(_NUMBERS):x}"
        scope["palate.id"] = request_id
        # Routes see the path as it was sent, so that a label may have a slash in it: a%2Fb. They decode its parts.
        scope["path"] = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")

        async def observed(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = dict(message.get("headers", ()))
                more = {name: value for name, value in HEADERS if name not in given}
                message["headers"] = [
                    *message.get("headers", ()),
                    *more.items(),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as limit:
                scope[NO_LIMIT] = lambda: limit.reschedule(None)
                if is_allowed(scope["headers"], self._hosts):
                    await self._app(scope, receive, observed)
                else:
                    await _fail(observed, 421, OTHER_HOST)
        except TimeoutError:
            if status == 0 and scope.get(READING):
                await _fail(observed, 408, f"The body was not here after {self._seconds:g} seconds; send it again.")
            elif status == 0:
                await _fail(observed, 503, f"This took longer than {self._seconds:g} seconds; ask for less at a time.")
        except Exception as error:
            LOG.error("request failed", extra={"request": request_id, "error": _place_of(error)})
            if status == 0:
                await _fail(observed, 500, INTERNAL)
        seconds = time.perf_counter() - began
        path = scope.get(PATH, "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.answered(path, method, status, seconds)
        if LOG.isEnabledFor(logging.INFO):
            fields = {"request": request_id, "method": method, "path": path, "status": status}
            LOG.info("answered", extra=fields | {"ms": round(seconds * 1000, 3)})


def _place_of(error: Exception) -> str:
    """The kind of an error and the lines that led to it. Its message is left out: it may have labels in it."""
    lines = (f"{PurePath(one.filename).name}:{one.lineno} in {one.name}" for one in extract_tb(error.__traceback__))
    return f"{type(error).__name__} at {' > '.join(lines)}"


async def _fail(send: Send, status: int, detail: str) -> None:
    """Answer with a problem. The connection ends with it, since its body may be unread."""
    body = msgspec.json.encode(Problem(HTTPStatus(status).phrase, status, detail))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close"), *([(b"retry-after", b"1")] if status == 503 else [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
