"""Factors one pair at a time, in float64: scores, slopes, variances, priors, and the minimum that fold-in finds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from helpers.data import rows_of
from palate.models import factors as factors_module
from palate.models.factors import (
    Factors,
    Prior,
    empirical_prior,
    ridge_of_rows,
    second_moment,
    sigmoid_range,
    with_unknown,
)
from palate.models.implicit import ImplicitFactors, choice_signals, mean_counts_of, with_mean_counts
from palate.models.least_squares import LeastSquares
from palate.models.ordinal import OrderedSteps

K, N_USERS, N_ITEMS = 3, 6, 7
RNG = np.random.default_rng(3)


def random_prior(ridge=0.0, exponent=0.0, alpha=1.0):
    root = RNG.normal(size=(K, K)) + 2 * np.eye(K)
    return Prior((root @ root.T).astype(np.float32), RNG.normal(size=K).astype(np.float32), alpha, ridge, exponent)


FACTORS = Factors(
    3.2,
    RNG.normal(size=(N_USERS, K)).astype(np.float32),
    RNG.normal(size=(N_ITEMS, K)).astype(np.float32),
    random_prior(0.7, 0.5, 1.7),
    random_prior(0.3, 1.0, 0.6),
    1.3,
)
RANGED = replace(FACTORS, y_range=(1.0, 5.0), mean=0.2)
PAIRS = [(u, i) for u in (*range(N_USERS), -1) for i in (*range(N_ITEMS), -1)]
USERS, ITEMS = (np.array(side, np.int32) for side in zip(*PAIRS, strict=True))


def vector(vectors, prior, code):
    return (prior.mean if code < 0 else vectors[code]).astype(np.float64)


def score(factors, x, y):
    return factors.mean + factors.scale * (x[-1] + y[-1] + x[:-1] @ y[:-1])


def rating(factors, at):
    if factors.y_range is None:
        return at
    low, high = factors.y_range
    return low + (high - low) / (1 + np.exp(-at))


@pytest.mark.parametrize("factors", [FACTORS, RANGED], ids=["linear", "in a range"])
def test_predictions_one_by_one(factors):
    sides = (factors.users, factors.user_prior), (factors.items, factors.item_prior)
    expected = [
        rating(factors, score(factors, *(vector(*side, code) for side, code in zip(sides, pair, strict=True))))
        for pair in PAIRS
    ]
    np.testing.assert_allclose(factors.predict(USERS, ITEMS), expected, rtol=1e-5, atol=1e-5)
    known = (USERS >= 0) & (ITEMS >= 0)
    scores = factors.user_scores()
    np.testing.assert_allclose(scores[USERS[known], ITEMS[known]], np.array(expected)[known], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(factors.transposed().predict(ITEMS, USERS), expected, rtol=1e-5, atol=1e-5)


def test_slopes_are_derivatives_in_units_of_the_range():
    at, step = np.linspace(-4, 4, 9), 1e-5
    assert (FACTORS.span, RANGED.span) == (1, 4)
    for factors in (FACTORS, RANGED):
        numeric = (rating(factors, at + step) - rating(factors, at - step)) / (2 * step * factors.span)
        np.testing.assert_allclose(factors.slopes_at(at), numeric, rtol=1e-5)


def test_what_is_unknown_varies_as_the_trained_do():
    """The variance of a score over all trained vectors in place of the unknown one, around the prior mean."""
    variance = FACTORS.unknown_variance(USERS, ITEMS)
    users, items = (np.array(side, np.float64) for side in (FACTORS.users, FACTORS.items))
    means = FACTORS.user_prior.mean.astype(np.float64), FACTORS.item_prior.mean.astype(np.float64)
    for pair, got in zip(PAIRS, variance, strict=True):
        some_users = users if pair[0] < 0 else users[[pair[0]]]
        some_items = items if pair[1] < 0 else items[[pair[1]]]
        about = (means[0] if pair[0] < 0 else users[pair[0]], means[1] if pair[1] < 0 else items[pair[1]])
        first = [score(FACTORS, x, about[1]) - score(FACTORS, *about) for x in some_users]
        second = [score(FACTORS, about[0], y) - score(FACTORS, *about) for y in some_items]
        both = [(x - about[0])[:-1] @ (y - about[1])[:-1] for x in some_users for y in some_items]
        expected = np.mean(np.square(first)) + np.mean(np.square(second)) + FACTORS.scale**2 * np.mean(np.square(both))
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-9)
    scores = RANGED.pair_scores(RANGED.users, USERS, ITEMS)
    slopes = RANGED.slopes_at(scores) * 4
    np.testing.assert_allclose(RANGED.unknown_variance(USERS, ITEMS), variance * slopes**2, rtol=1e-4, atol=1e-9)


HISTORIES = rows_of([[0, 2, 3], [], [6], [1, 2, 4, 5]])
RATED = replace(
    HISTORIES,
    values=np.array([1, 4.5, 3, 5, 2, 2.5, 4, 1.5], np.float32),
    weights=np.array([1, 2, 0.5, 3, 1, 1, 0.2, 1], np.float32),
)


def loss(factors, x, row):
    """What a folded-in user minimizes, as gauss_newton() says."""
    prior, here = factors.user_prior, slice(*RATED.indptr[row : row + 2])
    ridge = prior.ridge * max(here.stop - here.start, 1) ** prior.count_exponent
    away = x - prior.mean
    total = away @ (prior.precision + ridge * np.eye(K)) @ away
    unit = 1 if factors.y_range is not None else factors.scale  # of errors: the range, or the scale of ratings
    for item, value, weight in zip(RATED.indices[here], RATED.values[here], RATED.weights[here], strict=True):
        error = rating(factors, score(factors, x, factors.items[item].astype(np.float64))) - value
        total += prior.alpha * weight * (error / factors.span / unit) ** 2
    return total


@pytest.mark.parametrize("factors", [FACTORS, RANGED], ids=["linear", "in a range"])
def test_fold_in_finds_the_minimum(factors):
    folded = factors.fold_in(RATED)
    for row in range(4):
        found = minimize(lambda x, row=row: loss(factors, x, row), factors.user_prior.mean.astype(np.float64))
        np.testing.assert_allclose(folded[row], found.x, atol=2e-3)
        assert loss(factors, folded[row].astype(np.float64), row) <= found.fun * (1 + 1e-5) + 1e-9


def test_weight_decay_of_rows():
    assert ridge_of_rows(np.array([1, 4]), 0, 0.5) is None
    np.testing.assert_allclose(ridge_of_rows(np.array([0, 1, 4, 9]), 2.0, 0.5), [2, 2, 4, 6])
    for n in (0, 1, 4):
        expected = FACTORS.user_prior.precision + 0.7 * max(n, 1) ** 0.5 * np.eye(K)
        np.testing.assert_allclose(FACTORS.row_precision(n), expected, rtol=1e-6)
    bare = replace(FACTORS, user_prior=replace(FACTORS.user_prior, ridge=0.0))
    np.testing.assert_allclose(bare.row_precision(4), FACTORS.user_prior.precision)


def test_the_prior_of_vectors_is_their_mean_and_covariance():
    vectors = RNG.normal(size=(40, K)).astype(np.float32) @ np.diag([1, 2, 0.5]).astype(np.float32)
    vectors[:, 2] = 0.25  # no variance of its own: the floor is all there is
    prior = empirical_prior(vectors, 2.5)
    covariance = np.cov(vectors[:, :2].T)
    floor = 1e-4 * np.trace(covariance) / 3
    assert prior.alpha == 2.5
    np.testing.assert_allclose(prior.mean, vectors.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.inv(prior.precision[:2, :2]), covariance + floor * np.eye(2), rtol=1e-3)
    assert prior.precision[2, 2] == pytest.approx(1 / floor, rel=1e-2)
    constant = empirical_prior(np.ones((1, K), np.float32), 1.0)
    np.testing.assert_allclose(constant.precision, np.eye(K) * 1e12, rtol=1e-3)
    np.testing.assert_allclose(
        second_moment(vectors, np.ones(K, np.float32)), (vectors - 1.0).T @ (vectors - 1.0) / 40, rtol=1e-5
    )


ORDERED = replace(FACTORS, steps=OrderedSteps([1, 2, 3.5, 5], [2.0, 3.1, 4.4]), score_variance=0.4)


def test_ratings_and_slopes_of_ordered_steps():
    """The unit of errors is the distance of the outer steps; an uncertain score widens the steps."""
    at, step = np.linspace(-2, 9, 12), 1e-5
    assert ORDERED.span == 4
    assert not ORDERED.is_linear and not RANGED.is_linear and FACTORS.is_linear

    def mean(at):
        below = stats.norm.cdf((np.array([2.0, 3.1, 4.4]) - at[:, None]) / np.sqrt(1.4))
        return np.diff(np.column_stack([np.zeros(len(at)), below, np.ones(len(at))])) @ [1, 2, 3.5, 5]

    np.testing.assert_allclose(ORDERED.ratings_at(at), mean(at), rtol=1e-5)
    np.testing.assert_allclose(
        ORDERED.slopes_at(at), (mean(at + step) - mean(at - step)) / (2 * step) / 4, rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize(("alpha", "scale"), [(1.0, 1.0), (1.7, 1.3), (0.4, 0.6)])
def test_latents_are_the_means_of_truncated_normals(alpha, scale):
    """Around the score, with the standard deviation scale / sqrt(alpha), between the cuts of the rating's step."""
    factors = replace(ORDERED, scale=scale, user_prior=replace(FACTORS.user_prior, alpha=alpha))
    rated = replace(HISTORIES, values=np.array([1, 5, 3.5, 5, 2, 3.5, 2, 1], np.float32))
    owners = np.repeat(np.arange(4), rated.counts)
    ends, deviation = np.array([-np.inf, 2.0, 3.1, 4.4, np.inf]), scale / np.sqrt(alpha)
    for vectors in (factors.users[:4], np.zeros((4, K), np.float32)):
        expected = []
        for user, item, value in zip(owners, rated.indices, rated.values, strict=True):
            own = score(factors, vectors[user].astype(np.float64), factors.items[item].astype(np.float64))
            at = [1, 2, 3.5, 5].index(value)
            low, high = (ends[at : at + 2] - own) / deviation
            expected.append(stats.truncnorm.mean(low, high, loc=own, scale=deviation))
        np.testing.assert_allclose(factors.latents(rated, vectors), expected, rtol=1e-4, atol=1e-4)
        linear = factors.linearised(rated, vectors)
        np.testing.assert_array_equal(linear.values, factors.latents(rated, vectors))
        assert linear.weights is None


