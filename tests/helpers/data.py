"""Small ratings that several test files share, planted so that the truth is known."""

import numpy as np
import polars as pl

import palate
from palate.data.datasets import synthetic, synthetic_factors
from palate.data.rows import CompressedRows

UNEVEN = np.array([-2.4, -1.9, -0.2, 0.4])  # of five stars: twos and fours are rare
CUTS = np.array([-2.6, -1.2, 0.2, 1.8])
NOW, DAY = 1_700_000_000, 86_400
KINDS = ["tea", "jam", "milk"]


def rows_of(lists, weights=None):
    """Compressed rows with these codes in each, every rating a 3."""
    indptr = np.concatenate([[0], np.cumsum([len(codes) for codes in lists])]).astype(np.int64)
    indices = np.array([code for codes in lists for code in codes], np.int32)
    weights = None if weights is None else np.array(weights, np.float32)[: len(indices)]
    return CompressedRows(indptr, indices, np.full(len(indices), 3, np.float32), weights)


def with_values(ratings, values, **more):
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    return palate.Ratings(ratings.user_codes, ratings.item_codes, values, **vocabularies, **more)


def planted(n_users=300, n_items=100, n=12_000, cuts=UNEVEN, values=(1, 2, 3, 4, 5), seed=1):
    """(ratings, scores): each rating is the step in which score + Normal(0, 1) falls."""
    cells = synthetic(n_users, n_items, n, n_factors=2, seed=seed)
    scores = 2 * (synthetic_factors(n_users, n_items, 2, seed).scores(cells.user_codes, cells.item_codes) - 3.5)
    latents = scores + np.random.default_rng(seed).standard_normal(n)
    return with_values(cells, np.array(values, np.float32)[np.searchsorted(cuts, latents)]), scores


def told_and_timed():
    """150 users in sittings of ten with a mood each, and items whose kind is liked or not; all else is drawn."""
    cells = synthetic(150, 60, 5000, n_factors=2, seed=2)
    users, items = cells.user_codes, cells.item_codes
    order = np.argsort(users, kind="stable")
    rank = np.empty(5000, np.int64)
    rank[order] = np.arange(5000) - np.searchsorted(users[order], users[order])
    rng = np.random.default_rng(3)
    mood = rng.normal(0, 1, (150, rank.max() // 10 + 1))[users, rank // 10]
    liked = np.array([-0.8, 0.0, 0.8])[items % 3]
    scores = 1.5 * (synthetic_factors(150, 60, 2, 2).scores(users, items) - 3.5) + mood + liked
    values = 1 + np.searchsorted(CUTS, scores + rng.standard_normal(5000)).astype(np.float32)
    return palate.Ratings(
        users, items, values, times=NOW + (rank // 10) * 3 * DAY + (rank % 10) * 20 + users * 7,
        user_vocabulary=cells.user_vocabulary, item_vocabulary=cells.item_vocabulary,
        user_table=pl.DataFrame({"age": rng.integers(18, 70, 150)}),
        item_table=pl.DataFrame({"kind": [KINDS[code % 3] for code in range(60)]}),
    )  # fmt: skip


def ratings_of(user_codes, item_codes, values, n_users, n_items, **more):
    """Ratings of users u0, u1, ... and items i0, i1, ..., with or without ratings."""
    vocabularies = {
        "user_vocabulary": palate.Vocabulary.in_order([f"u{n}" for n in range(n_users)], what="user"),
        "item_vocabulary": palate.Vocabulary.in_order([f"i{n}" for n in range(n_items)], what="item"),
    }
    return palate.Ratings(user_codes, item_codes, np.asarray(values, np.float32), **vocabularies, **more)


def dense_of(rows, n_columns):
    """Compressed rows as a dense matrix, (n_rows, n_columns)."""
    out = np.zeros((rows.n_rows, n_columns))
    np.add.at(out, (np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices), rows.values)
    return out


def ratings_with_jobs(n_users=500, n_items=100, per_user=10, n_jobs=4, noise=0.5, cold=0.0, seed=0):
    """Users with one of n_jobs, which explains most of their taste: (ratings, truth of all pairs, jobs of users).

    The last share `cold` of users has no ratings.
    """
    rng = np.random.default_rng(seed)
    jobs = rng.integers(0, n_jobs, n_users)
    users = rng.standard_normal((n_jobs, 4))[jobs] + 0.3 * rng.standard_normal((n_users, 4))
    items = rng.standard_normal((n_items, 4)) / 2
    truth = 3 + users[:, :3] @ items[:, :3].T + 0.5 * users[:, 3:] + items[:, 3]
    n_rated = round(n_users * (1 - cold))
    codes = np.concatenate([rng.choice(n_items, per_user, replace=False) for _ in range(n_rated)])
    rows = np.repeat(np.arange(n_rated), per_user)
    values = truth[rows, codes] + noise * rng.standard_normal(len(rows))
    table = pl.DataFrame({"job": [f"job {job}" for job in jobs]})
    return ratings_of(rows, codes, values, n_users, n_items, user_table=table), truth, jobs
