"""Guard: who may do what, and how much of it a second."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from palate.serving.problems import ProblemError
from palate.serving.store import Key

SCOPES = ("read", "feedback", "admin")
PREFIX = "palate_"  # of every secret, so that one in a log or a repository is found
ADMIN_HEADER = b"x-palate-admin"  # a header that no other site's page can send


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret. One of 256 random bits needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


class Guard:
    """Admits requests by their key.

    Without any key everything but administration is open, and the server listens on loopback only. Administration then
    needs the token that the server prints when it starts.

    Parameters:
        keys (list of Key): Those that are valid.
        admin_token (str, default None): The token for administration without keys.
        events_per_second (int, default 10_000): Events that one key may send, on average.
    """

    def __init__(self, keys: Sequence[Key], admin_token: str | None = None, events_per_second: int = 10_000) -> None:
        self._keys = tuple(keys)
        self._is_open = not keys
        self._token = None if admin_token is None else digest_of(admin_token)
        self._rate = events_per_second
        self._left: dict[str, tuple[float, float]] = {}

    def renew(self, keys: Sequence[Key]) -> None:
        """Take these keys from now on. Where there were some and none is left, nobody is admitted any more."""
        self._keys = tuple(keys)
        self._is_open = self._is_open and not keys

    def admit(self, scope: Mapping[str, Any], wanted: str) -> str:
        """The name of the key that allows this; "" where none is needed. Raises ProblemError 401 or 403."""
        if self._is_open and wanted != "admin":
            return ""
        headers = dict(scope["headers"])
        if self._is_open:
            given = headers.get(ADMIN_HEADER, b"").decode("latin-1")
            if self._token is None or not hmac.compare_digest(digest_of(given), self._token):
                raise ProblemError(403, "Administration needs the token printed at the start, in X-Palate-Admin.")
            return "admin"
        kind, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        key = self._key_of(secret) if kind.lower() == "bearer" else None
        if key is None:
            raise ProblemError(
                401, "Send a key: Authorization: Bearer palate_...", headers={"WWW-Authenticate": "Bearer"}
            )
        if wanted not in key.scopes:
            raise ProblemError(403, f"The key {key.name!r} has no scope {wanted!r}; make one with it: palate keys add.")
        return key.name

    def _key_of(self, secret: str) -> Key | None:
        """The key with this secret; every key is compared, in a time that does not tell how alike they are."""
        digest, found = digest_of(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def spend(self, key: str, n_events: int) -> None:
        """Count events of a key. Raises ProblemError 429 if it has sent more than it may."""
        now = time.monotonic()
        left, since = self._left.get(key, (float(self._rate), now))
        left = min(left + (now - since) * self._rate, float(self._rate))
        if n_events > left:
            wait = max(1, round((n_events - left) / self._rate + 0.5))
            self._left[key] = (left, now)
            raise ProblemError(
                429,
                f"More than {self._rate:,} events a second; send the rest later.",
                headers={"Retry-After": str(wait)},
            )
        self._left[key] = (left - n_events, now)
