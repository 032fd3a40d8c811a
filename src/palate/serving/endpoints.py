"""Endpoints: a method and path, the types that it takes and gives, and the function that answers.

The routes and /openapi.json are both made from them, so that what is described is what is checked.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from palate.serving.observing import NO_LIMIT, PATH, READING
from palate.serving.problems import ProblemError

if TYPE_CHECKING:
    from palate.serving.service import Service

Scope = Literal["read", "feedback", "admin"]
Method = Literal["GET", "POST", "PUT", "DELETE"]

JSON = "application/json"
ENCODER = msgspec.json.Encoder()


class Call(NamedTuple):
    """One request, checked: the service, what stands in the path, the query or body as its type, and the key's name."""

    service: Service
    path: Mapping[str, str]
    query: Any
    body: Any
    key: str


# Parameters of a query that hold columns with a number each: what the number is, and an example.
PAIRS = {
    "max_per": ("a count", "genre:2"),
    "calibrated": ("how much it counts", "genre:0.3"),
    "boost": ("how much it counts", "margin:0.2"),
}


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method (str): "GET", "POST", "PUT" or "DELETE".
        path (str): With parameters in braces, such as "/v1/users/{user}".
        handle (async function): From a Call to an answer of the type `answer`.
        answer (type): What it gives.
        query (msgspec type, default None): The parameters after the question mark.
        body (type, default None): The JSON of the body.
        scope (str, default "read"): What a key must allow.
        may_fail_apart (bool, default False): The answer is a list in which a problem may stand in place of an answer.
        may_take_long (bool, default False): No limit of time.
        media_type (str, default "application/json"): Of the answer.
    """

    method: Method
    path: str
    handle: Callable[[Call], Awaitable[Any]]
    answer: Any
    query: type[msgspec.Struct] | None = None
    body: Any = None
    scope: Scope = "read"
    may_fail_apart: bool = False
    may_take_long: bool = False
    media_type: str = JSON
    names: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        many = (
            ()
            if self.query is None
            else tuple(one.name for one in msgspec.structs.fields(self.query) if "list" in str(one.type))
        )
        object.__setattr__(self, "names", many)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.handle.__doc__ or "").strip().partition("\n")[0]

    def route(self, service: Service) -> Route:
        """The Starlette route that answers with this."""
        decoder = None if self.body is None else msgspec.json.Decoder(self.body)

        async def answer(request: Request) -> Response:
            request.scope[PATH] = self.path
            if self.may_take_long:
                request.scope[NO_LIMIT]()
            key = service.guard.admit(request.scope, self.scope)
            path = _decoded(request.path_params) if request.path_params else {}
            query = None if self.query is None else self._query_of(request)
            body = None if decoder is None else decoder.decode(await _body_of(request, service.settings.max_body))
            made = await self.handle(Call(service, path, query, body, key))
            return made if isinstance(made, Response) else Response(ENCODER.encode(made), media_type=JSON)

        return Route(self.path, answer, methods=[self.method], name=f"{self.method} {self.path}")

    def _query_of(self, request: Request) -> Any:
        """The query parameters as their type; a repeated one is a list."""
        assert self.query is not None
        given: dict[str, Any] = {}
        for name, value in request.query_params.multi_items():
            if name in self.names:
                given.setdefault(name, []).append(value)
            elif name in PAIRS:
                given[name] = _pairs_of(name, value)
            elif name in given:
                raise ProblemError(422, f"{name} is given twice; give it once.")
            else:
                given[name] = value
        query = msgspec.convert(given, self.query, strict=False)
        for name in self.query.__struct_fields__:
            value = getattr(query, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ProblemError(422, f"{name}={value}: write a finite number.")
        return query


def _decoded(path: Mapping[str, str]) -> dict[str, str]:
    """What stands in the path, decoded: "a%2Fb" is the label "a/b"."""
    try:
        return {name: unquote(value, errors="strict") for name, value in path.items()}
    except UnicodeDecodeError:
        raise ProblemError(400, "The address is no UTF-8: write labels in UTF-8, percent-encoded.") from None


def _pairs_of(name: str, text: str) -> dict[str, str]:
    """The columns and numbers in "genre:2,decade:3"."""
    pairs = [part.rpartition(":") for part in text.split(",")]
    if not all(column and count for column, _, count in pairs):
        what, number = PAIRS[name]
        raise ProblemError(422, f"{name}={text!r}: write a column and {what}, such as {name}={number}.")
    return {column: count for column, _, count in pairs}


async def _body_of(request: Request, limit: int) -> bytes:
    """The body, up to a limit in bytes.

    It must be called JSON. A page of another site can send other types without asking first, but not this one.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != JSON:
        raise ProblemError(415, f"Send the body as JSON, with the header Content-Type: {JSON}.")
    too_large = f"The body is larger than {limit:,} bytes; send less at a time."
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise ProblemError(413, too_large)
    parts, size = [], 0
    request.scope[READING] = True
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise ProblemError(413, too_large)
        parts.append(part)
    request.scope[READING] = False
    return b"".join(parts)
