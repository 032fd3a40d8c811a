"""Columns: which column of a source is the user, the item, the rating, the time and the weight.

Each is the column that the caller named, or else one with a common name. A source without names has fixed positions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from palate.errors import DataError, OptionError

FIELDS = ("user", "item", "rating", "time", "weight", "count")
NEEDED = {"explicit": ("user", "item", "rating"), "implicit": ("user", "item")}
POSITIONS = {"user": 0, "item": 1, "rating": 2, "count": 2}  # of columns without names
INDEX_NAMES = ("", "index", "unnamed: 0")  # of an index that was written as the first column
MIN_TIMESTAMP = 10**8  # numbers that are all at least this large are times (from 1973 on) and not counts

# Compared without case, blanks and punctuation. An earlier name takes precedence over a later one.
COMMON_NAMES = {
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
COUNT_NAMES = COMMON_NAMES["count"]  # names of counts, which are not ratings
COMMON_NAMES["count"] += COMMON_NAMES["rating"]


def plain(name: str) -> str:
    """A column name for comparison: lower case, letters and digits only, without RecBole's `:token` ending."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r":(token|float|token_seq|float_seq)$", "", name.strip().lower()))


def is_common(name: str, field: str) -> bool:
    """True if this is one of the common names of the field."""
    return plain(name) in COMMON_NAMES[field]


def is_wide_header(rows: list[list[str]]) -> bool:
    """True if the first row of a text file has the name of users, or none, in its first field and numbers after it."""
    first, *items = rows[0]
    is_first = first.strip().lower() in INDEX_NAMES or is_common(first, "user")
    return is_first and len(items) > 1 and len(set(items)) == len(items) and all(text.isdecimal() for text in items)


def fields_of_kind(given: dict[str, Any], kind: str) -> dict[str, Any]:
    """The options of the fields that ratings of a kind have. Implicit ones have a count, named by rating= or weight=.

    Raises OptionError if both name one.
    """
    if kind == "explicit":
        return given
    rating, weight = given["rating"], given["weight"]
    if _is_column(rating) and _is_column(weight):
        raise OptionError('with kind="implicit", rating= and weight= both name the column of counts: give one of them.')
    count = rating if _is_column(rating) or weight is None else weight
    return {"user": given["user"], "item": given["item"], "count": count, "time": given["time"]}


def choose_columns(
    names: list[str],
    given: dict[str, Any],
    *,
    named: bool,
    source: str,
    is_time: Callable[[int, float], bool],
    kind: str = "explicit",
) -> dict[str, int]:
    """Field -> position of its column, for the fields that are found.

    `given` has the caller's option for each field: a name, a position, None (find it) or False (leave it out).
    `is_time(position, minimum)` is True if an unnamed column has whole numbers of at least the minimum. Raises
    DataError, listing the columns, if a needed field is not found.
    """
    given = fields_of_kind(given, kind)
    chosen = {field: position_of(names, field, column, source) for field, column in given.items() if _is_column(column)}
    for field in given:
        if given[field] is None:
            position = _by_name(names, field, chosen) if named else _by_position(names, field, chosen, is_time)
            if position is not None:
                chosen[field] = position
    _check(chosen, names, source, kind)
    for field, at in chosen.items():
        if named and isinstance(given[field], str | None) and names.count(names[at]) > 1:
            option = "rating" if field == "count" else field
            raise DataError(
                f"{source}: {names.count(names[at])} columns are called {names[at]!r}. Rename all but one, or give the "
                f"position of the right one (from 0): {option}={at}."
            )
    return chosen


def _is_column(option: Any) -> bool:
    """True if an option names a column: None means find it, False leave it out."""
    return option is not None and option is not False


def position_of(names: list[str], field: str, column: Any, source: str) -> int:
    """The position of the column that an option names. Raise DataError, listing the columns, if it is not there."""
    option = "rating= or weight=" if field == "count" else f"{field}="
    if not isinstance(column, int | str) or isinstance(column, bool):
        raise OptionError(f"{field}={column!r}: give a column's name or position (from 0).")
    if column not in (names if isinstance(column, str) else range(-len(names), len(names))):
        raise DataError(f"{source}: there is no column {column!r} for {option}. {there_are(names)}")
    return names.index(column) if isinstance(column, str) else column % len(names)


def _by_name(names: list[str], field: str, taken: dict[str, int]) -> int | None:
    plain_names = [plain(name) for name in names]
    for common in COMMON_NAMES[field]:
        if common in plain_names and plain_names.index(common) not in taken.values():
            return plain_names.index(common)
    return None


def _by_position(
    names: list[str], field: str, taken: dict[str, int], is_time: Callable[[int, float], bool]
) -> int | None:
    """The position of a field among unnamed columns. The third is the time if it has large numbers, else the count."""
    free = [at for at in range(min(len(names), 4)) if at not in taken.values()]
    if field == "time":
        has_measure = "rating" in taken or "count" in taken
        candidates = ((3, -math.inf),) if has_measure else ((2, MIN_TIMESTAMP), (3, -math.inf))
        return next((at for at, minimum in candidates if at in free and is_time(at, minimum)), None)
    position = POSITIONS.get(field)
    if position not in free or (field == "count" and is_time(position, MIN_TIMESTAMP)):
        return None
    return position


def _check(chosen: dict[str, int], names: list[str], source: str, kind: str) -> None:
    missing = [field for field in NEEDED[kind] if field not in chosen]
    if missing:
        options = ", ".join(f"{field}=" for field in missing)
        if missing == ["rating"] and (advice := _count_advice(names)):
            raise DataError(f"{source}: {advice} {there_are(names)}")
        wide = " If each item has a column of its own, pass wide=True." if "item" in missing and len(names) > 2 else ""
        implicit = ' If only choices are known (clicks, plays, purchases), pass kind="implicit".'
        raise DataError(
            f"{source}: no column found for {' and '.join(missing)}. {there_are(names)} Say which with {options} "
            f"(a name, or a position from 0).{wide}{implicit if 'rating' in missing else ''}"
        )
    fields = sorted(chosen, key=FIELDS.index)
    for number, field in enumerate(fields):
        for other in fields[number + 1 :]:
            if chosen[field] == chosen[other]:
                name = names[chosen[field]]
                raise DataError(f"{source}: column {name!r} is taken for both {field} and {other}. Name both columns.")


def _count_advice(names: list[str]) -> str:
    """What to do about a column of counts where there is none of ratings; "" without one."""
    found = next((name for common in COUNT_NAMES for name in names if plain(name) == common), None)
    if found is None:
        return ""
    return (
        f"the column {found!r} says how often, by its name, and no column has ratings. To learn from the counts, pass "
        f'kind="implicit"; if these are ratings, pass rating={found!r}.'
    )


def there_are(names: list[str]) -> str:
    """A sentence that lists the columns."""
    shown = ", ".join(repr(name if len(name) <= 40 else name[:37] + "...") for name in names[:20])
    return f"The columns are {shown}{', ...' if len(names) > 20 else ''}."
