"""What a store of feedback does. Each backend implements Store; committing.py makes one commit of many requests.

An event has an id that its sender chose: sending it again changes nothing. The store gives each event a sequence
number. Numbers rise in the order in which events become visible, so that "learned up to 1200" leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Event(NamedTuple):
    """Something that a user did with an item.

    Attributes:
        id (str): Chosen by the sender; the same id is the same event.
        user (str): The user's label, as text.
        item (str): The item's label, as text.
        value (float, default None): A rating, or how much a choice counts; None where only the kind is known.
        event (str, default None): The kind of event, such as "view"; None for a rating.
        time (int, default 0): Seconds since 1970.
        answer (str, default None): The id of the answer that the event came from.
    """

    id: str
    user: str
    item: str
    value: float | None = None
    event: str | None = None
    time: int = 0
    answer: str | None = None


class Stored(NamedTuple):
    """An event and its sequence number."""

    number: int
    event: Event


class Added(NamedTuple):
    """What became of each event given to add(): True where it was new; and the highest sequence number then."""

    is_new: tuple[bool, ...]
    number: int


class Item(NamedTuple):
    """An item's attributes as they were put, {column: value}, and whether they were put again since."""

    label: str
    attributes: dict[str, object]


class Key(NamedTuple):
    """A key to the API: its name, the hash of its secret, and what it may do."""

    name: str
    digest: bytes
    scopes: frozenset[str]


@dataclass(frozen=True)
class Forgotten:
    """What forget() did: the number of events removed."""

    n_events: int


class Store(Protocol):
    """A durable store of feedback, items and keys. Every method returns when what it did is durable.

    Methods block; they may be called from several threads and several processes. Raises StoreError, in words.
    """

    def add(self, events: Sequence[Event]) -> Added:
        """Keep events in one transaction; those whose id is known already are left as they are."""

    def of_user(self, user: str, after: int = 0) -> list[Stored]:
        """The events of a user with a number above `after`, in order."""

    def since(self, after: int = 0, up_to: int | None = None) -> Iterator[Stored]:
        """All events with a number above `after` and at most `up_to`, in order, in bounded memory."""

    def last(self) -> int:
        """The highest sequence number ever given; 0 in an empty store. Cheap: it may be asked for every answer."""

    def count(self) -> int:
        """The number of events kept."""

    def forget(self, user: str) -> Forgotten:
        """Remove a user's events for good, and remember the user's digest, so that no later fit learns of them."""

    def is_forgotten(self, users: Iterable[str]) -> list[bool]:
        """Whether each user has been forgotten (and not come back: an event after that counts as a new user's)."""

    def put_items(self, items: Sequence[Item]) -> None:
        """Keep the attributes of items; those put before are replaced."""

    def items(self) -> list[Item]:
        """Every item put, in the order of the first time."""

    def add_key(self, key: Key) -> None:
        """Keep a key. Raises StoreError if the name is taken."""

    def remove_key(self, name: str) -> bool:
        """Remove a key; whether there was one."""

    def keys(self) -> list[Key]:
        """Every key."""

    def close(self) -> None:
        """Close connections and files. What was returned by other methods is durable already."""
