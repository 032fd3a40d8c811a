"""What must not matter does not: scale, names and order of ratings. And nothing given is good on strange data.

What depends on nothing but rounding: the scale and the origin of ratings; names, as long as their order stays; the
order of rows, where ratings are numbers. Everything else deals out the same random numbers otherwise, to other users
(names in another order) or to other ratings of a user (rows in another order, ordered ratings): another draw of the
same posterior.
"""

import numpy as np
import polars as pl
import pytest

import palate
from helpers.data import told_and_timed
from palate.recipes.monitor import rmse

PLAIN = palate.Bayes(n_factors=3, n_sweeps=25, n_samples=8)
ALL = palate.Bayes(n_factors=3, n_sweeps=25, n_samples=8, time=True)
ORDERED = palate.Bayes(n_factors=3, n_sweeps=25, n_samples=8, time=True, likelihood="ordinal")
RECIPES = {"plain": PLAIN, "all": ALL, "ordered": ORDERED}


@pytest.fixture(scope="module")
def data():
    """(train, test) with history, attributes of both sides, and moments."""
    return palate.split_random(told_and_timed(), test=0.2, seed=0)


@pytest.fixture(scope="module")
def fits(data):
    return {name: recipe.fit(data[0]) for name, recipe in RECIPES.items()}


def changed(ratings, *, values=None, users=None, items=None, order=slice(None)):
    """The ratings with other values, renumbered users and items (new code of each), or rows in another order."""
    user_of = np.arange(ratings.n_users) if users is None else users
    item_of = np.arange(ratings.n_items) if items is None else items
    values = ratings.values if values is None else values
    return palate.Ratings(
        user_of[ratings.user_codes][order].astype(np.int32), item_of[ratings.item_codes][order].astype(np.int32),
        values[order], times=ratings.times[order],
        user_vocabulary=relabelled(ratings.user_vocabulary, user_of),
        item_vocabulary=relabelled(ratings.item_vocabulary, item_of),
        user_table=ratings.user_table[np.argsort(user_of)], item_table=ratings.item_table[np.argsort(item_of)],
    )  # fmt: skip


def relabelled(vocabulary, code_of):
    return palate.Vocabulary.in_order([f"new {at}" for at in range(len(code_of))], what=vocabulary.what)


def asked(rec, ratings, *, when=True):
    return np.stack(rec.predict_codes(ratings.user_codes, ratings.item_codes, when=ratings.times if when else None))


def apart(one, other):
    """How far two fits predict from each other, root mean square."""
    return rmse(one[0], other[0])


# ---- shift and scale


@pytest.mark.parametrize(("factor", "shift"), [(2.25, -1.25), (24.75, -23.75), (5.0, -15.0)], ids=["10", "100", "+-10"])
@pytest.mark.parametrize("name", ["plain", "all"])
def test_another_scale_gives_the_same_answers_on_that_scale(name, factor, shift, data, fits):
    train, test = data
    rec = RECIPES[name].fit(changed(train, values=factor * train.values + np.float32(shift)))
    for when in (True, False):
        before, after = asked(fits[name], test, when=when), asked(rec, test, when=when)
        np.testing.assert_allclose(factor * before + shift, after, atol=1e-4 * factor)
    told, before = {"i1": 5.0, "i3": 1.0}, fits[name].fold_in({"i1": 5.0, "i3": 1.0})
    new = rec.fold_in({f"new {item[1:]}": factor * value + shift for item, value in told.items()})
    one, other = before.predict(["i5", "i6"]), new.predict(["new 5", "new 6"])
    np.testing.assert_allclose(factor * one["low"] + shift, other["low"], atol=1e-4 * factor)
    assert rec.model.noise == pytest.approx(factor * fits[name].model.noise, rel=1e-5)


@pytest.mark.parametrize("values", [[2, 4, 6, 8, 10], [1, 25, 50, 75, 100], [-10, -9, 0, 0.5, 10]], ids=str)
def test_steps_have_their_chances_whatever_they_are_called(values, data, fits):
    train, test = data
    rec = ORDERED.fit(changed(train, values=np.array(values, np.float32)[train.values.astype(int) - 1]))
    codes = test.user_codes, test.item_codes, test.times
    one, other = (fit.model.forecast(*codes) for fit in (fits["ordered"], rec))
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_allclose(other.mean, one.probabilities @ values, rtol=1e-6)


def test_auto_chooses_alike_on_any_scale(data):
    train = data[0]
    short = palate.Bayes(n_factors=2, n_sweeps=3, likelihood="auto")
    chosen = [short.fit(changed(train, values=k * train.values - 3)).model.factors.steps is None for k in (1, 20, 0.25)]
    assert len(set(chosen)) == 1


# ---- names and order


@pytest.mark.parametrize("name", RECIPES)
def test_names_in_the_same_order_change_nothing(name, data, fits):
    train, test = data
    np.testing.assert_array_equal(asked(RECIPES[name].fit(changed(train)), test), asked(fits[name], test))


@pytest.mark.parametrize("name", RECIPES)
def test_names_in_another_order_are_another_draw(name, data, fits):
    train, test = data
    rng = np.random.default_rng(0)
    users, items = rng.permutation(train.n_users), rng.permutation(train.n_items)
    rec = RECIPES[name].fit(changed(train, users=users, items=items))
    renamed = asked(rec, changed(test, users=users, items=items))
    assert apart(renamed, asked(fits[name], test)) < 1.3 * between_seeds(name, data, fits)


def between_seeds(name, data, fits):
    """How far two seeds are apart: Monte Carlo noise."""
    other = palate.Bayes(**{**vars(RECIPES[name]), "seed": 1}).fit(data[0])
    return apart(asked(other, data[1]), asked(fits[name], data[1]))


