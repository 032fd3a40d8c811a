"""Own levels: the formula, rating by rating; how much of it the data decide on; where it goes in the factors."""

import numpy as np
import pytest

import palate
from helpers.data import rows_of
from palate.models.cold_start import ColdStart
from palate.models.posterior import Posterior, SideSamples
from palate.recipes.gibbs.own_levels import SHRINKAGE, STEP, give_own_levels, own_levels
from palate.recipes.monitor import rmse


def one_draw(users, items, mean):
    """A posterior of one draw with this cold-start mean of items."""
    k = users.shape[1]
    eye, zeros = np.eye(k, dtype=np.float32)[None], np.zeros((1, k), np.float32)
    sides = [
        SideSamples(vectors[None], eye, zeros, ColdStart(cold[None], eye))
        for vectors, cold in ((users, zeros[0]), (items, mean))
    ]
    return Posterior(3.0, 1.0, np.ones(1, np.float32), *sides)


def choosers(n_users=60, n_items=90, pull=2.0, seed=0):
    """Users who choose the items that suit them, the more so the larger `pull` is: vectors and lists."""
    rng = np.random.default_rng(seed)
    users, items = (rng.standard_normal((size, 4)).astype(np.float32) for size in (n_users, n_items))
    users[:, :-1] *= np.linspace(0.1, 2, n_users)[:, None]
    chance = 1 / (1 + np.exp(3 - pull * users[:, :-1] @ items[:, :-1].T))
    lists = [np.append(np.flatnonzero(rng.random(n_items) < row), code % n_items) for code, row in enumerate(chance)]
    return users, items, [np.unique(codes) for codes in lists]


def test_own_levels_are_their_formula():
    users, items, lists = choosers()
    mean = np.array([0.1, -0.2, 0.3, 0.4], np.float32)
    found = own_levels(one_draw(users, items, mean), rows_of(lists), None)
    partners = np.column_stack([users[:, :-1], np.ones(60)])
    excesses = [(items[codes] - mean) @ partner for codes, partner in zip(lists, partners, strict=True)]
    total_mean = np.mean(np.concatenate(excesses))
    excesses = [own - total_mean for own in excesses]
    own = np.array([part.sum() / (len(part) + SHRINKAGE) for part in excesses])
    e = np.concatenate(excesses)
    others = np.concatenate([(part.sum() - part) / (len(part) - 1 + SHRINKAGE) for part in excesses])
    slope = np.polyfit(others, e, 1)[0]
    assert slope > 0.3  # people choose what suits them
    np.testing.assert_allclose(found, min(slope, 1) * own, atol=1e-4)


def test_pairs_drawn_at_random_have_none():
    """The slope is then 0 but for chance, and never below."""
    sizes = []
    for seed in range(10):
        users, items, _ = choosers(seed=seed)
        rng = np.random.default_rng(seed)
        lists = [rng.permutation(90)[:20] for _ in range(60)]
        found = own_levels(one_draw(users, items, items.mean(axis=0)), rows_of(lists), None)
        sizes.append(float(np.abs(found).max()))
    assert np.median(sizes) < 0.1


def test_predictions_change_for_items_without_ratings_alone():
    rng = np.random.default_rng(0)
    users, items = rng.standard_normal((5, 4)).astype(np.float32), rng.standard_normal((6, 4)).astype(np.float32)
    levels = rng.standard_normal(5)
    users[:, -2] = 0
    before = users[:, :-1] @ items[:, :-1].T
    step = give_own_levels(users, items, levels)
    np.testing.assert_allclose(users[:, :-1] @ items[:, :-1].T, before, atol=1e-6)
    np.testing.assert_allclose(users[:, :-1] @ (items + step)[:, :-1].T, before + levels[:, None], atol=1e-5)
    np.testing.assert_array_equal(step, [0, 0, STEP, 0])
    assert not give_own_levels(users, items, np.zeros(5)).any()


def with_cold_items(seed):
    """(model, train, cold items): items withheld whole from users who choose what suits them."""
    users, items, lists = choosers(300, 150)
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(300), [len(own) for own in lists]), np.concatenate(lists)
    scores = np.sum(users[codes[0], :-1] * items[codes[1], :-1], axis=1) + 0.3 * rng.standard_normal(len(codes[0]))
    ratings = palate.read((codes[0], codes[1], np.clip(3 + scores, -3, 9)))
    withheld = rng.random(ratings.n_items) < 0.2
    train, test = palate.split_rows(ratings, withheld[ratings.item_codes])
    return palate.Bayes(n_factors=4, n_sweeps=40).fit(train, progress=False), train, test


@pytest.fixture(scope="module")
def cold():
    return with_cold_items(1)


def test_items_that_their_raters_chose_are_predicted_better(cold):
    rec, _, test = cold
    codes = test.user_codes, test.item_codes
    unknown = rec.predict_codes(codes[0], np.full(len(test), -1, np.int32))[0]
    predicted = rec.predict_codes(*codes)[0]
    np.testing.assert_allclose(predicted, unknown, atol=1e-4)
    factors = rec.model.factors
    without = predicted - factors.scale * factors.users[codes[0], -2] * factors.item_prior.mean[-2]
    assert rmse(predicted, test.values) < 0.95 * rmse(without, test.values)


def test_cold_items_are_no_worse_than_beside_bias(cold):
    """The bar for rows without ratings: never above Bias() by more than 0.5%; here over three choices of such items."""
    squares = np.zeros(2)
    for rec, train, test in (cold, with_cold_items(2), with_cold_items(3)):
        for i, one in enumerate((rec, palate.Bias().fit(train, progress=False))):
            predicted = one.predict_codes(test.user_codes, test.item_codes)[0]
            squares[i] += np.square(predicted - test.values).sum()
    assert squares[0] < 1.005**2 * squares[1]


def test_an_item_that_gets_ratings_gives_the_own_levels_back(cold):
    """And one whose ratings are forgotten gets them: then it is an unknown item again."""
    rec, train, test = cold
    code = int(test.item_codes[0])
    label = train.item_vocabulary.decode(np.array([code]))[0]
    raters = train.user_vocabulary.decode(test.user_codes[test.item_codes == code][:3])
    step = rec.model.factors.item_prior.mean[-2]
    assert abs(step) > STEP / 2
    assert rec.model.factors.items[code, -2] == pytest.approx(step, abs=1e-4)
    rated = rec.update({"user": raters, "item": [label] * len(raters), "rating": [5.0] * len(raters)})
    assert abs(rated.model.factors.items[code, -2]) < STEP / 4
    forgotten = rated.forget(users=raters)
    at = forgotten.model.item_vocabulary.encode(np.array([label]))[0]
    np.testing.assert_allclose(forgotten.model.factors.items[at], forgotten.model.factors.item_prior.mean, atol=1e-4)
    new = forgotten.fold_in({}, side="item")
    np.testing.assert_allclose(new.vector, forgotten.model.factors.item_prior.mean, atol=1e-4)


def test_similarity_does_not_look_at_own_levels(cold):
    rec, _, _ = cold
    for model in (rec.model, rec.model.transposed()):
        assert model.factors.n_factors - 1 not in np.arange(model.factors.n_factors)[model.compared_columns]
