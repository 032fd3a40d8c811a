"""Titles of items, searched without regard to case, accents, the year or the place of an article."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

YEAR = re.compile(r"\s*\([0-9]{4}\)$")
ARTICLE_LAST = re.compile(r"^(.*), (the|a|an|le|la|les|der|die|das|el|il)(\s*\([0-9]{4}\))?$")


class Titles:
    """The title of each item by its code; None for an item without one.

    Parameters:
        texts (sequence of str or None): The titles, in the order of the codes.

    Example:
        >>> titles = Titles(["Matrix, The (1999)", "Alien (1979)", "Aliens (1986)"])
        >>> titles.find("the matrix"), titles.find("alien"), titles.find("ali", parts=True)
        ([0], [1], [1, 2])
        >>> titles.close_to("alein")
        ['Alien (1979)', 'Aliens (1986)']
    """

    def __init__(self, texts: Sequence[str | None]) -> None:
        self.texts = texts

    def __getitem__(self, code: int) -> str | None:
        return self.texts[code]

    def find(self, text: str, *, parts: bool = False) -> list[int]:
        """Codes of the items with this title, by the first rule that finds any.

        The rules: the whole title; the title without its year; with parts=True also a part of the title.
        """
        wanted = folded(text)
        if found := self._by_title.get(wanted) or self._by_title_without_year.get(wanted):
            return found
        return self.containing(text) if parts else []

    def containing(self, text: str) -> list[int]:
        """Codes of the items whose title contains this text."""
        wanted = folded(text)
        if not wanted:
            return []
        return [code for code, spellings in self._spellings if any(wanted in spelling for spelling in spellings)]

    def close_to(self, text: str, n: int = 3) -> list[str]:
        """The n titles that are spelt most like this text, the closest first."""
        from difflib import get_close_matches

        without_year = {YEAR.sub("", folded(title)): title for title in self.texts if title}
        return [without_year[match] for match in get_close_matches(folded(text), without_year, n=n, cutoff=0.6)]

    @cached_property
    def _spellings(self) -> list[tuple[int, tuple[str, ...]]]:
        return [(code, spellings_of(title)) for code, title in enumerate(self.texts) if title]

    @cached_property
    def _by_title(self) -> dict[str, list[int]]:
        return self._codes_by(lambda spelling: spelling)

    @cached_property
    def _by_title_without_year(self) -> dict[str, list[int]]:
        return self._codes_by(lambda spelling: YEAR.sub("", spelling))

    def _codes_by(self, key: Callable[[str], str]) -> dict[str, list[int]]:
        codes: dict[str, list[int]] = {}
        for code, spellings in self._spellings:
            for name in {key(spelling) for spelling in spellings}:
                codes.setdefault(name, []).append(code)
        return codes


def folded(text: str) -> str:
    """The text as titles are compared: without case, accents and blanks at its ends."""
    characters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in characters if not unicodedata.combining(character)).strip()


def spellings_of(title: str) -> tuple[str, ...]:
    """The folded title. If its article stands last, also the title with the article first."""
    plain = folded(title)
    article_first = ARTICLE_LAST.sub(r"\2 \1\3", plain)
    return (plain,) if article_first == plain else (plain, article_first)


def titles(table: pl.DataFrame | None) -> list[str | None] | None:
    """The text column called title or name, or ending so (such as "movie_title"), as a list; None without one."""
    if table is None:
        return None
    import polars as pl

    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    plain = [re.sub(r"[^a-z0-9]", "", name.lower().partition(":")[0]) for name in texts]
    for pattern in ("title", "name", ".*title", ".*name"):
        for name, simple in zip(texts, plain, strict=True):
            if re.fullmatch(pattern, simple):
                return table[name].to_list()
    return None
