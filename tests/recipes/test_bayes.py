"""Bayes: its draws against the laws they claim, its answers against brute force, its intervals against data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import palate
from helpers.data import rows_of
from palate import kernels
from palate.data.datasets import synthetic, synthetic_factors
from palate.kernels import reference
from palate.models.cold_start import ColdStart
from palate.models.factors import Factors, Prior
from palate.models.posterior import Posterior, SideSamples
from palate.recipes import bayes
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.sides import draw_normal_wishart
from palate.recipes.gibbs.thinning import Draw, SideDraw, Thinned
from palate.recipes.monitor import rmse

WIDE = {"step": None, "scale": (-20.0, 30.0)}  # neither rounded nor clipped: the model's own assumptions


def split_of(ratings, rows):
    return palate.split_rows(ratings, rows)


def with_values(ratings, values):
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    return palate.Ratings(ratings.user_codes, ratings.item_codes, values, **vocabularies)


def covered(rec, user_codes, item_codes, values, level=0.9):
    """The share of values inside their interval, and the intervals' mean width."""
    _, low, high = rec.predict_codes(user_codes, item_codes, level=level)
    return np.mean((low <= values) & (values <= high)), np.mean(high - low)


# ---- the Normal-Wishart


def expected_wishart(vectors):
    """(W, nu, m*, beta) of the conditional, straight from Salakhutdinov & Mnih (2008), equation 14, in float64."""
    rows = vectors.astype(np.float64)
    n, k = rows.shape
    mean = rows.mean(axis=0)
    scatter = (rows - mean).T @ (rows - mean)
    inverse = np.eye(k) + scatter + 2 * n / (2 + n) * np.outer(mean, mean)
    return np.linalg.inv(inverse), k + n, n * mean / (2 + n), 2 + n


@pytest.mark.parametrize(("n", "k"), [(30, 1), (40, 3), (2, 5), (400, 4)])
def test_normal_wishart_has_its_moments(n, k):
    rng = np.random.default_rng(n)
    vectors = (rng.standard_normal((n, k)) @ rng.standard_normal((k, k)) + rng.standard_normal(k)).astype(np.float32)
    W, nu, center, beta = expected_wishart(vectors)
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
    W, nu, _, _ = expected_wishart(vectors)
    rng = np.random.Generator(np.random.Philox(3))
    precisions = [draw_normal_wishart(vectors, rng, 1)[1][0, 0] for _ in range(4000)]
    assert stats.kstest(precisions, stats.gamma(nu / 2, scale=2 * W[0, 0]).cdf).pvalue > 1e-3
    # ... and of three, its trace against scipy's own sampler
    vectors = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    W, nu, _, _ = expected_wishart(vectors)
    ours = [np.linalg.slogdet(draw_normal_wishart(vectors, rng, 1)[1])[1] for _ in range(3000)]
    theirs = [np.linalg.slogdet(one)[1] for one in stats.wishart(nu, W).rvs(3000, random_state=1)]
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


# ---- the Gibbs sampler


def brute_force(ratings, n_sweeps, seed):
    """Gibbs by the formulas in NumPy: predictions of every cell under each draw, (n_sweeps, n_users, n_items)."""
    rng = np.random.default_rng(seed)
    center, scale = ratings.values.mean(dtype=np.float64), ratings.values.std(dtype=np.float64)
    k, alpha = 2, 1.0
    users, items = rng.standard_normal((ratings.n_users, k)), rng.standard_normal((ratings.n_items, k))
    cells = np.empty((n_sweeps, ratings.n_users, ratings.n_items))

    def draw_side(rows, own, other, sweep, stream):
        W, nu, mean, beta = expected_wishart(own)
        precision = stats.wishart(nu, W).rvs(random_state=rng)
        mean = rng.multivariate_normal(mean, np.linalg.inv(beta * precision))
        return reference.solve_rows(
            rows.indptr, rows.indices, rows.values, other, precision=precision, mean=mean, bias=True, center=center,
            scale=scale, alpha=alpha, draw=True, seed=seed, sweep=sweep, stream=stream, errors=True,
        )  # fmt: skip

    for sweep in range(n_sweeps):
        users, _ = draw_side(ratings.by_user(), users, items, sweep, 0)
        items, errors = draw_side(ratings.by_item(), items, users, sweep, 1)
        alpha = rng.gamma(len(ratings) / 2 + 1) / (errors.sum() / 2 + 1)
        cells[sweep] = users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1]
    return center + scale * cells


def batch_errors(draws, n_batches=25):
    """Mean over draws and its Monte Carlo standard error, by means of batches (draws of a chain are dependent)."""
    means = draws.reshape(n_batches, -1, *draws.shape[1:]).mean(axis=1)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(n_batches)


