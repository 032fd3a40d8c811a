"""Learner: the training loop. For each batch: predict, loss, backward, step, zero_grad."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count, islice
from os import PathLike
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from palate.errors import DataError, OptionError
from palate.nn import checkpoints, optimizers, schedules
from palate.nn import device as devices
from palate.nn.callbacks import Callback, Epoch, Recorder, in_order, with_tensors
from palate.nn.checkpoints import Plan, Position
from palate.nn.losses import checked_loss, mse
from palate.nn.metrics import Metric, measured, named_metrics
from palate.nn.models import evaluating
from palate.nn.optimizers import Factory
from palate.nn.progress import ProgressTable
from palate.nn.schedules import LrSearch
from palate.options import check_not_negative, check_positive, check_seed, check_whole
from palate.showing.texts import of_fields

FINISHED, INTERRUPTED = "finished", "interrupted; the model is what was learned until then"


class Validation(NamedTuple):
    """The mean loss, and the RMSE of predictions clipped to the rating range (None if they are no ratings)."""

    loss: float
    rmse: float | None

    def __repr__(self) -> str:
        return of_fields(self)


class Learner:
    """Trains a model on batches: predict, loss, backward, step, zero_grad, and again.

    Every fit continues from the model and optimizer state that the last one left.

    Parameters:
        loaders (RatingLoaders): Training batches in `train`, validation batches or None in `valid`.
        model (torch.nn.Module): Called with the inputs of a batch, it returns what `loss` compares with the targets.
        loss (callable, default mse): A function of (predictions, targets) that returns a tensor of shape ().
        optimizer (class or callable, default None): A class of torch.optim, or a function of (parameters, lr, wd); None
            takes AdamW with betas (0.9, 0.99) and eps 1e-5.
        lr (float, default 0.001): The learning rate of fits that give none, above 0.
        weight_decay (float, default 0.0): The weight decay of fits that give none, 0 or more.
        callbacks (sequence of Callback, default ()): What else runs during a fit.
        metrics (sequence of callable, default ()): What else to measure on the validation ratings after each epoch:
            functions of (predictions, targets) that return a number. Their names become columns of the table.
        seed (int, default 0): Seeds torch's generators, from which dropout draws, in each epoch of a fit. They are put
            back afterwards.
        device (str or torch.device, default "cpu"): Where the model computes.
        n_threads (int, default None): Threads, 1 or more; None takes one for a small model and torch's number for a
            large one.
        progress (bool or "auto", default "auto"): Show a table of epochs, on standard error or in the notebook; "auto"
            shows it on a terminal and in a notebook.

    Attributes:
        model (torch.nn.Module): The model, on the device.
        optimizer (torch.optim.Optimizer): The optimizer of the last fit.
        recorder (Recorder): The history: losses, learning rates and epochs of all fits.
        epoch (int): Complete epochs done, over all fits.
        batch (int): Batches done of the next epoch.
        last_loss (Tensor): The training loss of the last batch, of shape ().
        ended (str): How the last fit ended; "" while it has not.

    Raises:
        OptionError: An option lies outside its range, or the model has no parameter to train.
        DataError: The loaders have no training batch.

    Example:
        >>> import palate, torch
        >>> from palate.nn import DotProductBias, Learner, RatingLoaders
        >>> ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
        >>> loaders = RatingLoaders.from_ratings(ratings, valid=0.2, batch_size=64)
        >>> model = DotProductBias(60, 40, 5, y_range=(0, 5.5), generator=torch.Generator().manual_seed(0))
        >>> learner = Learner(loaders, model).fit_one_cycle(5, lr_max=0.02)
        >>> len(learner.recorder.epochs), learner.validate().rmse < learner.recorder.epochs[0].rmse
        (5, True)
    """

    _recorder_class: type[Recorder] = Recorder
    _measures: tuple[str, ...] = ("train loss", "valid loss", "RMSE")  # the columns of the table before the metrics

    def __init__(
        self,
        loaders: Any,
        model: nn.Module,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] = mse,
        optimizer: Factory | type[torch.optim.Optimizer] | None = None,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[Metric] = (),
        seed: int = 0,
        device: str | torch.device = "cpu",
        n_threads: int | None = None,
        progress: bool | Literal["auto"] = "auto",
    ) -> None:
        check_seed(seed)
        check_positive(lr=lr)
        check_not_negative(weight_decay=weight_decay)
        self.device = devices.checked_device(device)
        self.loaders = loaders
        self.model = model.to(self.device)
        self.loss = loss
        self.factory = optimizers.factory_of(optimizer)
        self.lr, self.weight_decay = float(lr), float(weight_decay)
        self.callbacks = in_order(callbacks)
        self.metrics = named_metrics(metrics)
        self.seed = seed
        self.n_threads = n_threads
        check_whole(1, or_none=True, n_threads=n_threads)
        self.progress: bool | Literal["auto"] = progress
        self.recorder = self._recorder_class()
        self.epoch = self.batch = 0
        self.plan: Plan | None = None
        self.ended = ""
        self.parameters = optimizers.trainable(model)
        self.optimizer = self.factory(self.parameters, self.lr, self.weight_decay)
        self.last_loss = torch.zeros(())
        self._rng_states = devices.rng_states(self.device)
        self._is_fitting = False
        self._pending: list[Tensor] = []  # losses not yet in the recorder: reading each at once would slow the loop
        self._active: list[Callback] = []  # the callbacks of the present fit, with the progress table
        self._batch_callbacks: list[Callback] = []  # those of them with an after_batch of their own
        if len(loaders.train) == 0:
            raise DataError("the loaders have no training batch.")

    def __repr__(self) -> str:
        done = f"{len(self.recorder.epochs):,} epochs" + (
            f", last {self.recorder.epochs[-1]!r}" if self.recorder.epochs else ""
        )
        return f"<{type(self).__name__}: {type(self.model).__name__}, {done}>"

    # ---- training

    def fit(self, n_epochs: int, lr: float | None = None, wd: float | None = None) -> Learner:
        """Train for some epochs at a constant learning rate. Ctrl-C ends the fit early and keeps what was learned.

        Parameters:
            n_epochs (int): Epochs, 1 or more.
            lr (float, default None): The learning rate, above 0; None takes the learner's.
            wd (float, default None): The weight decay, 0 or more; None takes the learner's.

        Returns:
            Learner: This learner.

        Raises:
            OptionError: An option lies outside its range, or the loss is not a tensor of one number that depends on the
                trained parameters.
        """
        return self._start("constant", n_epochs, lr, wd)

    def fit_one_cycle(self, n_epochs: int, lr_max: float | None = None, wd: float | None = None) -> Learner:
        """Train for some epochs in one cycle of the learning rate.

        The learning rate rises from lr_max / 25 to lr_max in the first quarter of the batches, then falls to
        lr_max / 100,000, along cosines. The momentum goes from 0.95 to 0.85 and back. Ctrl-C ends the fit early and
        keeps what was learned.

        Parameters:
            n_epochs (int): Epochs, 1 or more.
            lr_max (float, default None): The maximum learning rate, above 0; None takes the learner's lr.
            wd (float, default None): The weight decay, 0 or more; None takes the learner's.

        Returns:
            Learner: This learner.

        Raises:
            OptionError: An option lies outside its range, or the loss is not a tensor of one number that depends on the
                trained parameters.

        Source:
            Smith (2018), A Disciplined Approach to Neural Network Hyper-Parameters, section 4.
        """
        return self._start("one_cycle", n_epochs, lr_max, wd)

    def resume(self) -> Learner:
        """Continue a fit that was interrupted, or whose checkpoint was loaded.

        The result is bit for bit that of an uninterrupted fit if it stopped between two batches. Ctrl-C within a batch
        may come after its random numbers were drawn or its step was taken; resume then runs that batch again.

        Returns:
            Learner: This learner.

        Raises:
            OptionError: There is no unfinished fit.
        """
        if self.plan is None or self.ended not in ("", INTERRUPTED):
            raise OptionError(
                "there is no unfinished fit to resume: load a checkpoint written during one, or call fit."
            )
        return self._run()

    def validate(self) -> Validation:
        """Measure the predictions of the validation ratings.

        Returns:
            Validation: `loss`, the mean loss, and `rmse`, that of predictions clipped to the rating range; None for a
                model that predicts something else than one rating a row.

        Raises:
            OptionError: The loaders have no validation set.
        """
        loss, rmse, _ = self._measured(self.loaders.valid)
        return Validation(loss, rmse)

    def predict(self, batches: Any) -> tuple[Tensor, Tensor]:
        """Predict all rows of some batches. Predictions are not clipped to the rating range.

        Parameters:
            batches (Batches or iterable of tuples): Batches of inputs and targets, such as loaders.valid.

        Returns:
            tuple of Tensor: Predictions and targets, (n, 1) each.
        """
        return self._predicted(batches)

    def _predicted(self, batches: Any) -> tuple[Tensor, Tensor]:
        with self._computing(), evaluating(self.model):
            pairs = [(self.model(*inputs), targets) for *inputs, targets in self._on_device(batches)]
        predictions, targets = zip(*pairs, strict=True)
        return torch.cat(predictions), torch.cat(targets)

    def _measured(self, batches: Any) -> tuple[float, float | None, dict[str, float]]:
        """The loss, the RMSE of clipped predictions and the metrics; raise OptionError if there are no batches."""
        if batches is None:
            raise OptionError("these loaders have no validation set: make them with valid=0.2, say.")
        predictions, targets = self._predicted(batches)
        loss = float(checked_loss(self.loss(predictions, targets)))
        rmse = None
        if predictions.shape == targets.shape:
            rmse = math.sqrt(mse(predictions.clamp(*self.loaders.ratings.range), targets))
        return loss, rmse, {name: measured(name, of, predictions, targets) for name, of in self.metrics.items()}

    # ---- the loop

    def _start(self, schedule: str, n_epochs: int, lr: float | None, wd: float | None) -> Learner:
        check_whole(1, n_epochs=n_epochs)
        lr = self.lr if lr is None else lr
        wd = self.weight_decay if wd is None else wd
        check_positive(lr=lr)
        check_not_negative(wd=wd)
        self.plan = Plan(schedule, n_epochs, float(lr), float(wd), first=self.epoch)
        self.batch = 0
        self.optimizer = optimizers.with_state_of(self.optimizer, self.factory(self.parameters, float(lr), float(wd)))
        return self._run()

    def _run(self) -> Learner:
        self.ended = ""
        self._zero_grad()
        with self._computing(), self._running_callbacks(), self._own_rng():
            try:
                while not self.ended and len(self.epochs_of_fit) < self.n_epochs:
                    self._train_epoch()
                self.ended = self.ended or FINISHED
            except KeyboardInterrupt:
                self.ended = INTERRUPTED
            self._record_pending()
        if self.ended != FINISHED:
            print(f"fit {self.ended}.", file=sys.stderr)  # noqa: T201
        return self

    def _train_epoch(self) -> None:
        start = time.perf_counter()
        self.model.train()
        for batch in self._batches_left():
            self._set_rates()
            loss = self._train_batch(batch)
            self._after_batch(loss)
            self._zero_grad()
            if self.ended:
                return
        self._after_epoch(start)

    def _train_batch(self, batch: Sequence[Tensor]) -> Tensor:
        """Predict, loss, backward, step; the loss."""
        *inputs, targets = batch
        predictions = self.model(*inputs)
        loss = checked_loss(self.loss(predictions, targets), training=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def _zero_grad(self) -> None:
        """What optimizer.zero_grad() does, in a tenth of its time."""
        for parameter in self.parameters:
            parameter.grad = None

    def _set_rates(self) -> None:
        """Set the learning rate and momentum that the plan has for the next batch."""
        assert self.plan is not None
        done = (self.epoch - self.plan.first) * self.n_batches + self.batch
        lr, momentum = schedules.SCHEDULES[self.plan.schedule](self.plan.lr, done / (self.n_epochs * self.n_batches))
        optimizers.set_rates(self.optimizer, lr, momentum)

    def _batches_left(self) -> Iterator[Sequence[Tensor]]:
        """The remaining batches of this epoch. Its random numbers follow from (seed, epoch)."""
        self.loaders.train.set_epoch(self.epoch)
        if self.batch == 0:
            devices.seed_generators(self.seed, self.epoch, self.device)
        return islice(self._on_device(self.loaders.train), self.batch, None)

    def _after_batch(self, loss: Tensor) -> None:
        self.last_loss = loss
        self._pending.append(loss)
        self.recorder.lrs.append(self.optimizer.param_groups[0]["lr"])
        self.batch += 1
        for callback in self._batch_callbacks:
            if callback.after_batch(self):
                self.ended = f"ended by {type(callback).__name__}"

    def _after_epoch(self, start: float) -> None:
        self._record_pending()
        train_loss = float(np.mean(self.recorder.losses[-self.n_batches :]))
        valid = self.loaders.valid
        loss, rmse, metrics = (None, None, {}) if valid is None else self._measured(valid)
        self.epoch, self.batch = self.epoch + 1, 0
        self.recorder.epochs.append(Epoch(self.epoch, train_loss, loss, rmse, time.perf_counter() - start, metrics))
        self.ended = self._reason_to_end(train_loss)
        for callback in self._active:
            if callback.after_epoch(self) and not self.ended:
                self.ended = f"ended by {type(callback).__name__}"

    def _reason_to_end(self, train_loss: float) -> str:
        if not math.isfinite(train_loss):
            return "ended because the loss is no finite number any more: take a lower learning rate (lr_find)"
        return FINISHED if len(self.epochs_of_fit) >= self.n_epochs else ""

    def _record_pending(self) -> None:
        if self._pending:
            self.recorder.losses.extend(torch.stack(self._pending).tolist())
            self._pending = []

    # ---- around the loop

    @contextmanager
    def _running_callbacks(self) -> Iterator[None]:
        """Run before_fit on entry and after_fit on exit."""
        table = ProgressTable(self.progress)
        self._active = [table, *self.callbacks] if table.shown else self.callbacks
        self._batch_callbacks = [one for one in self._active if type(one).after_batch is not Callback.after_batch]
        try:
            for callback in self._active:
                callback.before_fit(self)
            yield
        finally:
            for callback in self._active:
                callback.after_fit(self)

    def _computing(self) -> AbstractContextManager[None]:
        return devices.computing(self.device, self.n_threads, sum(weight.numel() for weight in self.parameters))

    @contextmanager
    def _own_rng(self) -> Iterator[None]:
        """Inside, torch's generators have this learner's states; afterwards the states they had before."""
        with devices.fork_rng(self.device):
            devices.set_rng_states(self._rng_states, self.device)
            self._is_fitting = True
            try:
                yield
            finally:
                self._is_fitting = False
                self._rng_states = devices.rng_states(self.device)

    def _on_device(self, batches: Any) -> Iterable[Sequence[Tensor]]:
        if self.device.type == "cpu":
            return batches  # type: ignore[no-any-return]
        return (tuple(tensor.to(self.device, non_blocking=True) for tensor in batch) for batch in batches)

    @property
    def n_batches(self) -> int:
        """Training batches per epoch."""
        return len(self.loaders.train)

    @property
    def n_epochs(self) -> int:
        """Epochs of the last fit, as given to it; 0 before the first fit."""
        return self.plan.n_epochs if self.plan else 0

    @property
    def columns(self) -> list[str]:
        """The names of what is measured after each epoch, metrics last."""
        return [*self._measures, *self.metrics]

    @property
    def epochs_of_fit(self) -> list[Epoch]:
        """The records of the epochs that the last fit has done."""
        return self.recorder.epochs[self.plan.first :] if self.plan else []

    # ---- the learning rate search

    def lr_find(self, lowest: float = 1e-7, highest: float = 10.0, n_batches: int = 100) -> LrSearch:
        """Train on a few batches while the learning rate grows, and suggest a rate.

        The search ends early once the loss is several times its minimum. Model and optimizer are then put back.

        Parameters:
            lowest (float, default 1e-07): The first learning rate, above 0.
            highest (float, default 10.0): The last learning rate, above lowest.
            n_batches (int, default 100): Batches, and so rates to try, 2 or more.

        Returns:
            LrSearch: The rates, their losses, and the suggestion.

        Raises:
            OptionError: An option lies outside its range, or the loss is not a tensor of one number that depends on the
                trained parameters.

        Source:
            Smith (2017), Cyclical Learning Rates for Training Neural Networks, section 3.3.

        Example:
            >>> import palate
            >>> from palate.nn import DotProduct, Learner, RatingLoaders
            >>> loaders = RatingLoaders.from_ratings(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> search = Learner(loaders, DotProduct(60, 40, 5)).lr_find(n_batches=20)
            >>> len(search.lrs) == len(search.losses) <= 20
            True
        """
        check_whole(2, n_batches=n_batches)
        schedules.check_search(lowest, highest)
        lrs = [schedules.exponential(lowest, highest, at / (n_batches - 1)) for at in range(n_batches)]
        with self._restored_afterwards():
            self.optimizer = self.factory(self.parameters, lowest, self.weight_decay)
            losses = self._losses_at(lrs)
        smooth = schedules.smoothed(losses)
        return LrSearch(lrs[: len(losses)], losses, smooth, schedules.suggested_lr(lrs, losses))

    def _losses_at(self, lrs: Sequence[float]) -> list[float]:
        losses: list[float] = []
        for lr, batch in zip(lrs, self._endless_batches(), strict=False):
            optimizers.set_rates(self.optimizer, lr, None)
            losses.append(float(self._train_batch(batch)))
            self._zero_grad()
            if schedules.has_diverged(schedules.smoothed(losses)):
                break
        return losses

    def _endless_batches(self) -> Iterator[Sequence[Tensor]]:
        for epoch in count(self.epoch):
            self.loaders.train.set_epoch(epoch)
            yield from self._on_device(self.loaders.train)

    @contextmanager
    def _restored_afterwards(self) -> Iterator[None]:
        """Afterwards, model, optimizer, loaders and generators are as they were before."""
        weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        optimizer, was_training = self.optimizer, self.model.training
        with self._computing(), devices.fork_rng(self.device):
            devices.seed_generators(self.seed, self.epoch, self.device)
            self.model.train()
            try:
                yield
            finally:
                self._zero_grad()
                self.model.load_state_dict(weights)
                self.model.train(was_training)
                self.optimizer = optimizer
                self.loaders.train.set_epoch(self.epoch)

    # ---- checkpoints

    def prevent_resume(self) -> None:
        """Make the rest of an interrupted fit impossible to resume, because the weights were replaced."""
        if self.ended in ("", INTERRUPTED):
            self.ended = "interrupted; the weights of its best epoch are back"

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint: all that this training needs to continue, as data only. See load and resume.

        Parameters:
            path (str or path): The file to write; an existing one is replaced.

        Raises:
            OSError: The file cannot be written.
        """
        self._write_checkpoint(path)

    def _write_checkpoint(self, path: str | PathLike[str]) -> None:
        self._record_pending()
        checkpoints.write(
            path,
            model=self.model,
            optimizer=self.optimizer,
            callbacks=with_tensors(self.callbacks),
            recorder=self.recorder,
            position=Position(self.epoch, self.batch, self.plan, self.ended),
            states=devices.rng_states(self.device) if self._is_fitting else self._rng_states,
            run=self._run_facts(),
        )

    def load(self, path: str | PathLike[str]) -> Learner:
        """Put this learner into the state in which a checkpoint was written.

        Parameters:
            path (str or path): A file that save or SaveCheckpoint wrote.

        Returns:
            Learner: This learner.

        Raises:
            OptionError: This learner was made with other ratings or options than the one that wrote the checkpoint.
            ModelFileError: The file is missing, damaged or no checkpoint; the class of the error says which.
        """
        found = checkpoints.read(path)
        found.check_model(self.model)
        found.check_run(self._run_facts())
        plan = found.position.plan
        optimizer = self.factory(self.parameters, plan.lr, plan.wd) if plan else self.optimizer
        found.restore_optimizer(optimizer)
        self.model.load_state_dict(found.part("model"))
        for number, callback in enumerate(with_tensors(self.callbacks)):
            callback.restore(found.part(f"callback.{number}"))
        self.optimizer, self.recorder, self._rng_states = optimizer, found.recorder, found.part("random")
        position = found.position
        self.epoch, self.batch, self.plan, self.ended = position.epoch, position.batch, position.plan, position.ended
        return self

    def _run_facts(self) -> dict[str, Any]:
        return checkpoints.run_facts(
            self.loaders.train, self.model, self.loss, self.seed, self.optimizer, with_tensors(self.callbacks)
        )
