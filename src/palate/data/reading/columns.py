"""Columns: which column of a source is the user, the item, the rating, the time and the weight.

Each is the column that the caller named, or else one with a common name whose values can be that. In a source without
names, values say what can be what, and positions only what values cannot: users come before items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from palate.data.reading.doubts import check_named, check_ratings, check_rows, item_of_parts
from palate.data.reading.events import Event, event_column
from palate.data.reading.looks import AMAZON_REVIEWER, ASIN, Column
from palate.data.reading.names import COMMON_NAMES, COUNT_NAMES, FLAG_NAMES, PRICE_NAMES, plain, there_are
from palate.data.reading.numbers import are_readable
from palate.errors import DataError, OptionError, PalateError

if TYPE_CHECKING:
    import polars as pl

FIELDS = ("user", "item", "rating", "time", "weight", "count", "event")
NEEDED = {"explicit": ("user", "item", "rating"), "implicit": ("user", "item")}
BOUGHT_NAMES = ("quantity", "qty", "purchases")  # beside these a value is a price
SEPARATORS = (",", ";", "\t", "|")  # that are found; see dialects.py
LARGEST_RATING = 100  # whole numbers that are all above it are years, ids or prices
MAX_UNNAMED = 4  # columns without names that are told apart by values and positions


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


@dataclass(frozen=True)
class Choice:
    """Which column became what.

    Attributes:
        at (dict): Field -> position of its column, for the fields that are found.
        unused (dict): Name of each other column -> what its values look like.
    """

    at: dict[str, int]
    unused: dict[str, str]


def choose_columns(
    names: list[str],
    given: dict[str, Any],
    *,
    named: bool,
    source: str,
    sample: Callable[[int], pl.Series],
    kind: str = "explicit",
    event: Event = None,
    is_ordered: bool = False,
) -> Choice:
    """The column of each field, by its name or position and by its values; see looks.py.

    `given` has the caller's option for each field: a name, a position, None (find it) or False (leave it out).
    `sample(position)` has the first values of a column. event: the option of `palate.read`. is_ordered: columns without
    names stand in the order user, item, rating, time, as in arrays. Raises DataError, listing the columns, if a needed
    field is not found, or if columns can be read in more than one way.
    """
    given = fields_of_kind(given, kind)
    columns = _Columns(names, sample)
    chosen = {field: position_of(names, field, column, source) for field, column in given.items() if _is_column(column)}
    if named:
        _choose_by_name(columns, given, chosen)
    else:
        _choose_by_position(columns, given, chosen, kind, source, is_ordered=is_ordered)
    _check(chosen, names, source, kind)
    if kind == "implicit":
        _choose_event(columns, chosen, event, source)
    if not named and not is_ordered and given["user"] is None and given["item"] is None:
        _check_ids(columns, chosen, kind, source)
        check_rows(columns, chosen, source)
    for field, at in chosen.items():
        if named and field in given and isinstance(given[field], str | None) and names.count(names[at]) > 1:
            option = "rating" if field == "count" else field
            raise DataError(
                f"{source}: {names.count(names[at])} columns are called {names[at]!r}. Rename all but one, or give the "
                f"position of the right one (from 0): {option}={at}."
            )
    if named:
        check_named(columns, given, chosen, source)
    if kind == "explicit":
        check_ratings(columns, given, chosen, source)
    unused = {name: columns[at].look for at, name in enumerate(names) if at not in chosen.values()}
    return Choice(chosen, unused)


class _Columns:
    """The columns of a source, each with a sample of its values."""

    def __init__(self, names: list[str], sample: Callable[[int], pl.Series]) -> None:
        self.names = names
        self.sample = sample
        self.met: dict[int, Column] = {}

    def __getitem__(self, at: int) -> Column:
        if at not in self.met:
            self.met[at] = Column(self.names[at], self._values(at))
        return self.met[at]

    def _values(self, at: int) -> pl.Series:
        import polars as pl

        try:
            return self.sample(at)
        except PalateError:  # a type that only this column has: it is an error where the column is needed
            return pl.Series(self.names[at], [], dtype=pl.String)

    @property
    def first_row(self) -> str:
        """The first row, each value under the position of its column."""
        shown = []
        for at in range(min(len(self.names), 20)):
            values = self[at].values
            text = "" if len(values) == 0 or values[0] is None else str(values[0])
            shown.append(f"{at}: {text if len(text) <= 30 else text[:27] + '...'!r}")
        return ", ".join(shown) + (", ..." if len(self.names) > 20 else "")


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


def _choose_by_name(columns: _Columns, given: dict[str, Any], chosen: dict[str, int]) -> None:
    """Add the columns with common names whose values fit.

    Where no column of a needed field fits, the one with the best name is taken: its values are then bad rows.
    """
    plain_names = [plain(name) for name in columns.names]
    for field in given:
        if given[field] is not None:
            continue
        candidates = [
            at
            for common in COMMON_NAMES[field]
            for at, name in enumerate(plain_names)
            if name == common and at not in chosen.values() and (common not in FLAG_NAMES or columns[at].are_flags)
        ]
        fitting = [at for at in candidates if _fits(columns[at], field)]
        if field in ("time", "weight"):
            candidates = []
        if field == "rating" and any(name in BOUGHT_NAMES for name in plain_names):
            fitting, candidates = (
                [at for at in found if plain_names[at] not in PRICE_NAMES] for found in (fitting, candidates)
            )
        if field == "item":
            fitting = item_of_parts(plain_names, fitting)
        if fitting or candidates:
            chosen[field] = _id_of(columns, plain_names, fitting or candidates)
    if given.get("weight", False) is None and "weight" in chosen and _is_of_item(columns, chosen):
        del chosen["weight"]


def _id_of(columns: _Columns, plain_names: list[str], found: list[int]) -> int:
    """The first of the columns found; of `track` and `track_id` the second, since two tracks may be called alike.

    A number for each row is no id of what repeats.
    """
    first = found[0]
    own = next((at for at in found if plain_names[at] in (f"{plain_names[first]}id", f"id{plain_names[first]}")), first)
    n_ids, n_names = columns[own].n_distinct, columns[first].n_distinct
    return first if n_ids > n_names and n_ids == len(columns[own].texts) else own


def _choose_event(columns: _Columns, chosen: dict[str, int], event: Event, source: str) -> None:
    """Add the column of events of implicit ratings, if there is one."""
    free = [at for at in range(len(columns.names)) if at not in chosen.values()]
    found = event_column([columns[at] for at in free], [plain(columns.names[at]) for at in free], event, source)
    if found is not None:
        chosen["event"] = free[found]


def _fits(column: Column, field: str) -> bool:
    """True if a column's values can be those of a field."""
    if field in ("user", "item"):
        return column.can_be_ids or (field == "item" and column.are_long)
    if field == "time":
        if column.are_clocks:
            return False  # the day is in another column
        return column.is_blank or column.are_times or column.is_whole or column.are_mostly_times
    are_numbers = column.numbers is not None or (not column.is_list and are_readable(column.texts))
    return are_numbers and (field == "weight" or not column.are_times)


