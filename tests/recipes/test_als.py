"""ALS against its optimum: gradients, the objective, the reference implementation, MovieLens."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import palate
from helpers.data import with_values
from palate.kernels import reference
from palate.recipes.monitor import rmse


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(120, 80, 3000, n_factors=3, noise=0.5, seed=1)


@pytest.fixture(scope="module")
def weighted(data):
    weights = np.random.default_rng(0).uniform(0.2, 3.0, len(data))
    return data.with_weights(weights / weights.mean())


def residuals(factors, data):
    """t - b_u - c_i - p_u . q_i of every rating, in standard deviations, (n,)."""
    predicted = factors.predict(data.user_codes, data.item_codes).astype(np.float64)
    return (data.values - predicted) / factors.scale


def decay_of(recipe, counts):
    return recipe.weight_decay * np.maximum(counts, 1.0) ** recipe.count_exponent


def objective(recipe, rec, data):
    """The objective in the docstring of ALS, with t = (r - mean) / standard deviation."""
    factors = rec.model.factors
    weights = 1.0 if data.weights is None else data.weights
    loss = np.sum(weights * residuals(factors, data) ** 2)
    for rows, vectors in ((data.by_user(), factors.users), (data.by_item(), factors.items)):
        loss += np.sum(decay_of(recipe, rows.counts) * np.sum(vectors.astype(np.float64) ** 2, axis=1))
    return loss


def user_gradient(recipe, rec, data):
    """d objective / d x_u, (n_users, k)."""
    factors = rec.model.factors
    weights = np.ones(len(data)) if data.weights is None else data.weights.astype(np.float64)
    partner = factors.items[data.item_codes].astype(np.float64)
    partner[:, -1] = 1
    gradient = 2 * decay_of(recipe, data.by_user().counts)[:, None] * factors.users
    pulls = -2 * (weights * residuals(factors, data))[:, None] * partner
    np.add.at(gradient, data.user_codes, pulls)
    return gradient


RECIPES = [
    palate.ALS(n_factors=4, n_sweeps=3),
    palate.ALS(n_factors=4, n_sweeps=3, count_exponent=0.0, weight_decay=3.0),
    palate.ALS(n_factors=4, n_sweeps=3, count_exponent=1.0, weight_decay=0.1),
    palate.ALS(n_factors=0, n_sweeps=2),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=palate.ALS.label)
@pytest.mark.parametrize("kind", ["data", "weighted"])
def test_every_user_is_at_the_optimum_of_the_objective(recipe, kind, request):
    ratings = request.getfixturevalue(kind)
    rec = recipe.fit(ratings)
    gradient = user_gradient(recipe, rec, ratings)
    assert np.abs(gradient).max() < 2e-4 * max(ratings.by_user().counts)
    # ... and the gradient is the objective's: a small step changes the objective as it says
    rng = np.random.default_rng(1)
    factors = rec.model.factors
    elsewhere = factors.users + rng.standard_normal(factors.users.shape).astype(np.float32)
    step = 1e-2 * rng.standard_normal(factors.users.shape).astype(np.float32)
    moved = [with_users(rec, elsewhere + sign * step) for sign in (1, -1)]
    slope = objective(recipe, moved[0], ratings) - objective(recipe, moved[1], ratings)
    along = 2 * np.sum(user_gradient(recipe, with_users(rec, elsewhere), ratings) * step)
    assert slope == pytest.approx(along, rel=1e-2)
    best = objective(recipe, rec, ratings)
    for size in (0.3, 0.03):
        step = size * rng.standard_normal(factors.users.shape).astype(np.float32)
        assert objective(recipe, with_users(rec, factors.users + step), ratings) > best


def with_users(rec, users):
    model = rec.model
    return palate.Recommender(replace(model, factors=replace(model.factors, users=users.astype(np.float32))))


@pytest.mark.parametrize("recipe", RECIPES, ids=palate.ALS.label)
def test_the_objective_never_rises(recipe, data):
    losses = [objective(recipe, replace(recipe, n_sweeps=n).fit(data), data) for n in range(1, 9)]
    assert all(later <= earlier * (1 + 1e-5) for earlier, later in pairwise(losses))
    if recipe.n_factors:
        assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("kind", ["data", "weighted"])
def test_als_equals_the_reference_implementation(kind, request):
    ratings = request.getfixturevalue(kind)
    recipe = palate.ALS(n_factors=3, n_sweeps=4, weight_decay=0.7, seed=5)
    values = ratings.values.astype(np.float64)
    center = np.average(values, weights=ratings.weights)
    scale = np.sqrt(np.average((values - center) ** 2, weights=ratings.weights))
    k = recipe.n_factors + 1
    rng = np.random.Generator(np.random.Philox(5))
    items = rng.standard_normal((ratings.n_items, k), np.float32) * np.float32(0.1)
    users = None

    def solve(rows, other):
        return reference.solve_rows(
            rows.indptr, rows.indices, rows.values, other, precision=np.zeros((k, k)), mean=np.zeros(k),
            weights=rows.weights, ridge=decay_of(recipe, rows.counts), bias=True, center=center, scale=scale,
        )[0]  # fmt: skip

    for sweep in range(4):
        if sweep:
            items = solve(ratings.by_item(), users)
        users = solve(ratings.by_user(), items)
    rec = recipe.fit(ratings)
    np.testing.assert_allclose(rec.model.factors.users, users, atol=2e-3)
    np.testing.assert_allclose(rec.model.factors.items, items, atol=2e-3)
    assert rec.mean == pytest.approx(center)
    error = rmse(rec.predict_codes(ratings.user_codes, ratings.item_codes)[0], ratings.values)
    if kind == "data":
        assert rec.model.training["train_rmse"] == pytest.approx(error, rel=0.02)  # the answer is clipped, that is not


def test_weight_decay_shrinks_factors(data):
    sizes = [
        [np.linalg.norm(side) for side in (rec.user_factors, rec.item_factors, rec.user_bias, rec.item_bias)]
        for rec in (palate.ALS(n_factors=4, weight_decay=wd).fit(data) for wd in (0.1, 1.0, 10.0, 1000.0))
    ]
    assert (np.diff(sizes, axis=0)[1:] < 0).all()
    assert max(sizes[-1]) < 0.1
    strong = palate.ALS(n_factors=4, weight_decay=1e6).fit(data)
    np.testing.assert_allclose(strong.predict("u1", "i1").prediction, data.values.mean(), atol=1e-2)


def test_als_finds_the_factors_behind_the_ratings():
    whole = palate.datasets.synthetic(300, 200, 20_000, n_factors=3, noise=0.3, seed=2, step=None, scale=(-20.0, 30.0))
    train, test = palate.split_random(whole, test=0.1, seed=0)
    rec = palate.ALS(n_factors=3, weight_decay=0.2, n_sweeps=20).fit(train)
    assert palate.evaluate(rec, test, baselines=False)["rmse"] < 0.36  # the noise alone is 0.30


def test_the_scale_of_the_ratings_does_not_matter(data):
    recipe = palate.ALS(n_factors=4)
    other = with_values(data, data.values * 16 - 100)
    one, two = recipe.fit(data), recipe.fit(other)
    predicted = [rec.predict_codes(data.user_codes, data.item_codes)[0] for rec in (one, two)]
    np.testing.assert_allclose(predicted[0] * 16 - 100, predicted[1], atol=2e-2)


def test_validation_error_is_the_error_on_those_ratings(data):
    train, valid = palate.split_random(data, test=0.2, seed=0)
    for recipe in (palate.ALS(n_factors=3), palate.Bias(), palate.Mean()):
        seen = []
        rec = recipe.fit(train, valid=valid, callback=seen.append)
        error = rmse(rec.predict_codes(valid.user_codes, valid.item_codes)[0], valid.values)
        assert seen[-1].valid_rmse == pytest.approx(error, rel=1e-5)


@pytest.mark.data
def test_als_on_movielens(ml_100k_90_10):
    train, test = ml_100k_90_10
    errors = {
        recipe: palate.evaluate(recipe.fit(train), test, baselines=False)["rmse"]
        for recipe in (palate.ALS(), palate.Bias(), palate.Mean())
    }
    assert errors[palate.ALS()] < 0.92
    assert errors[palate.ALS()] < errors[palate.Bias()] - 0.01 < errors[palate.Mean()] - 0.1
