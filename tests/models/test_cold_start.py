"""Cold start: the prior of rows without ratings, against least squares on vectors and on ratings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.models import cold_start
from palate.models.cold_start import RARE, RARE_ROWS, RIDGE, ColdStart, RarePairs, RatedPairs, fit_cold_start


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


def targets_of(rows):
    """Ratings in the units of vectors."""
    return rows, 0.0, 1.0


def rated_as_expected(rows, vectors, others):
    """The rows with ratings that are what each row's vector says under the one draw."""
    owners = np.repeat(np.arange(rows.n_rows), rows.counts)
    return replace(rows, values=scores_of(vectors[owners], others[rows.indices]).astype(np.float32))


def scores_of(x, y):
    return np.sum(x[:, :-1] * y[:, :-1], axis=1) + x[:, -1] + y[:, -1]


@pytest.fixture
def no_level(monkeypatch):
    """The prior before the level of rows with few ratings, which a test below holds to its formula."""
    monkeypatch.setattr(cold_start, "RARE", 0.0)


@pytest.mark.usefixtures("no_level")
@pytest.mark.parametrize("at_once", [7, 4096])
def test_the_prior_has_the_moments_of_the_rated_rows(at_once, monkeypatch):
    monkeypatch.setattr(cold_start, "ROWS_AT_ONCE", at_once)
    vectors, counts, F, attributes = random_rows()
    others, rows = rated_by_all(counts)
    found = fit_cold_start(vectors, others, targets_of(rows), attributes, 5)
    plain = fit_cold_start(vectors, others, targets_of(rows), None, 0)
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


@pytest.mark.usefixtures("no_level")
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_the_least_squares_fit_to_the_ratings(seed):
    """Least squares of y . mu against the scores y . x of the rated pairs; the mean row is far from it."""
    vectors, others, partners, rows, _ = liked(seed=seed)
    of = np.repeat(np.arange(60), rows.counts)
    Y = partners[rows.indices]
    best = np.linalg.lstsq(Y, np.sum(Y * vectors[of], axis=1), rcond=None)[0]
    found = fit_cold_start(vectors[None], others[None], targets_of(rows), None, 0)
    np.testing.assert_allclose(found.mean[0], best, atol=1e-5)
    weights = rows.counts / rows.counts.sum()
    assert np.abs(weights @ vectors - best).max() > 0.1
    around = vectors - best
    np.testing.assert_allclose(found.covariance[0], (around.T * weights) @ around, atol=1e-5)


@pytest.mark.usefixtures("no_level")
@pytest.mark.parametrize("seed", range(4))
def test_one_step_goes_most_of_the_way_to_least_squares(seed):
    """Against all coefficients solved at once, with the ridge RIDGE A of the step."""
    vectors, others, partners, rows, F = liked(seed=seed)
    attributes = rows_of([np.flatnonzero(row) for row in F])
    attributes = replace(attributes, values=np.ones(len(attributes.indices), np.float32))
    found = fit_cold_start(vectors[None], others[None], targets_of(rows), attributes, 4)
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cold_start, "RARE", 0.0)
        found = fit_cold_start(vectors[None], others[None], targets_of(rows), attributes, d)
    expected = found.mean[0] if found.link is None else found.intercept[0] + F @ found.link[0]
    assert np.isfinite(expected).all()
    weights = rows.counts / rows.counts.sum()
    around, n_rated = F - weights @ F, np.count_nonzero(weights)
    solved = (around.T * weights * n_rated) @ around + RIDGE * np.eye(d)
    plain = weights @ vectors + around @ np.linalg.solve(solved, (around.T * weights * n_rated) @ vectors)
    stepped, before = (squared_error(guess, vectors, partners, rows) for guess in (expected, plain))
    assert stepped <= before + 1e-5 * (1 + before)


def level_of(rows, values, expected, others):
    """t, rating by rating: a row with n ratings counts 1 / n, and RARE_ROWS more rows have a residual of 0."""
    total, size = 0.0, RARE_ROWS
    for r in range(rows.n_rows):
        own = slice(rows.indptr[r], rows.indptr[r + 1])
        weights = np.ones(rows.counts[r]) if rows.weights is None else rows.weights[own].astype(float)
        for j, value, weight in zip(rows.indices[own], values[own], weights, strict=True):
            score = expected[r, :-1] @ others[j, :-1] + expected[r, -1] + others[j, -1]
            total += weight / rows.counts[r] ** 2 * (value - score)
            size += weight / rows.counts[r] ** 2
    return total / size


