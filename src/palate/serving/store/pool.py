"""Connections that threads borrow. One thread at a time uses each; there are as many as were in use at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from palate.errors import StoreError


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Closable)


class Pool(Generic[C]):
    """Open connections; `connect` makes another one where all are in use."""

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._free: list[C] = []
        self._is_closed = False
        self._lock = threading.Lock()

    @contextmanager
    def borrowed(self) -> Iterator[C]:
        """A connection for the time of a with block. One that an error came out of is not used again."""
        connection = self._taken() or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._free.append(connection)
        if self._is_closed:
            self.drop()

    def _taken(self) -> C | None:
        with self._lock:
            if self._is_closed:
                raise StoreError("the store of feedback is closed.")
            return self._free.pop() if self._free else None

    def drop(self) -> None:
        """Close the connections that nobody uses: the next ones are new."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def close(self) -> None:
        """Close all: those in use when they are given back."""
        with self._lock:
            self._is_closed = True
        self.drop()
