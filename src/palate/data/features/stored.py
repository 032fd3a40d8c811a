"""Stored fields: fields as numbers, texts and lists, fit for JSON, and back.

Model files hold fields in this form. Whatever `stored_field` cannot have written is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from typing import Any

import numpy as np

from palate.data.features.fields import AMOUNTS, SEPARATORS, Classes, Field, LeftOut, Scale

KINDS: dict[str, type[Field]] = {"classes": Classes, "scale": Scale, "left out": LeftOut}


def stored_field(field: Field) -> dict[str, Any]:
    """A field as plain data: its kind and everything it learned."""
    kind = next(name for name, kind in KINDS.items() if isinstance(field, kind))
    return {"kind": kind} | {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(field).items()}


def restored_fields(stored: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    """Fields from plain data. Raise ValueError, TypeError or KeyError for what `stored_field` cannot have made."""
    restored = tuple(_restored(**field) for field in stored)
    sources = [name for field in restored for name in field.sources]
    for names in (sources, [field.name for field in restored]):
        if len(set(names)) < len(names):
            raise ValueError("two fields have one name")
    return restored


def whole(value: Any) -> int:
    """A whole number, 0 or more."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not a count")
    return value


def _restored(kind: str, **stored: Any) -> Field:
    types = {field.name: str(field.type) for field in fields(KINDS[kind])}
    field = KINDS[kind](**{name: READERS[types[name]](value) for name, value in stored.items()})
    if isinstance(field, Classes):
        _check_classes(field)
    if isinstance(field, Scale):
        _check_scale(field)
    return field


def _check_classes(field: Classes) -> None:
    if len(set(field.labels)) < len(field.labels) or "" in field.labels:
        raise ValueError(f"the classes of {field.name!r} are not distinct")
    if field.separator not in ("", "[", *SEPARATORS) or (field.separator and field.columns):
        raise ValueError(f"the separator of {field.name!r} is {field.separator!r}")


def _check_scale(field: Scale) -> None:
    if field.reads not in AMOUNTS:
        raise ValueError(f"{field.name!r} reads {field.reads!r}")
    if field.deviation <= 0 or len(field.knots) == 1 or any(a >= b for a, b in pairwise(field.knots)):
        raise ValueError(f"the deviation or the knots of {field.name!r} are impossible")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} is not a text")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not np.isfinite(float(value)):
        raise TypeError(f"{value!r} is not a finite number")
    return float(value)


def _listed(value: Any) -> Sequence[Any]:
    if type(value) not in (list, tuple):
        raise TypeError(f"{value!r} is not a list")
    return value  # type: ignore[no-any-return]


READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": whole,
    "bool": _flag,
    "float": _number,
    "tuple[str, ...]": lambda value: tuple(map(_text, _listed(value))),
    "tuple[float, ...]": lambda value: tuple(map(_number, _listed(value))),
}
