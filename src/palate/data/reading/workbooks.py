"""Workbooks: a sheet of an Excel or OpenDocument file as text, which is then read like any other text."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable
from typing import Any

from palate.data.reading.containers import ZIP, Content, Fits, best_of
from palate.errors import DataError

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how .xls files begin
TITLE_ROWS = 20  # rows in which the names of columns are looked for


def is_workbook_file(head: bytes) -> bool:
    """True for the first bytes of a workbook; other zip archives were unpacked before."""
    return head.startswith((*ZIP, OLE))


def as_text(content: Content, fits: Fits | None) -> Content:
    """A sheet as tab-separated text: the one that is named behind the path, the only one, or the first that fits."""
    sheets = _sheets(content)
    name = _chosen(content, sheets, fits)
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(map(_texts, sheets[name]))
    data = text.getvalue().encode("utf-8", "surrogatepass")
    how = content.how | {"member": f"sheet {name}"}
    return Content(io.BytesIO(data), content.name, data[:1024], how, separator="\t")


def _sheets(content: Content) -> dict[str, list[list[Any]]]:
    """The rows of each sheet that has any."""
    try:
        import python_calamine
    except ImportError:
        raise DataError(
            f"{content.name} is an Excel workbook, which needs a package to read: pip install 'palate[excel]'. Or save "
            "the sheet as CSV."
        ) from None
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content.whole()))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise DataError(f"{content.name} is not a readable workbook: {error}.") from error
    return {name: rows for name, rows in sheets.items() if rows}


def _chosen(content: Content, sheets: dict[str, list[list[Any]]], fits: Fits | None) -> str:
    names = ", ".join(map(repr, sheets))
    if not sheets:
        raise DataError(f"{content.name} is a workbook without a row.")
    if content.member is not None:
        if content.member not in sheets:
            raise DataError(f"{content.name} has no sheet {content.member!r}. Its sheets are {names}.")
        return content.member
    if len(sheets) == 1:
        return next(iter(sheets))
    scores = {name: max(fits(_texts(row)) for row in rows[:TITLE_ROWS]) if fits else 0 for name, rows in sheets.items()}
    fitting = best_of(scores)
    if not fitting:
        raise DataError(
            f"{content.name} is a workbook of several sheets: {names}. Say which one behind its path: "
            f"{content.name}/{next(iter(sheets))}"
        )
    return fitting[0]


def _texts(row: Iterable[Any]) -> list[str]:
    return [_text(value) for value in row]


def _text(value: Any) -> str:
    """A cell as text: whole numbers without a point, dates as ISO dates."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)
