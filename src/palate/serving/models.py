"""Models: those that are served, by name, which of them answers whom, and how one takes the place of another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from palate.data.vocabulary import Label
from palate.errors import OptionError
from palate.recommender import load
from palate.serving.problems import ProblemError
from palate.serving.served import Served, Stamp

DIGEST_LETTERS = 8  # of a file's digest, in a model's id


def load_served(path: Path) -> Served:
    """The model of a file. Raises ModelFileError."""
    while True:
        stamp, recommender = stamp_of(path), load(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if stamp is not None and stamp_of(path) == stamp:  # else the file was replaced between the two
            break
    learned = recommender.model.training.get("learned_up_to", 0)
    model_id = f"{path.stem}@{digest[:DIGEST_LETTERS]}"
    served = Served(recommender, path.stem, model_id, int(learned), stamp[0] / 1e9, path, stamp)
    served.warm()
    return served


def stamp_of(path: Path) -> Stamp | None:
    """What tells one file from the next one of the same name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class Models:
    """The models that are served. A user always gets the same one, while the shares stay the same.

    Parameters:
        served (list of Served): The first one answers everybody until shares are set.
    """

    def __init__(self, *served: Served) -> None:
        self._by_name = {one.name: one for one in served}
        self._shares = {served[0].name: 1.0}

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self._by_name.values()))

    @property
    def shares(self) -> dict[str, float]:
        """The share of users whom each model answers; they add up to 1."""
        return dict(self._shares)

    @property
    def learned_up_to(self) -> int:
        """The sequence number up to which every model has learned."""
        return min(one.learned_up_to for one in self._by_name.values())

    def named(self, name: str) -> Served:
        """The model of this name, which there is."""
        return self._by_name[name]

    def put(self, served: Served) -> None:
        """Let a model take the place of the one of the same name. Answers under way end with the old one."""
        self._by_name = self._by_name | {served.name: served}

    def share(self, shares: Mapping[str, float]) -> None:
        """Divide the users among models. Raises OptionError unless the models exist and the shares add up to 1."""
        missing = sorted(set(shares) - set(self._by_name))
        if missing:
            raise OptionError(f"no model is called {missing[0]!r}; there are {', '.join(sorted(self._by_name))}.")
        if abs(sum(shares.values()) - 1) > 1e-6 or min(shares.values()) < 0:
            raise OptionError(f"shares must be 0 or more and add up to 1, got {dict(shares)}.")
        self._shares = {name: share for name, share in shares.items() if share > 0}

    def of(self, user: Label | None = None, name: str | None = None) -> Served:
        """The model of this name, or else the one that answers this user. Raises ProblemError for an unknown name."""
        by_name, shares = self._by_name, self._shares
        if name is not None:
            if name not in by_name:
                raise ProblemError(404, f"No model is called {name!r}; there are {', '.join(sorted(by_name))}.")
            return by_name[name]
        if len(shares) == 1:
            return by_name[next(iter(shares))]
        place = _place_of(user)
        for model, share in shares.items():
            place -= share
            if place < 0:
                return by_name[model]
        return by_name[model]


def _place_of(user: Label | None) -> float:
    """A number between 0 and 1 that stays with a user."""
    digest = hashlib.blake2b(str(user).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
