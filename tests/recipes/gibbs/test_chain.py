"""The chain of ordered ratings against brute force: vectors, latents and cut points drawn by the formulas in NumPy."""

import numpy as np
from scipy import special, stats

from helpers.data import planted, with_values
from palate.kernels import reference
from palate.recipes.gibbs import targets
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.cutpoints import bounded, unbounded


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


def draw_prior(rows, rng):
    """Mean and precision of a side from its Normal-Wishart, (Salakhutdinov & Mnih 2008, equation 14)."""
    n, k = rows.shape
    mean = rows.mean(axis=0)
    inverse = np.eye(k) + (rows - mean).T @ (rows - mean) + 2 * n / (2 + n) * np.outer(mean, mean)
    precision = stats.wishart(k + n, np.linalg.inv(inverse)).rvs(random_state=rng)
    return rng.multivariate_normal(n * mean / (2 + n), np.linalg.inv((2 + n) * precision)), precision


def brute_force(ratings, n_sweeps, seed):
    """Gibbs by the formulas in NumPy: the chance of a rating above the lowest, and above the middle, of every cell."""
    rng = np.random.default_rng(seed)
    users, items = rng.standard_normal((ratings.n_users, 2)), rng.standard_normal((ratings.n_items, 2))
    u, i = ratings.user_codes, ratings.item_codes
    steps, cuts = ratings.values.astype(int) - 1, np.array([-0.5, 0.5])
    chances = np.empty((n_sweeps, 2, ratings.n_users, ratings.n_items))
    for sweep in range(n_sweeps):
        scores = users[u, 0] * items[i, 0] + users[u, 1] + items[i, 1]
        cuts = draw_cuts(cuts, scores, steps, rng)
        latents = with_values(ratings, draw_latents(cuts, scores, steps, rng).astype(np.float32))
        sides = []
        for rows, own, other, stream in (
            (latents.by_user(), users, items, 0),
            (latents.by_item(), items, None, 1),
        ):
            mean, precision = draw_prior(own, rng)
            sides.append(
                reference.solve_rows(
                    rows.indptr, rows.indices, rows.values, sides[0] if other is None else other, precision=precision,
                    mean=mean, bias=True, center=0.0, scale=1.0, alpha=1.0, draw=True, seed=seed, sweep=sweep,
                    stream=stream,
                )[0]
            )  # fmt: skip
        users, items = sides
        chances[sweep] = chances_above(cuts, users, items)
    return chances


def chances_above(cuts, users, items):
    return special.ndtr(users[:, :1] @ items[:, :1].T + users[:, 1:] + items[:, 1] - cuts[:, None, None])


def batch_errors(draws, n_batches=25):
    """Mean over draws and its Monte Carlo standard error, by means of batches."""
    means = draws.reshape(n_batches, -1, *draws.shape[1:]).mean(axis=1)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(n_batches)


def test_the_chain_samples_the_posterior(monkeypatch):
    monkeypatch.setattr(targets, "LATER", 1)  # how often cut points are drawn is no part of the law, but slows mixing
    ratings, _ = planted(7, 6, 32, cuts=[-0.8, 0.6], values=(1, 2, 3), seed=4)
    assert len(np.unique(ratings.values)) == 3
    n_draws, burn_in = 1500, 100
    theirs = brute_force(ratings, n_draws + burn_in, seed=11)[burn_in:]
    chain = Chain(ratings, 1, seed=7, n_threads=1, ordinal=True)
    ours = np.empty_like(theirs)
    for number in range(n_draws + burn_in):
        chain.draw_sweep(number + 1)
        if number >= burn_in:
            cuts = chain.targets.steps.cuts
            ours[number - burn_in] = chances_above(cuts, chain.users.vectors, chain.items.vectors)
    for measure in (lambda draws: draws, lambda draws: (draws - theirs.mean(axis=0)) ** 2):
        (one, error_one), (two, error_two) = batch_errors(measure(ours)), batch_errors(measure(theirs))
        z = (one - two) / np.hypot(error_one, error_two)
        assert np.abs(z).max() < 5
        assert np.sqrt(np.mean(z**2)) < 2
