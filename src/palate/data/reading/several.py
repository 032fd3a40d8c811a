"""Several: the parts of one source, or several sources that belong together, are read as the first of them was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from palate.errors import DataError, LabelTypeError

if TYPE_CHECKING:
    import polars as pl

N_SHOWN = 20  # names of columns in a message


@dataclass
class Layout:
    """The columns of the first source, which all others must have.

    Attributes:
        source (str): The first source.
        names (list of str): Its columns.
        at (dict): Field -> the position of its column.
        is_named (bool): Whether the columns have names of their own.
        kinds (dict): Field -> the kind of values in its column: text, number, True and False, date.
    """

    source: str
    names: list[str]
    at: dict[str, int]
    is_named: bool
    kinds: dict[str, str] = field(default_factory=dict)

    def positions(self, names: list[str], source: str, *, is_named: bool) -> dict[str, int]:
        """Field -> the position of its column in another source. Raises DataError if it has no such columns."""
        if names == self.names:
            return self.at
        if is_named != self.is_named or not is_named:
            raise DataError(
                f"{source} has {len(names)} columns {_told(is_named)}, and {self.source} has {len(self.names)} "
                f"{_told(self.is_named)}: write them alike, or read them one by one."
            )
        lacking = [self.names[at] for at in self.at.values() if names.count(self.names[at]) != 1]
        if lacking:
            shown = ", ".join(map(repr, names[:N_SHOWN]))
            raise DataError(
                f"{source} has no column {lacking[0]!r}, or several, and {self.source} has one. Its columns are "
                f"{shown}: give it the names of {self.source}."
            )
        return {name: names.index(self.names[at]) for name, at in self.at.items()}

    def check_kinds(self, frame: pl.DataFrame, source: str) -> None:
        """Take the kinds of the first values; raise DataError, for ids LabelTypeError, where later ones are others."""
        for name in frame.columns:
            kind = _kind(frame[name])
            if kind and self.kinds.setdefault(name, kind) != kind:
                error = LabelTypeError if name in ("user", "item") else DataError
                column = self.names[self.at[name]]
                raise error(
                    f"{source}: the column {column!r} holds {kind}s here, and {self.kinds[name]}s in what was read "
                    f"before ({self.source}): make it one type."
                )


def _told(is_named: bool) -> str:
    return "with names" if is_named else "without names"


def _kind(series: pl.Series) -> str:
    """The kind of a column's values; nothing if it has none."""
    import polars as pl

    kind = series.dtype
    if series.null_count() == len(series):
        return ""
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        return "text"
    return "number" if kind.is_numeric() else str(kind.base_type())
