"""Lists on large catalogues: recipes with nothing given, each in a process of its own.

`python benchmarks/catalogues.py` needs the data beside it (PALATE_DATA). gowalla by LightGCN's protocol: its split, all
items not in a user's training choices ranked, recall@20 and NDCG@20. citeulike-t: a fifth of each user's choices held
out. Seconds are those of the fit, megabytes the peak of the process from reading to lists.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import palate
import palate.recipes

DATA = Path(os.environ.get("PALATE_DATA", "../shared/data"))
RECIPES: dict[str, palate.recipes.Recipe] = {
    "SparseEASE()": palate.SparseEASE(),
    "EASE()": palate.EASE(),
    "ImplicitALS()": palate.ImplicitALS(),
    "BPR(loss='cosine')": palate.BPR(loss="cosine"),
    "BPR()": palate.BPR(),
    "Neighbors()": palate.Neighbors(),
    "Blend()": palate.Blend(),
}


def gowalla() -> tuple[palate.Ratings, palate.Ratings]:
    """LightGCN's split."""
    folder = DATA / "gowalla-lightgcn"
    train, test = pl.read_parquet(folder / "train.parquet"), pl.read_csv(folder / "test.csv")
    return palate.read(train, kind="implicit"), palate.read(test, kind="implicit")


def citeulike() -> tuple[palate.Ratings, palate.Ratings]:
    """A fifth of each user's choices held out."""
    choices = palate.read(pl.read_parquet(DATA / "citeulike-t" / "interactions.parquet"), kind="implicit")
    return palate.split_within_users(choices, test=0.2, seed=0)


SETS = {"gowalla": gowalla, "citeulike-t": citeulike}


def measured(data: str, recipe: str) -> dict[str, float]:
    """Recall and NDCG at 20, seconds of the fit and megabytes."""
    train, test = SETS[data]()
    begun = time.perf_counter()
    rec = RECIPES[recipe].fit(train, progress=False)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = palate.evaluate(rec, test, k=20)
    return {"recall": report["recall@20"], "ndcg": report["ndcg@20"], "seconds": seconds, "MB": peak}


def write_parts(data: str, folder: Path) -> None:
    """The parts that the other libraries learn from and are measured on, as codes."""
    train, test = SETS[data]()
    inner = palate.split_within_users(train, test=0.2, seed=1)
    for name, part in zip(("fit", "valid", "train", "test"), (*inner, train, test), strict=True):
        users = train.user_vocabulary.encode(part.user_vocabulary.labels)[part.user_codes]
        items = train.item_vocabulary.encode(part.item_vocabulary.labels)[part.item_codes]
        known = (users >= 0) & (items >= 0)
        np.save(folder / f"{name}.npy", np.stack([users[known], items[known]], axis=1))


def peers(python: str) -> None:
    """Print the lines of the other libraries."""
    for data in SETS:
        with tempfile.TemporaryDirectory() as folder:
            write_parts(data, Path(folder))
            command = [python, str(Path(__file__).with_name("catalogue_peers.py")), folder]
            for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
                found = json.loads(line)
                settings = ", ".join(f"{name} {value}" for name, value in found["setting"].items())
                what = f"{found['library']}, best of {found['tried']}: {settings}"
                print(
                    f"| {data} | {what} | {found['recall']:.4f} | {found['ndcg']:.4f} | {found['seconds']:.1f} | |",
                    flush=True,
                )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("SET", "RECIPE"), help="measure in this process, print JSON")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--peers", metavar="PYTHON", help="measure other libraries with this Python instead")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*arguments.one)))
        return
    if arguments.peers:
        peers(arguments.peers)
        return
    print("| set | recipe | Recall@20 | NDCG@20 | fit, s | peak, MB |\n|---|---|--:|--:|--:|--:|")
    for data in SETS:
        for recipe in arguments.recipes:
            command = [sys.executable, __file__, "--one", data, recipe]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            told = f"{found['recall']:.4f} | {found['ndcg']:.4f} | {found['seconds']:.1f} | {found['MB']:.0f}"
            print(f"| {data} | `{recipe}` | {told} |", flush=True)


if __name__ == "__main__":
    main()
