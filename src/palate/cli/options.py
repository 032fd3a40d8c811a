"""The options of the commands. Each is defined once, under the name it has in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any

from typer import BadParameter, Option

from palate.cli.completing import files_starting, one_of

READING, LEARNING, CHOOSING = "How to read the file", "How to learn", "What to choose from, and how"


CHOICES: dict[str, Sequence[str]] = {  # what shells offer; the library says what is valid
    "kind": ("explicit", "implicit"),
    "unrated": ("drop", "keep"),
    "rows": ("users", "items"),
    "on_bad_rows": ("raise", "report"),
    "duplicates": ("last", "mean", "error", "sum", "keep"),
    "confidence": ("relative", "equal"),
    "by": ("items", "users"),
    "similarity": ("cosine", "bm25", "pearson"),
    "loss": ("bpr", "softmax", "cosine"),
    "likelihood": ("gaussian", "ordinal", "auto"),
    "optimizer": ("sgd", "adagrad"),
    "schedule": ("one-cycle", "constant", "1/t"),
}


def text_option(name: str, panel: str, text: str, *, metavar: str = "COLUMN") -> Any:
    """Return the type of an option with a text."""
    option = Option(
        f"--{name.replace('_', '-')}",
        metavar=metavar,
        help=text,
        show_default=False,
        rich_help_panel=panel,
        autocompletion=one_of(*CHOICES[name]) if name in CHOICES else _any_file(metavar),
    )
    return Annotated[str | None, option]


def _any_file(metavar: str) -> Callable[[str], list[str]] | None:
    return files_starting if metavar == "FILE" else None


def _switch(name: str, text: str) -> Any:
    option = Option(f"--{name}/--no-{name}", help=text, show_default=False, rich_help_panel=LEARNING)
    return Annotated[bool | None, option]


def _number(name: str, kind: type, text: str) -> Any:
    option = Option(f"--{name.replace('_', '-')}", help=text, show_default=False, rich_help_panel=LEARNING)
    return Annotated[kind | None, option]


READ_OPTIONS: dict[str, Any] = {
    "kind": text_option(
        "kind",
        READING,
        "explicit: ratings on a scale; implicit: clicks, plays, purchases, with or without counts.",
        metavar="CHOICE",
    ),
    "likes": Annotated[
        float | None,
        Option(
            "--likes",
            metavar="RATING",
            help="Take ratings of RATING or more as likes (implicit), and leave out the others.",
            show_default=False,
            rich_help_panel=READING,
        ),
    ],
    "user": text_option(
        "user",
        READING,
        "User column: its name, or its position from 0. Without users: a person's name.",
    ),
    "item": text_option("item", READING, "Item column."),
    "rating": text_option("rating", READING, 'Rating column; for implicit ratings the counts. "false": none.'),
    "time": text_option("time", READING, 'Time column. "false": none.'),
    "weight": text_option("weight", READING, 'Weight column. "false": none.'),
    "items": text_option(
        "items", READING, "A file with a row for each item: titles and other attributes.", metavar="FILE"
    ),
    "users": text_option("users", READING, "A file with a row for each user: attributes such as age.", metavar="FILE"),
    "unrated": text_option(
        "unrated", READING, "Users and items in these files without ratings: drop or keep.", metavar="CHOICE"
    ),
    "event": Annotated[
        list[str] | None,
        Option(
            "--event",
            metavar="EVENT=WORTH",
            help="Implicit ratings: what each event is worth, such as view=1 or view=ignore; repeat for several. "
            '"default": the weights in the guide; "false": every row counts 1.',
            show_default=False,
            rich_help_panel=READING,
        ),
    ],
    "where": text_option(
        "where", READING, "Read only the rows that meet this condition on the file's columns.", metavar="SQL"
    ),
    "wide": Annotated[
        bool | None,
        Option(
            "--wide/--no-wide",
            help="The file has a row for each user and a column for each item.",
            show_default=False,
            rich_help_panel=READING,
        ),
    ],
    "blank": text_option(
        "blank",
        READING,
        'With --wide, a number that means no rating, such as 0 or 99. "false": none does.',
        metavar="NUMBER",
    ),
    "rows": text_option(
        "rows",
        READING,
        'With --wide, what the rows are: "users" or "items"; the columns are the others.',
        metavar="CHOICE",
    ),
    "missing": Annotated[
        list[str] | None,
        Option(
            "--missing",
            metavar="VALUE",
            help="A value of the rating that means no rating, such as -1; repeat for several.",
            show_default=False,
            rich_help_panel=READING,
        ),
    ],
    "decimal": text_option("decimal", READING, 'Decimal mark: "." or ","; detected if not given.', metavar="MARK"),
    "time_format": text_option(
        "time_format",
        READING,
        "How times are written: %d/%m/%Y and the like, or s, ms, us, ns or days since 1970; detected if not given.",
        metavar="FORMAT",
    ),
    "separator": text_option(
        "separator", READING, r'Field separator: "," "::" "\t" ...; detected if not given.', metavar="TEXT"
    ),
    "header": Annotated[
        bool | None,
        Option(
            "--header/--no-header",
            help="Whether the first line holds column names; detected if not given.",
            rich_help_panel=READING,
        ),
    ],
    "encoding": text_option(
        "encoding", READING, "Text encoding: utf-8, latin-1 ...; detected if not given.", metavar="NAME"
    ),
    "on_bad_rows": text_option(
        "on_bad_rows", READING, "raise an error, or report: leave bad rows out and count them.", metavar="CHOICE"
    ),
    "duplicates": text_option(
        "duplicates",
        READING,
        "Repeated pairs of user and item: last, mean or error; for choices sum, last, keep (as events) or error.",
        metavar="CHOICE",
    ),
}

FIT_OPTIONS: dict[str, Any] = {
    "n_factors": _number("n_factors", int, "Number of latent factors."),
    "n_sweeps": _number("n_sweeps", int, "Passes over the ratings; if not given, Bayes stops when predictions settle."),
    "n_epochs": _number("n_epochs", int, "Passes over the ratings."),
    "n_samples": _number("n_samples", int, "Posterior draws to keep for intervals."),
    "weight_decay": _number("weight_decay", float, "Strength of the regularization."),
    "count_exponent": _number(
        "count_exponent", float, "Scale weight decay by (number of ratings) ^ exponent, from 0 to 1."
    ),
    "unobserved_weight": _number("unobserved_weight", float, "Weight of the pairs that were not chosen."),
    "dropout": _number("dropout", float, "Probability that a choice is hidden during learning."),
    "user_exponent": _number(
        "user_exponent",
        float,
        "Weight users by (number of choices) ^ -exponent, from 0 to 1.",
    ),
    "item_exponent": _number("item_exponent", float, "Divide item scores by (number of choices) ^ exponent."),
    "confidence": text_option(
        "confidence",
        LEARNING,
        "Weight counts relative to the user's mean count, or equal.",
        metavar="CHOICE",
    ),
    "recency": _number(
        "recency",
        float,
        "A choice with so many later ones counts half.",
    ),
    "half_life": text_option(
        "half_life",
        LEARNING,
        "A choice counts half at this age, such as 30d or 12h.",
        metavar="TIME",
    ),
    "parts": text_option(
        "parts",
        LEARNING,
        'Which recipes it adds up, such as "EASE, ImplicitALS(n_factors=64)".',
        metavar="RECIPES",
    ),
    "by": text_option("by", LEARNING, "Neighbors of items or of users.", metavar="CHOICE"),
    "k": _number("k", int, "Number of neighbors of an item or user."),
    "shrinkage": _number("shrinkage", float, "How strongly to shrink similarities that rest on few ratings."),
    "similarity": text_option(
        "similarity",
        LEARNING,
        "Neighbors: cosine, bm25 or pearson. Sequence: the share of the weights of EASE, such as 0.1.",
        metavar="CHOICE",
    ),
    "keep_seen": Annotated[
        bool | None,
        Option(
            "--keep-seen/--leave-out-seen",
            help="Whether users come back to items, so that lists hold them.",
            show_default=False,
            rich_help_panel=LEARNING,
        ),
    ],
    "n_candidates": _number(
        "n_candidates", int, "Negatives drawn for each choice, of which the one with the highest score is used."
    ),
    "popularity_exponent": _number(
        "popularity_exponent", float, "Draw negatives by (number of choices) ^ exponent; 0: uniformly."
    ),
    "loss": text_option(
        "loss",
        LEARNING,
        "bpr (a choice against one other item), softmax or cosine (against many).",
        metavar="CHOICE",
    ),
    "n_negatives": _number(
        "n_negatives", int, "With --loss softmax or cosine: negatives, shared by the 32 choices of a step."
    ),
    "temperature": _number("temperature", float, "With --loss softmax or cosine: what scores are divided by."),
    "lr": _number("lr", float, "Learning rate."),
    "history": _switch("history", "Learn from which items a user has rated, whatever the rating."),
    "features": _switch("features", "Learn from the attributes in --users and --items."),
    "likelihood": text_option("likelihood", LEARNING, "gaussian, ordinal or auto.", metavar="CHOICE"),
    "with_time": Annotated[
        bool | None,
        Option("--with-time/--without-time", help="Learn from timestamps.", rich_help_panel=LEARNING),
    ],
    "bias": _switch("bias", "With biases or without."),
    "y_range": Annotated[
        tuple[float, float] | None,
        Option("--y-range", metavar="LOW HIGH", help="Range of predictions.", rich_help_panel=LEARNING),
    ],
    "optimizer": text_option("optimizer", LEARNING, "sgd or adagrad.", metavar="CHOICE"),
    "schedule": text_option("schedule", LEARNING, "one-cycle, constant or 1/t.", metavar="CHOICE"),
    "seed": _number("seed", int, "Seed of the model and of the part that --test holds out."),
    "n_threads": _number("n_threads", int, "Number of threads; 0: all cores."),
}


PYTHON_NAMES = {"with_time": "time"}  # --time is taken: it names the time column
TURNED_OFF = {"with_time": "--without-time", "keep_seen": "--leave-out-seen"}  # others by --no- before the name


def for_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return typed options under the names that recipes use, and as numbers those that may be texts too."""
    typed = {name: given[name] for name in ("half_life", "similarity") if name in given}
    numbers = {name: float(text) for name, text in typed.items() if str(text).replace(".", "", 1).isdecimal()}
    return {PYTHON_NAMES.get(name, name): value for name, value in {**given, **numbers}.items()}


