"""Exports: the files in which a service hands one person's ratings, plays or views to that person.

Each is known by the names of its columns, written as `plain` makes them. None of them has a column of users.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from palate.data.reading.names import plain

PLANNED = ("to-read", "to read", "plan to watch", "plan to read", "want to read", "watchlist", "6")  # not chosen yet
SCROBBLED = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4},? \d{2}:\d{2}")  # 31 Jul 2018 20:15


@dataclass(frozen=True)
class Export:
    """What a service's files look like, and which of their columns holds what; an earlier name takes precedence.

    Attributes:
        name (str): What to call such a file.
        holds (str): What it lists.
        signs (tuple of tuples): Names of columns; a file that has all of one tuple is such a file.
        fields (dict): What a column can be (item, title, year, author, isbn, type, rating, time, status) -> its names.
            The service's ids are the items; without ids, title and year, or title and author, are.
        scale (tuple of two floats, or None): Lowest and highest rating.
        unrated (float or None): The rating that means none, besides a blank.
        account (str): A column with the person's own account, the same in each row; "" without one.
        min_played (float): A play of fewer milliseconds is none.
        whole (bool): These columns are all that it has.
    """

    name: str
    holds: str
    signs: tuple[tuple[str, ...], ...]
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    unrated: float | None = None
    account: str = ""
    min_played: float = 0.0
    whole: bool = False

    def fits(self, names: Sequence[str]) -> bool:
        """True if these are the plain names of such a file's columns."""
        return any(set(sign) <= set(names) and (not self.whole or len(sign) == len(names)) for sign in self.signs)


GOODREADS = Export(
    "a Goodreads export",
    "books",
    (("bookid", "title", "myrating"),),
    {
        "item": ("bookid",),
        "title": ("title",),
        "author": ("author",),
        "year": ("originalpublicationyear", "yearpublished"),
        "isbn": ("isbn13", "isbn"),
        "rating": ("myrating",),
        "time": ("dateread", "dateadded"),
        "status": ("exclusiveshelf",),
    },
    scale=(1, 5),
    unrated=0,
)
STORYGRAPH = Export(
    "a StoryGraph export",
    "books",
    (("title", "authors", "readstatus", "starrating"),),
    {
        "item": ("isbnuid",),
        "title": ("title",),
        "author": ("authors",),
        "isbn": ("isbnuid",),
        "rating": ("starrating",),
        "time": ("lastdateread", "dateadded"),
        "status": ("readstatus",),
    },
    scale=(0.25, 5),
    unrated=0,
)
LETTERBOXD = Export(
    "a Letterboxd export",
    "films",
    (("name", "year", "letterboxduri"),),
    {"title": ("name",), "year": ("year",), "rating": ("rating",), "time": ("watcheddate", "date")},
    scale=(0.5, 5),
)
IMDB = Export(
    "an IMDb export",
    "films",
    (("const", "yourrating"), ("const", "yourated"), ("const", "yourated", "title")),
    {
        "item": ("const",),
        "title": ("title", "originaltitle"),
        "year": ("year",),
        "type": ("titletype",),
        "rating": ("yourrating", "yourated"),
        "time": ("daterated", "created"),
    },
    scale=(1, 10),
)
MYANIMELIST = Export(
    "a MyAnimeList export",
    "anime or manga",
    (("myscore", "seriestitle"), ("myscore", "mangatitle"), ("myscore", "seriesanimedbid"), ("myscore", "animeid")),
    {
        "item": ("seriesanimedbid", "mangamangadbid", "mangadbid", "animeid", "mangaid"),
        "title": ("seriestitle", "mangatitle", "animetitle", "title", "name"),
        "rating": ("myscore",),
        "time": ("myfinishdate", "mystartdate"),
        "status": ("mystatus",),
    },
    scale=(1, 10),
    unrated=0,
)
SPOTIFY = Export(
    "a Spotify streaming history",
    "plays",
    (("artistname", "trackname", "msplayed"), ("ts", "mastermetadatatrackname", "mastermetadataalbumartistname")),
    {
        "item": ("spotifytrackuri",),
        "title": ("trackname", "mastermetadatatrackname"),
        "author": ("artistname", "mastermetadataalbumartistname"),
        "time": ("ts", "endtime"),
        "played": ("msplayed",),
    },
    account="username",
    min_played=30_000,
)
LASTFM = Export(
    "a Last.fm export",
    "plays",
    (
        *(("artist", "track", when) for when in ("uts", "utctime")),
        *(("artist", "album", "track", when) for when in ("date", "time", "timestamp")),
    ),
    {"title": ("track",), "author": ("artist",), "time": ("uts", "utctime", "date", "time", "timestamp")},
)
NETFLIX = Export(
    "a Netflix viewing history",
    "views",
    (("title", "date"),),
    {"title": ("title",), "time": ("date",)},
    whole=True,
)
EXPORTS = (GOODREADS, STORYGRAPH, LETTERBOXD, IMDB, MYANIMELIST, SPOTIFY, LASTFM, NETFLIX)

# The columns of a person's own table, where no service made it.
OWN_TABLE = Export(
    "one person's table",
    "rows",
    (),
    {
        "title": ("title", "name", "movietitle", "booktitle", "film", "movie", "book"),
        "year": ("year", "releaseyear", "originalpublicationyear", "yearpublished"),
        "author": ("author", "authors", "artist"),
        "isbn": ("isbn13", "isbn"),
    },
)


def export_of(names: Sequence[str]) -> Export | None:
    """The export whose files have these columns; None if none has."""
    own = [plain(name) for name in names]
    return next((export for export in EXPORTS if export.fits(own)), None)


def are_scrobbles(rows: Sequence[Sequence[str]]) -> bool:
    """True for the rows of a Last.fm export, which has no names of columns: artist, album, track, date.

    A track that is being played has no date yet.
    """
    dates = [row[3].strip() for row in rows if len(row) == 4]
    n_dates = sum(SCROBBLED.fullmatch(date) is not None for date in dates)
    return n_dates > 0 and len(dates) == len(rows) and n_dates >= len(rows) - 1
