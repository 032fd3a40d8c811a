"""Works: what is known of an item besides its label, so that the items of two sources can be told to be the same.

A work has names (its title in the spellings that are compared), perhaps a year, authors, ISBNs and an IMDb id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from palate.data.reading.names import plain
from palate.data.titles import folded, titles

if TYPE_CHECKING:
    import polars as pl

ARTICLES = "the|a|an|le|la|les|el|los|las|il|der|das"  # "die" is left out, for the sake of Die Hard
LAST_ARTICLES = f"{ARTICLES}|die|l'|un|une|ein|eine"
ARTICLE_LAST = re.compile(rf"^(.*), ({LAST_ARTICLES})$")
ARTICLE_FIRST = re.compile(rf"^({ARTICLES}|l) (?=.)")
YEAR_LAST = re.compile(r"\s*\((\d{4})(?:[-\u2013]\s?(?:\d{4})?)?\s*\)\s*$")
BRACKETS_LAST = re.compile(r"^(.*\S)\s*[(\[]([^()\[\]]*)[)\]]\s*$")
NO_NAME = re.compile(
    r"#|\d|\b(edition|volume|vol|series|anniversary|unabridged|abridged|hardcover|paperback|cut|boxed set)\b",
    re.IGNORECASE,
)
ALSO_KNOWN = re.compile(r"^(a\.?k\.?a\.?|also known as)\s+", re.IGNORECASE)
FRACTION = re.compile("[\u00bc-\u00be\u2150-\u215e]")
ELIDED = re.compile(r"\bl'\s*")
WORD = re.compile(r"\w+")
EPISODE = re.compile(
    r":\s*(season|series|limited series|part|volume|vol\.?|chapter|book|episode|staffel|teil|folge|saison|partie"
    r"|temporada|parte|episodio|stagione|seizoen|sezon)\b",
    re.IGNORECASE,
)
NO_FILM = re.compile(r"episode|game|podcast|music video", re.IGNORECASE)  # rated like films and series
NAME_SUFFIXES = frozenset(["jr", "sr", "ii", "iii", "iv"])
YEARS = (
    *("year", "releaseyear", "startyear", "originalpublicationyear", "yearofpublication", "publicationyear"),
    *("yearpublished", "releasedate"),
)
AUTHORS = ("author", "authors", "bookauthor", "artist", "artists", "artistname")
IMDB_IDS = ("imdbid", "imdb", "tconst", "const")
TYPES = ("titletype", "type")
IMDB_ID = re.compile(r"tt\d{5,}")


@dataclass(frozen=True)
class Work:
    """What is known of one item.

    Attributes:
        label (label): Its label.
        title (str): What to call it in a report.
        whole (frozenset of str): Its title with all that stands in brackets but the year, as titles are compared.
        names (frozenset of str): The same without brackets at the end; empty without a title.
        bare (frozenset of str): The same without a leading article.
        others (frozenset of str): Its title without the subtitle, and other titles in brackets.
        year (int or None): When it appeared.
        authors (frozenset of str): Last names of those who made it.
        ids (frozenset of str): ISBNs of 13 digits, and IMDb ids (tt0111161).
        is_episode (bool): The title names a season or an episode.
        is_other (bool): By its type it is an episode, a game or the like, which may be called as a film is.
    """

    label: Any
    title: str
    whole: frozenset[str]
    names: frozenset[str]
    bare: frozenset[str]
    others: frozenset[str]
    year: int | None
    authors: frozenset[str]
    ids: frozenset[str]
    is_episode: bool
    is_other: bool

    @property
    def imdb(self) -> frozenset[str]:
        """The ids that are IMDb's."""
        return frozenset(own for own in self.ids if IMDB_ID.fullmatch(own))


def works_of(labels: Sequence[Any], table: pl.DataFrame | None) -> list[Work]:
    """The works of items in the order of their labels, from their table.

    Where there are no titles, labels are taken for titles, unless all are numbers.
    """
    are_numbers = all(str(label).isdecimal() for label in labels)
    texts = titles(table) or [None if are_numbers else str(label) for label in labels]
    years, authors = _column(table, YEARS, len(labels)), _column(table, AUTHORS, len(labels))
    isbns = _columns_with(table, "isbn", len(labels))
    imdb, types = _column(table, IMDB_IDS, len(labels)), _column(table, TYPES, len(labels))
    return [
        _work(label, text, year, author, kind, frozenset(_ids((label, *isbn), (label, tt))))
        for label, text, year, author, kind, isbn, tt in zip(
            labels, texts, years, authors, types, isbns, imdb, strict=True
        )
    ]


