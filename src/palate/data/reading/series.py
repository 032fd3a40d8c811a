"""Series: lists, arrays and columns of any kind as polars series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from palate.data.features.values import in_known_unit, is_word_for_missing
from palate.data.native import is_foreign
from palate.errors import DataError, LabelTypeError

if TYPE_CHECKING:
    import polars as pl


def series_of_values(
    values: Any, name: str, *, labels: bool = False, words: bool = True, lists: bool = False
) -> pl.Series:
    """A list, an array or a column of any kind as a polars series.

    words: take a word such as NA among numbers as missing. lists: values may be lists; otherwise these become text.
    """
    import polars as pl

    if isinstance(values, pl.Series):
        return (
            of_objects(values.to_list(), name, labels=labels, words=words, lists=lists)
            if is_foreign(values)
            else values
        )
    if hasattr(values, "to_numpy") and not isinstance(values, np.ndarray):
        values = values.to_numpy()
    array = values if isinstance(values, np.ndarray) and values.dtype.kind != "O" else None
    if array is None:
        return of_objects(list(values), name, labels=labels, words=words, lists=lists)
    if lists and array.ndim == 2 and array.dtype.kind in "iuf":
        return pl.Series(name, array.astype(np.float32) if array.dtype == np.float16 else array)
    if array.ndim != 1:
        raise DataError(f"column {name!r} has shape {array.shape}: give one dimension.")
    if array.dtype.kind in "UT":
        return _of_texts(array.tolist(), name)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.kind in "cV":  # complex numbers and records, which polars has no type for
        return of_objects(array.tolist(), name, labels=labels, words=words)
    return pl.Series(name, in_known_unit(array))


def of_objects(values: list[Any], name: str, *, labels: bool, words: bool = True, lists: bool = False) -> pl.Series:
    """Python objects as a column: strings, integers or floats. A mix becomes text, but is an error for labels."""
    import polars as pl

    cleaned = [None if _is_missing(value) else value for value in values]
    kinds = {type(value) for value in cleaned if value is not None}
    texts = [value for value in cleaned if isinstance(value, str)]
    if words and not labels and texts and not kinds <= {str, np.str_} and all(map(is_word_for_missing, texts)):
        return of_objects([None if isinstance(value, str) else value for value in values], name, labels=False)
    if kinds == {np.datetime64}:
        return series_of_values(np.array(cleaned, "datetime64[us]"), name)
    if not kinds or kinds <= {str, np.str_}:
        return _of_texts(cleaned, name)
    if lists and kinds <= {list, tuple, np.ndarray} and (series := _of_lists(cleaned, name)) is not None:
        return series
    if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        return _integers(cleaned, name)
    if all(issubclass(kind, (int, float, np.number)) and kind is not bool for kind in kinds):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    if labels:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise LabelTypeError(
            f"the ids in column {name!r} must be all strings or all integers, got {names}. "
            "Make them one type, for instance all strings."
        )
    return _of_texts([None if value is None else str(value) for value in cleaned], name)


def _of_texts(texts: list[Any], name: str) -> pl.Series:
    """Strings as a column. Raises DataError for one that is half a character, which no file can hold."""
    import polars as pl

    try:
        return pl.Series(name, texts, dtype=pl.String)
    except UnicodeError:
        row = next(row for row, text in enumerate(texts) if text is not None and not is_text(text))
        raise DataError(
            f"column {name!r}, row {row} (from 0): {texts[row]!r} is no text: it has half of a pair of surrogates."
        ) from None


def is_text(text: str) -> bool:
    """True for text without halves of surrogate pairs, which no file can hold."""
    try:
        text.encode()
    except UnicodeError:
        return False
    return True


def _of_lists(values: list[Any], name: str) -> pl.Series | None:
    """Lists as a column of lists; None if their values are of several types other than numbers."""
    import polars as pl

    if (vectors := _of_arrays(values, name)) is not None:
        return vectors
    plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    kinds = {type(one) for value in plain if value is not None for one in value}
    kind = pl.List(pl.Float64) if kinds - {type(None)} == {int, float} else None
    try:
        series = pl.Series(
            name, [None if value is None else list(value) for value in plain], dtype=kind, strict=not kind
        )
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return series if isinstance(series.dtype, pl.List) else None


def _of_arrays(values: list[Any], name: str) -> pl.Series | None:
    """Arrays of numbers of one length as a column of lists; None for other values."""
    import polars as pl

    present = [value for value in values if value is not None]
    if not all(isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iuf" for value in present):
        return None
    if len({(len(value), value.dtype) for value in present}) != 1 or present[0].dtype == np.float16:
        return None
    lists = pl.Series(name, np.stack(present)).arr.to_list()
    at = np.cumsum([value is not None for value in values]) - 1
    places = pl.Series(
        [None if value is None else n for value, n in zip(values, at.tolist(), strict=True)], dtype=pl.Int64
    )
    return lists.gather(places)


def _integers(values: list[Any], name: str) -> pl.Series:
    import polars as pl

    try:
        return pl.Series(name, values, dtype=pl.Int64)
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        raise DataError(
            f"column {name!r} has an integer beyond 64 bits. Make ids strings; other numbers must be smaller."
        ) from None


def _is_missing(value: Any) -> bool:
    return value is None or (not isinstance(value, (str, int, list, tuple, np.ndarray)) and bool(_is_not_itself(value)))


def _is_not_itself(value: Any) -> Any:
    """True for values that are unequal to themselves (NaN, NaT) and for pandas.NA."""
    return True if type(value).__name__ in ("NAType", "NaTType") else value != value
