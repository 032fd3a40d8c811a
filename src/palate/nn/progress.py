"""The live table of a fit: a line for each epoch, and a bar for its batches."""

from __future__ import annotations

import time

from palate.nn.callbacks import Callback, Training
from palate.showing.live import Bar, Progress, is_shown

WIDTHS = {"epoch": 5, "train loss": 10, "valid loss": 10, "RMSE": 8, "time": 7}
METRIC_WIDTH = 8  # of other columns, or as wide as their names
SECONDS_BETWEEN = 0.1  # redrawing the bar more often would only slow the training


class ProgressTable(Callback):
    """Show the table if `shown`; "auto" shows it on a terminal and in a notebook."""

    def __init__(self, show: Progress) -> None:
        self.shown = is_shown(show)
        self._bar: Bar | None = None
        self._next_update = 0.0

    def before_fit(self, learner: Training) -> None:
        """Print the head of the table and start an empty bar."""
        names = ("epoch", *learner.columns, "time")
        widths = {name: WIDTHS.get(name, max(METRIC_WIDTH, len(name))) for name in names}
        self._bar = Bar(self.shown, ("label", "bar", "count", "text"), head=widths, transient=True)
        self._bar.update(total=learner.n_batches)

    def after_batch(self, learner: Training) -> None:
        """Move the bar, at most ten times a second."""
        if self._bar is None or (now := time.perf_counter()) < self._next_update:
            return
        self._next_update = now + SECONDS_BETWEEN
        label = f"epoch {len(learner.epochs_of_fit) + 1} of {learner.n_epochs}"
        self._bar.update(done=learner.batch, label=label, text=f"loss {float(learner.last_loss):.4f}")

    def after_epoch(self, learner: Training) -> None:
        """Print the line of the epoch."""
        epoch = learner.recorder.epochs[-1]
        known = {"train loss": epoch.train_loss, "valid loss": epoch.valid_loss, "RMSE": epoch.rmse, **epoch.metrics}
        numbers = [known.get(name) for name in learner.columns]
        texts = ["" if number is None else f"{number:.4f}" for number in numbers]
        if self._bar is not None:
            self._bar.row((str(epoch.number), *texts, f"{epoch.seconds:.2f} s"))

    def after_fit(self, learner: Training) -> None:  # noqa: ARG002
        """Remove the bar; the table stays."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
