"""From raw columns to typed ones: what is wrong with each row, and duplicates joined."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, LabelTypeError

if TYPE_CHECKING:
    import polars as pl

N_EXAMPLES = 5  # bad rows shown in a report
LARGEST = float(np.finfo(np.float32).max)
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


@dataclass
class BadRows:
    """What cannot be used: raised at the first one, or counted by reason, with a few examples."""

    strict: bool
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, found: dict[int, str], where: Callable[[int], str], source: str) -> None:
        """Take row number -> reason; DataError names the first when strict."""
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
    """User and item as strings or int64, time as int64 seconds, the rest as float64; null where unreadable.

    `rating_text` and `count_text` say whether there was anything in it at all. Raises LabelTypeError or DataError for
    id columns of another type.
    """
    columns = {name: labels(frame[name], name, source) for name in ("user", "item")}
    for name in ("rating", "weight", "count"):
        if name in frame.columns:
            columns[name] = numbers(frame[name], name, source)
            columns[f"{name}_text"] = ~_is_blank(frame[name])
    if "time" in frame.columns:
        columns["time"] = seconds(frame["time"], source)
    return frame.select(**columns)


def labels(series: pl.Series, what: str, source: str) -> pl.Series:
    """Ids as strings or int64. Floats are refused: whole ones are integers that met a missing value on their way."""
    import polars as pl

    kind = series.dtype
    if isinstance(kind, (pl.Categorical, pl.Enum)) or kind == pl.Null:
        return series.cast(pl.String)
    if kind == pl.String:
        return series
    if kind.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        if whole.null_count() > series.null_count():
            raise DataError(f"{source}: a {what} id is beyond 64 bits; make the ids strings.")
        return whole
    if kind.is_float():
        shown = series.drop_nulls().head(3).to_list()
        raise LabelTypeError(
            f"{source}: the {what} ids are floats like {shown}. If they are whole numbers that became floats beside a "
            f"missing one ({series.null_count() + int(series.is_nan().sum())} are missing), drop those rows and make "
            "the column integers; otherwise make it strings."
        )
    raise LabelTypeError(f"{source}: {what} ids must be strings or integers, not {kind}.")


def numbers(series: pl.Series, what: str, source: str) -> pl.Series:
    """Float64 of numbers or of text, null where the text is not a number."""
    import polars as pl

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
    """Int64 of numbers, of dates (seconds since 1970) or of their ISO text; null where unreadable."""
    import polars as pl

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


def whole_numbers(series: pl.Series, least: float = -math.inf) -> bool:
    """Whether every value is a whole number of at least `least`."""
    if not (series.dtype.is_integer() or series.dtype.is_float()):
        return False
    there = series.drop_nulls()
    if series.dtype.is_float() and not (there.is_finite() & (there == there.floor())).all():
        return False
    return bool((there >= least).all()) if math.isfinite(least) else True


def _is_blank(series: pl.Series) -> pl.Series:
    import polars as pl

    if series.dtype != pl.String:
        return series.is_null()
    return series.is_null() | (series.str.strip_chars() == "").fill_null(True)


def bad_rows(frame: pl.DataFrame, reasons: dict[int, str]) -> dict[int, str]:
    """Row number -> why it is not a rating, of the typed rows; `reasons` are those known already and come first."""
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
        good = weight.is_finite() & (weight >= 0) & (weight <= LARGEST)
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
    """What may be wrong with a rating or a count, and how it is called."""
    import polars as pl

    number = pl.col(name)
    return [
        (~pl.col(f"{name}_text"), f"no {name}"),
        (number.is_null(), f"the {name} is not a number"),
        (number.is_nan(), f"the {name} is NaN"),
        (number.is_infinite(), f"the {name} is infinite"),
        (number.abs() > LARGEST, f"the {name} is too large for float32"),
    ]


def _blank_label(frame: pl.DataFrame, name: str) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if frame.schema[name] != pl.String:
        return column.is_null()
    return column.is_null() | (column.str.strip_chars() == "")


def join_duplicates(columns: Any, policy: str, vocabularies: tuple[Vocabulary, Vocabulary]) -> tuple[Any, int, int]:
    """(columns with one row per (user, item), rows joined away, pairs whose values differ). Rows keep their order."""
    keys = columns.users.astype(np.int64) * max(len(vocabularies[1]), 1) + columns.items
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return columns, 0, 0
    del ordered
    order, starts = _grouped(keys, columns.times)
    last = order[np.append(starts[1:], len(order)) - 1]
    if policy == "sum":
        columns = _summed(columns, order, starts, last)
    values = columns.values[order]
    differing = np.maximum.reduceat(values, starts) != np.minimum.reduceat(values, starts)
    n_joined = len(order) - len(starts)
    if policy == "error":
        _raise_duplicate(columns, order, starts, n_joined, vocabularies)
    if policy == "mean":
        columns = _averaged(columns, order, starts, last)
    kept = np.sort(last)
    taken = columns._make(None if column is None else column[kept] for column in columns)
    return taken, n_joined, int(differing.sum())


def _grouped(keys: NDArray[np.int64], times: NDArray[np.int64] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """(rows ordered by key, then time, then row; where each key starts). Only repeated keys take the slow sort."""
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(starts, append=len(order))
    repeated = np.repeat(sizes > 1, sizes)
    rows = np.sort(order[repeated])
    by = (keys[rows],) if times is None else (times[rows], keys[rows])
    order[repeated] = rows[np.lexsort(by)]
    return order, starts


def _raise_duplicate(
    columns: Any, order: NDArray[Any], starts: NDArray[Any], n: int, vocabularies: tuple[Vocabulary, Vocabulary]
) -> None:
    sizes = np.diff(starts, append=len(order))
    first = order[starts[np.argmax(sizes > 1)]]
    user = vocabularies[0].labels[columns.users[first]]
    item = vocabularies[1].labels[columns.items[first]]
    raise DataError(
        f"user {user!r} has rated item {item!r} more than once, and {n:,} rows in all repeat a (user, item). "
        'Pass duplicates="last" to keep the latest of each, or duplicates="mean" to average them.'
    )


def _summed(columns: Any, order: NDArray[Any], starts: NDArray[Any], last: NDArray[Any]) -> Any:
    """Columns in which the last of each group has the sum of its counts; without counts, how many rows there are."""
    counts = columns.weights if columns.weights is not None else np.ones(len(order), np.float32)
    totals = counts.copy()
    with np.errstate(over="ignore"):
        totals[last] = np.add.reduceat(counts[order].astype(np.float64), starts)
    return columns._replace(weights=totals)


def _averaged(columns: Any, order: NDArray[Any], starts: NDArray[Any], last: NDArray[Any]) -> Any:
    """Columns in which the last of each group has the mean value; with weights, the weighted mean and their sum."""
    sizes = np.diff(starts, append=len(order))
    values = columns.values[order].astype(np.float64)
    mean = np.add.reduceat(values, starts) / sizes
    weights = columns.weights
    if weights is not None:
        heavy = weights[order].astype(np.float64)
        total = np.add.reduceat(heavy, starts)
        mean = np.where(total > 0, np.add.reduceat(heavy * values, starts) / np.where(total > 0, total, 1), mean)
        weights = weights.copy()
        weights[last] = total
    averaged = columns.values.copy()
    averaged[last] = mean
    return columns._replace(values=averaged, weights=weights)
