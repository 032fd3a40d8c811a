"""What a store of feedback does. Each backend implements Store; committing.py makes one commit of many requests.

An event has an id that its sender chose: sending it again changes nothing. The store gives each event a sequence
number. Numbers rise in the order in which events become visible, so that "learned up to 1200" leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """An item's attributes as they were put last: {column: value}, where values are what JSON has."""

    label: str
    attributes: Mapping[str, object]


class Key(NamedTuple):
    """A key to the API: its name, the hash of its secret, and what it may do."""

    name: str
    digest: bytes
    scopes: frozenset[str]


class Forgetting(NamedTuple):
    """When a user was forgotten last: as a sequence number, and in seconds since 1970."""

    number: int
    time: int


@dataclass(frozen=True)
class Forgotten:
    """What forget() did: the number of events removed, and the sequence number that the forgetting took."""

    n_events: int
    number: int


class Store(Protocol):
    """A durable store of feedback, items and keys. Every method returns when what it did is durable and visible.

    Methods block; they may be called from several threads, and several processes may open the same store. Raises
    StoreError, in words: StoreBusyError where trying again helps, FeedbackError where the caller must change something.
    """

    def add(self, events: Sequence[Event]) -> Added:
        """Keep events in one transaction; those whose id is known already are left as they are.

        Of events with the same id in one call the first counts. If one event cannot be kept (FeedbackError), none is.
        """

    def of_user(self, user: str, after: int = 0) -> list[Stored]:
        """The events of a user with a number above `after`, in order."""

    def since(self, after: int = 0, up_to: int | None = None) -> Iterator[Stored]:
        """All events with a number above `after` and at most `up_to`, in order, in bounded memory.

        Without `up_to`, those that are there when the first is asked for. Keeps no transaction open between events.
        """

    def last(self) -> int:
        """The highest sequence number ever given; 0 in an empty store. Cheap: it may be asked for every answer.

        Events and forgettings take numbers. So while it stays, no user's events have changed, in no process.
        """

    def count(self) -> int:
        """The number of events kept. Cheap too."""

    def forget(self, user: str) -> Forgotten:
        """Remove a user's events for good, and remember the user's digest, so that no later fit learns of them.

        The digest is an HMAC under a secret of this store, so the label is not in it. Ids of removed events are not
        remembered: one that is sent once more is a new event, of a new user. It is done also for an unknown user, who
        may be in the training ratings. If the last step fails (another process reads for long), call it again.
        """

    def forgettings(self, users: Iterable[str]) -> list[Forgetting | None]:
        """When each user was forgotten last; None for those who never were.

        A model that has learned up to a number below the forgetting's knows the user still: do not use its row.
        """

    def is_forgotten(self, users: Iterable[str]) -> list[bool]:
        """Whether each user has ever been forgotten; it stays True when the user comes back.

        A refit leaves out these users' training ratings, all older than the forgetting, and takes every event of the
        store: events before the forgetting are gone, and those after it are a new user's and count.
        """

    def put_items(self, items: Sequence[Item]) -> None:
        """Keep the attributes of items, all or none; those put before are replaced."""

    def items(self) -> list[Item]:
        """Every item put, in the order of the first time."""

    def add_key(self, key: Key) -> None:
        """Keep a key. Raises FeedbackError if the name is taken."""

    def remove_key(self, name: str) -> bool:
        """Remove a key; whether there was one."""

    def keys(self) -> list[Key]:
        """Every key, in the order in which they were added."""

    def close(self) -> None:
        """Close connections and files. What was returned by other methods is durable already. May be called twice."""
