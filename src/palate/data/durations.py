"""Durations as a caller gives them ("30d", "12h", a timedelta, seconds) -> seconds."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

import numpy as np

from palate.errors import OptionError
from palate.options import is_number

Duration = float | str | timedelta | np.timedelta64
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration_of(given: Any, option: str) -> float:
    """The seconds of "90s", "30min", "12h", "30d", "2w", a timedelta or a number of seconds.

    Raises OptionError, naming the option, for anything else, and unless they are above 0.
    """
    if not is_duration(given):
        raise OptionError(
            f'{option}={given!r} is no length of time: give a text such as "30d", "12h", "30min", "90s" or "2w", a '
            "timedelta, or seconds, above 0."
        )
    return _seconds(given)


def is_duration(given: Any) -> bool:
    """True for what duration_of() takes."""
    return 0 < _seconds(given) < math.inf


def _seconds(given: Any) -> float:
    """Seconds; nan for what is no duration."""
    if isinstance(given, np.timedelta64):  # which NumPy takes for an integer too
        return float(given / np.timedelta64(1, "ns")) / 1e9
    if isinstance(given, timedelta):
        return given.total_seconds()
    if is_number(given):
        return float(given)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d|w)\s*", given) if isinstance(given, str) else None
    return float(found[1]) * SECONDS[found[2]] if found else math.nan
