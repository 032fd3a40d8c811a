"""Recommendations for one person's own file: palate recommend, predict or explain with --ratings-of FILE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer import BadParameter

from palate.cli import lists, printing
from palate.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from palate.answers.fold_in import FoldIn
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
    keep_seen = rec.model.factors.keeps_seen if options["keep_seen"] is None else options["keep_seen"]
    if not keep_seen and isinstance(exclude, list | tuple):
        options = {**options, "exclude": [*exclude, *found.seen]}
    frame: pl.DataFrame = rec.fold_in(found.ratings).recommend(**options)
    return frame


def item_for(path: Path, rec: Recommender, typed: list[str | None]) -> tuple[FoldIn, Any]:
    """Return the person of a file, folded in, and the one item that is typed; what was matched is noted.

    typed: what stands where USER and ITEM would. Raises BadParameter unless it is one item.
    """
    names = [name for name in typed if name is not None]
    if len(names) != 1:
        raise BadParameter("with --ratings-of FILE name an ITEM and no USER.")
    found = matched(path, rec)
    for line in str(found).splitlines():
        printing.note(line)
    return rec.fold_in(found.ratings), lists.items_of(names, rec)[0]


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
