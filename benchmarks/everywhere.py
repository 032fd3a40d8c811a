"""Defaults on data that differ: every recipe for ratings on every set, as one table and one picture.

`.venv/bin/python benchmarks/everywhere.py [SET ...]` measures the sets named, or all, writes what it measured to
benchmarks/everywhere.csv, and makes EVERYWHERE.md and everywhere.svg of that file. Sets differ in density (2 to 400
ratings a user), scale (1 to 5, 1 to 10, 1 to 100, -10 to 10), and strength of the signal. Errors are RMSE on an inner
split: a tenth of each set is never looked at here, and a tenth of the rest is held out. So a default may be chosen by
this table. Sets whose folder PALATE_DATA lacks are left out, and said to be.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import picture
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from measuring import machine, rmse

import palate
from palate import Ratings

FOLDER = Path(os.environ.get("PALATE_DATA", "/nonexistent"))
MEASURED, PAGE, PICTURE = (
    Path(__file__).with_name(name) for name in ("everywhere.csv", "EVERYWHERE.md", "everywhere.svg")
)
DEFAULTS = {
    "Mean": palate.Mean(),
    "Bias": palate.Bias(),
    "ALS": palate.ALS(),
    "SGD": palate.SGD(),
    "Bayes": palate.Bayes(),
}
OPTIONS = {
    "7 factors": palate.Bayes(n_factors=7),
    "31 factors": palate.Bayes(n_factors=31),
    "no history": palate.Bayes(history=False),
    "120 sweeps": palate.Bayes(n_sweeps=120),
    "400 sweeps": palate.Bayes(n_sweeps=400),
}
MARKERS = {"Bias": "|", "ALS": "s", "SGD": "^", "Bayes": "o"}
COLORS = {"Bias": picture.GRAY, **picture.COLORS}

Rows = list[dict[str, str]]


def movielens(name: str) -> Ratings:
    """A MovieLens set."""
    return palate.datasets.load(name)


def from_folder(name: str, least: float = -np.inf) -> Ratings:
    """The ratings of a folder from `least` up; the first three columns are user, item and rating."""
    frame = pl.read_parquet(FOLDER / name / "ratings.parquet")
    user, item, rating = frame.columns[:3]
    frame = frame.filter(pl.col(rating) >= least)
    columns = {"user": pl.col(user).cast(pl.String), "item": pl.col(item).cast(pl.String), "rating": pl.col(rating)}
    return palate.read(frame.select(**columns))


def thinned(ratings: Ratings, share: float) -> Ratings:
    """A random share of the ratings, with the users and items that are left."""
    kept = np.random.default_rng(5).random(len(ratings)) < share
    return palate.read(ratings[kept].to_frame().select("user", "item", "rating"))


def dense(ratings: Ratings, least: int) -> Ratings:
    """The ratings of users and items that have at least so many each."""
    frame = ratings.to_frame().select("user", "item", "rating")
    for _ in range(5):
        frame = frame.filter((pl.len().over("user") >= least) & (pl.len().over("item") >= least))
    return palate.read(frame)


def planted(per_user: int, scale: tuple[int, int], signal: float, noise: float, n_users: int = 3000) -> Ratings:
    """Ratings of skewed items whose factors explain `signal` standard deviations, beside biases and noise."""
    rng = np.random.default_rng(0)
    n_items, k = 1500, 6
    p, q = rng.normal(size=(n_users, k)), rng.normal(size=(n_items, k))
    popularity = rng.zipf(1.6, n_items).clip(max=300).astype(float)
    counts = np.clip(rng.geometric(1 / per_user, n_users), 2, n_items // 3)
    users = np.repeat(np.arange(n_users), counts)
    weights = popularity / popularity.sum()
    items = np.concatenate([rng.choice(n_items, count, replace=False, p=weights) for count in counts])
    scores = 0.4 * rng.normal(size=n_users)[users] + 0.5 * rng.normal(size=n_items)[items]
    scores += signal * (p[users] * q[items]).sum(axis=1) / np.sqrt(k) + noise * rng.normal(size=len(users))
    low, high = scale
    values = np.clip(np.round((low + high) / 2 + (high - low) / 5 * scores), low, high)
    labels = {"user": [f"u{code}" for code in users], "item": [f"i{code}" for code in items], "rating": values}
    return palate.read(pl.DataFrame(labels))


SETS: dict[str, Callable[[], Ratings]] = {
    "ml-100k": lambda: movielens("ml-100k"),
    "ml-100k, a tenth": lambda: thinned(movielens("ml-100k"), 0.1),
    "ml-latest-small": lambda: movielens("ml-latest-small"),
    "ml-1m": lambda: movielens("ml-1m"),
    "ml-1m, a fifth": lambda: thinned(movielens("ml-1m"), 0.2),
    "ml-1m, 3%": lambda: thinned(movielens("ml-1m"), 0.03),
    "yelp-hin": lambda: from_folder("yelp-hin"),
    "book-crossing, 1 to 10, dense": lambda: dense(from_folder("book-crossing", 1), 5),
    "book-crossing, zeros too, dense": lambda: dense(from_folder("book-crossing"), 10),
    "book-crossing, 1 to 10": lambda: from_folder("book-crossing", 1),
    "book-crossing, zeros too": lambda: from_folder("book-crossing"),
    "planted, weak signal, 1 to 10": lambda: planted(30, (1, 10), 0.3, 1.5),
    "planted, strong signal, 1 to 100": lambda: planted(30, (1, 100), 1.0, 0.4),
    "planted, 4 a user, 1 to 100": lambda: planted(4, (1, 100), 0.6, 1.0, 20_000),
    "planted, 60 a user, -10 to 10": lambda: planted(60, (-10, 10), 0.5, 1.0),
    "planted, 300 a user, 1 to 5": lambda: planted(300, (1, 5), 0.4, 1.0, 400),
}


def measured(name: str) -> Rows:
    """Every recipe on one set: a row each."""
    known, _ = palate.split_random(SETS[name](), test=0.1, seed=0)  # the test part is not for choosing
    train, valid = palate.split_random(known, test=0.1, seed=1)
    size = {"ratings": f"{len(train):,}", "users x items": f"{train.n_users:,} x {train.n_items:,}"}
    rows = []
    for label, recipe in (DEFAULTS | OPTIONS).items():
        rec = recipe.fit(train, progress=False)
        seconds = f"{rec.model.training['seconds']:.1f}"
        rows.append({"set": name, **size, "recipe": label, "rmse": f"{rmse(rec, valid):.4f}", "seconds": seconds})
        print(*rows[-1].values(), sep="\t", flush=True)
    return rows


def page_of(rows: Rows) -> str:
    """The page: a table of defaults, then a table of Bayes with other options."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    cells = {(row["set"], row["recipe"]): row for row in rows}
    tried = [label for label in OPTIONS if all((name, label) in cells for name in sets)]

    def table(columns: list[str], text: Callable[[dict[str, str]], str]) -> list[str]:
        head = ["set", "ratings", "users x items", *columns]
        lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
        for name in sets:
            size = [cells[name, "Bayes"][column] for column in ("ratings", "users x items")]
            lines.append("| " + " | ".join([name, *size, *(text(cells[name, column]) for column in columns)]) + " |")
        return lines

    return "\n".join(
        [
            "# Defaults on data that differ\n",
            f"Made by `benchmarks/everywhere.py`: RMSE on inner validation parts, and seconds to fit. {machine()}.\n",
            "![RMSE of each recipe beside that of Bias, on every set](everywhere.svg)\n",
            "## Every recipe with its defaults\n",
            *table(list(DEFAULTS), lambda row: f"{row['rmse']} in {row['seconds']} s"),
            *(["\n## Bayes with other options\n", *table(["Bayes", *tried], lambda row: row["rmse"])] if tried else []),
            "",
        ]
    )