@pytest.mark.parametrize("name", RECIPES)
def test_the_order_of_rows_is_rounding_or_another_draw(name, data, fits):
    train, test = data
    order = np.random.default_rng(1).permutation(len(train))
    shuffled = asked(RECIPES[name].fit(changed(train, order=order)), test)
    if name == "ordered":  # its latents' random numbers go by the place of a rating among its user's
        assert apart(shuffled, asked(fits[name], test)) < 1.3 * between_seeds(name, data, fits)
    else:
        np.testing.assert_allclose(shuffled, asked(fits[name], test), atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_users_in_another_order_of_rows_are_the_same(name, data, fits):
    """Each user's own ratings stay in order: rounding, also where ratings are ordered."""
    train, test = data
    order = np.argsort(np.random.default_rng(2).permutation(train.n_users)[train.user_codes], kind="stable")
    moved = asked(RECIPES[name].fit(changed(train, order=order)), test)
    np.testing.assert_allclose(moved, asked(fits[name], test), atol=1e-4)


# ---- data nobody tuned for


def tastes(n_users, n_items, seed):
    """(generator, factors of users and items, biases of users and items)."""
    rng = np.random.default_rng(seed)
    sizes = (n_users, 4), (n_items, 4), n_users, n_items
    return rng, *(rng.standard_normal(size) for size in sizes)


def ratings_of(users, items, values, n_users, n_items, **tables):
    return palate.Ratings(
        users.astype(np.int32), items.astype(np.int32), values.astype(np.float32),
        user_vocabulary=palate.Vocabulary(range(n_users), what="user"),
        item_vocabulary=palate.Vocabulary(range(n_items), what="item"), **tables,
    )  # fmt: skip


def jokes(n_users=500, n_items=100, seed=0):
    """Most people rate most jokes, on a slider from -10 to 10."""
    rng, p, q, b, c = tastes(n_users, n_items, seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.7)
    raw = 0.8 + 2 * b[users] + 1.5 * c[items] + 1.2 * np.sum(p[users] * q[items], axis=1)
    return ratings_of(users, items, np.clip(raw + 3.5 * rng.standard_normal(len(raw)), -10, 10), n_users, n_items)


def hundred(n_users=400, n_items=200, seed=0):
    """Marks from 1 to 100 of what is popular and to people's taste; tables that tell a little, and nothing."""
    rng, p, q, b, c = tastes(n_users, n_items, seed)
    liking = p @ q.T / 2
    keys = 0.5 * c - np.log(1 + rng.permutation(n_items)) + liking + rng.gumbel(size=liking.shape)
    counts = np.clip(rng.lognormal(3, 0.8, n_users).astype(int), 2, n_items // 2)
    users = np.repeat(np.arange(n_users), counts)
    items = np.concatenate([row[:n] for row, n in zip(np.argsort(-keys, axis=1), counts, strict=True)])
    raw = 60 + 8 * b[users] + 8 * c[items] + 10 * liking[users, items] + 14 * rng.standard_normal(len(users))
    return ratings_of(
        users, items, np.clip(np.rint(raw), 1, 100), n_users, n_items,
        user_table=pl.DataFrame({"age": rng.integers(18, 70, n_users)}),
        item_table=pl.DataFrame({"kind": [["a", "b", "c"][at] for at in np.digitize(q[:, 0], [-0.5, 0.5])]}),
    )  # fmt: skip


def shop(n_users=2000, n_items=500, seed=0):
    """One to three ratings of each user, of popular things: a fortieth of what the shop at full size has."""
    rng, p, q, b, c = tastes(n_users, n_items, seed)
    users = np.repeat(np.arange(n_users), rng.integers(1, 4, n_users))
    popularity = (1 + rng.permutation(n_items)) ** -0.8
    items = rng.choice(n_items, len(users), p=popularity / popularity.sum())
    first = np.unique(users * n_items + items, return_index=True)[1]
    users, items = users[first], items[first]
    raw = 3.9 + 0.5 * b[users] + 0.5 * c[items] + 0.25 * np.sum(p[users] * q[items], axis=1)
    stars = np.clip(np.rint(raw + 0.8 * rng.standard_normal(len(users))), 1, 5)
    return ratings_of(users, items, stars, n_users, n_items)


def error_of(recipe, train, test):
    return rmse(recipe.fit(train, progress=False).predict_codes(test.user_codes, test.item_codes)[0], test.values)


@pytest.mark.parametrize("make", [jokes, hundred])
def test_nothing_given_is_better_than_biases(make):
    train, test = palate.split_random(make(), test=0.2, seed=0)
    assert error_of(palate.Bayes(), train, test) <= error_of(palate.Bias(), train, test)


@pytest.mark.parametrize("seed", [0, 1])
def test_where_biases_are_all_that_can_be_learned_they_are_learned(seed):
    train, test = palate.split_random(shop(seed=seed), test=0.2, seed=0)
    assert error_of(palate.Bayes(), train, test) <= 1.005 * error_of(palate.Bias(), train, test)


@pytest.mark.parametrize("make", [jokes, hundred, shop])
def test_nothing_given_is_as_good_as_the_best_choice(make):
    train, test = palate.split_random(make(), test=0.2, seed=0)
    has_tables = train.user_table is not None
    found = {
        (history, features): error_of(palate.Bayes(history=history, features=features, n_sweeps=60), train, test)
        for history in (True, False)
        for features in ((True, False) if has_tables else (True,))
    }
    assert found[True, True] <= 1.01 * min(found.values())
    report = palate.evaluate(palate.Bayes(n_sweeps=60).fit(train, progress=False), test, baselines=False)
    assert 0.86 < report["coverage_90"] < 0.94
