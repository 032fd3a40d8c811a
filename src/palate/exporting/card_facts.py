"""What is known of a model besides its quality: what the caller said, its file, its data, and the versions at work."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from palate import kernels
from palate.__version__ import __version__
from palate.data.datasets import available
from palate.errors import ModelFileError, OptionError
from palate.models.model import Model
from palate.recommender import Recommender

CHUNK = 1 << 20


@dataclass(frozen=True)
class Given:
    """What the caller of palate.card() said."""

    title: str | None = None
    use: str | None = None
    data: str | None = None
    licence: str | None = None
    split: str | None = None
    contact: str | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise OptionError(f"{one.name} must be a text, got {value!r}.")


@dataclass(frozen=True)
class FileFacts:
    """The file of a model: its name, without the folder, its size in bytes, and its SHA-256."""

    name: str
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileFacts:
        """Look at a file. Raise ModelFileError if it cannot be read."""
        digest, n_bytes = hashlib.sha256(), 0
        try:
            with Path(path).open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    n_bytes += len(chunk)
        except OSError as error:
            raise ModelFileError(f"{os.fspath(path)} cannot be read: {error.strerror}.") from error
        return cls(Path(path).name, n_bytes, digest.hexdigest())


@dataclass(frozen=True)
class Known:
    """What the sections of a card are made of. spelled: how the caller gives an option of a name."""

    rec: Recommender
    given: Given
    day: str
    file: FileFacts | None
    spelled: Callable[[str], str]

    @classmethod
    def of(
        cls, rec: Recommender, given: Given, day: str, file: FileFacts | None, spelled: Callable[[str], str]
    ) -> Known:
        """Put together what is known."""
        return cls(rec, given, day, file, spelled)

    @property
    def model(self) -> Model:
        """The model."""
        return self.rec.model

    @property
    def noun(self) -> str:
        """What its ratings are called."""
        return "choices" if self.model.kind == "implicit" else "ratings"

    @property
    def recipe(self) -> str:
        """The name of the recipe."""
        return str(self.model.recipe.get("name", "Model"))

    @property
    def n_ratings(self) -> int:
        """The number of ratings it learned from."""
        return len(self.model.history.indices)

    @property
    def title(self) -> str:
        """The title of the card."""
        return self.given.title or f"{self.recipe}, learned from {self.n_ratings:,} {self.noun}"

    def said(self, name: str) -> str:
        """What the caller said under this name, or that it is not known and how to say it."""
        return getattr(self.given, name) or self.unknown(name)

    def unknown(self, name: str) -> str:
        """That something is not known, and how to say it."""
        return f"not known: give it with {self.spelled(name)}"

    @property
    def licence(self) -> str:
        """The licence of the ratings, as given or as palate knows it of a public data set."""
        if self.given.licence:
            return self.given.licence
        known = {data_set.name: data_set.licence for data_set in available()}
        if self.given.data in known:
            return known[self.given.data]
        alike = [one.name for one in available() if (one.n_users, one.n_items) == (self.rec.n_users, self.rec.n_items)]
        if alike and self.given.data is None:
            size = f"{self.rec.n_users:,} users and {self.rec.n_items:,} items"
            return f"not stated. {alike[0]} has {size} too: if it is that, give {self.spelled('data')} {alike[0]}"
        return f"not stated: give it with {self.spelled('licence')}"


def versions_at_work() -> dict[str, str]:
    """The versions at work, by name."""
    return {
        "palate": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "kernels compiled for": f"{platform.machine()}, level {kernels.level()}",
        "system": platform.system(),
    }
