"""Bayes with plain ratings: scale, noise, intervals, fold-in, stopping, orders of recommendations, weights."""

import numpy as np
import pytest

import palate
from palate import kernels
from palate.data.datasets import synthetic, synthetic_factors
from palate.recipes.gibbs import sizes
from palate.recipes.monitor import rmse

WIDE = {"step": None, "scale": (-20.0, 30.0)}  # neither rounded nor clipped: the model's own assumptions


def split_of(ratings, rows):
    return palate.split_rows(ratings, rows)


def with_values(ratings, values):
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    return palate.Ratings(ratings.user_codes, ratings.item_codes, values, **vocabularies)


def covered(rec, user_codes, item_codes, values, level=0.9):
    """The share of values inside their interval, and the intervals' mean width."""
    _, low, high = rec.predict_codes(user_codes, item_codes, level=level)
    return np.mean((low <= values) & (values <= high)), np.mean(high - low)


# ---- the Normal-Wishart


# ---- the Gibbs sampler


@pytest.mark.parametrize(("factor", "shift"), [(16.0, 64.0), (0.25, -3.0)])
def test_the_scale_of_the_ratings_does_not_matter(factor, shift):
    ratings = synthetic(100, 60, 2500, seed=2)
    recipe = palate.Bayes(n_factors=5, n_sweeps=15, seed=3)
    codes = ratings.user_codes, ratings.item_codes
    one = recipe.fit(ratings).predict_codes(*codes)
    two = recipe.fit(with_values(ratings, ratings.values * factor + shift)).predict_codes(*codes)
    for before, after in zip(one, two, strict=True):
        np.testing.assert_allclose(before * factor + shift, after, atol=2e-2 * factor)


def test_noise_is_recovered_and_intervals_cover():
    whole = synthetic(500, 300, 40_000, n_factors=4, noise=0.5, seed=1, **WIDE)
    train, test = palate.split_random(whole, test=0.1, seed=0)
    rec = palate.Bayes(n_factors=6, n_sweeps=60).fit(train)
    assert rec.model.posterior.noise == pytest.approx(0.5, rel=0.04)
    assert rec.model.noise == pytest.approx(0.5, rel=0.04)
    codes = test.user_codes, test.item_codes
    assert 0.87 < covered(rec, *codes, test.values)[0] < 0.93
    assert 0.46 < covered(rec, *codes, test.values, level=0.5)[0] < 0.54
    predicted = rec.predict_codes(*codes)[0]
    assert rmse(predicted, test.values) < 0.62
    assert rmse(predicted, synthetic_factors(500, 300, 4, 1).scores(*codes)) < 0.35  # what the noise hides is known


def test_intervals_of_cold_start_users_and_items_are_wider_and_cover():
    whole = synthetic(600, 300, 40_000, n_factors=4, noise=0.5, seed=5, **WIDE)
    rng = np.random.default_rng(0)
    cold_user, cold_item = rng.random(600) < 0.25, rng.random(300) < 0.25
    no_user, no_item = cold_user[whole.user_codes], cold_item[whole.item_codes]
    held_out = no_user | no_item | (rng.random(len(whole)) < 0.05)
    train, test = split_of(whole, held_out)
    no_user, no_item = cold_user[test.user_codes], cold_item[test.item_codes]
    rec = palate.Bayes(n_factors=6, n_sweeps=60).fit(train)
    widths = {}
    for marked in (False, True):  # cold ones the vocabulary knows; then the same as if it did not
        users = np.where(no_user & marked, -1, test.user_codes).astype(np.int32)
        items = np.where(no_item & marked, -1, test.item_codes).astype(np.int32)
        for name, rows in {
            "known": ~no_user & ~no_item, "user": no_user & ~no_item, "item": no_item & ~no_user,
            "both": no_user & no_item,
        }.items():  # fmt: skip
            share, widths[name] = covered(rec, users[rows], items[rows], test.values[rows])
            assert 0.85 < share < 0.95, (name, marked)
        assert widths["known"] < min(widths["user"], widths["item"])
        assert max(widths["user"], widths["item"]) < widths["both"]


# ---- the posterior's closed forms


