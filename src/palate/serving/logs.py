"""The log: a line an event, as text or as JSON, on standard error. Without labels, addresses or queries."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

import msgspec

Format = Literal["text", "json"]
PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class Lines(logging.Formatter):
    """Formats a record as one line, whatever stands in it: line ends and control characters are escaped."""

    def __init__(self, form: Format) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in record.__dict__.items() if name not in PLAIN}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if self._form == "json":
            return msgspec.json.encode(fields, enc_hook=str).decode()
        when, level, message, *rest = fields.items()
        words = [when[1], level[1], message[1], *(f"{name}={value}" for name, value in rest)]
        return " ".join(_in_one_line(str(word)) for word in words)


def _in_one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def start(form: Format, *, requests: bool) -> None:
    """Log to standard error. requests: a line for each request too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(form))
    for name in ("palate.serving", "uvicorn"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO if requests or name == "uvicorn" else logging.WARNING)
