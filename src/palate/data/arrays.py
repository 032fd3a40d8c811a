"""The arrays of ratings: what is checked of those that are given, and the form in which they are kept.

What is kept is a read-only copy: int32 codes, float32 numbers, and times as offsets from the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import Codes, Floats, read_only
from palate.data.vocabulary import Vocabulary, plain_label
from palate.errors import DataError, OptionError
from palate.options import is_number


def check_at_least(at_least: Any) -> None:
    """Raise OptionError unless this is a value that a like may be at least."""
    if not is_number(at_least) or np.isnan(at_least):
        raise OptionError(f"at_least={at_least!r}: give a number, the lowest value that is a like.")


def no_likes(at_least: float, measure: Floats) -> DataError:
    """The error of ratings, (n,), of which none is high enough for a like."""
    highest = f"; the highest is {measure.max():g}" if len(measure) else ""
    return DataError(f"no rating is {at_least:g} or more{highest}.")


def checked_weights(given: Any) -> Floats:
    """Weights as float32. Raises DataError for some that are negative or not finite."""
    weights = checked_floats("weights", given)
    if not ((weights >= 0) & np.isfinite(weights)).all():
        raise DataError("a weight is negative, NaN or infinite: weights are finite numbers from 0.")
    return weights


def divided_by(weights: Floats, by: float) -> Floats:
    """Weights divided by a number, as float32."""
    return read_only(weights / np.float32(by))


def checked_codes(name: str, given: Any, vocabulary: Vocabulary) -> Codes:
    """Codes of a vocabulary as int32. Raises DataError for others."""
    array = _of_kind(name, given, "iu", "integers")
    if array.size and (array.min() < 0 or array.max() >= len(vocabulary)):
        raise DataError(f"a {vocabulary.what} code lies outside 0..{len(vocabulary) - 1}, the codes of its vocabulary.")
    return _own(array, np.int32)


def checked_floats(name: str, given: Any) -> Floats:
    """Numbers as float32; those that do not fit become infinite. Raises DataError for what is no number."""
    return _own(_of_kind(name, given, "iufb", "numbers"), np.float32)


def _of_kind(name: str, given: Any, kinds: str, noun: str) -> NDArray[Any]:
    """An array. Raise DataError unless it has one dimension and is empty or of one of the NumPy `kinds`."""
    array = np.asarray(given)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}; it should have one dimension.")
    if array.size and array.dtype.kind not in kinds:
        raise DataError(f"{name} must be {noun}, not {array.dtype} (first: {plain_label(array[0])!r}).")
    return array


def _own(array: NDArray[Any], dtype: type) -> NDArray[Any]:
    """A read-only copy of the given type; what does not fit float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return read_only(np.array(array, dtype=dtype, order="C"))


def pack_times(times: NDArray[Any] | None) -> tuple[int, NDArray[Any] | None]:
    """Times as (start, offsets), with 4-byte offsets if the span fits."""
    if times is None:
        return 0, None
    whole = _of_kind("times", times, "iu", "integers, such as seconds since 1970")
    if len(whole) == 0:
        return 0, _own(whole, np.int64)
    first, last = int(whole.min()), int(whole.max())
    if last >= 2**63:
        raise DataError(f"times has {last}, which is beyond 64 bits: give seconds since 1970, for instance.")
    if last - first > np.iinfo(np.int32).max:
        return 0, _own(whole, np.int64)
    offsets = np.empty(len(whole), np.int32)
    np.subtract(whole, first, out=offsets, dtype=np.int64, casting="unsafe")
    return first, read_only(offsets)
