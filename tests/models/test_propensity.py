"""Propensity: the logistic curve against scikit-learn's, planted probabilities, fold-in users as trained ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from helpers.data import rows_of
from palate.data.rows import CompressedRows
from palate.errors import OptionError
from palate.models import propensity as _propensity
from palate.models.implicit import ImplicitFactors
from palate.models.propensity import (
    HELD_OUT,
    Propensity,
    _held_out,
    _logistic_loss,
    as_choices,
    fit_propensity,
    logistic,
)


def test_logistic_is_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed here")
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 1.5, 4000)
    y = rng.random(4000) < 1 / (1 + np.exp(-(0.7 * x - 2)))
    other = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(x[:, None], y)
    np.testing.assert_allclose(logistic(x, y), [other.intercept_[0], other.coef_[0, 0]], atol=1e-5)


@pytest.mark.parametrize("y", [np.zeros(50, bool), np.ones(50, bool), np.arange(50) > 25])
def test_logistic_is_finite_if_x_separates_the_classes(y):
    assert np.isfinite(logistic(np.linspace(-1, 1, 50), y)).all()


@pytest.mark.parametrize("beta", [(0.0, 0.0), (0.3, -0.8), (-2.0, 1.5), (60.0, 0.0), (-60.0, 0.0)])
def test_the_loss_of_the_curve_its_gradient_and_its_hessian(beta):
    """By the formula, and by central differences; where every chance is 0 or 1, the penalty is all that is left."""
    rng = np.random.default_rng(2)
    x, y, beta = rng.normal(1, 1.5, 40), rng.random(40) < 0.4, np.array(beta)

    def loss(beta):
        chances = 1 / (1 + np.exp(-(beta[0] + beta[1] * x)))
        with np.errstate(divide="ignore", invalid="ignore"):
            likelihood = np.where(y, np.log(chances), np.log1p(-chances)).sum()
        return -likelihood + 1e-6 / 2 * (beta**2).sum()

    found, gradient, hessian = _logistic_loss(beta, x, y)
    h, steps = 1e-5, np.eye(2) * 1e-5
    if np.isfinite(loss(beta)):
        assert found == pytest.approx(loss(beta), rel=1e-12)
        slopes = [(loss(beta + step) - loss(beta - step)) / (2 * h) for step in steps]
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-7)
    up_and_down = [
        (_logistic_loss(beta + step, x, y)[1] - _logistic_loss(beta - step, x, y)[1]) / (2 * h) for step in steps
    ]
    np.testing.assert_allclose(hessian, up_and_down, rtol=1e-6, atol=1e-8)
    if abs(beta[0]) == 60:
        wrong = ~y if beta[0] > 0 else y
        np.testing.assert_allclose(hessian, 1e-6 * np.eye(2), atol=1e-15)
        np.testing.assert_allclose(gradient, np.sign(beta[0]) * np.array([wrong.sum(), x[wrong].sum()]) + 1e-6 * beta)
        assert found == pytest.approx(60 * wrong.sum() + 5e-7 * 3600, rel=1e-12)


@given(st.integers(0, 2**32), st.integers(2, 60), st.floats(0, 1), st.sampled_from(["random", "separated"]))
@settings(max_examples=40, deadline=None)
def test_logistic_ends_where_no_small_step_lowers_the_loss(seed, n, share, kind):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, n)
    y = rng.random(n) < share if kind == "random" else x > np.quantile(x, share)
    beta = np.array(logistic(x, y))
    loss, gradient, _ = _logistic_loss(beta, x, y)
    assert np.abs(gradient).max() < 1e-5
    for step in np.array([(1, 0), (0, 1), (1, 1), (1, -1)]) * 0.01 * np.maximum(1, np.abs(beta).max()):
        assert _logistic_loss(beta + step, x, y)[0] >= loss <= _logistic_loss(beta - step, x, y)[0]


@given(st.lists(st.integers(0, 23), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_a_fixed_share_of_each_users_choices_is_held_out(counts):
    rows = rows_of([list(range(n)) for n in counts])
    held_out = _held_out(rows)
    assert held_out.dtype == bool
    users = np.repeat(np.arange(len(counts)), counts)
    expected = [int(HELD_OUT * n) for n in counts]
    assert np.bincount(users[held_out], minlength=len(counts)).tolist() == expected


def test_any_of_a_users_choices_may_be_held_out():
    held_out = _held_out(rows_of([list(range(10))] * 300)).reshape(300, 10)
    assert (held_out.sum(axis=0) > 300 * HELD_OUT / 2).all()


def blocs(n_users=200, n_items=80, seed=0):
    """Users of one half rate items of that half, popular ones more often; the ratings themselves are random."""
    rng = np.random.default_rng(seed)
    own = np.arange(n_users)[:, None] % 2 == np.arange(n_items) % 2
    probabilities = np.where(own, 0.6, 0.02) * np.linspace(1, 0.2, n_items)
    users, items = np.nonzero(rng.random((n_users, n_items)) < probabilities)
    return palate.read((users, items, rng.integers(1, 6, len(users)))), probabilities


def test_probabilities_are_higher_where_users_choose():
    ratings, probabilities = blocs()
    model = palate.Mean().fit(ratings, progress=False).model
    propensity = fit_propensity(model.history, len(model.item_vocabulary))
    found = propensity.probabilities(np.arange(200, dtype=np.int32), model.history)
    assert found.shape == (200, 80)
    assert ((found >= 0) & (found <= 1)).all()
    assert propensity.slope > 0
    assert np.corrcoef(found.ravel(), probabilities.ravel())[0, 1] > 0.7


def test_a_fold_in_user_gets_the_probabilities_of_a_trained_one_with_the_same_history():
    model = palate.Mean().fit(blocs()[0], progress=False).model
    propensity = fit_propensity(model.history, len(model.item_vocabulary))
    known = model.user_rows(np.array([3, 8], np.int32))
    found = propensity.probabilities(np.array([-1, -1], np.int32), known.history)
    np.testing.assert_allclose(found, propensity.probabilities(known.codes, known.history), rtol=2e-3, atol=1e-6)


def test_scores_below_the_minimum_have_the_same_probability():
    factors = fit_propensity(blocs()[0].by_user(), 80).factors
    assert isinstance(factors, ImplicitFactors)
    probabilities = Propensity(factors, -1.0, 2.0).probabilities_at(np.array([-3.0, 0.0, 0.5, 1.0], np.float32))
    assert probabilities[0] == probabilities[1] < probabilities[2] < probabilities[3]
    assert probabilities[3] == pytest.approx(1 / (1 + np.e))


def test_two_ratings_are_enough():
    history = palate.read({"user": ["a", "b"], "item": ["x", "y"], "rating": [1, 5]}).by_user()
    fitted = fit_propensity(history, 2)
    assert np.isfinite(fitted.probabilities(np.array([0, -1], np.int32), history)).all()
    assert (fitted.intercept, fitted.slope) == (0, 1)  # nothing is held out: odds are scores


def test_a_cold_start_user_gets_what_most_users_choose():
    ratings, _ = blocs()
    nothing = CompressedRows.empty(1)
    probabilities = fit_propensity(ratings.by_user(), 80).probabilities(np.array([-1], np.int32), nothing)[0]
    assert np.corrcoef(probabilities, np.bincount(ratings.item_codes))[0, 1] > 0.9


def test_every_rating_is_a_choice_whatever_its_value():
    history = as_choices(blocs()[0].by_user())
    assert (history.values == 1).all()
    assert history.weights is None


@pytest.fixture(scope="module")
def bayes():
    return palate.Bayes(n_sweeps=20, history=False, seed=1).fit(blocs()[0], progress=False)


def test_likely_is_propensity_times_the_probability_of_a_high_rating(bayes):
    model, items = bayes.model, list(bayes.model.item_vocabulary)
    found = bayes.recommend(7, n=80, by="likely", at_least=4, keep_seen=True)
    told = bayes.predict([7] * 80, items, distribution=True)
    high_rating = (told["chance_4"] + told["chance_5"]).to_numpy()
    propensity = model.propensity.probabilities(
        np.array([7], np.int32), model.user_rows(np.array([7], np.int32)).history
    )[0]
    expected = dict(zip(items, propensity * high_rating, strict=True))
    np.testing.assert_allclose(found["score"], [expected[item] for item in found["item"]], rtol=2e-3, atol=1e-7)
    assert found["score"].is_sorted(descending=True)


def test_likely_counts_ratings_above_average_as_high_by_default(bayes):
    mean = bayes.model.history.values.mean()
    default = bayes.recommend(3, n=9, by="likely")
    assert default.equals(bayes.recommend(3, n=9, by="likely", at_least=int(np.ceil(mean))))


def test_likely_recommends_what_similar_users_choose(bayes):
    found = bayes.recommend(n=5, by="likely")
    assert np.mean(found["user"].to_numpy() % 2 == found["item"].to_numpy() % 2) > 0.95


def test_likely_answers_fold_in_and_cold_start_users(bayes):
    own = [item for item, _ in bayes.history(4).select("item", "rating").iter_rows()]
    assert set(bayes.fold_in(dict.fromkeys(own, 4)).recommend(n=5, by="likely")["item"]).isdisjoint(own)
    counts = np.bincount(bayes.model.history.indices)
    first = bayes.model.item_vocabulary.encode(bayes.recommend(-1, n=5, by="likely")["item"])
    assert counts[first].mean() > np.sort(counts)[::-1][:30].mean() * 0.9


def test_what_likely_needs(bayes):
    with pytest.raises(OptionError, match="no training rating is higher than 5"):
        bayes.recommend(1, by="likely", at_least=6)
    for rec in (palate.Popularity().fit(blocs()[0]), palate.ALS(n_factors=2).fit(blocs()[0]),
                palate.EASE().fit(blocs()[0].likes(at_least=1))):  # fmt: skip
        with pytest.raises(OptionError, match='by="likely" needs ratings with intervals'):
            rec.recommend(1, by="likely")


def test_the_curve_is_fitted_to_all_items_that_were_not_chosen_before(monkeypatch):
    ratings, _ = blocs(n_users=40, n_items=12)
    fitted = []

    def seen(scores, is_chosen):
        fitted.append((len(scores), int(is_chosen.sum())))
        return logistic(scores, is_chosen)

    monkeypatch.setattr(_propensity, "logistic", seen)
    history = ratings.by_user()
    n_items = len(ratings.item_vocabulary)
    fit_propensity(history, n_items)
    ((n, n_held_out),) = fitted
    with_held_out = history.counts[history.counts >= 5]  # of which a part is held out
    n_before = n_items * len(with_held_out) - n
    assert n_held_out > 0
    assert n_before + n_held_out == with_held_out.sum()


def test_a_curve_that_would_fall_is_flat(monkeypatch):
    monkeypatch.setattr(_propensity, "logistic", lambda *_: (0.3, -2.0))
    ratings, _ = blocs(n_users=40, n_items=12)
    assert fit_propensity(ratings.by_user(), len(ratings.item_vocabulary)).slope == 0
