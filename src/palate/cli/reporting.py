"""What was found, into a file: a page, a picture, JSON or a table, by its ending."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from palate.cli import printing
from palate.errors import OptionError

if TYPE_CHECKING:
    import polars as pl

    from palate.evaluation import Comparison
    from palate.tuning import Tuning

ENDINGS = (".html", ".png", ".svg", ".json", ".csv")
PICTURES = (".png", ".svg")


def check_report(out: Path | None) -> None:
    """OptionError at once, not after minutes of work, when a report cannot go there."""
    if out is None:
        return
    if out.suffix not in ENDINGS:
        raise OptionError(f"--out {out}: the ending must be one of {', '.join(ENDINGS)}.")
    printing.check_folder(out)
    if out.suffix in PICTURES:
        from palate.plotting.page import check_matplotlib

        try:
            check_matplotlib()
        except ImportError as error:
            raise OptionError(str(error)) from None


def write_report(what: str, found: Comparison | Tuning, frame: pl.DataFrame, out: Path) -> None:
    """Into a file by its ending; frame: what stands in a .csv."""
    from palate.plotting.page import draw, write_page

    if out.suffix == ".csv":
        printing.write_frame(frame, out)
    elif out.suffix == ".json":
        printing.write_json(found.to_dict(), out)
    elif out.suffix == ".html":
        write_page(found, out)
    else:
        draw(found).savefig(out)
    printing.note(f"the {what} is written to {out}.")
