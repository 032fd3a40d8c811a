"""The labels of one side on disk, with its table: an Arrow file with one row for each code."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.arrow_files import scan_arrow
from palate.data.blocks.folder import entry_of
from palate.data.vocabulary import Vocabulary, checked_labels
from palate.data.whole_files import reason, replacing
from palate.errors import BlocksError, PalateError

if TYPE_CHECKING:
    import polars as pl

LABEL = "label"  # the first column; those of the table follow, each after PREFIX
PREFIX = "table."


class StoredVocabulary(Vocabulary):
    """A vocabulary whose labels are read when they are first needed, so that opening takes no time."""

    def __init__(self, path: Path, what: str, kind: Literal["string", "integer"], n: int) -> None:
        self._path, self._kind, self._n, self.what = path, kind, n, what

    @cached_property
    def labels(self) -> NDArray[Any]:  # type: ignore[override]
        """The labels in the order of their codes, shape (n,)."""
        series = _read(self._path, [LABEL])[LABEL]
        array = series.to_numpy() if self._kind == "integer" else np.array(series.to_list(), dtype=object)
        try:
            labels = checked_labels(array, self.what)
        except PalateError as error:
            raise _damaged(self._path, error) from error
        labels.setflags(write=False)
        return labels

    def in_memory(self) -> Vocabulary:
        """The same labels, read; nothing is left to do with the file."""
        return Vocabulary.in_order(self.labels, what=self.what)

    @property
    def kind(self) -> Literal["string", "integer"]:
        """Type of the labels: "integer" or "string"."""
        return self._kind

    def __len__(self) -> int:
        return self._n


def series_of(vocabulary: Vocabulary) -> pl.Series:
    """The labels as a polars series."""
    import polars as pl

    kind = pl.Int64 if vocabulary.kind == "integer" else pl.String
    return pl.Series(LABEL, vocabulary.labels.tolist(), dtype=kind)


def write_labels(path: Path, labels: pl.Series, table: pl.DataFrame | None) -> dict[str, Any]:
    """Write the file; return its entry in the manifest."""
    frame = labels.alias(LABEL).to_frame()
    if table is not None:
        frame = frame.hstack(table.rename({name: PREFIX + name for name in table.columns}))
    with replacing(path, in_own_folder=True) as temporary:
        frame.write_ipc(temporary)
    return entry_of(path)


def label_at(path: Path, code: int) -> Any:
    """The label of one code."""
    return _read(path, [LABEL])[LABEL][code]


def labels_and_table(path: Path, what: str, n: int) -> tuple[Vocabulary, pl.DataFrame | None]:
    """The vocabulary of n labels, and the table, in a file. Raises BlocksError."""
    import polars as pl

    try:
        lazy = scan_arrow(path)
        schema = lazy.collect_schema()
        height = lazy.select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _damaged(path, error) from error
    if schema.get(LABEL) not in (pl.Int64, pl.String) or height != n:
        raise _damaged(path, f"it has no {n:,} labels")
    vocabulary = StoredVocabulary(path, what, "integer" if schema[LABEL] == pl.Int64 else "string", n)
    columns = [name for name in schema if name != LABEL]
    if not columns:
        return vocabulary, None
    table = _read(path, columns)
    return vocabulary, table.rename({name: name.removeprefix(PREFIX) for name in columns})


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    import polars as pl

    try:
        return scan_arrow(path).select(columns).collect()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException | str) -> BlocksError:
    why = error if isinstance(error, str) else reason(error)
    return BlocksError(f"cannot read {path}: {why}. Copy the folder again, or write it anew.")