def test_targets_and_weights_of_ratings_in_a_range():
    """A user who solves them moves as Newton's method would: s + (r - f) / f' in units of the range."""
    owners = np.repeat(np.arange(4), RATED.counts).astype(np.int32)
    for history in (RATED, replace(RATED, weights=None)):
        linear = RANGED.linearised(history, RANGED.users)
        at = np.array([score(RANGED, RANGED.users[u].astype(np.float64), RANGED.items[i].astype(np.float64))
                       for u, i in zip(owners, RATED.indices, strict=True)])  # fmt: skip
        share = 1 / (1 + np.exp(-at))
        slopes = np.maximum(share * (1 - share), 1e-6)
        targets = at + ((RATED.values - 1) / 4 - share) / slopes
        np.testing.assert_allclose(linear.values, targets, rtol=1e-3, atol=1e-3)
        weights = (slopes * 1.3) ** 2 * (1 if history.weights is None else RATED.weights)
        np.testing.assert_allclose(linear.weights, weights, rtol=1e-3)
    assert FACTORS.linearised(RATED, FACTORS.users) is RATED


def test_ordered_ratings_fold_in_to_the_most_likely_vector(monkeypatch):
    """The mode of the posterior with ratings of latent variance scale^2 / alpha, found by a general minimizer."""
    few = factors_module.N_EM_STEPS
    rated = replace(HISTORIES, values=np.array([1, 5, 3.5, 5, 2, 3.5, 2, 1], np.float32))
    factors = replace(ORDERED, user_prior=replace(FACTORS.user_prior, ridge=0.0, alpha=1.0))
    prior, ends = factors.user_prior, np.array([-np.inf, 2.0, 3.1, 4.4, np.inf])

    def loss(x, row):
        away, here = x - prior.mean, slice(*rated.indptr[row : row + 2])
        total = away @ prior.precision @ away / 2
        for item, value in zip(rated.indices[here], rated.values[here], strict=True):
            own, at = score(factors, x, factors.items[item].astype(np.float64)), [1, 2, 3.5, 5].index(value)
            total -= np.log(np.diff(stats.norm.cdf((ends[at : at + 2] - own) / factors.scale))[0])
        return total

    folded = []
    for n_steps in (few, 400):
        monkeypatch.setattr(factors_module, "N_EM_STEPS", n_steps)
        folded.append(factors.fold_in(rated).astype(np.float64))
    mean = prior.mean.astype(np.float64)
    for row in range(4):
        found = minimize(lambda x, row=row: loss(x, row), mean)
        np.testing.assert_allclose(folded[1][row], found.x, atol=1e-3)
        assert loss(folded[0][row], row) - found.fun <= 0.05 * (loss(mean, row) - found.fun) + 1e-9


