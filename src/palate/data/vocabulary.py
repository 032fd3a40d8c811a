"""Vocabulary: labels as people know them <-> codes 0..n-1 as the arrays use them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.errors import DataError, LabelTypeError, UnknownLabelError

Label = str | int
Codes = NDArray[np.int32]


class Vocabulary:
    """The distinct labels of one field, in order; the code of a label is its position.

    Labels are either all strings or all integers and stay as they were given: "01" is not "1", and "1" is not 1.

    >>> vocabulary = Vocabulary(["drama", "comedy", "drama"])
    >>> list(vocabulary)
    ['comedy', 'drama']
    >>> vocabulary.encode(["drama", "western"], on_unknown="mark")
    array([ 1, -1], dtype=int32)
    """

    def __init__(self, labels: Iterable[Label] | NDArray[Any], *, what: str = "label") -> None:
        """Collect the distinct labels, sorted (as numbers when all of them are whole numbers).

        Raises DataError for a missing label and LabelTypeError for strings mixed with integers.
        """
        self._set(_sorted(_as_labels(labels, what)), what)

    @classmethod
    def in_order(cls, labels: Iterable[Label] | NDArray[Any], *, what: str = "label") -> Vocabulary:
        """Take labels that are distinct already, and keep their order (a stored or an extended vocabulary)."""
        vocabulary = cls.__new__(cls)
        vocabulary._set(_as_labels(labels, what).copy(), what)
        return vocabulary

    def _set(self, labels: NDArray[Any], what: str) -> None:
        self.labels = labels
        self.labels.setflags(write=False)
        self.what = what

    def __reduce__(self) -> Any:
        return (_restored, (self.labels, self.what))

    def named(self, what: str) -> Vocabulary:
        """The same labels under another name for what they are."""
        if what == self.what:
            return self
        other = Vocabulary.__new__(Vocabulary)
        other.labels, other.what = self.labels, what
        return other

    @property
    def kind(self) -> Literal["string", "integer"]:
        """The type of every label."""
        return "integer" if self.labels.dtype.kind == "i" else "string"

    @cached_property
    def _code_of(self) -> dict[Label, int]:
        return dict(zip(self.labels.tolist(), range(len(self.labels)), strict=True))

    def encode_one(self, label: Label) -> int:
        """The code of one label; UnknownLabelError if there is none."""
        code = self.find(label)
        if code < 0:
            raise UnknownLabelError(f"unknown {self.what} {label!r}. {self._example()}")
        return code

    def find(self, label: Label) -> int:
        """The code of one label, or -1. A label of the wrong type is an error even here."""
        given: Any = label
        if isinstance(given, np.integer | np.str_ | np.ndarray) and given.ndim == 0:
            label = given.item()
        if isinstance(label, bool) or not isinstance(label, (str, int)):
            raise LabelTypeError(f"a {self.what} is a string or an integer, not {type(label).__name__} {label!r}.")
        if len(self.labels) and isinstance(label, int) != (self.kind == "integer"):
            other = repr(str(label)) if isinstance(label, int) else label
            raise LabelTypeError(
                f"{self.what} {label!r} is {_article(label)}, but the {self.what}s here are {self.kind}s: "
                f"did you mean {other}? {self._example()}"
            )
        return self._code_of.get(label, -1)

    def encode(
        self, labels: Iterable[Label] | NDArray[Any], *, on_unknown: Literal["raise", "mark"] = "raise"
    ) -> Codes:
        """Codes of many labels, shape (n,) int32; an unknown one raises, or is marked with -1."""
        if isinstance(labels, str):
            raise LabelTypeError(f"expected several {self.what}s, got the one string {labels!r}; pass [{labels!r}].")
        given = _as_labels(labels, self.what)
        if len(given) == 0:
            return np.zeros(0, np.int32)
        self.find(given[0] if given.dtype.kind == "O" else int(given[0]))  # the type check, once
        codes = self._encode_integers(given) if given.dtype.kind == "i" else self._encode_strings(given)
        if on_unknown == "raise" and (codes < 0).any():
            self.encode_one(given[int(np.argmax(codes < 0))])
        return codes

    def _encode_integers(self, given: NDArray[np.int64]) -> Codes:
        if len(self.labels) == 0:
            return np.full(len(given), -1, np.int32)
        order = self._integer_order
        at = np.searchsorted(self.labels, given, sorter=order)
        code = order[np.minimum(at, len(order) - 1)]
        return np.where(self.labels[code] == given, code, -1).astype(np.int32)

    @cached_property
    def _integer_order(self) -> NDArray[np.intp]:
        return np.argsort(self.labels, kind="stable")

    def _encode_strings(self, given: NDArray[Any]) -> Codes:
        code_of = self._code_of
        return np.fromiter((code_of.get(label, -1) for label in given), np.int32, len(given))

    def decode(self, codes: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """Labels of codes, shape (n,): int64, or object holding str."""
        return self.labels[np.asarray(codes, dtype=np.intp)]

    def extended(self, labels: Iterable[Label] | NDArray[Any]) -> Vocabulary:
        """The same vocabulary with the labels it did not know appended, so that known codes stay as they are."""
        given = _as_labels(labels, self.what)
        known = self.encode(given, on_unknown="mark") if len(self) else np.full(len(given), -1, np.int32)
        new = _sorted(given[known < 0])
        return Vocabulary.in_order(np.concatenate([self.labels, new]) if len(self) else new, what=self.what)

    def _example(self) -> str:
        if len(self.labels) == 0:
            return f"There are no {self.what}s."
        shown = ", ".join(repr(label) for label in self.labels[:3].tolist())
        return f"The {len(self.labels):,} known ones are like {shown}."

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Any:
        return iter(self.labels.tolist())

    def __contains__(self, label: object) -> bool:
        return label in self._code_of and not isinstance(label, bool)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.kind == other.kind and np.array_equal(self.labels, other.labels)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} {self.kind} {self.what}s)"


def _as_labels(labels: Iterable[Label] | NDArray[Any], what: str) -> NDArray[Any]:
    """Int64 array of integers, or object array of str; anything else is an error that shows the first culprit."""
    array = labels if isinstance(labels, np.ndarray) else _from_iterable(labels)
    if array.ndim != 1:
        raise DataError(f"the {what}s have shape {array.shape}; labels are an array of one dimension, or a list.")
    if array.dtype.kind in "iu":
        return _as_int64(array, what)
    if array.dtype.kind in "UT":
        return array.astype(object)
    if array.dtype.kind == "O":
        return _checked_objects(array, what)
    if array.size == 0:
        return array.astype(object)
    raise LabelTypeError(f"a {what} is a string or an integer, not {array.dtype} (first: {array.flat[0]!r}).")


def _from_iterable(labels: Iterable[Label]) -> NDArray[Any]:
    collected = list(labels)
    array = np.empty(len(collected), dtype=object)
    array[:] = collected
    return array


def _as_int64(integers: NDArray[Any], what: str) -> NDArray[np.int64]:
    """A copy in 64 bits, of an array of integers or of Python integers; DataError for one that does not fit."""
    if integers.dtype.kind != "i" and len(integers):
        for label in (int(integers.max()), int(integers.min())):
            if not -(2**63) <= label < 2**63:
                raise DataError(f"{what} {label} is beyond 64 bits; make the {what}s strings.")
    return integers.astype(np.int64)


def _is_missing(label: Any) -> bool:
    if isinstance(label, float | np.floating):
        return bool(np.isnan(label))
    return label is None or type(label).__name__ in ("NAType", "NaTType")


def _checked_objects(array: NDArray[Any], what: str) -> NDArray[Any]:
    types = {type(label) for label in array}
    if np.ndarray in types and all(isinstance(label, np.ndarray) and label.ndim == 0 for label in array):
        return _as_labels([label.item() for label in array], what)
    if types <= {str, np.str_}:
        return array if types <= {str} else np.array([str(label) for label in array], dtype=object)
    if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in types):
        return _as_int64(_from_iterable([int(label) for label in array]), what)
    missing = sum(map(_is_missing, array))
    if missing:
        raise DataError(f"{missing} of {len(array)} {what}s are missing (null or NaN).")
    names = ", ".join(sorted(kind.__name__ for kind in types))
    mix = "a mix of " if len(types) > 1 else ""
    raise LabelTypeError(f"{what}s must be all strings or all integers, got {mix}{names}.")


def _restored(labels: NDArray[Any], what: str) -> Vocabulary:
    """What pickle made of a vocabulary, its labels read-only again."""
    return Vocabulary.in_order(labels, what=what)


def _sorted(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind == "i":
        return np.unique(labels)
    return np.array(sort_labels(set(labels.tolist())), dtype=object)


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Strings in code-point order, or as numbers when every one is a plain whole number."""
    distinct = list(labels)
    if all(label.isascii() and label.isdigit() for label in distinct):
        return sorted(distinct, key=lambda label: (len(label.lstrip("0")), label.lstrip("0"), label))
    return sorted(distinct)


def _article(label: Label) -> str:
    return "an integer" if isinstance(label, int) else "a string"
