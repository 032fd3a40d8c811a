"""Reading: a file, frame, array, matrix or SQL query -> Ratings.

A source is read block by block, each row is checked, and labels become codes. A row that is not a rating raises an
error that names it, or is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from palate.data.output import kind_of
from palate.data.ratings import Kind, Ratings, Unrated, of_frame
from palate.data.reading.driving import Reading, collect
from palate.data.reading.duplicates import Duplicates
from palate.data.reading.events import Event
from palate.data.reading.numbers import Decimal

OnBadRows = Literal["raise", "report"]


def read(
    source: Any,
    *,
    kind: Kind = "explicit",
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | Literal[False] | None = None,
    time: str | int | Literal[False] | None = None,
    weight: str | int | Literal[False] | None = None,
    items: Any = None,
    users: Any = None,
    unrated: Unrated = "drop",
    event: Event = None,
    where: str | None = None,
    wide: bool | None = None,
    blank: float | Literal[False] | None = None,
    rows: Literal["users", "items"] | None = None,
    missing: float | str | Iterable[float | str] | None = None,
    decimal: Decimal | None = None,
    time_format: str | None = None,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    on_bad_rows: OnBadRows = "raise",
    duplicates: Duplicates | None = None,
    connection: Any = None,
) -> Ratings:
    """Read ratings from a file, frame, array, matrix or SQL query.

    Columns are found by their names (user, movieId, stars, timestamp, ...) or, in a source without names, by position:
    user, item, rating and perhaps time. Ids stay as they are; those of a text file are strings. Files are known by
    their content, and unpacked. Text files are read block by block, so only the ratings need to fit in memory. Of an
    archive, a workbook or a database, the file, sheet or table whose columns fit is read, or the one named behind the
    path: "archive.zip/ratings.csv".

    With kind="implicit", only choices are known: likes, plays, purchases. Then no rating is needed, and a column of
    ratings, counts, plays, quantities or weights is how often, above 0. A source with such a column and no ratings is
    refused without kind=, because it may be meant either way.

    Ratings may be written as 4.5 or 4,5, as 4/5 or "4.0 out of 5 stars" (both are 4), as 80% (80), as ★★★★☆ (4), or as
    True and False, yes and no, up and down, like and dislike, 👍 and 👎, positive and negative (1 and 0). If implicit,
    a column of only yes and no, 1 and 0, or 1 and -1 says who chose: rows of the others are left out. Times may be
    seconds, milliseconds, microseconds, nanoseconds or days since 1970, days of a spreadsheet, or dates in any usual
    order with a clock and a zone; all become seconds since 1970, and small numbers stay as they are. How a column is
    written is decided once, on its first values, and told in `ratings.report.how`. Times that cannot all be read are
    left out, unless time= or time_format= asks for them. Ids such as 17850.0 become 17850 if all are so.

    Parameters:
        source (path, open file, frame, mapping, tuple, array, sparse matrix or SQL): What to read. Files are text with
            any separator, JSON, Parquet, Feather, Arrow, Matrix Market, Netflix Prize, SQLite or workbooks, perhaps
            compressed or in an archive; frames are pandas, polars, pyarrow, any other that narwhals knows, or have an
            Arrow stream; a mapping has columns by name; a tuple is (users, items, values, ...); an array or a list of
            rows has shape (n, 3) or (n, 4), or (n, 2) if implicit; a sparse matrix is users x items; SQL is a query,
            with connection=.
        kind ("explicit" or "implicit", default "explicit"): "explicit" if values say how high a user rated an item,
            "implicit" if only choices are known.
        user (str or int, default None): Column of users, by name or position from 0; None finds it. In a source without
            users, such as an export of Goodreads or Letterboxd, any other name is that of the one person, as in "me".
        item (str or int, default None): Column of items.
        rating (str, int or False, default None): Column of ratings; of counts if implicit, where False leaves it out.
        time (str, int or False, default None): Column of times; False leaves it out.
        weight (str, int or False, default None): Column of weights; of counts if implicit. False leaves it out.
        items (path, frame or mapping, default None): A table of item attributes (titles, genres), joined by id. Rows
            that are left out are noted in `ratings.report.table_notes`.
        users (path, frame or mapping, default None): A table of user attributes, joined by id.
        unrated ("drop" or "keep", default "drop"): What to do with items and users of the tables that have no rating.
            "keep" adds them to the vocabularies, so that they can be predicted and recommended.
        event (mapping, bool or None, default None): With kind="implicit", what each event is worth where a column says
            what happened, such as {"view": 1, "cart": 3, "purchase": 10, "remove_from_cart": -1}; "ignore" leaves rows
            out. The worths of a pair are added up, and a sum of 0 or less is no choice. True: 1 for views, clicks and
            plays, 2 for likes, 3 for carts, 10 for purchases. False: every row counts 1. None refuses such a column.
        where (str, default None): Read only the rows that meet a condition in SQL on the columns of the source, such as
            "verified = 'Y' AND year >= 2010"; see `Recommender.recommend`. Numbers in a text file are numbers.
        wide (bool or None, default None): True reads a table with a row for each user and a column for each item. Users
            are the column called user, the index of a pandas frame, the first column of a text file, or else the
            positions of rows; items are the names of the columns, or else their positions. None refuses a source
            without names that looks so; False reads it by position all the same.
        blank (float, False or None, default None): In a wide table, a number that means no rating, besides blank cells
            and NaN; False: no number does. None takes each number for a rating, but refuses a table without a blank
            cell in which 0 is the lowest, or another number stands apart. In implicit ratings 0 is no choice.
        rows ("users", "items" or None, default None): What the rows of a wide table are; the columns are then the
            others. None takes them for items if their labels are called so (movie, title, ...), else for users.
        missing (number, str or list of them, default None): Values of the rating that mean no rating, such as -1. Their
            rows are left out and counted in `ratings.report.left_out`.
        decimal ("." or ",", default None): The decimal mark; None finds it, or asks if 1,234 may be either.
        time_format (str, default None): How times are written: a format such as "%d/%m/%Y" or "%m/%d/%Y %H:%M", or "s",
            "ms", "us", "ns" or "days" since 1970. None finds out.
        separator (str, default None): What separates the fields of a text file; None finds it.
        header (bool, default None): True if the first line of a text file has the column names; None finds out.
        encoding (str, default None): Encoding of a text file; None finds out whether it is UTF-8, UTF-16, UTF-32 or
            Windows-1252.
        on_bad_rows ("raise" or "report", default "raise"): Raise at a row that is not a rating, or leave such rows out
            and count them in `ratings.report`.
        duplicates (str, default None): What to do with rows that repeat a (user, item) pair. "last" keeps the latest by
            time, or else by row; "mean" averages them (explicit only); "sum" adds the counts, each row counting 1 if
            there are none (implicit only); "keep" lets each row stay an event of its own (implicit only), which
            recipes that know no order add up in a fit; "error" raises. None means "last" if explicit, "sum" if
            implicit.
        connection (database connection, default None): An open connection for an SQL query.

    Returns:
        Ratings: With times, weights and tables if the source has them, and a report of what was left out.

    Raises:
        DataError: The source is missing or empty, a needed column is not found, a row is not a rating (the message has
            its line and content), or a pair is repeated and duplicates="error".
        LabelTypeError: Ids of one column mix strings and integers, or are floats.
        OptionError: An option is not valid, or does not go with another.

    Example:
        >>> import palate
        >>> palate.read({"user": ["ann", "bob"], "item": ["tea", "tea"], "stars": [5, 3]})
        Ratings(2 ratings, 2 users, 1 items)
        >>> palate.read({"user": ["ann", "bob", "ann"], "item": ["tea", "tea", "tea"]}, kind="implicit").weights
        array([1., 2.], dtype=float32)
    """
    reading = Reading.of(source, {name: value for name, value in locals().items() if name != "source"})
    collector = reading.collector()
    collect(collector, source, reading)
    items = collector.item_table if items is None else items
    ratings = collector.ratings(reading.policy, users=users, items=items, unrated=unrated)
    return of_frame(ratings, kind_of(source))
