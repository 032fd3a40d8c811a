"""Bayes with ordinal ratings: probabilities against planted data, fold-in users against their posterior, answers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special

import palate
from helpers.data import UNEVEN, planted, with_values
from palate.answers.results import Distribution
from palate.data.datasets import synthetic
from palate.data.rows import CompressedRows
from palate.errors import DataError, OptionError
from palate.models.ordinal import OrderedSteps
from palate.recipes.monitor import rmse

ORDINAL = {"likelihood": "ordinal", "n_factors": 3}


@pytest.fixture(scope="module")
def data():
    ratings, scores = planted()
    held_out = np.random.default_rng(0).random(len(ratings)) < 0.2
    return *palate.split_rows(ratings, held_out), scores[held_out]


@pytest.fixture(scope="module")
def rec(data):
    return palate.Bayes(**ORDINAL, n_sweeps=100, n_samples=16).fit(data[0])


# ---- what is learned


def test_planted_cut_points_are_recovered(rec):
    """Only the gaps: a shift of all cut points trades off with the biases."""
    found = rec.model.factors.steps
    np.testing.assert_array_equal(found.values, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(np.diff(found.cuts), np.diff(UNEVEN), rtol=0.12)
    np.testing.assert_allclose(np.diff(rec.model.posterior.cuts).mean(axis=0), np.diff(found.cuts), rtol=1e-4)


def test_probabilities_are_calibrated(rec, data):
    """Over all ratings, and among those with high and low predictions."""
    _, test, truth = data
    forecast = rec.model.forecast(test.user_codes, test.item_codes)
    happened = test.values[:, None] == np.arange(1, 6)
    high = forecast.mean > np.median(forecast.mean)
    for some in (np.ones(len(test), bool), high, ~high):
        surprise = (happened - forecast.probabilities)[some].sum(axis=0)
        spread = np.sqrt((forecast.probabilities * (1 - forecast.probabilities))[some].sum(axis=0))
        assert np.abs(surprise / spread).max() < 4
    exact = OrderedSteps(np.arange(1, 6), UNEVEN).probabilities(truth)
    assert np.abs(forecast.probabilities - exact).mean() < 0.07
    shares = np.broadcast_to(happened.mean(axis=0), happened.shape)
    told, best, nothing = (-np.log(chances[happened]).mean() for chances in (forecast.probabilities, exact, shares))
    assert told < best + 0.25 * (nothing - best)
    report = palate.evaluate(rec, test, baselines=False)
    assert report["rmse"] == pytest.approx(rmse(forecast.mean, test.values), rel=1e-5)


def test_probabilities_of_cold_start_pairs_are_calibrated_and_less_certain():
    """Users and items held out whole, in the vocabulary or not."""
    whole, _ = planted()
    rng = np.random.default_rng(0)
    cold_user, cold_item = rng.random(300) < 0.2, rng.random(100) < 0.2
    held_out = cold_user[whole.user_codes] | cold_item[whole.item_codes] | (rng.random(len(whole)) < 0.1)
    train, test = palate.split_rows(whole, held_out)
    no_user, no_item = cold_user[test.user_codes], cold_item[test.item_codes]
    rec = palate.Bayes(**ORDINAL, n_sweeps=100, n_samples=16).fit(train)
    happened = test.values[:, None] == np.arange(1, 6)
    losses = []
    for some in (~no_user & ~no_item, no_user & ~no_item, no_item & ~no_user):
        for unknown in (False, True):
            users = np.where(no_user & unknown, -1, test.user_codes).astype(np.int32)
            items = np.where(no_item & unknown, -1, test.item_codes).astype(np.int32)
            chances = rec.model.forecast(users[some], items[some]).probabilities
            np.testing.assert_allclose(chances.mean(axis=0), happened[some].mean(axis=0), atol=0.12)  # few of them
            losses.append(-np.log(chances[happened[some]]).mean())
    np.testing.assert_allclose(losses[::2], losses[1::2], atol=0.02)
    assert losses[0] < min(losses[2], losses[4]) - 0.05


def test_intervals_cover():
    """On even steps only: with rare steps between common ones, an interval covers more than its level."""
    ratings, _ = planted(cuts=np.linspace(-3.2, 3.2, 9), values=np.arange(1, 11))
    train, test = palate.split_random(ratings, test=0.2)
    report = palate.evaluate(palate.Bayes(**ORDINAL, n_sweeps=40).fit(train), test, baselines=False)
    assert 0.87 < report["coverage_90"] < 0.94
    assert 0.46 < report["coverage_50"] < 0.60


def test_auto_takes_ordinal_for_uneven_steps():
    stretched, _ = planted(150, 60, 5000, cuts=[-1.0, -0.8, -0.6, 0.5], values=(1, 2, 3, 4, 20))
    assert palate.Bayes(n_factors=2, n_sweeps=3, likelihood="auto").fit(stretched).model.factors.steps is not None


def test_auto_does_not_try_ordinal_without_steps(monkeypatch):
    plain = synthetic(150, 60, 5000, n_factors=2, seed=1, step=None)
    recipe = palate.Bayes(n_factors=2, n_sweeps=3, likelihood="auto")
    tried = []
    monkeypatch.setattr("palate.recipes.bayes.split_random", lambda *asked, **_: tried.append(asked))
    assert recipe.fit(plain).model.factors.steps is None
    assert recipe.fit(with_values(plain, np.full(5000, 3.0))).model.factors.steps is None
    assert not tried  # nothing to try: no steps


@pytest.mark.parametrize("values", [np.arange(21), [3.0]])
def test_too_many_or_too_few_steps_are_an_error(values):
    ratings = synthetic(30, 20, 300, seed=1)
    odd = with_values(ratings, np.resize(np.asarray(values, np.float32), 300))
    with pytest.raises(DataError, match=r'likelihood="ordinal" needs ratings in 2 to 20 steps, and these have'):
        palate.Bayes(likelihood="ordinal", n_sweeps=3).fit(odd)
    with pytest.raises(OptionError, match="likelihood"):
        palate.Bayes(likelihood="probit")


@pytest.mark.parametrize("values", [(0.0, 1.0), np.arange(20) / 10 - 1])
def test_two_and_twenty_steps_will_do(values):
    cuts = np.linspace(-1.5, 1.5, len(values) - 1)
    ratings, _ = planted(60, 40, 1500, cuts=cuts, values=values)
    rec = palate.Bayes(n_factors=2, n_sweeps=6, likelihood="ordinal").fit(ratings)
    asked = rec.predict("u1", "i2", distribution=True)
    np.testing.assert_allclose(list(asked.chances), values, atol=1e-6)
    for value in values:  # whatever float32 made of 0.7: it is a step
        best = rec.recommend("u1", n=40, by="chance", at_least=value, keep_seen=True)
        score = best.filter(pl.col("item") == "i2")["score"].item()
        assert score == pytest.approx(asked.at_least(value), abs=1e-4)


cells = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(-2, 17)), min_size=2, max_size=25)


@settings(max_examples=40, deadline=None)
@given(cells.filter(lambda rows: len({row[2] for row in rows}) > 1), st.sampled_from([None, "some", "times"]))
def test_any_ordinal_ratings_give_probabilities(rows, more):
    """Few, repeated, contradictory or separable; users and items without any; weights, and equal times."""
    users, items, values = np.array(rows).T
    weights = np.arange(len(rows)) % 3 if more == "some" else None
    assume(weights is None or len(set(values[weights > 0])) > 1)
    ratings = palate.Ratings(
        users, items, values.astype(np.float32), weights=weights, times=users * 0 if more == "times" else None,
        user_vocabulary=palate.Vocabulary(range(4), what="user"),
        item_vocabulary=palate.Vocabulary(range(3), what="item"),
    )  # fmt: skip
    recipe = palate.Bayes(n_factors=2, n_sweeps=4, likelihood="ordinal", time=more == "times")
    rec = recipe.fit(ratings, progress=False)
    told = rec.model.forecast(np.array([0, 3, -1], np.int32), np.array([2, -1, 0], np.int32))
    np.testing.assert_allclose(told.probabilities.sum(axis=1), 1, atol=1e-9)
    assert (told.mean >= values.min()).all() and (told.mean <= values.max()).all()
    assert np.isfinite(told.standard_deviation).all()
    assert rec.recommend(0, by="lower", keep_seen=True)["score"].is_finite().all()
    chosen = palate.Bayes(n_factors=2, n_sweeps=2, likelihood="auto").fit(ratings, progress=False)
    assert values.min() <= chosen.predict(0, 1).prediction <= values.max()


def test_ratings_of_weight_zero_change_nothing(data):
    """Neither predictions nor cut points."""
    train, test, _ = data
    counted = np.random.default_rng(0).random(len(train)) < 0.6
    spoiled = with_values(train, np.where(counted, train.values, 1), weights=counted.astype(np.float32))
    recipe = palate.Bayes(**ORDINAL, n_sweeps=40, history=False)
    one, two = (recipe.fit(ratings).model for ratings in (spoiled, train[counted]))
    np.testing.assert_allclose(np.diff(one.factors.steps.cuts), np.diff(two.factors.steps.cuts), rtol=0.1)
    codes = test.user_codes, test.item_codes
    assert rmse(one.forecast(*codes).mean, two.forecast(*codes).mean) < 0.1
    np.testing.assert_allclose(
        one.forecast(*codes).probabilities.mean(axis=0), two.forecast(*codes).probabilities.mean(axis=0), atol=0.01
    )


def test_a_step_that_only_weightless_ratings_have(data):
    train = data[0]
    weights = (train.values != 2).astype(np.float32)
    rec = palate.Bayes(**ORDINAL, n_sweeps=10).fit(with_values(train, train.values, weights=weights))
    assert list(rec.predict("u1", "i1", distribution=True).chances) == sorted(set(train.values.tolist()) - {2})


# ---- fold-in: expectation-maximization, then Gibbs


def one_draw(rec):
    """(posterior of one draw, the items' partners z, their biases, the precision and mean of users)."""
    posterior = rec.model.posterior.select_draws(np.array([3]))
    items = posterior.items.vectors[0].astype(np.float64)
    z = np.column_stack([items[:, :-1], np.ones(len(items))])
    return posterior, z, items[:, -1], posterior.users.precision[0], posterior.users.mean[0]


def history_of(items, values, n=1):
    indptr = np.arange(n + 1, dtype=np.int64) * len(items)
    return CompressedRows(indptr, np.tile(np.array(items, np.int32), n), np.tile(np.array(values, np.float32), n), None)


def log_posterior(x, rec, posterior, items, ratings):
    """Of vectors x (m, k) of somebody with these ratings, under the only draw of the posterior, by the formula."""
    _, z, bias, precision, mean = one_draw(rec)
    root = np.sqrt(posterior.alpha[0])
    ends = np.concatenate([[-np.inf], posterior.cuts[0], [np.inf]])
    steps, scores = np.array(ratings, int) - 1, x @ z[items].T + bias[items]
    mass = special.ndtr(root * (ends[steps + 1] - scores)) - special.ndtr(root * (ends[steps] - scores))
    return np.log(mass).sum(axis=1) - 0.5 * np.einsum("mi,ij,mj->m", x - mean, precision, x - mean)


@pytest.mark.parametrize("alpha", [1.0, 0.6])
def test_fold_in_users_are_drawn_from_their_posterior(rec, alpha, monkeypatch):
    """Mean and variance of 4,000 draws against importance sampling; the most probable vector against all others."""
    items, ratings = np.array([3, 17, 40, 41, 90]), [1, 5, 5, 3, 2]
    posterior = replace(one_draw(rec)[0], alpha=np.array([alpha], np.float32))
    likely = posterior.solve(history_of(items, ratings), draw=False)[0, 0].astype(np.float64)
    drawn = posterior.solve(history_of(items, ratings, 4000), draw=True, seed=5)[0].astype(np.float64)
    spread = np.linalg.cholesky(np.cov(drawn.T) * 1.5)
    rng = np.random.default_rng(0)
    tries = likely + rng.standard_normal((60_000, 4)) @ spread.T
    logs = log_posterior(tries, rec, posterior, items, ratings)
    best = log_posterior(likely[None], rec, posterior, items, ratings)
    assert best > logs.max() - 0.01
    away = np.linalg.solve(spread, (tries - likely).T)
    weights = np.exp(logs - logs.max() + 0.5 * np.sum(away**2, axis=0))
    weights /= weights.sum()
    assert 1 / np.sum(weights**2) > 10_000  # the tries are good for this
    mean = weights @ tries
    sd = np.sqrt(weights @ (tries - mean) ** 2)
    np.testing.assert_allclose(drawn.mean(axis=0) / sd, mean / sd, atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0) / sd, 1, atol=0.06)
    monkeypatch.setattr("palate.models.posterior.N_EM_STEPS", 200)  # steps enough
    np.testing.assert_allclose(likely, posterior.solve(history_of(items, ratings), draw=False)[0, 0], atol=5e-3)


