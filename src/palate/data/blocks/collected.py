"""What a Collector has counted, fit for JSON: a writer that goes on begins with these numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from palate.data.reading.collecting import Collector

PLAIN = ("rows_read", "times_not_read", "columns", "unused", "how", "is_text", "last_user")


def state_of(collector: Collector) -> dict[str, Any]:
    """The numbers and words that the report needs."""
    state = {name: getattr(collector, name) for name in PLAIN}
    bad = {"counts": dict(collector.bad.counts), "examples": collector.bad.examples}
    return state | {"left_out": dict(collector.left_out), "bad": bad}


def restore(collector: Collector, state: dict[str, Any]) -> None:
    """Give them back to a new Collector."""
    for name in PLAIN:
        setattr(collector, name, state[name])
    collector.left_out = Counter(state["left_out"])
    collector.bad.counts, collector.bad.examples = Counter(state["bad"]["counts"]), list(state["bad"]["examples"])
