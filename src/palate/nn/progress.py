"""The live table of a fit on standard error: a line for each epoch, and a bar for its batches."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Literal

from palate.nn.callbacks import Callback, Training

if TYPE_CHECKING:
    from rich.progress import Progress

WIDTHS = {"epoch": 5, "train loss": 10, "valid loss": 10, "RMSE": 8, "time": 7}
METRIC_WIDTH = 8  # of other columns, or as wide as their names
SECONDS_BETWEEN = 0.1  # redrawing the bar more often would only slow the training


class ProgressTable(Callback):
    """Print the table if `shown`; "auto" shows it on a terminal."""

    def __init__(self, show: bool | Literal["auto"]) -> None:
        self.shown = sys.stderr.isatty() if show == "auto" else show
        self._bar: Progress | None = None
        self._next_update = 0.0

    def before_fit(self, learner: Training) -> None:
        """Print the head of the table and start an empty bar."""
        self._bar = _started_bar()
        self._task = self._bar.add_task("", total=learner.n_batches, loss="")
        self._widths = [WIDTHS.get(name, max(METRIC_WIDTH, len(name))) for name in ("epoch", *learner.columns, "time")]
        self._print_row("epoch", *learner.columns, "time")

    def after_batch(self, learner: Training) -> None:
        """Move the bar, at most ten times a second."""
        if self._bar is None or (now := time.perf_counter()) < self._next_update:
            return
        self._next_update = now + SECONDS_BETWEEN
        label = f"epoch {len(learner.epochs_of_fit) + 1} of {learner.n_epochs}"
        loss = f"loss {float(learner.last_loss):.4f}"
        self._bar.update(self._task, completed=learner.batch, description=label, loss=loss)

    def after_epoch(self, learner: Training) -> None:
        """Print the line of the epoch."""
        epoch = learner.recorder.epochs[-1]
        known = {"train loss": epoch.train_loss, "valid loss": epoch.valid_loss, "RMSE": epoch.rmse, **epoch.metrics}
        numbers = [known.get(name) for name in learner.columns]
        texts = ["" if number is None else f"{number:.4f}" for number in numbers]
        self._print_row(str(epoch.number), *texts, f"{epoch.seconds:.2f} s")

    def after_fit(self, learner: Training) -> None:  # noqa: ARG002
        """Remove the bar; the table stays."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print_row(self, *cells: str) -> None:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, self._widths, strict=True))
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)


def _started_bar() -> Any:
    """A progress bar on standard error that disappears when it stops."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn()
    bar = Progress(*columns, TextColumn("{task.fields[loss]}"), console=Console(stderr=True), transient=True)
    bar.start()
    return bar
