"""The container: named arrays and a JSON header in one safetensors file, written whole or not at all.

Layout: 8 bytes of length, little-endian; a JSON table of the tensors; the bytes of the tensors. `__metadata__` in the
table holds one key, "palate": JSON text of {"digest", "format", "palate", ...header}. The digest is the SHA-256 of the
header without it and of every tensor's name, type, shape and bytes, so any changed byte is detected.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from os import fspath
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from palate.__version__ import __version__
from palate.data.whole_files import reason, replacing
from palate.errors import (
    ModelFileError,
    ModelVersionError,
    NotAModelError,
    OptionError,
    OversizedModelError,
    TamperedModelError,
    TruncatedModelError,
)
from palate.options import check_is_path

FORMAT = 1
MAX_HEADER_BYTES = 4_000_000  # JSON takes up to 30 times as much memory when it is read
MAX_COPIED_BYTES = 256 * 2**20
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_FILE_ORDER = [DTYPES[name] for name in ("I64", "F64", "F32", "I32", "U8", "BOOL")]  # as safetensors has it
_RESERVED = ("format", "palate", "digest")
_LENGTH_BYTES = 8
_MAX_DIMENSIONS = 32

Tensors = dict[str, NDArray[Any]]
PathLike = str | os.PathLike[str]
Block = bytes | mmap.mmap


def write(path: PathLike, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write arrays and a JSON header to `path`, replacing a file there in one step.

    The new file is written beside the old one and then renamed onto it, so a failure leaves the old file unchanged. Of
    several writers the last one wins. A killed process can leave a `.NAME.*.tmp` behind, which the next one removes.

    Raise OptionError for an array of a type that is not in DTYPES or a header that JSON cannot hold, and ModelFileError
    if the disk refuses.
    """
    check_is_path(path=path)
    arrays = {name: _as_plain(name, tensor) for name, tensor in tensors.items()}
    metadata = {"palate": _to_json(_sealed(header, arrays))}
    _check_header_size(arrays, metadata["palate"])
    try:
        with replacing(path) as temporary:
            _write_tensors(temporary, arrays, metadata)
    except Exception as error:
        outcome = "The old file is unchanged." if _is_file(path) else "Nothing was written."
        raise ModelFileError(f"cannot save {fspath(path)!r}: {reason(error)}. {outcome}") from error


