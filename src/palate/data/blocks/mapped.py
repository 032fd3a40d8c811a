"""Blocks: Ratings whose arrays lie on disk and are mapped, not read: they take no memory of their own.

The ratings stand by user; those of a user in the order of the source, or oldest first if they are implicit and have
times. by_user() and by_item() are the files themselves. What selects or changes ratings makes other Blocks, in a folder
of their own beside the first (`views.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.arrays import check_at_least, checked_weights, divided_by, no_likes
from palate.data.blocks.folder import Folder
from palate.data.blocks.labels import labels_and_table, series_of, write_labels
from palate.data.blocks.views import Change, View, base_of, changed, complete, divided, ranges_of, remove_left, selected
from palate.data.overview import overview
from palate.data.ratings import COLUMNS, Ratings, ReadReport
from palate.data.rows import Codes, CompressedRows, read_only, rows_of_entries
from palate.data.vocabulary import Vocabulary
from palate.errors import BlocksError, DataError, OptionError

STARTS_AT_ONCE = 1 << 20


class Blocks(Ratings):
    """Ratings that lie in a folder on disk: `palate.blocks.open` returns them.

    They go wherever Ratings go. A fit maps the files and reads each block when it comes to it, so that memory holds
    vectors and a few blocks. Splits and selections are Blocks too.

    Attributes:
        path (Path): The folder; `palate.blocks.open` takes it.
        folder (Folder): What lies in it. All arrays are as in Ratings, sorted by user, and mapped; but user_codes are
            made when they are first asked for, and take 4 bytes a rating of memory.

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
        low, high = self.folder.manifest["range"] or (float("nan"), float("nan"))
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
        if isinstance(rows, slice):
            return self._in_memory(rows, self.users_of(rows))
        return self._in_memory(rows, self._owners(np.asarray(rows)))

    def divided(self, mask: NDArray[np.bool_]) -> tuple[Blocks, Blocks]:
        """Return the ratings where a mask is False, and those where it is True: splits are made of it.

        Parameters:
            mask (bool array): One bool for each rating, shape (n,).

        Returns:
            tuple of two Blocks: (others, those). Each is a view, with a folder of its own until nobody holds it.

        Raises:
            OptionError: The mask has another shape.
            BlocksError: The disk is full.
        """
        others, those = divided(self.folder, mask)
        return self._viewed(*others), self._viewed(*those)

    def in_memory(self) -> Ratings:
        """Return the same ratings in memory, in the order in which they stand here.

        Returns:
            Ratings: With copies of all arrays: 12 bytes a rating, 4 or 8 more with times and 4 with weights.

        Example:
            >>> import palate, tempfile
            >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     blocks = palate.blocks.write(f"{folder}/synthetic.blocks", ratings, progress=False)
            ...     print(blocks.in_memory())
            Ratings(1,200 ratings, 60 users, 40 items)
        """
        return self._in_memory(slice(None), self.users_of(slice(None)))

    def _in_memory(self, rows: Any, users: Codes) -> Ratings:
        """Some ratings in memory. users: the user of each of them."""
        return Ratings(
            *(users, self.item_codes[rows], self.values[rows]),
            times=None if self.times is None else self.times[rows],
            weights=None if self.weights is None else self.weights[rows],
            user_vocabulary=self.user_vocabulary,
            item_vocabulary=self.item_vocabulary,
            user_table=self.user_table,
            item_table=self.item_table,
            report=self.report,
            kind=self.kind,
            like_threshold=self.like_threshold,
        )

    def users_of(self, rows: slice) -> Codes:
        """Return the user code of each rating of a slice.

        Parameters:
            rows (slice): Where the ratings stand.

        Returns:
            int32 array: User codes, shape (n,).
        """
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self._owners(np.arange(start, stop, step))
        indptr = self._by_user.indptr
        first, last = self._owners(np.array([start, max(stop - 1, start)])).tolist() if start < stop else (0, -1)
        ends = np.clip(indptr[first : last + 2], start, stop)
        return np.repeat(np.arange(first, last + 1, dtype=np.int32), ends[1:] - ends[:-1])

    def _owners(self, positions: NDArray[Any]) -> Codes:
        """The user code of each rating at some positions, from the end if they are below 0."""
        n = len(self)
        if len(positions) and not (positions.min() >= -n and positions.max() < n):
            raise IndexError(f"positions from {positions.min()} to {positions.max()} among {n:,} ratings")
        from_start = np.where(positions < 0, positions + n, positions)
        return (np.searchsorted(self._by_user.indptr, from_start, side="right") - 1).astype(np.int32)

    def user_ranges(self) -> Iterator[tuple[slice, slice]]:
        """Yield where the ratings of some users stand, and their codes: as many users at once as fit into memory.

        Returns:
            iterator of two slices: (positions of the ratings, codes of the users).
        """
        for at, first, last in ranges_of(self._by_user):
            yield at, slice(first, last)

    def likes(self, at_least: float) -> Blocks:
        """Return the ratings of at_least or more as implicit ratings, as Ratings.likes does: a view.

        Parameters:
            at_least (float): The lowest value that is a like.

        Returns:
            Blocks: Implicit ratings; their weights, if any, are those of the ratings.
        """
        check_at_least(at_least)
        threshold = self.like_threshold if self.is_implicit else float(at_least)

        def liked(_: slice, rows: CompressedRows) -> CompressedRows:
            measure = rows.values if not self.is_implicit or rows.weights is None else rows.weights
            kept = rows_of_entries(rows, measure >= np.float32(at_least))
            return replace(kept, values=np.ones(len(kept.indices), np.float32))

        found = self.changed(liked, kind="implicit", like_threshold=threshold)
        if len(found) == 0:
            highest = self.weights if self.is_implicit and self.weights is not None else self.values
            raise no_likes(at_least, highest)
        return found

    def with_weights(self, weights: NDArray[Any] | None) -> Blocks:
        """Return the same ratings with other weights, as Ratings.with_weights does: a view.

        Parameters:
            weights (array of numbers or None): One weight per rating, shape (n,), finite and 0 or more; None for none.

        Returns:
            Blocks: With these weights.
        """
        if weights is None:
            return self.changed(lambda _, rows: replace(rows, weights=None))
        given = np.asarray(weights)
        if given.shape != self.values.shape:
            raise DataError(f"weights has shape {given.shape}, but there are {len(self):,} values: give one for each.")
        threshold = None if self.is_implicit else self.like_threshold
        weighted: Change = lambda at, rows: replace(rows, weights=checked_weights(given[at]))  # noqa: E731
        return self.changed(weighted, like_threshold=threshold)

    def with_weights_divided(self, by: float) -> Blocks:
        """Return the same ratings with their weights divided by a number, as Ratings.with_weights_divided does.

        Parameters:
            by (float): A number above 0.

        Returns:
            Blocks: With these weights; as they are if they have none.
        """
        weights = self.weights
        return (
            self
            if weights is None
            else self.changed(lambda at, rows: replace(rows, weights=divided_by(weights[at], by)))
        )

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

    def _with(self, **given: Any) -> Ratings:
        """The same arrays with something else given; Ratings in memory if an array is."""
        if set(given).isdisjoint(COLUMNS):
            other = object.__new__(Blocks)
            other.__dict__.update(self.__dict__ | given)
            other._check_tables()
            return other
        return super()._with(**given)

    def _recoded(self, what: str, vocabulary: Vocabulary, **given: Any) -> Blocks:
        """A view with the codes of another vocabulary, of users or of items."""
        codes = vocabulary.encode(getattr(self, f"{what}_vocabulary").labels)
        users: NDArray[np.int64] | None = None
        if what == "user":
            users = np.full(len(vocabulary), -1)
            users[codes] = np.arange(len(codes))
        change = _same if users is not None else lambda _, rows: replace(rows, indices=codes[rows.indices])
        name, series = f"{what}s.arrow", series_of(vocabulary)
        labels = lambda path: {name: write_labels(path / name, series, None)}  # noqa: E731
        found = changed(self.folder, change, labels, users, **{f"n_{what}s": len(vocabulary)})
        sides = {side: self._side(side) for side in ("user", "item")} | {what: (vocabulary, given.pop(f"{what}_table"))}
        view = Blocks._of(found[0], sides, found[1])
        view.__dict__.update(given)
        return view

    def _state(self) -> dict[str, Any]:
        kept = {name: value for name, value in super()._state().items() if name not in ("folder", "view")}
        return kept | {"user_codes": self.user_codes}

    def __repr__(self) -> str:
        return super().__repr__().replace("Ratings(", "Blocks(", 1)

    def _repr_html_(self) -> str:
        return overview(self, on_disk=str(self.path))

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
    _check_starts(folder)
    base = base_of(folder)
    remove_left(base)
    sides = {}
    for side in ("user", "item"):
        name = f"{side}s.arrow"
        place = folder.path if folder.has(name) else base
        sides[side] = labels_and_table(place / name, side, folder.manifest[f"n_{side}s"])
    return Blocks._of(folder, sides)


def _check_starts(folder: Folder) -> None:
    """Raise BlocksError unless the rows of each side follow each other and have all ratings."""
    n = folder.manifest["n_ratings"]
    for name in ("by_user.starts", "by_item.starts"):
        if folder.has(name):
            starts = folder.map(name)
            falls = any((part[1:] < part[:-1]).any() for part in _overlapping(starts))
            if starts[0] != 0 or starts[-1] != n or falls:
                raise BlocksError(f"{folder.path / name} is damaged: copy the folder again, or write it anew.")


def _overlapping(starts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (starts[at : at + STARTS_AT_ONCE + 1] for at in range(0, len(starts), STARTS_AT_ONCE))


def _same(_: slice, rows: CompressedRows) -> CompressedRows:
    return rows


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
