"""Views: some of the ratings of Blocks, or the same ones changed, as Blocks of their own.

A view has a folder beside that of its base, in `.views`, with the ratings by user; those by item are written when they
are first asked for. Labels and tables stay with the base. The folder goes when nobody holds the view any more, at the
latest at the end of the process; after a kill, when the base is opened next.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.folder import Folder, write_manifest
from palate.data.blocks.sorting import RowFiles, counts_of, row_ranges, transpose_to
from palate.data.rows import CompressedRows, in_order, rows_of_entries
from palate.data.whole_files import reason
from palate.errors import BlocksError, OptionError

VIEWS = ".views"
BLOCK_RATINGS = 1 << 20  # that are in memory at once

Change = Callable[[slice, CompressedRows], CompressedRows]  # of the ratings of some rows, at these positions


class View:
    """A folder that is removed with this object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._finalizer = weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)


def selected(folder: Folder, mask: NDArray[np.bool_]) -> tuple[Folder, View]:
    """The ratings of a folder where the mask, (n,), is True."""
    n = folder.manifest["n_ratings"]
    if mask.shape != (n,):
        raise OptionError(f"a mask of shape {mask.shape} selects no ratings: give one bool for each of {n:,}.")
    return changed(folder, lambda at, rows: rows_of_entries(rows, mask[at]))


def changed(folder: Folder, change: Change, **about: Any) -> tuple[Folder, View]:
    """The folder of a view in which the rows of each user are changed.

    about: what else changes in the manifest, such as the kind.
    """
    view = View(_new_folder(folder.path))
    manifest = {**folder.manifest, "base": str(_base_of(folder)), **about}
    files: RowFiles | None = None
    low, high = np.inf, -np.inf
    try:
        for at, rows in _blocks_of(folder):
            new = change(at, rows)
            if manifest["kind"] == "implicit":
                new = in_order(new)
            if files is None:
                has = {"weights": new.weights is not None, "times": new.times is not None}
                files = RowFiles(view.path, "by_user", **has)
            files.append(new)
            counted = new.values if new.weights is None else new.values[new.weights > 0]
            if len(counted):
                low, high = min(low, float(counted.min())), max(high, float(counted.max()))
        assert files is not None
        entries = files.close()
        n = entries["by_user.values"]["bytes"] // 4
        manifest |= {"n_ratings": n, "files": entries, "range": [low, high] if low <= high else None}
        write_manifest(view.path, manifest)
    except OSError as error:
        raise BlocksError(f"cannot write a part of {folder.path} to {view.path}: {reason(error)}.") from error
    return Folder(view.path, manifest, view), view


def complete(folder: Folder, n_items: int) -> Folder:
    """The folder with the files by item, which a view has only from here on."""
    if folder.has("by_item.starts"):
        return folder
    rows = rows_by_user(folder)
    counts = np.zeros(n_items, np.int64)
    for at, _, _ in ranges_of(rows):
        counts += counts_of(rows.indices[at], n_items)
    parts = ((first, part_of(rows, first, last)) for _, first, last in ranges_of(rows))
    entries = transpose_to(folder.path, folder.path, parts, counts)
    manifest = {**folder.manifest, "files": folder.manifest["files"] | entries}
    write_manifest(folder.path, manifest)
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
        yield at, part_of(rows, first, last)


def part_of(rows: CompressedRows, first: int, last: int) -> CompressedRows:
    """The rows from first to last (exclusive), as views."""
    at = slice(int(rows.indptr[first]), int(rows.indptr[last]))
    return CompressedRows(
        rows.indptr[first : last + 1] - rows.indptr[first],
        rows.indices[at],
        rows.values[at],
        None if rows.weights is None else rows.weights[at],
        None if rows.times is None else rows.times[at],
    )


def _base_of(folder: Folder) -> Path:
    return Path(folder.manifest.get("base", folder.path))


def _new_folder(base: Path) -> Path:
    """A new folder for a view beside its base, or where temporary files go if the base may not be written."""
    parent = base if base.parent.name == VIEWS else base / VIEWS
    try:
        parent.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}.", dir=parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="palate-view."))
