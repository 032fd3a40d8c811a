"""The prior fitted to factors: its moments, its noise and its ridge against plain NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.data.rows import transpose_rows
from palate.models import fitted_prior
from palate.models.factors import Factors, Prior
from palate.models.fitted_prior import is_fitted, with_fitted_priors

some = settings(max_examples=30, deadline=None)
FLAT = Prior.flat(3, ridge=0.1)


def learned(seed, *, y_range=None, weighted=False, scale=1.3):
    """Factors of two latent columns and the history of eight users, the last without ratings, of six items."""
    rng = np.random.default_rng(seed)
    lists = [np.sort(rng.choice(5, rng.integers(1, 6), replace=False)).tolist() for _ in range(7)]
    history = rows_of([*lists, []])
    n = len(history.indices)
    weights = rng.uniform(0.2, 3, n).astype(np.float32) if weighted else None
    history = replace(history, values=rng.uniform(1, 5, n).astype(np.float32), weights=weights)
    users, items = (rng.normal(0, 0.7, (rows, 3)).astype(np.float32) for rows in (8, 6))  # nobody rates item 5
    return Factors(0.4 if y_range else 3.0, users, items, FLAT, FLAT, scale, y_range), history


def expected_alpha(factors, history, moments):
    """1 / variance: the weighted squared errors over the weight less the trace of n C M (n C M + v)^-1 of every row."""
    users = np.repeat(np.arange(8), history.counts)
    x, y = (side.astype(np.float64) for side in (factors.users, factors.items))
    weights = np.ones(len(users)) if history.weights is None else history.weights.astype(np.float64)
    scores = factors.mean + factors.scale * (
        (x[users, :2] * y[history.indices, :2]).sum(axis=1) + x[users, 2] + y[history.indices, 2]
    )
    if factors.y_range is None:
        errors, slopes = (scores - history.values) / factors.scale, np.ones(len(users))
    else:
        low, high = factors.y_range
        share = 1 / (1 + np.exp(-scores))
        errors, slopes = share - (history.values - low) / (high - low), factors.scale * share * (1 - share)
    slope = (weights * slopes**2).sum() / weights.sum()
    totals = np.bincount(users, weights, 8), np.bincount(history.indices, weights, 6)
    squares, total = (weights * errors**2).sum(), weights.sum()

    def n_parameters(variance):
        found = 0.0
        for own, others, moment, rows in ((0, 1, moments[0], y), (1, 0, moments[1], x)):
            partners = np.column_stack([rows[:, :2], np.ones(len(rows))])
            typical = np.einsum("n,ni,nj->ij", totals[others], partners, partners) / total
            for number in totals[own]:
                signal = number * slope * moment @ typical
                found += np.trace(signal @ np.linalg.inv(signal + variance * np.eye(3)))
        return found

    variance = max(squares / total, 1e-6)
    for _ in range(5):
        variance = max(squares / max(total - n_parameters(variance), 0.05 * total), 1e-6)
    return 1 / variance


def floored(moment):
    return moment + max(1e-4 * np.trace(moment) / 3, 1e-8) * np.eye(3)


@some
@given(st.integers(0, 2**32), st.sampled_from([None, (0.0, 6.0), (1.0, 2.0)]), st.booleans(), st.booleans())
def test_every_number_of_the_priors_by_plain_arrays(seed, y_range, weighted, around_zero):
    factors, history = learned(seed, y_range=y_range, weighted=weighted)
    by_item = transpose_rows(history, 6)
    rated = factors.users[:7].astype(np.float64), factors.items[by_item.counts > 0].astype(np.float64)
    means = [np.zeros(3) if around_zero else rows.mean(axis=0) for rows in rated]
    moments = [floored((rows - mean).T @ (rows - mean) / len(rows)) for rows, mean in zip(rated, means, strict=True)]
    found = with_fitted_priors(factors, history, around_zero=around_zero)
    assert found.users is factors.users and found.items is factors.items
    alpha = expected_alpha(factors, history, moments)
    steepest = 1 if y_range is None else factors.scale / 4
    for prior, mean, moment in zip((found.user_prior, found.item_prior), means, moments, strict=True):
        np.testing.assert_allclose(prior.mean, mean, rtol=1e-5, atol=1e-7)
        inverse = np.linalg.inv(moment)
        np.testing.assert_allclose(prior.precision, inverse, rtol=1e-4, atol=1e-5 * np.abs(inverse).max())
        np.testing.assert_array_equal(prior.precision, prior.precision.T)
        assert prior.alpha == pytest.approx(alpha, rel=1e-4)
        assert prior.ridge == pytest.approx(1e-6 * alpha * steepest**2, rel=1e-4)
        assert prior.count_exponent == 1
        assert is_fitted(prior)


def test_by_default_the_prior_mean_is_zero_and_a_weight_decay_alone_is_no_fitted_prior():
    found = with_fitted_priors(*learned(3))
    assert not found.user_prior.mean.any() and not found.item_prior.mean.any()
    assert not is_fitted(FLAT)


def test_without_errors_there_is_the_least_noise():
    """Ratings that are predicted exactly leave the smallest variance, and many parameters the smallest share."""
    factors, history = learned(1, scale=1.0)
    users = np.repeat(np.arange(8), history.counts).astype(np.int32)
    exact = replace(history, values=factors.predict(users, history.indices))
    assert with_fitted_priors(factors, exact).user_prior.alpha == pytest.approx(1e6)
    near = replace(exact, values=exact.values + np.where(np.arange(len(users)) % 2, 0.01, -0.01).astype(np.float32))
    free = fitted_prior.MIN_FREE  # nearly all ratings are counted off: fewer are left than the least share
    assert with_fitted_priors(factors, near).user_prior.alpha == pytest.approx(free / 1e-4, rel=1e-2)


def test_a_column_of_zeros_gets_a_variance():
    factors, history = learned(2)
    users, items = factors.users.copy(), factors.items.copy()
    users[:, 2] = items[:, 2] = 0
    found = with_fitted_priors(replace(factors, users=users, items=items), history)
    floor = 1e-4 * np.trace(users[:7].astype(np.float64).T @ users[:7]) / 7 / 3
    assert found.user_prior.precision[2, 2] == pytest.approx(1 / floor, rel=1e-3)
    nothing = with_fitted_priors(replace(factors, users=0 * users, items=0 * items), history)
    np.testing.assert_allclose(nothing.user_prior.precision, 1e8 * np.eye(3), rtol=1e-4)


def test_a_row_of_one_rating_counts_and_one_without_does_not():
    factors, _ = learned(4)
    history = rows_of([[0, 1], [0], [0, 1], [0, 1, 2], [1], [0, 1], [0], []])
    found = with_fitted_priors(factors, history)
    for prior, rows in ((found.user_prior, factors.users[:7]), (found.item_prior, factors.items[:3])):
        rows = rows.astype(np.float64)
        inverse = np.linalg.inv(floored(rows.T @ rows / len(rows)))
        np.testing.assert_allclose(prior.precision, inverse, rtol=1e-4, atol=1e-5 * np.abs(inverse).max())
