"""What answers have in common on the way in: labels, times and ratings become arrays.

Labels, frames, times and the ratings of a fold-in user become codes and numbers here, so that the other files of this
folder see arrays only. palate.options checks the options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import is_frame
from palate.data.native import opened
from palate.data.output import kind_of
from palate.data.reading.frames import table_of
from palate.data.reading.names import is_common, there_are
from palate.data.rows import CompressedRows, in_order, last_of_each, pointers_of, rows_of_entries
from palate.data.timestamps import seconds_of
from palate.data.vocabulary import Vocabulary, plain_label
from palate.errors import DataError, OptionError
from palate.models.model import Model
from palate.options import is_number

OnUnknown = Literal["fallback", "nan", "raise"]
Doubles = NDArray[np.float64]

RATED_TWICE = "is rated {} times; give one rating of each."


# ---- labels ----------------------------------------------------------------------------------------------------------


def is_many(labels: Any) -> bool:
    """True for several labels. A string, a number or an array without dimensions is one label."""
    return hasattr(labels, "__iter__") and not isinstance(labels, str | bytes) and getattr(labels, "ndim", 1) != 0


def encode(vocabulary: Vocabulary, labels: Any, on_unknown: OnUnknown) -> NDArray[np.int32]:
    """Codes of labels, (n,), -1 for unknown ones; raises UnknownLabelError for these if on_unknown is "raise"."""
    return vocabulary.encode(labels, on_unknown=marking(on_unknown))


def marking(on_unknown: OnUnknown) -> Literal["raise", "mark"]:
    """How to encode unknown labels: raise, or mark them with -1 because they get an answer too."""
    return "raise" if on_unknown == "raise" else "mark"


def labels_of(given: Any, what: str) -> Any:
    """The labels in one label, a list, an array or the `what` column of a frame, as a list or array."""
    if is_frame(given):
        return frame_columns(given, [what], "")[0]
    if isinstance(given, np.ndarray):
        return given
    return listed(given) if is_many(given) else [given]


def listed(given: Any) -> list[Any]:
    """The labels of a list, or of a column of any frame library."""
    if kind_of(given) is None or isinstance(given, tuple | Mapping):
        return list(given)
    read = next(name for name in ("to_pylist", "tolist", "to_list") if hasattr(given, name))  # Arrow, pandas, polars
    labels: list[Any] = getattr(given, read)()
    return labels


def label_array(labels: Any, vocabulary: Vocabulary) -> NDArray[Any]:
    """Labels as an array of the vocabulary's type: int64, or object holding str."""
    dtype = vocabulary.labels.dtype
    if isinstance(labels, np.ndarray) and labels.dtype == dtype and dtype.kind != "O":
        return labels
    return np.array([str(label) for label in labels] if dtype.kind == "O" else list(labels), dtype=dtype)


def same_length(users: Any, items: Any) -> tuple[Any, Any]:
    """Two lists of one length; a single label is repeated. Raises OptionError if two lists differ in length."""
    own = listed(items) if is_many(items) else None
    many_users = listed(users) if is_many(users) else [users] * (1 if own is None else len(own))
    many_items = [items] * len(many_users) if own is None else own
    if len(many_users) != len(many_items):
        raise OptionError(f"predict got {len(many_users)} users and {len(many_items)} items; give one item per user.")
    return many_users, many_items


# ---- columns of frames -----------------------------------------------------------------------------------------------


def frame_columns(frame: Any, fields: Sequence[str], expected: str) -> list[NDArray[Any]]:
    """The columns of a frame that hold these fields, (n,) each.

    Raises DataError that names the columns there are if one is missing. Raises OptionError with the sentence
    `expected` if the value is no frame.
    """
    if not is_frame(frame):
        raise OptionError(expected)
    columns = (_frame_column(frame, field, needed=True) for field in fields)
    return [column for column in columns if column is not None]


def _frame_column(frame: Any, field: str, *, needed: bool) -> NDArray[Any] | None:
    """The column called like the field, or by another of its common names. Raises DataError for missing values."""
    import narwhals as nw

    native = opened(frame)
    assert native is not None
    names = native.names
    name = _column_name(names, field)
    if name is None and not needed:
        return None
    if name is None:
        raise DataError(f"the frame has no {field} column. {there_are(names)}")
    series = native.frame[:, names.index(name)]
    _check_complete(series, name)
    column: NDArray[Any] = series.to_numpy()
    return column.astype(object) if series.dtype == nw.String else column


def _column_name(names: Sequence[str], field: str) -> str | None:
    """The name that is the field's own, or else the first of its common names; None without one. Raises for two."""
    found = [name for name in names if name == field] or [name for name in names if is_common(name, field)]
    if not found:
        return None
    if names.count(found[0]) > 1:
        raise DataError(f"{names.count(found[0])} columns of the frame are called {found[0]!r}: rename all but one.")
    return found[0]


