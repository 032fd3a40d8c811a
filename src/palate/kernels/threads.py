"""Python threads for work that runs beside the caller's: as many as the system grants, or the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar, cast

T = TypeVar("T")


def thread_pool(n: int) -> Executor:
    """A pool of n threads; of fewer where the system grants no more, and of none where it grants none.

    Work must not wait for the thread that submits it: without threads, submit() does the work before it returns.
    """
    while n > 0:
        pool, hold = ThreadPoolExecutor(n), Event()
        try:
            for _ in range(n):
                pool.submit(hold.wait)  # a thread that waits takes no other work, so each starts a new one
        except RuntimeError:  # can't start new thread
            hold.set()
            pool.shutdown()
            n //= 2
        else:
            hold.set()
            return pool
    return InThisThread()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made by a thread while the one before it is used."""
    end = object()
    with thread_pool(1) as maker:
        made = maker.submit(next, items, end)
        while (item := made.result()) is not end:
            made = maker.submit(next, items, end)
            yield cast(T, item)


class InThisThread(Executor):
    """An executor whose submit() does the work itself."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do the work, and return a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
