"""Folding in: what is expected of new users is in doubt, as the link it comes from was learned from others."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from helpers.data import rows_of
from palate.models.cold_start import ColdStart
from palate.models.factors import as_partner
from palate.models.posterior import Posterior, SideSamples

K, D, N_ITEMS = 3, 6, 12
LISTS = ([0, 2, 3], [1], [4, 5, 0, 1], [2])  # the columns of F of four new users, with these codes as values
RATED = ([0, 1, 2, 3], [5], list(range(12)), [7, 8])


def fold_in(seed=0):
    """Features (4, D) and ratings of four new users."""
    rng = np.random.default_rng(seed)
    features, ratings = rows_of(LISTS), rows_of(RATED)
    features = replace(features, values=rng.uniform(0.2, 1, len(features.indices)).astype(np.float32))
    values = rng.uniform(1, 5, len(ratings.indices)).astype(np.float32)
    weights = rng.uniform(0.5, 2, len(ratings.indices)).astype(np.float32)
    return features, replace(ratings, values=values, weights=weights)


def dense(features):
    F = np.zeros((features.n_rows, D))
    F[np.repeat(np.arange(features.n_rows), features.counts), features.indices] = features.values
    return F


def drawn_links(n_draws, spread, seed=1):
    """A posterior whose draws differ in nothing but the link, drawn from Normal(B, spread x Lambda^-1)."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((K, K)) * 0.3 + np.eye(K)
    precision = (root @ root.T).astype(np.float32)
    link = rng.standard_normal((D, K))
    noise = rng.standard_normal((n_draws, D, K)) @ np.linalg.inv(np.linalg.cholesky(precision))
    links = (link + np.sqrt(spread) * noise).astype(np.float32)
    mean, items = rng.standard_normal((1, K)), rng.standard_normal((1, N_ITEMS, K))
    precisions = np.tile(precision, (n_draws, 1, 1))
    means = np.tile(mean, (n_draws, 1)).astype(np.float32)
    cold_start = ColdStart.of_prior(means, precisions)
    users = SideSamples(np.zeros((n_draws, 1, K), np.float32), precisions, means, cold_start, links)
    vectors = np.tile(items, (n_draws, 1, 1)).astype(np.float32)
    alpha = np.full(n_draws, 0.8, np.float32)
    return Posterior(3.0, 1.5, alpha, users, SideSamples(vectors, precisions, means, cold_start)), link


def solved(posterior, F, link, ratings, widened):
    """The modes of rows under the prior Normal(m + F link, widened x Lambda^-1), one by one in float64."""
    items, precision = posterior.items.vectors[0].astype(np.float64), posterior.users.precision[0].astype(np.float64)
    out = []
    for row in range(len(F)):
        here = slice(*ratings.indptr[row : row + 2])
        Z, weights = as_partner(items[ratings.indices[here]]), ratings.weights[here] * posterior.alpha[0]
        targets = (ratings.values[here] - posterior.center) / posterior.scale - items[ratings.indices[here], -1]
        before = precision / widened[row]
        A = before + (Z.T * weights) @ Z
        out.append(np.linalg.solve(A, before @ (posterior.users.mean[0] + F[row] @ link) + Z.T @ (weights * targets)))
    return np.array(out)


def test_the_mean_over_draws_has_integrated_the_link_out():
    """With a link known as Normal(B, s Lambda^-1), f beta adds s |f|^2 Lambda^-1 to how a new user's row may lie."""
    posterior, link = drawn_links(4000, spread=1.5)
    features, ratings = fold_in()
    F = dense(features)
    widened = 1 + 1.5 * np.sum(F**2, axis=1)
    right = solved(posterior, F, link, ratings, widened)
    np.testing.assert_allclose(
        posterior.users.prior_mean_variance(posterior.users.means(features)), widened - 1, rtol=0.05
    )
    found = posterior.solve_new(ratings, features).mean(axis=0)
    np.testing.assert_allclose(found, right, atol=0.05)
    unaware = posterior.solve(ratings, features, draw=False).mean(axis=0)
    np.testing.assert_allclose(unaware, solved(posterior, F, link, ratings, np.ones(4)), atol=0.05)
    assert np.abs(unaware - right).max() > 0.3  # so the test would see it


