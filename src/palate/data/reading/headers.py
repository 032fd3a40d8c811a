"""Headers: whether the first row of a text file has the names of its columns, and how it differs from the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from palate.data.reading.names import FLAG_NAMES, INDEX_NAMES, is_common, is_wide_header, plain
from palate.data.reading.numbers import are_flags, is_number_like

LONG_NUMBER = 100  # characters that no number has
DECIMAL_COMMA = re.compile(r"^(\s*[-+]?\d+),(\d+\s*)$")
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?")


def has_header(sample: list[list[str]], given: dict[str, Any], min_columns: int) -> bool:
    """True if the first row has column names: one that the caller named, common ones, or just no number.

    With two columns needed (`min_columns`), no row need have a number. Then the first row without one is a header only
    if it has a common name, or a column has numbers below it.
    """
    row = sample[0]
    if any(column in row for column in given.values() if column and isinstance(column, str)):
        return True
    n_common = sum(any(is_common(name, field) for name in row) for field in ("user", "item", "count"))
    if n_common >= 2:
        return True
    if is_wide_header(sample):
        return True
    is_value = (is_number(text) or is_number_like(text) or DATE.fullmatch(text.strip()) for text in row)
    if any(is_value) or _begins_with_flag(sample):
        return False
    return min_columns > 2 or n_common > 0 or _numbers_begin(sample)


def _numbers_begin(sample: list[list[str]]) -> bool:
    """True if a column has only numbers except in the first row."""
    columns = zip(*(row for row in sample if len(row) == len(sample[0])), strict=True)
    return any(_are_numbers(column[1:]) for column in columns if not is_number(column[0]))


def _are_numbers(texts: Sequence[str]) -> bool:
    """True if some cells are there, and all of them are numbers."""
    texts = [text for text in texts if text.strip()]
    return bool(texts) and all(map(is_number, texts))


def _begins_with_flag(sample: list[list[str]]) -> bool:
    """True if the first row has a word such as yes or up where the others have such words too: it is a value there.

    A column may be called like or y.
    """
    columns = zip(*(row for row in sample if len(row) == len(sample[0])), strict=True)
    words = [column for column in columns if len(column[0]) > 1 and plain(column[0]) not in FLAG_NAMES]
    return len(sample) > 1 and any(are_flags(list(column)) for column in words)


def is_number(text: str) -> bool:
    """True for a number with a decimal point or comma."""
    if len(text) > LONG_NUMBER:
        return False
    try:
        float(DECIMAL_COMMA.sub(r"\1.\2", text))
    except ValueError:
        return False
    return True


def ends_in_separators(sample: list[list[str]], header: bool, min_columns: int) -> bool:
    """True if each line but perhaps the header ends in a separator, after which nothing stands."""
    body = sample[int(header) :]
    if not body:
        return False
    width = Counter(map(len, body)).most_common(1)[0][0]
    if width <= min_columns or any(row[-1].strip() for row in body if len(row) == width):
        return False
    return not header or len(sample[0]) == width - 1 or (len(sample[0]) == width and not sample[0][-1].strip())


def names_of_rows(header: list[str], body: list[list[str]], separator: str) -> tuple[list[str], str]:
    """Names of the columns, and how the header differs from the rows, if it does.

    R writes names of rows without a name for their column. A header may have a name too many: for an index that is not
    there, or for a last field that is left out.
    """
    names = [name.strip() for name in header]
    widths = {len(row) for row in body}
    if len(body) < 2 or len(widths) > 1:
        return names, ""
    width = widths.pop()
    first = [row[0] for row in body]
    can_be_names = len(set(first)) == len(first) and (separator in " \t" or all(map(str.isdecimal, first)))
    if width == len(names) + 1 and can_be_names:
        return ["", *names], "without a name for the first column"
    if width != len(names) - 1 or width < 2:
        return names, ""
    if names[0].lower() in INDEX_NAMES and names[-1]:
        return names[1:], "with a first name that no column has"
    return names[:-1], f"with a last name that no column has ({names[-1]})" if names[-1] else ""
