"""The log: a line an event, as text or as JSON, on standard error. Without labels, addresses or queries."""

from __future__ import annotations

import logging
import sys

from palate.showing.events import Format, Lines

__all__ = ["Format", "Lines", "start"]


def start(form: Format, *, requests: bool) -> None:
    """Log to standard error. requests: a line for each request too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(form))
    for name in ("palate.serving", "uvicorn"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO if requests or name == "uvicorn" else logging.WARNING)
