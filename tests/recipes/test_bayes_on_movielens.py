"""Bayes on MovieLens: the errors and coverages that the project promises, by option and with all options together."""

import os
from pathlib import Path

import numpy as np
import pytest

import palate
from palate.recipes.monitor import rmse

pytestmark = [pytest.mark.data, pytest.mark.long]

EVERYTHING = palate.Bayes(time=True, likelihood="ordinal", n_sweeps=100)


def test_an_official_fold_with_everything(ml_100k_u1):
    train, test = ml_100k_u1
    report = palate.evaluate(EVERYTHING.fit(train), test, baselines=False)
    assert report["rmse"] <= 0.8765
    assert 0.88 < report["coverage_90"] < 0.93


def test_an_official_fold_with_times_and_plain_ratings(ml_100k_u1):
    train, test = ml_100k_u1
    report = palate.evaluate(palate.Bayes(time=True, n_sweeps=100).fit(train), test, baselines=False)
    assert report["rmse"] <= 0.8765
    assert 0.88 < report["coverage_90"] < 0.93


def test_nine_tenths_with_everything(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = EVERYTHING.fit(train)
    report = palate.evaluate(rec, test, baselines=False)
    assert report["rmse"] <= 0.8600
    assert 0.88 < report["coverage_90"] < 0.93
    happened = (test.values[:, None] == [1, 2, 3, 4, 5]).mean(axis=0)
    for when in (test.times, None):
        chances = rec.model.forecast(test.user_codes, test.item_codes, when).probabilities
        assert abs(chances.mean(axis=0) - happened).max() < 0.015


def test_ordinal_ratings_without_times(ml_100k_90_10):
    """Their coverage, their error, and a bound on what ordinal ratings may cost: their scores are drawn as well."""
    train, test = ml_100k_90_10
    errors = {}
    for likelihood in ("gaussian", "ordinal"):
        report = palate.evaluate(palate.Bayes(likelihood=likelihood, n_sweeps=80).fit(train), test, baselines=False)
        assert 0.88 < report["coverage_90"] < 0.93
        errors[likelihood] = report["rmse"]
    assert errors["ordinal"] < min(0.8625, errors["gaussian"] + 0.002)


# ---- option by option


def test_plain_ratings(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = palate.Bayes(n_sweeps=100, seed=0).fit(train)
    report = palate.evaluate(rec, test)
    assert report["rmse"] <= 0.8795
    assert 0.88 <= report["coverage_90"] <= 0.92
    assert 0.47 <= report["coverage_50"] <= 0.53
    assert report["rmse"] < report.baselines["Bias"]["rmse"].value - 0.04
    assert report.verdict == ""
    assert rec.compact().n_factors <= 32


def test_history_lowers_the_error(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = palate.Bayes(n_sweeps=100, features=False).fit(train)
    assert rmse(rec.predict_codes(test.user_codes, test.item_codes)[0], test.values) <= 0.8694


@pytest.mark.parametrize("seed", [0, 1])
def test_cold_start_items_are_predicted_better_than_by_bias(ml_100k, seed):
    cold = np.random.default_rng(seed).random(ml_100k.n_items) < 0.1
    train, test = palate.split_rows(ml_100k, cold[ml_100k.item_codes])
    codes = test.user_codes, test.item_codes
    bayes, bias = (
        rmse(recipe.fit(train).predict_codes(*codes)[0], test.values)
        for recipe in (palate.Bayes(n_sweeps=100), palate.Bias())
    )
    assert bayes < 0.96 * bias


@pytest.mark.parametrize(("with_tables", "bound"), [(True, 1.03), (False, 0.99)])
def test_items_that_a_random_split_leaves_without_ratings_are_predicted_like_bias(ml_100k, with_tables, bound):
    """Hardly anybody rates them, and they are rated lower than others; the splits have a hundred such ratings each."""
    ratings = ml_100k if with_tables else palate.read(ml_100k.to_frame().select("user", "item", "rating"))
    errors = {"bayes": [], "bias": []}
    for seed in range(3):
        train, test = palate.split_random(ratings, test=0.4, seed=seed)
        cold = train.by_item().counts[test.item_codes] == 0
        for name, recipe in (("bayes", palate.Bayes(n_sweeps=40)), ("bias", palate.Bias())):
            predicted = recipe.fit(train).predict_codes(test.user_codes[cold], test.item_codes[cold])[0]
            errors[name].append(predicted - test.values[cold])
    bayes, bias = (rmse(np.concatenate(errors[name]), 0.0) for name in ("bayes", "bias"))
    assert bayes < bound * bias


def test_attributes_lower_the_error_on_an_official_fold(ml_100k_u1):
    train, test = ml_100k_u1
    rec = palate.Bayes(n_sweeps=200).fit(train)
    assert rmse(rec.predict_codes(test.user_codes, test.item_codes)[0], test.values) <= 0.8855


@pytest.mark.usefixtures("ml_100k")
def test_effects_of_time_lower_the_error_on_an_official_fold():
    folder = Path(os.environ.get("PALATE_DATA", "/nonexistent")) / "ml-100k"
    parts = [np.loadtxt(folder / f"u1.{part}", dtype=np.int64) for part in ("base", "test")]
    vocabularies = {
        "user_vocabulary": palate.Vocabulary(range(1, 944), what="user"),
        "item_vocabulary": palate.Vocabulary(range(1, 1683), what="item"),
    }
    train, test = (
        palate.Ratings(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2].astype(np.float32), times=rows[:, 3], **vocabularies)
        for rows in parts
    )
    reports = [palate.evaluate(palate.Bayes(n_sweeps=80, time=time).fit(train), test) for time in (False, True)]
    assert reports[1]["rmse"] < reports[0]["rmse"] - 0.008  # 0.8856 and 0.8761
    assert reports[1]["rmse"] < 0.88
    assert 0.885 < reports[1]["coverage_90"] < 0.92


def test_effects_of_time_cost_little_in_a_split_by_time(ml_100k):
    """Nothing is known of the later sessions and days there."""
    train, test = palate.split_time(ml_100k, test=0.1)
    errors = [palate.evaluate(palate.Bayes(n_sweeps=60, time=time).fit(train), test)["rmse"] for time in (False, True)]
    assert errors[1] < errors[0] + 0.004
