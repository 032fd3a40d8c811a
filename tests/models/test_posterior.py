"""The posterior's closed forms: means and variances of scores against sampling, and the projection to factors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.data.rows import CompressedRows
from palate.models import posterior as module
from palate.models.cold_start import ColdStart
from palate.models.factors import Factors, Prior
from palate.models.ordinal import OrderedSteps, log_mass
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


# ---- solving


def linked(n_items=4, n_columns=9, seed=0):
    """A posterior of three draws whose users have features: the last two columns are attributes."""
    rng = np.random.default_rng(seed)
    posterior = random_posterior(3, n_items=n_items, seed=seed)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    cold = replace(posterior.users.cold_start, intercept=normal(3, 3), link=normal(3, 2, 3))
    return replace(posterior, users=replace(posterior.users, link=normal(3, n_columns, 3), cold_start=cold))


def histories_of(lists, seed=0, is_weighted=True):
    """Rated items of some users, with random ratings and weights."""
    rng = np.random.default_rng(seed)
    rows = rows_of(lists)
    n = len(rows.indices)
    weights = rng.uniform(0.5, 3, n).astype(np.float32) if is_weighted else None
    return replace(rows, values=rng.uniform(1, 5, n).astype(np.float32), weights=weights)


def dense(features, n_columns):
    """A feature matrix as a table."""
    table = np.zeros((features.n_rows, n_columns))
    for row in range(features.n_rows):
        codes, values = features.row(row)[:2]
        table[row, codes] = values
    return table


def modes_by_numpy(posterior, histories, features, factor=None):
    """A^-1 h for each user under each draw; cold-start means for users without ratings; weights times a factor."""
    side, n_columns = posterior.users, posterior.users.link.shape[1]
    table = dense(features, n_columns)
    found = np.zeros((len(posterior), histories.n_rows, 3))
    for s in range(len(posterior)):
        for row in range(histories.n_rows):
            begin, end = histories.indptr[row : row + 2]
            if begin == end:
                own = table[row, -2:]
                cold = side.cold_start
                found[s, row] = cold.intercept[s] + own @ cold.link[s] if own.any() else cold.mean[s]
                continue
            items = posterior.items.vectors[s, histories.indices[begin:end]].astype(float)
            z = np.column_stack([items[:, :-1], np.ones(end - begin)])
            weights = np.ones(end - begin) if histories.weights is None else histories.weights[begin:end].astype(float)
            weights = weights * (1 if factor is None else factor[row])
            targets = (histories.values[begin:end] - posterior.center) / posterior.scale - items[:, -1]
            precision = side.precision[s].astype(float)
            mean = side.mean[s] + table[row] @ side.link[s]
            found[s, row] = np.linalg.solve(
                precision + posterior.alpha[s] * (z.T * weights) @ z,
                precision @ mean + posterior.alpha[s] * z.T @ (weights * targets),
            )
    return found


LISTS = [[0, 3], [], [1, 2, 3], [2], []]
FEATURES = replace(rows_of([[0, 8], [4, 7, 8], [], [1, 2], [3]]), values=np.float32([1, 2, 0.5, 1, -1, 1, 3, 1]))


@pytest.mark.parametrize("n_items", [4, 24, 25, 200])
@pytest.mark.parametrize("is_weighted", [True, False])
def test_users_are_solved_for_as_by_numpy(n_items, is_weighted):
    """Also where their items are few among all, and only these are prepared."""
    posterior, histories = linked(n_items), histories_of(LISTS, is_weighted=is_weighted)
    expected = modes_by_numpy(posterior, histories, FEATURES)
    found = posterior.solve(histories, FEATURES, draw=False)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    table = dense(FEATURES, 9)
    means = np.stack([m + table @ beta for m, beta in zip(posterior.users.mean, posterior.users.link, strict=True)])
    variance = posterior.users.prior_mean_variance(means.astype(np.float32))
    assert variance[0] > 0.1
    found = posterior.solve_new(histories, FEATURES)
    np.testing.assert_allclose(
        found, modes_by_numpy(posterior, histories, FEATURES, 1 + variance), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("n_columns", [9, 32, 33, 100])
def test_prior_means_are_those_of_every_draw(n_columns):
    """With few of many columns in use, too."""
    users = linked(n_columns=n_columns).users
    table = dense(FEATURES, n_columns)
    expected = np.stack([m + table @ beta for m, beta in zip(users.mean, users.link, strict=True)])
    np.testing.assert_allclose(users.means(FEATURES), expected, rtol=1e-4, atol=1e-5)
    for s in range(3):
        np.testing.assert_allclose(users.means_of(s, FEATURES), expected[s], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(users.means_of(s, None), users.mean[s])


def test_chosen_draws_are_a_posterior_of_their_own():
    whole = replace(linked(), steps=OrderedSteps([1, 2, 3], [0, 1]), cuts=np.float32([[0, 1], [2, 3], [4, 5]]))
    some = whole.select_draws(np.array([2, 0]))
    assert len(some) == 2 and some.cuts.tolist() == [[4, 5], [0, 1]] and (some.alpha == whole.alpha[[2, 0]]).all()
    for side in ("users", "items"):
        one, other = getattr(some, side), getattr(whole, side)
        for name in ("vectors", "precision", "mean"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name)[[2, 0]])
    np.testing.assert_array_equal(some.users.link, whole.users.link[[2, 0]])
    np.testing.assert_array_equal(some.users.cold_start.link, whole.users.cold_start.link[[2, 0]])
    assert some.items.link is None and replace(whole, cuts=None).select_draws(np.array([1])).cuts is None
    assert whole.noise == pytest.approx(2 * np.sqrt(np.mean(1 / whole.alpha)))


@pytest.mark.parametrize("n", [1, 2, 8])
def test_pairs_are_predicted_alike_in_one_call_and_draw_by_draw(n, monkeypatch):
    """Few pairs, of which only the rows are looked up, and many; some of unknown rows."""
    posterior = random_posterior(5, n_users=8, n_items=9)
    users, items = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32)[::-1].copy()
    whole = posterior.predict(posterior.users.vectors, users, items)
    drawn = 3 + 2 * scores(posterior.users.vectors[:, users].astype(float), posterior.items.vectors[:, items])
    np.testing.assert_allclose(whole[0], drawn.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(whole[1], drawn.var(axis=0, ddof=1), rtol=1e-3)
    monkeypatch.setattr(module, "MAX_AT_ONCE", 5 * n - 1)
    np.testing.assert_allclose(posterior.predict(posterior.users.vectors, users, items), whole, rtol=1e-4)
    one = np.array([-1, *users], np.int32), np.array([0, *items], np.int32)
    found = posterior.predict(posterior.users.vectors, *one)
    np.testing.assert_allclose(np.array(found)[:, 1:], whole, rtol=1e-4)
    assert found[1][0] > 0 and posterior.predict(posterior.users.vectors, users[:0], items[:0])[0].shape == (0,)


@pytest.mark.parametrize("n", [1, 64, 65])
def test_a_projection_adds_what_each_draw_adds(n):
    posterior = random_posterior(4, n_users=n, n_items=30)
    items = np.random.default_rng(3).standard_normal((30, 6)).astype(np.float32)
    prior = Prior(np.eye(6, dtype=np.float32), np.zeros(6, np.float32))
    projection = posterior.projection(Factors(2.5, np.zeros((n, 6), np.float32), items, prior, prior, scale=0.7))
    drawn = posterior.users.vectors
    added = sum(projection.part(s, drawn[s]) for s in range(4))
    np.testing.assert_allclose(projection.shift(drawn), added, atol=1e-5)
    np.testing.assert_allclose(projection(drawn), added + projection.offset, atol=1e-5)
    mean = np.arange(6, dtype=np.float32)
    cold = sum(projection.part(s, posterior.users.cold_start.mean[s]) for s in range(4)) + projection.offset
    np.testing.assert_allclose(projection.cold_start_step(posterior, mean), mean - cold, atol=1e-5)


# ---- ordered ratings


def ordered(n_users):
    """A posterior of two draws of ordered ratings, and the same five ratings of each user."""
    cuts = np.float32([[-0.5, 0.25], [-0.25, 0.75]])
    steps, alpha = OrderedSteps([1, 2, 3], cuts.mean(axis=0)), np.float32([1.5, 0.8])
    posterior = random_posterior(2, n_items=6, k=2, seed=4)
    posterior = replace(posterior, steps=steps, cuts=cuts, alpha=alpha, center=0.0, scale=1.0)
    own = np.array([0, 1, 3, 4, 5], np.int32), np.float32([1, 3, 3, 2, 3])
    indptr = 5 * np.arange(n_users + 1, dtype=np.int64)
    return posterior, CompressedRows(indptr, *(np.tile(part, n_users) for part in own), None)


def log_posterior(posterior, s, histories, grid):
    """The log density of one user's vector under draw s, at the points of a grid (n, 2)."""
    items, codes = posterior.items.vectors[s].astype(float), histories.indices[:5]
    latent = grid[:, :1] * items[codes, 0] + items[codes, 1] + grid[:, 1:]
    ends = np.concatenate([[-np.inf], posterior.cuts[s], [np.inf]])
    step = posterior.steps.steps_of(histories.values[:5])
    root = np.sqrt(posterior.alpha[s])
    masses = log_mass(root * (ends[step] - latent), root * (ends[step + 1] - latent))
    away = grid - posterior.users.mean[s]
    return masses.sum(axis=1) - 0.5 * np.einsum("ni,ij,nj->n", away, posterior.users.precision[s], away)


def test_ordered_ratings_are_solved_for_as_by_a_grid():
    """Modes, and the mean and covariance of draws, which are the same from a start near by."""
    posterior, one = ordered(1)
    _, many = ordered(4000)
    modes = posterior.solve(one, draw=False)
    draws = posterior.solve(many, draw=True, seed=1)
    warm = posterior.solve(many, draw=True, seed=2, start=draws)
    side = np.linspace(-3, 3, 241)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    for s in range(2):
        density = log_posterior(posterior, s, one, modes[s, 0] + grid)
        assert np.abs(grid[density.argmax()]).max() <= 0.025
        chances = np.exp(density - density.max())
        chances /= chances.sum()
        mean = chances @ grid
        spread = (grid - mean).T * chances @ (grid - mean)
        for found in (draws[s], warm[s]):
            np.testing.assert_allclose(found.mean(axis=0) - modes[s, 0], mean, atol=0.05)
            np.testing.assert_allclose(np.cov(found.T), spread, atol=0.04)
        assert (draws[s] != warm[s]).any()
    again = posterior.solve(one, draw=False, start=modes)
    np.testing.assert_allclose(again, modes, atol=0.01)
    assert (posterior.solve(many, draw=True, seed=1) == draws).all()
