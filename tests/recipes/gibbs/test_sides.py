"""One side of the Gibbs sampler: the Normal-Wishart draw, the link against brute force, and effects it must find."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

import palate
from helpers.data import dense_of, ratings_of, ratings_with_jobs, rows_of
from helpers.sampling import assert_same_mean_and_variance, brute_normal_wishart, normal_wishart_given
from palate.data.datasets import synthetic
from palate.data.features import Features
from palate.kernels import reference
from palate.models.model import take_rows
from palate.models.side_information import SideInfo
from palate.recipes.gibbs.by_feature import ByFeature
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.sides import Link, draw_normal_wishart
from palate.recipes.monitor import rmse

# ---- the Normal-Wishart


@pytest.mark.parametrize(("n", "k"), [(30, 1), (40, 3), (2, 5), (400, 4)])
def test_normal_wishart_has_its_moments(n, k):
    rng = np.random.default_rng(n)
    vectors = (rng.standard_normal((n, k)) @ rng.standard_normal((k, k)) + rng.standard_normal(k)).astype(np.float32)
    W, nu, center, beta = normal_wishart_given(vectors)
    generator = np.random.Generator(np.random.Philox(1))
    draws = [draw_normal_wishart(vectors, generator, n_threads=1) for _ in range(4000)]
    means, precisions = (np.stack(column) for column in zip(*draws, strict=True))
    spread = np.sqrt(nu * (W**2 + np.outer(np.diag(W), np.diag(W))) / len(draws))
    assert (np.abs(precisions.mean(axis=0) - nu * W) < 5 * spread).all()
    variances = np.var(precisions, axis=0)
    np.testing.assert_allclose(variances, spread**2 * len(draws), rtol=0.25)
    # the mean's marginal is a multivariate t with nu - k + 1 degrees of freedom
    freedom = nu - k + 1
    scales = np.sqrt(np.diag(np.linalg.inv(W)) / (beta * freedom))
    for at in range(k):
        assert stats.kstest(means[:, at], stats.t(freedom, center[at], scales[at]).cdf).pvalue > 1e-3


def test_wishart_of_one_dimension_is_a_gamma():
    vectors = np.array([[0.5], [1.5], [-0.7]], np.float32)
    W, nu, _, _ = normal_wishart_given(vectors)
    rng = np.random.Generator(np.random.Philox(3))
    precisions = [draw_normal_wishart(vectors, rng, 1)[1][0, 0] for _ in range(4000)]
    assert stats.kstest(precisions, stats.gamma(nu / 2, scale=2 * W[0, 0]).cdf).pvalue > 1e-3
    # ... and of three, its trace against scipy's own sampler
    vectors = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    W, nu, _, _ = normal_wishart_given(vectors)
    ours = [np.linalg.slogdet(draw_normal_wishart(vectors, rng, 1)[1])[1] for _ in range(3000)]
    theirs = [np.linalg.slogdet(one)[1] for one in stats.wishart(nu, W).rvs(3000, random_state=1)]
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


# ---- the chain with links


class BruteSide:
    """One side of Macau by the formulas, in float64: beta drawn as a whole. Rows are the rated ones."""

    def __init__(self, rows, F, groups, k, rng, stream):
        self.rows, self.F, self.groups, self.rng, self.stream = rows, F, groups, rng, stream
        self.X = rng.standard_normal((rows.n_rows, k))
        self.beta, self.l = np.zeros((F.shape[1], k)), np.ones(groups.max() + 1)

    def draw(self, other, **options):
        rng, L, around = self.rng, self.l[self.groups], self.X - self.F @ self.beta
        scatter = (self.beta.T * L) @ self.beta
        mean, precision = brute_normal_wishart(around, rng, scatter=scatter, n_scattered=len(L))
        inverse = np.linalg.inv(self.F.T @ self.F + np.diag(L))
        roots = np.linalg.cholesky(inverse), np.linalg.cholesky(np.linalg.inv(precision))
        self.beta = inverse @ self.F.T @ (self.X - mean) + roots[0] @ rng.standard_normal(self.beta.shape) @ roots[1].T
        for g in range(len(self.l)):
            own = self.beta[self.groups == g]
            self.l[g] = rng.gamma(1 + own.size / 2) / (1 + np.trace(own @ precision @ own.T) / 2)
        self.X, errors = reference.solve_rows(
            self.rows.indptr, self.rows.indices, self.rows.values, other, precision=precision,
            mean=mean + self.F @ self.beta, bias=True, draw=True, stream=self.stream, errors=True, **options,
        )  # fmt: skip
        return errors.sum()


def seen(users, items, user_shift, user_l, item_l):
    """What is compared of a draw: the expected rating of every pair, the link's part of each bias, its precisions."""
    cells = users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1]
    return np.concatenate([cells.ravel(), user_shift[:, 1], np.log(user_l), np.log(item_l)])


