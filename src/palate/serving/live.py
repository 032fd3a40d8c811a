"""Live: which users have feedback that a model has not learned, so that their next answer counts it."""

from __future__ import annotations

from collections.abc import Sequence

from palate.serving.store import Store, Stored


class Live:
    """What arrived since the models learned, by user.

    Only the number of each user's last event is in memory; the events themselves are read when the user asks.

    Parameters:
        store (Store): Where events are kept; other processes may add to it.
        after (int, default 0): Events up to this number have been learned by every model.
    """

    def __init__(self, store: Store, after: int = 0) -> None:
        self._store = store
        self._last: dict[str, int] = {}
        self._number = after
        self.refresh()

    @property
    def number(self) -> int:
        """The sequence number of the last event seen."""
        return self._number

    def refresh(self) -> None:
        """See what was added since the last time, by this process or another."""
        number = self._store.last()
        if number > self._number:
            for stored in self._store.since(self._number, number):
                self._last[stored.event.user] = stored.number
            self._number = number

    def last_of(self, user: str) -> int:
        """The number of the user's last event; 0 without any."""
        return self._last.get(user, 0)

    def events_of(self, user: str, after: int) -> Sequence[Stored]:
        """The user's events with a number above `after`, in order."""
        return self._store.of_user(user, after) if self.last_of(user) > after else ()

    def forget(self, user: str) -> None:
        """Nothing has arrived of this user."""
        self._last.pop(user, None)
