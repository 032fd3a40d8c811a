"""Stored fields: fields as numbers, texts, lists and arrays, and back.

Model files hold fields in this form, with the arrays beside the header. Whatever `stored_field` cannot have written is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.features.base import Field, LeftOut
from palate.data.features.dense import Text, Vector
from palate.data.features.fields import AMOUNTS, SEPARATORS, Classes, Scale

KINDS: dict[str, type[Any]] = {
    "classes": Classes,
    "scale": Scale,
    "text": Text,
    "vector": Vector,
    "left out": LeftOut,
}
MAX_NUMBER = 1e7  # in an array; learned ones are far smaller


def stored_field(field: Field) -> dict[str, Any]:
    """A field as plain data: its kind and everything it learned. Arrays stay arrays."""
    kind = next(name for name, kind in KINDS.items() if isinstance(field, kind))
    values = {part.name: getattr(field, part.name) for part in fields(KINDS[kind])}
    return {"kind": kind} | {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def without_arrays(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored field with lists in place of its arrays, fit for JSON."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in stored.items()}


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
    if isinstance(field, Text | Vector):
        _check_dense(field)
    return field  # type: ignore[no-any-return]


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


def _check_dense(field: Text | Vector) -> None:
    rows = len(field.idf if isinstance(field, Text) else field.mean)
    if field.components.ndim != 2 or len(field.components) != rows or not field.components.size:
        raise ValueError(f"the components of {field.name!r} have shape {field.components.shape}")
    if isinstance(field, Vector):
        if field.mean.ndim != 1 or field.unit <= 0:
            raise ValueError(f"the mean or the unit of {field.name!r} is impossible")
        return
    shapes = field.idf.shape, field.shift.shape
    if shapes != ((len(field.words),), (field.components.shape[1],)) or (field.idf <= 0).any():
        raise ValueError(f"the words of {field.name!r} and their weights do not fit together")
    if len(set(field.words)) < len(field.words):
        raise ValueError(f"the words of {field.name!r} are not distinct")


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


def _array(value: Any) -> NDArray[np.float32]:
    if isinstance(value, np.ndarray) and value.dtype != np.float32:
        raise TypeError(f"{value.dtype} where float32 is expected")
    array = np.asarray(value if isinstance(value, np.ndarray) else _listed(value), np.float32)
    if not (np.abs(array) <= MAX_NUMBER).all():
        raise ValueError("an array with a number that is not finite or too large")
    return array


def _listed(value: Any) -> Sequence[Any]:
    if type(value) not in (list, tuple):
        raise TypeError(f"{value!r} is not a list")
    return value  # type: ignore[no-any-return]


READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": whole,
    "bool": _flag,
    "float": _number,
    "Floats": _array,
    "tuple[str, ...]": lambda value: tuple(map(_text, _listed(value))),
    "tuple[float, ...]": lambda value: tuple(map(_number, _listed(value))),
}
