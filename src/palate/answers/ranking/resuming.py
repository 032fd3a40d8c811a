"""Going on after a kill: the blocks that are done lie in a folder beside the file that is to be.

The folder `<out>.parts` holds manifest.json, which says of which model, people and options they are the answer, and one
file of codes and scores for each block. The file itself is made from them in one go, so that it is the same whether or
not there was a kill. A part that was torn is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palate.answers.ranking.queries import Query
from palate.errors import DataError, OptionError
from palate.models.factors import Codes, Floats
from palate.models.model import Model

MANIFEST = "manifest.json"
SAID = {  # what an entry of the manifest that is another one now is called in an error
    "model": "another model",
    "people": "other users",
    "allowed": "other items (items, exclude or where)",
    "lists": "other lists of items for users",
    "limits": "another max_per",
}


@dataclass(frozen=True)
class Parts:
    """The blocks of one run that are done."""

    folder: Path

    @classmethod
    def beside(cls, path: Path) -> Parts:
        """Those of the file to be."""
        return cls(path.with_name(path.name + ".parts"))

    def begin(self, manifest: dict[str, Any]) -> int:
        """Make the folder, or go on with the one there is; the size of its blocks.

        OptionError where what lies there is the answer to another question.
        """
        there = self._manifest()
        if there is None:
            self.folder.mkdir(exist_ok=True)
            _write_whole(self.folder / MANIFEST, json.dumps(manifest, indent=1).encode())
            return int(manifest["block"])
        for name, value in manifest.items():
            if name != "block" and there.get(name) != value:
                was_other = SAID.get(name, f"{name}={there.get(name)!r}, which is {value!r} now")
                raise OptionError(
                    f"{self.folder} was begun with {was_other}: ask as before, or leave out resume=True (the CLI's "
                    f"--resume) to begin anew."
                )
        if there["block"] > manifest["block"]:
            raise OptionError(
                f"{self.folder} was begun in blocks of {there['block']:,} users, and memory= has room for "
                f"{manifest['block']:,} now: give it as much as then, or begin anew without resume=True."
            )
        return int(there["block"])

    def _manifest(self) -> dict[str, Any] | None:
        """What the folder says of itself; None where it says nothing, and its parts are therefore nobody's."""
        try:
            there = json.loads((self.folder / MANIFEST).read_bytes())
        except (OSError, ValueError):
            self.clear()
            return None
        whole = isinstance(there, dict) and isinstance(there.get("block"), int) and there["block"] > 0
        if not whole:
            self.clear()
        return there if whole else None

    def get(self, at: int, n_people: int, query: Query) -> tuple[Codes, Floats] | None:
        """Codes and scores of a block, or None where they are not there or not whole.

        DataError for a whole one that cannot be an answer to the question: somebody else wrote it.
        """
        try:
            with np.load(self._part(at), allow_pickle=False) as part:
                codes, scores = part["codes"], part["scores"]
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        fits = codes.shape == scores.shape == (n_people, query.n)
        if not fits or codes.dtype != np.int32 or scores.dtype != np.float32:
            return None
        if odd := _odd_in(codes, scores, query):
            raise DataError(
                f"{self._part(at)} {odd}, so it is none of what this run has made. Remove that file to have its part "
                "made again, or leave out resume=True (the CLI's --resume) to begin anew."
            )
        return codes, scores

    def put(self, at: int, codes: Codes, scores: Floats) -> None:
        """Keep a block; it is there as a whole or not at all."""
        beside = self._part(at).with_suffix(".new")
        with beside.open("wb") as stream:
            np.savez(stream, codes=codes, scores=scores)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self._part(at))

    def _part(self, at: int) -> Path:
        return self.folder / f"{at:08}.npz"

    def clear(self) -> None:
        """Nothing is kept any more. What others have put into the folder stays, and the folder with it."""
        names = {MANIFEST, str(Path(MANIFEST).with_suffix(".new"))}
        for found in [*self.folder.glob("*.npz"), *self.folder.glob("*.new"), *self.folder.glob("*.json")]:
            if found.name in names or re.fullmatch(r"\d{8}", found.stem):
                found.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()


def _odd_in(codes: Codes, scores: Floats, query: Query) -> str:
    """What cannot be right in a part, in words; empty for one that may be."""
    known = codes[codes != -1]
    n_items = len(query.allowed)
    if ((known < 0) | (known >= n_items)).any():
        return f"has items {known.min()} to {known.max()} of a catalogue that ends at {n_items - 1}"
    if not query.allowed[known].all():
        return "has items that nobody may get"
    return "has scores that are no numbers" if np.isnan(scores[codes != -1]).any() else ""


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def manifest_of(model: Model, query: Query, labels: Any, block: int) -> dict[str, Any]:
    """Of which model, people and options blocks of this size are the answer."""
    learned = (model.factors, model.history, model.score_limits)
    score_variance = None
    if query.by != "mean":
        unknown = None if model.effects is None else model.effects.unknown_variance
        score_variance = (model.posterior, model.noise, model.user_noise, model.item_noise, unknown)
    plain = {name: getattr(query, name) for name in ("n", "keep_seen", "by", "z", "seed", "at_least")}
    return {
        "model": digest_of(learned, score_variance, model.item_vocabulary.labels),
        "people": digest_of(labels),
        "allowed": digest_of(query.allowed),
        "lists": digest_of(query.only, query.never),
        "limits": digest_of(query.limits),
        **plain,
        "index": None if query.index is None else f"{query.index.n_probes} of {query.index.n_cells} cells",
        "block": block,
    }


def digest_of(*values: Any) -> str:
    """BLAKE2 of nested values: arrays, numbers, texts, and dataclasses and sequences of them."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, values)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        digest.update(repr(value.tolist()).encode("utf-8", "surrogatepass"))
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif is_dataclass(value):
        digest.update(type(value).__name__.encode())
        _feed(digest, [getattr(value, field.name) for field in fields(value)])
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for one in value:
            _feed(digest, one)
    elif isinstance(value, dict):
        _feed(digest, [*value, *value.values()])
    else:
        assert value is None or isinstance(value, str | int | float | np.generic), f"no digest of {type(value)}"
        digest.update(repr(value).encode())
