"""Finding items by what people type: a label, or a title in place of one.

A title counts where a person names items: as one label, in a list or as the key of a mapping. Frames and arrays hold
labels only, so that a table of ids is never matched with titles by accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from palate.answers.arguments import check_count, is_many
from palate.answers.shapes import Frame, is_frame, make_frame
from palate.data.titles import Titles
from palate.data.vocabulary import Label, Vocabulary
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.models.factors import Codes
from palate.models.model import Model

WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
SHOWN = 8  # candidates listed in an error


def find(model: Model, text: str, n: int) -> Frame:
    """The items that a text names: item, (title,) n_ratings; the best match first, of equal ones the most rated.

    Whole titles come first, then titles without their year, then those that contain the text. Where none does, the
    titles spelt most like it. Labels stand in for titles where the model has none.
    """
    check_count(n)
    if not isinstance(text, str) or not text.strip():
        raise OptionError(f'find takes a part of a title, such as rec.find("star wars"), got {text!r}.')
    vocabulary, titles = model.item_vocabulary, model.item_titles
    searched = titles or Titles([str(label) for label in vocabulary.labels.tolist()])
    counts = np.bincount(model.history.indices, minlength=len(vocabulary))
    first = searched.find(text)
    rest = [code for code in searched.containing(text) if code not in set(first)]
    codes = [*_most_rated(first, counts), *_most_rated(rest, counts)]
    if not codes:
        codes = [code for title in searched.close_to(text, n) for code in searched.find(title)]
    top = np.array(codes[:n], np.int32)
    columns: dict[str, Any] = {vocabulary.what: vocabulary.decode(top)}
    if titles is not None:
        columns["title"] = [titles[code] for code in top]
    return make_frame(columns | {"n_ratings": counts[top]})


def _most_rated(codes: Sequence[int], counts: Any) -> list[int]:
    return sorted(codes, key=lambda code: (-counts[code], code))


@dataclass(frozen=True)
class Names:
    """What the rows of one side are called: by label, and by title where there are titles."""

    vocabulary: Vocabulary
    titles: Titles | None

    @classmethod
    def of_items(cls, model: Model) -> Names:
        """The names of a model's items."""
        return cls(model.item_vocabulary, model.item_titles)

    @classmethod
    def of_users(cls, model: Model) -> Names:
        """The names of a model's users; of a transposed model, whose users are items, these have titles."""
        return cls(model.user_vocabulary, model.user_titles)

    def encode(self, names: Any, on_unknown: Literal["raise", "mark"] = "raise") -> Codes:
        """Codes of labels or titles, (n,), -1 for unknown ones where these are marked. Raises as labels() does."""
        return self.vocabulary.encode(self.labels(names, on_unknown), on_unknown=on_unknown)

    def encode_one(self, name: Any) -> int:
        """The code of one label or title. Raises UnknownLabelError."""
        return self.vocabulary.encode_one(self.labels([name])[0])

    def labels(self, names: Any, on_unknown: Literal["raise", "mark"] = "raise") -> Any:
        """Labels in place of titles; what is neither stays as it is, and so do frames and arrays.

        With on_unknown="raise" a part of a title is enough where only one item has it. With "mark", where unknown
        labels get an answer too, only whole titles count. Raises UnknownLabelError that lists the candidates where
        several items have the title and, for "raise", the closest titles where none has.
        """
        if self.titles is None or not is_many(names) or isinstance(names, np.ndarray) or is_frame(names):
            return names
        return [
            self._resolve(name, on_unknown) if isinstance(name, str) and name not in self.vocabulary else name
            for name in names
        ]

    def keys(self, given: Any) -> Any:
        """A mapping {label or title: value} by labels; anything else that names rows as labels() gives it."""
        if not isinstance(given, Mapping):
            return self.labels(given)
        labels = self.labels(list(given))
        if len(set(labels)) < len(labels):
            label = next(label for label in labels if labels.count(label) > 1)
            raise DataError(f"{self.vocabulary.what} {label!r} is named twice, by label and by title; name it once.")
        return dict(zip(labels, given.values(), strict=True))

    def _resolve(self, text: str, on_unknown: Literal["raise", "mark"]) -> Label:
        """The label of the one row with this title; the text itself where none has it and it may be unknown."""
        assert self.titles is not None
        what, is_number = self.vocabulary.what, WHOLE_NUMBER.fullmatch(text)
        if on_unknown == "mark" and is_number:
            return text
        codes = self.titles.find(text, parts=on_unknown == "raise" and not is_number)
        if len(codes) == 1:
            label: Label = self.vocabulary.decode(codes).tolist()[0]
            return label
        if codes:
            raise UnknownLabelError(self._ambiguous(text, codes))
        if on_unknown == "mark" or is_number:
            return text
        close = self.titles.close_to(text)
        meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise UnknownLabelError(f"no {what} has the id {text!r}, nor does a title contain it.{meant}")

    def _ambiguous(self, text: str, codes: Sequence[int]) -> str:
        assert self.titles is not None
        labels = self.vocabulary.decode(codes[:SHOWN]).tolist()
        shown = "; ".join(f"{label} {self.titles[code]}" for label, code in zip(labels, codes, strict=False))
        more = f"; and {len(codes) - SHOWN} more" if len(codes) > SHOWN else ""
        return f"{text!r} fits {len(codes)} titles: {shown}{more}. Type more of the title, or the id."
