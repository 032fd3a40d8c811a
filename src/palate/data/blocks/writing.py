"""Writing: any source of ratings -> a folder of blocks, in bounded memory, whole or not at all.

    read     sources are read one after another, and their rows spilled with provisional codes (spilling.py)
    code     all labels are sorted and get their final codes (vocabularies.py); tables are joined
    join     rows are sorted by user, and pairs that stand twice become one (joining.py)
    turn     ratings are sorted by item (sorting.py)

What a step leaves is noted in the state of the unfinished folder (places.py), from which the same call goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from palate.__version__ import __version__
from palate.data.blocks.folder import write_manifest
from palate.data.blocks.joining import Coded, Joined, Policy, write_by_user
from palate.data.blocks.labels import series_of, write_labels
from palate.data.blocks.mapped import Blocks
from palate.data.blocks.mapped import open as open_blocks
from palate.data.blocks.places import Place
from palate.data.blocks.progress import Line
from palate.data.blocks.sources import print_of, sources_of
from palate.data.blocks.steps import Steps, turn
from palate.data.plan import count_parts
from palate.data.ratings import Kind, Ratings, ReadReport, Unrated
from palate.data.reading.driving import Reading
from palate.data.reading.duplicates import Columns, Duplicates
from palate.data.reading.events import Event
from palate.data.reading.numbers import Decimal
from palate.data.reading.reader import OnBadRows, read
from palate.data.whole_files import reason
from palate.errors import BlocksError, OptionError
from palate.options import check_is_path
from palate.showing.events import tell
from palate.showing.live import Progress

AT_ONCE = 1 << 20  # ratings
OWN = ("path", "source", "progress", "overwrite")  # arguments that palate.read does not have
DEFAULTS = {"kind": "explicit", "unrated": "drop", "on_bad_rows": "raise"}  # of all others None


def write(
    path: str | os.PathLike[str],
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
    progress: Progress = "auto",
    overwrite: bool = False,
) -> Blocks:
    """Write ratings of any number into a folder on disk, and open it.

    The result is what `palate.read` gives of the same rows, but sorted by user: a user's ratings stand in the order of
    the source, or oldest first if they are implicit and have times. Memory holds some rows and the labels; nothing as
    long as the ratings. Files of several parts are read part by part: Parquet, Arrow, text, SQLite, SQL. Of several
    sources, the columns and how they are written are decided on the first, and checked on the others.

    Until it is finished, everything lies in a folder with ".part" behind its name. If the process is killed, the same
    call goes on from the files that are read and the steps that are done; if sources or options changed, it begins
    anew, as it does for what cannot be read twice: frames, iterators, SQL, open files.

    Parameters:
        path (path): The folder to write.
        source (path, list of paths, frame, iterator of frames, Ratings or SQL): What to write: whatever `palate.read`
            takes; several files, as a list or by a pattern such as "events-*.parquet", sorted by name; frames of the
            same columns, as a list or one after another from an iterator; Ratings.
        kind ("explicit" or "implicit", default "explicit"): As in `palate.read`, which explains all options up to
            connection.
        user (str or int, default None): Column of users.
        item (str or int, default None): Column of items.
        rating (str, int or False, default None): Column of ratings; of counts if implicit.
        time (str, int or False, default None): Column of times.
        weight (str, int or False, default None): Column of weights; of counts if implicit.
        items (path, frame or mapping, default None): A table of item attributes, joined by id.
        users (path, frame or mapping, default None): A table of user attributes, joined by id.
        unrated ("drop" or "keep", default "drop"): What to do with items and users of the tables without ratings.
        event (mapping, bool or None, default None): What each event is worth.
        where (str, default None): Write only the rows that meet a condition.
        wide (bool or None, default None): True: a table with a row for each user and a column for each item, which is
            read into memory first.
        blank (float, False or None, default None): In a wide table, a number that means no rating.
        rows ("users", "items" or None, default None): What the rows of a wide table are.
        missing (number, str or list of them, default None): Values of the rating that mean no rating.
        decimal ("." or ",", default None): The decimal mark.
        time_format (str, default None): How times are written.
        separator (str, default None): What separates the fields of a text file.
        header (bool, default None): Whether the first line of a text file has the column names.
        encoding (str, default None): Encoding of a text file.
        on_bad_rows ("raise" or "report", default "raise"): Raise at a row that is not a rating, or leave such rows out.
        duplicates (str, default None): What to do with rows that repeat a (user, item) pair.
        connection (database connection, default None): An open connection for an SQL query.
        progress (bool or "auto", default "auto"): Show a progress line, on standard error or in the notebook;
            "auto" shows it on a terminal and in a notebook.
        overwrite (bool, default False): Replace a finished folder of blocks.

    Returns:
        Blocks: What was written, opened.

    Raises:
        BlocksError: The folder exists, or cannot be written.
        DataError, LabelTypeError, OptionError: As in `palate.read`; also if sources differ in their columns.

    Example:
        >>> import palate, tempfile
        >>> parts = ({"user": ["ann", name], "item": ["tea", "jam"], "rating": [5, 3]} for name in ("bob", "cid"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     palate.blocks.write(f"{folder}/tea.blocks", parts)
        Blocks(3 ratings, 3 users, 2 items)
    """
    options = {name: value for name, value in locals().items() if name not in OWN}
    check_is_path(path=path)
    place = Place(Path(path).absolute())
    place.check(overwrite=overwrite)
    with Line(progress) as line, _failures_in_words(place, line), place.locked():
        if isinstance(source, Ratings) or wide:
            _write_ratings(place, _ratings_of(source, options), line)
        else:
            _write_source(place, source, options, line)
        place.finish()
    blocks = open_blocks(place.target)
    sizes = {"ratings": len(blocks), "users": blocks.n_users, "items": blocks.n_items}
    tell("blocks_written", "the ratings are on the disk", path=str(place.target), **sizes)
    return blocks


@contextmanager
def _failures_in_words(place: Place, line: Line) -> Iterator[None]:
    """Say what stays, and remove what is of no use, if writing ends early."""
    try:
        yield
    except Exception as error:
        _clear(place)
        if not isinstance(error, OSError) and not _is_of_polars(error):
            raise
        stays = f" What is done stays in {place.part}: make room, and call again." if place.can_go_on else ""
        raise BlocksError(f"cannot write {place.target}: {reason(error)}.{stays}") from error
    except KeyboardInterrupt:
        if place.can_go_on:
            line.note(f"interrupted; what is done stays in {place.part}, and the same call goes on from there.")
        _clear(place)
        raise
    except BaseException:
        _clear(place)
        raise


def _is_of_polars(error: Exception) -> bool:
    """True for what polars raises where it cannot write; its errors in reading are DataErrors before."""
    import polars as pl

    return isinstance(error, pl.exceptions.PolarsError)


def _clear(place: Place) -> None:
    if not place.can_go_on and place.is_begun:
        place.clear()


def _write_source(place: Place, source: Any, options: dict[str, Any], line: Line) -> None:
    reading = Reading.of(source, options)
    sources = sources_of(source, reading.connection)
    tables = {side: options[f"{side}s"] for side in ("user", "item")}
    elsewhere = ("users", "items", "connection")
    wanted = {
        "palate": __version__,
        "options": {name: repr(value) for name, value in options.items() if name not in elsewhere},
        "sources": [one.print for one in sources],
        "tables": [[] if table is None else print_of(table) for table in tables.values()],
    }
    told = place.begin(wanted)
    if told:
        line.note(told)
    steps = Steps(place, sources, reading, tables, line)
    steps.read()
    steps.code()
    joined = steps.join()
    coded = place.state["coded"]
    sizes = {name: coded[name] for name in ("n_users", "n_items")}
    by_item = turn(place, joined, coded["n_items"], line)
    about = {"kind": reading.kind, "like_threshold": None, "report": steps.report(joined)}
    _write_manifest(place, joined, sizes | about, joined.files | coded["files"] | by_item)


# ---- ratings in memory


def _ratings_of(source: Any, options: dict[str, Any]) -> Ratings:
    """The ratings themselves, or those of a wide table."""
    if not isinstance(source, Ratings):
        return read(source, **options)
    given = [name for name, value in options.items() if value != DEFAULTS.get(name)]
    if given:
        raise OptionError(f"Ratings are read already: leave out {given[0]}=.")
    return source


def _write_ratings(place: Place, ratings: Ratings, line: Line) -> None:
    place.begin({"sources": [None], "tables": []})
    line.phase("sorting by user", len(ratings))
    has = {"weights": ratings.weights is not None, "times": ratings.times is not None}
    counts = count_parts((part.users for part in _parts(ratings)), ratings.n_users)
    rows = Coded(_parts(ratings), counts, ratings.n_items, **has)
    joined = write_by_user(place.part, place.scratch, rows, Policy(ratings.kind, "keep"), line.advance)
    files = dict(joined.files)
    for side in ("user", "item"):
        labels = series_of(getattr(ratings, f"{side}_vocabulary"))
        files[f"{side}s.arrow"] = write_labels(place.part / f"{side}s.arrow", labels, getattr(ratings, f"{side}_table"))
    files |= turn(place, joined, ratings.n_items, line)
    about = {"kind": ratings.kind, "like_threshold": ratings.like_threshold, "report": ratings.report}
    _write_manifest(place, joined, {"n_users": ratings.n_users, "n_items": ratings.n_items, **about}, files)


def _parts(ratings: Ratings) -> Iterator[Columns]:
    users, times = ratings.user_codes, ratings.times
    for start in range(0, len(ratings), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        yield Columns(
            users[at],
            ratings.item_codes[at],
            ratings.values[at],
            None if times is None else times[at],
            None if ratings.weights is None else ratings.weights[at],
        )


def _write_manifest(place: Place, joined: Joined, about: dict[str, Any], files: dict[str, Any]) -> None:
    report: ReadReport = about["report"]
    manifest = {"n_ratings": joined.n_ratings, **about, "report": asdict(report), "range": joined.range}
    write_manifest(place.part, manifest | {"files": files})
