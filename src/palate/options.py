"""Checks of option values: what counts as a number, and whether a value is one of the valid ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from palate.errors import OptionError


def is_whole(value: object) -> TypeGuard[int]:
    """True for an integer of Python or NumPy; False for True and False."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """True for a real number of Python or NumPy, also NaN and infinity; False for True and False."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def check_option(name: str, value: Any, valid: Sequence[str]) -> None:
    """Raise OptionError unless the value is one of the valid ones; the message lists them."""
    if value not in valid:
        raise OptionError(f"{name}={value!r} is not an option; use one of {', '.join(map(repr, valid))}.")


def check_seed(seed: Any) -> None:
    """Raise OptionError unless the seed is a whole number from 0."""
    if not is_whole(seed) or seed < 0:
        raise OptionError(f"seed={seed!r}: give a whole number from 0.")
