"""Answers as frames and files: labels by code in one go, blocks into a file as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import titles
from palate.data.vocabulary import Vocabulary
from palate.errors import OptionError
from palate.models.factors import Codes, Floats
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

WRITERS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson"}


@dataclass(frozen=True)
class Answers:
    """Makes frames of codes and scores: user, item, (title,) score, rank. labels: of all users, None for one."""

    model: Model
    labels: NDArray[Any] | None

    def frame(self, rows: slice, codes: Codes, scores: Floats) -> pl.DataFrame:
        """The answer of some of the people, best first; a code of -1 is no answer."""
        import polars as pl

        there = codes >= 0
        columns = {} if self.labels is None else {self._whose: self._users(self.labels[rows], there)}
        flat = codes[there]
        columns |= {name: column.gather(flat) for name, column in self._items.items()}
        columns["score"] = pl.Series(scores[there].astype(np.float32, copy=False))
        ranks = np.broadcast_to(np.arange(1, codes.shape[1] + 1, dtype=np.int32), codes.shape)
        return pl.DataFrame(columns | {"rank": pl.Series(ranks[there])})

    @property
    def _whose(self) -> str:
        return self.model.user_vocabulary.what

    def _users(self, labels: NDArray[Any], there: NDArray[np.bool_]) -> pl.Series:
        users = series_of_labels(labels, self._whose)
        return users.gather(np.repeat(np.arange(len(labels)), there.sum(axis=1)))

    @cached_property
    def _items(self) -> dict[str, pl.Series]:
        """The columns that tell what an item is, by code."""
        return label_columns(self.model.item_vocabulary, self.model.item_table)


def label_columns(vocabulary: Vocabulary, table: pl.DataFrame | None) -> dict[str, pl.Series]:
    """Label and, where there is one, title of each code, (n,) each."""
    import polars as pl

    names = titles(table)
    columns = {vocabulary.what: series_of_labels(vocabulary.labels, vocabulary.what)}
    return columns if names is None else columns | {"title": pl.Series("title", names, dtype=pl.String)}


def series_of_labels(labels: NDArray[Any], what: str) -> pl.Series:
    """Labels, strings or integers, as a column."""
    import polars as pl

    return pl.Series(what, labels.tolist(), dtype=pl.String) if labels.dtype.kind == "O" else pl.Series(what, labels)


def check_place(out: Any) -> Path:
    """The path of a file that answers can go into. OptionError for another ending, or for what is no regular file."""
    path = Path(out)
    if path.suffix not in WRITERS:
        raise OptionError(f"out={str(path)!r}: the ending must be one of {', '.join(WRITERS)}.")
    if path.exists() and not path.is_file():
        raise OptionError(f"out={str(path)!r} is there and is no regular file.")
    return path


def write(blocks: Iterator[pl.DataFrame], path: Path) -> Path:
    """Blocks into one file as they come, through polars' streaming writers; written beside and renamed."""
    from polars.io.plugins import register_io_source

    first = next(blocks)

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        yield first
        yield from blocks

    beside = path.with_name(path.name + ".part")
    try:
        getattr(register_io_source(source, schema=first.schema), WRITERS[path.suffix])(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path
