"""Asking: what the questions to a model have in common. Options checked, labels and frames taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.answers import is_frame
from palate.errors import DataError, OptionError
from palate.vocabulary import Vocabulary

OnUnknown = Literal["fallback", "nan", "raise"]
Doubles = NDArray[np.float64]


def check_level(level: Any) -> None:
    """OptionError for a level that is no probability."""
    if isinstance(level, str) or not 0 < level < 1:
        raise OptionError(f"level must lie between 0 and 1, got {level!r}.")


def check_choice(name: str, given: Any, choices: Sequence[str]) -> None:
    """OptionError for a value that is none of the valid ones."""
    if given not in choices:
        raise OptionError(f"{name}={given!r} is none of {', '.join(map(repr, choices))}.")


def check_count(n: Any) -> None:
    """OptionError for an n that is no number of answers."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise OptionError(f"n must be a whole number, 0 or more, got {n!r}.")


def is_many(labels: Any) -> bool:
    """Whether several labels were given; a single thing of any type, valid or not, is one."""
    return hasattr(labels, "__iter__") and not isinstance(labels, str | bytes)


def encode(vocabulary: Vocabulary, labels: Any, on_unknown: OnUnknown) -> NDArray[np.int32]:
    """Codes of labels, (n,), -1 for unknown ones unless they shall raise."""
    return vocabulary.encode(labels, on_unknown="raise" if on_unknown == "raise" else "mark")


def label_array(labels: Any, vocabulary: Vocabulary) -> NDArray[Any]:
    """Labels as an array a frame can be made of: object holding str, or int64."""
    dtype = vocabulary.labels.dtype
    return np.array([str(label) for label in labels] if dtype.kind == "O" else list(labels), dtype=dtype)


def same_length(users: Any, items: Any) -> tuple[Any, Any]:
    """Two lists of one length; a single label stands for as many as there are on the other side."""
    many_users = list(users) if is_many(users) else [users] * (len(items) if is_many(items) else 1)
    many_items = list(items) if is_many(items) else [items] * len(many_users)
    if len(many_users) != len(many_items):
        raise OptionError(f"predict got {len(many_users)} users and {len(many_items)} items; give one item per user.")
    return many_users, many_items


def frame_columns(frame: Any, fields: Sequence[str], wanted: str) -> list[NDArray[Any]]:
    """The columns of a frame that hold these fields, (n,) each; DataError names the columns there are.

    Raises OptionError, with the sentence `wanted`, for what is no frame.
    """
    if not is_frame(frame):
        raise OptionError(wanted)
    return [_frame_column(frame, field) for field in fields]


def _frame_column(frame: Any, field: str) -> NDArray[Any]:
    import narwhals as nw

    from palate.reading.columns import is_usual, there_are

    native = nw.from_native(frame, eager_only=True)
    found = [name for name in native.columns if name == field] or [n for n in native.columns if is_usual(n, field)]
    if not found:
        raise DataError(f"the frame has no {field} column. {there_are(list(native.columns))}")
    series = native[found[0]]
    if series.null_count():
        raise DataError(f"{series.null_count()} of {len(series)} values in the {found[0]} column are missing.")
    column: NDArray[Any] = series.to_numpy()
    return column.astype(object) if series.dtype == nw.String else column


def ratings_of(values: Sequence[Any]) -> NDArray[np.float32]:
    """Given ratings as numbers, (n,); DataError for one that is none, or not finite."""
    try:
        with np.errstate(over="ignore"):
            numbers = np.array([float(value) for value in values], np.float64).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"a rating must be a number: {error}.") from None
    if not np.isfinite(numbers).all():
        raise DataError("a rating is NaN or infinite (or too large for float32).")
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
