"""Whether the intervals hold the ratings that arrive: each is predicted before it counts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from palate.serving.metrics import Metrics
from palate.serving.people import code_of
from palate.serving.served import Served
from palate.serving.store import Event

LEVEL = 0.9
MAX_PER_SECOND = 200  # ratings judged: enough to see drift, few enough to cost little


class Judged:
    """Counts of the ratings that lay below, inside and above their intervals, since the model was fitted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._held, self._n = 0, 0
        self._second, self._spent = 0, 0

    @property
    def counts(self) -> tuple[int, int]:
        """(ratings inside, ratings judged)."""
        return self._held, self._n

    def reset(self) -> None:
        """Begin again, with a new model."""
        self._held, self._n = 0, 0

    def see(self, served: Served, events: Sequence[Event]) -> None:
        """Compare new ratings with their intervals, those of known users and items, as many as time allows."""
        model = served.model
        if model.kind != "explicit" or not served.recommender.has_intervals:
            return
        rated = [
            (code_of(model.user_vocabulary, e.user), code_of(model.item_vocabulary, e.item), e.value) for e in events
        ]
        known = [(user, item, value) for user, item, value in rated if user >= 0 and item >= 0 and value is not None]
        known = known[: self._allowance()]
        if not known:
            return
        self._spent += len(known)
        user_codes, item_codes, values = (np.array(part) for part in zip(*known, strict=True))
        forecast = model.forecast(user_codes.astype(np.int32), item_codes.astype(np.int32))
        low, high = (np.clip(end, *model.limits) for end in forecast.interval(LEVEL))
        below, above = int((values < low).sum()), int((values > high).sum())
        self._n += len(known)
        self._held += len(known) - below - above
        for place, count in (("below", below), ("inside", len(known) - below - above), ("above", above)):
            self._metrics.judged.labels(place).inc(count)

    def _allowance(self) -> int:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._spent = second, 0
        return MAX_PER_SECOND - self._spent
