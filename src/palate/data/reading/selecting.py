"""Selecting: the rows of a source that meet a condition, read(where="verified = 'Y'"), before anything else is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.data.conditions import condition
from palate.data.native import distinct_names
from palate.data.reading.parsing import Rows
from palate.data.reading.tables import typed_column
from palate.errors import OptionError

if TYPE_CHECKING:
    import polars as pl


def check_where(where: Any, wide: bool | None) -> None:
    """Raise OptionError for a where= that makes no sense."""
    if where is None:
        return
    if not isinstance(where, str):
        raise OptionError(f"where must be a condition as text, such as where=\"verified = 'Y'\", got {where!r}.")
    if wide:
        raise OptionError("where= selects rows by their columns, which a wide table does not have; leave it out.")


@dataclass
class Selection:
    """A condition on the columns of a source.

    Attributes:
        where (str): The condition, in SQL.
        types (dict or None, default None): Name -> type of the columns of a text file, decided by its first rows.
    """

    where: str
    types: dict[str, pl.DataType] | None = None

    def columns(self, names: list[str]) -> list[int]:
        """The positions of the columns whose names stand in the condition; all, if none does."""
        text = self.where.lower()
        found = [at for at, name in enumerate(names) if name and name.lower() in text]
        return found or list(range(len(names)))

    def decide_types(self, names: list[str], sample: list[pl.Series]) -> None:
        """Take the types of a text file's columns from its first rows."""
        self.types = {
            name: typed_column(column).dtype for name, column in zip(distinct_names(names), sample, strict=True)
        }

    def rows(self, rows: Rows, names: list[str]) -> Rows:
        """The rows of a text file that meet the condition; those of another shape stay, to be counted as bad."""
        import polars as pl

        assert self.types is not None
        distinct = distinct_names(names)
        columns = [
            rows.frame.to_series(at).cast(self.types[distinct[at]], strict=False).alias(distinct[at])
            for at in self.columns(names)
        ]
        return self._kept(rows, pl.DataFrame(columns))

    def table_rows(self, rows: Rows, columns: dict[str, pl.Series]) -> Rows:
        """The rows of a table that meet the condition; columns are those that it names."""
        import polars as pl

        return self._kept(rows, pl.DataFrame(list(columns.values()), schema=list(columns)))

    def _kept(self, rows: Rows, columns: pl.DataFrame) -> Rows:
        import polars as pl

        kept = condition(self.where, columns) if columns.height else np.zeros(0, bool)
        kept[[row for row in rows.reasons if row < len(kept)]] = True
        places = np.flatnonzero(kept)
        new = {int(old): at for at, old in enumerate(places)}
        reasons = {new[row]: reason for row, reason in rows.reasons.items() if row in new}
        frame = rows.frame.filter(pl.Series(kept))
        return Rows(frame, lambda row: rows.where(int(places[row])), reasons, int((~kept).sum()))
