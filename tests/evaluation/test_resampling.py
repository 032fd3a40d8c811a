"""The bootstrap over users against the weights that its bytes stand for, and intervals against NumPy's quantiles."""

import inspect
import math

import numpy as np
import pytest

from palate.evaluation import evaluate, resampling
from palate.evaluation.resampling import POISSON_STEPS, Measure, Resample, measure_of, measures_of, plain_measures


def weights_by_hand(n_users, n_bootstrap, seed):
    """The inverse of the distribution of Poisson(1) at uniform draws of 16 bits."""
    uniform = np.frombuffer(np.random.Generator(np.random.Philox(seed)).bytes(2 * n_users * n_bootstrap), "<u2")
    at_most = np.cumsum([math.exp(-1) / math.factorial(n) for n in range(30)])
    return np.searchsorted(np.rint(at_most * 65536), uniform, side="right").reshape(n_bootstrap, n_users)


def test_the_steps_are_those_of_poisson_one():
    assert POISSON_STEPS == [24109, 48219, 60273, 64292, 65296, 65497, 65531, 65535]


@pytest.mark.parametrize("block", [10**6, 40, 1])
def test_totals_are_sums_of_whole_users(block, monkeypatch):
    monkeypatch.setattr(resampling, "BLOCK_WEIGHTS", block)
    monkeypatch.setattr(resampling, "DRAWN_WEIGHTS", 6 if block == 40 else 10**6)
    values = np.arange(20.0).reshape(10, 2)
    resample, weights = Resample(10, 30, seed=7), weights_by_hand(10, 30, 7)
    np.testing.assert_array_equal(resample.totals(values), weights @ values)
    np.testing.assert_array_equal(resample.totals(values + 1), weights @ (values + 1))
    assert weights.max() > 3


def test_every_draw_of_16_bits_has_its_weight():
    """Among 100,000 draws some lie exactly at a step."""
    weights = weights_by_hand(500, 200, 1)
    np.testing.assert_array_equal(Resample(500, 200, 1).totals(np.eye(500)), weights)


@pytest.mark.parametrize(("at_most", "is_kept"), [(300, True), (299, False)])
def test_weights_are_drawn_again_where_they_are_too_many_to_keep(at_most, is_kept, monkeypatch):
    monkeypatch.setattr(resampling, "MAX_KEPT_WEIGHTS", at_most)
    draws = []
    draw = lambda _, shape: draws.append(shape) or np.ones(shape, np.uint8)  # noqa: E731
    monkeypatch.setattr(resampling, "_poisson_weights", draw)
    resample = Resample(10, 30)
    for _ in range(2):
        np.testing.assert_array_equal(resample.totals(np.ones((10, 1))), 10.0)
    assert draws == [(30, 10)] * (1 if is_kept else 2)


def test_ratios_divide_each_column_by_its_own_counts():
    rng = np.random.default_rng(0)
    sums, counts = rng.random((12, 4)), rng.integers(1, 5, (12, 1)) * np.ones((1, 4))
    counts[:, 1] = rng.integers(1, 5, 12)
    counts[:, 3] = np.arange(12) == 5  # nan wherever this user is not drawn
    weights = weights_by_hand(12, 40, 3)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (weights @ sums) / (weights @ counts)
    found = Resample(12, 40, 3).ratios(sums, counts)
    sums[:, 3] = 0
    assert np.isnan(Resample(12, 40, 3).ratios(sums, counts)[:, 3]).sum() == (weights[:, 5] == 0).sum() > 5
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_intervals_are_the_quantiles_of_what_is_known():
    sample = np.random.default_rng(1).random((50, 4))
    sample[::3, 1], sample[:, 2] = np.nan, np.nan
    found = measures_of([1.0, 2.0, 3.0, 4.0], sample)
    assert [measure.value for measure in found] == [1, 2, 3, 4]
    for at in (0, 1, 3):
        known = sample[:, at][~np.isnan(sample[:, at])]
        assert (found[at].low, found[at].high) == pytest.approx(tuple(np.quantile(known, [0.025, 0.975])))
    assert math.isnan(found[2].low) and math.isnan(found[2].high)
    assert measure_of(5.0, sample[:, 3]) == Measure(5.0, found[3].low, found[3].high)


def test_a_measure_prints_its_interval_where_it_has_one():
    assert str(Measure(0.87)) == "0.8700"
    assert str(Measure(0.87, 0.85, 0.9)) == "0.8700 (0.8500 .. 0.9000)"
    assert plain_measures({"a": Measure(0.5), "b": Measure(1.0, 0.0, 2.0)}) == {
        "a": {"value": 0.5, "low": None, "high": None},
        "b": {"value": 1.0, "low": 0.0, "high": 2.0},
    }


def test_a_thousand_resamplings_unless_told():
    assert Resample(3).n_bootstrap == inspect.signature(evaluate).parameters["n_bootstrap"].default == 1000
    one, zero = (Resample(5, 9, *seed).totals(np.ones((5, 1))) for seed in ((), (0,)))
    np.testing.assert_array_equal(one, zero)
