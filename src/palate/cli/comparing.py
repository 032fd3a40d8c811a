"""palate compare: every fitting recipe on the same ratings; and how compare and tune write what they found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from palate.cli import options as opt
from palate.cli import printing
from palate.cli.loading import check_held_out, hold_out, read_ratings
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


@opt.takes("reading", opt.READ_OPTIONS)
def compare(
    data: Annotated[str, Argument(metavar="RATINGS", help=opt.DATA_HELP, show_default=False)],
    *,
    recipes: Annotated[
        list[str] | None,
        Option("--recipes", metavar="NAMES", help='Such as "Bayes,ALS"; by default all that fit.', show_default=False),
    ] = None,
    test: Annotated[float, Option(help="Share to hold out: of the ratings, or of each user's likes.")] = 0.2,
    k: Annotated[list[int] | None, Option("--k", "-k", help="Of likes: lengths of lists; repeat it.")] = None,
    attribute: Annotated[
        str | None, Option(metavar="COLUMN", help="Of likes: of --items; lists are varied by it or not.")
    ] = None,
    seed: Annotated[int, Option(help="Draws what is held out, and the intervals.")] = 0,
    out: opt.Report = None,
    json: opt.Json = False,
    reading: dict[str, Any],
) -> None:
    """Fit every recipe that fits: quality with intervals, seconds, memory and size, side by side."""
    from palate.evaluation import compare as measure
    from palate.evaluation.rankings import KS

    check_report(out)
    names = [name.strip() for text in recipes or () for name in text.split(",") if name.strip()]
    train, held_out = hold_out(read_ratings(data, reading), test, seed)
    check_held_out(test, held_out)
    comparison = measure(train, held_out, names or None, k=tuple(k or KS), attribute=attribute, seed=seed)
    if json:
        printing.print_json(comparison.to_dict())
    else:
        print_comparison(comparison)
    if out is not None:
        write_report("comparison", comparison, comparison.to_frame(), out)
    if comparison.entries[0].failed:
        raise OptionError("every recipe failed.")


def print_comparison(comparison: Comparison) -> None:
    """The table with what is to be said around it."""
    printing.say(printing.printable(comparison.heading))
    printing.print_table(comparison.columns())
    for line in comparison.notes:
        printing.say(printing.one_line(line), "" if line == comparison.verdict else "yellow")
