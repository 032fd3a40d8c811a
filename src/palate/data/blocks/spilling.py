"""Spilling: coded rows go onto the disk as they are read, and the labels of their codes beside them.

Rows lie in parts, in the order of the source. The codes of a part are provisional: positions in a table of labels, in
order of appearance. A table that has become large is put down, and a new one is begun; so memory is bounded, and a
label may be in several tables. `vocabularies.py` makes final codes of all.

    part.00012           the rows, as records
    part.00012.user      the labels of users that its table gained with this part
    part.00012.item      the same of items
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from palate.data.arrow_files import scan_arrow
from palate.data.blocks.folder import write_all
from palate.data.blocks.sorting import fields_of, packed, record_of
from palate.data.reading.coding import Labels
from palate.data.reading.duplicates import Columns

MOST_LABELS = 1 << 21  # in a table: 300 MB of texts at most
ROWS_AT_ONCE = 1 << 20  # that are read back together
SIDES = ("user", "item")
LABEL = "label"


@dataclass(frozen=True)
class Part:
    """Rows on disk.

    Attributes:
        n_rows (int): How many.
        tables (dict): user, item -> number of the table that the codes are positions in.
    """

    n_rows: int
    tables: dict[str, int]


@dataclass
class Spill:
    """The parts of rows in a folder. `add` takes what a Collector has encoded with `labels`.

    Attributes:
        folder (Path): Where they lie.
        labels (dict): user, item -> the table that is in use.
        told (callable): Gets the number of rows that were added.
    """

    folder: Path
    told: Callable[[int], None] = field(default=lambda _: None)
    labels: dict[str, Labels] = field(default_factory=lambda: {side: Labels(side) for side in SIDES})
    parts: list[Part] = field(default_factory=list)
    has: dict[str, bool] | None = None  # whether there are weights and times
    _tables: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    _written: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    _file: BinaryIO | None = None
    _n: int = 0

    def add(self, rows: Columns) -> None:
        """Add rows of the same fields as those before."""
        if self.has is None:
            self.has = {"weights": rows.weights is not None, "times": rows.times is not None}
        if len(rows.users) == 0:
            return
        if self._file is None:
            self._file = self._path(len(self.parts)).open("wb", buffering=0)
        write_all(self._file, packed(rows, record_of(**self.has)).data.cast("B"))
        self._n += len(rows.users)
        self.told(len(rows.users))
        if any(len(labels.code_of) > MOST_LABELS for labels in self.labels.values()):
            self.end_part()
            self._put_down()

    def _put_down(self) -> None:
        """Begin new tables in place of large ones."""
        for side, labels in self.labels.items():
            if len(labels.code_of) > MOST_LABELS:
                labels.clear()
                self._tables[side] += 1
                self._written[side] = 0

    def end_part(self) -> None:
        """Write what is not on the disk yet; the rows from here on are another part."""
        if self._file is None:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        for side, labels in self.labels.items():
            new = list(islice(labels.code_of, self._written[side], None))
            _write_labels(self._path(len(self.parts), side), new, labels.kind)
            self._written[side] += len(new)
        self.parts.append(Part(self._n, dict(self._tables)))
        self._file, self._n = None, 0

    def close(self) -> None:
        """Close what is open; rows since the last part are lost."""
        if self._file is not None:
            self._file.close()
            self._file, self._n = None, 0

    @property
    def n_rows(self) -> int:
        """Rows in all parts."""
        return sum(part.n_rows for part in self.parts) + self._n

    @property
    def state(self) -> dict[str, Any]:
        """What `resume` needs, fit for JSON. Only whole parts are in it."""
        kinds = {side: labels.kind for side, labels in self.labels.items()}
        before = {side: labels.n_before for side, labels in self.labels.items()}
        parts = [asdict(part) for part in self.parts]
        return {"parts": parts, "has": self.has, "kinds": kinds, "n_before": before, "tables": self._tables}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on behind the parts of a state. Labels are read again."""
        self.parts = [Part(**part) for part in state["parts"]]
        self.has, self._tables = state["has"], state["tables"]
        for side, labels in self.labels.items():
            labels.kind, labels.n_before = state["kinds"][side], state["n_before"][side]
            known = self._labels_of(side, self._tables[side])
            labels.code_of = dict(zip(known, range(len(known)), strict=True))
            self._written[side] = len(known)

    def _labels_of(self, side: str, table: int) -> list[Any]:
        return [label for path in self.label_files(side).get(table, ()) for label in read_labels(path).to_list()]

    def label_files(self, side: str) -> dict[int, list[Path]]:
        """Number of a table -> the files of its labels, in the order of their codes."""
        files: dict[int, list[Path]] = {}
        for number, part in enumerate(self.parts):
            files.setdefault(part.tables[side], []).append(self._path(number, side))
        return files

    def rows(self) -> Iterator[tuple[Part, Columns]]:
        """All rows in the order of the source, some at a time, with provisional codes."""
        record = record_of(**(self.has or {"weights": False, "times": False}))
        for number, part in enumerate(self.parts):
            with self._path(number).open("rb") as file:
                while len(records := np.fromfile(file, record, ROWS_AT_ONCE)):
                    yield part, fields_of(records)

    def remove(self) -> None:
        """Remove all parts."""
        for number in range(len(self.parts)):
            for path in (self._path(number), *(self._path(number, side) for side in SIDES)):
                path.unlink(missing_ok=True)

    def _path(self, number: int, side: str = "") -> Path:
        return self.folder / (f"part.{number:05d}" + (f".{side}" if side else ""))


def _write_labels(path: Path, labels: list[Any], kind: str) -> None:
    import polars as pl

    pl.DataFrame({LABEL: pl.Series(labels, dtype=pl.Int64 if kind == "integer" else pl.String)}).write_ipc(path)


def read_labels(path: Path) -> Any:
    """The labels in a file, as a polars series."""
    return scan_arrow(path).collect()[LABEL]
