"""What a split may claim: the same recipes on the same dated events, split at random, by last events and by time.

Each user's last event is dropped first, so that no test part of other tables is looked at. Every split is then measured
by the one next item, among all items: NDCG@10, and the number of test events. PALATE_DATA names the folder of the data
sets. `python benchmarks/splits_and_time.py` prints the table of docs/time.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

import palate

DATA = Path(os.environ.get("PALATE_DATA", "../shared/data"))
SETS = {
    "ml-100k": DATA / "ml-100k" / "ratings.csv",
    "ml-latest-small": DATA / "ml-latest-small" / "ratings.csv",
    "ml-1m, timed": DATA / "ml-1m" / "timed.parquet",
}
Split = tuple[palate.Ratings, palate.Ratings]


def one_at_random(ratings: palate.Ratings) -> Split:
    """One event of each user with two or more, drawn at random."""
    keys = np.random.default_rng(0).random(len(ratings))
    order = np.lexsort((keys, ratings.user_codes))
    counts = np.bincount(ratings.user_codes, minlength=ratings.n_users)
    return palate.split_rows(ratings, np.sort(order[(np.cumsum(counts) - 1)[counts > 1]]))


def the_same_without_its_future(ratings: palate.Ratings) -> Split:
    """The same test events; what the users did later is in neither part."""
    train, test = one_at_random(ratings)
    assert train.times is not None and test.times is not None
    when = np.full(ratings.n_users, np.iinfo(np.int64).max)
    when[test.user_codes] = test.times
    return train[train.times <= when[train.user_codes]], test


SPLITS: dict[str, Callable[[palate.Ratings], Split]] = {
    "one of each user, at random": one_at_random,
    "the same, what the user did later left out": the_same_without_its_future,
    "the last of each user": palate.split_last,
    "the latest tenth of all": lambda ratings: palate.split_time(ratings, test=0.1),
}


def events_of(path: Path) -> palate.Ratings:
    """All ratings of a data set as events, without the last one of each user."""
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    names = {name: name for name in frame.columns}
    user, item = (next(name for name in names if name.lower().startswith(side)) for side in ("user", ("item", "movie")))
    time = next(name for name in names if "time" in name)
    columns = frame.select(user=pl.col(user), item=pl.col(item), time=pl.col(time))
    return palate.split_last(palate.read(columns, kind="implicit"))[0]


def main() -> None:
    """Print a row for each data set and split, a column for each recipe."""
    recipes = {"Popularity": palate.Popularity, "EASE": palate.EASE, "Sequence": palate.Sequence}
    print(" | ".join(["", "data", "test part", "test events", *recipes, ""]))
    for name, path in SETS.items():
        events = events_of(path)
        for how, split in SPLITS.items():
            train, test = split(events)
            cells = []
            for recipe in recipes.values():
                rec = recipe().fit(train, progress=False)
                report = palate.evaluate(rec, test, next_item=True, baselines=False, keep_seen=False)
                cells.append(str(report.measures["ndcg@10"]))
            print(" | ".join(["", name, how, f"{len(test):,}", *cells, ""]))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