def _check_complete(series: Any, name: str) -> None:
    if series.null_count():
        raise DataError(f"{series.null_count()} of {len(series)} values in the {name} column are missing.")


# ---- times -----------------------------------------------------------------------------------------------------------


def frame_times(frame: Any) -> Doubles | None:
    """The time column of a frame, under one of its common names, in seconds since 1970, (n,), as read() takes it.

    None without such a column. Raises DataError for a missing time, and for a value that is no time.
    """
    table = table_of(frame)
    name = None if table is None else _column_name(table.names, "time")
    if table is None or name is None:
        return None
    series = table.column(table.names.index(name))
    _check_complete(series, name)
    return seconds_of(series, name, is_column=True)


def timestamps_of(when: Any, n: int) -> Doubles | None:
    """Seconds since 1970 for each of n rows, (n,), nan for a missing time; None stays None.

    Raises DataError for a value that is no time, and OptionError unless there is one time or n.
    """
    if when is None:
        return None
    if is_number(when):
        return np.full(n, when, np.float64)
    if not is_many(when):
        return np.full(n, seconds_of([when], "when")[0])
    read = seconds_of(when, "when")
    if len(read) != n:
        raise OptionError(f"when has {len(read)} times for {n} rows; give one for all, or one for each.")
    return read


# ---- ratings and choices of a fold-in user ---------------------------------------------------------------------------


def history_of(vocabulary: Vocabulary, given: Any) -> CompressedRows:
    """The ratings of one user as one row, from {item: rating} or a frame of items, ratings and perhaps weights.

    Ratings of weight 0 are left out. Raises UnknownLabelError for an unknown item. Raises DataError for an item named
    twice, a rating that is no finite number, or a weight that is negative or no finite number.
    """
    labels, values, given_weights = _ratings_and_weights(vocabulary.what, given)
    codes = vocabulary.encode(labels)
    _check_distinct(vocabulary, codes)
    weights = None if given_weights is None else ratings_of(given_weights, "weight")
    if weights is not None and (weights < 0).any():
        raise DataError("a weight is negative.")
    row = CompressedRows(np.array([0, len(codes)], np.int64), codes, ratings_of(values), weights)
    return row if weights is None else rows_of_entries(row, weights > 0)


def choices_of(
    vocabulary: Vocabulary,
    given: Any,
    like_threshold: float | None = None,
    *,
    times: Any = None,
    each_once: bool = True,
) -> CompressedRows:
    """The choices of one user as one row, from a list of items, {item: count}, or a frame of items and perhaps counts.

    They are ordered, oldest first; by times where these are given, or where a frame has a column of them. Counts stand
    in a column called weight or rating. each_once: an item that is listed twice counts as two choices at its last
    place, and a like as one. Raises as history_of does, but for repeats, and DataError for a count of 0 or less.
    like_threshold: of a model of likes, which takes no ratings (OptionError); a weight of each like is none.
    """
    is_list = not isinstance(given, Mapping) and not is_frame(given)
    labels, values = (_listed(vocabulary.what, given), None) if is_list else _choices_and_counts(vocabulary.what, given)
    if like_threshold is not None and not is_list and _has_ratings(given):
        raise OptionError(
            f"this model learned from likes, ratings of {like_threshold:g} or more, and takes no numbers: fold in a "
            f"list of the {vocabulary.what}s that are rated {like_threshold:g} or more."
        )
    codes = vocabulary.encode(labels)
    counts = None if values is None else ratings_of(values, "count")
    if counts is not None and not (counts > 0).all():
        raise DataError("a count is 0 or negative; leave out what was not chosen.")
    when = _times_of(given, times, len(codes))
    ends = np.array([0, len(codes)], np.int64)
    row = in_order(CompressedRows(ends, codes, np.ones(len(codes), np.float32), counts, when))
    return last_of_each(row, counted=like_threshold is None) if each_once else row


def _times_of(given: Any, times: Any, n: int) -> NDArray[np.int64] | None:
    """Whole seconds of n choices: as given, or from a column of the frame they are in; None without any."""
    if times is None:
        found = frame_times(given) if is_frame(given) else None
        return None if found is None else np.floor(found).astype(np.int64)
    seconds = seconds_of(list(times) if is_many(times) else [times], "times")
    if len(seconds) != n:
        raise OptionError(f"times has {len(seconds)} times for {n} choices; give one for each.")
    if not np.isfinite(seconds).all():
        raise DataError("a time is missing: give one for each choice, or no times= at all.")
    return np.floor(seconds).astype(np.int64)


