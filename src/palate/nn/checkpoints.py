"""Checkpoints: a training goes on bit for bit from the batch after which one was written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from os import PathLike, fspath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from palate.errors import NotAModelError, OptionError, TamperedModelError
from palate.nn.callbacks import Callback, Epoch, Recorder
from palate.storing import container

KIND = "training checkpoint"
Tensors = dict[str, Tensor]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """What a fit was asked for. first: epochs that earlier fits had done. schedule: its name in schedules.SCHEDULES."""

    schedule: str
    n_epochs: int
    lr: float
    wd: float
    first: int


@dataclass(frozen=True)
class Position:
    """Where a training stands: whole epochs done, batches of the next one, the last plan and how it ended ("": not)."""

    epoch: int
    batch: int
    plan: Plan | None
    ended: str


# ---- the device, and its random states: dropout uses torch's own generators, which are put back afterwards


SMALL = 1_000_000  # parameters: below, handing work to a second thread costs more than it brings


@contextmanager
def computing(device: torch.device, n_threads: int | None, n_parameters: int) -> Iterator[None]:
    """Inside, torch computes with n_threads threads (None: one for a small model) and takes denormals for zero.

    Chapter 8's 7,035 steps take 3.9 s on one thread and 3.4 s on two of two idle cores; but two threads wait for
    each other, and where another program wanted a core they took 93 s. Denormals are what the running means of Adam
    fade into for rows that are seldom seen; computing with them costs a tenth of a step.
    """
    threads, flushing = torch.get_num_threads(), flushes_denormals()
    if device.type == "cpu":
        torch.set_num_threads(n_threads or (1 if n_parameters < SMALL else threads))
        torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)


def flushes_denormals() -> bool:
    """Whether torch takes denormals for zero at present, in this thread: it can be set, but not asked."""
    return bool(torch.tensor(1e-39) * 1.0 == 0.0)


@contextmanager
def random_states_kept(device: torch.device) -> Iterator[None]:
    """Whatever happens inside, torch's generators come out of it as they went in."""
    states = random_states(device)
    try:
        yield
    finally:
        set_random_states(states, device)


def random_states(device: torch.device) -> Tensors:
    """The states of torch's generators for the CPU and the device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["device"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["device"] = torch.mps.get_rng_state()
    return states


def set_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put states back."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["device"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(states["device"])


def seed_generators(seed: int, epoch: int, device: torch.device) -> None:
    """Seed torch's generators for the CPU and the device from (seed, epoch) alone."""
    key = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(key)
    if device.type == "mps":
        torch.mps.manual_seed(key)


def checked_device(device: str | torch.device) -> torch.device:
    """The device; OptionError when this machine, or this torch, does not have it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device={str(device)!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return torch.device(device)


# ---- one file


def write(
    path: str | PathLike[str],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    callbacks: Sequence[Callback],
    recorder: Recorder,
    position: Position,
    states: Tensors,
    run: dict[str, Any],
) -> None:
    """Write all that a training is made of to one safetensors file. run: what must be the same when it goes on."""
    tensors = prefixed("model", model.state_dict()) | prefixed("random", states)
    for number, callback in enumerate(callbacks):
        tensors |= prefixed(f"callback.{number}", callback.tensors())
    optimizer_tensors, optimizer_rest = packed_optimizer(optimizer)
    arrays = arrays_of(tensors | optimizer_tensors)
    header = {"kind": KIND, "run": run, "position": asdict(position), "optimizer": optimizer_rest}
    container.write(path, arrays | packed_records(recorder), header)


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a file, before any of it is put to use."""

    path: str
    tensors: Tensors
    recorder: Recorder
    position: Position
    run: dict[str, Any]
    optimizer: Any

    def part(self, prefix: str) -> Tensors:
        """The tensors whose names begin with prefix, without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def check_run(self, run: dict[str, Any]) -> None:
        """OptionError when the training to continue is not the one that was saved."""
        for name in sorted(self.run.keys() | run.keys()):
            if self.run.get(name) != run.get(name):
                there, here = first_difference(self.run.get(name), run.get(name))
                raise OptionError(
                    f"{self.path} was written with {name} {there}, but here {name} is {here}: a training goes on bit "
                    "for bit only from the same ratings, batches and seed, with the same model and options."
                )

    def check_model(self, model: nn.Module) -> None:
        """OptionError when the tensors do not fit the model."""
        saved = {name: tuple(tensor.shape) for name, tensor in self.part("model").items()}
        here = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        for name in sorted(saved.keys() | here.keys()):
            if saved.get(name) != here.get(name):
                raise OptionError(
                    f"{self.path} holds another model: {name} has shape {saved.get(name)} there and {here.get(name)} "
                    "here (None: it is not there). Make the model with the options it was trained with."
                )

    def restore_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Put the optimizer's state back; OptionError when it is another kind of optimizer's."""
        state: dict[int, dict[str, Any]] = {int(at): dict(plain) for at, plain in self.optimizer["state"].items()}
        for name, tensor in self.part("optimizer").items():
            at, _, key = name.partition(".")
            state[int(at)][key] = tensor
        groups = [unpacked_group(group) for group in self.optimizer["groups"]]
        try:
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        except (KeyError, ValueError, RuntimeError) as error:
            raise OptionError(f"the optimizer's state in {self.path} does not fit this optimizer ({error}).") from error


