"""Which column is the user, which the item, which the rating: by name, by usual name, or by position."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from palate.errors import DataError, OptionError

FIELDS = ("user", "item", "rating", "time", "weight")
NEEDED = FIELDS[:3]

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
            preference count listens plays playcount""",
        "time": """timestamp time times ts datetime date unixreviewtime unixtime reviewtime ratedat createdat reviewdate
            submissiondate""",
        "weight": "weight weights confidence",
    }.items()
}


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


def choose_columns(
    names: list[str], asked: dict[str, Any], *, named: bool, source: str, is_time: Callable[[int], bool]
) -> dict[str, int]:
    """Field -> position of its column, for the fields there are.

    `asked` holds what the caller said of each field: a name, a position, None (find it) or False (leave it out).
    `is_time` tells of an unnamed fourth column whether it looks like times. Raises DataError that lists the columns.
    """
    chosen = {field: position_of(names, field, wish, source) for field, wish in asked.items() if _is_wish(wish)}
    for field in FIELDS:
        if asked.get(field) is None and field not in chosen:
            position = _by_name(names, field, chosen) if named else _by_position(names, field, chosen, is_time)
            if position is not None:
                chosen[field] = position
    if "rating" not in chosen and "weight" in chosen and asked.get("weight") is None:
        chosen["rating"] = chosen.pop("weight")  # listening counts and the like are often called weight
    _check(chosen, names, source)
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


def _by_position(names: list[str], field: str, taken: dict[str, int], is_time: Callable[[int], bool]) -> int | None:
    position = FIELDS.index(field)
    if position >= min(len(names), 4) or position in taken.values():
        return None
    return position if field != "time" or is_time(position) else None


def _check(chosen: dict[str, int], names: list[str], source: str) -> None:
    missing = [field for field in NEEDED if field not in chosen]
    if missing:
        options = ", ".join(f"{field}=" for field in missing)
        raise DataError(
            f"{source}: no column found for {' and '.join(missing)}. {there_are(names)} Say which with {options} "
            "(a name, or a position from 0)."
        )
    fields = sorted(chosen, key=FIELDS.index)
    for number, field in enumerate(fields):
        for other in fields[number + 1 :]:
            if chosen[field] == chosen[other]:
                raise DataError(f"{source}: column {names[chosen[field]]!r} is taken for both {field} and {other}.")


def there_are(names: list[str]) -> str:
    """A sentence with the columns there are."""
    shown = ", ".join(repr(name if len(name) <= 40 else name[:37] + "...") for name in names[:20])
    return f"The columns are {shown}{', ...' if len(names) > 20 else ''}."
