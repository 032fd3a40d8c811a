"""What a fit needs of a machine, in numbers and in words, and whether the machine has it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from palate.answers.ranking.memory import bytes_of
from palate.errors import OptionError

MANY_BYTES = 10**9  # a fit that needs more is announced ...
MANY_SECONDS = 60  # ... and one that takes longer
CONTAINER = Path("/sys/fs/cgroup")  # where Linux tells a container its limits


class Needs(NamedTuple):
    """What a fit needs: bytes, seconds (0 where nobody knows), both in words, and whether users must hear of it."""

    n_bytes: int
    seconds: float

    @property
    def text(self) -> str:
        """In words."""
        told = f"needs {as_bytes(self.n_bytes)}"
        return f"{told} and about {as_time(self.seconds)}" if self.seconds else told

    @property
    def is_large(self) -> bool:
        """True if users must hear of it before the fit."""
        return self.n_bytes > MANY_BYTES or self.seconds > MANY_SECONDS


def check_memory(name: str, need: int, n_items: int, budget: str | int | None, instead: str) -> None:
    """Raise OptionError if a fit needs more memory than the budget; None: than the machine has free."""
    allowed = available_memory() if budget is None else bytes_of(budget)
    if allowed is None or need <= allowed:
        return
    source = "this machine has free" if budget is None else "memory= allows"
    raise OptionError(
        f"{name} of {n_items:,} items needs {as_bytes(need)}, more than the {as_bytes(allowed)} that {source}: "
        f"keep the most popular items, or use {instead}."
    )


def available_memory() -> int | None:
    """The bytes of memory that are free or can be freed; None if the system does not tell."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
        free = int(found[1]) * 1024 if found else None
    except OSError:
        free = _physical_memory()
    allowed = _memory_of_container()
    return free if allowed is None else min(allowed, allowed if free is None else free)


def _memory_of_container(folder: Path = CONTAINER) -> int | None:
    """The bytes that the limit of a Linux container leaves; None without a limit."""
    try:
        limit, used = ((folder / f"memory.{name}").read_text("ascii").strip() for name in ("max", "current"))
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit.isdecimal() else None


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def as_time(seconds: float) -> str:
    """Seconds in words: 40 seconds, 12 minutes, 3.5 hours."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{int(seconds < 10 * size)}f} {unit}".replace(".0 ", " ")
    return "1 second" if seconds < 1.5 else f"{seconds:.0f} seconds"


def as_bytes(amount: int) -> str:
    """Bytes in words: 55 MB, 1.2 GB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount} bytes"
