"""Checks of option values. Each raises OptionError that names the option, its valid values and the value given."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from palate.errors import OptionError

MAX_N = 2**31 - 1  # the highest rank that an int32 column holds
MAX_SEED = 2**64 - 1  # the highest seed of the kernels' random numbers


def is_whole(value: object) -> TypeGuard[int]:
    """True for an integer of Python or NumPy; False for True and False."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """True for a real number of Python or NumPy, also NaN and infinity; False for True and False."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise OptionError unless the value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(map(repr, choices))
        raise OptionError(f"{name}={value!r} is not valid; use {'one of ' if len(choices) > 1 else ''}{listed}.")


def check_whole(minimum: int = 0, maximum: float = np.inf, *, or_none: bool = False, **options: Any) -> None:
    """Raise OptionError if an option is not a whole number from `minimum` to `maximum` (or None, with or_none)."""
    for name, value in options.items():
        if value is None and or_none:
            continue
        if not is_whole(value) or not minimum <= value <= maximum:
            bounds = f"{minimum} or more" if maximum == np.inf else f"from {minimum} to {maximum}"
            raise OptionError(f"{name} must be a whole number, {bounds}, got {value!r}.")


def check_is_path(**options: Any) -> None:
    """Raise OptionError if an option is not the path of a file or folder. An empty text would mean this folder."""
    for name, value in options.items():
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(text, str):
            raise OptionError(f"{name} must be a path, a text or a pathlib.Path, not {type(value).__name__}.")
        if not text:
            raise OptionError(f"{name}={text!r} is no path: name a file or a folder.")


def check_seed(seed: Any, maximum: float = np.inf) -> None:
    """Raise OptionError if the seed is not a whole number from 0 to `maximum`."""
    check_whole(0, maximum, seed=seed)


def check_count(n: Any) -> None:
    """Raise OptionError if n, a number of rows to return, is not a whole number from 0 to MAX_N."""
    check_whole(n=n)
    if n > MAX_N:
        raise OptionError(f"n must be at most {MAX_N}, got {n!r}; where there are fewer, all come back.")


def check_level(level: Any) -> None:
    """Raise OptionError unless the level of an interval lies between 0 and 1, both excluded."""
    if not is_number(level) or not 0 < level < 1:
        raise OptionError(f"level must lie between 0 and 1, got {level!r}.")


def check_positive(**options: Any) -> None:
    """Raise OptionError if an option is not a finite number above 0."""
    for name, value in options.items():
        if not is_number(value) or not 0 < value < np.inf:
            raise OptionError(f"{name} must be a number above 0, got {value!r}.")


def check_not_negative(**options: Any) -> None:
    """Raise OptionError if an option is not a finite number, 0 or more."""
    for name, value in options.items():
        if not is_number(value) or not 0 <= value < np.inf:
            raise OptionError(f"{name} must be a number, 0 or more, got {value!r}.")


def check_between(minimum: float, maximum: float, **options: Any) -> None:
    """Raise OptionError if an option is not a number from `minimum` to `maximum`."""
    for name, value in options.items():
        if not is_number(value) or not minimum <= value <= maximum:
            raise OptionError(f"{name} must be a number from {minimum:g} to {maximum:g}, got {value!r}.")


def check_flags(**options: Any) -> None:
    """Raise OptionError if an option is neither True nor False."""
    for name, value in options.items():
        if not isinstance(value, bool | np.bool_):
            raise OptionError(f"{name} must be True or False, got {value!r}.")
