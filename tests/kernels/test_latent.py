"""The kernels of ordered ratings: against the reference implementation, and draws against the exact distribution."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernels import at_level
from palate import kernels
from palate.kernels import reference

some = settings(max_examples=20, deadline=None)
each_level = pytest.mark.parametrize("level", kernels.levels())
INF = math.inf


def ratings_of(seed, n_steps, n, spread=1.5, gap=1.0, dtype=np.uint8):
    """(means, steps, cuts): means around the cuts, steps independent of them."""
    rng = np.random.default_rng(seed)
    cuts = np.cumsum(gap * rng.uniform(0.1, 1, n_steps - 1)).astype(np.float32)
    means = (spread * rng.standard_normal(n) + cuts.mean()).astype(np.float32)
    return means, rng.integers(0, n_steps, n).astype(dtype), cuts


def interval_of(steps, cuts):
    ends = np.concatenate([[-INF], cuts, [INF]])
    return ends[steps], ends[steps.astype(int) + 1]


# ---- draws


@each_level
@some
@given(
    seed=st.integers(0, 2**64 - 1),
    n_steps=st.sampled_from([2, 3, 5, 20]),
    n=st.integers(0, 200),
    spread=st.sampled_from([0.5, 2.0, 10.0, 50.0]),
    gap=st.sampled_from([0.02, 0.3, 1.0, 8.0]),
    dtype=st.sampled_from([np.uint8, np.int32]),
    place=st.integers(0, 2**32 - 1),
)
def test_draws_equal_the_reference(level, seed, n_steps, n, spread, gap, dtype, place):
    ratings = ratings_of(seed, n_steps, n, spread, gap, dtype)
    keys = {"seed": seed, "sweep": place, "stream": place // 3}
    with at_level(level):
        drawn = kernels.draw_truncated(*ratings, **keys)
    assert drawn.dtype == np.float32
    expected = reference.draw_truncated(*ratings, **keys)
    assert (np.abs(drawn - expected) < 1e-6 * (2 + np.abs(ratings[0]) + np.abs(expected))).all()  # a few float32 steps


@each_level
@pytest.mark.parametrize("spread", [0.3, 3.0, 100.0, 1e4, 1e8, 1e30])
def test_draws_lie_in_their_step(level, spread):
    means, steps, cuts = ratings_of(1, 20, 20_000, spread, gap=0.3)
    means[:5] = [3e38, -3e38, INF, -INF, 1e-40]
    cuts[5:8] = np.float32(cuts[4]) + np.array([3e-7, 1e-6, 0.005], np.float32)  # steps of a few floats each
    assert (np.diff(cuts) > 0).all()
    with at_level(level):
        drawn = kernels.draw_truncated(means, steps, cuts, seed=2, sweep=0, stream=0)
        expected = kernels.expect_truncated(means, steps, cuts)
    low, high = interval_of(steps, cuts)
    assert ((low < drawn) & (drawn <= high)).all()
    assert ((low < expected) & (expected <= high)).all()


@each_level
def test_a_mean_of_nan_gives_nan_alone(level):
    means, steps, cuts = ratings_of(1, 3, 200)
    clean = kernels.draw_truncated(means, steps, cuts, seed=2, sweep=0, stream=0)
    means[70] = np.nan
    with at_level(level):
        drawn = kernels.draw_truncated(means, steps, cuts, seed=2, sweep=0, stream=0)
    assert np.flatnonzero(np.isnan(drawn)).tolist() == [70]
    np.testing.assert_allclose(np.delete(drawn, 70), np.delete(clean, 70), atol=1e-5)


def exact_cdf(x, low, high):
    """The distribution function of Normal(0, 1) in (low, high], in float64, from logarithms: right in any tail."""
    if low + high > 0:
        return 1 - exact_cdf(-x, -high, -low)
    top = reference.log_cdf(high)
    below = math.exp(reference.log_cdf(low) - top)
    ratio = np.exp([reference.log_cdf(float(at)) - top for at in x])
    return (ratio - below) / (1 - below)


INTERVALS = [
    (-INF, 0.0), (-INF, 6.0), (-INF, -3.0), (0.0, INF), (-5.0, INF), (8.0, INF), (12.5, INF), (-INF, -50.0),
    (300.0, INF), (-0.3, 5.0), (-2.0, 2.0), (-8.0, -7.5), (10.0, 11.0), (30.0, 30.02), (40.0, 90.0),
    (-1.0, -0.98), (0.5, 0.501), (3.0, 3.009), (9.0, 9.009), (-0.0001, 0.0001), (-1.0, 1.009), (-0.006, 0.005),
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), INTERVALS)
@pytest.mark.parametrize("mean", [0.0, -0.75])
def test_draws_have_the_exact_distribution(low, high, mean):
    """Kolmogorov and Smirnov: the largest distance of the distribution functions, at one in a thousand."""
    n = 8000
    ends = [np.float32(mean + end) for end in (low, high)]
    cuts = np.array([end for end in ends if np.isfinite(end)], np.float32)
    means = np.full(n, mean, np.float32)
    steps = np.full(n, int(low > -INF), np.uint8)
    drawn = kernels.draw_truncated(means, steps, cuts, seed=7, sweep=1, stream=2).astype(np.float64) - mean
    low, high = (float(end) - mean for end in ends)
    place = np.sort(exact_cdf(np.sort(drawn), low, high))
    away = max(np.max(np.arange(1, n + 1) / n - place), np.max(place - np.arange(n) / n))
    assert away < 1.95 / math.sqrt(n)


@pytest.mark.long
def test_the_moments_are_those_of_the_truncated_normal():
    """Over all steps at once: the mean of (draw - expected) / sd is 0 within its error, for K = 2 and K = 20."""
    scipy_stats = pytest.importorskip("scipy.stats")
    for n_steps in (2, 20):
        means, steps, cuts = ratings_of(3, n_steps, 6000, spread=3.0)
        drawn = kernels.draw_truncated(means, steps, cuts, seed=1, sweep=0, stream=0).astype(np.float64)
        low, high = interval_of(steps, cuts)
        exact = scipy_stats.truncnorm(low - means, high - means, loc=means)
        mean, sd = exact.mean(), exact.std()
        sane = np.abs(means) < 20
        np.testing.assert_allclose(kernels.expect_truncated(means, steps, cuts)[sane], mean[sane], atol=3e-5)
        z = ((drawn - mean) / sd)[sane]
        assert abs(z.mean()) < 4 / math.sqrt(len(z))
        assert z.std() == pytest.approx(1, abs=0.04)


def test_draws_of_other_positions_seeds_sweeps_and_streams_are_uncorrelated():
    n = 64 * 1500
    means, steps, cuts = np.zeros(n, np.float32), np.zeros(n, np.uint8), np.array([0.0], np.float32)

    def uniforms(**keys):
        drawn = kernels.draw_truncated(means, steps, cuts, **{"seed": 1, "sweep": 1, "stream": 1} | keys)
        return [2 * math.exp(reference.log_cdf(x)) - 0.5 for x in drawn[: 64 * 150].tolist()], drawn

    base, long = uniforms()
    for other in ({"seed": 2}, {"seed": 2**40}, {"sweep": 2}, {"stream": 2}):
        assert abs(np.corrcoef(base, uniforms(**other)[0])[0, 1]) < 0.04
    for lag in (1, 2, 3, 4, 15, 16, 17, 32, 48, 64, 128):
        assert abs(np.corrcoef(long[:-lag], long[lag:])[0, 1]) < 0.016
    assert len(np.unique(long)) > 0.98 * n


@each_level
@some
@given(st.integers(0, 2**32), st.sampled_from([1, 63, 64, 65, 8191, 8192, 8193, 30_001]))
def test_any_number_of_threads_gives_the_same_bytes(level, seed, n):
    means, steps, cuts = ratings_of(seed, 5, n)
    with at_level(level):
        drawn = [
            kernels.draw_truncated(means, steps, cuts, seed=seed, sweep=3, stream=1, n_threads=t).tobytes()
            for t in (1, 2, 3)
        ]
        counts = [
            kernels.count_steps(means, steps, 5, low=-3, width=0.1, n_bins=64, n_threads=t).tobytes() for t in (1, 2, 3)
        ]
        means_of = [kernels.expect_truncated(means, steps, cuts, n_threads=t).tobytes() for t in (1, 2, 3)]
        curves = [kernels.step_curve(means, cuts, cuts, n_threads=t).tobytes() for t in (1, 2, 3)]
    for answers in (drawn, counts, means_of, curves):
        assert answers[0] == answers[1] == answers[2]


def test_a_draw_depends_on_its_position_alone():
    """The first n of many are what n alone would be, and the type of the steps makes no difference."""
    means, steps, cuts = ratings_of(5, 5, 9000)
    keys = {"seed": 3, "sweep": 2, "stream": 1}
    whole = kernels.draw_truncated(means, steps, cuts, **keys)
    for n in (1, 63, 65, 8200):
        part = kernels.draw_truncated(means[:n], steps[:n].astype(np.int32), cuts, **keys)
        np.testing.assert_array_equal(part, whole[:n])


# ---- the mean of the draws


@each_level
@some
@given(
    seed=st.integers(0, 2**32),
    n_steps=st.sampled_from([2, 5, 20]),
    spread=st.sampled_from([0.5, 2.0, 10.0, 50.0]),
    gap=st.sampled_from([0.005, 0.02, 0.3, 1.0, 8.0]),
    dtype=st.sampled_from([np.uint8, np.int32]),
)
def test_the_mean_of_draws_equals_the_reference(level, seed, n_steps, spread, gap, dtype):
    ratings = ratings_of(seed, n_steps, 150, spread, gap, dtype)
    with at_level(level):
        found = kernels.expect_truncated(*ratings)
    expected = reference.expect_truncated(*ratings)
    assert (np.abs(found - expected) < 1e-5 * (2 + np.abs(ratings[0]) + np.abs(expected))).all()


@pytest.mark.parametrize("mean", [-60.0, -8.0, -1.0, 0.0, 0.4, 3.0, 20.0, 300.0])
def test_the_mean_of_the_reference_is_that_of_the_truncated_normal(mean):
    steps, cuts = np.arange(5, dtype=np.uint8), np.array([-2.25, -1.25, 0, 1.5], np.float32)
    found = reference.expect_truncated(np.full(5, mean, np.float32), steps, cuts)
    mean = float(np.float32(mean))
    for k, (start, end) in enumerate(zip(*interval_of(steps, cuts), strict=True)):
        near = min(max(mean, start), end)  # where most of the density is
        x = np.linspace(max(start, near - 30), min(end, near + 30), 1_000_001)
        log_density = -0.5 * (x - mean) ** 2
        weight = np.exp(log_density - log_density.max())
        integral = (x[1] - x[0]) * (np.sum(weight * x) - (weight[0] * x[0] + weight[-1] * x[-1]) / 2)
        mass = (x[1] - x[0]) * (np.sum(weight) - (weight[0] + weight[-1]) / 2)
        assert found[k] == pytest.approx(integral / mass, rel=1e-6, abs=1e-6)


def test_draws_average_to_their_mean():
    means, steps, cuts = ratings_of(2, 5, 200, spread=4.0)
    drawn = [kernels.draw_truncated(means, steps, cuts, seed=1, sweep=s, stream=0) for s in range(2000)]
    error = np.std(drawn, axis=0) / np.sqrt(2000)
    away = (np.mean(drawn, axis=0, dtype=np.float64) - kernels.expect_truncated(means, steps, cuts)) / error
    assert np.abs(away).max() < 4.5
    assert np.std(away) == pytest.approx(1, abs=0.2)


# ---- counts and curves


@each_level
@some
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(0, 500),
    n_bins=st.sampled_from([1, 2, 100]),
    low=st.floats(-5, 5),
    width=st.floats(0.001, 3),
    dtype=st.sampled_from([np.uint8, np.int32]),
)
def test_counts_equal_the_reference(level, seed, n, n_bins, low, width, dtype):
    means, steps, _ = ratings_of(seed, 7, n, dtype=dtype)
    means[: n // 50] = [np.nan, INF, -INF, 3e38, -3e38, 0, 1, 2, 3, 4][: n // 50]
    options = {"low": low, "width": width, "n_bins": n_bins}
    with at_level(level):
        counts = kernels.count_steps(means, steps, 7, **options)
    np.testing.assert_array_equal(counts, reference.count_steps(means, steps, 7, **options))
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(steps, minlength=7))


@each_level
@some
@given(st.integers(0, 2**32), st.integers(0, 100), st.integers(2, 20), st.booleans(), st.sampled_from([1.0, 30.0]))
def test_the_curve_equals_the_reference(level, seed, n, n_steps, with_variances, spread):
    scores, _, cuts = ratings_of(seed, n_steps, n, spread)
    rng = np.random.default_rng(seed)
    variances = rng.exponential(2, n).astype(np.float32) if with_variances else None
    gains = rng.uniform(0, 1, n_steps - 1).astype(np.float32)
    with at_level(level):
        found = kernels.step_curve(scores, cuts, gains, variances=variances, base=2.0)
    expected = reference.step_curve(scores, cuts, gains, variances=variances, base=2.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@each_level
def test_small_probabilities_have_a_small_relative_error(level):
    scores = np.linspace(-12, 0, 500).astype(np.float32)
    one = np.ones(1, np.float32)
    with at_level(level):
        found = kernels.step_curve(scores, 0 * one, one)
    expected = np.exp([reference.log_cdf(float(x)) for x in scores])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_curve_of_nan_is_nan():
    scores = np.array([np.nan, INF, -INF, 0], np.float32)
    one = np.ones(1, np.float32)
    np.testing.assert_array_equal(kernels.step_curve(scores, 0 * one, one, base=3), [np.nan, 4, 3, 3.5])


def test_log_cdf_of_the_reference_is_that_of_scipy():
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(-60, 8, 500), -np.logspace(2, 5, 50)])
    np.testing.assert_allclose([reference.log_cdf(float(at)) for at in x], special.log_ndtr(x), rtol=1e-12, atol=1e-15)


# ---- the border


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cuts": np.array([0.0, 0.0, 1.0], np.float32)}, "cuts must rise strictly"),
        ({"cuts": np.array([0.0, 2.0, 1.0], np.float32)}, "cuts must rise strictly"),
        ({"cuts": np.array([0.0, 1.0, np.nan], np.float32)}, "cuts holds NaN or infinity"),
        ({"cuts": np.array([-np.inf, 1.0, 2.0], np.float32)}, "cuts holds NaN or infinity"),
        ({"cuts": np.zeros(0, np.float32)}, "between 1 and 255"),
        ({"cuts": np.arange(256, dtype=np.float32)}, "between 1 and 255"),
        ({"n_threads": -1}, "n_threads"),
    ],
)
def test_invalid_cuts_raise(change, message):
    means, steps, cuts = ratings_of(1, 4, 10)
    with pytest.raises(ValueError, match=message):
        kernels.draw_truncated(
            **{"means": means, "steps": steps, "cuts": cuts, "seed": 0, "sweep": 0, "stream": 0} | change
        )


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@pytest.mark.parametrize("position", [0, -1])
def test_a_step_out_of_bounds_raises(dtype, position):
    means, steps, cuts = ratings_of(1, 4, 10, dtype=dtype)
    steps[position] = 4
    with pytest.raises(IndexError, match=r"steps holds 4, outside 0\.\.3"):
        kernels.draw_truncated(means, steps, cuts, seed=0, sweep=0, stream=0)
    with pytest.raises(IndexError, match=r"steps holds 4, outside 0\.\.3"):
        kernels.count_steps(means, steps, 4, low=0, width=1, n_bins=3)


@pytest.mark.parametrize(
    "change",
    [{"n_steps": 0}, {"n_steps": 257}, {"n_bins": 0}, {"n_bins": 65537}, {"width": 0.0}, {"width": np.nan},
     {"low": np.inf}, {"n_threads": -1}],
)  # fmt: skip
def test_invalid_bins_raise(change):
    means, steps, _ = ratings_of(1, 4, 10)
    good = {"means": means, "steps": steps, "n_steps": 4, "low": 0.0, "width": 1.0, "n_bins": 3}
    with pytest.raises(ValueError, match=next(iter(change))):
        kernels.count_steps(**good | change)


@pytest.mark.parametrize("name", ["cuts", "gains", "variances", "base"])
def test_invalid_curves_raise(name):
    good = {"scores": np.ones(3, np.float32), "cuts": np.ones(3, np.float32), "gains": np.ones(3, np.float32)}
    bad = np.nan if name == "base" else np.array([1, np.nan, 1], np.float32)
    with pytest.raises(ValueError, match=name):
        kernels.step_curve(**good | {name: bad})
