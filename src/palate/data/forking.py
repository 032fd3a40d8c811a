"""Forked processes: the threads of polars do not live through a fork, and whoever waits for them waits forever.

So a process that was forked after polars had begun its threads says so in words instead of hanging.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from palate.errors import ForkError

_lost_threads = False  # True in a process whose parent had begun the threads of polars before the fork


def check_threads(what: str) -> None:
    """Raise ForkError where the threads of polars are gone, so that something would hang."""
    if _lost_threads:
        raise ForkError(
            f"{what} cannot run in this process: it was forked after polars had begun its threads, which do not live "
            "through a fork. Start processes with multiprocessing.get_context('spawn'), or fork before the first use "
            'of palate; the guide says more under "Can I fork?".'
        )


def has_lost_threads() -> bool:
    """Whether the threads of polars are gone, so that work has to be done without them."""
    return _lost_threads


def _has_threads() -> bool:
    """Whether polars has begun its threads; where the system does not tell, whether polars is loaded at all."""
    if "polars" not in sys.modules:
        return False
    tasks = Path("/proc/self/task")
    try:
        return any((task / "comm").read_text().startswith("polars") for task in tasks.iterdir())
    except OSError:
        return True


def _before_fork() -> None:
    global _had_threads
    _had_threads = _lost_threads or _has_threads()


def _after_fork() -> None:
    global _lost_threads
    _lost_threads = _had_threads


_had_threads = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
