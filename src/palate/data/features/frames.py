"""Tables of any kind, and rows told one by one, as polars frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def frame_of(table: Any) -> pl.DataFrame:
    """A frame of any kind, or a mapping of columns, as polars has it."""
    import narwhals as nw
    import polars as pl

    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, Mapping):
        return _of_columns([series_of(str(name), values) for name, values in table.items()])
    try:
        frame = nw.from_native(table)
    except TypeError as error:
        raise DataError(f"cannot take features from a {type(table).__name__}: give a frame.") from error
    eager = frame.collect("polars") if isinstance(frame, nw.LazyFrame) else frame
    return _of_columns([series_of(str(name), eager[name]) for name in eager.columns])


def _of_columns(columns: list[pl.Series]) -> pl.DataFrame:
    import polars as pl

    if len({len(column) for column in columns}) > 1:
        raise DataError(f"columns of different lengths: {', '.join(f'{s.name} {len(s)}' for s in columns)}.")
    return pl.DataFrame(columns)


def series_of(name: str, values: Any) -> pl.Series:
    """A column; a mix of types, or what only Python knows, as text."""
    import narwhals as nw
    import polars as pl

    if isinstance(values, nw.Series):
        is_objects = values.implementation.is_pandas_like() and values.dtype in (nw.Object, nw.String, nw.Unknown)
        if not is_objects:
            return values.to_polars().alias(name)
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return pl.Series(name, values)
    return _of_objects(name, values)


def _of_objects(name: str, values: Iterable[Any]) -> pl.Series:
    import polars as pl

    plain = (value.tolist() if isinstance(value, np.ndarray | np.generic) else value for value in values)
    given = [None if _is_nothing(value) else value for value in plain]
    try:
        return pl.Series(name, given)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if value is None else _as_text(value) for value in given], dtype=pl.String)


def _as_text(value: Any) -> str:
    """The value as text, halves of surrogate pairs as question marks."""
    return str(value).encode("utf-8", "replace").decode()


def _is_nothing(value: Any) -> bool:
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
