"""Coding: labels -> codes, block by block, and the vocabulary at the end.

Most files have whole numbers for ids. Their texts are read as numbers and looked up in an array; other texts in a dict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.reading.ids import as_meant, without_point_zero
from palate.data.vocabulary import Vocabulary
from palate.errors import LabelTypeError

if TYPE_CHECKING:
    import polars as pl

LARGEST = 1 << 24  # numbers below are looked up in an array, of 64 MB at most
POWERS = [10**n for n in range(1, 8)]
N_TRIED = 1000  # texts of a block that say how it is coded
GROWN = 1.125  # how many times as many labels are worth another Enum
TRANSLATED = 1 << 16  # codes that are translated at a time
NEW = -1  # a number without a code yet


@dataclass
class Labels:
    """The labels met so far, in order of appearance, and their provisional codes."""

    what: str
    code_of: dict[Any, int] = field(default_factory=dict)
    code_of_number: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    known: pl.Enum | None = None  # the labels of the first codes, to look texts up in
    how: str = ""  # what was taken off them: "17850.0 as 17850"
    kind: str = ""  # "string" or "integer", by the first of them
    n_before: int = 0  # labels met before the last clear()

    @property
    def n_met(self) -> int:
        """How many labels were met; one that came again after a clear() counts again."""
        return self.n_before + len(self.code_of)

    def clear(self) -> None:
        """Forget the labels, but for how many there were. Codes then begin with 0 again."""
        self.n_before = self.n_met
        self.code_of, self.code_of_number, self.known = {}, np.zeros(0, np.int32), None

    def codes(self, series: pl.Series) -> NDArray[np.int32]:
        """Provisional codes of strings or integers (no nulls), shape (n,). Where equals are neighbors, one is coded."""
        if len(series) == 0:
            return np.zeros(0, np.int32)
        self._check_kind(series)
        if not _stands_in_runs(series):
            return self._codes_of_each(series)
        is_first = (series != series.shift(1)).fill_null(True)
        sizes = np.diff(np.flatnonzero(is_first.to_numpy()), append=len(series))
        return np.repeat(self._codes_of_each(series.filter(is_first)), sizes)

    def _check_kind(self, series: pl.Series) -> None:
        import polars as pl

        kind = "string" if series.dtype == pl.String else "integer"
        if self.kind not in ("", kind):
            raise LabelTypeError(
                f"some {self.what}s are {self.kind}s, such as {next(iter(self.code_of), '')!r}, and some {kind}s, such "
                f"as {series[0]!r}: make all of them one type."
            )
        self.kind = kind

    def _codes_of_each(self, series: pl.Series) -> NDArray[np.int32]:
        if self.kind == "integer":
            integers = series.to_numpy()
            if integers.min() >= 0 and integers.max() < LARGEST:
                return self._codes_of_numbers(integers)
            numbers, local = np.unique(integers, return_inverse=True)
            of_numbers: NDArray[np.int32] = self._coded(numbers.tolist())[local]
            return of_numbers
        if (written := whole_numbers(series)) is not None:
            return self._codes_of_numbers(written)
        return self._codes_of_texts(series)

    def _codes_of_texts(self, texts: pl.Series) -> NDArray[np.int32]:
        """The codes of texts. Where a sample of them is known, all are looked up in the labels met so far: one pass."""
        if not all(text in self.code_of for text in _sample(texts).to_list()):
            return self._codes_of_distinct(texts)
        known = texts.cast(self._known_texts(), strict=False).to_physical()
        is_other = known.is_null()
        codes: NDArray[np.int32] = known.fill_null(0).to_numpy().astype(np.int32)
        if is_other.any():
            codes[is_other.to_numpy()] = self._codes_of_distinct(texts.filter(is_other))
        return codes

    def _codes_of_distinct(self, texts: pl.Series) -> NDArray[np.int32]:
        """The codes of texts, by a code for each distinct one."""
        import polars as pl

        distinct = texts.unique()
        local = texts.cast(pl.Enum(distinct)).to_physical().to_numpy()
        codes: NDArray[np.int32] = self._coded(distinct.to_list())[local]
        return codes

    def _known_texts(self) -> pl.Enum:
        """The labels met so far, or all but a few of them, as a type whose categories have their codes."""
        import polars as pl

        if self.known is None or len(self.code_of) > GROWN * len(self.known.categories):
            self.known = pl.Enum(list(self.code_of))
        return self.known

    def _coded(self, labels: list[Any]) -> NDArray[np.int32]:
        """The codes of labels, new ones where a label is new."""
        code_of = self.code_of
        return np.fromiter((code_of.setdefault(label, len(code_of)) for label in labels), np.int32, len(labels))

    def _codes_of_numbers(self, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """The codes of numbers, or of texts by the numbers that they write: an array is faster than a dict."""
        beyond = int(numbers.max()) + 1 - len(self.code_of_number)
        if beyond > 0:
            self.code_of_number = np.append(self.code_of_number, np.full(beyond, NEW, np.int32))
        codes = self.code_of_number[numbers]
        if (is_new := codes == NEW).any():
            new = np.unique(numbers[is_new])
            labels = new.tolist() if self.kind == "integer" else [str(number) for number in new.tolist()]
            self.code_of_number[new] = self._coded(labels)
            codes = self.code_of_number[numbers]
        return codes

    def vocabulary(self, *, is_text: bool) -> tuple[Vocabulary, NDArray[np.int32]]:
        """The vocabulary, and the final code of each provisional code. is_text: labels are those of a text file."""
        import polars as pl

        labels = list(self.code_of)
        if labels and isinstance(labels[0], str) and is_text:
            bare, self.how = as_meant(pl.Series(labels))
            labels = bare.to_list() if self.how else labels
        if labels and str(labels[0]).endswith(".0"):
            whole = without_point_zero(pl.Series(labels)).to_list()
            self.how, labels = "17850.0 as 17850" if whole != labels else self.how, whole
        vocabulary = Vocabulary(labels, what=self.what)
        return vocabulary, vocabulary.encode(labels)


def translate(codes: NDArray[np.int32], final: NDArray[np.int32]) -> None:
    """Write the final code of each provisional one in its place, part by part: new memory takes time."""
    for start in range(0, len(codes), TRANSLATED):
        part = codes[start : start + TRANSLATED]
        part[:] = final[part]


def _stands_in_runs(series: pl.Series) -> bool:
    """True if most labels are the same as the one before, by the first of them: rows grouped by user, for instance."""
    first = series.head(N_TRIED)
    return 2 * int((first == first.shift(1)).sum()) > len(first)


def _sample(texts: pl.Series) -> pl.Series:
    """Texts from everywhere in a block."""
    return texts.gather_every(max(len(texts) // N_TRIED, 1))


def whole_numbers(texts: pl.Series) -> NDArray[np.int64] | None:
    """The numbers that texts write, if each is written as Python would: 7, not 007, +7 or 7.0; None if one is not."""
    import polars as pl

    if len(texts) == 0 or _sample(texts).cast(pl.Int64, strict=False).null_count():
        return None
    numbers = texts.cast(pl.Int64, strict=False)
    if numbers.null_count():
        return None
    array = numbers.to_numpy()
    if array.min() < 0 or array.max() >= LARGEST:
        return None
    n_digits = len(array) + sum(int(np.count_nonzero(array >= power)) for power in POWERS if power <= array.max())
    n_bytes = int(texts.str.len_bytes().to_numpy().sum(dtype=np.int64))  # more if one is written in another way
    return array if n_digits == n_bytes else None
