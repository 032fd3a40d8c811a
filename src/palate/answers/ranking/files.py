"""The file of recommend(out=...): how it is written, and how resume=True goes on after a kill.

A file is written block by block under another name and then renamed, so that it appears whole or not at all.

With resume=True finished blocks are kept in the folder `<out>.parts`: manifest.json, which identifies the model, the
users and the options, and one file of codes and scores for each block. The file is made from all blocks at the end, so
that it is the same with and without a kill. A part that is not whole is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.answers.ranking.queries import Query
from palate.data.forking import check_threads
from palate.data.whole_files import reason, replacing
from palate.errors import DataError, OptionError, PalateError
from palate.models.factors import Codes, Floats
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

WRITERS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson"}

MANIFEST = "manifest.json"
UNREADABLE = (  # what reading a part raises that is torn, or made to be hostile
    *(OSError, ValueError, EOFError, KeyError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
OWN_FILE = re.compile(r"(\d{8}\.(npz|new)|manifest\.(json|new)|\.(\d{8}\.npz|manifest\.json)(\.[0-9a-f]+){3}\.tmp)")
DIFFERENCES = {  # how an error names an entry of the manifest that differs
    "model": "another model",
    "users": "other users",
    "allowed": "other items (items, exclude or where)",
    "lists": "other lists of items for users",
    "limits": "another max_per",
    "dials": "another diversity, popularity, calibrated or boost",
}


# ---- writing ---------------------------------------------------------------------------------------------------------


def check_path(out: Any) -> Path:
    """The path to write to. Raises OptionError for an unknown ending, or if there is something that is no file."""
    path = Path(out)
    if path.suffix not in WRITERS:
        endings = ", ".join(WRITERS)
        endings = ", ".join(WRITERS)
        raise OptionError(
            f"out={str(path)!r}: the ending must be one of {endings}. Lists of known users may go to a folder, "
            "which ends with /."
        )
    if "\0" in str(path):
        raise OptionError(f"out={str(path)!r}: no file can have a NUL in its name.")
    with errors_in_words(path):
        if path.exists() and not path.is_file():
            raise OptionError(f"out={str(path)!r} is there and is no regular file.")
        if not path.parent.is_dir():
            raise OptionError(f"out={str(path)!r}: there is no folder {str(path.parent)!r}; make it first.")
    return path


@contextmanager
def errors_in_words(path: Path) -> Iterator[None]:
    """Raise OptionError where the disk refuses to take a file, from polars or from the system."""
    import polars as pl

    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if isinstance(error, PalateError):
            raise
        raise OptionError(f"out={str(path)!r} cannot be written: {reason(error)}.") from error


def write(frames: Iterator[pl.DataFrame], path: Path) -> Path:
    """Write frames into one file as they come, by the streaming writers of polars."""
    from polars.io.plugins import register_io_source

    check_threads("out=")
    first = next(frames)
    failures: list[BaseException] = []

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        try:
            yield first
            yield from frames
        except (Exception, KeyboardInterrupt) as error:  # raised again below, once the writer has closed its file
            failures.append(error)

    with errors_in_words(path), replacing(path) as beside:
        try:
            getattr(register_io_source(source, schema=first.schema), WRITERS[path.suffix])(beside)
        finally:
            if failures:
                raise failures[0]
    return path


# ---- resuming --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """The finished blocks of one run, in a folder of their own."""

    folder: Path

    @classmethod
    def beside(cls, path: Path) -> Parts:
        """The parts of the file that will be at this path."""
        return cls(path.with_name(path.name + ".parts"))

    @contextmanager
    def held(self, *, make: bool) -> Iterator[None]:
        """Keep other processes out of the folder for the length of the block; with `make` it is made.

        Raises OptionError if one of them is in it, or if it is no folder.
        """
        handle = self._hold(make)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def _hold(self, make: bool) -> int | None:
        """A handle of the folder, locked; None where there is no folder, or the system has no such locks."""
        while True:
            if make:
                self.folder.mkdir(exist_ok=True)
            if not self.folder.exists():
                return None
            if self.folder.is_symlink() or not self.folder.is_dir():
                raise OptionError(f"{self.folder} is no folder of parts: remove it, or give another out=.")
            if os.name != "posix":
                return None
            handle = os.open(self.folder, os.O_RDONLY)
            if not _lock(handle):
                os.close(handle)
                raise OptionError(
                    f"{self.folder} is in use: another run is writing the same file. Wait for it, or give another out=."
                )
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), self.folder.stat()):
                    return handle
            os.close(handle)  # removed by the run that held it before: begin again

    def begin(self, manifest: dict[str, Any]) -> int:
        """Make the folder, or go on with the one there is. Returns the number of users in a block.

        Raises OptionError if the parts belong to another model or other options.
        """
        earlier = self._manifest()
        if earlier is None:
            self.folder.mkdir(exist_ok=True)
            write_whole(self.folder / MANIFEST, json.dumps(manifest, indent=1).encode())
            return int(manifest["block"])
        about = {name: value for name, value in manifest.items() if name != "block"}
        advice = "ask as before, or leave out resume=True to begin anew."
        check_same(earlier, about, f"{self.folder} was begun", advice)
        if earlier["block"] > manifest["block"]:
            raise OptionError(
                f"{self.folder} was begun in blocks of {earlier['block']:,} users, and memory= has room for "
                f"{manifest['block']:,} now: give it as much as then, or begin anew without resume=True."
            )
        return int(earlier["block"])

    def _manifest(self) -> dict[str, Any] | None:
        """The manifest in the folder. If there is none that can be read, clear the folder and return None."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_bytes())
        except (OSError, ValueError, RecursionError):
            self._empty()
            return None
        is_valid = isinstance(manifest, dict) and isinstance(manifest.get("block"), int) and manifest["block"] > 0
        if not is_valid:
            self._empty()
        return manifest if is_valid else None

    def get(self, at: int, n_users: int, query: Query) -> tuple[Codes, Floats] | None:
        """Codes and scores of a block, or None if its part is missing or torn.

        Raises DataError for a whole part that cannot be an answer to the query: something else wrote it.
        """
        try:
            with np.load(self._part(at), allow_pickle=False) as part:
                codes, scores = part["codes"], part["scores"]
        except UNREADABLE:
            return None
        fits = codes.shape == scores.shape == (n_users, query.n)
        if not fits or codes.dtype != np.int32 or scores.dtype != np.float32:
            return None
        if fault := _fault_of(codes, scores, query):
            raise DataError(
                f"{self._part(at)} {fault}, so it is none of what this run has made. Remove that file to have its part "
                "made again, or leave out resume=True to begin anew."
            )
        return codes, scores

    def put(self, at: int, codes: Codes, scores: Floats) -> None:
        """Keep a block. Its part appears whole or not at all."""
        with replacing(self._part(at), in_own_folder=True) as beside, beside.open("wb") as stream:
            np.savez(stream, codes=codes, scores=scores)

    def _part(self, at: int) -> Path:
        return self.folder / f"{at:08}.npz"

    def clear(self) -> None:
        """Remove the parts and the manifest. Other files in the folder stay, and the folder with them."""
        self._empty()
        with suppress(OSError):
            self.folder.rmdir()

    def _empty(self) -> None:
        for found in self.folder.glob("*") if self.folder.is_dir() else ():
            if OWN_FILE.fullmatch(found.name):
                found.unlink(missing_ok=True)


