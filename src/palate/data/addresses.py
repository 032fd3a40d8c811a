"""Addresses: files elsewhere, such as https://... and s3://..., by fsspec, which has a file system for each kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from palate.errors import DataError, OptionError, PalateError

MAX_SHOWN = 120  # characters of what others say


def is_url(source: Any) -> bool:
    """True for the address of a file elsewhere, such as https://... or s3://..."""
    return isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def open_url(url: str, stack: ExitStack) -> Any:
    """The file at an address, open for reading until the stack closes. Raises DataError."""
    with failures_in_words(url, "opened", "download it first", DataError):
        import fsspec

        return stack.enter_context(fsspec.open(url, "rb"))


def file_system_of(url: str) -> tuple[Any, str]:
    """The file system of an address and the path in it. Raises OptionError."""
    with failures_in_words(url, "opened", "give a folder of this machine", OptionError):
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        return system, path


@contextmanager
def failures_in_words(url: str, done: str, instead: str, kind: type[PalateError]) -> Iterator[None]:
    """Raise an error of this kind where an address cannot be opened, read or written, or an extra is missing."""
    try:
        yield
    except PalateError:
        raise
    except ImportError as error:
        if error.name == "fsspec":
            raise kind(f"{url}: {instead}, or install what opens addresses: pip install 'palate[urls]'.") from None
        raise kind(f"{url}: {instead}, or install what opens such addresses: {error}.") from error
    except Exception as error:  # each kind of address has error types of its own
        raise kind(f"{url} cannot be {done}: {in_short(error)}.") from error


def in_short(error: BaseException) -> str:
    """What somebody else's error says, without signs that do not print, and not too long."""
    text = str(error).strip().rstrip(".")
    return "".join(sign for sign in text if sign.isprintable())[:MAX_SHOWN] or type(error).__name__
