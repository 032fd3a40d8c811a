"""The steps of a rating scale at the end of a fit: cut points, and intervals that miss on both sides alike."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from palate import Recommender
from palate.data import plan
from palate.models.ordinal import OrderedSteps
from palate.models.step_distribution import StepDistribution
from palate.recipes.gibbs.cutpoints import fit_cuts
from palate.recipes.gibbs.steps import _numbers_of, _Sample

special = pytest.importorskip("scipy.special")

TOP_HEAVY = np.array([1.1, 1.8, 2.7, 3.9])  # cut points of a scale on which most ratings are 4 and 5
FEW_SWEEPS = palate.Bayes(n_factors=4, n_sweeps=25, n_samples=10)


def top_heavy(n=24_000, seed=0, values=(1, 2, 3, 4, 5), cuts=TOP_HEAVY):
    """Ratings of a top-heavy scale, by biases and noise."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(400, size=n), rng.integers(200, size=n)
    scores = 4.2 + 0.5 * rng.normal(size=400)[users] + 0.6 * rng.normal(size=200)[items] + 0.9 * rng.normal(size=n)
    ratings = np.array(values, float)[np.searchsorted(cuts, scores)]
    return palate.read({"user": users, "item": items, "rating": ratings}, duplicates="last")


@pytest.fixture(scope="module")
def parts():
    return palate.split_random(top_heavy(), test=0.3, seed=0)


@pytest.fixture(scope="module")
def rec(parts):
    return FEW_SWEEPS.fit(parts[0], progress=False)


def misses(rec, test, level=0.9):
    _, low, high = rec.predict_codes(test.user_codes, test.item_codes, level=level)
    return np.mean(test.values < low), np.mean(test.values > high)


def test_both_sides_of_an_interval_are_missed_alike(rec, parts):
    """The Normal intervals of the same model are missed below five times as often as above."""
    normal = Recommender(replace(rec.model, step_distribution=None))
    below, above = misses(normal, parts[1])
    assert below > 3 * above
    for level in (0.9, 0.5):
        for missed in misses(rec, parts[1], level):
            assert missed == pytest.approx((1 - level) / 2, rel=0.25)


def test_ordinal_ratings_have_the_same_intervals(parts):
    ordinal = replace(FEW_SWEEPS, likelihood="ordinal").fit(parts[0], progress=False)
    np.testing.assert_array_equal(ordinal.model.step_distribution.steps.cuts, ordinal.model.factors.steps.cuts)
    for missed in misses(ordinal, parts[1]):
        assert missed == pytest.approx(0.05, rel=0.3)


def test_probabilities_are_calibrated(rec, parts):
    test = parts[1]
    chances = rec.model.forecast(test.user_codes, test.item_codes).probabilities
    for k, value in enumerate(rec.model.step_distribution.steps.values):
        for some in np.array_split(np.argsort(chances[:, k]), 3):
            expected, n = chances[some, k].mean(), len(some)
            assert np.mean(test.values[some] == value) == pytest.approx(expected, abs=0.015 + 3 * np.sqrt(expected / n))


@pytest.mark.parametrize("values", [(0.5, 1, 2.5, 4, 5), (-7, -2, 0, 1, 40)])
def test_values_may_be_spaced_unevenly(values):
    train, test = palate.split_random(top_heavy(values=values), test=0.3, seed=0)
    rec = FEW_SWEEPS.fit(train, progress=False)
    assert rec.model.step_distribution.steps.values.tolist() == list(values)
    for missed in misses(rec, test):
        assert missed == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize(("values", "cuts"), [((0, 1), [3.5]), ((1, 2, 3), [2.5, 4.5])])
def test_two_or_three_steps(values, cuts):
    """Where a step is so probable that it is never left out, intervals hold more than they claim, not less."""
    train, test = palate.split_random(top_heavy(values=values, cuts=cuts), test=0.3, seed=0)
    rec = FEW_SWEEPS.fit(train, progress=False)
    assert len(rec.predict(rec.model.user_vocabulary.labels[0], 3, distribution=True).chances) == len(values)
    assert max(misses(rec, test)) < 0.08


def test_scales_without_steps_keep_normal_intervals():
    rng = np.random.default_rng(0)
    ratings = top_heavy(2000)
    for values in (rng.uniform(1, 5, len(ratings)), np.full(len(ratings), 3.0), rng.integers(0, 21, len(ratings))):
        frame = ratings.to_frame().with_columns(rating=values)
        fitted = replace(FEW_SWEEPS, n_sweeps=5).fit(palate.read(frame), progress=False)
        assert fitted.model.step_distribution is None
        mean, low, high = fitted.predict_codes(ratings.user_codes[:50], ratings.item_codes[:50], level=0.5)
        inside = (low > fitted.model.limits[0]) & (high < fitted.model.limits[1])
        np.testing.assert_allclose((high - mean)[inside], (mean - low)[inside], rtol=1e-6, atol=1e-9)


