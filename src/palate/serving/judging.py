"""Whether the intervals hold the ratings that arrive: each rating is predicted before it counts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from palate.serving.metrics import Metrics
from palate.serving.people import code_of
from palate.serving.served import Served
from palate.serving.store import Event

LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95)
WATCHED = 0.9  # the level by which drift is told
MAX_AT_ONCE = 200  # ratings judged: enough to see drift, few enough to cost little
AT_MOST_EVERY = 0.1  # seconds


class Judged:
    """Counts of the ratings inside their intervals, by level, since the model was fitted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._held = dict.fromkeys(LEVELS, 0)
        self._n = 0
        self._next = 0.0  # when to judge again

    @property
    def counts(self) -> tuple[int, int]:
        """(ratings inside their 90% intervals, ratings judged)."""
        return self._held[WATCHED], self._n

    @property
    def shares(self) -> dict[float, float]:
        """The share of ratings inside the intervals of each level; empty before any came."""
        return {level: held / self._n for level, held in self._held.items()} if self._n else {}

    def reset(self) -> None:
        """Begin again, with a new model."""
        self._held, self._n = dict.fromkeys(LEVELS, 0), 0

    def see(self, served: Served, events: Sequence[Event]) -> None:
        """Compare new ratings with their intervals, those of known users and items, as many as time allows."""
        model, now = served.model, time.monotonic()
        if now < self._next:
            return
        if model.kind != "explicit" or not served.recommender.has_intervals:
            return
        users, items = model.user_vocabulary, model.item_vocabulary
        rated = [(code_of(users, one.user), code_of(items, one.item), one.value) for one in events]
        known = [(user, item, value) for user, item, value in rated if user >= 0 and item >= 0 and value is not None]
        known = known[:MAX_AT_ONCE]
        if not known:
            return
        self._next = now + AT_MOST_EVERY
        user_codes, item_codes, values = (np.array(part) for part in zip(*known, strict=True))
        forecast = model.forecast(user_codes.astype(np.int32), item_codes.astype(np.int32))
        self._n += len(known)
        for level in LEVELS:
            low, high = (np.clip(end, *model.limits) for end in forecast.interval(level))
            below, above = int((values < low).sum()), int((values > high).sum())
            inside = len(known) - below - above
            self._held[level] += inside
            if level == WATCHED:
                for place, count in (("below", below), ("inside", inside), ("above", above)):
                    self._metrics.judged.labels(place).inc(count)
