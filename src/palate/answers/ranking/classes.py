"""The classes of items: the values of a column of their table, several for an item whose text or list has several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.data.features.deciding import found_fields
from palate.data.features.fields import Classes
from palate.data.features.values import flags_of, is_not_text, parts_of
from palate.data.forking import check_threads
from palate.errors import DataError, OptionError
from palate.models.factors import Codes

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class ItemClasses:
    """The classes of all items as compressed rows."""

    indptr: NDArray[np.int64]  # (n_items + 2,); the last row, of no item, is empty
    classes: Codes  # of item i: classes[indptr[i] : indptr[i + 1]]
    n_classes: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of classes of each item, (n_items + 1,); that of no item is 0."""
        return np.diff(self.indptr)

    def pairs(self, items: Codes) -> tuple[NDArray[np.int64], Codes]:
        """Position among some items (n,), -1 for no item, and class, of every class of these items."""
        return pairs_of(self.indptr, self.classes, items)


def pairs_of(indptr: NDArray[np.int64], classes: Codes, items: Codes) -> tuple[NDArray[np.int64], Codes]:
    """Position among some items (n,), and class, of every class of these items; the arrays are those of ItemClasses."""
    counts = np.diff(indptr)[items]
    first = np.cumsum(counts) - counts
    rows = np.repeat(np.arange(len(items)), counts)
    return rows, classes[np.repeat(indptr[items] - first, counts) + np.arange(counts.sum())]


def item_classes(table: pl.DataFrame | None, name: str, option: str, what: str) -> ItemClasses:
    """The classes of a column. Values are split where the features of a fit would split them.

    option, what: what errors call the option, and the items. Raises DataError if there is no such column.
    """
    if not isinstance(name, str):
        raise OptionError(f"{option}: {name!r} is not the name of a column; write one, such as 'genres'.")
    check_threads(f"{option}=")
    if table is None:
        raise DataError(f"{option} needs a table of {what}s, and the model has none: fit on ratings with one.")
    rows, classes = _classes_of(table, name, option)
    indptr = np.zeros(table.height + 2, np.int64)
    np.cumsum(np.bincount(rows, minlength=table.height + 1), out=indptr[1:])
    return ItemClasses(indptr, classes, int(classes.max(initial=-1)) + 1)


def _classes_of(table: pl.DataFrame, name: str, option: str) -> tuple[NDArray[np.int64], Codes]:
    """Row and class of each value, row by row."""
    import polars as pl

    if name not in table.columns:
        return _flagged(table, name, option)
    decided = found_fields(table.select(name), ())[0]
    separator = decided.separator if isinstance(decided, Classes) else ""
    if not separator and is_not_text(table[name].dtype):
        raise DataError(
            f"{option}: the column {name!r} holds vectors or other values that are no classes; name one of texts, "
            "numbers, or lists of texts."
        )
    pairs = parts_of(table[name], separator).drop_nulls().unique().sort("row", "label")
    codes = pairs["label"].rank("dense").cast(pl.Int32) - 1
    return pairs["row"].to_numpy(), codes.to_numpy()


def _flagged(table: pl.DataFrame, name: str, option: str) -> tuple[NDArray[np.int64], Codes]:
    """Row and class for a group of columns of 0 and 1, such as genre_Action and genre_Comedy."""
    groups = [field for field in found_fields(table, ()) if isinstance(field, Classes) and field.columns]
    found = [field for field in groups if field.name == name]
    if not found:
        names = [*table.columns, *(field.name for field in groups)]
        raise DataError(f"{option}: there is no column {name!r}. The columns are {', '.join(map(repr, names))}.")
    rows, classes = np.nonzero(np.stack([flags_of(table[column]) for column in found[0].columns], axis=1))
    return rows, classes.astype(np.int32)
