"""Defaults on data that differ: every recipe for ratings on every set, as one table.

`.venv/bin/python benchmarks/everywhere.py [SET ...]` writes benchmarks/EVERYWHERE.md, or prints the rows of the sets
named. Sets differ in density (2 to 400 ratings a user), scale (1 to 5, 1 to 10, 1 to 100, -10 to 10), and strength of
the signal. Errors are RMSE on an inner split: a tenth of each set is never looked at here, and a tenth of the rest is
held out. So a default may be chosen by this table. Sets whose folder PALATE_DATA lacks are left out, and said to be.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from measuring import machine, rmse

import palate
from palate import Ratings

FOLDER = Path(os.environ.get("PALATE_DATA", "/nonexistent"))
PAGE = Path(__file__).with_name("EVERYWHERE.md")
RECIPES = {"Mean": palate.Mean, "Bias": palate.Bias, "ALS": palate.ALS, "SGD": palate.SGD, "Bayes": palate.Bayes}


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
    "planted, weak signal, 1 to 10": lambda: planted(30, (1, 10), 0.3, 1.5),
    "planted, strong signal, 1 to 100": lambda: planted(30, (1, 100), 1.0, 0.4),
    "planted, 4 a user, 1 to 100": lambda: planted(4, (1, 100), 0.6, 1.0, 20_000),
    "planted, 60 a user, -10 to 10": lambda: planted(60, (-10, 10), 0.5, 1.0),
    "planted, 300 a user, 1 to 5": lambda: planted(300, (1, 5), 0.4, 1.0, 400),
}


def row_of(name: str) -> str:
    """A line of the table: the set, its size, and each recipe's error and seconds."""
    known, _ = palate.split_random(SETS[name](), test=0.1, seed=0)  # the test part is not for choosing
    train, valid = palate.split_random(known, test=0.1, seed=1)
    cells = [name, f"{len(train):,}", f"{train.n_users:,} x {train.n_items:,}"]
    for recipe in RECIPES.values():
        rec = recipe().fit(train, progress=False)
        cells.append(f"{rmse(rec, valid):.4f} in {rec.model.training['seconds']:.1f} s")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the sets named, or all of them and write the page."""
    lines = []
    for name in sys.argv[1:] or SETS:
        try:
            lines.append(row_of(name))
        except (FileNotFoundError, palate.errors.DatasetError) as error:
            lines.append(f"| {name} | left out: {type(error).__name__} |" + " |" * (1 + len(RECIPES)))
        print(lines[-1], flush=True)
    if len(sys.argv) == 1:
        head = f"| set | ratings | users x items | {' | '.join(RECIPES)} |"
        rule = "|---|--:|--:|" + "--:|" * len(RECIPES)
        said = f"`benchmarks/everywhere.py` wrote this on {datetime.date.today()}. {machine()}."
        PAGE.write_text(
            "\n".join(["# Defaults on data that differ\n", said, "", head, rule, *lines, ""]), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
