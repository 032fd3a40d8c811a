"""The history of a book Learner: values by epoch as the chapter reads them, and pictures of losses and rates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from palate.errors import OptionError
from palate.nn import callbacks, schedules
from palate.nn.book.names import L, optional, smoothed


@dataclass(frozen=True)
class Recorder(callbacks.Recorder):
    """The history of all fits, and under the chapter's names that of the last one.

    Attributes:
        epochs (list of Epoch): One record for each epoch of all fits.
        losses (list of float): The training loss of each batch of all fits.
        lrs (list of float): The learning rate of each batch of all fits.
        gradient_norms (list of float): The norm of all gradients after each batch, if RecordNorms is a callback.
        weight_norms (list of float): The norm of all weights after each batch, if RecordNorms is a callback.
        metric_names (list of str): What each epoch is told by: epoch, train_loss, valid_loss, the metrics, time.
        starts (list of tuple): (epochs, batches) that were done when each fit began.
        searches (list of LrSearch): What lr_find found, the last one last.

    Example:
        >>> from palate.nn.book import CollabDataLoaders, collab_learner, mae
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> learn = collab_learner(CollabDataLoaders.from_df(frame), metrics=mae)
        >>> learn.fit(2, 0.1)
        >>> learn.recorder.metric_names, len(learn.recorder.values[-1])
        (['epoch', 'train_loss', 'valid_loss', 'mae', 'time'], 3)
    """

    metric_names: list[str] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=list)
    searches: list[schedules.LrSearch] = field(default_factory=list)

    @property
    def values(self) -> L:
        """For each epoch of the last fit: training loss, validation loss, and the metrics."""
        names = self.metric_names[3:-1]
        return L(
            L([epoch.train_loss, epoch.valid_loss, *(epoch.metrics.get(name, math.nan) for name in names)])
            for epoch in self._last_epochs()
        )

    def _last_epochs(self) -> list[callbacks.Epoch]:
        return self.epochs[self.starts[-1][0] if self.starts else 0 :]

    def plot_loss(self, skip_start: int = 5, with_valid: bool = True, ax: Any = None) -> Any:
        """Draw the training loss of each batch of the last fit, smoothed, and the validation loss after each epoch.

        Parameters:
            skip_start (int, default 5): Batches to leave out at the start, where the loss is high.
            with_valid (bool, default True): Draw the validation losses.
            ax (matplotlib.axes.Axes, default None): Where to draw; None makes a new figure of pyplot.

        Returns:
            matplotlib.axes.Axes: The axes.

        Raises:
            OptionError: Nothing has been trained yet.
        """
        losses = self.losses[self.starts[-1][1] if self.starts else 0 :]
        if not losses:
            raise OptionError("there is no loss to draw yet: call fit_one_cycle first.")
        ax = _axes(ax)
        skip_start = min(skip_start, len(losses) - 1)
        ax.plot(range(skip_start, len(losses)), list(smoothed(losses))[skip_start:], label="train")
        epochs = [epoch.valid_loss for epoch in self._last_epochs()]
        if with_valid and epochs and None not in epochs:
            n_batches = len(losses) // len(epochs)
            ends = [n_batches * number for number in range(1, len(epochs) + 1)]
            ax.plot(ends, [float(loss) for loss in epochs if loss is not None], marker="o", label="valid")
        ax.set_xlabel("batch")
        ax.set_ylabel("loss")
        ax.legend()
        return ax

    def plot_sched(self, ax: Any = None) -> Any:
        """Draw the learning rate of each batch of the last fit.

        Parameters:
            ax (matplotlib.axes.Axes, default None): Where to draw; None makes a new figure of pyplot.

        Returns:
            matplotlib.axes.Axes: The axes.

        Raises:
            OptionError: Nothing has been trained yet.
        """
        lrs = self.lrs[self.starts[-1][1] if self.starts else 0 :]
        if not lrs:
            raise OptionError("there is no learning rate to draw yet: call fit_one_cycle first.")
        ax = _axes(ax)
        ax.plot(lrs)
        ax.set_xlabel("batch")
        ax.set_ylabel("learning rate")
        return ax

    def plot_lr_find(self) -> Any:
        """Draw the loss at each learning rate of the last lr_find, and the rate that it suggests.

        Returns:
            matplotlib.axes.Axes: The axes.

        Raises:
            OptionError: lr_find has not been called.
        """
        if not self.searches:
            raise OptionError("there is no search to draw yet: call lr_find first.")
        from palate import plotting

        pyplot = optional("plt")
        figure = plotting.lr_finder(self.searches[-1])
        pyplot.figure(FigureClass=lambda *_, **__: figure)  # pyplot shows it: in notebooks at once, elsewhere by show()
        return figure.axes[0]


def _axes(ax: Any) -> Any:
    """The axes, or those of a new figure of pyplot."""
    return optional("plt").subplots()[1] if ax is None else ax
