"""Callbacks: what runs before a fit, after each batch, after each epoch and after the fit; and the records of a fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from palate.errors import OptionError
from palate.options import check_whole
from palate.showing import html
from palate.showing.texts import Fielded

N_EPOCHS = 50  # that a notebook shows of a Recorder

# ---- what is recorded


@dataclass(frozen=True, repr=False)
class Epoch(Fielded):
    """The record of one epoch.

    Attributes:
        number (int): The epoch, counted from 1 over all fits.
        train_loss (float): The mean training loss of its batches.
        valid_loss (float or None): The loss on the validation ratings; None without a validation set.
        rmse (float or None): The RMSE of validation predictions clipped to the rating range; None without a validation
            set, and where the model predicts something else than one rating a row.
        seconds (float): How long the epoch took, validation included.
        metrics (dict of str to float): The learner's metrics on the validation ratings, by name; empty without them.

    Example:
        >>> from palate.nn import Epoch
        >>> Epoch(number=1, train_loss=1.2, valid_loss=1.1, rmse=1.05, seconds=0.5).rmse
        1.05
    """

    number: int
    train_loss: float
    valid_loss: float | None
    rmse: float | None
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return html.page("", epochs_table([self]))


@dataclass(frozen=True, repr=False)
class Recorder:
    """The history of a training.

    Attributes:
        epochs (list of Epoch): One record for each epoch.
        losses (list of float): The training loss of each batch.
        lrs (list of float): The learning rate of each batch.
        gradient_norms (list of float): The norm of all gradients after each batch, if RecordNorms is a callback.
        weight_norms (list of float): The norm of all weights after each batch, if RecordNorms is a callback.

    Example:
        >>> import palate
        >>> from palate.nn import DotProduct, Learner, RatingLoaders
        >>> loaders = RatingLoaders.from_ratings(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> recorder = Learner(loaders, DotProduct(60, 40, 5), progress=False).fit(2).recorder
        >>> len(recorder.epochs), len(recorder.losses)
        (2, 30)
    """

    epochs: list[Epoch] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    weight_norms: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Recorder: {len(self.epochs):,} epochs, {len(self.losses):,} batches>"

    def _repr_html_(self) -> str:
        last = self.epochs[-N_EPOCHS:]
        left_out = len(self.epochs) - len(last)
        note = html.notes(f"… {left_out:,} epochs before these" if left_out else "")
        return html.page(repr(self)[1:-1], epochs_table(last), note)


def epochs_table(epochs: Sequence[Epoch]) -> html.Raw:
    """Epochs as a table of HTML, a row each."""
    rows = [
        (str(one.number), *(_four(loss) for loss in (one.train_loss, one.valid_loss, one.rmse)), f"{one.seconds:.2f} s")
        for one in epochs
    ]
    return html.table(rows, head=("epoch", "train loss", "valid loss", "RMSE", "time"), numbers=range(5))


def _four(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


class Training(Protocol):
    """What a callback may use of the Learner it is given."""

    loaders: Any
    model: nn.Module
    optimizer: torch.optim.Optimizer
    recorder: Recorder
    last_loss: Tensor  # of the last batch, without gradient

    @property
    def columns(self) -> list[str]:
        """The names of what is measured after each epoch."""
        ...

    @property
    def n_epochs(self) -> int:
        """Epochs of the present fit."""
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
        """The records of the epochs that the present fit has done."""
        ...

    def prevent_resume(self) -> None:
        """Make the rest of this fit impossible to resume."""
        ...

    def _write_checkpoint(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint."""
        ...


# ---- callbacks


class Callback:
    """Does nothing, at four points of a fit. Override the methods you need.

    Return True from after_batch or after_epoch to end the fit there. A callback whose tensors must survive a checkpoint
    returns them from `tensors` and takes them back in `restore`.

    Example:
        >>> from palate.nn import Callback
        >>> class Count(Callback):
        ...     n = 0
        ...     def after_batch(self, learner):
        ...         self.n += 1
    """

    def before_fit(self, learner: Training) -> None:
        """Run before the first batch of a fit, and before a fit is resumed.

        Parameters:
            learner (Learner): The learner that trains.
        """

    def after_batch(self, learner: Training) -> bool | None:
        """Run after the optimizer's step, while the gradients are still there.

        Parameters:
            learner (Learner): The learner that trains.

        Returns:
            bool or None: True ends the fit.
        """

    def after_epoch(self, learner: Training) -> bool | None:
        """Run after validation; learner.recorder.epochs[-1] is the record of the epoch.

        Parameters:
            learner (Learner): The learner that trains.

        Returns:
            bool or None: True ends the fit.
        """

    def after_fit(self, learner: Training) -> None:
        """Run after the last epoch, or after Ctrl-C.

        Parameters:
            learner (Learner): The learner that trained.
        """

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must keep of this callback.

        Returns:
            dict of str to Tensor: The tensors by name; empty by default.
        """
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back the tensors of a checkpoint.

        Parameters:
            tensors (dict of str to Tensor): What `tensors` returned when the checkpoint was written.
        """


class EarlyStopping(Callback):
    """Ends a fit when the validation loss has not fallen by more than min_delta for `patience` epochs.

    Parameters:
        patience (int, default 2): Epochs to wait for a lower loss, 1 or more.
        min_delta (float, default 0.0): How much lower the loss must be to count.

    Raises:
        OptionError: patience is not a whole number of 1 or more.

    Example:
        >>> from palate.nn import EarlyStopping
        >>> EarlyStopping(patience=3).patience
        3
    """

    def __init__(self, patience: int = 2, min_delta: float = 0.0) -> None:
        check_whole(1, patience=patience)
        self.patience, self.min_delta = patience, min_delta

    def before_fit(self, learner: Training) -> None:
        """Check that there is a validation set.

        Parameters:
            learner (Learner): The learner that trains.

        Raises:
            OptionError: The loaders have no validation set.
        """
        _check_valid(learner, self)

    def after_epoch(self, learner: Training) -> bool:
        """End the fit once patience is used up. Only the records count, so a resumed fit continues the count.

        Parameters:
            learner (Learner): The learner that trains.

        Returns:
            bool: True after `patience` epochs without a lower loss.
        """
        best, waited = math.inf, 0
        for loss in _valid_losses(learner):
            best, waited = (loss, 0) if loss < best - self.min_delta else (best, waited + 1)
        return waited >= self.patience


class KeepBest(Callback):
    """Restores the weights of the epoch with the lowest validation loss when a fit ends.

    Example:
        >>> from palate.nn import KeepBest
        >>> KeepBest().tensors()
        {}
    """

    def __init__(self) -> None:
        self._best: dict[str, Tensor] = {}

    def before_fit(self, learner: Training) -> None:
        """Forget the best weights of an earlier fit.

        Parameters:
            learner (Learner): The learner that trains.

        Raises:
            OptionError: The loaders have no validation set.
        """
        _check_valid(learner, self)
        if not learner.epochs_of_fit:
            self._best = {}

    def after_epoch(self, learner: Training) -> None:
        """Copy the weights if this epoch is the best of the fit.

        Parameters:
            learner (Learner): The learner that trains.
        """
        losses = _valid_losses(learner)
        if losses[-1] <= min(losses):
            self._best = {name: tensor.detach().clone() for name, tensor in learner.model.state_dict().items()}

    def after_fit(self, learner: Training) -> None:
        """Load the best weights into the model. The rest of an interrupted fit cannot be resumed from them.

        Parameters:
            learner (Learner): The learner that trained.
        """
        if self._best:
            learner.model.load_state_dict(self._best)
            learner.prevent_resume()

    def tensors(self) -> dict[str, Tensor]:
        """Return the best weights so far.

        Returns:
            dict of str to Tensor: A state_dict of the model; empty before the first epoch.
        """
        return self._best

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back the best weights of a checkpoint.

        Parameters:
            tensors (dict of str to Tensor): What `tensors` returned when the checkpoint was written.
        """
        self._best = tensors


class RecordNorms(Callback):
    """Records the norms of all gradients and of all weights after every batch; exploding values show here first.

    Example:
        >>> import palate
        >>> from palate.nn import DotProduct, Learner, RatingLoaders, RecordNorms
        >>> loaders = RatingLoaders.from_ratings(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> learner = Learner(loaders, DotProduct(60, 40, 5), callbacks=[RecordNorms()], progress=False).fit(1)
        >>> len(learner.recorder.weight_norms) == learner.n_batches
        True
    """

    def after_batch(self, learner: Training) -> None:
        """Add both norms to the recorder; this takes two passes over the weights.

        Parameters:
            learner (Learner): The learner that trains.
        """
        weights = [weight for group in learner.optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        learner.recorder.gradient_norms.append(norm(gradients))
        learner.recorder.weight_norms.append(norm(weights))


class SaveCheckpoint(Callback):
    """Writes a checkpoint to one file after every epoch, and if asked also within epochs.

    Parameters:
        path (str or path): The file; each checkpoint replaces the last.
        batches (int, default None): Also write after every so many batches, 1 or more; None writes after epochs only.

    Raises:
        OptionError: batches is not a whole number of 1 or more.

    Example:
        >>> from palate.nn import SaveCheckpoint
        >>> SaveCheckpoint("training.checkpoint", batches=500).batches
        500
    """

    def __init__(self, path: str | PathLike[str], batches: int | None = None) -> None:
        check_whole(1, or_none=True, batches=batches)
        self.path, self.batches = path, batches

    def after_batch(self, learner: Training) -> None:
        """Write a checkpoint within an epoch.

        Parameters:
            learner (Learner): The learner that trains.
        """
        if self.batches and learner.batch % self.batches == 0 and learner.batch < learner.n_batches:
            learner._write_checkpoint(self.path)

    def after_epoch(self, learner: Training) -> None:
        """Write a checkpoint after an epoch.

        Parameters:
            learner (Learner): The learner that trains.
        """
        learner._write_checkpoint(self.path)


# ---- helpers


def in_order(callbacks: Any) -> list[Callback]:
    """The callbacks, those that save last; raise OptionError unless they are a list of callbacks."""
    given = list(callbacks) if isinstance(callbacks, Iterable) else None
    if given is None:
        name = type(callbacks).__name__
        raise OptionError(f"callbacks takes a list: write callbacks=[{name}()] where you have a {name} alone.")
    for callback in given:
        if isinstance(callback, type):
            raise OptionError(f"callbacks holds the class {callback.__name__}: make one, {callback.__name__}().")
        if not isinstance(callback, Callback):
            raise OptionError(f"callbacks holds a {type(callback).__name__}, which is not a palate.nn.Callback.")
    return sorted(given, key=lambda callback: isinstance(callback, SaveCheckpoint))


def with_tensors(callbacks: Sequence[Callback]) -> list[Callback]:
    """Those callbacks that keep tensors in a checkpoint."""
    return [callback for callback in callbacks if type(callback).tensors is not Callback.tensors]


def norm(tensors: list[Tensor]) -> float:
    """The Euclidean norm of all tensors taken as one vector."""
    return math.sqrt(sum(float(tensor.detach().square().sum()) for tensor in tensors))


def _valid_losses(learner: Training) -> list[float]:
    """The validation losses of the present fit."""
    return [epoch.valid_loss for epoch in learner.epochs_of_fit if epoch.valid_loss is not None]


def _check_valid(learner: Training, callback: Callback) -> None:
    """Raise OptionError if there is no validation set."""
    if learner.loaders.valid is None:
        raise OptionError(f"{type(callback).__name__} needs a validation set: make the loaders with valid=0.2, say.")
