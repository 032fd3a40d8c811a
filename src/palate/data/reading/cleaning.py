"""Cleaning: raw columns become typed ones, and every row that is not a rating gets a reason.

How a source writes its ids, numbers and times is decided once, on its first rows: `forms_of`. Labels then become
strings or integers, times become seconds, ratings and weights become floats. What cannot be read is null first, then a
bad row, which is raised or counted. Rows that say that there is no rating are set aside, which is no error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.data.features.values import NO_NUMBER
from palate.data.reading.ids import labels, without_words
from palate.data.reading.moments import TimeForm, time_form_of
from palate.data.reading.numbers import PLAIN, Decimal, Notation, notation_of, tidy
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

N_EXAMPLES = 5  # bad rows shown in a report
MAX_FLOAT32 = float(np.finfo(np.float32).max)
WHOLE = r"^-?[0-9]+(\.0)?$"
NUMBERS = ("rating", "weight", "count")


HINTS = {
    "time": " (time=False reads without times)",
    "rating is not a number": ' (missing="..." names a text that means none; turn words and grades into numbers first)',
}


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
            hint = next((hint for word, hint in HINTS.items() if word in reason), "")
            raise DataError(
                f"{source}, {where(row)} cannot be used: {reason}{hint}. Correct it, or pass "
                'on_bad_rows="report" to leave such rows out and count them.'
            )
        self.counts.update(found.values())
        for row, reason in list(found.items())[: N_EXAMPLES - len(self.examples)]:
            self.examples.append(f"{where(row)}: {reason}")


# ---- how a source writes its values


@dataclass(frozen=True)
class Asked:
    """What the caller says of the values: see `palate.read`."""

    missing: tuple[float | str, ...] = ()
    decimal: Decimal | None = None
    time_format: str | None = None
    time: bool = False  # the caller named a column of times

    @property
    def must_read_times(self) -> bool:
        """True if the caller asked for times: a row without one is bad then."""
        return self.time or self.time_format is not None


@dataclass(frozen=True)
class Forms:
    """How a source writes its values.

    Attributes:
        notations (dict): rating, weight, count -> how it writes numbers.
        time (TimeForm or None): How it writes times; None if there are none, or if they are left out.
        word_means_none (dict): user, item -> True if a word such as NA is a missing id.
        zero_is_none (bool): True for implicit ratings whose counts are only yes and no: no is not chosen.
        how (dict): What to tell in the report.
    """

    notations: dict[str, Notation]
    time: TimeForm | None
    word_means_none: dict[str, bool]
    zero_is_none: bool
    how: dict[str, str]


def asked_of(missing: Any, decimal: Any, time_format: Any, time: Any) -> Asked:
    """The options as `palate.read` has them, checked. Raises OptionError for values of another type."""
    if decimal not in (None, ".", ","):
        raise OptionError(f'decimal must be "." or ",", got {decimal!r}.')
    if not isinstance(time_format, str | None):
        raise OptionError(f'time_format must be a text such as "%d.%m.%Y", got {time_format!r}.')
    values = list(missing) if isinstance(missing, list | tuple | set | np.ndarray) else [missing]
    values = [] if missing is None else [v.item() if isinstance(v, np.generic) else v for v in values]
    wrong = [value for value in values if isinstance(value, bool) or not isinstance(value, int | float | str)]
    if wrong:
        raise OptionError(f"missing must be a number, a text or a list of them, got {wrong[0]!r}.")
    return Asked(tuple(values), decimal, time_format, time is not None and time is not False)


def forms_of(frame: pl.DataFrame, source: str, asked: Asked, *, is_named: bool) -> Forms:
    """How the columns user, item, rating, ... are written, decided on the first rows.

    Raises DataError if numbers can be read in two ways, and if times can and were asked for.
    """
    texts = [value.strip() if isinstance(value, str) else f"{value:g}" for value in asked.missing]
    notations: dict[str, Notation] = {}
    how: dict[str, str] = {}
    for name in NUMBERS:
        if name in frame.columns:
            notations[name], told = _notation(frame[name], name, source, asked.decimal, texts)
            how |= told
    time = None
    if asked.time_format is not None and "time" not in frame.columns:
        raise DataError(f'{source}: time_format= is given, and no column of times is found. Name it: time="...".')
    if "time" in frame.columns:
        time = time_form_of(_plain(frame["time"]), time_format=asked.time_format, is_named=is_named)
        if time.problem and asked.must_read_times:
            raise DataError(f"{source}: the times cannot be read: {time.problem}.")
        how |= {"times": f"left out ({time.problem})"} if time.problem else {"times": time.says} if time.says else {}
    zero_is_none = "count" in frame.columns and _are_yes_or_no(frame["count"], notations["count"], source)
    if zero_is_none:
        how.setdefault("ratings", "1 a choice, 0 none")
    words = {name: _looks_numeric(frame[name]) for name in ("user", "item")}
    return Forms(notations, None if time is None or time.problem else time, words, zero_is_none, how)


def _notation(
    series: pl.Series, name: str, source: str, decimal: Decimal | None, missing: list[str]
) -> tuple[Notation, dict[str, str]]:
    """The notation of a column of numbers, and what to tell of it."""
    import polars as pl

    series = _plain(series)
    if series.dtype == pl.Boolean:
        return PLAIN, {"ratings": "True 1, False 0"}
    if series.dtype != pl.String:
        return PLAIN, {}
    notation = notation_of(series, name, source, decimal=decimal, missing=missing)
    return notation, notation.how


def _are_yes_or_no(counts: pl.Series, notation: Notation, source: str) -> bool:
    """True if counts are only 1 and 0, or 1 and -1, of both: who was shown an item and who chose it."""
    import polars as pl

    if notation.is_flag or counts.dtype == pl.Boolean:
        return True
    values = set(numbers(counts, "count", source, notation).drop_nulls().unique().to_list())
    return values <= {-1, 0, 1} and values not in ({-1}, {1}, set())


def _looks_numeric(ids: pl.Series) -> bool:
    """True for a column of texts in which there are whole numbers, and nothing else but words for a missing one."""
    import polars as pl

    if ids.dtype != pl.String:
        return False
    distinct = ids.drop_nulls().unique()
    others = distinct.filter(~distinct.str.contains(WHOLE))
    return len(others) < len(distinct) and bool(others.str.strip_chars().str.contains(NO_NUMBER).all())


# ---- values of a type


def typed(frame: pl.DataFrame, source: str, forms: Forms) -> pl.DataFrame:
    """User and item as strings or int64, time as int64 seconds, the rest as float64; null if unreadable.

    The columns `rating_text`, `weight_text` and `count_text` are True where a value was given at all. Raises
    LabelTypeError or DataError for id columns of another type.
    """
    import polars as pl

    columns = {
        name: without_words(labels(frame[name], name, source), everywhere=forms.word_means_none[name])
        for name in ("user", "item")
    }
    for name in NUMBERS:
        if name in frame.columns:
            columns[name] = numbers(frame[name], name, source, forms.notations[name])
            columns[f"{name}_text"] = _is_given(frame[name], columns[name])
    if "event" in frame.columns:
        columns["event"] = frame["event"].cast(pl.String)
    if "time" in frame.columns and forms.time:
        columns["time"] = forms.time.read(_plain(frame["time"]))
        columns["time_text"] = _is_given(frame["time"], columns["time"])
    return frame.select(**columns)


def numbers(series: pl.Series, what: str, source: str, notation: Notation = PLAIN) -> pl.Series:
    """Numbers, texts of numbers in a notation, or True and False, as float64; null if a text is not a number."""
    import polars as pl

    series = _plain(series)
    if series.dtype == pl.String:
        return notation.read(series)
    is_flag = series.dtype == pl.Boolean and what in ("rating", "count")
    if series.dtype.is_numeric() or series.dtype == pl.Null or is_flag:
        return series.cast(pl.Float64)
    raise DataError(f"{source}: the {what} column must hold numbers, not {series.dtype}.")


def _plain(series: pl.Series) -> pl.Series:
    """Categories as text."""
    import polars as pl

    return series.cast(pl.String) if isinstance(series.dtype, pl.Categorical | pl.Enum) else series


def _is_given(series: pl.Series, read: pl.Series) -> pl.Series:
    """True where a cell is not blank; read: what the cells were read as, null where that failed."""
    import polars as pl

    if read.null_count() == 0:
        return pl.Series([True]).new_from_index(0, len(series))
    series = _plain(series)
    return series.is_not_null() if series.dtype != pl.String else ~is_blank(series)


def is_blank(texts: pl.Series) -> pl.Series:
    """True for nulls, empty texts and blanks. Only texts that begin with a sign below ! or above ~ can be blanks."""
    import polars as pl

    if texts.null_count() == 0 and not ((texts < "!") | (texts > "~")).any():
        return pl.Series([False]).new_from_index(0, len(texts))
    return texts.is_null() | (texts.str.strip_chars() == "")


# ---- rows that hold no rating, and bad ones


def set_aside(raw: pl.DataFrame, frame: pl.DataFrame, forms: Forms, asked: Asked) -> dict[str, pl.Series]:
    """Reason -> True for the rows that say that there is no rating. `raw` has the values of the typed `frame`."""
    name = next((name for name in ("rating", "count") if name in frame.columns), None)
    if name is None:
        return {}
    found = {}
    for value in asked.missing:
        is_value = _equals(raw[name], frame[name], value)
        if is_value.any():
            found[f"missing: the {name} is {value}"] = is_value
    if forms.zero_is_none:
        is_none = ((frame[name] == 0) | (frame[name] == -1)).fill_null(False)
        if is_none.any():
            found["0 or no: not chosen"] = is_none
    return found


def _equals(raw: pl.Series, numbers: pl.Series, value: float | str) -> pl.Series:
    """True where a cell is the value: the same number, or the same text but for blanks around it."""
    import polars as pl

    try:
        number = float(value)
    except ValueError:
        number = None
    same = pl.Series([False]).new_from_index(0, len(raw))
    if isinstance(value, str):
        same = tidy(_plain(raw).cast(pl.String).fill_null("")) == value.strip()
    if number is None:
        return same
    equal = numbers.is_nan() if math.isnan(number) else numbers == number
    return same | equal.fill_null(False)


def bad_rows(frame: pl.DataFrame, reasons: dict[int, str], *, must_read_times: bool = True) -> dict[int, str]:
    """Row number -> why it is not a rating, for the typed rows; `reasons` found before take precedence."""
    import polars as pl

    checks = [(_blank_label(frame, "user"), "no user"), (_blank_label(frame, "item"), "no item")]
    for name in ("rating", "count"):
        checks += _number_checks(name) if name in frame.columns else []
    if "count" in frame.columns:
        checks.append((pl.col("count").cast(pl.Float32, strict=False) <= 0, "the count is 0 or negative"))
    if "time" in frame.columns and must_read_times:
        checks.append((~pl.col("time_text"), "no time"))
        checks.append((pl.col("time").is_null(), "the time is no number and no date written as the others are"))
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

    if frame.schema[name] != pl.String:
        return pl.col(name).is_null()
    return pl.lit(is_blank(frame[name]))
