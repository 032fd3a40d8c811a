"""Very many synthetic ratings, shaped as those of the Netflix Prize: a stream of blocks, Parquet files and flat arrays.

`python benchmarks/many_ratings.py FOLDER --n 1e8` draws 100 million ratings of 18,000 items by 480,000 users: whole
numbers from 1 to 5, in random order, a hundredth of them held out. Any n from 1e4 to 2e8 and beyond: users and items
both grow as sqrt(n), so that the share of observed pairs stays 1.16%; or, for growth.py, users grow as n, so that each
has 208 ratings whatever n.

Who rates what. User u has an activity a_u and belongs to a group g; a pair is rated with probability
1 - exp(-a_u w_gi), independently of all others, so that no pair comes twice. The weights w are such that the expected
numbers of ratings of users and of items are those wanted: log-normal, as in the Netflix Prize (mean 209 a user and
5,654 an item, median 96 and 561), up to 98% of all items for a user, and to half of all users for an item. A group
chooses more of what it will like.

How it is rated. The rating is 3.4 + b_u + c_i + p_u . q_i + noise, rounded and clipped to 1 to 5; p and q have 20
factors, and users of a group have a mean in common. `error_of_truth` is the RMSE of the best prediction there is.

All random numbers are keyed by the seed and the block of users, so the same n and seed give the same ratings. Needs
0.5 GB of memory at 1e8, and on disk 9 bytes a rating besides what is written.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import peak_mb

from palate.kernels import predict_pairs

NETFLIX = 100_000_000, 480_000, 18_000  # ratings, users, items
HELD_OUT = 0.01
N_FACTORS, N_GROUPS = 20, 50
USER_SPREAD, ITEM_SPREAD = 1.25, 2.3  # standard deviations of the logarithms of how many ratings they have
MOST_OF_ITEMS, MOST_OF_USERS = 0.98, 0.5  # that a user rates, and that rate an item
TASTE = 1.5  # how much more a group chooses of what it likes
MEAN, USER_BIAS, ITEM_BIAS, FACTORS, NOISE = 3.4, 0.4, 0.45, 0.5, 0.87  # mean and standard deviations of a rating
DENSE = 0.25  # points of a user for each item, from which on a number is drawn for each item instead
DRAWN_AT_ONCE, PART = 1_500_000, 1_000_000  # points in a block of users; ratings in a file
ROW = np.dtype([("user", "<i4"), ("item", "<i4"), ("rating", "i1")])
Rows = np.ndarray[Any, np.dtype[np.void]]  # of ROW
Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]


def shape_of(n: float, *, more_users: bool = False) -> tuple[int, int]:
    """Numbers of users and items for n ratings; more_users: each user has as many ratings, whatever n."""
    total, users, items = NETFLIX
    root = np.sqrt(n / total)
    return round(users * (root**2 if more_users else root)), round(items * root)


@dataclass(frozen=True)
class Planted:
    """What the ratings come from.

    users, items: factors and last the bias, (n_users, 21) and (n_items, 21); groups: of each user; activities: a_u;
    weights: w of each group, (50, n_items); seed: of the ratings.
    """

    users: Floats
    items: Floats
    groups: np.ndarray[Any, np.dtype[np.int64]]
    activities: Doubles
    weights: Doubles
    seed: int

    @classmethod
    def of(cls, n: float, seed: int = 0, *, more_users: bool = False) -> Planted:
        """Draw it for about n ratings."""
        rng = np.random.default_rng([seed, 0])
        n_users, n_items = shape_of(n, more_users=more_users)
        counts = _margin(rng, n_users, n / n_users, USER_SPREAD, MOST_OF_ITEMS * n_items)
        wanted = _margin(rng, n_items, n / n_items, ITEM_SPREAD, MOST_OF_USERS * n_users)
        sizes = np.sqrt(1 / np.arange(2, N_FACTORS + 2))  # of the factors: the first ones matter most
        sizes *= np.sqrt(FACTORS / np.linalg.norm(sizes**2))
        groups = rng.integers(0, N_GROUPS, n_users)
        centers = rng.standard_normal((N_GROUPS, N_FACTORS))
        users = (centers[groups] + rng.standard_normal((n_users, N_FACTORS))) * np.sqrt(0.5)
        items = rng.standard_normal((n_items, N_FACTORS))
        liking = (centers * sizes) @ (items * sizes).T
        weights = _weights(counts, wanted, np.exp(TASTE * liking / liking.std()))
        activities = np.empty(n_users)
        for group in range(N_GROUPS):
            activities[groups == group] = _activities(counts[groups == group], weights[group])
        return cls(
            _with_bias(rng, users * sizes, USER_BIAS), _with_bias(rng, items * sizes, ITEM_BIAS), groups,
            activities, weights, seed,
        )  # fmt: skip

    def blocks(self) -> Iterator[Rows]:
        """All ratings, by blocks of consecutive users; within a block by group, user and item."""
        drawn = self.activities * self.weights.sum(axis=1)[self.groups]
        work = np.cumsum(np.minimum(drawn, DENSE * len(self.items)))
        ends = np.searchsorted(work, np.arange(1, work[-1] / DRAWN_AT_ONCE) * DRAWN_AT_ONCE)
        bounds = np.unique([0, *ends, len(work)])
        for first, last in pairwise(bounds.tolist()):
            yield self._block(np.arange(first, last), np.random.default_rng([self.seed, 1, first]))

    def _block(self, users: np.ndarray[Any, Any], rng: np.random.Generator) -> Rows:
        totals = self.weights.sum(axis=1)
        pairs = []
        for group in np.unique(self.groups[users]):
            own = users[self.groups[users] == group]
            is_dense = self.activities[own] * totals[group] > DENSE * len(self.items)
            pairs.append(_sparse(rng, own[~is_dense], self.activities[own[~is_dense]], self.weights[group]))
            pairs.append(_dense(rng, own[is_dense], self.activities[own[is_dense]], self.weights[group]))
        rows = np.empty(sum(len(items) for _, items in pairs), ROW)
        rows["user"] = np.concatenate([users for users, _ in pairs])
        rows["item"] = np.concatenate([items for _, items in pairs])
        noisy = self.scores(rows) + np.float32(NOISE) * rng.standard_normal(len(rows), np.float32)
        rows["rating"] = np.clip(np.rint(noisy), 1, 5)
        return rows

    def scores(self, rows: Rows) -> Floats:
        """What is rated before noise and rounding."""
        codes = rows["user"].copy(), rows["item"].copy()
        return predict_pairs(self.users, self.items, *codes, bias=True, center=MEAN, n_threads=1)

    def error_of_truth(self, rows: Rows) -> float:
        """The RMSE of E[rating | scores]: no prediction can be better, but for luck."""
        from scipy.special import ndtr

        scores = self.scores(rows)
        expected = 1 + sum(ndtr((scores - step) / NOISE) for step in (1.5, 2.5, 3.5, 4.5))
        return float(np.sqrt(np.mean((expected - rows["rating"]) ** 2)))


def _with_bias(rng: np.random.Generator, factors: Doubles, spread: float) -> Floats:
    return np.column_stack([factors, spread * rng.standard_normal(len(factors))]).astype(np.float32)


def _margin(rng: np.random.Generator, n_rows: int, mean: float, spread: float, most: float) -> Doubles:
    """Expected numbers of ratings of rows: log-normal, bent so that none is above `most`, with this mean."""
    raw = np.exp(spread * rng.standard_normal(n_rows))

    def bent(scale: float) -> Doubles:
        return np.maximum(1.0, ((scale * raw) ** -2 + most**-2) ** -0.5)

    low, high = 1e-6 * mean, 1e6 * mean
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if bent(middle).mean() < mean else (low, middle)
    return bent(low)


def _activities(counts: Doubles, weights: Doubles) -> Doubles:
    """Activities such that sum_i 1 - exp(-a w_i) is the number wanted, for each."""
    grid = np.exp(np.linspace(np.log(0.01 / weights.sum()), np.log(30 / weights.min()), 60))
    reached = np.array([-np.expm1(-each * weights).sum() for each in grid])
    return np.exp(np.interp(np.log(counts), np.log(reached), np.log(grid)))


def _weights(counts: Doubles, wanted: Doubles, tilts: Doubles) -> Doubles:
    """Weights in proportion to the tilt of a group, such that each item gets the number of ratings that is wanted."""
    sample = np.quantile(counts, (np.arange(25) + 0.5) / 25)  # stands for all users of a group
    wanted = wanted * (sample.mean() * len(counts) / wanted.sum())
    weights = tilts * (wanted / wanted.sum() / tilts.mean(axis=0))
    for _ in range(10):
        reached = np.zeros(len(wanted))
        for own in weights:
            reached -= np.expm1(-np.outer(_activities(sample, own), own)).mean(axis=0)
        weights *= wanted / (reached * len(counts) / len(weights))
    return weights


def _sparse(rng: np.random.Generator, users: Any, activities: Doubles, weights: Doubles) -> tuple[Any, Any]:
    """Pairs by a Poisson process on a line on which each user has a stretch of a_u sum(w), and in it each item a_u w_i.

    Items with at least one point are rated, which has the probability 1 - exp(-a_u w_i).
    """
    cumulated = np.cumsum(weights)
    ends = np.cumsum(activities * cumulated[-1])
    length = ends[-1] if len(ends) else 0.0
    points = np.cumsum(rng.standard_exponential(int(length + 8 * np.sqrt(length) + 20)))
    upto = np.searchsorted(points, ends)
    row = np.repeat(np.arange(len(users)), np.diff(upto, prepend=0))
    within = (points[: len(row)] - (ends - activities * cumulated[-1])[row]) / activities[row]
    items = np.minimum(np.searchsorted(cumulated, within), len(weights) - 1)
    is_new = np.append(True, (items[1:] != items[:-1]) | (row[1:] != row[:-1]))[: len(row)]
    return users[row[is_new]], items[is_new]


def _dense(rng: np.random.Generator, users: Any, activities: Doubles, weights: Doubles) -> tuple[Any, Any]:
    """The pairs of users who rate a large part of all items: one number for each item."""
    rates = np.multiply.outer(activities.astype(np.float32), weights.astype(np.float32))
    row, items = np.nonzero(rng.random(rates.shape, np.float32) < -np.expm1(-rates))
    return users[row], items


def shuffled(planted: Planted, folder: Path, n_parts: int) -> Iterator[tuple[str, Rows]]:
    """All ratings in random order: "part-00000" and its rows, and so on; last "held-out" and what is held out.

    Each rating goes to a file of a random part, and each file is then put into random order.
    """
    names = [*(f"part-{part:05d}" for part in range(n_parts)), "held-out"]
    with tempfile.TemporaryDirectory(dir=folder) as spilled:
        paths = [Path(spilled) / name for name in names]
        for number, rows in enumerate(planted.blocks()):
            rng = np.random.default_rng([planted.seed, 2, number])
            parts = rng.integers(0, n_parts, len(rows), np.uint8)
            parts[rng.random(len(rows)) < HELD_OUT] = n_parts
            order = np.argsort(parts, kind="stable")
            ends = np.cumsum(np.bincount(parts, minlength=n_parts + 1))
            for path, own in zip(paths, np.split(rows[order], ends[:-1]), strict=True):
                with path.open("ab") as file:
                    file.write(own.tobytes())
        for part, path in enumerate(paths):
            rows = np.fromfile(path, ROW)
            path.unlink()
            yield path.name, np.random.default_rng([planted.seed, 3, part]).permutation(rows)


def write(folder: Path, n: float, seed: int = 0, *, arrays: bool = True, more_users: bool = False) -> dict[str, Any]:
    """Write FOLDER/part-*.parquet and held-out.parquet, and with `arrays` also train-user.bin, ..., held-rating.bin.

    Arrays have no header: user and item are int32, rating int8. shape.json has what is returned: the numbers of users,
    items and ratings, and the error of truth on what is held out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    planted = Planted.of(n, seed, more_users=more_users)
    counts = {"train": 0, "held": 0}
    for name, rows in shuffled(planted, folder, min(200, max(1, round(n / PART)))):
        columns = {column: np.ascontiguousarray(rows[column]) for column in ROW.names or ()}
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet", compression="lz4")
        kind = "held" if name == "held-out" else "train"
        if arrays:
            append(folder, kind, columns, is_new=not counts[kind])
        counts[kind] += len(rows)
    told = {"n_users": len(planted.users), "n_items": len(planted.items), **counts}
    told["error_of_truth"] = planted.error_of_truth(rows)
    (folder / "shape.json").write_text(json.dumps(told))
    return told


def append(folder: Path, kind: str, columns: dict[str, Any], *, is_new: bool) -> None:
    """Append columns to their flat files."""
    for column, values in columns.items():
        with (folder / f"{kind}-{column}.bin").open("wb" if is_new else "ab") as file:
            file.write(values.tobytes())


def main() -> None:
    """Draw, write, tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=float, default=1e8, help="about how many ratings, default 1e8")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.perf_counter()
    told = write(options.folder, options.n, options.seed)
    seconds = f"{time.perf_counter() - begun:.1f} s ({time.process_time():.1f} s of processor)"
    print(f"{json.dumps(told)} in {seconds}, {peak_mb():.0f} MB at most")


if __name__ == "__main__":
    main()
