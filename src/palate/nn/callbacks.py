"""Callbacks: what may happen around the loop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn

from palate.answers.arguments import check_whole
from palate.errors import OptionError

if TYPE_CHECKING:
    from rich.progress import Progress


# ---- what is recorded


@dataclass(frozen=True)
class Epoch:
    """One epoch: losses per rating, the RMSE of validation predictions clipped to the rating range, seconds."""

    number: int  # from 1, over all fits
    train_loss: float
    valid_loss: float | None
    rmse: float | None
    seconds: float


@dataclass(frozen=True)
class Recorder:
    """The history of a training: one entry per epoch, and per batch; norms per batch where RecordNorms was there."""

    epochs: list[Epoch] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    weight_norms: list[float] = field(default_factory=list)


class Training(Protocol):
    """What a callback may count on in the learner it is given."""

    loaders: Any
    model: nn.Module
    optimizer: torch.optim.Optimizer
    recorder: Recorder
    loss_now: Tensor  # of the last batch, without gradient

    @property
    def n_epochs(self) -> int:
        """Epochs that the present fit asks for."""
        ...

    @property
    def n_batches(self) -> int:
        """Training batches per epoch."""
        ...

    @property
    def batch(self) -> int:
        """Batches done in the present epoch."""
        ...

    @property
    def epochs_of_fit(self) -> list[Epoch]:
        """The epochs that the present fit has done."""
        ...

    def give_up_resuming(self) -> None:
        """Make what is left of this fit impossible to resume."""
        ...

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint."""
        ...


# ---- callbacks


