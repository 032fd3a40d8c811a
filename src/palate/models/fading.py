"""Fading: how the weight of an event falls, with the later events of its user and with its age.

In a history of n events, oldest first, the event at position p (from 0) has k = n - 1 - p later ones, and an age: how
much older it is than the last. It counts

    1 / (1 + k / recency) * 0.5^(age / half_life)

so the last event counts 1, and one that is `recency` events, or `half_life` seconds, before it counts half. By position
the weight falls as a hyperbola, whose long tail ranks the next item better than an exponential (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows, Floats, rows_between

Doubles = NDArray[np.float64]

MOST_HALVINGS = 40.0  # an event counts 1e-12 at least: sums of squares then stay above 0 in float32


@dataclass(frozen=True)
class Fading:
    """How the weight of an event falls.

    Attributes:
        recency (float, default None): The number of later events after which an event counts half; None: it stays.
        half_life (float, default None): The age in seconds at which an event counts half; None: it stays.
    """

    recency: float | None = None
    half_life: float | None = None

    def __post_init__(self) -> None:
        for value in (self.recency, self.half_life):
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"{self} is not valid")

    @property
    def is_none(self) -> bool:
        """True if every event counts 1."""
        return self.recency is None and self.half_life is None

    def weights(self, histories: CompressedRows) -> Floats | None:
        """The weight of each event of histories, (n,), rows oldest first; None for 1 everywhere.

        Without times all events are as old as the last.
        """
        parts = [self._weights_of(rows_between(histories, block)) for block in histories.plan.blocks]
        found = [part for part in parts if part is not None]
        return np.concatenate(found) if found else None

    def _weights_of(self, histories: CompressedRows) -> Floats | None:
        """The same for a block of rows."""
        weights: Doubles | None = None
        if self.recency is not None:
            weights = 1 / (1 + _later(histories) / self.recency)
        if self.half_life is not None and histories.times is not None:
            by_age = np.exp2(-np.minimum(_ages(histories) / self.half_life, MOST_HALVINGS))
            weights = by_age if weights is None else weights * by_age
        return None if weights is None else weights.astype(np.float32)

    def times_signals(self, histories: CompressedRows, signals: Floats | None) -> Floats | None:
        """The signals of events, (n,), times their weights; None for 1 everywhere."""
        weights = self.weights(histories)
        if weights is None or signals is None:
            return signals if weights is None else weights
        return weights * signals

    def header(self) -> dict[str, float]:
        """What a model file says of it."""
        numbers = {"recency": self.recency, "half_life": self.half_life}
        return {name: float(value) for name, value in numbers.items() if value is not None}

    @classmethod
    def of(cls, header: Mapping[str, Any] | None) -> Fading:
        """Read it from a model file. Raise ValueError for what is not valid."""
        return cls(**{name: float(value) for name, value in (header or {}).items()})


NO_FADING = Fading()


def _later(histories: CompressedRows) -> Doubles:
    """How many events of the same row come after each, (n,)."""
    ends = np.repeat(histories.indptr[1:], histories.counts)
    return np.asarray(ends - 1 - np.arange(len(histories.indices)), np.float64)


def _ages(histories: CompressedRows) -> Doubles:
    """How many seconds each event is older than the last of its row, (n,)."""
    assert histories.times is not None
    times = histories.times.astype(np.float64)
    ends = np.repeat(histories.indptr[1:], histories.counts)
    return np.asarray(times[ends - 1] - times)
