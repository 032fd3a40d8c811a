"""Keep BLAS to one thread during a fit: on small matrices its threads cost more than they save."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _OneThread:
    """Limits BLAS to one thread while at least one fit runs, and lifts the limit when the last one ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fits = 0
        self._limit: Any = None

    def enter(self) -> None:
        from threadpoolctl import ThreadpoolController

        with self._lock:
            if self._fits == 0:
                self._limit = ThreadpoolController().limit(limits=1, user_api="blas")
            self._fits += 1

    def leave(self) -> None:
        with self._lock:
            self._fits -= 1
            if self._fits == 0:
                self._limit.restore_original_limits()


_one_thread = _OneThread()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread inside the block, for matrices of a few dozen rows."""
    _one_thread.enter()
    try:
        yield
    finally:
        _one_thread.leave()
