"""Vocabulary: translates labels, such as "tt0078748" or 196, to codes 0..n-1, and codes back to labels.

Users type labels; kernels and models see codes. What happens to an unknown label is said at each call.
"""

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
    """The distinct labels of one field, sorted; the code of a label is its position.

    Labels are all strings or all integers, and stay as they were given: "01" is not "1", and "1" is not 1. Integers
    sort as numbers. Strings sort by code point, or as numbers if all of them are digits.

    `len(vocabulary)` is the number of labels, `for label in vocabulary` goes through them in the order of their codes,
    and `label in vocabulary` is True for a known one. Two vocabularies are equal if they have the same labels in the
    same order.

    Parameters:
        labels (iterable or array of str or int): The labels; repeated ones count once.
        what (str, default "label"): What a label is called in error messages, such as "user".

    Attributes:
        labels (array): The labels in the order of their codes, shape (n,): int64, or object holding str. Read-only.
        what (str): What a label is called in error messages.

    Raises:
        DataError: A label is missing (None or NaN) or is an integer beyond 64 bits.
        LabelTypeError: Labels mix strings and integers, or are neither.

    Example:
        >>> import palate
        >>> vocabulary = palate.Vocabulary(["drama", "comedy", "drama"])
        >>> list(vocabulary)
        ['comedy', 'drama']
        >>> vocabulary.encode(["drama", "western"], on_unknown="mark")
        array([ 1, -1], dtype=int32)
    """

    def __init__(self, labels: Iterable[Label] | NDArray[Any], *, what: str = "label") -> None:
        self._set(_sorted(checked_labels(labels, what)), what)

    @classmethod
    def in_order(cls, labels: Iterable[Label] | NDArray[Any], *, what: str = "label") -> Vocabulary:
        """Make a vocabulary of labels that are distinct already, in the given order.

        Parameters:
            labels (iterable or array of str or int): Distinct labels. That they are distinct is not checked.
            what (str, default "label"): What a label is called in error messages.

        Returns:
            Vocabulary: Whose code i is the i-th label.

        Raises:
            DataError: A label is missing or is an integer beyond 64 bits.
            LabelTypeError: Labels mix strings and integers, or are neither.

        Example:
            >>> import palate
            >>> list(palate.Vocabulary.in_order(["drama", "comedy"]))
            ['drama', 'comedy']
        """
        vocabulary = cls.__new__(cls)
        vocabulary._set(checked_labels(labels, what).copy(), what)
        return vocabulary

    def _set(self, labels: NDArray[Any], what: str) -> None:
        self.labels = labels
        self.labels.setflags(write=False)
        self.what = what

    def __reduce__(self) -> Any:
        return (_restored, (self.labels, self.what))

    def named(self, what: str) -> Vocabulary:
        """Return the same vocabulary with another word for its labels in error messages.

        Parameters:
            what (str): What a label is called in error messages, such as "item".

        Returns:
            Vocabulary: Sharing the labels; itself if `what` is unchanged.

        Example:
            >>> import palate
            >>> palate.Vocabulary(["drama", "comedy"]).named("genre")
            Vocabulary(2 string genres)
        """
        if what == self.what:
            return self
        other = Vocabulary.__new__(Vocabulary)
        other.labels, other.what = self.labels, what
        return other

    def in_memory(self) -> Vocabulary:
        """Return a vocabulary whose labels are in memory: those of ratings on disk are read when first needed.

        Returns:
            Vocabulary: With the same labels; itself if they are in memory already.

        Example:
            >>> import palate
            >>> palate.Vocabulary(["drama", "comedy"]).in_memory()
            Vocabulary(2 string labels)
        """
        return self

    @property
    def kind(self) -> Literal["string", "integer"]:
        """Type of the labels: "integer" or "string"."""
        return "integer" if self.labels.dtype.kind == "i" else "string"

    @cached_property
    def _code_of(self) -> dict[Label, int]:
        return dict(zip(self.labels.tolist(), range(len(self.labels)), strict=True))

    def encode_one(self, label: Label) -> int:
        """Return the code of one label, or raise if it is unknown.

        Parameters:
            label (str or int): The label, of the vocabulary's type.

        Returns:
            int: The code, between 0 and len(vocabulary) - 1.

        Raises:
            UnknownLabelError: The vocabulary does not contain the label.
            LabelTypeError: The label is not of the vocabulary's type.

        Example:
            >>> import palate
            >>> palate.Vocabulary(["drama", "comedy"]).encode_one("drama")
            1
        """
        code, label = self.find(label), plain_label(label)
        if code < 0:
            raise UnknownLabelError(f"unknown {self.what} {label!r}. {self._example()}")
        return code

    def find(self, label: Label) -> int:
        """Return the code of one label, or -1 if it is unknown.

        Parameters:
            label (str or int): The label, of the vocabulary's type.

        Returns:
            int: The code, between 0 and len(vocabulary) - 1, or -1.

        Raises:
            LabelTypeError: The label is not of the vocabulary's type.

        Example:
            >>> import palate
            >>> palate.Vocabulary(["drama", "comedy"]).find("western")
            -1
        """
        label = plain_label(label)
        if isinstance(label, bool) or not isinstance(label, (str, int)):
            raise LabelTypeError(f"a {self.what} is a string or an integer, not {type(label).__name__} {label!r}.")
        if len(self.labels) and isinstance(label, int) != (self.kind == "integer"):
            other = repr(str(label)) if isinstance(label, int) else label
            raise LabelTypeError(
                f"{self.what} {label!r} is {_with_article(label)}, but the {self.what}s here are {self.kind}s: "
                f"did you mean {other}? {self._example()}"
            )
        return self._code_of.get(label, -1)

    def encode(
        self, labels: Iterable[Label] | NDArray[Any], *, on_unknown: Literal["raise", "mark"] = "raise"
    ) -> Codes:
        """Return the codes of several labels.

        Parameters:
            labels (iterable or array of str or int): The labels, of the vocabulary's type.
            on_unknown ("raise" or "mark", default "raise"): Raise at an unknown label, or give it the code -1.

        Returns:
            int32 array: The codes, shape (n,).

        Raises:
            UnknownLabelError: A label is unknown and on_unknown is "raise".
            LabelTypeError: A label is not of the vocabulary's type, or `labels` is a single string.
            DataError: A label is missing, or `labels` has more than one dimension.

        Example:
            >>> import palate
            >>> palate.Vocabulary(["a", "b"]).encode(["b", "a", "b"])
            array([1, 0, 1], dtype=int32)
        """
        if isinstance(labels, str):
            raise LabelTypeError(f"expected several {self.what}s, got the one string {labels!r}; pass [{labels!r}].")
        if isinstance(labels, list) and len(labels) == 1 and type(labels[0]) in (str, int):
            code = self.encode_one(labels[0]) if on_unknown == "raise" else self.find(labels[0])
            return np.array([code], np.int32)
        given = checked_labels(labels, self.what)
        if len(given) == 0:
            return np.zeros(0, np.int32)
        self.find(given[0] if given.dtype.kind == "O" else int(given[0]))  # raises if the type is wrong
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
        """Return the labels of several codes.

        Parameters:
            codes (sequence or array of int): Codes between 0 and len(vocabulary) - 1.

        Returns:
            array: The labels, shape (n,): int64, or object holding str.

        Raises:
            IndexError: A code is len(vocabulary) or more.

        Example:
            >>> import palate
            >>> palate.Vocabulary([30, 10]).decode([1, 1, 0]).tolist()
            [30, 30, 10]
        """
        return self.labels[np.asarray(codes, dtype=np.intp)]

    def extended(self, labels: Iterable[Label] | NDArray[Any]) -> Vocabulary:
        """Return a larger vocabulary: this one's labels keep their codes, new ones follow, sorted.

        Parameters:
            labels (iterable or array of str or int): Labels to add; known ones change nothing.

        Returns:
            Vocabulary: With all labels of both.

        Raises:
            DataError: A label is missing or is an integer beyond 64 bits.
            LabelTypeError: A label is not of the vocabulary's type.

        Example:
            >>> import palate
            >>> list(palate.Vocabulary(["b", "c"]).extended(["c", "a"]))
            ['b', 'c', 'a']
        """
        given = checked_labels(labels, self.what)
        known = self.encode(given, on_unknown="mark") if len(self) else np.full(len(given), -1, np.int32)
        new = _sorted(given[known < 0])
        return Vocabulary.in_order(np.concatenate([self.labels, new]) if len(self) else new, what=self.what)

    def _example(self) -> str:
        if len(self.labels) == 0:
            return f"There are no {self.what}s."
        shown = ", ".join(repr(label) for label in self.labels[:3].tolist())
        such = ", such as" if len(self.labels) > 3 else ":"
        return f"There are {len(self.labels):,} {self.what}s{such} {shown}."

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Any:
        return iter(self.labels.tolist())

    def __contains__(self, label: object) -> bool:
        return label in self._code_of and not isinstance(label, bool)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        if other is self:
            return True
        return self.kind == other.kind and np.array_equal(self.labels, other.labels)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} {self.kind} {self.what}s)"


