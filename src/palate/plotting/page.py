"""A comparison or a tuning as one self-contained HTML page: its table and its picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from palate.data.whole_files import replacing
from palate.errors import OptionError
from palate.evaluation import Comparison
from palate.options import check_is_path
from palate.showing.pictures import check_matplotlib
from palate.tuning import Tuning

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


COMPARED = (
    "In brackets: 95% bootstrap intervals over users. Seconds: time of the fit. Memory: growth of the process during "
    "the fit, without the ratings (- if the system does not report it). Size: of the saved model."
)
TUNED = "The ten best of the complete trials. Seconds: time of fitting and measuring the trial."


def write_page(found: Comparison | Tuning, path: str | PathLike[str]) -> Path:
    """Write a comparison or a tuning as one HTML page, with its table and its picture.

    The page needs no other file. Without matplotlib it says why there is no picture.

    Parameters:
        found (Comparison or Tuning): The result of palate.compare or palate.tune.
        path (str or path): The file to write; an existing one is replaced.

    Returns:
        pathlib.Path: The path of the page.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> import palate, palate.plotting
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> comparison = palate.compare(train, test, ["Mean", "Bias"])
        >>> palate.plotting.write_page(comparison, "comparison.html")  # doctest: +SKIP
        PosixPath('comparison.html')
    """
    check_is_path(path=path)
    return page_of(found).write(Path(path))


def draw(found: Comparison | Tuning) -> Any:
    """The picture of a comparison or a tuning as a matplotlib figure; raise OptionError without matplotlib."""
    check_matplotlib()
    return found.plot()


def page_of(found: Comparison | Tuning) -> Page:
    """The page of a comparison or a tuning."""
    try:
        picture = draw(found)
    except OptionError as error:
        picture = str(error)
    if isinstance(found, Comparison):
        alt = "Error of each recipe against the seconds of its fit"
        return Page("recipes compared", found.heading, found.cells(), found.notes, picture, alt, COMPARED)
    title = f"{type(found.recipe).__name__}, tuned"
    alt = f"{found.metric} of each trial, in order and by each option"
    return Page(title, found.heading, found.cells(), [*found.notes, found.verdict], picture, alt, TUNED)


@dataclass(frozen=True)
class Page:
    """The content of the page. Every text is escaped when it is written.

    rows: of the table, its head first. picture: a matplotlib figure, or a text that says why there is none. alt: what
    the picture shows. how: how to read the table.
    """

    title: str
    heading: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    picture: Any
    alt: str
    how: str

    def write(self, path: Path) -> Path:
        """Write the page to a temporary file beside the path, then rename it."""
        with replacing(path) as temporary:
            temporary.write_text(str(self), encoding="utf-8")
        return path

    def __str__(self) -> str:
        head, *others = self.rows
        return "\n".join(
            [
                "<!DOCTYPE html>",
                '<html lang="en"><head><meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                f"<title>palate: {escape(self.title)}</title><style>{STYLE}</style></head><body>",
                f"<h1>palate: {escape(self.title)}</h1>",
                f"<p>{escape(self.heading)}</p>",
                '<div class="table"><table>',
                _row("th", head),
                *(_row("td", row) for row in others),
                "</table></div>",
                *(f"<p>{escape(note)}</p>" for note in self.notes),
                self._image(),
                f'<p class="small">{escape(self.how)}</p>',
                "</body></html>\n",
            ]
        )

    def _image(self) -> str:
        """The picture as an img element, or a paragraph that says why there is none."""
        if isinstance(self.picture, str):
            return f'<p class="small">No picture: {escape(self.picture)}</p>'
        buffer = io.BytesIO()
        self.picture.savefig(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f'<img alt="{escape(self.alt)}" src="data:image/png;base64,{data}">'


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
