"""Learning rates over time, and the search for a good one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from palate.errors import OptionError

WARM_UP = 0.25  # share of a cycle that the learning rate rises
START, END = 25.0, 1e5  # a cycle starts at lr / START and ends at lr / END
MOMENTA = (0.95, 0.85, 0.95)  # at the start, at the highest learning rate, at the end
SMOOTHING = 0.95  # of the losses in a search
DIVERGED = 4.0  # a search ends when the smoothed loss is this many times its lowest


def linear(start: float, end: float, progress: float) -> float:
    """From start to end in a straight line; progress runs from 0 to 1."""
    return start + (end - start) * progress


def cosine(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine: flat at both ends."""
    return linear(start, end, (1 - math.cos(math.pi * progress)) / 2)


def exponential(start: float, end: float, progress: float) -> float:
    """From start to end by equal factors.

    >>> exponential(1.0, 100.0, 0.5)
    10.0
    """
    return float(start * (end / start) ** progress)


def one_cycle(start: float, top: float, end: float, progress: float) -> float:
    """Up (or down) from start to top in the first quarter, then on to end, both along cosines (Smith 2018)."""
    if progress < WARM_UP:
        return cosine(start, top, progress / WARM_UP)
    return cosine(top, end, (progress - WARM_UP) / (1 - WARM_UP))


def one_cycle_lr(lr_max: float, progress: float) -> float:
    """The learning rate of a cycle: from lr_max / 25 up to lr_max and down to lr_max / 100,000.

    >>> [round(one_cycle_lr(0.1, at), 6) for at in (0, 0.25, 1)]
    [0.004, 0.1, 1e-06]
    """
    return one_cycle(lr_max / START, lr_max, lr_max / END, progress)


def one_cycle_momentum(progress: float) -> float:
    """The momentum of a cycle, low where the learning rate is high: 0.95, 0.85, 0.95."""
    return one_cycle(*MOMENTA, progress)


SCHEDULES: dict[str, Callable[[float, float], tuple[float, float | None]]] = {  # (lr, progress) -> (lr, momentum)
    "constant": lambda lr, _: (lr, None),
    "one_cycle": lambda lr, progress: (one_cycle_lr(lr, progress), one_cycle_momentum(progress)),
}


def set_rates(optimizer: torch.optim.Optimizer, lr: float, momentum: float | None) -> None:
    """Set learning rate and momentum; None, and optimizers without momentum, keep theirs."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif momentum is not None and group.get("momentum"):
            group["momentum"] = momentum


def check_rate(name: str, given: Any, *, above: bool = False) -> float:
    """The number; OptionError unless it is finite and from 0 up (above 0, if so asked)."""
    if isinstance(given, bool) or not isinstance(given, int | float | np.number) or not 0 <= given < math.inf:
        raise OptionError(f"{name}={given!r}: give a finite number, {'above 0' if above else '0 or more'}.")
    if above and given == 0:
        raise OptionError(f"{name}=0 would learn nothing: give a number above 0.")
    return float(given)


# ---- the search


@dataclass(frozen=True)
class LrSearch:
    """What trying out learning rates found: one loss for each, the same smoothed, and the rate to begin with."""

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def smoothed(losses: Sequence[float]) -> list[float]:
    """The running mean of losses, an exponential one that starts without bias."""
    found, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether a search may end: the loss is no number any more, or several times its lowest."""
    return bool(losses) and not losses[-1] <= DIVERGED * min(losses)


def suggested_lr(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """A tenth of the rate around which losses are lowest on average: well before they rise again.

    The average is over a tenth of the search to both sides, so that it lags behind nothing. nan when it is lowest at
    the first rate: the losses fall nowhere.
    """
    finite = np.array([loss for loss in losses if math.isfinite(loss)])
    if len(finite) == 0:
        return math.nan
    reach = len(finite) // 10
    around = [finite[max(0, at - reach) : at + reach + 1].mean() for at in range(len(finite))]
    lowest = int(np.argmin(around))
    return lrs[lowest] / 10 if lowest else math.nan
