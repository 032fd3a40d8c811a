"""Learning rates: schedules over the batches of a fit, and the search for a good rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.errors import OptionError
from palate.options import check_positive
from palate.showing import html, texts

WARM_UP = 0.25  # share of a cycle in which the learning rate rises
START_DIVISOR, END_DIVISOR = 25.0, 1e5  # a cycle starts at lr_max / 25 and ends at lr_max / 100,000
MOMENTA = (0.95, 0.85, 0.95)  # at the start, at the maximum learning rate, at the end
SMOOTHING = 0.95  # weight of the past in the running mean of a search's losses
DIVERGED = 4.0  # a search ends when the smoothed loss is this many times its minimum


# ---- schedules


def linear(start: float, end: float, progress: float) -> float:
    """The value on a straight line from start to end; progress runs from 0 to 1."""
    return start + (end - start) * progress


def cosine(start: float, end: float, progress: float) -> float:
    """The value on half a cosine from start to end, flat at both ends."""
    return linear(start, end, (1 - math.cos(math.pi * progress)) / 2)


def exponential(start: float, end: float, progress: float) -> float:
    """The value between start and end that grows by equal factors.

    >>> exponential(1.0, 100.0, 0.5)
    10.0
    """
    return float(start * (end / start) ** progress)


def one_cycle(start: float, top: float, end: float, progress: float) -> float:
    """From start to top in the first quarter, then on to end, both along cosines (Smith 2018)."""
    if progress < WARM_UP:
        return cosine(start, top, progress / WARM_UP)
    return cosine(top, end, (progress - WARM_UP) / (1 - WARM_UP))


def one_cycle_lr(lr_max: float, progress: float) -> float:
    """The learning rate in a cycle: from lr_max / 25 up to lr_max, then down to lr_max / 100,000.

    >>> [round(one_cycle_lr(0.1, at), 6) for at in (0, 0.25, 1)]
    [0.004, 0.1, 1e-06]
    """
    return one_cycle(lr_max / START_DIVISOR, lr_max, lr_max / END_DIVISOR, progress)


def one_cycle_momentum(progress: float) -> float:
    """The momentum in a cycle, low where the learning rate is high: 0.95, 0.85, 0.95."""
    return one_cycle(*MOMENTA, progress)


SCHEDULES: dict[str, Callable[[float, float], tuple[float, float | None]]] = {  # (lr, progress) -> (lr, momentum)
    "constant": lambda lr, _: (lr, None),
    "one_cycle": lambda lr, progress: (one_cycle_lr(lr, progress), one_cycle_momentum(progress)),
}


# ---- the learning rate search


@dataclass(frozen=True, repr=False)
class LrSearch:
    """The result of Learner.lr_find: the loss at each learning rate tried, and the rate it suggests.

    Attributes:
        lrs (list of float): The learning rates, rising.
        losses (list of float): The training loss of the batch at each rate.
        smoothed (list of float): Their running mean.
        suggestion (float): The rate to train with; nan if the loss fell nowhere.

    Source:
        Smith (2017), Cyclical Learning Rates for Training Neural Networks, section 3.3.

    Example:
        >>> from palate.nn import LrSearch
        >>> LrSearch(lrs=[0.001, 0.01], losses=[1.3, 0.9], smoothed=[1.3, 1.1], suggestion=0.001).suggestion
        0.001
    """

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float

    def __repr__(self) -> str:
        tried = f"{len(self.lrs):,} learning rates" + (
            f" from {texts.number(self.lrs[0])} to {texts.number(self.lrs[-1])}" if self.lrs else ""
        )
        return f"<LrSearch: suggestion {texts.number(self.suggestion)}, of {tried}>"

    def _repr_html_(self) -> str:
        return html.page(repr(self)[1:-1])


def check_search(lowest: Any, highest: Any) -> None:
    """Raise OptionError unless both are learning rates and the second is the higher one."""
    check_positive(lowest=lowest, highest=highest)
    if lowest >= highest:
        raise OptionError(f"lowest={lowest:g} and highest={highest:g}: highest must lie above lowest.")


def smoothed(losses: Sequence[float]) -> list[float]:
    """The exponential running mean of losses, corrected for its start at 0."""
    found, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def has_diverged(losses: Sequence[float]) -> bool:
    """True if the last loss is nan, or several times the minimum."""
    return bool(losses) and not losses[-1] <= DIVERGED * min(losses)


def suggested_lr(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """A tenth of the rate around which the mean loss is lowest, well before it rises again.

    The mean is over a tenth of the search to each side, so it does not lag behind. nan if it is lowest at the first
    rate, because then the loss fell nowhere.
    """
    finite = np.array([loss for loss in losses if math.isfinite(loss)])
    if len(finite) == 0:
        return math.nan
    half_width = len(finite) // 10
    means = [finite[max(0, at - half_width) : at + half_width + 1].mean() for at in range(len(finite))]
    lowest = int(np.argmin(means))
    return lrs[lowest] / 10 if lowest else math.nan
