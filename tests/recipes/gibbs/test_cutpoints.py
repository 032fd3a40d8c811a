"""Cut points of ordinal ratings: drawn from the right distribution, quickly, whatever the counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.kernels import count_steps
from palate.recipes.gibbs import cutpoints
from palate.recipes.gibbs.cutpoints import CutPoints, bounded, unbounded


def simulated(seed, cuts, n, spread=0.9):
    """(scores, steps) of ratings with known cuts."""
    rng = np.random.default_rng(seed)
    scores = (spread * rng.standard_normal(n)).astype(np.float32)
    return scores, np.searchsorted(cuts, scores + rng.standard_normal(n)).astype(np.uint8)


def histogram_of(scores, steps, n_steps):
    low = float(scores.min())
    width = max(float(scores.max()) - low, 1e-3) / cutpoints.N_BINS
    return count_steps(scores, steps, n_steps, low=low, width=width, n_bins=cutpoints.N_BINS), low, width


def chain(scores, steps, n_steps, n_draws, seed=0):
    """(draws after the first ten, the CutPoints)."""
    rng = np.random.default_rng(seed)
    points = CutPoints(np.bincount(steps, minlength=n_steps), 0.8)
    histogram = histogram_of(scores, steps, n_steps)
    return np.array([points.draw(*histogram, rng) for _ in range(n_draws)])[10:], points


@pytest.mark.long
@pytest.mark.parametrize("cuts", [[0.3], [-2.3, -1.3, -0.1, 1.3], np.linspace(-2.2, 2.2, 19)], ids=len)
def test_draws_cover_the_truth(cuts):
    """Over many data sets (truth - mean) / sd of the draws has the variance 1, and proposals are accepted."""
    z, accepted = [], []
    for seed in range(25):
        draws, points = chain(*simulated(seed, cuts, 4000), len(cuts) + 1, 110, seed)
        z.append((draws.mean(axis=0) - cuts) / draws.std(axis=0))
        accepted.append(points.accepted / points.proposed)
    assert np.mean(np.square(z)) == pytest.approx(1, abs=0.55)
    assert abs(np.mean(z)) < 0.5
    assert np.mean(accepted) > (0.4 if len(cuts) == 19 else 0.7)


def brute_force(scores, steps, start, n, seed, step):
    """A long random walk on the exact posterior, every rating by itself, in float64, with math.erfc's Phi."""
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(seed)

    def log_posterior(x):
        ends = np.concatenate([[-np.inf], bounded(x), [np.inf]])
        mass = special.ndtr(ends[steps + 1] - scores) - special.ndtr(ends[steps] - scores)
        return np.log(mass).sum() - x[0] ** 2 / 200 - np.sum(x[1:] ** 2) / 18

    at = unbounded(start)
    value, kept = log_posterior(at), []
    for _ in range(n):
        there = at + step * rng.standard_normal(len(at))
        proposed = log_posterior(there)
        if np.log(rng.random()) < proposed - value:
            at, value = there, proposed
        kept.append(bounded(at))
    return np.array(kept[n // 20 :])


@pytest.mark.long
def test_the_draws_agree_with_brute_force():
    """Few ratings, so that the posterior is skew and wide: means, spreads and correlations agree."""
    scores, steps = simulated(3, [-1.5, -0.2, 1.0], 40)
    assert set(steps) == {0, 1, 2, 3}
    draws, points = chain(scores, steps, 4, 6000)
    long = brute_force(scores.astype(float), steps.astype(int), points.cuts, 40_000, 0, 0.25)
    sd = long.std(axis=0)
    np.testing.assert_allclose(draws.mean(axis=0) / sd, long.mean(axis=0) / sd, atol=0.12)
    np.testing.assert_allclose(draws.std(axis=0) / sd, 1, atol=0.1)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.corrcoef(long.T), atol=0.1)
    for share in (0.05, 0.95):
        np.testing.assert_allclose(
            np.quantile(draws, share, axis=0) / sd, np.quantile(long, share, axis=0) / sd, atol=0.25
        )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_steps=st.integers(2, 20),
    n=st.integers(20, 400),
    spread=st.sampled_from([0.0, 1.0, 30.0]),
)
def test_any_counts_give_finite_rising_cuts(seed, n_steps, n, spread):
    """Steps that have nothing to do with the scores; some used once."""
    rng = np.random.default_rng(seed)
    steps = np.concatenate([np.arange(n_steps), rng.integers(0, rng.integers(1, n_steps + 1), n)]).astype(np.uint8)
    scores = (spread * rng.standard_normal(len(steps))).astype(np.float32)
    points = CutPoints(np.bincount(steps, minlength=n_steps))
    for _ in range(5):
        cuts = points.draw_given(scores, steps, rng)
        assert cuts.shape == (n_steps - 1,) and np.isfinite(cuts).all()
        assert (np.diff(cuts.astype(np.float32)) > 0).all()


