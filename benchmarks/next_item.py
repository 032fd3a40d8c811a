"""The next item: recipes with nothing given, each in a process of its own, and the time of a session's question.

`python benchmarks/next_item.py` needs the data beside it (PALATE_DATA). The last event of each user is test, all before
it is learned from; the one next item is ranked among the whole catalogue, less what the user had before. Seconds are
those of the fit, megabytes the peak of the process from reading to lists. ml-1m is timed.parquet: the half of its users
whose times are known. `--inner` measures on the last but one event, and leaves the last alone: for choosing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

import palate
import palate.recipes

DATA = Path(os.environ.get("PALATE_DATA", "../shared/data"))
SETS = {
    "ml-1m": "ml-1m/timed.parquet",
    "ml-100k": "ml-100k/ratings.csv",
    "ml-latest-small": "ml-latest-small/ratings.csv",
    "amazon-beauty-seq": "amazon-beauty-seq/interactions.parquet",
}
RECIPES: dict[str, palate.recipes.Recipe] = {
    "Sequence()": palate.Sequence(),
    "EASE()": palate.EASE(),
    "SparseEASE()": palate.SparseEASE(),
    "ImplicitALS()": palate.ImplicitALS(),
    "Neighbors()": palate.Neighbors(),
    "Popularity()": palate.Popularity(),
}
N_PAST, N_ASKED, N_ITEMS = 20, 400, 50_000


def events_of(data: str) -> palate.Ratings:
    """All ratings of a set as events, whatever their values."""
    path = DATA / SETS[data]
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    names = frame.columns
    times = [name for name in names if "time" in name]
    renamed = {names[0]: "user", names[1]: "item", **dict.fromkeys(times, "time")}
    return palate.read(frame.select(list(renamed)).rename(renamed), kind="implicit")


def measured(data: str, recipe: str, *, inner: bool) -> dict[str, float]:
    """NDCG and hit rate at 10, MRR, seconds of the fit and megabytes."""
    events = events_of(data)
    train, test = palate.split_last(palate.split_last(events)[0] if inner else events)
    begun = time.perf_counter()
    rec = RECIPES[recipe].fit(train, progress=False)
    seconds = time.perf_counter() - begun
    report = palate.evaluate(rec, test, next_item=True, baselines=False).to_dict()["measures"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {name: report[name]["value"] for name in ("ndcg@10", "hit_rate@10", "mrr")}
    return {**found, "seconds": seconds, "MB": peak}


def milliseconds_of_a_session() -> float:
    """The median time of recommend(session=...) with 20 items, in a catalogue of 50,000."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40_000), 9)
    items = np.concatenate([np.arange(N_ITEMS), (N_ITEMS * rng.random(len(users) - N_ITEMS) ** 2).astype(int)])
    frame = pl.DataFrame({"user": users, "item": rng.permutation(items)}).unique(maintain_order=True)
    rec = palate.Sequence().fit(palate.read(frame, kind="implicit"), progress=False)
    sessions = [rng.choice(N_ITEMS, N_PAST, replace=False).tolist() for _ in range(N_ASKED)]
    taken = []
    for session in sessions:
        begun = time.perf_counter()
        rec.recommend(session=session, n=10)
        taken.append(time.perf_counter() - begun)
    return 1000 * float(np.median(taken))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("SET", "RECIPE"), help="measure in this process, print JSON")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--inner", action="store_true", help="measure on the last but one event of each user")
    parser.add_argument("--session", action="store_true", help="measure the time of a session's question instead")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*arguments.one, inner=arguments.inner)))
        return
    if arguments.session:
        print(f"{milliseconds_of_a_session():.2f} ms for recommend(session=...) of {N_PAST} items among {N_ITEMS:,}")
        return
    print("| set | recipe | NDCG@10 | hit rate@10 | MRR | fit, s | peak, MB |\n|---|---|--:|--:|--:|--:|--:|")
    for data in arguments.sets:
        for recipe in arguments.recipes:
            command = [sys.executable, __file__, "--one", data, recipe, *(["--inner"] if arguments.inner else [])]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            told = f"{found['ndcg@10']:.4f} | {found['hit_rate@10']:.4f} | {found['mrr']:.4f}"
            print(f"| {data} | `{recipe}` | {told} | {found['seconds']:.1f} | {found['MB']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
