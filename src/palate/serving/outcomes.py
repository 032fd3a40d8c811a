"""What became of answers: the feedback that names them, by the model that made them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from palate.serving.store import Event


class Outcomes:
    """Counts of events that name an answer, by the model's id, which every answer's id begins with."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: defaultdict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))

    def see(self, events: Iterable[Event]) -> None:
        """Count events."""
        for event in events:
            if event.answer is None:
                continue
            model = event.answer.rpartition(".")[0]
            self._counts[model] += 1
            if event.value is not None:
                total, n = self._sums[model]
                self._sums[model] = total + event.value, n + 1

    def of(self, model: str) -> tuple[int, float, int]:
        """(events that named an answer of the model, sum of their values, number of values)."""
        return (self._counts[model], *self._sums[model])
