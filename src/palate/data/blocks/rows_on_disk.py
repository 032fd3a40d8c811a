"""Where rows lie on disk, so that other processes find them; and copies of folders for machines that see none."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.data.blocks.folder import Folder, file_of, write_manifest
from palate.data.rows import CompressedRows
from palate.errors import BlocksError, OptionError

NOT_ON_DISK = (
    "on= needs ratings that workers can open from disk, and these are in memory: write them once with "
    'palate.blocks.write("ratings.blocks", ratings), on storage that all nodes see, and fit to what it returns.'
)

_copies: dict[str, str] = {}  # folders that this process sees under another path


@dataclass(frozen=True)
class RowsOnDisk:
    """Where rows lie: the folder, the side ("by_user" or "by_item"), and the files with what is said of them."""

    folder: str
    side: str
    files: tuple[tuple[str, int, int], ...]  # name, bytes and CRC-32 of pointers, codes, values, and weights if any

    @classmethod
    def of(cls, rows: CompressedRows) -> RowsOnDisk:
        """Where these rows lie. Raises OptionError if they are in memory."""
        arrays = [rows.indptr, rows.indices, rows.values, *(() if rows.weights is None else (rows.weights,))]
        paths = [file_of(array) for array in arrays]
        if paths[0] is None:
            raise OptionError(NOT_ON_DISK)
        folder, side = paths[0].parent, paths[0].name.partition(".")[0]
        names = _names(side, weighted=rows.weights is not None)
        if len(rows.values) and paths != [folder / name for name in names]:
            raise OptionError(NOT_ON_DISK)
        return cls(str(folder), side, _entries(Folder.read(folder), names))

    def open(self) -> CompressedRows:
        """The rows, mapped. Raises BlocksError, which names this node, if it does not see the same files."""
        path = _copies.get(self.folder, self.folder)
        node = socket.gethostname()
        try:
            folder = Folder.read(path)
        except BlocksError as error:
            raise BlocksError(
                f"the worker on {node} cannot open the ratings: {error} Put them on storage that all nodes see under "
                "the same path, or pass place=True to palate.distributed.ray."
            ) from error
        names = [name for name, _, _ in self.files]
        if not all(map(folder.has, names)) or _entries(folder, names) != self.files:
            raise BlocksError(f"the worker on {node} finds other ratings in {path}: give all nodes the same folder.")
        indptr, indices, values, *weights = map(folder.map, names)
        return CompressedRows(indptr, indices, values, weights[0] if weights else None)


def _names(side: str, *, weighted: bool) -> list[str]:
    codes = "items" if side == "by_user" else "users"
    return [f"{side}.{part}" for part in ("starts", codes, "values", *(("weights",) if weighted else ()))]


def _entries(folder: Folder, names: list[str]) -> tuple[tuple[str, int, int], ...]:
    files = folder.manifest["files"]
    return tuple((name, files[name]["bytes"], files[name]["crc32"]) for name in names)


# ---- copies


def rows_alone(folder: Folder) -> dict[str, Any]:
    """The manifest of a copy, without the labels: these stay with the base, as those of a view do."""
    files = {name: entry for name, entry in folder.manifest["files"].items() if name.startswith("by_")}
    return {**folder.manifest, "files": files, "base": folder.manifest.get("base", str(folder.path))}


def is_seen(folder: str, manifest: dict[str, Any]) -> bool:
    """Whether this machine has the files of this manifest, in the folder itself or in a copy, which is used then."""
    for path in (Path(folder), _place_of(manifest)):
        try:
            if Folder.read(path).manifest["files"].items() >= manifest["files"].items():
                _copies[folder] = str(path)
                return True
        except BlocksError:
            continue
    return False


def begin_copy() -> str:
    """Make a folder for a copy among the caches of palate."""
    parent = _cache()
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(dir=parent)


def append(folder: str, name: str, data: bytes) -> None:
    """Add bytes to a file of a copy."""
    with (Path(folder) / name).open("ab") as file:
        file.write(data)


def end_copy(folder: str, manifest: dict[str, Any]) -> None:
    """Check a copy by its checksums, and put it where `is_seen` looks. Raises BlocksError."""
    write_manifest(Path(folder), manifest)
    Folder.read(folder, verify=True)
    try:
        Path(folder).rename(_place_of(manifest))
    except OSError:  # another worker of this machine was faster
        shutil.rmtree(folder, ignore_errors=True)


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("palate") / "copies"


def _place_of(manifest: dict[str, Any]) -> Path:
    """Where the copy of these files lies on this machine."""
    import hashlib

    return _cache() / hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()[:32]