def _lock(handle: int) -> bool:
    """Lock an open folder; False if another run has it. A file system without locks lets everybody have it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _fault_of(codes: Codes, scores: Floats, query: Query) -> str:
    """What cannot be right in a part, in words; empty if nothing is wrong."""
    items = codes[codes != -1]
    n_items = len(query.allowed)
    if ((items < 0) | (items >= n_items)).any():
        return f"has items {items.min()} to {items.max()} of a catalogue that ends at {n_items - 1}"
    if not query.allowed[items].all():
        return "has items that no user may get"
    if np.isnan(scores[codes != -1]).any():
        return "has scores that are no numbers"
    if ((codes[:, :-1] == -1) & (codes[:, 1:] != -1)).any():
        return "has lists with a gap"
    ordered = np.sort(codes, axis=1)
    is_twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != -1)
    return "has an item twice in a list" if is_twice.any() else ""


def check_same(earlier: dict[str, Any], about: dict[str, Any], what: str, advice: str) -> None:
    """Raise OptionError if an earlier run was of another model, or asked otherwise."""
    for name, value in about.items():
        if earlier.get(name) != value:
            difference = DIFFERENCES.get(name, f"{name}={earlier.get(name)!r}, which is {value!r} now")
            raise OptionError(f"{what} with {difference}: {advice}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of a folder that one run has for itself: whole or not at all."""
    with replacing(path, in_own_folder=True) as beside:
        beside.write_bytes(content)


def manifest_of(model: Model, query: Query, labels: Any, block: int) -> dict[str, Any]:
    """What identifies a run: digests of model, users and options, and the number of users in a block."""
    learned = (model.factors, model.history, model.score_limits)
    uncertainty = None
    if query.by != "mean":
        unknown = None if model.effects is None else model.effects.unknown_variance
        noise = (model.noise, model.user_noise, model.item_noise)
        uncertainty = (model.posterior, *noise, unknown, model.step_distribution)
    plain = {name: getattr(query, name) for name in ("n", "keep_seen", "by", "level", "seed", "at_least")}
    return {
        "model": digest_of(learned, uncertainty, model.item_vocabulary.labels),
        "users": digest_of(labels),
        "allowed": digest_of(query.allowed),
        "lists": digest_of(query.included_lists, query.excluded_lists),
        "limits": digest_of(query.limits),
        "dials": None if query.dials is None else digest_of(query.dials, model.item_counts),
        **plain,
        "index": None if query.index is None else f"{query.index.n_probes} of {query.index.n_cells} cells",
        "block": block,
    }


def digest_of(*values: Any) -> str:
    """BLAKE2 of nested values: arrays, numbers, texts, and dataclasses and sequences of them."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, values)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        digest.update(repr(value.tolist()).encode("utf-8", "surrogatepass"))
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif is_dataclass(value):
        digest.update(type(value).__name__.encode())
        _feed(digest, [getattr(value, field.name) for field in fields(value)])
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for one in value:
            _feed(digest, one)
    elif isinstance(value, dict):
        _feed(digest, [*value, *value.values()])
    else:
        assert value is None or isinstance(value, str | int | float | np.generic), f"no digest of {type(value)}"
        digest.update(repr(value).encode())
