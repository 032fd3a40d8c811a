"""A comparison as one HTML page that needs nothing from outside."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from palate.errors import OptionError

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; white-space: nowrap; border-bottom: 1px solid #ddd; }
th { font-weight: 600; }
img { max-width: 100%; height: auto; margin-top: 1.5rem; }
.small { color: #666; font-size: .875rem; }
"""
HOW = (
    "In brackets: 95% bootstrap intervals over users. Seconds: of the fit. Memory: how far the memory of the process "
    "rose during the fit, the ratings not counted (- where the system does not say). Size: of the saved model."
)


def write_page(path: Path, heading: str, rows: Sequence[Sequence[str]], notes: Sequence[str], picture: Any) -> Path:
    """Write the page beside its place, then rename it; see page_of()."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(page_of(heading, rows, notes, picture), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def page_of(heading: str, rows: Sequence[Sequence[str]], notes: Sequence[str], picture: Any) -> str:
    """The page; every name and message in it is escaped.

    rows: of the table, its head first; picture: a matplotlib figure, or in words why there is none.
    """
    head, *others = rows
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>palate: recipes compared</title><style>{STYLE}</style></head><body>",
            "<h1>palate: recipes compared</h1>",
            f"<p>{escape(heading)}</p>",
            '<div class="table"><table>',
            _row("th", head),
            *(_row("td", row) for row in others),
            "</table></div>",
            *(f"<p>{escape(note)}</p>" for note in notes),
            f'<p class="small">No picture: {escape(picture)}</p>' if isinstance(picture, str) else _image(picture),
            f'<p class="small">{escape(HOW)}</p>',
            "</body></html>\n",
        ]
    )


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _image(figure: Any) -> str:
    """The picture within the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="Quality of each recipe against the seconds of its fit" src="data:image/png;base64,{data}">'


def plotting() -> ModuleType:
    """palate.plotting, by its name: matplotlib stays out of here until somebody asks for it. OptionError without it."""
    try:
        return import_module("palate.plotting")
    except ImportError as error:
        raise OptionError(str(error)) from None
