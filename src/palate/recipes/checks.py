"""Checks of recipe options. Each raises OptionError, and names the option and its valid range."""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.errors import OptionError
from palate.options import is_number, is_whole

MAX_SEED = 2**64 - 1


def check_counts(minimum: int = 0, maximum: float = np.inf, **options: Any) -> None:
    """Raise OptionError if an option is neither None nor a whole number from `minimum` to `maximum`."""
    for name, value in options.items():
        if value is None:
            continue
        if not is_whole(value) or not minimum <= value <= maximum:
            bounds = f"{minimum} or more" if maximum == np.inf else f"from {minimum} to {maximum}"
            raise OptionError(f"{name} must be a whole number, {bounds}, got {value!r}.")


def check_given(**options: Any) -> None:
    """Raise OptionError if a whole number is None."""
    for name, value in options.items():
        if value is None:
            raise OptionError(f"{name} must be a whole number, got None.")


def check_seed(seed: int | None) -> None:
    """Raise OptionError if a seed is neither None nor a whole number from 0 to 2^64 - 1."""
    check_counts(maximum=MAX_SEED, seed=seed)


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