def test_folding_in_is_as_good_as_a_refit(data):
    train, test, _ = data
    chosen = np.flatnonzero(np.bincount(test.user_codes, minlength=300) >= 8)[:30]
    mine = np.isin(train.user_codes, chosen)
    folded_from = palate.Bayes(**ORDINAL, n_sweeps=40, n_samples=16).fit(train[~mine])
    refit = palate.Bayes(**ORDINAL, n_sweeps=40, n_samples=16).fit(train)
    items = train.item_vocabulary.labels
    folded, again, values, inside = [], [], [], []
    for user in chosen:
        own, asked = train.user_codes == user, test.user_codes == user
        ratings = dict(zip(items[train.item_codes[own]], train.values[own].tolist(), strict=True))
        answer = folded_from.fold_in(ratings).predict(items[test.item_codes[asked]].tolist())
        low, high = (answer[end].to_numpy() for end in ("low", "high"))
        folded.append(answer["prediction"].to_numpy())
        inside.append((low <= test.values[asked]) & (test.values[asked] <= high))
        again.append(refit.predict_codes(test.user_codes[asked], test.item_codes[asked])[0])
        values.append(test.values[asked])
    folded, again, values = (np.concatenate(parts) for parts in (folded, again, values))
    assert rmse(folded, values) < rmse(again, values) + 0.02
    assert rmse(folded, again) < 0.2
    assert 0.85 < np.concatenate(inside).mean() < 0.97


