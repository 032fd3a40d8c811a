"""Exchange: what carries blocks of work to workers and their results back.

A fit, or a list for everybody, is cut into tasks that are pure functions of what they are given: where one is done, or
done again, does not change a byte. `Local` does them in this process, one after the other, each on all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from palate.errors import OptionError

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A result: rows of an array that later tasks need whole, and what else came of the task.

    kept: stands for the rows where they are kept near the workers; None where they are not.
    """

    array: NDArray[Any]
    more: Any
    kept: Any = None


class Exchange(Protocol):
    """Workers, and the way to them."""

    @property
    def n_workers(self) -> int:
        """How many tasks are done at once."""

    @property
    def threads(self) -> int:
        """The threads of each worker; 0: all cores of its machine."""

    @property
    def about(self) -> dict[str, Any]:
        """What a model file says of the workers, as plain Python values."""

    def show(self, folder: Path) -> None:
        """See to it that workers find this folder, if that is not up to those who set up the cluster."""

    def put(self, value: Any) -> Any:
        """Bring a value to all workers once; what is returned stands for it in `map`."""

    def assembled(self, array: NDArray[Any], parts: list[Part]) -> None:
        """Know that an array consists of these parts, one below the other, so that `put` need not send it again."""

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], *shared: Any) -> Iterator[T]:
        """Yield function(*task, *shared) of each task, in the order of the tasks.

        function: of a module, so that workers find it by its name; shared: what `put` returned.
        """


class Cluster(Protocol):
    """Where work may be spread to: what `on=` takes."""

    def connect(self) -> AbstractContextManager[Exchange]:
        """Start the workers; they are ended with the context."""


def connected(on: Cluster | None) -> AbstractContextManager[Exchange | None]:
    """The workers of a cluster while they are needed; None without a cluster. Raises OptionError if it is none."""
    if on is None:
        return nullcontext(None)
    if not hasattr(on, "connect"):
        raise OptionError(f"on= takes a cluster, such as palate.distributed.ray() names, not {type(on).__name__}.")
    return on.connect()


@dataclass(frozen=True)
class Local:
    """This process: tasks one after the other."""

    threads: int = 0
    n_workers: int = 1

    @property
    def about(self) -> dict[str, Any]:
        """Says nothing: that is how a fit is computed without `on`."""
        return {}

    def show(self, folder: Path) -> None:
        """Do nothing: this process sees its own folders."""

    def put(self, value: Any) -> Any:
        """The value itself."""
        return value

    def assembled(self, array: NDArray[Any], parts: list[Part]) -> None:
        """Do nothing: the array is here."""

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], *shared: Any) -> Iterator[T]:
        """Yield function(*task, *shared) of each task."""
        for task in tasks:
            yield function(*task, *shared)
