"""Measuring: seconds, memory and file size of what a recipe makes of some ratings."""

from __future__ import annotations

import ctypes
import gc
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from palate.recommender import Recommender

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost:
    """Seconds of what happens within, and how far the memory of this process rose meanwhile, in bytes.

    Linux keeps the highest resident memory of a process and can begin anew; elsewhere memory is None. What earlier work
    has freed goes back to the system first (with glibc), lest it be used again and not be counted.

    >>> with Cost() as cost:
    ...     numbers = list(range(1000))
    >>> 0 < cost.seconds < 60
    True
    """

    seconds: float
    memory: int | None

    def __enter__(self) -> Cost:
        _give_back()
        self._before = _begin_anew()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        highest = None if self._before is None else _resident("VmHWM")
        self.memory = None if highest is None or self._before is None else max(0, highest - self._before)


def _give_back() -> None:
    """Hand freed memory back to the system, where the C library can."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _begin_anew() -> int | None:
    """Let the highest resident memory be the present one; that one, or None where the system has no such thing."""
    with suppress(OSError):
        RESET.write_text("5", encoding="ascii")
        return _resident("VmRSS")
    return None


def _resident(name: str) -> int | None:
    with suppress(OSError):
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None


def saved_size(recommender: Recommender) -> int:
    """Bytes of the model's file."""
    with tempfile.TemporaryDirectory(prefix="palate-") as folder:
        path = Path(folder) / "model.palate"
        recommender.save(path)
        return path.stat().st_size