def test_the_chain_samples_the_posterior():
    ratings = synthetic(7, 6, 32, n_factors=1, noise=0.5, seed=4, **WIDE)
    n_draws, burn_in = 2000, 100
    theirs = brute_force(ratings, n_draws + burn_in, seed=11)[burn_in:]
    chain = Chain(ratings, 1, seed=7, n_threads=1)
    ours = np.empty_like(theirs)
    for number in range(n_draws + burn_in):
        chain.draw_sweep(number + 1)
        users, items = chain.users.vectors, chain.items.vectors
        if number >= burn_in:
            ours[number - burn_in] = users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1]
    ours = chain.center + chain.scale * ours
    for measure in (lambda draws: draws, lambda draws: (draws - theirs.mean(axis=0)) ** 2):
        (one, error_one), (two, error_two) = batch_errors(measure(ours)), batch_errors(measure(theirs))
        z = (one - two) / np.hypot(error_one, error_two)
        assert np.abs(z).max() < 5
        assert np.sqrt(np.mean(z**2)) < 2


@pytest.mark.parametrize(("factor", "shift"), [(16.0, 64.0), (0.25, -3.0)])
def test_the_scale_of_the_ratings_does_not_matter(factor, shift):
    ratings = synthetic(100, 60, 2500, seed=2)
    recipe = palate.Bayes(n_factors=5, n_sweeps=15, seed=3)
    codes = ratings.user_codes, ratings.item_codes
    one = recipe.fit(ratings).predict_codes(*codes)
    two = recipe.fit(with_values(ratings, ratings.values * factor + shift)).predict_codes(*codes)
    for before, after in zip(one, two, strict=True):
        np.testing.assert_allclose(before * factor + shift, after, atol=2e-2 * factor)


def test_noise_is_recovered_and_intervals_cover():
    whole = synthetic(500, 300, 40_000, n_factors=4, noise=0.5, seed=1, **WIDE)
    train, test = palate.split_random(whole, test=0.1, seed=0)
    rec = palate.Bayes(n_factors=6, n_sweeps=60).fit(train)
    assert rec.model.posterior.noise == pytest.approx(0.5, rel=0.04)
    assert rec.model.noise == pytest.approx(0.5, rel=0.04)
    codes = test.user_codes, test.item_codes
    assert 0.87 < covered(rec, *codes, test.values)[0] < 0.93
    assert 0.46 < covered(rec, *codes, test.values, level=0.5)[0] < 0.54
    predicted = rec.predict_codes(*codes)[0]
    assert rmse(predicted, test.values) < 0.62
    assert rmse(predicted, synthetic_factors(500, 300, 4, 1).scores(*codes)) < 0.35  # what the noise hides is known


def test_the_unknown_are_covered_by_wider_intervals():
    whole = synthetic(600, 300, 40_000, n_factors=4, noise=0.5, seed=5, **WIDE)
    rng = np.random.default_rng(0)
    cold_user, cold_item = rng.random(600) < 0.25, rng.random(300) < 0.25
    no_user, no_item = cold_user[whole.user_codes], cold_item[whole.item_codes]
    held_out = no_user | no_item | (rng.random(len(whole)) < 0.05)
    train, test = split_of(whole, held_out)
    no_user, no_item = cold_user[test.user_codes], cold_item[test.item_codes]
    rec = palate.Bayes(n_factors=6, n_sweeps=60).fit(train)
    widths = {}
    for marked in (False, True):  # cold ones the vocabulary knows; then the same as if it did not
        users = np.where(no_user & marked, -1, test.user_codes).astype(np.int32)
        items = np.where(no_item & marked, -1, test.item_codes).astype(np.int32)
        for name, rows in {
            "known": ~no_user & ~no_item, "user": no_user & ~no_item, "item": no_item & ~no_user,
            "both": no_user & no_item,
        }.items():  # fmt: skip
            share, widths[name] = covered(rec, users[rows], items[rows], test.values[rows])
            assert 0.85 < share < 0.95, (name, marked)
        assert widths["known"] < min(widths["user"], widths["item"])
        assert max(widths["user"], widths["item"]) < widths["both"]


# ---- the posterior's closed forms


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
def test_the_variance_of_the_unknown_in_closed_form_is_that_of_sampling(user, item):
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


def test_draws_of_the_unknown_add_to_the_doubt_of_each_draw():
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


