"""What items are ranked by where ratings are no steps of a scale: the Normal around each prediction."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

import palate
from helpers.data import rows_of
from palate.answers.ranking import RecommendOptions, query_of
from palate.answers.ranking.filters import Lists
from palate.answers.ranking.scoring import ranks_by_products, ratings_of_products, scores_of
from palate.answers.ranking.top_n import is_product
from palate.models.effects import KeyedEffects, TimeEffects
from palate.models.factors import Factors, Prior

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


# ---- what the numbers are made of


@pytest.fixture(scope="module", params=["numbers", "stars", "ordered"])
def model(request):
    ratings = palate.datasets.synthetic(25, 15, 280, seed=2)
    if request.param == "numbers":
        frame = ratings.to_frame().select("user", "item", "rating")
        noise = pl.Series(np.random.default_rng(0).normal(0, 0.3, len(frame)))
        ratings = palate.read(frame.with_columns(pl.col("rating") + noise))
    likelihood = "ordinal" if request.param == "ordered" else "gaussian"
    recipe = palate.Bayes(n_factors=2, n_sweeps=8, n_samples=4, history=False, features=False, likelihood=likelihood)
    return recipe.fit(ratings, progress=False).model


CODES = np.array([3, -1, 0, 24], np.int32)


def asked(model, **options):
    return model.user_rows(CODES), query_of(model, RecommendOptions(5, **options))


def test_without_draws_and_for_the_mean_the_scores_are_predictions(model):
    rows, query = asked(model)
    np.testing.assert_array_equal(scores_of(model, rows, query), model.scores(rows))
    bare = replace(model, posterior=None)
    for by in ("lower", "thompson"):
        own = bare.user_rows(CODES)
        np.testing.assert_array_equal(scores_of(bare, own, replace(query, by=by)), bare.scores(own))
        undrawn = replace(rows, draw=None)
        np.testing.assert_array_equal(scores_of(model, undrawn, replace(query, by=by)), model.scores(rows))


def test_thompson_is_one_draw_of_each_user_by_the_seed(model):
    """Whoever else is asked about; and all unknown users share a draw."""
    found = {}
    for seed in (0, 5):
        rows, query = asked(model, by="thompson", seed=seed)
        found[seed] = scores_of(model, rows, query)
        drawn = np.random.Generator(np.random.Philox(seed)).integers(len(model.posterior), size=26)
        for at, code in enumerate(CODES):
            s = int(drawn[code])
            one = model.posterior.draw_scores(rows.draws[s][[at]], s)
            np.testing.assert_allclose(found[seed][at], model.factors.ratings_at(one)[0], rtol=1e-6)
        alone = scores_of(model, model.user_rows(CODES[3:]), query)
        np.testing.assert_allclose(alone[0], found[seed][3], rtol=1e-6)
    assert (found[0] != found[5]).any()


def latent(model, rows):
    """Center and deviation of what falls into steps, or of the rating itself."""
    variance = model.posterior.score_variance(rows.draws)
    if model.factors.steps is not None:
        return model.factors.raw_scores(rows.vectors), np.sqrt(1 + variance), variance
    noise = np.where(CODES < 0, model.noise, model.noise if model.user_noise is None else model.user_noise[CODES])
    noise = noise[:, None] if model.item_noise is None else model.item_noise
    return model.scores(rows), np.sqrt(variance + noise**2), variance


def test_the_lower_end_lies_below_the_prediction_by_what_is_not_known(model):
    z = NormalDist().inv_cdf(0.9)
    rows, query = asked(model, by="lower", level=0.8)
    noises = [{}, {"user_noise": np.linspace(0.2, 2, 25, dtype=np.float32)},
              {"item_noise": np.linspace(0.2, 2, 15, dtype=np.float32)}]  # fmt: skip
    for noise in noises if model.step_distribution is None else [{}]:
        own = replace(model, **noise)
        center, deviation, variance = latent(own, rows)
        found = scores_of(own, rows, query)
        assert found.dtype == np.float32
        if own.step_distribution is None:
            np.testing.assert_allclose(found, center - z * deviation, rtol=1e-4, atol=1e-4)
            continue
        assert own.step_distribution.tails is not None
        mean = center if own.factors.steps is None else own.factors.steps.expected(center, variance)
        low = own.step_distribution.lower_end(0.8, center, deviation)
        np.testing.assert_allclose(found, np.minimum(low, mean), rtol=1e-4, atol=1e-4)
        untold = replace(own, step_distribution=replace(own.step_distribution, tails=None))
        if own.factors.steps is not None:
            mean, spread = own.factors.steps.moments(center, variance)
            deviation = np.sqrt(spread)
        np.testing.assert_allclose(scores_of(untold, rows, query), mean - z * deviation, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at_least", [2.0, 3.5, 4.0])
def test_a_chance_is_that_of_the_normal_beyond_the_middle_between_two_steps(model, at_least):
    rows, query = asked(model)
    for by in ("chance", "likely"):
        query = replace(query, by=by, at_least=at_least)
        center, deviation, _ = latent(model, rows)
        factor = model.propensity.probabilities(rows.codes, rows.history) if by == "likely" else 1.0
        if model.step_distribution is not None:
            expected = model.step_distribution.at_least(center, deviation, at_least)
            np.testing.assert_allclose(scores_of(model, rows, query), factor * expected, rtol=1e-5)
            if model.factors.steps is not None:
                continue
        plain = replace(model, step_distribution=None)
        threshold = at_least - plain.rating_step / 2
        assert (plain.rating_step > 0) == (model.step_distribution is not None)
        chance = [[NormalDist().cdf(one) for one in row] for row in (center - threshold) / deviation]
        np.testing.assert_allclose(scores_of(plain, rows, query), factor * np.array(chance), rtol=1e-3, atol=1e-6)


def test_without_draws_and_noise_a_chance_is_all_or_nothing(model):
    if model.factors.steps is not None:
        return
    sure = replace(model, posterior=None, noise=0.0, user_noise=None, item_noise=None, step_distribution=None)
    rows, query = asked(sure)
    query = replace(query, by="likely", at_least=3.0)
    threshold = 3.0 - sure.rating_step / 2
    factor = sure.propensity.probabilities(rows.codes, rows.history)
    expected = factor * (sure.scores(rows) > threshold)
    np.testing.assert_allclose(scores_of(sure, rows, query), expected, atol=1e-6)


def test_times_that_are_not_known_make_latents_less_certain(model):
    days = KeyedEffects(0.5, np.array([1]), np.float32([0.5]), np.float32([0.04]))
    timed = replace(model, effects=TimeEffects(days=days))
    rows, query = asked(timed, by="lower", level=0.8)
    plain, less = scores_of(model, rows, query), scores_of(timed, rows, query)
    if model.factors.steps is None:
        np.testing.assert_array_equal(less, plain)  # there the noise holds them
        return
    center, _, variance = latent(model, rows)
    low = model.step_distribution.lower_end(0.8, center, np.sqrt(1.5 + variance))
    mean = model.factors.steps.expected(center, variance + np.float32(0.5))
    np.testing.assert_allclose(less, np.minimum(low, mean), rtol=1e-4, atol=1e-4)
    assert (less < plain).any()


def test_products_alone_order_items_only_by_their_mean_and_without_lists(model):
    _, query = asked(model)
    assert ranks_by_products(model, query) == (model.factors.steps is None or is_product(model.factors))
    assert not ranks_by_products(model, replace(query, by="lower"))
    lists = Lists(rows_of([[1]]), np.zeros(1, np.int64))
    assert not ranks_by_products(model, replace(query, included_lists=lists))
    assert ranks_by_products(model, replace(query, excluded_lists=lists)) == ranks_by_products(model, query)


def test_ratings_of_products_never_rise_along_a_list():
    prior, vectors = Prior.flat(2, ridge=0.1), np.zeros((1, 2), np.float32)
    factors = Factors(3.0, vectors, vectors, prior, prior, 2.0)
    products = np.float32([[1.0, 0.5, 0.75, -np.inf], [0.25, 0.0, -1.0, -1.5]])
    assert ratings_of_products(factors, products).tolist() == [[5.0, 4.0, 4.0, -np.inf], [3.5, 3.0, 1.0, 0.0]]
