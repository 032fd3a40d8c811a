"""difference(): the measure of one model less that of another, with an interval of the difference."""

import numpy as np
import pytest

import palate
from palate.errors import OptionError
from palate.evaluation import difference


@pytest.fixture(scope="module")
def parts():
    return palate.split_random(palate.datasets.synthetic(150, 60, 5000, seed=1), test=0.3, seed=0)


def reports_of(parts, *recipes, **options):
    train, test = parts
    return [palate.evaluate(recipe.fit(train, progress=False), test, baselines=False, **options) for recipe in recipes]


def test_the_value_is_the_difference_of_the_measures(parts):
    mean, bias = reports_of(parts, palate.Mean(), palate.Bias())
    found = difference(mean, bias)
    assert found.value == pytest.approx(mean["rmse"] - bias["rmse"], abs=1e-9)
    assert 0 < found.low < found.value < found.high
    back = difference(bias, mean)
    np.testing.assert_allclose([back.value, back.low, back.high], [-found.value, -found.high, -found.low], atol=1e-6)


def test_a_model_and_itself_lie_nowhere_apart(parts):
    report, again = reports_of(parts, palate.Bias(), palate.Bias())
    assert vars(difference(report, again)) == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize("next_item", [False, True])
def test_lists_are_compared_by_ndcg(parts, next_item):
    likes = palate.datasets.synthetic(150, 60, 3000, seed=2).likes(at_least=3)
    split = palate.split_last(likes, n=1) if next_item else palate.split_within_users(likes, test=0.3, seed=0)
    popular, ease = reports_of(split, palate.Popularity(), palate.EASE(), k=(5, 10), next_item=next_item)
    assert difference(popular, ease).value == pytest.approx(popular["ndcg@10"] - ease["ndcg@10"], abs=1e-9)


def test_the_interval_is_that_of_a_bootstrap_of_users_that_both_share(parts):
    mean, bias = reports_of(parts, palate.Mean(), palate.Bias())
    rng, n = np.random.default_rng(3), len(mean.per_user.sums)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=4000)
    first, second = (np.sqrt(draws @ one.per_user.sums / (draws @ one.per_user.counts)) for one in (mean, bias))
    expected = np.quantile(first - second, [0.025, 0.975])
    found = difference(mean, bias, n_bootstrap=4000)
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.15 * np.ptp(expected))


def test_reports_that_cannot_be_compared_are_refused(parts):
    (report,) = reports_of(parts, palate.Bias())
    train, test = parts
    (other,) = reports_of((train, test[:100]), palate.Bias())
    with pytest.raises(OptionError, match="different test ratings"):
        difference(report, other)
    likes = palate.split_within_users(train.likes(at_least=3), test=0.3, seed=0)
    (lists,) = reports_of(likes, palate.Popularity())
    with pytest.raises(OptionError, match="errors of ratings and the other ndcg@10 of lists"):
        difference(report, lists)
    with pytest.raises(OptionError, match=r"two reports.* not float"):
        difference(report, 0.9)
    with pytest.raises(OptionError, match="n_bootstrap"):
        difference(report, report, n_bootstrap=0)
