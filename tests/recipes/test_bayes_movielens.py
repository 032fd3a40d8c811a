"""All that is known of MovieLens at once: history, attributes, moments, ordered stars. The figures promised."""

import pytest

import palate

pytestmark = pytest.mark.data

EVERYTHING = palate.Bayes(time=True, likelihood="ordinal", n_sweeps=100)


def test_an_official_fold_with_everything(ml_100k_u1):
    train, test = ml_100k_u1
    report = palate.evaluate(EVERYTHING.fit(train), test, baselines=False)
    assert report["rmse"] <= 0.8765
    assert 0.88 < report["coverage_90"] < 0.93


def test_an_official_fold_with_moments_and_ratings_as_numbers(ml_100k_u1):
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


def test_ordered_stars_without_moments(ml_100k_90_10):
    """By themselves: the chances, and a bound on what the steps cost or gain."""
    train, test = ml_100k_90_10
    errors = {}
    for likelihood in ("gaussian", "ordinal"):
        report = palate.evaluate(palate.Bayes(likelihood=likelihood, n_sweeps=80).fit(train), test, baselines=False)
        assert 0.88 < report["coverage_90"] < 0.93
        errors[likelihood] = report["rmse"]
    assert errors["ordinal"] < errors["gaussian"] + 0.001