def test_unknown_users_and_items_get_the_mean_of_the_draws_as_one_vector():
    ratings = synthetic(60, 40, 900, n_factors=2, noise=0.5, seed=3, **WIDE)
    rec = palate.Bayes(n_factors=2, n_sweeps=20).fit(ratings)
    posterior = rec.model.posterior
    codes = np.array([-1, 5, -1], np.int32), np.array([7, -1, -1], np.int32)
    mean, variance = posterior.predict(posterior.users.vectors, *codes)
    predicted, low, high = rec.predict_codes(*codes, level=0.6826894921)
    random_error = np.sqrt(variance / len(posterior))  # of the mean over these draws; known users are at their modes
    assert np.all(np.abs(predicted - mean) < 0.05 + 3 * random_error)
    np.testing.assert_allclose(high - predicted, np.sqrt(variance + rec.model.noise_of(codes[0]) ** 2), rtol=1e-6)
    np.testing.assert_allclose(predicted - low, high - predicted, rtol=1e-6)
    new = rec.fold_in({"i1": 4.0, "i2": 3.0})
    draws = posterior.solve(new._rows.history, draw=False)
    mean, variance = posterior.predict(draws, np.zeros(1, np.int32), np.array([-1], np.int32))
    assert abs(new.predict("nothing").prediction - mean[0]) < 0.05 + 3 * np.sqrt(variance[0] / len(posterior))


# ---- fold-in, stopping, thinning