def plain_label(label: Any) -> Any:
    """A label as Python's own str or int, also from a scalar of NumPy: as messages show it."""
    return label.item() if isinstance(label, np.generic | np.ndarray) and label.ndim == 0 else label


def checked_labels(labels: Iterable[Label] | NDArray[Any], what: str) -> NDArray[Any]:
    """The labels as an int64 array, or as an object array of str; an error for anything else shows the first one."""
    array = labels if isinstance(labels, np.ndarray) else _from_iterable(labels)
    if array.ndim != 1:
        raise DataError(f"the {what}s have shape {array.shape}: give a list, or an array of one dimension.")
    if isinstance(array, np.ma.MaskedArray):
        if n_masked := int(np.ma.getmaskarray(array).sum()):
            raise DataError(f"{n_masked} of {len(array)} {what}s are missing (masked).")
        array = array.data
    if array.dtype.kind in "iu":
        return _as_int64(array, what)
    if array.dtype.kind in "UT":
        return array.astype(object)
    if array.dtype.kind == "O":
        return _checked_objects(array, what)
    if array.size == 0:
        return array.astype(object)
    raise LabelTypeError(
        f"a {what} is a string or an integer, not {array.dtype} (first: {plain_label(array.flat[0])!r})."
    )


def _from_iterable(labels: Iterable[Label]) -> NDArray[Any]:
    collected = list(labels)
    array = np.empty(len(collected), dtype=object)
    array[:] = collected
    return array


