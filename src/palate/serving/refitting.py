"""Refitting while the server answers: when, by which process, and what becomes of the new model."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from palate.errors import OptionError, PalateError
from palate.serving.filelocks import try_lock
from palate.serving.forgetting import replace_file
from palate.serving.learning import Job, Outcome
from palate.serving.service import Service

LOG = logging.getLogger("palate.serving")
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
CHECK_EVERY = 1.0  # seconds between looks at the policy
FIT, WATCH = "fit", "watch"  # the locks of who fits, and of who decides when
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
        if unit == "event":
            return cls(n_events=count, text=text)
        return cls(seconds=float(count * SECONDS[unit]), text=text)

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
        self._policy = policy
        self._ratings = ratings
        self._tried: tuple[float, int] = (0.0, 0)  # when a fit was last tried, and up to which event
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._held: IO[str] | None = None
        self.outcomes: list[Outcome] = []

    @property
    def when(self) -> str:
        """The policy as it was written."""
        return self._policy.text

    @property
    def is_running(self) -> bool:
        """Whether this process is fitting a model."""
        return self._lock.locked()

    def start(self) -> None:
        """Begin to watch the policy."""
        if self._policy != Policy():
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching; a fit under way is given up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._held is not None:
            self._held.close()

    async def _watch(self) -> None:
        """Fit when the policy says so, in one process of several that serve the same file, as long as it lives."""
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                self._held = self._held or try_lock(self._path, WATCH)
                if self._held is not None and self._is_time():
                    await self.refit()
            except Exception as error:
                LOG.warning("no fit", extra={"reason": str(error)})

    def _is_time(self) -> bool:
        """Whether the policy calls for a fit. What a fit has been tried with does not call for another one."""
        served, (tried, up_to) = self._service.models.named(self._path.stem), self._tried
        n_new = self._service.store.last() - max(served.learned_up_to, up_to)
        waited = time.time() - max(served.fitted_at, tried)
        return self._policy.calls(n_new, waited, self._service.judged.counts)

    async def refit(self) -> Outcome:
        """Fit now, to all that has arrived until now. One at a time, of all processes."""
        async with self._lock:
            held = try_lock(self._path, FIT)
            if held is None:
                return Outcome(accepted=False, reason="another process fits this model just now.")
            try:
                outcome = await self._fit()
            finally:
                held.close()
            self.outcomes.append(outcome)
            LOG.warning("refit", extra={"accepted": outcome.accepted, "reason": outcome.reason})
            return outcome

    async def _fit(self) -> Outcome:
        """Fit in a process of its own, and swap the model."""
        new, up_to = self._path.with_name(f".{self._path.stem}-new.palate"), self._service.store.last()
        self._tried = time.time(), up_to
        job = Job(model=str(self._path), store=self._store, up_to=up_to, out=str(new), ratings=self._ratings)
        try:
            outcome = await _in_process(job)
            if outcome.accepted:
                store = self._service.store
                self._service.serve(await asyncio.to_thread(replace_file, new, self._path, store, up_to))
        except (PalateError, OSError) as error:
            outcome = Outcome(accepted=False, reason=str(error))
        finally:
            for left in self._path.parent.iterdir():  # also what a killed process was writing
                if new.name in left.name:
                    left.unlink(missing_ok=True)
        self._service.judged.reset()
        return outcome


async def _in_process(job: Job) -> Outcome:
    """The outcome of a process of its own, which ends with this one but takes no signals from the keyboard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "palate.serving.learning",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await process.communicate(msgspec.json.encode(job))
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
