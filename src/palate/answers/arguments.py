"""Asking: what the questions to a model have in common. Options checked, labels and frames taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.answers.shapes import is_frame
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.options import is_number, is_whole

OnUnknown = Literal["fallback", "nan", "raise"]
Doubles = NDArray[np.float64]
Timestamp = float | date | str  # seconds since 1970, a date or datetime, or the ISO text of one

MOST = 2**31 - 1  # answers to one question: what a rank column can count


def check_level(level: Any) -> None:
    """OptionError for a level that is no probability."""
    if not is_number(level) or not 0 < level < 1:
        raise OptionError(f"level must lie between 0 and 1, got {level!r}.")


def check_choice(name: str, given: Any, choices: Sequence[str]) -> None:
    """OptionError for a value that is none of the valid ones."""
    if given not in choices:
        raise OptionError(f"{name}={given!r} is none of {', '.join(map(repr, choices))}.")


def check_whole(name: str, given: Any, least: int = 0) -> None:
    """OptionError for a value that is no whole number from `least` up."""
    if not is_whole(given) or given < least:
        raise OptionError(f"{name} must be a whole number, {least} or more, got {given!r}.")


def check_count(n: Any) -> None:
    """OptionError for an n that is no number of answers."""
    check_whole("n", n)
    if n > MOST:
        raise OptionError(f"n must be at most {MOST}, got {n!r}; where there are fewer, all come back.")


def check_seed(seed: Any) -> None:
    """OptionError for a seed that no generator takes."""
    check_whole("seed", seed)


def is_many(labels: Any) -> bool:
    """Whether several labels were given; a single thing of any type (an array without dimensions too) is one."""
    return hasattr(labels, "__iter__") and not isinstance(labels, str | bytes) and getattr(labels, "ndim", 1) != 0


def encode(vocabulary: Vocabulary, labels: Any, on_unknown: OnUnknown) -> NDArray[np.int32]:
    """Codes of labels, (n,), -1 for unknown ones unless they shall raise."""
    return vocabulary.encode(labels, on_unknown=marking(on_unknown))


def marking(on_unknown: OnUnknown) -> Literal["raise", "mark"]:
    """What encoding does with unknown labels: they raise, or are marked where they get an answer too."""
    return "raise" if on_unknown == "raise" else "mark"


def labels_of(given: Any, what: str) -> Any:
    """One label, several, or those in a frame's column as something to go through."""
    if is_frame(given):
        return frame_columns(given, [what], "")[0]
    if isinstance(given, np.ndarray):
        return given
    return list(given) if is_many(given) else [given]


def label_array(labels: Any, vocabulary: Vocabulary) -> NDArray[Any]:
    """Labels as an array a frame can be made of: object holding str, or int64."""
    dtype = vocabulary.labels.dtype
    return np.array([str(label) for label in labels] if dtype.kind == "O" else list(labels), dtype=dtype)


def same_length(users: Any, items: Any) -> tuple[Any, Any]:
    """Two lists of one length; a single label stands for as many as there are on the other side."""
    listed = list(items) if is_many(items) else None
    many_users = list(users) if is_many(users) else [users] * (1 if listed is None else len(listed))
    many_items = [items] * len(many_users) if listed is None else listed
    if len(many_users) != len(many_items):
        raise OptionError(f"predict got {len(many_users)} users and {len(many_items)} items; give one item per user.")
    return many_users, many_items


def frame_columns(frame: Any, fields: Sequence[str], wanted: str) -> list[NDArray[Any]]:
    """The columns of a frame that hold these fields, (n,) each; DataError names the columns there are.

    Raises OptionError, with the sentence `wanted`, for what is no frame.
    """
    if not is_frame(frame):
        raise OptionError(wanted)
    columns = (_frame_column(frame, field, needed=True) for field in fields)
    return [column for column in columns if column is not None]


def _frame_column(frame: Any, field: str, *, needed: bool) -> NDArray[Any] | None:
    import narwhals as nw

    from palate.data.reading.columns import is_usual, there_are

    native = nw.from_native(frame, eager_only=True)
    found = [name for name in native.columns if name == field] or [n for n in native.columns if is_usual(n, field)]
    if not found and not needed:
        return None
    if not found:
        raise DataError(f"the frame has no {field} column. {there_are(list(native.columns))}")
    series = native[found[0]]
    if series.null_count():
        raise DataError(f"{series.null_count()} of {len(series)} values in the {found[0]} column are missing.")
    column: NDArray[Any] = series.to_numpy()
    return column.astype(object) if series.dtype == nw.String else column


def frame_times(frame: Any) -> Any:
    """The time column of a frame under one of its usual names, (n,), or None."""
    return _frame_column(frame, "time", needed=False)


def timestamps_of(when: Any, n: int) -> Doubles | None:
    """Seconds since 1970 of each of n rows, (n,), nan for a missing one; None stays None.

    Raises DataError for what is no moment, OptionError for another number of them.
    """
    if when is None:
        return None
    given = list(when) if is_many(when) else [when] * n
    if len(given) != n:
        raise OptionError(f"when has {len(given)} moments for {n} rows; give one for all, or one for each.")
    return np.array([_seconds(one) for one in given], np.float64)


