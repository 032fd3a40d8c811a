"""palate card: a report on a model, as Markdown or as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from palate.cli import options as opt
from palate.cli import parameters as par
from palate.cli import printing
from palate.cli.loading import HoldOut, load_model, read_ratings
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.data.ratings import Ratings
    from palate.recommender import Recommender


def _said(name: str, text: str) -> Any:
    return Option(f"--{name}", metavar="TEXT", help=text, show_default=False)


@opt.takes("reading", opt.READ_OPTIONS)
def card(
    model: par.ModelFile,
    *,
    test: Annotated[
        str | None,
        Option("--test", metavar="TEST", help="Measure it on ratings that were not trained on.", show_default=False),
    ] = None,
    ratings: Annotated[
        str | None,
        Option(
            "--ratings",
            metavar="RATINGS",
            help="What palate fit --test was given: the part that it held out is found again, and measured on.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str | None, _said("title", "The title.")] = None,
    use: Annotated[str | None, _said("use", "What the model is for, and what it is not for.")] = None,
    data: Annotated[
        str | None, _said("data", "Where the ratings are from; the name of a data set also gives its licence.")
    ] = None,
    licence: Annotated[str | None, _said("licence", "The licence of the ratings.")] = None,
    set_apart: Annotated[str | None, _said("set-apart", "How the test ratings were set apart.")] = None,
    contact: Annotated[str | None, _said("contact", "Who answers questions about the model.")] = None,
    date: Annotated[str | None, Option("--date", metavar="DATE", help="Its day.", show_default="today")] = None,
    by: par.By = "mean",
    at_least: Annotated[
        float | None,
        Option("--at-least", metavar="RATING", help="For lists: a test rating of RATING or more is liked.",
               show_default="a rating above the mean"),
    ] = None,
    k: Annotated[int, Option("--k", "-k", help="Length of the lists that are measured.")] = 10,
    seed: par.Seed = 0,
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="FILE", help="Write to a .md or .html file instead.")
    ] = None,
    json: par.Json = False,
    reading: dict[str, Any],
) -> None:  # fmt: skip
    """Write a model card: data, recipe, quality with intervals, calibration, groups of users, limits, versions."""
    from palate.exporting.card import check_ending, make
    from palate.exporting.card_facts import Given
    from palate.exporting.card_quality import split_in_words

    if out is not None:
        check_ending(out)
        printing.check_folder(out)
    if test is not None and ratings is not None:
        raise OptionError("give --test or --ratings, not both.")
    if reading and test is None and ratings is None:
        given = ", ".join(opt.as_typed(reading, opt.READ_OPTIONS)[:1])
        raise OptionError(f"{given} says how to read ratings: give them with --test or --ratings.")
    rec = load_model(model)
    held_out = None
    if test is not None:
        held_out = _ratings(test, reading, rec)
    elif ratings is not None:
        held_out = held_out_again(rec, ratings, reading)
    if ratings is not None:
        data = data or Path(ratings).name
        set_apart = set_apart or split_in_words(rec.model.metrics["split"])
    known = Given(title, use, data, licence, set_apart, contact)
    how: dict[str, Any] = {"by": by, "at_least": at_least, "k": k, "n_bootstrap": 1000, "seed": seed}
    made = make(model, held_out, known, date, _typed, **how)
    if json:
        printing.print_json(made.to_dict())
    elif out is None:
        printing.say(made.to_markdown().rstrip("\n"))
    if out is not None:
        made.save(out)
        printing.note(f"the card is written to {out}.")


def _typed(name: str) -> str:
    return "--set-apart" if name == "split" else f"--{name}"


def _ratings(data: str, reading: dict[str, Any], rec: Recommender) -> Ratings:
    from palate.cli.lists import in_kind_of

    return in_kind_of(read_ratings(data, reading, rec.model.kind), rec)


def held_out_again(rec: Recommender, data: str, reading: dict[str, Any]) -> Ratings:
    """Return the ratings that palate fit --test held out of these; raise OptionError if they cannot be found again."""
    from palate.evaluation.matching import codes_in_model, learned_from

    split = rec.model.metrics.get("split")
    if not isinstance(split, Mapping):
        raise OptionError(
            "the model does not note how test ratings were set apart, as palate fit --test does: give them with --test."
        )
    kind = None if "likes" in reading else rec.model.kind
    ratings = read_ratings(data, reading, kind, reads_order=rec.model.factors.reads_order)
    share = split.get("test")
    _, held_out = HoldOut(share, int(split.get("seed", 0)), str(split.get("split"))).parts(ratings)
    known = (ratings.user_vocabulary, ratings.item_vocabulary) == (rec.model.user_vocabulary, rec.model.item_vocabulary)
    if not known or learned_from(rec, *codes_in_model(rec, held_out)).any():
        raise OptionError(
            f"{data} does not hold the ratings that this model was fitted to, or was read in another way: give the "
            "same, with the same options, or other test ratings with --test."
        )
    return held_out