def picture_of(rows: Rows) -> Figure:
    """A line for each set: how far below the RMSE of Bias each recipe with its defaults ends, in percent."""
    sets = list(dict.fromkeys(row["set"] for row in rows))[::-1]
    errors = {(row["set"], row["recipe"]): float(row["rmse"]) for row in rows}
    figure = Figure(figsize=(9, 0.36 * len(sets) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for recipe, marker in MARKERS.items():
        gains = [100 * (errors[name, recipe] / errors[name, "Bias"] - 1) for name in sets]
        size = 9 if recipe == "Bayes" else 6
        panel.plot(gains, sets, marker, color=COLORS[recipe], label=recipe, markersize=size, alpha=0.9)
    panel.set_xscale("symlog", linthresh=5)
    panel.set_xticks([-40, -20, -10, -5, -2, 0, 2, 5], ["-40%", "-20%", "-10%", "-5%", "-2%", "0", "+2%", "+5%"])
    panel.set_xlabel("RMSE beside that of Bias (left is better)")
    panel.grid(alpha=0.25)
    panel.legend(loc="lower left", ncols=len(MARKERS), bbox_to_anchor=(0, 1), frameon=False)
    return figure


def read_measured() -> Rows:
    """What was measured before."""
    if not MEASURED.exists():
        return []
    with MEASURED.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def main() -> None:
    """Measure the sets named, or all; then write the file of figures, the page and the picture."""
    rows = {name: [row for row in read_measured() if row["set"] == name] for name in SETS}
    for name in sys.argv[1:] or SETS:
        try:
            rows[name] = measured(name)
        except (FileNotFoundError, palate.errors.DatasetError) as error:
            print(f"{name}: left out, {error}", flush=True)
    kept = [row for name in SETS for row in rows[name]]
    with MEASURED.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(kept[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    PAGE.write_text(page_of(kept), encoding="utf-8")
    with mpl.rc_context(picture.STYLE):
        picture_of(kept).savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
