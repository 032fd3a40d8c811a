"""Recommendations for one person's own file: palate recommend MODEL --ratings-of FILE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.cli import printing
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from palate.answers.matching import Match
    from palate.recommender import Recommender


def matched(path: Path, rec: Recommender) -> Match:
    """Return the ratings in a file by the labels of the model; DataError if there is none to recommend by."""
    found = rec.match(str(path))
    if not found.ratings:
        raise DataError(f"{path} has nothing to recommend by. {found}")
    return found


def recommended(rec: Recommender, found: Match, options: Mapping[str, Any]) -> pl.DataFrame:
    """Return recommendations for the person; what was matched is left out, rated or not, unless keep_seen is given."""
    exclude = options.get("exclude", ())
    if not options["keep_seen"] and isinstance(exclude, list | tuple):
        options = {**options, "exclude": [*exclude, *found.seen]}
    frame: pl.DataFrame = rec.fold_in(found.ratings).recommend(**options)
    return frame


def emit(frame: pl.DataFrame, found: Match, *, as_json: bool, out: Path | None, heading: str) -> None:
    """Print recommendations, and on standard error what was matched; as JSON both as one object."""
    if not as_json:
        for line in str(found).splitlines():
            printing.note(line)
        printing.emit(frame, as_json=False, out=out, heading=heading)
        return
    if out is not None:
        printing.emit(frame, as_json=False, out=out)
    printing.print_json({"match": found.to_dict(), "recommendations": frame.to_dicts()})
