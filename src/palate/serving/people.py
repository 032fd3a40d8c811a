"""Who a request is about: a known user, perhaps with feedback that the model has not learned, or a described one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from palate.answers.arguments import check_range, choices_of, history_of
from palate.answers.names import Names
from palate.data.rows import CompressedRows, stack_rows, take_rows
from palate.data.vocabulary import Label, Vocabulary
from palate.errors import UnknownLabelError
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


def parts_of(model: Model, people: Sequence[Person]) -> tuple[list[UserRows], list[int]]:
    """Rows for all people in one or two parts, the trained ones and those folded in, and which person each row is."""
    trained = [at for at, person in enumerate(people) if person.history is None]
    new = [at for at, person in enumerate(people) if person.history is not None]
    parts = []
    if trained:
        parts.append(model.user_rows(np.array([people[at].code for at in trained], np.int32)))
    if new:
        described = [people[at] for at in new]
        histories = stack_rows([person.history for person in described if person.history is not None])
        codes = np.array([person.code for person in described], np.int32)
        parts.append(model.fold_in(histories, model.attributes_of(codes)))
    return parts, trained + new


def nth_row(parts: Sequence[UserRows], n: int) -> UserRows:
    """The n-th of all rows in some parts, without its draws."""
    for part in parts:
        if n < len(part):
            here = np.array([n])
            features = None if part.features is None else take_rows(part.features, here)
            return UserRows(part.codes[here], part.vectors[here], take_rows(part.history, here), None, features)
        n -= len(part)
    raise IndexError(n)


def row_of(model: Model, person: Person) -> UserRows:
    """The row of one person."""
    parts, _ = parts_of(model, [person])
    return parts[0]
