"""palate at the command line. The options have the names they have in Python; heavy imports happen inside commands.

Exit codes: 0 fine, 1 palate refuses (one line on standard error says why), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import options as opt
from palate.cli import printing
from palate.cli.asking import explain, predict, recommend, similar
from palate.cli.comparing import compare
from palate.cli.loading import (
    RECIPES,
    check_kind,
    check_test,
    default_recipe,
    hold_out,
    is_data_set,
    load_model,
    make_recipe,
    read_ratings,
)
from palate.cli.tuning import tune
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.data.ratings import Ratings
    from palate.evaluation import RankingReport, Report
    from palate.recommender import Recommender

app = typer.Typer(
    name="palate",
    help="Learns tastes from ratings and says what somebody will like next. Start with: palate demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# ---- learning


@app.command()
@opt.takes("learning", opt.FIT_OPTIONS)
@opt.takes("reading", opt.READ_OPTIONS)
def fit(
    data: Annotated[str, typer.Argument(metavar="RATINGS", help=opt.DATA_HELP, show_default=False)],
    *,
    out: opt.ModelOut,
    recipe: Annotated[str, typer.Option(help=f"{', '.join(RECIPES)}.", metavar="NAME", show_default=opt.USUAL)] = "",
    test: Annotated[float | None, typer.Option(help="Share of ratings to hold out and report on.")] = None,
    json: opt.Json = False,
    reading: dict[str, Any],
    learning: dict[str, Any],
) -> None:
    """Learn from ratings and save a model. Ctrl-C keeps what has been learned so far."""
    printing.check_place(out, data, *(reading[side] for side in ("items", "users") if side in reading))
    chosen = make_recipe(recipe or default_recipe(reading), learning)
    train, held_out = read_ratings(data, reading), None
    check_kind(chosen, train)
    if test is not None:
        train, held_out = hold_out(train, test, learning.get("seed", 0))
        check_test(chosen, test, held_out)
    rec = chosen.fit(train)
    rec.save(out)
    if rec.model.training.get("ended", "").startswith("interrupted"):
        printing.note(f"interrupted; what was learned until then is saved in {out}.")
    report = None if held_out is None else _evaluate(rec, held_out)
    if report is not None:
        rec = rec.with_metrics(report.to_dict())
        rec.save(out)
    _tell_fit(rec, out, len(train), report, json)


@app.command()
@opt.takes("reading", opt.READ_OPTIONS)
def update(
    model: opt.ModelFile,
    data: Annotated[str, typer.Argument(metavar="RATINGS", help="New ratings, of known and of new users and items.")],
    *,
    out: opt.ModelOut,
    json: opt.Json = False,
    reading: dict[str, Any],
) -> None:
    """Learn from new ratings too, in a fraction of a fit's time. A pair rated again replaces its old rating."""
    from palate.cli.lists import in_kind_of

    printing.check_place(out, data)
    rec = load_model(model)
    new = in_kind_of(read_ratings(data, reading, rec.model.kind), rec)
    updated = rec.update(new)
    updated.save(out)
    _tell_fit(updated, out, len(new), None, json)


@app.command()
def forget(
    model: opt.ModelFile,
    *,
    user: Annotated[list[str] | None, typer.Option(metavar="USER", help="Whom; repeat it for several.")] = None,
    item: Annotated[list[str] | None, typer.Option(metavar="ITEM", help="What: id or title; repeat it.")] = None,
    out: opt.ModelOut,
    json: opt.Json = False,
) -> None:
    """Save a model without somebody, or something: no label, no rating, and what they did to others taken back."""
    from palate.cli import lists

    printing.check_folder(out)
    rec = load_model(model)
    users = [lists.label_of(one, rec.model.user_vocabulary) for one in user or ()]
    left = rec.forget(users=users, items=lists.items_of(item or (), rec))
    left.save(out)
    _tell_fit(left, out, len(left.model.history.indices), None, json)


