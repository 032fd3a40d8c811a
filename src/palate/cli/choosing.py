"""The options that say what lists are made of, and in which order: of palate recommend, similar and evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from palate.cli.options import CHOOSING, text_option


def _repeated(name: str, panel: str, text: str, *, metavar: str) -> Any:
    option = Option(
        f"--{name.replace('_', '-')}", metavar=metavar, help=text, show_default=False, rich_help_panel=panel
    )
    return Annotated[list[str] | None, option]


def _strength(name: str, minimum: float, text: str) -> Any:
    option = Option(f"--{name}", min=minimum, max=1, help=text, show_default=False, rich_help_panel=CHOOSING)
    return Annotated[float | None, option]


DIAL_OPTIONS: dict[str, Any] = {
    "max_per": _repeated(
        "max_per", CHOOSING, "At most K items of each value of a column: genres=2.", metavar="COLUMN=K"
    ),
    "diversity": _strength("diversity", 0, "How little the items of a list should be alike."),
    "diversity_by": text_option("diversity_by", CHOOSING, "Alike are items with the same values of this column."),
    "popularity": _strength("popularity", -1, "Towards popular items, or below 0 away from them."),
    "calibrated": _repeated(
        "calibrated",
        CHOOSING,
        "A column whose mix in the list follows the user's history, and how much: genres=0.3.",
        metavar="COLUMN[=S]",
    ),
    "boost": _repeated(
        "boost",
        CHOOSING,
        'A column or expression whose high values are lifted, and how much: "margin=0.2", "(year >= 2020)=0.1".',
        metavar="EXPRESSION[=S]",
    ),
}


CHOOSE_OPTIONS: dict[str, Any] = {
    "where": text_option(
        "where", CHOOSING, 'Only items whose columns meet this SQL condition: "year >= 1990".', metavar="CONDITION"
    ),
    **DIAL_OPTIONS,
    "recent": text_option(
        "recent",
        CHOOSING,
        "Weigh what was chosen: 5 counts a choice half 5 choices later, 30d one that is 30 days older than the last.",
        metavar="N|TIME",
    ),
    "items_file": text_option(
        "items_file",
        CHOOSING,
        "Only the items in this file; with a user column, only those of each user.",
        metavar="FILE",
    ),
    "exclude_file": text_option(
        "exclude_file",
        CHOOSING,
        "None of the items in this file; with a user column, none of those of each user.",
        metavar="FILE",
    ),
    "index": text_option(
        "index", CHOOSING, "ann: approximate search, for catalogues of more than a million items.", metavar="ann"
    ),
    "memory": text_option(
        "memory", CHOOSING, "With --everyone and --out: memory to use; 256MB if not given.", metavar="SIZE"
    ),
    "resume": Annotated[
        bool | None,
        Option(
            "--resume",
            help="With --everyone and --out: continue the same file after an interruption.",
            rich_help_panel=CHOOSING,
        ),
    ],
    "overwrite": Annotated[
        bool | None,
        Option(
            "--overwrite",
            help="With --everyone and --out FOLDER: replace lists of another model or other options.",
            rich_help_panel=CHOOSING,
        ),
    ],
}


SIMILAR_OPTIONS: dict[str, Any] = {
    "where": text_option(
        "where",
        CHOOSING,
        'Only items (with --users: users) whose columns meet this SQL condition: "year >= 1990".',
        metavar="CONDITION",
    ),
    "among": Annotated[
        list[str] | None,
        Option(
            "--among",
            "--items",
            metavar="NAME",
            help="Restrict to this item (with --users: user); repeat for several.",
            rich_help_panel=CHOOSING,
        ),
    ],
    "exclude": Annotated[
        list[str] | None,
        Option(
            "--exclude",
            metavar="NAME",
            help="Leave out this item (with --users: user); repeat for several.",
            rich_help_panel=CHOOSING,
        ),
    ],
    "among_file": Annotated[
        Path | None,
        Option(
            "--among-file", "--items-file", metavar="FILE", help="Only those in this file.", rich_help_panel=CHOOSING
        ),
    ],
    "exclude_file": text_option("exclude_file", CHOOSING, "None of those in this file.", metavar="FILE"),
}
