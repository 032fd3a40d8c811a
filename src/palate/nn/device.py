"""The device of a training: its threads, and torch's random generators on it, which are put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from palate.errors import OptionError

SMALL_MODEL = 1_000_000  # parameters; below that, handing work to a second thread costs more than it brings


def checked_device(device: str | torch.device) -> torch.device:
    """The device; raise OptionError if this machine, or this torch, does not have it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device={str(device)!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return torch.device(device)


@contextmanager
def computing(device: torch.device, n_threads: int | None, n_parameters: int) -> Iterator[None]:
    """Inside, torch computes with n_threads threads (None: one for a small model) and rounds denormals to zero.

    7,035 batches of 64 with a 50-factor model take 3.9 s on one thread and 3.4 s on two of two idle cores. But two
    threads wait for each other: where another program used a core, they took 93 s. Adam's running means become denormal
    for rarely seen rows, and computing with denormals costs a tenth of a step.
    """
    threads, flushing = torch.get_num_threads(), flushes_denormals()
    if device.type == "cpu":
        torch.set_num_threads(n_threads or (1 if n_parameters < SMALL_MODEL else threads))
        torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)


def flushes_denormals() -> bool:
    """True if torch rounds denormals to zero in this thread. torch can set this but not report it."""
    return bool(torch.tensor(1e-39) * 1.0 == 0.0)


# ---- random number generators (RNG); dropout uses torch's own


def rng_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators for the CPU and for the device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["device"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["device"] = torch.mps.get_rng_state()
    return states


def set_rng_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the states of torch's generators."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["device"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(states["device"])


@contextmanager
def fork_rng(device: torch.device) -> Iterator[None]:
    """Afterwards, torch's generators are in the states they were in before."""
    states = rng_states(device)
    try:
        yield
    finally:
        set_rng_states(states, device)


def seed_generators(seed: int, epoch: int, device: torch.device) -> None:
    """Seed torch's generators for the CPU and the device from (seed, epoch) alone."""
    key = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(key)
    if device.type == "mps":
        torch.mps.manual_seed(key)
