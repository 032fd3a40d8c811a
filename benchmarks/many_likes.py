"""SparseEASE on 20 million likes of 100,000 items by a million users: seconds and memory, beside what it says it needs.

`python benchmarks/many_likes.py` draws the likes (nobody has such data to give away): popularity falls with rank to the
power of 0.8, the number of likes of a user is geometric with a mean of 20, and four in five likes of a user are of
three out of 500 kinds of items. `--scale 0.1` takes a tenth of users, items and likes.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

import palate

N_USERS, N_ITEMS, N_LIKES = 1_000_000, 100_000, 20_000_000
N_KINDS, OWN_KINDS, SHARE = 500, 3, 0.8
SKEW = 0.8
DRAWN = 1.16  # likes drawn for one that is kept: the same one comes twice


def drawn(scale: float, seed: int = 0) -> palate.Ratings:
    """Likes of a planted structure."""
    rng = np.random.default_rng(seed)
    n_users, n_items, n_likes = (int(n * scale) for n in (N_USERS, N_ITEMS, N_LIKES))
    kind_of = rng.integers(0, N_KINDS, n_items)
    by_kind = np.argsort(kind_of, kind="stable").astype(np.int32)
    ends = np.searchsorted(kind_of[by_kind], np.arange(N_KINDS + 1))
    popularity = (1.0 + np.arange(n_items)) ** -SKEW
    total, within = np.cumsum(popularity), np.cumsum(popularity[by_kind])
    counts = rng.geometric(n_users / (DRAWN * n_likes), n_users)
    users = np.repeat(np.arange(n_users, dtype=np.int32), counts)
    kinds = rng.integers(0, N_KINDS, (n_users, OWN_KINDS), np.int16)[users, rng.integers(0, OWN_KINDS, len(users))]
    before = np.append(0.0, within)
    low, high = before[ends[kinds]], before[ends[kinds + 1]]
    own = by_kind[np.minimum(np.searchsorted(within, low + rng.random(len(users)) * (high - low)), n_items - 1)]
    any_item = np.minimum(np.searchsorted(total, rng.random(len(users)) * total[-1]), n_items - 1)
    items = np.where(rng.random(len(users)) < SHARE, own, any_item).astype(np.int32)
    pairs = np.unique(users.astype(np.int64) * n_items + items)
    pairs = np.sort(rng.choice(pairs, min(n_likes, len(pairs)), replace=False, shuffle=False))
    return palate.read((pairs // n_items, pairs % n_items), kind="implicit")


def peak() -> int:
    """Megabytes that this process has needed at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Draw, fit, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    likes = drawn(parser.parse_args().scale)
    print(f"{len(likes):,} likes of {likes.n_items:,} items by {likes.n_users:,} users; {peak():,} MB to draw them")
    begun = time.perf_counter()
    rec = palate.SparseEASE().fit(likes)
    print(f"SparseEASE(): {time.perf_counter() - begun:.1f} s, {peak():,} MB at most; took {rec.model.training}")
    begun = time.perf_counter()
    rec.recommend(likes.user_vocabulary.labels[:1000].tolist(), n=10)
    print(f"1,000 lists: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
