"""Exchange: what carries blocks of work to workers and their results back.

A fit, or a list for everybody, is cut into tasks that are pure functions of what they are given: where one is done, or
done again, does not change a byte. `Local` does them in this process, one after the other, each on all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Exchange(Protocol):
    """Workers, and the way to them."""

    @property
    def n_workers(self) -> int:
        """How many tasks are done at once."""

    @property
    def threads(self) -> int:
        """The threads of each worker; 0: all cores of its machine."""

    def put(self, value: Any) -> Any:
        """Bring a value to all workers once; what is returned stands for it in `map`."""

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], *shared: Any) -> Iterator[T]:
        """Yield function(*task, *shared) of each task, in the order of the tasks.

        function: of a module, so that workers find it by its name; shared: what `put` returned.
        """


@dataclass(frozen=True)
class Local:
    """This process: tasks one after the other."""

    threads: int = 0
    n_workers: int = 1

    def put(self, value: Any) -> Any:
        """The value itself."""
        return value

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], *shared: Any) -> Iterator[T]:
        """Yield function(*task, *shared) of each task."""
        for task in tasks:
            yield function(*task, *shared)