@app.command()
@opt.takes("reading", opt.READ_OPTIONS)
def evaluate(
    model: opt.ModelFile,
    data: Annotated[str, typer.Argument(metavar="TEST", help="Ratings that the model has not seen.")],
    *,
    by: opt.By = "mean",
    at_least: opt.AtLeast = None,
    level: opt.Level = 0.9,
    seed: opt.Seed = 0,
    json: opt.Json = False,
    reading: dict[str, Any],
) -> None:
    """Measure a model on ratings it has not seen, beside the baselines; with --likes its lists, as --by makes them."""
    from palate.cli.lists import in_kind_of

    rec = load_model(model)
    test = in_kind_of(read_ratings(data, reading, rec.model.kind), rec)
    if not test.is_implicit and (by, at_least, level) != ("mean", None, 0.9):
        raise OptionError("--by, --at-least and --level are about lists, which --likes 4 or so measures.")
    if by in ("likely", "chance") and at_least is None:
        at_least = reading.get("likes")  # lists are ranked by what they are measured on
    report = _evaluate(rec, test, by=by, at_least=at_least, level=level, seed=seed)
    if json:
        printing.print_json(report.to_dict())
    else:
        printing.say(str(report))


app.command()(compare)
app.command()(tune)


# ---- asking


for question in (predict, recommend, similar, explain):
    app.command()(question)


# ---- looking


@app.command()
def show(model: opt.ModelFile, *, json: opt.Json = False) -> None:
    """What a model is: recipe, size, training, metrics, fingerprint, best and worst items."""
    from palate.cli import describing

    rec = load_model(model)
    if json:
        printing.print_json(describing.summary(rec))
    else:
        describing.print_summary(rec, model)


@app.command()
@opt.takes("reading", opt.READ_OPTIONS)
def check(
    data: Annotated[str, typer.Argument(metavar="RATINGS", help=opt.DATA_HELP, show_default=False)],
    *,
    json: opt.Json = False,
    reading: dict[str, Any],
) -> None:
    """What is odd about some ratings, what it means, and what to do."""
    from palate.data.checking import check as look

    if is_data_set(data) or "likes" in reading:
        found = look(read_ratings(data, {"on_bad_rows": "report", **reading} if not is_data_set(data) else reading))
    else:
        found = look(data, **opt.for_read(reading))
    if json:
        printing.print_json(found.to_dict())
        return
    styles = {"X": "bold red", "!": "yellow"}
    for line in str(found).splitlines():
        printing.say(printing.printable(line), styles.get(line[:1], ""))


@app.command()
def datasets(*, json: opt.Json = False) -> None:
    """The public data sets palate knows by name: size, licence, and which are here."""
    from palate.cli import describing

    if json:
        printing.print_json(describing.data_sets())
    else:
        describing.print_data_sets()


@app.command()
def demo(
    *,
    data: Annotated[str, typer.Option(metavar="NAME", help="A data set, or a file of ratings.")] = "ml-100k",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="Where the model goes.")] = Path(
        "demo.palate"
    ),
) -> None:
    """From ratings to recommendations in one screen, on MovieLens 100K."""
    from palate.cli import demo as story

    printing.check_place(out, data)
    story.run(data, out)


@app.callback(invoke_without_command=True)
def _about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    from palate.version import __version__

    if version:
        printing.say(f"palate {__version__}")
        raise typer.Exit


# ---- steps


def _evaluate(rec: Recommender, test: Ratings, **options: Any) -> Report | RankingReport:
    from palate.evaluation import evaluate as measure

    return measure(rec, test, **options)


def _tell_fit(rec: Recommender, out: Path, n_ratings: int, report: Report | RankingReport | None, json: bool) -> None:
    from palate.cli import describing

    if json:
        told = {"model": str(out), "n_ratings": n_ratings, **describing.summary(rec)}
        printing.print_json(told)
        return
    printing.say(f"{describing.learned(rec)} -> {out} ({describing.size_of(out)})")
    if report is not None:
        printing.say(str(report))


# ---- the way in


def main() -> None:
    """The `palate` command."""
    from palate.cli.guarding import guarded

    sys.exit(guarded(app))
