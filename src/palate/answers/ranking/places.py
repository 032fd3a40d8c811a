"""Places: where the parts of lists for everybody go: a folder of this machine, or an address such as s3://bucket/lists/.

Whatever is written appears whole or not at all. In a folder it is written under another name and renamed; at an address
it is written to a temporary file of this machine, then put there, which object stores do whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from palate.answers.ranking.files import Parts, errors_in_words
from palate.data.addresses import failures_in_words, file_system_of, is_url
from palate.data.blocks.folder import crc_of
from palate.data.whole_files import replacing
from palate.errors import OptionError

Told = dict[str, int]  # of a file that was written: its bytes and crc32


class Place(Protocol):
    """Where files of one run lie, each with a name. All methods raise OptionError if the place refuses."""

    @property
    def path(self) -> Path | str:
        """What recommend() returns."""

    def held(self) -> AbstractContextManager[None]:
        """Make the place, and keep other runs out of it for the length of the block, where it can be done."""

    def names(self) -> list[str]:
        """The names of all files there."""

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def writing(self, name: str, told: Told | None = None) -> AbstractContextManager[Path]:
        """A file of this machine to write in the block, which then is the one of that name; told gets what it is."""

    def is_whole(self, name: str, told: Any) -> bool:
        """Whether a file is still what `told` says."""

    def local(self, name: str) -> AbstractContextManager[Path | None]:
        """A file as one of this machine, for the length of the block; None if it is not there."""

    def absolute(self) -> Place:
        """The same place from every working directory."""


def place_of(out: Any) -> Place:
    """The place that is meant by out=."""
    return Address(str(out).rstrip("/")) if is_url(str(out)) else Folder(Path(out))


# ---- a folder --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or a mounted one."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and lock it."""
        if not self.path.parent.is_dir():
            raise OptionError(f"out={str(self)!r}: there is no folder {str(self.path.parent)!r}; make it first.")
        with errors_in_words(self.path), Parts(self.path).held(make=True):
            yield

    def names(self) -> list[str]:
        """The names in the folder."""
        return [path.name for path in self.path.iterdir()]

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return (self.path / name).read_bytes()

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def writing(self, name: str, told: Told | None = None) -> Iterator[Path]:
        """A file beside the one of that name, which it replaces after the block."""
        path = self.path / name
        with errors_in_words(path), replacing(path) as beside:
            yield beside
        if told is not None:
            told |= _told_of(path)

    def is_whole(self, name: str, told: Any) -> bool:
        """Whether the file has the bytes and the CRC-32."""
        try:
            path = self.path / name
            return bool(path.stat().st_size == told["bytes"] and crc_of(path) == told["crc32"])
        except (OSError, KeyError, TypeError):
            return False

    def local(self, name: str) -> AbstractContextManager[Path | None]:
        """The path itself."""
        path = self.path / name
        return nullcontext(path if path.is_file() else None)

    def absolute(self) -> Folder:
        """The folder by its whole path."""
        return Folder(self.path.absolute())


# ---- an address ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """An address that fsspec knows: s3://, gs://, abfs://, sftp://, ... Nobody else is kept out of it."""

    path: str

    def __str__(self) -> str:
        return self.path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Check the address. Such places have no locks; two runs of the same lists write the same files."""
        file_system_of(self.path)
        yield

    def names(self) -> list[str]:
        """The names of the files at the address; none where nothing is."""
        with self._failures("read"):
            system, path = file_system_of(self.path)
            system.invalidate_cache()
            try:
                return [str(found).rpartition("/")[2] for found in system.ls(path, detail=False)]
            except FileNotFoundError:
                return []

    def read(self, name: str) -> bytes:
        """The content of a file."""
        system, path = file_system_of(f"{self.path}/{name}")
        with self._failures("read"), suppress(FileNotFoundError):
            content: bytes = system.cat_file(path)
            return content
        raise FileNotFoundError(f"{self.path}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._failures("written"):
            system, path = file_system_of(f"{self.path}/{name}")
            if system.exists(path):
                system.rm_file(path)

    @contextmanager
    def writing(self, name: str, told: Told | None = None) -> Iterator[Path]:
        """A temporary file, which is put to the address after the block."""
        with tempfile.TemporaryDirectory(prefix="palate-", ignore_cleanup_errors=True) as folder:
            local = Path(folder) / "file"
            with errors_in_words(local):
                yield local
            if told is not None:
                told |= _told_of(local)
            with self._failures("written"):
                system, path = file_system_of(f"{self.path}/{name}")
                system.makedirs(file_system_of(self.path)[1], exist_ok=True)
                system.put_file(str(local), path)

    def is_whole(self, name: str, told: Any) -> bool:
        """Whether the file has the bytes; a file is there whole or not at all, so its content is not fetched."""
        with self._failures("read"):
            system, path = file_system_of(f"{self.path}/{name}")
            try:
                return bool(system.info(path)["size"] == told["bytes"])
            except (FileNotFoundError, KeyError, TypeError):
                return False

    @contextmanager
    def local(self, name: str) -> Iterator[Path | None]:
        """A copy of the file."""
        with tempfile.TemporaryDirectory(prefix="palate-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / "file"
            try:
                copy.write_bytes(self.read(name))
            except FileNotFoundError:
                yield None
            else:
                yield copy

    def absolute(self) -> Address:
        """This place."""
        return self

    def _failures(self, done: str) -> AbstractContextManager[None]:
        return failures_in_words(f"out={self.path!r}", done, "give a folder of this machine", OptionError)


def _told_of(path: Path) -> Told:
    return {"bytes": path.stat().st_size, "crc32": crc_of(path)}
