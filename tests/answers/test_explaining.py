"""Explanations: parts that add up, and shares that are exactly what each own rating does to the prediction."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.explaining import contributions, explain_row
from palate.data.features import Features
from palate.data.rows import CompressedRows
from palate.models.model import take_rows

RECIPES = {
    "Bayes": palate.Bayes(n_factors=3, n_sweeps=25, n_samples=6),
    "ALS": palate.ALS(n_factors=3),
    "ALS by counts": palate.ALS(n_factors=3, count_exponent=1.0, weight_decay=0.05),
    "Bias": palate.Bias(),
    "Mean": palate.Mean(),
    "Popularity": palate.Popularity(),
}
each = pytest.mark.parametrize("name", RECIPES)


@pytest.fixture(scope="module")
def data():
    # rounded and clipped to 1..5, so that some predictions hit the limits
    return palate.datasets.synthetic(80, 50, 2500, n_factors=3, noise=0.3, seed=3)


@pytest.fixture(scope="module")
def fits(data):
    return {name: recipe.fit(data) for name, recipe in RECIPES.items()}


@each
def test_every_prediction_is_the_sum_of_its_parts(name, fits):
    rec = fits[name]
    limited = 0
    for user in list(rec.model.user_vocabulary)[:30]:
        predicted = rec.predict(user, list(rec.model.item_vocabulary))["prediction"]
        for item, prediction in zip(rec.model.item_vocabulary, predicted, strict=True):
            why = rec.explain(user, item)
            assert list(why.parts) == ["mean", "user", "item", "factors", "limit"]
            assert abs(sum(why.parts.values()) - prediction) < 1e-4
            assert abs(why.prediction - prediction) < 1e-4
            shares = sum(reason.contribution for reason in why.because) + sum(why.known.values())
            assert abs(shares + why.rest - why.parts["user"] - why.parts["factors"]) < 1e-4
            if abs(why.parts["limit"]) > 1e-3:
                limited += 1
                assert why.prediction in rec.model.limits
    assert (limited > 0) is (name not in {"Mean", "Popularity"})


@each
def test_the_parts_of_a_newcomer_add_up(name, fits, data):
    rec = fits[name]
    given = {"i1": 5.0, "i2": 1.0, "i3": 4.5, "i30": 1.0}
    new = rec.fold_in(given)
    for item in rec.model.item_vocabulary:
        why = new.explain(item)
        assert sum(why.parts.values()) == pytest.approx(new.predict(item).prediction, abs=1e-4)
        shares = sum(reason.contribution for reason in why.because) + sum(why.known.values())
        assert shares + why.rest == pytest.approx(why.parts["user"] + why.parts["factors"], abs=1e-4)
        assert {reason.item: reason.rating for reason in why.because} == given


def without_deviation(model, history, at):
    """The history with one rating set to what its item alone would get: its deviation is zero."""
    values = history.values.copy()
    factors = model.factors
    values[at] = factors.mean + factors.scale * float(factors.items[history.indices[at], -1])
    return replace(history, values=values)


def score(model, history, item):
    """The unclipped score of an item for somebody with this history alone."""
    vector = model.factors.fold_in(history)[0].astype(np.float64)
    x, y = vector, model.factors.items[item].astype(np.float64)
    return model.factors.mean + model.factors.scale * (x[-1] + y[-1] + x[:-1] @ y[:-1])


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "Bayes"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_share_is_what_the_rating_does(name, weighted, data):
    weights = np.random.default_rng(0).uniform(0.3, 3, len(data)) if weighted else None
    data = data.with_weights(weights)
    model = RECIPES[name].fit(data).model
    for user in (0, 3, 17):
        user_rows = model.user_rows(np.array([user], np.int32))
        for item in (2, 30):
            shares = contributions(model, user_rows, item)[0]
            whole = score(model, user_rows.history, item)
            for at in range(len(shares)):
                changed = score(model, without_deviation(model, user_rows.history, at), item)
                assert shares[at] == pytest.approx(whole - changed, abs=2e-4)
    assert bool(np.abs(shares).max() > 1e-3) is (name not in {"Mean", "Popularity"})


def with_draw(model, s):
    """The same model with one of its draws only."""
    one = model.posterior.select_draws(np.array([s]))
    return replace(model, posterior=one)


def draw_score(model, history, item):
    """The score of an item under the model's only draw, for the most probable vector given this history."""
    posterior = model.posterior
    x = posterior.solve(history, draw=False)[0, 0].astype(np.float64)
    y = posterior.items.vectors[0, item].astype(np.float64)
    return posterior.center + posterior.scale * (x[-1] + y[-1] + x[:-1] @ y[:-1])


