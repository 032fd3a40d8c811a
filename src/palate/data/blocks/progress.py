"""The progress line of writing blocks: the phase in words, a bar where the end is known, and how many rows so far."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from palate.showing.events import is_quiet

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

Progress = bool | Literal["auto"]


class Line:
    """A progress line on standard error. If it is not shown, it does nothing and does not import rich."""

    def __init__(self, show: Progress) -> None:
        self._bar: Bar | None = None
        self._quiet = show is False or is_quiet()
        if sys.stderr.isatty() and not is_quiet() if show == "auto" else show:
            self._bar = _started()
            self._task = self._bar.add_task("", total=None, rows="")
        self._rows = 0

    def phase(self, text: str, total: int | None = None) -> None:
        """Begin a phase of so many rows; None if nobody knows."""
        self._rows = 0
        if self._bar is not None:
            self._bar.reset(self._task, description=text, total=total, rows="")

    def name(self, text: str) -> None:
        """Call the phase something else."""
        if self._bar is not None:
            self._bar.update(self._task, description=text)

    def advance(self, n: int) -> None:
        """Count rows that are done."""
        self._rows += n
        if self._bar is not None:
            self._bar.update(self._task, completed=self._rows, rows=f"{self._rows:,} rows")

    def note(self, text: str) -> None:
        """Print a line above the progress line, or alone; nothing with progress=False."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif not self._quiet:
            print(text, file=sys.stderr)  # noqa: T201

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _started() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        refresh_per_second=8,
    )
    bar.start()
    return bar