def halves_of(ratings, n_users, seed=0):
    """(rest, first halves, second halves): the ratings of n_users users cut in two, and those of all others."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(ratings.n_users)[:n_users]
    mine = np.isin(ratings.user_codes, chosen)
    order = rng.permutation(np.flatnonzero(mine))
    order = order[np.argsort(ratings.user_codes[order], kind="stable")]
    owner = ratings.user_codes[order]
    place = np.arange(len(order)) - np.searchsorted(owner, owner)
    first = place < np.bincount(owner, minlength=ratings.n_users)[owner] // 2
    return ratings[~mine], ratings[order[first]], ratings[order[~first]]


def folded_in(rec, first, second):
    """Predictions for `second` by folding in each user's half in `first`, and the intervals' ends."""
    items = np.array(list(first.item_vocabulary), dtype=object)
    answers = np.empty((3, len(second)))
    for user in np.unique(second.user_codes):
        own, asked = first.user_codes == user, second.user_codes == user
        new = rec.fold_in(dict(zip(items[first.item_codes[own]], first.values[own].tolist(), strict=True)))
        answers[:, asked] = (
            new.predict(items[second.item_codes[asked]]).select("prediction", "low", "high").to_numpy().T
        )
    return answers


def fold_in_and_refit(ratings, n_users, recipe):
    rest, first, second = halves_of(ratings, n_users)
    folded, low, high = folded_in(recipe.fit(rest), first, second)
    rows = [np.concatenate([getattr(part, name) for part in (rest, first)]) for name in ("user_codes", "item_codes")]
    whole = palate.Ratings(
        *rows,
        np.concatenate([rest.values, first.values]),
        user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary,
    )
    refit = recipe.fit(whole).predict_codes(second.user_codes, second.item_codes)[0]
    return folded, refit, second.values, np.mean((low <= second.values) & (second.values <= high))


def test_folding_in_is_as_good_as_a_refit():
    ratings = synthetic(500, 200, 25_000, n_factors=4, noise=0.5, seed=6, **WIDE)
    folded, refit, values, coverage = fold_in_and_refit(ratings, 60, palate.Bayes(n_factors=6, n_sweeps=60))
    assert rmse(folded, values) < rmse(refit, values) + 0.015
    assert rmse(folded, refit) < 0.15
    assert 0.85 < coverage < 0.95


def test_a_fit_stops_when_more_sweeps_would_not_change_predictions():
    ratings = synthetic(200, 200, 20_000, noise=1.0, seed=1)
    free = palate.Bayes(n_factors=4).fit(ratings)
    assert 80 <= free.model.training["n_sweeps"] < sizes.MAX_SWEEPS
    assert free.model.training["ended"] == "finished"
    assert palate.Bayes(n_factors=4, n_sweeps=7).fit(ratings).model.training["n_sweeps"] == 7


def test_options_reach_the_fit():
    ratings = synthetic(60, 40, 1000, seed=1)
    rec = palate.Bayes(n_factors=3, n_sweeps=30, n_samples=4).fit(ratings)
    assert len(rec.model.posterior) <= 4
    assert rec.model.posterior.users.vectors.shape[2] == 4
    assert palate.Bayes(n_sweeps=1).fit(ratings).model.posterior.users.vectors.shape[2] == 16
    assert palate.Bayes(n_factors=3, seed=2).label() == "Bayes(n_factors=3, seed=2)"
    assert palate.Bayes(n_factors=3) == palate.Bayes(n_factors=3) != palate.Bayes()


def test_thompson_draws_are_draws_of_the_posterior():
    ratings = synthetic(200, 30, 3000, n_factors=2, noise=0.5, seed=8, **WIDE)
    rec = palate.Bayes(n_factors=2, n_sweeps=60).fit(ratings)
    best = [rec.recommend("u1", n=30, by="thompson", keep_seen=True, seed=seed) for seed in range(40)]
    assert len({tuple(one["item"]) for one in best}) > 5
    assert best[3].equals(rec.recommend("u1", n=30, by="thompson", keep_seen=True, seed=3))
    drawn = np.mean([dict(zip(one["item"], one["score"], strict=True))["i5"] for one in best])
    assert drawn == pytest.approx(rec.predict("u1", "i5").prediction, abs=0.3)


def test_by_lower_orders_by_the_lower_ends():
    ratings = synthetic(200, 60, 3000, n_factors=2, noise=0.5, seed=8, **WIDE)
    rec = palate.Bayes(n_factors=2, n_sweeps=40).fit(ratings)
    for level in (0.5, 0.95):
        best = rec.recommend("u1", n=60, by="lower", keep_seen=True, level=level)
        low = rec.predict("u1", best["item"].to_list(), level=level)["low"]
        np.testing.assert_allclose(best["score"], low, atol=2e-3)


# ---- real data


@pytest.mark.long
@pytest.mark.data
def test_folding_in_on_movielens_is_as_good_as_a_refit(ml_100k):
    folded, refit, values, coverage = fold_in_and_refit(ml_100k, 200, palate.Bayes(n_sweeps=100))
    assert rmse(folded, values) <= rmse(refit, values) + 0.003
    assert 0.87 <= coverage <= 0.93


# ---- weights


def with_weights(ratings, weights):
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    return palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, weights=weights, **vocabularies)


@pytest.mark.parametrize("recipe", [palate.Bayes(n_sweeps=15), palate.ALS(n_factors=4), palate.Bias()], ids=repr)
def test_only_the_proportions_of_weights_count(recipe):
    ratings = palate.datasets.synthetic(60, 40, 1200, seed=2)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(ratings))
    one, other = (recipe.fit(with_weights(ratings, weights * unit)) for unit in (1, 1024))
    assert one.model.noise == pytest.approx(other.model.noise, rel=1e-3, nan_ok=True)
    np.testing.assert_allclose(one.recommend(n=5)["score"], other.recommend(n=5)["score"], atol=1e-2)


def test_ratings_of_weight_zero_do_not_change_the_noise():
    ratings = palate.datasets.synthetic(150, 80, 6000, noise=0.6, seed=3)
    counted = np.random.default_rng(0).random(len(ratings)) < 0.5
    some = palate.Bayes(n_sweeps=60).fit(with_weights(ratings, counted.astype(np.float32)))
    only = palate.Bayes(n_sweeps=60).fit(ratings[counted])
    assert some.model.noise == pytest.approx(only.model.noise, rel=0.05)
    with pytest.raises(palate.errors.DataError, match="weight 0"):
        palate.Bayes().fit(with_weights(ratings, np.zeros(len(ratings))))


def test_two_ratings_of_weight_one_are_one_of_weight_two():
    """As far as a row's solution goes: the same factors, given the same other side."""
    rows = palate.datasets.synthetic(30, 20, 300, seed=1)
    twice = with_weights(rows[np.repeat(np.arange(len(rows)), 2)], np.ones(2 * len(rows)))
    double = with_weights(rows, np.full(len(rows), 2.0))
    items = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    prior = {"precision": np.eye(4, dtype=np.float32), "mean": np.zeros(4, np.float32), "bias": True}
    solved = [
        kernels.solve_rows(r.indptr, r.indices, r.values, items, weights=r.weights, **prior)[0]
        for r in (twice.by_user(), double.by_user())
    ]
    np.testing.assert_allclose(*solved, atol=1e-4)