def test_a_share_under_the_posterior_is_the_mean_over_its_draws(fits):
    model = replace(fits["Bayes"].model, user_noise=None)  # under one draw alone, a noise relative to all is another
    user_rows = model.user_rows(np.array([5], np.int32))
    history, item = user_rows.history, 7
    changes = np.zeros((len(model.posterior), len(history.values)))
    for s in range(len(model.posterior)):
        one = with_draw(model, s)
        whole = draw_score(one, history, item)
        for at, rated in enumerate(history.indices):
            values = history.values.copy()
            values[at] = one.posterior.center + one.posterior.scale * one.posterior.items.vectors[0, rated, -1]
            changes[s, at] = whole - draw_score(one, replace(history, values=values), item)
        np.testing.assert_allclose(contributions(one, user_rows, item)[0], changes[s], atol=1e-3)
    np.testing.assert_allclose(contributions(model, user_rows, item)[0], changes.mean(axis=0), atol=1e-3)


def test_a_share_of_an_ordered_rating_is_what_its_latent_does(data):
    model = palate.Bayes(n_factors=3, n_sweeps=25, n_samples=6, likelihood="ordinal").fit(data).model
    user_rows, item = model.user_rows(np.array([5], np.int32)), 7
    history = replace(user_rows.history, values=model.targets_of(user_rows))
    for s in range(len(model.posterior)):
        one = with_draw(model, s)
        linear = replace(one, posterior=replace(one.posterior, steps=None))
        whole = draw_score(linear, history, item)
        shares = contributions(one, user_rows, item)[0]
        for at, rated in enumerate(history.indices):
            values = history.values.copy()
            values[at] = one.posterior.items.vectors[0, rated, -1]
            changed = draw_score(linear, replace(history, values=values), item)
            assert shares[at] == pytest.approx(whole - changed, abs=1e-3)
        assert np.abs(shares).max() > 0.02


def test_ordered_ratings_mean_the_same_with_and_without_draws(data):
    rec = palate.Bayes(n_factors=3, n_sweeps=25, n_samples=8, history=False, likelihood="ordinal").fit(data)
    low, high = {"i1": 1.0, "i2": 2.0, "i3": 1.0, "i30": 2.0}, {"i1": 5.0, "i2": 4.0, "i3": 5.0, "i30": 5.0}
    items = [f"i{at}" for at in range(4, 30)]
    moved = []
    for model in (rec, rec.compact()):
        ratings = [model.fold_in(given).predict(items)["prediction"].to_numpy() for given in (low, high)]
        moved.append(ratings[1] - ratings[0])
        why = model.fold_in(high).explain("i7")
        assert sum(why.parts.values()) == pytest.approx(model.fold_in(high).predict("i7").prediction, abs=1e-4)
        assert sum(reason.contribution for reason in why.because) > 0.3
        assert len(model.fold_in(high).ask(3)) == 3
    assert moved[0].mean() > 1
    np.testing.assert_allclose(moved[1], moved[0], atol=0.5)
    assert moved[1].mean() == pytest.approx(moved[0].mean(), rel=0.15)
    gains = [model.fold_in({}).ask(5)["gain"].to_numpy() for model in (rec, rec.compact())]
    assert gains[1] == pytest.approx(gains[0], rel=0.5)


