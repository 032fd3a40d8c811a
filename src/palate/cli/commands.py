"""The command palate and its subcommands. Options have the names they have in Python.

Heavy imports happen inside commands, so that palate --help is quick. What exit codes say stands in exits.py.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import gates, messages, printing
from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli.blocks import blocks
from palate.cli.card import card
from palate.cli.choosing import DIAL_OPTIONS
from palate.cli.completing import complete_command, completion, recipes_starting
from palate.cli.drift import drift
from palate.cli.exits import EXIT_CODES, Exit
from palate.cli.exporting import export
from palate.cli.job_options import Commands, with_job_options
from palate.cli.loading import (
    HoldOut,
    check_kind,
    check_test,
    cluster_at,
    default_recipe,
    is_blocks,
    is_data_set,
    load_model,
    make_recipe,
    note_values_apart,
    propensities_of,
    read_ratings,
)
from palate.cli.model_selection import compare, tune
from palate.cli.names import RECIPES
from palate.cli.queries import explain, predict, recommend, similar
from palate.cli.reading import for_read
from palate.cli.serving import keys, serve
from palate.errors import OptionError
from palate.showing.lines import one_line, printable

if TYPE_CHECKING:
    from palate.data.ratings import Ratings
    from palate.evaluation import NextItemReport, RankingReport, Report
    from palate.recommender import Recommender

app = Commands(
    name="palate",
    help="Train recommenders on ratings, evaluate them, and recommend items. Start with: palate demo",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# ---- fit and evaluate


@app.command()
@opt.takes("learning", opt.FIT_OPTIONS)
@opt.takes("reading", opt.READ_OPTIONS)
def fit(
    data: par.Data,
    *,
    out: par.ModelOut,
    recipe: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(RECIPES)}.",
            metavar="NAME",
            show_default=par.DEFAULT_RECIPES,
            autocompletion=recipes_starting,
        ),
    ] = "",
    test: Annotated[
        float | None, typer.Option(help="Share of ratings to hold out and evaluate on.", metavar="SHARE")
    ] = None,
    split: par.Split = None,
    next_item: par.NextItem = False,
    checkpoint: par.Checkpoint = None,
    resume: par.Resume = False,
    on: par.On = None,
    fail_if: par.FailIf = None,
    json: par.Json = False,
    reading: dict[str, Any],
    learning: dict[str, Any],
) -> None:
    """Train a model on ratings and save it. Ctrl-C ends the training and keeps what was learned."""
    conditions = gates.parsed(fail_if)
    printing.check_place(out, data, *(reading[side] for side in ("items", "users") if side in reading))
    learner, cluster = make_recipe(recipe or default_recipe(reading), learning), cluster_at(on)
    parts = HoldOut.of(test, learning.get("seed", 0), split, next_item=next_item)
    train, held_out = read_ratings(data, reading, reads_order=learner.reads_order), None
    check_kind(learner, train)
    note_values_apart(train)
    if conditions and parts is None:
        raise typer.BadParameter("--fail-if measures held-out ratings: add --test 0.1, or --split last.")
    if parts is not None:
        train, held_out = parts.parts(train)
        check_test(learner, held_out)
    rec = learner.fit(train, on=cluster, checkpoint=checkpoint, resume=resume)
    rec.save(out)
    if rec.model.training.get("ended", "").startswith("interrupted"):
        later = "" if checkpoint is None else f" The same command with --resume goes on from {checkpoint}."
        printing.note(f"interrupted; what was learned until then is saved in {out}.{later}")
    report = None if held_out is None else _evaluate(rec, held_out, next_item=next_item)
    if report is not None:
        rec = rec.with_metrics(report.to_dict() | ({} if parts is None else {"split": parts.to_dict()}))
        rec.save(out)

    def show(judged: list[gates.Told]) -> None:
        _print_fit(rec, out, len(train), report, json, rec.model.training.get("read", {}), judged)

    gates.judged(conditions, {} if report is None else report.to_dict(), show)


@app.command()
@opt.takes("reading", opt.READ_OPTIONS)
def update(
    model: par.ModelFile,
    data: Annotated[
        str | None, typer.Argument(metavar="[RATINGS]", help="New ratings; their users and items may be new.")
    ] = None,
    *,
    out: par.ModelOut,
    json: par.Json = False,
    reading: dict[str, Any],
) -> None:
    """Add new ratings to a model, much faster than a new fit. A pair that is rated again gets the new rating.

    Without ratings, --items and --users name new items and users, for a model that learned from such tables.
    """
    from palate.cli.lists import in_kind_of

    tables = {name: reading.pop(name) for name in ("users", "items") if reading.get(name) is not None}
    if data is None and not tables:
        raise OptionError("give new ratings, or tables of what is new with --items and --users.")
    rec = load_model(model)
    if data is None:
        printing.check_folder(out)
        updated = rec.update(**tables)
        updated.save(out)
        _print_fit(updated, out, 0, None, json, {})
        return
    printing.check_place(out, data)
    reads_order = rec.model.factors.reads_order
    new = in_kind_of(read_ratings(data, reading, rec.model.kind, reads_order=reads_order), rec)
    updated = rec.update(new, **tables)
    updated.save(out)
    _print_fit(updated, out, len(new), None, json, new.report.reading)


@app.command()
def forget(
    model: par.ModelFile,
    *,
    user: Annotated[
        list[str] | None, typer.Option(metavar="USER", help="A user to remove; repeat for several.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="An item to remove: id or title; repeat for several.")
    ] = None,
    out: par.ModelOut,
    json: par.Json = False,
) -> None:
    """Remove users or items from a model: labels, ratings, and their influence on all others."""
    from palate.cli import lists

    printing.check_folder(out)
    if not user and not item:
        raise OptionError("name a user with --user, or an item with --item.")
    rec = load_model(model)
    users = [lists.label_of(one, rec.model.user_vocabulary) for one in user or ()]
    remaining = rec.forget(users=users, items=lists.items_of(item or (), rec))
    remaining.save(out)
    _print_fit(remaining, out, len(remaining.model.history.indices), None, json, {})


@app.command()
@opt.takes("dials", DIAL_OPTIONS)
@opt.takes("reading", opt.READ_OPTIONS)
def evaluate(
    model: par.ModelFile,
    data: Annotated[str, typer.Argument(metavar="TEST", help="Ratings that were not trained on.")],
    *,
    by: par.By = "mean",
    at_least: par.AtLeast = None,
    level: par.Level = 0.9,
    propensity: par.Propensity = None,
    next_item: par.NextItem = False,
    keep_seen: par.KeepSeen = None,
    seed: par.Seed = 0,
    on: par.OnTest = None,
    fail_if: par.FailIf = None,
    json: par.Json = False,
    reading: dict[str, Any],
    dials: dict[str, Any],
) -> None:
    """Measure a model on held-out ratings, beside baselines. With --likes, measure its lists, ranked by --by."""
    from palate.cli.lists import dials_of, in_kind_of

    conditions = gates.parsed(fail_if)
    rec, cluster = load_model(model), cluster_at(on)
    reads_order = next_item and rec.model.factors.reads_order
    ratings = read_ratings(data, reading, rec.model.kind, reads_order=reads_order)
    propensities = propensities_of(propensity, data, reading, ratings)
    test = in_kind_of(ratings, rec)
    if not test.is_implicit and dials:
        raise OptionError(f"--{next(iter(dials)).replace('_', '-')} applies to lists; add --likes 4 to measure lists.")
    if not test.is_implicit and (by, at_least, level) != ("mean", None, 0.9):
        raise OptionError("--by, --at-least and --level apply to lists; add --likes 4 to measure lists.")
    if by in ("likely", "chance") and at_least is None:
        at_least = reading.get("likes")  # rank by the threshold that is measured
    if not test.is_implicit and (next_item or keep_seen):
        option = "--next-item" if next_item else "--keep-seen"
        raise OptionError(f"{option} applies to lists; add --likes 4 to measure lists.")
    options: dict[str, Any] = {"next_item": next_item, "keep_seen": keep_seen}
    options |= {"by": by, "at_least": at_least, "level": level, "seed": seed, **dials_of(dials)}
    report = _evaluate(rec, test, propensity=propensities, on=cluster, **options)
    plain = report.to_dict()

    def show(judged: list[gates.Told]) -> None:
        if json:
            printing.print_json(plain | ({"gates": judged} if judged else {}))
        else:
            printing.say(str(report))

    gates.judged(conditions, plain, show)


app.command()(compare)
app.command()(tune)
app.command()(drift)
app.command()(card)


# ---- predict and recommend


for command in (predict, recommend, similar, explain):
    app.command()(command)


# ---- serve


app.command()(serve)
app.add_typer(keys, name="keys")


# ---- export


app.command()(export)


# ---- show and check


@app.command()
def show(model: par.ModelFile, *, json: par.Json = False) -> None:
    """Show a model: recipe, size, training, metrics, fingerprint, highest and lowest item biases."""
    from palate.cli import describing

    rec = load_model(model)
    if json:
        printing.print_json(describing.summary(rec))
    else:
        describing.print_summary(rec, model)


@app.command()
@opt.takes("reading", opt.READ_OPTIONS)
def check(
    data: par.Data,
    *,
    order: Annotated[
        bool | None,
        typer.Option(
            "--order/--no-order",
            help="Implicit ratings: tell whether the order of events matters, by a few fits; by default if dated.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 on warnings too.")] = False,
    fail_if: par.FailIf = None,
    json: par.Json = False,
    reading: dict[str, Any],
) -> None:
    """Check ratings for problems. Print what was found, what it means, and what to do; exit with 1 on problems."""
    from palate.evaluation import check as check_ratings

    conditions = gates.parsed(fail_if)
    if is_data_set(data) or is_blocks(data) or "likes" in reading:
        options = reading if is_data_set(data) or is_blocks(data) else {"on_bad_rows": "report", **reading}
        found = check_ratings(read_ratings(data, options), order=order)
    else:
        found = check_ratings(data, order=order, **for_read(reading))
    words = messages.options_of(app, ["palate", "check"])
    found = replace(found, findings=tuple(replace(one, do=messages.as_typed(one.do, words)) for one in found.findings))
    counts = {f"{kind}s": sum(one.severity == kind for one in found.findings) for kind in ("problem", "warning")}

    def show(judged: list[gates.Told]) -> None:
        if json:
            printing.print_json(found.to_dict() | ({"gates": judged} if judged else {}))
            return
        styles = {"X": "bold red", "!": "yellow"}
        for line in str(found).splitlines():
            printing.say(printable(line), styles.get(line[:1], ""))

    gates.judged(conditions, counts, show)
    if found.worst == "problem" or (strict and found.worst == "warning"):
        raise typer.Exit(Exit.ERROR)


app.command()(blocks)


@app.command()
def datasets(*, json: par.Json = False) -> None:
    """List the public data sets that palate can read by name: size, licence, and where they are."""
    from palate.cli import describing

    if json:
        printing.print_json(describing.data_sets())
    else:
        describing.print_data_sets()


@app.command()
def demo(
    *,
    data: Annotated[str, typer.Option(metavar="NAME", help="A data set or a file of ratings.")] = "ml-100k",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="The model file to write.")] = Path(
        "demo.palate"
    ),
) -> None:
    """Show palate in one screen: fit, evaluate, recommend, fold in and save, on MovieLens 100K."""
    from palate.cli import demo as tour

    printing.check_place(out, data)
    tour.run(data, out)


app.command()(completion)


def _about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    from palate.__version__ import __version__

    if version:
        printing.say(f"palate {__version__}")
        raise typer.Exit


app.callback(invoke_without_command=True)(with_job_options(_about))


# ---- steps


def _evaluate(rec: Recommender, test: Ratings, **options: Any) -> Report | RankingReport | NextItemReport:
    from palate.evaluation import evaluate as evaluate_model

    return evaluate_model(rec, test, **options)


def _print_fit(
    rec: Recommender,
    out: Path,
    n_ratings: int,
    report: Report | RankingReport | NextItemReport | None,
    json: bool,
    reading: dict[str, Any],
    judged: list[gates.Told] | None = None,
) -> None:
    from palate.cli import describing

    if json:
        told = {"model": str(out), "n_ratings": n_ratings, **describing.summary(rec), "read": reading}
        printing.print_json(told | ({"gates": judged} if judged else {}))
        return
    printing.say(f"{describing.fit_line(rec)} -> {out} ({describing.size_of(out)})")
    if read := describing.read_line(reading):
        printing.say(one_line(f"read: {read}"))
    if report is not None:
        printing.say(str(report))


# ---- the entry point


def main() -> None:
    """Run the command palate."""
    from palate.cli.guarding import guarded

    complete_command()
    sys.exit(guarded(app))
