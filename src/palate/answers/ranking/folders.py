"""The folder of recommend(out="lists/"), or an address: lists for everybody in Parquet files, and a manifest.

    manifest.json         what the lists are of (digests of the model, the users and the options), and each part that is
                          done: its users, rows, bytes and CRC-32
    part-00017.parquet    the lists of the users of this part

Which users a part has depends on n alone. A part appears whole or not at all, then the manifest names it, so a run that
was killed goes on with the parts that the manifest lacks, and the files are the same as without the kill.
Parts may be made by the workers of a cluster; the manifest is written by the process that called recommend().
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from palate import storing
from palate.__version__ import __version__
from palate.answers.ranking.files import (
    MANIFEST,
    WRITERS,
    check_same,
    digest_of,
    manifest_of,
)
from palate.answers.ranking.index import ItemIndex
from palate.answers.ranking.memory import users_at_once
from palate.answers.ranking.places import Place, place_of
from palate.answers.ranking.queries import Query, RecommendOptions, query_of
from palate.answers.ranking.recommending import FrameMaker, ranked
from palate.answers.recent import asked, seen_by
from palate.data.addresses import is_url
from palate.data.forking import check_threads
from palate.distributed.exchange import Exchange, Local, connected
from palate.errors import ClusterError, OptionError
from palate.models.factors import Codes
from palate.models.model import Model
from palate.options import check_is_path

ROWS_A_PART = 1 << 18  # at most, of lists that are full
FORMAT = 1
PART = re.compile(r"part-\d{5,}\.parquet")
UNFINISHED = re.compile(r"\.{1,2}(part-\d{5,}\.parquet|manifest\.json|model\.palate)(\.[0-9a-f]+){3}\.tmp")
Task = tuple[str, int, int]  # a part: its name, its first user, and the one after its last
MODEL = ".model.palate"  # for workers, while a run lasts


def is_folder(out: Any) -> bool:
    """Whether `out` names a folder: it ends with a slash, or there is one. Raises OptionError for a file elsewhere."""
    if out is None:
        return False
    check_is_path(out=out)
    text = os.fspath(out) if isinstance(out, os.PathLike) else str(out)
    if is_url(text) and not text.endswith("/"):
        raise OptionError(
            f"out={text!r}: an address gets lists as a folder of files: end it with a slash, {text + '/'!r}."
        )
    is_file = Path(text).suffix in WRITERS
    return text.endswith(("/", os.sep)) or (not is_file and "\0" not in text and Path(text).is_dir())


@dataclass(frozen=True)
class Users:
    """Whom lists are for: labels and codes, (m,) each."""

    labels: NDArray[Any]
    codes: Codes


@dataclass(frozen=True)
class Lists:
    """What a worker needs to make parts at a place."""

    place: Place
    users: Users
    model: Model
    query: Query
    block: int  # users that are ranked at once
    is_recent: bool  # whether recent= weighs what the users chose

    @classmethod
    def of(cls, place: Place, users: Users, model: Model, options: RecommendOptions, index: ItemIndex | None) -> Lists:
        """Prepare the query, once for all parts."""
        query = query_of(model, options, (users.labels, users.codes), index=index)
        block = min(users_at_once(model, query, users.codes, options.memory), users_a_part(query.n))
        is_recent = options.recent is not None
        return cls(place, users, asked(model, options.recent) if is_recent else model, query, block, is_recent)

    def make(self, name: str, first: int, last: int) -> dict[str, Any]:
        """Write the lists of the users from first to last (exclusive); return the entry of the part in the manifest."""
        import polars as pl

        check_threads("out=")
        frames = FrameMaker(self.model, self.users.labels)
        made = []
        for start in range(first, max(last, first + 1), self.block):  # also nobody gets a frame
            rows = slice(start, min(start + self.block, last))
            user_rows = self.model.user_rows(self.users.codes[rows])
            user_rows = seen_by(self.model, user_rows) if self.is_recent else user_rows
            made.append(frames.make(rows, *ranked(self.model, user_rows, self.query, rows)))
        frame, told = pl.concat(made, rechunk=True), dict[str, int]()
        with self.place.writing(name, told) as path:
            frame.write_parquet(path)
        return {"users": [first, last], "rows": frame.height, **told}


@dataclass(frozen=True)
class StoredLists:
    """The same for a worker in another process: the model in a file. digest: of the model and the options."""

    place: Place
    users: Users
    options: RecommendOptions
    digest: str
    block: int

    def make(self, name: str, first: int, last: int) -> dict[str, Any]:
        """As Lists.make."""
        if self.digest not in _opened:
            _opened.clear()
            lists = Lists.of(self.place, self.users, self._model(), self.options, None)
            _opened[self.digest] = replace(lists, block=self.block)
        return _opened[self.digest].make(name, first, last)

    def _model(self) -> Model:
        with self.place.local(MODEL) as path:
            if path is not None:
                return storing.load(path)
        raise ClusterError(
            f"the worker on {socket.gethostname()} does not see {self.place}, where the lists go: give a folder "
            "that all nodes see under the same path."
        )


_opened: dict[str, Lists] = {}  # what this worker has made parts of last, by its digest


def make_part(name: str, first: int, last: int, lists: Lists | StoredLists) -> tuple[str, dict[str, Any]]:
    """The task of a worker: one part. Its name, and its entry in the manifest."""
    return name, lists.make(name, first, last)


def recommend_into(model: Model, users: Users, options: RecommendOptions, index: ItemIndex | None) -> Path | str:
    """Write the lists of users to a place, part by part; parts that an earlier run has made stay. Returns its path.

    Raises OptionError if the place has lists of another model or other options, and overwrite is not given.
    """
    place = place_of(options.out)
    if index is not None and options.on is not None:
        raise OptionError('index="ann" is built where it is used: leave it out, or leave on= out.')
    lists = Lists.of(place, users, model, options, index)
    with place.held():
        manifest = Manifest.begin(place, _about(lists), lists.block, overwrite=options.overwrite)
        tasks = manifest.missing(len(users.codes), users_a_part(lists.query.n))
        lists = replace(lists, block=manifest.block)
        with connected(options.on) as workers:
            if workers is None:
                _make(manifest, tasks, Local(), lists)
                return place.path
            try:
                _make(manifest, tasks, workers, _stored(model, lists, options, manifest))
            finally:
                place.remove(MODEL)
    return place.path


def _make(manifest: Manifest, tasks: Iterator[Task], exchange: Exchange, work: Lists | StoredLists) -> None:
    for name, entry in exchange.map(make_part, tasks, exchange.put(work)):
        manifest.add(name, entry)


def _stored(model: Model, lists: Lists, options: RecommendOptions, manifest: Manifest) -> StoredLists:
    """Write the model to where workers find it; what they need besides."""
    with lists.place.writing(MODEL) as path:
        storing.save(model, path)
    plain = replace(options, out=None, on=None, overwrite=False, resume=False)
    place = lists.place.absolute()
    digest = digest_of(str(place), manifest.about, manifest.block)
    return StoredLists(place, lists.users, plain, digest, manifest.block)


def users_a_part(n: int) -> int:
    """How many users make one part, of n items each."""
    return max(1, ROWS_A_PART // max(n, 1))


def _about(lists: Lists) -> dict[str, Any]:
    """What identifies a run: digests of model, users and options, and which users a part has."""
    about = manifest_of(lists.model, lists.query, lists.users.labels, lists.block)
    del about["block"]
    return about | {"n_users": len(lists.users.codes), "users_a_part": users_a_part(lists.query.n)}


@dataclass
class Manifest:
    """The manifest of a place: what its lists are of, and the parts that are done, by name."""

    place: Place
    about: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    block: int  # users that are ranked at once, in all parts: scores may differ in their last bits otherwise

    @classmethod
    def begin(cls, place: Place, about: dict[str, Any], block: int, *, overwrite: bool) -> Manifest:
        """Go on with the parts that are there, or begin anew. Raises OptionError if they are of other lists."""
        try:
            return cls(place, about, *_done_in(place, about, block))
        except OptionError:
            if not overwrite:
                raise
        for name in place.names():
            if name == MANIFEST or PART.fullmatch(name) or UNFINISHED.fullmatch(name):
                place.remove(name)
        return cls(place, about, {}, block)

    def missing(self, n_users: int, at_once: int) -> Iterator[Task]:
        """Yield the parts that are still to make: name, first user, last user (exclusive)."""
        self._write()
        for at, first in enumerate(range(0, max(n_users, 1), at_once)):
            name = f"part-{at:05}.parquet"
            if name not in self.parts:
                yield name, first, min(first + at_once, n_users)

    def add(self, name: str, entry: dict[str, Any]) -> None:
        """A part is done."""
        self.parts[name] = entry
        self._write()

    def _write(self) -> None:
        content = {"format": FORMAT, "palate": __version__, **self.about, "block": self.block}
        content["parts"] = dict(sorted(self.parts.items()))
        with self.place.writing(MANIFEST) as path:
            path.write_bytes(json.dumps(content, indent=1).encode())


def _done_in(place: Place, about: dict[str, Any], block: int) -> tuple[dict[str, dict[str, Any]], int]:
    """The whole parts that the manifest of a place names, and its block; none without a manifest.

    Raises OptionError if they are of other lists, or were made with more memory.
    """
    advice = "give another folder, or overwrite=True to replace them."
    try:
        content = place.read(MANIFEST)
    except FileNotFoundError:
        if any(map(PART.fullmatch, place.names())):
            raise OptionError(f"{place} has parts of lists and no {MANIFEST}: {advice}") from None
        return {}, block
    try:
        earlier = json.loads(content)
        parts, former = dict(earlier["parts"]), int(earlier["block"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OptionError(f"{place} has a {MANIFEST} that is none of lists ({error}): {advice}") from error
    check_same(earlier, about, f"{place} has lists", advice)
    if not 0 < former <= block:
        raise OptionError(
            f"{place} was begun in blocks of {former:,} users, and memory= has room for {block:,} now: give it as "
            f"much as then, {advice}"
        )
    done = {name: part for name, part in parts.items() if PART.fullmatch(name) and place.is_whole(name, part)}
    return done, former
