"""What items are ranked by where ratings are no steps of a scale: the Normal around each prediction."""

from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

import palate

ITEMS = [f"i{at}" for at in range(30)]


@pytest.fixture(scope="module", params=[1.0, 0.1])
def rec(request):
    frame = palate.datasets.synthetic(40, 30, 800, seed=1).to_frame().select("user", "item", "rating")
    noise = pl.Series(np.random.default_rng(0).normal(0, 0.4, len(frame)))
    ratings = palate.read(frame.with_columns((pl.col("rating") + noise) * request.param))
    return palate.Bayes(n_factors=2, n_sweeps=8).fit(ratings, progress=False)


def scores(rec, **options):
    frame = rec.recommend("u1", n=30, keep_seen=True, **options)
    return {item: score for _, item, score, _ in frame.rows()}


def deviations(rec):
    """Of the rating of each item, by the width of its interval where nothing limits it."""
    low, high = rec.model.limits
    found = rec.predict(["u1"] * 30, ITEMS, level=0.1).rows()
    return {
        item: (mean, (above - below) / (2 * NormalDist().inv_cdf(0.55)))
        for _, item, mean, below, above in found
        if low < below < mean < above < high and abs(below + above - 2 * mean) < 1e-4
    }


def test_the_lower_end_is_as_far_below_the_prediction_as_its_level_says(rec):
    for level in (0.5, 0.9):
        lower, z = scores(rec, by="lower", level=level), NormalDist().inv_cdf((1 + level) / 2)
        known = deviations(rec)
        assert len(known) > 10
        for item, (mean, deviation) in known.items():
            expected = max(mean - z * deviation, rec.model.limits[0])
            assert lower[item] == pytest.approx(expected, abs=2e-3 * spread(rec))


def test_likely_is_the_probability_of_a_choice_times_that_of_a_rating_as_high(rec):
    propensity = dict(zip(ITEMS, propensities(rec), strict=True))
    for at_least in (0.4 * spread(rec), 0.7 * spread(rec)):
        likely = scores(rec, by="likely", at_least=at_least)
        for item, (mean, deviation) in deviations(rec).items():
            chance = 1 - NormalDist(mean, deviation).cdf(at_least)
            assert likely[item] == pytest.approx(propensity[item] * chance, rel=5e-3)


def spread(rec):
    low, high = rec.model.limits
    return high - low


def propensities(rec):
    user = rec.model.user_rows(rec.model.user_vocabulary.encode(["u1"]))
    found = rec.model.propensity.probabilities(user.codes, user.history)[0]
    return found[rec.model.item_vocabulary.encode(ITEMS)]


def test_the_most_similar_of_some_users_are_those_of_all_without_the_others():
    """Of a model of histories, whose own search knows no such choice."""
    ratings = palate.datasets.synthetic(40, 30, 800, seed=1)
    rec = palate.Neighbors(by="users", k=6).fit(ratings, progress=False)
    everyone = rec.similar_users("u1", n=40)
    some = [f"u{at}" for at in range(30, 0, -2)]
    expected = everyone.filter(pl.col("user").is_in(some)).drop("rank")
    assert len(expected) > 3
    for n in (1, 3, 40):
        found = rec.similar_users("u1", n=n, users=some)
        assert found.drop("rank").equals(expected.head(n))
        assert found["rank"].to_list() == [*range(1, len(found) + 1)]
