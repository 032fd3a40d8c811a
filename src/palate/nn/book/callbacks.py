"""Callbacks under the chapter's names: they watch a loss or a metric, to stop, to save, or to write it down."""

from __future__ import annotations

import csv
import math
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from palate.errors import OptionError
from palate.nn.callbacks import Callback
from palate.options import check_not_negative, check_whole


class TrackerCallback(Callback):
    """Keeps the best value of a loss or metric.

    Parameters:
        monitor (str, default "valid_loss"): What to watch: "train_loss", "valid_loss" or the name of a metric.
        comp (callable, default None): np.less if low values are good, np.greater if high ones are; None decides by the
            name: losses and errors are good when low.
        min_delta (float, default 0.0): How much better a value must be to count, 0 or more.
        reset_on_fit (bool, default True): Forget the best value of an earlier fit.

    Attributes:
        best (float): The best value so far.
        new_best (bool): Whether the last epoch had it.

    Raises:
        OptionError: comp is neither np.less nor np.greater, or min_delta is below 0.

    Example:
        >>> from palate.nn.book import TrackerCallback, np
        >>> TrackerCallback("accuracy").comp is np.greater
        True
    """

    LOW = ("loss", "error", "mse", "mae")  # what a name of something that should be low has in it

    def __init__(
        self, monitor: str = "valid_loss", comp: Any = None, min_delta: float = 0.0, reset_on_fit: bool = True
    ) -> None:
        check_not_negative(min_delta=min_delta)
        if comp is None:
            comp = np.less if any(part in monitor for part in self.LOW) else np.greater
        if comp not in (np.less, np.greater):
            raise OptionError(f"comp={comp!r}: give np.less if low values are good, or np.greater if high ones are.")
        self.monitor, self.comp, self.min_delta, self.reset_on_fit = monitor, comp, min_delta, reset_on_fit
        self.best, self.new_best = self._worst, False

    @property
    def _worst(self) -> float:
        return math.inf if self.comp is np.less else -math.inf

    def before_fit(self, learner: Any) -> None:
        """Check that there is such a value, and forget the best one of an earlier fit.

        Parameters:
            learner (Learner): The learner that trains.

        Raises:
            OptionError: The learner has no such loss or metric.
        """
        names = learner.recorder.metric_names[1:-1]
        names = names if learner.loaders.valid is not None else ["train_loss"]
        if self.monitor not in names:
            raise OptionError(
                f"{type(self).__name__} cannot watch {self.monitor!r}: this learner has {', '.join(names)}. Metrics "
                "are given to the Learner (metrics=[rmse]), and need a validation set."
            )
        if self.reset_on_fit and not learner.epochs_of_fit:
            self.best = self._worst

    def after_epoch(self, learner: Any) -> bool | None:
        """Compare the value of this epoch with the best.

        Parameters:
            learner (Learner): The learner that trains.

        Returns:
            bool or None: None; a subclass may end the fit.
        """
        epoch = learner.recorder.epochs[-1]
        value = float({"train_loss": epoch.train_loss, "valid_loss": epoch.valid_loss, **epoch.metrics}[self.monitor])
        better = value < self.best - self.min_delta if self.comp is np.less else value > self.best + self.min_delta
        self.new_best = better
        self.best = value if better else self.best
        return None


