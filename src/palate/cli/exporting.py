"""palate export: the vectors of a model for another system."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from palate.cli import parameters as par
from palate.cli import printing
from palate.cli.loading import load_model


def export(
    model: par.ModelFile,
    *,
    out: Annotated[
        str,
        Option(
            "--out",
            "-o",
            metavar="PLACE",
            help="A folder, a .parquet, .npy, .faiss or .sql file, or postgresql://user@host/database.",
        ),
    ],
    to: Annotated[
        str | None,
        Option("--to", metavar="FORMAT", help="parquet, npy, faiss or pgvector; by default what PLACE says."),
    ] = None,
    side: Annotated[
        str | None,
        Option(
            "--side",
            metavar="SIDE",
            help="items, users or both; by default both, or the items where PLACE is one file.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str, Option("--metric", help="What neighbours are found by: ip (inner product), cosine or l2 (distance).")
    ] = "ip",
    question: Annotated[
        str,
        Option(
            "--question", help="What neighbours answer: recommend (items for a user) or similar (items like an item)."
        ),
    ] = "recommend",
    prefix: Annotated[str, Option("--prefix", help="How the names of tables begin.")] = "palate",
    index: Annotated[bool, Option("--index", help="Also build an HNSW index in the database.")] = False,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what an earlier export wrote.")] = False,
    json: par.Json = False,
) -> None:
    """Write the vectors of a model for another system, whose nearest neighbours are then palate's ranking.

    palate export model.palate --to parquet -o vectors/

    palate export model.palate -o postgresql://me@localhost/shop --index
    """
    from palate.exporting import export as write

    rec = load_model(model)
    options = {"metric": metric, "question": question, "prefix": prefix, "index": index, "overwrite": overwrite}
    written = write(rec, out, to, side=side, **options)  # type: ignore[arg-type]
    if json:
        printing.print_json({"written": written, "metric": metric, "question": question})
        return
    for place in written:
        printing.say(place)
