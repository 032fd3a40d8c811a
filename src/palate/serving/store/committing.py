"""Group commit: the events of all requests that arrived during one commit are kept by the next one.

A commit waits for the disk, whether it keeps one event or a thousand. So there is one at a time, and what arrives
meanwhile waits for the next. Alone, an event is kept at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from palate.errors import FeedbackError, StoreBusyError, StoreError
from palate.serving.store.checking import check_events
from palate.serving.store.interface import Added, Event, Store

MAX_WAITING = 20_000  # events: some two seconds of work
MAX_COMMIT = 2_000  # events in one commit: 20 ms of work, so that none waits long for it


class _Request(NamedTuple):
    events: Sequence[Event]
    answer: asyncio.Future[Added]


class GroupCommit:
    """Adds events to a store for many requests of one event loop.

    max_waiting: events that may wait; add() raises StoreBusyError beyond. max_commit: events in one commit, if no
    single request has more.
    """

    def __init__(self, store: Store, max_waiting: int = MAX_WAITING, max_commit: int = MAX_COMMIT) -> None:
        self._store = store
        self._max_waiting = max_waiting
        self._max_commit = max_commit
        self._waiting: deque[_Request] = deque()
        self._n_waiting = 0
        self._working: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="palate-commit")
        self._is_closed = False

    @property
    def n_waiting(self) -> int:
        """How many events wait for a commit that has not begun."""
        return self._n_waiting

    async def add(self, events: Sequence[Event]) -> Added:
        """Keep the events of one request, all or none, and return when they are durable.

        Raises FeedbackError at once for events that cannot be kept, StoreBusyError if too many wait already, and
        StoreError as the store does. If the caller stops waiting, the events are kept nevertheless.
        """
        events = check_events(events)
        if self._is_closed:
            raise StoreError("no more feedback is taken: the service is about to stop. Send it again later.")
        if self._n_waiting and self._n_waiting + len(events) > self._max_waiting:
            raise StoreBusyError(
                f"{self._n_waiting} events wait to be kept, and at most {self._max_waiting} may. Send them again later."
            )
        request = _Request(events, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._n_waiting += len(events)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await request.answer

    async def close(self) -> None:
        """Take no more events, and return when all that wait are kept. The store stays open."""
        self._is_closed = True
        while self._working is not None:
            await asyncio.shield(self._working)
        self._thread.shutdown()

    async def _work(self) -> None:
        """Commit until nothing waits."""
        try:
            while self._waiting:
                await self._commit(self._take())
        finally:
            self._working = None

    def _take(self) -> list[_Request]:
        """The requests of the next commit: at least one, and as many as fit."""
        taken, n_events = [self._waiting.popleft()], 0
        n_events = len(taken[0].events)
        while self._waiting and n_events + len(self._waiting[0].events) <= self._max_commit:
            taken.append(self._waiting.popleft())
            n_events += len(taken[-1].events)
        self._n_waiting -= n_events
        return taken

    async def _commit(self, requests: Sequence[_Request]) -> None:
        """Commit some requests together; if one of them is at fault, each for itself."""
        try:
            added = await self._add([event for request in requests for event in request.events])
        except Exception as error:
            if len(requests) > 1 and (isinstance(error, FeedbackError) or not isinstance(error, StoreError)):
                for request in requests:
                    await self._commit([request])
                return
            for request in requests:
                if not request.answer.done():
                    request.answer.set_exception(_copy_of(error))
            return
        begin = 0
        for request in requests:
            end = begin + len(request.events)
            if not request.answer.done():
                request.answer.set_result(Added(added.is_new[begin:end], added.number))
            begin = end

    async def _add(self, events: Sequence[Event]) -> Added:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.add, events)


def _copy_of(error: Exception) -> Exception:
    """An error of its own for each request, since raising one adds to its traceback."""
    if not isinstance(error, StoreError):
        return error
    copy = type(error)(*error.args)
    copy.__cause__ = error
    return copy