def _is_of_item(columns: _Columns, chosen: dict[str, int]) -> bool:
    """True if items with several rows have one weight each, and not all the same: what the item weighs."""
    if "item" not in chosen:
        return False
    items, weights = (columns[chosen[field]].values.to_list() for field in ("item", "weight"))
    of_item: dict[Any, set[Any]] = {}
    for item, weight in zip(items, weights, strict=True):
        of_item.setdefault(item, set()).add(weight)
    return len(of_item) < len(items) and all(len(own) == 1 for own in of_item.values()) and len(set(weights)) > 1


def _choose_by_position(
    columns: _Columns, given: dict[str, Any], chosen: dict[str, int], kind: str, source: str, *, is_ordered: bool
) -> None:
    """Add columns without names by what their values can be: users, items, then a rating or count and a time.

    The order of users and items is the one that nothing but the position can say. A file of five columns or more, or
    one with several columns that can be the rating, is never guessed at.
    """
    free = [at for at in range(len(columns.names)) if at not in chosen.values()]
    if len(columns.names) > MAX_UNNAMED:
        if any(field not in chosen for field in NEEDED[kind]):
            _ask(columns, chosen, kind, source, f"it has {len(columns.names)} columns")
        return
    measure = "rating" if kind == "explicit" else "count"
    if given[measure] is None and measure not in chosen:
        if is_ordered:
            chosen.update({measure: 2} if 2 in free and not (kind == "implicit" and columns[2].are_times) else {})
        else:
            _choose_measure_by_position(columns, chosen, kind, measure, source)
    _choose_time_by_position(columns, given, chosen, [at for at in free if at not in chosen.values()])
    free = [at for at in free if at not in chosen.values()]
    ids = [field for field in ("user", "item") if field not in chosen]
    if len(free) < len(ids):
        return
    if len(free) == len(ids) == 2 and columns[free[0]].matches(ASIN) and columns[free[1]].matches(AMAZON_REVIEWER):
        free.reverse()  # as Amazon's files have them
    chosen.update(zip(ids, free, strict=False))


def _check_ids(columns: _Columns, chosen: dict[str, int], kind: str, source: str) -> None:
    """Ask if an id is a date, or if a column that is not used may be the ids: one that stands before the rating."""
    end = chosen.get("rating", chosen.get("count", len(columns.names)))
    unused = [at for at in range(len(columns.names)) if at not in chosen.values()]
    dates = [at for at in (chosen["user"], chosen["item"]) if columns[at].numbers is None and columns[at].are_times]
    first = columns[chosen["user"]]
    dates += [chosen["user"]] if first.are_times and 2 * first.n_distinct > len(first.texts) > MAX_UNNAMED else []
    others = [at for at in unused if at < end and columns[at].can_be_ids and columns[at].n_distinct > 1]
    for at in dates:
        _ask(columns, {}, kind, source, f"column {at} has times, and stands where users or items are")
    for at in others:
        _ask(columns, {}, kind, source, f"column {at} may be the users or the items too")


