"""The folder that ratings on disk lie in: its files, its manifest, and how one appears whole or not at all.

    manifest.json        what is in the folder: counts, kind, report, and the bytes and CRC-32 of each file
    users.arrow          the label of each user code, then the columns of the table of users, if there is one
    items.arrow          the same of items
    by_user.starts       int64 (n_users + 1): where the ratings of each user begin
    by_user.items        int32 (n_ratings): the item of each rating; the ratings of a user stand in their order
    by_user.values       float32 (n_ratings); also by_user.weights (float32) and by_user.times (int64), if there are any
    by_item.starts ...   the same by item, with by_item.users; without times

Numbers are little-endian and have no header, so that a file can be mapped, or read by any other program. The manifest
is written last: a folder without one was never finished.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from palate.__version__ import __version__
from palate.data.blocks.manifests import check_manifest
from palate.data.whole_files import reason, replacing
from palate.errors import BlocksError

FORMAT = 1
MANIFEST = "manifest.json"
CHECKED_AT_ONCE = 1 << 24  # bytes
DTYPES: dict[str, np.dtype[Any]] = {
    "starts": np.dtype("<i8"),
    "items": np.dtype("<i4"),
    "users": np.dtype("<i4"),
    "values": np.dtype("<f4"),
    "weights": np.dtype("<f4"),
    "times": np.dtype("<i8"),
}


class FlatFile:
    """A file that grows by arrays of one type. It knows its size and its CRC-32."""

    def __init__(self, path: Path) -> None:
        self._path, self._dtype = path, dtype_of(path.name)
        self._file: BinaryIO = path.open("wb", buffering=0)
        self.n_bytes, self.crc = 0, 0

    def append(self, array: NDArray[Any]) -> None:
        """Add an array at the end."""
        data = np.ascontiguousarray(array, self._dtype).data.cast("B")
        self.crc = zlib.crc32(data, self.crc)
        self.n_bytes += len(data)
        write_all(self._file, data)

    def close(self) -> None:
        """Write all to the disk and close the file."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def entry(self) -> dict[str, Any]:
        """What the manifest says of the file."""
        return {"bytes": self.n_bytes, "crc32": self.crc}


def write_all(file: BinaryIO, data: memoryview) -> None:
    """Write bytes into a file without a buffer, which may take some at a time."""
    while data:
        data = data[file.write(data) :]


def dtype_of(name: str) -> np.dtype[Any]:
    """The type of the numbers in the file of this name."""
    return DTYPES[name.rpartition(".")[2]]


@dataclass(frozen=True)
class Folder:
    """A finished folder: where it lies, and its manifest. held: what must live as long as the arrays of its files."""

    path: Path
    manifest: dict[str, Any]
    held: Any = None

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, verify: bool = False) -> Folder:
        """Read the manifest, and look whether all files have their sizes; with verify, also read them all.

        Raises BlocksError.
        """
        folder = cls(Path(path).absolute(), _manifest_of(Path(path)))
        for name, entry in folder.manifest["files"].items():
            _check_file(folder.path / name, entry, verify=verify)
        return folder

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name in self.manifest["files"]

    def map(self, name: str) -> NDArray[Any]:
        """The numbers of a file, mapped: read from the disk when they are used. Read-only."""
        dtype, n_bytes = dtype_of(name), self.manifest["files"][name]["bytes"]
        if n_bytes == 0:
            return np.zeros(0, dtype)
        try:
            # an array, not a memmap: slices of a memmap cost a microsecond each, and keep its class. A text, not a
            # path: of a path numpy follows the links, and another machine may not have their ends
            mapped = np.memmap(str(self.path / name), dtype, "r", shape=(n_bytes // dtype.itemsize,))
        except OSError as error:
            raise BlocksError(f"cannot map {self.path / name}: {reason(error)}.") from error
        vars(mapped)["held"] = self.held
        return np.asarray(mapped)


def file_of(array: NDArray[Any]) -> Path | None:
    """The file that a mapped array is the whole content of; None for other arrays."""
    base = array.base
    if not isinstance(base, np.memmap) or base.filename is None:
        return None
    is_whole = array.ctypes.data == base.ctypes.data and array.nbytes == base.nbytes and base.offset == 0
    return Path(base.filename) if is_whole else None


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Finish a folder."""
    text = json.dumps({"format": FORMAT, "palate": __version__, **manifest}, indent=1, allow_nan=False)
    with replacing(path / MANIFEST) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _manifest_of(path: Path) -> dict[str, Any]:
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BlocksError(_why_not_a_folder(path, error)) from error
    try:
        manifest = json.loads(text)
        _check_format(path, manifest)
        check_manifest(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        if isinstance(error, BlocksError):
            raise
        why = f"{type(error).__name__}: {error}"
        raise BlocksError(f"the manifest of {path} is damaged ({why[:200]}): write the blocks again.") from error
    checked: dict[str, Any] = manifest
    return checked


def _check_format(path: Path, manifest: Any) -> None:
    version = manifest["format"]
    if version != FORMAT:
        raise BlocksError(
            f"{path} was written by palate {manifest['palate']} in format {version}; this palate ({__version__}) "
            f"reads format {FORMAT}. Upgrade palate, or write the blocks again."
        )


def _why_not_a_folder(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"there is no folder {path}. palate.blocks.write makes one of a file of ratings."
    if not path.is_dir():
        return f"{path} is a file, not a folder of blocks: palate.blocks.write makes one of it."
    if isinstance(error, FileNotFoundError):
        return f"{path} has no {MANIFEST}: it is no folder of blocks, or writing it was not finished. Write it again."
    return f"cannot read {path / MANIFEST}: {reason(error)}."


def _check_file(path: Path, entry: dict[str, Any], *, verify: bool) -> None:
    try:
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise BlocksError(
                f"{path} has {size:,} bytes and should have {entry['bytes']:,}: copy the folder again, or "
                "write it anew."
            )
        if verify and crc_of(path) != entry["crc32"]:
            raise BlocksError(
                f"{path} does not match its checksum: it was changed or damaged. Copy the folder again, or write it "
                "anew."
            )
    except OSError as error:
        raise BlocksError(f"cannot read {path}: {reason(error)}. Copy the folder again, or write it anew.") from error


def entry_of(path: Path) -> dict[str, Any]:
    """What the manifest says of a file that is there."""
    return {"bytes": path.stat().st_size, "crc32": crc_of(path)}


def crc_of(path: Path) -> int:
    """The CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while part := file.read(CHECKED_AT_ONCE):
            crc = zlib.crc32(part, crc)
    return crc
