"""Events: what palate tells the logger `palate`, with a name and fields, and how a record becomes one line.

    logging.getLogger("palate").setLevel(logging.INFO)

    record.palate  {"event": "fit_finished", "recipe": "Bayes()", "ratings": 90000, "seconds": 1.2}

Labels are personal data: no event of level INFO or above has one.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from palate.showing.lines import printable

Format = Literal["text", "json"]
LOG = logging.getLogger("palate")
LOG.addHandler(logging.NullHandler())  # without a handler of the program, nothing is printed
FIELDS = "palate"  # the attribute of a record that holds its fields
PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message", FIELDS}

_within: ContextVar[str] = ContextVar("palate_within", default="")
_is_quiet: ContextVar[bool] = ContextVar("palate_quiet", default=False)


def tell(event: str, message: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event: its name, a sentence, and fields; those that are None are left out.

    Within other work (see `within`) it is of level DEBUG, and says of which.
    """
    other = _within.get()
    level = min(level, logging.DEBUG) if other else level
    if not LOG.isEnabledFor(level):
        return
    given = {name: value for name, value in fields.items() if value is not None}
    about = {"event": event, **({"within": other} if other else {}), **given}
    LOG.log(level, message, extra={FIELDS: about}, stacklevel=2)


def wants(level: int) -> bool:
    """Whether an event of this level would be logged: to be asked before something is counted for it alone."""
    return LOG.isEnabledFor(min(level, logging.DEBUG) if _within.get() else level)


@contextmanager
def within(work: str) -> Iterator[None]:
    """Events in this block are parts of larger work, such as the fits of a comparison."""
    token = _within.set(_within.get() or work)
    try:
        yield
    finally:
        _within.reset(token)


@contextmanager
def quiet(is_quiet: bool = True) -> Iterator[None]:
    """No progress lines in this block, where a call leaves that open (progress="auto")."""
    token = _is_quiet.set(is_quiet)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def be_quiet(is_quiet: bool) -> None:
    """The same for the rest of this context: of a command line, until it ends."""
    _is_quiet.set(is_quiet)


def is_quiet() -> bool:
    """Whether progress lines and remarks are unwanted here."""
    return _is_quiet.get()


# ---- a record as a line


class Lines(logging.Formatter):
    """Formats a record as one line, whatever stands in it: line ends and control characters are escaped."""

    def __init__(self, form: Format) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = fields_of(record)
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if self._form == "json":
            return as_json(fields)
        when, level, event, message, *rest = fields.items()
        words = [when[1], level[1], event[1], *([] if message[1] == event[1] else [message[1]])]
        return " ".join(printable(str(word)) for word in [*words, *(f"{name}={value}" for name, value in rest)])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The record as plain values: time (UTC), level, event and message first, then its own fields."""
    own: Mapping[str, Any] = getattr(record, FIELDS, {})
    message = record.getMessage()
    others = {name: value for name, value in record.__dict__.items() if name not in PLAIN}
    event = own.get("event", message.replace(" ", "_") if record.name.startswith("palate") else record.name)
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "event": event,
        "message": message,
        **others,
        **{name: value for name, value in own.items() if name != "event"},
    }


def as_json(fields: Mapping[str, Any]) -> str:
    """Fields as JSON on one line of ASCII; nan and infinity become null."""
    return json.dumps(_plain(fields), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
