"""Ordered ratings: probabilities of steps, the mean rating, and the normal distribution under them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import DataError
from palate.models import ordinal as normal
from palate.models.ordinal import OrderedSteps

special = pytest.importorskip("scipy.special")
stats = pytest.importorskip("scipy.stats")

some = settings(max_examples=30, deadline=None)
STARS = OrderedSteps([1, 2, 3, 4, 5], [-2.3, -1.3, -0.1, 1.3])


def scale_of(seed, n_steps, gap=1.0):
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.uniform(0.1, 3, n_steps)) - 5
    return OrderedSteps(values, np.cumsum(gap * rng.uniform(0.02, 1, n_steps - 1)) - 2)


scales = st.builds(scale_of, st.integers(0, 2**32), st.integers(2, 20), st.sampled_from([0.01, 1.0, 5.0]))
scores_of = st.lists(st.floats(-60, 60), min_size=1, max_size=20).map(np.array)


# ---- the normal distribution


def test_the_normal_distribution_is_accurate_in_both_tails():
    x = np.concatenate([np.linspace(-37, 9, 2000), [-np.inf, np.inf, 0.0]])
    np.testing.assert_allclose(normal.cdf(x), special.ndtr(x), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(normal.density(x), stats.norm.pdf(x), rtol=1e-12)
    y = np.concatenate([np.linspace(0, 40, 2000), np.logspace(1, 12, 50)])
    np.testing.assert_allclose(normal.scaled_tail(y), special.erfcx(y / np.sqrt(2)) / 2, rtol=1e-13)
    far = -np.logspace(-3, 6, 300)
    everything = np.full_like(far, -np.inf)
    np.testing.assert_allclose(normal.log_mass(everything, far), special.log_ndtr(far), rtol=1e-12)
    np.testing.assert_allclose(normal.log_mass(-far, -everything), special.log_ndtr(far), rtol=1e-12)
    assert normal.log_mass(everything[:1], -everything[:1]) == 0


@some
@given(st.floats(-200, 200), st.floats(1e-3, 100))
def test_the_mass_of_an_interval_is_the_difference_of_two_tails(a, width):
    b = a + width
    a, b = (-b, -a) if a + b > 0 else (a, b)
    exact = special.log_ndtr(b) + np.log(-np.expm1(special.log_ndtr(a) - special.log_ndtr(b)))
    assert normal.log_mass(np.array([a]), np.array([b]))[0] == pytest.approx(exact, rel=1e-9, abs=1e-9)


# ---- steps


@some
@given(scales, scores_of, st.sampled_from([0.0, 0.3, 9.0]))
def test_probabilities_are_those_of_the_latent_variable(steps, scores, variance):
    probabilities = steps.probabilities(scores, variance)
    assert probabilities.shape == (len(scores), len(steps))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert (probabilities >= 0).all()
    cuts = (steps.cuts - scores[:, None]) / np.sqrt(1 + variance)
    np.testing.assert_allclose(np.cumsum(probabilities, axis=1)[:, :-1], special.ndtr(cuts), atol=1e-12)


def test_small_probabilities_have_small_relative_errors():
    probabilities = STARS.probabilities([30.0, -30.0])
    ends = np.array([-np.inf, *STARS.cuts, np.inf])
    both_tails = special.log_ndtr(ends - 30), special.log_ndtr(-30 - ends)[::-1]
    for found, tails in zip((probabilities[0], probabilities[1][::-1]), both_tails, strict=True):
        exact = tails[1:] + np.log1p(-np.exp(tails[:-1] - tails[1:]))
        np.testing.assert_allclose(np.log(found), exact, rtol=1e-9, atol=1e-15)


@some
@given(scales, scores_of, st.integers(0, 2**32))
def test_mean_and_variance_follow_from_the_probabilities(steps, scores, seed):
    variance = np.random.default_rng(seed).exponential(1, len(scores))
    size = np.abs(steps.values).max()
    for score_variance in (0.0, 0.7, variance):
        probabilities = steps.probabilities(scores, score_variance)
        mean = probabilities @ steps.values
        expected = steps.expected(scores, score_variance)
        assert expected.dtype == np.float32 and expected.shape == scores.shape
        np.testing.assert_allclose(expected, mean, atol=1e-5 * size)
        assert (expected >= np.float32(steps.values[0])).all() and (expected <= np.float32(steps.values[-1])).all()
        rating_variance = probabilities @ steps.values**2 - mean**2
        np.testing.assert_allclose(
            steps.variance_of_rating(scores, score_variance), rating_variance, atol=1e-9 * size**2
        )


@some
@given(scales, scores_of, st.sampled_from([0.0, 2.0]))
def test_the_slope_is_that_of_the_mean(steps, scores, variance):
    h = 1e-4
    up, down = (steps.probabilities(scores + side, variance) @ steps.values for side in (h, -h))
    np.testing.assert_allclose(steps.slope(scores, variance), (up - down) / (2 * h), atol=1e-4)


def test_an_uncertain_score_is_the_average_over_its_distribution():
    rng = np.random.default_rng(0)
    drawn = 0.4 + np.sqrt(1.5) * rng.standard_normal(400_000)
    np.testing.assert_allclose(STARS.probabilities(0.4, 1.5), STARS.probabilities(drawn).mean(axis=0), atol=2e-3)
    assert STARS.expected(0.4, 1.5) == pytest.approx(STARS.expected(drawn).mean(), abs=5e-3)


@some
@given(scales, scores_of, st.integers(0, 2**32), st.sampled_from([0.0, 2020.0, -300.0]))
def test_moments_are_mean_and_variance_in_single_precision(steps, scores, seed, shift):
    """The variance has the digits that the width of the scale leaves, wherever the scale lies."""
    steps = OrderedSteps(steps.values + shift, steps.cuts)
    width = steps.values[-1] - steps.values[0]
    size = np.abs(steps.values).max()
    for variance in (0.0, 0.7, np.random.default_rng(seed).exponential(1, len(scores))):
        mean, rating_variance = steps.moments(scores, variance)
        assert mean.dtype == rating_variance.dtype == np.float32
        np.testing.assert_allclose(mean, steps.expected(scores, variance), atol=1e-5 * size)
        assert (mean >= np.float32(steps.values[0])).all() and (mean <= np.float32(steps.values[-1])).all()
        exact = steps.variance_of_rating(scores, variance)
        np.testing.assert_allclose(rating_variance, exact, rtol=1e-5, atol=3e-6 * width**2)
        assert (rating_variance >= 0).all()


def test_moments_by_hand():
    """Two steps are a coin with the chance Phi(score - cut): mean low + width p, variance width^2 p (1 - p)."""
    steps = OrderedSteps([3.0, 7.0], [0.5])
    scores = np.array([-40, -1, 0.5, 2, 40])
    for variance in (0.0, 3.0):
        p = special.ndtr((scores - 0.5) / np.sqrt(1 + variance))
        mean, rating_variance = steps.moments(scores, variance)
        np.testing.assert_allclose(mean, 3 + 4 * p, rtol=1e-6)
        np.testing.assert_allclose(rating_variance, 16 * p * (1 - p), atol=1e-5)
        np.testing.assert_allclose(
            steps.slope(scores, variance), 4 * stats.norm.pdf(scores, 0.5, np.sqrt(1 + variance))
        )


def test_a_whole_table_keeps_its_shape():
    table = np.random.default_rng(0).standard_normal((7, 11)).astype(np.float32)[:, ::2]
    score_variance = np.random.default_rng(1).exponential(1, 6).astype(np.float32)
    for variance in (0.0, 0.5, score_variance):
        mean = STARS.expected(table, variance)
        assert mean.shape == STARS.slope(table, variance).shape == (7, 6)
        np.testing.assert_allclose(mean, STARS.probabilities(table, variance) @ STARS.values, atol=1e-5)
        assert STARS.variance_of_rating(table, variance).shape == (7, 6)
    one, two = (STARS.expected(table, n_threads=n).tobytes() for n in (1, 2))
    assert one == two


def test_every_rating_finds_its_step():
    tenths = OrderedSteps(np.arange(1, 20) / 10, np.arange(18))
    ratings = tenths.values.astype(np.float32)[[3, 0, 18, 7]]  # as the ratings of a data set are kept
    found = tenths.steps_of(ratings)
    assert found.dtype == np.uint8 and found.tolist() == [3, 0, 18, 7]
    assert STARS.steps_of([]).shape == (0,)


@pytest.mark.parametrize("bad", [3.5, 0, 6, np.nan, np.inf])
def test_a_rating_that_is_no_step_is_an_error(bad):
    with pytest.raises(DataError, match=r"rating .* at position 2 \(1 such\) is none of .* 1, 2, 3, 4, 5"):
        STARS.steps_of([1, 2, bad, 4])


@pytest.mark.parametrize(
    ("values", "cuts", "message"),
    [
        ([1], [], "2 to 20"), (np.arange(21), np.arange(20), "2 to 20"), ([[1, 2]], [0], "2 to 20"),
        ([1, 2, 3], [0], "2 cuts between"), ([1, 2], [0, 1], "1 cuts between"),
        ([1, 1, 2], [0, 1], "values .* rise"), ([1, 2, np.nan], [0, 1], "values .* finite"),
        ([1, 2, 3], [1, 0], "cuts .* rise"), ([1, 2, 3], [0, np.inf], "cuts .* finite"),
    ],
)  # fmt: skip
def test_an_invalid_scale_is_an_error(values, cuts, message):
    with pytest.raises(DataError, match=message):
        OrderedSteps(values, cuts)


def test_a_scale_cannot_be_changed_from_outside():
    values = np.array([1.0, 2.0])
    steps = OrderedSteps(values, [0.0])
    values[0] = 5
    assert steps.values[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        steps.cuts[0] = 3


@given(scales, scores_of)
@some
def test_without_a_variance_a_score_is_certain(scale, scores):
    """The defaults of all four curves, which are the probabilities, their mean, its derivative and their variance."""
    probabilities = scale.probabilities(scores)
    np.testing.assert_array_equal(probabilities, scale.probabilities(scores, 0.0))
    means = probabilities @ scale.values
    np.testing.assert_allclose(scale.expected(scores), means, rtol=1e-4, atol=1e-4)
    variances = probabilities @ scale.values**2 - means**2
    np.testing.assert_allclose(scale.variance_of_rating(scores), variances, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(scale.slope(scores), scale.slope(scores, 0.0))
    np.testing.assert_array_equal(scale.moments(scores), scale.moments(scores, 0.0))
