"""The examples in the help of each command. A test runs every one of them, on files that are really there."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "fit": (
        "palate fit ratings.csv -o model.palate --test 0.1",
        "palate fit ratings.csv --items movies.csv -o films.palate",
        "palate fit plays.csv --kind implicit --recipe EASE -o plays.palate",
        "palate fit ratings.csv --recipe ALS --n-factors 16 -o als.palate",
        'palate fit ratings.csv -o model.palate --test 0.1 --fail-if "rmse > 2"',
        "palate fit --config nightly.toml",
    ),
    "update": (
        "palate update model.palate new.csv -o model.palate",
        "palate update model.palate new.csv -o updated.palate --json",
    ),
    "forget": (
        "palate forget model.palate --user 196 -o model.palate",
        'palate forget films.palate --item "Film B" -o films.palate',
    ),
    "evaluate": (
        "palate evaluate model.palate new.csv",
        "palate evaluate model.palate new.csv --likes 4 --by likely",
        'palate evaluate model.palate new.csv --fail-if "rmse > 2" --json',
    ),
    "compare": (
        "palate compare ratings.csv --recipes Bias,ALS",
        "palate compare ratings.csv --likes 4 --recipes EASE,Popularity -o likes.html",
    ),
    "tune": (
        "palate tune ratings.csv --recipe ALS --trials 3",
        "palate tune plays.csv --kind implicit --recipe EASE --trials 2",
    ),
    "predict": (
        'palate predict films.palate 196 "Film A"',
        "palate predict model.palate --pairs pairs.csv -o predictions.csv",
    ),
    "recommend": (
        "palate recommend model.palate 196 -n 5",
        'palate recommend films.palate --like "Film A=5" --like "Film B=1"',
        'palate recommend films.palate 196 --where "year >= 1990" --diversity 0.3',
        "palate recommend model.palate --everyone --out lists.parquet",
    ),
    "similar": (
        'palate similar films.palate "Film A" -n 5',
        "palate similar model.palate 196 --users",
    ),
    "explain": ('palate explain films.palate 196 "Film A"',),
    "show": ("palate show model.palate", "palate show model.palate --json"),
    "check": (
        "palate check ratings.csv",
        "palate check plays.csv --kind implicit --strict",
        'palate check ratings.csv --fail-if "warnings > 5"',
    ),
    "drift": (
        "palate drift model.palate new.csv",
        'palate drift model.palate new.csv --fail-if "drifted > 3"',
    ),
    "blocks": (
        'palate blocks "events-*.csv" -o big.blocks',
        "palate blocks plays.csv more-plays.csv --kind implicit -o plays.blocks",
    ),
    "card": (
        "palate card model.palate --out card.md",
        "palate card model.palate --test new.csv --out card.html",
    ),
    "export": (
        "palate export als.palate --to parquet --out vectors.parquet",
        "palate export als.palate --to npy --side users --out users.npy",
    ),
    "datasets": ("palate datasets", "palate datasets --json"),
    "demo": ("palate demo", "palate demo --data ratings.csv --out demo.palate"),
    "serve": (
        "palate serve model.palate",
        "palate serve model.palate --port 8080 --store feedback.db --log json",
        'palate serve model.palate --refit "every 6 hours"',
    ),
    "keys add": ("palate keys add shop --scope read --scope feedback",),
    "keys list": ("palate keys list --store palate-feedback.db",),
    "keys remove": ("palate keys remove shop",),
    "completion": (
        "palate completion bash",
        "palate completion zsh",
    ),
}


def epilog_of(command: str) -> str | None:
    """The examples of a command below its help; None if there are none."""
    examples = EXAMPLES.get(command)
    if not examples:
        return None
    heading = "Example:" if len(examples) == 1 else "Examples:"
    return "\n\n".join([heading, *(f"  {one}".replace("[", r"\[") for one in examples)])
