"""Cold start: the prior of rows without ratings, against least squares on vectors and on ratings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.models import cold_start
from palate.models.cold_start import RIDGE, ColdStart, RatedPairs, fit_cold_start


def random_rows(n_draws=3, n=40, k=3, d=5, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(2, n)
    F = np.where(rng.random((n, d)) < 0.4, rng.standard_normal((n, d)), 0).astype(np.float32)
    lists = [np.flatnonzero(row) for row in F]
    attributes = replace(rows_of(lists), values=F[F != 0])
    return rng.standard_normal((n_draws, n, k)).astype(np.float32), counts, F, attributes


def rated_by_all(counts, n_others=7, n_draws=3, k=3, seed=1):
    """Each row rated so many times by every rater: then there is no self-selection."""
    others = np.random.default_rng(seed).standard_normal((n_draws, n_others, k)).astype(np.float32)
    return others, rows_of([list(range(n_others)) * count for count in counts])


def test_the_prior_has_the_moments_of_the_rated_rows():
    vectors, counts, F, attributes = random_rows()
    others, rows = rated_by_all(counts)
    found = fit_cold_start(vectors, others, rows, attributes, 5)
    plain = fit_cold_start(vectors, others, rows, None, 0)
    assert plain.link is None
    rated, n = counts > 0, np.count_nonzero(counts)
    for s in range(3):
        mean = np.average(vectors[s], axis=0, weights=counts)
        covariance = np.cov(vectors[s].T, fweights=counts, ddof=0)
        for these in (found, plain):
            np.testing.assert_allclose(these.mean[s], mean, atol=1e-5)
            np.testing.assert_allclose(these.covariance[s], covariance, atol=1e-5)
        # ridge regression as least squares: rows scaled by their weight, one more row for each coefficient but the mean
        scale = np.sqrt(n * counts[rated] / counts.sum())[:, None]
        ones = np.ones((n, 1))
        A = np.vstack([scale * np.hstack([ones, F[rated]]), np.hstack([np.zeros((5, 1)), np.sqrt(RIDGE) * np.eye(5)])])
        solved = np.linalg.lstsq(A, np.vstack([scale * vectors[s][rated], np.zeros((5, 3))]), rcond=None)[0]
        np.testing.assert_allclose(found.intercept[s], solved[0], atol=1e-5)
        np.testing.assert_allclose(found.link[s], solved[1:], atol=1e-5)
        residuals = (vectors[s] - solved[0] - F @ solved[1:])[rated]
        weights = counts[rated] / counts.sum()
        np.testing.assert_allclose(found.residual[s], (residuals.T * weights) @ residuals, atol=1e-5)
        some = found.select_draws(np.array([s]))
        np.testing.assert_array_equal(some.link[0], found.link[s])


def liked(n=60, m=80, k=3, d=4, seed=0):
    """Rows with predictive attributes, rated by raters who like them: vectors and pairs."""
    rng = np.random.default_rng(seed)
    F = (rng.random((n, d)) < 0.5).astype(np.float32)
    vectors = (F @ rng.standard_normal((d, k)) + 0.5 * rng.standard_normal((n, k))).astype(np.float32)
    others = rng.standard_normal((m, k)).astype(np.float32)
    partners = np.column_stack([others[:, :-1], np.ones(m)])
    chance = 1 / (1 + np.exp(-1.5 * (vectors @ partners.T) + 1))
    is_rated = rng.random((n, m)) < chance * rng.random((n, 1))
    return vectors, others, partners, rows_of([np.flatnonzero(row) for row in is_rated]), F


def squared_error(expected, vectors, partners, rows):
    of = np.repeat(np.arange(rows.n_rows), rows.counts)
    return np.mean(np.sum((vectors - expected)[of] * partners[rows.indices], axis=1) ** 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_the_least_squares_fit_to_the_ratings(seed):
    """Least squares of y . mu against the scores y . x of the rated pairs; the mean row is far from it."""
    vectors, others, partners, rows, _ = liked(seed=seed)
    of = np.repeat(np.arange(60), rows.counts)
    Y = partners[rows.indices]
    best = np.linalg.lstsq(Y, np.sum(Y * vectors[of], axis=1), rcond=None)[0]
    found = fit_cold_start(vectors[None], others[None], rows, None, 0)
    np.testing.assert_allclose(found.mean[0], best, atol=1e-5)
    weights = rows.counts / rows.counts.sum()
    assert np.abs(weights @ vectors - best).max() > 0.1
    around = vectors - best
    np.testing.assert_allclose(found.covariance[0], (around.T * weights) @ around, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_one_step_goes_most_of_the_way_to_least_squares(seed):
    """Against all coefficients solved at once, with the ridge RIDGE A of the step."""
    vectors, others, partners, rows, F = liked(seed=seed)
    attributes = rows_of([np.flatnonzero(row) for row in F])
    attributes = replace(attributes, values=np.ones(len(attributes.indices), np.float32))
    found = fit_cold_start(vectors[None], others[None], rows, attributes, 4)
    of, weights = np.repeat(np.arange(60), rows.counts), rows.counts / rows.counts.sum()
    Y, around = partners[rows.indices], np.column_stack([np.ones(60), F - weights @ F])
    design = np.einsum("na,nk->nak", around[of], Y).reshape(len(of), -1)
    n_rated = np.count_nonzero(rows.counts)
    decay = np.kron(np.diag([0, 1, 1, 1, 1]), RIDGE * Y.T @ Y / n_rated)
    solved = np.linalg.solve(design.T @ design + decay, design.T @ np.sum(Y * vectors[of], axis=1)).reshape(5, 3)
    link = np.linalg.solve(
        (around[:, 1:].T * weights * n_rated) @ around[:, 1:] + RIDGE * np.eye(4),
        (around[:, 1:].T * weights * n_rated) @ vectors,
    )
    rows_alone = weights @ vectors + around[:, 1:] @ link
    best, plain = (squared_error(guess, vectors, partners, rows) for guess in (around @ solved, rows_alone))
    stepped = squared_error(found.intercept[0] + F @ found.link[0], vectors, partners, rows)
    assert stepped - best < 0.1 * (plain - best)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 3), st.integers(0, 10**6))
@settings(deadline=None)
def test_a_step_never_raises_the_error_of_the_ratings(n, m, d, seed):
    """Also if one rater rates all, with more factors than raters, and if the only rater is all zeros."""
    rng = np.random.default_rng(seed)
    vectors, others = (rng.standard_normal((size, 4)).astype(np.float32) for size in (n, m))
    others *= rng.choice([0, 1, 3], (m, 1))
    lists = [rng.integers(0, m, rng.integers(0, 5)) for _ in range(n)]
    rows = rows_of([*lists[:-1], [0, *lists[-1]]])
    F = (rng.random((n, d)) < 0.5).astype(np.float32)
    attributes = rows_of([np.flatnonzero(row) for row in F])
    attributes = replace(attributes, values=np.ones(len(attributes.indices), np.float32))
    partners = np.column_stack([others[:, :-1], np.ones(m)])
    raters = others[None], rows
    found = fit_cold_start(vectors[None], *raters, attributes, d)
    expected = found.mean[0] if found.link is None else found.intercept[0] + F @ found.link[0]
    assert np.isfinite(expected).all()
    weights = rows.counts / rows.counts.sum()
    around, n_rated = F - weights @ F, np.count_nonzero(weights)
    solved = (around.T * weights * n_rated) @ around + RIDGE * np.eye(d)
    plain = weights @ vectors + around @ np.linalg.solve(solved, (around.T * weights * n_rated) @ vectors)
    stepped, before = (squared_error(guess, vectors, partners, rows) for guess in (expected, plain))
    assert stepped <= before + 1e-5 * (1 + before)


@pytest.mark.parametrize("max_pairs", [1, 7, 100, 10_000])
def test_of_many_ratings_an_even_sample_is_used(max_pairs, monkeypatch):
    monkeypatch.setattr(cold_start, "MAX_PAIRS", max_pairs)
    rng = np.random.default_rng(0)
    rows = rows_of([rng.integers(0, 9, size) for size in rng.poisson(10, 50)])
    pairs = RatedPairs.of(rows)
    assert 0.5 * min(max_pairs, len(rows.indices)) < len(pairs.raters) <= max_pairs
    given = np.column_stack([np.repeat(np.arange(50), rows.counts), rows.indices])
    every = -(-len(given) // max_pairs)
    np.testing.assert_array_equal(np.column_stack([pairs.rows, pairs.raters]), given[::every])
    np.testing.assert_array_equal(np.repeat(np.arange(50), np.diff(pairs.indptr)), pairs.rows)


def test_draws_have_the_moments_of_the_prior():
    vectors, counts, _, attributes = random_rows(seed=1)
    found = fit_cold_start(vectors, *rated_by_all(counts), attributes, 5)
    attributes = rows_of([[]] * 4000 + [[0, 3]] * 4000)
    everyone = np.arange(8000)
    means = found.means(1, attributes, everyone)
    np.testing.assert_allclose(means[0], found.mean[1], rtol=1e-6)
    known = found.intercept[1] + 3 * (found.link[1, 0] + found.link[1, 3])
    np.testing.assert_allclose(means[-1], known, rtol=1e-5)
    drawn = found.draws(1, attributes, everyone, seed=3)
    for rows, mean, covariance in (
        (drawn[:4000], found.mean[1], found.covariance[1]),
        (drawn[4000:], known, found.residual[1]),
    ):
        spread = np.sqrt(np.diag(covariance))
        assert (np.abs(rows.mean(axis=0) - mean) < 5 * spread / np.sqrt(4000)).all()
        assert (np.abs(np.cov(rows.T) - covariance) < 5 * np.outer(spread, spread) * np.sqrt(2 / 4000)).all()
    assert drawn.tobytes() == found.draws(1, attributes, everyone, seed=3).tobytes()
    assert (drawn != found.draws(1, attributes, everyone, seed=4)).all()
    assert (found.means(0, None, np.arange(2)) == found.mean[0]).all()
    assert found.draws(0, None, np.arange(2), seed=0).shape == (2, 3)
    some = np.array([7, 3999, 4000, 7998])  # a row's draw does not depend on which others are asked for
    np.testing.assert_allclose(found.draws(1, attributes, some, seed=3), drawn[some], rtol=1e-4, atol=1e-5)


def test_of_prior_has_its_covariance():
    precision = np.array([[[2.0, 0.5], [0.5, 1.0]]], np.float32)
    of_prior = ColdStart.of_prior(np.zeros((1, 2), np.float32), precision)
    np.testing.assert_allclose(of_prior.covariance @ precision, [np.eye(2)], atol=1e-6)
