"""What /metrics shows, for Prometheus: requests, times, feedback, and whether intervals hold what arrives."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
RECENT = 10_000  # requests whose times the admin page summarises
WINDOW = 60.0  # seconds over which it gives rates


class Metrics:
    """Counts and times of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self.requests = Counter("palate_requests", "Requests answered.", ["path", "method", "status"], registry=to)
        self.seconds = Histogram(
            "palate_request_seconds", "Time to answer.", ["path", "method"], buckets=SECONDS, registry=to
        )
        self.fold_ins = Counter("palate_fold_ins", "Users folded in for an answer.", registry=to)
        self.unknown_users = Counter("palate_unknown_users", "Lists for users of whom nothing is known.", registry=to)
        self.events = Counter("palate_feedback_events", "Events taken in.", ["outcome"], registry=to)
        self.judged = Counter(
            "palate_interval_ratings",
            "Ratings that arrived, by whether their 90% interval held them.",
            ["place"],
            registry=to,
        )
        self.outcomes = Counter(
            "palate_answer_feedback", "Events that named an answer, by its model.", ["model", "kind"], registry=to
        )
        self.store_number = Gauge("palate_store_number", "Sequence number of the last event in the store.", registry=to)
        self.learned = Gauge(
            "palate_learned_number", "Sequence number of the last event learned.", ["model"], registry=to
        )
        self.lag = Gauge("palate_store_lag_events", "Events that a model has not learned.", ["model"], registry=to)
        self.age = Gauge("palate_model_age_seconds", "Time since a model was fitted.", ["model"], registry=to)
        self._of_path: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._recent: deque[tuple[float, float, bool]] = deque(maxlen=RECENT)
        self._arrived: deque[tuple[float, int]] = deque(maxlen=RECENT)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = path, method, status
        if key not in self._of_path:
            self._of_path[key] = self.requests.labels(path, method, str(status)), self.seconds.labels(path, method)
        count, time_of_all = self._of_path[key]
        count.inc()
        time_of_all.observe(seconds)
        if not path.startswith("/admin"):  # a fit takes minutes, and says nothing of how users are served
            self._recent.append((time.monotonic(), seconds, status >= 500))

    def took_in(self, accepted: int, duplicates: int) -> None:
        """Count events."""
        self.events.labels("accepted").inc(accepted)
        self.events.labels("duplicate").inc(duplicates)
        self._arrived.append((time.monotonic(), accepted))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def summary(self) -> dict[str, Any]:
        """The last minute in numbers, for the admin page."""
        since = time.monotonic() - WINDOW
        recent = [(seconds, failed) for at, seconds, failed in self._recent if at >= since]
        times = np.array([seconds for seconds, _ in recent]) * 1000
        p50, p99 = np.quantile(times, [0.5, 0.99]).round(3).tolist() if len(times) else (None, None)
        return {
            "requests_per_second": round(len(recent) / WINDOW, 2),
            "failures": sum(failed for _, failed in recent),
            "p50_ms": p50,
            "p99_ms": p99,
            "feedback_per_minute": sum(count for at, count in self._arrived if at >= since),
        }
