"""Patterns of texts: LIKE with % and _, and regular expressions within a limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod

from palate.errors import DataError

MAX_PATTERN = 200  # characters
MAX_REPEATS = 1000  # of a{m,n}: such counts multiply when nested, and the compiled expression grows with them


def like(pattern: str, *, any_case: bool, escape: str = "") -> Callable[[str], bool]:
    """A test whether a whole text is like a pattern: % is any text, _ is any one character.

    Each piece between two % is taken where it is found first and never tried again, so that no pattern takes long.
    """
    _check_length(pattern)
    first, *others = ("".join(piece) for piece in _pieces(pattern, escape))
    middle = "".join(f"(?>.*?{piece})" for piece in others[:-1])
    end = f".*{others[-1]}" if others else ""
    expression = re.compile(first + middle + end, re.DOTALL | (re.IGNORECASE if any_case else 0))
    return lambda text: expression.fullmatch(text) is not None


def like_regex(pattern: str, *, any_case: bool, escape: str = "") -> str:
    """The same test as a regular expression of polars, whose engine never takes long."""
    _check_length(pattern)
    between = ".*".join("".join(piece) for piece in _pieces(pattern, escape))
    return f"(?s{'i' if any_case else ''})^{between}$"


def _pieces(pattern: str, escape: str) -> list[list[str]]:
    """The pieces between the %, each a list of regular expressions of one character."""
    pieces: list[list[str]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if escape and character == escape:
            pieces[-1].append(_literal(next(characters, escape)))
        elif character == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if character == "_" else _literal(character))
    return pieces


def _literal(character: str) -> str:
    """A character as it stands in regular expressions, those of Python and those of polars."""
    return f"\\{character}" if character in r"\.+*?()|[]{}^$#&-~" else character


def check_regex(pattern: str) -> None:
    """Raise DataError for a regular expression that is long, or that compiles to something large."""
    _check_length(pattern)
    repeats = [re.findall(r"\d+", re.sub(r"\s", "", inside)) for inside in re.findall(r"\{([\d\s,]*)", pattern)]
    if prod(max(map(int, counts), default=1) or 1 for counts in repeats) > MAX_REPEATS:
        raise DataError(f"the regular expression {pattern!r} repeats too often: at most {MAX_REPEATS:,} times in all.")


def _check_length(pattern: str) -> None:
    if len(pattern) > MAX_PATTERN:
        raise DataError(f"a pattern has {len(pattern):,} characters, and may have {MAX_PATTERN}: {pattern[:40]!r}...")