def _work(label: Any, text: str | None, year: Any, author: Any, kind: Any, ids: frozenset[str]) -> Work:
    title, own_year, brackets = _parts(text or "")
    year = _year_of(year) or own_year
    main = frozenset([_key(title)]) - {""}
    shorter = [*([title.partition(":")[0]] if ":" in title else []), *brackets]
    shown = text or str(label)
    return Work(
        label,
        title=f"{shown} ({year})" if year and str(year) not in shown else shown,
        whole=frozenset([_key(YEAR_LAST.sub("", text or ""))]) if brackets else main,
        names=main,
        bare=frozenset(map(_without_article, main)),
        others=frozenset(map(_key, shorter)) - {""} - main,
        year=year,
        authors=frozenset() if author is None else _last_names(str(author)),
        ids=ids,
        is_episode=EPISODE.search(title) is not None,
        is_other=kind is not None and NO_FILM.search(str(kind)) is not None,
    )


# ---- titles ----------------------------------------------------------------------------------------------------------


def _parts(text: str) -> tuple[str, int | None, list[str]]:
    """A title without what stands in brackets at its end: (title, year, other titles)."""
    year, others = None, []
    while text.rstrip().endswith((")", "]")):
        if found := YEAR_LAST.search(text):
            if found.start() == 0:
                break
            year, text = year or int(found[1]), text[: found.start()]
        elif found := BRACKETS_LAST.match(text):
            text, inner = found[1], found[2]
            if not NO_NAME.search(inner):
                others.append(ALSO_KNOWN.sub("", inner))
        else:
            break
    return text.strip(), year, others


def _key(title: str) -> str:
    """A title as it is compared: without case, accents and punctuation, with the article first."""
    text = title.strip().lower()
    if not text.isascii():
        text = folded(FRACTION.sub(r" \g<0>", text)).replace("\u2019", "'")  # 8½ is 8 1/2, not 81/2
    if "," in text:
        text = ARTICLE_LAST.sub(r"\2 \1", text)
    if "'" in text:
        text = ELIDED.sub("l ", text).replace("'", "")
    return " ".join(WORD.findall(text.replace("&", " and "))) or text


def _without_article(key: str) -> str:
    return ARTICLE_FIRST.sub("", key)


def _last_names(text: str) -> frozenset[str]:
    """The last name of each person; both names of one written "Herbert, Frank"."""
    people = (_key(part).split() for part in re.split(r"[,;/|&]|\band\b|\bund\b", text))
    named = ([word for word in person if word not in NAME_SUFFIXES] for person in people)
    return frozenset(person[-1] for person in named if person)


def _year_of(value: Any) -> int | None:
    found = re.match(r"\s*(\d{4})\b", str(value)) if value is not None else None
    return int(found[1]) if found else None


# ---- ids -------------------------------------------------------------------------------------------------------------


def _ids(isbns: Sequence[Any], imdb: Sequence[Any]) -> list[str]:
    """The ISBNs and the IMDb id among an item's label and columns."""
    label, own = imdb
    number = str(own).removesuffix(".0") if own is not None else ""
    number = f"tt{int(number):07}" if number.isdecimal() and number.isascii() else number
    found = [text for text in (str(label).strip(), number.strip()) if IMDB_ID.fullmatch(text)]
    return [*found, *(isbn for value in isbns if (isbn := isbn13(value)))]


def isbn13(value: Any) -> str | None:
    """An ISBN of 10 or 13 digits as one of 13; None if the check digit does not fit.

    Hyphens, ="..." as spreadsheets have it and a leading zero that a number has lost are allowed for.
    """
    if value is None:
        return None
    text = str(value)
    if len(text) < 8:
        return None
    text = re.sub(r'[-\s="]', "", text).removesuffix(".0").upper()
    if re.fullmatch(r"97[89]\d{10}", text, re.ASCII):
        return text if _check_digit(text[:12]) == text[12] else None
    if re.fullmatch(r"\d{7,9}[\dX]", text, re.ASCII):
        text = text.zfill(10)
        total = sum((10 - at) * (10 if digit == "X" else int(digit)) for at, digit in enumerate(text))
        stem = f"978{text[:9]}"
        return stem + _check_digit(stem) if total % 11 == 0 and text.strip("0") else None
    return None


def _check_digit(twelve: str) -> str:
    """The last digit of an ISBN-13: what makes the sum of digits, each second one times 3, a multiple of 10."""
    return str(-sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(twelve)) % 10)


# ---- columns ---------------------------------------------------------------------------------------------------------


def _column(table: pl.DataFrame | None, names: Sequence[str], n: int) -> list[Any]:
    """The first column of a table with one of these names; Nones without one."""
    own = {} if table is None else {plain(name): name for name in reversed(table.columns)}
    found = next((own[name] for name in names if name in own), None)
    return [None] * n if table is None or found is None else table[found].to_list()


def _columns_with(table: pl.DataFrame | None, word: str, n: int) -> list[tuple[Any, ...]]:
    """The values in columns whose name has a word, a tuple for each row."""
    named = [] if table is None else [table[name].to_list() for name in table.columns if word in plain(name)]
    return list(zip(*named, strict=True)) if named else [()] * n
