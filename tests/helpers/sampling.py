"""Comparing a Gibbs sampler with brute force: the Normal-Wishart by its formulas, moments of dependent draws."""

import numpy as np
from scipy import stats


def normal_wishart_given(vectors, *, scatter=0.0, n_scattered=0):
    """(W, nu, mean, beta) given rows (n, k), by Salakhutdinov & Mnih (2008), equation 14, in float64.

    scatter: of n_scattered more rows that depend on the precision only.
    """
    rows = vectors.astype(np.float64)
    n, k = rows.shape
    mean = rows.mean(axis=0)
    inverse = np.eye(k) + (rows - mean).T @ (rows - mean) + 2 * n / (2 + n) * np.outer(mean, mean) + scatter
    return np.linalg.inv(inverse), k + n + n_scattered, n * mean / (2 + n), 2 + n


def brute_normal_wishart(vectors, rng, **scattered):
    """A draw of (mean, precision) given rows (n, k), by scipy."""
    W, nu, mean, beta = normal_wishart_given(vectors, **scattered)
    precision = stats.wishart(nu, W).rvs(random_state=rng)
    return rng.multivariate_normal(mean, np.linalg.inv(beta * precision)), precision


def batch_errors(draws, n_batches=25):
    """Mean over draws and its Monte Carlo standard error, by means of batches: draws of a chain are dependent."""
    means = draws.reshape(n_batches, -1, *draws.shape[1:]).mean(axis=1)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(n_batches)


def assert_same_mean_and_variance(ours, theirs):
    """Two chains (n_draws, ...) agree in mean and variance, up to Monte Carlo errors."""
    center = theirs.mean(axis=0)
    for measure in (lambda draws: draws, lambda draws: (draws - center) ** 2):
        (one, error_one), (two, error_two) = batch_errors(measure(ours)), batch_errors(measure(theirs))
        z = (one - two) / np.hypot(error_one, error_two)
        assert np.abs(z).max() < 5
        assert np.sqrt(np.mean(z**2)) < 2
