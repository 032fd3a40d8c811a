"""Batcher: what is asked while one pass computes is answered together by the next one.

A pass for eight costs little more than a pass for one. So a pass waits as long as each turn of the event loop brings
somebody more, for two milliseconds at the most. A quiet server answers at once: one turn brings nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


LONGEST = 0.002  # seconds that a pass waits for others at the most


class Batcher(Generic[Asked, Answer]):
    """Collects what arrives while turns of the event loop bring more; answers in one call.

    Parameters:
        answer (function): From a list of what was asked to a list of answers, an exception where one fails.
    """

    def __init__(self, answer: Callable[[Sequence[Asked]], Sequence[Answer | Exception]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []

    async def ask(self, asked: Asked) -> Answer:
        """The answer, made with those of everybody who asked meanwhile. Raises what the answer failed with."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._run_or_wait, loop, 1, loop.time() + LONGEST)
        return await future

    def _run_or_wait(self, loop: asyncio.AbstractEventLoop, n_before: int, until: float) -> None:
        """Answer, unless the last turn of the loop brought more than the `n_before` who waited."""
        n_waiting = len(self._waiting)
        if n_waiting > n_before and loop.time() < until:
            loop.call_soon(self._run_or_wait, loop, n_waiting, until)
        else:
            self._run()

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            answers = self._answer([asked for asked, _ in waiting])
        except Exception as error:
            answers = [error] * len(waiting)
        for (_, future), answer in zip(waiting, answers, strict=True):
            if future.done():  # the client has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
