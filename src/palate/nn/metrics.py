"""Metrics: functions of predictions and targets that a Learner measures on the validation ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from palate.errors import OptionError

Metric = Callable[[Tensor, Tensor], Any]


def named_metrics(metrics: Any) -> dict[str, Metric]:
    """The metrics by name; raise OptionError unless they are a list of functions. A name given twice gets a number."""
    if not isinstance(metrics, Iterable) or isinstance(metrics, str):
        raise OptionError(f"metrics={metrics!r}: give a list of functions of (predictions, targets).")
    named: dict[str, Metric] = {}
    for metric in metrics:
        if not callable(metric) or isinstance(metric, type):
            raise OptionError(f"metrics holds {metric!r}: give functions of (predictions, targets).")
        name = start = str(getattr(metric, "__name__", type(metric).__name__))
        number = 1
        while name in named:
            number += 1
            name = f"{start} {number}"
        named[name] = metric
    return named


def measured(name: str, metric: Metric, predictions: Tensor, targets: Tensor) -> float:
    """The value of a metric; raise OptionError unless it is one number."""
    value = metric(predictions, targets)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        shape = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise OptionError(f"the metric {name} gave {shape}: it must give one number, such as a mean().") from None