def brute_force(ratings, infos, n_users, n_sweeps, seed):
    """What is seen of each draw, of the first n_users."""
    rng = np.random.default_rng(seed)
    center, scale = ratings.values.mean(dtype=np.float64), ratings.values.std(dtype=np.float64)
    by_user = take_rows(ratings.by_user(), np.arange(n_users))
    matrices = [dense_of(F, info.n_features) for info, F in infos.values()]
    users = BruteSide(by_user, matrices[0][:n_users], infos["user"][0].groups, 2, rng, 0)
    items = BruteSide(ratings.by_item(), matrices[1], infos["item"][0].groups, 2, rng, 1)
    alpha, draws = 1.0, []
    for sweep in range(n_sweeps):
        options = {"center": center, "scale": scale, "seed": seed, "sweep": sweep}
        users.draw(items.X, alpha=alpha, **options)
        errors = items.draw(users.X, alpha=alpha, **options)
        alpha = rng.gamma(len(ratings) / 2 + 1) / (errors / 2 + 1)
        draws.append(seen(users.X, items.X, users.F @ users.beta, users.l, items.l))
    return np.array(draws)


@pytest.mark.long
def test_the_chain_samples_the_posterior():
    """With a user without ratings among its rows, whom brute force leaves out."""
    some = synthetic(7, 6, 32, n_factors=1, noise=0.5, seed=4, step=None, scale=(-20.0, 30.0))
    ratings = ratings_of(some.user_codes, some.item_codes, some.values, 8, 6)
    attributes = Features.learned(
        {"job": ["cook", "smith", "cook", "smith", "cook", "king", "king", "king"]}, min_rows=1
    )
    infos = {"user": SideInfo(6, attributes), "item": SideInfo(8)}
    table = pl.DataFrame({"job": ["cook", "smith", "cook", "smith", "cook", "king", "king", "king"]})
    infos = {
        "user": (infos["user"], infos["user"].matrix(ratings.by_user(), attributes.encode(table))),
        "item": (infos["item"], infos["item"].matrix(ratings.by_item())),
    }
    n_draws, burn_in = 1500, 100
    theirs = brute_force(ratings, infos, 7, n_draws + burn_in, seed=11)[burn_in:]
    chain = Chain(ratings, 1, seed=7, n_threads=1, side_infos=infos)
    ours = np.empty_like(theirs)
    for number in range(-burn_in, n_draws):
        chain.draw_sweep(number + burn_in + 1)
        links = chain.users.link, chain.items.link
        rows = chain.users.vectors[:7], chain.items.vectors
        ours[number] = seen(*rows, links[0].shift[:7], links[0].precisions, links[1].precisions)
    assert_same_mean_and_variance(ours, theirs)


def test_a_link_without_evidence_has_its_prior():
    precision = np.array([[4.0, 1.8], [1.8, 1.0]])
    info = SideInfo(4000)
    link = Link(info, ByFeature.of_matrix(info, rows_of([[], [], []]), np.ones(3, bool)), 3, k=2)
    link.draw(np.ones((3, 2), np.float32), np.ones(2), precision, np.random.default_rng(0), seed=1, sweep=1, stream=2)
    expected = np.linalg.inv(precision)
    spread = np.sqrt(np.diag(expected))
    assert (np.abs(np.cov(link.beta.T) - expected) < 5 * np.outer(spread, spread) * np.sqrt(2 / 4000)).all()
    assert link.precisions == pytest.approx([1], abs=0.1)
    assert (link.shift == 0).all()


