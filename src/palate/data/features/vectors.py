"""Vectors in a column: lists or arrays of numbers, or texts such as "[0.1, -0.2]", all of one length.

A missing vector is a null, an empty list, one with a missing number in it, or one of zeros only: it has no direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

NUMBERS_IN_BRACKETS = r"^\s*\[(?:[\s,;0-9eE.+\-]|(?i:nan|null|none))*\]\s*$"  # a vector as text ...
HAS_POINT = r"[0-9]\.|\.[0-9]|[0-9][eE]-"  # ... with decimals in it: [3, 7] may be a list of ids
ONE_NUMBER = r"[^\s,;\[\]]+"
NUMBERS_AT_ONCE = 4_000_000


class Vectors(NamedTuple):
    """Rows: directions of length 1 (n, m), lengths (n,), 0 if missing; and which have a missing number (n,)."""

    directions: NDArray[np.float64]
    lengths: NDArray[np.float64]
    incomplete: NDArray[np.bool_]


def are_vectors(series: pl.Series) -> bool:
    """True for a column of vectors, of one length or not.

    Lists of decimals are vectors. Lists of whole numbers are vectors only if all have one length, 2 or more, and there
    is a negative number or most have a number twice: else they may be lists of ids.
    """
    import polars as pl

    if series.dtype == pl.String:
        texts = series.drop_nulls().str.strip_chars()
        texts = texts.filter(texts != "")
        are_numbers = len(texts) > 0 and texts.str.contains(NUMBERS_IN_BRACKETS).all()
        return bool(are_numbers and texts.str.contains(HAS_POINT).any())
    if not isinstance(series.dtype, pl.List | pl.Array):
        return False
    inner = series.dtype.inner
    if inner.is_float() or inner.is_decimal():
        return True
    if not inner.is_integer():
        return False
    lists = _as_lists(series).drop_nulls()
    if lists.list.len().n_unique() != 1 or lists.list.len().max() < 2:  # type: ignore[operator]
        return False
    repeats = lists.list.n_unique() < lists.list.len()
    return bool(2 * repeats.sum() > len(lists) or (lists.list.min() < 0).any())


def vectors_of(series: pl.Series) -> pl.Series:
    """A column of vectors as lists of floats; itself if it has other values."""
    import polars as pl

    if not are_vectors(series):
        return series
    lists = _as_lists(series)
    return lists if lists.dtype in (pl.List(pl.Float32), pl.List(pl.Float64)) else lists.cast(pl.List(pl.Float64))


def width_of(series: pl.Series) -> int | None:
    """The length of all lists in a column of lists of decimals; None for another column."""
    import polars as pl

    if not isinstance(series.dtype, pl.List) or not series.dtype.inner.is_float():
        return None
    widths = lengths_of(series)
    return widths[0] if len(widths) == 1 else None


def lengths_of(series: pl.Series) -> list[int]:
    """The different numbers of numbers in the vectors of a column, rising; without empty ones."""
    return [n for n in _as_lists(series).list.len().drop_nulls().unique().sort().to_list() if n]


def blocks_of_vectors(series: pl.Series, width: int, rows: NDArray[np.int64]) -> Iterator[Vectors]:
    """The vectors in some rows of a column, block by block. Raise DataError for another length or an infinite one."""
    step = max(1, NUMBERS_AT_ONCE // max(width, 1))
    for start in range(0, len(rows), step):
        here = rows[start : start + step]
        yield _block(_as_lists(series.gather(here)), width, series.name, here)


def _block(lists: pl.Series, width: int, name: str, rows: NDArray[np.int64]) -> Vectors:
    import polars as pl

    sizes = lists.list.len().fill_null(0)
    wrong = ((sizes != width) & (sizes != 0)).arg_true()
    if len(wrong):
        at = int(wrong[0])
        here = f"column {name!r}, row {rows[at]} (from 0)"
        raise DataError(f"{here}: a vector of {sizes[at]:,} numbers where {width:,} are expected.")
    present = (sizes == width).arg_true()
    x = np.zeros((len(lists), width))
    numbers = lists.gather(present).explode().cast(pl.Float64, strict=False).fill_null(float("nan"))
    x[present.to_numpy()] = numbers.to_numpy().reshape(len(present), width)
    if np.isinf(x).any():
        at = int(np.flatnonzero(np.isinf(x).any(axis=1))[0])
        here = f"column {name!r}, row {rows[at]} (from 0)"
        raise DataError(f"{here}: a vector with an infinite number: correct it, or make it missing.")
    incomplete: NDArray[np.bool_] = np.asarray(np.isnan(x).any(axis=1))
    x[incomplete] = 0
    largest = np.abs(x).max(axis=1, initial=0)
    x /= np.where(largest > 0, largest, 1)[:, None]
    norms = np.sqrt(np.square(x).sum(axis=1))
    x /= np.where(norms > 0, norms, 1)[:, None]
    with np.errstate(over="ignore"):
        lengths = np.minimum(largest * norms, np.finfo(np.float64).max)
    return Vectors(x, lengths, incomplete)


def _as_lists(series: pl.Series) -> pl.Series:
    """The column as lists of numbers. Raise DataError if it holds something else."""
    import polars as pl

    kind = series.dtype
    if kind == pl.String:
        bad = (~series.str.contains(NUMBERS_IN_BRACKETS) & (series.str.strip_chars() != "")).fill_null(False).arg_true()
        if len(bad):
            shown = str(series[int(bad[0])])[:60]
            here = f"column {series.name!r}, row {bad[0]} (from 0)"
            raise DataError(f"{here}: {shown!r} is no vector such as [0.1, -0.2].")
        return series.str.extract_all(ONE_NUMBER).list.eval(pl.element().cast(pl.Float64, strict=False))
    if kind == pl.Null:
        return pl.Series(series.name, [None] * len(series), dtype=pl.List(pl.Float64))
    lists = series.arr.to_list() if isinstance(kind, pl.Array) else series
    inner = lists.dtype.inner if isinstance(lists.dtype, pl.List) else None
    if inner is None or not (inner.is_numeric() or inner == pl.Null):
        raise DataError(f"column {series.name!r} holds {kind}, where vectors are expected.")
    return lists