def test_squeezing_into_a_range_is_safe_far_out():
    at = np.array([-1000, -1, 0, 2, 1000], np.float32)
    found = sigmoid_range(at, -1.0, 3.0)
    np.testing.assert_allclose(found, [-1, -1 + 4 / (1 + np.e), 1, -1 + 4 / (1 + np.exp(-2)), 3], rtol=1e-6)
    assert found.dtype == np.float32


COUNTED = replace(HISTORIES, values=np.ones(8, np.float32), weights=np.array([1, 2, 6, 5, 1, 1, 8, 2], np.float32))


def test_confidences_of_counts_one_by_one():
    means = [3, 0, 5, 3]
    np.testing.assert_allclose(mean_counts_of(COUNTED), means)
    np.testing.assert_allclose(mean_counts_of(replace(COUNTED, weights=None)), [1, 0, 1, 1])
    owners = np.repeat(np.arange(4), HISTORIES.counts)

    def confidence(count, mean):
        return (1 + np.log(1 + count / mean)) / (1 + np.log(2))

    expected = [confidence(n, means[u]) for n, u in zip(COUNTED.weights, owners, strict=True)]
    np.testing.assert_allclose(choice_signals(COUNTED, "relative"), expected, rtol=1e-6)
    assert choice_signals(COUNTED, "relative")[3] == pytest.approx(1)  # as often as on average
    assert choice_signals(COUNTED, "equal") is None
    assert choice_signals(replace(COUNTED, weights=None), "relative") is None
    np.testing.assert_array_equal(choice_signals(COUNTED, "given"), COUNTED.weights)
    of_columns = np.array([2, 1, 0, 4, 1, 3, 5], np.float64)  # item 2 is a user without choices of its own
    expected = [confidence(n, of_columns[i] or n) for n, i in zip(COUNTED.weights, COUNTED.indices, strict=True)]
    np.testing.assert_allclose(choice_signals(COUNTED, "relative", of_columns), expected, rtol=1e-6)