def test_rows_without_ratings_do_not_move_the_others():
    ratings, _, _ = ratings_with_jobs(cold=0.3)
    unrated = np.flatnonzero(ratings.by_user().counts == 0)
    jobs = ratings.user_table["job"].to_numpy().copy()
    other = jobs.copy()
    other[unrated] = np.random.default_rng(0).permutation(jobs[unrated])
    assert (other != jobs).any()
    turned = ratings.with_users(pl.DataFrame({"job": other}))
    one, two = (palate.Bayes(n_factors=3, n_sweeps=12).fit(each).model.posterior for each in (ratings, turned))
    rated = np.setdiff1d(np.arange(ratings.n_users), unrated)
    assert one.items.vectors.tobytes() == two.items.vectors.tobytes()
    assert one.users.link.tobytes() == two.users.link.tobytes()
    assert one.users.vectors[:, rated].tobytes() == two.users.vectors[:, rated].tobytes()
    assert one.users.vectors[:, unrated].tobytes() != two.users.vectors[:, unrated].tobytes()


# ---- what was planted


def test_attributes_that_matter_are_found():
    ratings, truth, _ = ratings_with_jobs(cold=0.2)
    recipe = palate.Bayes(n_factors=4, n_sweeps=60, history=False)
    with_jobs, without = recipe.fit(ratings), replace(recipe, features=False).fit(ratings)
    users, items = (part.ravel().astype(np.int32) for part in np.indices(truth.shape))
    told, untold = (rec.predict_codes(users, items)[0].reshape(truth.shape) for rec in (with_jobs, without))
    assert rmse(told[:400], truth[:400]) < 0.85 * rmse(untold[:400], truth[:400])
    assert rmse(told[400:], truth[400:]) < 0.6 * rmse(untold[400:], truth[400:])


@pytest.mark.parametrize("history", [False, True])
def test_intervals_of_the_unrated_cover(history):
    ratings, truth, _ = ratings_with_jobs(cold=0.3, seed=1)
    rec = palate.Bayes(n_factors=4, n_sweeps=60, history=history).fit(ratings)
    rng = np.random.default_rng(0)
    users, items = rng.integers(350, 500, 6000).astype(np.int32), rng.integers(0, 100, 6000).astype(np.int32)
    values = truth[users, items] + 0.5 * rng.standard_normal(6000)
    low, high = ratings.range
    inside = (low < values) & (values < high)  # where the interval is not cut off
    for level in (0.5, 0.9):
        _, low, high = rec.predict_codes(users, items, level=level)
        share = np.mean(((low <= values) & (values <= high))[inside])
        assert level - 0.05 < share < level + 0.06


def test_side_information_without_effect_costs_little():
    whole = synthetic(300, 150, 12_000, n_factors=3, noise=0.6, seed=3)
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"sign": rng.choice(["ram", "bull", "twins", "crab"], 300), "shoe": rng.normal(42, 2, 300)})
    train, test = palate.split_random(whole.with_users(table), test=0.2, seed=0)
    recipe = palate.Bayes(n_factors=5, n_sweeps=60, history=False, features=False)
    codes = test.user_codes, test.item_codes
    plain = rmse(recipe.fit(train).predict_codes(*codes)[0], test.values)
    for more in ({"history": True}, {"features": True}, {"history": True, "features": True}):
        assert rmse(replace(recipe, **more).fit(train).predict_codes(*codes)[0], test.values) < plain + 0.01


def test_ratings_of_weight_zero_are_no_history():
    ratings = synthetic(60, 40, 900, seed=2)
    extra = synthetic(60, 40, 400, seed=5)
    joined = ratings_of(
        *(np.concatenate([getattr(part, name) for part in (ratings, extra)]) for name in
          ("user_codes", "item_codes", "values")), 60, 40, weights=np.repeat([1.0, 0.0], [900, 400]),
    )  # fmt: skip
    some = ratings_of(ratings.user_codes, ratings.item_codes, ratings.values, 60, 40)
    one, two = (palate.Bayes(n_factors=2, n_sweeps=4).fit(each).model.posterior for each in (some, joined))
    np.testing.assert_allclose(one.users.link, two.users.link, atol=1e-3)
    np.testing.assert_allclose(one.items.vectors, two.items.vectors, atol=1e-3)


def test_pairs_rated_more_than_once_are_history_once():
    ratings = synthetic(60, 40, 1200, seed=2)
    often = palate.Bayes(n_factors=2, n_sweeps=30).fit(ratings[np.repeat(np.arange(1200), 10)])
    link = often.model.posterior.users.link
    assert np.isfinite(link).all()
    assert np.abs(link).mean() < 3