class EarlyStoppingCallback(TrackerCallback):
    """Ends a fit when a loss or metric has not become better for `patience` epochs.

    Parameters:
        monitor (str, default "valid_loss"): What to watch: "train_loss", "valid_loss" or the name of a metric.
        comp (callable, default None): np.less if low values are good, np.greater if high ones are; None decides by the
            name.
        min_delta (float, default 0.0): How much better a value must be to count, 0 or more.
        patience (int, default 1): Epochs to wait, 1 or more.
        reset_on_fit (bool, default True): Forget the best value of an earlier fit.

    Raises:
        OptionError: An option lies outside its range.

    Example:
        >>> from palate.nn.book import EarlyStoppingCallback
        >>> EarlyStoppingCallback(monitor="rmse", min_delta=0.01, patience=2).patience
        2
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Any = None,
        min_delta: float = 0.0,
        patience: int = 1,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        check_whole(1, patience=patience)
        self.patience, self.wait = patience, 0

    def before_fit(self, learner: Any) -> None:
        """Begin to count.

        Parameters:
            learner (Learner): The learner that trains.
        """
        super().before_fit(learner)
        self.wait = 0 if not learner.epochs_of_fit else self.wait

    def after_epoch(self, learner: Any) -> bool | None:
        """End the fit once patience is used up.

        Parameters:
            learner (Learner): The learner that trains.

        Returns:
            bool or None: True after `patience` epochs without a better value.
        """
        super().after_epoch(learner)
        self.wait = 0 if self.new_best else self.wait + 1
        return self.wait >= self.patience


class SaveModelCallback(TrackerCallback):
    """Saves the model whenever a loss or metric is the best so far, and loads the best when the fit ends.

    Parameters:
        monitor (str, default "valid_loss"): What to watch: "train_loss", "valid_loss" or the name of a metric.
        comp (callable, default None): np.less if low values are good, np.greater if high ones are; None decides by the
            name.
        min_delta (float, default 0.0): How much better a value must be to count, 0 or more.
        fname (str, default "model"): The name for learn.save.
        every_epoch (bool or int, default False): Save after every epoch, or every so many, as fname_0 and so on, and
            load nothing at the end.
        at_end (bool, default False): Save when the fit ends, too, and load nothing then.
        with_opt (bool, default False): Save the state of the optimizer as well.
        reset_on_fit (bool, default True): Forget the best value of an earlier fit.

    Attributes:
        last_saved_path (pathlib.Path or None): The file written last.

    Raises:
        OptionError: An option lies outside its range.

    Example:
        >>> from palate.nn.book import SaveModelCallback
        >>> SaveModelCallback(monitor="rmse", fname="best").fname
        'best'
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        comp: Any = None,
        min_delta: float = 0.0,
        fname: str = "model",
        every_epoch: bool | int = False,
        at_end: bool = False,
        with_opt: bool = False,
        reset_on_fit: bool = True,
    ) -> None:
        super().__init__(monitor, comp, min_delta, reset_on_fit)
        if not isinstance(every_epoch, bool):
            check_whole(1, every_epoch=every_epoch)
        self.fname, self.every_epoch, self.at_end, self.with_opt = fname, every_epoch, at_end, with_opt
        self.last_saved_path: Path | None = None
        self._saved_in_fit = False

    def before_fit(self, learner: Any) -> None:
        """Check that there is such a value.

        Parameters:
            learner (Learner): The learner that trains.
        """
        super().before_fit(learner)
        self._saved_in_fit = bool(learner.epochs_of_fit) and self._saved_in_fit

    def after_epoch(self, learner: Any) -> bool | None:
        """Save the model if this epoch is the best, or if every epoch is to be saved.

        Parameters:
            learner (Learner): The learner that trains.

        Returns:
            bool or None: None: the fit goes on.
        """
        number = len(learner.epochs_of_fit) - 1
        if self.every_epoch:
            if number % int(self.every_epoch) == 0:
                self._save(learner, f"{self.fname}_{number}")
            return None
        super().after_epoch(learner)
        if self.new_best:
            self._save(learner, self.fname)
            self._saved_in_fit = True
        return None

    def after_fit(self, learner: Any) -> None:
        """Load the best model. The rest of an interrupted fit cannot be resumed from it.

        Parameters:
            learner (Learner): The learner that trained.
        """
        if self.at_end:
            self._save(learner, self.fname)
        elif self._saved_in_fit:
            learner.load(self.fname, with_opt=self.with_opt)
            learner.prevent_resume()

    def _save(self, learner: Any, name: str) -> None:
        self.last_saved_path = learner.save(name, with_opt=self.with_opt)


class CSVLogger(Callback):
    """Writes losses and metrics of each epoch to a CSV file in learn.path.

    Parameters:
        fname (str or path, default "history.csv"): The file.
        append (bool, default False): Write below what the file has, not in its place.

    Example:
        >>> from palate.nn.book import CSVLogger
        >>> CSVLogger("run.csv").fname
        'run.csv'
    """

    def __init__(self, fname: str | PathLike[str] = "history.csv", append: bool = False) -> None:
        self.fname, self.append = fname, append

    def before_fit(self, learner: Any) -> None:
        """Begin the file with the names of the columns.

        Parameters:
            learner (Learner): The learner that trains.
        """
        self.path = Path(learner.path) / self.fname
        if learner.epochs_of_fit or (self.append and self.path.is_file()):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write("w", learner.recorder.metric_names)

    def after_epoch(self, learner: Any) -> None:
        """Add the line of the epoch.

        Parameters:
            learner (Learner): The learner that trains.
        """
        epoch = learner.recorder.epochs[-1]
        number = len(learner.epochs_of_fit) - 1
        self._write("a", [number, *learner.recorder.values[-1], round(epoch.seconds, 3)])

    def _write(self, mode: str, row: list[Any]) -> None:
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)
