"""Batcher: what is asked while one pass computes is answered together by the next one.

A pass for eight costs little more than a pass for one. So where passes follow each other closely, the next one waits
for about as long as the last one took, and those who come meanwhile join. A quiet server answers at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


LONGEST = 0.002  # seconds that a pass waits for others at the most


class Batcher(Generic[Asked, Answer]):
    """Collects what arrives within one turn of the event loop, or in a moment more under load; answers in one call.

    Parameters:
        answer (function): From a list of what was asked to a list of answers, an exception where one fails.
    """

    def __init__(self, answer: Callable[[Sequence[Asked]], Sequence[Answer | Exception]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._ended, self._took = 0.0, 0.0  # of the last pass

    async def ask(self, asked: Asked) -> Answer:
        """The answer, made with those of everybody who asked meanwhile. Raises what the answer failed with."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, future))
        if len(self._waiting) == 1:
            wait = min(self._took, LONGEST) - (time.perf_counter() - self._ended)
            if wait > 0:
                loop.call_later(wait, self._run)
            else:
                loop.call_soon(self._run)
        return await future

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        began = time.perf_counter()
        try:
            answers = self._answer([asked for asked, _ in waiting])
        except Exception as error:
            answers = [error] * len(waiting)
        self._ended = time.perf_counter()
        self._took = self._ended - began
        for (_, future), answer in zip(waiting, answers, strict=True):
            if future.done():  # the client has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
