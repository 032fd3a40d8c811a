"""What every field can do, and the field of a column that is left out.

A field is what a column becomes. It learns from one table, then encodes any table with the same columns. fields.py has
classes and numbers, dense.py texts and vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl


class Limits(NamedTuple):
    """How many rows a class or a word needs, and how many knots a continuous field may have."""

    min_rows: int = 2
    n_knots: int = 7


class Entries(NamedTuple):
    """The nonzero cells of one field (row, feature from 0 in the field, value), and the number of unknown values."""

    rows: NDArray[np.int64]
    features: NDArray[np.int64]
    values: NDArray[np.float64]
    n_unknown: int = 0


class Field(Protocol):
    """What a column or a group of columns becomes. Its text is a line of the report."""

    @property
    def name(self) -> str:
        """The column, or the name of the group."""

    @property
    def names(self) -> list[str]:
        """Names of its features."""

    @property
    def heading(self) -> str:
        """Name of the field in explanations."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns of the table that it reads."""

    def learned(self, table: pl.DataFrame, limits: Limits, /) -> Field:
        """The field with what it learns from a table; LeftOut if there is nothing to learn."""

    def encode(self, table: pl.DataFrame, /) -> Entries:
        """The cells of each row."""

    def column_from(self, rows: Sequence[Mapping[str, Any]], /) -> list[Any] | None:
        """The column of the field, from rows given as mappings."""


@dataclass(frozen=True)
class LeftOut:
    """A column without features, and why."""

    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"left out: {self.why}"

    @property
    def names(self) -> list[str]:
        """No feature names."""
        return []

    @property
    def heading(self) -> str:
        """Name of the field in explanations."""
        return self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The column of the table."""
        return (self.name,)

    def learned(self, _table: pl.DataFrame, _limits: Limits) -> Field:
        """The field itself: there is nothing to learn."""
        return self

    def encode(self, _table: pl.DataFrame) -> Entries:
        """No cells; the column may be missing."""
        return Entries(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def column_from(self, _rows: Sequence[Mapping[str, Any]]) -> list[Any] | None:
        """No column of values."""
        return None