def test_the_unknown_get_the_mean_of_the_draws_as_one_vector():
    ratings = synthetic(60, 40, 900, n_factors=2, noise=0.5, seed=3, **WIDE)
    rec = palate.Bayes(n_factors=2, n_sweeps=20).fit(ratings)
    posterior = rec.model.posterior
    codes = np.array([-1, 5, -1], np.int32), np.array([7, -1, -1], np.int32)
    mean, variance = posterior.predict(posterior.users.vectors, *codes)
    predicted, low, high = rec.predict_codes(*codes, level=0.6826894921)
    np.testing.assert_allclose(predicted, mean, atol=0.05)  # one vector for them, the least-squares fit to the draws
    np.testing.assert_allclose(high - predicted, np.sqrt(variance + rec.model.noise_of(codes[0]) ** 2), rtol=1e-6)
    np.testing.assert_allclose(predicted - low, high - predicted, rtol=1e-6)
    new = rec.fold_in({"i1": 4.0, "i2": 3.0})
    draws = posterior.solve(new._rows.history, draw=False)
    mean, _ = posterior.predict(draws, np.zeros(1, np.int32), np.array([-1], np.int32))
    assert new.predict("nothing").prediction == pytest.approx(mean[0], abs=0.05)


# ---- fold-in, stopping, thinning


