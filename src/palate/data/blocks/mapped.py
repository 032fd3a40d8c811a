"""Blocks: Ratings whose arrays lie on disk and are mapped, not read: they take no memory of their own.

The ratings stand by user; those of a user in the order of the source, or oldest first if they are implicit and have
times. by_user() and by_item() are the files themselves. What selects or changes ratings makes other Blocks, in a folder
of their own beside the first (`views.py`).
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.folder import Folder
from palate.data.blocks.labels import labels_and_table
from palate.data.blocks.views import Change, View, changed, complete, selected
from palate.data.ratings import COLUMNS, Ratings, ReadReport
from palate.data.rows import Codes, CompressedRows, read_only
from palate.data.vocabulary import Vocabulary
from palate.errors import OptionError


class Blocks(Ratings):
    """Ratings that lie in a folder on disk: `palate.blocks.open` returns them.

    They go wherever Ratings go. A fit maps the files and reads each block when it comes to it, so that memory holds
    vectors and a few blocks. Splits and selections are Blocks too.

    Attributes:
        path (Path): The folder; `palate.blocks.open` takes it.
        user_codes, item_codes, values, weights, times: As in Ratings, sorted by user. user_codes are made when they are
            first asked for, and take 4 bytes a rating of memory; everything else is mapped.

    Example:
        >>> import palate, tempfile
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     blocks = palate.blocks.write(f"{folder}/synthetic.blocks", ratings, progress=False)
        ...     print(blocks, palate.ALS(n_sweeps=2).fit(blocks).n_factors)
        Blocks(1,200 ratings, 60 users, 40 items) 31
    """

    folder: Folder

    def __init__(self) -> None:
        raise OptionError(
            "Blocks are opened, not made: palate.blocks.open(path), or palate.blocks.write(path, source)."
        )

    @classmethod
    def _of(cls, folder: Folder, sides: dict[str, tuple[Vocabulary, Any]], view: View | None = None) -> Blocks:
        """Blocks in this folder. sides: the vocabulary and the table of users and of items."""
        blocks = object.__new__(cls)
        about = folder.manifest
        state: dict[str, Any] = {
            "folder": folder,
            "view": view,  # removes the folder of a view with its last Blocks
            "kind": about["kind"],
            "like_threshold": about["like_threshold"],
            "report": _report_of(about["report"]),
            "item_codes": folder.map("by_user.items"),
            "values": folder.map("by_user.values"),
            "weights": folder.map("by_user.weights") if folder.has("by_user.weights") else None,
            "_time_start": 0,
            "_time_offsets": folder.map("by_user.times") if folder.has("by_user.times") else None,
        }
        for side, (vocabulary, table) in sides.items():
            state |= {f"{side}_vocabulary": vocabulary, f"{side}_table": table}
        blocks.__dict__.update(state)
        return blocks

    @property
    def path(self) -> Path:
        """The folder that the ratings lie in."""
        return self.folder.path

    @property
    def times(self) -> NDArray[np.int64] | None:
        """When each rating was given, int64, shape (n,), usually seconds since 1970; None if unknown."""
        return self._time_offsets

    @cached_property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of a weight above 0, as (low, high)."""
        low, high = self.folder.manifest["range"]
        return low, high

    @cached_property
    def user_codes(self) -> Codes:  # type: ignore[override]
        """User code of each rating, shape (n,). Made when first asked for."""
        indptr = self._by_user.indptr
        return read_only(np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(indptr)))

    @cached_property
    def _by_user(self) -> CompressedRows:
        times = self.times if self.is_implicit else None
        starts = self.folder.map("by_user.starts")
        return CompressedRows(starts, self.item_codes, self.values, self.weights, times)

    @cached_property
    def _by_item(self) -> CompressedRows:
        folder = complete(self.folder, self.n_items)
        weights = folder.map("by_item.weights") if folder.has("by_item.weights") else None
        starts, users, values = (folder.map(f"by_item.{name}") for name in ("starts", "users", "values"))
        return CompressedRows(starts, users, values, weights)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Ratings:
        """Some ratings: by a mask as Blocks, by a slice or by positions as Ratings in memory."""
        if isinstance(rows, np.ndarray) and rows.dtype == np.bool_:
            return self._viewed(*selected(self.folder, rows))
        return super().__getitem__(rows)

    def changed(self, change: Change, **about: Any) -> Blocks:
        """Return a view with other ratings of each user.

        Parameters:
            change (function of a slice and CompressedRows): Returns the new ratings of some users from where theirs
                stand and what they are.
            about (keyword arguments): What else changes: kind, like_threshold.

        Returns:
            Blocks: The view.

        Raises:
            BlocksError: The disk is full.
        """
        return self._viewed(*changed(self.folder, change, **about))

    def _viewed(self, folder: Folder, view: View) -> Blocks:
        """The Blocks of a view, with the vocabularies and tables of these."""
        return Blocks._of(folder, {side: self._side(side) for side in ("user", "item")}, view)

    def _side(self, side: str) -> tuple[Vocabulary, Any]:
        return getattr(self, f"{side}_vocabulary"), getattr(self, f"{side}_table")

    def _with(self, **changed: Any) -> Ratings:
        """The same arrays with something else changed; Ratings in memory if an array is."""
        if set(changed).isdisjoint(COLUMNS):
            other = object.__new__(Blocks)
            other.__dict__.update(self.__dict__ | changed)
            other._check_tables()
            return other
        return super()._with(**changed)

    def _state(self) -> dict[str, Any]:
        kept = {name: value for name, value in super()._state().items() if name not in ("folder", "view")}
        return kept | {"user_codes": self.user_codes}

    def __repr__(self) -> str:
        return super().__repr__().replace("Ratings(", "Blocks(", 1)

    def __reduce__(self) -> Any:
        return (_reopened, (str(self.path), self.user_table, self.item_table))


def open(path: str | os.PathLike[str], *, verify: bool = False) -> Blocks:  # noqa: A001
    """Open ratings that `palate.blocks.write` put on disk.

    The files are mapped, not read: this takes as long as reading the labels.

    Parameters:
        path (path): The folder.
        verify (bool, default False): Read every file once and compare it with its checksum. Sizes are always compared.

    Returns:
        Blocks: The ratings.

    Raises:
        BlocksError: There is no such folder, it was not finished, or it is damaged.

    Example:
        >>> import palate, tempfile
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = palate.blocks.write(f"{folder}/synthetic.blocks", ratings, progress=False)
        ...     print(palate.blocks.open(f"{folder}/synthetic.blocks", verify=True))
        Blocks(1,200 ratings, 60 users, 40 items)
    """
    folder = Folder.read(path, verify=verify)
    base = Path(folder.manifest.get("base", folder.path))
    sides = {side: labels_and_table(base / f"{side}s.arrow", side) for side in ("user", "item")}
    return Blocks._of(folder, sides)


def _reopened(path: str, user_table: Any, item_table: Any) -> Blocks:
    """Blocks from their pickled parts."""
    blocks = open(path)
    blocks.__dict__.update(user_table=user_table, item_table=item_table)
    return blocks


def _report_of(given: dict[str, Any]) -> ReadReport:
    """The report of reading, from the manifest."""
    lists = {name: tuple(given[name]) for name in ("bad_examples", "table_notes")}
    lacking = {side: tuple(found) for side, found in given["lacking"].items()}
    return ReadReport(**(given | lists | {"lacking": lacking}))