def test_implicit_rows_by_the_formula():
    priors = [replace(prior, mean=np.zeros(K, np.float32)) for prior in (FACTORS.user_prior, FACTORS.item_prior)]
    items = FACTORS.items.copy()
    items[:, -1] = 0
    factors = ImplicitFactors(0.0, FACTORS.users, items, *priors, unobserved_weight=0.3, confidence="relative")
    folded, weights = factors.fold_in(COUNTED), choice_signals(COUNTED, "relative")
    Y = items[:, :-1].astype(np.float64)
    for row, n in enumerate(COUNTED.counts):
        here = slice(*COUNTED.indptr[row : row + 2])
        chosen, w = Y[COUNTED.indices[here]], weights[here]
        ridge = 0.7 * (n + 0.3 * N_ITEMS) ** 0.5
        A = chosen.T @ (w[:, None] * chosen) + 0.3 * Y.T @ Y + ridge * np.eye(K - 1)
        np.testing.assert_allclose(folded[row], [*np.linalg.solve(A, chosen.T @ w), 0], rtol=1e-4, atol=1e-6)
        prior = np.pad(0.3 * Y.T @ Y, ((0, 1), (0, 1))) + ridge * np.eye(K)
        np.testing.assert_allclose(factors.row_precision(int(n)), prior, rtol=1e-5)
    turned = with_mean_counts(factors.transposed(), COUNTED)
    np.testing.assert_allclose(turned.mean_counts, [3, 0, 5, 3])
    assert with_mean_counts(turned, COUNTED).mean_counts is None
    assert with_mean_counts(FACTORS, COUNTED) is FACTORS


def test_least_squares_of_columns_of_very_different_size_and_of_one_that_is_zero():
    rng = np.random.default_rng(0)
    Z = (rng.normal(size=(50, 4)) * [1e-5, 1, 1e5, 0]).astype(np.float32)
    solution = np.array([2e5, -3, 4e-5, 0])
    found = LeastSquares.on(Z)(Z.astype(np.float64) @ solution)
    np.testing.assert_allclose(found[:3], solution[:3], rtol=1e-5)
    assert found[3] == 0


def test_no_pairs_have_no_scores():
    nobody = np.zeros(0, np.int32)
    assert FACTORS.predict(nobody, nobody).shape == RANGED.unknown_variance(nobody, nobody).shape == (0,)
    vectors, codes = with_unknown(FACTORS.users, FACTORS.user_prior.mean, np.array([0, 5], np.int32))
    assert vectors is FACTORS.users and codes.tolist() == [0, 5]
    vectors, codes = with_unknown(FACTORS.users, FACTORS.user_prior.mean, np.array([-1, 3, -1], np.int32))
    assert codes.tolist() == [6, 3, 6]
    np.testing.assert_array_equal(vectors, [*FACTORS.users, FACTORS.user_prior.mean])
