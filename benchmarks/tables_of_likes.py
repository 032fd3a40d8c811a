"""What tables of items do for likes: with and without, on the test parts of two sets.

`python benchmarks/tables_of_likes.py` needs the data beside it (PALATE_DATA). yelp-hin: ratings of 4 and more, a fifth
of each user's held out, categories and city; the difference of NDCG@20 with its 95% interval, from 1,000 resamplings of
the users. citeulike-t: a fifth held out, then a tenth of the articles withheld from training; NDCG@20 of these among
each other, with the words of title and abstract as they are.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

import palate
import palate.recipes

DATA = Path(os.environ.get("PALATE_DATA", "../shared/data"))
RECIPES: dict[str, tuple[palate.recipes.Recipe, palate.recipes.Recipe]] = {
    "ImplicitALS()": (palate.ImplicitALS(features=False), palate.ImplicitALS()),
    "SparseEASE()": (palate.SparseEASE(features=False), palate.SparseEASE()),
    "EASE()": (palate.EASE(features=False), palate.EASE()),
}


def yelp() -> tuple[palate.Ratings, palate.Ratings]:
    """Likes of places with their categories and city."""
    rated = pl.read_parquet(DATA / "yelp-hin" / "ratings.parquet").filter(pl.col("rating") >= 4)
    likes = palate.read(rated.select("user", "item"), kind="implicit")
    train, test = palate.split_within_users(likes, test=0.2, seed=0)
    return train.with_items(pl.read_csv(DATA / "yelp-hin" / "items.csv")), test


def articles() -> tuple[palate.Ratings, palate.Ratings]:
    """Choices of nine tenths of the articles, and the held-out choices of the others."""
    folder = DATA / "citeulike-t"
    likes = palate.read(pl.read_parquet(folder / "interactions.parquet"), kind="implicit")
    train, test = palate.split_within_users(likes, test=0.2, seed=0)
    withheld = np.random.default_rng(0).random(likes.n_items) < 0.1
    known, _ = palate.split_rows(train, withheld[train.item_codes])
    _, hidden = palate.split_rows(test, withheld[test.item_codes])
    return known.with_items(pl.read_parquet(folder / "items.parquet")), hidden


def main() -> None:
    """Print both tables."""
    train, test = yelp()
    for name, both in RECIPES.items():
        reports = [palate.evaluate(recipe.fit(train, progress=False), test, k=20, baselines=False) for recipe in both]
        without, told = (report.per_user.sums for report in reports)
        gains = told - without
        draws = np.random.default_rng(0).integers(0, len(gains), (1000, len(gains)))
        low, high = np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])
        figures = " | ".join(f"{report['ndcg@20']:.4f}" for report in reports)
        print(f"| yelp-hin | {name} | {figures} | {gains.mean():+.4f} ({low:+.4f} to {high:+.4f}) |", flush=True)
    train, test = articles()
    for name, (_, recipe) in {**RECIPES, "Popularity()": (None, palate.Popularity())}.items():
        report = palate.evaluate(recipe.fit(train, progress=False), test, k=20, baselines=False, n_bootstrap=1)
        cold = f"{report['cold_ndcg@20']:.4f} | {report['cold_recall@20']:.4f}"
        print(f"| citeulike-t | {name} | {cold} | of {report.n_cold:,} |", flush=True)


if __name__ == "__main__":
    main()
