"""The posterior's closed forms: means and variances of scores against sampling, and the projection to factors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.models.cold_start import ColdStart
from palate.models.factors import Factors, Prior
from palate.models.posterior import Posterior, SideSamples


def random_posterior(n_draws, n_users=5, n_items=4, k=3, seed=0):
    rng = np.random.default_rng(seed)

    def side(n):
        roots = rng.standard_normal((n_draws, k, k)) / 2
        precision = np.einsum("sij,skj->sik", roots, roots) + 2 * np.eye(k)
        vectors, mean = rng.standard_normal((n_draws, n, k)), rng.standard_normal((n_draws, k))
        vectors, precision, mean = (part.astype(np.float32) for part in (vectors, precision, mean))
        return SideSamples(vectors, precision, mean, ColdStart.of_prior(mean, precision))

    return Posterior(3.0, 2.0, rng.uniform(1, 2, n_draws).astype(np.float32), side(n_users), side(n_items))


def scores(x, y):
    return x[..., -1] + y[..., -1] + np.sum(x[..., :-1] * y[..., :-1], axis=-1)


def sampled(posterior, s, side, code, n, rng):
    """n vectors of one row under draw s: the drawn one, or draws from the prior where it is unknown."""
    if code >= 0:
        return np.broadcast_to(side.vectors[s, code].astype(np.float64), (n, side.mean.shape[1]))
    return rng.multivariate_normal(side.mean[s], np.linalg.inv(side.precision[s].astype(np.float64)), n)


@pytest.mark.parametrize(("user", "item"), [(-1, 2), (3, -1), (-1, -1)])
def test_the_variance_of_unknown_rows_in_closed_form_is_that_of_sampling(user, item):
    posterior = random_posterior(n_draws=1)
    rng = np.random.default_rng(1)
    drawn = scores(
        sampled(posterior, 0, posterior.users, user, 400_000, rng),
        sampled(posterior, 0, posterior.items, item, 400_000, rng),
    )
    codes = np.array([user], np.int32), np.array([item], np.int32)
    mean, variance = posterior.predict(posterior.users.vectors, *codes)
    assert mean[0] == pytest.approx(3 + 2 * drawn.mean(), abs=0.03)
    assert variance[0] == pytest.approx(4 * drawn.var(), rel=0.02)


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_known_pairs_vary_as_their_draws_do(n_draws, seed):
    posterior = random_posterior(n_draws, seed=seed)
    users, items = np.divmod(np.arange(20, dtype=np.int32), 4)
    drawn = 3 + 2 * scores(
        posterior.users.vectors[:, users].astype(np.float64), posterior.items.vectors[:, items].astype(np.float64)
    )
    mean, variance = posterior.predict(posterior.users.vectors, users, items)
    np.testing.assert_allclose(mean, drawn.mean(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(variance, drawn.var(axis=0, ddof=1), rtol=1e-4, atol=1e-4)
    table = posterior.score_variance(posterior.users.vectors)
    np.testing.assert_allclose(table[users, items], variance, rtol=1e-3, atol=1e-3)
    one = posterior.draw_scores(posterior.users.vectors[1], 1)
    np.testing.assert_allclose(one[users, items], drawn[1], rtol=1e-4, atol=1e-4)


def test_draws_of_unknown_rows_add_to_the_variance_of_each_draw():
    posterior = random_posterior(n_draws=5)
    codes = np.array([-1], np.int32), np.array([2], np.int32)
    _, variance = posterior.predict(posterior.users.vectors, *codes)
    rng = np.random.default_rng(2)
    within, means = [], []
    for s in range(5):
        drawn = 2 * scores(
            sampled(posterior, s, posterior.users, -1, 100_000, rng), posterior.items.vectors[s, 2].astype(np.float64)
        )
        within.append(drawn.var())
        means.append(drawn.mean())
    assert variance[0] == pytest.approx(np.mean(within) + np.var(means, ddof=1), rel=0.02)
    turned = posterior.transposed().predict(posterior.items.vectors, codes[1], codes[0])
    assert turned[1][0] == pytest.approx(variance[0], rel=1e-5)


def test_the_projection_is_the_least_squares_fit_to_the_mean_of_the_draws():
    posterior = random_posterior(n_draws=4, n_items=30)
    rng = np.random.default_rng(3)
    items = rng.standard_normal((30, 6)).astype(np.float32)  # other axes, biases and units than the draws have
    prior = Prior(np.eye(6, dtype=np.float32), np.zeros(6, np.float32))
    factors = Factors(2.5, np.zeros((5, 6), np.float32), items, prior, prior, scale=0.7)
    drawn = posterior.users.vectors
    tables = [scores(drawn[s][:, None].astype(np.float64), posterior.items.vectors[s]) for s in range(4)]
    target = (posterior.center + posterior.scale * np.mean(tables, axis=0) - 2.5) / 0.7 - items[:, -1]
    partner = np.column_stack([items[:, :-1], np.ones(30)])
    expected = np.linalg.lstsq(partner, target.T, rcond=None)[0].T
    np.testing.assert_allclose(posterior.projection(factors)(drawn), expected, atol=1e-4)


def test_the_variance_of_prior_means_over_draws():
    """v = tr(Lambda C) / k, C the covariance over draws, averaged over the draws' Lambda."""
    side = random_posterior(n_draws=5).users
    means = np.random.default_rng(2).standard_normal((5, 4, 3)).astype(np.float32)
    precision = side.precision.astype(np.float64)
    expected = []
    for row in range(4):
        away = means[:, row] - means[:, row].mean(axis=0)
        expected.append(sum(d @ L @ d for d, L in zip(away, precision, strict=True)) / (4 * 3))
    np.testing.assert_allclose(side.prior_mean_variance(means), expected, rtol=1e-5)
    np.testing.assert_array_equal(side.prior_mean_variance(means[:1]), np.zeros(4))


@pytest.mark.parametrize("lacks", ["nothing", "features", "link", "cold link"])
def test_attributes_are_the_last_columns_of_features(lacks):
    link = np.zeros((2, 7, 3), np.float32)
    cold = replace(random_posterior(n_draws=2).users.cold_start, link=None if lacks == "cold link" else link[:, :3])
    side = replace(random_posterior(n_draws=2).users, link=None if lacks == "link" else link, cold_start=cold)
    found = side.attributes_in(None if lacks == "features" else rows_of([[0, 4, 6], [2], [5]]))
    if lacks != "nothing":
        assert found is None
        return
    assert [found.row(at)[0].tolist() for at in range(3)] == [[0, 2], [], [1]]
