"""Locks between processes, each an empty file beside a model: who may fit it, and who may write it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def try_lock(model: Path, what: str) -> IO[str] | None:
    """Take the lock of this name for a model; None if another process has it. Closing the file gives it back.

    On Windows there is no such lock, and everybody gets it. Raises OSError if the folder cannot be written.
    """
    return _locked(model, what, wait=False)


@contextmanager
def locked(model: Path, what: str) -> Iterator[None]:
    """Hold the lock of this name for a model, after whoever has it."""
    file = _locked(model, what, wait=True)
    try:
        yield
    finally:
        if file is not None:
            file.close()


def _locked(model: Path, what: str, *, wait: bool) -> IO[str] | None:
    file = model.with_name(f".{model.stem}.{what}.lock").open("w")
    try:
        import fcntl
    except ImportError:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        if wait:
            raise
        return None
    return file
