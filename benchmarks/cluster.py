"""Measure fits on a Ray cluster of this machine: seconds a sweep with one and two workers, and bytes between nodes.

    .venv/bin/python benchmarks/cluster.py --ratings 20000000

Ratings are synthetic, with users and items as skewed as in the Netflix Prize, and are written to blocks once. The
driver has a node without CPUs, and each worker a node with one CPU, so that vectors travel between object stores as
they would between machines; they are counted at the loopback device. With --one-node, workers share memory. Nothing
else should run meanwhile: the load is printed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import palate
from palate.data.blocks import Blocks
from palate.distributed import Cluster

STORE = 1 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=20_000_000)
    parser.add_argument("--users", type=int, default=480_000)
    parser.add_argument("--items", type=int, default=18_000)
    parser.add_argument("--factors", type=int, default=31)
    parser.add_argument("--sweeps", type=int, default=4)
    parser.add_argument("--one-node", action="store_true", help="all workers share one object store")
    parser.add_argument("--folder", type=Path, default=None, help="where the blocks go, or are already")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        blocks = blocks_of(asked, asked.folder or Path(scratch) / "synthetic.blocks")
        print(f"{blocks}, {os.getloadavg()[0]:.1f} processes want the CPUs")
        recipe = palate.ALS(n_factors=asked.factors, n_sweeps=asked.sweeps, n_threads=1)
        here = report("this process, 1 thread", recipe, blocks, None)
        alone, both = (
            (on_one_node if asked.one_node else on_cluster)(f"{n} worker(s) of 1 thread", recipe, blocks, n)
            for n in (1, 2)
        )
        print(f"2 workers: {alone / both:.2f} times as fast as 1; {here / both:.2f} times as fast as this process")
        print(f"vectors: {4 * (asked.factors + 1) * (blocks.n_users + blocks.n_items) / 1e6:.1f} MB of both sides")


def on_one_node(label: str, recipe: palate.ALS, blocks: Blocks, n: int) -> float:
    """Seconds a sweep with n workers of one thread on this machine, as palate.distributed.ray() starts them."""
    return report(label, recipe, blocks, palate.distributed.ray(workers=n, threads=1))


def on_cluster(label: str, recipe: palate.ALS, blocks: Blocks, n: int) -> float:
    """Seconds a sweep with n workers of one thread, each on a node of its own."""
    import ray
    from ray.cluster_utils import Cluster as Nodes

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}  # workers are no less urgent than this
    cluster = Nodes()
    try:
        for n_cpus in (0, *[1] * n):
            cluster.add_node(num_cpus=n_cpus, include_dashboard=False, object_store_memory=STORE)
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        return report(label, recipe, blocks, palate.distributed.ray(workers=n, threads=1))
    finally:
        ray.shutdown()
        cluster.shutdown()


def report(label: str, recipe: palate.ALS, blocks: Blocks, on: Cluster | None) -> float:
    """Print and return the seconds of a sweep, the first left out: it reads the files and solves one side only."""
    ends: list[tuple[float, int]] = []
    recipe.fit(blocks, on=on, progress=False, callback=lambda _: ends.append((time.perf_counter(), looped_bytes())))
    n = len(ends) - 1
    seconds, moved = ((after - before) / n for before, after in zip(ends[0], ends[-1], strict=True))
    fastest = min(b[0] - a[0] for a, b in pairwise(ends))
    print(f"{label}: {seconds:.2f} s a sweep (the fastest {fastest:.2f}), {moved / 1e6:.1f} MB between nodes")
    return fastest


def looped_bytes() -> int:
    """Bytes that this machine has sent to itself."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def blocks_of(asked: argparse.Namespace, folder: Path) -> Blocks:
    """The synthetic ratings, written if they are not there."""
    if folder.exists():
        return palate.blocks.open(folder)
    rng = np.random.default_rng(0)
    users = draw(rng, asked.users, asked.ratings, spread=1.2)
    items = draw(rng, asked.items, asked.ratings, spread=2.0)
    values = rng.integers(1, 6, asked.ratings).astype(np.float32)
    return palate.blocks.write(folder, palate.Ratings(
        users, items, values,
        user_vocabulary=palate.Vocabulary(np.arange(asked.users)),
        item_vocabulary=palate.Vocabulary(np.arange(asked.items)),
    ), progress=False)  # fmt: skip


def draw(rng: np.random.Generator, n: int, size: int, *, spread: float) -> np.ndarray:
    """Codes below n whose frequencies are log-normal: `spread` is the standard deviation of their logarithm."""
    shares = np.cumsum(np.exp(spread * rng.standard_normal(n)))
    return np.searchsorted(shares, rng.random(size) * shares[-1]).clip(0, n - 1).astype(np.int32)


if __name__ == "__main__":
    main()
