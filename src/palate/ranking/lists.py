"""Allow and deny lists that differ from person to person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers import is_frame
from palate.asking import frame_columns
from palate.compressed import CompressedRows
from palate.errors import OptionError, UnknownLabelError
from palate.model import Model
from palate.rows import take_rows
from palate.vocabulary import Vocabulary

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Lists:
    """A list of items for each of some people; those who have none share the last, which is empty."""

    rows: CompressedRows
    row_of: NDArray[np.int64]  # (m,) of everybody asked for

    def of(self, people: slice) -> CompressedRows:
        """The lists of some of the people, one row each."""
        return take_rows(self.rows, self.row_of[people])


def are_lists(given: Any) -> bool:
    """Whether items are given for each user: in a mapping or a frame."""
    return isinstance(given, Mapping) or is_frame(given)


def lists_of(model: Model, given: Any, people: tuple[Any, Any] | None, option: str) -> Lists:
    """The lists of people from {user: [items]} or a frame of users and items. people: labels asked for, their codes.

    Raises UnknownLabelError for an item that the model does not know, and for a user whom neither it nor the question
    knows; DataError for a frame without these columns.
    """
    vocabulary, what = model.user_vocabulary, model.item_vocabulary.what
    if people is None:
        raise OptionError(f"{option} is a list of {what}s here: there is one {vocabulary.what} only.")
    users, items = _pairs(given, vocabulary, what, option)
    item_codes = model.item_vocabulary.encode(items)
    labels, codes = people
    rows, owners = _owners(vocabulary, users, labels, codes)
    n_rows = int(owners.max(initial=-1)) + 1
    ones = np.ones(len(rows), np.float32)
    return Lists(CompressedRows.of(rows, item_codes, ones, None, n_rows + 1), np.where(owners < 0, n_rows, owners))


def _owners(vocabulary: Vocabulary, users: Any, labels: Any, codes: Codes) -> tuple[Codes, NDArray[np.int64]]:
    """The row of the user of each pair, and of each person asked for (-1: not among the pairs).

    Known users have their codes as rows; strangers who are asked for stand behind them.
    """
    known = len(vocabulary)
    strange = {label: known + at for at, label in enumerate(dict.fromkeys(np.asarray(labels)[codes < 0].tolist()))}
    rows = vocabulary.encode(users, on_unknown="mark").astype(np.int32)
    for at in np.flatnonzero(rows < 0):
        label = users[at]
        if label not in strange:
            raise UnknownLabelError(f"unknown {vocabulary.what} {label!r} in the lists, who is not asked for either.")
        rows[at] = strange[label]
    people = codes.astype(np.int64)
    people[codes < 0] = [strange[label] for label in np.asarray(labels)[codes < 0].tolist()]
    row_of = np.full(known + len(strange), -1, np.int64)
    there, first = np.unique(rows, return_inverse=True)
    row_of[there] = np.arange(len(there))
    return first.astype(np.int32), row_of[people]


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