def test_weights_of_fold_in_ratings_count(rec):
    told = {"item": ["i1", "i2", "i3"], "rating": [5.0, 1.0, 5.0]}
    vectors = [rec.fold_in(pl.DataFrame(told | {"weight": weights})).vector for weights in ([1, 1, 1], [1, 0, 1])]
    without = rec.fold_in({"i1": 5, "i3": 5}).vector
    np.testing.assert_allclose(rec.fold_in(pl.DataFrame(told)).vector, vectors[0], atol=1e-5)
    assert np.abs(vectors[0] - without).max() > 0.05
    assert rec.fold_in({"i1": 5}).vector.shape == (rec.n_factors + 1,)


@pytest.mark.parametrize("side", ["user", "item"])
def test_a_rating_between_the_steps_is_an_error(rec, side):
    known = "i" if side == "user" else "u"
    with pytest.raises(
        DataError, match=r"the rating 3\.5 at position 1 \(1 such\) is none of the steps .*1, 2, 3, 4, 5"
    ):
        rec.fold_in({f"{known}1": 3, f"{known}2": 3.5}, side=side).predict(f"{known}5")


# ---- answers


def test_a_distribution_is_a_prediction_with_probabilities(rec):
    answer = rec.predict("u1", "i2", distribution=True)
    assert isinstance(answer, Distribution)
    assert list(answer.chances) == [1, 2, 3, 4, 5]
    assert sum(answer.chances.values()) == pytest.approx(1, abs=1e-9)
    assert min(answer.chances.values()) > 0
    assert answer.prediction == pytest.approx(sum(value * chance for value, chance in answer.chances.items()))
    assert answer[:3] == rec.predict("u1", "i2")
    assert answer.at_least(1) == pytest.approx(1)
    assert answer.at_least(4) == answer.at_least(3.5) == answer.chances[4] + answer.chances[5]
    assert answer.at_least(5.5) == 0
    assert rec.predict("nobody", "i2", distribution=True).chances.keys() == answer.chances.keys()
    new = rec.fold_in({"i1": 5, "i3": 1})
    assert new.predict("i2", distribution=True)[:3] == new.predict("i2")
    assert sum(new.predict("i2", distribution=True).chances.values()) == pytest.approx(1)


