"""Which items anybody may get: lists of labels, and conditions on the columns of the item table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

Mask = NDArray[np.bool_]

HELD = "where it holds"  # a column of its own for a moment
LONGEST = 200  # of a condition in an error


def allowed_rows(vocabulary: Vocabulary, table: pl.DataFrame | None, among: Any, exclude: Any, where: Any) -> Mask:
    """Which of a vocabulary are among some (None: all), not excluded, and meet a condition on their table, (n,)."""
    allowed = np.ones(len(vocabulary), bool) if among is None else np.zeros(len(vocabulary), bool)
    if among is not None:
        allowed[vocabulary.encode(among)] = True
    allowed[vocabulary.encode(exclude)] = False
    return allowed if where is None else allowed & where_mask(where, table, vocabulary)


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
