"""Typed options of reading, such as --user 0 and --event view=1, as palate.read takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palate.errors import OptionError


def _number_of(option: str, text: str) -> float | bool:
    """A typed number, or False for "false". Raises OptionError for another text."""
    if text.lower() == "false":
        return False
    try:
        return float(text)
    except ValueError:
        raise OptionError(f'{option} must be a number or "false", got {text!r}.') from None


def _events_of(words: Sequence[str]) -> dict[str, float | str] | bool:
    """Return typed events as palate.read takes them. Raises OptionError for what is no EVENT=WORTH."""
    if list(words) in (["default"], ["false"]):
        return words[0] == "default"
    events: dict[str, float | str] = {}
    for text in words:
        event, equals, worth = text.rpartition("=")
        try:
            events[event] = worth if worth == "ignore" else float(worth)
        except ValueError:
            equals = ""
        if not equals or not event:
            raise OptionError(f"--event {text}: give EVENT=WORTH, such as --event view=1, or --event view=ignore.")
    return events


def for_read(given: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return typed options as palate.read takes them: positions as numbers, "false" as False, \t as a tab."""
    options = dict(given)
    for name in ("user", "item", "rating", "time", "weight"):
        text = options.get(name)
        if text is not None and text.isdecimal():
            options[name] = int(text)
        if text in ("false", "False") and name in ("rating", "time", "weight"):
            options[name] = False
    if "event" in options:
        options["event"] = _events_of(options["event"])
    if "blank" in options:
        options["blank"] = _number_of("--blank", options["blank"])
    if "separator" in options:
        options["separator"] = options["separator"].replace("\\t", "\t")
    return options
