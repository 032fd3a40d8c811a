"""Short texts of numbers, names and whole answers: one rule for `repr`, for tables and for HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

DIGITS = 4  # that count, of a number whose meaning is not known
MAX_NAME = 80  # characters of a label or title
MAX_VALUE = 120  # characters of a value in a repr
MAX_REPR = 1_800  # characters of a repr
SMALLEST_WHOLE = 10_000  # numbers from here on are shown without decimals
LARGEST_WHOLE = 1e15

# Characters that steer a terminal, turn the direction of other text, or that no encoding takes.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

LONG_NUMBER = re.compile(r"\d+\.\d{7,}(?:e[-+]?\d+)?")


def number(value: float, digits: int = DIGITS) -> str:
    """A number to a few digits that count: 0.8732, 12.35, 1,234,567, 1.2e-07."""
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if not math.isfinite(value):
        return f"{value:g}"
    if SMALLEST_WHOLE <= abs(value) < LARGEST_WHOLE:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def decimals_for(*values: float) -> int:
    """How many decimals show three digits of the largest of some numbers: 2 on a scale of 1 to 5, 1 on one of 100."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    if largest < 1e-9:
        return 2
    return int(np.clip(2 - math.floor(math.log10(largest) - 1e-9), 0, 9))


def interval(value: float, low: float, high: float) -> str:
    """A prediction with its interval, if it has one: "4.13 (2.5 .. 5.0)"."""
    if math.isnan(low) or math.isnan(high):
        return f"{value:.{decimals_for(value)}f}"
    decimals = decimals_for(value, low, high)
    rough = max(decimals - 1, 0)
    return f"{value:.{decimals}f} ({low:.{rough}f} .. {high:.{rough}f})"


def with_short_numbers(text: str) -> str:
    """The text with six digits of each number that has very many: "Bias(weight_decay=1.22039)"."""
    return LONG_NUMBER.sub(lambda found: f"{float(found[0]):.6g}", text)


def name(label: Any, longest: int = MAX_NAME) -> str:
    """A label or title on one line: cut if it is long, with control characters as escapes."""
    text = label if isinstance(label, str) else str(label)
    return UNSAFE.sub(lambda sign: ascii(sign[0])[1:-1], cut(text, longest))


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def brief(text: str, longest: int = MAX_REPR) -> str:
    """The text, or its first lines and a line that says what is left out."""
    if len(text) <= longest:
        return text
    lines, kept, size = text.splitlines(), [], 0
    for line in lines:
        short = cut(line, longest // 4)
        if size + len(short) >= longest - 60:
            break
        kept.append(short)
        size += len(short) + 1
    return "\n".join([*kept, f"… ({len(lines) - len(kept):,} more lines; print() shows all)"])


def joined(names: Iterable[Any], n: int, total: int, longest: int = 40) -> str:
    """The first n names, separated by commas, and how many more there are."""
    shown = [name(one, longest) for one, _ in zip(names, range(n), strict=False)]
    more = f", … ({total:,} in all)" if total > n else ""
    return ", ".join(shown) + more


def value(given: Any) -> str:
    """Any value as a short text. Arrays and long lists are told by their size."""
    if given is None or isinstance(given, bool):
        return str(given)
    if isinstance(given, int | float | np.integer | np.floating):
        return number(float(given)) if isinstance(given, float | np.floating) else str(int(given))
    if isinstance(given, str):
        return repr(cut(given, MAX_VALUE))
    if hasattr(given, "shape"):  # arrays, tensors and frames
        return f"{getattr(given, 'dtype', type(given).__name__)} {tuple(given.shape)}"
    if isinstance(given, Mapping):
        return "{" + _members([f"{value(key)}: {value(one)}" for key, one in _first(given.items())], len(given)) + "}"
    if isinstance(given, list | tuple):
        return "[" + _members([value(one) for one in _first(given)], len(given)) + "]"
    text = " ".join(repr(given).split())
    return type(given).__name__ if "array(" in text else cut(text, MAX_VALUE)


def _first(many: Iterable[Any], n: int = 4) -> list[Any]:
    return [one for one, _ in zip(many, range(n), strict=False)]


def _members(shown: list[str], total: int) -> str:
    return cut(", ".join(shown) + (f", … {total:,} in all" if total > len(shown) else ""), MAX_VALUE)


def of_fields(thing: Any) -> str:
    """A dataclass or named tuple as its class and its fields, each value short."""
    names = [field.name for field in fields(thing) if field.repr] if is_dataclass(thing) else thing._fields
    return brief(f"{type(thing).__name__}({', '.join(f'{one}={value(getattr(thing, one))}' for one in names)})")


class Printed:
    """Of answers that print as text: their repr is the same text, cut if it is very long."""

    def __repr__(self) -> str:
        return brief(str(self))


class Fielded:
    """Of records: their repr has each field, with numbers cut short and arrays told by their shape."""

    def __repr__(self) -> str:
        return of_fields(self)
