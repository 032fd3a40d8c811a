"""What a store can keep. Texts, values and times are checked before they reach a database, whichever it is."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from palate.errors import FeedbackError
from palate.serving.store.interface import Event, Item, Key

LARGEST = 2**63 - 1
LONGEST_NAME = 200  # characters of a key's name, which a unique index holds


def check_text(text: object, what: str) -> str:
    """Return a text that every database keeps as it is. `what` begins the message: 'event "e1": the user'."""
    if not isinstance(text, str):
        raise FeedbackError(f"{what} must be a text, not {type(text).__name__}.")
    if "\0" in text:
        raise FeedbackError(f"{what} has a NUL character (\\0), which PostgreSQL cannot keep: leave it out.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise FeedbackError(
                f"{what} has half of a surrogate pair, which UTF-8 cannot write: decode the text as UTF-16 first."
            ) from None
    return text


def check_events(events: Sequence[Event]) -> list[Event]:
    """Return the events with values as floats. Raises FeedbackError for the first that cannot be kept."""
    return [_check_event(event) for event in events]


def _check_event(event: Event) -> Event:
    if not event.id:
        raise FeedbackError("an event has no id: give each a text of its own, such as a UUID.")
    named = f"event {event.id!a}"
    check_text(event.id, f"the id of {named}")
    check_text(event.user, f"{named}: the user")
    check_text(event.item, f"{named}: the item")
    if event.event is not None:
        check_text(event.event, f"{named}: the kind of event")
    if event.answer is not None:
        check_text(event.answer, f"{named}: the answer's id")
    if type(event.time) is not int or not -LARGEST <= event.time <= LARGEST:
        raise FeedbackError(f"{named}: the time must be a whole number of seconds since 1970, not {event.time!r}.")
    return event if event.value is None else event._replace(value=_check_value(event.value, named))


def _check_value(value: object, named: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FeedbackError(f"{named}: the value must be a finite number or None, not {value!r}.")
    return number


def attributes_as_json(item: Item) -> str:
    """The attributes of an item as JSON, in ASCII."""
    check_text(item.label, f"the label of item {item.label!a}")
    try:
        return json.dumps(dict(item.attributes), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FeedbackError(
            f"the attributes of item {item.label!a} do not fit into JSON ({error}): give texts, finite numbers, "
            "True, False, None, or lists of these."
        ) from None


def check_key(key: Key) -> Key:
    """Return a key whose name and scopes can be kept."""
    check_text(key.name, "the name of a key")
    if not 0 < len(key.name) <= LONGEST_NAME:
        raise FeedbackError(f"the name of a key must have 1 to {LONGEST_NAME} characters, not {len(key.name)}.")
    for scope in key.scopes:
        check_text(scope, f"a scope of key {key.name!a}")
    return key