def typed(name: str) -> str:
    """Return how an option of a recipe is typed: n_factors -> --n-factors."""
    names = {python: own for own, python in PYTHON_NAMES.items()}
    return f"--{names.get(name, name).replace('_', '-')}"


def as_typed(given: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Return values by name as the words of a command line; options: those of the command."""
    names = {PYTHON_NAMES.get(name, name): name for name in options}
    return [word for name, value in given.items() for word in _words(names[name], value)]


def _words(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else TURNED_OFF.get(name, f"--no-{flag[2:]}")]
    if name == "parts":
        return [flag, ", ".join(part.label().removesuffix("()") for part in value)]
    if isinstance(value, list):  # of an option that is repeated
        return [word for one in value for word in (flag, str(one))]
    values = value if isinstance(value, tuple) else [value]
    return [flag, *map(str, values)]


def everyone_options(choosing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that apply only when recommendations for everyone go to a file or a folder."""
    return {name: value for name, value in choosing.items() if name in ("memory", "resume", "overwrite")}


def check_everyone_options(choosing: Mapping[str, Any], *, into_file: bool, into_folder: bool) -> None:
    """Raise BadParameter for such an option if no file or folder for everyone is written."""
    given = everyone_options(choosing)
    if "overwrite" in given and not into_folder:
        raise BadParameter("--overwrite goes with --everyone and --out FOLDER.")
    if given and not into_file:
        raise BadParameter(f"--{next(iter(given))} goes with --everyone and --out FILE.")


def takes(name: str, options: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command with options; it gets those that were given as one dictionary, the argument `name`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != name]
        added = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for option, annotation in options.items()
        ]

        @wraps(command)
        def whole(**given: Any) -> None:
            present = {option: value for option in options if (value := given.pop(option)) is not None}
            command(**given, **{name: present})

        whole.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        whole.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
        return whole

    return decorate
