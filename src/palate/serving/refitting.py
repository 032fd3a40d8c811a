"""Refitting while the server answers: when, by which process, and what becomes of the new model."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from palate.errors import OptionError
from palate.serving.learning import Job, Outcome
from palate.serving.service import Service

LOG = logging.getLogger("palate.serving")
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
CHECK_EVERY = 2.0  # seconds between looks at the policy
LOW_PRIORITY = 15  # added to the niceness of the process that learns
MIN_JUDGED = 500  # ratings before the share that intervals hold means anything
DRIFT = 0.04  # a 90% interval that holds less than 86%, or more than 94%, has drifted


@dataclass(frozen=True)
class Policy:
    """When to fit again: never; every n_events; every so many seconds; when 90% intervals hold too few or too many.

    Attributes:
        n_events (int or None): New events that call for a fit.
        seconds (float or None): Time since the last one that calls for a fit.
        drift (bool): Whether drifting intervals call for one.
        text (str): The policy as it was written.
    """

    n_events: int | None = None
    seconds: float | None = None
    drift: bool = False
    text: str = "never"

    @classmethod
    def parse(cls, text: str) -> Policy:
        """The policy in "never", "every 1000 events", "every 6 hours" or "drift". Raises OptionError."""
        if text in ("never", "drift"):
            return cls(drift=text == "drift", text=text)
        found = re.fullmatch(r"every (\d+) (event|second|minute|hour|day)s?", text.strip().lower())
        if found is None or int(found[1]) == 0:
            raise OptionError(f"refit {text!r}: write never, every 1000 events, every 6 hours or drift.")
        count, unit = int(found[1]), found[2]
        return (
            cls(n_events=count, text=text) if unit == "event" else cls(seconds=float(count * SECONDS[unit]), text=text)
        )

    def calls(self, n_new: int, seconds: float, judged: tuple[int, int]) -> bool:
        """Whether to fit now, given the new events, the time since the last fit, and (ratings held, ratings judged)."""
        if n_new == 0:
            return False
        if self.n_events is not None:
            return n_new >= self.n_events
        if self.seconds is not None:
            return seconds >= self.seconds
        held, n = judged
        return self.drift and n >= MIN_JUDGED and abs(held / n - 0.9) > DRIFT


class Refitter:
    """Fits the first model again in a process of its own, and swaps it or says why not.

    Parameters:
        service (Service): Whose model it is.
        path (Path): Its file, which the new one replaces.
        store (str): Where the feedback is, as open_store takes it.
        policy (Policy): When to fit.
        ratings (str, default None): The file of training ratings; None takes those in the model.
    """

    def __init__(self, service: Service, path: Path, store: str, policy: Policy, ratings: str | None = None) -> None:
        self._service = service
        self._path = path
        self._store = store
        self.policy = policy
        self._ratings = ratings
        self._last = time.monotonic()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._held: IO[str] | None = None
        self.outcomes: list[Outcome] = []

    @property
    def is_running(self) -> bool:
        """Whether a model is being fitted."""
        return self._lock.locked()

    def start(self) -> None:
        """Begin to watch the policy, in one process of several that serve the same file."""
        if self.policy.text != "never" and self._is_first():
            self._task = asyncio.create_task(self._watch())

    def _is_first(self) -> bool:
        """Whether no other process fits this model again; this one then does, for as long as it lives."""
        self._held = self._path.with_name(f".{self._path.stem}.lock").open("w")
        try:
            import fcntl

            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # there is no such lock on Windows
            return True
        except OSError:
            return False
        return True

    async def close(self) -> None:
        """Stop watching; a fit under way is given up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._held is not None:
            self._held.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            served, number = self._service.models.named(self._path.stem), self._service.store.last()
            waited = time.monotonic() - self._last
            if self.policy.calls(number - served.learned_up_to, waited, self._service.judged.counts):
                await self.refit()

    async def refit(self) -> Outcome:
        """Fit now, to all that has arrived until now. One at a time."""
        async with self._lock:
            new = self._path.with_name(f".{self._path.stem}-new.palate")
            job = Job(
                model=str(self._path),
                store=self._store,
                up_to=self._service.store.last(),
                out=str(new),
                ratings=self._ratings,
            )
            outcome = await _in_process(job)
            if outcome.accepted:
                new.replace(self._path)
                self._service.models.put(await asyncio.to_thread(self._service.loaded, self._path))
                self._service.judged.reset()
            self._last = time.monotonic()
            self.outcomes.append(outcome)
            LOG.warning("refit", extra={"accepted": outcome.accepted, "reason": outcome.reason})
            return outcome


async def _in_process(job: Job) -> Outcome:
    """The outcome of a process at low priority, ended with the server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "palate.serving.learning",
        msgspec.json.encode(job).decode(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_step_back if hasattr(os, "nice") else None,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        LOG.error("the process that learns failed", extra={"error": err.decode(errors="replace")[-2000:]})
        return Outcome(
            accepted=False, reason=f"the process that learns ended with code {process.returncode}; see the log."
        )
    return msgspec.json.decode(out, type=Outcome)


def _step_back() -> None:
    os.nice(LOW_PRIORITY)
