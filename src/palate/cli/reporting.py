"""What was found, into a file: a page, a picture, JSON or a table, by its ending."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from palate.cli import printing
from palate.errors import OptionError

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".html", ".png", ".svg", ".json", ".csv")
PICTURES = (".png", ".svg")


class Found(Protocol):
    """A comparison or a tuning."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...

    def to_html(self, path: Path) -> Any:
        """A page."""
        ...

    def plot(self, path: Path) -> Any:
        """A picture."""
        ...


def check_report(out: Path | None) -> None:
    """OptionError at once, not after minutes of work, when a report cannot go there."""
    if out is None:
        return
    if out.suffix not in ENDINGS:
        raise OptionError(f"--out {out}: the ending must be one of {', '.join(ENDINGS)}.")
    printing.check_folder(out)
    if out.suffix in PICTURES:
        from palate.evaluation.page import plotting

        plotting()


def write_report(what: str, found: Found, frame: pl.DataFrame, out: Path) -> None:
    """Into a file by its ending; frame: what stands in a .csv."""
    if out.suffix == ".csv":
        printing.write_frame(frame, out)
    elif out.suffix == ".json":
        printing.write_json(found.to_dict(), out)
    elif out.suffix == ".html":
        found.to_html(out)
    else:
        found.plot(out)
    printing.note(f"the {what} is written to {out}.")
