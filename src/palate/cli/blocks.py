"""The command that writes ratings into a folder of blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli import printing
from palate.cli.reading import for_read
from palate.showing.lines import one_line

OPTIONS = {name: option for name, option in opt.READ_OPTIONS.items() if name != "likes"}


@opt.takes("reading", OPTIONS)
def blocks(
    data: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help='Files of ratings, or patterns such as "events-*.parquet".'),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The folder to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished folder of blocks.")] = False,
    json: par.Json = False,
    reading: dict[str, Any],
) -> None:
    """Write ratings into a folder on disk, for data that do not fit in memory. If it is stopped, type it again."""
    from palate.cli.describing import read_line
    from palate.data.blocks import write

    written = write(out, data[0] if len(data) == 1 else data, **for_read(reading), overwrite=overwrite)
    if not written.report.is_clean:
        printing.note(str(written.report))
    size = sum(entry["bytes"] for entry in written.folder.manifest["files"].values())
    if json:
        facts = {"n_ratings": len(written), "n_users": written.n_users, "n_items": written.n_items}
        printing.print_json({"blocks": str(out), **facts, "bytes": size, "read": written.report.reading})
        return
    printing.say(f"{written} -> {out} ({size / 1e6:,.1f} MB)")
    if read := read_line(written.report.reading):
        printing.say(one_line(f"read: {read}"))
