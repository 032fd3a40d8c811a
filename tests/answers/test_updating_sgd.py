"""Updates of SGD models: never worse than no update, by the prior that the fitted factors seem to come from."""

import dataclasses

import numpy as np
import pytest

import palate
from palate.data.rows import CompressedRows, transpose_rows
from palate.models.factors import Prior
from palate.models.fitted_prior import with_fitted_priors
from palate.recipes.monitor import rmse

VARIANTS = {
    "plain": palate.SGD(),
    "in a range": palate.SGD(y_range=(0.0, 6.0)),
    "AdaGrad": palate.SGD(optimizer="adagrad"),
    "without biases": palate.SGD(bias=False),
    "no decay": palate.SGD(weight_decay=0.0),
    "few factors, long": palate.SGD(n_factors=3, n_epochs=40),
}
each = pytest.mark.parametrize("recipe", VARIANTS.values(), ids=VARIANTS)


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(250, 120, 9000, n_factors=3, noise=0.7, seed=4)


def error(rec, test):
    return rmse(rec.predict_codes(test.user_codes, test.item_codes)[0], test.values)


def arriving(data, seed, share=0.3):
    """(what was there, what arrives, test): a tenth is for the test, and a share of the others arrives later."""
    train, test = palate.split_random(data, test=0.1, seed=seed)
    late = np.random.default_rng(seed).random(len(train)) < share
    return train[~late], train[late], test


@each
def test_an_update_is_better_than_none(data, recipe):
    gains = []
    for seed in range(5):
        old, new, test = arriving(data, seed)
        rec = recipe.fit(old, progress=False)
        gains.append(error(rec, test) - error(rec.update(new), test))
    assert np.mean(gains) > 0.002
    assert min(gains) > -0.005


@pytest.mark.data
@pytest.mark.parametrize("recipe", [palate.SGD(), palate.SGD(y_range=(0.5, 5.5))], ids=["plain", "in a range"])
def test_30_percent_more_of_ml_100k(ml_100k, recipe):
    old, new, test = arriving(ml_100k, 0)
    rec = recipe.fit(old, progress=False)
    refit, _ = palate.split_random(ml_100k, test=0.1, seed=0)
    left, updated, best = error(rec, test), error(rec.update(new), test), error(recipe.fit(refit, progress=False), test)
    assert updated < left - 0.4 * (left - best)


@each
def test_newcomers_are_what_a_fold_in_makes_of_them(data, recipe):
    rec = recipe.fit(data, progress=False)
    given = {"i1": 5.0, "i7": 1.0, "i9": 4.0}
    updated = rec.update({"user": ["newt"] * 3, "item": list(given), "rating": list(given.values())})
    np.testing.assert_array_equal(updated.model.factors.users[-1], rec.fold_in(given).vector)
    fans = {"u3": 5.0, "u8": 4.0}
    updated = rec.update({"user": list(fans), "item": ["fresh"] * 2, "rating": list(fans.values())})
    as_fold_in = rec.fold_in(fans, side="item").vector
    assert np.abs(updated.model.factors.items[-1] - as_fold_in).max() < 0.1  # their users moved a little before
    assert error_of_newcomers(rec, data) < 1.1


def error_of_newcomers(rec, data):
    """RMSE where each user's odd ratings are predicted from the even ones, the user being new to the model."""
    rows, at = data.by_user(), np.arange(len(data)) % 2 == 0
    codes = np.repeat(np.arange(rows.n_rows), rows.counts).astype(np.int32)
    given = CompressedRows.of(codes[at], rows.indices[at], rows.values[at], None, rows.n_rows)
    factors = rec.model.factors
    told = factors.ratings_at(factors.pair_scores(factors.fold_in(given), codes[~at], rows.indices[~at]))
    return rmse(told, rows.values[~at])


