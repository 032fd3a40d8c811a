"""Learning rates that a search suggests: each function takes the rates and losses of lr_find, and returns a rate."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from palate.errors import OptionError
from palate.nn.schedules import LrSearch, suggested_lr

Suggest = Callable[[Sequence[float], Sequence[float], int], float]
SLIDE, FLAT = 15, 0.005  # steps of the search between two slopes, and how much they may differ on flat ground


def valley(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """Suggest a tenth of the rate around which the mean loss is lowest; see palate.nn.LrSearch.

    Parameters:
        lrs (sequence of float): The rates tried, rising.
        losses (sequence of float): The loss at each, not smoothed.
        num_it (int, default 100): How many rates were to be tried; not used.

    Returns:
        float: The rate; nan if the loss fell nowhere.

    Example:
        >>> from palate.nn.book import valley
        >>> valley([1e-3, 1e-2, 1e-1], [3.0, 1.0, 2.0])
        0.001
    """
    del num_it
    return suggested_lr(lrs, losses)


def minimum(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """Suggest a tenth of the rate with the lowest loss.

    Parameters:
        lrs (sequence of float): The rates tried, rising.
        losses (sequence of float): The loss at each, smoothed.
        num_it (int, default 100): How many rates were to be tried; not used.

    Returns:
        float: The rate.

    Example:
        >>> from palate.nn.book import minimum
        >>> minimum([1e-3, 1e-2, 1e-1], [3.0, 2.0, 1.0])
        0.01
    """
    del num_it
    return float(lrs[int(np.argmin(_finite(losses)))]) / 10


def steep(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """Suggest the rate at which the loss falls most steeply.

    Parameters:
        lrs (sequence of float): The rates tried, rising.
        losses (sequence of float): The loss at each, smoothed.
        num_it (int, default 100): How many rates were to be tried; not used.

    Returns:
        float: The rate; nan if fewer than two were tried.

    Example:
        >>> from palate.nn.book import steep
        >>> steep([1e-3, 1e-2, 1e-1], [3.0, 2.0, 0.0])
        0.1
    """
    del num_it
    if len(losses) < 2:
        return math.nan
    slopes = np.gradient(_finite(losses), np.log10(lrs))
    return float(lrs[int(np.argmin(slopes))])


def slide(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """Suggest the rate at the foot of the last slope: from the end backwards, where two slopes apart first agree.

    Parameters:
        lrs (sequence of float): The rates tried, rising.
        losses (sequence of float): The loss at each, smoothed.
        num_it (int, default 100): How many rates were to be tried; not used.

    Returns:
        float: The rate; nan if fewer than two were tried.

    Example:
        >>> from palate.nn.book import slide
        >>> slide([1e-3, 1e-2, 1e-1], [3.0, 2.0, 4.0])
        0.001
    """
    del num_it
    if len(losses) < 2:
        return math.nan
    slopes = np.gradient(_finite(losses))
    right, left = len(slopes) - 1, max(0, len(slopes) - 1 - SLIDE)
    while left > 0 and abs(slopes[right] - slopes[left]) > FLAT:
        right, left = right - 1, left - 1
    return float(lrs[left])


def _finite(losses: Sequence[float]) -> Any:
    """The losses, the highest finite one where one is none."""
    values = np.array(losses, np.float64)
    known = values[np.isfinite(values)]
    if len(known) == 0:
        raise OptionError("no loss of the search is finite: start at a lower learning rate.")
    return np.where(np.isfinite(values), values, known.max())


def suggestions(search: LrSearch, functions: Sequence[Suggest], num_it: int) -> Any:
    """A named tuple with a field for each function, holding the rate that it suggests."""
    names = [getattr(function, "__name__", f"suggestion_{at}") for at, function in enumerate(functions)]
    rates = [
        search.suggestion if function is valley else function(search.lrs, search.smoothed, num_it)
        for function in functions
    ]
    made: Any = namedtuple("SuggestedLRs", names, rename=True)  # type: ignore[misc]
    return made(*rates)
