"""The options of the commands, each written once, under the names they have in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Option

READING, LEARNING, CHOOSING = "How to read the file", "How to learn", "Among what, and how"

DATA_HELP = "A file of ratings, or the name of a data set such as ml-100k."
ModelFile = Annotated[Path, Argument(metavar="MODEL", help="A saved model.", show_default=False)]
ModelOut = Annotated[Path, Option("--out", "-o", metavar="MODEL", help="The model file to write.")]
Json = Annotated[bool, Option("--json", help="Print JSON instead of a table.")]
Out = Annotated[
    Path | None, Option("--out", "-o", metavar="FILE", help="Write to a .csv, .parquet or .jsonl file instead.")
]
Report = Annotated[
    Path | None, Option("--out", "-o", metavar="FILE", help="Also write .html, .png, .svg, .json or .csv.")
]
N = Annotated[int, Option("--n", "-n", max=2**31 - 1, help="How many.")]
Items = Annotated[
    list[str] | None, Option("--items", metavar="ITEM", help="Only among these: ids or titles; repeat it for several.")
]
Exclude = Annotated[
    list[str] | None, Option("--exclude", metavar="ITEM", help="None of these: ids or titles; repeat it for several.")
]
KeepSeen = Annotated[bool, Option("--keep-seen", help="Also what was rated already.")]
USUAL = "Bayes; ImplicitALS of likes"  # recipes, as help says it
By = Annotated[
    str,
    Option(
        "--by",
        help="mean; lower: cautious; thompson: exploring; chance: of --at-least or more; likely: of choosing it too.",
    ),
]
AtLeast = Annotated[
    float | None, Option("--at-least", metavar="RATING", help="With --by chance or likely: the rating to reach.")
]
When = Annotated[
    str | None,
    Option("--when", metavar="MOMENT", help="2026-01-31, 2026-01-31T20:15 or seconds since 1970; by itself now."),
]
Distribution = Annotated[
    bool, Option("--distribution", help="Also the chance of each rating, where they were learned as ordered steps.")
]
Level = Annotated[float, Option("--level", help="Probability that an interval holds the real rating.")]
OnUnknown = Annotated[str, Option("--on-unknown", help="Unknown users and items: fallback, nan or raise.")]
Seed = Annotated[int, Option("--seed", min=0, help="Same seed, same answer.")]


def _text(name: str, panel: str, text: str, *, metavar: str = "COLUMN") -> Any:
    option = Option(
        f"--{name.replace('_', '-')}", metavar=metavar, help=text, show_default=False, rich_help_panel=panel
    )
    return Annotated[str | None, option]


def _switch(name: str, text: str) -> Any:
    option = Option(f"--{name}/--no-{name}", help=text, show_default=False, rich_help_panel=LEARNING)
    return Annotated[bool | None, option]


def _number(name: str, kind: type, text: str) -> Any:
    option = Option(f"--{name.replace('_', '-')}", help=text, show_default=False, rich_help_panel=LEARNING)
    return Annotated[kind | None, option]


READ_OPTIONS: dict[str, Any] = {
    "kind": _text(
        "kind", READING, "explicit: ratings; implicit: who chose what, and perhaps how often.", metavar="CHOICE"
    ),
    "likes": Annotated[
        float | None,
        Option(
            "--likes",
            metavar="RATING",
            help="Ratings of so much or more are likes, and that is all that is learned from.",
            show_default=False,
            rich_help_panel=READING,
        ),
    ],
    "user": _text("user", READING, "The user column: its name, or its position from 0."),
    "item": _text("item", READING, "The item column."),
    "rating": _text("rating", READING, "The rating column; of implicit ratings the counts, or false."),
    "time": _text("time", READING, 'The time column; "false" leaves it out.'),
    "weight": _text("weight", READING, 'The weight column; "false" leaves it out.'),
    "items": _text("items", READING, "A second file with titles and the like of each item.", metavar="FILE"),
    "users": _text("users", READING, "A second file with what is known of each user.", metavar="FILE"),
    "unrated": _text(
        "unrated", READING, "Of those in these files that have no ratings: drop or keep.", metavar="CHOICE"
    ),
    "separator": _text(
        "separator", READING, r'Between fields: "," "::" "\t" ...; found out by itself.', metavar="TEXT"
    ),
    "header": Annotated[
        bool | None, Option("--header/--no-header", help="Whether the first line has names.", rich_help_panel=READING)
    ],
    "encoding": _text("encoding", READING, "Of the text: utf-8, latin-1 ...; found out by itself.", metavar="NAME"),
    "on_bad_rows": _text("on_bad_rows", READING, "raise, or report: leave them out and count them.", metavar="CHOICE"),
    "duplicates": _text(
        "duplicates",
        READING,
        "Of one user and item: last, mean or error; of counts sum, last or error.",
        metavar="CHOICE",
    ),
}

FIT_OPTIONS: dict[str, Any] = {
    "n_factors": _number("n_factors", int, "Latent factors."),
    "n_sweeps": _number("n_sweeps", int, "Passes over the data; Bayes stops by itself."),
    "n_epochs": _number("n_epochs", int, "Passes of SGD and BPR over the data."),
    "n_samples": _number("n_samples", int, "Draws that Bayes keeps for intervals."),
    "weight_decay": _number("weight_decay", float, "Of all but Bayes: how strongly all is pulled to the mean."),
    "count_exponent": _number("count_exponent", float, "Of ALS, ImplicitALS: 0 plain weight decay .. 1 by counts."),
    "unobserved_weight": _number(
        "unobserved_weight", float, "Of ImplicitALS: how much it counts that all else was not chosen."
    ),
    "dropout": _number("dropout", float, "Of EASE: the chance that a choice is hidden from learning."),
    "user_exponent": _number("user_exponent", float, "Of EASE: users of many choices weigh 0 as all .. 1 like one."),
    "item_exponent": _number("item_exponent", float, "Of EASE: how much popular items are held back, 0 not at all."),
    "confidence": _text(
        "confidence", LEARNING, "What counts are worth: relative to the own usual count, or equal.", metavar="CHOICE"
    ),
    "by": _text("by", LEARNING, "Of Neighbors: whose, items or users.", metavar="CHOICE"),
    "k": _number("k", int, "Of Neighbors: how many."),
    "shrinkage": _number("shrinkage", float, "Of Neighbors: how strongly few common ratings are doubted."),
    "similarity": _text("similarity", LEARNING, "Of Neighbors: cosine, bm25 or pearson.", metavar="CHOICE"),
    "n_candidates": _number("n_candidates", int, "Of BPR: items drawn, of which the best counts as not chosen."),
    "popularity_exponent": _number("popularity_exponent", float, "Of BPR: 0 draws them evenly .. 1 by popularity."),
    "lr": _number("lr", float, "Learning rate of SGD and BPR."),
    "history": _switch("history", "Of Bayes: learn from which items a user has rated at all."),
    "features": _switch("features", "Of Bayes: learn from the tables of --users and --items."),
    "likelihood": _text("likelihood", LEARNING, "Of Bayes: gaussian, ordinal or auto.", metavar="CHOICE"),
    "with_time": Annotated[
        bool | None,
        Option("--with-time/--without-time", help="Of Bayes: learn from moments.", rich_help_panel=LEARNING),
    ],
    "bias": _switch("bias", "Of SGD: with biases or without."),
    "y_range": Annotated[
        tuple[float, float] | None,
        Option("--y-range", metavar="LOW HIGH", help="Of SGD: keep predictions between.", rich_help_panel=LEARNING),
    ],
    "optimizer": _text("optimizer", LEARNING, "Of SGD: sgd or adagrad.", metavar="CHOICE"),
    "schedule": _text("schedule", LEARNING, "Of SGD: one-cycle, constant or 1/t.", metavar="CHOICE"),
    "seed": _number("seed", int, "Same seed, same model; also draws what --test holds out."),
    "n_threads": _number("n_threads", int, "0: all cores."),
}


CHOOSE_OPTIONS: dict[str, Any] = {
    "where": _text(
        "where", CHOOSING, 'Only items whose columns meet this, in SQL: "year >= 1990".', metavar="CONDITION"
    ),
    "max_per": Annotated[
        list[str] | None,
        Option("--max-per", metavar="COLUMN=K", help="At most K of each, as in genres=2.", rich_help_panel=CHOOSING),
    ],
    "items_file": _text(
        "items_file", CHOOSING, "Only what this file names: items, or users and items.", metavar="FILE"
    ),
    "exclude_file": _text("exclude_file", CHOOSING, "Nothing of what this file names.", metavar="FILE"),
    "index": _text(
        "index", CHOOSING, "ann: approximately, for catalogues of more than a million items.", metavar="ann"
    ),
    "memory": _text("memory", CHOOSING, "For --everyone into a file: 256MB, unless told otherwise.", metavar="SIZE"),
    "resume": Annotated[
        bool | None,
        Option("--resume", help="After a kill, go on with the same file.", rich_help_panel=CHOOSING),
    ],
}


ALIKE_OPTIONS: dict[str, Any] = {
    "where": _text(
        "where",
        CHOOSING,
        'Only items (with --users, users) whose columns meet this: "year >= 1990".',
        metavar="CONDITION",
    ),
    "among": Annotated[
        list[str] | None,
        Option(
            "--among",
            "--items",
            metavar="NAME",
            help="Only among these items, or with --users users; repeat it for several.",
            rich_help_panel=CHOOSING,
        ),
    ],
    "exclude": Annotated[
        list[str] | None,
        Option("--exclude", metavar="NAME", help="None of these; repeat it for several.", rich_help_panel=CHOOSING),
    ],
    "among_file": Annotated[
        Path | None,
        Option("--among-file", "--items-file", metavar="FILE", help="Only these.", rich_help_panel=CHOOSING),
    ],
    "exclude_file": _text("exclude_file", CHOOSING, "None of these.", metavar="FILE"),
}

IN_PYTHON = {"with_time": "time"}  # --time names the column that `palate.read` takes as time=


def for_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as typed -> as recipes take them."""
    return {IN_PYTHON.get(name, name): value for name, value in given.items()}


