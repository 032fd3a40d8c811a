"""The progress line of a fit: sweep, seconds left, errors. One line on standard error, nothing when nobody looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressLine:
    """Drawn by rich when shown; does nothing otherwise, and then does not import it either."""

    def __init__(self, label: str, show: bool | Literal["auto"], unit: str = "sweep") -> None:
        self._bar: Progress | None = None
        self._shown = sys.stderr.isatty() if show == "auto" else show
        if self._shown:
            self._bar, self._task = _start(label, unit)

    def update(self, number: int, total: int | None, train_rmse: float, valid_rmse: float | None) -> None:
        """Show one more sweep."""
        if self._bar is None:
            return
        errors = f"train {train_rmse:.4f}" + ("" if valid_rmse is None else f"  valid {valid_rmse:.4f}")
        self._bar.update(self._task, completed=number, total=total, errors=errors)

    def say(self, what: str) -> None:
        """Show something where the errors will stand."""
        if self._bar is not None:
            self._bar.update(self._task, errors=what)

    def close(self, ended: str, n_sweeps: int, seconds: float) -> None:
        """End the line; how the fit ended is said even where no line was shown."""
        if self._bar is not None:
            self._bar.update(self._task, completed=n_sweeps, total=n_sweeps or 1)
            self._bar.stop()
        if ended:
            print(f"fit {ended} ({seconds:.1f} s).", file=sys.stderr)  # noqa: T201


def _start(label: str, unit: str) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(f"{unit}s, left"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[errors]}"),
        console=Console(stderr=True),
        refresh_per_second=8,
    )
    bar.start()
    return bar, bar.add_task(label, total=None, errors="")
