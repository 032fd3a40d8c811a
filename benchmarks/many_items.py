"""Many users and items with few ratings each: seconds, memory, size of the file and error of a fit.

`.venv/bin/python benchmarks/many_items.py [SET ...]` prints a table. Every fit runs in a process of its own that reads
a Parquet file, so that the peak is that of the whole process. The sets: a million synthetic ratings of 300,000 items by
250,000 users, and Book-Crossing with its zeros and without, from the folder PALATE_DATA. Errors are RMSE on an inner
split, as in everywhere.py: a tenth of each set is never looked at here.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from everywhere import FOLDER
from measuring import in_own_process, machine

MEGABYTES = 600  # bar of the million
MICROSECONDS_PER_RATING, BYTES_PER_RATING, BYTES_PER_ROW = 20, 200, 1000  # bars of any set
RECIPES = ("Bayes", "Bias", "ALS")


def synthetic(
    path: Path, n_ratings: int = 1_000_000, n_users: int = 250_000, n_items: int = 300_000, seed: int = 0
) -> None:
    """Skewed ratings from 1 to 5 with four factors, beside biases and noise; everybody and everything has one."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1.0, n_items + 1) ** 0.8
    activity = rng.gamma(1.0, size=n_users)
    n_drawn = n_ratings + n_ratings // 4
    users = rng.choice(n_users, n_drawn, p=activity / activity.sum())
    items = rng.choice(n_items, n_drawn, p=popularity / popularity.sum())
    users[:n_users], items[n_drawn - n_items :] = np.arange(n_users), np.arange(n_items)  # each at least once
    pairs, firsts = np.unique(users * np.int64(n_items) + items, return_index=True)
    is_needed = (firsts < n_users) | (firsts >= n_drawn - n_items)
    pairs = pairs[np.lexsort((rng.random(len(pairs)), ~is_needed))[:n_ratings]]
    users, items = pairs // n_items, pairs % n_items
    p, q = rng.normal(size=(n_users, 4)), rng.normal(size=(n_items, 4))
    scores = 0.4 * rng.normal(size=n_users)[users] + 0.4 * rng.normal(size=n_items)[items]
    scores += 0.25 * (p[users] * q[items]).sum(axis=1) + 0.8 * rng.normal(size=n_ratings)
    columns = {"user": users, "item": items, "rating": np.clip(np.round(3.5 + scores), 1, 5)}
    labels = [(pl.lit(side[0]) + pl.col(side).cast(pl.String)).alias(side) for side in ("user", "item")]
    pl.DataFrame(columns).sample(fraction=1.0, shuffle=True, seed=seed).with_columns(labels).write_parquet(path)


def book_crossing(path: Path, least: float) -> None:
    """The ratings of Book-Crossing from `least` up."""
    frame = pl.read_parquet(FOLDER / "book-crossing" / "ratings.parquet")
    user, item, rating = frame.columns[:3]
    frame.filter(pl.col(rating) >= least).select(
        user=pl.col(user).cast(pl.String), item=pl.col(item).cast(pl.String), rating=pl.col(rating)
    ).write_parquet(path)


SETS = {
    "a million, synthetic": synthetic,
    "book-crossing, 0 to 10": lambda path: book_crossing(path, -np.inf),
    "book-crossing, 1 to 10": lambda path: book_crossing(path, 1),
}

# A fit in a process of its own: of all ratings, for time and memory, or of an inner split, for the error.
FIT = """
import json, os, resource, sys, time, numpy as np, palate
path, name, saved, is_split = {arguments}
ratings = palate.read(path)
if is_split:
    known, _ = palate.split_random(ratings, test=0.1, seed=0)
    ratings, valid = palate.split_random(known, test=0.1, seed=1)
start, cpu = time.perf_counter(), time.process_time()
rec = getattr(palate, name)().fit(ratings, progress=False)
told = {{"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}}
if is_split:
    predicted = rec.predict_codes(valid.user_codes, valid.item_codes)[0]
    told["rmse"] = float(np.sqrt(np.mean((predicted - valid.values) ** 2)))
else:
    rec.save(saved)
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    told["file"] = os.path.getsize(saved) / 2**20
    told |= {{"n": len(ratings), "n_users": ratings.n_users, "n_items": ratings.n_items}}
print(json.dumps(told))
"""


def fit(path: Path, name: str, *, is_split: bool) -> dict[str, float]:
    """What a fit in a process of its own says of itself."""
    arguments = (str(path), name, str(path.with_suffix(".palate")), is_split)
    return dict(json.loads(in_own_process(FIT.format(arguments=arguments))))


def lines_of(name: str, folder: Path) -> list[str]:
    """The lines of a set, one a recipe."""
    path = folder / "ratings.parquet"
    SETS[name](path)
    lines = []
    for recipe in RECIPES:
        whole, split = fit(path, recipe, is_split=False), fit(path, recipe, is_split=True)
        n, n_rows = whole["n"], whole["n_users"] + whole["n_items"]
        bytes_allowed = BYTES_PER_RATING * n + BYTES_PER_ROW * n_rows
        is_million = SETS[name] is synthetic
        megabytes = MEGABYTES if is_million else bytes_allowed / 2**20
        met = whole["seconds"] <= MICROSECONDS_PER_RATING * n / 1e6 and whole["peak"] <= megabytes
        cells = (
            f"{name}, {n:,} of {whole['n_users']:,} x {whole['n_items']:,}",
            recipe,
            f"{whole['seconds']:.1f} s ({whole['cpu']:.1f} s of processor)",
            f"{whole['peak']:.0f} MB (bar {megabytes:.0f})",
            f"{whole['file']:.0f} MB",
            f"{split['rmse']:.4f}",
            "yes" if met else "**no**",
        )
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print the lines of the sets named, or of all."""
    print(f"{machine()}. Bar of time: {MICROSECONDS_PER_RATING} microseconds a rating.\n")
    print("| set | recipe | fit | peak of the process | file | RMSE | bars met |\n|---|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or SETS:
            lines_of(name, Path(folder))


if __name__ == "__main__":
    main()
