"""Digests of ids and labels: HMAC-SHA256 under a random secret that the store keeps.

Indexes hold digests instead of texts. They are short whatever the text, and hold nothing personal: a database moves
entries of its indexes about, and old copies stay in unused parts of its pages.
"""

from __future__ import annotations

import hmac
import secrets

SIZE = 16  # bytes: two of 10**12 texts share one with a probability of 1e-15


def new_secret() -> bytes:
    """A secret for a new store."""
    return secrets.token_bytes(32)


class Digests:
    """The digests of one store."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of_id(self, text: str) -> bytes:
        """What an event is found by."""
        return self._of(b"id:", text)[:SIZE]

    def of_user(self, text: str) -> bytes:
        """What a user's events are found by."""
        return self._of(b"user:", text)[:SIZE]

    def of_item(self, text: str) -> bytes:
        """What an item is found by."""
        return self._of(b"item:", text)[:SIZE]

    def mark(self, text: str) -> bytes:
        """What stands in each row of a user and nowhere else, so that a search of the file finds copies of the row."""
        return self._of(b"mark:", text)[:8]

    def of_forgotten(self, text: str) -> bytes:
        """What is kept of a user who was forgotten."""
        return self._of(b"forgotten:", text)

    def _of(self, use: bytes, text: str) -> bytes:
        return hmac.digest(self._secret, use + text.encode(), "sha256")
