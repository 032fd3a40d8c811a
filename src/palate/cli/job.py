"""One run of the command line: what goes to standard error, and in which form. --quiet, --log and --config set it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from palate.showing import events

FORMS = ("text", "json", "none")


@dataclass
class Job:
    """form: of the log: "text", "json" or "none"; is_quiet: no notes and no progress."""

    form: str = "none"
    is_quiet: bool = False
    handler: logging.Handler | None = None

    def log(self, form: str) -> None:
        """Log in this form from now on. In JSON every line of standard error is an object: no progress lines."""
        self.close()
        self.form = form
        events.be_quiet(self.is_quiet or form == "json")
        if form in ("text", "json"):
            self.handler = _Standard(events.Lines("json" if form == "json" else "text"))
            events.LOG.addHandler(self.handler)
            events.LOG.setLevel(logging.INFO)

    def quiet(self) -> None:
        """Print neither notes nor progress from now on."""
        self.is_quiet = True
        events.be_quiet(True)

    def close(self) -> None:
        """Take the handler off the logger."""
        if self.handler is not None:
            events.LOG.removeHandler(self.handler)
            events.LOG.setLevel(logging.NOTSET)
            self.handler = None


_job: ContextVar[Job] = ContextVar("palate_job", default=Job())  # noqa: B039 - what runs outside of main() shares it


def begin(words: Sequence[str]) -> Job:
    """A new run. What is typed as --log counts from the start, so that errors in other words are told in its form."""
    job = Job(typed_form(words))
    events.be_quiet(False)
    _job.set(job)
    return job


def current() -> Job:
    """The run under way."""
    return _job.get()


def typed_form(words: Sequence[str]) -> str:
    """The form that the words of a command line give to the log; "none" if they say nothing, or nothing valid."""
    found = "none"
    for at, word in enumerate(words):
        if word == "--":
            break
        if word.startswith("--log="):
            found = word.partition("=")[2]
        elif word == "--log" and at + 1 < len(words):
            found = words[at + 1]
    return found if found in FORMS else "none"


def as_event(event: str, message: str, level: int, **fields: Any) -> str:
    """A line of the log in JSON."""
    record = logging.makeLogRecord(
        {"name": "palate", "levelno": level, "levelname": logging.getLevelName(level), "msg": "%s", "args": (message,)}
    )
    setattr(record, events.FIELDS, {"event": event, **fields})
    return events.Lines("json").format(record)


class _Standard(logging.Handler):
    """Writes lines to what is standard error now; a closed pipe is none of the log's business."""

    def __init__(self, lines: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass
