"""What a text gives: which rows of a frame meet a condition, or a number for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.data.conditions.evaluating import value_of
from palate.data.conditions.parsing import MAX_SHOWN, parsed, shown
from palate.data.conditions.values import WORDS, constant, kind_of, plain
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl


def condition(text: str, frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows of a frame meet a condition in SQL, (n,). Rows for which it is missing do not.

    Only comparisons, AND, OR, NOT, arithmetic, LIKE, IN, BETWEEN, IS, CASE, regular expressions and the functions in
    NAMES are known. Raises DataError for text that is no such condition, or that does not suit the columns, and
    OptionError for text that is too long or nests too deep.
    """
    holds = _value_of(text, frame, "where")
    if kind_of(holds) not in ("boolean", "nothing"):
        raise DataError(f"where={shown(text)} gives {holds.dtype}, not true or false: compare it with something.")
    mask = _mask(holds)
    return np.broadcast_to(mask, frame.height).copy() if len(mask) == 1 else mask


def numbers(text: str, frame: pl.DataFrame, option: str) -> NDArray[np.float64]:
    """The number that an expression gives each row of a frame, (n,): nan if it is missing, 1 and 0 for true and false.

    The expression is the name of a column, or is made of what conditions are made of. option: what errors call it.
    Raises as condition().
    """
    import polars as pl

    found = plain(frame[text]) if text in frame.columns else _value_of(text, frame, option)
    if found.null_count() == len(found):
        return np.full(frame.height, np.nan)
    if kind_of(found) not in ("number", "boolean"):
        raise DataError(
            f"{option}={shown(text)} gives {WORDS[kind_of(found)]}, not a number or true or false: compare it with "
            "something, or CAST(... AS DOUBLE)."
        )
    values = np.array(found.cast(pl.Float64).to_numpy(), np.float64)
    return np.broadcast_to(values, frame.height).copy() if len(values) == 1 else values


def _value_of(text: str, frame: pl.DataFrame, option: str) -> pl.Series:
    """The value of a text on the rows of a frame. Its errors begin with the option and the text."""
    import polars as pl

    tree = parsed(text, option)
    try:
        return value_of(tree, frame)
    except DataError as error:
        raise DataError(f"{option}={shown(text)}: {str(error).rstrip('.')}.") from None
    except RecursionError:
        raise OptionError(f"{option}={shown(text)} nests too deep: write it with fewer brackets.") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"{option}={shown(text)} fails: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """The first line of an error, cut where it is long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:MAX_SHOWN]


def _mask(holds: pl.Series) -> NDArray[np.bool_]:
    """True where a series is true, not false or missing."""
    mask: NDArray[np.bool_] = holds.eq_missing(constant(True)).to_numpy()
    return mask.copy()
