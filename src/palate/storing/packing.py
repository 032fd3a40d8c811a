"""Packing: strings and tables as arrays, and back, for a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.errors import OptionError

if TYPE_CHECKING:
    import polars as pl

Tensors = dict[str, NDArray[Any]]
Header = dict[str, Any]


def pack_texts(texts: list[str | None], name: str, tensors: Tensors) -> None:
    """Add strings to tensors: one block of UTF-8, and where each ends in it; the end of None is -1."""
    encoded = [None if text is None else _utf8(text) for text in texts]
    sizes = np.array([0 if text is None else len(text) for text in encoded], np.int64)
    ends = np.cumsum(sizes)
    ends[[text is None for text in encoded]] = -1
    tensors[f"{name}.text"] = np.frombuffer(b"".join(text or b"" for text in encoded), np.uint8)
    tensors[f"{name}.ends"] = ends


def unpack_texts(name: str, tensors: Tensors) -> list[str | None]:
    """Return the strings that pack_texts() added. Raise ValueError if ends and block contradict each other."""
    characters, ends = tensors[f"{name}.text"], tensors[f"{name}.ends"]
    if characters.ndim != 1 or characters.dtype != np.uint8 or ends.ndim != 1 or ends.dtype != np.int64:
        raise ValueError(f"{name}: {characters.dtype} {characters.shape} and {ends.dtype} {ends.shape} are no texts")
    block = characters.tobytes()
    texts: list[str | None] = []
    start = 0
    for end in ends.tolist():
        if end == -1:
            texts.append(None)
            continue
        if not start <= end <= len(block):
            raise ValueError(f"{name}: a string ends at byte {end} of {len(block)}")
        texts.append(block[start:end].decode("utf-8"))
        start = end
    if start != len(block):
        raise ValueError(f"{name}: the strings end at byte {start} of {len(block)}")
    return texts


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise OptionError(
            f"a model file cannot keep {ascii(text)[:100]}: half a pair of surrogates is no text."
        ) from None


def pack_table(table: pl.DataFrame | None, name: str, tensors: Tensors) -> list[Header] | None:
    """Add a table's columns to tensors and return the header: name and kind of each column.

    Nothing here needs the threads of polars, so that a forked process can save a model too.

    A column becomes booleans, 64-bit numbers, strings, lists of strings or of numbers; a date or time becomes a number
    of its kind, and an array a list.
    Raise OptionError for a column that cannot become one of these.
    """
    if table is None:
        return None
    return [_pack_column(series, f"{name}.{at}", tensors) for at, series in enumerate(table)]


def unpack_table(columns: list[Header] | None, name: str, tensors: Tensors) -> pl.DataFrame | None:
    """Return the table that pack_table() added. Raise ValueError if its parts contradict each other."""
    if columns is None:
        return None
    import polars as pl

    try:
        return pl.DataFrame([_unpack_column(column, f"{name}.{at}", tensors) for at, column in enumerate(columns)])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(f"{name}: {error}") from error


def _pack_column(series: pl.Series, place: str, tensors: Tensors) -> Header:
    import polars as pl

    series = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    kind = _kind_of(series.dtype)
    if kind == "numbers":
        _pack_numbers(series, place, tensors)
    elif kind == "lists":
        lists = series.cast(pl.List(pl.String)).to_list()
        tensors[f"{place}.lengths"] = np.array([-1 if texts is None else len(texts) for texts in lists], np.int64)
        pack_texts([text for texts in lists if texts is not None for text in texts], place, tensors)
    elif kind == "text":
        pack_texts(_as_text(series).to_list(), place, tensors)
    else:
        physical, empty = _STORED[kind]
        numbers = series.cast(getattr(pl, _TEMPORAL.get(kind, physical))).to_physical().cast(getattr(pl, physical))
        if series.null_count():
            numbers = numbers.zip_with(numbers.is_not_null(), pl.Series([empty], dtype=numbers.dtype))
            tensors[f"{place}.null"] = series.is_null().to_numpy()
        tensors[place] = numbers.to_numpy()
    return {"name": series.name, "kind": kind}


def _unpack_column(column: Header, place: str, tensors: Tensors) -> pl.Series:
    import polars as pl

    name, kind = str(column["name"]), column["kind"]
    if kind == "text":
        return pl.Series(name, unpack_texts(place, tensors), dtype=pl.String)
    if kind == "lists":
        return pl.Series(name, _lists(unpack_texts(place, tensors), tensors[f"{place}.lengths"]), pl.List(pl.String))
    if kind == "numbers":
        return _unpack_numbers(name, tensors[place], tensors[f"{place}.lengths"])
    physical, _ = _STORED[kind]
    values = pl.Series(name, np.array(tensors[place])).cast(getattr(pl, physical))
    if kind in _TEMPORAL:
        values = values.cast(getattr(pl, _TEMPORAL[kind]))
    null = tensors.get(f"{place}.null")
    if null is None:
        return values
    if null.shape != (len(values),) or null.dtype != np.bool_:
        raise ValueError(f"{place}.null: {null.dtype} {null.shape} for {len(values)} values")
    return values.zip_with(pl.Series(~null), pl.Series(name, [None] * len(values), dtype=values.dtype))


# kind -> the type its numbers are stored in, and the number stored for a missing value
_STORED: dict[str, tuple[str, Any]] = {
    "boolean": ("Boolean", False),
    "integer": ("Int64", 0),
    "float": ("Float64", 0.0),
    "date": ("Int64", 0),
    "datetime": ("Int64", 0),
    "time": ("Int64", 0),
    "duration": ("Int64", 0),
}
_TEMPORAL = {"date": "Date", "datetime": "Datetime", "time": "Time", "duration": "Duration"}


def _kind_of(dtype: pl.DataType) -> str:
    import polars as pl

    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer() and dtype not in (pl.UInt64, pl.Int128):
        return "integer"
    if dtype.is_numeric():
        return "float"
    if dtype.is_temporal():
        return str(dtype.base_type()).lower()
    if not isinstance(dtype, pl.List) or dtype.inner.is_nested():
        return "text"
    return "numbers" if dtype.inner.is_float() else "lists"


def _as_text(series: pl.Series) -> pl.Series:
    import polars as pl

    try:
        return series.cast(pl.String)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise OptionError(
            f"a model file cannot keep column {series.name!r}, which holds {series.dtype}: drop it or make it text."
        ) from error


def _pack_numbers(series: pl.Series, place: str, tensors: Tensors) -> None:
    """Add lists of floats: all their numbers, NaN where one is missing, and the length of each list, -1 for none."""
    import polars as pl

    lengths = np.nan_to_num(series.list.len().to_numpy().astype(np.float64), nan=-1).astype(np.int64)
    numbers = series.filter(pl.Series(lengths > 0)).explode().to_numpy()  # NaN where one is missing
    tensors[f"{place}.lengths"] = lengths
    tensors[place] = numbers if numbers.dtype == np.float64 else numbers.astype(np.float32)


def _unpack_numbers(name: str, numbers: NDArray[Any], lengths: NDArray[Any]) -> pl.Series:
    """Lists of floats of the given lengths; -1 is a missing list."""
    if numbers.ndim != 1 or numbers.dtype.kind != "f":
        raise ValueError(f"{name}: {numbers.dtype} {numbers.shape} are no numbers of lists")
    import polars as pl

    sizes = _sizes(lengths, len(numbers), "numbers")
    kind = pl.List(pl.Float32 if numbers.dtype == np.float32 else pl.Float64)
    width, filled = int(sizes.max(initial=0)), sizes > 0
    if len(numbers) == 0 or width * filled.sum() != len(numbers) or (lengths == 0).any():
        starts = np.cumsum(sizes) - sizes
        parts = [None if n < 0 else numbers[at : at + n].tolist() for at, n in zip(starts, lengths, strict=True)]
        return pl.Series(name, parts, dtype=kind)
    table = np.zeros((len(lengths), width), numbers.dtype)
    table[filled] = numbers.reshape(-1, width)
    lists = pl.Series(name, table).arr.to_list()
    return (
        lists if filled.all() else lists.zip_with(pl.Series(filled), pl.Series(name, [None] * len(lists), dtype=kind))
    )


def _lists(texts: list[str | None], lengths: NDArray[Any]) -> list[list[str | None] | None]:
    """Cut strings into lists of the given lengths; -1 is a missing list."""
    sizes = _sizes(lengths, len(texts), "strings")
    starts = np.cumsum(sizes) - sizes
    pairs = zip(starts.tolist(), lengths.tolist(), strict=True)
    return [None if length < 0 else texts[start : start + length] for start, length in pairs]


def _sizes(lengths: NDArray[Any], n: int, what: str) -> NDArray[np.int64]:
    """The number of values of each list, of n in all. Raise ValueError if the lengths do not fit."""
    if lengths.dtype != np.int64 or lengths.ndim != 1 or lengths.max(initial=0) > n:
        raise ValueError(f"lists that do not fit {n} {what}")  # a sum of larger ones could wrap around
    sizes: NDArray[np.int64] = np.maximum(lengths, 0)
    if sizes.sum() != n:
        raise ValueError(f"lists of {sizes.sum()} {what} in all, but {n} {what}")
    return sizes