def rows_of_frame(model: Model, frame: Any, owners: list[Any], labels: list[Any]) -> CompressedRows:
    """The ratings or choices in a frame as one row for each label; owners: the label of each rating, (n,).

    Raises as history_of and choices_of do.
    """
    items, counts, values = model.item_vocabulary, None, None
    if model.kind == "implicit":
        if model.like_threshold is not None and _has_ratings(frame):
            raise OptionError(
                f"this model learned from likes, ratings of {model.like_threshold:g} or more, and takes no numbers: "
                "fold in a frame without a column of ratings."
            )
        named, counts = _choices_and_counts(items.what, frame)
    else:
        named, values, counts = _ratings_and_weights(items.what, frame)
    codes = items.encode(named)
    weights = None if counts is None else ratings_of(counts, "weight" if values is not None else "count")
    if weights is not None and (weights < 0).any():
        raise DataError("a weight or count is negative.")
    row_of = {label: row for row, label in enumerate(labels)}
    rows = np.array([row_of[owner] for owner in owners], np.int64)
    if model.kind == "explicit":
        _check_distinct_pairs(items, labels, rows, codes)
    order = np.argsort(rows, kind="stable")
    numbers = np.ones(len(codes), np.float32) if values is None else ratings_of(values)
    indptr = pointers_of(np.bincount(rows, minlength=len(labels)))
    whole = CompressedRows(indptr, codes[order], numbers[order], None if weights is None else weights[order])
    if model.kind == "explicit":
        return whole if whole.weights is None else rows_of_entries(whole, whole.weights > 0)
    if weights is not None and not weights.all():
        raise DataError("a count is 0; leave out what was not chosen.")
    times = _times_of(frame, None, len(codes))
    whole = in_order(replace(whole, times=None if times is None else times[order]))
    if model.factors.reads_order:
        return whole
    return last_of_each(whole, counted=model.like_threshold is None)


def _check_distinct_pairs(items: Vocabulary, labels: list[Any], rows: Any, codes: NDArray[np.int32]) -> None:
    pairs, counts = np.unique(rows * len(items) + codes, return_counts=True)
    if counts.max(initial=1) > 1:
        row, code = divmod(int(pairs[counts.argmax()]), len(items))
        (label,) = items.decode([code]).tolist()
        raise DataError(f"{labels[row]!r}: {items.what} {label!r} {RATED_TWICE.format(counts.max())}")


def _listed(what: str, labels: Any) -> list[Any]:
    if not is_many(labels):
        raise OptionError(f"fold_in takes a list of {what}s, a mapping {{{what}: count}} or a frame.")
    return [plain_label(label) for label in labels]


def _has_ratings(given: Any) -> bool:
    """True if a mapping has numbers as its values, or a frame a column of ratings."""
    if isinstance(given, Mapping):
        return any(value is not None for value in given.values())
    return _frame_column(given, "rating", needed=False) is not None


def _choices_and_counts(what: str, given: Any) -> tuple[Any, Any]:
    if isinstance(given, Mapping):
        values = [1 if value is None else value for value in given.values()]
        return list(given), values if _has_ratings(given) else None
    labels = frame_columns(given, [what], "")[0]
    counts = _frame_column(given, "weight", needed=False)
    return labels, counts if counts is not None else _frame_column(given, "rating", needed=False)


def _ratings_and_weights(what: str, given: Any) -> tuple[Any, Any, Any]:
    if isinstance(given, Mapping):
        return list(given), list(given.values()), None
    expected = f"fold_in takes a mapping {{{what}: rating}} or a frame with {what} and rating columns."
    labels, values = frame_columns(given, [what, "rating"], expected)
    return labels, values, _frame_column(given, "weight", needed=False)


def _check_distinct(vocabulary: Vocabulary, codes: NDArray[np.int32]) -> None:
    counts = np.bincount(codes, minlength=1)
    if counts.max() > 1:
        (label,) = vocabulary.decode([int(counts.argmax())]).tolist()
        raise DataError(f"{vocabulary.what} {label!r} {RATED_TWICE.format(counts.max())}")


def check_range(vocabulary: Vocabulary, codes: NDArray[np.int32], values: Any, limits: tuple[float, float]) -> None:
    """Raise DataError for a rating that lies farther outside the training range than the range is wide.

    If all training ratings are equal, the width is taken to be their absolute value, and at least 1.
    """
    low, high = limits
    width = high - low or max(abs(high), 1.0)
    outside = (values < low - width) | (values > high + width)
    if outside.any():
        at = int(np.argmax(outside))
        (label,) = vocabulary.decode([codes[at]]).tolist()
        raise DataError(
            f"a rating is on another scale: {values[at]:g} for {vocabulary.what} {label!r}, where the model learned "
            f"from ratings between {low:g} and {high:g}."
        )


def ratings_of(values: Sequence[Any], what: str = "rating") -> NDArray[np.float32]:
    """Ratings as float32, (n,). Raises DataError for a value that is no finite number."""
    if any(isinstance(value, np.complexfloating) for value in values):
        raise DataError(f"a {what} must be a real number, and some are complex.")
    try:
        with np.errstate(over="ignore"):
            numbers = np.array([float(value) for value in values], np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"a {what} must be a number: {error}.") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"a {what} is NaN or infinite (or too large for float32).")
    return numbers
