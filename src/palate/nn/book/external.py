"""The data sets of the chapter: URLs and untar_data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from palate.data.datasets.catalogue import DataSet, available, cache_folder, load
from palate.data.datasets.movielens import U_ITEM_GENRES
from palate.data.ratings import Ratings
from palate.data.whole_files import replacing
from palate.errors import DatasetError
from palate.nn.book.names import L

NAMES = {
    "ML_100k": "ml-100k",
    "ML_LATEST_SMALL": "ml-latest-small",
    "ML_1M": "ml-1m",
    "ML_10M": "ml-10m",
    "ML_20M": "ml-20m",
    "ML_25M": "ml-25m",
    "ML_32M": "ml-32m",
}


class _Urls(type):
    """The data sets as attributes of the class URLs."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in NAMES:
            return NAMES[name]
        raise DatasetError(
            f"palate has no data set URLs.{name}; it has {', '.join(f'URLs.{known}' for known in NAMES)}. Read other "
            "data with CollabDataLoaders.from_csv or from_df."
        )

    def __dir__(cls) -> list[str]:
        return [*super().__dir__(), *NAMES]


class URLs(metaclass=_Urls):
    """The data sets that untar_data takes: ML_100k of the chapter, and other releases of MovieLens.

    Example:
        >>> from palate.nn.book import URLs
        >>> URLs.ML_100k
        'ml-100k'
    """


class Folder(type(Path())):  # type: ignore[misc]
    """A pathlib.Path that can list what is in it."""

    def ls(self) -> L:
        """List the files and folders within, in the order of their names.

        Returns:
            L: A path for each.
        """
        return L(sorted(self.iterdir()))


def untar_data(url: str) -> Folder:
    """Return the folder of a data set in its original form, downloaded if it is not on this machine.

    The folder of ml-100k has u.data and u.item in GroupLens's layout. Where palate has the data in another form, both
    are written into the cache; u.item then has no dates and addresses.

    Parameters:
        url (str): A data set, such as URLs.ML_100k or "ml-latest-small".

    Returns:
        pathlib.Path: The folder; its ls() lists the files.

    Raises:
        DatasetError: There is no such data set, or its folder cannot be found or downloaded.

    Example:
        >>> from palate.nn.book import URLs, untar_data
        >>> (untar_data(URLs.ML_100k) / "u.data").is_file()  # doctest: +SKIP
        True
    """
    known = {dataset.name: dataset for dataset in available()}
    name = str(url).rsplit("/", 1)[-1].removesuffix(".zip").removesuffix(".tgz")
    if name not in known:
        _refuse(url, list(known))
    if known[name].here is None:
        load(name)
    folder = known[name].here
    if folder is not None and (name != "ml-100k" or (folder / "u.data").is_file()):
        return Folder(folder)
    return Folder(_written(known[name]))


def _refuse(url: Any, known: list[str]) -> NoReturn:
    raise DatasetError(
        f"palate has no data set {url!r}: it has {', '.join(known)}. Read other data with CollabDataLoaders.from_csv."
    )


def _written(dataset: DataSet) -> Path:
    """A folder in the cache with u.data and u.item, written of the data as palate has it."""
    ratings = load(dataset.name)
    if ratings.item_table is None or "title" not in ratings.item_table.columns or ratings.times is None:
        raise DatasetError(
            f"the folder of {dataset.name!r} with its u.data and u.item was not found, and the data in {dataset.here} "
            f"has no titles or times. Fetch {dataset.name}.zip from grouplens.org, unpack it so that "
            f"DIR/{dataset.name}/u.data is there, and set PALATE_DATA=DIR."
        )
    folder = cache_folder() / f"{dataset.name}-u.data"
    for file, text in (("u.data", _u_data(ratings)), ("u.item", _u_item(ratings))):
        if not (folder / file).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / file) as temporary:
                temporary.write_text(text, encoding="latin-1", errors="replace", newline="\n")
    return folder


def _u_data(ratings: Ratings) -> str:
    """user, item, rating and time, with tabs."""
    assert ratings.times is not None
    users = ratings.user_vocabulary.decode(ratings.user_codes)
    items = ratings.item_vocabulary.decode(ratings.item_codes)
    rows = zip(users, items, ratings.values.tolist(), ratings.times.tolist(), strict=True)
    return "".join(f"{user}\t{item}\t{rating:g}\t{time}\n" for user, item, rating, time in rows)


def _u_item(ratings: Ratings) -> str:
    """item, title, two dates, an address and a 0 or 1 for each genre, with bars."""
    assert ratings.item_table is not None
    rows = zip(ratings.item_vocabulary.labels.tolist(), ratings.item_table.iter_rows(named=True), strict=True)
    lines = []
    for item, row in sorted(rows, key=lambda pair: (len(pair[0]), pair[0])):  # 2 before 10
        own = (row.get("genres") or "").split("|")
        flags = ["01"[genre in own] for genre in U_ITEM_GENRES.split()]
        lines.append("|".join([item, row["title"] or "", "", "", "", *flags]))
    return "\n".join(lines) + "\n"