def read(path: PathLike, *, verify: bool = True, copy: bool | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Return the arrays (read-only) and the header of a file that write() made.

    The arrays are a copy, or with copy=False memory-mapped: then the file must not change while they are in use. None
    copies files of up to MAX_COPIED_BYTES for which there is memory, and maps others.

    With `verify`, every byte is checked against the digest. The table is always checked, so that no offset leads
    outside the file. Raise a subclass of ModelFileError that says what is wrong with the file.
    """
    check_is_path(path=path)
    path = Path(path)
    block = _block_of(path, copy)
    table, start = _read_table(block, path)
    sealed = _read_metadata(table, path)
    arrays = _view_tensors(block, start, table, path)
    if verify:
        _check_digest(sealed, arrays, path)
    return arrays, {key: value for key, value in sealed.items() if key not in _RESERVED}


# ---- writing


def _as_plain(name: object, tensor: NDArray[Any]) -> NDArray[Any]:
    """Return the array contiguous and little-endian; copied only if it is not."""
    if not isinstance(name, str) or name == "__metadata__":
        raise OptionError(f'a tensor cannot be called {name!r}: use a string other than "__metadata__".')
    array = np.asarray(tensor)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in DTYPES.values():
        valid = ", ".join(kind.name for kind in DTYPES.values())
        raise OptionError(f"tensor {name!r} has type {array.dtype}; a model file holds {valid}.")
    return np.asarray(array, dtype=dtype, order="C")


def _sealed(header: Mapping[str, Any], arrays: Tensors) -> dict[str, Any]:
    """Return the header with format, version and digest in front."""
    taken = [key for key in _RESERVED if key in header]
    if taken:
        raise OptionError(f"the header cannot set {', '.join(taken)}: the file format does.")
    if not all(isinstance(key, str) for key in header):
        raise OptionError("the keys of a header are strings.")
    body = json.loads(_to_json({"format": FORMAT, "palate": __version__, **header}))  # as it will be read
    return {"digest": _digest(body, arrays), **body}


def _digest(body: Mapping[str, Any], arrays: Tensors) -> str:
    """SHA-256 of the header without digest, then of each tensor in order of name: its name, type, shape and bytes."""
    digest = hashlib.sha256(_to_json(body, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(_to_json([name, array.dtype.str, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _to_json(value: Any, *, sort_keys: bool = False) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(
            f"the header cannot be written as JSON ({error}): use text, finite numbers, booleans, null, lists, dicts."
        ) from error


def _check_header_size(arrays: Tensors, text: str) -> None:
    # The table repeats `text` as a JSON string, and takes up to 200 bytes and its name per tensor.
    size = len(json.dumps(text)) + sum(200 + len(json.dumps(name)) for name in arrays)
    if size > MAX_HEADER_BYTES:
        raise OversizedModelError(
            f"the header takes {size:,} bytes and may take {MAX_HEADER_BYTES:,}: put long lists into tensors."
        )


def _write_tensors(path: Path, arrays: Tensors, metadata: dict[str, str]) -> None:
    """Write the file one array after the other, as they lie in memory or are mapped: none is copied."""
    table: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    names = sorted(arrays, key=lambda name: (_FILE_ORDER.index(arrays[name].dtype), name))
    for name in names:
        begin, end = end, end + arrays[name].nbytes
        array = arrays[name]
        table[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # so that every array is aligned
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for name in names:
            file.write(arrays[name].reshape(-1).view(np.uint8).data)


def _is_file(path: PathLike) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


# ---- reading


@dataclass(frozen=True)
class _Entry:
    """One entry of the table: a tensor's name, type and shape, and its byte range in the data."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def _block_of(path: Path, copy: bool | None) -> Block:
    """The bytes of a file: read, or mapped."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise NotAModelError(
                f"{path} is {'a folder' if stat.S_ISDIR(kind) else 'not a regular file'}: name a model file."
            )
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= _LENGTH_BYTES:
                raise TruncatedModelError(f"{path} has only {size} bytes: {_COPY_AGAIN}")
            if copy:
                return file.read()
            if copy is None and size <= MAX_COPIED_BYTES:
                with suppress(MemoryError):  # then it is mapped
                    return file.read()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"cannot read {path}: {reason(error)}.") from error


_COPY_AGAIN = "it was cut short. Copy or download it again, or save the model anew."


def _read_table(block: Block, path: Path) -> tuple[dict[str, Any], int]:
    """Return the JSON table of the tensors, and where their bytes start."""
    if block[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        raise NotAModelError(f"{path} is not a palate model: it does not start like one.")
    length = int.from_bytes(block[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise OversizedModelError(
            f"{path} claims a header of {length:,} bytes; at most {MAX_HEADER_BYTES:,} are allowed."
        )
    start = _LENGTH_BYTES + length
    if start > len(block):
        raise TruncatedModelError(f"{path} ends within its header, at byte {len(block):,} of {start:,}: {_COPY_AGAIN}")
    return _parse(block[_LENGTH_BYTES:start], path), start


def _parse(text: bytes | str, path: Path) -> dict[str, Any]:
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        parsed = json.loads(decoded, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TamperedModelError(f"the header of {path} is not readable ({type(error).__name__}: {error}).") from error
    if not isinstance(parsed, dict):
        _tampered(path, "is not a JSON object")
    return parsed


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_metadata(table: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return what palate wrote about the file. The format version is checked first: a newer one may change the rest."""
    metadata = table.pop("__metadata__", None)
    text = metadata.get("palate") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise NotAModelError(f"{path} is a safetensors file, but palate did not write it.")
    sealed = _parse(text, path)
    version = sealed.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        _tampered(path, f"gives its format as {version!r}")
    if version > FORMAT:
        raise ModelVersionError(
            f"{path} was saved by palate {str(sealed.get('palate', '?'))[:40]} in format {version}; this palate "
            f"({__version__}) reads up to format {FORMAT}. Upgrade palate to load it."
        )
    if not isinstance(sealed.get("digest"), str):
        _tampered(path, "lacks its checksum")
    return sealed


def _view_tensors(block: Block, start: int, table: dict[str, Any], path: Path) -> Tensors:
    """Return all tensors of the table, after checking it."""
    entries = [_entry(name, given, path) for name, given in table.items()]
    entries.sort(key=lambda entry: (entry.begin, entry.end))
    _check_layout(entries, len(block) - start, path)
    try:
        return {entry.name: _view(block, start, entry) for entry in entries}
    except ValueError as error:  # such as an empty shape that is too large for NumPy
        raise TamperedModelError(f"the header of {path} describes an impossible tensor ({error}).") from error


def _entry(name: str, given: Any, path: Path) -> _Entry:
    """Return a checked entry of the table: a known type, and offsets that match the shape."""
    if not isinstance(given, dict) or set(given) != {"dtype", "shape", "data_offsets"}:
        _tampered(path, f"describes tensor {name!r} incompletely")
    dtype, shape, offsets = given["dtype"], given["shape"], given["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        _tampered(path, f"gives tensor {name!r} the unknown type {dtype!r}")
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
        _tampered(path, f"gives tensor {name!r} an impossible shape")
    if not _are_sizes(offsets) or len(offsets) != 2:
        _tampered(path, f"gives tensor {name!r} impossible offsets")
    if offsets[1] - offsets[0] != prod(shape) * DTYPES[dtype].itemsize:
        _tampered(path, f"gives tensor {name!r} a shape that its bytes do not fill")
    return _Entry(name, DTYPES[dtype], tuple(shape), offsets[0], offsets[1])


def _are_sizes(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)


def _check_layout(entries: list[_Entry], size: int, path: Path) -> None:
    """Raise unless the tensors follow each other without gap or overlap and end where the file ends."""
    end = 0
    for entry in entries:
        if entry.begin != end:
            _tampered(path, f"lets tensor {entry.name!r} {'overlap another' if entry.begin < end else 'follow a gap'}")
        end = entry.end
    if size < end:
        raise TruncatedModelError(f"{path} lacks {end - size:,} of the {end:,} bytes of its tensors: {_COPY_AGAIN}")
    if size > end:
        raise TamperedModelError(f"{path} has {size - end:,} bytes after its last tensor.")


def _view(block: Block, start: int, entry: _Entry) -> NDArray[Any]:
    """Return a tensor as a view of the file, or as a copy if it is not aligned there."""
    if entry.begin == entry.end:
        array: NDArray[Any] = np.zeros(entry.shape, entry.dtype)
    else:
        count = prod(entry.shape)
        array = np.frombuffer(block, entry.dtype, count, start + entry.begin).reshape(entry.shape)
    if entry.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
        raise ValueError(f"{entry.name!r} holds booleans that are neither true nor false")
    if not array.flags.aligned:
        array = array.copy()
    array.setflags(write=False)
    return array


def _check_digest(sealed: dict[str, Any], arrays: Tensors, path: Path) -> None:
    body = {key: value for key, value in sealed.items() if key != "digest"}
    try:
        matches = sealed["digest"] == _digest(body, arrays)
    except OptionError:  # JSON that can be read but not written again, such as 1e999
        matches = False
    if not matches:
        raise TamperedModelError(
            f"{path} does not match its own checksum: it was changed or damaged after saving. Copy or save it anew."
        )


def _tampered(path: Path, what: str) -> NoReturn:
    raise TamperedModelError(f"the header of {path} {what[:300]}: it was changed or damaged after it was saved.")
