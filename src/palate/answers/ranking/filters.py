"""Which items a user may get: lists of labels, for all or for each user, and conditions on the item table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import frame_columns
from palate.answers.names import Names
from palate.answers.shapes import is_frame
from palate.data.rows import CompressedRows, take_rows
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.models.factors import Codes
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Lists:
    """A list of items for each of some people; whoever has none has an empty one."""

    rows: CompressedRows
    row_of: NDArray[np.int64]  # (m,) of everybody asked for

    def of(self, user_rows: slice) -> CompressedRows:
        """The lists of some of the people, one row each."""
        return take_rows(self.rows, self.row_of[user_rows])


def are_lists(given: Any) -> bool:
    """Whether items are given for each user: in a mapping or a frame."""
    return isinstance(given, Mapping) or is_frame(given)


def lists_of(model: Model, given: Any, user_rows: tuple[Any, Any] | None, option: str) -> Lists:
    """The lists of people from {user: [items]} or a frame of users and items. people: labels asked for, their codes.

    Lists of users who are not asked for say nothing here, whether or not the model knows these users. Raises
    UnknownLabelError for an item that the model does not know, and DataError for a frame without these columns.
    """
    vocabulary, what = model.user_vocabulary, model.item_vocabulary.what
    if user_rows is None:
        raise OptionError(f"{option} is a list of {what}s here: there is one {vocabulary.what} only.")
    users, items = _pairs(given, vocabulary, what, option)
    item_codes = Names.of_items(model).encode(items)
    listed, asked, n_rows = _rows(vocabulary, users, *user_rows)
    kept = listed < n_rows
    ones = np.ones(int(kept.sum()), np.float32)
    return Lists(CompressedRows.of(listed[kept], item_codes[kept], ones, None, n_rows + 1), asked)


def _rows(vocabulary: Vocabulary, users: Any, labels: Any, codes: Codes) -> tuple[Codes, NDArray[np.int64], int]:
    """The row of the user of each pair, that of each person asked for, and how many there are before the empty one.

    Known users stand at their codes; strangers who are asked for stand behind them; whoever else is in the empty row.
    """
    cold_start = codes < 0
    names = np.asarray(labels)[cold_start].tolist()
    place = {label: len(vocabulary) + at for at, label in enumerate(dict.fromkeys(names))}
    n_rows = len(vocabulary) + len(place)
    listed = vocabulary.encode(users, on_unknown="mark")
    for at in np.flatnonzero(listed < 0):
        listed[at] = place.get(users[at], n_rows)
    asked = codes.astype(np.int64)
    asked[cold_start] = [place[label] for label in names]
    return listed, asked, n_rows


def _pairs(given: Any, vocabulary: Vocabulary, what: str, option: str) -> tuple[Any, Any]:
    """Users and items, (n,) each."""
    if not isinstance(given, Mapping):
        users, items = frame_columns(given, [vocabulary.what, what], "")
        return users, items
    pairs = [(user, item) for user, listed in given.items() for item in _listed(listed, user, option)]
    return [user for user, _ in pairs], [item for _, item in pairs]


def _listed(items: Any, user: Any, option: str) -> Any:
    if isinstance(items, str | bytes) or not hasattr(items, "__iter__"):
        raise OptionError(f"{option}: {user!r} has {items!r}, where a list is expected; write [{items!r}].")
    return items


Mask = NDArray[np.bool_]

HELD = "where it holds"  # a column of its own for a moment
LONGEST = 200  # of a condition in an error


def allowed_rows(names: Names, table: pl.DataFrame | None, among: Any, exclude: Any, where: Any) -> Mask:
    """Which of a vocabulary are among some (None: all), not excluded, and meet a condition on their table, (n,)."""
    allowed = np.full(len(names.vocabulary), among is None)
    if among is not None:
        allowed[names.encode(among)] = True
    allowed[names.encode(exclude)] = False
    return allowed if where is None else allowed & where_mask(where, table, names.vocabulary)


def where_mask(where: Any, table: pl.DataFrame | None, vocabulary: Vocabulary) -> Mask:
    """Which rows of a table a condition holds for, (n,); where it cannot be told (null), it does not hold.

    where: a condition in SQL, such as "year >= 1990 AND genres LIKE '%Drama%'", or a polars expression. Nothing of it
    is run as Python. DataError for columns that are not there and for what is no condition.
    """
    import polars as pl

    what = vocabulary.what
    if table is None:
        raise DataError(f"where={where!r} needs a table of {what}s, and the model has none: fit on ratings with one.")
    condition = _condition(where)
    labels = pl.Series(what, vocabulary.labels.tolist(), dtype=pl.String if vocabulary.kind == "string" else pl.Int64)
    rows = table if what in table.columns else table.with_columns(labels)
    _check_columns(condition, rows.columns, where)
    try:
        held = rows.with_columns(condition.alias(HELD))[HELD]
    except pl.exceptions.PolarsError as error:
        raise DataError(f"where={_shown(where)} fails: {_first_line(error)}") from None
    if held.dtype not in (pl.Boolean, pl.Null):
        raise DataError(f"where={_shown(where)} gives {held.dtype}, not true or false: compare it with something.")
    mask: Mask = held.cast(pl.Boolean).fill_null(False).to_numpy()
    return mask.copy()


def _condition(where: Any) -> pl.Expr:
    import polars as pl

    if isinstance(where, pl.Expr):
        return where
    if not isinstance(where, str) or not where.strip():
        raise OptionError(f'where={where!r}: give a condition in SQL, such as "year >= 1990", or a polars expression.')
    try:
        return pl.sql_expr(where)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"where={_shown(where)} is no condition in SQL: {_first_line(error)}") from None


def _check_columns(condition: pl.Expr, columns: list[str], where: Any) -> None:
    for name in condition.meta.root_names():
        if name not in columns:
            raise DataError(
                f"where={_shown(where)}: there is no column {name!r}. The columns are "
                f"{', '.join(map(repr, columns))}; a text stands in single quotes: 'Drama'."
            )


def _shown(where: Any) -> str:
    text = repr(where) if isinstance(where, str) else f"({where})"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:LONGEST]
