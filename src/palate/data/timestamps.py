"""Timestamps as a caller gives them (numbers, dates, datetimes, texts, one by one or as a column) -> seconds."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.reading.moments import seconds, seconds_of_column
from palate.data.reading.series import series_of_values
from palate.errors import DataError

Timestamp = float | date | np.datetime64 | str  # seconds since 1970, a date or datetime, or the ISO text of one


def seconds_of(times: Any, option: str, *, is_column: bool = False) -> NDArray[np.float64]:
    """Seconds since 1970, (n,), nan for missing ones. Numbers stay as they are; datetimes without a zone are UTC.

    is_column: read them as a column of times of ratings is read, milliseconds as seconds.

    Raises DataError, naming the option, for a value that is no time.
    """
    import polars as pl

    series = series_of_values(times, option, words=False)
    if series.dtype == pl.Boolean:
        series = series.cast(pl.String)
    as_it_is = not is_column and series.dtype.is_numeric()
    read = series if as_it_is else seconds_of_column(series) if is_column else seconds(series)
    bad = series.filter(read.is_null() & series.is_not_null())
    if len(bad):
        raise DataError(f"{option}={bad[0]!r} is no time: give seconds since 1970, a datetime or an ISO text.")
    result: NDArray[np.float64] = read.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return result