def _as_int64(integers: NDArray[Any], what: str) -> NDArray[np.int64]:
    """Integers as an int64 copy. Raise DataError if one does not fit."""
    if integers.dtype.kind != "i" and len(integers):
        for label in (int(integers.max()), int(integers.min())):
            if not -(2**63) <= label < 2**63:
                raise DataError(f"{what} {label} is beyond 64 bits; make the {what}s strings.")
    return integers.astype(np.int64)


def _is_missing(label: Any) -> bool:
    if isinstance(label, float | np.floating):
        return bool(np.isnan(label))
    return label is None or type(label).__name__ in ("NAType", "NaTType", "MaskedConstant")


def _checked_objects(array: NDArray[Any], what: str) -> NDArray[Any]:
    types = {type(label) for label in array}
    if np.ndarray in types and all(isinstance(label, np.ndarray) and label.ndim == 0 for label in array):
        return checked_labels([label.item() for label in array], what)
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
    """A vocabulary from its pickled parts."""
    return Vocabulary.in_order(labels, what=what)


def _sorted(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind == "i":
        return np.unique(labels)
    return np.array(sort_labels(set(labels.tolist())), dtype=object)


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Strings sorted by code point, or as numbers if all of them are ASCII digits."""
    distinct = list(labels)
    if all(label.isascii() and label.isdigit() for label in distinct):
        return sorted(distinct, key=lambda label: (len(label.lstrip("0")), label.lstrip("0"), label))
    return sorted(distinct)


def _with_article(label: Label) -> str:
    return "an integer" if isinstance(label, int) else "a string"
