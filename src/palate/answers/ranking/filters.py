"""Which items a user may get: lists of labels, for all users or one for each, and conditions on the item table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import frame_columns
from palate.answers.frames import is_frame
from palate.answers.names import Names, OnUnknown
from palate.data.conditions import condition, first_line, numbers, shown
from palate.data.forking import check_threads
from palate.data.rows import CompressedRows, take_rows
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.models.factors import Codes
from palate.models.model import Model

if TYPE_CHECKING:
    import polars as pl

Mask = NDArray[np.bool_]

CONDITION = "where it holds"  # the name of a temporary column


# ---- a list of items for each user -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lists:
    """A list of items for each user of a query; empty for users without one."""

    rows: CompressedRows
    row_of: NDArray[np.int64]  # (m,) the row of each user of the query

    def of(self, users: slice) -> CompressedRows:
        """The lists of some users of the query, one row each."""
        return take_rows(self.rows, self.row_of[users])


def are_lists(given: Any) -> bool:
    """True for a mapping or a frame, which give items for each user."""
    return isinstance(given, Mapping) or is_frame(given)


def lists_of(
    model: Model, given: Any, users: tuple[Any, Any] | None, option: str, on_unknown: OnUnknown = "skip"
) -> Lists:
    """The lists in {user: [items]} or a frame of users and items. users: labels and codes of the query's users.

    Lists of other users are ignored, whether or not the model knows these users, and so are unknown items with
    on_unknown="skip". Raises UnknownLabelError as Names.labels does, and DataError for a frame without the two columns.
    """
    vocabulary, what = model.user_vocabulary, model.item_vocabulary.what
    if users is None:
        raise OptionError(f"{option} is a list of {what}s here: there is one {vocabulary.what} only.")
    listed_users, listed_items = _pairs(given, vocabulary, what, option)
    item_codes = Names.of_items(model).encode(listed_items, on_unknown)
    listed, row_of, n_rows = _rows(vocabulary, listed_users, *users)
    kept = (listed < n_rows) & (item_codes >= 0)
    ones = np.ones(int(kept.sum()), np.float32)
    return Lists(CompressedRows.of(listed[kept], item_codes[kept], ones, None, n_rows + 1), row_of)


def _rows(vocabulary: Vocabulary, listed_users: Any, labels: Any, codes: Codes) -> tuple[Codes, NDArray[np.int64], int]:
    """The row of each listed user, the row of each user of the query, and the number of rows.

    A known user's row is the user's code. Unknown users of the query have the rows after these. All other users share
    one more row, which stays empty.
    """
    is_unknown = codes < 0
    unknown = np.asarray(labels)[is_unknown].tolist()
    place = {label: len(vocabulary) + at for at, label in enumerate(dict.fromkeys(unknown))}
    n_rows = len(vocabulary) + len(place)
    listed = vocabulary.encode(listed_users, on_unknown="mark")
    for at in np.flatnonzero(listed < 0):
        listed[at] = place.get(listed_users[at], n_rows)
    row_of = codes.astype(np.int64)
    row_of[is_unknown] = [place[label] for label in unknown]
    return listed, row_of, n_rows


def _pairs(given: Any, vocabulary: Vocabulary, what: str, option: str) -> tuple[Any, Any]:
    """Users and items of the pairs, (n,) each."""
    if not isinstance(given, Mapping):
        users, items = frame_columns(given, [vocabulary.what, what], "")
        return users, items
    pairs = [(user, item) for user, listed in given.items() for item in _checked_list(listed, user, option)]
    return [user for user, _ in pairs], [item for _, item in pairs]


def _checked_list(items: Any, user: Any, option: str) -> Any:
    if isinstance(items, str | bytes) or not hasattr(items, "__iter__"):
        raise OptionError(f"{option}: {user!r} has {items!r}, where a list is expected; write [{items!r}].")
    return items


# ---- one mask for all users ------------------------------------------------------------------------------------------


def allowed_rows(
    names: Names, table: pl.DataFrame | None, among: Any, exclude: Any, where: Any, on_unknown: OnUnknown = "skip"
) -> Mask:
    """Which rows of a side are among some (None: all), are not excluded, and meet a condition on their table, (n,)."""
    allowed = np.full(len(names.vocabulary), among is None)
    if among is not None:
        allowed[names.known(among, on_unknown)] = True
    allowed[names.known(exclude, on_unknown)] = False
    return allowed if where is None else allowed & where_mask(where, table, names.vocabulary)


def where_mask(where: Any, table: pl.DataFrame | None, vocabulary: Vocabulary) -> Mask:
    """Which rows of a table meet a condition, (n,). A row where the condition is null does not meet it.

    where: a condition in SQL, such as "year >= 1990 AND genres LIKE '%Drama%'", or a polars expression. Text may come
    from anybody; an expression is a program of the caller's. Raises DataError for missing columns and for text that
    is no condition, and OptionError for text beyond the limits of conditions.
    """
    _check_kind(where)
    rows = _labelled(table, vocabulary, f"where={shown(where)}")
    return condition(where, rows) if isinstance(where, str) else _expression_mask(where, rows)


def boosts_of(
    given: list[tuple[Any, float]], table: pl.DataFrame | None, vocabulary: Vocabulary
) -> list[tuple[float, NDArray[np.float64]]]:
    """How much each boost counts, and its value for each row of a table, (n,); nan where it is missing.

    given: columns, expressions in SQL or polars expressions, with how much each counts. Raises as where_mask().
    """
    found = []
    for boost, strength in given:
        rows = _labelled(table, vocabulary, f"boost={shown(boost)}")
        if isinstance(boost, str):
            found.append((strength, numbers(boost, rows, "boost")))
        else:
            found.append((strength, _expression_numbers(boost, rows)))
    return found


def _labelled(table: pl.DataFrame | None, vocabulary: Vocabulary, option: str) -> pl.DataFrame:
    """A table with a column of the labels. Raises DataError that names the option if there is no table."""
    import polars as pl

    what = vocabulary.what
    if table is None:
        raise DataError(f"{option} needs a table of {what}s, and the model has none: fit on ratings with one.")
    labels = pl.Series(what, vocabulary.labels.tolist(), dtype=pl.String if vocabulary.kind == "string" else pl.Int64)
    return table if what in table.columns else table.hstack([labels])


def _check_kind(where: Any) -> None:
    import polars as pl

    if not isinstance(where, pl.Expr) and (not isinstance(where, str) or not where.strip()):
        raise OptionError(f'where={where!r}: give a condition in SQL, such as "year >= 1990", or a polars expression.')


def _expression_mask(where: pl.Expr, rows: pl.DataFrame) -> Mask:
    """Which rows meet a polars expression, (n,)."""
    import polars as pl

    holds = _expression_values(where, rows, "where")
    if holds.dtype not in (pl.Boolean, pl.Null):
        raise DataError(f"where={shown(where)} gives {holds.dtype}, not true or false: compare it with something.")
    mask: Mask = holds.cast(pl.Boolean).fill_null(False).to_numpy()
    return mask.copy()


def _expression_numbers(boost: pl.Expr, rows: pl.DataFrame) -> NDArray[np.float64]:
    """The number that a polars expression gives each row, (n,); nan where it is missing."""
    import polars as pl

    found = _expression_values(boost, rows, "boost")
    if not found.dtype.is_numeric() and found.dtype not in (pl.Boolean, pl.Null):
        raise DataError(f"boost={shown(boost)} gives {found.dtype}, not a number or true or false.")
    return np.array(found.cast(pl.Float64).to_numpy(), np.float64)


def _expression_values(expression: pl.Expr, rows: pl.DataFrame, option: str) -> pl.Series:
    """The values of a polars expression, one for each row. option: what errors call it."""
    import polars as pl
    import polars.selectors as cs

    check_threads(f"a polars expression in {option}=")
    try:
        _check_columns(expression, rows.columns, option)
        return rows.with_columns(cs.float().fill_nan(None)).with_columns(expression.alias(CONDITION))[CONDITION]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"{option}={shown(expression)} fails: {first_line(error)}") from None


def _check_columns(expression: pl.Expr, columns: list[str], option: str) -> None:
    for name in expression.meta.root_names():
        if name not in columns:
            raise DataError(
                f"{option}={shown(expression)}: there is no column {name!r}. The columns are "
                f"{', '.join(map(repr, columns))}; a text stands in single quotes: 'Drama'."
            )