class Callback:
    """Does nothing at four moments; override those you need. True from the two in the middle ends the fit there.

    A callback that must survive a checkpoint gives its tensors in `tensors` and takes them back in `restore`.
    """

    def before_fit(self, training: Training) -> None:
        """Before the first batch of a fit, and before a fit is resumed."""

    def after_batch(self, training: Training) -> bool | None:
        """After the optimizer's step; the gradients are still there."""

    def after_epoch(self, training: Training) -> bool | None:
        """After validation; training.recorder.epochs[-1] is the epoch's."""

    def after_fit(self, training: Training) -> None:
        """After the last epoch, or after Ctrl-C."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must keep of this callback."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""


class EarlyStopping(Callback):
    """Ends a fit when the validation loss has not fallen by more than min_delta for `patience` epochs."""

    def __init__(self, patience: int = 2, min_delta: float = 0.0) -> None:
        check_whole("patience", patience, 1)
        self.patience, self.min_delta = patience, min_delta

    def before_fit(self, training: Training) -> None:
        """Make sure that there is something to watch."""
        check_valid(training, self)

    def after_epoch(self, training: Training) -> bool:
        """Counted from the records alone, so that a resumed fit goes on counting."""
        best, waited = math.inf, 0
        for loss in valid_losses(training):
            best, waited = (loss, 0) if loss < best - self.min_delta else (best, waited + 1)
        return waited >= self.patience


class KeepBest(Callback):
    """Puts the weights of the epoch with the lowest validation loss back when a fit ends."""

    def __init__(self) -> None:
        self._best: dict[str, Tensor] = {}

    def before_fit(self, training: Training) -> None:
        """Forget the best of an earlier fit."""
        check_valid(training, self)
        if not training.epochs_of_fit:
            self._best = {}

    def after_epoch(self, training: Training) -> None:
        """Keep a copy when this epoch is the best of the fit."""
        losses = valid_losses(training)
        if losses[-1] <= min(losses):
            self._best = {name: tensor.detach().clone() for name, tensor in training.model.state_dict().items()}

    def after_fit(self, training: Training) -> None:
        """Put the best weights back. What is left of the fit could not go on from them as if nothing had happened."""
        if self._best:
            training.model.load_state_dict(self._best)
            training.give_up_resuming()

    def tensors(self) -> dict[str, Tensor]:
        """The best weights so far."""
        return self._best

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        self._best = tensors


class RecordNorms(Callback):
    """Records the norm of all gradients and of all weights after every batch: what explodes shows here first."""

    def after_batch(self, training: Training) -> None:
        """Costs two passes over the weights."""
        weights = [weight for group in training.optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        training.recorder.gradient_norms.append(norm(gradients))
        training.recorder.weight_norms.append(norm(weights))


class SaveCheckpoint(Callback):
    """Writes a checkpoint to one file after every epoch, or also within epochs, after every `batches` batches."""

    def __init__(self, path: str | PathLike[str], batches: int | None = None) -> None:
        check_whole("batches", 1 if batches is None else batches, 1)
        self.path, self.batches = path, batches

    def after_batch(self, training: Training) -> None:
        """Within an epoch."""
        if self.batches and training.batch % self.batches == 0 and training.batch < training.n_batches:
            training.save(self.path)

    def after_epoch(self, training: Training) -> None:
        """Between epochs."""
        training.save(self.path)


def in_order(callbacks: Any) -> list[Callback]:
    """The callbacks, those that save last; OptionError unless they are a list of them."""
    given = list(callbacks) if isinstance(callbacks, Iterable) else None
    if given is None:
        name = type(callbacks).__name__
        raise OptionError(f"callbacks takes a list: write callbacks=[{name}()] where you have a {name} alone.")
    for callback in given:
        if isinstance(callback, type):
            raise OptionError(f"callbacks holds the class {callback.__name__}: make one, {callback.__name__}().")
        if not isinstance(callback, Callback):
            raise OptionError(f"callbacks holds a {type(callback).__name__}, which is no palate.nn.Callback.")
    return sorted(given, key=lambda callback: isinstance(callback, SaveCheckpoint))


def with_tensors(callbacks: Sequence[Callback]) -> list[Callback]:
    """Those of the callbacks that a checkpoint keeps something of."""
    return [callback for callback in callbacks if type(callback).tensors is not Callback.tensors]


def norm(tensors: list[Tensor]) -> float:
    """The length of all tensors seen as one vector."""
    return math.sqrt(sum(float(tensor.detach().square().sum()) for tensor in tensors))


def valid_losses(training: Training) -> list[float]:
    """The validation losses of the present fit."""
    return [epoch.valid_loss for epoch in training.epochs_of_fit if epoch.valid_loss is not None]


def check_valid(training: Training, wanted_by: Callback) -> None:
    """OptionError when there is no validation set."""
    if training.loaders.valid is None:
        raise OptionError(f"{type(wanted_by).__name__} needs a validation set: make the loaders with valid=0.2, say.")


# ---- the live table

WIDTHS = {"epoch": 5, "train loss": 10, "valid loss": 10, "RMSE": 8, "time": 7}
SECONDS_BETWEEN = 0.1  # redrawing the bar more often would only take time from the training


class Table(Callback):
    """A line for each epoch and a bar for its batches on standard error; nothing unless shown."""

    def __init__(self, show: bool | Literal["auto"]) -> None:
        self.shown = sys.stderr.isatty() if show == "auto" else show
        self._bar: Progress | None = None
        self._next = 0.0

    def before_fit(self, training: Training) -> None:
        """The head of the table and an empty bar."""
        self._bar = started_bar()
        self._task = self._bar.add_task("", total=training.n_batches, loss="")
        self._print(*WIDTHS)

    def after_batch(self, training: Training) -> None:
        """Move the bar, ten times a second at most."""
        if self._bar is None or (now := time.perf_counter()) < self._next:
            return
        self._next = now + SECONDS_BETWEEN
        label = f"epoch {len(training.epochs_of_fit) + 1} of {training.n_epochs}"
        told = f"loss {float(training.loss_now):.4f}"
        self._bar.update(self._task, completed=training.batch, description=label, loss=told)

    def after_epoch(self, training: Training) -> None:
        """The line of the epoch."""
        epoch = training.recorder.epochs[-1]
        numbers = [epoch.train_loss, epoch.valid_loss, epoch.rmse]
        texts = ["" if number is None else f"{number:.4f}" for number in numbers]
        self._print(str(epoch.number), *texts, f"{epoch.seconds:.2f} s")

    def after_fit(self, training: Training) -> None:  # noqa: ARG002
        """Take the bar away; the table stays."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, *cells: str) -> None:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS.values(), strict=True))
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)


def started_bar() -> Any:
    """A bar of batches on standard error that leaves no trace."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn()
    bar = Progress(*columns, TextColumn("{task.fields[loss]}"), console=Console(stderr=True), transient=True)
    bar.start()
    return bar
