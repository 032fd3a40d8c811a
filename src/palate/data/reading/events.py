"""Events: a column that says what a user did with an item (view, cart, purchase), and what each is worth as a choice.

A row with an event counts as much as its weight says; the sum over the rows of a pair is its count, and a pair whose
sum is not above 0 is no choice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.data.reading.looks import Column
from palate.errors import DataError, OptionError

if TYPE_CHECKING:
    import polars as pl

Event = Mapping[Any, float | Literal["ignore"]] | bool | None

NAMES = frozenset(  # in plain letters
    """event events eventtype eventname action actions actiontype behavior behaviour behaviortype behaviourtype
    interaction interactiontype activity activitytype usertype feedbacktype""".split()  # noqa: SIM905 - a list of words
)
KNOWN = {  # what each word is worth with event=True
    "impression": "ignore", "show": "ignore", "exposure": "ignore",
    "view": 1, "pv": 1, "pageview": 1, "click": 1, "open": 1, "read": 1, "visit": 1, "detail": 1, "play": 1,
    "listen": 1, "watch": 1, "productview": 1, "itemview": 1,
    "like": 2, "fav": 2, "favorite": 2, "favourite": 2, "bookmark": 2, "save": 2, "wishlist": 2, "collect": 2,
    "share": 2, "follow": 2, "addtowishlist": 2,
    "cart": 3, "addtocart": 3, "basket": 3, "addtobasket": 3,
    "checkout": 5, "begincheckout": 5,
    "buy": 10, "purchase": 10, "transaction": 10, "order": 10, "conversion": 10, "rent": 10, "subscribe": 10,
    "removefromcart": -1, "removefromwishlist": -1, "unlike": -1, "dislike": -2, "return": -5, "refund": -5,
}  # fmt: skip
MAX_WORDS = 30


def plain(word: Any) -> str:
    """A word for comparison: lower case letters and digits."""
    return "".join(letter for letter in str(word).lower() if letter.isalnum())


def check_event(event: Any, kind: str) -> None:
    """Raise OptionError for an event= that makes no sense."""
    if event is None or event is False:
        return
    if kind != "implicit":
        raise OptionError('event= says what choices are worth: pass kind="implicit" too.')
    if event is True:
        return
    if not isinstance(event, Mapping) or not event:
        raise OptionError(
            f'event={event!r}: give what each event is worth, such as event={{"view": 1, "purchase": 10}}; True for '
            "the weights in the documentation; or False to count every row as 1."
        )
    for word, weight in event.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool) and np.isfinite(weight)
        if not is_number and weight != "ignore":
            raise OptionError(f'event={{{word!r}: {weight!r}}}: give a number, or "ignore" to leave such rows out.')
    if all(weight == "ignore" or weight <= 0 for weight in event.values()):
        raise OptionError("event= has no weight above 0, so nothing would be a choice.")


def event_column(columns: list[Column], names: list[str], event: Event, source: str) -> int | None:
    """The position of the column of events: by its name, or by the words that event= names. None if there is none.

    columns and names (in plain letters) are those of no other field. Raises DataError if there is one and event= is not
    given, or if no column has the words of event=.
    """
    if event is False:
        return None
    if isinstance(event, Mapping):
        words = {plain(word) for word in event}
        for at, column in enumerate(columns):
            if words & {plain(text) for text in column.texts}:
                return at
        raise DataError(f"{source}: no column has {', '.join(map(repr, event))}, which event= names.")
    found = [at for at, column in enumerate(columns) if _has_events(column, names[at])]
    if not found:
        if event is True:
            raise DataError(f"{source} has no column of events: leave out event=True.")
        return None
    if event is None:
        raise DataError(_question(columns[found[0]], source))
    return found[0]


def _has_events(column: Column, name: str) -> bool:
    words = {plain(text) for text in column.texts}
    if not 0 < len(words) <= MAX_WORDS or column.are_times:
        return False
    if name in NAMES:
        return column.numbers is None or column.is_whole
    return column.numbers is None and len(words & set(KNOWN)) >= min(2, len(words)) and name != "item"


def _question(column: Column, source: str) -> str:
    counts = Counter(column.texts).most_common(6)
    shown = ", ".join(f"{text!r} ({n:,})" for text, n in counts)
    known = {text: KNOWN.get(plain(text), 1) for text, _ in counts}
    return (
        f"{source}: the column {column.name!r} says what happened: {shown} in the first rows. Say what each is worth, "
        f'for instance event={json.dumps(known, ensure_ascii=False)}, with "ignore" for rows to leave out; or pass '
        "event=False to count every row as 1."
    )


@dataclass(frozen=True)
class EventWeights:
    """What each event is worth.

    Attributes:
        weights (dict): Word in plain letters -> weight; NaN leaves its rows out.
        source (str): For messages.
    """

    weights: dict[str, float]
    source: str

    @classmethod
    def of(cls, event: Event, source: str) -> EventWeights:
        """The weights that event= gives, or the documented ones for True."""
        given: Mapping[Any, Any] = event if isinstance(event, Mapping) else KNOWN
        return cls(
            {plain(word): np.nan if weight == "ignore" else float(weight) for word, weight in given.items()}, source
        )

    def __call__(self, events: pl.Series) -> NDArray[np.float64]:
        """The weight of each row, NaN for one to leave out. Raises DataError for an event that has no weight."""
        import polars as pl

        texts = events.cast(pl.String).fill_null("")
        distinct = texts.unique().to_list()
        unknown = sorted(text for text in distinct if plain(text) not in self.weights)
        if unknown:
            named = ", ".join(repr(text) for text in unknown[:5])
            raise DataError(
                f'{self.source}: event= has no weight for {named}. Give one, or "ignore" to leave such rows out.'
            )
        weights = np.array([self.weights[plain(text)] for text in distinct])
        of_rows: NDArray[np.float64] = weights[texts.cast(pl.Enum(distinct)).to_physical().to_numpy()]
        return of_rows