def test_the_prior_is_the_normal_that_the_factors_are_drawn_from():
    """An oracle: factors and noise that are known. The residuals are those of ridge solutions, whose bias is undone."""
    rng = np.random.default_rng(0)
    n_users, n_items, k, noise = 3000, 400, 4, 0.8
    covariance = np.diag([0.5, 0.3, 0.1, 0.05, 0.2])
    users, items = (rng.multivariate_normal(np.zeros(k + 1), covariance, n) for n in (n_users, n_items))
    row, column = np.repeat(np.arange(n_users), 25), rng.integers(0, n_items, 25 * n_users)
    scores = users[row, -1] + items[column, -1] + np.sum(users[row, :-1] * items[column, :-1], axis=1)
    values = (scores + noise * rng.normal(size=len(row))).astype(np.float32)
    history = CompressedRows.of(row.astype(np.int32), column.astype(np.int32), values, None, n_users)
    exact = palate.models.factors.Factors(
        0.0, users.astype(np.float32), items.astype(np.float32), Prior.flat(k + 1), Prior.flat(k + 1)
    )
    prior = Prior(np.linalg.inv(covariance).astype(np.float32), np.zeros(k + 1, np.float32), noise**-2)
    solved = dataclasses.replace(exact, users=prior.solve(history, exact.items, 0.0)[0])
    predicted = solved.predict(row.astype(np.int32), column.astype(np.int32))
    in_sample = rmse(predicted, values)
    assert in_sample < 0.95 * noise  # what is not corrected would be wrong
    fitted = with_fitted_priors(solved, history)
    assert fitted.user_prior.alpha**-0.5 == pytest.approx(noise, rel=0.03)
    found = np.linalg.inv(fitted.item_prior.precision.astype(np.float64))
    np.testing.assert_allclose(found, covariance, atol=0.08)
    assert (fitted.user_prior.mean == 0).all()


def test_the_prior_is_the_same_in_other_units_and_for_both_sides(data):
    """Ratings times 20: the same prior in units of scale. Users and items exchanged: the priors too."""
    one = palate.SGD(n_factors=4).fit(data, progress=False).model
    larger = dataclasses.replace(one.factors, mean=20 * one.factors.mean, scale=20 * one.factors.scale)
    other = with_fitted_priors(larger, dataclasses.replace(one.history, values=20 * one.history.values))
    assert other.user_prior.alpha == pytest.approx(one.factors.user_prior.alpha, rel=1e-4)
    np.testing.assert_array_equal(other.user_prior.precision, one.factors.user_prior.precision)
    exchanged = with_fitted_priors(one.factors.transposed(), transpose_rows(one.history, data.n_items))
    np.testing.assert_allclose(exchanged.user_prior.precision, one.factors.item_prior.precision, rtol=1e-5)
    assert exchanged.item_prior.alpha == pytest.approx(one.factors.user_prior.alpha, rel=1e-9)


def test_a_model_of_an_earlier_palate_gets_a_prior_before_it_is_updated(data):
    """palate 0.1 saved the weight decay of the training as prior, and an update under that did harm."""
    old, new, test = arriving(data, 1)
    rec = palate.SGD().fit(old, progress=False)
    factors = rec.model.factors
    decay = Prior.flat(factors.n_factors + 1, ridge=0.04, count_exponent=1.0)
    early = dataclasses.replace(rec.model, factors=dataclasses.replace(factors, user_prior=decay, item_prior=decay))
    updated = palate.Recommender(early).update(new)
    np.testing.assert_array_equal(updated.model.factors.users, rec.update(new).model.factors.users)
    assert error(updated, test) < error(rec, test)
    forgotten = [rec.forget(users="u1") for rec in (palate.Recommender(early), rec)]
    np.testing.assert_array_equal(forgotten[0].model.factors.items, forgotten[1].model.factors.items)


@pytest.mark.parametrize(
    "recipe", [palate.SGD(n_factors=0), palate.SGD(n_epochs=1), palate.SGD(bias=False, n_factors=2)], ids=repr
)
def test_equal_ratings_and_few_rows(recipe):
    same = palate.read({"user": list("aabb"), "item": list("xyxy"), "rating": [3.0] * 4})
    rec = recipe.fit(same, progress=False).update({"user": ["c"], "item": ["x"], "rating": [3.0]})
    assert rec.predict("c", "y").prediction == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("y_range", [None, (0.0, 6.0)])
def test_a_torch_model_too(data, y_range):
    nn = pytest.importorskip("palate.nn")
    torch = pytest.importorskip("torch")
    gains = []
    for seed in range(5):
        old, new, test = arriving(data, seed)
        loaders = nn.RatingLoaders.from_ratings(old)
        generator = torch.Generator().manual_seed(0)
        module = nn.DotProductBias(
            old.n_users, old.n_items, 8, y_range=y_range, mean=0.0 if y_range else 3.0, generator=generator
        )
        rec = nn.from_torch(nn.Learner(loaders, module).fit(5, 5e-3, wd=0.1).model, loaders)
        gains.append(error(rec, test) - error(rec.update(new), test))
    assert np.mean(gains) > 0
    assert min(gains) > -0.01