def halves_of(ratings, n_users, seed=0):
    """(rest, first halves, second halves): the ratings of n_users users cut in two, and those of all others."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(ratings.n_users)[:n_users]
    mine = np.isin(ratings.user_codes, chosen)
    order = rng.permutation(np.flatnonzero(mine))
    order = order[np.argsort(ratings.user_codes[order], kind="stable")]
    owner = ratings.user_codes[order]
    place = np.arange(len(order)) - np.searchsorted(owner, owner)
    first = place < np.bincount(owner, minlength=ratings.n_users)[owner] // 2
    return ratings[~mine], ratings[order[first]], ratings[order[~first]]


def folded_in(rec, first, second):
    """Predictions for `second` by folding in each user's half in `first`, and the intervals' ends."""
    items = np.array(list(first.item_vocabulary), dtype=object)
    answers = np.empty((3, len(second)))
    for user in np.unique(second.user_codes):
        own, asked = first.user_codes == user, second.user_codes == user
        new = rec.fold_in(dict(zip(items[first.item_codes[own]], first.values[own].tolist(), strict=True)))
        answers[:, asked] = (
            new.predict(items[second.item_codes[asked]]).select("prediction", "low", "high").to_numpy().T
        )
    return answers


def fold_in_and_refit(ratings, n_users, recipe):
    rest, first, second = halves_of(ratings, n_users)
    folded, low, high = folded_in(recipe.fit(rest), first, second)
    rows = [np.concatenate([getattr(part, name) for part in (rest, first)]) for name in ("user_codes", "item_codes")]
    whole = palate.Ratings(
        *rows,
        np.concatenate([rest.values, first.values]),
        user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary,
    )
    refit = recipe.fit(whole).predict_codes(second.user_codes, second.item_codes)[0]
    return folded, refit, second.values, np.mean((low <= second.values) & (second.values <= high))


def test_folding_in_is_as_good_as_a_refit():
    ratings = synthetic(500, 200, 25_000, n_factors=4, noise=0.5, seed=6, **WIDE)
    folded, refit, values, coverage = fold_in_and_refit(ratings, 60, palate.Bayes(n_factors=6, n_sweeps=60))
    assert rmse(folded, values) < rmse(refit, values) + 0.015
    assert rmse(folded, refit) < 0.15
    assert 0.85 < coverage < 0.95


def test_it_stops_by_itself_when_more_sweeps_do_not_pay():
    ratings = synthetic(200, 100, 5000, seed=1)
    free = palate.Bayes(n_factors=4).fit(ratings)
    assert 80 <= free.model.training["n_sweeps"] < bayes.MAX_SWEEPS
    assert free.model.training["ended"] == "finished"
    assert palate.Bayes(n_factors=4, n_sweeps=7).fit(ratings).model.training["n_sweeps"] == 7


@given(st.integers(2, 9), st.integers(1, 200))
@settings(deadline=None)
def test_kept_draws_are_evenly_spaced(limit, n):
    thinned = Thinned(limit)
    for number in range(n):
        vectors = np.full((2, 1), number, np.float32)
        side = SideDraw(vectors, np.zeros(1, np.float32), np.eye(1, dtype=np.float32), None)
        thinned.add(Draw(float(number), side, side))
    known = rows_of([[0], [1]]), None, 0
    kept = thinned.posterior(0.0, 1.0, known, known)
    assert min(n, (limit + 1) // 2) <= len(kept) <= limit
    assert kept.alpha[0] == 0
    assert len(set(np.diff(kept.alpha).tolist())) <= 1
    np.testing.assert_array_equal(kept.users.vectors[:, 0, 0], kept.alpha)


def test_options_reach_the_fit():
    ratings = synthetic(60, 40, 1000, seed=1)
    rec = palate.Bayes(n_factors=3, n_sweeps=30, n_samples=4).fit(ratings)
    assert len(rec.model.posterior) <= 4
    assert rec.model.posterior.users.vectors.shape[2] == 4
    assert palate.Bayes(n_sweeps=1).fit(ratings).model.posterior.users.vectors.shape[2] == 16
    assert palate.Bayes(n_factors=3, seed=2).label() == "Bayes(n_factors=3, seed=2)"
    assert palate.Bayes(n_factors=3) == palate.Bayes(n_factors=3) != palate.Bayes()


def test_thompson_draws_are_draws_of_the_posterior():
    ratings = synthetic(200, 30, 3000, n_factors=2, noise=0.5, seed=8, **WIDE)
    rec = palate.Bayes(n_factors=2, n_sweeps=60).fit(ratings)
    best = [rec.recommend("u1", n=30, by="thompson", keep_seen=True, seed=seed) for seed in range(40)]
    assert len({tuple(one["item"]) for one in best}) > 5
    assert best[3].equals(rec.recommend("u1", n=30, by="thompson", keep_seen=True, seed=3))
    drawn = np.mean([dict(zip(one["item"], one["score"], strict=True))["i5"] for one in best])
    assert drawn == pytest.approx(rec.predict("u1", "i5").prediction, abs=0.3)


def test_the_cautious_order_is_that_of_the_lower_ends():
    ratings = synthetic(200, 60, 3000, n_factors=2, noise=0.5, seed=8, **WIDE)
    rec = palate.Bayes(n_factors=2, n_sweeps=40).fit(ratings)
    for level in (0.5, 0.95):
        best = rec.recommend("u1", n=60, by="lower", keep_seen=True, level=level)
        low = rec.predict("u1", best["item"].to_list(), level=level)["low"]
        np.testing.assert_allclose(best["score"], low, atol=2e-3)


# ---- real data


@pytest.mark.data
def test_movielens_is_predicted_as_well_as_promised(ml_100k_90_10):
    train, test = ml_100k_90_10
    rec = palate.Bayes(n_sweeps=100, seed=0).fit(train)
    report = palate.evaluate(rec, test)
    assert report["rmse"] <= 0.8795
    assert 0.88 <= report["coverage_90"] <= 0.92
    assert 0.47 <= report["coverage_50"] <= 0.53
    assert report["rmse"] < report.baselines["Bias"]["rmse"].value - 0.04
    assert report.verdict == ""
    assert rec.compact().n_factors <= 32


@pytest.mark.data
def test_folding_in_on_movielens_is_as_good_as_a_refit(ml_100k):
    folded, refit, values, coverage = fold_in_and_refit(ml_100k, 200, palate.Bayes(n_sweeps=100))
    assert rmse(folded, values) <= rmse(refit, values) + 0.003
    assert 0.87 <= coverage <= 0.93


# ---- weights


def with_weights(ratings, weights):
    vocabularies = {"user_vocabulary": ratings.user_vocabulary, "item_vocabulary": ratings.item_vocabulary}
    return palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, weights=weights, **vocabularies)


@pytest.mark.parametrize("recipe", [palate.Bayes(n_sweeps=15), palate.ALS(n_factors=4), palate.Bias()], ids=repr)
def test_only_the_proportions_of_weights_count(recipe):
    ratings = palate.datasets.synthetic(60, 40, 1200, seed=2)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(ratings))
    one, other = (recipe.fit(with_weights(ratings, weights * unit)) for unit in (1, 1024))
    assert one.model.noise == pytest.approx(other.model.noise, rel=1e-3, nan_ok=True)
    np.testing.assert_allclose(one.recommend(n=5)["score"], other.recommend(n=5)["score"], atol=1e-2)


def test_ratings_of_weight_zero_teach_nothing_about_the_noise():
    ratings = palate.datasets.synthetic(150, 80, 6000, noise=0.6, seed=3)
    counted = np.random.default_rng(0).random(len(ratings)) < 0.5
    some = palate.Bayes(n_sweeps=60).fit(with_weights(ratings, counted.astype(np.float32)))
    only = palate.Bayes(n_sweeps=60).fit(ratings[counted])
    assert some.model.noise == pytest.approx(only.model.noise, rel=0.05)
    with pytest.raises(palate.errors.DataError, match="weight 0"):
        palate.Bayes().fit(with_weights(ratings, np.zeros(len(ratings))))


def test_two_ratings_of_weight_one_are_one_of_weight_two():
    """As far as a row's solution goes: the same factors, given the same other side."""
    rows = palate.datasets.synthetic(30, 20, 300, seed=1)
    twice = with_weights(rows[np.repeat(np.arange(len(rows)), 2)], np.ones(2 * len(rows)))
    double = with_weights(rows, np.full(len(rows), 2.0))
    items = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    prior = {"precision": np.eye(4, dtype=np.float32), "mean": np.zeros(4, np.float32), "bias": True}
    solved = [
        kernels.solve_rows(r.indptr, r.indices, r.values, items, weights=r.weights, **prior)[0]
        for r in (twice.by_user(), double.by_user())
    ]
    np.testing.assert_allclose(*solved, atol=1e-4)
