"""Places: where blocks are written before they are finished, how one goes on there, and how they then appear.

Everything goes into `NAME.part`. `state.json` in it says what is done; it is replaced after each step, so whatever is
there besides belongs to a step that was not finished, and is written over. A last rename makes the folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palate.data.blocks.folder import MANIFEST
from palate.data.whole_files import replacing
from palate.errors import BlocksError

STATE = "state.json"


@dataclass
class Place:
    """Where a folder is made. state: what is done; empty if nothing is."""

    target: Path
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def part(self) -> Path:
        """The unfinished folder."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def scratch(self) -> Path:
        """The folder of what is not in the finished one."""
        return self.part / "scratch"

    def check(self, *, overwrite: bool) -> None:
        """Raise BlocksError if something is there that must not be replaced."""
        if not self.target.exists() and not self.target.is_symlink():
            return
        if not (self.target / MANIFEST).is_file():
            raise BlocksError(f"{self.target} exists and is no folder of blocks: choose another path.")
        if not overwrite:
            raise BlocksError(
                f"{self.target} exists, and is finished: use it as it is, or write it anew with overwrite=True."
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the unfinished folder and keep other writers out of it. Raises BlocksError if one is there.

        On Windows nobody is kept out.
        """
        self.part.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.part, os.O_RDONLY) if os.name == "posix" else None
        try:
            if handle is not None:
                self._lock(handle)
            yield
        finally:
            if handle is not None:
                os.close(handle)
            with suppress(OSError):  # it is removed if nothing is in it
                self.part.rmdir()

    def _lock(self, handle: int) -> None:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlocksError(
                f"another process is writing {self.target}: wait for it, or choose another path."
            ) from error

    def begin(self, wanted: dict[str, Any]) -> str:
        """Go on where a writer stopped that wanted the same, or begin anew. Returns what to tell, if anything.

        wanted: what the folder is made of. None among its "sources" and "tables" is what nobody can recognize.
        """
        found = self._found()
        if found and _is_same(found, wanted):
            self.state = found | {"wanted": wanted}
            return f"going on with what is done of {self.target.name}."
        self._empty()
        self.scratch.mkdir(parents=True)
        self.state = {"wanted": wanted, "n_sources": 0}
        return f"the sources or options of {self.target.name} changed: beginning anew." if found else ""

    def _found(self) -> dict[str, Any]:
        try:
            state = json.loads((self.scratch / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and {"wanted", "n_sources"} <= state.keys() else {}

    def save(self, **done: Any) -> None:
        """Note what is done."""
        self.state |= done
        with replacing(self.scratch / STATE, in_own_folder=True) as temporary:
            temporary.write_text(json.dumps(self.state), encoding="utf-8")

    def _empty(self) -> None:
        """Remove what a former writer left. Raises BlocksError for a folder that no writer made."""
        left = list(self.part.iterdir())
        if left and not (self.scratch.is_dir() or (self.part / MANIFEST).is_file()):
            raise BlocksError(f"{self.part} is in the way, and not palate's: remove it, or choose another path.")
        for path in left:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def clear(self) -> None:
        """Remove what is not finished."""
        if self.part.exists():
            shutil.rmtree(self.part)

    @property
    def is_begun(self) -> bool:
        """Whether the unfinished folder is this one's."""
        return bool(self.state)

    @property
    def can_go_on(self) -> bool:
        """Whether a later call can go on with what is done."""
        return self.state.get("n_sources", 0) > 0 and None not in _prints(self.state["wanted"])

    def finish(self) -> None:
        """Put the folder, whose manifest is written, in its place."""
        shutil.rmtree(self.scratch)
        for stray in self.part.glob(".*.tmp"):  # which a killed process was writing
            stray.unlink()
        if self.target.exists():
            former = self.target.with_name(self.target.name + ".former")
            shutil.rmtree(former, ignore_errors=True)
            self.target.rename(former)
            self.part.rename(self.target)
            shutil.rmtree(former, ignore_errors=True)
        else:
            self.part.rename(self.target)


def _is_same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether what is done is a part of what is wanted."""
    n_done, sources = found["n_sources"], wanted["sources"]
    former = found["wanted"]
    if n_done == 0 or None in _prints(wanted) or sources[:n_done] != former["sources"][:n_done]:
        return False
    if n_done == len(former["sources"]) != len(sources):  # labels and ratings may be sorted already
        return False
    others = wanted.keys() - {"sources"}
    return former.keys() == wanted.keys() and all(former[name] == wanted[name] for name in others)


def _prints(wanted: dict[str, Any]) -> list[Any]:
    return [*wanted["sources"], *wanted["tables"]]
