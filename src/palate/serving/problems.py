"""Errors as problem details (RFC 9457): what is wrong, and what to do, in JSON."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from palate.errors import FeedbackError, PalateError, StoreError, UnknownLabelError
from palate.serving.schema import Problem

MEDIA_TYPE = "application/problem+json"
INTERNAL = "The server failed; its log says why, under the id of this request."


class ProblemError(Exception):
    """An answer that is a problem. headers: sent along, such as Retry-After."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(HTTPStatus(status).phrase, status, detail)
        self.headers = headers


def problem_of(error: BaseException) -> Problem:
    """The problem behind an error. What palate raises on purpose is the caller's to mend; all else is the server's."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, msgspec.ValidationError):
        return Problem("Unprocessable Content", 422, _sentence(str(error)))
    if isinstance(error, msgspec.DecodeError):
        return Problem("Bad Request", 400, f"The body is no JSON that can be read: {_sentence(str(error))}")
    if isinstance(error, UnknownLabelError):
        return Problem("Not Found", 404, _sentence(str(error)))
    if isinstance(error, StoreError) and not isinstance(error, FeedbackError):
        return Problem("Service Unavailable", 503, _sentence(str(error)))
    if isinstance(error, PalateError):
        return Problem("Unprocessable Content", 422, _sentence(str(error)))
    return Problem("Internal Server Error", 500, INTERNAL)


def respond(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The HTTP response of a problem."""
    return Response(msgspec.json.encode(problem), problem.status, headers, MEDIA_TYPE)


async def handle(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Starlette's handler of exceptions."""
    problem = problem_of(error)
    later = {"Retry-After": "1"} if problem.status == 503 else None
    return respond(problem, getattr(error, "headers", later))


def _sentence(text: str) -> str:
    """A message with its full stop. Its first word stays small, since it may be the name of an option."""
    return text + ("" if text.endswith((".", "?", "!")) else ".")
