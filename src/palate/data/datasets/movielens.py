"""MovieLens files: the ratings, items and users of each release, whatever its file format.

The releases come as u.data and u.item, ratings.dat and movies.dat, ratings.csv and movies.csv, or as RecBole's copy.
All become the same columns: user, item, rating, time; item, title, genres; user, age, gender, occupation, zip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.data.ratings import Ratings

if TYPE_CHECKING:
    import polars as pl

U_ITEM_GENRES = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy "
    "Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western"
)


TableReader = Callable[[Path], "pl.DataFrame"]


def read_folder(folder: Path) -> Ratings:
    """The ratings of a folder that has a ratings file, with the tables beside them."""
    path = ratings_file(folder)
    assert path is not None
    return RATINGS[path.name](path, items=_first_table(folder, ITEMS), users=_first_table(folder, USERS))


def ratings_file(folder: Path) -> Path | None:
    """The ratings file of a folder, or None."""
    return next((folder / name for name in RATINGS if (folder / name).is_file()), None)


def _first_table(folder: Path, readers: dict[str, TableReader]) -> pl.DataFrame | None:
    return next((read(folder / name) for name, read in readers.items() if (folder / name).is_file()), None)


def _read_text(path: Path, **options: Any) -> Ratings:
    """Read a text file with the columns user, item, rating and time."""
    from palate.data.reading import read

    return read(path, user=0, item=1, rating=2, time=3, **options)


def _read_parquet(path: Path, **tables: Any) -> Ratings:
    """Read a file with user, item, rating and perhaps timestamp. Labels become strings, as in text files."""
    import polars as pl

    from palate.data.reading import read

    frame = pl.read_parquet(path).with_columns(pl.col("user", "item").cast(pl.String))
    time: Any = "timestamp" if "timestamp" in frame.columns else False
    return read(frame, user="user", item="item", rating="rating", time=time, **tables)


def _lines(path: Path, separator: str) -> Iterable[list[str]]:
    """The fields of each line of a file in UTF-8, or in Latin-1 as the older releases are."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return [line.removesuffix("\r").split(separator) for line in text.split("\n") if line.strip()]


def _table(rows: Iterable[Iterable[str | None]], names: str) -> pl.DataFrame:
    import polars as pl

    columns = names.split()
    table = pl.DataFrame(list(rows), schema=dict.fromkeys(columns, pl.String), orient="row")
    return table.with_columns(pl.col("age").cast(pl.Int64)) if "age" in columns else table


def _read_u_item(path: Path) -> pl.DataFrame:
    genres = U_ITEM_GENRES.split()
    return _table(
        (
            (item, title.strip(), "|".join(genre for genre, flag in zip(genres, flags, strict=True) if flag == "1"))
            for item, title, _date, _video, _address, *flags in _lines(path, "|")
        ),
        "item title genres",
    )


def _read_recbole_item(path: Path) -> pl.DataFrame:
    """Read RecBole's items, with titles as in u.item: the year in brackets, and "unkonwn" as "unknown"."""
    return _table(
        (
            (item, "unknown" if year == "unkonwn" else f"{title.strip()} ({year})", "|".join(genres.split()))
            for item, title, year, genres in list(_lines(path, "\t"))[1:]
        ),
        "item title genres",
    )


def _read_movies_dat(path: Path) -> pl.DataFrame:
    return _table(_lines(path, "::"), "item title genres")


def _read_movies_csv(path: Path) -> pl.DataFrame:
    import polars as pl

    table = pl.read_csv(path, infer_schema=False)
    return table.select(item="movieId", title="title", genres="genres")


def _read_u_user(path: Path) -> pl.DataFrame:
    return _table(_lines(path, "|"), "user age gender occupation zip")


def _read_recbole_user(path: Path) -> pl.DataFrame:
    return _table(list(_lines(path, "\t"))[1:], "user age gender occupation zip")


def _read_users_dat(path: Path) -> pl.DataFrame:
    """Read users.dat. Occupations are numbers that its README explains; an age is the start of a range."""
    lines = ((user, age, gender, job, place) for user, gender, age, job, place in _lines(path, "::"))
    return _table(lines, "user age gender occupation zip")


RATINGS: dict[str, Callable[..., Ratings]] = {
    "u.data": partial(_read_text, separator="\t", header=False),
    "ml-100k.inter": partial(_read_text, separator="\t", header=True),
    "ratings.dat": partial(_read_text, separator="::", header=False),
    "ratings.csv": partial(_read_text, separator=",", header=True),
    "ratings.parquet": _read_parquet,
}
ITEMS: dict[str, TableReader] = {
    "u.item": _read_u_item,
    "ml-100k.item": _read_recbole_item,
    "movies.dat": _read_movies_dat,
    "movies.csv": _read_movies_csv,
}
USERS: dict[str, TableReader] = {
    "u.user": _read_u_user,
    "ml-100k.user": _read_recbole_user,
    "users.dat": _read_users_dat,
}
FILE_NAMES = (*RATINGS, *ITEMS, *USERS)