@pytest.mark.parametrize("weighted", [False, True])
def test_the_level_is_that_of_rows_with_few_ratings(weighted, monkeypatch):
    """In the units of vectors, apart for rows with and without attributes; the bias alone moves."""
    rng = np.random.default_rng(3)
    vectors, others, _, rows, F = liked()
    attributes = rows_of([np.flatnonzero(row) for row in F])
    attributes = replace(attributes, values=np.ones(len(attributes.indices), np.float32))
    values = rng.normal(size=len(rows.indices)).astype(np.float32)
    weights = rng.random(len(values)).astype(np.float32) * 2 if weighted else None
    rows = replace(rows, values=3.5 + 2 * values, weights=weights)
    given = vectors[None], others[None], (rows, 3.5, 2.0), attributes, 4
    found = fit_cold_start(*given)
    monkeypatch.setattr(cold_start, "RARE", 0.0)
    before = fit_cold_start(*given)
    plain = level_of(rows, values, np.tile(before.mean[0], (60, 1)), others)
    known = level_of(rows, values, before.intercept[0] + F @ before.link[0], others)
    assert min(abs(plain), abs(known), abs(plain - known)) > 0.01
    bias = np.array([0, 0, 1])
    np.testing.assert_allclose(found.mean[0], before.mean[0] + RARE * plain * bias, atol=1e-5)
    np.testing.assert_allclose(found.intercept[0], before.intercept[0] + RARE * known * bias, atol=1e-5)
    np.testing.assert_array_equal(found.link, before.link)
    for one, other, level in (
        (found.covariance, before.covariance, plain),
        (found.residual, before.residual, known),
    ):
        np.testing.assert_allclose(one[0] - other[0], RARE * (1 - RARE) * level**2 * np.diag(bias), atol=1e-5)


def test_the_prior_is_between_rows_rated_once_and_rows_rated_often():
    """The level has the sign of what is rarely rated, and the variance covers both."""
    rng = np.random.default_rng(0)
    often = np.arange(250) < 50
    vectors = np.column_stack([np.zeros((250, 2)), np.where(often, 0.5, -0.5)]).astype(np.float32)
    others = np.zeros((100, 3), np.float32)
    rows = rows_of([rng.permutation(100)[: 40 if popular else 1] for popular in often])
    found = fit_cold_start(vectors[None], others[None], targets_of(rated_as_expected(rows, vectors, others)), None, 0)
    popular = (50 * 40 * 0.5 - 200 * 0.5) / (50 * 40 + 200)  # a row counts as often as it was rated
    assert popular - 0.5 * RARE > found.mean[0, -1] > popular - 1.0 * RARE
    assert found.covariance[0, -1, -1] > RARE * (1 - RARE) * 0.5


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(1, 200), st.integers(0, 10**6))
def test_pairs_are_those_of_the_rows_with_fewest_ratings(counts, max_pairs, seed):
    rng = np.random.default_rng(seed)
    counts[0] += not any(counts)
    rows = rows_of([rng.integers(0, 9, count) for count in counts])
    rows = replace(rows, values=rng.normal(size=len(rows.indices)).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cold_start, "MAX_PAIRS", max_pairs)
        pairs = RarePairs.of(rows, 1.0, 2.0)
    chosen, of = np.sort(pairs.codes), pairs.codes[pairs.at]
    left = np.setdiff1d(np.flatnonzero(rows.counts), chosen)
    assert len(of) <= max_pairs or len(chosen) == 1
    assert len(left) == 0 or rows.counts[chosen].max() <= rows.counts[left].min()
    assert len(left) == 0 or len(of) + rows.counts[left].min() > max_pairs
    for r in chosen:
        own, at = slice(rows.indptr[r], rows.indptr[r + 1]), of == r
        np.testing.assert_array_equal(pairs.raters[at], rows.indices[own])
        np.testing.assert_allclose(pairs.targets[at], (rows.values[own] - 1) / 2, rtol=1e-6)
        np.testing.assert_allclose(pairs.weights[at], 1 / rows.counts[r] ** 2)


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
    np.testing.assert_array_equal(np.repeat(pairs.codes, np.diff(pairs.indptr)), pairs.rows)
    np.testing.assert_array_equal(pairs.codes[pairs.at], pairs.rows)


def test_draws_have_the_moments_of_the_prior():
    vectors, counts, _, attributes = random_rows(seed=1)
    others, rows = rated_by_all(counts)
    found = fit_cold_start(vectors, others, targets_of(rows), attributes, 5)
    attributes = rows_of([[]] * 4000 + [[0, 3]] * 4000)
    everyone = 8000
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
    assert (found.means(0, None, 2) == found.mean[0]).all()
    assert found.draws(0, None, 2, seed=0).shape == (2, 3)


def test_of_prior_has_its_covariance():
    precision = np.array([[[2.0, 0.5], [0.5, 1.0]]], np.float32)
    of_prior = ColdStart.of_prior(np.zeros((1, 2), np.float32), precision)
    np.testing.assert_allclose(of_prior.covariance @ precision, [np.eye(2)], atol=1e-6)
