"""Measures weighted by inverse propensities: equal propensities, known ones, strata of popularity, lists, notes."""

import json
from dataclasses import astuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.errors import DataError, OptionError
from palate.evaluation import propensities
from palate.evaluation.propensities import effective_size, is_self_selected, popularity_propensities

N_USERS, N_ITEMS = 400, 150


@pytest.fixture(scope="module")
def world():
    """Ratings of all pairs, and the probability that the user rates the item: high where the rating will be high."""
    rng = np.random.default_rng(0)
    taste, item = rng.normal(size=(N_USERS, 3)), rng.normal(size=(N_ITEMS, 3))
    scores = 3 + 0.8 * taste @ item.T / np.sqrt(3) + 0.4 * rng.normal(size=N_ITEMS)
    ratings = np.clip(np.round(scores + 0.6 * rng.normal(size=scores.shape)), 1, 5)
    return ratings, 0.03 + 0.4 / (1 + np.exp(-2.5 * (ratings - 4)))


def rated(ratings, pairs):
    """The ratings of a mask of pairs, and those pairs."""
    users, items = np.nonzero(pairs)
    columns = {"user": [f"u{u}" for u in users], "item": [f"i{i}" for i in items], "rating": ratings[pairs]}
    return palate.read(columns)


@pytest.fixture(scope="module")
def chosen(world):
    """A model of what users chose to rate, test ratings that they chose, the propensities, and ratings of all pairs."""
    ratings, propensity = world
    rng = np.random.default_rng(1)
    seen = rng.random(ratings.shape) < propensity
    is_test = rng.random(ratings.shape) < 0.3
    rec = palate.ALS(n_factors=3).fit(rated(ratings, seen & ~is_test), progress=False)
    return rec, rated(ratings, seen & is_test), propensity[seen & is_test], rated(ratings, is_test)


def test_equal_propensities_give_the_plain_measures(chosen):
    rec, test, *_ = chosen
    report = palate.evaluate(palate.Bias().fit(palate.evaluation.training_ratings(rec)), test,
                             propensity=np.full(len(test), 0.02), n_bootstrap=40)  # fmt: skip
    assert {"rmse", "mae", "coverage_90", "width_50"} < set(report.measures)
    for measures in (report.measures, report.baselines["Mean"]):
        for name in [name for name in measures if not name.startswith("snips_")]:
            np.testing.assert_allclose(astuple(measures[f"snips_{name}"]), astuple(measures[name]), rtol=1e-6)
    assert report.n_effective == pytest.approx(len(test))
    assert (report.propensity, report.to_dict()["n_effective"]) == ("given", report.n_effective)


def test_known_propensities_recover_the_error_on_random_pairs(chosen):
    """The plain error on what users chose is far off; the weighted one is off by its own uncertainty."""
    rec, test, propensity, random = chosen
    report = palate.evaluate(rec, test, propensity=propensity, baselines=False)
    truth = palate.evaluate(rec, random, baselines=False)["rmse"]
    low, high = report.measures["snips_rmse"].low, report.measures["snips_rmse"].high
    assert low <= truth <= high
    assert high - low < 0.25 * truth
    assert report["snips_rmse"] == pytest.approx(truth, rel=0.05)
    assert report["rmse"] < 0.75 * truth
    by_popularity = palate.evaluate(rec, test, propensity="popularity", baselines=False)
    assert by_popularity["snips_rmse"] < 0.8 * truth  # popularity does not tell that users rate what they like
    assert "not that users rate what they expect to like" in str(by_popularity)


def test_the_weighted_mean_is_that_of_the_formula_and_weights_multiply(chosen):
    rec, test, propensity, _ = chosen
    weights = np.random.default_rng(2).integers(0, 4, len(test)).astype(np.float32)
    report = palate.evaluate(rec, test.with_weights(weights), propensity=propensity, baselines=False)
    errors = rec.predict(test.to_frame())["prediction"].to_numpy() - test.values
    w = weights / propensity
    assert report["snips_mae"] == pytest.approx(np.average(np.abs(errors), weights=w), rel=1e-5)
    assert report["snips_rmse"] == pytest.approx(np.sqrt(np.average(errors**2, weights=w)), rel=1e-5)
    assert report["rmse"] == pytest.approx(np.sqrt(np.average(errors**2, weights=weights)), rel=1e-5)
    assert report.n_effective == pytest.approx(w.sum() ** 2 / (w**2).sum())
    swapped = palate.evaluate(rec, test.with_weights(1 / propensity), propensity=np.ones(len(test)), baselines=False)
    plain = palate.evaluate(rec, test, propensity=propensity, baselines=False)
    assert swapped["snips_rmse"] == pytest.approx(plain["snips_rmse"], rel=1e-5)


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 37.0, 1e200])
def test_only_proportions_of_propensities_count(chosen, scale):
    rec, test, propensity, _ = chosen
    one, other = (
        palate.evaluate(rec, test, propensity=p, baselines=False, n_bootstrap=20)
        for p in (propensity, pl.Series(propensity * scale))
    )
    for name, measure in one.measures.items():
        np.testing.assert_allclose(astuple(other.measures[name]), astuple(measure), rtol=1e-5)
    assert other.n_effective == pytest.approx(one.n_effective)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=50))
