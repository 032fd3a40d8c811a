"""Sizes chosen by counts: bounds on memory and sweeps, for any number of ratings and rows."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.models.side_information import SideInfo
from palate.recipes.gibbs import sizes
from palate.recipes.gibbs.sizes import Sizes, history_of

some = settings(max_examples=200, deadline=None)


def of(n_ratings, n_rows):
    return Sizes(n_ratings, n_rows, n_rows)


@some
@given(st.integers(1, 10**9), st.integers(1, 10**8), st.integers(1, 64))
def test_kept_draws_are_bounded_by_the_ratings(n_ratings, n_rows, n_factors):
    kept = of(n_ratings, n_rows).n_samples(n_factors)
    size = 4 * kept * (n_factors + 1) * n_rows
    assert 4 <= kept <= 32
    assert size <= 2**24 + 112 * n_ratings or kept == 4
    one_more = size // kept * (kept + 1)
    assert one_more > 2**24 + 112 * n_ratings or kept == 32


@some
@given(st.integers(1, 10**9), st.integers(1, 10**8))
def test_the_work_of_all_sweeps_is_bounded_by_the_ratings(n_ratings, n_rows):
    """A row costs as much as 30 ratings; a rating is allowed 700, and all together 40 million."""
    sweeps = of(n_ratings, n_rows).max_sweeps
    assert 30 <= sweeps <= 200
    work_of_a_sweep, allowed = n_ratings + 30 * n_rows, 40_000_000 + 700 * n_ratings
    assert sweeps * work_of_a_sweep <= allowed or sweeps == 30
    assert (sweeps + 1) * work_of_a_sweep > allowed or sweeps == 200


def test_known_data_sets_get_what_they_had():
    """MovieLens: users and items with many ratings each."""
    for n_ratings, n_rows, n_factors in ((90_000, 2_600, 15), (90_000, 10_100, 15), (900_000, 9_700, 31)):
        chosen = of(n_ratings, n_rows)
        assert (chosen.n_factors, chosen.n_samples(n_factors)) == (n_factors, 32)
        assert chosen.max_sweeps >= 150


def test_few_ratings_a_row_have_fewer_factors_draws_and_sweeps():
    million = of(1_000_000, 550_000)
    assert (million.n_factors, million.n_samples(7), million.max_sweeps) == (7, 7, 42)
    assert of(1_000_000, 200_000).n_factors == 15


def test_only_rated_rows_count_for_what_depends_on_ratings_a_row():
    """A split keeps the vocabulary: rows without ratings cost memory, but say nothing of the others."""
    ratings = palate.read({"user": ["a", "b", "c"], "item": ["x", "y", "x"], "rating": [1, 2, 3]})
    assert Sizes.of(ratings) == Sizes(3, 5, 5)
    assert Sizes.of(ratings[[0]]) == Sizes(1, 2, 5)


def test_a_row_seen_often_has_a_column(monkeypatch):
    ratings = palate.read({"user": ["a", "b", "c"], "item": ["x", "y", "x"], "rating": [1, 2, 3]})
    assert history_of(ratings.by_user(), 2) == SideInfo(2)
    assert history_of(ratings.by_user(), 2).columns is None
    monkeypatch.setattr(sizes, "MIN_SEEN", 2)
    monkeypatch.setattr(sizes, "FEW_ROWS", 1)
    history = history_of(ratings.by_user(), 2)
    assert (history.n_history, history.columns.tolist()) == (1, [0, -1])
    history = history_of(ratings.by_item(), 3)
    assert (history.n_history, history.columns) == (0, None)


@pytest.mark.parametrize("given_", [{"n_factors": 3}, {"n_samples": 5}, {"n_factors": 3, "n_samples": 5}, {}])
def test_what_is_given_is_taken(given_):
    ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
    chosen = palate.Bayes(**given_).data_defaults(ratings)
    assert chosen == {name: value for name, value in {"n_factors": 15, "n_samples": 32}.items() if name not in given_}
    assert dataclasses.replace(palate.Bayes(**given_), **chosen).data_defaults(ratings) == {}


# ---- many rows


MEASURED = """
import json, resource, sys
import numpy as np, palate
n, n_users, n_items = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
users, items = np.append(rng.integers(0, n_users, n - n_users), np.arange(n_users)), rng.integers(0, n_items, n)
ratings = palate.read({"user": users, "item": items, "rating": rng.integers(1, 6, n)})
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
rec = palate.Bayes(n_sweeps=12).fit(ratings, progress=False)
print(json.dumps([len(ratings), ratings.n_users + ratings.n_items, before, peak()]))
"""


@pytest.mark.long
def test_memory_of_many_rows_is_bounded():
    """Of the whole process: 650 bytes a row; with 15 factors and all ten draws they are 1,500."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, json.dumps([150_000, 60_000, 60_000])],
        capture_output=True,
        text=True,
        check=True,
    )
    n_ratings, n_rows, before, after = json.loads(done.stdout)
    assert after - before < 150 * n_ratings + 700 * n_rows


def calls_of(work):
    """The number of Python functions that are called."""
    count = 0

    def counter(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counter)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_no_row_costs_a_call_of_python():
    """Also rows without ratings, whose vectors are drawn from the cold-start prior."""

    def calls(n):
        rng = np.random.default_rng(0)
        whole = palate.read({"user": np.arange(n), "item": rng.integers(0, n, n), "rating": rng.integers(1, 6, n)})
        ratings = whole[np.arange(0, n, 2)]
        ratings.by_user(), ratings.by_item()
        return calls_of(lambda: palate.Bayes(n_sweeps=4).fit(ratings, progress=False))

    calls(100)  # imports
    assert calls(4000) < 1.2 * calls(400)
