"""Top-n: the ten best items of everybody, what they have seen left out, beside implicit and faiss on the same factors.

`python benchmarks/topn.py --peers PYTHON` prints the table; PYTHON is one that can import implicit and faiss. Each side
runs in a process of its own on two threads. faiss leaves nothing out: it does less than is asked.

- ml-1m: the factors of implicit ALS (Rendle et al. 2022) on its likes, protocol as in every ranking figure here.
- large, normal: 200,000 users x 100,000 items, all factors standard normal; 50 items seen by each.
- large, popular: the same with items whose lengths fall with their rank as those of trained factors do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import Row, in_own_process
from numpy.typing import NDArray

import palate
from palate.models.factors import Factors, Prior

N_FACTORS = 64
RECIPE = palate.ImplicitALS(n_factors=N_FACTORS, n_sweeps=10, unobserved_weight=0.2, weight_decay=0.01)
LARGE = (200_000, 100_000)
AT_MOST = {"implicit": 0.5, "faiss": 0.7}
MOST_MB = 300

Case = dict[str, NDArray[np.generic]]

BOTH = """
import json, sys, time
import numpy as np
users, items, indptr, indices = (np.load(f"{sys.argv[1]}/{n}.npy") for n in ("users", "items", "indptr", "indices"))
repeat = int(sys.argv[2])
def fastest(work):
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), answer
"""

OURS = """
from palate import kernels
def peak_mb():  # of this program alone: ru_maxrss would know its parent's
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
seen = {"seen_indptr": indptr, "seen_indices": indices, "bias": False, "n_threads": 2}
top, (codes, scores) = fastest(lambda: kernels.top_n(users, items, 10, **seen))
told = {"top": top, "mb": peak_mb()}
if repeat > 1:
    targets = np.load(f"{sys.argv[1]}/targets_indptr.npy"), np.load(f"{sys.argv[1]}/targets.npy")
    told["rank"] = fastest(lambda: kernels.rank_targets(users, items, *targets, **seen))[0]