def test_the_mode_is_where_nothing_is_higher():
    scores, steps = simulated(1, [-1.0, 0.0, 0.4, 2.0], 3000)
    posterior = cutpoints._Posterior.of_histogram(*histogram_of(scores, steps, 5))
    rng = np.random.default_rng(0)
    for start in (unbounded(np.array([-1.0, 0.0, 0.4, 2.0])), np.array([3.0, -4.0, 1.0, 1.0]), np.zeros(4)):
        mode, curvature = posterior.mode(start)
        best = posterior.log(mode)
        for _ in range(50):
            away = 0.01 * rng.standard_normal(4)
            assert posterior.log(mode + away) == pytest.approx(best - 0.5 * away @ curvature @ away, abs=0.1)
            assert posterior.log(mode + away) < best


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 20), st.booleans())
def test_the_gradient_and_the_curvature_are_the_derivatives(seed, n_steps, differ):
    """Also where the latent variables of ratings have different standard deviations."""
    rng = np.random.default_rng(seed)
    cuts = np.cumsum(rng.uniform(0.1, 1, n_steps - 1)) - 3
    if differ:
        steps, scores, counts = rng.integers(0, n_steps, 40), rng.uniform(-3, 3, 40), rng.uniform(0.5, 3, 40)
        posterior = cutpoints._Posterior(steps, scores, counts, n_steps, rng.uniform(0.5, 2, 40))
    else:
        posterior = cutpoints._Posterior.of_histogram(rng.integers(0, 5, (n_steps, 12)), -3.0, 0.5)
    here, h = posterior._likelihood(cuts), 1e-5
    for k in range(n_steps - 1):
        unit = h * np.eye(n_steps - 1)[k]
        up, down = posterior._likelihood(cuts + unit), posterior._likelihood(cuts - unit)
        size = 1e-4 * (1 + np.abs(here.curvature).max())
        assert here.gradient[k] == pytest.approx((up.value - down.value) / (2 * h), abs=size)
        np.testing.assert_allclose(-(up.gradient - down.gradient) / (2 * h), here.curvature[k], atol=size)


def test_the_start_gives_each_step_its_share():
    rng = np.random.default_rng(0)
    counts = np.array([10, 500, 3000, 200])
    for variance in (0.0, 2.0):
        cuts = CutPoints(counts, variance).cuts
        latent = np.sqrt(1 + variance) * rng.standard_normal(200_000)
        shares = np.bincount(np.searchsorted(cuts, latent), minlength=4) / 200_000
        np.testing.assert_allclose(shares, counts / counts.sum(), atol=0.004)


def test_the_same_seed_gives_the_same_cuts_on_any_number_of_threads():
    scores, steps = simulated(1, [-1.0, 0.5], 50_000)
    found = []
    for n_threads in (1, 2, 3):
        points, rng = CutPoints(np.bincount(steps)), np.random.default_rng(4)
        found.append([points.draw_given(scores, steps, rng, n_threads=n_threads).tobytes() for _ in range(4)])
    assert found[0] == found[1] == found[2]


def test_weights_count_like_copies():
    scores, steps = simulated(2, [-1.0, 0.0, 0.4, 2.0], 3000)
    times = np.random.default_rng(0).integers(0, 4, 3000)
    ends = {"n_steps": 5, "low": float(scores.min()), "width": float(np.ptp(scores)) / cutpoints.N_BINS}
    copied = np.repeat(scores, times), np.repeat(steps, times)
    counted = count_steps(*copied, **ends, n_bins=cutpoints.N_BINS)
    np.testing.assert_array_equal(cutpoints.weight_steps(scores, steps, times.astype(np.float32), **ends), counted)
    assert counted.sum() == times.sum()
