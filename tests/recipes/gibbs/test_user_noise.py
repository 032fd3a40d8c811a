"""User noise: its draws against their distribution, planted noise recovered, and its part in intervals and fold-in."""

import numpy as np
import pytest
from scipy import stats

import palate
from palate.recipes.gibbs.chain import FREEDOM, UserNoise


def test_precisions_are_drawn_from_their_gamma():
    counts = np.repeat([0, 3, 50], 4000)
    squares = np.repeat([0.0, 5.0, 20.0], 4000)
    noise, rng = UserNoise(counts), np.random.default_rng(0)
    noise.draw(squares, 1.5, rng)
    first = noise.precisions.astype(np.float64)
    noise.draw(first * squares, 1.5, rng)  # what the kernel gives: errors weighed by the present precisions
    for drawn in (first, noise.precisions):
        for count, square in ((0, 0.0), (3, 5.0), (50, 20.0)):
            law = stats.gamma((FREEDOM + count) / 2, scale=2 / (FREEDOM + 1.5 * square))
            assert stats.kstest(drawn[counts == count], law.cdf).pvalue > 1e-3


def noisy_ratings(seed=0):
    """Ratings of 200 users, every second one four times as noisy."""
    rng = np.random.default_rng(seed)
    users, items = (codes.ravel() for codes in np.meshgrid(np.arange(200), np.arange(60), indexing="ij"))
    there = rng.random(len(users)) < 0.6
    users, items = users[there], items[there]
    levels = np.where(np.arange(200) % 2, 2.0, 0.5)
    values = (
        5 + rng.normal(0, 1, 200)[users] + rng.normal(0, 1, 60)[items] + levels[users] * rng.normal(size=len(users))
    )
    names = {side: palate.Vocabulary(range(n), what=side) for side, n in (("user", 200), ("item", 60))}
    ratings = palate.Ratings(users, items, values, user_vocabulary=names["user"], item_vocabulary=names["item"])
    return palate.split_random(ratings, test=0.2, seed=1), levels


def test_the_noise_of_each_user_is_recovered_and_improves_intervals():
    (train, test), levels = noisy_ratings()
    rmse, covered = {}, {}
    for user_noise in (False, True):
        rec = palate.Bayes(n_factors=2, n_sweeps=60, user_noise=user_noise).fit(train)
        predicted, low, high = rec.predict_codes(test.user_codes, test.item_codes)
        rmse[user_noise] = np.sqrt(np.mean((predicted - test.values) ** 2))
        inside = (low <= test.values) & (test.values <= high)
        covered[user_noise] = [inside[levels[test.user_codes] == level].mean() for level in (0.5, 2.0)]
    noisy = levels > 1  # what is found lies nearer to what is usual than the truth does
    assert rec.model.user_noise[noisy].min() > rec.model.user_noise[~noisy].max()
    assert np.abs(np.log(rec.model.user_noise / levels)).mean() < 0.25
    assert rmse[True] < rmse[False]
    off = {which: np.abs(np.array(shares) - 0.9).max() for which, shares in covered.items()}
    assert off[True] < 0.08
    assert off[True] < off[False] / 1.5


def test_the_noise_stays_with_its_user():
    (train, _), _ = noisy_ratings()
    rec = palate.Bayes(n_factors=2, n_sweeps=30).fit(train)
    wide, narrow = rec.predict(1, 3), rec.predict(0, 3)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    both = rec.model.transposed().forecast(np.array([3, 3], np.int32), np.array([1, 0], np.int32))
    one = rec.model.forecast(np.array([1, 0], np.int32), np.array([3, 3], np.int32))
    np.testing.assert_allclose(both.standard_deviation, one.standard_deviation, rtol=1e-5)
    anybody = rec.predict("nobody yet" if rec.model.user_vocabulary.kind == "string" else 10_000, 3)
    assert narrow.high - narrow.low < anybody.high - anybody.low
    compact = rec.compact()
    assert compact.predict(1, 3).low < compact.predict(0, 3).low
    item = rec.fold_in({0: 9.0, 1: 1.0}, side="item")  # a consistent user counts more
    assert item.predict(7).prediction > rec.fold_in({0: 1.0, 1: 9.0}, side="item").predict(7).prediction


def test_the_noise_of_a_typical_rating_is_a_weighted_mean():
    ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
    weights = np.where(ratings.user_codes < 20, 9, 1)
    model = palate.Bayes(n_sweeps=30, user_noise=True).fit(ratings.with_weights(weights)).model
    by_user = np.bincount(ratings.user_codes, weights)
    assert model.noise == pytest.approx(np.sqrt(np.average(model.user_noise**2, weights=by_user)), rel=1e-5)
