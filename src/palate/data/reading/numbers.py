"""Numbers: how a column writes them. 4,5 and 1.234,5, 4/5, 80%, stars, "5.0 out of 5 stars", thumbs, yes and no.

It is decided once for a column, on its first values. A later value that is written in another way is a bad row, never
another number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Literal

from palate.data.features.values import NO_NUMBER
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Decimal = Literal[".", ","]
DECIMALS: tuple[Decimal, ...] = (".", ",")

NUMBER = r"[+-]?[0-9]+(?:[.,][0-9]+)?"  # in "4,5 stars" and "4.5/5": there are no thousands of these
WITH_POINT = r"^[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:[, '][0-9]{3})+)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?$"
WITH_COMMA = r"^[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:[. '][0-9]{3})+)?(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?$"
OUT_OF = rf"^({NUMBER})\s*(?:/|out of|of)\s*([0-9]+(?:[.,]0+)?)(?:\s*stars?)?$"
PERCENT = rf"^({NUMBER})\s*%$"
PARTS = {"½": 0.5, "1/2": 0.5, "¼": 0.25, "1/4": 0.25, "¾": 0.75, "3/4": 0.75}
WITH_HALVES = r"^(?P<whole>[0-9]+)(?P<part>\s*[½¼¾]|\s+(?:1/2|1/4|3/4))?$"
COUNTED_STARS = rf"^({NUMBER})\s*[-]?(?:stars?|[★⭐🌟])$"
FILLED, EMPTY = "★⭐🌟✭✮*", "☆✩✰"
DRAWN_STARS = rf"^[{FILLED}]*½?[{EMPTY}]*$"
UP_AND_DOWN = (
    *(("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("up", "down"), ("like", "dislike")),
    *(("liked", "disliked"), ("liked", "not liked"), ("thumbs up", "thumbs down"), ("thumb up", "thumb down")),
    *(("thumbs_up", "thumbs_down"), ("thumbs-up", "thumbs-down"), ("thumbsup", "thumbsdown"), ("👍", "👎")),
    *(("positive", "negative"), ("pos", "neg"), ("upvote", "downvote")),
    ("recommended", "not recommended"),
)
MINUS, BLANKS = "−﹣－–", "\u00a0\u2007\u2009\u202f\t"
LOOKS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # how an emoji is drawn: its colour, its skin


@dataclass(frozen=True)
class Notation:
    """How a column writes its numbers.

    Attributes:
        read (function): A column of texts -> Float64, null where a text is not written in this way.
        how (dict, default empty): What to tell in the report.
        is_flag (bool, default False): True for yes and no, up and down, and the like: 1 and 0.
    """

    read: Callable[[pl.Series], pl.Series]
    how: dict[str, str] = field(default_factory=dict)
    is_flag: bool = False


def notation_of(
    texts: pl.Series, what: str, source: str, *, decimal: Decimal | None = None, missing: Iterable[str] = ()
) -> Notation:
    """The notation that reads the most values of a column; plain numbers if none reads more.

    `missing` has texts that are no numbers and not meant to be. Raises DataError if values can be read in two ways, or
    are out of different numbers.
    """
    if decimal is None and texts.cast(_float(), strict=False).null_count() == texts.null_count():
        return PLAIN
    values = _distinct(texts, missing)
    with_mark = [WITH_MARK[decimal]] if decimal else [PLAIN, *WITH_MARK.values()]
    n_read = [_n_read(notation, values) for notation in with_mark]
    best, most = max(zip(with_mark, n_read, strict=True), key=lambda pair: pair[1])
    if most:
        equals = [notation for notation, n in zip(with_mark, n_read, strict=True) if n == most]
        _check_one_way(values["text"], equals, what, source)
    for notation in _others(values["text"]):
        if (n := _n_read(notation, values)) > most:
            best, most = notation, n
    if "out of" in best.how:
        _check_one_scale(values["text"], what, source)
    return best if most else PLAIN


def is_number_like(text: str) -> bool:
    """True for a text that is a number in any notation: then it is no name of a column."""
    import polars as pl

    texts = tidy(pl.Series([text], dtype=pl.String))
    if not any(character.isdigit() or character in FILLED + EMPTY + "½👍👎" for character in text):
        return False
    return any(_n_read(notation, _distinct(texts, ())) for notation in chain(WITH_MARK.values(), _others(texts)))


def are_flags(texts: list[str]) -> bool:
    """True if all texts are of one pair such as yes and no."""
    import polars as pl

    values = set(tidy(pl.Series(texts, dtype=pl.String)).str.to_lowercase())
    return bool(values) and any(values <= set(pair) for pair in UP_AND_DOWN)


def are_readable(texts: list[str]) -> bool:
    """True if all texts are numbers in one notation."""
    import polars as pl

    values = _distinct(pl.Series(texts, dtype=pl.String), ())
    n = int(values["count"].sum())
    notations = chain([PLAIN, *WITH_MARK.values()], _others(values["text"]))
    return n > 0 and any(_n_read(notation, values) == n for notation in notations)


def tidy(texts: pl.Series) -> pl.Series:
    """Texts without blanks around them, with the digits, the minus and the blanks of ASCII, and emoji without looks."""
    import polars as pl

    if texts.str.contains(r"[^\x20-\x7e]").any():
        told = _alike()
        texts = texts.str.replace_many(list(told), list(told.values()))
    return texts.str.strip_chars().cast(pl.String)


@cache
def _alike() -> dict[str, str]:
    """Character -> the one of ASCII with the same meaning."""
    others = (character for character in map(chr, range(128, sys.maxunicode)) if character.isdecimal())
    digits = {character: str(int(character)) for character in others}
    return digits | dict.fromkeys(MINUS, "-") | dict.fromkeys(BLANKS, " ") | dict.fromkeys(LOOKS, "")


def _float() -> type[pl.Float64]:
    import polars as pl

    return pl.Float64


def _distinct(texts: pl.Series, missing: Iterable[str]) -> pl.DataFrame:
    """The distinct values that are there, in order of appearance: text and count."""
    import polars as pl

    values = tidy(texts.drop_nulls().alias("text"))
    is_there = (values != "") & ~values.str.contains(NO_NUMBER) & ~values.is_in(list(missing))
    return values.filter(is_there).to_frame().group_by("text", maintain_order=True).agg(count=pl.len())


def _n_read(notation: Notation, values: pl.DataFrame) -> int:
    return int(values["count"].filter(notation.read(values["text"]).is_not_null()).sum())


# ---- a decimal point or comma


def _plain(texts: pl.Series) -> pl.Series:
    direct = texts.cast(_float(), strict=False)
    if direct.null_count() == texts.null_count():
        return direct
    return tidy(texts).str.strip_prefix("+").cast(_float(), strict=False)


def _with_mark(texts: pl.Series, mark: Decimal) -> pl.Series:
    tidied = tidy(texts)
    form, other = (WITH_POINT, ",") if mark == "." else (WITH_COMMA, ".")
    written = tidied.set(~tidied.str.contains(form), None).str.strip_prefix("+").str.replace_all(rf"[{other} ']", "")
    return written.str.replace(mark, ".", literal=True).cast(_float(), strict=False)


PLAIN = Notation(_plain)
WITH_MARK = {
    ".": Notation(partial(_with_mark, mark="."), {"decimal mark": "point"}),
    ",": Notation(partial(_with_mark, mark=","), {"decimal mark": "comma"}),
}


def _check_one_way(texts: pl.Series, best: list[Notation], what: str, source: str) -> None:
    """Raise DataError if notations that are as good as each other read other numbers."""
    import polars as pl

    first = best[0].read(texts)
    for notation in best[1:]:
        other = notation.read(texts)
        differ = (first != other).fill_null(False) | (first.is_null() != other.is_null())
        if differ.any():
            shown = pl.DataFrame({"text": texts, "one": first, "other": other}).filter(differ).row(0)
            ways = [f"{number:.15g}" for number in shown[1:] if number is not None]
            why = f"can be read as {' or '.join(ways)}: a comma or a point may be the decimal mark"
            if len(ways) == 1:
                why = f"can be read as {ways[0]}, but other {what}s have the other decimal mark"
            raise DataError(f'{source}: the {what} {shown[0]!r} {why}. Say which is, with decimal="," or decimal=".".')


# ---- out of five, percent, stars, words


def _others(texts: pl.Series) -> list[Notation]:
    """The notations that are not of plain numbers; those out of a number take the most frequent one."""
    scales = texts.str.to_lowercase().str.extract(OUT_OF, 2).drop_nulls()
    scale = scales.mode().sort()[0] if len(scales) else "5"
    return [
        Notation(partial(_out_of, scale=scale), {"out of": scale}),
        Notation(partial(_part, form=PERCENT), {"ratings": "percent"}),
        Notation(partial(_part, form=COUNTED_STARS), {"ratings": "stars"}),
        Notation(_with_halves, {"ratings": "with halves or quarters"}),
        Notation(_drawn_stars, {"ratings": "stars"}),
        *(
            Notation(partial(_flag, pair), {"ratings": f"{pair[0]} 1, {pair[1]} 0"}, is_flag=True)
            for pair in UP_AND_DOWN
        ),
    ]


def _part(texts: pl.Series, form: str) -> pl.Series:
    """The number in the first group of a form."""
    found = tidy(texts).str.to_lowercase().str.extract(form, 1)
    return found.str.strip_prefix("+").str.replace(",", ".", literal=True).cast(_float(), strict=False)


def _out_of(texts: pl.Series, scale: str) -> pl.Series:
    """The 4 of "4/5" and of "4.0 out of 5 stars", null if it is out of another number or above it."""
    number, largest = _part(texts, OUT_OF), tidy(texts).str.to_lowercase().str.extract(OUT_OF, 2)
    limit = float(scale.replace(",", "."))
    is_good = (largest.str.replace(",", ".", literal=True).cast(_float(), strict=False) == limit) & (number <= limit)
    return number.set(~is_good.fill_null(False), None)


def _check_one_scale(texts: pl.Series, what: str, source: str) -> None:
    scales = (
        texts.str.to_lowercase().str.extract(OUT_OF, 2).str.replace(",", ".", literal=True).cast(_float()).drop_nulls()
    )
    if scales.n_unique() > 1:
        shown = " and ".join(f"{scale:g}" for scale in scales.unique().sort().head(3))
        raise DataError(
            f"{source}: the {what}s are out of different numbers: out of {shown}. Bring them to one scale first."
        )


def _with_halves(texts: pl.Series) -> pl.Series:
    """Whole numbers with ½, ¼ or ¾ behind some, also written 3 1/2."""
    import polars as pl

    parts = tidy(texts).str.extract_groups(WITH_HALVES).struct.unnest()
    part = parts["part"].str.strip_chars().replace_strict(PARTS, default=None, return_dtype=pl.Float64)
    return parts["whole"].cast(_float(), strict=False) + part.fill_null(0)


def _drawn_stars(texts: pl.Series) -> pl.Series:
    """Filled stars and halves, counted; empty ones only show how many there might be."""
    tidied = tidy(texts)
    drawn = tidied.set((tidied == "") | ~tidied.str.contains(DRAWN_STARS), None)
    return drawn.str.count_matches(f"[{FILLED}]").cast(_float()) + 0.5 * drawn.str.count_matches("½").cast(_float())


def _flag(pair: tuple[str, str], texts: pl.Series) -> pl.Series:
    tidied = tidy(texts).str.to_lowercase()
    return (tidied == pair[0]).cast(_float()).set(~tidied.is_in(pair), None)
