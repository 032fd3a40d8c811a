"""palate compare and palate tune: which recipe, with which options, is best for some ratings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from palate.cli import gates, printing
from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli.completing import recipes_starting
from palate.cli.loading import (
    HoldOut,
    check_kind,
    default_recipe,
    make_recipe,
    read_ratings,
)
from palate.cli.names import TUNABLE
from palate.errors import OptionError
from palate.showing.lines import one_line, printable

if TYPE_CHECKING:
    from palate.data.ratings import Ratings
    from palate.evaluation import Comparison
    from palate.recipes.base import Recipe
    from palate.tuning import Tuning


# ---- compare


@opt.takes("reading", opt.READ_OPTIONS)
def compare(
    data: par.Data,
    *,
    recipes: Annotated[
        list[str] | None,
        Option(
            "--recipes",
            metavar="NAMES",
            help='Recipes such as "Bayes,ALS"; if not given, all that learn from such ratings.',
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        float | None,
        Option(
            help="Share of ratings to hold out; of implicit ratings, of each user's.",
            metavar="SHARE",
            show_default="0.2",
        ),
    ] = None,
    split: par.Split = None,
    next_item: par.NextItem = False,
    k: Annotated[
        list[int] | None, Option("--k", "-k", help="Implicit ratings: list length to measure at; repeat for several.")
    ] = None,
    attribute: Annotated[
        str | None, Option(metavar="COLUMN", help="Implicit ratings: column of --items to measure diversity by.")
    ] = None,
    seconds: Annotated[
        float, Option(help="How long it may take; recipes that there is no time for are left out.")
    ] = 1800.0,
    seed: Annotated[int, Option(help="Seed of the held-out part and of the bootstrap.")] = 0,
    out: par.Report = None,
    fail_if: par.FailIf = None,
    json: par.Json = False,
    reading: dict[str, Any],
) -> None:
    """Fit every recipe that learns from such ratings. Print quality with intervals, seconds, memory and file size."""
    from palate.evaluation import compare as compare_recipes

    printing.check_report(out)
    conditions = gates.parsed(fail_if)
    parts = HoldOut.of(test, seed, split, next_item=next_item, default=0.2)
    assert parts is not None
    names = [name.strip() for text in recipes or () for name in text.split(",") if name.strip()]
    ratings = read_ratings(data, reading, reads_order=next_item and _any_reads_order(names))
    train, held_out = parts.parts(ratings)
    options: dict[str, Any] = {
        "k": tuple(k) if k else None,
        "next_item": next_item,
        "attribute": attribute,
        "seconds": seconds,
        "seed": seed,
    }
    comparison = compare_recipes(train, held_out, names or None, **options)
    plain, is_measured = comparison.to_dict(), comparison.entries[0].is_measured

    def show(judged: list[gates.Told]) -> None:
        if json:
            printing.print_json(plain | ({"gates": judged} if judged else {}))
        else:
            if ratings.report.taken:
                printing.say(one_line(f"read: {ratings.report.taken}"))
            _print_comparison(comparison)
        if out is not None:
            printing.write_report("comparison", comparison, comparison.to_frame(), out)

    gates.judged(conditions if is_measured else [], plain, show)
    if not is_measured:
        raise OptionError(f"every recipe {'failed' if comparison.entries[0].failed else 'was left out'}.")


def _any_reads_order(names: list[str]) -> bool:
    """Whether one of these recipes reads the order of events, or of all where there are no names."""
    from palate.recipes import RECIPES

    given = {name.lower() for name in names}
    return any(recipe.reads_order for name, recipe in RECIPES.items() if not given or name.lower() in given)


def _print_comparison(comparison: Comparison) -> None:
    """Print the table between its heading and its notes."""
    printing.say(printable(comparison.heading))
    printing.print_table(comparison.columns())
    for line in comparison.notes:
        printing.say(one_line(line), "" if line == comparison.verdict else "yellow")


# ---- tune


@opt.takes("learning", opt.FIT_OPTIONS)
@opt.takes("reading", opt.READ_OPTIONS)
def tune(
    data: par.Data,
    *,
    recipe: Annotated[
        str,
        Option(
            help=f"{', '.join(TUNABLE)}.",
            metavar="NAME",
            show_default=par.DEFAULT_RECIPES,
            autocompletion=recipes_starting,
        ),
    ] = "",
    metric: Annotated[
        str | None,
        Option(
            help="Explicit ratings: rmse or mae. Implicit: ndcg@10, recall@20 and the like, or auc.",
            show_default="rmse; ndcg@10",
        ),
    ] = None,
    seconds: Annotated[float, Option(help="How long to search.")] = 60.0,
    trials: Annotated[int | None, Option(help="How many trials to run, instead of a time.", show_default=False)] = None,
    test: Annotated[
        float | None,
        Option(help="Share of ratings to set apart first; the same that palate fit --test holds out.", metavar="SHARE"),
    ] = None,
    split: Annotated[
        str | None,
        Option(help="What to set apart first: random, time or last, as palate fit does.", metavar="CHOICE"),
    ] = None,
    next_item: Annotated[
        bool, Option("--next-item", help="Tune for what users choose next: each user's last event is held out.")
    ] = False,
    resume: Annotated[
        Path | None, Option("--resume", metavar="FILE", help="Keep finished trials in FILE, and resume from it.")
    ] = None,
    out: par.Report = None,
    json: par.Json = False,
    reading: dict[str, Any],
    learning: dict[str, Any],
) -> None:
    """Find the best options of a recipe on a held-out part of the ratings. Options given here stay fixed."""
    from palate.tuning import tune as tune_recipe

    _check_places(data, out, resume)
    base, seed = make_recipe(recipe or default_recipe(reading), learning), learning.get("seed", 0)
    ratings = read_ratings(data, reading, reads_order=base.reads_order)
    check_kind(base, ratings)
    apart = HoldOut.of(test, seed, split, next_item=False)
    if apart is not None:
        apart.check_latest(next_item=next_item)
    train = ratings if apart is None else apart.parts(ratings)[0]
    space = _space(base, train, opt.for_recipe(learning))
    limits: dict[str, Any] = {"seconds": seconds, "trials": trials, "next_item": next_item}
    found = tune_recipe(base, train, metric, space=space, storage=resume, seed=seed, **limits)
    command = fit_command(data, found.best, reading, {} if apart is None else apart.typed(next_item=next_item))
    if json:
        printing.print_json(found.to_dict() | {"command": command, "python": _in_python(found.best)})
    else:
        _print_tuning(found, command)
    if out is not None:
        printing.write_report("tuning", found, found.trials, out)


def _check_places(data: str, out: Path | None, resume: Path | None) -> None:
    printing.check_report(out)
    if resume is None:
        return
    printing.check_place(resume, data, noun="the trials")
    if out is not None and out.absolute() == resume.absolute():
        raise OptionError(f"--out and --resume both name {out}; give each a file of its own.")


def _space(recipe: Recipe, train: Ratings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the search space of palate.tune, without the options that were given."""
    from palate.tuning.spaces import SPACES, space_of

    name = type(recipe).__name__
    if name not in SPACES:
        raise OptionError(f"{name} has nothing to tune; recipes that have are {', '.join(SPACES)}.")
    whole = space_of(recipe, train, None)
    space = {name: values for name, values in whole.items() if name not in given}
    if not space:
        raise OptionError(f"{', '.join(map(opt.typed, whole))} are given, so nothing is left to tune.")
    return space


