"""The Gibbs chain against brute force: the same posterior as sampling by the formulas in NumPy."""

import numpy as np
import pytest
from scipy import special

from helpers.data import planted, with_values
from helpers.sampling import assert_same_mean_and_variance, brute_normal_wishart
from palate.data.datasets import synthetic
from palate.kernels import reference
from palate.recipes.gibbs import targets
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.cutpoints import bounded, unbounded

# ---- plain ratings


def brute_force_of_plain_ratings(ratings, n_sweeps, seed):
    """Gibbs by the formulas in NumPy: predictions of every cell under each draw, (n_sweeps, n_users, n_items)."""
    rng = np.random.default_rng(seed)
    center, scale = ratings.values.mean(dtype=np.float64), ratings.values.std(dtype=np.float64)
    k, alpha = 2, 1.0
    users, items = rng.standard_normal((ratings.n_users, k)), rng.standard_normal((ratings.n_items, k))
    cells = np.empty((n_sweeps, ratings.n_users, ratings.n_items))

    def draw_side(rows, own, other, sweep, stream):
        mean, precision = brute_normal_wishart(own, rng)
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


@pytest.mark.long
def test_the_chain_samples_the_posterior_of_plain_ratings():
    ratings = synthetic(7, 6, 32, n_factors=1, noise=0.5, seed=4, step=None, scale=(-20.0, 30.0))
    n_draws, burn_in = 2000, 100
    theirs = brute_force_of_plain_ratings(ratings, n_draws + burn_in, seed=11)[burn_in:]
    chain = Chain(ratings, 1, seed=7, n_threads=1)
    ours, means = np.empty_like(theirs), np.empty_like(theirs)
    for number in range(n_draws + burn_in):
        chain.draw_sweep(number + 1)
        items = chain.items.vectors
        for cells, users in ((ours, chain.users.vectors), (means, chain.user_means)):
            cells[max(number - burn_in, 0)] = users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1]
    ours, means = chain.center + chain.scale * ours, chain.center + chain.scale * means
    assert_same_mean_and_variance(ours, theirs)
    spread = ours.std(axis=0)
    assert np.all(np.abs(means.mean(axis=0) - ours.mean(axis=0)) < 5 * spread / np.sqrt(n_draws))
    assert means.std(axis=0).mean() < 0.9 * spread.mean()


def factor_variance(chain):
    """The variance of p . q over all pairs, for factors of mean 0."""
    users, items = (side.vectors[:, :-1].astype(np.float64) for side in (chain.users, chain.items))
    return np.trace((users.T @ users / len(users)) @ (items.T @ items / len(items)))


def test_a_weak_signal_does_not_hold_the_chain_near_zero():
    """Lambda drawn from modes is far too large: without a draw in the warm-up the first value is 0.001 of the last."""
    ratings = synthetic(300, 200, 9000, n_factors=6, noise=2.0, seed=0, step=None)
    chain = Chain(ratings, 7, seed=0, n_threads=1)
    chain.warm_up()
    chain.draw_sweep(1)
    first = factor_variance(chain)
    for number in range(2, 101):
        chain.draw_sweep(number)
    assert first > 0.03 * factor_variance(chain)


# ---- ordinal ratings


def draw_cuts(cuts, scores, steps, rng, turns=5):
    """A few steps of a random walk on p(cuts | scores), by the formula."""

    def log_posterior(x):
        ends = np.concatenate([[-np.inf], bounded(x), [np.inf]])
        mass = special.ndtr(ends[steps + 1] - scores) - special.ndtr(ends[steps] - scores)
        return np.log(np.maximum(mass, 1e-300)).sum() - x[0] ** 2 / 200 - np.sum(x[1:] ** 2) / 18

    at = unbounded(cuts)
    here = log_posterior(at)
    for _ in range(turns):
        to = at + 0.3 * rng.standard_normal(len(at))
        there = log_posterior(to)
        if np.log(rng.random()) < there - here:
            at, here = to, there
    return bounded(at)


def draw_latents(cuts, scores, steps, rng):
    """Normal around the scores, cut off at the ends of the steps, by inversion."""
    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    low, high = (special.ndtr(ends[steps + side] - scores) for side in (0, 1))
    return scores + special.ndtri(np.clip(low + rng.random(len(scores)) * (high - low), 1e-15, 1 - 1e-15))


def brute_force_of_ordinal_ratings(ratings, n_sweeps, seed):
    """Gibbs by the formulas in NumPy: for every cell the probabilities of a rating above each cut, by draw."""
    rng = np.random.default_rng(seed)
    users, items = rng.standard_normal((ratings.n_users, 2)), rng.standard_normal((ratings.n_items, 2))
    u, i = ratings.user_codes, ratings.item_codes
    steps, cuts = ratings.values.astype(int) - 1, np.array([-0.5, 0.5])
    probabilities = np.empty((n_sweeps, 2, ratings.n_users, ratings.n_items))
    for sweep in range(n_sweeps):
        scores = users[u, 0] * items[i, 0] + users[u, 1] + items[i, 1]
        cuts = draw_cuts(cuts, scores, steps, rng)
        latents = with_values(ratings, draw_latents(cuts, scores, steps, rng).astype(np.float32))
        sides = []
        for rows, own, other, stream in (
            (latents.by_user(), users, items, 0),
            (latents.by_item(), items, None, 1),
        ):
            mean, precision = brute_normal_wishart(own, rng)
            sides.append(
                reference.solve_rows(
                    rows.indptr, rows.indices, rows.values, sides[0] if other is None else other, precision=precision,
                    mean=mean, bias=True, center=0.0, scale=1.0, alpha=1.0, draw=True, seed=seed, sweep=sweep,
                    stream=stream,
                )[0]
            )  # fmt: skip
        users, items = sides
        probabilities[sweep] = probabilities_above(cuts, users, items)
    return probabilities


def probabilities_above(cuts, users, items):
    return special.ndtr(users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1] - cuts[:, None, None])


@pytest.mark.long
def test_the_chain_samples_the_posterior_of_ordinal_ratings(monkeypatch):
    monkeypatch.setattr(
        targets, "DRAW_INTERVAL", 1
    )  # how often cut points are drawn is no part of the law, but slows mixing
    ratings, _ = planted(7, 6, 32, cuts=[-0.8, 0.6], values=(1, 2, 3), seed=4)
    assert len(np.unique(ratings.values)) == 3
    n_draws, burn_in = 1500, 100
    theirs = brute_force_of_ordinal_ratings(ratings, n_draws + burn_in, seed=11)[burn_in:]
    chain = Chain(ratings, 1, seed=7, n_threads=1, ordinal=True)
    ours = np.empty_like(theirs)
    for number in range(n_draws + burn_in):
        chain.draw_sweep(number + 1)
        if number >= burn_in:
            cuts = chain.targets.steps.cuts
            ours[number - burn_in] = probabilities_above(cuts, chain.users.vectors, chain.items.vectors)
    assert_same_mean_and_variance(ours, theirs)