def typed(name: str) -> str:
    """How an option of a recipe is typed: n_factors -> --n-factors."""
    names = {python: here for here, python in IN_PYTHON.items()}
    return f"--{names.get(name, name).replace('_', '-')}"


def as_typed(given: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Values by name -> the words of a command line; options: where the names are known."""
    names = {IN_PYTHON.get(name, name): name for name in options}
    return [word for name, value in given.items() for word in _words(names[name], value)]


def _words(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else [f"--{'without-time' if name == 'with_time' else 'no-' + flag[2:]}"]
    values = value if isinstance(value, list | tuple) else [value]
    return [flag, *map(str, values)]


def running(choosing: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options to choose with, those that say how a file for everyone is made."""
    return {name: value for name, value in choosing.items() if name in ("memory", "resume")}


def check_running(choosing: Mapping[str, Any], *, into_file: bool) -> None:
    """BadParameter for such an option where no file for everyone is made."""
    given = running(choosing)
    if given and not into_file:
        raise BadParameter(f"--{next(iter(given))} goes with --everyone and --out FILE.")


def takes(name: str, options: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these options; those that were given reach it as one dictionary, the argument called `name`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != name]
        added = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for option, annotation in options.items()
        ]

        @wraps(command)
        def whole(**given: Any) -> None:
            chosen = {option: value for option in options if (value := given.pop(option)) is not None}
            command(**given, **{name: chosen})

        whole.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        whole.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
        return whole

    return decorate


def for_read(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as typed -> as palate.read takes them: positions as numbers, `false` as False, a typed tab as one."""
    options = dict(given)
    for name in ("user", "item", "rating", "time", "weight"):
        text = options.get(name)
        if text is not None and text.isdecimal():
            options[name] = int(text)
        if text in ("false", "False") and name in ("rating", "time", "weight"):
            options[name] = False
    if "separator" in options:
        options["separator"] = options["separator"].replace("\\t", "\t")
    return options