np.save(f"{sys.argv[1]}/codes.npy", codes)
print(json.dumps(told))
"""

PEERS = """
import faiss
from implicit.cpu.topk import topk
from scipy.sparse import csr_matrix
faiss.omp_set_num_threads(2)
index = faiss.IndexFlatIP(items.shape[1])
index.add(items)
liked = csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(users), len(items)))
told = {"faiss": fastest(lambda: index.search(users, 10))[0]}
told["implicit"], (codes, _) = fastest(lambda: topk(items, users, 10, filter_query_items=liked, num_threads=2))
ours = np.load(f"{sys.argv[1]}/codes.npy")
told["same"] = float((ours == codes[:, :10]).mean())
print(json.dumps(told))
"""


def likes() -> Case:
    """The likes of ml-1m by the protocol: what was seen, what is held out, and factors that fit what was seen."""
    ratings = palate.datasets.load("ml-1m").likes(at_least=4)
    train, test = palate.split_within_users(ratings, test=0.2, seed=0)
    factors = RECIPE.fit(train, progress=False).model.factors
    seen, held_out = train.by_user(), test.by_user()
    return {
        "indptr": seen.indptr,
        "indices": seen.indices,
        "targets_indptr": held_out.indptr,
        "targets": held_out.indices,
        "users": np.ascontiguousarray(factors.users[:, :-1]),  # without the biases, which are all zero
        "items": np.ascontiguousarray(factors.items[:, :-1]),
    }


def large(power: float, n_users: int) -> Case:
    """Normal factors, the lengths of the items falling with a power of their rank; 50 items seen by each."""
    rng = np.random.default_rng(0)
    n_items = LARGE[1]
    users = rng.standard_normal((n_users, N_FACTORS), dtype=np.float32)
    items = rng.standard_normal((n_items, N_FACTORS), dtype=np.float32)
    items *= (rng.permutation(n_items)[:, None] + 1).astype(np.float32) ** -np.float32(power)
    indptr = np.arange(0, 50 * n_users + 1, 50)
    return {
        "users": users,
        "items": items,
        "indptr": indptr,
        "indices": rng.integers(0, n_items, indptr[-1]).astype(np.int32),
    }


def row_of(name: str, case: Case, peers: str | None, repeat: int) -> Row:
    """One case, both sides."""
    with tempfile.TemporaryDirectory() as folder:
        for what, array in case.items():
            np.save(Path(folder) / f"{what}.npy", array)
        ours = told_by(sys.executable, OURS, folder, repeat)
        theirs = told_by(peers, PEERS, folder, repeat) if peers else {}
    said = [f"{ours['top']:.3f} s, peak {ours['mb']:.0f} MB"]
    said += [f"all ranks of the held-out {ours['rank']:.3f} s"] if "rank" in ours else []
    said += [f"{peer} {theirs[peer]:.3f} s (share {ours['top'] / theirs[peer]:.3f})" for peer in AT_MOST if theirs]
    said += [f"same places as implicit {theirs['same']:.4f}"] if theirs else []
    met = ours["mb"] <= MOST_MB
    met = met and all(ours["top"] <= share * theirs[peer] for peer, share in AT_MOST.items() if theirs)
    return Row(f"top 10 of everyone, {name}", "; ".join(said), f"0.5x implicit, 0.7x faiss, {MOST_MB} MB", met)


STREAM = """
import time, palate
rec = palate.load({model!r})
start = time.perf_counter()
rec.recommend(n=10, out={out!r})
seconds = time.perf_counter() - start
lines = open("/proc/self/status").read().splitlines()
print(seconds, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
"""


def streamed() -> list[Row]:
    """Seconds of writing everybody's lists of the large case, and the peak of a whole process that loads and writes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "large.palate")
        as_recommender(CASES["large, popular"](LARGE[0])).save(model)
        for name in ("best.parquet", "best.csv"):
            told = in_own_process(STREAM.format(model=model, out=str(Path(folder) / name)))
            seconds, peak = map(float, told.split())
            what = f"recommend(n=10, out={name!r}) of {LARGE[0]:,} users x {LARGE[1]:,} items, whole process"
            said = f"{seconds:.2f} s, peak {peak:.0f} MB"
            rows.append(Row(what, said, f"<= {MOST_MB} MB", peak <= MOST_MB))
    return rows


def as_recommender(case: Case) -> palate.Recommender:
    """A model of these factors, of users who have seen these items."""
    users, items = (np.pad(case[side], ((0, 0), (0, 1))) for side in ("users", "items"))  # biases of 0
    prior = Prior(np.eye(N_FACTORS + 1, dtype=np.float32), np.zeros(N_FACTORS + 1, np.float32))
    seen = palate.Ratings(
        np.repeat(np.arange(len(users), dtype=np.int32), np.diff(case["indptr"])),
        case["indices"],
        np.ones(len(case["indices"]), np.float32),
        user_vocabulary=palate.Vocabulary(np.arange(len(users))),
        item_vocabulary=palate.Vocabulary(np.arange(len(items))),
        kind="implicit",
    )
    factors = Factors(0.0, users, items, prior, prior)
    return palate.Recommender.from_training(seen, factors=factors, predicts_ratings=False)


def told_by(python: str, source: str, folder: str, repeat: int) -> dict[str, float]:
    command = [python, "-c", BOTH + source, folder, str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


CASES = {
    "ml-1m": lambda _: likes(),
    "large, normal": lambda n_users: large(0.0, n_users),
    "large, popular": lambda n_users: large(0.35, n_users),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--peers", help="a Python that can import implicit and faiss")
    options.add_argument("--case", choices=list(CASES), action="append")
    options.add_argument("--users", type=int, default=LARGE[0], help="of the large cases; their peers take minutes")
    chosen = options.parse_args()
    for name in chosen.case or CASES:
        repeat = 7 if name == "ml-1m" else 1
        print(row_of(name, CASES[name](chosen.users), chosen.peers, repeat).line(), flush=True)


if __name__ == "__main__":
    main()
