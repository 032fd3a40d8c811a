"""Which column is the user, which the item, which the rating: by name, by usual name, or by position."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from palate.errors import DataError, OptionError

FIELDS = ("user", "item", "rating", "time", "weight", "count")
NEEDED = {"explicit": ("user", "item", "rating"), "implicit": ("user", "item")}
PLACES = {"user": 0, "item": 1, "rating": 2, "count": 2}  # of columns without names
LONG_AGO = 10**8  # numbers that are all at least this large are moments (from 1973 on) and no counts

# Compared without case, blanks and punctuation; an earlier name wins over a later one.
USUAL_NAMES = {
    field: tuple(re.findall(r"\w+", names))
    for field, names in {
        "user": """user userid uid users username usr reviewer reviewerid customer customerid member memberid account
            accountid visitor visitorid person profile profileid author authorid""",
        "item": """item itemid iid items movie movieid mid film filmid book bookid isbn product productid parentasin
            asin article articleid artist artistid song songid track trackid album albumid anime animeid game gameid
            business businessid beer beerid beerbeerid recipe recipeid joke jokeid restaurant restaurantid""",
        "rating": """rating ratings stars star score scores value bookrating userrating overall reviewoverall grade
            preference""",
        "time": """timestamp time times ts datetime date unixreviewtime unixtime reviewtime ratedat createdat reviewdate
            submissiondate""",
        "weight": "weight weights confidence",
        "count": """count counts plays playcount listens listencount streams purchases quantity qty clicks views visits
            frequency freq weight weights confidence""",
    }.items()
}
HOW_OFTEN = USUAL_NAMES["count"]  # which is no rating
USUAL_NAMES["count"] += USUAL_NAMES["rating"]


def plain(name: str) -> str:
    """A column name as it is compared: lower case, letters and digits only, without RecBole's `:token` ending."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r":(token|float|token_seq|float_seq)$", "", name.strip().lower()))


def is_usual(name: str, field: str) -> bool:
    """Whether this is one of the usual names of the field."""
    return plain(name) in USUAL_NAMES[field]


def check_option(name: str, value: Any, valid: tuple[str, ...]) -> None:
    """OptionError, naming the valid ones, for an option that is none of them."""
    if value not in valid:
        raise OptionError(f"{name}={value!r} is not an option; use one of {', '.join(map(repr, valid))}.")


def fields_asked(asked: dict[str, Any], kind: str) -> dict[str, Any]:
    """What the caller said of each field that ratings of a kind have: implicit ones have a count, by either name.

    Raises OptionError for two columns of counts.
    """
    if kind == "explicit":
        return asked
    rating, weight = asked["rating"], asked["weight"]
    if _is_wish(rating) and _is_wish(weight):
        raise OptionError('with kind="implicit", rating= and weight= both name the column of counts; give one of them.')
    counted = rating if _is_wish(rating) or weight is None else weight
    return {"user": asked["user"], "item": asked["item"], "count": counted, "time": asked["time"]}


def choose_columns(
    names: list[str],
    asked: dict[str, Any],
    *,
    named: bool,
    source: str,
    is_time: Callable[[int, float], bool],
    kind: str = "explicit",
) -> dict[str, int]:
    """Field -> position of its column, for the fields there are.

    `asked` holds what the caller said of each field: a name, a position, None (find it) or False (leave it out).
    `is_time` tells of an unnamed column whether it has whole numbers, none less than what it is given. Raises DataError
    that lists the columns.
    """
    asked = fields_asked(asked, kind)
    chosen = {field: position_of(names, field, wish, source) for field, wish in asked.items() if _is_wish(wish)}
    for field in asked:
        if asked[field] is None:
            position = _by_name(names, field, chosen) if named else _by_position(names, field, chosen, is_time)
            if position is not None:
                chosen[field] = position
    _check(chosen, names, source, kind)
    return chosen


def _is_wish(wish: Any) -> bool:
    return wish is not None and wish is not False


def position_of(names: list[str], field: str, wish: Any, source: str) -> int:
    """The position of the column asked for by name or position; DataError that lists the columns there are."""
    if isinstance(wish, int) and not isinstance(wish, bool):
        if not -len(names) <= wish < len(names):
            raise DataError(f"{source}: {field}={wish}, but there are {len(names)} columns. {there_are(names)}")
        return wish % len(names)
    if not isinstance(wish, str):
        raise OptionError(f"{field}= takes a column's name or position (from 0), not {wish!r}.")
    if wish not in names:
        raise DataError(f"{source}: there is no column {wish!r} for {field}=. {there_are(names)}")
    return names.index(wish)


def _by_name(names: list[str], field: str, taken: dict[str, int]) -> int | None:
    plain_names = [plain(name) for name in names]
    for usual in USUAL_NAMES[field]:
        if usual in plain_names and plain_names.index(usual) not in taken.values():
            return plain_names.index(usual)
    return None


def _by_position(
    names: list[str], field: str, taken: dict[str, int], is_time: Callable[[int, float], bool]
) -> int | None:
    """The place of a field among unnamed columns; the third one is the time where it holds moments and no counts."""
    free = [at for at in range(min(len(names), 4)) if at not in taken.values()]
    if field == "time":
        has_measure = "rating" in taken or "count" in taken
        places = ((3, -math.inf),) if has_measure else ((2, LONG_AGO), (3, -math.inf))
        return next((at for at, least in places if at in free and is_time(at, least)), None)
    position = PLACES.get(field)
    if position not in free or (field == "count" and is_time(position, LONG_AGO)):
        return None
    return position


def _check(chosen: dict[str, int], names: list[str], source: str, kind: str) -> None:
    missing = [field for field in NEEDED[kind] if field not in chosen]
    if missing:
        options = ", ".join(f"{field}=" for field in missing)
        if missing == ["rating"] and (counts := _counts(names)):
            raise DataError(f"{source}: {counts} {there_are(names)}")
        implicit = ' Where nobody rated and all that is known is who chose what, pass kind="implicit".'
        raise DataError(
            f"{source}: no column found for {' and '.join(missing)}. {there_are(names)} Say which with {options} "
            f"(a name, or a position from 0).{implicit if 'rating' in missing else ''}"
        )
    fields = sorted(chosen, key=FIELDS.index)
    for number, field in enumerate(fields):
        for other in fields[number + 1 :]:
            if chosen[field] == chosen[other]:
                raise DataError(f"{source}: column {names[chosen[field]]!r} is taken for both {field} and {other}.")


def _counts(names: list[str]) -> str:
    """What to do about a column that says how often, where no other says how high; empty without one."""
    found = next((name for usual in HOW_OFTEN for name in names if plain(name) == usual), None)
    if found is None:
        return ""
    return (
        f"the column {found!r} says how often, and none says how high somebody rated. To learn from who chose what "
        f'how often, pass kind="implicit" (--kind implicit); if these are ratings, pass rating={found!r} (--rating).'
    )


def there_are(names: list[str]) -> str:
    """A sentence with the columns there are."""
    shown = ", ".join(repr(name if len(name) <= 40 else name[:37] + "...") for name in names[:20])
    return f"The columns are {shown}{', ...' if len(names) > 20 else ''}."
