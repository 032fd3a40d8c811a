"""Implicit ALS: seconds per sweep against implicit's two solvers, and what a sweep is worth in training loss.

`python benchmarks/implicit_sweeps.py PEERS_PYTHON` prints both tables; PEERS_PYTHON has implicit and is left out where
there is none. A sweep is both sides with their Gram matrices, on 2 threads; compressing the rows is part of it on no
side. Seconds are means over the sweeps after the first. The loss is that of Rendle et al. 2022 over the training likes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import palate
from palate import kernels
from palate.data.rows import CompressedRows, row_codes
from palate.models.implicit import ImplicitProblem, start

Floats = NDArray[np.float32]

PROBLEM = ImplicitProblem(unobserved_weight=0.2, weight_decay=0.01, count_exponent=1.0)
N_THREADS, N_SWEEPS = 2, 5

PEER = """
import json, logging, sys, time
import numpy as np, scipy.sparse
from implicit.als import AlternatingLeastSquares
path, factors, use_cg, threads, sweeps = sys.argv[1], *map(int, sys.argv[2:])
stored = np.load(path)
shape = (stored["n_users"], stored["n_items"])
weights = np.full(len(stored["items"]), 5, np.float32)
pairs = scipy.sparse.csr_matrix((weights, stored["items"], stored["indptr"]), shape)
seconds = []
model = AlternatingLeastSquares(factors, use_cg=bool(use_cg), use_gpu=False, iterations=sweeps, num_threads=threads)
model.fit(pairs, show_progress=False, callback=lambda sweep, elapsed, loss: seconds.append(elapsed))
print(json.dumps(seconds[1:]))
"""


@dataclass(frozen=True)
class Likes:
    """The same likes by user and by item."""

    name: str
    users: CompressedRows
    items: CompressedRows


def movielens_likes() -> Likes:
    """The training part of ml-1m's ratings of 4 and more: of each user four fifths, drawn by the ranking protocol."""
    ratings = palate.datasets.load("ml-1m").likes(at_least=4)
    train, _ = palate.split_within_users(ratings, test=0.2, seed=0)
    return Likes("ml-1m likes", train.by_user(), train.by_item())


def synthetic_likes(n_users: int = 70_000, n_items: int = 10_000, n: int = 10_000_000) -> Likes:
    """Distinct pairs of a lognormal activity and a power law of popularity (exponent 0.8)."""
    rng = np.random.default_rng(0)
    popularity = np.cumsum(1.0 / np.arange(1, n_items + 1) ** 0.8)
    activity = np.cumsum(rng.lognormal(0.0, 1.0, n_users))
    pairs = np.zeros(0, np.int64)
    while len(pairs) < n:
        users = np.searchsorted(activity, np.sort(rng.random(n)) * activity[-1])
        items = np.searchsorted(popularity, rng.random(n) * popularity[-1])
        pairs = np.sort(np.concatenate([pairs, users * n_items + items]))
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    pairs = np.sort(rng.permutation(pairs)[:n])
    users, items = (codes.astype(np.int32) for codes in np.divmod(pairs, n_items))
    ones = np.ones(n, np.float32)
    by_user = CompressedRows.of(users, items, ones, None, n_users)
    return Likes("synthetic 10M", by_user, CompressedRows.of(items, users, ones, None, n_items))


def half_sweep(rows: CompressedRows, others: Floats, vectors: Floats, block: int) -> Floats:
    """One side given the other; block 0 is the exact solution."""
    background = PROBLEM.background(others)
    if not block:
        return PROBLEM.solve(rows, others, background, N_THREADS)
    return kernels.solve_blocks(
        rows.indptr, rows.indices, rows.values, others, vectors, block=block,
        ridge=PROBLEM.ridge(rows.counts, len(others)), background=background, n_threads=N_THREADS,
    )  # fmt: skip


def sweeps(data: Likes, k: int, block: int) -> Iterator[tuple[float, Floats, Floats]]:
    """Seconds, users and items after every sweep."""
    users, items, _ = start(data.users.n_rows, data.items.n_rows, k, seed=1)
    while True:
        began = time.perf_counter()
        users = half_sweep(data.users, items, users, block)
        items = half_sweep(data.items, users, items, block)
        yield time.perf_counter() - began, users, items


def seconds_per_sweep(data: Likes, k: int, block: int) -> float:
    """Mean over the sweeps after the first."""
    timed = [seconds for (seconds, *_), _ in zip(sweeps(data, k, block), range(N_SWEEPS), strict=False)]
    return float(np.mean(timed[1:]))


def peer_seconds(python: str, data: Likes, k: int, *, use_cg: bool) -> float:
    """The same of implicit on the same matrix, by its own callback, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # what implicit asks for: its own threads call BLAS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "likes.npz"
        shape = {"n_users": data.users.n_rows, "n_items": data.items.n_rows}
        np.savez(path, indptr=data.users.indptr, items=data.users.indices, **shape)
        n_sweeps = N_SWEEPS if use_cg else 2  # its exact solver takes ten times as long
        numbers = [str(int(number)) for number in (k, use_cg, N_THREADS, n_sweeps)]
        command = [python, "-c", PEER, str(path), *numbers]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(np.mean(json.loads(done.stdout)))


def training_loss(data: Likes, users: Floats, items: Floats) -> float:
    """Sum over likes (1 - x.y)^2 + a0 sum over all pairs (x.y)^2 + the weighted squares of both sides."""
    scores = kernels.predict_pairs(users, items, row_codes(data.users), data.users.indices).astype(np.float64)
    everything = PROBLEM.unobserved_weight * np.sum(kernels.gram(users)[0] * kernels.gram(items)[0])
    squares = PROBLEM.ridge(data.users.counts, len(items)) @ np.sum(users.astype(np.float64) ** 2, axis=1)
    squares += PROBLEM.ridge(data.items.counts, len(users)) @ np.sum(items.astype(np.float64) ** 2, axis=1)
    return float(np.sum((1 - scores) ** 2) + everything + squares)


def print_speed(data: Likes, python: str | None) -> None:
    """A line for each number of factors: seconds per sweep of every block size, and of both peers."""
    for k in (64, 128):
        ours = {block: seconds_per_sweep(data, k, block) for block in (0, 16, 32, 64)}
        told = ", ".join(f"{'exact' if not block else f'block {block}'} {time:.3f}" for block, time in ours.items())
        if python is None:
            print(f"{data.name}, {k} factors: {told}", flush=True)
            continue
        peers = [peer_seconds(python, data, k, use_cg=use_cg) for use_cg in (True, False)]
        shares = ", ".join(f"{time / min(peers):.2f}" for time in ours.values())
        print(f"{data.name}, {k} factors: {told}; implicit CG {peers[0]:.3f}, exact {peers[1]:.3f}; shares {shares}")
        sys.stdout.flush()


def print_worth(data: Likes) -> None:
    """Training loss and seconds after 5 and 10 sweeps of every block size."""
    for k in (64, 128):
        for block in (0, 16, 32, 64):
            spent = 0.0
            for sweep, (seconds, users, items) in zip(range(1, 11), sweeps(data, k, block), strict=False):
                spent += seconds
                if sweep in (5, 10):
                    told = f"{sweep} sweeps, {spent:.2f} s, loss {training_loss(data, users, items):.0f}"
                    print(f"{data.name}, {k} factors, block {block or k}: {told}", flush=True)


if __name__ == "__main__":
    for likes_of in (movielens_likes, synthetic_likes):
        likes_here = likes_of()
        print_speed(likes_here, sys.argv[1] if len(sys.argv) > 1 else None)
        print_worth(likes_here)
