"""Files that appear whole or not at all: written beside their place under a name of their own, then renamed."""

from __future__ import annotations

import os
import platform
import re
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_NAME_BYTES = 100  # of the final name in the temporary one, whose whole length file systems limit to 255
STRAY = re.compile(r"\.(?P<host>[0-9a-f]{8})\.(?P<process>[0-9]{1,10})\.[0-9a-f]{16}\.tmp")


@contextmanager
def replacing(path: str | os.PathLike[str], *, in_own_folder: bool = False) -> Iterator[Path]:
    """A new, empty file beside a path, which replaces the file there at the end of the block.

    No other writer has the same one: its name is random, and it is never a file or link that was there. It is removed
    if the block fails or is interrupted; if the process is killed, the next writer of the same path removes it. The
    mode and the group of a replaced file are kept. A symbolic link at the path stays, and its target is replaced.

    in_own_folder: nobody but the caller writes there, who also clears it: a link in it is replaced, and no time goes
    into looking for files of killed processes.

    Raises OSError, and ValueError for a path that no file system takes.
    """
    target = Path(os.path.realpath(path)) if not in_own_folder else Path(path)
    if target.exists() and not target.is_file():
        raise FileExistsError(None, "it exists and is not a regular file", str(target))
    if not in_own_folder:
        _remove_strays(target)
    temporary = target.with_name(f"{_prefix(target)}.{host()}.{os.getpid()}.{secrets.token_hex(8)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
    mode = stat.S_IMODE(temporary.stat().st_mode)  # what the umask leaves
    try:
        yield temporary
        _keep_rights(temporary, target, mode)
        _sync(temporary)
        os.replace(temporary, target)  # noqa: PTH105 - os.replace is atomic
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every system can sync folders
        _sync(target.parent)


def _prefix(target: Path) -> str:
    return "." + os.fsencode(target.name)[:MAX_NAME_BYTES].decode("utf-8", "ignore")


def host() -> str:
    """A short name of this machine, the same in all its processes."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _keep_rights(temporary: Path, target: Path, mode: int) -> None:
    """Give a file the mode and group of the one that it replaces; without a right to the group, none to its members."""
    if target.is_symlink() or not target.exists():
        temporary.chmod(mode)
        return
    former = target.stat()
    kept = stat.S_IMODE(former.st_mode)
    if hasattr(os, "chown") and temporary.stat().st_gid != former.st_gid:
        try:
            os.chown(temporary, -1, former.st_gid)
        except OSError:
            kept &= ~stat.S_IRWXG
    temporary.chmod(kept)


def _sync(path: Path) -> None:
    """Have a file or folder written to the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- what killed writers left ----------------------------------------------------------------------------------------


def _remove_strays(target: Path) -> None:
    """Remove temporary files of this path that processes of this machine left, which are no more."""
    if os.name != "posix":  # elsewhere asking for a process may end it
        return
    prefix = _prefix(target)
    with suppress(OSError), os.scandir(target.parent) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
        for path in found:
            match = STRAY.fullmatch(path.name.removeprefix(prefix))
            if match and match["host"] == host() and not is_alive(int(match["process"])):
                path.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether there is a process of this number on this machine. Not for Windows, where asking may end it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def reason(error: BaseException) -> str:
    """Why a file could not be written, as the system says it, on one line."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0].rstrip(".")