def test_the_effective_sample_size_lies_between_one_and_all(weights):
    found = effective_size(np.array(weights))
    assert 1 - 1e-9 <= found <= len(weights) * (1 + 1e-9)
    assert effective_size(np.full(len(weights), 7.0)) == pytest.approx(len(weights))


def test_few_effective_ratings_are_said_to_be_few(chosen):
    rec, test, propensity, _ = chosen
    one = propensity.copy()
    one[3] = one.min() / 10_000
    text = str(palate.evaluate(rec, test, propensity=one))
    assert f"{len(test):,} ratings count as 1 of equal weight" in text and "That is few" in text
    assert "That is few" not in str(palate.evaluate(rec, test, propensity=np.ones(len(test))))
    assert [line.split("  ")[0] for line in text.splitlines()[2:8]] == [
        "model", "Mean", "Bias", "model, snips", "Mean, snips", "Bias, snips",
    ]  # fmt: skip


# ---- strata of popularity


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60).filter(any))
def test_propensities_grow_with_popularity(counts):
    counts = np.array(counts)
    found = popularity_propensities(counts, np.arange(len(counts), dtype=np.int32))
    assert (found > 0).all() and np.isfinite(found).all()
    order = np.argsort(counts)
    assert (np.diff(found[order]) >= 0).all()
    for count in set(counts):
        assert len(set(found[counts == count])) == 1
    assert found.sum() == pytest.approx(counts.sum())  # as many ratings are expected as there are
    unknown = popularity_propensities(counts, np.array([-1], np.int32))
    assert unknown == found.min()


def test_strata_hold_about_a_tenth_of_the_ratings_each():
    counts = np.random.default_rng(0).lognormal(3, 1.5, 5000).astype(np.int64)
    found = popularity_propensities(counts, np.arange(5000, dtype=np.int32))
    shares = [counts[found == value].sum() / counts.sum() for value in np.unique(found)]
    assert len(shares) == 10
    assert min(shares) > 0.04 and max(shares) < 0.25


def test_strata_by_hand():
    """Items are cut at tenths of the ratings that fewer-rated items and half of their own kind hold."""
    counts = np.array([0, 40, 1, 3, 1, 10, 3, 0, 2, 40, 100, 3])  # sums, from below: 2, 4, 13, 23, 103, 203
    found = popularity_propensities(counts, np.array([0, 1, 2, 3, 8, 5, 10, -1], np.int32))
    low = (2 + 2 + 9 + 10) / 9  # the kinds whose middle lies below 20.3, those without ratings among them
    np.testing.assert_allclose(found, [low, 40, low, low, low, low, 100, low])
    halves = np.array([10, 190, 1, 199, 1600])  # middles at 1/4000, 6/2000, 106/2000, 300.5/2000, 1200/2000
    middle = (1 + 10 + 190) / 3
    np.testing.assert_allclose(
        popularity_propensities(halves, np.arange(5, dtype=np.int32)), [middle, middle, middle, 199, 1600]
    )
    tenths = np.array([1, 2, 3])  # middles at 1/12, 2/6 and 9/12
    np.testing.assert_allclose(popularity_propensities(tenths, np.arange(3, dtype=np.int32)), [1, 2, 3])