def _choose_measure_by_position(
    columns: _Columns, chosen: dict[str, int], kind: str, measure: str, source: str
) -> None:
    """Add the rating or count: the third column, or the fourth if only that can be one."""
    n = len(columns.names)
    open_to = [at for at in range(2, n) if at not in chosen.values()]
    if not open_to:
        return
    can_be = [at for at in open_to if columns[at].are_ratings or (kind == "implicit" and columns[at].are_counts)]
    can_be = [at for at in can_be if not columns[at].are_times]
    if len(can_be) > 1:
        _ask(columns, chosen, kind, source, f"columns {' and '.join(map(str, can_be))} can both be the {measure}")
    if can_be:
        chosen[measure] = can_be[0]
        return
    others = [at for at in range(min(2, n)) if at not in chosen.values() and columns[at].are_ratings]
    is_time = [columns[at].are_times for at in open_to]
    if kind == "explicit" and len(others) == 1 and columns[others[0]].n_distinct < len(columns[others[0]].texts):
        _ask(columns, chosen, kind, source, f"column {others[0]} looks like the rating")
    if kind == "implicit":
        unclear = [
            at for at, time in zip(open_to, is_time, strict=True) if not time and columns[at].numbers is not None
        ]
        if unclear:
            _ask(columns, chosen, kind, source, f"column {unclear[0]} is neither a count nor a time")
        return
    if not is_time[0]:
        numbers = columns[open_to[0]].numbers
        if numbers is not None and columns[open_to[0]].is_whole and numbers.min() > LARGEST_RATING:
            _ask(columns, chosen, kind, source, f"column {open_to[0]} has other numbers than ratings are")
        chosen[measure] = open_to[0]


def _choose_time_by_position(columns: _Columns, given: dict[str, Any], chosen: dict[str, int], free: list[int]) -> None:
    """Add the time: a third column of times, or a fourth of whole numbers or dates."""
    if given.get("time", False) is not None or "time" in chosen:
        return
    for at in free:
        has_measure = "rating" in chosen or "count" in chosen
        if at in (2, 3) and (columns[at].are_times or (at == 3 and has_measure and columns[at].is_whole)):
            chosen["time"] = at
            return


def _ask(columns: _Columns, chosen: dict[str, int], kind: str, source: str, why: str) -> NoReturn:
    """Raise DataError with the first row and the options to type."""
    fields = [field for field in NEEDED[kind] if field not in chosen]
    dates = [at for at in range(len(columns.names)) if columns[at].numbers is None and columns[at].are_times]
    free = [at for at in range(len(columns.names)) if at not in (*chosen.values(), *dates)]
    example = ", ".join(f"{field}={at}" for field, at in zip(fields, free, strict=False))
    raise DataError(
        f"{source} has no column names, and which column is which is not clear: {why}. Its first row, with positions "
        f"from 0, is {columns.first_row}. Say which is which, for instance {example}."
    )


def _check(chosen: dict[str, int], names: list[str], source: str, kind: str) -> None:
    missing = [field for field in NEEDED[kind] if field not in chosen]
    if missing:
        if len(names) == 1 and (advice := _split_advice(names[0])):
            raise DataError(f"{source}: {advice} {there_are(names)}")
        options = ", ".join(f"{field}=" for field in missing)
        if missing == ["rating"] and (advice := _count_advice(names)):
            raise DataError(f"{source}: {advice} {there_are(names)}")
        wide = " If each item has a column of its own, pass wide=True." if "item" in missing and len(names) > 2 else ""
        alone = ' If all rows are one person\'s, pass user="me".' if "user" in missing else ""
        implicit = ' If only choices are known (clicks, plays, purchases), pass kind="implicit".'
        raise DataError(
            f"{source}: no column found for {' and '.join(missing)}. {there_are(names)} Say which with {options} "
            f"(a name, or a position from 0).{wide}{alone}{implicit if 'rating' in missing else ''}"
        )
    fields = sorted(chosen, key=FIELDS.index)
    for number, field in enumerate(fields):
        for other in fields[number + 1 :]:
            if chosen[field] == chosen[other]:
                name = names[chosen[field]]
                raise DataError(f"{source}: column {name!r} is taken for both {field} and {other}. Name both columns.")


def _split_advice(name: str) -> str:
    """What to do about lines of one field: what may separate them, by the first line; "" if nothing may."""
    if any(mark in name for mark in SEPARATORS):
        return "each line as a whole stands in quotes, and so is one field. Write the file without these quotes."
    mark = next((sign for sign in name if not (sign.isalnum() or sign in " _-.'\"@")), None)
    return f"nothing separates the fields of its lines. Say what does, for instance separator={mark!r}." if mark else ""


def _count_advice(names: list[str]) -> str:
    """What to do about a column of counts where there is none of ratings; "" without one."""
    found = next((name for common in COUNT_NAMES for name in names if plain(name) == common), None)
    if found is None:
        return ""
    return (
        f"the column {found!r} says how often, by its name, and no column has ratings. To learn from the counts, pass "
        f'kind="implicit"; if these are ratings, pass rating={found!r}.'
    )
