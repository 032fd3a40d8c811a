"""Scratch: large arrays on files without a name, for what a fit writes once and reads later.

The system keeps their pages in memory as long as there is room, and writes them to the disk when there is none. The
file has no name: it goes with the last array that lies on it, also after a kill.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from palate.data.blocks.mapped import Blocks
from palate.data.ratings import Ratings
from palate.data.whole_files import reason
from palate.errors import BlocksError

LEAST_BYTES = 1 << 20  # smaller arrays lie in memory


@dataclass(frozen=True)
class Scratch:
    """A place for large arrays: files in this folder, or where temporary files go if it cannot be written to."""

    folder: Path

    @classmethod
    def of(cls, ratings: Ratings) -> Scratch | None:
        """The disk that ratings lie on; None for ratings in memory, whose fits keep all in memory."""
        return cls(ratings.path) if isinstance(ratings, Blocks) else None

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A new array of zeros, mapped if it is large. Parts that are never written to take no room on the disk."""
        dtype = np.dtype(dtype)
        n_bytes = prod(shape) * dtype.itemsize
        if n_bytes < LEAST_BYTES:
            return np.zeros(shape, dtype)
        folder = self.folder if os.access(self.folder, os.W_OK) else Path(tempfile.gettempdir())
        try:
            free = shutil.disk_usage(folder).free  # a mapped file on a full disk would end the process without a word
            if free < n_bytes:
                raise BlocksError(
                    f"{folder} has {free:,} bytes free, and a fit needs {n_bytes:,} for a time: make room."
                )
            with tempfile.TemporaryFile(prefix=".palate.", dir=folder) as file:
                file.truncate(n_bytes)
                mapped = mmap.mmap(file.fileno(), n_bytes)
        except OSError as error:
            raise BlocksError(f"cannot make a file of {n_bytes:,} bytes in {folder}: {reason(error)}.") from error
        return np.frombuffer(mapped, dtype).reshape(shape)