def test_popularity_mends_what_depends_on_popularity():
    """Items differ in how well they are predicted, and the more popular ones are rated more often, by anybody."""
    rng = np.random.default_rng(3)
    n_users, n_items = 600, 200
    propensity = 0.4 * np.arange(1, n_items + 1) ** -0.7
    noise = 0.3 + 0.5 * np.log(np.arange(1, n_items + 1))
    ratings = noise * rng.normal(size=(n_users, n_items))
    seen = rng.random(ratings.shape) < propensity
    is_test = rng.random(ratings.shape) < 0.3
    rec = palate.Mean().fit(rated(ratings, seen & ~is_test))
    truth = palate.evaluate(rec, rated(ratings, is_test), baselines=False)["rmse"]
    report = palate.evaluate(rec, rated(ratings, seen & is_test), propensity="popularity", baselines=False)
    assert report["rmse"] < 0.85 * truth
    assert report["snips_rmse"] == pytest.approx(truth, rel=0.05)
    assert report.n_effective < 0.8 * report.n


def test_a_saved_model_knows_its_counts(chosen, tmp_path):
    rec, test, *_ = chosen
    rec.save(tmp_path / "m.palate")
    one, other = (palate.evaluate(r, test, propensity="popularity", baselines=False) for r in
                  (rec, palate.load(tmp_path / "m.palate")))  # fmt: skip
    assert one == other


# ---- lists


@pytest.fixture(scope="module")
def lists():
    likes = palate.datasets.synthetic(120, 60, 3000, seed=1).likes(at_least=3)
    train, test = palate.split_within_users(likes, test=0.3, seed=0)
    return palate.ImplicitALS(n_factors=6).fit(train), test


def test_equal_propensities_give_the_plain_recall(lists):
    rec, test = lists
    report = palate.evaluate(rec, test, k=(3, 10), propensity=np.ones(len(test)), n_bootstrap=40)
    for k in (3, 10):
        for measures in (report.measures, report.baselines["Popularity"]):
            np.testing.assert_allclose(
                astuple(measures[f"snips_recall@{k}"]), astuple(measures[f"recall@{k}"]), rtol=1e-6
            )
    assert report.n_effective == pytest.approx(len(test))
    assert "snips_dcg@3" in report.measures and "snips_recall" in str(report)
    assert "snips_recall@3" not in palate.evaluate(rec, test, k=3).measures


def test_lists_are_measured_as_by_hand(lists):
    rec, test = lists
    propensity = np.random.default_rng(4).uniform(0.01, 1, len(test))
    report = palate.evaluate(rec, test, k=5, propensity=propensity, baselines=False)
    rows = test.to_frame().with_columns(weight=1 / propensity)
    best = rec.recommend(rows["user"].unique().to_list(), n=5)
    joined = rows.join(best.select("user", "item", "rank"), on=["user", "item"], how="left").with_columns(
        hit=pl.col("rank").is_not_null().cast(pl.Float64),
        gain=(1 / (1 + pl.col("rank")).log(2)).fill_null(0.0),
    )
    means = joined.group_by("user").agg(
        recall=(pl.col("weight") * pl.col("hit")).sum() / pl.col("weight").sum(),
        dcg=(pl.col("weight") * pl.col("gain")).sum() / pl.col("weight").sum(),
    )
    assert report["snips_recall@5"] == pytest.approx(means["recall"].mean(), rel=1e-6)
    assert report["snips_dcg@5"] == pytest.approx(means["dcg"].mean(), rel=1e-6)
    assert report.n_effective == pytest.approx(effective_size(1 / propensity))


def test_a_repeated_choice_and_items_left_out_keep_their_propensities(lists):
    rec, test = lists
    propensity = np.random.default_rng(5).uniform(0.01, 1, len(test))
    order = np.random.default_rng(6).permutation(len(test))
    rows = np.concatenate([np.arange(len(test)), order[:200]])
    once = palate.evaluate(rec, test, k=5, propensity=propensity, baselines=False, n_bootstrap=10)
    twice = palate.evaluate(rec, test[rows], k=5, propensity=propensity[rows], baselines=False, n_bootstrap=10)
    assert twice["snips_dcg@5"] == pytest.approx(once["snips_dcg@5"], rel=1e-9)
    mixed = palate.evaluate(rec, test[order], k=5, propensity=propensity[order], baselines=False, n_bootstrap=10)
    assert mixed["snips_dcg@5"] == pytest.approx(once["snips_dcg@5"], rel=1e-9)
    some = list(test.item_vocabulary.labels[:20])
    kept = np.isin(test.item_codes, np.arange(20))
    part, alone = (
        palate.evaluate(rec, t, k=5, items=some, propensity=p, baselines=False, n_bootstrap=10)
        for t, p in ((test, propensity), (test[kept], propensity[kept]))
    )
    assert part["snips_recall@5"] == pytest.approx(alone["snips_recall@5"], rel=1e-9)
    assert part.n_effective == pytest.approx(alone.n_effective)