def test_draws_have_that_doubt_already():
    """A draw takes the link of its draw: where ratings tell little, a new user's draws lie as widely as they should."""
    posterior, _ = drawn_links(4000, spread=1.5)
    features, ratings = fold_in()
    faint = replace(ratings, weights=ratings.weights * np.float32(1e-4))
    drawn = posterior.solve(faint, features, draw=True, seed=3)
    widened = 1 + 1.5 * np.sum(dense(features) ** 2, axis=1)
    for row in range(4):
        shape = np.cov(drawn[:, row].T) @ posterior.users.precision[0]
        np.testing.assert_allclose(shape, widened[row] * np.eye(K), atol=0.15 * widened[row])


def test_without_a_link_or_with_one_draw_there_is_no_doubt():
    features, ratings = fold_in()
    one, _ = drawn_links(1, spread=1.0)
    np.testing.assert_array_equal(one.users.prior_mean_variance(one.users.means(features)), np.zeros(4))
    np.testing.assert_array_equal(one.solve_new(ratings, features), one.solve(ratings, features, draw=False))
    plain = replace(one, users=replace(one.users, link=None))
    assert plain.weight_new(ratings, plain.users.means(features)) is ratings
    several, _ = drawn_links(5, spread=1.0)
    assert several.weight_new(ratings, several.users.means(None)) is ratings


def test_ratings_without_weights_get_those_of_the_doubt():
    posterior, _ = drawn_links(5, spread=1.0)
    features, ratings = fold_in()
    means = posterior.users.means(features)
    weights = posterior.weight_new(replace(ratings, weights=None), means).weights
    np.testing.assert_allclose(
        weights, np.repeat(1 + posterior.users.prior_mean_variance(means), ratings.counts), rtol=1e-6
    )
    np.testing.assert_allclose(posterior.weight_new(ratings, means).weights, weights * ratings.weights, rtol=1e-6)


def halves_folded_in(ratings, side, sizes):
    """RMSE on half the ratings of some rows: folded in by the other half, so without the doubt, and of a refit.

    sizes: how many rows are folded in at once, one group after the other. The refit also learns from a group's ratings
    about the other side: the larger a group, the more it knows that no fold-in can.
    """
    rng = np.random.default_rng(0)
    codes = ratings.user_codes if side == "user" else ratings.item_codes
    rows = rng.permutation(len(np.unique(codes)))
    first = rng.random(len(ratings)) < 0.5
    ends = np.cumsum(sizes)
    groups = [np.isin(codes, rows[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    errors = np.concatenate([half_folded_in(ratings, side, group, first) for group in groups], axis=1)
    return np.sqrt(np.mean(errors**2, axis=1))


def half_folded_in(ratings, side, chosen, first):
    """Errors on the second half of the chosen ratings, (3, n): folded in, without the doubt, of a refit."""
    codes = ratings.user_codes if side == "user" else ratings.item_codes
    recipe = palate.Bayes(n_sweeps=80)
    rec, refit = recipe.fit(ratings[~chosen]), recipe.fit(ratings[~chosen | first])
    given = ratings[chosen & first]
    asked = ratings[chosen & ~first & np.isin(codes, codes[chosen & first])]
    model = rec.model if side == "user" else rec.model.transposed()
    pairs = (asked.user_codes, asked.item_codes) if side == "user" else (asked.item_codes, asked.user_codes)
    user_rows = model.fold_in(given.by_user() if side == "user" else given.by_item())
    weighted = model.weighted(user_rows.history, user_rows.codes)
    unaware = model._projection(model.posterior.solve(weighted, user_rows.features, draw=False))
    scores = [model.factors.pair_scores(vectors, *pairs) for vectors in (user_rows.vectors, unaware)]
    scores.append(refit.predict_codes(asked.user_codes, asked.item_codes)[0])
    return np.array([np.clip(score, 1, 5) - asked.values for score in scores])


@pytest.mark.long
@pytest.mark.data
def test_folding_in_users_of_movielens_knows_its_doubt(ml_100k):
    folded, unaware, refit = halves_folded_in(ml_100k, "user", [50, 50, 50, 50])
    assert folded < unaware - 0.0003  # 0.0005 to 0.0012 after 80 or 160 sweeps
    assert folded <= refit + 0.003


@pytest.mark.long
@pytest.mark.data
def test_folding_in_items_of_movielens_knows_its_doubt(ml_100k):
    folded, unaware, _ = halves_folded_in(ml_100k, "item", [300])
    assert folded < unaware - 0.001
