"""/docs: what /openapi.json says, as a page to read. Plain HTML, made once, without scripts."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; } h3 { margin-top: 2rem; overflow-wrap: anywhere; }
code, pre { font: 14px/1.5 ui-monospace, monospace; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; }
.method { display: inline-block; min-width: 4.5rem; } nav ul { list-style: none; padding: 0; }
.scroll { overflow-x: auto; }
"""
_DIGEST = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}
Schema = Mapping[str, Any]


def page(document: Mapping[str, Any]) -> str:
    """The page that describes an OpenAPI document."""
    operations = [(path, method, one) for path, all_of in document["paths"].items() for method, one in all_of.items()]
    links = "".join(
        f'<li><a href="#{escape(one["operationId"])}"><code><span class="method">{method.upper()}</span> '
        f"{escape(path)}</code></a> {escape(one['summary'])}</li>"
        for path, method, one in operations
    )
    schemas = document["components"]["schemas"]
    parts = "".join(_operation(path, method, one) for path, method, one in operations)
    types = "".join(_type(name, schema) for name, schema in schemas.items())
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: the API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{title}: the API</h1><p>Bodies and answers are JSON. The same description for programs: "
        f'<a href="openapi.json">openapi.json</a>.</p>{_keys()}<nav><ul>{links}</ul></nav>'
        f"<h2>Calls</h2>{parts}<h2>Types</h2>{types}<h2>When it fails</h2>"
        f"<p>The body is then a {_link('Problem')}: its detail says what to do.</p>{_statuses(operations)}"
        "</body></html>"
    )


def _keys() -> str:
    return (
        "<p>With keys, send one with each request: <code>Authorization: Bearer palate_...</code>. Without keys, "
        "administration needs the token printed at the start: <code>X-Palate-Admin: ...</code>. A slash in a label is "
        "written <code>%2F</code> in an address.</p>"
    )


def _operation(path: str, method: str, one: Mapping[str, Any]) -> str:
    """One call."""
    rows = [(each["name"], each["in"], each["schema"]) for each in one["parameters"]]
    body = one.get("requestBody")
    ((media, answer),) = one["responses"]["200"]["content"].items()
    needs = "the scope admin, or the token" if {"token": []} in one["security"] else "a key, where there are any"
    return (
        f'<section id="{escape(one["operationId"])}"><h3><code>{method.upper()} {escape(path)}</code></h3>'
        f"<p>{escape(one['summary'])} Needs {needs}.</p>"
        + (_table(("parameter", "in", "type", "meaning"), [_row(*row) for row in rows]) if rows else "")
        + (f"<p>Body: {_kind(body['content']['application/json']['schema'])}</p>" if body else "")
        + f"<p>Answer: {_kind(answer['schema'])} as <code>{escape(media)}</code></p></section>"
    )


def _row(name: str, place: str, schema: Schema) -> tuple[str, ...]:
    return f"<code>{escape(name)}</code>", place, _kind(schema), _meaning(schema)


def _type(name: str, schema: Schema) -> str:
    """One type, with its fields."""
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>",
            "yes" if field in required else "",
            _kind(inner),
            _meaning(inner),
        )
        for field, inner in schema.get("properties", {}).items()
    ]
    said = escape(schema.get("description", ""))
    fields = _table(("field", "always", "type", "meaning"), rows) if rows else ""
    return f'<section id="type-{escape(name)}"><h3>{escape(name)}</h3><p>{said}</p>{fields}</section>'


def _kind(schema: Schema) -> str:
    """The type of a value in a few words."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    return escape(str(schema.get("type", "anything")))


LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "minLength": "shortest length",
    "maxLength": "longest length",
    "maxItems": "at most, in all,",
    "maxProperties": "at most, in all,",
}


def _meaning(schema: Schema) -> str:
    """What a value means, its limits and its default."""
    words = [schema["description"]] if "description" in schema else []
    words += [f"{said} {schema[name]:,}." for name, said in LIMITS.items() if name in schema]
    if schema.get("default") not in (None, [], {}):
        words.append(f"Default {schema['default']}.")
    return escape(" ".join(word[:1].upper() + word[1:] for word in words))


def _statuses(operations: list[tuple[str, str, Mapping[str, Any]]]) -> str:
    found = {status: one["description"] for *_, each in operations for status, one in each["responses"].items()}
    rows = [(f"<code>{status}</code>", escape(what)) for status, what in sorted(found.items()) if status != "200"]
    return _table(("status", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{one}</th>" for one in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def _link(name: str) -> str:
    return f'<a href="#type-{escape(name)}">{escape(name)}</a>'
