"""Checkpoints: a file from which a training continues, bit for bit, after the batch it was written at."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
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
    """The options of a fit. schedule: a name in schedules.SCHEDULES. first: epochs done by earlier fits."""

    schedule: str
    n_epochs: int
    lr: float
    wd: float
    first: int


@dataclass(frozen=True)
class Position:
    """Where a training stands: complete epochs, batches done of the next one, the last plan, and how it ended.

    ended is "" while the plan is not finished.
    """

    epoch: int
    batch: int
    plan: Plan | None
    ended: str


# ---- writing and checking


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
    """Write the state of a training to one safetensors file. run: facts that must be the same when it continues."""
    tensors = prefixed("model", model.state_dict()) | prefixed("random", states)
    for number, callback in enumerate(callbacks):
        tensors |= prefixed(f"callback.{number}", callback.tensors())
    optimizer_tensors, optimizer_rest = pack_optimizer(optimizer)
    arrays = arrays_of(tensors | optimizer_tensors)
    header = {"kind": KIND, "run": run, "position": asdict(position), "optimizer": optimizer_rest}
    container.write(path, arrays | _pack_records(recorder), header)


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, before any of it is put into a learner."""

    path: str
    tensors: Tensors
    recorder: Recorder
    position: Position
    run: dict[str, Any]
    optimizer: Any

    def part(self, prefix: str) -> Tensors:
        """The tensors whose names begin with "prefix.", under the rest of their names."""
        start = f"{prefix}."
        return {name.removeprefix(start): tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def check_run(self, run: dict[str, Any]) -> None:
        """Raise OptionError if the facts of this training differ from those that were saved."""
        for name in sorted(self.run.keys() | run.keys()):
            if self.run.get(name) != run.get(name):
                there, here = _first_difference(self.run.get(name), run.get(name))
                raise OptionError(
                    f"{self.path} was written with {name} {there}, but here {name} is {here}: a training continues "
                    "bit for bit only with the same ratings, batches, seed, model and options."
                )

    def check_model(self, model: nn.Module) -> None:
        """Raise OptionError if the tensors do not fit the model."""
        saved = {name: tuple(tensor.shape) for name, tensor in self.part("model").items()}
        here = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        for name in sorted(saved.keys() | here.keys()):
            if saved.get(name) != here.get(name):
                raise OptionError(
                    f"{self.path} holds another model: {name} has shape {saved.get(name)} there and {here.get(name)} "
                    "here (None: no such tensor). Make the model with the options it was trained with."
                )

    def restore_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Load the saved state into the optimizer; raise OptionError if it belongs to another kind of optimizer."""
        state: dict[int, dict[str, Any]] = {int(at): dict(plain) for at, plain in self.optimizer["state"].items()}
        for name, tensor in self.part("optimizer").items():
            at, _, key = name.partition(".")
            state[int(at)][key] = tensor
        groups = [_unpack_group(group) for group in self.optimizer["groups"]]
        try:
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        except (KeyError, ValueError, RuntimeError) as error:
            raise OptionError(f"the optimizer's state in {self.path} does not fit this optimizer ({error}).") from error


def run_facts(
    train: Any, model: nn.Module, loss: Any, seed: int, optimizer: torch.optim.Optimizer, callbacks: Sequence[Callback]
) -> dict[str, Any]:
    """The facts that must be the same for a training to continue. callbacks: those that keep tensors."""
    return {
        "ratings": train.n,
        "batches": len(train),
        "order of the batches": getattr(train, "seed", None),
        "seed": seed,
        "optimizer": type(optimizer).__name__,
        "callbacks with tensors": [type(callback).__name__ for callback in callbacks],
        "training data": getattr(train, "fingerprint", None),
        "model": _repr(model),
        "y_range": _repr(getattr(model, "y_range", None)),
        "mean": _repr(getattr(model, "mean", None)),
        "loss": getattr(loss, "__qualname__", type(loss).__name__),
        "type of numbers": sorted({str(parameter.dtype) for parameter in model.parameters()}),
    }


def _repr(thing: Any) -> str:
    """The repr without memory addresses, which differ in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def _first_difference(there: Any, here: Any) -> tuple[Any, Any]:
    """The first lines in which two texts differ."""
    lines = zip_longest(str(there).splitlines(), str(here).splitlines(), fillvalue="nothing more")
    return next(((one.strip(), other.strip()) for one, other in lines if one != other), (there, here))


# ---- reading and packing


def read(path: str | PathLike[str]) -> Checkpoint:
    """Read a checkpoint; raise a ModelFileError that says what is wrong with the file."""
    arrays, header = container.read(path)
    if header.get("kind") != KIND:
        raise NotAModelError(f"{fspath(path)} is no training checkpoint; palate.load reads saved models.")
    try:
        position = dict(header["position"])
        plan = None if position["plan"] is None else Plan(**position["plan"])
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        recorder = _unpack_records(arrays)
        where = Position(int(position["epoch"]), int(position["batch"]), plan, str(position["ended"]))
        return Checkpoint(fspath(path), tensors, recorder, where, dict(header["run"]), header["optimizer"])
    except (KeyError, ValueError, TypeError) as error:
        raise TamperedModelError(
            f"{fspath(path)} is a checkpoint whose parts do not fit together ({type(error).__name__}: {error})."
        ) from error


def arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    """The tensors as arrays; bfloat16 and float16 become float32, which holds them exactly."""
    moved = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    short = {name: t.float() for name, t in moved.items() if t.is_floating_point() and t.dtype.itemsize < 4}
    return {name: tensor.numpy() for name, tensor in (moved | short).items()}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The same tensors with "prefix." before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """The tensors of an optimizer's state, and its other values."""
    whole = optimizer.state_dict()
    tensors: Tensors = {}
    plain: dict[str, dict[str, Any]] = {}
    for at, entries in whole["state"].items():
        tensors |= prefixed(f"optimizer.{at}", {k: value for k, value in entries.items() if isinstance(value, Tensor)})
        plain[str(at)] = {k: value for k, value in entries.items() if not isinstance(value, Tensor)}
    return tensors, {"state": plain, "groups": whole["param_groups"]}


def _unpack_group(group: dict[str, Any]) -> dict[str, Any]:
    """A parameter group whose lists (betas) are tuples again; JSON has only lists."""
    return {k: tuple(value) if isinstance(value, list) and k != "params" else value for k, value in group.items()}


COLUMNS = ("losses", "lrs", "gradient_norms", "weight_norms")
EPOCH_COLUMNS = ("number", "train_loss", "valid_loss", "rmse", "seconds")
METRIC, NO_METRIC = "records.metric.", "records.no_metric."


def _pack_records(recorder: Recorder) -> Arrays:
    """The records as arrays; JSON has no nan, and the header no room for long lists."""
    arrays = {f"records.{name}": np.array(getattr(recorder, name), np.float64) for name in COLUMNS}
    rows = [[getattr(epoch, name) for name in EPOCH_COLUMNS] for epoch in recorder.epochs]
    arrays |= _pack_table("records.epochs", "records.missing", rows)
    for name in dict.fromkeys(name for epoch in recorder.epochs for name in epoch.metrics):
        column = [[epoch.metrics.get(name)] for epoch in recorder.epochs]
        arrays |= _pack_table(f"{METRIC}{name}", f"{NO_METRIC}{name}", column)
    return arrays


def _pack_table(name: str, missing: str, rows: Sequence[Sequence[float | None]]) -> Arrays:
    """Numbers as an array, and as another one which of them are None."""
    values = np.array([[math.nan if value is None else value for value in row] for row in rows], np.float64)
    return {name: values, missing: np.array([[value is None for value in row] for row in rows], np.bool_)}


def _unpack_table(arrays: Mapping[str, NDArray[Any]], name: str, missing: str) -> list[list[Any]]:
    """The inverse of _pack_table."""
    pairs = zip(arrays[name].tolist(), arrays[missing].tolist(), strict=True)
    return [[None if is_missing else v for v, is_missing in zip(*pair, strict=True)] for pair in pairs]


def _unpack_records(arrays: Mapping[str, NDArray[Any]]) -> Recorder:
    """The inverse of _pack_records."""
    rows = _unpack_table(arrays, "records.epochs", "records.missing")
    names = [name.removeprefix(METRIC) for name in arrays if name.startswith(METRIC)]
    metrics: list[dict[str, float]] = [{} for _ in rows]
    for name in names:
        column = _unpack_table(arrays, f"{METRIC}{name}", f"{NO_METRIC}{name}")
        for here, (value,) in zip(metrics, column, strict=True):
            here |= {} if value is None else {name: value}
    make: Any = Epoch
    epochs = [make(int(number), *rest, here) for (number, *rest), here in zip(rows, metrics, strict=True)]
    return Recorder(epochs, **{name: arrays[f"records.{name}"].tolist() for name in COLUMNS})
