"""Doubts: columns that were found, and may be something else than users, items and ratings. They are asked about.

A table of items has an average for each and no users; an artist is not the item where a track is; a rating that is the
same in all rows of an item is not what somebody said of it. A column whose type cannot be read has no values here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from palate.data.reading.looks import Column
from palate.data.reading.names import (
    ALBUM_NAMES,
    ARTIST_NAMES,
    COMMON_NAMES,
    FLAG_NAMES,
    MAKER_NAMES,
    PRICE_NAMES,
    TRACK_NAMES,
    plain,
    there_are,
)
from palate.errors import DataError

MANY_ROWS = 10  # in which some user or item stands twice, if they are users and items
MANY_PAIRS = 20  # more than the items; they agree by chance only if there are few different ratings
NUMBER_OF_RATINGS = re.compile(  # 120 votes, n_reviews, ratings_count, users rated
    r"(?:n|no|num|number|total|count)(?:of)?(?:user|customer|text)?(?:vote|rating|review|rater)s?"
    r"|(?:work|text|user)*(?:vote|rating|review|rater)s?(?:count|num|number|total)|votes|reviews|raters|usersrated|users"
)
PART_NAMES = ("author", "authors", "director", "brand", "series", "season", *ARTIST_NAMES, *ALBUM_NAMES)  # of an item
YEAR_NAMES = ("year", "releaseyear", "yearreleased")  # of an item, unless most items have several


RATING_NAMES = tuple(name for name in COMMON_NAMES["rating"] if name not in (*FLAG_NAMES, *PRICE_NAMES))


class Columns(Protocol):
    """The columns of a source by position."""

    names: list[str]

    def __getitem__(self, at: int) -> Column: ...


def check_named(columns: Columns, given: dict[str, Any], chosen: dict[str, int], source: str) -> None:
    """Raise DataError for columns that were found by their names and may be something else by their values."""
    _check_maker(columns, given, chosen, source)
    _check_number_of_users(columns, given, chosen, source)
    if given["item"] is None:
        _check_lists(columns, chosen, source)
        _check_parts(columns, chosen, source)


def check_rows(columns: Columns, chosen: dict[str, int], source: str) -> None:
    """Raise DataError for a source without names in which no user and no item has two rows: a table of items."""
    users, items = (columns[chosen[field]].values.to_list() for field in ("user", "item"))
    if len(users) >= MANY_ROWS and len(set(users)) == len(users) and len(set(items)) == len(items):
        raise DataError(
            f"{source} looks like a table of items: each row has another value in column {chosen['user']} and in "
            f"column {chosen['item']}. If these are users and items all the same, pass "
            f"user={chosen['user']}, item={chosen['item']}."
        )


def check_ratings(columns: Columns, given: dict[str, Any], chosen: dict[str, int], source: str) -> None:
    """Raise DataError if two columns are called ratings, or if the ratings are averages of the items."""
    if "rating" not in chosen or given["rating"] is not None:
        return
    _check_one_rating(columns, chosen, source)
    _check_no_average(columns, chosen, source)


def _check_one_rating(columns: Columns, chosen: dict[str, int], source: str) -> None:
    """Raise DataError if another column is called ratings and has other numbers."""
    rating = columns[chosen["rating"]]
    for at, name in enumerate(columns.names):
        if at in chosen.values() or plain(name) not in RATING_NAMES or rating.numbers is None:
            continue
        if columns[at].numbers is not None and columns[at].texts != rating.texts:
            raise DataError(
                f"{source}: both {rating.name!r} and {name!r} may be the ratings, and they differ. Say which: "
                f"rating={rating.name!r} or rating={name!r}."
            )


def _check_no_average(columns: Columns, chosen: dict[str, int], source: str) -> None:
    """Raise DataError for ratings that are the same in all rows of an item, as are other columns: joined from a table.

    Few rows, and few different ratings, may be the same by chance.
    """
    users, items = (columns[chosen[field]].values.to_list() for field in ("user", "item"))
    rating = columns[chosen["rating"]]
    n_more = len(set(zip(users, items, strict=False))) - len(set(items))
    if n_more < MANY_PAIRS or rating.n_distinct < 3 or not _is_of(items, rating):
        return
    for at, name in enumerate(columns.names):
        if at not in chosen.values() and columns[at].n_distinct > 1 and _is_of(items, columns[at]):
            raise DataError(
                f"{source}: each item has one value of {rating.name!r} in all its rows, as it has of {name!r}, and so "
                f"it may be an average. {there_are(columns.names)} Say which column has what each user said of each "
                f"item: rating=... ({rating.name!r}, if it is that one)."
            )


def _is_of(items: list[Any], column: Column) -> bool:
    """True if each item has one value of a column in all its rows."""
    pairs = set(zip(items, map(str, column.values.to_list()), strict=False))
    return len(pairs) == len(set(items))


def check_one_person(names: Sequence[str], given: dict[str, Any], rating: str | None, source: str) -> None:
    """Raise DataError for one person's table with the number of ratings of each item: the ratings may be averages."""
    if given["rating"] is not None or rating is None:
        return
    number = next((name for name in names if name != rating and NUMBER_OF_RATINGS.fullmatch(plain(name))), None)
    if number is not None:
        raise DataError(
            f"{source} looks like a table of items: {number!r} is how many rated an item, and so {rating!r} may be "
            f"their average. If it is what that one person said, pass rating={rating!r}. {there_are(names)}"
        )


