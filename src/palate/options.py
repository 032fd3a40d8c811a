"""Options: what counts as a number where somebody gives one."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np


def is_whole(value: object) -> TypeGuard[int]:
    """Whether this is a whole number, of Python or of NumPy; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a real number, of Python or of NumPy, NaN and infinity too; True and False are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
