"""Allow and deny lists that differ from person to person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import frame_columns
from palate.answers.shapes import is_frame
from palate.data.compressed import CompressedRows
from palate.data.rows import take_rows
from palate.data.vocabulary import Vocabulary
from palate.errors import OptionError
from palate.models.factors import Codes
from palate.models.model import Model


@dataclass(frozen=True)
class Lists:
    """A list of items for each of some people; whoever has none has an empty one."""

    rows: CompressedRows
    row_of: NDArray[np.int64]  # (m,) of everybody asked for

    def of(self, user_rows: slice) -> CompressedRows:
        """The lists of some of the people, one row each."""
        return take_rows(self.rows, self.row_of[user_rows])


def are_lists(given: Any) -> bool:
    """Whether items are given for each user: in a mapping or a frame."""
    return isinstance(given, Mapping) or is_frame(given)


def lists_of(model: Model, given: Any, user_rows: tuple[Any, Any] | None, option: str) -> Lists:
    """The lists of people from {user: [items]} or a frame of users and items. people: labels asked for, their codes.

    Lists of users who are not asked for say nothing here, whether or not the model knows these users. Raises
    UnknownLabelError for an item that the model does not know, and DataError for a frame without these columns.
    """
    vocabulary, what = model.user_vocabulary, model.item_vocabulary.what
    if user_rows is None:
        raise OptionError(f"{option} is a list of {what}s here: there is one {vocabulary.what} only.")
    users, items = _pairs(given, vocabulary, what, option)
    item_codes = model.item_vocabulary.encode(items)
    listed, asked, n_rows = _rows(vocabulary, users, *user_rows)
    kept = listed < n_rows
    ones = np.ones(int(kept.sum()), np.float32)
    return Lists(CompressedRows.of(listed[kept], item_codes[kept], ones, None, n_rows + 1), asked)


def _rows(vocabulary: Vocabulary, users: Any, labels: Any, codes: Codes) -> tuple[Codes, NDArray[np.int64], int]:
    """The row of the user of each pair, that of each person asked for, and how many there are before the empty one.

    Known users stand at their codes; strangers who are asked for stand behind them; whoever else is in the empty row.
    """
    cold_start = codes < 0
    names = np.asarray(labels)[cold_start].tolist()
    place = {label: len(vocabulary) + at for at, label in enumerate(dict.fromkeys(names))}
    n_rows = len(vocabulary) + len(place)
    listed = vocabulary.encode(users, on_unknown="mark")
    for at in np.flatnonzero(listed < 0):
        listed[at] = place.get(users[at], n_rows)
    asked = codes.astype(np.int64)
    asked[cold_start] = [place[label] for label in names]
    return listed, asked, n_rows


def _pairs(given: Any, vocabulary: Vocabulary, what: str, option: str) -> tuple[Any, Any]:
    """Users and items, (n,) each."""
    if not isinstance(given, Mapping):
        users, items = frame_columns(given, [vocabulary.what, what], "")
        return users, items
    pairs = [(user, item) for user, listed in given.items() for item in _listed(listed, user, option)]
    return [user for user, _ in pairs], [item for _, item in pairs]


def _listed(items: Any, user: Any, option: str) -> Any:
    if isinstance(items, str | bytes) or not hasattr(items, "__iter__"):
        raise OptionError(f"{option}: {user!r} has {items!r}, where a list is expected; write [{items!r}].")
    return items
