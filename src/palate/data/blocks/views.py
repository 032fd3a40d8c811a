"""Views: some of the ratings of Blocks, or the same ones changed, as Blocks of their own.

A view has a folder beside that of its base, in `.views`, with the ratings by user; those by item are written when they
are first asked for. Labels and tables stay with the base. The folder goes when nobody holds the view any more, at the
latest at the end of the process; after a kill, when the base is opened next.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.folder import Folder, write_manifest
from palate.data.blocks.sorting import RowFiles, row_ranges, transpose_to
from palate.data.plan import count_codes
from palate.data.rows import CompressedRows, first_of_rows, in_order, pointers_of, rows_between, rows_of_entries
from palate.data.whole_files import host, is_alive, reason
from palate.errors import BlocksError, OptionError

VIEWS = ".views"
TEMPORARY = "palate-view."  # how the names of views begin that do not lie beside their base
LEFT = re.compile(r"(?P<host>[0-9a-f]{8})\.(?P<process>[0-9]{1,10})\.[^.]+")
BLOCK_RATINGS = 1 << 20  # that are in memory at once

Change = Callable[[slice, CompressedRows], CompressedRows]  # of the ratings of some rows, at these positions


class View:
    """A folder that is removed with this object, by the process that made it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._finalizer = weakref.finalize(self, _remove, path, os.getpid())


def _remove(path: Path, process: int) -> None:
    """Remove the folder of a view, unless this process is a fork of the one that made it."""
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


class _NewView:
    """A view that is being written: blocks of rows, in the order of the users. about: what its manifest says anew."""

    def __init__(self, folder: Folder, about: dict[str, Any]) -> None:
        base = base_of(folder)
        self.view = View(_new_folder(base))
        self._manifest = {**folder.manifest, "base": str(base), **about}
        self._files: RowFiles | None = None
        self._low, self._high = np.inf, -np.inf

    def append(self, rows: CompressedRows) -> None:
        """Add the rows of the next users."""
        if self._files is None:
            has = {"weights": rows.weights is not None, "times": rows.times is not None}
            self._files = RowFiles(self.view.path, "by_user", **has)
        self._files.append(rows)
        counted = rows.values if rows.weights is None else rows.values[rows.weights > 0]
        if len(counted):
            self._low, self._high = min(self._low, float(counted.min())), max(self._high, float(counted.max()))

    def close(self) -> None:
        """Close the files, also of a view that was not finished."""
        if self._files is not None:
            with suppress(OSError):
                self._files.close()

    def finished(self, more: dict[str, Any]) -> tuple[Folder, View]:
        """Close the files and write the manifest. more: entries of other files of the folder."""
        assert self._files is not None, "there is at least one block"
        entries = self._files.close()
        n = entries["by_user.values"]["bytes"] // 4
        span = [self._low, self._high] if self._low <= self._high else None
        manifest = self._manifest | {"n_ratings": n, "files": entries | more, "range": span}
        write_manifest(self.view.path, manifest)
        return Folder(self.view.path, manifest, self.view), self.view


def selected(folder: Folder, mask: NDArray[np.bool_]) -> tuple[Folder, View]:
    """The ratings of a folder where the mask, (n,), is True."""
    _check_mask(folder, mask)
    return changed(folder, lambda at, rows: rows_of_entries(rows, mask[at]))


def divided(folder: Folder, mask: NDArray[np.bool_]) -> tuple[tuple[Folder, View], tuple[Folder, View]]:
    """The ratings where the mask, (n,), is False, and those where it is True; read once."""
    _check_mask(folder, mask)
    with _new_views(folder, 2, {}) as (others, those):
        for at, rows in _blocks_of(folder):
            others.append(rows_of_entries(rows, ~mask[at]))
            those.append(rows_of_entries(rows, mask[at]))
        return others.finished({}), those.finished({})


def _check_mask(folder: Folder, mask: NDArray[np.bool_]) -> None:
    n = folder.manifest["n_ratings"]
    if mask.shape != (n,):
        raise OptionError(f"a mask of shape {mask.shape} selects no ratings: give one bool for each of {n:,}.")


def changed(
    folder: Folder,
    change: Change,
    labels: Callable[[Path], dict[str, Any]] = lambda _: {},
    users: NDArray[np.int64] | None = None,
    **about: Any,
) -> tuple[Folder, View]:
    """The folder of a view in which the rows of each user are changed.

    labels: writes files of labels into the folder, where they change, and returns their entries. users: which user
    comes in which place, (n,), -1 for a new one; None: as they are. about: what else changes in the manifest, such as
    the kind.
    """
    blocks = _blocks_of(folder) if users is None else _blocks_in_order(folder, users)
    becomes_implicit = about.get("kind", "explicit") != folder.manifest["kind"]
    with _new_views(folder, 1, about) as (new,):
        for at, rows in blocks:
            made = change(at, rows)
            new.append(in_order(made) if becomes_implicit else made)  # implicit ratings stand oldest first already
        return new.finished(labels(new.view.path))


