"""Breakdowns of measures by groups, predictions by rating, and curves over k: equal to what is computed directly."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.evaluation.agreement import Agreement
from palate.evaluation.groups import by_popularity
from palate.evaluation.matching import codes_in_model
from palate.evaluation.user_measures import curve_ks


@pytest.fixture(scope="module")
def rated():
    train, test = palate.split_random(palate.datasets.synthetic(80, 60, 1500, seed=1), test=0.3, seed=0)
    rec = palate.Bias().fit(train, progress=False)
    return rec, test, palate.evaluate(rec, test, n_bootstrap=50)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=60), st.integers(0, 5))
@settings(deadline=None)
def test_groups_hold_every_code_once_in_rising_order(pairs, unknown):
    counts, rows = np.array(pairs).T
    model = SimpleNamespace(item_counts=counts, kind="explicit")
    groups = by_popularity(model, np.append(rows, unknown))
    assert len(groups.names) <= 6 and len(set(groups.names)) == len(groups.names)
    has_rows = np.append(rows, unknown) > 0
    if not has_rows.any():
        return
    at = groups.of[has_rows]
    assert set(at.tolist()) == set(range(len(groups.names)))  # no group is empty
    for count, group in zip(np.append(counts, 0)[has_rows], at, strict=True):
        name = groups.names[group]
        low, _, high = name.partition(" to ")
        assert (count == 0) if name == "none" else int(low) <= count <= int(high or low)


def test_the_error_by_groups_is_that_of_their_rows(rated):
    rec, test, report = rated
    users, items = codes_in_model(rec, test)
    squares = (rec.predict_codes(users, items)[0] - test.values) ** 2
    model = rec.model
    for found, codes, counts in ((report.breakdowns[0], users, model.history.counts),
                                 (report.breakdowns[1], items, model.item_counts)):  # fmt: skip
        own = np.append(counts, 0)[codes]
        assert sum(found.sizes) == len(test) and len(found.groups) >= 5
        for name, size, measure in zip(found.groups, found.sizes, found.measures["model"], strict=True):
            low, _, high = name.partition(" to ")
            within = (own == 0) if name == "none" else (own >= int(low)) & (own <= int(high or low))
            assert within.sum() == size
            assert measure.value == pytest.approx(np.sqrt(squares[within].mean()), rel=1e-6)
            assert measure.low <= measure.value <= measure.high or size < 10
        assert set(found.measures) == {"model", "Bias"}
        own_values, others = ([one.value for one in found.measures[name]] for name in ("model", "Bias"))
        assert own_values == others  # the model is the baseline


def test_predictions_by_rating_are_those_of_the_rows(rated):
    rec, test, report = rated
    predicted = rec.predict_codes(*codes_in_model(rec, test))[0]
    found = report.agreement
    assert found.values.tolist() == np.unique(test.values).tolist()
    assert found.weights.sum() == len(test)
    width = found.edges[1] - found.edges[0]
    quantiles = found.quantiles((0.25, 0.5, 0.75))
    for value, row in zip(found.values, quantiles, strict=True):
        expected = np.quantile(predicted[test.values == value], (0.25, 0.5, 0.75), method="hazen")
        assert np.abs(row - expected).max() < 2 * width + 0.1
    prediction, mean, reach = found.calibration(4)
    assert (np.diff(prediction) > 0).all() and (reach > 0).all()
    assert np.average(mean) == pytest.approx(test.values.mean(), abs=0.1)


def test_an_agreement_of_few_rows():
    one = Agreement(np.array([1.0, 2.0]), np.array([1.0, 1.5, 2.0]), np.array([[0.0, 0.0], [0.0, 3.0]]))
    assert np.isnan(one.quantiles([0.5])[0]).all() and one.quantiles([0.5])[1] == [1.75]
    assert [part.tolist() for part in one.calibration()] == [[1.75], [2.0], [0.0]]


def test_weights_and_many_ratings_are_counted(rated):
    rec, test, _ = rated
    twice = test._with(weights=np.full(len(test), 2.0, np.float32))
    report = palate.evaluate(rec, twice, n_bootstrap=5)
    assert report.agreement.weights.sum() == 2 * len(test)
    assert [m.value for m in report.breakdowns[0].measures["model"]] == pytest.approx(
        [m.value for m in rated[2].breakdowns[0].measures["model"]]
    )
    rng = np.random.default_rng(0)
    fine = test._with(values=(test.values + rng.random(len(test))).astype(np.float32))
    assert len(palate.evaluate(rec, fine, n_bootstrap=5).agreement.values) == 20


def test_without_baselines_the_model_stands_alone(rated):
    rec, test, _ = rated
    report = palate.evaluate(rec, test, baselines=False, n_bootstrap=5)
    assert [set(found.measures) for found in report.breakdowns] == [{"model"}, {"model"}]
    one = palate.evaluate(rec, test[:1], n_bootstrap=5)
    assert [found.sizes for found in one.breakdowns] == [(1,), (1,)]


@pytest.mark.parametrize("next_item", [False, True])
def test_curves_go_through_the_measures(next_item):
    likes = palate.datasets.synthetic(80, 60, 1500, seed=1).likes(at_least=3)
    train, test = palate.split_within_users(likes, test=0.3, seed=0)
    rec = palate.ImplicitALS(n_factors=4, n_threads=1).fit(train, progress=False)
    report = palate.evaluate(rec, test, k=(4, 10, 25), next_item=next_item, n_bootstrap=20)
    assert set(report.curves.k) == {1, 2, 3, 4, 5, 7, 10, 15, 20, 25}
    first = "hit_rate" if next_item else "recall"
    for model, measures in (("model", report.measures), ("Popularity", report.baselines["Popularity"])):
        for name in (first, "ndcg"):
            values = dict(zip(report.curves.k, report.curves.values[model][name], strict=True))
            assert [values[k] for k in report.k] == pytest.approx([measures[f"{name}@{k}"].value for k in report.k])
        rising = report.curves.values[model][first]
        assert (np.diff(rising) >= 0).all()
    by_user, by_item = report.breakdowns
    whole = np.average([m.value for m in by_user.measures["model"]], weights=by_user.sizes)
    assert whole == pytest.approx(report["ndcg@10"], abs=0.1)
    assert (by_user.measure, sum(by_user.sizes), sum(by_item.sizes)) == ("ndcg@10", report.n, report.n)
    hits = sum(m.value * n for m, n in zip(by_item.measures["model"], by_item.sizes, strict=True))
    if next_item:
        assert hits / report.n == pytest.approx(report["hit_rate@10"])
    else:
        assert 0 < hits < report.n


def test_a_curve_has_the_lengths_asked_for():
    assert curve_ks((10,)) == (1, 2, 3, 5, 7, 10)
    assert curve_ks((4,)) == (1, 2, 3, 4)
    assert curve_ks((1,)) == (1,)
    assert curve_ks((5000,))[-2:] == (1000, 5000)