# ---- who chose, and what is refused


def test_users_who_choose_are_told_from_random_exposure(world, chosen):
    rec = chosen[0]
    popular = 0.5 * np.arange(1, N_ITEMS + 1) ** -0.8
    ratings, _ = world
    for share, expected in ((np.full(N_ITEMS, 0.1), False), (popular, True)):
        mask = np.random.default_rng(7).random(ratings.shape) < share
        report = palate.evaluate(rec, rated(ratings, mask), baselines=False)
        assert report.is_self_selected is expected
        assert ("Schnabel et al. 2016" in str(report)) is expected
        assert json.loads(json.dumps(report.to_dict()))["is_self_selected"] is expected


def test_random_exposure_is_hardly_ever_taken_for_choice():
    rng = np.random.default_rng(8)
    for n_items, n in ((2, 10), (10, 300), (2000, 300), (1000, 50_000)):
        found = [is_self_selected(np.bincount(rng.integers(0, n_items, n), minlength=n_items)) for _ in range(100)]
        assert sum(found) <= 1
    assert not is_self_selected(np.array([5]))
    assert not is_self_selected(np.zeros(9, np.int64))


def test_choice_is_told_from_six_standard_deviations_above_chance_on():
    """With nine items there are 8 degrees of freedom, and the limit is 8 + 6 sqrt(16) = 32."""
    rows = lambda *counts, of=9: np.pad(counts, (0, of - len(counts)))  # noqa: E731
    assert not is_self_selected(rows(6, 2, 1))  # (25 + 1 + 0 + 6) / 1
    assert is_self_selected(rows(6, 3))  # (25 + 4 + 7) / 1
    assert is_self_selected(rows(40, of=2)) and not is_self_selected(rows(5, of=1))


@pytest.mark.parametrize(
    ("n_effective", "n", "is_few"),
    [(99.9, 500, True), (100.0, 500, False), (199.9, 2000, True), (200.0, 2000, False), (99.9, 1000, True)],
)
def test_few_are_fewer_than_a_hundred_or_a_tenth(n_effective, n, is_few):
    told = propensities.notes_on("given", n_effective, n, "likes")
    assert (
        told[0] == f"snips: weighted by inverse propensities; {n:,} likes count as {n_effective:,.0f} of equal weight."
    )
    assert len(told) == 1 + is_few
    assert propensities.notes_on("popularity", n_effective, n)[1 + is_few :] == [propensities.ONLY_POPULARITY]
    assert propensities.notes_on("", None, n) == []


WRONG = {
    "a name": ("model", 'give "popularity"'),
    "too few": ([0.5], "has 1 numbers and there are"),
    "zero": (lambda n: np.zeros(n), "above 0; number 0 is 0"),
    "negative": (lambda n: np.arange(n) - 0.5, "above 0; number 0 is -0.5"),
    "nan": (lambda n: np.where(np.arange(n) == 2, np.nan, 1.0), "number 2 is nan"),
    "infinite": (lambda n: np.where(np.arange(n) == 2, np.inf, 1.0), "number 2 is inf"),
    "texts": (lambda n: ["0.5"] * n, "must be numbers"),
    "truths": (lambda n: [True] * n, "must be numbers"),
    "nothing": (lambda n: [None] * n, "must be numbers"),
    "a table": (lambda n: np.ones((n, 2)), "2 dimensions"),
    "a number": (0.5, "0 dimensions"),
    "uneven": ([[1.0], [1.0, 2.0]], "must be numbers"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_propensity_is_refused(chosen, kind):
    rec, test, *_ = chosen
    wrong, message = WRONG[kind]
    with pytest.raises(OptionError, match=message):
        palate.evaluate(rec, test, propensity=wrong(len(test)) if callable(wrong) else wrong)


def test_a_model_without_training_ratings_has_no_popularity():
    with pytest.raises(DataError, match="no training ratings"):
        popularity_propensities(np.zeros(4, np.int64), np.zeros(2, np.int32))


def test_what_is_said_of_yahoo_follows_from_the_paper():
    assert f"{np.sqrt(1.891):.2f}" in propensities.SELF_SELECTED
    assert f"{np.sqrt(0.989):.2f}" in propensities.SELF_SELECTED
