"""Sources: what is written, one after another, and how one recognizes that a file is still the same."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from palate.data.addresses import is_url
from palate.data.reading.batches import parts_of
from palate.data.reading.containers import Fits
from palate.data.reading.driving import Parts
from palate.data.reading.frames import Table, table_of
from palate.errors import DataError, OptionError

Print = list[str | int]  # what recognizes a file: where it is, its size, and when it was changed


@dataclass(frozen=True)
class Source:
    """One source: what palate.read takes, or frames one after another.

    Attributes:
        given (Any): The file, frame or iterator.
        parts (callable): How it comes in parts; see `collect_in_parts`.
        print (list or None): What recognizes a file; None for anything that cannot be read again.
    """

    given: Any
    parts: Parts = parts_of
    print: Print | None = None

    @property
    def name(self) -> str:
        """What the progress line calls it."""
        return Path(self.given).name if isinstance(self.given, (str, Path)) and self.print else "the source"


def sources_of(given: Any, connection: Any) -> list[Source]:
    """The sources that are meant: files by a pattern or a list, frames from a list or iterator, or one of any kind."""
    if connection is not None:
        return [Source(given)]
    if isinstance(given, (str, Path)):
        return [_of_file(path) for path in _matching(given)]
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, (str, Path)) for one in given):
        _check_files(given)
        return [_of_file(path) for one in given for path in _matching(one)]
    if isinstance(given, list) and given and all(_is_frame(one) for one in given):
        return [Source(None, partial(_frames, iter(given)))]
    if isinstance(given, Iterator) and not hasattr(given, "read"):
        return [Source(None, partial(_frames, given))]
    return [Source(given)]


def print_of(path: Any) -> Print | None:
    """What recognizes a file, or the archive that it is in; None for what is no file."""
    if not isinstance(path, (str, Path)) or is_url(path):
        return None
    place = Path(path).absolute()
    for there in (place, *place.parents):
        if there.is_file():
            about = there.stat()
            return [str(place), about.st_size, about.st_mtime_ns]
    return None


def _of_file(path: str | Path) -> Source:
    return Source(path, print=print_of(path))


def _matching(path: str | Path) -> list[str | Path]:
    """The files of a pattern, sorted; the path itself if it is none, or a file has that name."""
    if not glob.has_magic(str(path)) or os.path.lexists(path) or is_url(path):
        return [path]
    found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - patterns may be absolute
    if not found:
        raise DataError(f"no file matches {str(path)!r}.")
    return [*found]


def _check_files(paths: Any) -> None:
    repeated = next((path for at, path in enumerate(paths) if path in paths[:at]), None)
    if repeated is not None:
        raise OptionError(f"{repeated} stands twice among the sources: leave one out.")


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") or hasattr(value, "__arrow_c_stream__")


def _are_columns(value: Any) -> bool:
    """True for what may be a part of an iterator: a frame, columns by name, or an array for each column."""
    if isinstance(value, tuple):
        return all(hasattr(column, "__len__") and not isinstance(column, str) for column in value)
    return _is_frame(value) or isinstance(value, (Mapping, np.ndarray))


def _frames(frames: Iterator[Any], source: Any, connection: Any, fits: Fits) -> Iterator[Table]:  # noqa: ARG001
    """Frames, each a part of one source."""
    for number, frame in enumerate(frames):
        table = table_of(frame, None, fits) if _are_columns(frame) else None
        if table is None:
            raise DataError(
                f"the iterator gave {str(frame)[:80]!r} at place {number}: give frames, or a list of files."
            )
        yield table