@pytest.mark.parametrize("name", ["Bayes", "ALS"])
def test_a_rating_above_what_was_expected_pulls_like_things_up(name):
    cells = [(u, i) for u in range(30) for i in range(20) if (u // 2 + i) % 7]
    values = [5.0 if u % 2 == i % 2 else 1.0 for u, i in cells]
    data = palate.read({"user": [f"u{u}" for u, _ in cells], "item": [f"i{i}" for _, i in cells], "rating": values})
    why = RECIPES[name].fit(data).explain("u4", "i12")
    assert all(reason.contribution > 0 for reason in why.because[:8])  # liked the even, loathed the odd: all point up
    assert why.parts["factors"] > 0.5


def test_reasons_come_strongest_first_and_print(fits, data):
    titles = pl.DataFrame({"title": [None if n == 4 else f"Film {n}" for n in range(50)]})
    why = RECIPES["ALS"].fit(data.with_items(titles)).explain("u5", "i3")
    sizes = [abs(reason.contribution) for reason in why.because]
    assert sizes == sorted(sizes, reverse=True)
    assert why.title == "Film 3"
    text = str(why)
    assert text.splitlines()[0] == f"Film 3 for u5: {why.prediction:.2f}"
    assert f"the {len(why.because) - 8} other ratings" in text
    shown = json.loads(json.dumps(why.to_dict()))
    assert shown["parts"] == why.parts
    assert shown["because"][0]["item"] == why.because[0].item
    assert str(fits["ALS"].explain("u5", "i3")).startswith("i3 for u5")


def test_people_without_ratings_have_no_reasons(fits):
    for rec in fits.values():
        empty = CompressedRows(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), None)
        user_rows = rec.model.fold_in(empty)
        why = explain_row(rec.model, user_rows, "nobody", 3)
        assert why.because == []
        assert why.rest == pytest.approx(why.parts["user"] + why.parts["factors"])
    assert "because of" not in str(why)


def test_rows_can_be_put_in_order(fits):
    everyone = fits["Bayes"].model.user_rows(np.arange(80, dtype=np.int32))
    turned = take_rows(everyone.history, np.array([12, 12, 10], np.int32))
    for at, code in enumerate((12, 12, 10)):
        for one, two in zip(turned.row(at), everyone.history.row(code), strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_table_of_users_is_encoded_once_however_many_explanations(tmp_path, monkeypatch):
    ratings = palate.datasets.synthetic(30, 20, 400, seed=1)
    table = pl.DataFrame({"user": ratings.user_vocabulary.labels.tolist(), "age": [20 + n % 7 for n in range(30)]})
    rec = palate.Bayes(n_sweeps=10).fit(ratings.with_users(table), progress=False)
    rec.save(tmp_path / "m.palate")
    loaded, encode, calls = palate.load(tmp_path / "m.palate"), Features.encode, []
    monkeypatch.setattr(Features, "encode", lambda self, rows: calls.append(len(rows)) or encode(self, rows))
    for user in ("u1", "u2", "u3"):
        assert str(loaded.explain(user, "i1")) == str(rec.explain(user, "i1"))
    assert calls == [30]


def test_choices_that_move_nothing_are_not_listed():
    table = {"item": [f"i{n}" for n in range(40)] + ["unseen"], "genre": ["a", "b"] * 20 + ["a"]}
    pairs = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4).to_frame().select("user", "item")
    likes = palate.read(pairs, kind="implicit", items=table, unrated="keep")
    found = palate.Neighbors().fit(likes, progress=False).explain("u1", "unseen")
    assert str(found) == "unseen for u1: score 0.000\nno choice of this user moves it"
    assert found.because  # they are there, each with nothing
    for recipe in (palate.EASE(), palate.Popularity()):
        assert "0.000  chose" not in str(recipe.fit(likes, progress=False).explain("u1", "i3"))
