"""Who a request is about: a known user, perhaps with feedback that the model has not learned, or a described one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palate.answers.arguments import check_range, choices_of, history_of
from palate.answers.names import Names
from palate.data.rows import CompressedRows, pointers_of, take_rows
from palate.data.vocabulary import Label, Vocabulary
from palate.errors import UnknownLabelError
from palate.models.factors import Codes, Floats
from palate.models.model import Model, UserRows
from palate.serving.store import Stored

MAX_DIGITS = 40  # of a label that is a number: Python refuses to read some thousands


@dataclass(frozen=True)
class Person:
    """A user of one request.

    Attributes:
        label (label, or None): As the request names the user; None for one who is described only.
        code (int): Of a user of the model; -1 for any other.
        history (CompressedRows with one row, or None): All ratings or choices, to fold in; None: the trained row
            answers, or that of a cold-start user.
    """

    label: Label | None
    code: int
    history: CompressedRows | None = None

    @property
    def is_known(self) -> bool:
        """True if the model, or the request, says anything of the user."""
        return self.code >= 0 or (self.history is not None and len(self.history.indices) > 0)


def label_in(vocabulary: Vocabulary, given: Label) -> Label:
    """A label of a request as the vocabulary has it: the text "196" is 196 among numbers. Raises UnknownLabelError."""
    if vocabulary.kind == "string":
        return str(given)
    try:
        return int(given)
    except ValueError:
        shown = ", ".join(map(str, vocabulary.labels[:3].tolist()))
        raise UnknownLabelError(
            f"{vocabulary.what} {given!r} is not a number; the {vocabulary.what}s here are: {shown}, ..."
        ) from None


def known_user(model: Model, given: Label, events: Sequence[Stored] = ()) -> Person:
    """The user of this label, with what arrived since the model learned."""
    label = label_in(model.user_vocabulary, given)
    code = model.user_vocabulary.find(label)
    return Person(label, code, with_events(model, code, events) if events else None)


def described(model: Model, likes: Mapping[str, float] | None, session: Sequence[Label] | None) -> Person:
    """A new user, from ratings {item: rating} or from items chosen. Titles are taken for labels where they are unique.

    A model of ratings takes a chosen item for one with its highest rating. Raises as fold_in does.
    """
    names, items = Names.of_items(model), model.item_vocabulary
    if session is not None:
        chosen = names.labels([label_in_or_title(model, item) for item in dict.fromkeys(session)])
        given = chosen if model.kind == "implicit" else dict.fromkeys(chosen, model.limits[1])
    else:
        given = names.keys({label_in_or_title(model, item): value for item, value in (likes or {}).items()})
        if model.kind == "implicit" and model.like_threshold is not None:
            given = [item for item, value in given.items() if value >= model.like_threshold]
    if model.kind == "implicit":
        history = choices_of(items, given, model.like_threshold)
    else:
        history = history_of(items, given)
        check_range(items, history.indices, history.values, model.limits)
    return Person(None, -1, history)


def label_in_or_title(model: Model, given: Label) -> Label:
    """An item of a request as the model's labels have it; a text that is no number may be a title."""
    vocabulary = model.item_vocabulary
    if vocabulary.kind == "string":
        return str(given)
    text = str(given).strip()
    is_number = len(text) <= MAX_DIGITS and text.removeprefix("-").isdecimal()
    return int(text) if is_number else text


def with_events(model: Model, code: int, events: Sequence[Stored]) -> CompressedRows | None:
    """A user's ratings with what arrived since, as one row; None if nothing that the model knows did.

    A later rating of an item takes the place of one before it; choices of an item add up. Events without a value count
    one choice in a model of choices, and nothing in a model of ratings.
    """
    learned = take_rows(model.history, np.array([code])) if code >= 0 else CompressedRows.empty(1)
    values = dict(zip(learned.indices.tolist(), learned.values.tolist(), strict=True))
    weights = [] if learned.weights is None else learned.weights.tolist()
    counts = dict(zip(learned.indices.tolist(), weights, strict=True)) if weights else dict.fromkeys(values, 1.0)
    changed = False
    for _, event in events:
        item = code_of(model.item_vocabulary, event.item)
        if item < 0 or not says_something(model, event.value):
            continue
        changed = True
        if model.kind == "explicit":
            values[item], counts[item] = float(event.value or 0.0), 1.0
        elif model.like_threshold is not None:
            _like(values, counts, item, is_like=event.value is None or event.value >= model.like_threshold)
        else:
            values[item], counts[item] = 1.0, counts.get(item, 0.0) + (1.0 if event.value is None else event.value)
    if not changed:
        return None
    return _row(values, counts if weights or model.kind == "implicit" else None)


