"""Ids: the labels of users and items as strings or int64, null where one is missing.

What two sources write differently for one id is made alike: 17850.0, and in text files blanks and quotes around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from palate.data.features.values import NO_NUMBER
from palate.errors import DataError, LabelTypeError

if TYPE_CHECKING:
    import polars as pl

NO_ID = ("\\N", "NULL", "NaN")  # what databases and pandas write for a missing value: never an id
POINT_ZERO = r"^-?[0-9]+\.0$"
EXACT = {"Float32": 2**24, "Float64": 2**53}  # from here on a float may stand for several integers
ROUNDED = r"^[1-9]\.[0-9]+E\+[0-9]{2}$"
WRAPPED = ("^'(.+)'$", '^"(.+)"$', '^="(.+)"$', "^“(.+)”$")


def labels(series: pl.Series, what: str, source: str) -> pl.Series:
    """Ids as strings or int64. Floats become integers if all are whole: they stood beside a missing one."""
    import polars as pl

    kind = series.dtype
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        return series.cast(pl.String)
    if series.null_count() == len(series) or (kind.is_float() and series.is_nan().all()):
        return pl.Series(series.name, [None] * len(series), dtype=pl.String)  # without values a column has no type
    if kind == pl.String:
        return series
    if kind.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        if whole.null_count() > series.null_count():
            raise DataError(f"{source}: a {what} id is beyond 64 bits. Make the ids strings.")
        return whole
    if kind.is_float():
        return _whole(series, what, source)
    raise LabelTypeError(f"{source}: the {what} ids must be strings or integers, not {kind}. Make them one of these.")


def _whole(series: pl.Series, what: str, source: str) -> pl.Series:
    """Floats as int64, NaN as null. Raises LabelTypeError for fractions and for floats that may be rounded integers."""
    import polars as pl

    ids = series.fill_nan(None)
    limit = EXACT.get(str(ids.dtype), 2**11)
    wrong = ids.filter((ids != ids.floor()).fill_null(False))
    if len(wrong):
        raise LabelTypeError(
            f"{source}: the {what} ids are floats like {wrong.head(3).to_list()}. Ids are whole numbers or "
            "strings: make them one of these."
        )
    large = ids.filter((ids.abs() >= limit).fill_null(False))
    if len(large):
        raise LabelTypeError(
            f"{source}: the {what} ids are floats as large as {large[0]:.0f}, and from {limit:,} on such floats stand "
            "for more than one integer: ids that differed may be one by now. Make them integers or strings earlier, "
            "before they become floats."
        )
    return ids.cast(pl.Int64)


def without_words(ids: pl.Series, *, everywhere: bool) -> pl.Series:
    r"""Ids with null for \N, NULL and NaN; `everywhere`: for each word that means a missing value."""
    import polars as pl

    if ids.dtype != pl.String:
        return ids
    if everywhere:
        if ids.cast(pl.Int64, strict=False).null_count() == ids.null_count():
            return ids
        none = ids.str.strip_chars().str.contains(NO_NUMBER)
    else:
        none = (ids == NO_ID[0]) | (ids == NO_ID[1]) | (ids == NO_ID[2])
    return ids.set(none.fill_null(False), None) if none.any() else ids


def have_point_zero(ids: pl.Series) -> bool:
    """True for texts that are all such as "17850.0": integers that were floats when they were written."""
    import polars as pl

    return ids.dtype == pl.String and ids.null_count() < len(ids) and bool(ids.str.contains(POINT_ZERO).all())


def without_point_zero(ids: pl.Series) -> pl.Series:
    """Texts such as "17850.0" as "17850" if all are so."""
    return ids.str.strip_suffix(".0") if have_point_zero(ids) else ids


def quotes_around(ids: pl.Series) -> tuple[str, ...]:
    """The forms of quotes that stand around all ids of a text file, but for blanks."""
    stripped = ids.str.strip_chars()
    if not stripped.drop_nulls().str.contains("^['\"“=]").all():
        return ()
    return tuple(form for form in WRAPPED if stripped.str.extract(form, 1).null_count() == ids.null_count() < len(ids))


def bare(ids: pl.Series, quotes: tuple[str, ...]) -> pl.Series:
    """Ids without the blanks and the first form of quotes around them."""
    stripped = ids.str.strip_chars()
    return stripped.str.extract(quotes[0], 1) if quotes else stripped


def how_bare(quotes: tuple[str, ...], *, is_changed: bool) -> str:
    """What was taken off ids, in words."""
    if quotes:
        return "without the quotes around them"
    return "without the blanks around them" if is_changed else ""


def check_not_rounded(ids: pl.Series) -> None:
    """Raise LabelTypeError for ids that a spreadsheet has rounded: 7.65612E+16."""
    if len(rounded := ids.filter(ids.str.contains(ROUNDED).fill_null(False))):
        raise LabelTypeError(
            f"ids such as {rounded[0]!r} were rounded by a spreadsheet, and ids that differed may be one by now. Take "
            "the file as it was before, or write the column as text."
        )


def as_meant(ids: pl.Series) -> tuple[pl.Series, str]:
    """Ids of a text file without what stands around them: blanks, and quotes if all have some; and what was taken off.

    Raises LabelTypeError for ids that a spreadsheet has rounded.
    """
    import polars as pl

    if ids.dtype != pl.String:
        return ids, ""
    check_not_rounded(ids)
    quotes = quotes_around(ids)
    made = bare(ids, quotes)
    return made, how_bare(quotes, is_changed=not (made == ids).all())
