"""Checkpoints: a folder from which a fit goes on after its process has ended, to the same bytes.

    state.palate     the state of the fit after a sweep, and what it belongs to: recipe, ratings, version
    draw-12.palate   a part of the state that does not change any more: a kept draw

Every file appears whole or not at all, and the state comes after its parts. So whenever the process ends, the folder
holds the state before or the new one. Parts that no state names any more are removed.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from palate.__version__ import __version__
from palate.data.blocks import Blocks
from palate.data.ratings import Ratings
from palate.data.whole_files import reason
from palate.errors import ModelFileError, OptionError, TamperedModelError
from palate.recipes.state import Arrays, pack, restore
from palate.storing import container
from palate.storing.packing import Tensors, pack_table

KIND = "checkpoint of a fit"
STATE_FILE = "state.palate"
PARTS = "draw-*.palate", ".draw-*.palate.*.tmp", ".state.palate.*.tmp"  # the latter of killed processes
WORDS = {"recipe": "another recipe or other options", "ratings": "other ratings", "valid": "other validation ratings"}
WORDS |= {"palate": "another version of palate"}


@dataclass
class Checkpoint:
    """The checkpoint of one fit. about: what must be the same for a fit to go on; every: sweeps between two states."""

    folder: Path
    every: int
    about: dict[str, Any]
    _written: set[str] = field(default_factory=set)  # parts that are in the folder

    @classmethod
    def of(
        cls,
        folder: str | os.PathLike[str],
        every: int,
        recipe: dict[str, Any],
        ratings: Ratings,
        valid: Ratings | None,
    ) -> Checkpoint:
        """The checkpoint of a fit. recipe: its name and options."""
        options = {name: value for name, value in recipe.items() if name != "n_threads"}
        data = {"ratings": fingerprint(ratings), "valid": None if valid is None else fingerprint(valid)}
        return cls(Path(folder).absolute(), every, {"recipe": options, **data, "palate": __version__})

    def saved(self, *, resume: bool) -> Saved | None:
        """What the folder holds, if this fit is to resume; None if there is nothing.

        Raises OptionError if the state there belongs to another fit, or if it is there and the fit does not resume.
        """
        path = self.folder / STATE_FILE
        if not path.is_file():
            self.remove()  # parts whose state was never written
            return None
        if not resume:
            raise OptionError(
                f"{self.folder} holds the checkpoint of a fit that did not finish: go on from it with resume=True, or "
                "remove the folder to begin anew."
            )
        arrays, header = container.read(path, copy=False)
        about, trees = header.get("about"), header.get("trees")
        if header.get("kind") != KIND or not isinstance(about, dict) or not isinstance(trees, list):
            raise OptionError(f"{path} is not the checkpoint of a fit: name another folder.")
        for name, words in WORDS.items():
            if about.get(name) != self.about[name]:
                raise OptionError(
                    f"the checkpoint in {self.folder} belongs to a fit with {words}, so this fit cannot go on from it: "
                    "fit as before, name another folder, or remove this one to begin anew."
                )
        return Saved(self, arrays, trees)

    def write(self, *values: Any) -> None:
        """Write the state of some objects. Raises ModelFileError if the disk refuses."""
        packed = [pack(value) for value in values]
        parts = {name: part for one in packed for name, part in one.parts.items()}
        arrays = {f"{at}.{name}": array for at, one in enumerate(packed) for name, array in one.arrays.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelFileError(f"cannot make the folder {self.folder} for checkpoints: {reason(error)}.") from error
        for name in parts.keys() - self._written:
            container.write(self._file_of(name), parts[name], {"kind": KIND})
            self._written.add(name)
        trees = [one.tree for one in packed]
        container.write(self.folder / STATE_FILE, arrays, {"kind": KIND, "about": self.about, "trees": trees})
        self._remove_parts(parts.keys())

    def part(self, name: str) -> Arrays:
        """The arrays of a part."""
        arrays, _ = container.read(self._file_of(name), copy=False)
        self._written.add(name)
        return arrays

    def remove(self) -> None:
        """Remove the checkpoint, and the folder if nothing else is in it."""
        with suppress(OSError):
            (self.folder / STATE_FILE).unlink(missing_ok=True)
            self._remove_parts(())
            self.folder.rmdir()

    def _file_of(self, part: str) -> Path:
        return self.folder / f"{part}.palate"

    def _remove_parts(self, kept: Any) -> None:
        for path in [path for pattern in PARTS for path in self.folder.glob(pattern)]:
            if path.stem not in kept:
                path.unlink(missing_ok=True)
                self._written.discard(path.stem)


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read: the states of the objects it was written of, by position."""

    checkpoint: Checkpoint
    arrays: Arrays
    trees: list[Any]

    def restore(self, at: int, value: Any) -> None:
        """Set an object to the state that was written at this position. Raises TamperedModelError."""
        arrays = {name.removeprefix(f"{at}."): array for name, array in self.arrays.items()}
        try:
            restore(value, self.trees[at], arrays, self.checkpoint.part)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise TamperedModelError(
                f"the checkpoint in {self.checkpoint.folder} does not fit together ({type(error).__name__}: {error}). "
                "Remove the folder to begin anew."
            ) from error


def fingerprint(ratings: Ratings) -> str:
    """SHA-256 of ratings in their order, with labels and tables; of Blocks, of the checksums of their files."""
    digest = hashlib.sha256()
    if isinstance(ratings, Blocks):
        files = ratings.folder.manifest["files"]
        digest.update(repr(sorted((name, files[name]) for name in files if name.startswith("by_user."))).encode())
    else:
        for array in (ratings.user_codes, ratings.item_codes, ratings.values, ratings.weights, ratings.times):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).view(np.uint8).data)
    for vocabulary, table in (
        (ratings.user_vocabulary, ratings.user_table),
        (ratings.item_vocabulary, ratings.item_table),
    ):
        digest.update(repr(vocabulary.labels.tolist()).encode())
        tensors: Tensors = {}
        digest.update(repr(pack_table(table, "table", tensors)).encode())
        for name in sorted(tensors):
            digest.update(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
