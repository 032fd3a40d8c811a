"""The distribution over the steps of a scale: probabilities, and intervals that are central by probability."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.models.ordinal import OrderedSteps
from palate.models.step_distribution import MAX_RATIO, TAILS, StepDistribution, central_tails

special = pytest.importorskip("scipy.special")

some = settings(max_examples=40, deadline=None)
AS_THEY_ARE = np.stack([TAILS] * 3)  # intervals end at the nominal quantiles
STARS = OrderedSteps([1, 2, 3, 4, 5], [1.2, 2.0, 3.1, 4.1])


def scale_of(seed, n_steps):
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.uniform(0.1, 3, n_steps)) - 5
    return OrderedSteps(values, (values[1:] + values[:-1]) / 2 + rng.uniform(-0.04, 0.04, n_steps - 1))


def latents(seed, n=30):
    """Centers and deviations of n latent variables."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-8, 12, n), rng.choice([0.05, 0.7, 3.0], n)


scales = st.builds(scale_of, st.integers(0, 2**32), st.integers(2, 20))
seeds = st.integers(0, 2**32)
levels = st.floats(0.01, 0.999)


def middles_of(probabilities):
    """The share of probability below the middle of each step's mass, (n, K)."""
    return np.cumsum(probabilities, axis=1) - probabilities / 2


@some
@given(scales, seeds)
def test_probabilities_are_those_of_the_latent_variable(steps, seed):
    center, deviation = latents(seed)
    told = StepDistribution(steps).probabilities(center, deviation)
    exact = special.ndtr((steps.cuts - center[:, None]) / deviation[:, None])
    np.testing.assert_allclose(np.cumsum(told, axis=1)[:, :-1], exact, atol=1e-12)
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-12)
    for k, value in enumerate(steps.values):
        at_least = StepDistribution(steps).at_least(center, deviation, value)
        np.testing.assert_allclose(at_least, told[:, k:].sum(axis=1), atol=1e-5)


def test_at_least_of_a_value_between_or_outside_the_steps():
    stars, center = StepDistribution(STARS), np.linspace(-3, 9, 5)
    np.testing.assert_array_equal(stars.at_least(center, 1.0, 3.5), stars.at_least(center, 1.0, 4))
    assert (stars.at_least(center, 1.0, 0.5) == 1).all() and (stars.at_least(center, 1.0, 1) == 1).all()
    assert (stars.at_least(center, 1.0, 5.5) == 0).all() and stars.at_least(center, np.ones(5), 9).shape == (5,)


@some
@given(scales, seeds, levels)
def test_an_interval_holds_the_steps_whose_middle_of_mass_it_reaches(steps, seed, level):
    """Against the definition, step by step. Ends so near to a middle that float32 could err are left out."""
    center, deviation = latents(seed)
    stars, tail = StepDistribution(steps, AS_THEY_ARE), (1 - level) / 2
    middles = middles_of(stars.probabilities(center, deviation))
    low, high = stars.interval(level, center, deviation)
    clear = (np.abs(middles - tail) > 1e-4 * tail) & (np.abs(1 - middles - tail) > 1e-4 * tail)
    held = (low[:, None] <= steps.values) & (steps.values <= high[:, None])
    np.testing.assert_array_equal(held[clear], ((middles > tail) & (1 - middles > tail))[clear])
    assert (low <= high).all()


def test_between_two_steps_the_mass_of_each_is_spread_evenly():
    """P = 0.2, 0.3, 0.5 on 1, 2, 5: up to 1.5 lies 0.2, at 2 lies 0.35, up to 3.5 lies 0.5, at 5 lies 0.75."""
    steps = OrderedSteps([1, 2, 5], special.ndtri([0.2, 0.5]))
    for quantile, place in ((0.1, 1.0), (0.15, 1.25), (0.2, 1.5), (0.35, 2.0), (0.425, 2.75), (0.5, 3.5)):
        low, _ = StepDistribution(steps, AS_THEY_ARE).interval(1 - 2 * quantile or 1e-9, [0.0], [1.0])
        assert low[0] == pytest.approx(place, abs=1e-4)
    for quantile, place in ((0.125, 5.75), (0.25, 5.0), (0.4, 4.1), (0.5, 3.5)):
        _, high = StepDistribution(steps, AS_THEY_ARE).interval(1 - 2 * quantile or 1e-9, [0.0], [1.0])
        assert high[0] == pytest.approx(place, abs=1e-4)


