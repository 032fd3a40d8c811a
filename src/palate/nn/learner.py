"""Learner: the training loop, readable in a minute."""

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

from palate.answers.arguments import check_seed, check_whole
from palate.errors import DataError, OptionError
from palate.nn import checkpoints, schedules
from palate.nn.callbacks import Callback, Epoch, Recorder, Table, in_order, with_tensors
from palate.nn.checkpoints import Plan, Position
from palate.nn.losses import mse
from palate.nn.models import evaluating
from palate.nn.schedules import Factory, LrSearch

FINISHED, INTERRUPTED = "finished", "interrupted; the model is what was learned until then"


class Validation(NamedTuple):
    """Mean loss, and RMSE of predictions clipped to the rating range."""

    loss: float
    rmse: float


class Learner:
    """Trains a model on batches: predict, loss, backward, step, zero; and again.

    loaders: train and valid batches (RatingLoaders). model: called with a batch's inputs, gives what `loss` compares
    with its targets. optimizer: a class of torch.optim, or a function of (parameters, lr, wd). callbacks: see Callback.
    seed: of dropout; torch's own generators come out of a fit as they went in. n_threads: None takes one for a small
    model, torch's number for a large one. progress: a table on standard error ("auto": when it is a terminal). The
    history is in `recorder`. Every fit goes on where the last one ended, with the optimizer's state.

    >>> import palate
    >>> from palate.nn.loaders import RatingLoaders
    >>> from palate.nn.models import DotProductBias
    >>> loaders = RatingLoaders.from_ratings(palate.datasets.synthetic(60, 40, 1200, seed=1), valid=0.2, batch_size=64)
    >>> model = DotProductBias(60, 40, 5, y_range=(0, 5.5), generator=torch.Generator().manual_seed(0))
    >>> learner = Learner(loaders, model).fit_one_cycle(5, lr_max=0.02)
    >>> len(learner.recorder.epochs), learner.validate().rmse < learner.recorder.epochs[0].rmse
    (5, True)
    """

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
        seed: int = 0,
        device: str | torch.device = "cpu",
        n_threads: int | None = None,
        progress: bool | Literal["auto"] = "auto",
    ) -> None:
        check_seed(seed)
        self.device = checkpoints.checked_device(device)
        self.loaders = loaders
        self.model = model.to(self.device)
        self.loss = loss
        self.factory = schedules.factory_of(optimizer)
        self.lr = schedules.check_rate("lr", lr, above=True)
        self.weight_decay = schedules.check_rate("weight_decay", weight_decay)
        self.callbacks = in_order(callbacks)
        self.seed = seed
        self.n_threads = n_threads
        check_whole("n_threads", 1 if n_threads is None else n_threads, 1)
        self.progress: bool | Literal["auto"] = progress
        self.recorder = Recorder()
        self.epoch = self.batch = 0  # whole epochs done, and batches of the next one
        self.plan: Plan | None = None
        self.ended = ""  # how the last fit ended, "" while it has not
        self.parameters = schedules.trainable(model)
        self.optimizer = self.factory(self.parameters, self.lr, self.weight_decay)
        self.loss_now = torch.zeros(())
        self._states = checkpoints.random_states(self.device)
        self._inside = False  # whether a fit is running
        self._pending: list[Tensor] = []  # losses not yet in the recorder: reading each at once would hold up the loop
        self._running: list[Callback] = []  # the callbacks of the present fit, the table among them
        self._listeners: list[Callback] = []  # those of them that want to hear of every batch
        if len(loaders.train) == 0:
            raise DataError("the loaders have no training batch.")

    # ---- what people call

    def fit(self, n_epochs: int, lr: float | None = None, wd: float | None = None) -> Learner:
        """Train for some epochs at one learning rate. Ctrl-C ends it early and keeps what has been learned."""
        return self._start("constant", n_epochs, lr, wd)

    def fit_one_cycle(self, n_epochs: int, lr_max: float | None = None, wd: float | None = None) -> Learner:
        """Train for some epochs while the learning rate rises to lr_max and falls to nearly nothing (see schedules)."""
        return self._start("one_cycle", n_epochs, lr_max, wd)

    def resume(self) -> Learner:
        """Go on with a fit that was interrupted, or whose checkpoint was loaded.

        Bit for bit as it would have gone on, after load and wherever the fit stopped between two batches. Ctrl-C within
        a batch may leave its random numbers drawn or its step taken; resume then runs that batch again.
        """
        if self.plan is None or self.ended not in ("", INTERRUPTED):
            raise OptionError(
                "there is no unfinished fit to resume: load a checkpoint written during one, or call fit."
            )
        return self._run()

    def validate(self) -> Validation:
        """How far the validation ratings are predicted now."""
        if self.loaders.valid is None:
            raise OptionError("these loaders have no validation set: make them with valid=0.2, say.")
        predictions, targets = self.predict(self.loaders.valid)
        clipped = predictions.clamp(*self.loaders.ratings.range)
        loss = schedules.checked_loss(self.loss(predictions, targets))
        return Validation(float(loss), math.sqrt(mse(clipped, targets)))

    def predict(self, batches: Any) -> tuple[Tensor, Tensor]:
        """Predictions and targets of all rows of batches, (n, 1) each; not clipped to the rating range."""
        with self._computing(), evaluating(self.model):
            pairs = [(self.model(*inputs), targets) for *inputs, targets in self._on_device(batches)]
        predictions, targets = zip(*pairs, strict=True)
        return torch.cat(predictions), torch.cat(targets)

    # ---- the loop

    def _start(self, schedule: str, n_epochs: int, lr: float | None, wd: float | None) -> Learner:
        check_whole("n_epochs", n_epochs, 1)
        lr = self.lr if lr is None else schedules.check_rate("lr", lr, above=True)
        wd = self.weight_decay if wd is None else schedules.check_rate("wd", wd)
        self.plan = Plan(schedule, n_epochs, lr, wd, first=self.epoch)
        self.batch = 0
        self.optimizer = checkpoints.with_state_of(self.optimizer, self.factory(self.parameters, lr, wd))
        return self._run()

    def _run(self) -> Learner:
        self.ended = ""
        self.zero()
        with self._computing(), self._hooks(), self._own_randomness():
            try:
                while not self.ended and len(self.epochs_of_fit) < self.n_epochs:
                    self._train_epoch()
                self.ended = self.ended or FINISHED
            except KeyboardInterrupt:
                self.ended = INTERRUPTED
            self._flush()
        if self.ended != FINISHED:
            print(f"fit {self.ended}.", file=sys.stderr)  # noqa: T201
        return self

    def _train_epoch(self) -> None:
        start = time.perf_counter()
        self.model.train()
        for batch in self._batches_left():
            self.set_rates()
            loss = self.learn(batch)
            self._after_batch(loss)
            self.zero()
            if self.ended:
                return
        self._after_epoch(start)

    def learn(self, batch: Sequence[Tensor]) -> Tensor:
        """Predict, loss, backward, step; the loss."""
        *inputs, targets = batch
        predictions = self.model(*inputs)
        loss = schedules.checked_loss(self.loss(predictions, targets), training=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def zero(self) -> None:
        """Forget the gradients: what optimizer.zero_grad() does, in a tenth of its time."""
        for parameter in self.parameters:
            parameter.grad = None

    def set_rates(self) -> None:
        """Learning rate and momentum for the next batch, as the plan says at this point of it."""
        assert self.plan is not None
        done = (self.epoch - self.plan.first) * self.n_batches + self.batch
        lr, momentum = schedules.SCHEDULES[self.plan.schedule](self.plan.lr, done / (self.n_epochs * self.n_batches))
        schedules.set_rates(self.optimizer, lr, momentum)

    def _batches_left(self) -> Iterator[Sequence[Tensor]]:
        """The batches of this epoch that are still to come, its random numbers following from (seed, epoch)."""
        self.loaders.train.set_epoch(self.epoch)
        if self.batch == 0:
            checkpoints.seed_generators(self.seed, self.epoch, self.device)
        return islice(self._on_device(self.loaders.train), self.batch, None)

    def _after_batch(self, loss: Tensor) -> None:
        self.loss_now = loss
        self._pending.append(loss)
        self.recorder.lrs.append(self.optimizer.param_groups[0]["lr"])
        self.batch += 1
        for callback in self._listeners:
            if callback.after_batch(self):
                self.ended = f"ended by {type(callback).__name__}"

    def _after_epoch(self, start: float) -> None:
        self._flush()
        train_loss = float(np.mean(self.recorder.losses[-self.n_batches :]))
        loss, rmse = (None, None) if self.loaders.valid is None else self.validate()
        self.epoch, self.batch = self.epoch + 1, 0
        self.recorder.epochs.append(Epoch(self.epoch, train_loss, loss, rmse, time.perf_counter() - start))
        self.ended = self._reason_to_end(train_loss)
        for callback in self._running:
            if callback.after_epoch(self) and not self.ended:
                self.ended = f"ended by {type(callback).__name__}"

    def _reason_to_end(self, train_loss: float) -> str:
        if not math.isfinite(train_loss):
            return "ended because the loss is no finite number any more: take a lower learning rate (lr_find)"
        return FINISHED if len(self.epochs_of_fit) >= self.n_epochs else ""

    def _flush(self) -> None:
        if self._pending:
            self.recorder.losses.extend(torch.stack(self._pending).tolist())
            self._pending = []

    # ---- around the loop

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        table = Table(self.progress)
        self._running = [table, *self.callbacks] if table.shown else self.callbacks
        self._listeners = [one for one in self._running if type(one).after_batch is not Callback.after_batch]
        try:
            for callback in self._running:
                callback.before_fit(self)
            yield
        finally:
            for callback in self._running:
                callback.after_fit(self)

    def _computing(self) -> AbstractContextManager[None]:
        return checkpoints.computing(self.device, self.n_threads, sum(weight.numel() for weight in self.parameters))

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        with checkpoints.random_states_kept(self.device):
            checkpoints.set_random_states(self._states, self.device)
            self._inside = True
            try:
                yield
            finally:
                self._inside = False
                self._states = checkpoints.random_states(self.device)

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
        """Epochs that the last fit was asked for."""
        return self.plan.n_epochs if self.plan else 0

    @property
    def epochs_of_fit(self) -> list[Epoch]:
        """The epochs that the last fit has done."""
        return self.recorder.epochs[self.plan.first :] if self.plan else []

    # ---- the search for a learning rate

    def lr_find(self, lowest: float = 1e-7, highest: float = 10.0, n_batches: int = 100) -> LrSearch:
        """Train on a few batches while the learning rate grows, and suggest one.

        Ends where the loss has grown to several times its lowest. Model and optimizer are then as they were.
        """
        check_whole("n_batches", n_batches, 2)
        schedules.check_search(lowest, highest)
        lrs = [schedules.exponential(lowest, highest, at / (n_batches - 1)) for at in range(n_batches)]
        with self._left_as_it_was():
            self.optimizer = self.factory(self.parameters, lowest, self.weight_decay)
            losses = self._losses_at(lrs)
        smooth = schedules.smoothed(losses)
        return LrSearch(lrs[: len(losses)], losses, smooth, schedules.suggested_lr(lrs, losses))

    def _losses_at(self, lrs: Sequence[float]) -> list[float]:
        losses: list[float] = []
        for lr, batch in zip(lrs, self._endless_batches(), strict=False):
            schedules.set_rates(self.optimizer, lr, None)
            losses.append(float(self.learn(batch)))
            self.zero()
            if schedules.has_diverged(schedules.smoothed(losses)):
                break
        return losses

    def _endless_batches(self) -> Iterator[Sequence[Tensor]]:
        for epoch in count(self.epoch):
            self.loaders.train.set_epoch(epoch)
            yield from self._on_device(self.loaders.train)

    @contextmanager
    def _left_as_it_was(self) -> Iterator[None]:
        weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        optimizer, was_training = self.optimizer, self.model.training
        with self._computing(), checkpoints.random_states_kept(self.device):
            checkpoints.seed_generators(self.seed, self.epoch, self.device)
            self.model.train()
            try:
                yield
            finally:
                self.zero()
                self.model.load_state_dict(weights)
                self.model.train(was_training)
                self.optimizer = optimizer
                self.loaders.train.set_epoch(self.epoch)

    # ---- checkpoints

    def give_up_resuming(self) -> None:
        """Make the rest of an interrupted fit impossible to resume: the model is not where it stopped any more."""
        if self.ended in ("", INTERRUPTED):
            self.ended = "interrupted; the weights of its best epoch are back"

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint: all that it takes to go on with this training, in a safe format. See load and resume."""
        self._flush()
        checkpoints.write(
            path,
            model=self.model,
            optimizer=self.optimizer,
            callbacks=with_tensors(self.callbacks),
            recorder=self.recorder,
            position=Position(self.epoch, self.batch, self.plan, self.ended),
            states=checkpoints.random_states(self.device) if self._inside else self._states,
            run=self._run_facts(),
        )

    def load(self, path: str | PathLike[str]) -> Learner:
        """Put this learner where the one that wrote the checkpoint was; it must have been made with the same options.

        Raises OptionError when it was not, and a ModelFileError when the file is damaged.
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
        self.optimizer, self.recorder, self._states = optimizer, found.recorder, found.part("random")
        where = found.position
        self.epoch, self.batch, self.plan, self.ended = where.epoch, where.batch, where.plan, where.ended
        return self

    def _run_facts(self) -> dict[str, Any]:
        return checkpoints.run_facts(
            self.loaders.train, self.model, self.loss, self.seed, self.optimizer, with_tensors(self.callbacks)
        )