def check_distinct(items: list[Any], person: str, source: str) -> None:
    """Raise DataError if a person's own table rates an item twice: then it may have users after all."""
    counts = Counter(items)
    if repeated := next((item for item, n in counts.items() if n > 1), None):
        raise DataError(
            f"{source}: no column is called {person!r}, so all rows would be that person's, but item {repeated!r} "
            f"has {counts[repeated]} ratings. If several people rated, name the column of users: user=... If these are "
            'one person\'s, say which of them count: duplicates="last".'
        )


def item_of_parts(names: Sequence[str], found: list[int]) -> list[int]:
    """Of artist, album and track ids the finest. `names` are plain, and `found` can be the items."""
    tracks = [at for at in found if names[at] in TRACK_NAMES]
    albums = [at for at in found if names[at] in ALBUM_NAMES]
    return next((part for part in (tracks, albums) if part), found)


def _check_maker(columns: Columns, given: dict[str, Any], chosen: dict[str, int], source: str) -> None:
    """Raise DataError if the users were found by a name such as author, and each item has one: of its making, then."""
    at = chosen["user"]
    if given["user"] is not None or plain(columns.names[at]) not in MAKER_NAMES:
        return
    users, items = (columns[chosen[field]].values.to_list() for field in ("user", "item"))
    if len(set(items)) > 1 and len(set(zip(users, items, strict=False))) == len(set(items)):
        name = columns.names[at]
        raise DataError(
            f"{source}: the column {name!r} may be who made an item, and no other column is the user by its name. "
            f"{there_are(columns.names)} If each row is a rating by that person, pass user={name!r}; otherwise say "
            "which column has the users: user=..."
        )


def _check_number_of_users(columns: Columns, given: dict[str, Any], chosen: dict[str, int], source: str) -> None:
    """Raise DataError if `users` may be how many: whole numbers beside items that have one row each."""
    name, items = columns.names[chosen["user"]], columns[chosen["item"]].texts
    is_number = plain(name) == "users" and columns[chosen["user"]].is_whole
    if given["user"] is None and is_number and len(items) > 1 and len(set(items)) == len(items):
        raise DataError(
            f"{source} looks like a table of items: each has one row, and {name!r} may be how many users it has. "
            f"{there_are(columns.names)} If these are the users, pass user={name!r}."
        )


def _check_lists(columns: Columns, chosen: dict[str, int], source: str) -> None:
    """Raise DataError if the items were found by a name, and their texts are lists: tea|jam or ["tea", "jam"]."""
    column = columns[chosen["item"]]
    if column.numbers is not None or column.is_list:
        return
    in_brackets = [text for text in column.texts if re.fullmatch(r"\[.*[,\"'].*\]", text)]
    several = [text for text in column.texts if plain(column.name) == "items" and re.search(r"[|;,]", text)]
    if several or 2 * len(in_brackets) > len(column.texts):
        raise DataError(
            f"{source}: the column {column.name!r} has lists in its texts: {(several or in_brackets)[0][:60]!r}. Make "
            f"them lists first, with polars.col({column.name!r}).str.split(...) or .str.json_decode(...), and pass the "
            f"frame. If each text is one item, pass item={column.name!r}."
        )


def _check_parts(columns: Columns, chosen: dict[str, int], source: str) -> None:
    """Raise DataError if items are titles and another column tells apart items of one title: artist, author, year."""
    item = columns[chosen["item"]]
    is_track = plain(item.name) in (*TRACK_NAMES, *ALBUM_NAMES)
    if plain(item.name).endswith("id") or (item.numbers is not None and not is_track):
        return
    for at, name in enumerate(columns.names):
        if at in chosen.values() or plain(name) not in (*PART_NAMES, *YEAR_NAMES) or columns[at].is_blank:
            continue
        by_title: dict[Any, set[Any]] = {}
        for title, part in zip(item.values.to_list(), columns[at].values.to_list(), strict=False):
            by_title.setdefault(title, set()).add(part)
        several = [title for title, parts in by_title.items() if len(parts - {None, ""}) > 1]
        if plain(name) in YEAR_NAMES and 2 * len(several) > len(by_title):
            continue  # a year of the rating
        if several or (is_track and item.numbers is None and plain(name) in ARTIST_NAMES):
            shown = f": {str(several[0])[:40]!r} has several of {name!r}" if several else ""
            raise DataError(
                f"{source}: items that are called alike in {item.name!r} may be different ones by {name!r}{shown}. "
                f"If one name is one item, pass item={item.name!r}; to rate what is in the other column, pass "
                f"item={name!r}; to keep them apart, make a column of both, or of ids, and name that."
            )
