"""Which Host header a request may have.

A server on loopback has no key. A page of another site could reach it all the same, through a name of its own that it
lets point to 127.0.0.1 (DNS rebinding). Its requests then have that name in their Host header, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Hosts = frozenset[bytes]


def hosts_of(listening: str, allowed: Sequence[str] = ()) -> Hosts | None:
    """The hosts that requests may name; None is any: the address is not loopback, and nothing was said.

    listening: the address that the server listens at. allowed: more names, such as that of a proxy.
    """
    if listening not in LOOPBACK and not allowed:
        return None
    return frozenset(name.lower().encode("latin-1", "replace") for name in (*LOOPBACK, *allowed, listening))


def is_allowed(headers: Iterable[tuple[bytes, bytes]], hosts: Hosts | None) -> bool:
    """Whether a request with these headers names an allowed host, and no other."""
    if hosts is None:
        return True
    named = [value for name, value in headers if name == b"host"]
    return bool(named) and all(_without_port(value) in hosts for value in named)


def _without_port(host: bytes) -> bytes:
    """The name in "name:8000" or "[::1]:8000"."""
    host = host.strip().lower()
    if host.startswith(b"["):
        return host[1:].partition(b"]")[0]
    return host.partition(b":")[0].removesuffix(b".")