@contextmanager
def _new_views(folder: Folder, n: int, about: dict[str, Any]) -> Iterator[list[_NewView]]:
    """N views to write; their files are closed at the end of the block. Raises BlocksError if the disk refuses."""
    new: list[_NewView] = []
    try:
        new += (_NewView(folder, about) for _ in range(n))
        yield new
    except OSError as error:
        raise BlocksError(
            f"cannot write a part of {folder.path} beside it: {reason(error)}. Make room on that disk."
        ) from error
    finally:
        for view in new:
            view.close()


def complete(folder: Folder, n_items: int) -> Folder:
    """The folder with the files by item, which a view has only from here on.

    Several processes may do it at once: each writes files of its own, of the same bytes, and renames them.
    """
    if folder.has("by_item.starts"):
        return folder
    now = Folder.read(folder.path)
    if now.has("by_item.starts"):  # another process, or other Blocks of this view, have written them
        return replace(now, held=folder.held)
    rows = rows_by_user(folder)
    counts = count_codes(rows.indices, n_items)
    parts = ((first, rows_between(rows, slice(first, last))) for _, first, last in ranges_of(rows))
    try:
        with tempfile.TemporaryDirectory(prefix="by_item.", dir=folder.path) as scratch:
            entries = transpose_to(Path(scratch), Path(scratch), parts, counts, weights=rows.weights is not None)
            for name in entries:
                (Path(scratch) / name).replace(folder.path / name)
        manifest = {**folder.manifest, "files": folder.manifest["files"] | entries}
        write_manifest(folder.path, manifest)
    except OSError as error:
        raise BlocksError(f"cannot write the ratings by item to {folder.path}: {reason(error)}.") from error
    return Folder(folder.path, manifest, folder.held)


def ranges_of(rows: CompressedRows) -> Iterator[tuple[slice, int, int]]:
    """Ranges of rows that fit into memory together: (where their ratings stand, first row, last row)."""
    for first, last in row_ranges(rows.indptr, BLOCK_RATINGS):
        yield slice(int(rows.indptr[first]), int(rows.indptr[last])), first, last


def rows_by_user(folder: Folder) -> CompressedRows:
    """The ratings by user, mapped, with all there is of them."""
    parts = [folder.map(f"by_user.{name}") for name in ("starts", "items", "values")]
    more = [folder.map(name) if folder.has(name) else None for name in ("by_user.weights", "by_user.times")]
    return CompressedRows(parts[0], parts[1], parts[2], *more)


def _blocks_of(folder: Folder) -> Iterator[tuple[slice, CompressedRows]]:
    """The ratings of the users, some users at a time."""
    rows = rows_by_user(folder)
    for at, first, last in ranges_of(rows):
        yield at, rows_between(rows, slice(first, last))


def _blocks_in_order(folder: Folder, users: NDArray[np.int64]) -> Iterator[tuple[slice, CompressedRows]]:
    """The ratings of the users in another order, some users at a time; of a user of -1, none."""
    rows = rows_by_user(folder)
    counts = np.where(users >= 0, rows.counts[users], 0)
    starts = pointers_of(counts)
    for first, last in row_ranges(starts, BLOCK_RATINGS):
        here = users[first:last]
        yield slice(int(starts[first]), int(starts[last])), first_of_rows(rows, np.maximum(here, 0), counts[first:last])


def base_of(folder: Folder) -> Path:
    """The folder that this one is a view of; itself if it is none."""
    return Path(folder.manifest.get("base", folder.path))


def _new_folder(base: Path) -> Path:
    """A new folder for a view beside its base, or where temporary files go if the base may not be written.

    Its name holds the machine and the process, so that others can tell whether somebody still uses it.
    """
    name = f"{host()}.{os.getpid()}."
    parent = base / VIEWS
    try:
        parent.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=name, dir=parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix=TEMPORARY + name))


def remove_left(base: Path) -> None:
    """Remove the views that killed processes of this machine left: of this base, and among the temporary files."""
    if os.name != "posix":  # elsewhere asking for a process may end it
        return
    for parent, prefix in ((base / VIEWS, ""), (Path(tempfile.gettempdir()), TEMPORARY)):
        with suppress(OSError):
            for path in parent.glob(f"{prefix}{host()}.*"):
                found = LEFT.fullmatch(path.name.removeprefix(prefix))
                if found and found["host"] == host() and not is_alive(int(found["process"])):
                    shutil.rmtree(path, ignore_errors=True)