@some
@given(scales, seeds, levels, st.floats(0.01, 100), st.floats(-50, 50))
def test_another_unit_or_a_mirrored_scale_changes_nothing_else(steps, seed, level, unit, shift):
    center, deviation = latents(seed)
    low, high = StepDistribution(steps, AS_THEY_ARE).interval(level, center, deviation)
    other = OrderedSteps(unit * steps.values + shift, unit * steps.cuts + shift)
    ends = StepDistribution(other, AS_THEY_ARE).interval(level, unit * center + shift, unit * deviation)
    np.testing.assert_allclose(ends, [unit * low + shift, unit * high + shift], atol=2e-3 * unit)
    mirrored = StepDistribution(OrderedSteps(-steps.values[::-1], -steps.cuts[::-1]), AS_THEY_ARE)
    np.testing.assert_allclose(mirrored.interval(level, -center, deviation), [-high, -low], atol=1e-4)


@some
@given(scales, seeds, levels, levels)
def test_higher_levels_hold_more(steps, seed, one, other):
    center, deviation = latents(seed)
    stars = StepDistribution(steps, central_tails(StepDistribution(steps).probabilities(center, deviation)))
    (low, high), (lower, higher) = (stars.interval(level, center, deviation) for level in sorted((one, other)))
    for less, more in ((lower, low), (low, high), (high, higher)):
        assert (less <= more + 1e-5).all()


@some
@given(scales, seeds, st.sampled_from([0.2, 0.5, 0.8, 0.9, 0.95]))
def test_on_average_over_pairs_each_tail_has_its_share(steps, seed, level):
    """Wherever the scale allows it: the largest step that may be left out bounds what can lie outside."""
    rng = np.random.default_rng(seed)
    center, deviation = rng.uniform(steps.values[0], steps.values[-1], 20_000), rng.uniform(0.5, 1.5, 20_000)
    weights = np.where(center > center.mean(), 4.0, 0.5)
    probabilities = StepDistribution(steps).probabilities(center, deviation)
    stars, tail = StepDistribution(steps, central_tails(probabilities, weights)), (1 - level) / 2
    low, high = stars.interval(level, center, deviation)
    outside = steps.values < low[:, None], steps.values > high[:, None]
    for lies, row in zip(outside, (1, 2), strict=True):
        share = np.average((probabilities * lies).sum(axis=1), weights=weights)
        is_bounded = np.interp(tail, TAILS, stars.tails[row]) >= 0.99 * min(MAX_RATIO * tail, 0.5)
        assert share <= tail + 0.004 if is_bounded else share == pytest.approx(tail, abs=0.004)


def test_a_common_end_step_is_left_out_rarely():
    """Nine in ten ratings are 0: an interval of 90% keeps 0 wherever it is likelier than half."""
    steps = OrderedSteps([0, 1, 2], [0.0, 1.0])
    center = np.linspace(-3, 0.5, 2001)
    probabilities = StepDistribution(steps).probabilities(center, np.ones(2001))
    stars = StepDistribution(steps, central_tails(probabilities))
    low, _ = stars.interval(0.9, center, np.ones(2001))
    assert (low[probabilities[:, 0] > 2 * MAX_RATIO * 0.05 + 1e-6] <= 0).all()


@pytest.mark.parametrize("deviation", [0.0, 1e-30, 1e9])
@pytest.mark.parametrize("center", [-1e6, 2.0, 3.1, 1e6])
def test_certain_and_hopeless_forecasts_have_intervals_too(deviation, center):
    low, high = StepDistribution(STARS, AS_THEY_ARE).interval(0.9, [center], [deviation])
    assert np.isfinite([low, high]).all() and low <= high
    assert np.isnan(StepDistribution(STARS, AS_THEY_ARE).interval(0.9, [np.nan], [1.0])).all()


def test_tables_of_single_precision_are_as_pairs():
    rng = np.random.default_rng(0)
    center = rng.uniform(0, 6, (7, 9)).astype(np.float32)
    for deviation in (np.float32(0.8), rng.uniform(0.3, 1, 9).astype(np.float32), rng.uniform(0.3, 1, (7, 1))):
        stars = StepDistribution(STARS, AS_THEY_ARE)
        whole = stars.lower_end(0.8, center, deviation.astype(np.float32))
        pairs = stars.interval(0.8, center.ravel(), np.broadcast_to(deviation, center.shape).ravel())[0]
        assert whole.shape == (7, 9) and whole.dtype == np.float32
        np.testing.assert_allclose(whole.ravel(), pairs, atol=2e-5)
