"""Synthetic ratings: exactly n_ratings of them, no pair twice, skewed, and drawn from their factors."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.datasets import planted as _synthetic
from palate.data.datasets import synthetic, synthetic_factors
from palate.errors import OptionError


def pairs(ratings):
    return ratings.user_codes.astype(np.int64) * ratings.n_items + ratings.item_codes


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.001, 1), st.integers(0, 99), st.sampled_from([0, 0.8, 3]))
def test_sizes_are_exact_and_no_pair_comes_twice(n_users, n_items, share, seed, skew):
    n_ratings = max(1, int(n_users * n_items * share))
    ratings = synthetic(n_users, n_items, n_ratings, n_factors=3, seed=seed, skew=skew)
    assert (len(ratings), ratings.n_users, ratings.n_items) == (n_ratings, n_users, n_items)
    assert len(np.unique(pairs(ratings))) == n_ratings
    assert set(ratings.values.tolist()) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    if n_ratings >= n_users:
        assert len(np.unique(ratings.user_codes)) == n_users


def test_labels_say_their_code():
    ratings = synthetic(30, 12, 40)
    assert ratings.user_vocabulary.encode_one("u27") == 27
    assert ratings.item_vocabulary.encode_one("i11") == 11


def test_blocks_cover_all_users(monkeypatch):
    monkeypatch.setattr(_synthetic, "_BLOCK", 100)
    monkeypatch.setattr(_synthetic, "_CELLS", 100)
    ratings = synthetic(50, 40, 1_700, seed=1)
    assert len(np.unique(pairs(ratings))) == 1_700


def test_same_seed_same_ratings():
    first, again, other = (synthetic(seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(pairs(first), pairs(again))
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(pairs(first), pairs(other))


def test_the_factors_are_the_truth_behind_the_ratings():
    ratings = synthetic(300, 200, 20_000, n_factors=8, noise=0.5, seed=5, step=None, scale=(-1e9, 1e9))
    truth = synthetic_factors(300, 200, n_factors=8, seed=5)
    errors = ratings.values - truth.scores(ratings.user_codes, ratings.item_codes)
    assert abs(errors.mean()) < 0.02
    assert errors.std() == pytest.approx(0.5, rel=0.03)
    assert abs(np.corrcoef(errors, ratings.values - errors)[0, 1]) < 0.03
    user, item = ratings.user_codes[7], ratings.item_codes[7]
    by_hand = truth.mean + truth.user_bias[user] + truth.item_bias[item]
    by_hand += truth.user_factors[user] @ truth.item_factors[item]
    assert truth.scores([user], [item])[0] == pytest.approx(by_hand, rel=1e-5)


def test_without_noise_the_ratings_are_the_rounded_and_clipped_truth():
    ratings = synthetic(60, 50, 1_000, noise=0, seed=2, step=0.5, scale=(0.5, 5))
    truth = synthetic_factors(60, 50, seed=2).scores(ratings.user_codes, ratings.item_codes)
    np.testing.assert_allclose(ratings.values, np.clip(np.round(truth * 2) / 2, 0.5, 5))


def test_the_spread_is_the_stated_one():
    truth = synthetic_factors(2_000, 2_000, n_factors=20, seed=0)
    products = truth.user_factors @ truth.item_factors.T
    assert products.std() == pytest.approx(0.6, rel=0.05)
    assert truth.user_bias.std() == pytest.approx(0.4, rel=0.1)


def test_popularity_is_skewed_as_asked():
    shares = {}
    for skew in (0, 0.8):
        counts = np.sort(np.bincount(synthetic(2_000, 1_000, 40_000, skew=skew).item_codes, minlength=1_000))
        shares[skew] = counts[-100:].sum() / 40_000
    ranks = np.arange(1, 1_001) ** -0.8
    assert shares[0] == pytest.approx(0.1, abs=0.04)
    assert shares[0.8] == pytest.approx(ranks[:100].sum() / ranks.sum(), abs=0.08)
    activity = np.bincount(synthetic(2_000, 1_000, 40_000).user_codes)
    assert activity.max() > 8 * np.median(activity)


@pytest.mark.parametrize("rounds", [0, 1, 50])
def test_items_are_drawn_as_one_by_one_without_replacement(monkeypatch, rounds):
    """Whether by repeated tries or by exponential keys: the chance of each pair of items is the sequential one."""
    monkeypatch.setattr(_synthetic, "_ROUNDS", rounds)
    popularity = np.array([5.0, 2.0, 1.0, 1.0])
    n = 40_000
    drawn = _synthetic._draw_items(np.random.default_rng(0), np.full(n, 2), popularity).reshape(n, 2)
    chance = popularity / popularity.sum()
    for first in range(4):
        for second in range(first + 1, 4):
            a, b = chance[first], chance[second]
            expected = a * b / (1 - a) + b * a / (1 - b)
            found = ((drawn[:, 0] == first) & (drawn[:, 1] == second)).mean()
            assert found == pytest.approx(expected, abs=4 * np.sqrt(expected / n))


def test_a_million_take_about_a_second():
    start = time.perf_counter()
    synthetic(7_000, 5_000, 1_000_000)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_users": 0}, "n_users must be a whole number, 1 or more, got 0"),
        ({"n_items": 2.5}, "n_items must be a whole number"),
        ({"n_factors": True}, "n_factors must be a whole number"),
        ({"n_users": 3, "n_items": 3, "n_ratings": 10}, "only 9 pairs"),
        ({"noise": -1}, "noise=-1"),
        ({"noise": float("nan")}, "noise=nan"),
        ({"skew": 11}, "skew=11"),
        ({"scale": (5, 1)}, r"scale=\(5, 1\)"),
        ({"step": 0}, "step=0"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(OptionError, match=sentence):
        synthetic(**options)
