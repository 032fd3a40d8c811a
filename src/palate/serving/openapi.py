"""/openapi.json (3.1), made from the endpoints and their types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from palate.__version__ import __version__
from palate.serving.endpoints import JSON, PAIRS, Endpoint
from palate.serving.problems import MEDIA_TYPE
from palate.serving.schema import Problem

REF = "#/components/schemas/{name}"
PROBLEMS = {
    400: "A body that is no JSON.",
    401: "No valid key.",
    403: "A key without this scope.",
    404: "Something that is not there.",
    405: "A method that is not for this path.",
    408: "A body that took too long to come.",
    409: "Something that this server was not started with.",
    413: "A body that is too large.",
    415: "A body that is not said to be JSON.",
    421: "A Host header that this server does not answer to.",
    422: "A value that cannot be.",
    429: "Too much at a time.",
    500: "A failure of the server.",
    503: "A store that cannot be reached, or an answer that took too long.",
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The description of the API."""
    types = [
        Problem,
        *(part for each in endpoints for part in (each.body, each.answer, each.query) if part is not None),
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    of_type = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, of_type, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "palate", "version": __version__, "description": "Recommendations over HTTP."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "token": {"type": "apiKey", "in": "header", "name": "X-Palate-Admin"},
            },
        },
    }


def _operation(each: Endpoint, of_type: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """One method of one path."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", each.path)
    ]
    if each.query is not None:
        parts = components[each.query.__name__]["properties"]
        parameters += [_parameter(name, part) for name, part in parts.items()]
    answer, failure = of_type[repr(each.answer)], of_type[repr(Problem)]
    if each.may_fail_apart:
        answer = answer | {"items": {"anyOf": [answer["items"], failure]}}
    problem = {"content": {MEDIA_TYPE: {"schema": failure}}}
    made: dict[str, Any] = {
        "operationId": each.handle.__name__,
        "summary": each.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "The answer.", "content": {each.media_type: {"schema": answer}}},
            **{str(status): {"description": what, **problem} for status, what in PROBLEMS.items()},
        },
        "security": [{"token": []}] if each.scope == "admin" else [{}, {"key": []}],
    }
    if each.body is not None:
        made["requestBody"] = {"required": True, "content": {JSON: {"schema": of_type[repr(each.body)]}}}
    return made


def _parameter(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """A query parameter."""
    if name in PAIRS:
        what, example = PAIRS[name]
        part = {"type": "string", "description": f"Columns, and {what} for each, such as {example}."}
    return {"name": name, "in": "query", "required": False, "schema": _without_null(part)}


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of what may be left out, when it is there: a query cannot say null."""
    kinds = [one for one in part.get("anyOf", ()) if one != {"type": "null"}]
    if not kinds:
        return part
    rest = {name: value for name, value in part.items() if name not in ("anyOf", "default")}
    return rest | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
