"""Who a request is about: a known user, perhaps with feedback that the model has not learned, or a described one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from palate.answers.arguments import check_range, choices_of, history_of
from palate.answers.names import Names
from palate.answers.observed import attributes_of
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


class Entry(NamedTuple):
    """A rating or a choice of one user: item code, rating, weight or count, and when."""

    item: int
    value: float
    weight: float
    time: int


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
        chosen = names.labels([label_in_or_title(model, item) for item in session])
        given = chosen if model.kind == "implicit" else dict.fromkeys(chosen, model.limits[1])
    else:
        given = names.keys({label_in_or_title(model, item): value for item, value in (likes or {}).items()})
        if model.kind == "implicit" and model.like_threshold is not None:
            given = [item for item, value in given.items() if value >= model.like_threshold]
    if model.kind == "implicit":
        history = choices_of(items, given, model.like_threshold, each_once=not model.factors.reads_order)
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

    A later rating of an item, or like, takes the place of one before it; choices of an item add up, or stay events of
    their own where the model reads order. What arrived comes last. Events without a value count one choice in a model
    of choices, and nothing in a model of ratings.
    """
    learned = take_rows(model.history, np.array([code])) if code >= 0 else CompressedRows.empty(1)
    weights = np.ones_like(learned.values) if learned.weights is None else learned.weights
    times = np.zeros(len(weights), np.int64) if learned.times is None else learned.times
    columns = (learned.indices, learned.values, weights, times)
    entries = (Entry(*entry) for entry in zip(*(column.tolist() for column in columns), strict=True))
    row: dict[Any, Entry] = {_place(model, entry.item, at): entry for at, entry in enumerate(entries)}
    changed = False
    for number, event in events:
        item = code_of(model.item_vocabulary, event.item)
        if item < 0 or not says_something(model, event.value):
            continue
        changed = True
        place = _place(model, item, -number)
        earlier = row.pop(place, None)
        if model.kind == "explicit":
            row[place] = Entry(item, float(event.value or 0.0), 1.0, event.time)
        elif model.like_threshold is None:
            count = (1.0 if event.value is None else event.value) + (0.0 if earlier is None else earlier.weight)
            row[place] = Entry(item, 1.0, count, event.time)
        elif event.value is None or event.value >= model.like_threshold:
            row[place] = Entry(item, 1.0, 1.0, event.time)
    if not changed:
        return None
    is_timed = learned.times is not None or code < 0
    return _row(list(row.values()), is_timed=is_timed, in_order=model.kind == "implicit")


def _place(model: Model, item: int, number: int) -> Any:
    """What an entry of a row is known by: its item, of which there is one, or else its number.

    Likes stand for ratings, so a later rating of an item takes the place of one before it whatever the model reads.
    """
    return (item, number) if model.factors.reads_order and adds_up(model) else item


def says_something(model: Model, value: float | None) -> bool:
    """True if an event of this value says anything to the model: for the next answer, and for the next fit."""
    if value is None:
        return model.kind == "implicit"
    if model.kind == "explicit":
        low, high = model.limits
        return low <= value <= high
    return model.like_threshold is not None or value > 0


def adds_up(model: Model) -> bool:
    """True for a model of choices, whose counts add up. Likes are ratings of the threshold or more."""
    return model.kind == "implicit" and model.like_threshold is None


def _row(row: list[Entry], *, is_timed: bool, in_order: bool) -> CompressedRows:
    """One row: oldest first if the order counts, else by item code."""
    row = sorted(row, key=(lambda entry: entry.time if is_timed else 0) if in_order else (lambda entry: entry.item))
    items, values, given, times = zip(*row, strict=True) if row else ((), (), (), ())
    weights = None if all(weight == 1 for weight in given) else np.array(given, np.float32)
    return CompressedRows(
        np.array([0, len(items)], np.int64),
        np.array(items, np.int32),
        np.array(values, np.float32),
        weights,
        np.array(times, np.int64) if is_timed and in_order else None,
    )


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
        parts.append(model.fold_in(histories, attributes_of(model, codes)))
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
