"""palate tune: which options of a recipe are best for some ratings, and the line to fit it with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from palate.cli import options as opt
from palate.cli import printing
from palate.cli.comparing import check_report, write_report
from palate.cli.loading import (
    TUNABLE,
    check_held_out,
    check_kind,
    default_recipe,
    hold_out,
    make_recipe,
    read_ratings,
)
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.data.ratings import Ratings
    from palate.recipes.base import Recipe
    from palate.tuning import Tuning


@opt.takes("learning", opt.FIT_OPTIONS)
@opt.takes("reading", opt.READ_OPTIONS)
def tune(
    data: Annotated[str, Argument(metavar="RATINGS", help=opt.DATA_HELP, show_default=False)],
    *,
    recipe: Annotated[str, Option(help=f"{', '.join(TUNABLE)}.", metavar="NAME", show_default=opt.USUAL)] = "",
    metric: Annotated[
        str | None,
        Option(help="ndcg@10, recall@20 and the like of likes; rmse or mae of ratings.", show_default="ndcg@10; rmse"),
    ] = None,
    seconds: Annotated[float, Option(help="How long to look.")] = 60.0,
    trials: Annotated[int | None, Option(help="How many to try instead, in whatever time.", show_default=False)] = None,
    test: Annotated[
        float | None, Option(help="Share to leave aside first, the one that `palate fit --test` holds out.")
    ] = None,
    resume: Annotated[
        Path | None, Option("--resume", metavar="FILE", help="Keep what is tried in FILE, and go on from there.")
    ] = None,
    out: opt.Report = None,
    json: opt.Json = False,
    reading: dict[str, Any],
    learning: dict[str, Any],
) -> None:
    """Find the best options of a recipe on ratings held out of these. Options that are given stay as they are."""
    from palate.tuning import tune as search

    _check_places(data, out, resume)
    chosen, seed = make_recipe(recipe or default_recipe(reading), learning), learning.get("seed", 0)
    ratings = read_ratings(data, reading)
    check_kind(chosen, ratings)
    train = ratings if test is None else _without(ratings, test, seed)
    space = _space(chosen, train, opt.for_recipe(learning))
    found = search(chosen, train, metric, seconds=seconds, trials=trials, space=space, storage=resume, seed=seed)
    line = fit_line(data, found.best, reading, {} if test is None else {"test": test, "seed": seed})
    if json:
        printing.print_json(found.to_dict() | {"command": line, "python": _in_python(found.best)})
    else:
        _print_tuning(found, line)
    if out is not None:
        write_report("tuning", found, found.trials, out)


def _check_places(data: str, out: Path | None, resume: Path | None) -> None:
    check_report(out)
    if resume is None:
        return
    printing.check_place(resume, data, what="what is tried")
    if out is not None and out.absolute() == resume.absolute():
        raise OptionError(f"--out and --resume both name {out}; give each a file of its own.")


def _without(ratings: Ratings, test: float, seed: int) -> Ratings:
    train, held_out = hold_out(ratings, test, seed)
    check_held_out(test, held_out)
    return train


def _space(recipe: Recipe, train: Ratings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Where to look: wherever palate.tune does, but not for options that were given."""
    from palate.tuning.spaces import SPACES, space_of

    name = type(recipe).__name__
    if name not in SPACES:
        raise OptionError(f"{name} has nothing to tune; recipes that have are {', '.join(SPACES)}.")
    whole = space_of(recipe, train, None)
    space = {name: where for name, where in whole.items() if name not in given}
    if not space:
        raise OptionError(f"{', '.join(map(opt.typed, whole))} are given, so nothing is left to tune.")
    return space


def fit_line(data: str, recipe: Recipe, reading: Mapping[str, Any], more: Mapping[str, Any]) -> str:
    """The `palate fit` that learns with this recipe from the same file, to be pasted into a shell."""
    name = type(recipe).__name__
    changed = {
        field.name: getattr(recipe, field.name)
        for field in fields(recipe)
        if getattr(recipe, field.name) != field.default
    }
    source = f"./{data}" if data.startswith("-") else data
    words = ["palate", "fit", source, *opt.as_typed(reading, opt.READ_OPTIONS), "--recipe", name]
    words += opt.as_typed({**more, **changed}, {**opt.FIT_OPTIONS, "test": None})
    return shlex.join([*words, "--out", "model.palate"])


def _in_python(recipe: Recipe) -> str:
    return f"palate.{recipe.label()}.fit(ratings)"


def _print_tuning(found: Tuning, pasted: str) -> None:
    head, *rows = found.cells()
    columns = [[row[at] for row in rows] for at in range(len(head))]
    printing.say(found.heading)
    printing.print_table(dict(zip(head, columns, strict=True)))
    for line in found.notes:
        printing.say(line)
    printing.say("The best one, in Python and at the command line:", "bold")
    printing.say(_in_python(found.best))
    printing.say(printing.printable(pasted))
