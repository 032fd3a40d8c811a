"""What rows are called: labels, and titles in place of labels. Also Recommender.find, which searches titles.

Titles are accepted where a person names items: as one label, in a list, or as the key of a mapping. Frames and arrays
hold labels only, so that a table of ids is never matched with titles by accident.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from palate.answers.arguments import is_many, listed
from palate.answers.frames import is_frame, item_columns, make_frame
from palate.data.titles import Titles
from palate.data.vocabulary import Label, Vocabulary, plain_label
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.models.factors import Codes
from palate.models.model import Model
from palate.options import check_count

if TYPE_CHECKING:
    import polars as pl

OnUnknown = Literal["raise", "mark", "skip"]  # "skip" is for lists such as items=, which may hold new labels
WORDS = re.compile(r"[^\W\d_]+|.*\S\s+\S.*", re.DOTALL)  # a word of letters only, or several words: perhaps a title
WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
MAX_SHOWN = 8  # candidates that an error lists


def find(model: Model, text: str, n: int) -> pl.DataFrame:
    """A frame of the items that a text may name: item, (title,) n_ratings; best match first, then most rated first.

    The order of matches: whole titles, titles without their year, titles that contain the text. If there are none, the
    titles spelt most like the text. In a model without titles, labels are searched.
    """
    check_count(n)
    if not isinstance(text, str) or not text.strip():
        raise OptionError(f'find takes a part of a title, such as rec.find("star wars"), got {text!r}.')
    vocabulary = model.item_vocabulary
    titles = model.item_titles or Titles([str(label) for label in vocabulary.labels.tolist()])
    counts = np.bincount(model.history.indices, minlength=len(vocabulary))
    whole = titles.find(text)
    is_whole = set(whole)
    parts = [code for code in titles.containing(text) if code not in is_whole]
    codes = [*_most_rated(whole, counts), *_most_rated(parts, counts)]
    if not codes:
        codes = [code for title in titles.close_to(text, n) for code in titles.find(title)]
    top = np.array(codes[:n], np.int32)
    return make_frame(item_columns(model, top) | {"n_ratings": counts[top]})


def _most_rated(codes: Sequence[int], counts: Any) -> list[int]:
    return sorted(codes, key=lambda code: (-counts[code], code))


@dataclass(frozen=True)
class Names:
    """The names of the rows of one side: labels and, where there are any, titles."""

    vocabulary: Vocabulary
    titles: Titles | None

    @classmethod
    def of_items(cls, model: Model) -> Names:
        """The names of a model's items."""
        return cls(model.item_vocabulary, model.item_titles)

    @classmethod
    def of_users(cls, model: Model) -> Names:
        """The names of a model's users. Only the users of a transposed model, which are items, have titles."""
        return cls(model.user_vocabulary, model.user_titles)

    def encode(self, names: Any, on_unknown: OnUnknown = "raise") -> Codes:
        """Codes of labels or titles, (n,), -1 for unknown ones unless they raise. Raises as labels() does."""
        how: Literal["raise", "mark"] = "raise" if on_unknown == "raise" else "mark"
        return self.vocabulary.encode(self.labels(names, on_unknown), on_unknown=how)

    def encode_one(self, name: Any) -> int:
        """The code of one label or title. Raises UnknownLabelError."""
        return self.vocabulary.encode_one(self.labels([name])[0])

    def known(self, names: Any, on_unknown: OnUnknown = "skip") -> Codes:
        """Codes of those labels and titles that the model knows, at most (n,). Raises as labels() does."""
        codes = self.encode(names, on_unknown)
        return codes[codes >= 0]

    def labels(self, names: Any, on_unknown: OnUnknown = "raise") -> Any:
        """Replace titles by labels. Labels stay as they are, and so do frames and arrays.

        With on_unknown="raise" a part of a title is enough if only one item has it. With "mark", where unknown labels
        get an answer too, only whole titles count. "skip" takes words for titles, as "raise" does, and all else for
        labels, as "mark" does. Raises UnknownLabelError if several items have the title; the error lists them. With
        "raise" also if none has it, and with "skip" if words are spelt nearly like one; the error names the closest.
        """
        if not is_many(names) or isinstance(names, np.ndarray) or is_frame(names):
            return names
        given = listed(names)
        if self.titles is None:
            return given
        return [
            self._label_of(name, on_unknown) if isinstance(name, str) and name not in self.vocabulary else name
            for name in given
        ]

    def keys(self, given: Any) -> Any:
        """Replace titles by labels among the keys of a mapping; anything else becomes what labels() makes of it."""
        if not isinstance(given, Mapping):
            return self.labels(given)
        labels = self.labels(list(given))
        if len(set(labels)) < len(labels):
            label = plain_label(next(label for label, count in Counter(labels).items() if count > 1))
            raise DataError(f"{self.vocabulary.what} {label!r} is named twice, by label and by title; name it once.")
        return dict(zip(labels, given.values(), strict=True))

    def _label_of(self, text: str, on_unknown: OnUnknown) -> Label:
        """The label of the only row with this title; the text itself if no row has it and unknown labels may pass."""
        assert self.titles is not None
        what, is_number = self.vocabulary.what, WHOLE_NUMBER.fullmatch(text)
        may_be_label = on_unknown == "mark" or (on_unknown == "skip" and not WORDS.fullmatch(text))
        if may_be_label and is_number:
            return text
        codes = self.titles.find(text, parts=not (may_be_label or is_number))
        if len(codes) == 1:
            label: Label = self.vocabulary.decode(codes).tolist()[0]
            return label
        if codes:
            raise UnknownLabelError(self._ambiguous(text, codes))
        if may_be_label or is_number:
            return text
        close = self.titles.close_to(text)
        if on_unknown == "skip" and not close:
            return text
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise UnknownLabelError(f"unknown {what} {text!r}: no {what} has this id or a title that contains it.{hint}")

    def _ambiguous(self, text: str, codes: Sequence[int]) -> str:
        assert self.titles is not None
        labels = self.vocabulary.decode(codes[:MAX_SHOWN]).tolist()
        shown = "; ".join(f"{label} {self.titles[code]}" for label, code in zip(labels, codes, strict=False))
        more = f"; and {len(codes) - MAX_SHOWN} more" if len(codes) > MAX_SHOWN else ""
        return f"{text!r} fits {len(codes)} titles: {shown}{more}. Type more of the title, or the id."