def test_probabilities_have_columns_in_frames_of_any_kind(rec):
    names = [f"chance_{star}" for star in range(1, 6)]
    asked = {"user": ["u1", "nobody", "u3"], "item": ["i2", "i3", "nothing"]}
    polars = rec.predict(pl.DataFrame(asked), distribution=True)
    assert polars.columns == ["user", "item", "prediction", "low", "high", *names]
    pandas = rec.predict(pd.DataFrame(asked), distribution=True)
    assert isinstance(pandas, pd.DataFrame) and list(pandas.columns) == polars.columns
    chances = polars.select(names).to_numpy()
    np.testing.assert_array_equal(pandas[names].to_numpy(), chances)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(chances @ np.arange(1, 6), polars["prediction"], rtol=1e-6)
    blank = rec.predict(pl.DataFrame(asked), distribution=True, on_unknown="nan")
    assert np.isnan(blank.select(names).to_numpy()).all(axis=1).tolist() == [False, True, True]
    assert rec.predict(asked["user"], asked["item"]).columns == ["user", "item", "prediction", "low", "high"]
    assert rec.predict(asked["user"][:1], asked["item"][:1], distribution=True).columns == polars.columns
    assert rec.fold_in({"i1": 5}).predict(["i2"], distribution=True).columns == ["item", *polars.columns[2:]]