def _seconds(timestamp: Any) -> float:
    if timestamp is None:
        return np.nan
    if is_number(timestamp):
        return float(timestamp)
    import polars as pl

    from palate.data.reading.cleaning import seconds

    try:
        read = seconds(pl.Series("when", [timestamp]), "when").item()
    except (TypeError, DataError, pl.exceptions.PolarsError):
        read = None
    if read is None:
        raise DataError(f"when={timestamp!r} is no time: give seconds since 1970, a datetime or an ISO text.")
    return float(read)


def history_of(vocabulary: Vocabulary, given: Any) -> CompressedRows:
    """What one person rated, a mapping {label: rating} or a frame of labels, ratings and perhaps weights, as one row.

    Raises UnknownLabelError for an unknown label, and DataError for one that comes twice, a rating that is no finite
    number or a weight that is no finite number >= 0.
    """
    labels, values, weights = _columns_of(vocabulary.what, given)
    codes = vocabulary.encode(labels)
    _check_distinct(vocabulary, codes)
    heavy = None if weights is None else ratings_of(weights, "weight")
    if heavy is not None and (heavy < 0).any():
        raise DataError("a weight is negative.")
    return CompressedRows(np.array([0, len(codes)], np.int64), codes, ratings_of(values), heavy)


def choices_of(vocabulary: Vocabulary, given: Any) -> CompressedRows:
    """What one person chose, a list of labels, a mapping {label: count} or a frame with labels and perhaps counts.

    Counts are in a column called weight or rating. Raises as history_of does, and DataError for a count of 0.
    """
    if not isinstance(given, Mapping) and not is_frame(given):
        given = dict.fromkeys(_distinct(given, vocabulary), None)
    labels, values = _choices(vocabulary.what, given)
    codes = vocabulary.encode(labels)
    _check_distinct(vocabulary, codes)
    counts = None if values is None else ratings_of(values, "count")
    if counts is not None and not (counts > 0).all():
        raise DataError("a count is 0 or negative; leave out what was not chosen.")
    return CompressedRows(np.array([0, len(codes)], np.int64), codes, np.ones(len(codes), np.float32), counts)


def _distinct(labels: Any, vocabulary: Vocabulary) -> list[Any]:
    if not is_many(labels):
        raise OptionError(
            f"fold_in takes a list of {vocabulary.what}s, a mapping {{{vocabulary.what}: count}} or a frame."
        )
    listed = list(labels)
    for label in listed:
        if listed.count(label) > 1:
            raise DataError(f"{vocabulary.what} {label!r} is chosen {listed.count(label)} times; give counts instead.")
    return listed


def _choices(what: str, given: Any) -> tuple[Any, Any]:
    if isinstance(given, Mapping):
        values = list(given.values())
        return list(given), None if all(value is None for value in values) else values
    labels = frame_columns(given, [what], "")[0]
    counts = _frame_column(given, "weight", needed=False)
    return labels, counts if counts is not None else _frame_column(given, "rating", needed=False)


def _columns_of(what: str, given: Any) -> tuple[Any, Any, Any]:
    if isinstance(given, Mapping):
        return list(given), list(given.values()), None
    wanted = f"fold_in takes a mapping {{{what}: rating}} or a frame with {what} and rating columns."
    labels, values = frame_columns(given, [what, "rating"], wanted)
    return labels, values, _frame_column(given, "weight", needed=False)


def _check_distinct(vocabulary: Vocabulary, codes: NDArray[np.int32]) -> None:
    counts = np.bincount(codes, minlength=1)
    if counts.max() > 1:
        label = vocabulary.decode([int(counts.argmax())]).tolist()[0]
        raise DataError(f"{vocabulary.what} {label!r} is rated {counts.max()} times; give one rating of each.")


def check_range(vocabulary: Vocabulary, codes: NDArray[np.int32], values: Any, limits: tuple[float, float]) -> None:
    """DataError for a rating farther outside the range of the training ratings than that range is wide.

    Where all training ratings are equal, the range counts as wide as that rating is large, and at least 1.
    """
    low, high = limits
    span = high - low or max(abs(high), 1.0)
    outside = (values < low - span) | (values > high + span)
    if outside.any():
        at = int(np.argmax(outside))
        label = vocabulary.decode([codes[at]]).tolist()[0]
        raise DataError(
            f"a rating is on another scale: {values[at]:g} for {vocabulary.what} {label!r}, where the model learned "
            f"from ratings between {low:g} and {high:g}."
        )


def ratings_of(values: Sequence[Any], what: str = "rating") -> NDArray[np.float32]:
    """Given ratings as numbers, (n,); DataError for one that is none, or not finite."""
    try:
        with np.errstate(over="ignore"):
            numbers = np.array([float(value) for value in values], np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"a {what} must be a number: {error}.") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"a {what} is NaN or infinite (or too large for float32).")
    return numbers


def interval(expected: Doubles, spread: Doubles, level: float, limits: tuple[float, float]) -> tuple[Doubles, ...]:
    """The expectation -+ z spread, all three clipped to the rating range."""
    z = z_of(level)
    return (
        np.clip(expected, *limits),
        np.clip(expected - z * spread, *limits),
        np.clip(expected + z * spread, *limits),
    )


def z_of(level: float) -> float:
    """How many standard deviations on each side hold `level` of a Normal."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)