def test_a_rating_of_weight_two_counts_as_two():
    """The sample of a scale: what each rating of a step stands for."""
    ratings = top_heavy(3000)
    weights = np.random.default_rng(1).choice([1.0, 2.0], len(ratings)).astype(np.float32)
    sample = _Sample.of(ratings.with_weights(weights), np.unique(ratings.values), 100)
    totals = np.bincount(sample.steps, sample.counts)
    for k, value in enumerate(np.unique(ratings.values)):
        assert totals[k] == pytest.approx(weights[ratings.values == value].sum())
    assert len(sample.counts) <= 100


@pytest.mark.parametrize("least", [50, 700, 100_000])
def test_the_sample_is_the_same_in_any_order_and_by_any_blocks(least, monkeypatch):
    """Of each step it has the pairs with the smallest numbers, in the order of the users' rows."""
    ratings = top_heavy(3000)
    values = np.unique(ratings.values)
    whole = _Sample.of(ratings, values, 100)
    monkeypatch.setattr(plan, "MIN_RATINGS", least)
    for order in (slice(None), np.argsort(-ratings.user_codes, kind="stable")):
        found = _Sample.of(ratings[order], values, 100)
        for name, array in vars(whole).items():
            np.testing.assert_array_equal(getattr(found, name), array)
    numbers = _numbers_of(ratings.user_codes, ratings.item_codes)
    for step, value in enumerate(values):
        smallest = np.sort(numbers[ratings.values == value])[: 100 // len(values)]
        np.testing.assert_array_equal(np.sort(whole.numbers[whole.steps == step]), smallest)
        assert (np.diff(whole.user_codes[whole.steps == step]) >= 0).all()


def test_a_rare_step_keeps_its_rare_place():
    """A step that one rating in 6,000 has is in the sample, and is not thought common for that."""
    ratings = top_heavy(12_000)
    values = ratings.values.copy()
    values[[7, 5000]] = 0
    rec = FEW_SWEEPS.fit(palate.read(ratings.to_frame().with_columns(rating=values)), progress=False)
    chances = rec.model.forecast(ratings.user_codes, ratings.item_codes).probabilities
    assert chances.shape[1] == 6 and 0 < chances[:, 0].mean() < 1e-3


def test_cuts_are_the_most_likely_ones():
    """Against a plain search: no cut moved by a little makes the ratings more likely."""
    rng = np.random.default_rng(3)
    scores, deviations = rng.normal(3.5, 1, 5000), rng.choice([0.4, 0.9, 1.5], 5000)
    cuts, counts = np.array([1.0, 2.2, 2.9, 4.4]), rng.uniform(0.5, 2, 5000)
    steps = np.searchsorted(cuts, scores + deviations * rng.standard_normal(5000))
    found = fit_cuts(steps, scores, deviations, counts, np.array([1.5, 2.5, 3.5, 4.5]))
    np.testing.assert_allclose(found, cuts, atol=0.08)

    def log_likelihood(cuts):
        chances = StepDistribution(OrderedSteps(np.arange(5), cuts)).probabilities(scores, deviations)
        return counts @ np.log(chances[np.arange(5000), steps])

    best = log_likelihood(found)
    for k in range(4):
        for move in (-0.01, 0.01):
            assert log_likelihood(found + move * (np.arange(4) == k)) < best + 0.01


def test_what_reads_intervals_follows(rec):
    """Lists by lower ends and chances, folded-in users, compact models, saved ones: all by the same steps."""
    model = rec.model
    user = model.user_vocabulary.labels[5]
    told = rec.predict([user] * 9, list(range(9)), distribution=True)
    lower = rec.recommend(user, n=200, by="lower", keep_seen=True)
    ends = dict(zip(lower["item"], lower["score"], strict=True))
    np.testing.assert_allclose(np.clip([ends[item] for item in range(9)], 1, 5), told["low"], atol=0.02)
    chance = rec.recommend(user, n=200, by="chance", at_least=4, keep_seen=True)
    chances = dict(zip(chance["item"], chance["score"], strict=True))
    np.testing.assert_allclose([chances[item] for item in range(9)], told["chance_4"] + told["chance_5"], atol=0.01)
    new = rec.fold_in({0: 5, 3: 1}).predict([1, 2], distribution=True)
    np.testing.assert_allclose(sum(new[f"chance_{k}"] for k in range(1, 6)), 1, atol=1e-9)
    assert new.columns == [*told.columns[1:]]


def test_compact_models_keep_their_coverage(rec, parts):
    for missed in misses(rec.compact(), parts[1]):
        assert missed == pytest.approx(0.05, rel=0.3)


def test_updates_keep_steps_as_long_as_ratings_are_steps(rec):
    user, item = rec.model.user_vocabulary.labels[0], rec.model.item_vocabulary.labels[0]
    again = rec.update(palate.read({"user": [user, 9999], "item": [item, item], "rating": [4.0, 1.0]}))
    assert again.predict(9999, item, distribution=True).chances.keys() == {1, 2, 3, 4, 5}
    other = rec.update(palate.read({"user": [user], "item": [item], "rating": [4.5]}))
    assert other.model.step_distribution is None
    with pytest.raises(palate.errors.OptionError, match="2 to 20 different values"):
        other.predict(user, item, distribution=True)
    assert other.predict(user, item).low < other.predict(user, item).high
