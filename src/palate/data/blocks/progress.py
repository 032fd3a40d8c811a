"""The progress line of writing blocks: the phase in words, a bar where the end is known, and how many rows so far."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from palate.showing.events import is_quiet
from palate.showing.live import Bar, Progress, clock


class Line:
    """A progress line. It does nothing where it is not shown."""

    def __init__(self, show: Progress) -> None:
        self._quiet = show is False or is_quiet()
        self._bar = Bar(show, ("label", "bar", "text", "elapsed"))
        self._rows, self._start = 0, time.monotonic()

    def phase(self, text: str, total: int | None = None) -> None:
        """Begin a phase of so many rows; None if nobody knows."""
        self._rows = 0
        self._bar.restart()
        self._bar.update(label=text, total=total)

    def name(self, text: str) -> None:
        """Call the phase something else."""
        self._bar.update(label=text)

    def advance(self, n: int) -> None:
        """Count rows that are done."""
        self._rows += n
        self._bar.update(done=self._rows, text=f"{self._rows:,} rows")

    def note(self, text: str) -> None:
        """Print a line above the progress line, or alone; nothing with progress=False."""
        if self._bar.is_shown:
            self._bar.say(text)
        elif not self._quiet:
            print(text, file=sys.stderr)  # noqa: T201

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close("" if kind else f"{self._rows:,} rows written in {clock(time.monotonic() - self._start)}")