def fit_command(data: str, recipe: Recipe, reading: Mapping[str, Any], more: Mapping[str, Any]) -> str:
    """Return the palate fit command that fits this recipe to the same file, quoted for a shell."""
    name = type(recipe).__name__
    changed = {
        field.name: getattr(recipe, field.name)
        for field in fields(recipe)
        if getattr(recipe, field.name) != field.default
    }
    source = f"./{data}" if data.startswith("-") else data
    words = ["palate", "fit", source, *opt.as_typed(reading, opt.READ_OPTIONS), "--recipe", name]
    words += opt.as_typed({**more, **changed}, {**opt.FIT_OPTIONS, "test": None, "split": None, "next_item": None})
    return shlex.join([*words, "--out", "model.palate"])


def _in_python(recipe: Recipe) -> str:
    return f"palate.{recipe.label()}.fit(ratings)"


def _print_tuning(found: Tuning, command: str) -> None:
    """Print the table of trials, and how to fit the best recipe."""
    head, *rows = found.cells()
    columns = [[row[at] for row in rows] for at in range(len(head))]
    printing.say(found.heading)
    printing.print_table(dict(zip(head, columns, strict=True)))
    for line in found.notes:
        printing.say(line)
    printing.say("Fit the best recipe, in Python and at the command line:", "bold")
    printing.say(_in_python(found.best))
    printing.say(printable(command))
