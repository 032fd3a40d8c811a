"""Top-n lists for everybody into a folder, killed at random moments and gone on with: users a second, memory, files.

    python benchmarks/everybody.py --users 1000000 --items 100000 --folder /tmp/everybody

makes a model of that size with random factors (32 columns, about 20 choices a user), writes the lists once undisturbed
and once with kills (SIGKILL), and compares all files. It prints what it measured.
"""

import argparse
import hashlib
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

import palate
from palate.models.factors import Factors, Prior

N_COLUMNS, N_CHOICES = 32, 20
ASK = "import sys, palate; palate.load(sys.argv[1]).recommend(n=int(sys.argv[2]), out=sys.argv[3])"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--users", type=int, default=1_000_000)
    options.add_argument("--items", type=int, default=100_000)
    options.add_argument("--n", type=int, default=10)
    options.add_argument("--kills", type=int, default=5)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path, required=True, help="Where the model and the lists go.")
    given = options.parse_args()
    given.folder.mkdir(exist_ok=True)
    model = given.folder / "m.palate"
    planted(given.users, given.items, given.seed).save(model)
    alone, killed = given.folder / "alone", given.folder / "killed"
    for folder in (alone, killed):
        shutil.rmtree(folder, ignore_errors=True)
    seconds = ask(model, given.n, alone)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rng, kills, done = random.Random(given.seed), 0, False
    while not done:
        limit = rng.uniform(0.05, 0.5) * seconds if kills < given.kills else None
        done = ask(model, given.n, killed, limit) is not None
        kills += not done
    lists = pl.scan_parquet(killed / "part-*.parquet").group_by("user").len().collect()
    print(json.dumps({
        "users": given.users, "items": given.items, "n": given.n, "seconds": round(seconds, 1),
        "users_a_second": round(given.users / seconds), "peak_mb": round(peak), "model_mb": model.stat().st_size >> 20,
        "kills": kills, "same_files": digests(alone) == digests(killed), "parts": len(digests(alone)) - 1,
        "users_listed": lists.height, "rows_a_user": [lists["len"].min(), lists["len"].max()],
    }, indent=1))  # fmt: skip


def planted(n_users, n_items, seed):
    """A model with random factors, whose items are as popular as a Zipf law says."""
    rng = np.random.default_rng(seed)
    users, items = (rng.normal(0, 0.3, (n, N_COLUMNS)).astype(np.float32) for n in (n_users, n_items))
    popularity = 1 / (np.arange(n_items) + 10)
    chosen = rng.choice(n_items, (n_users, N_CHOICES), p=popularity / popularity.sum()).astype(np.int32)
    chosen.sort(axis=1)
    is_new = np.diff(chosen, axis=1, prepend=-1) > 0  # an item that was drawn twice is chosen once
    seen = palate.Ratings(
        np.repeat(np.arange(n_users, dtype=np.int32), is_new.sum(axis=1)),
        chosen[is_new],
        np.ones(int(is_new.sum()), np.float32),
        user_vocabulary=palate.Vocabulary(np.arange(n_users)),
        item_vocabulary=palate.Vocabulary(np.arange(n_items)),
        kind="implicit",
    )
    prior = Prior(np.eye(N_COLUMNS, dtype=np.float32), np.zeros(N_COLUMNS, np.float32))
    factors = Factors(0.0, users, items, prior, prior)
    return palate.Recommender.from_training(seen, factors=factors, predicts_ratings=False)


def ask(model, n, folder, kill_after=None):
    """Recommend to everybody in a process of its own. Returns its seconds, or None if it was killed before its end."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", ASK, str(model), str(n), f"{folder}/"])
    try:
        assert child.wait(kill_after) == 0
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
        return None
    return time.perf_counter() - began


def digests(folder):
    """The digest of every file that readers see."""
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    main()
