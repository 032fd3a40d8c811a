"""What a fit costs: seconds, memory, and the size of the saved model."""

from __future__ import annotations

import ctypes
import gc
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from palate.recommender import Recommender

STATUS, RESET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost:
    """A context manager that measures the seconds inside it, and how far this process's memory rose, in bytes.

    Linux records the peak resident memory of a process and can reset it; on other systems memory is None. Memory freed
    earlier is returned to the system first (with glibc). Otherwise it would be reused without being counted.

    >>> with Cost() as cost:
    ...     numbers = list(range(1000))
    >>> 0 < cost.seconds < 60
    True
    """

    seconds: float
    memory: int | None

    def __enter__(self) -> Cost:
        _return_freed_memory()
        self._before = _reset_peak()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        peak = None if self._before is None else _memory_status("VmHWM")
        self.memory = None if peak is None or self._before is None else max(0, peak - self._before)


def _return_freed_memory() -> None:
    """Return freed memory to the system, where the C library can."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> int | None:
    """Reset the peak to the current resident memory and return it; None where the system cannot."""
    with suppress(OSError):
        RESET_PEAK.write_text("5", encoding="ascii")
        return _memory_status("VmRSS")
    return None


def _memory_status(name: str) -> int | None:
    """Return a field of this process's status in bytes, None where the system has none."""
    with suppress(OSError):
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None


def saved_size(recommender: Recommender) -> int:
    """Return the size of the model's file in bytes."""
    with tempfile.TemporaryDirectory(prefix="palate-") as folder:
        path = Path(folder) / "model.palate"
        recommender.save(path)
        return path.stat().st_size
