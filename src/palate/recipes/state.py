"""The state of a fit: what changes from sweep to sweep, as named arrays and JSON, and back.

A class lists in STATE the attributes that change. Their values are numbers, arrays, random generators, None, lists,
tuples and dictionaries of these, or objects with a STATE of their own. A fit that goes on makes the same objects again,
from the same ratings and options, and `restore` sets these attributes. Then it calls `restored()` of an object that
must derive something from them.

An object may also have parts: large arrays that are written once and stay as they are, such as kept draws. `parts()`
names them, and `set_part()` takes them back in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
SEQUENCES: dict[str, Any] = {"list": list, "tuple": tuple}


@dataclass
class Packed:
    """A packed state: the JSON, its arrays, and parts by name."""

    arrays: Arrays = field(default_factory=dict)
    parts: dict[str, Arrays] = field(default_factory=dict)
    tree: Any = None


def pack(value: Any) -> Packed:
    """The state of an object. Arrays are not copied."""
    packed = Packed()
    packed.tree = _packed(value, "state", packed)
    return packed


def _packed(value: Any, name: str, into: Packed) -> Any:
    """A value as JSON: what it is, and what it holds."""
    if hasattr(value, "STATE"):
        return _packed_object(value, name, into)
    if value is None or isinstance(value, bool | int | str):
        return {"plain": value}
    if isinstance(value, np.ndarray | np.generic):
        into.arrays[name] = np.asarray(value)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if isinstance(value, np.random.Generator):
        return {"generator": _without_arrays(value.bit_generator.state)}
    if isinstance(value, dict):
        return {"dict": [[key, _packed(part, f"{name}.{key}", into)] for key, part in value.items()]}
    for kind, container in SEQUENCES.items():
        if isinstance(value, container):
            return {kind: [_packed(part, f"{name}.{at}", into) for at, part in enumerate(value)]}
    return {"float": float.hex(value)}  # exact, and also for nan


def _packed_object(value: Any, name: str, into: Packed) -> Any:
    tree = {attribute: _packed(getattr(value, attribute), f"{name}.{attribute}", into) for attribute in value.STATE}
    parts = dict(value.parts()) if hasattr(value, "parts") else {}
    into.parts |= parts
    return {"object": tree, "parts": list(parts)}


def _without_arrays(state: Any) -> Any:
    """The state of a bit generator, with lists in place of arrays."""
    if isinstance(state, dict):
        return {key: _without_arrays(part) for key, part in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def restore(value: Any, tree: Any, arrays: Mapping[str, NDArray[Any]], part_of: Callable[[str], Arrays]) -> Any:
    """What was packed; objects are changed in place. part_of: reads a part by name."""
    ((kind, content),) = ((key, content) for key, content in tree.items() if key != "parts")
    if kind == "object":
        for attribute, inner in content.items():
            setattr(value, attribute, restore(getattr(value, attribute), inner, arrays, part_of))
        for name in tree["parts"]:
            value.set_part(part_of(name))
        if hasattr(value, "restored"):
            value.restored()
        return value
    if kind in ("array", "scalar"):
        array = np.array(arrays[content])  # a copy, which may be written to
        return array if kind == "array" else array[()]
    if kind == "generator":
        value.bit_generator.state = content
        return value
    if kind == "dict":
        return {key: restore(None, inner, arrays, part_of) for key, inner in content}
    if kind in SEQUENCES:
        known = value if isinstance(value, list | tuple) and len(value) == len(content) else [None] * len(content)
        made = (restore(one, inner, arrays, part_of) for one, inner in zip(known, content, strict=True))
        return SEQUENCES[kind](made)
    return float.fromhex(content) if kind == "float" else content