def says_something(model: Model, value: float | None) -> bool:
    """True if an event of this value says anything to the model: for the next answer, and for the next fit."""
    if value is None:
        return model.kind == "implicit"
    if model.kind == "explicit":
        low, high = model.limits
        return low <= value <= high
    return model.like_threshold is not None or value > 0


def _like(values: dict[int, float], counts: dict[int, float], item: int, *, is_like: bool) -> None:
    """Add a like, or take one back."""
    if is_like:
        values[item], counts[item] = 1.0, 1.0
    else:
        values.pop(item, None)
        counts.pop(item, None)


def _row(values: dict[int, float], counts: dict[int, float] | None) -> CompressedRows:
    """One row, by item code."""
    codes = np.array(sorted(values), np.int32)
    ratings = np.array([values[code] for code in codes.tolist()], np.float32)
    weights = None if counts is None else np.array([counts[code] for code in codes.tolist()], np.float32)
    weights = None if weights is None or (weights == 1).all() else weights
    return CompressedRows(np.array([0, len(codes)], np.int64), codes, ratings, weights)


def code_of(vocabulary: Vocabulary, text: str) -> int:
    """The code of a stored label; -1 for an unknown one."""
    try:
        return vocabulary.find(label_in(vocabulary, text))
    except UnknownLabelError:
        return -1


# ---- rows ------------------------------------------------------------------------------------------------------------


def rows_of(model: Model, people: Sequence[Person]) -> UserRows:
    """A row for each person, in order: the trained one, or a folded-in one."""
    is_new = np.array([person.history is not None for person in people])
    if not is_new.any():
        return model.user_rows(np.array([person.code for person in people], np.int32))
    new = [person for person in people if person.history is not None]
    folded = model.fold_in(
        stack([person.history for person in new if person.history is not None]), _attributes(model, new)
    )
    if is_new.all():
        return folded
    trained = model.user_rows(np.array([person.code for person in people if person.history is None], np.int32))
    return _woven(trained, folded, is_new)


def _attributes(model: Model, people: Sequence[Person]) -> list[Mapping[str, Any]] | None:
    """What the user table says of each person, {column: value}; None where the model learned from no table."""
    if model.user_table is None or model.user_info is None or model.user_info.attributes is None:
        return None
    return [{} if person.code < 0 else model.user_table.row(person.code, named=True) for person in people]


def _woven(trained: UserRows, folded: UserRows, is_new: Any) -> UserRows:
    """Both kinds of rows in the order of the people."""
    order = np.argsort(np.argsort(is_new, kind="stable"), kind="stable")  # where each person stands in trained + folded

    def draw() -> Floats:
        assert trained.draws is not None and folded.draws is not None
        drawn: Floats = np.concatenate([trained.draws, folded.draws], axis=1).take(order, axis=1)
        return drawn

    return UserRows(
        codes=np.concatenate([trained.codes, folded.codes])[order],
        vectors=np.concatenate([trained.vectors, folded.vectors])[order],
        history=take_rows(stack([trained.history, folded.history]), order),
        draw=None if trained.draw is None else draw,
    )


def stack(parts: Sequence[CompressedRows]) -> CompressedRows:
    """The rows of all parts, one below the other."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([part.counts for part in parts])
    weights: Floats | None = None
    if any(part.weights is not None for part in parts):
        ones = [np.ones(len(part.indices), np.float32) for part in parts]
        weights = np.concatenate(
            [one if part.weights is None else part.weights for part, one in zip(parts, ones, strict=True)]
        )
    indices: Codes = np.concatenate([part.indices for part in parts])
    return CompressedRows(pointers_of(counts), indices, np.concatenate([part.values for part in parts]), weights)
