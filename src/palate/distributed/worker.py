"""What runs on the nodes of a cluster: a process that does one task after the other."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from palate import kernels
from palate.__version__ import __version__
from palate.distributed.exchange import Part

T = TypeVar("T")

NOTHING = np.zeros(0)
Layout = tuple[tuple[int | None, int], ...]  # of each shared value: the key and the number of its parts, or None and 1


@dataclass(frozen=True)
class About:
    """What a worker says of itself."""

    node: str
    pid: int
    versions: dict[str, str]
    levels: list[str]  # instruction sets of the kernels, the lowest first


def about_here() -> About:
    """What this process is."""
    here = kernels.levels()
    levels = here[: here.index(kernels.level()) + 1]
    return About(socket.gethostname(), os.getpid(), {"palate": __version__, "numpy": np.__version__}, levels)


def use_level(level: str) -> None:
    """Compute with this instruction set from here on."""
    kernels.use_level(level)


class Worker:
    """A process on a node. The driver calls its methods."""

    def __init__(self) -> None:
        self._key: int | None = None  # of the array that came in parts and is whole now
        self._whole: Any = None

    def call(self, function: Callable[..., T], *values: Any) -> T:
        """What a function gives here."""
        return function(*values)

    def do(self, function: Callable[..., Any], task: tuple[Any, ...], layout: Layout, *values: Any) -> tuple[Any, Any]:
        """Do a task. Returns its array, which stays on this node until it is needed elsewhere, and the rest."""
        result = function(*task, *self._shared(layout, values))
        return (result.array, replace(result, array=NOTHING)) if isinstance(result, Part) else (None, result)

    def _shared(self, layout: Layout, values: tuple[Any, ...]) -> Iterator[Any]:
        """What tasks share: values as they are, and arrays that came in parts."""
        at = 0
        for key, n in layout:
            if key is None:
                yield values[at]
            else:
                if self._key != key:
                    self._whole = None  # frees the one before
                    self._key, self._whole = key, np.concatenate(values[at : at + n])
                yield self._whole
            at += n
