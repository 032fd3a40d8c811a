"""Cleaning: raw columns become typed ones, and every row that is not a rating gets a reason.

Labels become strings or integers, times become seconds, ratings and weights become floats. What cannot be read is null
first, then a bad row, which is raised or counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from palate.errors import DataError, LabelTypeError

if TYPE_CHECKING:
    import polars as pl

N_EXAMPLES = 5  # bad rows shown in a report
MAX_FLOAT32 = float(np.finfo(np.float32).max)
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


@dataclass
class BadRows:
    """Rows that cannot be used: an error at the first one if strict, else counted by reason, with a few examples."""

    strict: bool
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, found: dict[int, str], where: Callable[[int], str], source: str) -> None:
        """Take the bad rows (row number -> reason). If strict, raise DataError that names the first."""
        row, reason = next(iter(found.items()))
        if self.strict:
            hint = " (time=False reads without times)" if "time" in reason else ""
            raise DataError(
                f"{source}, {where(row)} cannot be used: {reason}{hint}. Correct it, or pass "
                'on_bad_rows="report" to leave such rows out and count them.'
            )
        self.counts.update(found.values())
        for row, reason in list(found.items())[: N_EXAMPLES - len(self.examples)]:
            self.examples.append(f"{where(row)}: {reason}")


def typed(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """User and item as strings or int64, time as int64 seconds, the rest as float64; null if unreadable.

    The columns `rating_text`, `weight_text` and `count_text` are True where a value was given at all. Raises
    LabelTypeError or DataError for id columns of another type.
    """
    import polars as pl

    columns = {name: labels(frame[name], name, source) for name in ("user", "item")}
    for name in ("rating", "weight", "count"):
        if name in frame.columns:
            columns[name] = numbers(frame[name], name, source)
            columns[f"{name}_text"] = ~_is_blank(frame[name])
    if "event" in frame.columns:
        columns["event"] = frame["event"].cast(pl.String)
    if "time" in frame.columns:
        columns["time"] = seconds(frame["time"], source)
    return frame.select(**columns)


def labels(series: pl.Series, what: str, source: str) -> pl.Series:
    """Ids as strings or int64. Floats are refused: often they are integers that became floats beside a missing id."""
    import polars as pl

    kind = series.dtype
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        return series.cast(pl.String)
    if series.null_count() == len(series) or (kind.is_float() and series.is_nan().all()):
        return pl.Series(series.name, [None] * len(series), dtype=pl.String)  # without values a column has no type
    if kind == pl.String:
        return series
    if kind.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        if whole.null_count() > series.null_count():
            raise DataError(f"{source}: a {what} id is beyond 64 bits. Make the ids strings.")
        return whole
    if kind.is_float():
        shown = series.drop_nulls().head(3).to_list()
        raise LabelTypeError(
            f"{source}: the {what} ids are floats like {shown}. If they are integers that became floats beside a "
            f"missing one ({series.null_count() + int(series.is_nan().sum())} are missing), drop those rows and make "
            "the column integers. Otherwise make it strings."
        )
    raise LabelTypeError(f"{source}: the {what} ids must be strings or integers, not {kind}. Make them one of these.")


def numbers(series: pl.Series, what: str, source: str) -> pl.Series:
    """Numbers, or texts of numbers, as float64; null if the text is not a number."""
    import polars as pl

    series = _plain(series)
    if series.dtype == pl.String:
        direct = series.cast(pl.Float64, strict=False)
        if direct.null_count() == 0:
            return direct
        return series.str.strip_chars().cast(pl.Float64, strict=False)
    is_flag = series.dtype == pl.Boolean and what == "count"
    if series.dtype.is_numeric() or series.dtype == pl.Null or is_flag:
        return series.cast(pl.Float64)
    raise DataError(f"{source}: the {what} column must hold numbers, not {series.dtype}.")


def seconds(series: pl.Series, source: str) -> pl.Series:
    """Times as int64: numbers as they are, dates and ISO texts as seconds since 1970; null if unreadable."""
    import polars as pl

    series = _plain(series)
    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    if series.dtype in (pl.Date, pl.Datetime):
        return series.cast(pl.Datetime("us")).dt.epoch("s")
    if series.dtype != pl.String:
        return _floored(numbers(series, "time", source))
    whole = series.cast(pl.Int64, strict=False)
    if whole.null_count() == 0:
        return whole
    text = series.str.strip_chars()
    number = _floored(text.cast(pl.Float64, strict=False))
    return pl.select(pl.coalesce(whole, number, _iso_seconds(text))).to_series()


def _plain(series: pl.Series) -> pl.Series:
    """Categories as text."""
    import polars as pl

    return series.cast(pl.String) if isinstance(series.dtype, pl.Categorical | pl.Enum) else series


def _floored(series: pl.Series) -> pl.Series:
    import polars as pl

    return series.floor().cast(pl.Int64, strict=False)


def _iso_seconds(text: pl.Series) -> pl.Series:
    import polars as pl

    plain = text.str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    read = [
        plain.str.strptime(pl.Datetime("us"), form.removesuffix("%:z"), strict=False)
        if not form.endswith("%:z")
        else plain.str.strptime(pl.Datetime("us", "UTC"), form, strict=False).dt.replace_time_zone(None)
        for form in TIME_FORMATS
    ]
    return pl.select(pl.coalesce(*read)).to_series().dt.epoch("s")


def _is_blank(series: pl.Series) -> pl.Series:
    import polars as pl

    series = _plain(series)
    if series.dtype != pl.String:
        return series.is_null()
    return series.is_null() | (series.str.strip_chars() == "").fill_null(True)


def bad_rows(frame: pl.DataFrame, reasons: dict[int, str]) -> dict[int, str]:
    """Row number -> why it is not a rating, for the typed rows; `reasons` found before take precedence."""
    import polars as pl

    checks = [(_blank_label(frame, "user"), "no user"), (_blank_label(frame, "item"), "no item")]
    for name in ("rating", "count"):
        checks += _number_checks(name) if name in frame.columns else []
    if "count" in frame.columns:
        checks.append((pl.col("count").cast(pl.Float32, strict=False) <= 0, "the count is 0 or negative"))
    if "time" in frame.columns:
        checks.append((pl.col("time").is_null(), "the time is neither a number nor an ISO date"))
    if "weight" in frame.columns:
        weight = pl.col("weight")
        good = weight.is_finite() & (weight >= 0) & (weight <= MAX_FLOAT32)
        checks.append((~good.fill_null(False), "the weight is not a number >= 0"))
    found = {row: reason for row, reason in reasons.items() if row < frame.height}
    if not frame.select(pl.any_horizontal(test.fill_null(False) for test, _ in checks).any()).item():
        return dict(sorted(found.items()))
    for test, reason in checks:
        hit = frame.select(test.fill_null(False)).to_series()
        for row in hit.arg_true().to_list() if hit.any() else []:
            found.setdefault(row, reason)
    return dict(sorted(found.items()))


def _number_checks(name: str) -> list[tuple[pl.Expr, str]]:
    """Tests of a rating or a count, each with its reason."""
    import polars as pl

    number = pl.col(name)
    return [
        (~pl.col(f"{name}_text"), f"no {name}"),
        (number.is_null(), f"the {name} is not a number"),
        (number.is_nan(), f"the {name} is NaN"),
        (number.is_infinite(), f"the {name} is infinite"),
        (number.abs() > MAX_FLOAT32, f"the {name} is too large for float32"),
    ]


def _blank_label(frame: pl.DataFrame, name: str) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if frame.schema[name] != pl.String:
        return column.is_null()
    return column.is_null() | (column.str.strip_chars() == "")
