"""The arguments and options that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from palate.cli.completing import data_starting, files_starting, one_of

DATA_HELP = "A file of ratings, a folder that palate blocks has written, or the name of a data set such as ml-100k."
ModelFile = Annotated[
    Path, Argument(metavar="MODEL", help="A saved model.", show_default=False, autocompletion=files_starting)
]
Data = Annotated[str, Argument(metavar="RATINGS", help=DATA_HELP, show_default=False, autocompletion=data_starting)]
FailIf = Annotated[
    list[str] | None,
    Option(
        "--fail-if",
        metavar='"MEASURE OP NUMBER"',
        help='Exit with code 3 if this holds of what is measured: "rmse > 0.9", "ndcg@10.high < 0.3"; repeat for '
        "several.",
        show_default=False,
        rich_help_panel="For jobs",
    ),
]
ModelOut = Annotated[Path, Option("--out", "-o", metavar="MODEL", help="The model file to write.")]
Json = Annotated[bool, Option("--json", help="Print JSON instead of a table.")]
Out = Annotated[
    Path | None, Option("--out", "-o", metavar="FILE", help="Write to a .csv, .parquet or .jsonl file instead.")
]
Report = Annotated[
    Path | None, Option("--out", "-o", metavar="FILE", help="Also write to a .html, .png, .svg, .json or .csv file.")
]
N = Annotated[int, Option("--n", "-n", max=2**31 - 1, help="How many to list.")]
Items = Annotated[
    list[str] | None, Option("--items", metavar="ITEM", help="Restrict to this item: id or title; repeat for several.")
]
Exclude = Annotated[
    list[str] | None, Option("--exclude", metavar="ITEM", help="Leave out this item: id or title; repeat for several.")
]
KeepSeen = Annotated[
    bool | None,
    Option(
        "--keep-seen/--leave-out-seen",
        help="Include items that the user has rated or chosen already, or not; by default only if a model of Sequence "
        "found that users come back to items.",
        show_default=False,
    ),
]
On = Annotated[
    str | None,
    Option(
        "--on",
        help="Spread the training over a Ray cluster: its address, such as ray://host:10001, or ray for that of this "
        "machine. RATINGS are then a folder of blocks.",
        metavar="CLUSTER",
    ),
]
OnLists = Annotated[
    str | None,
    Option(
        "--on",
        help="Spread the lists of --everyone over a Ray cluster, whose address this is, as in palate fit. The folder "
        "--out must lie where all of it sees it.",
        metavar="CLUSTER",
    ),
]
OnTest = Annotated[
    str | None,
    Option("--on", help="Measure on a Ray cluster, whose address this is, as in palate fit.", metavar="CLUSTER"),
]
DEFAULT_RECIPES = "Bayes; for implicit ratings ImplicitALS"  # as the help of --recipe shows them
By = Annotated[
    str,
    Option(
        "--by",
        help="Rank by mean: the expected rating; lower: the lower end of its --level interval; thompson: one posterior "
        "draw; chance: the probability of --at-least or more; likely: that of choosing and liking the item.",
        autocompletion=one_of("mean", "lower", "thompson", "chance", "likely"),
    ),
]
AtLeast = Annotated[
    float | None, Option("--at-least", metavar="RATING", help="The rating to reach, with --by chance or likely.")
]
When = Annotated[
    str | None,
    Option("--when", metavar="TIME", help="2026-01-31, 2026-01-31T20:15 or seconds since 1970."),
]
Distribution = Annotated[
    bool, Option("--distribution", help="Also the probability of each rating, for Bayes models of steps.")
]
Level = Annotated[float, Option("--level", help="Probability that an interval holds the true rating.")]
NextItem = Annotated[
    bool, Option("--next-item", help="Measure what users choose next: each test event's item, ranked just before it.")
]
Split = Annotated[
    str | None,
    Option(
        "--split",
        metavar="CHOICE",
        help="What to hold out: random, the --test share; time, the latest --test share; last, each user's last event.",
        show_default="random; last with --next-item",
        autocompletion=one_of("random", "time", "last"),
    ),
]
Propensity = Annotated[
    str | None,
    Option(
        "--propensity",
        metavar="COLUMN",
        help="Also estimate errors on pairs drawn at random: a column of TEST with the probability that the user chose "
        "the item, or popularity: by the item's number of training ratings.",
        show_default=False,
    ),
]
RatingsOf = Annotated[
    Path | None,
    Option(
        "--ratings-of",
        metavar="FILE",
        help="For the person whose ratings or choices are in this file, in place of a user of the model.",
    ),
]
OnUnknown = Annotated[
    str,
    Option(
        "--on-unknown",
        help="Unknown users and items: fallback (cold start), nan or raise.",
        autocompletion=one_of("fallback", "nan", "raise"),
    ),
]
Checkpoint = Annotated[
    Path | None,
    Option(
        "--checkpoint",
        metavar="FOLDER",
        help="Keep the state of the training in this folder from time to time: ALS, Bayes, Bias, ImplicitALS.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    Option("--resume", help="Go on from the --checkpoint, to the same model; begin anew if there is none."),
]
Seed = Annotated[int, Option("--seed", min=0, help="Seed of random numbers, such as those of --by thompson.")]
