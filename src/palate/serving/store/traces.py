"""Does a file hold some bytes? Copies of what SQLite deleted may be left in its pages, so forgetting looks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

CHUNK = 1 << 22

# On POSIX systems, closing any descriptor of a file gives up all locks that the process has on it, those of SQLite too
# (fcntl(2)): another process could then take itself for the last one and remove the log. So one descriptor for each
# database that was ever looked through stays open.
_descriptors: dict[tuple[int, int], int] = {}


def holds(path: Path, traces: Sequence[bytes]) -> bool:
    """Whether any of `traces` stands anywhere in a file."""
    if os.name == "nt":
        with path.open("rb", buffering=0) as file:
            return _holds(file.fileno(), traces)
    return _holds(_descriptor(path), traces)


def _descriptor(path: Path) -> int:
    """The descriptor of a file that stays open, for reading."""
    found = path.stat()
    inode = (found.st_dev, found.st_ino)
    if inode not in _descriptors:
        _descriptors[inode] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return _descriptors[inode]


def _holds(descriptor: int, traces: Sequence[bytes]) -> bool:
    overlap = max(map(len, traces)) - 1
    tail = b""
    os.lseek(descriptor, 0, os.SEEK_SET)
    while chunk := os.read(descriptor, CHUNK):
        seen = tail + chunk
        if any(trace in seen for trace in traces):
            return True
        tail = seen[len(seen) - overlap :] if overlap else b""
    return False
