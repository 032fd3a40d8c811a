"""What recency= gains on the next item, on inner splits: in the fit and the question, or in the question alone.

`python benchmarks/recency.py` prints a table for each set; `python benchmarks/recency.py ml-100k` for one. The last
event of each user is left out, the one before it is the target, and recipes learn from the others. All items that the
user has not had are ranked; a target that the user had before, or that nobody else had, counts as a miss. NDCG@10, the
mean over users with a target, on the largest set over 10,000 of them. The sets are read from the folder PALATE_DATA.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import palate
from palate.data.order import oldest_first

FILES = {
    "ml-100k": "ml-100k/ratings.csv",
    "ml-latest-small": "ml-latest-small/ratings.csv",
    "ml-1m timed": "ml-1m/timed.parquet",
    "amazon-beauty-seq": "amazon-beauty-seq/interactions.parquet",
}
RECIPES = [palate.EASE(), palate.SparseEASE(), palate.ImplicitALS(), palate.Neighbors(), palate.Neighbors(by="users")]
RECENCIES = (1, 2, 5, 10, 20)
MAX_ITEMS = 20_000  # of EASE, which goes on as SparseEASE beyond
MAX_USERS = 10_000  # with a target, of one set


def events_of(name: str) -> palate.Ratings:
    """All rows of a set as events, whatever their rating, each user's oldest first."""
    path = Path(os.environ["PALATE_DATA"]) / FILES[name]
    ratings = palate.read(path, kind="implicit", rating=False, duplicates="keep")
    return oldest_first(ratings)


def split(events: palate.Ratings) -> tuple[palate.Ratings, palate.Ratings]:
    """(What is before the last but one event of each user, the last but one)."""
    order = np.argsort(events.user_codes, kind="stable")
    users = events.user_codes[order]
    from_end = np.cumsum(np.bincount(users))[users] - 1 - np.arange(len(users))
    counts = np.bincount(users)[users]
    return events[order[from_end >= 2]], events[order[(from_end == 1) & (counts > 2)]]


def ndcg(rec: palate.Recommender, targets: palate.Ratings, recent: float | None = None) -> float:
    """The mean NDCG@10 of one target a user."""
    users = targets.user_vocabulary.decode(targets.user_codes).tolist()
    found = rec.recommend(users, 10, recent=recent)
    wanted = dict(zip(users, targets.item_vocabulary.decode(targets.item_codes).tolist(), strict=True))
    hits = found.filter([item == wanted[user] for user, item in zip(found["user"], found["item"], strict=True)])
    return float((1 / np.log2(1 + hits["rank"].to_numpy())).sum() / len(users))


def table(name: str) -> None:
    """Print what each recipe reaches on a set."""
    train, targets = split(events_of(name))
    rng = np.random.default_rng(0)
    targets = targets[np.sort(rng.permutation(len(targets))[:MAX_USERS])]
    print(f"\n{name}: {len(train):,} events, {len(targets):,} targets\n", flush=True)
    print("| recipe | weights | none | " + " | ".join(map(str, RECENCIES)) + " |")
    print("|---|---|--:|" + "--:|" * len(RECENCIES))
    for recipe in RECIPES:
        if isinstance(recipe, palate.EASE) and train.n_items > MAX_ITEMS:
            continue
        plain = recipe.fit(train, progress=False)
        none = ndcg(plain, targets)
        asked = [ndcg(plain, targets, recency) for recency in RECENCIES]
        fitted = [
            ndcg(recipe.with_options({"recency": recency}).fit(train, progress=False), targets) for recency in RECENCIES
        ]
        for weights, row in (("fit and question", fitted), ("question", asked)):
            cells = " | ".join(f"{value:.4f}" for value in (none, *row))
            print(f"| {recipe.label()} | {weights} | {cells} |", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or FILES:
        table(name)
