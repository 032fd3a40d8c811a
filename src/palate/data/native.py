"""Frames of other libraries (pandas, polars, Arrow and all that narwhals knows), opened in one way.

Column names may repeat, types may be ones that polars lacks, and what these libraries raise becomes a DataError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from palate.data.forking import check_threads
from palate.errors import DataError, PalateError

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

MAX_SHOWN = 200  # characters of another library's message


@dataclass(frozen=True)
class NativeFrame:
    """A frame of any library: its column names as they are, repeated or not, and its columns by position."""

    names: list[str]
    frame: nw.DataFrame[Any]

    def column(self, at: int) -> pl.Series | list[Any]:
        """A column as a polars series; as Python objects where pandas holds them or polars has no such type."""
        import narwhals as nw
        import polars as pl

        series = self.frame[:, at]
        native = series.to_native()
        if series.implementation.is_pandas_like():
            if hasattr(native, "sparse"):
                series = nw.from_native(native.sparse.to_dense(), series_only=True)
            if str(native.dtype) in ("object", "category") or series.dtype == nw.Unknown:
                return list(native.astype(object).tolist())
        try:
            converted: pl.Series = series.to_polars()
        except (Exception, pl.exceptions.PanicException):  # each library has error types of its own
            return series.to_list()
        return converted.to_list() if is_foreign(converted) else converted


def is_foreign(series: pl.Series) -> bool:
    """True for a polars series whose type has no meaning to polars: objects, and extension types of others."""
    import polars as pl

    return series.dtype == pl.Object or isinstance(series.dtype, getattr(pl, "BaseExtension", ()))


def opened(source: Any) -> NativeFrame | None:
    """The frame, a lazy one collected; None if the value is no frame."""
    import narwhals as nw

    try:
        frame = nw.from_native(source)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect("polars")
        names = [str(name) for name in frame.columns]
    except TypeError:
        return None
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in (source.columns if hasattr(source, "iloc") else source.column_names)]
        frame = nw.from_native(_renamed(source, [f"column_{at + 1}" for at in range(len(names))]))
    return NativeFrame(names, frame) if isinstance(frame, nw.DataFrame) else None


def _renamed(source: Any, names: list[str]) -> Any:
    """The pandas-like or Arrow frame with other column names; the data are shared."""
    if not hasattr(source, "iloc"):
        return source.rename_columns(names)
    frame = source.copy(deep=False)
    frame.columns = names
    return frame


def distinct_names(names: list[str]) -> list[str]:
    """The names, with a number for those that are empty or repeated."""
    taken, distinct = {"", *names}, []
    met: set[str] = set()
    for at, name in enumerate(names):
        is_first = name and name not in met
        own, number = name, at + 1
        while not is_first and own in taken:
            own, number = f"{name or 'column'}_{number}", number + 1
        met.add(name)
        taken.add(own)
        distinct.append(own)
    return distinct


@contextmanager
def polars_errors_in_words(source: str) -> Iterator[None]:
    """Raise DataError for what polars and dates raise; its PanicException is no Exception, so it has to be named."""
    import polars as pl

    check_threads("reading data")
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OverflowError) as error:
        if isinstance(error, PalateError):
            raise
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:MAX_SHOWN]
        raise DataError(f"{source} cannot be read: {line}") from error