def test_steps_that_six_digits_do_not_tell_apart():
    values = [1234567.0, 1234568.0, 1234569.5]
    rec = palate.Bayes(n_factors=1, n_sweeps=3, likelihood="ordinal").fit(
        planted(20, 10, 100, cuts=[-0.5, 0.5], values=values)[0]
    )
    answer = rec.predict("u1", "i1", distribution=True)
    assert list(answer.chances) == values
    assert sum(answer.chances.values()) == pytest.approx(1)
    assert rec.predict(["u1"], ["i1"], distribution=True).columns[-1] == "chance_1234569.5"


def test_where_there_are_no_steps_there_are_no_probabilities(data):
    for plain in (palate.Bias().fit(data[0]), without_steps(palate.Bayes(n_factors=2, n_sweeps=3).fit(data[0]))):
        for ask in (plain.predict, plain.fold_in({"i1": 5}).predict):
            with pytest.raises(OptionError, match=r"distribution=True gives each step.*2 to 20 different values"):
                ask(*(["u1"] if ask == plain.predict else []), "i1", distribution=True)
        for ask in (plain, plain.fold_in({"i1": 5})):
            with pytest.raises(OptionError, match=r"by=\"chance\" needs a Bayes model of ratings in 2 to 20 steps"):
                ask.recommend(by="chance", at_least=4)


def without_steps(rec):
    return palate.Recommender(replace(rec.model, step_distribution=None))


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_by_lower_orders_by_the_lower_ends(rec, level):
    best = rec.recommend("u1", n=100, by="lower", keep_seen=True, level=level)
    low = rec.predict("u1", best["item"].to_list(), level=level)["low"]
    np.testing.assert_allclose(best["score"], low, atol=2e-3)
    assert len(best) == 100


def test_by_chance_orders_by_probability(rec):
    best = rec.recommend(["u1", "u7"], n=100, by="chance", at_least=4, keep_seen=True)
    told = rec.predict(best, distribution=True)
    chance = told["chance_4"] + told["chance_5"]
    np.testing.assert_allclose(best["score"], chance, atol=1e-4)
    for user in ("u1", "u7"):
        assert (best.filter(pl.col("user") == user)["score"].diff().drop_nulls() <= 0).all()
    assert (rec.recommend("u1", by="chance", at_least=0.5)["score"] == 1).all()
    assert (rec.recommend("u1", by="chance", at_least=6)["score"] == 0).all()
    new = rec.fold_in({"i1": 5.0, "i3": 1.0})
    best = new.recommend(n=5, by="chance", at_least=4)
    told = new.predict(best["item"].to_list(), distribution=True)
    np.testing.assert_allclose(best["score"], told["chance_4"] + told["chance_5"], atol=1e-4)


@pytest.mark.parametrize("wrong", ["4", None, np.nan, np.inf, True, [4], 10**400])
def test_at_least_is_a_rating(rec, wrong):
    for someone in (rec, rec.fold_in({"i1": 5})):
        with pytest.raises(OptionError, match="at_least"):
            someone.recommend(by="chance", at_least=wrong)
        if wrong is not None:
            with pytest.raises(OptionError, match=r"by=\"chance\" and at_least= go together"):
                someone.recommend(by="mean", at_least=wrong)


def test_thompson_draws_are_ratings_around_the_prediction(rec):
    drawn = [rec.recommend("u1", n=100, by="thompson", keep_seen=True, seed=seed) for seed in range(40)]
    scores = np.concatenate([one["score"] for one in drawn])
    assert scores.min() >= 1 and scores.max() <= 5
    assert len({tuple(one["item"]) for one in drawn}) > 5
    of_item = np.mean([dict(zip(one["item"], one["score"], strict=True))["i5"] for one in drawn])
    assert of_item == pytest.approx(rec.predict("u1", "i5").prediction, abs=0.25)


def test_similar_questions_and_tables_are_answered(rec):
    assert len(rec.similar_items("i1", n=3)) == len(rec.similar_users("u1", n=3)) == 3
    table = rec.cross_tab(["u1", "u2"], ["i1", "i2"]).predicted
    assert ((table >= 1) & (table <= 5)).all()
    asked = rec.ask(3, given={"i1": 5})
    assert len(asked) == 3 and (asked["gain"] > 0).all()