def run_facts(
    train: Any, model: nn.Module, loss: Any, seed: int, optimizer: torch.optim.Optimizer, keepers: Sequence[Callback]
) -> dict[str, Any]:
    """What must be the same for a training to go on bit for bit. keepers: the callbacks that have tensors."""
    return {
        "ratings": train.n,
        "batches": len(train),
        "order of the batches": getattr(train, "seed", None),
        "seed": seed,
        "optimizer": type(optimizer).__name__,
        "callbacks with tensors": [type(callback).__name__ for callback in keepers],
        "training data": getattr(train, "fingerprint", None),
        "model": described(model),
        "y_range": described(getattr(model, "y_range", None)),
        "mean": described(getattr(model, "mean", None)),
        "loss": getattr(loss, "__qualname__", type(loss).__name__),
        "type of numbers": sorted({str(parameter.dtype) for parameter in model.parameters()}),
    }


def described(thing: Any) -> str:
    """Its repr, without the addresses in memory that are others in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def first_difference(there: Any, here: Any) -> tuple[Any, Any]:
    """The first lines in which two descriptions differ."""
    lines = zip_longest(str(there).splitlines(), str(here).splitlines(), fillvalue="nothing more")
    return next(((one.strip(), other.strip()) for one, other in lines if one != other), (there, here))


def read(path: str | PathLike[str]) -> Checkpoint:
    """Read a checkpoint. Raises a ModelFileError that says what is wrong with the file."""
    arrays, header = container.read(path)
    if header.get("kind") != KIND:
        raise NotAModelError(f"{fspath(path)} is no training checkpoint: palate.load reads models.")
    try:
        position = dict(header["position"])
        plan = None if position["plan"] is None else Plan(**position["plan"])
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        recorder = unpacked_records(arrays)
        where = Position(int(position["epoch"]), int(position["batch"]), plan, str(position["ended"]))
        return Checkpoint(fspath(path), tensors, recorder, where, dict(header["run"]), header["optimizer"])
    except (KeyError, ValueError, TypeError) as error:
        raise TamperedModelError(
            f"{fspath(path)} is a checkpoint whose parts do not fit together ({type(error).__name__}: {error})."
        ) from error


def arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    """The tensors as arrays; bfloat16 and what else is shorter than float32 becomes that, which holds it exactly."""
    moved = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    short = {name: t.float() for name, t in moved.items() if t.is_floating_point() and t.dtype.itemsize < 4}
    return {name: tensor.numpy() for name, tensor in (moved | short).items()}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The same tensors under longer names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def packed_optimizer(optimizer: torch.optim.Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """The tensors of an optimizer's state, and the rest of it as plain values."""
    whole = optimizer.state_dict()
    tensors: Tensors = {}
    plain: dict[str, dict[str, Any]] = {}
    for at, entries in whole["state"].items():
        tensors |= prefixed(f"optimizer.{at}", {k: value for k, value in entries.items() if isinstance(value, Tensor)})
        plain[str(at)] = {k: value for k, value in entries.items() if not isinstance(value, Tensor)}
    return tensors, {"state": plain, "groups": whole["param_groups"]}


def unpacked_group(group: dict[str, Any]) -> dict[str, Any]:
    """A parameter group with its tuples (betas) again: JSON knows lists alone."""
    return {k: tuple(value) if isinstance(value, list) and k != "params" else value for k, value in group.items()}


def with_state_of(old: torch.optim.Optimizer, new: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The new optimizer with its own options, and what the old one has gathered about each parameter."""
    new.load_state_dict({**new.state_dict(), "state": old.state_dict()["state"]})
    return new


COLUMNS = ("losses", "lrs", "gradient_norms", "weight_norms")


def packed_records(recorder: Recorder) -> Arrays:
    """The records as arrays: JSON has no room for long lists, nor for nan."""
    arrays = {f"records.{name}": np.array(getattr(recorder, name), np.float64) for name in COLUMNS}
    rows = [list(asdict(epoch).values()) for epoch in recorder.epochs]
    missing = np.array([[value is None for value in row] for row in rows], np.bool_)
    values = np.array([[math.nan if value is None else value for value in row] for row in rows], np.float64)
    return arrays | {"records.epochs": values, "records.missing": missing}


def unpacked_records(arrays: Mapping[str, NDArray[Any]]) -> Recorder:
    """The records again."""
    pairs = zip(arrays["records.epochs"].tolist(), arrays["records.missing"].tolist(), strict=True)
    rows: list[list[Any]] = [[None if gone else v for v, gone in zip(*pair, strict=True)] for pair in pairs]
    epochs = [Epoch(int(number), *rest) for number, *rest in rows]
    return Recorder(epochs, **{name: arrays[f"records.{name}"].tolist() for name in COLUMNS})
